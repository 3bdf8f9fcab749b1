//! A server in process with two clients that have shaken hands.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::PublicKey;
use culvert::domain::account::{Account, AccountId, Allowance, Password};
use culvert::domain::key::PrivateKey;
use culvert::domain::name::{AccountName, InterfaceName, ServerName, Username};
use culvert::domain::rate::Mbps;
use culvert::domain::server::Server;
use culvert::engine::dataplane::around::{Around, Beyond, Parcel};
use culvert::engine::dataplane::nat::Ports;
use culvert::engine::dataplane::seat::Seat;
use culvert::engine::dataplane::{Change, Dataplane};
use culvert::engine::outbox::{Endpoint, Outbox};
use culvert::engine::packet::{Offload, Owner};
use culvert::engine::wire::{Ip, checksum};
use culvert::runtime::os::clock;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use crate::dice::Dice;

/// The largest inner packet.
pub(crate) const MTU: usize = 1_420;
/// How many clients there are.
pub(crate) const CLIENTS: usize = 2;

/// A server, its clients, and their time.
pub(crate) struct Rig {
    pub(crate) plane: Dataplane,
    pub(crate) outbox: Outbox,
    pub(crate) ports: Ports,
    pub(crate) outside: Outside,
    pub(crate) now: Instant,
    clients: Vec<Tunn>,
    memory: Vec<u8>,
}

fn key(number: u8) -> PrivateKey {
    PrivateKey::from_entropy([number; 32])
}

thread_local! {
    /// How many bits a story's server has drawn: each story begins with the same.
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// The server's bits.
fn entropy() -> u32 {
    DRAWN.set(DRAWN.get() + 1);
    u32::try_from(Dice::new(DRAWN.get()).bits() >> 32).unwrap()
}

fn server() -> Server {
    Server {
        name: ServerName::parse("fuzzed").unwrap(),
        interface: InterfaceName::numbered(1),
        listen_port: 51_821,
        private_key: key(100),
        public_key: key(100).public(),
        address: "10.0.0.1/24".parse().unwrap(),
        ipv6: true,
        address_ipv6: "fd00::1/64".parse().unwrap(),
        mtu: u16::try_from(MTU).unwrap(),
        keep_alive: 25,
        allowed_ips: Vec::new(),
        endpoint: None,
        external_ip: IpAddr::from(Ipv4Addr::new(203, 0, 113, 1)),
        dns_1: Ipv4Addr::new(1, 1, 1, 1),
        dns_2: Ipv4Addr::new(9, 9, 9, 9),
        dns_1_ipv6: None,
        dns_2_ipv6: None,
        b_download: Mbps::default(),
        b_upload: Mbps::default(),
        internal_traffic: false,
        ikev2: false,
        disable_nat: false,
        limit_download: Mbps::UNLIMITED,
        limit_upload: Mbps::UNLIMITED,
    }
}

fn account(at: u8) -> Account {
    Account {
        name: AccountName::parse(&format!("peer_{at}")).unwrap(),
        server: ServerName::parse("fuzzed").unwrap(),
        enabled: true,
        username: Username::parse(&format!("user_{at}")).unwrap(),
        password: Password::new("secret".into()),
        address: Ipv4Addr::new(10, 0, 0, at + 2),
        address_ipv6: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(at) + 2)),
        private_key: None,
        public_key: key(at + 1).public(),
        b_download: Mbps::default(),
        b_upload: Mbps::default(),
        mark: 100 + u32::from(at),
        id: AccountId::default(),
        allowance: Allowance::default(),
        owner: None,
    }
}

/// The inner address of a client.
pub(crate) fn address(at: usize, v6: bool) -> IpAddr {
    let account = account(u8::try_from(at).unwrap());
    if v6 { account.address_ipv6.unwrap().into() } else { account.address.into() }
}

