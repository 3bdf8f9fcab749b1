//! The firewall: policies, the rules in their order with what they have decided, read-outs of NAT and marks, and why
//! packets went no further.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::figures::Counter;
use crate::domain::firewall::{Action, Chain, End, FilterRule, MarkRow, NatRow, RuleProtocol};
use crate::http::api::firewall::{draft, rule_draft};
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::firewall::FirewallVersions;
use crate::services::metrics::Snapshot;

/// Where the page is.
const HOME: &str = "/panel/firewall";
/// How many marks the page shows: there are two of each account.
const MARKS: usize = 100;

/// What the reasons for a drop come down to, for people: each sentence with the reasons that it explains, by their names
/// in metrics.
const WHY: [(&str, &[&str]); 11] = [
    ("why.firewall", &["filtered", "forwarding_off", "internal_off"]),
    ("why.reach", &["out_of_reach", "host_closed", "no_way"]),
    ("why.speed", &["shaper_delay", "shaper_full"]),
    (
        "why.flows",
        &[
            "flow_rate",
            "flows_of_owner_full",
            "half_open_full",
            "flow_table_full",
            "mappings_of_owner_full",
            "ports_exhausted",
            "flow_collides",
        ],
    ),
    (
        "why.stranger",
        &[
            "not_wire_guard",
            "wrong_mac",
            "under_load",
            "address_limited",
            "peer_limited",
            "unknown_peer",
            "other_peer",
            "unexpected",
            "not_esp",
            "not_agreed",
        ],
    ),
    ("why.session", &["unknown_index", "unauthentic", "replayed", "counter_exhausted", "session_old"]),
    ("why.forged", &["source_forged"]),
    ("why.absent", &["nobody_there", "peer_gone", "no_endpoint", "queue_full", "handshake_unanswered"]),
    ("why.unasked", &["not_mapped", "unsolicited", "error_unfounded", "stray"]),
    ("why.busy", &["outbox_full", "hand_over_full"]),
    ("why.setting", &["no_policy"]),
];

#[derive(Template)]
#[template(path = "firewall.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    versions: FirewallVersions,
    settings: Sheet<'a>,
    rule: Sheet<'a>,
    rules: Vec<Row>,
    nat: Vec<NatRow>,
    marks: Vec<MarkRow>,
    marks_in_all: usize,
    drops: Vec<Dropped>,
    may_write: bool,
}

/// A rule of the list.
struct Row {
    rule: FilterRule,
    counter: Counter,
    /// Where it goes by one step up or down.
    up: Option<usize>,
    down: Option<usize>,
}

/// A reason for drops.
struct Dropped {
    reason: String,
    why: &'static str,
    count: u64,
}

/// Which of the page's forms was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Settings,
    Rule,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None).await
}

async fn shown(visit: &Visit, services: &Services, refused: Option<(Form, &Refused)>) -> Answer {
    let of = |form| refused.filter(|(refused, _)| *refused == form).map(|(_, refused)| refused);
    let (snapshot, mut marks) = (services.metrics.snapshot().await, services.firewall.mark_rows());
    let marks_in_all = marks.len();
    marks.truncate(MARKS);
    page::page(&Page {
        visit,
        versions: services.firewall.versions(),
        settings: settings(visit, services, of(Form::Settings)),
        rule: rule(visit, of(Form::Rule)),
        rules: rows(services.firewall.rules().await),
        nat: services.firewall.nat_rows(),
        marks,
        marks_in_all,
        drops: drops(&snapshot),
        may_write: visit.has(Right::Handle),
    })
}

fn settings<'a>(visit: &'a Visit, services: &Services, refused: Option<&'a Refused>) -> Sheet<'a> {
    let settings = services.firewall.settings();
    let actions = || options(Action::ALL.map(Action::word));
    Sheet::new(visit, "firewall", HOME, "servers.save")
        .locked(!visit.has(Right::Handle))
        .again(refused)
        .choice("policy_input", settings.policy_input.word(), actions())
        .choice("policy_forward", settings.policy_forward.word(), actions())
        .choice("policy_output", settings.policy_output.word(), actions())
        .flag("ip_forward", settings.ip_forward)
        .flag("internal_traffic", settings.internal_traffic)
}

