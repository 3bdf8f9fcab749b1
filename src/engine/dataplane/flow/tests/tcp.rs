//! TCP's phases, its resets, and how long each lasts.

use super::*;
use crate::engine::dataplane::flow::State;

const ME: u32 = 1_000;
const THEM: u32 = u32::MAX - 50;

fn syn(sequence: u32) -> TcpMark {
    TcpMark { syn: true, sequence, length: 1, ..TcpMark::default() }
}

fn syn_ack(sequence: u32, acknowledges: u32) -> TcpMark {
    TcpMark { acknowledges: Some(acknowledges), ..syn(sequence) }
}

fn ack(sequence: u32, acknowledges: u32, length: u32) -> TcpMark {
    TcpMark { acknowledges: Some(acknowledges), sequence, length, ..TcpMark::default() }
}

fn fin(sequence: u32, acknowledges: u32) -> TcpMark {
    TcpMark { fin: true, ..ack(sequence, acknowledges, 1) }
}

fn rst(sequence: u32) -> TcpMark {
    TcpMark { rst: true, sequence, ..TcpMark::default() }
}

fn opening() -> (Rig, FlowId) {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", "203.0.113.1:80").expect("room");
    rig.segment(id, Side::Original, syn(ME));
    (rig, id)
}

/// A connection over which 100 bytes went each way; all but the last 40 are acknowledged.
fn established() -> (Rig, FlowId) {
    let (mut rig, id) = opening();
    rig.segment(id, Side::Reply, syn_ack(THEM, ME + 1));
    rig.segment(id, Side::Original, ack(ME + 1, THEM.wrapping_add(1), 100));
    rig.segment(id, Side::Reply, ack(THEM.wrapping_add(1), ME + 101, 60));
    rig.segment(id, Side::Original, ack(ME + 101, THEM.wrapping_add(61), 0));
    rig.segment(id, Side::Reply, ack(THEM.wrapping_add(61), ME + 101, 40));
    assert_eq!(state(&rig, id), State::Established);
    (rig, id)
}

fn state(rig: &Rig, id: FlowId) -> State {
    rig.table.get(id).expect("a flow").state()
}

fn lasts(rig: &mut Rig, id: FlowId, seconds: u64) {
    rig.pass(seconds);
    assert!(rig.lives(id), "shorter than {seconds} s");
    rig.pass(1);
    assert!(!rig.lives(id), "longer than {seconds} s");
}

/// RFC 5382, REQ-5: established, at least 2 hours 4 minutes.
#[test]
fn an_open_connection_may_be_silent_for_two_hours_and_four_minutes() {
    let (mut rig, id) = established();
    lasts(&mut rig, id, 7_440);
}

/// RFC 5382, REQ-5: transitory, at least 4 minutes. RFC 7857, section 2.1: of its own for opening and closing.
#[test]
fn a_connection_that_opens_or_closes_has_four_minutes() {
    let (mut rig, id) = opening();
    lasts(&mut rig, id, 240);
    let (mut rig, id) = opening();
    rig.segment(id, Side::Reply, syn_ack(THEM, ME + 1));
    lasts(&mut rig, id, 240);
    let (mut rig, id) = established();
    rig.segment(id, Side::Original, fin(ME + 101, THEM.wrapping_add(101)));
    assert_eq!(state(&rig, id), State::Established, "data still flows the other way");
    rig.segment(id, Side::Reply, fin(THEM.wrapping_add(101), ME + 102));
    assert_eq!(state(&rig, id), State::Closing);
    lasts(&mut rig, id, 240);
}

/// RFC 5382, REQ-5: closing begins when both sides have ended, so that half a connection lives as long as a whole.
#[test]
fn a_connection_that_one_side_has_ended_is_still_open() {
    let (mut rig, id) = established();
    rig.segment(id, Side::Reply, fin(THEM.wrapping_add(101), ME + 101));
    lasts(&mut rig, id, 7_440);
}

/// RFC 5382, REQ-2: the three-way handshake and the simultaneous open, from both sides.
#[test]
fn every_valid_way_to_open_opens() {
    let (mut rig, id) = opening();
    rig.segment(id, Side::Reply, syn(THEM));
    rig.segment(id, Side::Reply, syn_ack(THEM, ME + 1));
    assert_eq!(state(&rig, id), State::Opening);
    rig.segment(id, Side::Original, syn_ack(ME, THEM.wrapping_add(1)));
    assert_eq!(state(&rig, id), State::Established);

    // with data in the SYN, and the SYN sent again with another number
    let (mut rig, id) = opening();
    rig.segment(id, Side::Original, TcpMark { length: 11, ..syn(ME + 5_000_000) });
    rig.segment(id, Side::Reply, syn_ack(THEM, ME + 5_000_011));
    rig.segment(id, Side::Original, ack(ME + 5_000_011, THEM.wrapping_add(1), 0));
    assert_eq!(state(&rig, id), State::Established);
}

