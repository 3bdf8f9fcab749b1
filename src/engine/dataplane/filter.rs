//! The firewall's rules, made ready to judge the first packet of a flow.
//!
//! Rules are split by chain and by the IP version of what they can fit, and each is a few masks: a flow is judged once,
//! so they are tried one after another. Whether anything is forwarded at all, and whether clients reach one another,
//! is not asked here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::{BitAnd, BitOr, BitXor};
use std::sync::Arc;

use ipnet::IpNet;

use crate::domain::firewall::{Action, Chain, FilterRule, Firewall, RuleProtocol};
use crate::engine::wire::{FlowKey, protocol};

const TCP: u8 = 1;
const UDP: u8 = 2;
const ICMP: u8 = 4;
const OTHER: u8 = 8;

/// What becomes of a flow, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What happens to its packets.
    pub action: Action,
    /// The rule's place among all rules; `None` where no rule fits and the chain's policy has decided.
    pub rule: Option<u32>,
}

/// What a rule has decided upon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Packets.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
}

/// A firewall that judges.
#[derive(Debug)]
pub struct Filter {
    firewall: Arc<Firewall>,
    epoch: u64,
    input: Tests,
    forward: Tests,
    output: Tests,
    /// The rule that keeps the API reachable.
    system: Option<u32>,
    /// A rule each, in the order of the rules.
    hits: Vec<Hits>,
}

/// The rules of a chain, by the version of the packets that they can fit.
#[derive(Debug, Default)]
struct Tests {
    v4: Vec<Test<u32>>,
    v6: Vec<Test<u128>>,
}

/// A rule, or a packet: what is one in a mask has to agree.
#[derive(Debug, Clone, Copy)]
struct Test<A> {
    source: A,
    source_mask: A,
    destination: A,
    destination_mask: A,
    /// Source and destination port.
    ports: u32,
    ports_mask: u32,
    protocols: u8,
    rule: u32,
}

impl Filter {
    /// Makes the rules ready. The epoch tells flows whether they have been judged by these.
    pub fn new(firewall: Arc<Firewall>, epoch: u64) -> Self {
        Self {
            input: Tests::of(&firewall, Chain::Input),
            forward: Tests::of(&firewall, Chain::Forward),
            output: Tests::of(&firewall, Chain::Output),
            system: firewall.rules.iter().zip(0..).find(|(rule, _)| rule.is_system()).map(|(_, index)| index),
            hits: vec![Hits::default(); firewall.rules.len()],
            firewall,
            epoch,
        }
    }

    /// Judges by other rules from now on. A rule that is as it was, wherever it stands, goes on counting.
    pub fn apply(&mut self, firewall: Arc<Firewall>, epoch: u64) {
        let old = std::mem::replace(self, Self::new(firewall, epoch));
        let known: BTreeMap<_, _> = old.firewall.rules.iter().zip(old.hits).map(|rule| (&rule.0.name, rule)).collect();
        for (rule, hits) in self.firewall.rules.iter().zip(&mut self.hits) {
            if let Some((before, counted)) = known.get(&rule.name)
                && *before == rule
            {
                *hits = *counted;
            }
        }
    }

    /// The firewall that it judges by.
    pub fn firewall(&self) -> &Arc<Firewall> {
        &self.firewall
    }

    /// Which rules these are; a flow that was judged in another epoch is judged again.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Judges a flow by its first packet: the first rule that fits, else the chain's policy.
    ///
    /// The ports of a key that is neither TCP nor UDP (an echo's identifiers) are no ports. Addresses of different
    /// versions fit no rule.
    pub fn judge(&self, chain: Chain, key: &FlowKey) -> Judged {
        self.judge_but(None, chain, key)
    }

    /// Judges a client's flow to an address of the host's own by the operator's rules of INPUT. The rule that keeps the API
    /// reachable speaks of the outside: by it alone a client could call in the host's name where the host speaks for it.
    pub fn judge_to_host(&self, key: &FlowKey) -> Judged {
        self.judge_but(self.system, Chain::Input, key)
    }

