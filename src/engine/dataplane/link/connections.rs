//! One client's connections by IKEv2: where each is, its children, and which of them spoke last.

use std::time::{Duration, Instant};

use super::esp::{Child, Children, NotPassed, Opened};
use crate::engine::dataplane::around::EspWord;
use crate::engine::esp::protection::Unauthentic;
use crate::engine::outbox::Endpoint;

/// How often IKE is told that a child is used.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// What an Ethernet carries, less the header of UDP: what is longer is cut on its way.
const PATH: usize = 1_500 - 8;

/// One of them; there are several where a client follows itself (RFC 7296, section 2.8.3), or two devices share an
/// account.
#[derive(Debug)]
struct Connection {
    id: u64,
    endpoint: Endpoint,
    children: Children,
}

/// When IKE was last told of a child.
#[derive(Debug, Clone, Copy)]
struct Told {
    inbound: u32,
    came: Option<Instant>,
    went: Option<Instant>,
}

/// A packet that was sealed.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// The datagram's length.
    pub length: usize,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// What IKE is to be told.
    pub word: Option<EspWord>,
}

/// A client's connections, the one that spoke last at the end.
#[derive(Debug, Default)]
pub struct Connections {
    all: Vec<Connection>,
    told: Vec<Told>,
}

impl Connections {
    /// Takes a child into use; whether its connection is a new one, which then spoke last, unless another is at the very
    /// same place.
    ///
    /// # Errors
    /// [`Unauthentic`] for keys that do not fit their suite.
    pub fn install(&mut self, id: u64, endpoint: Endpoint, child: Child) -> Result<bool, Unauthentic> {
        let inbound = child.inbound.spi;
        let is_new = !self.all.iter().any(|one| one.id == id);
        if is_new {
            // a client that follows itself has the keys only once our last message has reached it, and then says something
            let follows = self.all.iter().any(|one| one.endpoint == endpoint && one.children.is_connected());
            let at = if follows { 0 } else { self.all.len() };
            self.all.insert(at, Connection { id, endpoint, children: Children::default() });
        }
        if let Some(connection) = self.all.iter_mut().find(|one| one.id == id) {
            connection.children.install(child)?;
        }
        self.told.push(Told { inbound, came: None, went: None });
        Ok(is_new)
    }

    /// A child is sent with no more.
    pub fn retire(&mut self, inbound: u32) {
        for connection in &mut self.all {
            connection.children.retire(inbound);
        }
    }

    /// A child is gone.
    pub fn remove(&mut self, inbound: u32) {
        for connection in &mut self.all {
            connection.children.remove(inbound);
        }
        self.told.retain(|told| told.inbound != inbound);
    }

    /// A connection is gone; the SPIs that were its own.
    pub fn close(&mut self, id: u64) -> Vec<u32> {
        let gone: Vec<u32> = self.all.iter().filter(|one| one.id == id).flat_map(|one| one.children.spis()).collect();
        self.all.retain(|one| one.id != id);
        self.told.retain(|told| !gone.contains(&told.inbound));
        gone
    }

    /// A connection's client is elsewhere.
    pub fn relocate(&mut self, id: u64, endpoint: Endpoint) {
        for connection in self.all.iter_mut().filter(|one| one.id == id) {
            connection.endpoint = endpoint;
        }
    }

    /// All of our SPIs.
    pub fn spis(&self) -> impl Iterator<Item = u32> {
        self.all.iter().flat_map(|one| one.children.spis())
    }

    /// Whether there is anything to send with.
    pub fn is_connected(&self) -> bool {
        self.all.iter().any(|one| one.children.is_connected())
    }

    /// The largest packet that goes out whole to whoever spoke last.
    pub fn mtu(&self) -> Option<usize> {
        let last = self.all.iter().rev().find(|one| one.children.is_connected())?;
        let header = if last.endpoint.remote.is_ipv4() { 20 } else { 40 };
        last.children.packet_max(PATH - header)
    }

    /// Opens a datagram in place. What is authentic and newer than anything before says where the client is.
    ///
    /// # Errors
    /// [`NotPassed`].
    pub fn open(
        &mut self,
        from: Endpoint,
        datagram: &mut [u8],
        now: Instant,
    ) -> Result<(Opened, Option<EspWord>), NotPassed> {
        let (spi, _) = datagram.split_first_chunk::<4>().ok_or(NotPassed::UnknownSpi)?;
        let inbound = u32::from_be_bytes(*spi);
        let at = self.all.iter().position(|one| one.children.has(inbound)).ok_or(NotPassed::UnknownSpi)?;
        let connection = &mut self.all[at];
        let opened = connection.children.open(datagram)?;
        let moved = opened.newest && connection.endpoint != from;
        if moved {
            connection.endpoint = from;
        }
        // whoever spoke last stands last
        self.all[at..].rotate_left(1);
        let is_due = self.is_due(inbound, moved, now, |told| &mut told.came);
        let word = is_due.then_some(EspWord::Used { inbound, from: opened.newest.then_some(from) });
        Ok((opened, word))
    }

    /// Seals a packet for whoever spoke last of those that take its addresses.
    ///
    /// # Errors
    /// [`NotPassed`].
    pub fn seal(&mut self, packet: &[u8], memory: &mut [u8], now: Instant) -> Result<Sealed, NotPassed> {
        let mut outcome = Err(NotPassed::NoChild);
        for connection in self.all.iter_mut().rev() {
            outcome = connection.children.seal(packet, memory);
            if let Ok((length, inbound)) = outcome {
                let endpoint = connection.endpoint;
                let spent = connection.children.take_spent().map(|inbound| EspWord::Spent { inbound });
                let is_due = spent.is_none() && self.is_due(inbound, false, now, |told| &mut told.went);
                let word = spent.or_else(|| is_due.then_some(EspWord::Used { inbound, from: None }));
                return Ok(Sealed { length, endpoint, word });
            }
            if outcome != Err(NotPassed::NoChild) {
                break;
            }
        }
        outcome.and(Err(NotPassed::NoChild))
    }

    /// Whether IKE is to be told, and notes that it is.
    fn is_due(
        &mut self,
        inbound: u32,
        at_once: bool,
        now: Instant,
        last: impl Fn(&mut Told) -> &mut Option<Instant>,
    ) -> bool {
        let Some(told) = self.told.iter_mut().find(|told| told.inbound == inbound) else { return false };
        let last = last(told);
        let is_due = at_once || last.is_none_or(|last| now.saturating_duration_since(last) >= TOLD_EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
