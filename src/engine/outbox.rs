//! Memory for sealed datagrams on their way out.
//!
//! Datagrams to one endpoint that follow one another lie side by side in equal segments, so that the door can hand a
//! whole batch to the kernel at once (UDP segmentation offload). Nothing is allocated after the beginning.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// The most segments that the kernel takes in one batch (`UDP_MAX_SEGMENTS` before Linux 6.9).
const SEGMENTS_MAX: usize = 64;
/// The most bytes of one batch: what fits an IPv6 UDP payload without a jumbogram.
const BATCH_MAX: usize = 65_487;
/// How many batches fit.
const BATCHES_MAX: usize = 512;

/// Where a datagram goes, and from which of our addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The other side.
    pub remote: SocketAddr,
    /// The address of ours that the other side last sent to, where it is known: answers leave from it.
    pub local: Option<IpAddr>,
}

/// By which of our ports a datagram leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The server's own, for `WireGuard`.
    WireGuard,
    /// That of ESP in UDP (RFC 3948), which all servers share.
    Esp,
}

/// Datagrams to one endpoint, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Where they go.
    pub endpoint: Endpoint,
    /// By which of our ports.
    pub port: Port,
    /// The datagrams.
    pub bytes: &'a [u8],
    /// The length of each but the last, which may be shorter.
    pub segment: usize,
}

#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    port: Port,
    range: Range<usize>,
    segment: usize,
}

impl Entry {
    /// Whether a datagram of this length may stand behind the last one.
    fn takes(&self, endpoint: Endpoint, port: Port, length: usize) -> bool {
        let bytes = self.range.len();
        // a shorter segment is the last one
        let open = bytes.is_multiple_of(self.segment) && bytes / self.segment < SEGMENTS_MAX;
        open && length <= self.segment && bytes + length <= BATCH_MAX && (self.endpoint, self.port) == (endpoint, port)
    }
}

/// Datagrams that wait for the door.
#[derive(Debug)]
pub struct Outbox {
    memory: Box<[u8]>,
    used: usize,
    entries: Vec<Entry>,
}

impl Outbox {
    /// Room for so many bytes of datagrams.
    pub fn new(bytes: usize) -> Self {
        Self { memory: vec![0; bytes].into(), used: 0, entries: Vec::with_capacity(BATCHES_MAX) }
    }

