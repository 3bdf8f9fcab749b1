//! What the tests of this room share: a peer with a TCP of its own, a link with delay and loss, an outside in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::wire::{HardwareAddress, IpCidr};

use super::reach::Reach;
use super::reach::tests::Host;
use super::tcp::Clock;
use super::{FlowId, Flows, Limits, Moved, Outside, Request, Settings};
use crate::domain::nat::Filtering;
use crate::engine::packet::Owner;

/// One instant for all tests of a process: the clock is moved, not waited for.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
pub(crate) fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Settings as a server has them.
pub(crate) fn settings() -> Settings {
    Settings {
        mtu: 1_420,
        address: Some("10.0.0.1".parse().expect("an address")),
        address_v6: Some("fd00::1".parse().expect("an address")),
        limits: Limits { flows: 30_000, flows_of_owner: 15_000 },
        buffer_max: usize::MAX,
        reach: Reach::default(),
        filtering: Filtering::default(),
    }
}

/// The peer of most tests.
pub(crate) const PEER: Owner = Owner(3);

/// The same numbers in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).expect("31 bits") % sides
    }

    /// The same for lengths and places.
    pub(crate) fn pick(&mut self, sides: u32) -> usize {
        self.roll(sides) as usize
    }
}

/// The far end of one connection.
#[derive(Default)]
pub(crate) struct Far {
    /// What the peer sent.
    pub(crate) got: Vec<u8>,
    /// What is to be sent to the peer.
    pub(crate) gives: VecDeque<u8>,
    /// Whether it finishes after `gives`.
    pub(crate) ends: bool,
    /// Whether the peer has finished.
    pub(crate) finished: bool,
    /// How many bytes it still takes.
    pub(crate) takes: usize,
    /// Whether it has reset the connection.
    pub(crate) broken: bool,
}

/// The outside.
#[derive(Default)]
pub(crate) struct Everyone(pub(crate) HashMap<FlowId, Far>);

impl Outside for Everyone {
    fn write(&mut self, flow: FlowId, bytes: &[u8]) -> Moved {
        let far = self.0.get_mut(&flow).expect("an open flow");
        let length = bytes.len().min(far.takes).min(20_000);
        match length {
            _ if far.broken => Moved::Broken,
            0 => Moved::Blocked,
            _ => {
                far.takes -= length;
                far.got.extend_from_slice(&bytes[..length]);
                Moved::Bytes(length)
            }
        }
    }

    fn read(&mut self, flow: FlowId, room: &mut [u8]) -> Moved {
        let far = self.0.get_mut(&flow).expect("an open flow");
        let length = room.len().min(far.gives.len()).min(30_000);
        match length {
            _ if far.broken => Moved::Broken,
            0 if far.ends => Moved::Ended,
            0 => Moved::Blocked,
            _ => {
                for (place, byte) in room.iter_mut().zip(far.gives.drain(..length)) {
                    *place = byte;
                }
                Moved::Bytes(length)
            }
        }
    }

    fn finish(&mut self, flow: FlowId) {
        self.0.get_mut(&flow).expect("an open flow").finished = true;
    }
}

/// The peer's network card.
#[derive(Default)]
struct Card {
    inward: VecDeque<Vec<u8>>,
    outward: Vec<Vec<u8>>,
}

