//! Mapping, filtering, ports and hairpins.

use super::super::super::flow::{Filtering, FlowLimits};
use super::*;

const ALL: [u8; 3] = [protocol::TCP, protocol::UDP, protocol::ICMP];

/// RFC 4787, REQ-1. RFC 5382, REQ-1. RFC 5508, REQ-1: the same name outside for whichever destination, over IPv6 too.
#[test]
fn a_client_has_the_same_external_port_for_every_destination() {
    for (version, protocol) in [V4, V6].iter().flat_map(|version| ALL.map(|protocol| (*version, protocol))) {
        let mut rig = Rig::new(1);
        let inner = at(INNER[1][version], 20_000);
        let to = [at(REMOTE[version], 4_000), at(REMOTE[version], 4_001), at(STRANGER[version], 9)];

        let seen = to.each_ref().map(|to| rig.seen(0, protocol, &inner, to));

        assert!(seen.iter().all(|name| *name == at(EXTERNAL[version], 20_000)), "{seen:?}");
        assert_eq!(rig.world.plane.flows.mappings(), 1);
    }
}

/// RFC 5508, REQ-1: a ping's answer finds back, with the identifier that its client gave it.
#[test]
fn a_ping_and_its_answer_carry_each_sides_identifier() {
    for version in [V4, V6] {
        let mut rig = Rig::new(2);
        let pings = [1, 2].map(|client: usize| {
            let (from, to) = (at(INNER[client][version], 20_000), at(REMOTE[version], 20_000));
            rig.up(client - 1, &packet_of(&key(protocol::ICMP, &from, &to), b"word")).only_left()
        });
        assert_eq!(ends(&pings[0]).0, at(EXTERNAL[version], 20_000));
        assert_ne!(ends(&pings[1]).0, at(EXTERNAL[version], 20_000), "taken");

        for (client, ping) in pings.iter().enumerate() {
            let got = rig.arrive(&pong(ping)).only_got(client);
            assert_eq!(ends(&got), (at(REMOTE[version], 20_000), at(INNER[client + 1][version], 20_000)));
        }
    }
}

/// RFC 4787, REQ-2. RFC 6888, REQ-2: one external address for all flows of a client.
#[test]
fn all_flows_of_a_client_leave_in_one_address() {
    let mut rig = Rig::new(1);
    for port in 1_024..1_224 {
        let protocol = ALL[usize::from(port % 3)];
        let remote = if protocol == protocol::ICMP { port } else { 80 };
        let seen = rig.seen(0, protocol, &at(INNER[1][V4], port), &at(REMOTE[V4], remote));
        assert_eq!(seen.parse::<SocketAddr>().unwrap().ip(), external(V4));
    }
}

/// RFC 4787, REQ-3. RFC 5382, REQ-7: nobody shares a port, and who had it first keeps it.
#[test]
fn two_clients_with_one_inner_port_have_two_external_ports() {
    for protocol in [protocol::TCP, protocol::UDP] {
        let mut rig = Rig::new(2);
        let remote = at(REMOTE[V4], 4_000);
        let first = rig.seen(0, protocol, &at(INNER[1][V4], 20_000), &remote);
        let second = rig.seen(1, protocol, &at(INNER[2][V4], 20_000), &remote);
        assert_eq!(first, at(EXTERNAL[V4], 20_000));
        assert_ne!(second, first);

        assert_eq!(
            ends(&rig.arrive(&packet_of(&key(protocol, &remote, &first), b"1")).only_got(0)).1,
            at(INNER[1][V4], 20_000)
        );
        assert_eq!(
            ends(&rig.arrive(&packet_of(&key(protocol, &remote, &second), b"2")).only_got(1)).1,
            at(INNER[2][V4], 20_000)
        );
    }
}

/// RFC 4787, REQ-3 (b) and REQ-4: out of its range a port is exchanged for one that is as even as it was.
#[test]
fn a_port_out_of_range_is_exchanged_for_one_of_its_parity() {
    let mut rig = Rig::new(1);
    for port in [1_024, 1_025, 2_000, 2_001, 60_000, 65_535] {
        let seen = rig.seen(0, protocol::UDP, &at(INNER[1][V4], port), &at(REMOTE[V4], 80));
        let seen = seen.parse::<SocketAddr>().unwrap().port();
        assert!((16_384..=51_819).contains(&seen));
        assert_eq!(seen % 2, port % 2, "{port}");
    }
}

