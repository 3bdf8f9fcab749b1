//! What the rules say of a packet: the first that fits, else the chain's policy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::{Action, Chain, FilterRule, Firewall, RuleProtocol, SYSTEM_RULE};
use crate::domain::name::RuleName;

impl Firewall {
    /// What happens to a packet in a chain. `protocol` is what the packet is, [`RuleProtocol::Any`] where it is none of
    /// the others; the ports count for TCP and UDP alone.
    pub fn judge(&self, chain: Chain, protocol: RuleProtocol, source: SocketAddr, destination: SocketAddr) -> Action {
        let fits = |rule: &&FilterRule| rule.chain == chain && rule.fits(protocol, source, destination);
        self.rules.iter().find(fits).map_or_else(|| self.settings.policy(chain), |rule| rule.action)
    }

    /// The same firewall with no more rules than can concern TCP to `port` of the appliance: for one who judges many
    /// such connections.
    #[must_use]
    pub fn narrowed(&self, port: u16) -> Self {
        let concerns = |rule: &&FilterRule| {
            rule.chain == Chain::Input
                && matches!(rule.protocol, RuleProtocol::Tcp | RuleProtocol::Any)
                && (rule.destination_port == 0 || rule.destination_port == port)
        };
        Self { settings: self.settings, rules: self.rules.iter().filter(concerns).cloned().collect() }
    }

    /// Whether a connection to the API from `source` at `destination` would not be taken.
    pub fn locks_out(&self, source: SocketAddr, destination: SocketAddr) -> bool {
        self.judge(Chain::Input, RuleProtocol::Tcp, source, destination) == Action::Drop
    }

    /// The API's port, where [`SYSTEM_RULE`] is among the rules.
    pub fn api_port(&self) -> Option<u16> {
        self.rules.iter().find(|rule| rule.is_system()).map(|rule| rule.destination_port)
    }
}

impl FilterRule {
    /// [`SYSTEM_RULE`]: everybody may open TCP connections to the API.
    pub fn system(api_port: u16) -> Self {
        let every = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
        Self {
            name: RuleName::system(),
            action: Action::Accept,
            chain: Chain::Input,
            protocol: RuleProtocol::Tcp,
            source: every,
            source_port: 0,
            destination: every,
            destination_port: api_port,
        }
    }

    /// Whether it is [`SYSTEM_RULE`].
    pub fn is_system(&self) -> bool {
        self.name.as_str() == SYSTEM_RULE
    }

    /// Whether a packet fits, whatever its chain.
    pub fn fits(&self, protocol: RuleProtocol, source: SocketAddr, destination: SocketAddr) -> bool {
        let has_ports = matches!(protocol, RuleProtocol::Tcp | RuleProtocol::Udp);
        let port = |wanted: u16, present: u16| wanted == 0 || has_ports && wanted == present;
        (self.protocol == RuleProtocol::Any || self.protocol == protocol)
            && port(self.source_port, source.port())
            && port(self.destination_port, destination.port())
            && covers(self.source, source.ip())
            && covers(self.destination, destination.ip())
    }
}

