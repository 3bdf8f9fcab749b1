//! What is open already, when what is allowed changes; and who may reach whom.

use super::*;
use crate::domain::firewall::{Action, Chain, FilterRule, Firewall, FirewallSettings, RuleProtocol};
use crate::domain::name::RuleName;

fn rule(action: Action, chain: Chain, destination: &str, port: u16) -> FilterRule {
    FilterRule {
        name: RuleName::parse("a_rule").unwrap(),
        action,
        chain,
        protocol: RuleProtocol::Udp,
        source: "0.0.0.0/0".parse().unwrap(),
        source_port: 0,
        destination: destination.parse().unwrap(),
        destination_port: port,
    }
}

fn firewall(settings: FirewallSettings, rules: Vec<FilterRule>) -> Change {
    Change::Firewall(Arc::new(Firewall { settings, rules }))
}

/// A client that has asked a host outside: its own name, the host's, and where it is seen.
fn asked(rig: &mut Rig) -> [String; 3] {
    let (inner, remote) = (at(INNER[1][V4], 20_000), at(REMOTE[V4], 4_000));
    let door = rig.seen(0, protocol::UDP, &inner, &remote);
    [inner, remote, door]
}

#[test]
fn a_flow_that_a_new_rule_refuses_ends_both_ways_and_comes_back_without_the_rule() {
    let mut rig = Rig::new(1);
    let [inner, remote, door] = asked(&mut rig);
    let refuse = rule(Action::Drop, Chain::Forward, "203.0.113.9/32", 4_000);

    rig.apply(firewall(FirewallSettings::default(), vec![refuse]));

    assert!(!rig.reaches(0, protocol::UDP, &remote, &door));
    assert!(rig.up(0, &packet_of(&key(protocol::UDP, &inner, &remote), b"?")).is_nothing());
    assert_eq!((rig.world.plane.flows.len(), rig.dropped(DropReason::Filtered)), (0, 2));
    rig.apply(firewall(FirewallSettings::default(), Vec::new()));
    rig.seen(0, protocol::UDP, &inner, &remote);
}

#[test]
fn a_flow_that_a_new_rule_admits_goes_on_in_its_name() {
    let mut rig = Rig::new(1);
    let [_, remote, door] = asked(&mut rig);
    let admit = rule(Action::Accept, Chain::Forward, "203.0.113.9/32", 4_000);
    let refuse =
        FilterRule { name: RuleName::parse("others").unwrap(), ..rule(Action::Drop, Chain::Forward, "0.0.0.0/0", 0) };

    rig.apply(firewall(FirewallSettings::default(), vec![admit, refuse]));

    assert!(rig.reaches(0, protocol::UDP, &remote, &door));
    assert_eq!(rig.world.plane.rule_hits()[0].packets, 1);
}

/// A rule names a client by its inner address, wherever a forward lies.
#[test]
fn a_rule_decides_about_what_a_forward_lets_in() {
    let mut rig = Rig::new(1);
    rig.forward(&[(Transport::Udp, 443, 1, 8_443)]);
    let (caller, door) = (at(STRANGER[V4], 1), at(EXTERNAL[V4], 443));
    assert!(rig.reaches(0, protocol::UDP, &caller, &door));

    rig.apply(firewall(FirewallSettings::default(), vec![rule(Action::Drop, Chain::Forward, "10.0.0.2/32", 8_443)]));

    assert!(!rig.reaches(0, protocol::UDP, &caller, &door));
}

#[test]
fn a_flow_by_a_forward_that_is_gone_ends() {
    let mut rig = Rig::new(2);
    rig.forward(&[(Transport::Udp, 443, 1, 443)]);
    let (caller, door, inner) = (at(STRANGER[V4], 1), at(EXTERNAL[V4], 443), at(INNER[1][V4], 443));
    assert!(rig.reaches(0, protocol::UDP, &caller, &door));

    rig.forward(&[]);

    assert!(!rig.reaches(0, protocol::UDP, &caller, &door));
    // what the client says now is said in a name of its own
    assert_ne!(rig.seen(0, protocol::UDP, &inner, &caller), door);
    rig.forward(&[(Transport::Udp, 443, 2, 443)]);
    assert!(rig.reaches(1, protocol::UDP, &caller, &door), "another client's from now on");
}

#[test]
fn a_forward_that_appears_leaves_other_flows_as_they_are() {
    let mut rig = Rig::new(2);
    let [inner, remote, door] = asked(&mut rig);
    rig.forward(&[(Transport::Udp, 443, 2, 443)]);
    assert!(rig.reaches(0, protocol::UDP, &remote, &door));
    assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), door);
}

#[test]
fn another_external_address_ends_what_left_in_the_old_ones_name() {
    let mut rig = Rig::new(1);
    let [inner, remote, door] = asked(&mut rig);

    rig.apply(Change::Exit(Exit::Packets { v4: Name::External(Ipv4Addr::new(192, 0, 2, 7).into()), v6: Name::None }));

    assert!(!rig.reaches(0, protocol::UDP, &remote, &door));
    assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), at("192.0.2.7", 20_000));
    assert_eq!(rig.world.ports.held(protocol::UDP, external(V4)), 0, "the old one's port is given back");
}

#[test]
fn nat_that_is_turned_off_and_on_again_gives_the_client_its_name() {
    let mut rig = Rig::new(1);
    let [inner, remote, door] = asked(&mut rig);
    rig.apply(Change::Exit(Exit::Packets { v4: Name::Own, v6: Name::Own }));
    assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), inner);
    assert!(!rig.reaches(0, protocol::UDP, &remote, &door));
    assert!(rig.reaches(0, protocol::UDP, &remote, &inner));

    rig.apply(Change::Exit(translated()));

    assert!(rig.seen(0, protocol::UDP, &inner, &remote).starts_with("192.0.2.1:"));
}

