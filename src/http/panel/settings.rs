//! The appliance's own settings: what of it is set here, and what the configuration has decided.

use std::ops::RangeInclusive;

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::host::HostSettingsDraft;
use crate::domain::limits;
use crate::http::api::system::draft;
use crate::http::form::Fields;
use crate::services::Services;

/// Where the page is.
const HOME: &str = "/panel/settings";

#[derive(Template)]
#[template(path = "settings.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    host: Sheet<'a>,
    settings: Sheet<'a>,
    /// What the configuration has decided: the key of its name, and its value.
    decided: Vec<(&'static str, String)>,
    against: Option<String>,
    may_write: bool,
}

/// Which of the two forms was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Host,
    System,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None, None)
}

fn shown(visit: &Visit, services: &Services, refused: Option<(Form, &Refused)>, against: Option<String>) -> Answer {
    let of = |form| refused.filter(|(refused, _)| *refused == form).map(|(_, refused)| refused);
    let (present, condition) = (services.system.config(), services.system.condition());
    let (frequency, history) = (limits::TRAFFIC_FREQUENCY, limits::TRAFFIC_HISTORY);
    let (uptime, may_write) = (limits::HANDSHAKE_UPTIME, visit.has(Right::Administer));
    let range = |range: RangeInclusive<u32>| (u64::from(*range.start()), u64::from(*range.end()));
    let (uptime, frequency, history) = (range(uptime), range(frequency), range(history));
    let settings = Sheet::new(visit, "system", HOME, "servers.save")
        .locked(!may_write)
        .again(of(Form::System))
        .part("settings.system")
        .number("wireguard_handshake_uptime", present.wireguard_handshake_uptime, uptime.0, uptime.1)
        .number("traffic_statistics_frequency", present.traffic_statistics_frequency, frequency.0, frequency.1)
        .number("traffic_statistics_history", present.traffic_statistics_history, history.0, history.1);
    let mut decided = vec![
        ("dashboard.uplink", format!("{}: {}", condition.uplink, condition.uplink_why)),
        ("dashboard.host", services.system.info().hostname),
    ];
    let host = host(visit, services, of(Form::Host), &mut decided);
    page::page(&Page { visit, host, settings, decided, against, may_write })
}

/// How people find the host. What the configuration has decided is told with the rest of that.
fn host<'a>(
    visit: &'a Visit,
    services: &Services,
    refused: Option<&'a Refused>,
    decided: &mut Vec<(&'static str, String)>,
) -> Sheet<'a> {
    let (set, by_configuration) = (services.system.host_settings(), services.system.decided());
    let mut sheet = Sheet::new(visit, "host", "/panel/settings/host", "servers.save")
        .locked(!visit.has(Right::Administer))
        .again(refused)
        .part("settings.host");
    if by_configuration.endpoint {
        decided.push(("host.endpoint", services.system.endpoint()));
    } else {
        sheet = sheet.hinted("endpoint", set.endpoint.clone().unwrap_or_default(), services.system.endpoint());
    }
    if by_configuration.url {
        decided.push(("host.url", services.system.public_url()));
    } else {
        sheet = sheet.hinted("url", set.url.clone().unwrap_or_default(), services.system.public_url());
    }
    if by_configuration.time_zone {
        decided.push(("host.time_zone", services.system.info().timezone));
        return sheet;
    }
    let own = visit.fill("settings.zone.own", &[("zone", &services.system.host_zone())]);
    let zones = jiff::tz::db().available().map(|zone| (zone.to_string(), zone.to_string()));
    let zone = set.time_zone.as_ref().and_then(jiff::tz::TimeZone::iana_name).unwrap_or_default();
    sheet.choice("time_zone", zone, std::iter::once((String::new(), own)).chain(zones).collect())
}

/// Changes how people find the host.
pub(super) async fn edit_host(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let text = |name| fields.text(name);
    let draft = HostSettingsDraft { time_zone: text("time_zone"), endpoint: text("endpoint"), url: text("url") };
    match page::refused(services.system.edit_host(visit.caller(), draft).await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some((Form::Host, &refused)), None),
    }
}

/// Changes the settings.
pub(super) async fn edit(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.system.edit_config(visit.caller(), draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some((Form::System, &refused)), None),
    }
}

/// Sets all of it as it was at first.
pub(super) async fn reset(visit: Visit, State(services): State<Services>) -> Answer {
    services.system.reset_config(visit.caller()).await?;
    Ok(page::done(HOME, "said.saved"))
}

/// Looks again at everything that ought to run.
pub(super) async fn reload(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.system.reload(visit.caller()).await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.done")),
        Err(refused) => {
            let against = page::told(&visit, &refused.refusal);
            shown(&visit, &services, None, Some(against))
        }
    }
}
