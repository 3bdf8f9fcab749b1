//! When each waiting lane is due: a hashed wheel (Varghese and Lauck, 1987, scheme 6), so that entering, leaving and
//! finding the next one cost the same for one lane as for thousands.

use super::bucket::Ticks;
use super::slab::NIL;

/// What a slot spans: 262 µs. Packets that are due within it go together.
const GRAIN: Ticks = 1 << 22;
/// Slots of the wheel: 134 ms. Who is due later is looked at then and enters again.
const SLOTS: u64 = WORDS as u64 * 64;
const WORDS: usize = 8;
/// The slot of a lane that is in none.
const NONE: u16 = u16::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    slot: u16,
}

impl Link {
    const OUT: Self = Self { previous: NIL, next: NIL, slot: NONE };
}

/// The next time that all waits are rounded to.
pub(super) const fn round_up(at: Ticks) -> Ticks {
    at.div_ceil(GRAIN) * GRAIN
}

/// The lanes that wait for a time.
#[derive(Debug)]
pub(super) struct Wheel {
    /// By lane.
    links: Vec<Link>,
    heads: Box<[u32]>,
    /// Which slots have lanes, a bit each.
    occupied: [u64; WORDS],
    /// The grain up to which all slots are empty.
    passed: u64,
    waiting: usize,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { links: Vec::new(), heads: vec![NIL; WORDS * 64].into(), occupied: [0; WORDS], passed: 0, waiting: 0 }
    }

    /// Makes room for so many lanes.
    pub(super) fn make_room(&mut self, lanes: usize) {
        if lanes > self.links.len() {
            self.links.resize(lanes, Link::OUT);
        }
    }

    /// Enters a lane that is in no slot.
    pub(super) fn enter(&mut self, lane: u32, at: Ticks, now: Ticks) {
        if self.waiting == 0 {
            self.passed = now / GRAIN;
        }
        let grain = at.div_ceil(GRAIN).clamp(self.passed + 1, self.passed + SLOTS);
        let slot = slot_of(grain);
        let next = self.heads[slot];
        if next != NIL {
            self.links[next as usize].previous = lane;
        }
        self.heads[slot] = lane;
        self.links[lane as usize] = Link { previous: NIL, next, slot: u16::try_from(slot).unwrap_or(NONE) };
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.waiting += 1;
    }

    /// Takes a lane out, if it is in.
    pub(super) fn leave(&mut self, lane: u32) {
        let Link { previous, next, slot } = std::mem::replace(&mut self.links[lane as usize], Link::OUT);
        if slot == NONE {
            return;
        }
        let slot = usize::from(slot);
        if next != NIL {
            self.links[next as usize].previous = previous;
        }
        if previous == NIL {
            self.heads[slot] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if self.heads[slot] == NIL {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
        self.waiting -= 1;
    }

    /// When the next lane is due.
    pub(super) fn next(&self) -> Option<Ticks> {
        self.next_grain().map(|grain| grain * GRAIN)
    }

    /// Takes out one lane that is due.
    pub(super) fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        let next = self.next_grain()?;
        if next > now / GRAIN {
            self.passed = self.passed.max(now / GRAIN);
            return None;
        }
        self.passed = next - 1;
        let lane = self.heads[slot_of(next)];
        self.leave(lane);
        Some(lane)
    }

    fn next_grain(&self) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let first = slot_of(self.passed + 1);
        let (word, bit) = (first / 64, first % 64);
        let later = self.occupied[word] & (u64::MAX << bit);
        let further = (1..=WORDS).map(|step| ((word + step) % WORDS, self.occupied[(word + step) % WORDS]));
        let mut words = std::iter::once((word, later)).chain(further);
        let (word, bits) = words.find(|(_, bits)| *bits != 0)?;
        let slot = word as u64 * 64 + u64::from(bits.trailing_zeros());
        Some(self.passed + 1 + (slot + SLOTS - first as u64) % SLOTS)
    }
}

fn slot_of(grain: u64) -> usize {
    usize::try_from(grain % SLOTS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lets_each_lane_go_in_time_and_once(
            waits in proptest::collection::vec((0_u64..3 * GRAIN * SLOTS, any::<bool>()), 1..50),
            start in 0_u64..1 << 50,
        ) {
            let mut wheel = Wheel::new();
            wheel.make_room(waits.len());
            for (lane, (wait, _)) in (0..).zip(&waits) {
                wheel.enter(lane, start + wait, start);
            }
            let mut gone = vec![false; waits.len()];
            for (lane, (_, leaves)) in (0..).zip(&waits) {
                if *leaves {
                    wheel.leave(lane);
                    gone[lane as usize] = true;
                }
            }
            let mut now = start;
            while let Some(next) = wheel.next() {
                prop_assert!(next > now);
                now = next;
                while let Some(lane) = wheel.pop_due(now) {
                    let wait = waits[lane as usize].0.min(GRAIN * SLOTS);
                    prop_assert!(!std::mem::replace(&mut gone[lane as usize], true));
                    let late = now.checked_sub(start + wait.min(GRAIN * (SLOTS - 1)));
                    prop_assert!(late.is_some_and(|late| late <= 2 * GRAIN), "{wait} {late:?}");
                }
            }
            prop_assert!(gone.iter().all(|gone| *gone));
        }
    }
}
