//! From worker to worker: what arrived at the wrong door.
//!
//! One bounded ring of bytes for each pair of workers and direction, with one writer and one reader: no lock, no
//! allocation. Whoever has written wakes the other once, at the end of its turn. What does not fit is dropped by the
//! writer, who counts it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mio::Waker;
use rtrb::{Consumer, Producer, RingBuffer};
use tracing::error;

use crate::engine::dataplane::around::Parcel;
use crate::engine::outbox::Endpoint;
use crate::engine::packet::Offload;

/// Bytes of one ring: a dozen of the largest packets.
const RING: usize = 1 << 20;
/// Parcels that are taken from one ring in one turn.
const AT_ONCE: usize = 256;
/// Bytes of a parcel's head.
const HEAD: usize = 48;

const DATAGRAM: u8 = 0;
const CROSSING: u8 = 1;
const ARRIVAL: u8 = 2;
const FROM_HOST: u8 = 3;

/// The rings to every other worker.
#[derive(Debug)]
pub(super) struct Outgoing {
    lanes: Vec<Option<Lane>>,
}

#[derive(Debug)]
struct Lane {
    ring: Producer<u8>,
    waker: Arc<Waker>,
    written: bool,
}

/// The rings from every other worker.
#[derive(Debug)]
pub(super) struct Incoming {
    rings: Vec<Consumer<u8>>,
    /// Where a parcel is laid out whole.
    parcel: Vec<u8>,
}

/// Rings between as many workers as there are wakers: for each worker, in order, its ends of them.
pub(super) fn mesh(wakers: &[Arc<Waker>]) -> Vec<(Outgoing, Incoming)> {
    let mut ends: Vec<(Outgoing, Incoming)> = wakers
        .iter()
        .map(|_| (Outgoing { lanes: Vec::new() }, Incoming { rings: Vec::new(), parcel: Vec::new() }))
        .collect();
    for from in 0..wakers.len() {
        for (to, waker) in wakers.iter().enumerate() {
            if from == to {
                ends[from].0.lanes.push(None);
                continue;
            }
            let (ring, other_end) = RingBuffer::new(RING);
            ends[from].0.lanes.push(Some(Lane { ring, waker: Arc::clone(waker), written: false }));
            ends[to].1.rings.push(other_end);
        }
    }
    ends
}

impl Outgoing {
    /// Hands a parcel for a server to another worker; `false` where there is no such worker or no room.
    pub(super) fn hand(&mut self, worker: u8, server: usize, parcel: Parcel<'_>) -> bool {
        let Some(Some(lane)) = self.lanes.get_mut(usize::from(worker)) else { return false };
        let (head, bytes) = head(server, parcel);
        let Ok(mut room) = lane.ring.write_chunk(HEAD + bytes.len()) else { return false };
        let (first, second) = room.as_mut_slices();
        lay(&head, first, second, 0);
        lay(bytes, first, second, HEAD);
        room.commit_all();
        lane.written = true;
        true
    }

    /// Wakes everyone for whom something was written since the last call.
    pub(super) fn wake(&mut self) {
        for lane in self.lanes.iter_mut().flatten().filter(|lane| lane.written) {
            lane.written = false;
            if lane.waker.wake().is_err() {
                error!("Cannot wake a worker");
            }
        }
    }
}

