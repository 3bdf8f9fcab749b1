//! Whose each external port of a worker is.
//!
//! One slice of ports serves every server of a worker, for each external address and each of TCP, UDP and pings. A flat array
//! says which server holds a port, so that a packet from outside finds its server by an index. Nobody shares a port
//! (RFC 4787, REQ-3), and what somebody listens on is never given away.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::super::timeouts;
use super::dice::Dice;
use crate::domain::limits;
use crate::engine::wire::protocol;

/// How often a port is drawn before all are looked through.
const TRIES: u32 = 48;
/// Nobody holds it.
const FREE: u16 = 0;

/// A space of port numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Space {
    Tcp,
    Udp,
    /// Identifiers of pings, of both versions.
    Ping,
}

impl Space {
    const fn of(protocol: u8) -> Option<Self> {
        match protocol {
            protocol::TCP => Some(Self::Tcp),
            protocol::UDP => Some(Self::Udp),
            protocol::ICMP | protocol::ICMPV6 => Some(Self::Ping),
            _ => None,
        }
    }
}

/// The ports of one address and space. Empty until the first is taken.
#[derive(Debug, Default)]
struct Slice {
    /// By port: the server that holds it + 1, or [`FREE`].
    holders: Box<[u16]>,
    /// By port: the second at which it was released, or 0. It wraps after 18 hours, when a port may rest needlessly.
    released: Box<[u16]>,
    held: usize,
}

/// The ports of one worker.
#[derive(Debug)]
pub struct Ports {
    range: RangeInclusive<u16>,
    addresses: Vec<(IpAddr, [Slice; 3])>,
    /// Ports with a listener, on one address or on all; as often as they were reserved.
    reserved: BTreeMap<(Space, u16), Vec<Option<IpAddr>>>,
    dice: Dice,
    start: Instant,
}

impl Ports {
    /// The ports of a worker, all free. The secret decides which are drawn. No port below 1024 is used.
    pub fn new(range: RangeInclusive<u16>, secret: [u8; 32], now: Instant) -> Self {
        let range = limits::PORT_UNPRIVILEGED.max(*range.start())..=*range.end();
        Self { range, addresses: Vec::new(), reserved: BTreeMap::new(), dice: Dice::new(secret), start: now }
    }

    /// The slice of each external address.
    pub fn range(&self) -> RangeInclusive<u16> {
        self.range.clone()
    }

    /// The server that holds an external port.
    pub fn holder(&self, protocol: u8, external: SocketAddr) -> Option<u16> {
        let slice = self.slice(protocol, external.ip())?;
        slice.holders.get(self.index(external.port())?)?.checked_sub(1)
    }

    /// How many ports of an external address are held.
    pub fn held(&self, protocol: u8, external: IpAddr) -> usize {
        self.slice(protocol, external).map_or(0, |slice| slice.held)
    }

    /// From now on nobody is given this port: somebody listens on it, or it is forwarded. `address` is `None` for all
    /// addresses. Returns the servers that hold it now, with the address; their flows by it are to be closed.
    pub fn reserve(&mut self, address: Option<IpAddr>, protocol: u8, port: u16) -> Vec<(IpAddr, u16)> {
        let Some(space) = Space::of(protocol) else { return Vec::new() };
        self.reserved.entry((space, port)).or_default().push(address);
        let held = self.addresses.iter().filter(|(at, _)| address.is_none_or(|address| address == *at));
        held.filter_map(|(at, _)| Some((*at, self.holder(protocol, SocketAddr::new(*at, port))?))).collect()
    }

    /// Takes back one [`Ports::reserve`] with the same arguments.
    pub fn unreserve(&mut self, address: Option<IpAddr>, protocol: u8, port: u16) {
        let Some(space) = Space::of(protocol) else { return };
        let Some(places) = self.reserved.get_mut(&(space, port)) else { return };
        if let Some(at) = places.iter().position(|place| *place == address) {
            places.swap_remove(at);
        }
        if places.is_empty() {
            self.reserved.remove(&(space, port));
        }
    }

    /// Forgets an external address. Whoever holds ports of it has closed its flows.
    pub fn forget(&mut self, address: IpAddr) {
        self.addresses.retain(|(at, _)| *at != address);
    }

