//! Mapping, filtering and hairpins.

use super::*;

const ALL: [u8; 3] = [protocol::TCP, protocol::UDP, protocol::ICMP];

/// RFC 4787, REQ-1. RFC 5382, REQ-1. RFC 5508, REQ-1 (a).
#[test]
fn one_inner_port_is_one_external_port_for_whichever_destination() {
    for protocol in ALL {
        let mut rig = Rig::new();
        let mut doors = Vec::new();
        for host in 1..=50 {
            // a ping's destination carries the identifier too
            let port = if protocol == protocol::ICMP { 20_000 } else { 1_000 + host };
            let id = rig.out(ALICE, protocol, "10.0.0.2:20000", &format!("203.0.113.{host}:{port}")).expect("room");
            doors.push(rig.door(id));
        }
        doors.dedup();
        assert_eq!(doors, [socket("198.51.100.7:20000")]);
        assert_eq!((rig.table.mappings(), rig.table.mappings_of(ALICE)), (1, 1));
    }
}

/// RFC 4787, REQ-1 over IPv6 (NAT66).
#[test]
fn ipv6_is_mapped_alike() {
    let mut rig = Rig::new();
    let external: IpAddr = "2001:db8::7".parse().expect("an address");
    for host in 1..=9 {
        let key = key(protocol::UDP, socket("[fd00::2]:20000"), socket(&format!("[2001:db8:1::{host}]:{host}")));
        let id = rig.open(ALICE, Way::Out, key, Translation::Source(external)).expect("room");
        assert_eq!(rig.door(id), socket("[2001:db8::7]:20000"));
    }
    assert_eq!(rig.ports.held(protocol::UDP, external), 1);
}

/// RFC 4787, REQ-2. RFC 6888, REQ-2.
#[test]
fn all_flows_of_a_client_have_one_external_address() {
    let mut rig = Rig::new();
    for flow in 0..100 {
        let protocol = ALL[flow % 3];
        let inner = format!("10.0.0.2:{}", 20_000 + flow);
        let remote = if protocol == protocol::ICMP { 20_000 + flow } else { 80 };
        let id = rig.out(ALICE, protocol, &inner, &format!("203.0.113.1:{remote}")).expect("room");
        assert_eq!(rig.door(id).ip(), external());
    }
}

/// RFC 4787, REQ-3. RFC 5382, REQ-7. RFC 6888, REQ-13: none is given twice, and every one is.
#[test]
fn no_external_port_is_given_twice_and_none_is_taken_from_anybody() {
    let mut rig = Rig::new();
    let mut doors = std::collections::BTreeSet::new();
    let mut refused = 0;
    for flow in 0..70_000_u32 {
        // each owner stays modest, so that nothing is set aside
        let (owner, port) = (Owner(flow / 60), 1_024 + flow % 60);
        let inner = format!("10.{}.{}.2:{port}", flow / 60 / 256, flow / 60 % 256);
        match rig.out(owner, protocol::UDP, &inner, "203.0.113.1:4000") {
            Ok(id) => assert!(doors.insert(rig.door(id)), "given twice"),
            Err(reason) => {
                assert_eq!(reason, DropReason::PortsExhausted);
                refused += 1;
            }
        }
    }
    assert_eq!((doors.len(), refused), (35_436, 70_000 - 35_436));
    assert_eq!(rig.table.len(), 35_436);
}

/// RFC 4787, REQ-8, the default: address-dependent. RFC 5382, REQ-3. RFC 6888, REQ-7.
#[test]
fn a_stranger_is_let_in_only_from_an_address_that_was_spoken_to() {
    for protocol in [protocol::TCP, protocol::UDP] {
        let mut rig = Rig::new();
        let id = rig.out(ALICE, protocol, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
        let door = rig.door(id);
        let from = |remote: &str| key(protocol, socket(remote), door);

        let inner = Ok((ALICE, socket("10.0.0.2:20000")));
        assert_eq!(rig.table.admit_inbound(&from("203.0.113.1:4001")), inner);
        assert_eq!(rig.table.admit_inbound(&from("203.0.113.2:4000")), Err(DropReason::Unsolicited));
        let elsewhere = key(protocol, socket("203.0.113.1:4000"), socket("198.51.100.7:20001"));
        assert_eq!(rig.table.admit_inbound(&elsewhere), Err(DropReason::NotMapped));

        rig.table.close(id, &mut rig.ports, rig.now);
        assert_eq!(rig.table.admit_inbound(&from("203.0.113.1:4001")), Err(DropReason::NotMapped));
    }
}

/// RFC 4787, REQ-8, the other two kinds, and REQ-11: the same at all times.
#[test]
fn filtering_is_one_of_three_kinds_and_stays_so() {
    for (filtering, same_host, other_host) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPort, false, false),
    ] {
        let mut rig = Rig::with(WIDE, filtering);
        for flow in 0..2_000 {
            let inner = format!("10.0.0.2:{}", 20_000 + flow);
            let id = rig.out(ALICE, protocol::UDP, &inner, "203.0.113.1:4000").expect("room");
            let is_let_in =
                |remote: &str| rig.table.admit_inbound(&key(protocol::UDP, socket(remote), rig.door(id))).is_ok();
            assert_eq!((is_let_in("203.0.113.1:4001"), is_let_in("203.0.113.2:4001")), (same_host, other_host));
            rig.pass(1);
        }
    }
}

