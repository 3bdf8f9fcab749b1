//! The firewall: three chains with a policy each, and rules that are tried in their order.
//!
//! It is stateful: a rule judges the packet that opens a flow, and the flow's answers pass with it. A rule that changes
//! judges the flows that are open again.
//!
//! One rule is not the operator's: [`SYSTEM_RULE`] accepts everybody at the API's port. It stands between the rules that
//! were added at the top and those that were added at the end, and is never stored. What is added at the end, and every
//! policy, therefore leaves the API open; who wants to close it to some addresses says so at the top. A change that
//! would close the API to the very connection by which it is asked for is refused ([`Firewall::locks_out`]).

mod judge;
mod printed;
mod settle;

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use self::printed::{MarkRow, NatRow, mark_rows, nat_row};
pub use self::settle::{End, FilterRuleDraft, FirewallDraft, place};
use super::name::RuleName;
use super::words::words;

/// The name of the rule that keeps the API reachable.
pub const SYSTEM_RULE: &str = "system_PUQVPNCP";

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// It goes on.
    Accept,
    /// It ends here without a word.
    Drop,
}

/// Where a packet comes from and goes to, seen from the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Chain {
    /// To the appliance itself: its addresses inside the tunnels, its API.
    Input,
    /// Through it: a client and the internet, a client and another.
    Forward,
    /// From the appliance itself into a tunnel.
    Output,
}

/// What a rule says of the protocol; of a packet, what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RuleProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP of either version.
    Icmp,
    /// Whatever it is; with a port, TCP and UDP alone. Of a packet: none of the others.
    Any,
}

words!(Action { Accept = "ACCEPT", Drop = "DROP" });
words!(Chain { Input = "INPUT", Forward = "FORWARD", Output = "OUTPUT" });
words!(RuleProtocol { Tcp = "TCP", Udp = "UDP", Icmp = "ICMP", Any = "ANY" });

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRule {
    /// Its name, unique among the rules.
    pub name: RuleName,
    /// What happens to a packet that fits.
    pub action: Action,
    /// Where it is tried.
    pub chain: Chain,
    /// The protocol.
    pub protocol: RuleProtocol,
    /// Where a packet comes from. `0.0.0.0/0` and `::/0` are everything of either version, so that a rule for everyone
    /// has no gap.
    pub source: IpNet,
    /// Its port there; 0 is any.
    pub source_port: u16,
    /// Where a packet goes to, after a port forward has named the client; as with `source`.
    pub destination: IpNet,
    /// Its port there; 0 is any.
    pub destination_port: u16,
}

/// The firewall's settings beside its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirewallSettings {
    /// Whether clients may reach one another at all; each server's own switch decides where this is on.
    pub internal_traffic: bool,
    /// Whether anything is forwarded, between a client and the internet or another client.
    pub ip_forward: bool,
    /// What happens to a packet that no rule of `Input` fits.
    pub policy_input: Action,
    /// What happens to a packet that no rule of `Forward` fits.
    pub policy_forward: Action,
    /// What happens to a packet that no rule of `Output` fits.
    pub policy_output: Action,
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            internal_traffic: true,
            ip_forward: true,
            policy_input: Action::Accept,
            policy_forward: Action::Accept,
            policy_output: Action::Accept,
        }
    }
}

impl FirewallSettings {
    /// The policy of a chain.
    pub const fn policy(&self, chain: Chain) -> Action {
        match chain {
            Chain::Input => self.policy_input,
            Chain::Forward => self.policy_forward,
            Chain::Output => self.policy_output,
        }
    }
}

impl fmt::Display for FirewallSettings {
    /// For people: `INPUT ACCEPT, FORWARD DROP, OUTPUT ACCEPT, ip_forward on, internal_traffic off`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [input, forward, output] = [Chain::Input, Chain::Forward, Chain::Output].map(|chain| self.policy(chain));
        let [ip_forward, internal] = [self.ip_forward, self.internal_traffic].map(|on| if on { "on" } else { "off" });
        write!(f, "INPUT {input}, FORWARD {forward}, OUTPUT {output}, ")?;
        write!(f, "ip_forward {ip_forward}, internal_traffic {internal}")
    }
}

/// The firewall as it ought to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Settings and policies.
    pub settings: FirewallSettings,
    /// The rules, in the order in which they are tried.
    pub rules: Vec<FilterRule>,
}
