//! What is remembered: whole answers by question, bounded in number and in bytes.
//!
//! There are two queues. What is new stands in the first, what was asked for again in the second, which gets four fifths
//! of the memory; who has to go goes from the end of the first. So a flood of names that nobody asks for twice pushes
//! out nothing but itself.

use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

use super::stored::Stored;
use crate::engine::wire::dns::{self, Question};

/// What an entry takes beside its bytes: its place in the tables.
const OVERHEAD: usize = 160;
/// Nobody: the end of a queue.
const NONE: u32 = u32::MAX;

/// What a question is remembered by: its name in lower case, its type, and whether signatures are wanted or checking is
/// disabled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    bytes: [u8; dns::NAME_MAX + 3],
    length: usize,
}

impl Key {
    pub(super) fn new(question: &Question<'_>, wants_signatures: bool, unchecked: bool) -> Self {
        let mut key = Self { bytes: [0; dns::NAME_MAX + 3], length: question.name.len() + 3 };
        let name = question.name.len();
        for (to, from) in key.bytes.iter_mut().zip(question.name) {
            *to = from.to_ascii_lowercase();
        }
        key.bytes[name..name + 2].copy_from_slice(&question.kind.to_be_bytes());
        key.bytes[name + 2] = u8::from(wants_signatures) | u8::from(unchecked) << 1;
        key
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// How much may be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Answers.
    pub entries: usize,
    /// Bytes that they take, with what is needed to find them.
    pub bytes: usize,
}

/// What is remembered of a question.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// An answer that holds, and its age in seconds.
    Fresh(&'a Stored, u32),
    /// An answer that is too old; whether it is to be given at once, for the forwarders have just failed.
    Stale(&'a Stored, bool),
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    stored: Stored,
    /// Until when the forwarders need not be asked again, for they have failed.
    failed_until: Option<Instant>,
    cost: usize,
    kept: bool,
    before: u32,
    after: u32,
}

/// A queue of entries: who was used last stands first.
#[derive(Debug, Clone, Copy)]
struct Queue {
    first: u32,
    last: u32,
    bytes: usize,
}

impl Queue {
    const EMPTY: Self = Self { first: NONE, last: NONE, bytes: 0 };
}

/// Answers by question.
#[derive(Debug)]
pub(super) struct Cache {
    bounds: Bounds,
    hasher: FixedState,
    places: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// What is new, and what was asked for again.
    queues: [Queue; 2],
}

impl Cache {
    /// An empty one; the seed keeps strangers from choosing names that collide.
    pub(super) fn new(bounds: Bounds, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        let (places, entries, free) = (HashTable::new(), Vec::new(), Vec::new());
        Self { bounds, hasher, places, entries, free, queues: [Queue::EMPTY; 2] }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.free.clear();
        self.queues = [Queue::EMPTY; 2];
    }

    /// How many answers it holds.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.queues[0].bytes + self.queues[1].bytes
    }

    /// What is remembered of a question, where answers hold for `longest` at most and may be given for `stale` longer.
    pub(super) fn find(&mut self, key: &[u8], longest: u32, stale: Duration, now: Instant) -> Found<'_> {
        let Some(at) = self.place(key) else { return Found::Nothing };
        let Some(entry) = self.entries[at as usize].as_ref() else { return Found::Nothing };
        let age = now.saturating_duration_since(entry.stored.since);
        let lives = Duration::from_secs(entry.stored.lives.min(longest).into());
        let is_fresh = age < lives;
        if !is_fresh && (age >= lives + stale || entry.stored.is_failure()) {
            self.remove(at);
            return Found::Nothing;
        }
        self.use_again(at);
        let Some(entry) = self.entries[at as usize].as_ref() else { return Found::Nothing };
        if is_fresh {
            let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
            return Found::Fresh(&entry.stored, age);
        }
        Found::Stale(&entry.stored, entry.failed_until.is_some_and(|until| now < until))
    }

    /// Notes that the forwarders have failed with a question whose old answer is to be given until then.
    pub(super) fn note_failure(&mut self, key: &[u8], until: Instant) {
        let at = self.place(key);
        if let Some(entry) = at.and_then(|at| self.entries[at as usize].as_mut()) {
            entry.failed_until = Some(until);
        }
    }

    /// Remembers an answer in the place of what was remembered of the question; one that is too large is not.
    pub(super) fn put(&mut self, key: &[u8], stored: Stored) {
        let cost = OVERHEAD + key.len() + stored.cost();
        if let Some(at) = self.place(key) {
            self.remove(at);
        }
        if cost > self.bounds.bytes / 16 || self.bounds.entries == 0 {
            return;
        }
        while self.len() >= self.bounds.entries || self.bytes() + cost > self.bounds.bytes {
            let last = if self.queues[0].last == NONE { self.queues[1].last } else { self.queues[0].last };
            self.remove(last);
        }
        let entry = Entry { key: key.into(), stored, failed_until: None, cost, kept: false, before: NONE, after: NONE };
        let at = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
        });
        self.entries[at as usize] = Some(entry);
        self.link(at);
        let Self { places, entries, hasher, .. } = self;
        let hash = |at: &u32| hasher.hash_one(entries[*at as usize].as_ref().map_or(&[][..], |entry| &*entry.key));
        places.insert_unique(hasher.hash_one(key), at, hash);
    }

    fn place(&self, key: &[u8]) -> Option<u32> {
        let is_it = |at: &u32| self.entries[*at as usize].as_ref().is_some_and(|entry| *entry.key == *key);
        self.places.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// Puts an entry to the head of the second queue, and lets its end go back to the first where it has too much.
    fn use_again(&mut self, at: u32) {
        if self.queues[1].first == at {
            return;
        }
        self.unlink(at);
        self.set_kept(at, true);
        self.link(at);
        while self.queues[1].bytes > self.bounds.bytes / 5 * 4 && self.queues[1].last != at {
            let last = self.queues[1].last;
            self.unlink(last);
            self.set_kept(last, false);
            self.link(last);
        }
    }

    fn set_kept(&mut self, at: u32, kept: bool) {
        if let Some(entry) = self.entries[at as usize].as_mut() {
            entry.kept = kept;
        }
    }

    fn remove(&mut self, at: u32) {
        self.unlink(at);
        let Some(entry) = self.entries.get_mut(at as usize).and_then(Option::take) else { return };
        if let Ok(found) = self.places.find_entry(self.hasher.hash_one(&*entry.key), |place| *place == at) {
            found.remove();
        }
        self.free.push(at);
    }

    fn link(&mut self, at: u32) {
        let Some(entry) = self.entries[at as usize].as_mut() else { return };
        let queue = &mut self.queues[usize::from(entry.kept)];
        (entry.before, entry.after) = (NONE, queue.first);
        queue.bytes += entry.cost;
        let second = std::mem::replace(&mut queue.first, at);
        if second == NONE {
            queue.last = at;
        } else if let Some(second) = self.entries[second as usize].as_mut() {
            second.before = at;
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(entry) = self.entries.get(at as usize).and_then(Option::as_ref) else { return };
        let (kept, cost, before, after) = (usize::from(entry.kept), entry.cost, entry.before, entry.after);
        let queue = &mut self.queues[kept];
        queue.bytes -= cost;
        if before == NONE {
            queue.first = after;
        }
        if after == NONE {
            queue.last = before;
        }
        if let Some(entry) = self.entries.get_mut(before as usize).and_then(Option::as_mut) {
            entry.after = after;
        }
        if let Some(entry) = self.entries.get_mut(after as usize).and_then(Option::as_mut) {
            entry.before = before;
        }
    }
}
