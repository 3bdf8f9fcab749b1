//! Puts together the fragments that peers send (RFC 791, section 3.2; RFC 8200, section 4.5), within bounds.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

use crate::engine::packet::Owner;
use crate::engine::wire::{Ip, ip, ipv4, ipv6};

/// Unfinished packets of one peer.
const PENDING_OF_OWNER: usize = 64;
/// Unfinished packets of all.
const PENDING: usize = 1_024;
/// Bytes of unfinished packets of all.
const BYTES: usize = 8 << 20;
/// The largest payload that an IP packet of either version carries here.
const PAYLOAD_MAX: usize = 65_535 - ipv4::HEADER;
/// Pieces of one packet: the largest packet in pieces of 576 bytes (RFC 791's smallest that everyone takes) are 118.
const PIECES: usize = 128;
/// The protocol number of IPv6's fragment header.
const FRAGMENT: u8 = 44;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    owner: Owner,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

#[derive(Debug, Default)]
struct Pending {
    /// Room for the header of the whole, then its payload.
    packet: Vec<u8>,
    ttl: u8,
    /// What has come, in order: begin and end in the payload.
    pieces: Vec<(usize, usize)>,
    total: Option<usize>,
}

/// One fragment.
struct Piece<'p> {
    key: Key,
    ttl: u8,
    offset: usize,
    is_last: bool,
    bytes: &'p [u8],
}

/// Unfinished packets.
#[derive(Debug)]
pub struct Fragments {
    /// How long a packet waits for its rest.
    life: Duration,
    pending: HashMap<Key, Pending, FixedState>,
    /// When each is given up, oldest first. A key may outlive its packet here.
    expiries: VecDeque<(Instant, Key)>,
    owners: HashMap<Owner, usize, FixedState>,
    bytes: usize,
    /// Fragments that did not fit, overlapped or were malformed, and packets whose rest did not come.
    pub dropped: u64,
}

impl Fragments {
    /// Nothing begun. The seed is secret and random; `life` is how long a packet waits for its rest.
    pub fn new(seed: u64, life: Duration) -> Self {
        Self {
            life,
            pending: HashMap::with_hasher(FixedState::with_seed(seed)),
            expiries: VecDeque::new(),
            owners: HashMap::with_hasher(FixedState::with_seed(seed)),
            bytes: 0,
            dropped: 0,
        }
    }

    /// Takes a fragment; returns the whole packet, without traces of fragmentation, once nothing is missing.
    pub fn handle(&mut self, owner: Owner, packet: &[u8], now: Instant) -> Option<Vec<u8>> {
        self.expire(now);
        let Some(piece) = Piece::read(owner, packet) else {
            self.dropped += 1;
            return None;
        };
        if !self.admit(&piece, now) {
            self.dropped += 1;
            return None;
        }
        let pending = self.pending.get_mut(&piece.key)?;
        let before = pending.packet.len();
        let is_sound = pending.add(&piece);
        self.bytes += pending.packet.len() - before;
        if !is_sound {
            // RFC 5722: where fragments overlap, the whole packet is dropped
            self.dropped += 1;
            self.forget(&piece.key);
            return None;
        }
        if !pending.is_whole() {
            return None;
        }
        let whole = self.forget(&piece.key)?;
        whole.seal(&piece.key)
    }

    /// When the oldest unfinished packet is given up.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.front().map(|(at, _)| *at)
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: Instant) {
        while let Some((at, key)) = self.expiries.front().copied() {
            if at > now {
                return;
            }
            self.expiries.pop_front();
            self.dropped += u64::from(self.forget(&key).is_some());
        }
    }

    /// Forgets what this peer has begun: how many packets.
    pub fn drop_owner(&mut self, owner: Owner) -> usize {
        let keys: Vec<Key> = self.expiries.iter().map(|(_, key)| *key).filter(|key| key.owner == owner).collect();
        let forgotten = keys.iter().filter(|key| self.forget(key).is_some()).count();
        self.expiries.retain(|(_, key)| key.owner != owner);
        forgotten
    }

    fn admit(&mut self, piece: &Piece<'_>, now: Instant) -> bool {
        if self.bytes + piece.offset + piece.bytes.len() > BYTES {
            return false;
        }
        if self.pending.contains_key(&piece.key) {
            return true;
        }
        if self.pending.len() >= PENDING {
            return false;
        }
        if self.expiries.len() >= 4 * PENDING {
            let pending = &self.pending;
            self.expiries.retain(|(_, key)| pending.contains_key(key));
        }
        let of_owner = self.owners.entry(piece.key.owner).or_default();
        if *of_owner >= PENDING_OF_OWNER {
            return false;
        }
        *of_owner += 1;
        self.pending.insert(piece.key, Pending::new(piece.key.source));
        self.bytes += ip::header_len(piece.key.source);
        self.expiries.push_back((now + self.life, piece.key));
        true
    }

    fn forget(&mut self, key: &Key) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        self.bytes -= pending.packet.len();
        if let Some(of_owner) = self.owners.get_mut(&key.owner) {
            *of_owner -= 1;
            if *of_owner == 0 {
                self.owners.remove(&key.owner);
            }
        }
        Some(pending)
    }
}

