//! The traffic log: what is written of connections, where it goes, and whether it arrives.

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::traffic_log::{TrafficLogDraft, TrafficLogSettings};
use crate::http::api::traffic_log::draft;
use crate::http::form::Fields;
use crate::services::Services;

/// Where the page is.
const HOME: &str = "/panel/traffic-log";

#[derive(Template)]
#[template(path = "traffic_log.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    is_on: bool,
    has_token: bool,
    losses: Vec<(String, u64)>,
    settings: Sheet<'a>,
    against: Option<String>,
    may_write: bool,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None, None).await
}

async fn shown(visit: &Visit, services: &Services, refused: Option<&Refused>, against: Option<String>) -> Answer {
    let present = services.traffic_log.settings();
    let losses = services.metrics.snapshot().await.traffic_log_losses;
    let losses = losses.into_iter().filter(|(_, count)| *count > 0);
    let place = |place: &str| match place {
        "syslog" => "syslog".to_owned(),
        "influxdb" => "InfluxDB".to_owned(),
        _ => visit.say("traffic_log.queue").to_owned(),
    };
    page::page(&Page {
        visit,
        is_on: present.enabled,
        has_token: !present.influxdb.token.reveal().is_empty(),
        losses: losses.map(|(at, count)| (place(at), count)).collect(),
        settings: settings(visit, &present, refused),
        against,
        may_write: visit.has(Right::Handle),
    })
}

fn settings<'a>(visit: &'a Visit, present: &TrafficLogSettings, refused: Option<&'a Refused>) -> Sheet<'a> {
    let TrafficLogSettings { enabled, states, incoming, fields, syslog, influxdb } = present;
    let server = syslog.server.map(|address| address.to_string()).unwrap_or_default();
    Sheet::new(visit, "traffic_log", HOME, "servers.save")
        .locked(!visit.has(Right::Handle))
        .again(refused)
        .part("traffic_log.part.what")
        .flag("enabled", *enabled)
        .flag("new", states.new)
        .flag("established", states.established)
        .flag("related", states.related)
        .flag("invalid", states.invalid)
        .flag("untracked", states.untracked)
        .flag("incoming", *incoming)
        .part("traffic_log.part.fields")
        .flag("interface_in", fields.interface_in)
        .flag("interface_out", fields.interface_out)
        .flag("len", fields.len)
        .flag("mark", fields.mark)
        .flag("tos", fields.tos)
        .part("traffic_log.part.syslog")
        .flag("enabled_remote_syslog", syslog.enabled)
        .text("remote_syslog_server", server)
        .number("remote_syslog_server_port", syslog.port, 1, 65_535)
        .part("traffic_log.part.influxdb")
        .flag("enabled_influxdb", influxdb.enabled)
        .text("influxdb_url", &influxdb.url)
        .secret("influxdb_token", "off")
        .text("influxdb_bucket", &influxdb.bucket)
        .text("influxdb_organization", &influxdb.organization)
}

/// Changes the settings. A token that is left blank stays as it is: the form never shows one.
pub(super) async fn edit(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let draft = draft(&fields);
    let token = draft.influxdb_token.filter(|token| !token.is_empty());
    let draft = TrafficLogDraft { influxdb_token: token, ..draft };
    match page::refused(services.traffic_log.edit(visit.caller(), draft).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some(&refused), None).await,
    }
}

/// Sends a record, and says what came of it.
pub(super) async fn test(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.traffic_log.test().await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.sent")),
        Err(refused) => {
            let against = page::told(&visit, &refused.refusal);
            shown(&visit, &services, None, Some(against)).await
        }
    }
}
