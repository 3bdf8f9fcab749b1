//! Packets as clients and hosts write them, and what can be seen of one. Each carries the number of the word that it is,
//! which survives whatever happens to its addresses and ports.

use std::net::{IpAddr, SocketAddr};

use culvert::engine::fragments::split::{HEADROOM, split};
use culvert::engine::wire::icmp::{Complaint, write_error};
use culvert::engine::wire::{FlowKey, Ip, protocol};
use etherparse::{IpFragOffset, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TransportSlice};

/// The number of a word.
pub(crate) type Tag = usize;

/// What the eight bytes of a tag begin with, so that nothing else is taken for one.
const MARK: u64 = 0x7a6d << 48;
/// The TCP option in which a segment without payload has its tag (RFC 4727: for experiments).
const OPTION: u8 = 254;
/// Bytes of a tag.
pub(crate) const TAG: usize = 8;

/// Flags of a TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// What a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// A UDP datagram with so many bytes, at least [`TAG`].
    Udp(usize),
    /// A ping with so many bytes.
    Ping(usize),
    /// The answer to one.
    Pong(usize),
    /// A segment: its flags, sequence and acknowledgement, and bytes of payload, none or at least [`TAG`].
    Tcp(Flags, u32, u32, usize),
}

impl Said {
    /// The protocol's number beside this address.
    pub(crate) fn protocol(self, beside: IpAddr) -> u8 {
        match self {
            Self::Udp(_) => protocol::UDP,
            Self::Tcp(..) => protocol::TCP,
            Self::Ping(_) | Self::Pong(_) if beside.is_ipv4() => protocol::ICMP,
            Self::Ping(_) | Self::Pong(_) => protocol::ICMPV6,
        }
    }
}

fn load(tag: Tag, length: usize) -> Vec<u8> {
    let mark = (MARK | tag as u64).to_be_bytes();
    mark.into_iter().cycle().take(length).collect()
}

fn tag_of(bytes: &[u8]) -> Option<Tag> {
    let mark = u64::from_be_bytes(bytes.get(..TAG)?.try_into().unwrap());
    (mark & MARK == MARK && mark >> 48 == MARK >> 48).then(|| usize::try_from(mark & !(0xffff << 48)).unwrap())
}

fn begin(source: IpAddr, to: IpAddr, hops: u8) -> PacketBuilderStep<etherparse::IpHeaders> {
    match (source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => PacketBuilder::ipv4(source.octets(), to.octets(), hops),
        (IpAddr::V6(source), IpAddr::V6(to)) => PacketBuilder::ipv6(source.octets(), to.octets(), hops),
        _ => panic!("two versions in one packet"),
    }
}

/// Writes a packet. Of a ping the source's port is its identifier.
pub(crate) fn write(source: SocketAddr, to: SocketAddr, said: Said, tag: Tag) -> Vec<u8> {
    let builder = begin(source.ip(), to.ip(), 64);
    let mut packet = Vec::new();
    match said {
        Said::Udp(length) => {
            builder.udp(source.port(), to.port()).write(&mut packet, &load(tag, length.max(TAG))).unwrap();
        }
        Said::Ping(length) | Said::Pong(length) => {
            let load = load(tag, length.max(TAG));
            let id = source.port();
            match (matches!(said, Said::Ping(_)), source.is_ipv4()) {
                (true, true) => builder.icmpv4_echo_request(id, 1).write(&mut packet, &load),
                (true, false) => builder.icmpv6_echo_request(id, 1).write(&mut packet, &load),
                (false, true) => builder.icmpv4_echo_reply(id, 1).write(&mut packet, &load),
                (false, false) => builder.icmpv6_echo_reply(id, 1).write(&mut packet, &load),
            }
            .unwrap();
        }
        Said::Tcp(flags, sequence, acknowledgement, length) => {
            let mut segment = builder.tcp(source.port(), to.port(), sequence, 65_000);
            if flags.syn {
                segment = segment.syn();
            }
            if flags.ack {
                segment = segment.ack(acknowledgement);
            }
            if flags.fin {
                segment = segment.fin();
            }
            if flags.rst {
                segment = segment.rst();
            }
            if length == 0 {
                let mut options = vec![1, 1, OPTION, 10];
                options.extend(load(tag, TAG));
                segment = segment.options_raw(&options).unwrap();
            }
            let load = if length == 0 { Vec::new() } else { load(tag, length.max(TAG)) };
            segment.write(&mut packet, &load).unwrap();
        }
    }
    packet
}

