//! Virtual time, and what will happen when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The present, and what waits for its moment.
#[derive(Debug)]
pub(crate) struct Clock<E> {
    begin: Instant,
    now: Instant,
    number: u64,
    waiting: BTreeMap<(Instant, u64), E>,
}

impl<E> Clock<E> {
    /// A clock that begins at an instant, which nothing is compared with but instants of the same clock.
    pub(crate) fn new(begin: Instant) -> Self {
        Self { begin, now: begin, number: 0, waiting: BTreeMap::new() }
    }

    /// The present.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// How much time has passed since the beginning.
    pub(crate) fn since_begin(&self) -> Duration {
        self.now - self.begin
    }

    /// Has something happen after a while; what is due at the same moment happens in the order in which it was entered.
    pub(crate) fn after(&mut self, span: Duration, event: E) {
        self.number += 1;
        self.waiting.insert((self.now + span, self.number), event);
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next thing that is due now.
    pub(crate) fn pop_due(&mut self) -> Option<E> {
        if self.next()? > self.now {
            return None;
        }
        self.waiting.pop_first().map(|(_, event)| event)
    }

    /// Moves the present on; never back.
    pub(crate) fn move_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}
