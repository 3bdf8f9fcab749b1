//! When each flow wants to be looked at again: a heap in which each flow stands at most once.
//!
//! A deadline that moves away stays where it is and rings too early, which costs one look; one that comes nearer is
//! moved. So a busy flow, whose deadlines move with every packet, hardly ever touches the heap, and nothing is allocated
//! while the number of flows does not grow.

use std::time::Instant;

const NOWHERE: u32 = u32::MAX;

/// Deadlines by slot.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: Vec<(Instant, u32)>,
    /// Where in the heap a slot stands.
    places: Vec<u32>,
}

impl Deadlines {
    /// Asks that the slot be looked at no later than this.
    pub(super) fn no_later_than(&mut self, slot: u32, at: Instant) {
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, NOWHERE);
        }
        match self.places[index] {
            NOWHERE => {
                self.heap.push((at, slot));
                self.rise(self.heap.len() - 1);
            }
            place if at < self.heap[place as usize].0 => {
                self.heap[place as usize].0 = at;
                self.rise(place as usize);
            }
            _ => {}
        }
    }

    /// Forgets the slot.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(&place) = self.places.get(slot as usize).filter(|place| **place != NOWHERE) else { return };
        self.take(place as usize);
    }

    /// The next slot whose time has come, which is then forgotten.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (at, slot) = *self.heap.first()?;
        if at > now {
            return None;
        }
        self.take(0);
        Some(slot)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    fn take(&mut self, place: usize) {
        let (_, slot) = self.heap.swap_remove(place);
        self.places[slot as usize] = NOWHERE;
        if place < self.heap.len() {
            self.sink(place);
            self.rise(place);
        }
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].0 <= self.heap[place].0 {
                break;
            }
            self.heap.swap(parent, place);
            self.note(place);
            place = parent;
        }
        self.note(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let children = (2 * place + 1..2 * place + 3).filter(|child| *child < self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child].0) else { break };
            if self.heap[place].0 <= self.heap[least].0 {
                break;
            }
            self.heap.swap(place, least);
            self.note(place);
            place = least;
        }
        self.note(place);
    }

    fn note(&mut self, place: usize) {
        let slot = self.heap[place].1;
        self.places[slot as usize] = u32::try_from(place).unwrap_or(NOWHERE);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::flows::testing;

    proptest! {
        #[test]
        fn rings_in_order_and_never_late(steps in proptest::collection::vec((0_u32..40, 0_u64..1_000, 0_u8..4), 1..400)) {
            let start = testing::start();
            let mut deadlines = Deadlines::default();
            let mut model = BTreeMap::new();
            for (slot, after, action) in steps {
                let at = start + Duration::from_millis(after);
                match action {
                    0 => {
                        deadlines.remove(slot);
                        model.remove(&slot);
                    }
                    1 => while let Some(rung) = deadlines.pop_due(at) {
                        let due = model.remove(&rung).expect("only what was asked for rings");
                        prop_assert!(due <= at);
                    },
                    _ => {
                        deadlines.no_later_than(slot, at);
                        model.entry(slot).and_modify(|due| *due = at.min(*due)).or_insert(at);
                    }
                }
                prop_assert_eq!(deadlines.next(), model.values().min().copied());
            }
        }
    }
}