fn rule<'a>(visit: &'a Visit, refused: Option<&'a Refused>) -> Sheet<'a> {
    let ends = [("top", "firewall.end.top"), ("end", "firewall.end.bottom")];
    let ends = ends.map(|(word, key)| (word.to_owned(), visit.say(key).to_owned()));
    Sheet::new(visit, "rule", "/panel/firewall/rules", "firewall.rule.add")
        .again(refused)
        .text("name", "")
        .choice("end", "end", ends.into())
        .choice("action", Action::Drop.word(), options(Action::ALL.map(Action::word)))
        .choice("chain", Chain::Forward.word(), options(Chain::ALL.map(Chain::word)))
        .choice("protocol", RuleProtocol::Any.word(), options(RuleProtocol::ALL.map(RuleProtocol::word)))
        .text("s_ip", "0.0.0.0/0")
        .number("s_port", 0, 0, 65_535)
        .text("d_ip", "0.0.0.0/0")
        .number("d_port", 0, 0, 65_535)
}

/// Words that stand for themselves in every language.
fn options<const N: usize>(words: [&str; N]) -> Vec<(String, String)> {
    words.map(|word| (word.to_owned(), word.to_owned())).into()
}

fn rows(rules: Vec<(FilterRule, Counter)>) -> Vec<Row> {
    let last = rules.len().saturating_sub(1);
    let row = |(at, (rule, counter)): (usize, (FilterRule, Counter))| {
        let may_move = !rule.is_system();
        let up = at.checked_sub(1).filter(|_| may_move);
        let down = (may_move && at < last).then_some(at + 1);
        Row { rule, counter, up, down }
    };
    rules.into_iter().enumerate().map(row).collect()
}

/// Why packets went no further, the most frequent reason first.
fn drops(snapshot: &Snapshot) -> Vec<Dropped> {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in snapshot.servers.values().flat_map(|server| &server.drops) {
        *all.entry(reason).or_default() += count;
    }
    let counted = all.into_iter().filter(|(_, count)| *count > 0);
    let told = |(reason, count): (&str, u64)| Dropped { reason: reason.to_owned(), why: why(reason), count };
    let mut drops: Vec<_> = counted.map(told).collect();
    drops.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason)));
    drops
}

/// The key of the sentence that explains a reason.
fn why(reason: &str) -> &'static str {
    WHY.iter().find(|(_, reasons)| reasons.contains(&reason)).map_or("why.unfit", |(key, _)| key)
}

/// Changes policies and switches.
pub(super) async fn edit(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.firewall.edit(visit.caller(), draft(&fields)).await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some((Form::Settings, &refused))).await,
    }
}

/// Adds a rule at the end that the form names.
pub(super) async fn add_rule(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let end = End::parse(&fields.text("end").unwrap_or_default())?;
    let outcome = services.firewall.add(visit.caller(), visit.way, end, rule_draft(&fields)).await;
    match page::refused(outcome, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.added")),
        Err(refused) => shown(&visit, &services, Some((Form::Rule, &refused))).await,
    }
}

/// Moves a rule among the others.
pub(super) async fn move_rule(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let name = fields.text("name").unwrap_or_default();
    services.firewall.move_to(visit.caller(), visit.way, &name, fields.text("place")).await?;
    Ok(page::done(HOME, "said.done"))
}

/// Deletes a rule.
pub(super) async fn delete_rule(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.firewall.remove(visit.caller(), visit.way, &name).await?;
    Ok(page::done(HOME, "said.deleted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::figures::ServerFigures;
    use crate::domain::name::{RuleName, ServerName};

    #[test]
    fn lets_rules_be_moved_within_the_list_and_the_one_of_the_system_not() {
        let named = |name| FilterRule { name: RuleName::parse(name).unwrap(), ..FilterRule::system(80) };
        let rules = [named("a"), FilterRule::system(8_098), named("b")].map(|rule| (rule, Counter::default()));

        let steps: Vec<_> = rows(rules.into()).iter().map(|row| (row.up, row.down)).collect();

        assert_eq!(steps, [(None, Some(1)), (None, None), (Some(1), None)]);
    }

    #[test]
    fn explains_each_reason_once_and_the_most_frequent_first() {
        let drops_of = |drops: &[(&str, u64)]| ServerFigures {
            drops: drops.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
            ..ServerFigures::default()
        };
        let servers =
            [("a", drops_of(&[("filtered", 2), ("too_big", 9)])), ("b", drops_of(&[("filtered", 8), ("stray", 0)]))];
        let servers = servers.map(|(name, figures)| (ServerName::parse(name).unwrap(), figures)).into();

        let told = drops(&Snapshot { servers, ..Snapshot::default() });

        let told: Vec<_> = told.iter().map(|drop| (drop.reason.as_str(), drop.why, drop.count)).collect();
        assert_eq!(told, [("filtered", "why.firewall", 10), ("too_big", "why.unfit", 9)]);
        let reasons: Vec<_> = WHY.iter().flat_map(|(_, reasons)| *reasons).collect();
        let distinct: std::collections::BTreeSet<_> = reasons.iter().collect();
        assert_eq!(reasons.len(), distinct.len());
    }
}
