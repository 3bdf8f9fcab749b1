//! Small packets for peers that arise while packets of theirs come in: resets, acknowledgements, ICMP errors.
//!
//! They wait side by side in one piece of memory until the machine's turn. What does not fit is dropped and counted.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::engine::packet::Owner;

/// Memory for waiting answers: a thousand resets, or a hundred ICMP errors over IPv6.
const CAPACITY: usize = 128 << 10;
/// ICMP errors to one peer in a burst, and a second (RFC 4443, section 2.4 (f) wants a token bucket).
const ERRORS: u32 = 50;

/// Waiting answers.
#[derive(Debug)]
pub(super) struct Answers {
    bytes: Vec<u8>,
    used: usize,
    packets: Vec<(Owner, Range<usize>)>,
    buckets: Vec<Bucket>,
    /// Answers for which there was no room, or that were too many.
    pub(super) dropped: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    since: Option<Instant>,
    spent: u32,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; CAPACITY], used: 0, packets: Vec::with_capacity(1_024), buckets: Vec::new(), dropped: 0 }
    }

    /// Lets `write` write one packet of at most `room` bytes; it returns how many it wrote, or that it wrote none.
    pub(super) fn push(&mut self, owner: Owner, room: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let Some(space) = self.bytes.get_mut(self.used..self.used + room) else {
            self.dropped += 1;
            return;
        };
        let Some(length) = write(space) else { return };
        self.packets.push((owner, self.used..self.used + length));
        self.used += length;
    }

    /// Whether this peer may be sent one more ICMP error now.
    pub(super) fn may_complain(&mut self, owner: Owner, now: Instant) -> bool {
        if owner.index() >= self.buckets.len() {
            self.buckets.resize(owner.index() + 1, Bucket::default());
        }
        let bucket = &mut self.buckets[owner.index()];
        if bucket.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            *bucket = Bucket { since: Some(now), spent: 0 };
        }
        bucket.spent += 1;
        let may = bucket.spent <= ERRORS;
        self.dropped += u64::from(!may);
        may
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Hands over everything that waits.
    pub(super) fn flush(&mut self, down: &mut dyn FnMut(Owner, &mut [u8])) {
        for (owner, range) in self.packets.drain(..) {
            down(owner, &mut self.bytes[range]);
        }
        self.used = 0;
    }

    /// Forgets what waits for this peer.
    pub(super) fn drop_owner(&mut self, owner: Owner) {
        self.packets.retain(|(of, _)| *of != owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::flows::testing;

    #[test]
    fn drops_what_does_not_fit_and_keeps_the_rest() {
        let mut answers = Answers::new();
        for _ in 0..CAPACITY / 1_000 + 5 {
            answers.push(Owner(1), 1_000, |packet| Some(packet.len()));
        }
        let mut got = 0;

        answers.flush(&mut |_, packet| got += packet.len());

        assert_eq!(got, CAPACITY / 1_000 * 1_000);
        assert_eq!(answers.dropped, 5);
        assert!(answers.is_empty());
    }

    #[test]
    fn limits_errors_of_each_peer_alone() {
        let now = testing::start();
        let mut answers = Answers::new();
        let told = (0..200).filter(|_| answers.may_complain(Owner(3), now)).count();

        assert_eq!(told, ERRORS as usize);
        assert!(answers.may_complain(Owner(4), now));
        assert!(answers.may_complain(Owner(3), now + Duration::from_secs(1)));
    }
}
