//! Which inner address and port has which external one, for whichever destination (RFC 4787, REQ-1), and who outside may
//! use it (REQ-8).

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::super::nat::ports::Ports;
use super::super::verdict::DropReason;
use crate::domain::nat::Filtering;
use crate::engine::packet::Owner;

/// What a mapping is made for: the one inner side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inner {
    pub(super) owner: Owner,
    pub(super) protocol: u8,
    pub(super) address: SocketAddr,
}

#[derive(Debug)]
struct Mapping {
    inner: Inner,
    external: SocketAddr,
    flows: u32,
}

/// The mappings of one table.
#[derive(Debug)]
pub(super) struct Mappings {
    slots: Vec<Option<Mapping>>,
    free: Vec<u32>,
    by_inner: HashTable<u32>,
    by_external: HashTable<u32>,
    /// How many flows to an address begin at a mapping: whom it has spoken to.
    remotes: HashMap<(u32, IpAddr), u32, FixedState>,
    hasher: FixedState,
    /// The server's slot, under which it holds ports.
    holder: u16,
}

impl Mappings {
    /// No mappings.
    pub(super) fn new(holder: u16, seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_inner: HashTable::new(),
            by_external: HashTable::new(),
            remotes: HashMap::with_hasher(FixedState::with_seed(seed)),
            hasher: FixedState::with_seed(seed),
            holder,
        }
    }

    fn get(&self, index: u32) -> Option<&Mapping> {
        self.slots.get(index as usize)?.as_ref()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The mapping of an inner side onto an external address.
    pub(super) fn of(&self, inner: &Inner, external: IpAddr) -> Option<u32> {
        let hash = self.hash_inner(inner, external);
        let found = self.by_inner.find(hash, |&index| {
            self.get(index).is_some_and(|mapping| mapping.inner == *inner && mapping.external.ip() == external)
        });
        found.copied()
    }

    /// The mapping that has this external address and port.
    pub(super) fn at(&self, protocol: u8, external: SocketAddr) -> Option<u32> {
        let hash = self.hash_external(protocol, external);
        let found = self.by_external.find(hash, |&index| {
            self.get(index).is_some_and(|mapping| mapping.inner.protocol == protocol && mapping.external == external)
        });
        found.copied()
    }

    /// The two sides of a mapping.
    pub(super) fn sides(&self, index: u32) -> Option<(Inner, SocketAddr)> {
        self.get(index).map(|mapping| (mapping.inner, mapping.external))
    }

    /// Makes a mapping with a port of its own; it has no flow yet.
    pub(super) fn make(
        &mut self,
        inner: Inner,
        external: IpAddr,
        modest: bool,
        ports: &mut Ports,
        now: Instant,
    ) -> Result<u32, DropReason> {
        let wish = inner.address.port();
        let port = ports.take(external, inner.protocol, wish, modest, self.holder, now);
        let external = SocketAddr::new(external, port.ok_or(DropReason::PortsExhausted)?);
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots[index as usize] = Some(Mapping { inner, external, flows: 0 });
        let (slots, hasher) = (&self.slots, &self.hasher);
        let mapping = |index: u32| slots[index as usize].as_ref();
        self.by_inner.insert_unique(hasher.hash_one(inner_key(&inner, external.ip())), index, |&index| {
            mapping(index).map_or(0, |of| hasher.hash_one(inner_key(&of.inner, of.external.ip())))
        });
        self.by_external.insert_unique(hasher.hash_one((inner.protocol, external)), index, |&index| {
            mapping(index).map_or(0, |of| hasher.hash_one((of.inner.protocol, of.external)))
        });
        Ok(index)
    }

    /// Counts a flow in. `spoken_to` is the address to which the inner side began it.
    pub(super) fn enter(&mut self, index: u32, spoken_to: Option<IpAddr>) {
        if let Some(mapping) = self.slots[index as usize].as_mut() {
            mapping.flows += 1;
        }
        if let Some(remote) = spoken_to {
            *self.remotes.entry((index, remote)).or_default() += 1;
        }
    }

    /// Counts a flow out, as it was counted in.
    pub(super) fn leave(&mut self, index: u32, spoken_to: Option<IpAddr>) {
        if let Some(mapping) = self.slots[index as usize].as_mut() {
            mapping.flows -= 1;
        }
        let Some(remote) = spoken_to else { return };
        if let Some(count) = self.remotes.get_mut(&(index, remote)) {
            *count -= 1;
            if *count == 0 {
                self.remotes.remove(&(index, remote));
            }
        }
    }

    /// Gives back the port of a mapping without flows; returns whose it was, if it was one.
    pub(super) fn end_if_idle(&mut self, index: u32, ports: &mut Ports, now: Instant) -> Option<Owner> {
        let mapping = self.slots.get_mut(index as usize)?.take_if(|mapping| mapping.flows == 0)?;
        let Mapping { inner, external, .. } = mapping;
        let (by_inner, by_external) =
            (self.hash_inner(&inner, external.ip()), self.hash_external(inner.protocol, external));
        if let Ok(entry) = self.by_inner.find_entry(by_inner, |&other| other == index) {
            entry.remove();
        }
        if let Ok(entry) = self.by_external.find_entry(by_external, |&other| other == index) {
            entry.remove();
        }
        self.free.push(index);
        ports.release(external, inner.protocol, now);
        Some(inner.owner)
    }

    /// Who stands behind an external port, if a stranger at this address may reach it.
    pub(super) fn admit(
        &self,
        protocol: u8,
        from: IpAddr,
        external: SocketAddr,
        filtering: Filtering,
    ) -> Result<Inner, DropReason> {
        let index = self.at(protocol, external).ok_or(DropReason::NotMapped)?;
        let mapping = self.get(index).ok_or(DropReason::NotMapped)?;
        let admitted = match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.remotes.contains_key(&(index, from)),
            Filtering::AddressAndPort => false,
        };
        if admitted { Ok(mapping.inner) } else { Err(DropReason::Unsolicited) }
    }

    fn hash_inner(&self, inner: &Inner, external: IpAddr) -> u64 {
        self.hasher.hash_one(inner_key(inner, external))
    }

    fn hash_external(&self, protocol: u8, external: SocketAddr) -> u64 {
        self.hasher.hash_one((protocol, external))
    }
}

/// What a mapping is found by.
fn inner_key(inner: &Inner, external: IpAddr) -> (u32, u8, SocketAddr, IpAddr) {
    (inner.owner.0, inner.protocol, inner.address, external)
}
