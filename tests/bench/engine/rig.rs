//! A server in process with clients that have shaken hands, and packets for it.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use boringtun::x25519::{PublicKey, StaticSecret};
use culvert::domain::account::{Account, AccountId, Allowance, Password};
use culvert::domain::key::PrivateKey;
use culvert::domain::name::{AccountName, InterfaceName, ServerName, Username};
use culvert::domain::rate::Mbps;
use culvert::domain::server::Server;
use culvert::engine::dataplane::around::{Around, Beyond, Parcel};
use culvert::engine::dataplane::exit::{Exit, Name};
use culvert::engine::dataplane::nat::Ports;
use culvert::engine::dataplane::seat::Seat;
use culvert::engine::dataplane::{Change, Dataplane};
use culvert::engine::outbox::{Endpoint, Outbox};
use culvert::engine::packet::{Offload, Owner};
use culvert::runtime::os::{clock, entropy};
use etherparse::PacketBuilder;

use crate::client::{Client, fresh_key};
use crate::stopwatch::Now;

/// Sealed datagrams that may wait for the door, in bytes.
const OUTBOX: usize = 1 << 20;
/// The host outside that packets go to.
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The largest inner packet.
pub(crate) const MTU: usize = 1_420;

/// The server and its time.
pub(crate) struct Rig {
    pub(crate) dataplane: Dataplane,
    pub(crate) outbox: Outbox,
    pub(crate) now: Now,
    pub(crate) public: PublicKey,
    pub(crate) keys: Vec<PrivateKey>,
    private: PrivateKey,
}

impl Rig {
    /// A server with so many accounts that have not spoken yet.
    pub(crate) fn new(accounts: u32) -> Self {
        Self::seated(Seat::ALONE, (0..accounts).map(|_| fresh_key()).collect())
    }

    /// One worker's part of a server that has an account for each of these keys.
    pub(crate) fn seated(seat: Seat, keys: Vec<PrivateKey>) -> Self {
        let began = clock::now();
        let server = server();
        let private = server.private_key.clone();
        let public = PublicKey::from(*server.public_key.as_bytes());
        let entropy = || u32::from_ne_bytes(entropy::bytes());
        let dataplane = Dataplane::new(Arc::new(server), seat, entropy, began);
        let mut rig = Self { dataplane, outbox: Outbox::new(OUTBOX), now: Now(began), public, keys, private };
        for at in (0..).take(rig.keys.len()) {
            rig.apply(Change::Account(Arc::new(account(at, &rig.keys[at as usize]))));
        }
        rig
    }

    /// Changes a setting.
    pub(crate) fn apply(&mut self, change: Change) {
        let Self { dataplane, outbox, now, .. } = self;
        with_ports(|ports| {
            dataplane.apply(change, &mut Around { outbox, ports, beyond: &mut Counted(0) }, now.0);
        });
    }

    /// Sends whole packets to the outside, in the name of an address of the server's.
    pub(crate) fn translate(&mut self) {
        let v4 = Name::External(IpAddr::from(Ipv4Addr::new(203, 0, 113, 1)));
        self.apply(Change::Exit(Exit::Packets { v4, v6: Name::None }));
    }

    /// Limits an account to so many megabits a second of download.
    pub(crate) fn limit(&mut self, at: u32, download: Mbps) {
        let account = Account { b_download: download, ..account(at, &self.keys[at as usize]) };
        self.apply(Change::Account(Arc::new(account)));
    }

    /// Does what is due.
    pub(crate) fn handle_deadline(&mut self) {
        let Self { dataplane, outbox, now, .. } = self;
        with_ports(|ports| {
            dataplane.handle_deadline(&mut Around { outbox, ports, beyond: &mut Counted(0) }, now.0);
        });
    }

    /// A client of this account.
    pub(crate) fn client(&self, at: u32) -> Client {
        Client::new(self.keys[at as usize].secret(), self.public, at)
    }

    /// Lets a client in.
    pub(crate) fn let_in(&mut self, at: u32) -> Client {
        let mut client = self.client(at);
        let now = self.now.0;
        let initiation = client.initiation();
        up(&mut self.dataplane, endpoint(at), &initiation, &mut self.outbox, now);
        let answer = self.sent().pop().expect("the server answers");
        let keepalive = client.confirm(&answer);
        up(&mut self.dataplane, endpoint(at), &keepalive, &mut self.outbox, now);
        client
    }

