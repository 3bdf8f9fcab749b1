//! The commands of webhooks.

use clap::{Args, Subcommand};

use super::args::Switch;
use super::request::{Call, below, flag};

const WEBHOOKS: &str = "/api/v1/webhooks";

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Add a webhook, and show the secret that its messages are signed with
    Add {
        /// Its name: letters, digits, `_` and `-`
        name: String,
        /// Where messages go: an http or https URL
        url: String,
        /// What it is to be like.
        #[command(flatten)]
        fields: WebhookFields,
    },
    /// List the webhooks and how they stand
    List,
    /// Change a webhook; what you leave out stays
    Edit {
        /// Its name.
        name: String,
        /// Where messages go: an http or https URL
        #[arg(long)]
        url: Option<String>,
        /// What it is to be like.
        #[command(flatten)]
        fields: WebhookFields,
    },
    /// Remove a webhook, and what waits for it
    Remove {
        /// Its name.
        name: String,
    },
    /// Send a message to a webhook now
    Test {
        /// Its name.
        name: String,
    },
}

/// What can be said of a webhook.
#[derive(Debug, Default, Args)]
pub struct WebhookFields {
    /// Of what it is told: all, or words as account.connected separated by commas
    #[arg(long)]
    pub events: Option<String>,
    /// What messages are signed with, as `whsec_...`; chosen where it is left out
    #[arg(long)]
    pub secret: Option<String>,
    /// Whether it is told anything
    #[arg(long, value_name = "BOOL")]
    pub enabled: Option<Switch>,
}

/// The request that a command stands for.
pub(super) fn call(command: &WebhookCommand) -> Call {
    match command {
        WebhookCommand::Add { name, url, fields } => {
            let mut form = form(fields);
            form.extend([("name", Some(name.clone())), ("url", Some(url.clone()))]);
            Call::post(WEBHOOKS, form)
        }
        WebhookCommand::List => Call::get(WEBHOOKS),
        WebhookCommand::Edit { name, url, fields } => {
            let mut form = form(fields);
            form.push(("url", url.clone()));
            Call::put(below(WEBHOOKS, name), form)
        }
        WebhookCommand::Remove { name } => Call::delete(below(WEBHOOKS, name)),
        WebhookCommand::Test { name } => Call::post(below(WEBHOOKS, name) + "/test", Vec::new()),
    }
}

fn form(fields: &WebhookFields) -> Vec<(&'static str, Option<String>)> {
    vec![("events", fields.events.clone()), ("secret", fields.secret.clone()), ("enabled", fields.enabled.map(flag))]
}
