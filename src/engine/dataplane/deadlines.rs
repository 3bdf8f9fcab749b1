//! When each peer next wants to be looked at: one structure for all.
//!
//! A peer is looked up at most once a deadline, never to ask whether it has one. A deadline that moved back stays where
//! it is and is moved when it comes up; one that moved forward is entered anew, and the old entry is recognised as stale
//! by its owner.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::engine::packet::Owner;

/// The deadlines of all peers.
#[derive(Debug, Default)]
pub struct Deadlines(BinaryHeap<Reverse<(Instant, Owner)>>);

impl Deadlines {
    /// Enters one.
    pub fn push(&mut self, at: Instant, owner: Owner) {
        self.0.push(Reverse((at, owner)));
    }

    /// Makes room for a further peer, so that its packets allocate nothing later.
    pub fn make_room(&mut self) {
        self.0.reserve(4);
    }

    /// The next one.
    pub fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next one that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Owner)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