    /// Judges without one of the rules.
    fn judge_but(&self, left_out: Option<u32>, chain: Chain, key: &FlowKey) -> Judged {
        let tests = match chain {
            Chain::Input => &self.input,
            Chain::Forward => &self.forward,
            Chain::Output => &self.output,
        };
        let rule = match (key.source.ip(), key.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                first(&tests.v4, left_out, key, source.to_bits(), destination.to_bits())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                first(&tests.v6, left_out, key, source.to_bits(), destination.to_bits())
            }
            _ => None,
        };
        let action = rule.and_then(|rule| self.firewall.rules.get(rule as usize)).map(|rule| rule.action);
        Judged { action: action.unwrap_or_else(|| self.firewall.settings.policy(chain)), rule }
    }

    /// Counts what a rule of this epoch has decided upon.
    pub fn count(&mut self, rule: u32, packets: u64, bytes: u64) {
        if let Some(hits) = self.hits.get_mut(rule as usize) {
            hits.packets += packets;
            hits.bytes += bytes;
        }
    }

    /// What each rule has decided upon, in the order of the rules.
    pub fn counters(&self) -> &[Hits] {
        &self.hits
    }
}

impl Tests {
    fn of(firewall: &Firewall, chain: Chain) -> Self {
        let mut tests = Self::default();
        for (rule, index) in firewall.rules.iter().zip(0_u32..) {
            if rule.chain == chain && protocols(rule) != 0 {
                tests.v4.extend(test(rule, index, v4));
                tests.v6.extend(test(rule, index, v6));
            }
        }
        tests
    }
}

/// The first rule that fits.
fn first<A>(tests: &[Test<A>], left_out: Option<u32>, key: &FlowKey, source: A, destination: A) -> Option<u32>
where
    A: Copy + PartialEq + Default + BitAnd<Output = A> + BitOr<Output = A> + BitXor<Output = A>,
{
    let ports = ports(key.source.port(), key.destination.port());
    let kind = kind(key.protocol);
    let fits = |test: &&Test<A>| {
        let addresses =
            ((source ^ test.source) & test.source_mask) | ((destination ^ test.destination) & test.destination_mask);
        Some(test.rule) != left_out
            && addresses == A::default()
            && (ports ^ test.ports) & test.ports_mask == 0
            && test.protocols & kind != 0
    };
    tests.iter().find(fits).map(|test| test.rule)
}

/// A rule for packets of one version, if it can fit any; `bits` gives a network's address and mask in that version.
fn test<A: Copy>(rule: &FilterRule, index: u32, bits: fn(IpNet) -> Option<(A, A)>) -> Option<Test<A>> {
    let (source, source_mask) = bits(rule.source)?;
    let (destination, destination_mask) = bits(rule.destination)?;
    let mask = |port: u16| if port == 0 { 0 } else { u16::MAX };
    Some(Test {
        source,
        source_mask,
        destination,
        destination_mask,
        ports: ports(rule.source_port, rule.destination_port),
        ports_mask: ports(mask(rule.source_port), mask(rule.destination_port)),
        protocols: protocols(rule),
        rule: index,
    })
}

/// The kinds of packets that a rule fits: one with a port fits only what has ports.
fn protocols(rule: &FilterRule) -> u8 {
    let kinds = match rule.protocol {
        RuleProtocol::Tcp => TCP,
        RuleProtocol::Udp => UDP,
        RuleProtocol::Icmp => ICMP,
        RuleProtocol::Any => TCP | UDP | ICMP | OTHER,
    };
    if rule.source_port == 0 && rule.destination_port == 0 { kinds } else { kinds & (TCP | UDP) }
}

fn kind(number: u8) -> u8 {
    match number {
        protocol::TCP => TCP,
        protocol::UDP => UDP,
        protocol::ICMP | protocol::ICMPV6 => ICMP,
        _ => OTHER,
    }
}

fn ports(source: u16, destination: u16) -> u32 {
    u32::from(source) << 16 | u32::from(destination)
}

fn v4(network: IpNet) -> Option<(u32, u32)> {
    match network {
        _ if network.prefix_len() == 0 => Some((0, 0)),
        IpNet::V4(network) => Some((network.addr().to_bits(), network.netmask().to_bits())),
        IpNet::V6(_) => None,
    }
}

