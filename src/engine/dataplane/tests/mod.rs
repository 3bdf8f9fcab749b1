//! The dataplane against `boringtun` clients, driven by hand in virtual time.
#![expect(clippy::wildcard_enum_match_arm, reason = "every other outcome fails the test that meets it")]

mod edits;
mod esp;
mod handshakes;
mod host;
mod limits;
mod nat;
mod packets;
mod road;
mod seats;
mod stories;
mod timers;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519;

use super::around::{Around, Beyond, EspWord, Parcel, Standing};
use super::nat::Ports;
use super::seat::Seat;
use super::verdict::DropReason;
use super::{Change, Dataplane};
use crate::domain::account::{Account, AccountId, Allowance, Password};
use crate::domain::key::PrivateKey;
use crate::domain::name::{AccountName, InterfaceName, ServerName, Username};
use crate::domain::rate::Mbps;
use crate::domain::server::Server;
use crate::engine::outbox::{Endpoint, Outbox};
use crate::engine::packet::{Offload, Owner};
use crate::engine::wire::{Ip, udp};

/// The instant at which virtual time begins.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
pub(super) fn start() -> Instant {
    Instant::now()
}

fn entropy() -> u32 {
    static STATE: AtomicU32 = AtomicU32::new(1);
    STATE.fetch_add(0x9e37_79b9, Ordering::Relaxed).wrapping_mul(0x85eb_ca6b)
}

fn key(seed: u32) -> PrivateKey {
    let mut bytes = [7; 32];
    bytes[4..8].copy_from_slice(&seed.to_be_bytes());
    PrivateKey::from_entropy(bytes)
}

pub(super) fn server() -> Server {
    let private_key = key(u32::MAX);
    Server {
        name: ServerName::parse("Default_1").unwrap(),
        interface: InterfaceName::numbered(0),
        listen_port: 51_821,
        public_key: private_key.public(),
        private_key,
        address: "10.0.0.1/16".parse().unwrap(),
        ipv6: true,
        address_ipv6: "fd00:1::1/64".parse().unwrap(),
        mtu: 1_420,
        keep_alive: 25,
        allowed_ips: Vec::new(),
        endpoint: None,
        external_ip: Ipv4Addr::new(192, 0, 2, 1).into(),
        dns_1: Ipv4Addr::new(1, 1, 1, 1),
        dns_2: Ipv4Addr::new(9, 9, 9, 9),
        dns_1_ipv6: None,
        dns_2_ipv6: None,
        b_download: Mbps::UNLIMITED,
        b_upload: Mbps::UNLIMITED,
        internal_traffic: true,
        ikev2: false,
        disable_nat: false,
        limit_download: Mbps::UNLIMITED,
        limit_upload: Mbps::UNLIMITED,
    }
}

fn v4(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + number)
}

fn v6(number: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(0xfd00_0001_0000_0000_0000_0000_0000_0001 + u128::from(number))
}

pub(super) fn account(number: u32) -> Account {
    Account {
        name: AccountName::parse(&format!("peer_{number}")).unwrap(),
        server: ServerName::parse("Default_1").unwrap(),
        enabled: true,
        username: Username::parse(&format!("peer_{number}")).unwrap(),
        password: Password::new(String::new()),
        address: v4(number),
        address_ipv6: Some(v6(number)),
        private_key: None,
        public_key: key(number).public(),
        b_download: Mbps::UNLIMITED,
        b_upload: Mbps::UNLIMITED,
        mark: 100 + number,
        id: AccountId::default(),
        allowance: Allowance::default(),
        owner: None,
    }
}

/// A UDP packet.
fn packet(source: impl Into<IpAddr>, destination: impl Into<IpAddr>, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + 48];
    let (source, destination) = (SocketAddr::new(source.into(), 4_000), SocketAddr::new(destination.into(), 53));
    let length = udp::write_packet(&mut memory, source, destination, 64, payload).unwrap();
    memory.truncate(length);
    memory
}