/// Where a client's datagrams come from.
pub(crate) fn endpoint(at: usize) -> Endpoint {
    let remote = SocketAddr::from(([192, 0, 2, 10 + u8::try_from(at).unwrap()], 51_820));
    Endpoint { remote, local: None }
}

/// Who takes what goes outside.
#[derive(Default)]
pub(crate) struct Outside(Option<(Owner, Vec<u8>)>);

impl Beyond for Outside {
    fn outward(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) {
        let before = self.0.replace((owner, packet.to_vec()));
        assert_eq!(before, None, "one datagram has one packet");
    }

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        panic!("there is no other worker")
    }
}

impl Rig {
    /// A server whose clients are connected.
    pub(crate) fn new() -> Self {
        DRAWN.set(0);
        let now = clock::now();
        let mut outbox = Outbox::new(4 << 20);
        let mut plane = Dataplane::new(Arc::new(server()), Seat::ALONE, entropy, now);
        let mut outside = Outside::default();
        let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
        for at in 0..CLIENTS {
            let account = Arc::new(account(u8::try_from(at).unwrap()));
            plane.apply(
                Change::Account(account),
                &mut Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut outside },
                now,
            );
        }
        let clients = (0..CLIENTS).map(client).collect();
        let mut rig = Self { plane, outbox, ports, outside, now, clients, memory: vec![0; 70_000] };
        for at in 0..CLIENTS {
            rig.let_in(at);
        }
        rig
    }

    /// The slot of a client.
    pub(crate) fn owner(&self, at: usize) -> Owner {
        self.plane.owner(&account(u8::try_from(at).unwrap()).name).unwrap()
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.now += span;
        if self.plane.poll_deadline().is_some_and(|at| at <= self.now) {
            let mut around = Around { outbox: &mut self.outbox, ports: &mut self.ports, beyond: &mut self.outside };
            self.plane.handle_deadline(&mut around, self.now);
        }
    }

    /// Takes a datagram; what of it goes outside.
    pub(crate) fn handle(&mut self, from: Endpoint, datagram: &[u8]) -> Option<(Owner, Vec<u8>)> {
        let mut around = Around { outbox: &mut self.outbox, ports: &mut self.ports, beyond: &mut self.outside };
        self.plane.handle_datagram(from, datagram, &mut around, self.now);
        self.outside.0.take()
    }

    /// The first message of a handshake.
    pub(crate) fn initiation(&mut self, at: usize) -> Vec<u8> {
        sent(&self.clients[at].format_handshake_initiation(&mut self.memory, true)).unwrap()
    }

    /// Shakes hands anew, whatever there was before.
    pub(crate) fn let_in(&mut self, at: usize) {
        self.pass(Duration::from_secs(1));
        self.drain(|_, _| {});
        self.clients[at] = client(at);
        let initiation = self.initiation(at);
        assert_eq!(self.handle(endpoint(at), &initiation), None);
        let mut answers = self.waiting().into_iter().filter(|(to, message)| *to == endpoint(at) && message[0] == 2);
        let (_, answer) = answers.next().unwrap_or_else(|| panic!("no answer: {:?}", self.plane.drops()));
        let keepalive = sent(&self.clients[at].decapsulate(None, &answer, &mut self.memory)).unwrap();
        self.handle(endpoint(at), &keepalive);
        self.drain(|_, _| {});
    }

    /// Seals a packet.
    pub(crate) fn seal(&mut self, at: usize, packet: &[u8]) -> Vec<u8> {
        sent(&self.clients[at].encapsulate(packet, &mut self.memory)).unwrap()
    }

    fn waiting(&mut self) -> Vec<(Endpoint, Vec<u8>)> {
        let batches = self.outbox.batches();
        let each = |batch: culvert::engine::outbox::Batch<'_>| -> Vec<(Endpoint, Vec<u8>)> {
            batch.bytes.chunks(batch.segment).map(|one| (batch.endpoint, one.to_vec())).collect()
        };
        let all = batches.flat_map(each).collect();
        self.outbox.clear();
        all
    }

    /// Opens what waits for the clients: each packet with whose it is.
    pub(crate) fn opened(&mut self) -> Vec<(usize, Vec<u8>)> {
        let mut opened = Vec::new();
        for (to, datagram) in self.waiting() {
            let Some(at) = (0..CLIENTS).find(|at| endpoint(*at) == to) else { continue };
            if let TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) =
                self.clients[at].decapsulate(None, &datagram, &mut self.memory)
            {
                opened.push((at, packet.to_vec()));
            }
        }
        opened
    }

    /// Opens what waits for the clients, and holds every packet against what may come down to its owner.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(usize, &[u8])) {
        for (at, packet) in self.opened() {
            judge(at, &packet);
            each(at, &packet);
        }
    }
}