pub(crate) struct Inward(Vec<u8>);
pub(crate) struct Outward<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Card {
    type RxToken<'a> = Inward;
    type TxToken<'a> = Outward<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Inward, Outward<'_>)> {
        Some((Inward(self.inward.pop_front()?), Outward(&mut self.outward)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Outward<'_>> {
        Some(Outward(&mut self.outward))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_420;
        capabilities
    }
}

impl RxToken for Inward {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Outward<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

/// A link: packets with the times at which they arrive.
#[derive(Default)]
struct Link {
    on_the_way: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
}

impl Link {
    fn send(&mut self, at: Instant, packet: Vec<u8>) {
        self.sent += 1;
        self.on_the_way.insert((at, self.sent), packet);
    }

    fn arrive(&mut self, now: Instant) -> Option<Vec<u8>> {
        let first = self.on_the_way.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    fn next(&self) -> Option<Instant> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }
}

/// A peer with a TCP of its own.
pub(crate) struct Client {
    card: Card,
    interface: Interface,
    sockets: BTreeMap<u16, (SocketSet<'static>, SocketHandle)>,
    clock: Clock,
}

impl Client {
    pub(crate) fn new(now: Instant) -> Self {
        let clock = Clock::new(now);
        let mut card = Card::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut card, clock.smoltcp(now));
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(ip("10.0.0.2").into(), 24)).expect("room");
            addresses.push(IpCidr::new(ip("fd00::2").into(), 64)).expect("room");
        });
        interface.routes_mut().add_default_ipv4_route("10.0.0.1".parse().expect("an address")).expect("room");
        interface.routes_mut().add_default_ipv6_route("fd00::1".parse().expect("an address")).expect("room");
        Self { card, interface, sockets: BTreeMap::new(), clock }
    }

    /// Begins to connect from this port.
    pub(crate) fn dial(&mut self, port: u16, to: SocketAddr) {
        let mut socket = Socket::new(SocketBuffer::new(vec![0; 1 << 18]), SocketBuffer::new(vec![0; 1 << 18]));
        socket.connect(self.interface.context(), to, port).expect("a fresh socket");
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        self.sockets.insert(port, (sockets, handle));
    }

    /// Waits at this port for whoever calls.
    pub(crate) fn listen(&mut self, port: u16) {
        let mut socket = Socket::new(SocketBuffer::new(vec![0; 1 << 18]), SocketBuffer::new(vec![0; 1 << 18]));
        socket.listen(port).expect("a fresh socket");
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        self.sockets.insert(port, (sockets, handle));
    }

    /// The socket of this port.
    pub(crate) fn socket(&mut self, port: u16) -> &mut Socket<'static> {
        let (sockets, handle) = self.sockets.get_mut(&port).expect("dialled");
        sockets.get_mut(*handle)
    }

    /// Takes a packet; returns what it sends.
    pub(crate) fn receive(&mut self, packet: Vec<u8>, now: Instant) -> Vec<Vec<u8>> {
        let head = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let port = u16::from_be_bytes([packet[head + 2], packet[head + 3]]);
        self.card.inward.push_back(packet);
        let out = self.poll(port, now);
        self.card.inward.clear();
        out
    }

    /// Lets the socket of this port look at the time; returns what it sends.
    pub(crate) fn poll(&mut self, port: u16, now: Instant) -> Vec<Vec<u8>> {
        if let Some((sockets, _)) = self.sockets.get_mut(&port) {
            self.interface.poll(self.clock.smoltcp(now), &mut self.card, sockets);
        }
        std::mem::take(&mut self.card.outward)
    }

    /// The ports that have sockets.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.sockets.keys().copied().collect()
    }

    /// How long the socket of this port has nothing to do.
    pub(crate) fn delay(&mut self, port: u16, now: Instant) -> Option<Duration> {
        let (sockets, _) = self.sockets.get_mut(&port)?;
        let delay = self.interface.poll_delay(self.clock.smoltcp(now), sockets)?;
        Some(Duration::from_micros(delay.total_micros()))
    }
}

