//! What the host itself offers: closed to clients until a rule of INPUT opens it, on either kind of uplink.

use super::*;
use crate::domain::firewall::{Action, Chain, FilterRule, Firewall, FirewallSettings, RuleProtocol};
use crate::domain::name::RuleName;
use crate::engine::dataplane::exit::{Exit, Name};

const OWN: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// Another address of the host.
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

/// An uplink that ends flows itself, and one for whole packets.
fn exits() -> [Exit; 2] {
    let [v4, v6] = OWN.map(Name::External);
    [Exit::Flows, Exit::Packets { v4, v6 }]
}

/// A world with a client, whose host has addresses of its own.
fn world(exit: Exit) -> (World, Client) {
    let mut world = World::with_accounts(1);
    world.outside.standings = [OWN[0], OWN[1], OTHER].map(|address| (address, Standing::Host)).to_vec();
    world.apply(Change::Exit(exit));
    let client = Client::connected(1, &mut world);
    (world, client)
}

fn rule(action: Action, destination: IpAddr, port: u16) -> FilterRule {
    FilterRule {
        name: RuleName::parse("dns").unwrap(),
        action,
        chain: Chain::Input,
        protocol: RuleProtocol::Udp,
        source: "0.0.0.0/0".parse().unwrap(),
        source_port: 0,
        destination: destination.into(),
        destination_port: port,
    }
}

fn set_rules(world: &mut World, rules: Vec<FilterRule>) {
    world.apply(Change::Firewall(Arc::new(Firewall { rules, ..Firewall::default() })));
}

/// The client's own address of the same version.
fn client_beside(own: IpAddr) -> IpAddr {
    if own.is_ipv4() { v4(1).into() } else { v6(1).into() }
}

