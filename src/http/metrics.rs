//! `/metrics`: what Prometheus reads, and how long requests take.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::exposition::{self, Kind, Labels, Page};
use crate::domain::figures::{Counter, LaneFigures, ServerFigures};
use crate::services::metrics::{BOUNDS, Snapshot};
use crate::services::{Metrics, Services};

/// Shows every figure.
pub(super) async fn page(State(services): State<Services>) -> impl IntoResponse {
    let snapshot = services.metrics.snapshot().await;
    let mut page = Page::default();
    appliance(&mut page, &snapshot);
    servers(&mut page, &snapshot);
    drops(&mut page, &snapshot);
    lanes(&mut page, &snapshot);
    accounts(&mut page, &snapshot);
    resolver(&mut page, &snapshot);
    traffic_log(&mut page, &snapshot);
    requests(&mut page, &snapshot);
    ([(header::CONTENT_TYPE, exposition::TYPE)], page.into_text())
}

/// Counts a request to this endpoint, and how long it takes.
pub(super) async fn measure(
    State((metrics, endpoint)): State<(Metrics, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let begun = metrics.begin();
    let response = next.run(request).await;
    metrics.end(endpoint, response.status().as_u16(), begun);
    response
}

fn appliance(page: &mut Page, all: &Snapshot) {
    page.metric("culvert_build_info", Kind::Gauge, "Always 1; its labels tell the version and the uplink.");
    page.sample("culvert_build_info", &[("version", &all.version), ("uplink", all.uplink)], 1);
    page.metric("culvert_ready", Kind::Gauge, "Whether everything runs that can run.");
    page.sample("culvert_ready", &[], u8::from(all.is_ready));
    page.metric("culvert_revision", Kind::Gauge, "Changes that the store has seen.");
    page.sample("culvert_revision", &[], all.revision);
    page.metric("culvert_store_fault", Kind::Gauge, "Whether the store refuses writes.");
    page.sample("culvert_store_fault", &[], u8::from(all.store_fault));
    page.metric("culvert_server_fault", Kind::Gauge, "Always 1, of each server that ought to run and does not.");
    for server in &all.faults {
        page.sample("culvert_server_fault", &[("server", server.as_str())], 1);
    }
}

fn servers(page: &mut Page, all: &Snapshot) {
    page.metric("culvert_accounts", Kind::Gauge, "Accounts of a server.");
    for (server, count) in &all.accounts {
        page.sample("culvert_accounts", &[("server", server.as_str())], count);
    }
    page.metric("culvert_accounts_online", Kind::Gauge, "Accounts of a server that are connected by WireGuard.");
    for server in all.accounts.keys() {
        let count = all.online.get(server).copied().unwrap_or_default();
        page.sample("culvert_accounts_online", &[("server", server.as_str())], count);
    }
    page.metric("culvert_accounts_online_ikev2", Kind::Gauge, "Accounts that are connected by IKEv2.");
    page.sample("culvert_accounts_online_ikev2", &[], all.online_ikev2);
    let each = |page: &mut Page, name: &str, kind, help, value: fn(&ServerFigures) -> u64| {
        page.metric(name, kind, help);
        for (server, figures) in &all.servers {
            page.sample(name, &[("server", server.as_str())], value(figures));
        }
    };
    let help = "Handshakes that were completed.";
    each(page, "culvert_handshakes_total", Kind::Counter, help, |figures| figures.handshakes);
    each(page, "culvert_flows", Kind::Gauge, "Flows that are open.", |figures| figures.flows);
    let help = "External ports that clients' flows have.";
    each(page, "culvert_nat_ports", Kind::Gauge, help, |figures| figures.mappings);
    carried(page, all, "translated", "to and from the outside in another's name, by IP version", |figures| {
        [("4", figures.traffic.nat), ("6", figures.traffic.nat6)].map(|(value, counter)| (("version", value), counter))
    });
    carried(page, all, "internal", "from one client to another, by what became of them", |figures| {
        let both = [("forwarded", figures.traffic.internal), ("dropped", figures.traffic.internal_dropped)];
        both.map(|(value, counter)| (("outcome", value), counter))
    });
}

/// A label and its value.
type Label = (&'static str, &'static str);

/// Packets and bytes of servers, in two series each.
fn carried(
    page: &mut Page,
    all: &Snapshot,
    what: &str,
    help: &str,
    counters: fn(&ServerFigures) -> [(Label, Counter); 2],
) {
    for unit in ["packets", "bytes"] {
        let value = |counter: Counter| if unit == "bytes" { counter.bytes } else { counter.packets };
        let name = format!("culvert_{what}_{unit}_total");
        page.metric(&name, Kind::Counter, &format!("IP {unit} {help}."));
        for (server, figures) in &all.servers {
            for (label, counter) in counters(figures) {
                page.sample(&name, &[("server", server.as_str()), label], value(counter));
            }
        }
    }
}

fn drops(page: &mut Page, all: &Snapshot) {
    page.metric("culvert_dropped_packets_total", Kind::Counter, "Packets that went no further, by reason.");
    for (server, figures) in &all.servers {
        for (reason, count) in &figures.drops {
            page.sample("culvert_dropped_packets_total", &[("server", server.as_str()), ("reason", reason)], count);
        }
    }
}

/// A figure of a lane: its metric's name, kind and help, and how it is read.
type LaneMetric = (&'static str, Kind, &'static str, fn(&LaneFigures) -> u64);

/// Download is towards the clients.
const LANES: [LaneMetric; 6] = [
    ("culvert_server_bytes_total", Kind::Counter, "IP bytes of all clients.", |lane| lane.sent_bytes),
    ("culvert_server_packets_total", Kind::Counter, "IP packets of all clients.", |lane| lane.sent_packets),
    ("culvert_shaper_dropped_packets_total", Kind::Counter, "Packets that a rate dropped.", |lane| lane.dropped),
    ("culvert_shaper_marked_packets_total", Kind::Counter, "Packets that a rate marked (ECN).", |lane| lane.marked),
    ("culvert_shaper_delayed_packets_total", Kind::Counter, "Packets that a rate let wait.", |lane| lane.overlimits),
    ("culvert_shaper_backlog_bytes", Kind::Gauge, "IP bytes that wait for a rate now.", |lane| lane.backlog_bytes),
];

fn lanes(page: &mut Page, all: &Snapshot) {
    for (name, kind, help, value) in LANES {
        page.metric(name, kind, help);
        for (server, figures) in &all.servers {
            for (direction, lane) in ["download", "upload"].into_iter().zip(&figures.traffic.lanes) {
                page.sample(name, &[("server", server.as_str()), ("direction", direction)], value(lane));
            }
        }
    }
}

fn accounts(page: &mut Page, all: &Snapshot) {
    page.metric("culvert_account_bytes_total", Kind::Counter, "IP bytes of an account's client.");
    for of in &all.busiest {
        let (account, server) = (("account", of.account.as_str()), ("server", of.server.as_str()));
        for (direction, bytes) in [("download", of.sent), ("upload", of.received)] {
            page.sample("culvert_account_bytes_total", &[account, server, ("direction", direction)], bytes);
        }
    }
    let help = "Seconds since an account's client last completed a handshake.";
    page.metric("culvert_account_handshake_age_seconds", Kind::Gauge, help);
    for of in &all.busiest {
        let labels: Labels<'_> = &[("account", of.account.as_str()), ("server", of.server.as_str())];
        if let Some(age) = of.handshake_age {
            page.sample("culvert_account_handshake_age_seconds", labels, age.as_secs());
        }
    }
    let help = "Accounts that have spoken and have no series here, for others have moved more.";
    page.metric("culvert_accounts_omitted", Kind::Gauge, help);
    page.sample("culvert_accounts_omitted", &[], all.omitted);
}

fn resolver(page: &mut Page, all: &Snapshot) {
    page.metric("culvert_dns_questions_total", Kind::Counter, "Questions of clients, by what became of them.");
    for (server, counters) in &all.dns.servers {
        for (outcome, count) in [
            ("cached", counters.cached),
            ("stale", counters.stale),
            ("forwarded", counters.forwarded),
            ("blocked", counters.blocked),
            ("refused", counters.refused),
            ("failed", counters.failed),
        ] {
            page.sample("culvert_dns_questions_total", &[("server", server.as_str()), ("outcome", outcome)], count);
        }
    }
    page.metric("culvert_dns_cache_entries", Kind::Gauge, "Answers in memory.");
    page.sample("culvert_dns_cache_entries", &[], all.dns.entries);
    page.metric("culvert_dns_cache_bytes", Kind::Gauge, "What those take there.");
    page.sample("culvert_dns_cache_bytes", &[], all.dns.bytes);
}

fn traffic_log(page: &mut Page, all: &Snapshot) {
    let help = "Records of the traffic log that were lost, by where: before the writers, or before a collector.";
    page.metric("culvert_traffic_log_lost_total", Kind::Counter, help);
    for (place, count) in all.traffic_log_losses {
        page.sample("culvert_traffic_log_lost_total", &[("place", place)], count);
    }
}

fn requests(page: &mut Page, all: &Snapshot) {
    let name = "culvert_api_request_duration_seconds";
    page.metric(name, Kind::Histogram, "How long admitted requests took, by endpoint and HTTP status.");
    let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
    for ((endpoint, code), latency) in &all.requests {
        let code = code.to_string();
        let labels = [("endpoint", *endpoint), ("code", code.as_str())];
        let mut so_far = 0;
        for (bound, within) in BOUNDS.iter().zip(latency.within) {
            so_far += within;
            page.sample(&bucket, &[labels[0], labels[1], ("le", &bound.to_string())], so_far);
        }
        page.sample(&bucket, &[labels[0], labels[1], ("le", "+Inf")], latency.count);
        page.sample(&sum, &labels, latency.sum);
        page.sample(&count, &labels, latency.count);
    }
}
