//! The first page: what there is, what moves now, and what somebody ought to look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use super::live::{Badge, Flow, Told};
use super::page::{self, Answer};
use super::visit::Visit;
use super::words::Language;
use crate::domain::access::Right;
use crate::domain::health::{ClockFault, Shortage};
use crate::domain::name::ServerName;
use crate::domain::server::Server;
use crate::services::Services;
use crate::services::health::Vitals;
use crate::services::metrics::Snapshot;
use crate::services::system::{Condition, SystemInfo, SystemStatus};

/// A certificate that ends within so many days is told of.
const EXPIRES_SOON: i64 = 30;
/// By these words, where it is one of IKEv2.
const IKEV2_ENDS: &str = "dashboard.certificate_ends";

#[derive(Template)]
#[template(path = "dashboard.html", config = "src/http/panel/askama.toml")]
struct Dashboard<'a> {
    visit: &'a Visit,
    status: SystemStatus,
    info: SystemInfo,
    condition: Condition,
    servers: Vec<Row>,
    online: usize,
    drops: Vec<(String, u64)>,
    alerts: Vec<Alert>,
}

#[derive(Template)]
#[template(path = "dashboard_reseller.html", config = "src/http/panel/askama.toml")]
struct ResellerDashboard<'a> {
    visit: &'a Visit,
    accounts: usize,
    online: usize,
}

/// A server at a glance.
struct Row {
    name: String,
    port: u16,
    accounts: usize,
    online: usize,
    fault: Option<String>,
}

/// What somebody ought to look at, and where.
#[derive(Debug, PartialEq, Eq)]
struct Alert {
    mood: &'static str,
    text: String,
    to: &'static str,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    let own = services.accounts.list(visit.caller());
    if !visit.has(Right::See) {
        let online = super::online::everybody(&visit, &services).await.len();
        return page::page(&ResellerDashboard { visit: &visit, accounts: own.len(), online });
    }
    let (snapshot, condition) = (services.metrics.snapshot().await, services.system.condition());
    let alerts = alerts(&visit, &services, &condition).await;
    page::page(&Dashboard {
        visit: &visit,
        status: services.system.status(),
        info: services.system.info(),
        servers: rows(&services, &snapshot, &condition),
        online: online(&snapshot),
        drops: drops(&snapshot),
        condition,
        alerts,
    })
}

fn rows(services: &Services, snapshot: &Snapshot, condition: &Condition) -> Vec<Row> {
    let count = |counts: &BTreeMap<ServerName, usize>, name: &ServerName| counts.get(name).copied().unwrap_or_default();
    let faults: BTreeMap<_, _> = condition.faults.iter().cloned().collect();
    let servers = services.servers.list();
    let row = |server: &Arc<Server>| Row {
        name: server.name.to_string(),
        port: server.listen_port,
        accounts: count(&snapshot.accounts, &server.name),
        online: count(&snapshot.online, &server.name),
        fault: faults.get(server.name.as_str()).cloned(),
    };
    servers.iter().map(row).collect()
}

fn online(snapshot: &Snapshot) -> usize {
    snapshot.online.values().sum::<usize>() + snapshot.online_ikev2
}

/// Why packets went no further, the most frequent reason first.
fn drops(snapshot: &Snapshot) -> Vec<(String, u64)> {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in snapshot.servers.values().flat_map(|server| &server.drops) {
        *all.entry(reason).or_default() += count;
    }
    let mut all: Vec<_> =
        all.into_iter().filter(|(_, count)| *count > 0).map(|(why, count)| (why.into(), count)).collect();
    all.sort_by(|a: &(String, u64), b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(8);
    all
}

async fn alerts(visit: &Visit, services: &Services, condition: &Condition) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut tell = |mood, text, to| alerts.push(Alert { mood, text, to });
    if visit.session.password_is_first {
        tell("warn", visit.say("dashboard.first_password").to_owned(), "/panel/welcome");
    }
    if let Some(fault) = &condition.store_fault {
        tell("bad", visit.fill("dashboard.store_fault", &[("why", fault)]), "/panel/backups");
    }
    for (server, why) in &condition.faults {
        tell("bad", visit.fill("dashboard.server_fault", &[("server", server), ("why", why)]), "/panel/servers");
    }
    if let Some(fault) = services.backups.fault() {
        tell("bad", visit.fill("dashboard.backup_fault", &[("why", &fault)]), "/panel/backups");
    }
    let vitals = services.health.look().await;
    alerts.extend(of_host(visit.language, &vitals, &services.system.local_time(vitals.now)));
    let mut tell = |mood, text, to| alerts.push(Alert { mood, text, to });
    let ikev2 = services.ikev2.config().ikev2;
    let web = services.web_certificate.look();
    // what renews itself is nobody's business until it fails to
    let is_minded = web.authority.is_some() && web.fault.is_none();
    let web = web.shown.filter(|_| !is_minded).and_then(|certificate| certificate.expires());
    let ends = [
        (ikev2.authority.as_ref().and_then(|authority| authority.certificate.expires()), IKEV2_ENDS, "/panel/ikev2"),
        (ikev2.server.as_ref().and_then(|server| server.credential.certificate.expires()), IKEV2_ENDS, "/panel/ikev2"),
        (web, "dashboard.web_certificate_ends", "/panel/certificate"),
    ];
    let now = services.backups.now().timestamp();
    for (end, key, to) in ends.into_iter().filter_map(|(end, key, to)| Some((end?, key, to))) {
        let days = (end.as_second() - now.as_second()) / 86_400;
        if days < EXPIRES_SOON {
            let days = days.max(0).to_string();
            tell("warn", visit.fill(key, &[("days", &days)]), to);
        }
    }
    let standings = services.traffic.standings().await;
    let accounts = services.accounts.list(visit.caller());
    let held = accounts.iter().filter(|account| standings.of(account).restriction.is_some()).count();
    if held > 0 {
        let held = held.to_string();
        tell("warn", visit.fill("dashboard.held", &[("count", &held)]), "/panel/accounts?state=held");
    }
    alerts
}

