//! Packets up, down, across and to the server itself.

use super::*;
use crate::engine::wire::{Ipv4, icmp, protocol};
use proptest::prelude::*;

fn ping(source: IpAddr, destination: IpAddr, load: usize) -> Vec<u8> {
    let mut memory = vec![0; load + 48];
    let length = icmp::seal_echo(&mut memory, icmp::Echo::Request, (source, destination), (7, 1), load).unwrap();
    memory.truncate(length);
    memory
}

#[test]
fn carries_packets_up_and_down() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    for length in [0, 1, 15, 16, 100, 1_392] {
        let up = client.outside(&vec![7; length]);
        let outcome = client.send(&mut world, &up);
        assert_eq!(outcome.outward, [(Owner(0), up.clone())]);

        let down = packet(OUTSIDE, v4(1), &vec![8; length]);
        let outcome = world.down(1, &down);
        assert_eq!(client.open(&outcome.sent[0].1), Some(down));
    }
    let figures = world.plane.account_figures(&account(1).name, world.now).unwrap();
    let expected = [0, 1, 15, 16, 100, 1_392].iter().map(|length| length + 28).sum();
    assert_eq!((figures.received, figures.sent), (expected, expected));
    assert_eq!(world.plane.drops().total(), 0);
}

#[test]
fn hands_questions_for_its_own_addresses_to_the_resolver_and_nothing_else() {
    let mut world = World::with_accounts(2);
    let mut client = Client::connected(1, &mut world);
    let questions = [packet(v4(1), v4(0), b"who?"), packet(v6(1), v6(0), b"who?")];
    // without a resolver the port is closed
    for question in &questions {
        assert_eq!(client.send(&mut world, question).sent.len(), 1);
    }

    world.outside.resolves = true;
    for question in &questions {
        assert_eq!(client.send(&mut world, question), Outcome::default());
    }
    for other in [packet(v4(1), OUTSIDE, b"who?"), packet(v4(1), v4(2), b"who?")] {
        client.send(&mut world, &other);
    }

    assert_eq!(world.outside.asked, questions.map(|question| (Owner(0), question)));
    let answer = packet(v4(0), v4(1), b"you");
    let outcome = world.down(1, &answer);
    assert_eq!(client.open(&outcome.sent[0].1), Some(answer));
}

#[test]
fn pads_to_16_bytes_but_never_beyond_the_mtu() {
    let mut world = World::with_accounts(1);
    let _client = Client::connected(1, &mut world);
    for (inner, sealed) in [(28, 32 + 32), (32, 32 + 32), (33, 48 + 32), (1_409, 1_420 + 32), (1_420, 1_420 + 32)] {
        let outcome = world.down(1, &packet(OUTSIDE, v4(1), &vec![0; inner - 28]));
        assert_eq!(outcome.sent[0].1.len(), sealed, "{inner}");
    }
    assert_eq!(world.down(1, &packet(OUTSIDE, v4(1), &[0; 1_421 - 28])), Outcome::default());
    assert_eq!(world.dropped(DropReason::TooBig), 1);
}

#[test]
fn refuses_a_source_of_another_account_or_of_nobody() {
    let mut world = World::with_accounts(2);
    let mut client = Client::connected(1, &mut world);
    let forged: [IpAddr; 7] = [
        v4(2).into(),
        v4(0).into(),
        v6(2).into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::UNSPECIFIED.into(),
        OUTSIDE.into(),
    ];
    for source in forged {
        let destination: IpAddr = if source.is_ipv4() { OUTSIDE.into() } else { "2001:db8::1".parse().unwrap() };
        assert_eq!(client.send(&mut world, &packet(source, destination, b"x")), Outcome::default());
    }
    assert_eq!(world.dropped(DropReason::SourceForged), 7);
}