fn client(at: usize) -> Tunn {
    let at = u8::try_from(at).unwrap();
    let server = PublicKey::from(*key(100).public().as_bytes());
    Tunn::new(key(at + 1).secret(), server, None, None, u32::from(at), None)
}

fn sent(outcome: &TunnResult<'_>) -> Option<Vec<u8>> {
    if let TunnResult::WriteToNetwork(datagram) = outcome { Some(datagram.to_vec()) } else { None }
}

/// Holds a packet against what may come down to this client: its own, whole, no larger than the tunnel, every checksum
/// right.
pub(crate) fn judge(at: usize, packet: &[u8]) {
    assert!(packet.len() <= MTU, "{} bytes", packet.len());
    let view = Ip::new(packet).unwrap();
    assert_eq!(view.destination(), address(at, view.destination().is_ipv6()), "not its owner's: {packet:02x?}");
    assert_eq!(view.total_len(), packet.len(), "{packet:02x?}");
    let sliced = SlicedPacket::from_ip(packet).unwrap_or_else(|error| panic!("{error}: {packet:02x?}"));
    let (source, to) = (view.source(), view.destination());
    if let Some(NetSlice::Ipv4(net)) = &sliced.net {
        let header = net.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum(), "{packet:02x?}");
    }
    if view.transport().fragment {
        return;
    }
    let right = match sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => tcp.checksum() == tcp_sum(&tcp, (source, to)),
        Some(TransportSlice::Udp(udp)) => udp_is_right(&udp, (source, to)),
        Some(TransportSlice::Icmpv4(icmp)) => checksum::of(icmp.slice()) == 0,
        Some(TransportSlice::Icmpv6(icmp)) => match (source, to) {
            (IpAddr::V6(source), IpAddr::V6(to)) => icmp.is_checksum_valid(source.octets(), to.octets()),
            _ => false,
        },
        _ => panic!("neither TCP, UDP nor ICMP: {packet:02x?}"),
    };
    assert!(right, "a wrong checksum: {packet:02x?}");
}

fn tcp_sum(tcp: &etherparse::TcpSlice<'_>, ends: (IpAddr, IpAddr)) -> u16 {
    match ends {
        (IpAddr::V4(source), IpAddr::V4(to)) => tcp.calc_checksum_ipv4(source.octets(), to.octets()).unwrap(),
        (IpAddr::V6(source), IpAddr::V6(to)) => tcp.calc_checksum_ipv6(source.octets(), to.octets()).unwrap(),
        _ => panic!("two versions in one packet"),
    }
}

fn udp_is_right(udp: &etherparse::UdpSlice<'_>, ends: (IpAddr, IpAddr)) -> bool {
    let header = udp.to_header();
    let sum = match ends {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            header.calc_checksum_ipv4_raw(source.octets(), to.octets(), udp.payload()).unwrap()
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            header.calc_checksum_ipv6_raw(source.octets(), to.octets(), udp.payload()).unwrap()
        }
        _ => panic!("two versions in one packet"),
    };
    header.checksum == sum
}