    /// What waits for the door, datagram by datagram.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        let batches = self.outbox.batches();
        let all = batches.flat_map(|batch| batch.bytes.chunks(batch.segment).map(<[u8]>::to_vec)).collect();
        self.outbox.clear();
        all
    }

    /// The server's private key.
    pub(crate) fn secret(&self) -> StaticSecret {
        self.private.secret()
    }

    /// An account's slot.
    pub(crate) fn owner(&self, at: u32) -> Owner {
        let name = AccountName::parse(&format!("peer_{at}")).expect("a good name");
        self.dataplane.owner(&name).expect("the account is there")
    }

    /// The present.
    pub(crate) fn now(&self) -> Instant {
        self.now.0
    }
}

thread_local! {
    static PORTS: RefCell<Ports> = RefCell::new(Ports::new(16_384..=51_819, [7; 32], clock::now()));
}

/// Lends external ports.
pub(crate) fn with_ports<T>(call: impl FnOnce(&mut Ports) -> T) -> T {
    PORTS.with_borrow_mut(call)
}

/// Counts the packets of UDP that go outside.
pub(crate) struct Counted(pub(crate) usize);

/// What IPv4 and UDP put before the payload.
const HEADERS: usize = 28;

impl Beyond for Counted {
    fn outward(&mut self, _owner: Owner, packet: &mut [u8], offload: Offload) {
        let segment = usize::from(offload.segment);
        self.0 += if segment == 0 { 1 } else { (packet.len() - HEADERS).div_ceil(segment) };
    }

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        false
    }
}

/// Takes a datagram; how many packets of it go outside.
pub(crate) fn up(plane: &mut Dataplane, from: Endpoint, datagram: &[u8], outbox: &mut Outbox, now: Instant) -> usize {
    let mut counted = Counted(0);
    with_ports(|ports| {
        plane.handle_datagram(from, datagram, &mut Around { outbox, ports, beyond: &mut counted }, now);
    });
    counted.0
}

/// Takes the datagrams that came at once; how many packets of them go outside.
pub(crate) fn up_at_once(rig: &mut Rig, datagrams: &[(Endpoint, Vec<u8>)]) -> usize {
    let Rig { dataplane, outbox, now: Now(now), .. } = rig;
    let mut counted = Counted(0);
    with_ports(|ports| {
        let mut around = Around { outbox, ports, beyond: &mut counted };
        for (from, datagram) in datagrams {
            dataplane.handle_datagram(*from, datagram, &mut around, *now);
        }
        dataplane.handle_batch_end(&mut around, *now);
    });
    counted.0
}

/// Takes a packet for a client.
pub(crate) fn down(plane: &mut Dataplane, owner: Owner, packet: &mut [u8], outbox: &mut Outbox, now: Instant) {
    with_ports(|ports| {
        plane.handle_down(owner, packet, &mut Around { outbox, ports, beyond: &mut Counted(0) }, now);
    });
}

/// Where a client's datagrams come from.
pub(crate) fn endpoint(at: u32) -> Endpoint {
    let remote = SocketAddr::new(IpAddr::from(Ipv4Addr::from_bits(0xcb00_7100 + at)), 51_820);
    Endpoint { remote, local: None }
}

/// The inner address of an account.
pub(crate) fn address(at: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a40_0002 + at)
}

/// A UDP packet of so many bytes in all.
pub(crate) fn packet(source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(source.octets(), destination.octets(), 64).udp(40_000, 40_001);
    let mut packet = Vec::with_capacity(length);
    builder.write(&mut packet, &vec![7; length - 28]).expect("it fits");
    packet
}

pub(crate) fn server() -> Server {
    let private_key = fresh_key();
    Server {
        name: ServerName::parse("bench").expect("a good name"),
        interface: InterfaceName::numbered(1),
        listen_port: 51_821,
        public_key: private_key.public(),
        private_key,
        address: "10.64.0.1/16".parse().expect("a good network"),
        ipv6: false,
        address_ipv6: "fd00::1/64".parse().expect("a good network"),
        mtu: 0,
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

fn account(at: u32, key: &PrivateKey) -> Account {
    Account {
        name: AccountName::parse(&format!("peer_{at}")).expect("a good name"),
        server: ServerName::parse("bench").expect("a good name"),
        enabled: true,
        username: Username::parse(&format!("user_{at}")).expect("a good name"),
        password: Password::new("secret".into()),
        address: address(at),
        address_ipv6: Some(Ipv6Addr::from_bits(0xfd00_u128 << 112 | u128::from(at + 2))),
        private_key: None,
        public_key: key.public(),
        b_download: Mbps::default(),
        b_upload: Mbps::default(),
        mark: 100 + at,
        id: AccountId::default(),
        allowance: Allowance::default(),
        owner: None,
    }
}
