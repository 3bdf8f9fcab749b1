//! The first three steps of a new appliance: a password of one's own, the address that clients connect to, the first account
//! with its code. Each may be left out.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::host::HostSettingsDraft;
use crate::domain::server::ServerDraft;
use crate::http::form::Fields;
use crate::services::Services;

/// Which step.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Step {
    #[serde(default)]
    step: String,
}

#[derive(Template)]
#[template(path = "welcome.html", config = "src/http/panel/askama.toml")]
struct Welcome<'a> {
    visit: &'a Visit,
    step: usize,
    sheet: Option<Sheet<'a>>,
    account: Option<First>,
}

/// The first account, ready to be connected.
struct First {
    name: String,
    qr: Option<String>,
}

/// The steps, by the keys of their names.
const STEPS: [&str; 3] = ["welcome.password", "welcome.address", "welcome.account"];

/// Shows a step.
pub(super) async fn show(visit: Visit, State(services): State<Services>, Query(Step { step }): Query<Step>) -> Answer {
    match step.as_str() {
        "address" => address_step(&visit, &services, None),
        "account" => account_step(&visit, &services),
        _ => password_step(&visit, None),
    }
}

fn password_step(visit: &Visit, refused: Option<&Refused>) -> Answer {
    let sheet = Sheet::new(visit, "me", "/panel/welcome/password", "welcome.next")
        .again(refused)
        .secret("old", "current-password")
        .secret("new", "new-password");
    page::page(&Welcome { visit, step: 0, sheet: Some(sheet), account: None })
}

/// Takes a password of one's own.
pub(super) async fn password(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let (old, new) = (fields.secret("old").unwrap_or_default(), fields.secret("new").unwrap_or_default());
    match page::refused(services.users.change_password(&visit.token, &old, &new).await, fields)? {
        Ok(()) => Ok(Redirect::to("/panel/welcome?step=address").into_response()),
        Err(refused) => password_step(&visit, Some(&refused)),
    }
}

fn address_step(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let server = services.servers.list().into_iter().next();
    let endpoint = server.as_ref().and_then(|server| server.endpoint.clone());
    let external = server.map(|server| server.external_ip.to_string()).unwrap_or_default();
    let sheet = Sheet::new(visit, "welcome", "/panel/welcome/address", "welcome.next").again(refused).hinted(
        "endpoint",
        endpoint.unwrap_or(external),
        "vpn.example.com",
    );
    page::page(&Welcome { visit, step: 1, sheet: Some(sheet), account: None })
}

/// Takes the address that clients connect to, for every server that there is.
pub(super) async fn address(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    for server in services.servers.list() {
        let draft = ServerDraft { endpoint: fields.text("endpoint"), ..ServerDraft::default() };
        let outcome = services.servers.edit(visit.caller(), server.name.as_str(), draft).await;
        if let Err(refusal) = outcome {
            return match page::refused::<()>(Err(refusal), fields)? {
                Ok(()) => address_step(&visit, &services, None),
                Err(refused) => address_step(&visit, &services, Some(&refused)),
            };
        }
    }
    // new servers and links are named after it too
    let draft = HostSettingsDraft { endpoint: fields.text("endpoint"), ..HostSettingsDraft::default() };
    services.system.edit_host(visit.caller(), draft).await?;
    Ok(Redirect::to("/panel/welcome?step=account").into_response())
}

fn account_step(visit: &Visit, services: &Services) -> Answer {
    let account = services.accounts.list(visit.caller()).into_iter().next().map(|account| First {
        qr: services.accounts.config_qr(visit.caller(), account.name.as_str()).ok().map(|png| STANDARD.encode(png)),
        name: account.name.to_string(),
    });
    page::page(&Welcome { visit, step: 2, sheet: None, account })
}