#[test]
fn a_flow_that_was_let_in_shares_the_mapping_and_keeps_it() {
    let mut rig = Rig::new();
    let asked = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let door = rig.door(asked);
    let came = rig.inward(protocol::UDP, "203.0.113.1:4001", door, "10.0.0.2:20000").expect("room");
    rig.table.close(asked, &mut rig.ports, rig.now);
    assert_eq!(rig.ports.holder(protocol::UDP, door), Some(3));

    // what came in is no word of the client's: nobody else is let in by it
    let other = key(protocol::UDP, socket("203.0.113.1:4002"), door);
    assert_eq!(rig.table.admit_inbound(&other), Err(DropReason::Unsolicited));
    let again = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.9:1").expect("room");
    assert_eq!(rig.door(again), door);

    rig.table.close(came, &mut rig.ports, rig.now);
    rig.table.close(again, &mut rig.ports, rig.now);
    assert_eq!(rig.ports.holder(protocol::UDP, door), None);
}

/// RFC 5382, REQ-4: nobody answers an unsolicited SYN, not within 6 seconds and not later.
#[test]
fn an_unsolicited_syn_is_dropped_without_a_word() {
    use crate::engine::dataplane::icmp::complaint;
    assert_eq!(complaint(DropReason::NotMapped, 1_420), None);
    assert_eq!(complaint(DropReason::Unsolicited, 1_420), None);
}

/// RFC 5508, REQ-1: a ping from outside is a question to the host, whoever has its identifier.
#[test]
fn an_identifier_is_no_door() {
    let mut rig = Rig::with(WIDE, Filtering::EndpointIndependent);
    let id = rig.out(ALICE, protocol::ICMP, "10.0.0.2:20000", "203.0.113.1:20000").expect("room");
    let ping = key(protocol::ICMP, socket("203.0.113.2:20000"), rig.door(id));
    assert_eq!(rig.table.admit_inbound(&ping), Err(DropReason::NotMapped));
}

/// RFC 5508, REQ-1: the answer carries the external identifier as both of its ports.
#[test]
fn a_ping_whose_identifier_is_taken_gets_another_and_finds_back() {
    let mut rig = Rig::new();
    rig.out(BOB, protocol::ICMP, "10.0.0.3:20000", "203.0.113.1:20000").expect("room");
    let id = rig.out(ALICE, protocol::ICMP, "10.0.0.2:20000", "203.0.113.1:20000").expect("room");
    let identifier = rig.door(id).port();
    assert_ne!(identifier, 20_000);

    let mut remote = socket("203.0.113.1:0");
    remote.set_port(identifier);
    let answer = key(protocol::ICMP, remote, SocketAddr::new(external(), identifier));
    assert_eq!(rig.table.find(&answer), Some((id, Side::Reply)));
    let flow = rig.table.get(id).expect("a flow");
    let inside = key(protocol::ICMP, socket("203.0.113.1:20000"), socket("10.0.0.2:20000"));
    assert_eq!(flow.translated(Side::Reply), Some(inside));
}

/// RFC 4787, REQ-9 (a). RFC 5382, REQ-8 (a).
#[test]
fn a_hairpin_is_seen_from_its_external_address_and_its_answers_find_back() {
    for protocol in [protocol::TCP, protocol::UDP] {
        let mut rig = Rig::new();
        let door = socket("198.51.100.7:8080");
        let there = rig.out(ALICE, protocol, "10.0.0.2:20000", "198.51.100.7:8080").expect("room");
        let looped = rig.table.get(there).and_then(|flow| flow.translated(Side::Original)).expect("translated");
        assert_eq!(looped, key(protocol, socket("198.51.100.7:20000"), door));

        // it comes back as if from outside and goes on to whom the port is forwarded
        assert_eq!(rig.table.find(&looped), None);
        let inner = Translation::Destination(socket("10.0.0.3:80"));
        let here = rig.open(BOB, Way::In, looped, inner).expect("room");
        let arrives = rig.table.get(here).and_then(|flow| flow.translated(Side::Original)).expect("translated");
        assert_eq!(arrives, key(protocol, socket("198.51.100.7:20000"), socket("10.0.0.3:80")));

        let (found, side) = rig.table.find(&arrives.reversed()).expect("the answer");
        assert_eq!((found, side), (here, Side::Reply));
        let back = rig.table.get(here).and_then(|flow| flow.translated(side)).expect("translated");
        let (found, side) = rig.table.find(&back).expect("the looped answer");
        assert_eq!((found, side), (there, Side::Reply));
        let home = rig.table.get(there).and_then(|flow| flow.translated(side)).expect("translated");
        assert_eq!(home, key(protocol, door, socket("10.0.0.2:20000")));
    }
}