impl<'p> Piece<'p> {
    fn read(owner: Owner, packet: &'p [u8]) -> Option<Self> {
        let view = Ip::new(packet).ok()?;
        let (source, destination) = (view.source(), view.destination());
        let piece = if source.is_ipv4() {
            let view = ipv4::Ipv4::new(packet).ok()?;
            let identification = u32::from(view.identification());
            Piece {
                key: Key { owner, source, destination, protocol: view.protocol(), identification },
                ttl: view.ttl(),
                offset: view.fragment_offset(),
                is_last: !view.more_fragments(),
                bytes: &packet[view.header_len()..view.total_len()],
            }
        } else {
            Self::read_v6(owner, packet, (source, destination))?
        };
        let is_sound = piece.is_last || (piece.bytes.len() % 8 == 0 && !piece.bytes.is_empty());
        (is_sound && piece.offset + piece.bytes.len() <= PAYLOAD_MAX).then_some(piece)
    }

    /// Only a fragment header that follows the fixed one at once is taken: nothing that peers send has more.
    fn read_v6(owner: Owner, packet: &'p [u8], (source, destination): (IpAddr, IpAddr)) -> Option<Self> {
        let view = ipv6::Ipv6::new(packet).ok()?;
        let header = packet.get(ipv6::HEADER..ipv6::HEADER + 8)?;
        if view.next_header() != FRAGMENT {
            return None;
        }
        let identification = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let word = u16::from_be_bytes([header[2], header[3]]);
        Some(Piece {
            key: Key { owner, source, destination, protocol: header[0], identification },
            ttl: view.hop_limit(),
            offset: usize::from(word & 0xfff8),
            is_last: word & 1 == 0,
            bytes: &packet[ipv6::HEADER + 8..view.total_len()],
        })
    }
}

impl Pending {
    fn new(source: IpAddr) -> Self {
        Self { packet: vec![0; ip::header_len(source)], ttl: u8::MAX, pieces: Vec::new(), total: None }
    }

    /// Adds a piece; `false` if it cannot belong to the rest.
    fn add(&mut self, piece: &Piece<'_>) -> bool {
        let (begin, end) = (piece.offset, piece.offset + piece.bytes.len());
        let place = self.pieces.partition_point(|(other, _)| *other < begin);
        let follows = place == 0 || self.pieces[place - 1].1 <= begin;
        let precedes = self.pieces.get(place).is_none_or(|(other, _)| end <= *other);
        let is_within = self.total.is_none_or(|total| end <= total && !piece.is_last);
        let is_last = !piece.is_last || self.pieces.last().is_none_or(|(_, other)| *other <= begin);
        if !(follows && precedes && is_within && is_last) || self.pieces.len() >= PIECES {
            return false;
        }
        if piece.is_last {
            self.total = Some(end);
        }
        self.pieces.insert(place, (begin, end));
        self.ttl = self.ttl.min(piece.ttl);
        let header = ip::header_len(piece.key.source);
        if self.packet.len() < header + end {
            self.packet.resize(header + end, 0);
        }
        self.packet[header + begin..header + end].copy_from_slice(piece.bytes);
        true
    }

    fn is_whole(&self) -> bool {
        let mut reached = 0;
        for (begin, end) in &self.pieces {
            if *begin != reached {
                return false;
            }
            reached = *end;
        }
        self.total == Some(reached)
    }

