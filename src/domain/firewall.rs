//! The firewall: three chains with a policy each, and rules that are tried in their order.
//!
//! It is stateful: a rule judges the packet that opens a flow, and the flow's answers pass with it. A rule that changes
//! judges the flows that are open again.

use ipnet::IpNet;

use super::name::RuleName;

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It goes on.
    Accept,
    /// It ends here without a word.
    Drop,
}

/// Where a packet comes from and goes to, seen from the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// To the appliance itself: its addresses inside the tunnels, its API.
    Input,
    /// Through it: a client and the internet, a client and another.
    Forward,
    /// From the appliance itself into a tunnel.
    Output,
}

/// What a rule says of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP of either version.
    Icmp,
    /// Whatever it is.
    Any,
}

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

/// The firewall as it ought to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Settings and policies.
    pub settings: FirewallSettings,
    /// The rules, in the order in which they are tried.
    pub rules: Vec<FilterRule>,
}
