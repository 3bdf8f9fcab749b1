//! One account: how it stands, what it moves, and what its owner needs to connect.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::domain::access::Right;
use crate::domain::account::Account;
use crate::domain::figures::Connection;
use crate::domain::refusal::Refusal;
use crate::http::panel::chart::{self, Bar};
use crate::http::panel::live::{Badge, Flow, Told};
use crate::http::panel::online::Peer;
use crate::http::panel::page::{self, Answer};
use crate::http::panel::visit::Visit;
use crate::services::ikev2::Format;
use crate::services::traffic::Standing;
use crate::services::{self, Services};

/// The longest name of a tunnel that every WireGuard client takes: a Linux interface's (IFNAMSIZ).
const TUNNEL_NAME: usize = 15;

/// Connections that a page shows.
const CONNECTIONS: usize = 100;

#[derive(Template)]
#[template(path = "account.html", config = "src/http/panel/askama.toml")]
struct Detail<'a> {
    visit: &'a Visit,
    account: Arc<Account>,
    standing: Standing,
    state: &'static str,
    mood: &'static str,
    online: Vec<&'static str>,
    expires: Option<String>,
    days: String,
    hours: String,
    month: String,
    months: (String, String),
    total: (u64, u64),
    connections: Vec<Connection>,
    more: usize,
    has_ikev2: bool,
    may_write: bool,
    may_see: bool,
}

#[derive(Template)]
#[template(path = "account_config.html", config = "src/http/panel/askama.toml")]
struct Config<'a> {
    visit: &'a Visit,
    name: String,
    text: String,
    qr: Option<String>,
}

#[derive(Template)]
#[template(path = "account_link.html", config = "src/http/panel/askama.toml")]
struct Link<'a> {
    visit: &'a Visit,
    name: String,
    url: String,
}

/// Which month is looked at.
#[derive(Debug, Default, Deserialize)]
pub(in crate::http::panel) struct Month {
    /// As in 2026-11; absent for the present one.
    month: Option<String>,
}

/// Shows an account.
pub(in crate::http::panel) async fn show(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    Query(asked): Query<Month>,
) -> Answer {
    let account = services.accounts.detail(visit.caller(), &name)?;
    let standing = services.traffic.standings().await.of(&account);
    let (year, number) = asked.month.as_deref().and_then(|month| month.split_once('-')).unwrap_or(("now", "now"));
    let (_, days) = services.traffic.month(visit.caller(), &name, year, number).await?;
    let (_, hours) = services.traffic.day(visit.caller(), &name, ["now"; 3]).await?;
    let total = days.iter().fold((0, 0), |(down, up), day| (down + day.bytes.down, up + day.bytes.up));
    let first = days.first().map(|day| day.day).unwrap_or_default();
    let month = |date: jiff::civil::Date| date.strftime("%Y-%m").to_string();
    let beside = |months: i32| first.checked_add(jiff::Span::new().months(months)).map(month).unwrap_or_default();
    let bars: Vec<_> = days
        .iter()
        .map(|day| Bar { label: day.day.day().to_string(), down: day.bytes.down, up: day.bytes.up })
        .collect();
    let zone = services.links.time_zone();
    let hour = |at: jiff::Timestamp| at.to_zoned_datetime(zone.clone()).hour().to_string();
    let by_hour: Vec<_> =
        hours.iter().map(|of| Bar { label: hour(of.start), down: of.bytes.down, up: of.bytes.up }).collect();
    let mut connections = services.accounts.connections(visit.caller(), &name).await?;
    let more = connections.len().saturating_sub(CONNECTIONS);
    connections.truncate(CONNECTIONS);
    let state = super::state(&account, standing);
    let everybody = crate::http::panel::online::everybody(&visit, &services).await;
    page::page(&Detail {
        online: everybody.iter().filter(|peer| peer.account == name).map(Peer::protocol).collect(),
        expires: account.allowance.expires.map(|end| services.system.local_time(end)),
        days: chart::bars(visit.language, visit.say("account.by_day"), &bars),
        hours: chart::bars(visit.language, visit.say("account.by_hour"), &by_hour),
        month: month(first),
        months: (beside(-1), beside(1)),
        has_ikev2: has_ikev2(&services, &account),
        may_write: visit.has(Right::HandleAccounts),
        may_see: visit.may_see_secrets(),
        visit: &visit,
        mood: super::mood(state),
        state,
        standing,
        account,
        total,
        connections,
        more,
    })
}

