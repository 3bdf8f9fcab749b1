//! What a rate lets go, and when: buckets that are one number each.
//!
//! A bucket is kept as the time at which it will be full again (the generic cell rate algorithm's "theoretical arrival
//! time", ITU-T I.371, annex A): to take bytes moves that time, to wait is to let time pass, and nothing is refilled.
//! One number can also be shared by threads without a lock, which is how the workers share a server's limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Direction;
use crate::domain::rate::Mbps;

/// Time since the epoch of a server's limit, in sixteenths of a nanosecond: a byte at 10 Gbit/s takes 0.8 ns. Enough
/// for 36 years.
pub(super) type Ticks = u64;

/// A full packet as far as rates are concerned, in bytes. A larger one may go whenever its bucket is full.
pub(super) const FULL_PACKET: u64 = 1_500;
/// The most bytes that go as one piece.
const PIECE_MAX: u64 = 64 * 1024;
/// How late a worker may wake without losing rate: a wait in the system's poll has a grain of 1 ms.
const WAKE_GRAIN: Duration = Duration::from_millis(2);
/// Bytes go this much slower than configured, so that in any 5 s the bucket's depth (25 ms at the most) is made up for.
const SLOW: (u64, u64) = (200, 199);
/// The bits behind the point of what a byte costs.
const FRACTION: u32 = 16;
/// The delay that `CoDel` tolerates (RFC 8289, section 4.2): 5 ms, or one and a half full packets at low rates.
const TARGET: Duration = Duration::from_millis(5);
/// The least that a lane may hold, in bytes.
const BACKLOG_MIN: u64 = 64 * 1024;
/// The most that a lane may hold, in bytes.
const BACKLOG_MAX: u64 = 4 * 1024 * 1024;
/// The least and the most that a flow or a lane sends before it is the next one's turn, in bytes.
const TURN: (u64, u64) = (1_514, 16 * 1024);

/// A span in ticks.
pub(super) const fn ticks(span: Duration) -> Ticks {
    (span.as_secs() * 1_000_000_000 + span.subsec_nanos() as u64) << 4
}

/// Ticks as a span, rounded up.
pub(super) const fn span(ticks: Ticks) -> Duration {
    Duration::from_nanos(ticks.div_ceil(16))
}

/// A rate, and all that follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    rate: Mbps,
    /// What a byte costs, in ticks, with [`FRACTION`]; 0 without a limit.
    per_byte: u64,
    /// How far ahead of its fullness a bucket may be drawn.
    depth: Ticks,
}

impl Pace {
    pub(super) const UNLIMITED: Self = Self { rate: Mbps::UNLIMITED, per_byte: 0, depth: 0 };

    pub(super) fn of(rate: Mbps) -> Self {
        let megabits = u64::from(rate.get());
        if megabits == 0 {
            return Self::UNLIMITED;
        }
        let per_byte = (((8_000 << 4) << FRACTION) * SLOW.0).div_ceil(megabits * SLOW.1);
        let mut pace = Self { rate, per_byte, depth: 0 };
        pace.depth = pace.cost(2 * FULL_PACKET).max(pace.cost(pace.piece()) + ticks(WAKE_GRAIN));
        pace
    }

    pub(super) const fn rate(self) -> Mbps {
        self.rate
    }

    pub(super) const fn is_unlimited(self) -> bool {
        self.per_byte == 0
    }

    /// The slower of two.
    pub(super) const fn slower(self, other: Self) -> Self {
        if self.per_byte > other.per_byte { self } else { other }
    }

    /// How long so many bytes take.
    pub(super) const fn cost(self, bytes: u64) -> Ticks {
        (bytes * self.per_byte).div_ceil(1 << FRACTION)
    }

    /// How many bytes may go as one piece: 1 ms of the rate.
    pub(super) fn piece(self) -> u64 {
        (self.bytes_a_millisecond()).clamp(FULL_PACKET, PIECE_MAX)
    }

