//! How long flows of UDP and pings live, and what keeps them alive.

use super::*;

/// RFC 4787, REQ-5: at least 2 minutes, 5 recommended.
#[test]
fn a_udp_flow_may_be_silent_for_five_minutes() {
    for answered in [false, true] {
        let mut rig = Rig::new();
        let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
        rig.note(id, Side::Original);
        if answered {
            rig.note(id, Side::Reply);
        }
        rig.pass(119);
        assert!(rig.lives(id));
        rig.pass(181);
        assert!(rig.lives(id));
        rig.pass(1);
        assert!(!rig.lives(id));
        assert_eq!(rig.table.poll_deadline(), None);
    }
}

/// RFC 4787, REQ-5 (a): a well-known port may have less.
#[test]
fn a_question_to_port_53_has_half_a_minute() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:53").expect("room");
    rig.pass(30);
    assert!(rig.lives(id));
    rig.pass(1);
    assert!(!rig.lives(id));
}

/// RFC 4787, REQ-6: what comes from inside refreshes, what comes from outside does not.
#[test]
fn only_the_client_keeps_its_flow_alive() {
    let mut rig = Rig::new();
    let asked = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let spoken = rig.out(ALICE, protocol::UDP, "10.0.0.2:20001", "203.0.113.1:4000").expect("room");
    let came = rig.inward(protocol::UDP, "203.0.113.1:4000", socket("198.51.100.7:80"), "10.0.0.2:80").expect("room");
    let answered = rig.inward(protocol::UDP, "203.0.113.2:1", socket("198.51.100.7:80"), "10.0.0.2:80").expect("room");
    for _ in 0..4 {
        rig.pass(100);
        rig.note(asked, Side::Reply);
        rig.note(spoken, Side::Original);
        rig.note(came, Side::Original);
        rig.note(answered, Side::Reply);
    }
    let alive = [asked, spoken, came, answered].map(|id| rig.lives(id));
    assert_eq!(alive, [false, true, false, true]);
}

/// RFC 4787, REQ-6: between clients both sides are inside.
#[test]
fn either_client_keeps_the_flow_between_them_alive() {
    let mut rig = Rig::new();
    let key = key(protocol::UDP, socket("10.0.0.2:1"), socket("10.0.0.3:2"));
    let id = rig.open(ALICE, Way::Across(BOB), key, Translation::None).expect("room");
    for _ in 0..4 {
        rig.pass(200);
        rig.note(id, Side::Reply);
    }
    assert!(rig.lives(id));
}

/// RFC 5508, REQ-2: at least 60 seconds.
#[test]
fn a_ping_may_be_unanswered_for_a_minute() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::ICMP, "10.0.0.2:20000", "203.0.113.1:20000").expect("room");
    rig.note(id, Side::Original);
    rig.pass(60);
    assert!(rig.lives(id));
    rig.pass(1);
    assert!(!rig.lives(id));
}

/// RFC 4787, REQ-12. RFC 5382, REQ-10. RFC 5508, REQ-6. RFC 7857, section 2.3.
#[test]
fn an_icmp_error_finds_its_flow_and_neither_ends_nor_refreshes_it() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let sent = rig.table.get(id).and_then(|flow| flow.translated(Side::Original)).expect("translated");
    let received = key(protocol::UDP, socket("203.0.113.1:4000"), socket("10.0.0.2:20000"));
    for _ in 0..10_000 {
        assert_eq!(rig.table.find_error(&sent), Some((id, Side::Reply)));
        assert_eq!(rig.table.find_error(&received), Some((id, Side::Original)));
    }
    rig.pass(300);
    assert!(rig.lives(id));
    assert!(rig.table.find_error(&sent).is_some());
    rig.pass(1);
    assert!(rig.table.find_error(&sent).is_none());
}

/// RFC 6888, REQ-8: a port rests for 120 seconds.
#[test]
fn a_released_port_rests() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    rig.table.close(id, &mut rig.ports, rig.now);
    for (seconds, is_back) in [(0, false), (118, false), (3, true)] {
        rig.pass(seconds);
        let id = rig.out(BOB, protocol::UDP, "10.0.0.3:20000", "203.0.113.1:4000").expect("room");
        assert_eq!(rig.door(id).port() == 20_000, is_back);
        rig.table.close(id, &mut rig.ports, rig.now);
    }
}

#[test]
fn one_call_ends_a_bounded_number_and_asks_to_be_called_again() {
    let mut rig = Rig::new();
    for port in 0..2_000 {
        rig.out(ALICE, protocol::UDP, &format!("10.0.0.2:{}", 20_000 + port), "203.0.113.1:4000").expect("room");
    }
    rig.now += Duration::from_secs(400);
    rig.table.handle_deadline(&mut rig.ports, rig.now);
    assert_eq!(rig.table.len(), 2_000 - 256);
    assert!(rig.table.poll_deadline().is_some_and(|at| at <= rig.now));
    rig.pass(0);
    assert_eq!((rig.table.len(), rig.ports.held(protocol::UDP, external())), (0, 0));
}