/// A peer, its link and the machine.
pub(crate) struct World {
    pub(crate) flows: Flows,
    pub(crate) outside: Everyone,
    pub(crate) now: Instant,
    pub(crate) delay: Duration,
    /// Packets lost, of a thousand.
    pub(crate) loss: u32,
    /// The longest further delay of single packets: they overtake one another.
    pub(crate) jitter: Duration,
    dice: Dice,
    client: Client,
    up: Link,
    down: Link,
    /// Flows whose connecting waits for the test.
    pub(crate) connecting: Vec<(FlowId, SocketAddr)>,
    /// Flows whose OS sockets were to be closed, and whether abortively.
    pub(crate) closed: Vec<(FlowId, bool)>,
    /// Packets that reached the peer.
    pub(crate) seen: Vec<Vec<u8>>,
    pub(crate) keep_seen: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let now = start();
        Self {
            flows: Flows::new(settings, 0x1234_5678_9abc_def0, now),
            outside: Everyone::default(),
            now,
            delay: Duration::from_millis(5),
            loss: 0,
            jitter: Duration::ZERO,
            dice: Dice(42),
            client: Client::new(now),
            up: Link::default(),
            down: Link::default(),
            connecting: Vec::new(),
            closed: Vec::new(),
            seen: Vec::new(),
            keep_seen: false,
        }
    }

    /// The peer connects from this port.
    pub(crate) fn dial(&mut self, port: u16, to: &str) {
        self.client.dial(port, to.parse().expect("an address"));
        self.poll_client(port);
    }

    /// The peer waits at this port.
    pub(crate) fn listen(&mut self, port: u16) {
        self.client.listen(port);
    }

    /// The peer's socket of this port.
    pub(crate) fn client(&mut self, port: u16) -> &mut Socket<'static> {
        self.client.socket(port)
    }

    /// Lets the OS's connect succeed.
    pub(crate) fn connect(&mut self) -> FlowId {
        let (flow, _) = self.connecting.pop().expect("a flow that connects");
        self.outside.0.insert(flow, Far { takes: usize::MAX, ..Far::default() });
        self.flows.handle_connected(flow, self.now);
        flow
    }

    /// A connection that stands.
    pub(crate) fn established(port: u16) -> (Self, FlowId) {
        Self::established_to(port, "192.0.2.1:80")
    }

    /// A connection that stands, to this address.
    pub(crate) fn established_to(port: u16, to: &str) -> (Self, FlowId) {
        let mut world = Self::new();
        world.dial(port, to);
        world.run_until(|world| !world.connecting.is_empty());
        let flow = world.connect();
        world.run_until(|world| world.client(port).may_send());
        (world, flow)
    }

    pub(crate) fn far(&mut self, flow: FlowId) -> &mut Far {
        self.outside.0.get_mut(&flow).expect("an open flow")
    }

    /// Lets the peer's side look at its socket of this port.
    pub(crate) fn poll_client(&mut self, port: u16) {
        let packets = self.client.poll(port, self.now);
        self.send_up(packets);
    }

    fn send_up(&mut self, packets: Vec<Vec<u8>>) {
        for packet in packets {
            if let Some(at) = self.arrival() {
                self.up.send(at, packet);
            }
        }
    }

    fn arrival(&mut self) -> Option<Instant> {
        let is_lost = self.dice.roll(1_000) < self.loss;
        let extra = self.jitter * self.dice.roll(100) / 100;
        (!is_lost).then(|| self.now + self.delay + extra)
    }

    /// One look at everything, without moving the clock.
    pub(crate) fn settle(&mut self) {
        while let Some(packet) = self.up.arrive(self.now) {
            let request = self.flows.handle_packet(PEER, &packet, &mut Host(Vec::new()), self.now);
            if let Request::Connect { flow, to } = request {
                self.connecting.push((flow, to));
            }
        }
        let mut out = Vec::new();
        self.flows.turn(&mut self.outside, self.now, &mut |owner, packet| {
            assert_eq!(owner, PEER);
            assert!(packet.len() <= 1_420);
            out.push(packet.to_vec());
        });
        while let Some(closed) = self.flows.poll_closed() {
            self.closed.push((closed.flow, closed.abort));
        }
        for packet in out {
            if let Some(at) = self.arrival() {
                self.down.send(at, packet);
            }
        }
        while let Some(packet) = self.down.arrive(self.now) {
            if self.keep_seen {
                self.seen.push(packet.clone());
            }
            let packets = self.client.receive(packet, self.now);
            self.send_up(packets);
        }
    }

    /// Moves the clock to the next event.
    fn advance(&mut self) {
        let mut next = [self.up.next(), self.down.next(), self.flows.poll_deadline(self.now)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.now + Duration::from_secs(1));
        for port in self.client.ports() {
            if let Some(delay) = self.client.delay(port, self.now) {
                next = next.min(self.now + delay);
                if delay.is_zero() {
                    self.poll_client(port);
                }
            }
        }
        self.now = next.max(self.now + Duration::from_micros(1));
    }

    /// Steps until the state is reached.
    pub(crate) fn run_until(&mut self, mut reached: impl FnMut(&mut Self) -> bool) {
        for _ in 0..2_000_000 {
            self.settle();
            if reached(self) {
                return;
            }
            self.advance();
        }
        panic!("the state was never reached");
    }

    /// Steps for so long.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.settle();
            self.advance();
        }
    }

    /// Gives the machine a packet of the peer's.
    pub(crate) fn send<'a>(&'a mut self, packet: &'a [u8]) -> Request<'a> {
        self.flows.handle_packet(PEER, packet, &mut Host(vec![OWN.parse().expect("an address")]), self.now)
    }

    /// What the machine sends to the peer now.
    pub(crate) fn answers(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.flows.turn(&mut self.outside, self.now, &mut |_, packet| out.push(packet.to_vec()));
        out
    }
}

/// An address of the host.
pub(crate) const OWN: &str = "203.0.113.9";

/// Bytes in which a lost or doubled one shows.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut dice = Dice(9);
    (0..length).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect()
}

/// The address part of what a test dials.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
