//! Questions that the forwarders have been asked: who waits for the answer, and what was asked of whom.
//!
//! All who ask the same wait for one answer. What may wait is bounded in all and for each account.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::question::Asked;
use super::{Asker, PATIENCE, Transport};
use crate::engine::packet::Owner;
use crate::engine::wire::dns::Extension;

/// Different questions that may wait for an answer at a time.
const QUESTIONS_MAX: usize = 1_024;
/// Clients that may wait for the same answer.
const WAITING_MAX: usize = 128;
/// Questions of one account that may wait.
const WAITING_OF_OWNER: u32 = 256;

/// Somebody who waits for an answer.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) asker: Asker,
    id: u16,
    flags: u16,
    section: Box<[u8]>,
    extension: Option<Extension>,
    limit: usize,
}

impl Waiting {
    pub(super) fn new(asker: Asker, query: &Asked<'_>) -> Self {
        let Asked { id, flags, section, extension, limit } = *query;
        Self { asker, id, flags, section: section.into(), extension, limit }
    }

    /// The question as it was read.
    pub(super) fn asked(&self) -> Asked<'_> {
        let Self { id, flags, section, extension, limit, .. } = self;
        Asked { id: *id, flags: *flags, section, extension: *extension, limit: *limit }
    }
}

/// A question to a forwarder, as far as its reply has to fit.
#[derive(Debug)]
pub(super) struct Sent {
    /// Which forwarder.
    pub(super) to: usize,
    pub(super) transport: Transport,
    pub(super) message: Arc<[u8]>,
    pub(super) at: Instant,
    /// Whether a reply is still waited for.
    pub(super) open: bool,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) key: Box<[u8]>,
    /// The question in lower case.
    pub(super) section: Box<[u8]>,
    pub(super) wants_signatures: bool,
    pub(super) unchecked: bool,
    pub(super) waiting: Vec<Waiting>,
    pub(super) sent: Vec<Sent>,
    /// When another forwarder is asked, or the same again.
    pub(super) next_try: Option<Instant>,
    /// When who waits gets what is too old.
    pub(super) stale_at: Option<Instant>,
    /// When nobody waits any longer.
    pub(super) gives_up: Instant,
    /// What the last forwarder said that could not answer.
    pub(super) outcome: Option<u8>,
    due: Option<Instant>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    pending: Option<Pending>,
}

/// What became of somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// The same has been asked already.
    Waits,
    /// It is the first to ask this.
    New(u32),
    /// There is no room.
    Full,
}

/// All questions that wait.
#[derive(Debug)]
pub(super) struct Pendings {
    hasher: FixedState,
    places: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    due: BTreeSet<(Instant, u32)>,
    tallies: HashMap<(u16, Owner), u32, FixedState>,
}

impl Pendings {
    /// None; the seed keeps strangers from choosing names that collide.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            places: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            due: BTreeSet::new(),
            tallies: HashMap::with_hasher(FixedState::with_seed(seed.rotate_left(9))),
        }
    }

    /// Lets somebody wait for the answer to the question of this key.
    pub(super) fn join(&mut self, key: &[u8], waiting: Waiting, now: Instant) -> Joined {
        let owner = (waiting.asker.server, waiting.asker.owner);
        let is_it = |slot: &u32| self.slots[*slot as usize].pending.as_ref().is_some_and(|known| *known.key == *key);
        let place = self.places.find(self.hasher.hash_one(key), is_it).copied();
        let mut queue = place.and_then(|slot| self.slots[slot as usize].pending.as_mut());
        if let Some(pending) = &queue
            && pending.waiting.iter().any(|other| other.asker == waiting.asker && other.id == waiting.id)
        {
            return Joined::Waits;
        }
        let has_room = queue.as_ref().map_or(self.places.len() < QUESTIONS_MAX, |it| it.waiting.len() < WAITING_MAX);
        let tally = self.tallies.entry(owner).or_default();
        if !has_room || *tally >= WAITING_OF_OWNER {
            return Joined::Full;
        }
        *tally += 1;
        if let Some(pending) = &mut queue {
            pending.waiting.push(waiting);
            return Joined::Waits;
        }
        Joined::New(self.insert(key, waiting, now))
    }

    fn insert(&mut self, key: &[u8], waiting: Waiting, now: Instant) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let asked = waiting.asked();
        let mut section = asked.section.to_vec();
        let name = section.len().saturating_sub(4);
        section[..name].make_ascii_lowercase();
        let pending = Pending {
            key: key.into(),
            section: section.into(),
            wants_signatures: asked.wants_signatures(),
            unchecked: asked.is_unchecked(),
            gives_up: now + PATIENCE,
            waiting: vec![waiting],
            sent: Vec::new(),
            next_try: None,
            stale_at: None,
            outcome: None,
            due: None,
        };
        self.slots[slot as usize].pending = Some(pending);
        let Self { places, slots, hasher, .. } = self;
        let of = |slot: &u32| slots[*slot as usize].pending.as_ref().map_or(&[][..], |pending| &*pending.key);
        places.insert_unique(hasher.hash_one(key), slot, |slot| hasher.hash_one(of(slot)));
        slot
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Pending> {
        self.slots.get_mut(slot as usize)?.pending.as_mut()
    }

    /// The generation of what is in a slot: one that has ended is never mistaken for another that took its place.
    pub(super) fn generation(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |slot| slot.generation)
    }

    /// Takes a question out, with all who wait.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Pending> {
        let place = self.slots.get_mut(slot as usize)?;
        let pending = place.pending.take()?;
        place.generation = place.generation.wrapping_add(1);
        if let Ok(found) = self.places.find_entry(self.hasher.hash_one(&*pending.key), |at| *at == slot) {
            found.remove();
        }
        if let Some(due) = pending.due {
            self.due.remove(&(due, slot));
        }
        self.free.push(slot);
        for waiting in &pending.waiting {
            self.forget(waiting);
        }
        Some(pending)
    }

    /// Takes all who wait for a question that goes on.
    pub(super) fn take_waiting(&mut self, slot: u32) -> Vec<Waiting> {
        let waiting = self.get_mut(slot).map(|pending| std::mem::take(&mut pending.waiting)).unwrap_or_default();
        for one in &waiting {
            self.forget(one);
        }
        waiting
    }

    fn forget(&mut self, waiting: &Waiting) {
        let owner = (waiting.asker.server, waiting.asker.owner);
        if let Some(tally) = self.tallies.get_mut(&owner) {
            *tally -= 1;
            if *tally == 0 {
                self.tallies.remove(&owner);
            }
        }
    }

    /// Notes when a question is due, after its times have changed.
    pub(super) fn settle(&mut self, slot: u32) {
        let Some(pending) = self.slots.get_mut(slot as usize).and_then(|slot| slot.pending.as_mut()) else { return };
        let due = [pending.next_try, pending.stale_at, Some(pending.gives_up)].into_iter().flatten().min();
        if let Some(before) = std::mem::replace(&mut pending.due, due) {
            self.due.remove(&(before, slot));
        }
        self.due.extend(due.map(|due| (due, slot)));
    }

    /// When the first is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// One that is due now.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, slot)| *slot)
    }

    /// The slots of all.
    pub(super) fn slots(&self) -> Vec<u32> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.pending.is_some()).map(|(at, _)| at).collect()
    }
}