impl Incoming {
    /// Shows each parcel with the server that it is for, up to a bound; whether some may be left.
    pub(super) fn take(&mut self, mut show: impl FnMut(usize, Parcel<'_>)) -> bool {
        let mut left_over = false;
        for ring in &mut self.rings {
            for _ in 0..AT_ONCE {
                if !read(ring, &mut self.parcel, HEAD) {
                    break;
                }
                let mut head = [0; HEAD];
                head.copy_from_slice(&self.parcel);
                let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
                if !read(ring, &mut self.parcel, length) {
                    break;
                }
                let (server, parcel) = parcel(&head, &self.parcel);
                show(server, parcel);
            }
            left_over |= ring.slots() > 0;
        }
        left_over
    }
}

/// Copies bytes to where they belong in two slices that are one, from `at` on.
fn lay(bytes: &[u8], first: &mut [u8], second: &mut [u8], at: usize) {
    let border = first.len();
    let (before, behind) = bytes.split_at(border.saturating_sub(at).min(bytes.len()));
    if !before.is_empty() {
        first[at..at + before.len()].copy_from_slice(before);
    }
    let at = (at + before.len()).saturating_sub(border);
    second[at..at + behind.len()].copy_from_slice(behind);
}

/// Takes so many bytes from the ring; a parcel is written whole, so either all of them are there or none.
fn read(ring: &mut Consumer<u8>, to: &mut Vec<u8>, length: usize) -> bool {
    let Ok(chunk) = ring.read_chunk(length) else { return false };
    let (first, second) = chunk.as_slices();
    to.clear();
    to.extend_from_slice(first);
    to.extend_from_slice(second);
    chunk.commit_all();
    true
}

/// A parcel's head: kind, flags, server, length, segment, then the endpoint.
fn head(server: usize, parcel: Parcel<'_>) -> ([u8; HEAD], &[u8]) {
    let mut head = [0; HEAD];
    let (kind, offload, bytes) = match parcel {
        Parcel::Datagram { from, bytes } => {
            write_endpoint(&mut head, from);
            (DATAGRAM, Offload::NONE, bytes)
        }
        Parcel::Crossing { packet, offload } => (CROSSING, offload, packet),
        Parcel::Arrival { packet, offload } => (ARRIVAL, offload, packet),
        Parcel::FromHost { packet, offload } => (FROM_HOST, offload, packet),
    };
    head[0] = kind;
    head[1] = u8::from(offload.partial_checksum) | u8::from(offload.gathered) << 1;
    head[2..4].copy_from_slice(&u16::try_from(server).unwrap_or(u16::MAX).to_le_bytes());
    head[4..8].copy_from_slice(&u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
    head[8..10].copy_from_slice(&offload.segment.to_le_bytes());
    (head, bytes)
}

fn write_endpoint(head: &mut [u8; HEAD], from: Endpoint) {
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    head[10..12].copy_from_slice(&from.remote.port().to_le_bytes());
    head[12..28].copy_from_slice(&mapped(from.remote.ip()));
    head[28] = u8::from(from.local.is_some());
    if let Some(local) = from.local {
        head[32..48].copy_from_slice(&mapped(local));
    }
}

fn read_endpoint(head: &[u8; HEAD]) -> Endpoint {
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&head[at..at + 16]);
        IpAddr::from(Ipv6Addr::from(octets)).to_canonical()
    };
    let remote = SocketAddr::new(address(12), u16::from_le_bytes([head[10], head[11]]));
    Endpoint { remote, local: (head[28] == 1).then(|| address(32)) }
}

fn parcel<'p>(head: &[u8; HEAD], bytes: &'p [u8]) -> (usize, Parcel<'p>) {
    let offload = Offload {
        segment: u16::from_le_bytes([head[8], head[9]]),
        partial_checksum: head[1] & 1 != 0,
        gathered: head[1] & 2 != 0,
    };
    let parcel = match head[0] {
        DATAGRAM => Parcel::Datagram { from: read_endpoint(head), bytes },
        CROSSING => Parcel::Crossing { packet: bytes, offload },
        FROM_HOST => Parcel::FromHost { packet: bytes, offload },
        _ => Parcel::Arrival { packet: bytes, offload },
    };
    (usize::from(u16::from_le_bytes([head[2], head[3]])), parcel)
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;

    fn pair() -> (Outgoing, Incoming) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut ends = mesh(&[Arc::clone(&waker), waker]);
        (ends.remove(0).0, ends.remove(0).1)
    }

    #[test]
    fn carries_every_kind_whole_and_in_order_however_the_ring_turns() {
        let (mut outgoing, mut incoming) = pair();
        let from =
            Endpoint { remote: "198.51.100.7:5000".parse().unwrap(), local: Some("2001:db8::1".parse().unwrap()) };
        for round in 0..500_usize {
            let bytes: Vec<u8> = (0..round * 131 % 65_000).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let offload = Offload { segment: 1_380, partial_checksum: round % 2 == 0, gathered: round % 3 == 0 };
            let sent = [
                Parcel::Datagram { from, bytes: &bytes },
                Parcel::Crossing { packet: &bytes, offload },
                Parcel::Arrival { packet: &bytes, offload },
                Parcel::FromHost { packet: &bytes, offload },
            ];
            for parcel in sent {
                assert!(outgoing.hand(1, round, parcel));
            }
            let mut expected = sent.into_iter();
            assert!(!incoming.take(|server, parcel| {
                assert_eq!((server, Some(parcel)), (round, expected.next()));
            }));
            assert_eq!(expected.next(), None);
        }
    }

    #[test]
    fn refuses_what_does_not_fit_and_loses_nothing_of_the_rest() {
        let (mut outgoing, mut incoming) = pair();
        let bytes = vec![7; 60_000];
        let mut taken = 0;
        while outgoing.hand(1, 3, Parcel::Crossing { packet: &bytes, offload: Offload::NONE }) {
            taken += 1;
        }
        assert!(taken > 10);
        let mut shown = 0;
        incoming.take(|_, parcel| {
            shown += usize::from(parcel == Parcel::Crossing { packet: &bytes, offload: Offload::NONE });
        });
        assert_eq!(shown, taken);
        assert!(!outgoing.hand(0, 3, Parcel::Crossing { packet: &bytes, offload: Offload::NONE }), "to oneself");
    }
}
