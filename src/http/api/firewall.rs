//! `firewall_*`.

use axum::Extension;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::{Caller, Way};
use crate::domain::figures::Counter;
use crate::domain::firewall::{
    Action, Chain, End, FilterRule, FilterRuleDraft, FirewallDraft, FirewallSettings, MarkRow, NatRow, RuleProtocol,
};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number, words};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::firewall::FirewallVersions;

/// What the contract writes for every address.
const EVERY: &str = "0.0.0.0/0";

/// Shows what filters, translates and shapes here.
pub(crate) async fn info(State(services): State<Services>) -> Answer<VersionsView> {
    Ok(Success(services.firewall.versions().into()))
}

/// Shows the settings.
pub(crate) async fn conf(State(services): State<Services>) -> Answer<ConfView> {
    Ok(Success(services.firewall.settings().into()))
}

/// Changes what the form names of the settings.
pub(crate) async fn edit_conf(
    State(services): State<Services>,
    caller: Caller,
    fields: Fields,
) -> Answer<&'static str> {
    services.firewall.edit(&caller, draft(&fields)).await?;
    Ok(Success(DONE))
}

/// What a form says of the settings.
pub(in crate::http) fn draft(fields: &Fields) -> FirewallDraft {
    FirewallDraft {
        internal_traffic: fields.text("internal_traffic"),
        ip_forward: fields.text("ip_forward"),
        policy_input: fields.text("policy_input"),
        policy_forward: fields.text("policy_forward"),
        policy_output: fields.text("policy_output"),
    }
}

/// What a form says of a new rule.
pub(in crate::http) fn rule_draft(fields: &Fields) -> FilterRuleDraft {
    FilterRuleDraft {
        name: fields.text("name"),
        action: fields.text("action"),
        chain: fields.text("chain"),
        protocol: fields.text("protocol"),
        s_ip: fields.text("s_ip"),
        s_port: fields.text("s_port"),
        d_ip: fields.text("d_ip"),
        d_port: fields.text("d_port"),
    }
}

/// Lists the rules in the order in which they are tried.
pub(crate) async fn rules(State(services): State<Services>) -> Answer<Vec<RuleView>> {
    let rules = services.firewall.rules().await;
    Ok(Success(rules.iter().map(|(rule, counter)| RuleView::new(rule, *counter)).collect()))
}

/// Adds a rule at the end of the list that the path names.
pub(crate) async fn add_rule(
    State(services): State<Services>,
    caller: Caller,
    way: Option<Extension<Way>>,
    Named(end): Named,
    fields: Fields,
) -> Answer<&'static str> {
    let end = End::parse(&end)?;
    services.firewall.add(&caller, way.map(|way| way.0), end, rule_draft(&fields)).await?;
    Ok(Success(DONE))
}

/// Moves a rule among the others.
pub(crate) async fn move_rule(
    State(services): State<Services>,
    caller: Caller,
    way: Option<Extension<Way>>,
    Named(name): Named,
    fields: Fields,
) -> Answer<&'static str> {
    services.firewall.move_to(&caller, way.map(|way| way.0), &name, fields.text("place")).await?;
    Ok(Success(DONE))
}

/// Deletes a rule.
pub(crate) async fn delete_rule(
    State(services): State<Services>,
    caller: Caller,
    way: Option<Extension<Way>>,
    Named(name): Named,
) -> Answer<&'static str> {
    services.firewall.remove(&caller, way.map(|way| way.0), &name).await?;
    Ok(Success(DONE))
}

/// Lists the translations of the servers.
pub(crate) async fn nat_rows(State(services): State<Services>) -> Answer<Vec<NatView>> {
    Ok(Success(services.firewall.nat_rows().into_iter().map(NatView::from).collect()))
}

/// Lists the marks of the accounts.
pub(crate) async fn mark_rows(State(services): State<Services>) -> Answer<Vec<MarkView>> {
    Ok(Success(services.firewall.mark_rows().into_iter().map(MarkView::from).collect()))
}

/// The contract's `firewall_info`, whose names are those of Debian's packages.
#[derive(Serialize, ToSchema)]
#[schema(as = FirewallVersions)]
pub(crate) struct VersionsView {
    ip_forward: &'static str,
    iproute2: String,
    iptables: String,
}

impl From<FirewallVersions> for VersionsView {
    fn from(versions: FirewallVersions) -> Self {
        Self {
            ip_forward: if versions.ip_forward { "yes" } else { "no" },
            iproute2: versions.iproute2,
            iptables: versions.iptables,
        }
    }
}

/// The contract's `firewall_conf`.
#[derive(Serialize, ToSchema)]
#[schema(as = FirewallSettings)]
pub(crate) struct ConfView {
    internal_traffic: bool,
    ip_forward: bool,
    policy_forward: &'static str,
    policy_input: &'static str,
    policy_output: &'static str,
}

impl From<FirewallSettings> for ConfView {
    fn from(settings: FirewallSettings) -> Self {
        Self {
            internal_traffic: settings.internal_traffic,
            ip_forward: settings.ip_forward,
            policy_forward: settings.policy_forward.word(),
            policy_input: settings.policy_input.word(),
            policy_output: settings.policy_output.word(),
        }
    }
}

/// A rule as clients read it, its ports as text.
#[derive(Serialize, ToSchema)]
#[schema(as = FilterRule)]
pub(crate) struct RuleView {
    action: &'static str,
    /// Beyond the contract: bytes of the packets that the rule has decided.
    bytes: u64,
    chain: &'static str,
    d_ip: String,
    d_port: String,
    name: String,
    /// Beyond the contract: how many packets the rule has decided.
    packets: u64,
    protocol: &'static str,
    s_ip: String,
    s_port: String,
}