/// RFC 4787, REQ-8. RFC 5382, REQ-3. RFC 6888, REQ-7: each kind of filtering; address-dependent is the one without a word.
#[test]
fn what_comes_uninvited_is_let_in_as_the_kind_of_filtering_says() {
    for (filtering, same_host, stranger) in [
        (None, true, false),
        (Some(Filtering::EndpointIndependent), true, true),
        (Some(Filtering::AddressDependent), true, false),
        (Some(Filtering::AddressAndPort), false, false),
    ] {
        for protocol in [protocol::TCP, protocol::UDP] {
            let mut rig = Rig::new(1);
            if let Some(filtering) = filtering {
                rig.world.plane.flows.apply(FlowLimits::default(), filtering);
            }
            let door = rig.seen(0, protocol, &at(INNER[1][V4], 20_000), &at(REMOTE[V4], 4_000));
            // a segment in mid-connection would be a stray: a stranger begins with a SYN
            let mut knock = |from: String| match protocol {
                protocol::TCP => !rig.arrive(&segment(&from, &door, (SYN, 1, 0))).is_nothing(),
                _ => rig.reaches(0, protocol, &from, &door),
            };

            assert!(knock(at(REMOTE[V4], 4_000)), "an answer");
            assert_eq!(knock(at(REMOTE[V4], 4_001)), same_host, "{filtering:?}");
            assert_eq!(knock(at(STRANGER[V4], 4_000)), stranger, "{filtering:?}");
        }
    }
}

/// RFC 4787, REQ-8 and REQ-11: nothing but a client's own word lets a stranger in, at whatever time.
#[test]
fn a_port_is_open_to_nobody_once_its_flows_have_ended() {
    let mut rig = Rig::new(1);
    let door = rig.seen(0, protocol::UDP, &at(INNER[1][V4], 20_000), &at(REMOTE[V4], 4_000));
    assert!(rig.reaches(0, protocol::UDP, &at(REMOTE[V4], 4_001), &door));

    rig.pass(301);

    assert!(!rig.reaches(0, protocol::UDP, &at(REMOTE[V4], 4_000), &door));
    assert_eq!(rig.dropped(DropReason::NotMapped), 1);
}

/// RFC 4787, REQ-11: the same conditions, the same behaviour, also where a wish for a port could not be fulfilled.
#[test]
fn an_exchanged_port_is_mapped_and_filtered_as_a_kept_one() {
    let mut rig = Rig::new(1);
    for port in [20_000, 1_030] {
        let inner = at(INNER[1][V4], port);
        let doors: Vec<String> =
            (1..20).map(|remote| rig.seen(0, protocol::UDP, &inner, &at(REMOTE[V4], remote))).collect();
        assert!(doors.windows(2).all(|pair| pair[0] == pair[1]), "{doors:?}");
        assert!(rig.reaches(0, protocol::UDP, &at(REMOTE[V4], 999), &doors[0]));
        assert!(!rig.reaches(0, protocol::UDP, &at(STRANGER[V4], 999), &doors[0]));
    }
}

/// RFC 4787, REQ-9 (a). RFC 5382, REQ-8 (a): two clients of one NAT who know each other's external names; each sees the
/// other's external address.
#[test]
fn clients_who_speak_to_each_others_external_ports_meet() {
    for (version, protocol) in [V4, V6].iter().flat_map(|version| ALL[..2].iter().map(|protocol| (*version, *protocol)))
    {
        let mut rig = Rig::new(2);
        let (one, two) = (at(INNER[1][version], 20_000), at(INNER[2][version], 20_002));
        let (door_of_one, door_of_two) = (at(EXTERNAL[version], 20_000), at(EXTERNAL[version], 20_002));
        let syn = |from: &str, to: &str| match protocol {
            protocol::TCP => segment(from, to, (SYN, 1, 0)),
            _ => packet_of(&key(protocol, from, to), b"hello"),
        };

        // the first knock finds nobody: the other has not spoken yet
        let first = rig.up(0, &syn(&one, &door_of_two)).only_left();
        assert_eq!(ends(&first), (door_of_one.clone(), door_of_two.clone()));
        assert!(rig.arrive(&first).is_nothing());
        let second = rig.up(1, &syn(&two, &door_of_one)).only_left();
        let got = rig.arrive(&second).only_got(0);

        assert_eq!(ends(&got), (door_of_two.clone(), one.clone()));
        let answer = rig.up(0, &syn(&one, &door_of_two)).only_left();
        assert_eq!(ends(&rig.arrive(&answer).only_got(1)), (door_of_one, two));
    }
}

/// RFC 4787, REQ-9 (a): a forwarded port is reached by its external name from inside, and its answers come from there.
#[test]
fn a_neighbour_reaches_a_forwarded_port_by_its_external_name() {
    let mut rig = Rig::new(2);
    rig.forward(&[(Transport::Udp, 8_080, 2, 80)]);
    let (asks, door) = (at(INNER[1][V4], 20_000), at(EXTERNAL[V4], 8_080));

    let looped = rig.up(0, &packet_of(&key(protocol::UDP, &asks, &door), b"ask")).only_left();
    let asked = rig.arrive(&looped).only_got(1);
    assert_eq!(ends(&asked), (at(EXTERNAL[V4], 20_000), at(INNER[2][V4], 80)));

    let (from, to) = ends(&asked);
    let looped = rig.up(1, &packet_of(&key(protocol::UDP, &to, &from), b"answer")).only_left();
    let answered = rig.arrive(&looped).only_got(0);
    assert_eq!((ends(&answered), payload(&answered)), ((door, asks), &b"answer"[..]));
}

