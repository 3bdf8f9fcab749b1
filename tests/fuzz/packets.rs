//! Packets as peers send them, and as no honest peer would: any option, any fragment, right checksums in most.

use std::net::{IpAddr, SocketAddr};

use culvert::engine::wire::checksum::{self, Sum};
use culvert::engine::wire::protocol;

use crate::dice::Dice;

/// FIN.
pub(crate) const FIN: u8 = 1;
/// SYN.
pub(crate) const SYN: u8 = 2;
/// RST.
const RST: u8 = 4;
/// ACK.
pub(crate) const ACK: u8 = 16;

/// Who speaks, and with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The peer.
    pub(crate) peer: SocketAddr,
    /// The host outside, of the same version.
    pub(crate) outside: SocketAddr,
}

impl Ends {
    /// Two ends that mean nothing.
    pub(crate) fn example(v6: bool) -> Self {
        let [peer, outside] = if v6 { ["[fd00::2]:9", "[2001:db8::1]:80"] } else { ["10.0.0.2:9", "198.51.100.2:80"] };
        Self { peer: peer.parse().unwrap(), outside: outside.parse().unwrap() }
    }
}

/// Where a peer is in its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packets {
    /// Between whom.
    pub(crate) ends: Ends,
    /// The next byte that the peer sends.
    pub(crate) next: u32,
    /// The next byte that it expects.
    pub(crate) expected: u32,
}

impl Packets {
    /// A connection that has not begun.
    pub(crate) fn new(ends: Ends) -> Self {
        Self { ends, next: 1_000, expected: 0 }
    }

    /// A packet of any kind, whole or one of several fragments.
    pub(crate) fn any(&self, dice: &mut Dice) -> Vec<u8> {
        match dice.below(8) {
            0 => self.datagram(dice),
            1 => self.echo(dice),
            2 => self.error(dice),
            3 => {
                let (number, length) = (dice.byte(), dice.below(200));
                let bytes = dice.bytes(length);
                self.wrap(number, bytes)
            }
            4 => self.syn(dice),
            _ => self.segment(dice),
        }
    }

    /// The packet without anything odd about it.
    pub(crate) fn plain(&self, flags: u8, payload: &[u8]) -> Vec<u8> {
        self.wrap(protocol::TCP, self.tcp(flags, (self.next, self.expected), 0xffff, &[], payload))
    }

    /// A SYN with any options.
    pub(crate) fn syn(&self, dice: &mut Dice) -> Vec<u8> {
        let options = options(dice, self.expected);
        let length = if dice.once_in(8) { dice.below(100) } else { 0 };
        let (payload, window) = (dice.bytes(length), dice.short());
        self.finish(dice, protocol::TCP, self.tcp(SYN, (self.next, 0), window, &options, &payload))
    }

    /// A segment near the connection's place.
    pub(crate) fn segment(&self, dice: &mut Dice) -> Vec<u8> {
        let flags = match dice.below(12) {
            0 => ACK | FIN,
            1 if dice.once_in(4) => RST | ACK,
            2 if dice.once_in(4) => dice.byte(),
            3 if dice.once_in(4) => SYN | ACK,
            _ => ACK | 8,
        };
        let next = shifted(dice, self.next);
        let expected = shifted(dice, self.expected);
        let window = *dice.pick(&[0xffff, 0xffff, 0, 1, 500, 0x8000]);
        let options = if dice.once_in(2) { options(dice, self.expected) } else { Vec::new() };
        let length = *dice.pick(&[0, 0, 1, 100, 1_300]);
        let payload = dice.bytes(length);
        self.finish(dice, protocol::TCP, self.tcp(flags, (next, expected), window, &options, &payload))
    }

    /// A UDP datagram.
    pub(crate) fn datagram(&self, dice: &mut Dice) -> Vec<u8> {
        let length = dice.below(1_300);
        let total = if dice.once_in(4) { dice.short() } else { u16::try_from(8 + length).unwrap() };
        let mut bytes = self.ports();
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(dice.bytes(length));
        self.finish(dice, protocol::UDP, bytes)
    }

    /// A ping.
    pub(crate) fn echo(&self, dice: &mut Dice) -> Vec<u8> {
        let v4 = self.ends.peer.is_ipv4();
        let length = dice.below(1_300);
        let mut bytes = vec![if v4 { 8 } else { 128 }, 0, 0, 0];
        bytes.extend(dice.bytes(4 + length));
        self.finish(dice, if v4 { protocol::ICMP } else { protocol::ICMPV6 }, bytes)
    }