    /// How many bytes go before it is the next one's turn.
    pub(super) fn turn(self) -> i64 {
        let bytes = if self.is_unlimited() { TURN.1 } else { (self.piece() / 4).clamp(TURN.0, TURN.1) };
        bytes.cast_signed()
    }

    /// How many bytes may wait: 250 ms of the rate, within bounds.
    pub(super) fn backlog(self) -> u64 {
        if self.is_unlimited() {
            return BACKLOG_MAX;
        }
        (250 * self.bytes_a_millisecond()).clamp(BACKLOG_MIN, BACKLOG_MAX)
    }

    /// How long a packet may wait while the queue is no bad queue.
    pub(super) fn target(self) -> Ticks {
        self.cost(FULL_PACKET * 3 / 2).max(ticks(TARGET))
    }

    fn bytes_a_millisecond(self) -> u64 {
        u64::from(self.rate.get()) * 125
    }

    /// From when on so many bytes may go from a bucket that is full at `full`; what is larger than the bucket goes when
    /// it is full.
    const fn due(self, full: Ticks, bytes: u64) -> Ticks {
        full.saturating_sub(self.depth.saturating_sub(self.cost(bytes)))
    }
}

/// One lane's bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pace: Pace,
    full: Ticks,
}

impl Bucket {
    pub(super) const fn new(pace: Pace) -> Self {
        Self { pace, full: 0 }
    }

    pub(super) const fn pace(&self) -> Pace {
        self.pace
    }

    /// From when on so many bytes may go.
    pub(super) const fn due(&self, bytes: u64) -> Ticks {
        if self.pace.is_unlimited() { 0 } else { self.pace.due(self.full, bytes) }
    }

    /// Takes bytes that are due.
    pub(super) fn take(&mut self, bytes: u64, now: Ticks) {
        self.full = self.full.max(now) + self.pace.cost(bytes);
    }

    /// Takes another pace. What was drawn at the old one delays nothing for longer than a bucket's depth at the new one.
    pub(super) fn set(&mut self, pace: Pace, now: Ticks) {
        self.pace = pace;
        self.full = self.full.min(now + pace.depth);
    }
}

/// A server's limit above its accounts, shared by the workers that its clients are spread over.
#[derive(Debug)]
pub struct ServerLimit {
    epoch: Instant,
    full: [AtomicU64; 2],
}

impl ServerLimit {
    /// A limit of which nothing is used yet. No shaper that shares it may be told of a time before this.
    pub const fn new(epoch: Instant) -> Self {
        Self { epoch, full: [AtomicU64::new(0), AtomicU64::new(0)] }
    }

    pub(super) fn ticks(&self, now: Instant) -> Ticks {
        ticks(now.saturating_duration_since(self.epoch))
    }

    pub(super) fn instant(&self, at: Ticks) -> Instant {
        self.epoch + span(at)
    }

    /// Takes bytes if they may go now.
    pub(super) fn take(&self, direction: Direction, pace: Pace, bytes: u64, now: Ticks) -> bool {
        let draw = |full: Ticks| (pace.due(full, bytes) <= now).then(|| full.max(now) + pace.cost(bytes));
        self.full[direction as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, draw).is_ok()
    }

    /// Takes bytes for the time from which on they may go, which is returned. Whoever takes before must not be overtaken
    /// by whoever asks more often.
    pub(super) fn reserve(&self, direction: Direction, pace: Pace, bytes: u64, now: Ticks) -> Ticks {
        let cost = pace.cost(bytes);
        let full = &self.full[direction as usize];
        let mut before = full.load(Ordering::Relaxed);
        while let Err(moved) =
            full.compare_exchange_weak(before, before.max(now) + cost, Ordering::Relaxed, Ordering::Relaxed)
        {
            before = moved;
        }
        pace.due(before, bytes)
    }

    /// Forgives what was drawn at another pace, down to a bucket's depth at this one.
    pub(super) fn settle(&self, direction: Direction, pace: Pace, now: Ticks) {
        self.full[direction as usize].fetch_min(now + pace.depth, Ordering::Relaxed);
    }
}