/// Where nobody of ours is.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// A server and the time.
struct World {
    plane: Dataplane,
    outbox: Outbox,
    ports: Ports,
    outside: Outside,
    now: Instant,
}

/// Who takes what goes on elsewhere.
#[derive(Debug, Default)]
struct Outside {
    outward: Vec<(Owner, Vec<u8>)>,
    elsewhere: Vec<(u8, Handed)>,
    /// What IKE was told.
    words: Vec<EspWord>,
    /// What went to the host, and whose it was.
    to_host: Vec<(Owner, Vec<u8>)>,
    /// What an address is that is not somebody else's.
    standings: Vec<(IpAddr, Standing)>,
    /// Whether there is a resolver, and what it was asked.
    resolves: bool,
    asked: Vec<(Owner, Vec<u8>)>,
}

/// What was handed to another worker.
#[derive(Debug, PartialEq, Eq)]
enum Handed {
    Datagram(Endpoint, Vec<u8>),
    Packet(Vec<u8>),
}

impl Beyond for Outside {
    fn outward(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) {
        self.outward.push((owner, packet.to_vec()));
    }

    fn resolver(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) -> bool {
        if self.resolves {
            self.asked.push((owner, packet.to_vec()));
        }
        self.resolves
    }

    fn elsewhere(&mut self, worker: u8, parcel: Parcel<'_>) -> bool {
        let handed = match parcel {
            Parcel::Datagram { from, bytes } => Handed::Datagram(from, bytes.to_vec()),
            Parcel::Crossing { packet, .. } | Parcel::Arrival { packet, .. } | Parcel::FromHost { packet, .. } => {
                Handed::Packet(packet.to_vec())
            }
        };
        self.elsewhere.push((worker, handed));
        true
    }

    fn tell_ike(&mut self, word: EspWord) {
        self.words.push(word);
    }

    fn host(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) {
        self.to_host.push((owner, packet.to_vec()));
    }

    fn standing(&mut self, _protocol: u8, to: SocketAddr) -> Standing {
        let known = self.standings.iter().find(|(address, _)| *address == to.ip());
        known.map_or(Standing::Outside, |(_, standing)| *standing)
    }
}

/// What came of one datagram.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Packets for the outside.
    outward: Vec<(Owner, Vec<u8>)>,
    /// Datagrams.
    sent: Vec<(Endpoint, Vec<u8>)>,
}

impl World {
    fn new(server: Server) -> Self {
        let now = start();
        Self::at(Seat::ALONE, server, now)
    }

    fn at(seat: Seat, server: Server, now: Instant) -> Self {
        let plane = Dataplane::new(Arc::new(server), seat, entropy, now);
        let ports = Ports::new(16_384..=51_819, [7; 32], now);
        Self { plane, outbox: Outbox::new(1 << 20), ports, outside: Outside::default(), now }
    }

    /// A server with so many accounts, numbered from 1.
    fn with_accounts(count: u32) -> Self {
        let mut world = Self::new(server());
        for number in 1..=count {
            world.apply(Change::Account(Arc::new(account(number))));
        }
        world
    }