#[test]
fn answers_a_ping_to_its_own_address() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    for (own, theirs) in [(IpAddr::from(v4(0)), IpAddr::from(v4(1))), (v6(0).into(), v6(1).into())] {
        let answers = client.ask(&mut world, &ping(theirs, own, 1_300));
        assert_eq!(answers.len(), 1);
        let reply = Ip::new(&answers[0][..]).unwrap();
        assert_eq!((reply.source(), reply.destination(), reply.total_len()), (own, theirs, answers[0].len()));
        assert!(matches!(icmp_type(&answers[0]), (0 | 129, 0)));
    }
}

#[test]
fn answers_other_packets_to_its_own_address_with_an_error() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let answers = client.ask(&mut world, &packet(v4(1), v4(0), b"?"));
    assert_eq!(icmp_type(&answers[0]), (3, 3));
    let answers = client.ask(&mut world, &packet(v6(1), v6(0), b"?"));
    assert_eq!(icmp_type(&answers[0]), (1, 4));
}

#[test]
fn lets_clients_reach_one_another_where_that_is_on() {
    let mut world = World::with_accounts(2);
    let mut one = Client::connected(1, &mut world);
    let mut two = Client::connected(2, &mut world);
    let outcome = one.send(&mut world, &packet(v4(1), v4(2), b"hello"));
    assert_eq!((outcome.outward.len(), outcome.sent.len()), (0, 1));
    assert_eq!(outcome.sent[0].0.remote, two.remote);

    let received = two.open(&outcome.sent[0].1).unwrap();

    let view = Ipv4::new(&received[..]).unwrap();
    assert_eq!((view.ttl(), view.is_checksum_right(), &view.payload()[8..]), (63, true, &b"hello"[..]));
    let outcome = one.send(&mut world, &packet(v6(1), v6(2), b"hello"));
    assert!(two.open(&outcome.sent[0].1).unwrap().ends_with(b"hello"));
}

#[test]
fn keeps_clients_apart_where_that_is_off() {
    let mut world = World::new(Server { internal_traffic: false, ..server() });
    for number in [1, 2] {
        world.apply(Change::Account(Arc::new(account(number))));
    }
    let mut one = Client::connected(1, &mut world);
    let _two = Client::connected(2, &mut world);
    for (source, destination) in [(IpAddr::from(v4(1)), IpAddr::from(v4(2))), (v6(1).into(), v6(2).into())] {
        let outcome = one.send(&mut world, &packet(source, destination, b"hello"));
        assert_eq!((outcome.outward.len(), outcome.sent.len()), (0, 1));
        assert_eq!(outcome.sent[0].0.remote, one.remote);
        assert!(matches!(icmp_type(&one.open(&outcome.sent[0].1).unwrap()), (3, 13) | (1, 1)));
    }
    assert_eq!(world.dropped(DropReason::InternalOff), 2);
}

#[test]
fn sends_nothing_to_many_at_once() {
    let mut world = World::with_accounts(2);
    let mut one = Client::connected(1, &mut world);
    let _two = Client::connected(2, &mut world);
    let everyone =
        ["255.255.255.255", "224.0.0.1", "10.0.255.255", "0.0.0.0"].map(|text| text.parse::<IpAddr>().unwrap());
    for destination in everyone {
        assert_eq!(one.send(&mut world, &packet(v4(1), destination, b"x")), Outcome::default(), "{destination}");
    }
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    assert_eq!(one.send(&mut world, &packet(v6(1), all_nodes, b"x")), Outcome::default());
    assert_eq!(world.dropped(DropReason::NotUnicast), 5);
}

#[test]
fn tells_that_nobody_has_an_address_of_the_network() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let answers = client.ask(&mut world, &packet(v4(1), v4(99), b"x"));
    assert_eq!(icmp_type(&answers[0]), (3, 1));
}

#[test]
fn tells_that_a_packet_has_travelled_too_far() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let mut last_hop = client.outside(b"x");
    Ipv4::new(&mut last_hop[..]).unwrap().set_ttl(1);
    let answers = client.ask(&mut world, &last_hop);
    assert_eq!(icmp_type(&answers[0]), (11, 0));
    assert_eq!(Ip::new(&answers[0][..]).unwrap().source(), IpAddr::from(v4(0)));
}

