//! The resolver: its settings, what it remembers, and what became of the questions at each server.

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::dns::DnsCounters;
use crate::domain::limits;
use crate::http::api::dns::draft;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::dns::DnsState;

/// Where the page is.
const HOME: &str = "/panel/dns";

#[derive(Template)]
#[template(path = "dns.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    state: DnsState,
    questions: u64,
    cached_percent: u64,
    blocked: u64,
    /// Names, with how often each was blocked.
    top: Vec<(String, u64)>,
    servers: Vec<Row>,
    settings: Sheet<'a>,
}

/// A server's questions.
struct Row {
    name: String,
    counters: DnsCounters,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None).await
}

async fn shown(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let state = services.dns.state().await;
    let settings = settings(visit, services, &state, refused);
    let rows = state.figures.servers.iter().map(|(name, counters)| Row { name: name.to_string(), counters: *counters });
    let servers = by_blocked(rows.collect());
    let mut all = DnsCounters::default();
    for row in &servers {
        all += row.counters;
    }
    page::page(&Page {
        visit,
        questions: all.questions,
        cached_percent: percent(all.cached + all.stale, all.questions),
        blocked: all.blocked,
        top: state.figures.most_blocked(limits::DNS_MOST_BLOCKED),
        state,
        servers,
        settings,
    })
}

fn settings<'a>(visit: &'a Visit, services: &Services, state: &DnsState, refused: Option<&'a Refused>) -> Sheet<'a> {
    let stored = services.dns.settings();
    let [first, second] =
        stored.forwarders.map(|address| address.map(|address| address.to_string()).unwrap_or_default());
    let asked = |at: usize| state.forwarders.get(at).cloned().unwrap_or_default();
    let (least, most) = (*limits::DNS_CACHE_TTL.start(), *limits::DNS_CACHE_TTL.end());
    Sheet::new(visit, "dns", HOME, "servers.save")
        .locked(!visit.has(Right::Handle))
        .again(refused)
        .flag("enabled", stored.enabled)
        .hinted("forwarders_1", first, asked(0))
        .hinted("forwarders_2", second, asked(1))
        .number("max_cache_ttl", stored.max_cache_ttl, least.into(), most.into())
}

/// The server whose clients were refused most names first.
fn by_blocked(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|one, other| {
        other.counters.blocked.cmp(&one.counters.blocked).then_with(|| one.name.cmp(&other.name))
    });
    rows
}

/// How many of a hundred; 0 of nothing.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// Changes the settings.
pub(super) async fn edit(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.dns.edit(visit.caller(), draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some(&refused)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_most_was_blocked_first() {
        let row = |name: &str, blocked| Row {
            name: name.into(),
            counters: DnsCounters { blocked, ..DnsCounters::default() },
        };

        let rows = by_blocked(vec![row("b", 1), row("a", 1), row("c", 5)]);

        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    }

    #[test]
    fn has_a_share_of_nothing_too() {
        assert_eq!([percent(1, 3), percent(3, 3), percent(0, 0)], [33, 100, 0]);
    }
}