/// The error with which somebody at this address tells of a packet.
pub(crate) fn complain(from: IpAddr, complaint: Complaint, about: &[u8]) -> Option<Vec<u8>> {
    let mut packet = vec![0; 1_400];
    let length = write_error(&mut packet, complaint, from, &Ip::new(about).ok()?)?;
    packet.truncate(length);
    Some(packet)
}

/// Cuts a packet that is longer than the MTU, as its sender does.
pub(crate) fn cut(packet: Vec<u8>, mtu: usize, identification: u32) -> Vec<Vec<u8>> {
    if packet.len() <= mtu {
        return vec![packet];
    }
    let mut buffer = vec![0; HEADROOM];
    buffer.extend(packet);
    let mut pieces = Vec::new();
    split(&mut buffer, mtu, identification, |piece| pieces.push(piece.to_vec()));
    pieces
}

/// Whether an ICMP error says that nobody listens, which only the one who was asked himself says.
pub(crate) fn is_port_unreachable(error: &[u8]) -> bool {
    let at = if error[0] >> 4 == 4 { 20 } else { 40 };
    matches!((at, error[at], error[at + 1]), (20, 3, 3) | (40, 1, 4))
}

/// The number that a fragment shares with the others of its packet.
pub(crate) fn identification(piece: &[u8]) -> Option<u32> {
    match piece[0] >> 4 {
        4 => Some(u32::from(u16::from_be_bytes([piece[4], piece[5]]))),
        // the fragment header follows at once, for nobody here writes another
        _ => (piece[6] == 44).then(|| u32::from_be_bytes([piece[44], piece[45], piece[46], piece[47]])),
    }
}

/// What kind of a packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Udp,
    Tcp(Flags, u32, u32, usize),
    Ping,
    Pong,
    /// An ICMP error, and the key of the packet that it is about.
    Error(FlowKey),
    /// A fragment; whether it is the first.
    Piece(bool),
    Other,
}

/// What can be seen of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    pub(crate) protocol: u8,
    /// Where it is from; of a ping the port is its identifier, of others without ports 0.
    pub(crate) source: SocketAddr,
    /// Where it goes.
    pub(crate) to: SocketAddr,
    /// The word that it is, or that it speaks of.
    pub(crate) tag: Option<Tag>,
    /// Its length in bytes.
    pub(crate) length: usize,
}

impl Seen {
    /// Looks at a packet.
    pub(crate) fn of(packet: &[u8]) -> Self {
        let ip = Ip::new(packet).unwrap_or_else(|error| panic!("{error:?}: {packet:02x?}"));
        let transport = ip.transport();
        let bare = (SocketAddr::new(ip.source(), 0), SocketAddr::new(ip.destination(), 0));
        let mut seen = Self {
            kind: Kind::Other,
            protocol: transport.protocol,
            source: bare.0,
            to: bare.1,
            tag: None,
            length: packet.len(),
        };
        if let Ok(Some(key)) = FlowKey::of(&ip) {
            (seen.source, seen.to) = (key.source, key.destination);
        }
        if transport.fragment {
            seen.kind = Kind::Piece(transport.has_header);
            // UDP and pings alone are cut
            seen.tag = transport.has_header.then(|| ip.payload().get(8..).and_then(tag_of)).flatten();
            return seen;
        }
        seen.look_inside(&ip);
        seen
    }