/// RFC 5382, REQ-2 (a): a SYN from outside, before or after the inside's own, belongs to the flow.
#[test]
fn a_simultaneous_open_is_one_flow() {
    let (rig, id) = opening();
    let incoming = key(protocol::TCP, socket("203.0.113.1:80"), rig.door(id));
    assert_eq!(rig.table.find(&incoming), Some((id, Side::Reply)));
}

/// RFC 5382, REQ-2: what was open before the table began is taken up, and lives once both sides have spoken.
#[test]
fn a_connection_is_taken_up_in_mid_stream() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", "203.0.113.1:80").expect("room");
    rig.segment(id, Side::Original, ack(ME, THEM, 500));
    assert_eq!(state(&rig, id), State::Opening);
    rig.segment(id, Side::Reply, ack(THEM, ME + 500, 0));
    rig.segment(id, Side::Original, ack(ME + 500, THEM, 1));
    assert_eq!(state(&rig, id), State::Established);
}

/// Not in an RFC: a handshake that its sender cannot see is not believed.
#[test]
fn a_blind_acknowledgement_opens_nothing() {
    let mut rig = Rig::new();
    let id = rig.inward(protocol::TCP, "203.0.113.1:1", socket("198.51.100.7:80"), "10.0.0.2:80").expect("room");
    rig.segment(id, Side::Original, syn(ME));
    rig.segment(id, Side::Reply, syn_ack(THEM, ME + 1));
    for guess in 2..10_000_u32 {
        rig.segment(id, Side::Original, ack(ME + 1, THEM.wrapping_add(guess.wrapping_mul(400_000)), 0));
    }
    assert_eq!(state(&rig, id), State::Opening);
    rig.segment(id, Side::Original, ack(ME + 1, THEM.wrapping_add(1), 0));
    assert_eq!(state(&rig, id), State::Established);
}

/// RFC 7857, section 2.2: a reset is kept for 4 minutes.
#[test]
fn a_connection_that_was_reset_is_kept_for_four_minutes() {
    for (side, sequence) in [
        (Side::Original, ME + 101),
        (Side::Reply, THEM.wrapping_add(101)),
        // of what was sent and not yet acknowledged
        (Side::Reply, THEM.wrapping_add(61)),
    ] {
        let (mut rig, id) = established();
        rig.segment(id, side, rst(sequence));
        assert_eq!(state(&rig, id), State::Reset);
        lasts(&mut rig, id, 240);
    }
    // refused: the reset's own number says nothing, what it acknowledges does
    let (mut rig, id) = opening();
    rig.segment(id, Side::Reply, TcpMark { acknowledges: Some(ME), ..rst(0) });
    assert_eq!(state(&rig, id), State::Opening);
    rig.segment(id, Side::Reply, TcpMark { acknowledges: Some(ME + 1), ..rst(0) });
    assert_eq!(state(&rig, id), State::Reset);
    lasts(&mut rig, id, 240);
}

/// RFC 7857, section 2.2: 10,000 resets out of the window end no connection.
#[test]
fn resets_out_of_the_window_end_nothing() {
    let (mut rig, id) = established();
    let window = THEM.wrapping_add(61)..=THEM.wrapping_add(101);
    let mut sequence = 12_345_u32;
    for _ in 0..10_000 {
        sequence = sequence.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if !window.contains(&sequence) {
            rig.segment(id, Side::Reply, rst(sequence));
        }
    }
    for edge in [THEM.wrapping_add(60), THEM.wrapping_add(102)] {
        rig.segment(id, Side::Reply, rst(edge));
    }
    assert_eq!(state(&rig, id), State::Established);
    lasts(&mut rig, id, 7_440);
}

/// RFC 7857, section 2.2: packets after a reset show that it was not true.
#[test]
fn a_connection_whose_sides_talk_on_was_not_reset() {
    let (mut rig, id) = established();
    rig.segment(id, Side::Reply, rst(THEM.wrapping_add(101)));
    rig.segment(id, Side::Original, ack(ME + 101, THEM.wrapping_add(101), 20));
    assert_eq!(state(&rig, id), State::Reset);
    rig.segment(id, Side::Reply, ack(THEM.wrapping_add(101), ME + 121, 0));
    assert_eq!(state(&rig, id), State::Established);
    lasts(&mut rig, id, 7_440);
}