    /// Gives a port of an external address to a server: the one that is wished for, if it is free; otherwise one that
    /// nobody can guess, for UDP even for an even wish and odd for an odd one, if there is such (RFC 4787, REQ-4).
    /// A port rests after it was released, while there are others. The last quarter is for the modest.
    pub(in crate::engine::dataplane) fn take(
        &mut self,
        external: IpAddr,
        protocol: u8,
        wish: u16,
        modest: bool,
        server: u16,
        now: Instant,
    ) -> Option<u16> {
        let space = Space::of(protocol)?;
        let place = self.place_of(external);
        let size = self.range.len();
        let slice = &mut self.addresses[place].1[space as usize];
        if slice.holders.is_empty() {
            slice.holders = vec![FREE; size].into();
            slice.released = vec![0; size].into();
        }
        if slice.held >= size || (!modest && slice.held >= size - size / 4) {
            return None;
        }
        let port = self.choose(external, space, wish, now)?;
        let index = self.index(port)?;
        let slice = &mut self.addresses[place].1[space as usize];
        slice.holders[index] = server.saturating_add(1);
        slice.held += 1;
        Some(port)
    }

    /// Takes a port back.
    pub(in crate::engine::dataplane) fn release(&mut self, external: SocketAddr, protocol: u8, now: Instant) {
        let second = self.second(now).max(1);
        let Some((space, index)) = Space::of(protocol).zip(self.index(external.port())) else { return };
        let Ok(place) = self.addresses.binary_search_by_key(&external.ip(), |(at, _)| *at) else { return };
        let slice = &mut self.addresses[place].1[space as usize];
        if slice.holders.get(index).is_some_and(|&holder| holder != FREE) {
            slice.holders[index] = FREE;
            slice.released[index] = second;
            slice.held -= 1;
        }
    }

    fn choose(&mut self, external: IpAddr, space: Space, wish: u16, now: Instant) -> Option<u16> {
        let second = self.second(now);
        if self.is_free(external, space, wish, Some(second)) {
            return Some(wish);
        }
        let size = u16::try_from(self.range.len()).unwrap_or(u16::MAX);
        for _ in 0..TRIES {
            let drawn = self.range.start() + self.dice.below(size);
            let port = if space == Space::Udp { drawn & !1 | wish & 1 } else { drawn };
            if self.is_free(external, space, port, Some(second)) {
                return Some(port);
            }
        }
        // nearly all are held: the first free one from anywhere, and one that rests before none
        let start = self.dice.below(size);
        let first = *self.range.start();
        let from_there = || (start..size).chain(0..start).map(|at| first + at);
        let find = |rested| from_there().find(|&port| self.is_free(external, space, port, rested));
        find(Some(second)).or_else(|| find(None))
    }

    /// Whether a port can be given away; with a second, whether it has rested until then too.
    fn is_free(&self, external: IpAddr, space: Space, port: u16, rested: Option<u16>) -> bool {
        let Some(index) = self.index(port) else { return false };
        let Some(slice) = self.slice_in(space, external) else { return false };
        let rests = |second: u16| {
            let released = slice.released[index];
            released != 0 && u64::from(second.wrapping_sub(released)) < timeouts::PORT_REST.as_secs()
        };
        slice.holders[index] == FREE && !rested.is_some_and(rests) && !self.is_reserved(external, space, port)
    }

    fn is_reserved(&self, external: IpAddr, space: Space, port: u16) -> bool {
        let places = self.reserved.get(&(space, port));
        places.is_some_and(|places| places.iter().any(|place| place.is_none_or(|address| address == external)))
    }

    /// Where an address stands, with a place made for a new one.
    fn place_of(&mut self, external: IpAddr) -> usize {
        self.addresses.binary_search_by_key(&external, |(at, _)| *at).unwrap_or_else(|place| {
            self.addresses.insert(place, (external, Default::default()));
            place
        })
    }

    fn slice(&self, protocol: u8, external: IpAddr) -> Option<&Slice> {
        self.slice_in(Space::of(protocol)?, external)
    }

    fn slice_in(&self, space: Space, external: IpAddr) -> Option<&Slice> {
        let place = self.addresses.binary_search_by_key(&external, |(at, _)| *at).ok()?;
        Some(&self.addresses[place].1[space as usize])
    }

    fn index(&self, port: u16) -> Option<usize> {
        self.range.contains(&port).then(|| usize::from(port - self.range.start()))
    }

    /// Seconds since the beginning, from 1 on: 0 is what was never released.
    fn second(&self, now: Instant) -> u16 {
        let since: Duration = now.saturating_duration_since(self.start);
        u16::try_from((since.as_secs() + 1) & u64::from(u16::MAX)).unwrap_or(1)
    }
}