/// What is wrong with the host; `time` is what its clock says.
fn of_host(language: Language, vitals: &Vitals, time: &str) -> Vec<Alert> {
    let room = vitals.room.and_then(|room| Some((room, room.shortage()?))).map(|(room, shortage)| {
        let [free, total] = [room.free, room.total].map(|bytes| language.bytes(bytes));
        let mood = match shortage {
            Shortage::Near => "warn",
            Shortage::Acute => "bad",
        };
        let text = language.fill("dashboard.disk", &[("free", &free), ("total", &total)]);
        Alert { mood, text, to: "/panel/backups" }
    });
    let clock = vitals.clock.map(|fault| {
        let (mood, text) = match fault {
            ClockFault::Behind => ("bad", language.fill("dashboard.clock_behind", &[("time", time)])),
            ClockFault::Unkept => ("warn", language.say("dashboard.clock_unkept").to_owned()),
        };
        Alert { mood, text, to: "/panel/about" }
    });
    room.into_iter().chain(clock).collect()
}

/// What moves on it.
pub(super) async fn tell(visit: &Visit, services: &Services, flow: &mut Flow) -> Told {
    if !visit.has(Right::See) {
        return Told::default();
    }
    let (snapshot, info) = (services.metrics.snapshot().await, services.system.info());
    let mut told = Told::default();
    let moved = snapshot.servers.values().fold([0; 2], |[down, up], server| {
        let [to, from] = &server.traffic.lanes;
        [down + to.sent_bytes, up + from.sent_bytes]
    });
    let [down, up] = flow.grown(moved);
    let language = visit.language;
    told.points.insert("all".into(), [down, up]);
    told.text.insert("down".into(), language.rate(down));
    told.text.insert("up".into(), language.rate(up));
    told.text.insert("online".into(), language.count(online(&snapshot)));
    told.text.insert("load".into(), info.cpu_used_load1.clone());
    told.text.insert("memory".into(), format!("{} %", info.memory_used_percent));
    for (name, count) in &snapshot.online {
        told.text.insert(format!("online.{name}"), language.count(count));
    }
    let status = services.system.status().status;
    let mood = if status == "OK" { "good" } else { "warn" };
    told.state.insert("status".into(), Badge { text: status, mood });
    told
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::figures::ServerFigures;
    use crate::domain::health::Room;

    #[test]
    fn tells_what_is_wrong_with_the_host_and_nothing_else() {
        let well = Vitals {
            now: jiff::Timestamp::UNIX_EPOCH,
            clock: None,
            room: Some(Room { free: 50_000_000_000, total: 100_000_000_000 }),
            uptime: Duration::ZERO,
            host_uptime: None,
            stored: 0,
        };
        let told = |vitals: &Vitals| {
            let alerts = of_host(Language::En, vitals, "2000-01-01T00:00:00+00:00");
            alerts.into_iter().map(|alert| (alert.mood, alert.text)).collect::<Vec<_>>()
        };
        let full = Room { free: 1_000_000, total: 100_000_000_000 };
        let low = Room { free: 9_000_000_000, total: 100_000_000_000 };

        assert_eq!(told(&well), []);
        let ill = told(&Vitals { room: Some(full), clock: Some(ClockFault::Behind), ..well });
        assert!(ill.iter().all(|(mood, _)| *mood == "bad"), "{ill:?}");
        assert!(ill[0].1.contains("1.0 MB") && ill[1].1.contains("2000-01-01"), "{ill:?}");
        let weak = told(&Vitals { room: Some(low), clock: Some(ClockFault::Unkept), ..well });
        assert!(weak.iter().all(|(mood, _)| *mood == "warn") && weak[1].1.contains("time service"), "{weak:?}");
    }

    #[test]
    fn tells_the_most_frequent_reason_first() {
        let figures = |drops: &[(&str, u64)]| ServerFigures {
            drops: drops.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
            ..ServerFigures::default()
        };
        let servers = [("a", figures(&[("filter", 2), ("spoof", 0)])), ("b", figures(&[("filter", 1), ("ttl", 9)]))];
        let servers = servers.map(|(name, figures)| (ServerName::parse(name).unwrap(), figures)).into();

        let told = drops(&Snapshot { servers, ..Snapshot::default() });

        assert_eq!(told, [("ttl".to_owned(), 9), ("filter".to_owned(), 3)]);
    }
}
