//! What the table knows of a TCP connection (RFC 5382, RFC 7857): enough to tell its phases and to doubt a reset.
//!
//! Of each side the table keeps how far its stream has come and how far the other has acknowledged it. Whoever guesses
//! addresses and ports still has to guess a number between the two.

use super::state::State;
use super::{Side, other};
use crate::engine::wire::tcp::Tcp;

/// How far ahead of what was seen a segment may lie, in bytes: 2^24, a large window. Beyond it what was seen was wrong.
const AHEAD_MAX: u32 = 1 << 24;
/// How far ahead of what was seen an end of stream may lie, in bytes: segments before it may come after it.
const FIN_AHEAD_MAX: u32 = 1 << 20;

/// What a segment says to the table. A super-packet counts as one segment with all of its payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpMark {
    /// Whether it opens a stream.
    pub syn: bool,
    /// Whether it ends the sender's stream.
    pub fin: bool,
    /// Whether it aborts the connection.
    pub rst: bool,
    /// The acknowledgement number, where it has one.
    pub acknowledges: Option<u32>,
    /// Sequence number.
    pub sequence: u32,
    /// How much of the sequence space it takes.
    pub length: u32,
}

impl TcpMark {
    /// Reads a segment.
    pub fn of<T: AsRef<[u8]>>(segment: &Tcp<T>) -> Self {
        Self {
            syn: segment.is_syn(),
            fin: segment.is_fin(),
            rst: segment.is_rst(),
            acknowledges: segment.is_ack().then(|| segment.acknowledgement()),
            sequence: segment.sequence(),
            length: segment.sequence_len(),
        }
    }
}

/// One side's stream.
#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    /// The sequence number that comes next.
    next: u32,
    /// How far the other side has acknowledged.
    acknowledged: u32,
    /// Whether this side has been heard.
    known: bool,
    /// Whether this side has acknowledged something of the other's.
    answers: bool,
    /// Whether it has ended.
    ended: bool,
}

impl Stream {
    const fn begin(mark: &TcpMark) -> Self {
        Self {
            next: mark.sequence.wrapping_add(mark.length),
            acknowledged: mark.sequence,
            known: true,
            answers: false,
            ended: false,
        }
    }

    /// Whether a number lies between what is acknowledged and what was sent, or so many bytes beyond.
    const fn reaches(&self, number: u32, beyond: u32) -> bool {
        let sent = self.next.wrapping_sub(self.acknowledged);
        self.known && number.wrapping_sub(self.acknowledged) <= sent.saturating_add(beyond)
    }

    /// Takes the word of a segment that is believed for how far the stream has come.
    fn advance(&mut self, mark: &TcpMark) {
        let end = mark.sequence.wrapping_add(mark.length);
        let ahead = end.wrapping_sub(self.next);
        if ahead <= AHEAD_MAX {
            self.next = end;
        } else if !self.reaches(mark.sequence, 0) && ahead < 1 << 31 {
            // what was known of this side was wrong
            self.next = end;
            self.acknowledged = mark.sequence;
        }
    }
}

/// Both sides' streams.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Connection([Stream; 2]);

impl Connection {
    /// Takes note of a segment; returns the state that follows. A segment from inside is its sender's own; one from
    /// outside may be forged, and has to know what the other side has sent.
    pub(super) fn note(&mut self, state: State, side: Side, is_inside: bool, mark: &TcpMark) -> State {
        let opens = mark.syn && !mark.rst;
        if opens && mark.acknowledges.is_none() && matches!(state, State::Closing | State::Reset) {
            // the same pair of ports is used again (RFC 9293, section 3.6.1)
            self.0 = [Stream::default(); 2];
            self.0[side as usize] = Stream::begin(mark);
            return State::Opening;
        }
        let from = self.0[side as usize];
        let to = self.0[other(side) as usize];
        if mark.rst {
            return self.reset(state, mark, from, to);
        }
        let answers = mark.acknowledges.is_some_and(|number| to.reaches(number, 0));
        let is_believed = is_inside || answers || !to.known;
        let from = &mut self.0[side as usize];
        if !from.known || (opens && state == State::Opening) {
            *from = Stream::begin(mark);
        } else if is_believed {
            from.advance(mark);
        }
        from.answers |= answers;
        from.ended |= mark.fin && is_believed && from.reaches(mark.sequence, FIN_AHEAD_MAX);
        if let (true, Some(number)) = (answers, mark.acknowledges) {
            self.0[other(side) as usize].acknowledged = number;
        }
        self.phase(state)
    }

    /// A reset counts where its sender could have sent it; a forged one is no more than a packet.
    fn reset(&mut self, state: State, mark: &TcpMark, from: Stream, to: Stream) -> State {
        let refuses = !from.known && to.known && mark.acknowledges == Some(to.next);
        if !refuses && !from.reaches(mark.sequence, 0) {
            return state;
        }
        for stream in &mut self.0 {
            stream.answers = false;
        }
        State::Reset
    }

    fn phase(&self, state: State) -> State {
        let [a, b] = &self.0;
        match state {
            State::Opening | State::Established if a.ended && b.ended => State::Closing,
            // both answer each other after a reset: it was not true, and they talk on
            State::Opening | State::Reset if a.answers && b.answers => State::Established,
            State::Opening | State::Established | State::Closing | State::Reset => state,
        }
    }
}
