//! An exhaustion hurts whoever caused it.

use super::super::super::flow::{Filtering, FlowLimits};
use super::*;

fn question(client: usize, port: u16) -> Vec<u8> {
    packet_of(&key(protocol::UDP, &at(INNER[client][V4], port), &at(REMOTE[V4], 4_000)), b"?")
}

/// RFC 6888, REQ-4 and REQ-11. RFC 5508, REQ-8: whoever has as many ports as one may have is told "prohibited", keeps what
/// it has, and nobody else feels it.
#[test]
fn a_client_with_too_many_ports_is_refused_alone() {
    let mut rig = Rig::new(2);
    rig.world.plane.flows.apply(FlowLimits { mappings_of_owner: 100, ..FlowLimits::default() }, Filtering::default());
    for port in 20_000..20_100 {
        rig.up(0, &question(1, port)).only_left();
    }

    let told = rig.up(0, &question(1, 20_100)).only_got(0);

    assert_eq!(icmp_type(&told), (3, 13));
    assert_eq!(rig.dropped(DropReason::MappingsOfOwnerFull), 1);
    assert_eq!(ends(&rig.up(0, &question(1, 20_000)).only_left()).0, at(EXTERNAL[V4], 20_000), "nothing makes room");
    assert_eq!(ends(&rig.up(1, &question(2, 20_100)).only_left()).0, at(EXTERNAL[V4], 20_100));
}

/// RFC 6888, REQ-4 (c): new flows have a rate, each client its own.
#[test]
fn a_client_that_begins_too_many_flows_at_once_is_refused_alone() {
    let mut rig = Rig::new(2);
    let limits = FlowLimits { new_burst: 50, new_per_second: 10, ..FlowLimits::default() };
    rig.world.plane.flows.apply(limits, Filtering::default());
    let begun = (20_000..20_200).filter(|port| !rig.up(0, &question(1, *port)).left.is_empty()).count();
    assert_eq!(begun, 50);

    rig.up(1, &question(2, 30_000)).only_left();

    rig.world.pass(Duration::from_secs(1));
    let begun = (21_000..21_200).filter(|port| !rig.up(0, &question(1, *port)).left.is_empty()).count();
    assert_eq!(begun, 10);
}

/// RFC 6888, REQ-11: a client takes at most three quarters of the ports; the rest is for those who have few.
#[test]
fn the_last_ports_are_for_those_who_have_few() {
    let mut rig = Rig::new(2);
    let wide = FlowLimits { mappings_of_owner: 1 << 20, new_burst: 1 << 20, ..FlowLimits::default() };
    rig.world.plane.flows.apply(wide, Filtering::default());
    rig.world.ports = Ports::new(20_000..=20_399, [7; 32], rig.world.now);
    let taken = (1_024..1_500).filter(|port| !rig.up(0, &question(1, *port)).left.is_empty()).count();
    assert_eq!(taken, 300);

    for port in 0..50 {
        rig.up(1, &question(2, 1_024 + port)).only_left();
    }
    assert!(rig.dropped(DropReason::PortsExhausted) > 0);
}

/// RFC 6888, REQ-8: a port that was given back rests before anybody else has it.
#[test]
fn a_port_rests_before_another_client_has_it() {
    let mut rig = Rig::new(2);
    rig.up(0, &question(1, 20_000)).only_left();
    rig.pass(302);
    assert_eq!(rig.world.plane.flows.len(), 0);
    assert_ne!(ends(&rig.up(1, &question(2, 20_000)).only_left()).0, at(EXTERNAL[V4], 20_000));
}

/// RFC 6888, REQ-4: a flood from outside takes nothing of what its target may begin itself.
#[test]
fn a_flood_from_outside_leaves_the_clients_own_flows_alone() {
    let mut rig = Rig::new(1);
    rig.forward(&[(Transport::Udp, 8_080, 1, 80)]);
    let limits = FlowLimits { flows_of_owner: 100, new_burst: 1 << 20, ..FlowLimits::default() };
    rig.world.plane.flows.apply(limits, Filtering::default());
    let let_in = (1_000..1_500)
        .filter(|port| rig.reaches(0, protocol::UDP, &at(STRANGER[V4], *port), &at(EXTERNAL[V4], 8_080)))
        .count();
    assert_eq!(let_in, 50);

    for port in 20_000..20_050 {
        rig.up(0, &question(1, port)).only_left();
    }
}