    fn apply(&mut self, change: Change) -> Outcome {
        self.change(change);
        Outcome { outward: Vec::new(), sent: self.drain() }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn handle(&mut self, from: SocketAddr, datagram: &[u8]) -> Outcome {
        let from = Endpoint { remote: from, local: Some(Ipv4Addr::new(192, 0, 2, 1).into()) };
        self.with(|plane, around, now| plane.handle_datagram(from, datagram, around, now));
        self.with(Dataplane::handle_batch_end);
        Outcome { outward: std::mem::take(&mut self.outside.outward), sent: self.drain() }
    }

    fn down(&mut self, number: u32, packet: &[u8]) -> Outcome {
        let owner = self.plane.owner(&account(number).name).unwrap();
        self.with(|plane, around, now| plane.handle_down(owner, &mut packet.to_vec(), around, now));
        Outcome { outward: Vec::new(), sent: self.drain() }
    }

    /// Changes something; whose flows must end.
    fn change(&mut self, change: Change) -> Option<Owner> {
        self.with(|plane, around, now| plane.apply(change, around, now))
    }

    fn handle_deadline(&mut self) {
        self.with(Dataplane::handle_deadline);
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Dataplane, &mut Around<'_>, Instant) -> T) -> T {
        let Self { plane, outbox, ports, outside, now } = self;
        let mut around = Around { outbox, ports, beyond: outside };
        call(plane, &mut around, *now)
    }

    fn drain(&mut self) -> Vec<(Endpoint, Vec<u8>)> {
        let batches = self.outbox.batches();
        let sent =
            batches.flat_map(|batch| batch.bytes.chunks(batch.segment).map(move |one| (batch.endpoint, one.to_vec())));
        let sent = sent.collect();
        self.outbox.clear();
        sent
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.plane.drops().of(reason)
    }
}

/// A client.
struct Client {
    number: u32,
    tunn: Tunn,
    remote: SocketAddr,
}

impl Client {
    fn new(number: u32) -> Self {
        let server = x25519::PublicKey::from(*server().public_key.as_bytes());
        let tunn = Tunn::new(key(number).secret(), server, None, None, number, None);
        let remote = SocketAddr::from((Ipv4Addr::from_bits(0xc633_6400 + number), 40_000));
        Self { number, tunn, remote }
    }

    fn connected(number: u32, world: &mut World) -> Self {
        let mut client = Self::new(number);
        client.connect(world);
        client
    }

    fn initiation(&mut self) -> Vec<u8> {
        let mut memory = [0; 256];
        match self.tunn.format_handshake_initiation(&mut memory, true) {
            TunnResult::WriteToNetwork(datagram) => datagram.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// A whole handshake, with the keepalive that confirms it.
    fn connect(&mut self, world: &mut World) {
        let initiation = self.initiation();
        let outcome = world.handle(self.remote, &initiation);
        assert_eq!(outcome.sent.len(), 1, "{:?}", world.plane.drops());
        let confirmation = self.answer(&outcome.sent[0].1).expect("a keepalive");
        assert_eq!(world.handle(self.remote, &confirmation), Outcome::default());
        // two handshakes of one peer within 20 ms are too many
        world.pass(Duration::from_millis(20));
    }

    /// What the client answers to a datagram by itself.
    fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut memory = [0; 2_048];
        match self.tunn.decapsulate(None, datagram, &mut memory) {
            TunnResult::WriteToNetwork(answer) => Some(answer.to_vec()),
            TunnResult::Done => None,
            other => panic!("{other:?}"),
        }
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; packet.len() + 256];
        match self.tunn.encapsulate(packet, &mut memory) {
            TunnResult::WriteToNetwork(datagram) => datagram.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// The packet in a datagram; `None` for a keepalive.
    fn open(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut memory = vec![0; datagram.len() + 256];
        match self.tunn.decapsulate(None, datagram, &mut memory) {
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => Some(packet.to_vec()),
            TunnResult::Done => None,
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, world: &mut World, packet: &[u8]) -> Outcome {
        let datagram = self.seal(packet);
        world.handle(self.remote, &datagram)
    }

    /// Sends a packet and opens everything that comes back to this client.
    fn ask(&mut self, world: &mut World, packet: &[u8]) -> Vec<Vec<u8>> {
        let outcome = self.send(world, packet);
        outcome.sent.iter().filter_map(|(_, datagram)| self.open(datagram)).collect()
    }

    fn outside(&self, payload: &[u8]) -> Vec<u8> {
        packet(v4(self.number), OUTSIDE, payload)
    }
}

/// The ICMP type and code of a packet.
fn icmp_type(packet: &[u8]) -> (u8, u8) {
    let ip = Ip::new(packet).unwrap();
    (ip.payload()[0], ip.payload()[1])
}
