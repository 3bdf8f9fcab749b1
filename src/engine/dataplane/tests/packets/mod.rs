//! The plane before an uplink for whole packets: what leaves, what arrives, and in whose name, requirement by requirement.

mod addresses;
mod arrivals;
mod changes;
mod connections;
mod errors;
mod fragments;
mod lives;
mod log;
mod shares;
mod sizes;

use std::collections::BTreeMap;

use etherparse::{IpNumber, NetSlice, SlicedPacket, TransportSlice};

use super::*;
use crate::domain::port_forward::{OuterPort, PortForward, Transport};
use crate::engine::dataplane::exit::{Exit, Name};
use crate::engine::fragments::split::{self, HEADROOM};
use crate::engine::wire::oracle::addressed;
use crate::engine::wire::{FlowKey, checksum, protocol};

/// In whose name clients leave, of either version.
const EXTERNAL: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// Hosts outside, of either version.
const REMOTE: [&str; 2] = ["203.0.113.9", "2001:db8:9::9"];
/// A third one, to whom nobody has spoken.
const STRANGER: [&str; 2] = ["203.0.113.66", "2001:db8:9::66"];
/// The clients' addresses, by number, of either version.
const INNER: [[&str; 2]; 4] =
    [["10.0.0.1", "fd00:1::1"], ["10.0.0.2", "fd00:1::2"], ["10.0.0.3", "fd00:1::3"], ["10.0.0.4", "fd00:1::4"]];

const V4: usize = 0;
const V6: usize = 1;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

fn external(version: usize) -> IpAddr {
    EXTERNAL[version].parse().unwrap()
}

/// Everyone leaves in the external addresses' name.
fn translated() -> Exit {
    Exit::Packets { v4: Name::External(external(V4)), v6: Name::External(external(V6)) }
}

/// An address and port as they are written.
fn at(address: &str, port: u16) -> String {
    SocketAddr::new(address.parse().unwrap(), port).to_string()
}

fn key(protocol: u8, source: &str, destination: &str) -> FlowKey {
    let (source, destination): (SocketAddr, SocketAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let protocol = match protocol {
        protocol::ICMP if source.is_ipv6() => protocol::ICMPV6,
        protocol => protocol,
    };
    FlowKey { protocol, source, destination }
}

/// A packet of this key with this payload, whose checksums are the oracle's. Of a ping the question's identifier is the
/// source's port.
fn packet_of(key: &FlowKey, payload: &[u8]) -> Vec<u8> {
    written(key, (ACK, 1_000, 77), payload)
}

/// A segment with these flags, sequence number and acknowledgement number.
fn segment(source: &str, destination: &str, mark: (u8, u32, u32)) -> Vec<u8> {
    written(&key(protocol::TCP, source, destination), mark, &[])
}

fn written(key: &FlowKey, (flags, sequence, acknowledges): (u8, u32, u32), payload: &[u8]) -> Vec<u8> {
    let builder = addressed(key.source.ip(), key.destination.ip());
    let (source, destination) = (key.source.port(), key.destination.port());
    let mut packet = Vec::new();
    match key.protocol {
        protocol::TCP => {
            let mut header = etherparse::TcpHeader::new(source, destination, sequence, 1_024);
            header.syn = flags & SYN != 0;
            header.fin = flags & FIN != 0;
            header.rst = flags & RST != 0;
            header.ack = flags & ACK != 0;
            header.acknowledgment_number = acknowledges;
            builder.tcp_header(header).write(&mut packet, payload)
        }
        protocol::UDP => builder.udp(source, destination).write(&mut packet, payload),
        protocol::ICMP => builder.icmpv4_echo_request(source, 5).write(&mut packet, payload),
        _ => builder.icmpv6_echo_request(source, 5).write(&mut packet, payload),
    }
    .unwrap();
    if key.source.is_ipv4() {
        // no oracle's whim: most of these tests want packets that may be cut
        set_dont_fragment(&mut packet, false);
    }
    packet
}

/// The answer to a ping that left as this packet.
fn pong(ping: &[u8]) -> Vec<u8> {
    let ip = Ip::new(ping).unwrap();
    let (from, to) = (ip.destination(), ip.source());
    let mut answer = ping.to_vec();
    let reply = if from.is_ipv4() { 0 } else { 129 };
    let at = ip.transport().offset;
    answer[at] = reply;
    swap_addresses(&mut answer);
    answer[at + 2..at + 4].fill(0);
    let sum = message_sum(&answer[at..], from, to);
    answer[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
    answer
}

fn swap_addresses(packet: &mut [u8]) {
    let (a, b, length) = if packet[0] >> 4 == 4 { (12, 16, 4) } else { (8, 24, 16) };
    for byte in 0..length {
        packet.swap(a + byte, b + byte);
    }
}

fn message_sum(message: &[u8], from: IpAddr, to: IpAddr) -> u16 {
    if from.is_ipv4() {
        return checksum::of(message);
    }
    checksum::Sum::default().pseudo(from, to, protocol::ICMPV6, message.len()).bytes(message).finish()
}

/// An ICMP error of this type and code about a packet, from `from` to whom the packet came from.
fn error(kind: (u8, u8), word: u32, from: &str, about: &[u8]) -> Vec<u8> {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), Ip::new(about).unwrap().source());
    let mut message = vec![kind.0, kind.1, 0, 0];
    message.extend(word.to_be_bytes());
    message.extend_from_slice(&about[..about.len().min(548)]);
    let sum = message_sum(&message, from, to);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    let number = if from.is_ipv4() { IpNumber::ICMP } else { IpNumber::IPV6_ICMP };
    addressed(from, to).write(&mut packet, number, &message).unwrap();
    packet
}

