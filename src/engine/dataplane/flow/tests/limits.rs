//! Bounds, and who is hurt by them.

use super::super::super::icmp::complaint;
use super::*;
use crate::engine::wire::icmp::Complaint;

/// RFC 6888, REQ-4 and REQ-11. RFC 5508, REQ-8: whoever takes too many ports is told, and nobody else feels it.
#[test]
fn one_clients_flood_takes_its_own_ports_and_no_one_elses() {
    let limits = FlowLimits { mappings_of_owner: 2_000, ..WIDE };
    let mut rig = Rig::with(limits, Filtering::default());
    let quiet = rig.out(BOB, protocol::TCP, "10.0.0.3:20000", "203.0.113.1:80").expect("room");
    for flow in 0..100_000_u32 {
        let inner = format!("10.0.0.2:{}", 1_024 + flow % 60_000);
        let remote = format!("203.0.113.{}:4000", 1 + flow / 60_000);
        let opened = rig.out(ALICE, protocol::UDP, &inner, &remote);
        if flow >= 60_000 + 2_000 {
            assert_eq!(opened, Err(DropReason::MappingsOfOwnerFull));
        }
    }
    assert_eq!(rig.table.mappings_of(ALICE), 2_000);
    for owner in 3..23 {
        for port in 0..20 {
            let inner = format!("10.0.0.{owner}:{}", 30_000 + port);
            assert!(rig.out(Owner(owner), protocol::UDP, &inner, "203.0.113.1:4000").is_ok());
        }
    }
    assert!(rig.lives(quiet));
    for reason in [
        DropReason::MappingsOfOwnerFull,
        DropReason::PortsExhausted,
        DropReason::FlowRate,
        DropReason::FlowsOfOwnerFull,
        DropReason::HalfOpenFull,
        DropReason::FlowTableFull,
    ] {
        assert_eq!(complaint(reason, 1_420), Some(Complaint::Prohibited));
    }
}

/// RFC 6888, REQ-4: the limit can be set, per subscriber.
#[test]
fn limits_change_while_flows_are_open() {
    let mut rig = Rig::with(FlowLimits { mappings_of_owner: 1, ..WIDE }, Filtering::default());
    let first = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let second = |rig: &mut Rig| rig.out(ALICE, protocol::UDP, "10.0.0.2:20001", "203.0.113.1:4000");
    assert_eq!(second(&mut rig), Err(DropReason::MappingsOfOwnerFull));
    rig.table.apply(WIDE, Filtering::default());
    assert!(second(&mut rig).is_ok() && rig.lives(first));
}

/// RFC 6888, REQ-4 (c): new flows have a rate.
#[test]
fn new_flows_have_a_rate_and_a_burst() {
    let limits = FlowLimits { new_per_second: 200, new_burst: 1_000, ..WIDE };
    let mut rig = Rig::with(limits, Filtering::default());
    let mut port = 0;
    let mut opened_of = |rig: &mut Rig, tries: u32| {
        let opened = (0..tries).filter(|_| {
            port += 1;
            let remote = format!("203.0.{}.{}:80", port / 250, 1 + port % 250);
            rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", &remote).is_ok()
        });
        opened.count()
    };
    assert_eq!(opened_of(&mut rig, 2_000), 1_000);
    rig.pass(1);
    assert_eq!(opened_of(&mut rig, 2_000), 200);
    rig.pass(2);
    assert_eq!(opened_of(&mut rig, 2_000), 400);
    assert_eq!(rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", "192.0.2.1:1"), Err(DropReason::FlowRate));
    assert!(rig.out(BOB, protocol::TCP, "10.0.0.3:20000", "203.0.113.1:80").is_ok());
    // what begins outside has a budget of its own
    assert!(rig.inward(protocol::TCP, "192.0.2.1:1", socket("198.51.100.7:80"), "10.0.0.2:80").is_ok());
}

/// RFC 6888, REQ-11: exhaustion is the exhausting one's.
#[test]
fn a_flood_from_outside_takes_half_of_its_owners_room_and_leaves_the_other() {
    let limits = FlowLimits { flows_of_owner: 100, half_open_of_owner: 40, ..WIDE };
    let mut rig = Rig::with(limits, Filtering::default());
    let door = socket("198.51.100.7:80");
    let mut refusals = Vec::new();
    for port in 1..1_000 {
        if let Err(reason) = rig.inward(protocol::TCP, &format!("203.0.113.1:{port}"), door, "10.0.0.2:80") {
            refusals.push(reason);
        }
    }
    refusals.dedup();
    assert_eq!((refusals, rig.table.count_of(ALICE)), (vec![DropReason::HalfOpenFull], 20));
    for port in 1..1_000 {
        let _ = rig.inward(protocol::UDP, &format!("203.0.113.1:{port}"), door, "10.0.0.2:80");
    }
    assert_eq!(rig.table.count_of(ALICE), 50);
    for port in 1..=40 {
        assert!(rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", &format!("203.0.113.1:{port}")).is_ok());
    }
    let refused = rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", "203.0.113.1:999");
    assert_eq!(refused, Err(DropReason::HalfOpenFull));
    // the places come back when nobody answers
    rig.pass(241);
    assert!(rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", "203.0.113.1:999").is_ok());
}

/// RFC 6888, REQ-11: no flow of a quiet client is ended, or refused, for a noisy one's.
#[test]
fn a_full_table_keeps_a_quarter_for_those_who_have_little() {
    let limits = FlowLimits { flows: 1_000, ..WIDE };
    let mut rig = Rig::with(limits, Filtering::default());
    let fill = |rig: &mut Rig, owner: u32, wish: u32| {
        let opened = (0..wish).filter(|port| {
            let inner = format!("10.0.0.{owner}:{}", 1_024 + port);
            rig.out(Owner(owner), protocol::UDP, &inner, "203.0.113.1:4000").is_ok()
        });
        opened.count()
    };
    assert_eq!(fill(&mut rig, 2, 500), 500);
    assert_eq!(fill(&mut rig, 3, 500), 250);
    assert_eq!(fill(&mut rig, 4, 500), 64);
    assert_eq!(fill(&mut rig, 5, 50), 50);
    let refused = rig.out(Owner(2), protocol::UDP, "10.0.0.2:5000", "203.0.113.1:4000");
    assert_eq!(refused, Err(DropReason::FlowTableFull));
    assert_eq!(rig.table.count_of(Owner(2)), 500);
}

#[test]
fn an_owner_has_a_bound_of_flows() {
    let mut rig = Rig::with(FlowLimits { flows_of_owner: 10, ..WIDE }, Filtering::default());
    for port in 1..=10 {
        assert!(rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", &format!("203.0.113.1:{port}")).is_ok());
    }
    let refused = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:11");
    assert_eq!(refused, Err(DropReason::FlowsOfOwnerFull));
    assert!(rig.out(BOB, protocol::UDP, "10.0.0.3:20000", "203.0.113.1:11").is_ok());
}
