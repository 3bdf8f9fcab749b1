//! Whether a packet waited too long for too long (RFC 8289).
//!
//! The RFC's loop is cut into single judgements: the head of a queue is judged when it could go, and judged anew as
//! long as it does not go. So a queue whose head is waiting for its rate keeps its state true.

use std::time::Duration;

use super::bucket::{FULL_PACKET, Ticks, ticks};

/// How long a queue may be above its target before something is done: the longest round trip that is usual (section 4.1).
const INTERVAL: Ticks = ticks(Duration::from_millis(100));

/// The controller of one queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codel {
    /// When the queue will have been above its target for an interval, if it is.
    first_above: Option<Ticks>,
    /// When the next one is to be dropped, while dropping.
    drop_next: Ticks,
    /// Dropped since dropping began.
    count: u32,
    /// `count` when dropping last began.
    last_count: u32,
    dropping: bool,
}

impl Codel {
    pub(super) const fn new() -> Self {
        Self { first_above: None, drop_next: 0, count: 0, last_count: 0, dropping: false }
    }

    /// Whether the packet at the head, in a queue of so many bytes, is to be dropped (or marked).
    pub(super) fn condemns(&mut self, since: Ticks, backlog: u64, target: Ticks, now: Ticks) -> bool {
        let bad = self.is_bad(since, backlog, target, now);
        if self.dropping {
            self.dropping = bad;
            if !bad || now < self.drop_next {
                return false;
            }
            self.count += 1;
            self.drop_next += spacing(self.count);
            return true;
        }
        if !bad {
            return false;
        }
        self.dropping = true;
        // soon after the last time: go on where that was right (section 5.5)
        let delta = self.count - self.last_count;
        let recent = now.saturating_sub(self.drop_next) < 16 * INTERVAL;
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = now + spacing(self.count);
        true
    }

    fn is_bad(&mut self, since: Ticks, backlog: u64, target: Ticks, now: Ticks) -> bool {
        if now.saturating_sub(since) < target || backlog <= FULL_PACKET {
            self.first_above = None;
            return false;
        }
        now >= *self.first_above.get_or_insert(now + INTERVAL)
    }
}

/// The span between drops: the interval divided by the square root of how many there were (section 5.4).
fn spacing(count: u32) -> Ticks {
    (INTERVAL << 10) / (u64::from(count) << 20).isqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Ticks = ticks(Duration::from_millis(1));
    const TARGET: Ticks = 5 * MS;

    /// How many of a packet a millisecond are condemned in so many milliseconds, all having waited so long.
    fn condemned(codel: &mut Codel, from: u64, span: u64, waited: Ticks) -> usize {
        let judge = |at: &u64| codel.condemns(at * MS - waited, 100_000, TARGET, at * MS);
        (from..from + span).filter(judge).count()
    }

    #[test]
    fn leaves_a_short_queue_and_a_short_burst_alone() {
        let mut codel = Codel::new();
        assert_eq!(condemned(&mut codel, 1_000, 10_000, 4 * MS), 0);
        assert_eq!(condemned(&mut codel, 11_000, 99, 50 * MS), 0);
        assert_eq!(condemned(&mut codel, 11_099, 1, 0), 0);
        assert_eq!(condemned(&mut codel, 11_100, 99, 50 * MS), 0);
        assert!(!codel.condemns(0, FULL_PACKET, TARGET, 99_000 * MS));
    }

    #[test]
    fn drops_faster_the_longer_it_lasts() {
        let mut codel = Codel::new();
        assert_eq!(condemned(&mut codel, 1_000, 101, 20 * MS), 1);
        let first = condemned(&mut codel, 1_101, 1_000, 20 * MS);
        let second = condemned(&mut codel, 2_101, 1_000, 20 * MS);
        assert!((20..=45).contains(&first) && second > first + 20, "{first} {second}");
    }
}
