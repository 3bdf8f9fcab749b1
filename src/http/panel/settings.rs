//! The appliance's own settings: what of it is set here, and what the configuration has decided.

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::http::api::system::draft;
use crate::http::form::Fields;
use crate::services::Services;

/// Where the page is.
const HOME: &str = "/panel/settings";

#[derive(Template)]
#[template(path = "settings.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    settings: Sheet<'a>,
    /// What the configuration has decided: the key of its name, and its value.
    decided: Vec<(&'static str, String)>,
    against: Option<String>,
    may_write: bool,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None, None)
}

fn shown(visit: &Visit, services: &Services, refused: Option<&Refused>, against: Option<String>) -> Answer {
    let (present, info, condition) = (services.system.config(), services.system.info(), services.system.condition());
    let may_write = visit.has(Right::Administer);
    let most = u64::from(i32::MAX.unsigned_abs());
    let settings = Sheet::new(visit, "system", HOME, "servers.save")
        .locked(!may_write)
        .again(refused)
        .number("wireguard_handshake_uptime", present.wireguard_handshake_uptime, 1, 300)
        .number("traffic_statistics_frequency", present.traffic_statistics_frequency, 1, most)
        .number("traffic_statistics_history", present.traffic_statistics_history, 0, most);
    page::page(&Page {
        visit,
        settings,
        decided: vec![
            ("settings.address", services.system.public_url()),
            ("dashboard.zone", info.timezone),
            ("dashboard.uplink", format!("{}: {}", condition.uplink, condition.uplink_why)),
            ("dashboard.host", info.hostname),
        ],
        against,
        may_write,
    })
}

/// Changes the settings.
pub(super) async fn edit(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.system.edit_config(visit.caller(), draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some(&refused), None),
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