    /// Whether a datagram of so many bytes fits.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.memory.len() - self.used >= bytes && self.entries.len() < BATCHES_MAX
    }

    /// Room for the next datagram, behind what was committed; `None` where it does not fit.
    pub fn room(&mut self, bytes: usize) -> Option<&mut [u8]> {
        if !self.has_room(bytes) {
            return None;
        }
        Some(&mut self.memory[self.used..self.used + bytes])
    }

    /// Keeps the first `length` bytes of the room as a datagram to this endpoint. A length of 0 keeps nothing.
    pub fn commit(&mut self, endpoint: Endpoint, length: usize) {
        self.commit_by(Port::WireGuard, endpoint, length);
    }

    /// As [`Self::commit`], for a datagram that leaves by this port of ours.
    pub fn commit_by(&mut self, port: Port, endpoint: Endpoint, length: usize) {
        if length == 0 || !self.has_room(length) {
            return;
        }
        let start = self.used;
        self.used += length;
        match self.entries.last_mut() {
            Some(last) if last.takes(endpoint, port, length) => last.range.end = self.used,
            _ => self.entries.push(Entry { endpoint, port, range: start..self.used, segment: length }),
        }
    }

    /// Copies a datagram in; `false` where it does not fit.
    pub fn push(&mut self, endpoint: Endpoint, datagram: &[u8]) -> bool {
        let Some(room) = self.room(datagram.len()) else { return false };
        room.copy_from_slice(datagram);
        self.commit(endpoint, datagram.len());
        true
    }

    /// The batches, in the order in which they were written.
    pub fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        self.entries.iter().map(|entry| Batch {
            endpoint: entry.endpoint,
            port: entry.port,
            bytes: &self.memory[entry.range.clone()],
            segment: entry.segment,
        })
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it is time to send what waits: less than a quarter of the room is left.
    pub fn is_tight(&self) -> bool {
        self.used > self.memory.len() / 4 * 3 || self.entries.len() > BATCHES_MAX / 4 * 3
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.used = 0;
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { remote: SocketAddr::from(([192, 0, 2, 1], port)), local: None }
    }

    fn shapes(outbox: &Outbox) -> Vec<(u16, usize, usize)> {
        outbox.batches().map(|batch| (batch.endpoint.remote.port(), batch.bytes.len(), batch.segment)).collect()
    }

    #[test]
    fn lays_equal_datagrams_to_one_endpoint_side_by_side() {
        let mut outbox = Outbox::new(10_000);
        for length in [100, 100, 100] {
            assert!(outbox.push(endpoint(1), &vec![7; length]));
        }
        assert_eq!(shapes(&outbox), [(1, 300, 100)]);
    }

    #[test]
    fn ends_a_batch_with_a_shorter_datagram_and_before_a_longer_one() {
        let mut outbox = Outbox::new(10_000);
        for length in [100, 60, 60, 80] {
            assert!(outbox.push(endpoint(1), &vec![7; length]));
        }
        assert_eq!(shapes(&outbox), [(1, 160, 100), (1, 60, 60), (1, 80, 80)]);
    }

    #[test]
    fn keeps_endpoints_apart() {
        let mut outbox = Outbox::new(10_000);
        assert!(outbox.push(endpoint(1), &[0; 10]));
        assert!(outbox.push(endpoint(2), &[0; 10]));
        let other_address = Endpoint { local: Some(IpAddr::from([10, 0, 0, 1])), ..endpoint(2) };
        assert!(outbox.push(other_address, &[0; 10]));
        assert_eq!(shapes(&outbox), [(1, 10, 10), (2, 10, 10), (2, 10, 10)]);
    }

    #[test]
    fn keeps_our_ports_apart() {
        let mut outbox = Outbox::new(10_000);
        for port in [Port::WireGuard, Port::Esp, Port::Esp, Port::WireGuard] {
            outbox.commit_by(port, endpoint(1), 10);
        }
        let ports: Vec<(Port, usize)> = outbox.batches().map(|batch| (batch.port, batch.bytes.len())).collect();
        assert_eq!(ports, [(Port::WireGuard, 10), (Port::Esp, 20), (Port::WireGuard, 10)]);
    }

    #[test]
    fn never_exceeds_what_the_kernel_takes_at_once() {
        let mut outbox = Outbox::new(1 << 20);
        for _ in 0..100 {
            assert!(outbox.push(endpoint(1), &[0; 1_452]));
        }
        for _ in 0..100 {
            assert!(outbox.push(endpoint(1), &[0; 32]));
        }
        for batch in outbox.batches() {
            assert!(batch.bytes.len() <= BATCH_MAX && batch.bytes.len().div_ceil(batch.segment) <= SEGMENTS_MAX);
        }
        let total: usize = outbox.batches().map(|batch| batch.bytes.len()).sum();
        assert_eq!(total, 100 * 1_452 + 100 * 32);
    }

    #[test]
    fn refuses_what_does_not_fit_and_is_empty_after_a_clear() {
        let mut outbox = Outbox::new(100);
        assert!(outbox.push(endpoint(1), &[0; 60]));
        assert!(!outbox.push(endpoint(1), &[0; 60]));
        assert!(!outbox.is_tight() && outbox.push(endpoint(1), &[0; 20]) && outbox.is_tight());
        outbox.clear();
        assert!(!outbox.is_tight() && outbox.is_empty() && outbox.push(endpoint(1), &[0; 60]));
    }
}
