//! TCP connections: how they open, and how they end.

use super::*;
use crate::engine::dataplane::flow::State;

/// The inside's segments and the outside's, of one connection.
struct Talk {
    rig: Rig,
    inner: String,
    remote: String,
    door: String,
}

impl Talk {
    fn new() -> Self {
        let (inner, remote, door) = (at(INNER[1][V4], 20_000), at(REMOTE[V4], 443), at(EXTERNAL[V4], 20_000));
        Self { rig: Rig::new(1), inner, remote, door }
    }

    /// The client sends; whether it leaves as it ought to.
    fn up(&mut self, mark: (u8, u32, u32)) -> bool {
        let came = self.rig.up(0, &segment(&self.inner, &self.remote, mark));
        !came.is_nothing() && ends(&came.only_left()) == (self.door.clone(), self.remote.clone())
    }

    /// The host outside sends; whether the client gets it.
    fn down(&mut self, mark: (u8, u32, u32)) -> bool {
        let came = self.rig.arrive(&segment(&self.remote, &self.door, mark));
        !came.is_nothing() && ends(&came.only_got(0)) == (self.remote.clone(), self.inner.clone())
    }

    fn states(&self) -> Vec<State> {
        self.rig.world.plane.flows.iter().map(|(_, flow)| flow.state()).collect()
    }

    fn open(&mut self) {
        assert!(self.up((SYN, 1_000, 0)) && self.down((SYN | ACK, 9_000, 1_001)) && self.up((ACK, 1_001, 9_001)));
    }
}

/// RFC 5382, REQ-2: three segments open a connection.
#[test]
fn a_three_way_handshake_opens_a_connection() {
    let mut talk = Talk::new();
    assert!(talk.up((SYN, 1_000, 0)));
    assert_eq!(talk.states(), [State::Opening]);
    assert!(talk.down((SYN | ACK, 9_000, 1_001)) && talk.up((ACK, 1_001, 9_001)));
    assert_eq!(talk.states(), [State::Established]);
}

/// RFC 5382, REQ-2 (a): both begin at once. The outside's SYN comes before or after the inside's answer to it.
#[test]
fn a_simultaneous_open_opens_a_connection() {
    let mut talk = Talk::new();
    assert!(talk.up((SYN, 1_000, 0)) && talk.down((SYN, 9_000, 0)));
    assert!(talk.up((SYN | ACK, 1_000, 9_001)) && talk.down((SYN | ACK, 9_000, 1_001)));
    assert_eq!(talk.states(), [State::Established]);
}

/// RFC 5382, REQ-2 (a): the outside's SYN comes first, to a port whose client has spoken to that host.
#[test]
fn a_syn_from_outside_that_is_first_is_part_of_a_simultaneous_open() {
    let mut talk = Talk::new();
    // the client has spoken to the host by the same port
    assert_eq!(talk.rig.seen(0, protocol::TCP, &talk.inner.clone(), &at(REMOTE[V4], 80)), talk.door);

    assert!(talk.down((SYN, 9_000, 0)) && talk.up((SYN, 1_000, 0)));
    assert!(talk.down((SYN | ACK, 9_000, 1_001)) && talk.up((SYN | ACK, 1_000, 9_001)));

    assert!(talk.states().contains(&State::Established));
    assert_eq!(talk.rig.world.plane.flows.mappings(), 1);
}

/// RFC 5382, REQ-4: an unsolicited SYN is answered neither within 6 seconds nor later, and does not stand in the way of the
/// client's own SYN.
#[test]
fn an_unsolicited_syn_is_met_with_silence() {
    let mut talk = Talk::new();
    assert_eq!(talk.rig.seen(0, protocol::TCP, &talk.inner.clone(), &at(STRANGER[V4], 80)), talk.door);
    for _ in 0..10 {
        assert!(!talk.down((SYN, 9_000, 0)));
        talk.rig.world.pass(Duration::from_secs(1));
        talk.rig.world.handle_deadline();
        assert!(talk.rig.settle().is_nothing());
    }
    assert_eq!(talk.rig.dropped(DropReason::Unsolicited), 10);

    assert!(talk.up((SYN, 1_000, 0)) && talk.down((SYN, 9_000, 0)));
}

/// Brings a connection to a state.
type Prepare = fn(&mut Talk);

/// RFC 5382, REQ-5: an open connection may be silent for 2 hours and 4 minutes, one that opens or has ended for 4 minutes.
#[test]
fn a_connection_lives_as_long_as_its_state_says() {
    let established = |talk: &mut Talk| talk.open();
    let opening = |talk: &mut Talk| assert!(talk.up((SYN, 1_000, 0)));
    let closing = |talk: &mut Talk| {
        talk.open();
        assert!(talk.up((FIN | ACK, 1_001, 9_001)) && talk.down((FIN | ACK, 9_001, 1_002)));
        assert!(talk.up((ACK, 1_002, 9_002)));
    };
    for (prepare, life) in [(established as Prepare, 7_440), (opening, 240), (closing, 240)] {
        let mut talk = Talk::new();
        prepare(&mut talk);
        talk.rig.pass(life);
        assert_eq!(talk.rig.world.plane.flows.len(), 1, "after {life} s");
        talk.rig.pass(2);
        assert_eq!(talk.rig.world.plane.flows.len(), 0, "after {} s", life + 2);
    }
}

/// RFC 5382, REQ-2: one half of a connection may end long before the other.
#[test]
fn a_half_that_has_ended_leaves_the_other_open() {
    let mut talk = Talk::new();
    talk.open();
    assert!(talk.up((FIN | ACK, 1_001, 9_001)));
    talk.rig.pass(3_600);
    assert_eq!(talk.states(), [State::Established]);
    assert!(talk.down((ACK, 9_001, 1_002)));
}

/// RFC 7857, section 2.2: a reset that its sender could have sent shortens the life, any other is passed on and no more.
#[test]
fn a_reset_counts_where_its_number_is_right() {
    let mut talk = Talk::new();
    talk.open();
    assert!(talk.down((RST, 777_777, 0)));
    assert_eq!(talk.states(), [State::Established]);

    assert!(talk.down((RST, 9_001, 0)));

    assert_eq!(talk.states(), [State::Reset]);
    talk.rig.pass(242);
    assert_eq!(talk.rig.world.plane.flows.len(), 0);
}

/// RFC 5382, REQ-2: a segment of a connection that nobody remembers, a reset aside, takes it up again in its old name.
#[test]
fn a_connection_from_before_a_restart_is_taken_up_by_its_client() {
    let mut talk = Talk::new();
    assert!(!talk.up((RST, 5_000, 0)), "a reset begins nothing");
    assert_eq!(talk.rig.dropped(DropReason::Stray), 1);

    assert!(talk.up((ACK, 5_000, 70_000)) && talk.down((ACK, 70_000, 5_001)));
}
