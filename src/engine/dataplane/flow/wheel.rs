//! When each flow is looked at again: a wheel of one second a place.
//!
//! A packet does not touch the wheel: a deadline that moved back stays where it is and costs one look when it comes up.
//! What lies further ahead than the wheel reaches stands in its farthest place, and is looked at once a turn.

use super::lists::Lists;

/// Places of the wheel; a power of two. A turn is longer than every life span but that of an open TCP connection.
const PLACES: usize = 512;
/// The same, in seconds.
const TURN: u32 = 512;
/// How far ahead a deadline may stand, in seconds.
const REACH: u32 = TURN - 2;
const BITS: usize = u64::BITS as usize;
/// The place of what does not stand in the wheel.
const NO_PLACE: u16 = u16::MAX;

/// Deadlines by slot, in whole seconds since the beginning.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    lists: Lists,
    /// The place of each slot.
    places: Vec<u16>,
    /// Which places are not empty.
    occupied: [u64; PLACES / BITS],
    standing: usize,
    /// Nothing stands before this second.
    cursor: u32,
}

impl Wheel {
    /// Asks that the slot be looked at at this second, or before where that is further ahead than the wheel reaches.
    pub(super) fn arm(&mut self, slot: u32, at: u32, now: u32) {
        self.remove(slot);
        if self.standing == 0 {
            self.cursor = now;
        }
        let place = at.clamp(self.cursor, self.cursor + REACH) as usize % PLACES;
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, NO_PLACE);
        }
        self.places[index] = u16::try_from(place).unwrap_or(NO_PLACE);
        self.lists.insert(place, slot);
        self.occupied[place / BITS] |= 1 << (place % BITS);
        self.standing += 1;
    }

    /// Forgets the slot, if it stands here.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(place) = self.places.get_mut(slot as usize) else { return };
        let place = usize::from(std::mem::replace(place, NO_PLACE));
        if place == usize::from(NO_PLACE) {
            return;
        }
        self.lists.remove(place, slot);
        if self.lists.first(place).is_none() {
            self.occupied[place / BITS] &= !(1 << (place % BITS));
        }
        self.standing -= 1;
    }

    /// The first second at which something stands.
    pub(super) fn next(&self) -> Option<u32> {
        if self.standing == 0 {
            return None;
        }
        let from = self.cursor as usize % PLACES;
        // the word of the cursor comes twice: first what lies ahead of the cursor in it, at last what lies behind
        let ahead = (0..=self.occupied.len()).find_map(|turn| {
            let word = (from / BITS + turn) % self.occupied.len();
            let mut bits = self.occupied[word];
            if turn == 0 {
                bits &= u64::MAX << (from % BITS);
            }
            (bits != 0).then(|| (word * BITS + bits.trailing_zeros() as usize + PLACES - from) % PLACES)
        });
        ahead.map(|ahead| self.cursor + u32::try_from(ahead).unwrap_or(TURN))
    }

    /// Takes a slot whose second has come.
    pub(super) fn pop_due(&mut self, now: u32) -> Option<u32> {
        let at = self.next()?;
        self.cursor = at.min(now).max(self.cursor);
        if at > now {
            return None;
        }
        let slot = self.lists.first(at as usize % PLACES)?;
        self.remove(slot);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rings_at_the_asked_second_within_reach_and_once_a_turn_beyond() {
        for (ahead, rings) in [(0, 0), (1, 1), (300, 300), (REACH, REACH), (7_440, REACH)] {
            for now in [0, 300, 511, 512, 1_000_000] {
                let mut wheel = Wheel::default();
                wheel.arm(3, now + ahead, now);
                assert_eq!(wheel.next(), Some(now + rings));
                assert_eq!((wheel.pop_due(now + rings), wheel.next()), (Some(3), None));
            }
        }
    }

    proptest! {
        #[test]
        fn rings_at_the_asked_second_or_once_a_turn(
            steps in proptest::collection::vec((0_u32..20, 0_u32..1_200, 0_u32..300, any::<bool>()), 1..100),
        ) {
            let mut wheel = Wheel::default();
            let mut model = BTreeMap::new();
            let mut now = 0;
            for (slot, ahead, passes, gone) in steps {
                if gone {
                    wheel.remove(slot);
                    model.remove(&slot);
                } else {
                    wheel.arm(slot, now + ahead, now);
                    model.insert(slot, now + ahead);
                }
                let next = model.values().min().copied();
                match (wheel.next(), next) {
                    (Some(rings), Some(next)) => prop_assert!(rings <= next),
                    (rings, next) => prop_assert_eq!(rings, next),
                }
                now += passes;
                while let Some(slot) = wheel.pop_due(now) {
                    let at = model[&slot];
                    if at <= now {
                        model.remove(&slot);
                    } else {
                        wheel.arm(slot, at, now);
                    }
                }
                prop_assert!(model.values().all(|&at| at > now));
            }
        }
    }
}