impl RuleView {
    fn new(rule: &FilterRule, counter: Counter) -> Self {
        Self {
            action: rule.action.word(),
            bytes: counter.bytes,
            chain: rule.chain.word(),
            d_ip: rule.destination.to_string(),
            d_port: rule.destination_port.to_string(),
            name: rule.name.to_string(),
            packets: counter.packets,
            protocol: rule.protocol.word(),
            s_ip: rule.source.to_string(),
            s_port: rule.source_port.to_string(),
        }
    }
}

/// A server's translation, in the words of `iptables`.
#[derive(Serialize, ToSchema)]
#[schema(as = NatRule)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct NatView {
    action: &'static str,
    chain: &'static str,
    #[serde(rename = "d_ip")]
    destination: &'static str,
    name: String,
    #[serde(rename = "s_ip")]
    source: String,
    to_source: String,
}

impl From<NatRow> for NatView {
    fn from(row: NatRow) -> Self {
        Self {
            action: "SNAT",
            chain: "POSTROUTING",
            destination: EVERY,
            name: row.name,
            source: row.source.to_string(),
            to_source: row.to_source.to_string(),
        }
    }
}

/// An account's mark in one direction, in the words of `iptables`.
#[derive(Serialize, ToSchema)]
#[schema(as = MarkRule)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MarkView {
    action: &'static str,
    chain: &'static str,
    #[serde(rename = "d_ip")]
    destination: String,
    name: String,
    #[serde(rename = "s_ip")]
    source: String,
    set_mark: String,
}

impl From<MarkRow> for MarkView {
    fn from(row: MarkRow) -> Self {
        let shown = |client: Option<std::net::Ipv4Addr>| client.map_or_else(|| EVERY.into(), |ip| ip.to_string());
        Self {
            action: "MARK",
            chain: "FORWARD",
            destination: shown(row.destination),
            name: row.name,
            source: shown(row.source),
            set_mark: row.mark.to_string(),
        }
    }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let actions = Action::ALL.map(Action::word);
    let settings = [
        flag("internal_traffic", "Whether clients of one server reach those of another.").such_as("0"),
        flag("ip_forward", "Whether packets of clients are forwarded at all.").such_as("1"),
        words("policy_input", actions, "What becomes of packets to this host that no rule decides."),
        words("policy_forward", actions, "What becomes of packets through it that no rule decides."),
        words("policy_output", actions, "What becomes of packets from it that no rule decides."),
    ];
    Group {
        name: "Firewall",
        about: "Rules that are tried in their order, and what decides where none does.",
        named: ("The rule's name.", "web"),
        operations: vec![
            Operation::new("firewall_info", "Shows what filters, translates and shapes", Shape::of::<VersionsView>()),
            Operation::new("firewall_conf", "Shows the settings", Shape::of::<ConfView>()),
            Operation::new("firewall_conf_edit", "Changes what the form names", Shape::done()).form(settings).refuses(
                [
                    Refusal::PolicyInputMalformed,
                    Refusal::PolicyForwardMalformed,
                    Refusal::PolicyOutputMalformed,
                    Refusal::LocksOut,
                ],
            ),
            Operation::new("firewall_filter_list", "Lists the rules", Shape::list_of::<RuleView>())
                .about("In the order in which they are tried. Port 0 is any."),
            Operation::new("firewall_filter_add", "Adds a rule at an end of the list", Shape::done())
                .at([words("name", ["top", "end"], "Where the rule goes.").such_as("end")])
                .form(rule_form())
                .refuses([
                    Refusal::RuleNameMalformed,
                    Refusal::RuleNameTaken,
                    Refusal::ChainMalformed,
                    Refusal::DestinationMalformed,
                    Refusal::SourceMalformed,
                    Refusal::RulesExceeded,
                    Refusal::LocksOut,
                ]),
            Operation::new("firewall_filter_move", "Moves a rule", Shape::done())
                .form([number("place", 0..=limits::RULE_PLACE_MAX, "How many others are tried before it.")
                    .required()
                    .such_as("0")])
                .refuses([Refusal::RuleNotFound, Refusal::RuleIsSystem, Refusal::LocksOut]),
            Operation::new("firewall_filter_delete", "Deletes a rule", Shape::done()).refuses([
                Refusal::RuleNotFound,
                Refusal::RuleIsSystem,
                Refusal::LocksOut,
            ]),
            Operation::new("firewall_nat_list", "Lists the servers' translations", Shape::list_of::<NatView>()),
            Operation::new("firewall_mangle_list", "Lists the accounts' marks", Shape::list_of::<MarkView>()),
        ],
    }
}

/// The form of a rule, which needs every field.
fn rule_form() -> [Field; 8] {
    let port = |name, about| number(name, 0..=u16::MAX, about);
    [
        Field::new("name", Kind::RuleName, "Its name, unique.").such_as("web"),
        words("action", Action::ALL.map(Action::word), "What it does.").such_as("ACCEPT"),
        words("chain", Chain::ALL.map(Chain::word), "To this host, through it, or from it.").such_as("FORWARD"),
        words("protocol", RuleProtocol::ALL.map(RuleProtocol::word), "Of which protocol.").such_as("TCP"),
        Field::new("s_ip", Kind::Network, "From where.").such_as("0.0.0.0/0"),
        port("s_port", "From which port; 0 is any.").such_as("0"),
        Field::new("d_ip", Kind::Network, "To where.").such_as("198.51.100.0/24"),
        port("d_port", "To which port; 0 is any.").such_as("443"),
    ]
    .map(Field::required)
}