/// RFC 7857, section 2.3: a reset from inside does not refresh.
#[test]
fn a_reset_keeps_nothing_alive() {
    let (mut rig, id) = established();
    rig.segment(id, Side::Original, rst(ME + 101));
    rig.pass(200);
    rig.segment(id, Side::Original, rst(ME + 101));
    rig.pass(41);
    assert!(!rig.lives(id));
}

/// RFC 4787, REQ-6, for TCP: what comes from outside alone keeps nothing alive.
#[test]
fn retransmissions_to_a_client_that_is_gone_do_not_keep_its_connection() {
    let (mut rig, id) = established();
    for _ in 0..8 {
        rig.pass(1_000);
        rig.segment(id, Side::Reply, ack(THEM.wrapping_add(61), ME + 101, 40));
    }
    assert!(!rig.lives(id));
}

/// RFC 5382, REQ-2: the same pair of ports is used again before the old connection is forgotten.
#[test]
fn a_new_syn_opens_again_what_was_closed_or_reset() {
    let (mut rig, id) = established();
    rig.segment(id, Side::Original, fin(ME + 101, THEM.wrapping_add(101)));
    rig.segment(id, Side::Reply, fin(THEM.wrapping_add(101), ME + 102));
    for _ in 0..3 {
        rig.segment(id, Side::Original, syn(77));
        assert_eq!(state(&rig, id), State::Opening);
        rig.segment(id, Side::Reply, syn_ack(88, 78));
        rig.segment(id, Side::Original, ack(78, 89, 0));
        assert_eq!(state(&rig, id), State::Established);
        rig.segment(id, Side::Original, rst(78));
        assert_eq!(state(&rig, id), State::Reset);
    }
    // a SYN in an open connection changes nothing: its receiver will challenge it
    let (mut rig, id) = established();
    rig.segment(id, Side::Reply, syn(5));
    assert_eq!(state(&rig, id), State::Established);
}

#[test]
fn a_forged_end_of_stream_is_not_believed() {
    let (mut rig, id) = established();
    rig.segment(id, Side::Original, fin(ME + 101, THEM.wrapping_add(101)));
    for step in 1..1_000_u32 {
        rig.segment(id, Side::Reply, fin(THEM.wrapping_add(2_000_000).wrapping_add(step * 4_000_000), ME));
    }
    assert_eq!(state(&rig, id), State::Established);
}

#[test]
fn a_super_packet_moves_the_window_by_all_that_it_carries() {
    let (mut rig, id) = established();
    rig.segment(id, Side::Reply, ack(THEM.wrapping_add(101), ME + 101, 60_000));
    rig.segment(id, Side::Reply, rst(THEM.wrapping_add(60_101)));
    assert_eq!(state(&rig, id), State::Reset);
}

#[test]
fn half_open_places_come_back_whichever_way_a_connection_goes_on() {
    let limits = FlowLimits { half_open_of_owner: 1, ..WIDE };
    let mut rig = Rig::with(limits, Filtering::default());
    for round in 0..50 {
        let id = rig.out(ALICE, protocol::TCP, "10.0.0.2:20000", &format!("203.0.113.1:{}", 80 + round)).expect("room");
        rig.segment(id, Side::Original, syn(ME));
        match round % 3 {
            0 => rig.table.close(id, &mut rig.ports, rig.now),
            1 => rig.segment(id, Side::Reply, TcpMark { acknowledges: Some(ME + 1), ..rst(0) }),
            _ => {
                rig.segment(id, Side::Reply, syn_ack(THEM, ME + 1));
                rig.segment(id, Side::Original, ack(ME + 1, THEM.wrapping_add(1), 0));
            }
        }
    }
}

/// RFC 5382, REQ-2: what may begin a flow.
#[test]
fn resets_and_answers_to_pings_begin_nothing() {
    use crate::engine::dataplane::flow::may_open;
    use crate::engine::wire::Ip;
    use crate::engine::wire::icmp::{self, Echo};

    let (source, destination) = (socket("10.0.0.2:1").ip(), socket("203.0.113.1:2").ip());
    let mut packet = [0; 28];
    for (echo, expected) in [(Echo::Request, true), (Echo::Reply, false)] {
        let length = icmp::seal_echo(&mut packet, echo, (source, destination), (1, 1), 0).expect("fits");
        assert_eq!(may_open(&Ip::new(&packet[..length]).expect("well formed")), expected);
    }
    for (flags, expected) in [(0x02, true), (0x10, true), (0x04, false), (0x14, false)] {
        let mut packet = [0; 40];
        packet[..20].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 203, 0, 113, 1]);
        (packet[32], packet[33]) = (0x50, flags);
        assert_eq!(may_open(&Ip::new(&packet[..]).expect("well formed")), expected);
    }
}