    fn look_inside(&mut self, ip: &Ip<&[u8]>) {
        let payload = ip.payload();
        match (self.protocol, payload.first()) {
            (protocol::UDP, _) => {
                self.kind = Kind::Udp;
                self.tag = payload.get(8..).and_then(tag_of);
            }
            (protocol::TCP, _) => self.look_at_segment(payload),
            (protocol::ICMP, Some(8)) | (protocol::ICMPV6, Some(128)) => {
                (self.kind, self.tag) = (Kind::Ping, payload.get(8..).and_then(tag_of));
            }
            (protocol::ICMP, Some(0)) | (protocol::ICMPV6, Some(129)) => {
                (self.kind, self.tag) = (Kind::Pong, payload.get(8..).and_then(tag_of));
            }
            (protocol::ICMP, Some(3 | 11)) | (protocol::ICMPV6, Some(1..=3)) => {
                if let Some((key, tag)) = quoted(&payload[8..]) {
                    (self.kind, self.tag) = (Kind::Error(key), tag);
                }
            }
            _ => {}
        }
    }

    fn look_at_segment(&mut self, payload: &[u8]) {
        let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let headers = usize::from(payload[12] >> 4) * 4;
        let is = |bit: u8| payload[13] & bit != 0;
        let flags = Flags { fin: is(1), syn: is(2), rst: is(4), ack: is(16) };
        self.kind = Kind::Tcp(flags, word(4), word(8), payload.len() - headers);
        self.tag = tag_of(&payload[headers..]).or_else(|| option(&payload[20..headers]));
    }

    /// The key of its flow.
    pub(crate) fn key(&self) -> FlowKey {
        FlowKey { protocol: self.protocol, source: self.source, destination: self.to }
    }
}

/// The tag in a segment's options.
fn option(options: &[u8]) -> Option<Tag> {
    let at = options.windows(2).position(|window| window == [OPTION, 10])?;
    tag_of(&options[at + 2..])
}

/// The key and the tag of a packet that an error quotes, maybe cut off.
fn quoted(quote: &[u8]) -> Option<(FlowKey, Option<Tag>)> {
    let is_v4 = quote.first()? >> 4 == 4;
    let (number, at, source, to): (u8, usize, IpAddr, IpAddr) = if is_v4 {
        let four = |at: usize| <[u8; 4]>::try_from(&quote[at..at + 4]).unwrap();
        (*quote.get(9)?, usize::from(quote[0] & 15) * 4, four(12).into(), four(16).into())
    } else {
        let sixteen = |at: usize| <[u8; 16]>::try_from(&quote[at..at + 16]).unwrap();
        (*quote.get(6)?, 40, sixteen(8).into(), sixteen(24).into())
    };
    let inner = quote.get(at..)?;
    let port = |at: usize| u16::from_be_bytes([inner[at], inner[at + 1]]);
    let is_ping = matches!(number, protocol::ICMP | protocol::ICMPV6);
    let ports = if is_ping { (port(4), port(4)) } else { (port(0), port(2)) };
    let tag = if number == protocol::TCP {
        let headers = usize::from(inner.get(12)? >> 4) * 4;
        inner.get(headers..).and_then(tag_of).or_else(|| option(inner.get(20..headers)?))
    } else {
        inner.get(8..).and_then(tag_of)
    };
    let (source, destination) = (SocketAddr::new(source, ports.0), SocketAddr::new(to, ports.1));
    Some((FlowKey { protocol: number, source, destination }, tag))
}

