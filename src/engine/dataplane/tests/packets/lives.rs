//! How long what is open stays open, and by whose word.

use super::*;

/// RFC 4787, REQ-5 and REQ-6: five minutes after the client's own last word, and no answer makes it longer.
#[test]
fn a_client_alone_keeps_its_port_open() {
    for (speaks, is_open) in [(true, true), (false, false)] {
        let mut rig = Rig::new(1);
        let (inner, remote) = (at(INNER[1][V4], 20_000), at(REMOTE[V4], 4_000));
        let door = rig.seen(0, protocol::UDP, &inner, &remote);
        for _ in 0..5 {
            rig.pass(60);
            assert!(rig.reaches(0, protocol::UDP, &remote, &door));
            if speaks {
                assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), door);
            }
        }

        rig.pass(60);

        assert_eq!(rig.reaches(0, protocol::UDP, &remote, &door), is_open);
    }
}

/// RFC 4787, REQ-6: one flow that is kept alive keeps the port for all of them, with the same name.
#[test]
fn a_port_lives_as_long_as_any_of_its_flows() {
    let mut rig = Rig::new(1);
    let (inner, kept) = (at(INNER[1][V4], 1_030), at(REMOTE[V4], 4_000));
    let door = rig.seen(0, protocol::UDP, &inner, &kept);
    rig.seen(0, protocol::UDP, &inner, &at(STRANGER[V4], 1));
    for _ in 0..6 {
        rig.pass(60);
        rig.seen(0, protocol::UDP, &inner, &kept);
    }

    assert_eq!(rig.world.plane.flows.len(), 1);
    assert_eq!(rig.seen(0, protocol::UDP, &inner, &at(STRANGER[V4], 2)), door);
}

/// RFC 5508, REQ-2: a ping waits 60 seconds for its answer.
#[test]
fn a_ping_is_answered_after_a_minute() {
    for (seconds, is_open) in [(60, true), (62, false)] {
        let mut rig = Rig::new(1);
        let ping = packet_of(&key(protocol::ICMP, &at(INNER[1][V4], 20_000), &at(REMOTE[V4], 20_000)), b"?");
        let left = rig.up(0, &ping).only_left();
        rig.pass(seconds);
        assert_eq!(!rig.arrive(&pong(&left)).is_nothing(), is_open, "{seconds}");
    }
}

/// RFC 4787, REQ-12. RFC 5382, REQ-10. RFC 5508, REQ-6: an error ends nothing that is open, and keeps nothing alive.
#[test]
fn an_error_neither_ends_a_flow_nor_keeps_it_alive() {
    for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP] {
        let mut rig = Rig::new(1);
        let remote = at(REMOTE[V4], 20_000);
        let question = match protocol {
            protocol::TCP => segment(&at(INNER[1][V4], 20_000), &remote, (SYN, 1, 0)),
            _ => packet_of(&key(protocol, &at(INNER[1][V4], 20_000), &remote), b"?"),
        };
        let left = rig.up(0, &question).only_left();
        for (kind, code) in [(3, 0), (3, 1), (3, 2), (3, 3), (3, 4), (3, 13), (11, 0), (4, 0), (12, 0)] {
            let told = rig.arrive(&error((kind, code), 0, STRANGER[V4], &left)).only_got(0);
            assert_eq!(icmp_type(&told), (kind, code));
        }

        assert_eq!(rig.world.plane.flows.len(), 1);
        let life = if protocol == protocol::ICMP { 60 } else { 240 };
        for _ in 0..life / 60 {
            rig.pass(60);
            rig.arrive(&error((3, 1), 0, STRANGER[V4], &left));
        }
        rig.pass(if protocol == protocol::UDP { 61 } else { 2 });
        assert_eq!(rig.world.plane.flows.len(), 0);
    }
}
