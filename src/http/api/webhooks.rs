//! `webhook_*`: beyond the contract.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::webhook::{Webhook, WebhookDraft};
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::webhooks::Delivery;

/// Lists the webhooks, by name.
pub(crate) async fn list(State(services): State<Services>) -> Answer<Vec<WebhookView>> {
    Ok(Success(services.webhooks.list().iter().map(|(webhook, stands)| WebhookView::of(webhook, stands)).collect()))
}

/// Adds a webhook, and shows its secret this once.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<MadeView> {
    fields.refuse_others(&["name", "url", "secret", "events", "enabled"])?;
    let draft = WebhookDraft { name: fields.text("name"), ..draft(&fields) };
    let webhook = services.webhooks.add(&caller, draft).await?;
    let view = WebhookView::of(&webhook, &Delivery::default());
    Ok(Success(MadeView { secret: webhook.secret.reveal().to_owned(), view }))
}

/// Changes what the form names of a webhook.
pub(crate) async fn edit(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<WebhookView> {
    fields.refuse_others(&["url", "secret", "events", "enabled"])?;
    let (webhook, stands) = services.webhooks.edit(&caller, &name, draft(&fields)).await?;
    Ok(Success(WebhookView::of(&webhook, &stands)))
}

/// Removes a webhook.
pub(crate) async fn remove(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.webhooks.remove(&caller, &name).await?;
    Ok(Success(DONE))
}

/// Sends a message to a webhook, and tells whether it arrived.
pub(crate) async fn test(State(services): State<Services>, Named(name): Named) -> Answer<&'static str> {
    services.webhooks.test(&name).await?;
    Ok(Success(DONE))
}

/// What a form says, but for the name.
pub(in crate::http) fn draft(fields: &Fields) -> WebhookDraft {
    WebhookDraft {
        name: None,
        url: fields.text("url"),
        secret: fields.text("secret"),
        events: fields.text("events"),
        enabled: fields.text("enabled"),
    }
}

/// A webhook as clients read it; its secret is shown when it is made, and never again.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    name: String,
    url: String,
    events: Vec<&'static str>,
    enabled: bool,
    /// Messages that wait.
    waiting: usize,
    /// Messages that arrived since the process began.
    delivered: u64,
    /// Messages that were given up.
    lost: u64,
    /// Why the last try failed; `null` where it did not.
    fault: Option<String>,
}

impl WebhookView {
    fn of(webhook: &Webhook, stands: &Delivery) -> Self {
        Self {
            name: webhook.name.to_string(),
            url: webhook.url.clone(),
            events: webhook.events.iter().map(|kind| kind.word()).collect(),
            enabled: webhook.enabled,
            waiting: stands.waiting,
            delivered: stands.delivered,
            lost: stands.lost,
            fault: stands.fault.clone(),
        }
    }
}

/// A webhook that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookMade)]
pub(crate) struct MadeView {
    #[serde(flatten)]
    view: WebhookView,
    secret: String,
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let url = || Field::new("url", Kind::Url, "Where messages go.");
    let rest = || {
        let events = "Of what it is told: all, or words as account.expired separated by commas.";
        [
            text("secret", limits::PASSWORD_MAX, "What messages are signed with, as whsec_...; empty for a new one."),
            text("events", limits::PASSWORD_MAX, events).such_as("account.expired,account.quota"),
            flag("enabled", "Whether it is told anything."),
        ]
    };
    let name = Field::new("name", Kind::Name, "Its name.").required().such_as("billing");
    Group {
        name: "Webhooks",
        about: "Who is told by HTTP of what happens. Messages are signed as Standard Webhooks has it.",
        named: ("The webhook's name.", "billing"),
        operations: vec![
            Operation::new("webhook_list", "Lists the webhooks and how they stand", Shape::list_of::<WebhookView>()),
            Operation::new("webhook_add", "Adds a webhook", Shape::of::<MadeView>())
                .about("Its secret is shown this once.")
                .form([name, url().required().such_as("https://billing.example.org/hook")])
                .form(rest())
                .refuses([Refusal::NameMalformed, Refusal::NameTaken, Refusal::WebhooksExceeded]),
            Operation::new("webhook_edit", "Changes what the form names", Shape::of::<WebhookView>())
                .about("What waits is tried again at once.")
                .form([url()])
                .form(rest())
                .refuses([Refusal::WebhookNotFound]),
            Operation::new("webhook_delete", "Removes a webhook", Shape::done()).refuses([Refusal::WebhookNotFound]),
            Operation::new("webhook_test", "Sends a message now", Shape::done())
                .about("A refusal says what the receiver has against it.")
                .refuses([Refusal::WebhookNotFound, Refusal::WebhookFailed("the receiver answered 403".into())]),
        ],
    }
}