/// "Host unreachable" of either version.
const HOST_UNREACHABLE: [(u8, u8); 2] = [(3, 1), (1, 3)];

fn set_dont_fragment(packet: &mut [u8], on: bool) {
    packet[6] = if on { 0x40 } else { 0 };
    mend_header(packet);
}

fn set_hops(packet: &mut [u8], hops: u8) {
    if packet[0] >> 4 == 4 {
        packet[8] = hops;
        mend_header(packet);
    } else {
        packet[7] = hops;
    }
}

fn hops(packet: &[u8]) -> u8 {
    if packet[0] >> 4 == 4 { packet[8] } else { packet[7] }
}

fn mend_header(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum::of(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The fragments of a packet for a link with this MTU.
fn cut(packet: &[u8], mtu: usize, identification: u32) -> Vec<Vec<u8>> {
    let mut memory = [&[0; HEADROOM], packet].concat();
    let mut pieces = Vec::new();
    split::split(&mut memory, mtu, identification, |piece| pieces.push(piece.to_vec()));
    pieces
}

/// Source and destination of a packet, as they are written.
fn ends(packet: &[u8]) -> (String, String) {
    let key = FlowKey::of(&Ip::new(packet).unwrap()).unwrap().expect("a packet with ports");
    (key.source.to_string(), key.destination.to_string())
}

/// What a packet carries behind its transport's header.
fn payload(packet: &[u8]) -> &[u8] {
    let ip = Ip::new(packet).unwrap();
    let transport = ip.transport();
    let header =
        if transport.protocol == protocol::TCP { usize::from(packet[transport.offset + 12] >> 4) * 4 } else { 8 };
    &packet[transport.offset + header..transport.end]
}

/// Holds every checksum of a packet against those of an independent implementation.
fn assert_sound(packet: &[u8]) {
    let view = Ip::new(packet).unwrap();
    assert_eq!(view.total_len(), packet.len());
    let sliced = SlicedPacket::from_ip(packet).unwrap_or_else(|error| panic!("{error}: {packet:02x?}"));
    if let Some(NetSlice::Ipv4(net)) = &sliced.net {
        let header = net.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum(), "{packet:02x?}");
    }
    if view.transport().fragment {
        return;
    }
    let number = view.transport().protocol;
    let covered = view.payload();
    let sum = if number == protocol::ICMP {
        checksum::of(covered)
    } else {
        let pseudo = checksum::Sum::default().pseudo(view.source(), view.destination(), number, covered.len());
        pseudo.bytes(covered).finish()
    };
    let has_sum = !matches!(&sliced.transport, Some(TransportSlice::Udp(udp)) if udp.checksum() == 0);
    assert!(!has_sum || sum == 0, "a wrong checksum: {packet:02x?}");
}

/// What came of one thing that happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    /// What left for the outside.
    left: Vec<Vec<u8>>,
    /// What clients got, by their place.
    got: Vec<(usize, Vec<u8>)>,
    /// What the host got.
    host: Vec<Vec<u8>>,
}

impl Came {
    /// The one packet that left; nothing else came of it.
    fn only_left(mut self) -> Vec<u8> {
        assert_eq!((self.left.len(), self.got.len(), self.host.len()), (1, 0, 0), "{self:02x?}");
        self.left.remove(0)
    }