    /// An ICMP error about a packet that came down, or about nothing.
    pub(crate) fn error(&self, dice: &mut Dice) -> Vec<u8> {
        let v4 = self.ends.peer.is_ipv4();
        let kinds: &[u8] = if v4 { &[3, 5, 11, 12, 4] } else { &[1, 2, 3, 4, 135] };
        let mut bytes = vec![*dice.pick(kinds), dice.byte() & 7, 0, 0];
        bytes.extend(dice.word().to_be_bytes());
        let Ends { peer, outside } = self.ends;
        let about = Self { ends: Ends { peer: outside, outside: peer }, next: self.expected, expected: self.next };
        bytes.extend(about.plain(ACK, &[0; 32]));
        self.finish(dice, if v4 { protocol::ICMP } else { protocol::ICMPV6 }, bytes)
    }

    /// The packet of this protocol that carries these bytes, sealed.
    pub(crate) fn of(&self, number: u8, transport: Vec<u8>) -> Vec<u8> {
        self.wrap(number, transport)
    }

    fn ports(&self) -> Vec<u8> {
        [self.ends.peer.port().to_be_bytes(), self.ends.outside.port().to_be_bytes()].concat()
    }

    fn tcp(&self, flags: u8, (next, expected): (u32, u32), window: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = self.ports();
        bytes.extend(next.to_be_bytes());
        bytes.extend(expected.to_be_bytes());
        let words = 5 + u8::try_from(options.len() / 4).unwrap();
        bytes.extend([words << 4, flags]);
        bytes.extend(window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend_from_slice(options);
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Perhaps changes the transport, seals it, perhaps puts extensions before it.
    fn finish(&self, dice: &mut Dice, number: u8, mut transport: Vec<u8>) -> Vec<u8> {
        if dice.once_in(12) {
            let other = transport.clone();
            dice.mutate(&mut transport, &other);
            transport.truncate(2_000);
        }
        seal(&mut transport, number, self.ends);
        match dice.below(8) {
            0 if self.ends.peer.is_ipv4() => self.wrap_v4(number, &transport, &v4_options(dice)),
            0 => {
                let (first, mut bytes) = extensions(dice, number);
                bytes.extend(transport);
                self.wrap_v6(first, &bytes)
            }
            _ => self.wrap(number, transport),
        }
    }

    fn wrap(&self, number: u8, mut transport: Vec<u8>) -> Vec<u8> {
        seal(&mut transport, number, self.ends);
        if self.ends.peer.is_ipv4() { self.wrap_v4(number, &transport, &[]) } else { self.wrap_v6(number, &transport) }
    }

    fn wrap_v4(&self, number: u8, payload: &[u8], options: &[u8]) -> Vec<u8> {
        let head = 20 + options.len();
        let mut packet = vec![0x40 | u8::try_from(head / 4).unwrap(), 0];
        packet.extend(u16::try_from(head + payload.len()).unwrap().to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, number, 0, 0]);
        for address in [self.ends.peer.ip(), self.ends.outside.ip()] {
            packet.extend(octets(address));
        }
        packet.extend_from_slice(options);
        packet.extend_from_slice(payload);
        mend(&mut packet);
        packet
    }

    fn wrap_v6(&self, number: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        packet.extend([number, 64]);
        for address in [self.ends.peer.ip(), self.ends.outside.ip()] {
            packet.extend(octets(address));
        }
        packet.extend_from_slice(payload);
        packet
    }

    /// Fragments of one packet: overlapping, doubled, out of order, too long, with a gap.
    pub(crate) fn fragments(&self, dice: &mut Dice) -> Vec<Vec<u8>> {
        let v4 = self.ends.peer.is_ipv4();
        let whole = self.any(dice);
        let (head, number) = if v4 { (20, whole[9]) } else { (40, whole[6]) };
        let payload = &whole[head..];
        let id = dice.byte() & 3;
        let count = 2 + dice.below(8);
        let pieces = (0..count).map(|_| {
            let begin = dice.below(payload.len() / 8 + 1) * 8;
            let end = (begin + dice.below(payload.len() + 64)).min(payload.len());
            let at = if dice.once_in(8) { dice.short() & 0xfff8 } else { u16::try_from(begin).unwrap() };
            let more = u16::from(end < payload.len() || dice.once_in(8));
            (at, more, payload[begin..end].to_vec())
        });
        let mut pieces: Vec<_> = pieces.collect();
        if dice.once_in(2) {
            // one whole row, so that something is put together
            let middle = payload.len() / 16 * 8;
            pieces.push((0, 1, payload[..middle].to_vec()));
            pieces.push((u16::try_from(middle).unwrap(), 0, payload[middle..].to_vec()));
        }
        pieces.into_iter().map(|piece| self.fragment(number, id, piece)).collect()
    }

    fn fragment(&self, number: u8, id: u8, (at, more, bytes): (u16, u16, Vec<u8>)) -> Vec<u8> {
        if self.ends.peer.is_ipv4() {
            let mut packet = self.wrap_v4(number, &bytes, &[]);
            packet[5] = id;
            packet[6..8].copy_from_slice(&((more << 13) | (at / 8)).to_be_bytes());
            mend(&mut packet);
            return packet;
        }
        let mut payload = vec![number, 0];
        payload.extend((at | more).to_be_bytes());
        payload.extend([0, 0, 0, id]);
        payload.extend(bytes);
        self.wrap_v6(44, &payload)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Makes an IPv4 header's checksum right, where there is a header.
pub(crate) fn mend(packet: &mut [u8]) {
    let Some(first) = packet.first().filter(|first| **first >> 4 == 4) else { return };
    let head = usize::from(first & 15) * 4;
    if head >= 20 && head <= packet.len() {
        packet[10..12].fill(0);
        let sum = checksum::of(&packet[..head]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Makes a transport's checksum right, where it has room for one.
fn seal(transport: &mut [u8], number: u8, ends: Ends) {
    let at = match number {
        protocol::TCP => 16,
        protocol::UDP => 6,
        protocol::ICMP | protocol::ICMPV6 => 2,
        _ => return,
    };
    let Some(place) = transport.get_mut(at..at + 2) else { return };
    place.fill(0);
    let sum = if number == protocol::ICMP {
        checksum::of(transport)
    } else {
        let length = transport.len();
        Sum::default().pseudo(ends.peer.ip(), ends.outside.ip(), number, length).bytes(transport).finish()
    };
    transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// This number, or one near it, or one far from it.
fn shifted(dice: &mut Dice, number: u32) -> u32 {
    match dice.below(8) {
        0 => number.wrapping_add(u32::from(dice.short())),
        1 => number.wrapping_sub(u32::from(dice.short())),
        2 => number.wrapping_add(u32::from(dice.byte())),
        3 if dice.once_in(4) => number.wrapping_add(dice.word()),
        _ => number,
    }
}

/// TCP options, most of them well formed.
fn options(dice: &mut Dice, expected: u32) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..dice.below(5) {
        match dice.below(9) {
            0 => options.push(1),
            1 => {
                options.extend([2, 4]);
                options.extend(dice.pick(&[0_u16, 1, 12, 40, 536, 1_380, 0xffff]).to_be_bytes());
            }
            2 => options.extend([3, 3, *dice.pick(&[0, 7, 14, 15, 255])]),
            3 => options.extend([4, 2]),
            4 => {
                options.extend([8, 10]);
                options.extend(dice.bytes(8));
            }
            5 | 6 => {
                let blocks = 1 + dice.below(4);
                options.extend([5, u8::try_from(2 + 8 * blocks).unwrap()]);
                for _ in 0..2 * blocks {
                    options.extend(shifted(dice, expected).to_be_bytes());
                }
            }
            7 => options.push(0),
            _ => {
                let length = dice.below(6);
                options.extend(dice.bytes(length));
            }
        }
    }
    options.resize(options.len().next_multiple_of(4), 0);
    options.truncate(40);
    options
}

/// IPv4 options: a record of the route, a source route, nothing, or anything.
fn v4_options(dice: &mut Dice) -> Vec<u8> {
    let mut options = match dice.below(4) {
        0 => vec![7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        1 => vec![131, 7, 4, 1, 2, 3, 4],
        2 => vec![1; 4],
        _ => {
            let length = dice.below(41);
            dice.bytes(length)
        }
    };
    options.resize(options.len().next_multiple_of(4), 0);
    options
}

/// Extension headers before this protocol: the first one's number, and their bytes.
fn extensions(dice: &mut Dice, number: u8) -> (u8, Vec<u8>) {
    let (mut first, mut bytes) = (number, Vec::new());
    for _ in 0..=dice.below(10) {
        let words = if dice.once_in(16) { dice.byte() } else { dice.byte() & 1 };
        let kind = *dice.pick(&[0, 43, 44, 60, 51, 59]);
        let mut extension = vec![first, if kind == 44 { 0 } else { words }];
        let length = if kind == 44 { 6 } else { 6 + 8 * usize::from(words & 1) };
        let filled = if dice.once_in(2) { dice.bytes(length) } else { vec![0; length] };
        extension.extend(filled);
        extension.extend(bytes);
        (first, bytes) = (kind, extension);
    }
    (first, bytes)
}