/// RFC 4787, REQ-9 (a): between two mapped ports, and between the tables of two servers.
#[test]
fn a_hairpin_leads_to_another_servers_mapping() {
    let mut rig = Rig::new();
    let mut other = FlowTable::new(4, WIDE, Filtering::EndpointIndependent, 10, rig.now);
    let opening = Opening {
        owner: BOB,
        way: Way::Out,
        key: key(protocol::UDP, socket("10.1.0.2:30000"), socket("203.0.113.1:1")),
        epoch: 1,
        rule: None,
        translation: Translation::Source(external()),
    };
    other.open(&opening, &mut rig.ports, rig.now).expect("room");

    let there = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "198.51.100.7:30000").expect("room");
    let looped = rig.table.get(there).and_then(|flow| flow.translated(Side::Original)).expect("translated");
    assert_eq!(rig.ports.holder(protocol::UDP, looped.destination), Some(4));
    assert_eq!(rig.ports.holder(protocol::UDP, looped.source), Some(3));
    let (owner, inner) = other.admit_inbound(&looped).expect("let in");
    assert_eq!((owner, inner), (BOB, socket("10.1.0.2:30000")));
    let opening = Opening { way: Way::In, key: looped, translation: Translation::Destination(inner), ..opening };
    let here = other.open(&opening, &mut rig.ports, rig.now).expect("room");
    let back = other.get(here).and_then(|flow| flow.translated(Side::Reply)).expect("translated");
    assert_eq!(rig.table.find(&back), Some((there, Side::Reply)));
}

/// RFC 4787, REQ-1: a forwarded port is its client's name outside, both ways.
#[test]
fn a_client_speaks_from_the_port_that_is_forwarded_to_it() {
    let mut rig = Rig::new();
    let door = socket("198.51.100.7:25565");
    rig.ports.reserve(Some(external()), protocol::UDP, 25_565);
    let came = rig.inward(protocol::UDP, "203.0.113.1:4000", door, "10.0.0.2:25565").expect("room");
    let answer = key(protocol::UDP, socket("10.0.0.2:25565"), socket("203.0.113.1:4000"));
    assert_eq!(rig.table.find(&answer), Some((came, Side::Reply)));

    let speaks = key(protocol::UDP, socket("10.0.0.2:25565"), socket("203.0.113.2:4000"));
    let asked = rig.open(ALICE, Way::Out, speaks, Translation::SourceForwarded(door)).expect("room");
    assert_eq!((rig.door(asked), rig.table.mappings()), (door, 0));
    // nobody gets the port by a mapping
    let other = rig.out(BOB, protocol::UDP, "10.0.0.3:25565", "203.0.113.2:4000").expect("room");
    assert_ne!(rig.door(other), door);
}

/// Not in an RFC: the port shadow. A listener that appears takes its port back.
#[test]
fn a_port_that_is_reserved_later_is_taken_back_from_its_holder() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let kept = rig.out(ALICE, protocol::UDP, "10.0.0.2:20001", "203.0.113.1:4000").expect("room");

    assert_eq!(rig.ports.reserve(None, protocol::UDP, 20_000), [(external(), 3)]);
    rig.table.close_external(protocol::UDP, rig.door(id), &mut rig.ports, rig.now);

    assert_eq!((rig.lives(id), rig.lives(kept)), (false, true));
    let again = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    assert_ne!(rig.door(again).port(), 20_000);
}

/// RFC 4787, REQ-10. RFC 5382, REQ-6: a payload is never looked at, so no mapping comes of one.
#[test]
fn answers_that_would_look_like_anothers_are_refused() {
    let mut rig = Rig::new();
    let door = socket("198.51.100.7:9000");
    rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    // its answers would be the packets of the flow above
    let refused = rig.inward(protocol::UDP, "203.0.113.1:4000", door, "10.0.0.2:20000");
    assert_eq!(refused, Err(DropReason::FlowCollides));
    assert_eq!((rig.table.len(), rig.table.mappings()), (1, 1));
}

/// RFC 6888, REQ-6: translation can be off for a destination; such a flow and a translated one stand side by side.
#[test]
fn a_destination_without_translation_sees_the_inner_address() {
    let mut rig = Rig::new();
    rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let plain = key(protocol::UDP, socket("10.0.0.2:20000"), socket("192.0.2.1:4000"));
    let id = rig.open(ALICE, Way::Out, plain, Translation::None).expect("room");
    assert_eq!(rig.door(id), socket("10.0.0.2:20000"));
}