/// RFC 4787, REQ-9, between clients of two servers that share an external address.
#[test]
fn clients_of_two_servers_meet_by_their_external_names() {
    let now = start();
    let other = Server { address: "10.7.0.1/16".parse().unwrap(), ..server() };
    let mut one = Rig::at(Seat::ALONE, server(), translated(), 1, now);
    let mut two = Rig::at(Seat { server: 1, ..Seat::ALONE }, other, translated(), 0, now);
    two.world.now = one.world.now;
    let resident = Account { address: Ipv4Addr::new(10, 7, 0, 9), ..account(1) };
    two.apply(Change::Account(Arc::new(resident)));
    two.clients.push(Client::connected(1, &mut two.world));
    // one worker has one set of ports for all of its servers
    std::mem::swap(&mut one.world.ports, &mut two.world.ports);
    let (a, b) = (at(INNER[1][V4], 20_000), at("10.7.0.9", 20_000));
    let (door_a, door_b) = (at(EXTERNAL[V4], 20_000), "192.0.2.1:");

    std::mem::swap(&mut one.world.ports, &mut two.world.ports);
    assert_eq!(one.seen(0, protocol::UDP, &a, &at(EXTERNAL[V4], 30_000)), door_a);
    std::mem::swap(&mut one.world.ports, &mut two.world.ports);
    let left = two.up(0, &packet_of(&key(protocol::UDP, &b, &door_a), b"hello")).only_left();

    assert!(ends(&left).0.starts_with(door_b) && ends(&left).0 != door_a, "no port is given twice");
    assert_eq!(two.world.ports.holder(protocol::UDP, door_a.parse().unwrap()), Some(0));
    assert_eq!(two.world.ports.holder(protocol::UDP, ends(&left).0.parse().unwrap()), Some(1));
    let got = one.arrive(&left).only_got(0);
    assert_eq!(ends(&got), (ends(&left).0, a));
}

/// RFC 4787, REQ-10. RFC 5382, REQ-6. RFC 6888, REQ-1: no payload is read, whatever it says of addresses.
#[test]
fn an_address_in_a_payload_stays_as_it_is_and_opens_nothing() {
    let words: [(u16, &[u8]); 2] =
        [(21, b"PORT 10,0,0,2,78,33\r\n"), (5_060, b"INVITE sip:x SIP/2.0\r\nVia: 10.0.0.2:20001\r\n")];
    for (port, word) in words {
        let mut rig = Rig::new(1);
        for protocol in [protocol::TCP, protocol::UDP] {
            let said = packet_of(&key(protocol, &at(INNER[1][V4], 20_000), &at(REMOTE[V4], port)), word);
            assert_eq!(payload(&rig.up(0, &said).only_left()), word);
            assert!(!rig.reaches(0, protocol, &at(REMOTE[V4], 20), &at(EXTERNAL[V4], 20_001)));
        }
        assert_eq!(rig.world.plane.flows.mappings(), 2);
    }
}

/// RFC 6888, REQ-6: NAT can be off; a client is then seen and reached by its own address.
#[test]
fn without_nat_packets_leave_and_arrive_by_the_clients_own_address() {
    for version in [V4, V6] {
        let mut rig = Rig::with(server(), Exit::Packets { v4: Name::Own, v6: Name::Own }, 1);
        let (inner, remote) = (at(INNER[1][version], 5_000), at(REMOTE[version], 4_000));

        assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), inner);
        assert!(rig.reaches(0, protocol::UDP, &remote, &inner));
        assert!(rig.reaches(0, protocol::UDP, &at(STRANGER[version], 1), &at(INNER[1][version], 80)), "it is routed");
        assert!(!rig.reaches(0, protocol::UDP, &remote, &at(INNER[3][version], 80)), "nobody has it");
        assert_eq!(rig.world.plane.flows.mappings(), 0);
    }
}

/// RFC 6888, REQ-6: off for one version alone, as where an IPv6 prefix is routed here beside a shared IPv4 address.
#[test]
fn each_version_has_a_name_of_its_own() {
    let exit = Exit::Packets { v4: Name::External(external(V4)), v6: Name::Own };
    let mut rig = Rig::with(server(), exit, 1);
    let names =
        [V4, V6].map(|version| rig.seen(0, protocol::UDP, &at(INNER[1][version], 20_000), &at(REMOTE[version], 4_000)));
    assert_eq!(names, [at(EXTERNAL[V4], 20_000), at(INNER[1][V6], 20_000)]);

    rig.apply(Change::Exit(Exit::Packets { v4: Name::None, v6: Name::None }));
    let came = rig.up(0, &packet_of(&key(protocol::UDP, &at(INNER[1][V4], 20_000), &at(REMOTE[V4], 4_000)), b"x"));
    assert_eq!(icmp_type(&came.only_got(0)), (3, 0), "no way there");
}
