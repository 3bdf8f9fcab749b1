//! One direction of one account, and one direction of the server above it.

use super::bucket::{Bucket, Pace, ServerLimit, Ticks};
use super::rounds::{Members, Rounds, Turn};
use super::slab::NIL;
use super::{Direction, wheel};
use crate::domain::figures::LaneFigures;

/// Where a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: nothing waits.
    Idle,
    /// In the wheel, for its own rate.
    Waiting,
    /// In the rounds of its server. It may have become empty since.
    Ready,
}

/// One lane.
#[derive(Debug)]
pub(super) struct LaneState {
    /// Whether nothing limits it and nothing waits, so that a packet passes without a further look.
    pub(super) open: bool,
    pub(super) place: Place,
    pub(super) bucket: Bucket,
    /// Its queue's place, while it has one.
    pub(super) queue: u32,
    pub(super) turn: Turn,
    /// Memory that its packets take, in bytes.
    pub(super) memory: usize,
    pub(super) figures: LaneFigures,
}

impl LaneState {
    pub(super) fn new(open: bool) -> Self {
        Self {
            open,
            place: Place::Idle,
            bucket: Bucket::new(Pace::UNLIMITED),
            queue: NIL,
            turn: Turn::new(),
            memory: 0,
            figures: LaneFigures::default(),
        }
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.figures.backlog_packets == 0
    }
}

impl Members for Vec<LaneState> {
    fn turn(&mut self, member: u32) -> &mut Turn {
        &mut self[member as usize].turn
    }
}

/// Bytes of the shared limit that were reserved, and from when on they may go.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    at: Ticks,
    bytes: u64,
}

/// One direction of the server.
#[derive(Debug)]
pub(super) struct Side {
    direction: Direction,
    pace: Pace,
    /// The lanes whose own rate lets a packet go.
    pub(super) ready: Rounds,
    ticket: Option<Ticket>,
    /// Bytes that were reserved and have become due.
    credit: u64,
    pub(super) totals: LaneFigures,
}

impl Side {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            pace: Pace::UNLIMITED,
            ready: Rounds::EMPTY,
            ticket: None,
            credit: 0,
            totals: LaneFigures::default(),
        }
    }

    pub(super) const fn pace(&self) -> Pace {
        self.pace
    }

    /// Takes another pace; what was reserved at the old one is asked for anew.
    pub(super) fn set(&mut self, pace: Pace, limit: &ServerLimit, now: Ticks) {
        self.pace = pace;
        self.totals.rate = pace.rate();
        self.forfeit();
        limit.settle(self.direction, pace, now);
    }

    /// Takes bytes for a packet that comes when nothing waits.
    pub(super) fn take(&self, limit: &ServerLimit, bytes: u64, now: Ticks) -> bool {
        self.pace.is_unlimited() || self.ready.is_empty() && limit.take(self.direction, self.pace, bytes, now)
    }

    /// Whether so many bytes may go now. If not, they are reserved: a worker has one reservation at a time, so workers
    /// take turns however often each of them asks.
    pub(super) fn admits(&mut self, limit: &ServerLimit, bytes: u64, now: Ticks) -> bool {
        if self.pace.is_unlimited() {
            return true;
        }
        if let Some(due) = self.ticket.take_if(|ticket| ticket.at <= now) {
            self.credit += due.bytes;
        }
        if self.credit >= bytes {
            return true;
        }
        if self.ticket.is_some() {
            return false;
        }
        let lacking = bytes - self.credit;
        let at = limit.reserve(self.direction, self.pace, lacking, now);
        if at <= now {
            self.credit = bytes;
            return true;
        }
        self.ticket = Some(Ticket { at, bytes: lacking });
        false
    }

    /// Counts bytes that were admitted and went.
    pub(super) const fn spend(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_sub(bytes);
    }

    /// Lets go of what was reserved and has nothing to go for.
    pub(super) const fn forfeit(&mut self) {
        self.ticket = None;
        self.credit = 0;
    }

    /// When it wants to be served: at once, unless the server's limit says later.
    pub(super) fn deadline(&self, now: Ticks) -> Option<Ticks> {
        (!self.ready.is_empty()).then(|| self.ticket.map_or(now, |ticket| wheel::round_up(ticket.at)))
    }
}