#[test]
fn an_edit_that_changes_no_name_leaves_every_flow_open() {
    let mut rig = Rig::new(1);
    let [inner, remote, door] = asked(&mut rig);
    let edits = [
        Change::Exit(translated()),
        Change::Server(Arc::new(Server { internal_traffic: false, ..server() })),
        Change::Account(Arc::new(Account { mark: 9, ..account(1) })),
        firewall(FirewallSettings { policy_input: Action::Drop, ..FirewallSettings::default() }, Vec::new()),
    ];
    for edit in edits {
        rig.apply(edit);
        assert!(rig.reaches(0, protocol::UDP, &remote, &door));
        assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), door);
    }
}

#[test]
fn clients_reach_one_another_where_the_server_and_the_firewall_both_let_them() {
    let switch = |on| firewall(FirewallSettings { internal_traffic: on, ..FirewallSettings::default() }, Vec::new());
    for (of_server, of_all) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut rig = Rig::new(2);
        rig.apply(Change::Server(Arc::new(Server { internal_traffic: of_server, ..server() })));
        rig.apply(switch(of_all));
        for version in [V4, V6] {
            let across = packet_of(&key(protocol::UDP, &at(INNER[1][version], 1), &at(INNER[2][version], 2)), b"hello");
            let came = rig.up(0, &across);
            if of_server && of_all {
                let got = came.only_got(1);
                assert_eq!((hops(&got), ends(&got)), (63, ends(&across)), "as any router would");
            } else {
                assert_eq!(icmp_type(&came.only_got(0)), [(3, 13), (1, 1)][version]);
            }
        }
    }
}

/// RFC 4787, REQ-9: the external address is the same door for everyone, also where clients may not reach one another.
#[test]
fn a_forward_is_open_to_neighbours_where_internal_traffic_is_off() {
    let mut rig = Rig::new(2);
    rig.apply(Change::Server(Arc::new(Server { internal_traffic: false, ..server() })));
    rig.forward(&[(Transport::Udp, 443, 2, 443)]);
    let asks = packet_of(&key(protocol::UDP, &at(INNER[1][V4], 20_000), &at(EXTERNAL[V4], 443)), b"?");
    let looped = rig.up(0, &asks).only_left();
    rig.arrive(&looped).only_got(1);
}

#[test]
fn an_open_flow_between_clients_ends_when_internal_traffic_is_turned_off() {
    let mut rig = Rig::new(2);
    let across = packet_of(&key(protocol::UDP, &at(INNER[1][V4], 1), &at(INNER[2][V4], 2)), b"hello");
    let back = packet_of(&key(protocol::UDP, &at(INNER[2][V4], 2), &at(INNER[1][V4], 1)), b"hello");
    rig.up(0, &across).only_got(1);
    rig.up(1, &back).only_got(0);

    rig.apply(Change::Server(Arc::new(Server { internal_traffic: false, ..server() })));

    assert_eq!(icmp_type(&rig.up(1, &back).only_got(1)), (3, 13));
    assert_eq!(icmp_type(&rig.up(0, &across).only_got(0)), (3, 13));
}

#[test]
fn without_forwarding_nothing_passes_but_what_is_for_the_server() {
    let mut rig = Rig::new(2);
    let [inner, remote, door] = asked(&mut rig);
    rig.apply(firewall(FirewallSettings { ip_forward: false, ..FirewallSettings::default() }, Vec::new()));

    assert!(!rig.reaches(0, protocol::UDP, &remote, &door));
    assert!(rig.up(0, &packet_of(&key(protocol::UDP, &inner, &remote), b"?")).is_nothing());
    let ping = packet_of(&key(protocol::ICMP, &at(INNER[1][V4], 7), &at(INNER[0][V4], 7)), b"?");
    assert_eq!(icmp_type(&rig.up(0, &ping).only_got(0)), (0, 0));
}

/// The host's own addresses are closed to clients until a rule of `INPUT` opens them; what is closed to all stays so.
#[test]
fn the_host_is_reached_where_a_rule_opens_it() {
    let mut rig = Rig::new(1);
    rig.world.outside.standings.push((Ipv4Addr::new(192, 0, 2, 77).into(), Standing::Host));
    rig.world.outside.standings.push((Ipv4Addr::new(169, 254, 169, 254).into(), Standing::Closed));
    let to_host = packet_of(&key(protocol::UDP, &at(INNER[1][V4], 5_000), "192.0.2.77:53"), b"?");
    let to_cloud = packet_of(&key(protocol::UDP, &at(INNER[1][V4], 5_000), "169.254.169.254:80"), b"?");
    assert_eq!(icmp_type(&rig.up(0, &to_host).only_got(0)), (3, 13));
    assert_eq!(icmp_type(&rig.up(0, &to_cloud).only_got(0)), (3, 13));

    let open = |to: &str| rule(Action::Accept, Chain::Input, to, 0);
    let rules = vec![
        open("192.0.2.77/32"),
        FilterRule { name: RuleName::parse("cloud").unwrap(), ..open("169.254.169.254/32") },
    ];
    rig.apply(firewall(FirewallSettings::default(), rules));

    assert_eq!(rig.up(0, &to_host).host, [to_host]);
    let answer = packet_of(&key(protocol::UDP, "192.0.2.77:53", &at(INNER[1][V4], 5_000)), b"!");
    assert_eq!(rig.host(&answer).only_got(0), answer, "the host's answer, untranslated");
    assert_eq!(icmp_type(&rig.up(0, &to_cloud).only_got(0)), (3, 13));
}
