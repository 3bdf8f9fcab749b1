//! The servers: the list, one server's page, its forms and its port forwards.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use super::live::{Flow, Told};
use super::page::{self, Answer, Refused};
use super::sheet::{Sheet, form};
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::limits;
use crate::domain::port_forward::{PortForward, Transport};
use crate::domain::server::Server;
use crate::http::api::port_forwards::draft as forward_draft;
use crate::http::api::servers::draft;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::servers::ServerReport;

#[derive(Template)]
#[template(path = "servers.html", config = "src/http/panel/askama.toml")]
struct List<'a> {
    visit: &'a Visit,
    rows: Vec<Row>,
    may_write: bool,
}

/// A server of the list.
struct Row {
    server: Arc<Server>,
    accounts: u64,
    online: u64,
    moved: (u64, u64),
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "server.html", config = "src/http/panel/askama.toml")]
struct Detail<'a> {
    visit: &'a Visit,
    server: Arc<Server>,
    report: ServerReport,
    accounts: usize,
    online: usize,
    free: usize,
    drops: Vec<(String, u64)>,
    forwards: Vec<PortForward>,
    forward: Sheet<'a>,
    bandwidth: Sheet<'a>,
    fault: Option<String>,
    may_write: bool,
}

/// Lists the servers.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    let (snapshot, faults) = (services.metrics.snapshot().await, services.system.condition().faults);
    let row = |server: Arc<Server>| {
        let lanes = snapshot.servers.get(&server.name).map(|figures| &figures.traffic.lanes);
        Row {
            accounts: snapshot.accounts.get(&server.name).map_or(0, |count| *count as u64),
            online: snapshot.online.get(&server.name).map_or(0, |count| *count as u64),
            moved: lanes.map_or((0, 0), |[down, up]| (down.sent_bytes, up.sent_bytes)),
            fault: faults.iter().find(|(name, _)| name == server.name.as_str()).map(|(_, why)| why.clone()),
            server,
        }
    };
    let rows = services.servers.list().into_iter().map(row).collect();
    page::page(&List { visit: &visit, rows, may_write: visit.has(Right::Handle) })
}

/// The form of a server, filled in with one.
fn sheet<'a>(visit: &'a Visit, server: &Server, to: Option<&str>, refused: Option<&'a Refused>) -> Sheet<'a> {
    let (action, submit) = match to {
        Some(name) => (format!("/panel/servers/{name}/edit"), "servers.save"),
        None => ("/panel/new-server".to_owned(), "servers.add"),
    };
    let text = |address: Option<std::net::Ipv6Addr>| address.map(|address| address.to_string()).unwrap_or_default();
    let allowed: Vec<_> = server.allowed_ips.iter().map(ToString::to_string).collect();
    let rate_max = u64::from(limits::RATE_MAX);
    let mut sheet = Sheet::new(visit, "server", action, submit).again(refused).part("server.part.server");
    if to.is_none() {
        sheet = sheet.text("name", server.name.as_str()).text("interface_name", server.interface);
    }
    sheet
        .number("listen_port", server.listen_port, 1, 65_535)
        .text("external_ip", server.external_ip)
        .text("endpoint", server.endpoint.as_deref().unwrap_or_default())
        .part("server.part.clients")
        .text("address", server.address)
        .flag("ipv6", server.ipv6)
        .text("address_ipv6", server.address_ipv6)
        .text("allowed_ips", allowed.join(", "))
        .text("dns_1", server.dns_1)
        .text("dns_2", server.dns_2)
        .text("dns_1_ipv6", text(server.dns_1_ipv6))
        .text("dns_2_ipv6", text(server.dns_2_ipv6))
        .number("mtu", server.mtu, limits::MTU_MIN.into(), limits::MTU_MAX.into())
        .number("keep_alive", server.keep_alive, 0, limits::KEEP_ALIVE_MAX.into())
        .part("server.part.traffic")
        .flag("internal_traffic", server.internal_traffic)
        .flag("disable_nat", server.disable_nat)
        .flag("ikev2", server.ikev2)
        .number("b_download", server.b_download, 0, rate_max)
        .number("b_upload", server.b_upload, 0, rate_max)
        .number("limit_download", server.limit_download, 0, rate_max)
        .number("limit_upload", server.limit_upload, 0, rate_max)
}

/// Asks what the new server is to be; what it would be by itself stands there already.
pub(super) async fn ask_new(visit: Visit, State(services): State<Services>) -> Answer {
    let sheet = sheet(&visit, &services.servers.proposal()?, None, None);
    form(&visit, visit.say("servers.new").into(), ("/panel/servers", visit.say("nav.servers")), sheet)
}

/// Makes a server.
pub(super) async fn add(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.servers.add(visit.caller(), draft(&fields)).await, fields)? {
        Ok(server) => Ok(page::done(&format!("/panel/servers/{}", server.name), "said.added")),
        Err(refused) => {
            let sheet = sheet(&visit, &services.servers.proposal()?, None, Some(&refused));
            form(&visit, visit.say("servers.new").into(), ("/panel/servers", visit.say("nav.servers")), sheet)
        }
    }
}