    /// The one packet that this client got; nothing else came of it.
    fn only_got(mut self, client: usize) -> Vec<u8> {
        assert_eq!((self.left.len(), self.got.len(), self.host.len()), (0, 1, 0), "{self:02x?}");
        let (who, packet) = self.got.remove(0);
        assert_eq!(who, client);
        packet
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A server with clients that are connected, before an uplink for whole packets.
struct Rig {
    world: World,
    clients: Vec<Client>,
}

impl Rig {
    /// A server with so many clients, numbered from 1, who leave in the external addresses' name.
    fn new(count: u32) -> Self {
        Self::with(server(), translated(), count)
    }

    fn with(server: Server, exit: Exit, count: u32) -> Self {
        Self::at(Seat::ALONE, server, exit, count, start())
    }

    fn at(seat: Seat, server: Server, exit: Exit, count: u32, now: Instant) -> Self {
        let mut world = World::at(seat, server, now);
        for number in 1..=count {
            world.apply(Change::Account(Arc::new(account(number))));
        }
        let clients = (1..=count).map(|number| Client::connected(number, &mut world)).collect();
        world.outside.standings = [V4, V6].map(|version| (external(version), Standing::Inside)).to_vec();
        world.apply(Change::Exit(exit));
        Self { world, clients }
    }

    /// Everything that is there now, whole and sound.
    fn settle(&mut self) -> Came {
        let mut came = Came {
            left: std::mem::take(&mut self.world.outside.outward).into_iter().map(|(_, packet)| packet).collect(),
            host: std::mem::take(&mut self.world.outside.to_host).into_iter().map(|(_, packet)| packet).collect(),
            got: Vec::new(),
        };
        for (endpoint, datagram) in self.world.drain() {
            let who = self.clients.iter().position(|client| client.remote == endpoint.remote).unwrap();
            came.got.extend(self.clients[who].open(&datagram).map(|packet| (who, packet)));
        }
        let got = came.got.iter().map(|(_, packet)| packet);
        came.left.iter().chain(got).chain(&came.host).for_each(|packet| assert_sound(packet));
        came
    }

    /// A client sends a packet.
    fn up(&mut self, client: usize, packet: &[u8]) -> Came {
        let datagram = self.clients[client].seal(packet);
        let outcome = self.world.handle(self.clients[client].remote, &datagram);
        self.world.outside.outward = outcome.outward;
        for (endpoint, datagram) in outcome.sent {
            self.world.outbox.push(endpoint, &datagram);
        }
        self.settle()
    }

    /// A packet arrives from outside.
    fn arrive(&mut self, packet: &[u8]) -> Came {
        self.arrive_as(packet, Offload::NONE)
    }

    fn arrive_as(&mut self, packet: &[u8], offload: Offload) -> Came {
        self.world.with(|plane, around, now| plane.handle_arrival(&mut packet.to_vec(), offload, around, now));
        self.settle()
    }

    /// The host sends a packet.
    fn host(&mut self, packet: &[u8]) -> Came {
        self.world.with(|plane, around, now| plane.handle_host(&mut packet.to_vec(), Offload::NONE, around, now));
        self.settle()
    }

    /// A client's datagram to a host outside, with a word in it: where it is seen from.
    fn seen(&mut self, client: usize, protocol: u8, from: &str, to: &str) -> String {
        let left = self.up(client, &packet_of(&key(protocol, from, to), b"word")).only_left();
        ends(&left).0
    }

    /// Whether a datagram from outside reaches this client.
    fn reaches(&mut self, client: usize, protocol: u8, from: &str, to: &str) -> bool {
        let came = self.arrive(&packet_of(&key(protocol, from, to), b"word"));
        assert!(came.got.iter().all(|(who, _)| *who == client) && came.left.is_empty());
        !came.is_nothing()
    }

    fn apply(&mut self, change: Change) {
        self.world.change(change);
        assert!(self.settle().is_nothing());
    }

    /// Lets seconds pass, and clients say that they are still there, so that no session grows old.
    fn pass(&mut self, seconds: u64) {
        let end = self.world.now + Duration::from_secs(seconds);
        while self.world.now < end {
            for client in &mut self.clients {
                *client = Client::connected(client.number, &mut self.world);
            }
            self.world.pass((end - self.world.now).min(Duration::from_secs(60)));
            while self.world.plane.poll_deadline().is_some_and(|at| at <= self.world.now) {
                self.world.handle_deadline();
            }
            self.world.drain();
        }
    }

    fn forward(&mut self, forwards: &[(Transport, u16, u32, u16)]) {
        let forwards: BTreeMap<OuterPort, PortForward> = forwards
            .iter()
            .map(|(protocol, port, client, to_port)| {
                let outer = OuterPort { port: *port, protocol: *protocol };
                (outer, PortForward { outer, to_peer: account(*client).name, to_port: *to_port })
            })
            .collect();
        self.apply(Change::Forwards(Arc::new(forwards)));
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.world.dropped(reason)
    }
}
