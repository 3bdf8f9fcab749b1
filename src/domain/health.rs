//! Whether the host serves: room where the data lies, and a clock that can be believed.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::limits;

/// Room in the file system where the data lies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What a process without privileges may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// How little room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Somebody ought to make room.
    Near,
    /// Soon nothing can be stored.
    Acute,
}

impl Room {
    /// Whether it is too little by [`limits::DISK_LOW`] or [`limits::DISK_ACUTE`]. A file system without a size has no
    /// bound that it could tell of.
    pub fn shortage(self) -> Option<Shortage> {
        let is_below = |(percent, bytes): (u64, u64)| {
            u128::from(self.free) * 100 < u128::from(self.total) * u128::from(percent) || self.free < bytes
        };
        match self.total {
            0 => None,
            _ if is_below(limits::DISK_ACUTE) => Some(Shortage::Acute),
            _ if is_below(limits::DISK_LOW) => Some(Shortage::Near),
            _ => None,
        }
    }
}

/// What is known of the host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// What it says.
    pub now: Timestamp,
    /// The time of the newest record here, if there is any.
    pub newest: Option<Timestamp>,
    /// Whether the kernel says that something keeps it right; absent where it says nothing.
    pub is_kept: Option<bool>,
}

/// Why the clock cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockFault {
    /// It says a time that has passed for certain.
    Behind,
    /// Nothing keeps it right.
    Unkept,
}

impl ClockReading {
    /// What is wrong, the worst of it. A clock that was set back by no more than [`limits::CLOCK_STEP`] is not behind.
    pub fn fault(self) -> Option<ClockFault> {
        let is_before_us = self.now.to_zoned_datetime(TimeZone::UTC).year() < limits::YEAR_OF_PROGRAM;
        let is_before = |newest: Timestamp| newest.as_second() - self.now.as_second() > limits::CLOCK_STEP;
        if is_before_us || self.newest.is_some_and(is_before) {
            return Some(ClockFault::Behind);
        }
        (self.is_kept == Some(false)).then_some(ClockFault::Unkept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn finds_too_little_room_by_its_share_and_by_its_size() {
        let large = 1_000_000 * MIB;
        for (free, total, found) in [
            (large / 10, large, None),
            (large / 10 - 1, large, Some(Shortage::Near)),
            (large / 100 * 3, large, Some(Shortage::Near)),
            (large / 100 * 3 - 1, large, Some(Shortage::Acute)),
            (200 * MIB, 400 * MIB, None),
            (200 * MIB - 1, 400 * MIB, Some(Shortage::Near)),
            (50 * MIB, 60 * MIB, Some(Shortage::Near)),
            (50 * MIB - 1, 60 * MIB, Some(Shortage::Acute)),
            (0, 0, None),
            (u64::MAX, u64::MAX, None),
        ] {
            assert_eq!(Room { free, total }.shortage(), found, "{free} of {total}");
        }
    }

    #[test]
    fn does_not_believe_a_clock_that_is_behind_or_that_nothing_keeps() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-26T12:00:00Z");
        for (now, newest, is_kept, found) in [
            (now, None, Some(true), None),
            (now, None, None, None),
            (now, None, Some(false), Some(ClockFault::Unkept)),
            (now, Some(at("2026-11-26T12:01:00Z")), Some(true), None),
            (now, Some(at("2026-11-26T12:01:01Z")), Some(true), Some(ClockFault::Behind)),
            (now, Some(at("2026-11-26T12:01:01Z")), Some(false), Some(ClockFault::Behind)),
            (at("2025-12-31T23:59:59Z"), None, Some(true), Some(ClockFault::Behind)),
            (at("2026-01-01T00:00:00Z"), None, Some(true), None),
        ] {
            assert_eq!(ClockReading { now, newest, is_kept }.fault(), found, "{now} {newest:?} {is_kept:?}");
        }
    }
}
