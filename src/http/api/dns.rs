//! `dns` and `dns_edit`.

use std::collections::BTreeMap;

use axum::extract::State;
use ipnet::IpNet;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::access::Caller;
use crate::domain::dns::{DnsCounters, DnsDraft};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::dns::DnsState;

/// Shows the resolver.
pub(crate) async fn show(State(services): State<Services>) -> Answer<DnsView> {
    Ok(Success(services.dns.state().await.into()))
}

/// Changes what the form names.
pub(crate) async fn edit(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<DnsView> {
    Ok(Success(services.dns.edit(&caller, draft(&fields)).await?.into()))
}

/// What a form says of the resolver.
pub(in crate::http) fn draft(fields: &Fields) -> DnsDraft {
    DnsDraft {
        enabled: fields.text("enabled"),
        forwarders_1: fields.text("forwarders_1"),
        forwarders_2: fields.text("forwarders_2"),
        max_cache_ttl: fields.text("max_cache_ttl"),
    }
}

/// The contract's `dns`.
#[derive(Serialize, ToSchema)]
#[schema(as = Dns)]
pub(crate) struct DnsView {
    acl: Vec<String>,
    bind9: String,
    /// Beyond the contract: what is remembered.
    cache: CacheView,
    enabled: bool,
    forwarders_1: String,
    forwarders_2: String,
    max_cache_ttl: String,
    /// Beyond the contract: the names that were blocked most often, the most frequent first.
    most_blocked: Vec<BlockedView>,
    pid: String,
    /// Beyond the contract: what became of the questions at each server.
    questions: BTreeMap<String, CountersView>,
}

/// What is remembered.
#[derive(Serialize, ToSchema)]
#[schema(as = DnsCache)]
struct CacheView {
    bytes: u64,
    entries: u64,
}

/// A name that was blocked.
#[derive(Serialize, ToSchema)]
#[schema(as = DnsBlocked)]
struct BlockedView {
    /// About how often, never too low.
    count: u64,
    name: String,
}

/// What became of a server's questions.
#[derive(Serialize, ToSchema)]
#[schema(as = DnsQuestions)]
struct CountersView {
    all: u64,
    blocked: u64,
    cached: u64,
    failed: u64,
    forwarded: u64,
    /// Names that the server's block lists have.
    listed: u64,
    refused: u64,
    stale: u64,
}

impl From<DnsState> for DnsView {
    fn from(state: DnsState) -> Self {
        let mut forwarders = state.forwarders.into_iter();
        let figures = state.figures;
        let most_blocked = figures.most_blocked(limits::DNS_MOST_BLOCKED).into_iter();
        Self {
            acl: state.askers.iter().map(shown).collect(),
            bind9: state.resolver,
            cache: CacheView { bytes: figures.bytes, entries: figures.entries },
            enabled: state.enabled,
            forwarders_1: forwarders.next().unwrap_or_default(),
            forwarders_2: forwarders.next().unwrap_or_default(),
            max_cache_ttl: state.max_cache_ttl.to_string(),
            most_blocked: most_blocked.map(|(name, count)| BlockedView { count, name }).collect(),
            pid: state.process.to_string(),
            questions: figures
                .servers
                .into_iter()
                .map(|(name, counters)| (name.to_string(), counters.into()))
                .collect(),
        }
    }
}

impl From<DnsCounters> for CountersView {
    fn from(counters: DnsCounters) -> Self {
        let DnsCounters { questions: all, cached, stale, forwarded, blocked, refused, failed, listed } = counters;
        Self { all, blocked, cached, failed, forwarded, listed, refused, stale }
    }
}

/// A network as the contract's list has it: one of a single address without its prefix length.
fn shown(network: &IpNet) -> String {
    let is_one = network.prefix_len() == network.max_prefix_len();
    if is_one { network.addr().to_string() } else { network.to_string() }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let form = [
        flag("enabled", "Whether it answers.").such_as("1"),
        Field::new("forwarders_1", Kind::Ip, "Whom it asks first; empty for the configuration's.").such_as("9.9.9.9"),
        Field::new("forwarders_2", Kind::Ip, "Whom it asks next; empty for the configuration's."),
        number("max_cache_ttl", limits::DNS_CACHE_TTL, "How long it may remember an answer, in seconds."),
    ];
    Group {
        name: "DNS",
        about: "The resolver that answers clients at each server's own address.",
        named: ("", ""),
        operations: vec![
            Operation::new("dns", "Shows the resolver", Shape::of::<DnsView>()),
            Operation::new("dns_edit", "Changes what the form names", Shape::of::<DnsView>())
                .form(form)
                .refuses([Refusal::Forwarder1Malformed, Refusal::Forwarder2Malformed]),
        ],
    }
}