/// Whether the account can connect by IKEv2 as things are.
fn has_ikev2(services: &Services, account: &Account) -> bool {
    let ikev2 = services.ikev2.config().ikev2;
    ikev2.enabled && services.servers.detail(account.server.as_str()).is_ok_and(|server| server.ikev2)
}

/// What moves on its page.
pub(super) async fn tell(visit: &Visit, services: &Services, name: &str, flow: &mut Flow) -> Told {
    let mut told = Told::default();
    let Ok(report) = services.accounts.traffic(visit.caller(), name).await else { return told };
    let [down, up] = flow.grown([report.traffic.down.bytes, report.traffic.up.bytes]);
    told.points.insert("account".into(), [down, up]);
    told.text.insert("down".into(), visit.language.rate(down));
    told.text.insert("up".into(), visit.language.rate(up));
    let everybody = crate::http::panel::online::everybody(visit, services).await;
    for protocol in ["WireGuard", "IKEv2"] {
        let is_online = everybody.iter().any(|peer| peer.account == name && peer.protocol() == protocol);
        let (key, mood) = if is_online { ("state.online", "good live") } else { ("state.offline", "") };
        told.state.insert(protocol.into(), Badge { text: visit.say(key).to_owned(), mood });
    }
    told
}

/// Shows what the WireGuard client imports, with its secret: asked for by a button, so that it is on no screen before.
pub(in crate::http::panel) async fn config(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let text = services.accounts.config_text(visit.caller(), &name)?;
    let qr = match services.accounts.config_qr(visit.caller(), &name) {
        Ok(png) => Some(STANDARD.encode(png)),
        // too long for any code; the file is there all the same
        Err(services::Error::Refused(Refusal::FieldMalformed { .. })) => None,
        Err(cause) => return Err(cause.into()),
    };
    page::page(&Config { visit: &visit, name, text, qr })
}

/// Sends what the WireGuard client imports.
pub(in crate::http::panel) async fn file(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let text = services.accounts.config_text(visit.caller(), &name)?;
    let tunnel: String = name.chars().take(TUNNEL_NAME).collect();
    Ok(attachment(&format!("{tunnel}.conf"), "application/octet-stream", text))
}

/// Sends what the strongSwan app imports.
pub(in crate::http::panel) async fn sswan(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let text = services.ikev2.profile(visit.caller(), &name, Format::Sswan)?;
    Ok(attachment(&format!("{name}.sswan"), "application/vnd.strongswan.profile", text))
}

/// Sends what Apple's systems import.
pub(in crate::http::panel) async fn mobileconfig(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let text = services.ikev2.profile(visit.caller(), &name, Format::Mobileconfig)?;
    Ok(attachment(&format!("{name}.mobileconfig"), "application/x-apple-aspen-config", text))
}

/// Sends what sets up Windows.
pub(in crate::http::panel) async fn powershell(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let text = services.ikev2.profile(visit.caller(), &name, Format::Powershell)?;
    Ok(attachment(&format!("{name}.ps1"), "application/octet-stream", text))
}

fn attachment(name: &str, kind: &'static str, text: String) -> Response {
    // an account's name is letters, digits, dots, dashes and underscores
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], text).into_response()
}

/// Makes a one-time link, and shows it.
pub(in crate::http::panel) async fn link(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let url = services.links.add(visit.caller(), &name).await?;
    page::page(&Link { visit: &visit, name, url })
}

/// Withdraws an account's one-time links.
pub(in crate::http::panel) async fn withdraw(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    services.links.withdraw(visit.caller(), &name).await?;
    Ok(page::done(&format!("/panel/accounts/{name}"), "said.done"))
}