/// What is wrong with a packet's lengths and checksums, judged by a library that is not ours.
pub(crate) fn flaw(packet: &[u8]) -> Option<String> {
    let sliced = match SlicedPacket::from_ip(packet) {
        Ok(sliced) => sliced,
        Err(error) => return Some(error.to_string()),
    };
    let wrong = |what: &str| Some(format!("{what}: {packet:02x?}"));
    let (source, to, is_cut) = match &sliced.net {
        Some(NetSlice::Ipv4(net)) => {
            let header = net.header().to_header();
            if header.header_checksum != header.calc_header_checksum() {
                return wrong("a wrong header checksum");
            }
            let is_cut = header.more_fragments || header.fragment_offset != IpFragOffset::ZERO;
            (IpAddr::from(header.source), IpAddr::from(header.destination), is_cut)
        }
        Some(NetSlice::Ipv6(net)) => {
            let header = net.header().to_header();
            let is_cut = net.is_payload_fragmented();
            (IpAddr::from(header.source), IpAddr::from(header.destination), is_cut)
        }
        _ => return wrong("no IP packet"),
    };
    if is_cut {
        return None;
    }
    let sum = |number: u8, bytes: &[u8]| {
        let mut sum = 0_u64;
        let mut add = |bytes: &[u8]| {
            for pair in bytes.chunks(2) {
                sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
            }
        };
        let length = u32::try_from(bytes.len()).unwrap();
        match (source, to) {
            _ if number == protocol::ICMP => {}
            (IpAddr::V4(source), IpAddr::V4(to)) => {
                add(&source.octets());
                add(&to.octets());
                add(&[0, number]);
                add(&length.to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(to)) => {
                add(&source.octets());
                add(&to.octets());
                add(&[0, number]);
                add(&length.to_be_bytes());
            }
            _ => {}
        }
        add(bytes);
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    };
    let is_right = match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => sum(protocol::TCP, tcp.slice()),
        Some(TransportSlice::Udp(udp)) => sum(protocol::UDP, udp.slice()),
        Some(TransportSlice::Icmpv4(icmp)) => sum(protocol::ICMP, icmp.slice()),
        Some(TransportSlice::Icmpv6(icmp)) => sum(protocol::ICMPV6, icmp.slice()),
        _ => return wrong("neither TCP, UDP nor ICMP"),
    };
    if is_right { None } else { wrong("a wrong checksum") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_tag_of_everything_that_it_writes() {
        let ends: [(SocketAddr, SocketAddr); 2] = [
            ("10.0.0.2:4000".parse().unwrap(), "192.0.2.1:80".parse().unwrap()),
            ("[fd00::2]:4000".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap()),
        ];
        let syn = Said::Tcp(Flags { syn: true, ..Flags::default() }, 1, 0, 0);
        for (source, to) in ends {
            for said in [Said::Udp(8), Said::Udp(1_200), Said::Ping(8), Said::Pong(300), syn] {
                let packet = write(source, to, said, 77);
                assert_eq!((Seen::of(&packet).tag, flaw(&packet)), (Some(77), None), "{said:?}");

                let error = complain(to.ip(), Complaint::HostUnreachable, &packet).unwrap();
                let seen = Seen::of(&error);
                assert!(matches!(seen.kind, Kind::Error(key) if key.source.ip() == source.ip()), "{seen:?}");
                assert_eq!((seen.tag, flaw(&error)), (Some(77), None), "{said:?}");

                let mut broken = packet.clone();
                *broken.last_mut().unwrap() ^= 1;
                assert!(flaw(&broken).is_some(), "{said:?}");
            }
        }
    }

    #[test]
    fn cuts_into_pieces_of_which_the_first_has_the_tag() {
        let packet = write("10.0.0.2:1".parse().unwrap(), "192.0.2.1:7".parse().unwrap(), Said::Udp(3_000), 5);
        let pieces = cut(packet, 1_420, 9);
        let seen: Vec<(Kind, Option<Tag>)> =
            pieces.iter().map(|piece| Seen::of(piece)).map(|seen| (seen.kind, seen.tag)).collect();
        assert_eq!(seen, [(Kind::Piece(true), Some(5)), (Kind::Piece(false), None), (Kind::Piece(false), None)]);
    }
}
