//! Where flows lie: dense slots, and one hash table of both keys of each.
//!
//! The hash table holds slots, not keys: what is compared is the flow itself, which the packet needs anyway.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{Flow, FlowId, Side};
use crate::engine::wire::FlowKey;

#[derive(Debug)]
struct Slot {
    generation: u32,
    flow: Option<Flow>,
}

/// All flows.
#[derive(Debug)]
pub(super) struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slot and side in one: `slot * 2 + side`.
    places: HashTable<u32>,
    hasher: FixedState,
}

impl Slab {
    /// No flows. The seed is secret and random, so that nobody can choose what collides.
    pub(super) fn new(seed: u64) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), places: HashTable::new(), hasher: FixedState::with_seed(seed) }
    }

    /// How many flows there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The flow to which packets with this key belong, and on which side of it they come.
    pub(super) fn find(&self, key: &FlowKey) -> Option<(FlowId, Side)> {
        let hash = self.hasher.hash_one(key);
        let place = *self.places.find(hash, |&place| key_at(&self.slots, place) == Some(key))?;
        let side = if place & 1 == 0 { Side::Original } else { Side::Reply };
        Some((self.id(place >> 1), side))
    }

    /// The name of the flow in a slot.
    pub(super) fn id(&self, slot: u32) -> FlowId {
        FlowId { slot, generation: self.slots[slot as usize].generation }
    }

    /// A flow.
    pub(super) fn get(&self, id: FlowId) -> Option<&Flow> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.flow.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// A flow, to be changed.
    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.flow.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// The flow in a slot.
    pub(super) fn at(&self, slot: u32) -> Option<&Flow> {
        self.slots.get(slot as usize)?.flow.as_ref()
    }

    /// Every flow, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        (0..).zip(&self.slots).filter_map(|(slot, at)| {
            let id = FlowId { slot, generation: at.generation };
            at.flow.as_ref().map(|flow| (id, flow))
        })
    }

    /// How many slots there are, full and empty.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Puts a flow in, whose keys are not there yet.
    pub(super) fn insert(&mut self, flow: Flow) -> FlowId {
        let places = [flow.original, flow.reply].map(|key| self.hasher.hash_one(key));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, flow: None });
            self.slots() - 1
        });
        self.slots[slot as usize].flow = Some(flow);
        let (slots, hasher) = (&self.slots, &self.hasher);
        for (hash, side) in places.into_iter().zip(0..) {
            self.places.insert_unique(hash, slot * 2 + side, |&place| {
                key_at(slots, place).map_or(0, |key| hasher.hash_one(key))
            });
        }
        self.id(slot)
    }

    /// Takes a flow out.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let flow = slot.flow.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        for (key, side) in [flow.original, flow.reply].into_iter().zip(0..) {
            let hash = self.hasher.hash_one(key);
            if let Ok(entry) = self.places.find_entry(hash, |&place| place == id.slot * 2 + side) {
                entry.remove();
            }
        }
        self.free.push(id.slot);
        Some(flow)
    }
}

fn key_at(slots: &[Slot], place: u32) -> Option<&FlowKey> {
    let flow = slots[(place >> 1) as usize].flow.as_ref()?;
    Some(if place & 1 == 0 { &flow.original } else { &flow.reply })
}