fn datagram(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Vec<u8> {
    let mut memory = vec![0; 64];
    let length = udp::write_packet(&mut memory, source.into(), destination.into(), 64, b"?").unwrap();
    memory.truncate(length);
    memory
}

fn question(own: IpAddr, port: u16) -> Vec<u8> {
    datagram((client_beside(own), 4_000), (own, port))
}

/// Sends a question; whether the host got it. It has gone nowhere else.
fn is_heard(world: &mut World, client: &mut Client, own: IpAddr, port: u16) -> bool {
    let question = question(own, port);
    let outcome = client.send(world, &question);
    assert_eq!(outcome.outward, [], "{own} {port}");
    let heard = std::mem::take(&mut world.outside.to_host);
    assert!(heard.is_empty() || heard == [(Owner(0), question)]);
    !heard.is_empty()
}

/// Has the host answer, by the way that its uplink has; what the client gets.
fn answer(world: &mut World, client: &mut Client, exit: Exit, own: IpAddr) -> Option<Vec<u8>> {
    let mut packet = datagram((own, 53), (client_beside(own), 4_000));
    let outcome = match exit {
        Exit::Flows => world.down(1, &packet),
        Exit::Packets { .. } => {
            world.with(|plane, around, now| plane.handle_host(&mut packet, Offload::NONE, around, now));
            Outcome { outward: Vec::new(), sent: world.drain() }
        }
    };
    outcome.sent.first().and_then(|(_, sealed)| client.open(sealed))
}

#[test]
fn is_closed_where_no_rule_opens_it_whatever_the_policy_is() {
    for exit in exits() {
        let (mut world, mut client) = world(exit);
        for own in OWN {
            let told = client.ask(&mut world, &question(own, 53));
            assert!(matches!(icmp_type(&told[0]), (3, 13) | (1, 1)), "{exit:?}");
        }
        assert_eq!((world.outside.to_host.len(), world.dropped(DropReason::HostClosed)), (0, 2), "{exit:?}");
    }
}

#[test]
fn is_open_exactly_as_far_as_a_rule_says() {
    for exit in exits() {
        for own in OWN {
            let (mut world, mut client) = world(exit);
            set_rules(&mut world, vec![rule(Action::Accept, own, 53)]);

            assert!(is_heard(&mut world, &mut client, own, 53), "{exit:?} {own}");
            assert!(!is_heard(&mut world, &mut client, own, 54), "{exit:?} {own}: another port");
            assert!(!is_heard(&mut world, &mut client, OTHER, 53), "{exit:?} {own}: another address");
            assert_eq!(world.plane.rule_hits()[0].packets, 1, "{exit:?} {own}");
        }
    }
}

#[test]
fn is_closed_by_a_rule_that_stands_before() {
    for exit in exits() {
        let (mut world, mut client) = world(exit);
        set_rules(&mut world, vec![rule(Action::Drop, OWN[0], 53), rule(Action::Accept, OWN[0], 0)]);

        assert!(!is_heard(&mut world, &mut client, OWN[0], 53), "{exit:?}");
        assert!(is_heard(&mut world, &mut client, OWN[0], 54), "{exit:?}");
        assert_eq!(world.dropped(DropReason::Filtered), 1);
    }
}

#[test]
fn answers_come_down_whatever_the_policies_of_output_and_forward_are() {
    for exit in exits() {
        for own in OWN {
            let (mut world, mut client) = world(exit);
            let settings = FirewallSettings {
                policy_forward: Action::Drop,
                policy_output: Action::Drop,
                ip_forward: false,
                ..FirewallSettings::default()
            };
            let rules = vec![rule(Action::Accept, own, 53)];
            world.apply(Change::Firewall(Arc::new(Firewall { settings, rules })));
            assert!(is_heard(&mut world, &mut client, own, 53));

            let heard = answer(&mut world, &mut client, exit, own);

            assert_eq!(heard, Some(datagram((own, 53), (client_beside(own), 4_000))), "{exit:?} {own}");
            assert_eq!(world.plane.rule_hits()[0].packets, 2, "{exit:?} {own}");
        }
    }
}

#[test]
fn is_closed_again_with_the_rule_that_opened_it() {
    for exit in exits() {
        let (mut world, mut client) = world(exit);
        set_rules(&mut world, vec![rule(Action::Accept, OWN[0], 53)]);
        assert!(is_heard(&mut world, &mut client, OWN[0], 53));

        set_rules(&mut world, Vec::new());

        assert_eq!(answer(&mut world, &mut client, exit, OWN[0]), None, "{exit:?}");
        assert!(!is_heard(&mut world, &mut client, OWN[0], 53), "{exit:?}");
        assert_eq!(world.dropped(DropReason::HostClosed), 2, "{exit:?}");
    }
}

/// It speaks of the outside; for clients the operator says so in a rule of its own, wherever that stands.
#[test]
fn the_rule_that_keeps_the_api_reachable_opens_nothing_to_clients() {
    for exit in exits() {
        let (mut world, mut client) = world(exit);
        let system = FilterRule { protocol: RuleProtocol::Any, ..FilterRule::system(8_098) };
        set_rules(&mut world, vec![system.clone()]);
        assert!(!is_heard(&mut world, &mut client, OWN[0], 8_098), "{exit:?}");

        set_rules(&mut world, vec![system, rule(Action::Accept, OWN[0], 8_098)]);
        assert!(is_heard(&mut world, &mut client, OWN[0], 8_098), "{exit:?}");
        assert_eq!(world.plane.rule_hits()[1].packets, 1, "{exit:?}");
    }
}

/// RFC 4787, REQ-9: a forwarded port of the host's address is a client's, and no matter of INPUT.
#[test]
fn a_port_that_leads_to_a_client_is_not_the_hosts() {
    for exit in exits() {
        let (mut world, mut client) = world(exit);
        world.outside.standings = vec![(OWN[0], Standing::Inside)];

        let outcome = client.send(&mut world, &question(OWN[0], 53));

        assert_eq!((outcome.outward.len(), world.outside.to_host.len()), (1, 0), "{exit:?}");
    }
}