    fn seal(mut self, key: &Key) -> Option<Vec<u8>> {
        let payload = self.packet.len() - ip::header_len(key.source);
        ip::write_header(&mut self.packet, key.source, key.destination, key.protocol, self.ttl, payload)?;
        if key.source.is_ipv4() {
            // it may be cut again, under the name that its sender gave it
            let identification = u16::try_from(key.identification & 0xffff).unwrap_or_default();
            ipv4::name(&mut self.packet, identification, 0);
        }
        Some(self.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fragments::split;
    use crate::engine::wire::udp;

    #[expect(clippy::disallowed_methods, reason = "virtual time needs a beginning, and there is no other")]
    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    fn none_yet() -> Fragments {
        Fragments::new(1, Duration::from_secs(2))
    }

    /// A UDP packet of this many bytes of payload, and its fragments for an MTU of 1,280.
    fn fragmented(v6: bool, length: usize, identification: u32) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (source, destination) = if v6 {
            ("[2001:db8::2]:1000".parse().unwrap(), "[2001:db8::3]:53".parse().unwrap())
        } else {
            ("10.0.0.2:1000".parse().unwrap(), "192.0.2.3:53".parse().unwrap())
        };
        let load: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
        let mut buffer = vec![0; 70_000];
        let length = udp::write_packet(&mut buffer[8..], source, destination, 64, &load).expect("fits");
        let mut whole = buffer[8..8 + length].to_vec();
        if !v6 {
            ipv4::name(&mut whole, u16::try_from(identification & 0xffff).expect("16 bits"), 0);
        }
        let mut pieces = Vec::new();
        split::split(&mut buffer[..8 + length], 1_280, identification, |piece| pieces.push(piece.to_vec()));
        (whole, pieces)
    }

    fn permutations(count: usize) -> Vec<Vec<usize>> {
        if count == 0 {
            return vec![Vec::new()];
        }
        let shorter = permutations(count - 1);
        shorter
            .iter()
            .flat_map(|order| {
                (0..=order.len()).map(|at| {
                    let mut order = order.clone();
                    order.insert(at, count - 1);
                    order
                })
            })
            .collect()
    }

    #[test]
    fn puts_fragments_together_in_every_order() {
        for v6 in [false, true] {
            let (whole, pieces) = fragmented(v6, 4_500, 7);
            assert_eq!(pieces.len(), 4);
            for order in permutations(pieces.len()) {
                let mut fragments = none_yet();
                let mut got = None;
                for at in &order {
                    assert_eq!(got, None, "{order:?}");
                    got = fragments.handle(Owner(0), &pieces[*at], start());
                }
                let got = got.expect("whole");
                assert_eq!(got[ip::header_len("::".parse().unwrap()).min(20)..].len(), whole[20..].len());
                assert_eq!(Ip::new(&got[..]).unwrap().payload(), Ip::new(&whole[..]).unwrap().payload());
                assert!(!Ip::new(&got[..]).unwrap().transport().fragment);
                assert_eq!((fragments.bytes, fragments.pending.len(), fragments.owners.len()), (0, 0, 0));
            }
        }
    }

    #[test]
    fn drops_the_whole_packet_where_fragments_overlap() {
        let (_, pieces) = fragmented(false, 4_500, 7);
        let mut fragments = none_yet();
        fragments.handle(Owner(0), &pieces[0], start());
        fragments.handle(Owner(0), &pieces[0], start());

        for piece in &pieces[1..] {
            assert_eq!(fragments.handle(Owner(0), piece, start()), None);
        }
        assert_eq!(fragments.dropped, 1);
    }

    #[test]
    fn bounds_what_waits_and_gives_it_up_after_two_seconds() {
        let mut fragments = none_yet();
        for owner in 0..40 {
            for identification in 0..100 {
                let (_, pieces) = fragmented(false, 3_000, identification);
                assert_eq!(fragments.handle(Owner(owner), &pieces[0], start()), None);
            }
        }
        assert_eq!(fragments.pending.len(), PENDING);
        assert_eq!(fragments.owners.get(&Owner(0)), Some(&PENDING_OF_OWNER));

        fragments.expire(start() + Duration::from_secs(2));

        assert_eq!((fragments.bytes, fragments.pending.len()), (0, 0));
        let (_, pieces) = fragmented(false, 3_000, 500);
        let got: Vec<_> = pieces.iter().filter_map(|piece| fragments.handle(Owner(0), piece, start())).collect();
        assert_eq!(got.len(), 1);
    }

    #[test]
    fn never_mixes_peers() {
        let (_, pieces) = fragmented(true, 3_000, 9);
        let mut fragments = none_yet();
        fragments.handle(Owner(0), &pieces[0], start());
        fragments.handle(Owner(1), &pieces[1], start());

        assert_eq!(fragments.handle(Owner(1), &pieces[2], start()), None);
        assert_eq!(fragments.drop_owner(Owner(1)), 1);
        assert_eq!(fragments.pending.len(), 1);
    }
}