/// Whether a rule's network has this address; everything of one version is everything of the other too.
fn covers(network: IpNet, address: IpAddr) -> bool {
    network.prefix_len() == 0 || network.contains(&address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::firewall::FirewallSettings;

    /// A rule as one line: action, chain, protocol, source, its port, destination, its port.
    fn rule(line: &str) -> FilterRule {
        let words: Vec<&str> = line.split_whitespace().collect();
        FilterRule {
            name: RuleName::parse("r").unwrap(),
            action: Action::parse(words[0]).unwrap(),
            chain: Chain::parse(words[1]).unwrap(),
            protocol: RuleProtocol::parse(words[2]).unwrap(),
            source: words[3].parse().unwrap(),
            source_port: words[4].parse().unwrap(),
            destination: words[5].parse().unwrap(),
            destination_port: words[6].parse().unwrap(),
        }
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn fits_what_a_rule_names_and_nothing_else() {
        use RuleProtocol::{Any, Icmp, Tcp, Udp};
        let v4 = ("192.0.2.9:1000", "198.51.100.1:80");
        let v6 = ("[2001:db8::9]:1000", "[2001:db8::1]:80");
        let mapped = ("[::ffff:192.0.2.9]:1000", "[::ffff:198.51.100.1]:80");
        for (line, protocol, (source, destination), expected) in [
            ("DROP INPUT TCP 0.0.0.0/0 0 0.0.0.0/0 0", Tcp, v4, true),
            ("DROP INPUT TCP 0.0.0.0/0 0 0.0.0.0/0 0", Tcp, v6, true),
            ("DROP INPUT TCP ::/0 0 ::/0 0", Tcp, v4, true),
            ("DROP INPUT TCP 0.0.0.0/0 0 0.0.0.0/0 0", Udp, v4, false),
            ("DROP INPUT UDP 0.0.0.0/0 0 0.0.0.0/0 0", Udp, v4, true),
            ("DROP INPUT ICMP 0.0.0.0/0 0 0.0.0.0/0 0", Icmp, v6, true),
            ("DROP INPUT ICMP 0.0.0.0/0 0 0.0.0.0/0 0", Any, v4, false),
            ("DROP INPUT ANY 0.0.0.0/0 0 0.0.0.0/0 0", Any, v4, true),
            ("DROP INPUT ANY 0.0.0.0/0 0 0.0.0.0/0 80", Tcp, v4, true),
            ("DROP INPUT ANY 0.0.0.0/0 0 0.0.0.0/0 80", Udp, v4, true),
            ("DROP INPUT ANY 0.0.0.0/0 0 0.0.0.0/0 80", Icmp, v4, false),
            ("DROP INPUT ANY 0.0.0.0/0 0 0.0.0.0/0 80", Any, v4, false),
            ("DROP INPUT TCP 192.0.2.0/24 0 0.0.0.0/0 80", Tcp, v4, true),
            ("DROP INPUT TCP 192.0.2.0/24 0 0.0.0.0/0 80", Tcp, mapped, true),
            ("DROP INPUT TCP 192.0.2.0/24 0 0.0.0.0/0 80", Tcp, v6, false),
            ("DROP INPUT TCP 192.0.2.0/28 1000 198.51.100.1/32 80", Tcp, v4, true),
            ("DROP INPUT TCP 192.0.2.0/28 1001 198.51.100.1/32 80", Tcp, v4, false),
            ("DROP INPUT TCP 192.0.2.0/28 1000 198.51.100.2/32 80", Tcp, v4, false),
            ("DROP INPUT TCP 2001:db8::/64 0 0.0.0.0/0 0", Tcp, v6, true),
            ("DROP INPUT TCP 2001:db8::/64 0 0.0.0.0/0 0", Tcp, v4, false),
        ] {
            assert_eq!(rule(line).fits(protocol, at(source), at(destination)), expected, "{line} {protocol} {source}");
        }
    }

    #[test]
    fn lets_the_first_rule_that_fits_decide_and_then_the_policy() {
        let rules = ["DROP INPUT TCP 192.0.2.1/32 0 0.0.0.0/0 0", "ACCEPT INPUT TCP 192.0.2.0/24 0 0.0.0.0/0 0"];
        let settings = FirewallSettings { policy_input: Action::Drop, ..FirewallSettings::default() };
        let firewall = Firewall { settings, rules: rules.map(rule).into() };
        let judge = |chain, source| firewall.judge(chain, RuleProtocol::Tcp, at(source), at("198.51.100.1:22"));
        assert_eq!(judge(Chain::Input, "192.0.2.1:1"), Action::Drop);
        assert_eq!(judge(Chain::Input, "192.0.2.2:1"), Action::Accept);
        assert_eq!(judge(Chain::Input, "203.0.113.1:1"), Action::Drop);
        assert_eq!(judge(Chain::Forward, "192.0.2.1:1"), Action::Accept);
    }

    #[test]
    fn keeps_the_api_open_to_all_whom_no_rule_before_it_names() {
        let settings = FirewallSettings { policy_input: Action::Drop, ..FirewallSettings::default() };
        let system = FilterRule::system(8098);
        let [top, end] = ["DROP INPUT ANY 192.0.2.0/24 0 ::/0 0", "DROP INPUT ANY 0.0.0.0/0 0 0.0.0.0/0 0"].map(rule);
        let firewall = Firewall { settings, rules: vec![top, system, end] };
        let api = at("198.51.100.1:8098");
        assert!(firewall.locks_out(at("192.0.2.1:1"), api));
        assert!(!firewall.locks_out(at("203.0.113.1:1"), api));
        assert!(!firewall.locks_out(at("[2001:db8::1]:1"), api));
        assert!(firewall.locks_out(at("203.0.113.1:1"), at("198.51.100.1:22")));
        assert_eq!(firewall.api_port(), Some(8098));
    }

    #[test]
    fn says_the_same_when_it_is_narrowed() {
        let lines = [
            "DROP FORWARD ANY 0.0.0.0/0 0 0.0.0.0/0 0",
            "DROP INPUT UDP 0.0.0.0/0 0 0.0.0.0/0 0",
            "ACCEPT INPUT TCP 192.0.2.7/32 0 0.0.0.0/0 8098",
            "DROP INPUT ANY 192.0.2.0/24 0 0.0.0.0/0 0",
            "DROP INPUT TCP 203.0.113.0/24 0 0.0.0.0/0 22",
        ];
        let firewall = Firewall { settings: FirewallSettings::default(), rules: lines.map(rule).into() };
        let narrowed = firewall.narrowed(8098);
        assert_eq!(narrowed.rules.len(), 2);
        for source in ["192.0.2.7:1", "192.0.2.8:1", "203.0.113.1:1", "[2001:db8::1]:1"] {
            let (source, api) = (at(source), at("198.51.100.1:8098"));
            assert_eq!(narrowed.locks_out(source, api), firewall.locks_out(source, api), "{source}");
        }
    }
}