#[test]
fn complains_at_most_100_times_a_second() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let complaints = |client: &mut Client, world: &mut World| -> usize {
        (0..300).map(|_| client.ask(world, &packet(v4(1), v4(99), b"x")).len()).sum()
    };
    assert_eq!(complaints(&mut client, &mut world), 100);
    world.pass(Duration::from_secs(1));
    assert_eq!(complaints(&mut client, &mut world), 100);
}

#[test]
fn drops_what_is_no_packet_and_still_follows_the_peer() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    client.remote.set_port(50_000);
    for malformed in [&b"\x45"[..], b"hello, this is no packet", &[0x45; 40], &[0x60; 60], &[0; 33]] {
        assert_eq!(client.send(&mut world, malformed), Outcome::default());
    }
    assert_eq!(world.dropped(DropReason::Malformed), 5);
    let figures = world.plane.account_figures(&account(1).name, world.now).unwrap();
    assert_eq!(figures.endpoint, Some(client.remote));
}

#[test]
fn says_no_more_than_it_was_asked_about_fragments() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let mut fragment = ping(v4(1).into(), v4(0).into(), 64);
    fragment[6] = 0x20;
    assert_eq!(client.send(&mut world, &fragment), Outcome::default());
    assert_eq!(Ip::new(&fragment[..]).unwrap().transport().protocol, protocol::ICMP);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Who may send as whom and where it then goes, against the plain rule.
    #[test]
    fn follows_the_plain_rule_of_sources_and_routes(
        disabled in proptest::collection::btree_set(1_u32..12, 0..4),
        moved in proptest::collection::btree_map(1_u32..12, 20_u32..40, 0..4),
        probes in proptest::collection::vec((0_u32..45, 0_u32..45, any::<bool>()), 1..40),
        internal in any::<bool>(), ipv6 in any::<bool>(),
    ) {
        let mut world = World::new(Server { internal_traffic: internal, ipv6, ..server() });
        let mut home: std::collections::BTreeMap<u32, u32> = (1..12).map(|number| (number, number)).collect();
        for number in 1..12 {
            world.apply(Change::Account(Arc::new(account(number))));
        }
        let mut client = Client::connected(1, &mut world);
        for (number, to) in moved {
            if home.values().any(|taken| *taken == to) { continue }
            home.insert(number, to);
            let moved = Account { address: v4(to), address_ipv6: Some(v6(to)), ..account(number) };
            world.apply(Change::Account(Arc::new(moved)));
        }
        for number in disabled.iter().filter(|number| **number != 1) {
            let (address, address_ipv6) = (v4(home[number]), Some(v6(home[number])));
            world.apply(Change::Account(Arc::new(Account { enabled: false, address, address_ipv6, ..account(*number) })));
        }
        for (source, destination, v6_wanted) in probes {
            let probe = if v6_wanted { packet(v6(source), v6(destination), b"x") } else { packet(v4(source), v4(destination), b"x") };
            let before = *world.plane.drops();
            let outcome = client.send(&mut world, &probe);
            let grew = |reason| world.plane.drops().of(reason) > before.of(reason);

            prop_assert!(outcome.outward.is_empty() || (v6_wanted && !ipv6));
            let owner_of = home.iter().find(|(number, at)| **at == destination && !(disabled.contains(number) && **number != 1));
            if source != home[&1] || (v6_wanted && !ipv6) {
                prop_assert!(grew(DropReason::SourceForged));
            } else if destination == 0 {
                prop_assert_eq!(outcome.sent.len(), 1);
            } else if let Some((number, _)) = owner_of {
                prop_assert_eq!(grew(DropReason::InternalOff), !internal);
                // nobody but the first has spoken yet
                prop_assert_eq!(grew(DropReason::NoEndpoint), internal && *number != 1);
            } else {
                prop_assert!(grew(DropReason::NobodyThere));
            }
        }
    }
}