fn v6(network: IpNet) -> Option<(u128, u128)> {
    match network {
        _ if network.prefix_len() == 0 => Some((0, 0)),
        IpNet::V6(network) => Some((network.addr().to_bits(), network.netmask().to_bits())),
        IpNet::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::firewall::FirewallSettings;
    use crate::domain::name::RuleName;

    /// `NAME ACTION CHAIN PROTOCOL SOURCE PORT DESTINATION PORT`
    fn rule(text: &str) -> FilterRule {
        let words: Vec<_> = text.split_whitespace().collect();
        let [name, action, chain, protocol, source, source_port, destination, destination_port] = words[..] else {
            panic!("eight words: {text}")
        };
        FilterRule {
            name: RuleName::parse(name).unwrap(),
            action: if action == "accept" { Action::Accept } else { Action::Drop },
            chain: match chain {
                "input" => Chain::Input,
                "forward" => Chain::Forward,
                _ => Chain::Output,
            },
            protocol: match protocol {
                "tcp" => RuleProtocol::Tcp,
                "udp" => RuleProtocol::Udp,
                "icmp" => RuleProtocol::Icmp,
                _ => RuleProtocol::Any,
            },
            source: source.parse().unwrap(),
            source_port: source_port.parse().unwrap(),
            destination: destination.parse().unwrap(),
            destination_port: destination_port.parse().unwrap(),
        }
    }

    fn firewall(rules: &[&str]) -> Arc<Firewall> {
        let settings = FirewallSettings { policy_output: Action::Drop, ..FirewallSettings::default() };
        Arc::new(Firewall { settings, rules: rules.iter().map(|text| rule(text)).collect() })
    }

    fn key(protocol: u8, source: &str, destination: &str) -> FlowKey {
        FlowKey { protocol, source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    /// Whether a rule fits a packet.
    fn fits(text: &str, protocol: u8, source: &str, destination: &str) -> bool {
        let rule = rule(text);
        let chain = rule.chain;
        let filter = Filter::new(Arc::new(Firewall { rules: vec![rule], ..Firewall::default() }), 0);
        filter.judge(chain, &key(protocol, source, destination)).rule == Some(0)
    }

    #[test]
    fn fits_by_every_column_of_the_table() {
        let (v4, v6) = (("10.0.0.2:5000", "192.0.2.1:53"), ("[fd00::2]:5000", "[2001:db8::1]:53"));
        let table = [
            // everything, by either way of writing it
            ("a drop forward any 0.0.0.0/0 0 0.0.0.0/0 0", 47, v4, true),
            ("a drop forward any 0.0.0.0/0 0 0.0.0.0/0 0", 47, v6, true),
            ("a drop forward any ::/0 0 0.0.0.0/0 0", 6, v4, true),
            ("a drop forward any ::/0 0 0.0.0.0/0 0", 6, v6, true),
            // protocols
            ("a drop forward tcp 0.0.0.0/0 0 0.0.0.0/0 0", 6, v4, true),
            ("a drop forward tcp 0.0.0.0/0 0 0.0.0.0/0 0", 17, v4, false),
            ("a drop forward udp 0.0.0.0/0 0 0.0.0.0/0 0", 17, v6, true),
            ("a drop forward udp 0.0.0.0/0 0 0.0.0.0/0 0", 6, v6, false),
            ("a drop forward icmp 0.0.0.0/0 0 0.0.0.0/0 0", 1, v4, true),
            ("a drop forward icmp 0.0.0.0/0 0 0.0.0.0/0 0", 58, v6, true),
            ("a drop forward icmp 0.0.0.0/0 0 0.0.0.0/0 0", 47, v4, false),
            // networks, also where the address has bits beyond its prefix
            ("a drop forward any 10.0.0.0/8 0 0.0.0.0/0 0", 6, v4, true),
            ("a drop forward any 10.9.9.9/8 0 ::/0 0", 6, v4, true),
            ("a drop forward any 10.0.0.2/32 0 192.0.2.0/31 0", 6, v4, true),
            ("a drop forward any 10.0.0.3/32 0 0.0.0.0/0 0", 6, v4, false),
            ("a drop forward any 0.0.0.0/0 0 192.0.2.2/31 0", 6, v4, false),
            ("a drop forward any 10.0.0.0/8 0 ::/0 0", 6, v6, false),
            ("a drop forward any fd00::9/64 0 0.0.0.0/0 0", 6, v6, true),
            ("a drop forward any fd00:0:0:1::/64 0 0.0.0.0/0 0", 6, v6, false),
            ("a drop forward any ::/0 0 2001:db8::1/128 0", 6, v6, true),
            ("a drop forward any ::/0 0 2001:db8::1/128 0", 6, v4, false),
            ("a drop forward any 10.0.0.0/8 0 2001:db8::/32 0", 6, v4, false),
            ("a drop forward any 10.0.0.0/8 0 2001:db8::/32 0", 6, v6, false),
            // ports
            ("a drop forward tcp 0.0.0.0/0 0 0.0.0.0/0 53", 6, v4, true),
            ("a drop forward tcp 0.0.0.0/0 0 0.0.0.0/0 54", 6, v4, false),
            ("a drop forward udp 0.0.0.0/0 5000 0.0.0.0/0 53", 17, v6, true),
            ("a drop forward udp 0.0.0.0/0 53 0.0.0.0/0 5000", 17, v6, false),
            ("a drop forward any 0.0.0.0/0 0 0.0.0.0/0 53", 6, v4, true),
            ("a drop forward any 0.0.0.0/0 0 0.0.0.0/0 53", 17, v4, true),
            ("a drop forward any 0.0.0.0/0 0 0.0.0.0/0 53", 1, v4, false),
            ("a drop forward any 0.0.0.0/0 0 0.0.0.0/0 53", 47, v4, false),
            ("a drop forward icmp 0.0.0.0/0 0 0.0.0.0/0 53", 1, v4, false),
            ("a drop forward icmp 0.0.0.0/0 5000 0.0.0.0/0 0", 58, v6, false),
        ];
        for (text, protocol, (source, destination), expected) in table {
            assert_eq!(fits(text, protocol, source, destination), expected, "{text} / {protocol} {source}");
        }
    }

    #[test]
    fn tries_the_rules_of_the_chain_in_their_order_and_then_its_policy() {
        let filter = Filter::new(
            firewall(&[
                "a drop input any 0.0.0.0/0 0 0.0.0.0/0 0",
                "b accept forward tcp 10.0.0.2/32 0 0.0.0.0/0 443",
                "c drop forward any 10.0.0.0/24 0 0.0.0.0/0 0",
                "d accept output icmp ::/0 0 ::/0 0",
            ]),
            7,
        );
        let judge = |chain, protocol, source, destination| {
            let judged = filter.judge(chain, &key(protocol, source, destination));
            (judged.action, judged.rule)
        };

        assert_eq!(filter.epoch(), 7);
        assert_eq!(judge(Chain::Input, 6, "10.0.0.2:1", "10.0.0.1:443"), (Action::Drop, Some(0)));
        assert_eq!(judge(Chain::Forward, 6, "10.0.0.2:1", "192.0.2.1:443"), (Action::Accept, Some(1)));
        assert_eq!(judge(Chain::Forward, 6, "10.0.0.3:1", "192.0.2.1:443"), (Action::Drop, Some(2)));
        assert_eq!(judge(Chain::Forward, 6, "10.0.1.2:1", "192.0.2.1:443"), (Action::Accept, None));
        assert_eq!(judge(Chain::Output, 1, "10.0.0.1:9", "10.0.0.2:9"), (Action::Accept, Some(3)));
        assert_eq!(judge(Chain::Output, 17, "10.0.0.1:9", "10.0.0.2:9"), (Action::Drop, None));
        assert_eq!(judge(Chain::Input, 6, "10.0.0.2:1", "[fd00::1]:443"), (Action::Accept, None));
    }

    #[test]
    fn goes_on_counting_where_a_rule_is_as_it_was() {
        let rules = [
            "a drop input any 0.0.0.0/0 0 0.0.0.0/0 0",
            "b accept forward tcp 10.0.0.2/32 0 0.0.0.0/0 443",
            "c drop forward any 10.0.0.0/24 0 0.0.0.0/0 0",
        ];
        let mut filter = Filter::new(firewall(&rules), 1);
        for (rule, packets) in [(0, 1), (1, 2), (2, 3), (2, 1), (9, 5)] {
            filter.count(rule, packets, packets * 100);
        }

        // moved, edited, new
        filter.apply(
            firewall(&[rules[2], "b drop forward tcp 10.0.0.2/32 0 0.0.0.0/0 443", &rules[0].replace('a', "e")]),
            2,
        );

        let fresh = Hits::default();
        assert_eq!(filter.counters(), [Hits { packets: 4, bytes: 400 }, fresh, fresh]);
        assert_eq!((filter.epoch(), filter.firewall().rules.len()), (2, 3));
    }

    /// The rule as its documentation reads.
    fn reads(rule: &FilterRule, key: &FlowKey) -> bool {
        let has_ports = key.protocol == 6 || key.protocol == 17;
        let is_in = |network: IpNet, address| network.prefix_len() == 0 || network.contains(&address);
        let port = |asked: u16, port: u16| asked == 0 || has_ports && asked == port;
        let protocol = match rule.protocol {
            RuleProtocol::Tcp => key.protocol == 6,
            RuleProtocol::Udp => key.protocol == 17,
            RuleProtocol::Icmp => key.protocol == 1 || key.protocol == 58,
            RuleProtocol::Any => true,
        };
        protocol
            && is_in(rule.source, key.source.ip())
            && is_in(rule.destination, key.destination.ip())
            && port(rule.source_port, key.source.port())
            && port(rule.destination_port, key.destination.port())
    }

    fn networks() -> impl Strategy<Value = IpNet> {
        prop_oneof![
            (0_u32..4, 0_u8..=32).prop_map(|(address, length)| IpNet::new(IpAddr::V4(address.into()), length).unwrap()),
            (0_u128..4, 0_u8..=128)
                .prop_map(|(address, length)| IpNet::new(IpAddr::V6(address.into()), length).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_rules_as_they_read(
            rules in proptest::collection::vec((networks(), networks(), 0_u16..3, 0_u16..3, 0_usize..4, 0_usize..3), 0..12),
            is_v6 in any::<bool>(), addresses in (0_u8..4, 0_u8..4), ports in (0_u16..3, 0_u16..3),
            protocol in prop_oneof![Just(6_u8), Just(17), Just(1), Just(58), Just(47)],
        ) {
            let rules: Vec<_> = rules.into_iter().zip(0..).map(|((source, destination, from, to, protocol, chain), at)| FilterRule {
                name: RuleName::parse(&format!("r{at}")).unwrap(),
                action: if at % 2 == 0 { Action::Drop } else { Action::Accept },
                chain: [Chain::Input, Chain::Forward, Chain::Output][chain],
                protocol: [RuleProtocol::Tcp, RuleProtocol::Udp, RuleProtocol::Icmp, RuleProtocol::Any][protocol],
                source, source_port: from, destination, destination_port: to,
            }).collect();
            let address = |last: u8| if is_v6 { IpAddr::V6(u128::from(last).into()) } else { IpAddr::V4(u32::from(last).into()) };
            let key = FlowKey {
                protocol, source: (address(addresses.0), ports.0).into(), destination: (address(addresses.1), ports.1).into(),
            };
            let filter = Filter::new(Arc::new(Firewall { rules: rules.clone(), ..Firewall::default() }), 0);
            for chain in [Chain::Input, Chain::Forward, Chain::Output] {
                let rule = rules.iter().position(|rule| rule.chain == chain && reads(rule, &key));
                let action = rule.map_or(Action::Accept, |rule| rules[rule].action);
                let rule = rule.map(|rule| u32::try_from(rule).unwrap());
                prop_assert_eq!(filter.judge(chain, &key), Judged { action, rule });
            }
        }
    }
}