/// Asks what is to change.
pub(super) async fn ask_edit(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    let server = services.servers.detail(&name)?;
    let sheet = sheet(&visit, &server, Some(&name), None);
    form(&visit, visit.fill("servers.edit", &[("name", &name)]), (&format!("/panel/servers/{name}"), &name), sheet)
}

/// Changes it.
pub(super) async fn edit(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let to = format!("/panel/servers/{name}");
    match page::refused(services.servers.edit(visit.caller(), &name, draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(&to, "said.saved")),
        Err(refused) => {
            let server = services.servers.detail(&name)?;
            let sheet = sheet(&visit, &server, Some(&name), Some(&refused));
            form(&visit, visit.fill("servers.edit", &[("name", &name)]), (&to, &name), sheet)
        }
    }
}

/// Deletes a server that has no accounts.
pub(super) async fn delete(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.servers.delete(visit.caller(), &name).await?;
    Ok(page::done("/panel/servers", "said.deleted"))
}

/// Shows a server.
pub(super) async fn show(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    detail(&visit, &services, &name, None).await
}

async fn detail(visit: &Visit, services: &Services, name: &str, refused: Option<&Refused>) -> Answer {
    let report = services.servers.traffic(name).await?;
    let server = report.server.clone();
    let snapshot = services.metrics.snapshot().await;
    let peers = services.servers.peers(visit.caller(), name)?;
    let options = peers.iter().map(|account| (account.name.to_string(), account.name.to_string())).collect();
    let protocols = Transport::ALL.map(|protocol| (protocol.word().to_owned(), protocol.word().to_uppercase()));
    let forward = Sheet::new(visit, "forward", format!("/panel/servers/{name}/forwards"), "servers.forward.add")
        .again(refused)
        .number("dst_port", "", 1, 65_535)
        .choice("protocol", "tcp", protocols.into())
        .choice("to_peer", "", options)
        .number("to_port", "", 1, 65_535);
    let bandwidth = Sheet::new(visit, "bandwidth", format!("/panel/servers/{name}/bandwidth"), "servers.bandwidth")
        .number("b_download", server.b_download, 0, limits::RATE_MAX.into())
        .number("b_upload", server.b_upload, 0, limits::RATE_MAX.into());
    let mut drops: Vec<_> = snapshot
        .servers
        .get(&server.name)
        .map(|figures| figures.drops.clone().into_iter().filter(|(_, count)| *count > 0).collect())
        .unwrap_or_default();
    drops.sort_by_key(|(_, count): &(String, u64)| std::cmp::Reverse(*count));
    page::page(&Detail {
        accounts: peers.len(),
        online: snapshot.online.get(&server.name).copied().unwrap_or_default(),
        free: services.servers.available_ips(name)?.len(),
        forwards: services.forwards.list(name)?,
        fault: services.system.condition().faults.into_iter().find(|(of, _)| of == name).map(|(_, why)| why),
        may_write: visit.has(Right::Handle),
        visit,
        server,
        report,
        drops,
        forward,
        bandwidth,
    })
}

/// Adds a port forward.
pub(super) async fn add_forward(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let outcome = services.forwards.add(visit.caller(), &name, forward_draft(&fields)).await;
    match page::refused(outcome, fields)? {
        Ok(_) => Ok(page::done(&format!("/panel/servers/{name}"), "said.added")),
        Err(refused) => detail(&visit, &services, &name, Some(&refused)).await,
    }
}

/// Deletes a port forward.
pub(super) async fn delete_forward(
    visit: Visit,
    State(services): State<Services>,
    Path((name, port, protocol)): Path<(String, String, String)>,
) -> Answer {
    services.forwards.remove(visit.caller(), &name, &port, &protocol).await?;
    Ok(page::done(&format!("/panel/servers/{name}"), "said.deleted"))
}

/// Sets the bandwidth of all of a server's accounts.
pub(super) async fn set_bandwidth(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let (down, up) = (fields.text("b_download"), fields.text("b_upload"));
    services.servers.set_bandwidth(visit.caller(), &name, down, up).await?;
    Ok(page::done(&format!("/panel/servers/{name}"), "said.saved"))
}

/// What moves on a server's page.
pub(super) async fn tell(visit: &Visit, services: &Services, name: &str, flow: &mut Flow) -> Told {
    let mut told = Told::default();
    let Ok(report) = services.servers.traffic(name).await else { return told };
    let [to, from] = &report.traffic.lanes;
    let [down, up] = flow.grown([to.sent_bytes, from.sent_bytes]);
    let language = visit.language;
    told.points.insert("server".into(), [down, up]);
    told.text.insert("down".into(), language.rate(down));
    told.text.insert("up".into(), language.rate(up));
    told.text.insert("moved.down".into(), language.bytes(to.sent_bytes));
    told.text.insert("moved.up".into(), language.bytes(from.sent_bytes));
    let online = services.metrics.snapshot().await.online.get(&report.server.name).copied().unwrap_or_default();
    told.text.insert("online".into(), language.count(online));
    told
}
