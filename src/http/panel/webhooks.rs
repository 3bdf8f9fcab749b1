//! Webhooks: who is told by HTTP of what happens, and whether the messages arrive.

use askama::Template;
use axum::extract::{Path, State};

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::refusal::Refusal;
use crate::domain::webhook::{Webhook, WebhookDraft};
use crate::http::api::webhooks::draft;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::webhooks::Delivery;

/// Where the page is.
const HOME: &str = "/panel/webhooks";

#[derive(Template)]
#[template(path = "webhooks.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    rows: Vec<Row>,
    add: Sheet<'a>,
    /// The secret of one that was just made, shown this once.
    secret: Option<String>,
    against: Option<String>,
}

/// A webhook, and how it stands.
struct Row {
    name: String,
    url: String,
    events: String,
    enabled: bool,
    waiting: usize,
    delivered: u64,
    lost: u64,
    fault: Option<String>,
}

impl Row {
    fn of(webhook: &Webhook, stands: Delivery) -> Self {
        Self {
            name: webhook.name.to_string(),
            url: webhook.url.clone(),
            events: webhook.events.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", "),
            enabled: webhook.enabled,
            waiting: stands.waiting,
            delivered: stands.delivered,
            lost: stands.lost,
            fault: stands.fault,
        }
    }
}

#[derive(Template)]
#[template(path = "webhook.html", config = "src/http/panel/askama.toml")]
struct Detail<'a> {
    visit: &'a Visit,
    row: Row,
    edit: Sheet<'a>,
}

#[derive(Default)]
struct Told<'a> {
    refused: Option<&'a Refused>,
    secret: Option<String>,
    against: Option<String>,
}

/// Shows them.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, Told::default())
}

fn shown(visit: &Visit, services: &Services, Told { refused, secret, against }: Told<'_>) -> Answer {
    let rows = services.webhooks.list().into_iter().map(|(webhook, stands)| Row::of(&webhook, stands));
    let add = Sheet::new(visit, "webhook", HOME, "webhooks.add")
        .again(refused)
        .text("name", "")
        .hinted("url", "", "https://billing.example.org/hook")
        .hinted("events", "all", "account.expired,account.quota");
    page::page(&Page { visit, rows: rows.collect(), add, secret, against })
}

/// Adds one, and shows its secret this once.
pub(super) async fn add(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let draft = WebhookDraft { name: fields.text("name"), ..draft(&fields) };
    match page::refused(services.webhooks.add(visit.caller(), draft).await, fields)? {
        Ok(made) => {
            let secret = Some(made.secret.reveal().to_owned());
            shown(&visit, &services, Told { secret, ..Told::default() })
        }
        Err(refused) => shown(&visit, &services, Told { refused: Some(&refused), ..Told::default() }),
    }
}

/// Shows one, with a form to change it.
pub(super) async fn show(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    detail(&visit, &services, &name, None)
}

fn detail(visit: &Visit, services: &Services, name: &str, refused: Option<&Refused>) -> Answer {
    let mut all = services.webhooks.list().into_iter();
    let (webhook, stands) = all.find(|(webhook, _)| webhook.name.as_str() == name).ok_or(Refusal::WebhookNotFound)?;
    let row = Row::of(&webhook, stands);
    let edit = Sheet::new(visit, "webhook", format!("{HOME}/{name}"), "servers.save")
        .again(refused)
        .text("url", &row.url)
        .text("events", &row.events)
        .flag("enabled", row.enabled);
    page::page(&Detail { visit, row, edit })
}

/// Changes one. Its secret stays.
pub(super) async fn edit(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let draft = WebhookDraft { secret: None, ..draft(&fields) };
    match page::refused(services.webhooks.edit(visit.caller(), &name, draft).await, fields)? {
        Ok(_) => Ok(page::done(&format!("{HOME}/{name}"), "said.saved")),
        Err(refused) => detail(&visit, &services, &name, Some(&refused)),
    }
}

/// Turns one on or off, as the form says.
pub(super) async fn toggle(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let draft = WebhookDraft { enabled: fields.text("enabled"), ..WebhookDraft::default() };
    services.webhooks.edit(visit.caller(), &name, draft).await?;
    Ok(page::done(HOME, "said.saved"))
}

/// Removes one.
pub(super) async fn remove(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.webhooks.remove(visit.caller(), &name).await?;
    Ok(page::done(HOME, "said.deleted"))
}

/// Sends it a message, and says whether that arrived.
pub(super) async fn test(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    match page::refused(services.webhooks.test(&name).await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.sent")),
        Err(refused) => {
            let against = Some(page::told(&visit, &refused.refusal));
            shown(&visit, &services, Told { against, ..Told::default() })
        }
    }
}
