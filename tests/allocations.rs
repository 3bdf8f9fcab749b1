//! No allocation a packet on the road in steady state: an allocator counts.
#![expect(unsafe_code, reason = "an allocator cannot be written without")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]
#![expect(clippy::disallowed_methods, reason = "the clock is read where the test begins")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519;
use culvert::domain::account::{Account, AccountId, Allowance, Password};
use culvert::domain::key::PrivateKey;
use culvert::domain::name::{AccountName, InterfaceName, ServerName, Username};
use culvert::domain::rate::Mbps;
use culvert::domain::server::Server;
use culvert::domain::traffic_log::{LoggedStates, TrafficLogSettings};
use culvert::engine::dataplane::around::{Around, Beyond, EspWord, Parcel};
use culvert::engine::dataplane::by_esp::EspChange;
use culvert::engine::dataplane::exit::{Exit, Name};
use culvert::engine::dataplane::link::esp::Child;
use culvert::engine::dataplane::nat::Ports;
use culvert::engine::dataplane::seat::Seat;
use culvert::engine::dataplane::{Change, Dataplane};
use culvert::engine::esp::association::{Inbound, Keys, Outbound};
use culvert::engine::esp::suite::{Encryption, Integrity, Suite};
use culvert::engine::outbox::{Endpoint, Outbox};
use culvert::engine::packet::{Offload, Owner};
use culvert::engine::wire::checksum::Sum;
use culvert::engine::wire::{protocol, udp};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|counter| counter.set(counter.get() + 1));
}

// SAFETY: every call goes on to the system's allocator unchanged; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocates meanwhile.
fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_entropy([seed; 32])
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number)
}

fn remote(number: u8) -> Endpoint {
    Endpoint { remote: SocketAddr::from(([198, 51, 100, number], 51_820)), local: None }
}

fn server() -> Server {
    Server {
        name: ServerName::parse("Default_1").unwrap(),
        interface: InterfaceName::numbered(0),
        listen_port: 51_821,
        public_key: key(1).public(),
        private_key: key(1),
        address: "10.0.0.1/24".parse().unwrap(),
        ipv6: true,
        address_ipv6: "fd00:1::1/64".parse().unwrap(),
        mtu: 1_420,
        keep_alive: 25,
        allowed_ips: Vec::new(),
        endpoint: None,
        external_ip: OUTSIDE.into(),
        dns_1: OUTSIDE,
        dns_2: OUTSIDE,
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

fn account(number: u8) -> Account {
    Account {
        name: AccountName::parse(&format!("peer_{number}")).unwrap(),
        server: ServerName::parse("Default_1").unwrap(),
        enabled: true,
        username: Username::parse(&format!("peer_{number}")).unwrap(),
        password: Password::new(String::new()),
        address: address(number),
        address_ipv6: None,
        private_key: None,
        public_key: key(number).public(),
        b_download: Mbps::UNLIMITED,
        b_upload: Mbps::UNLIMITED,
        mark: 100,
        id: AccountId::default(),
        allowance: Allowance::default(),
        owner: None,
    }
}

fn entropy() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static STATE: AtomicU32 = AtomicU32::new(1);
    STATE.fetch_add(0x9e37_79b9, Ordering::Relaxed)
}

fn written(outcome: TunnResult<'_>) -> Vec<u8> {
    let TunnResult::WriteToNetwork(datagram) = outcome else { panic!("{outcome:?}") };
    datagram.to_vec()
}

/// Counts what goes outside.
struct Counted(usize);

impl Beyond for Counted {
    fn outward(&mut self, _owner: Owner, _packet: &mut [u8], _offload: Offload) {
        self.0 += 1;
    }

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        panic!("there is no other worker")
    }
}

/// Counts what goes outside by ESP's road, and what IKE is told.
#[derive(Default)]
struct Told {
    packets: usize,
    words: usize,
}

impl Beyond for Told {
    fn outward(&mut self, _owner: Owner, _packet: &mut [u8], _offload: Offload) {
        self.packets += 1;
    }

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        panic!("there is no other worker")
    }

    fn tell_ike(&mut self, _word: EspWord) {
        self.words += 1;
    }
}

/// Takes a datagram; how many packets of it go outside.
fn up(
    plane: &mut Dataplane,
    from: Endpoint,
    datagram: &[u8],
    outbox: &mut Outbox,
    ports: &mut Ports,
    now: Instant,
) -> usize {
    let mut counted = Counted(0);
    plane.handle_datagram(from, datagram, &mut Around { outbox, ports, beyond: &mut counted }, now);
    counted.0
}

/// A server with two connected clients, 2 and 3.
fn connected(outbox: &mut Outbox, ports: &mut Ports, now: Instant) -> (Dataplane, Tunn) {
    let mut plane = Dataplane::new(Arc::new(server()), Seat::ALONE, entropy, now);
    let clients = [2, 3].map(|number| {
        plane.apply(
            Change::Account(Arc::new(account(number))),
            &mut Around { outbox, ports, beyond: &mut Counted(0) },
            now,
        );
        let public = x25519::PublicKey::from(*key(1).public().as_bytes());
        let mut client = Tunn::new(key(number).secret(), public, None, None, u32::from(number), None);
        let mut memory = [0; 256];
        let initiation = written(client.format_handshake_initiation(&mut memory, false));
        up(&mut plane, remote(number), &initiation, outbox, ports, now);
        let response = outbox.batches().next().unwrap().bytes.to_vec();
        outbox.clear();
        let keepalive = written(client.decapsulate(None, &response, &mut memory));
        up(&mut plane, remote(number), &keepalive, outbox, ports, now);
        client
    });
    let [first, _] = clients;
    (plane, first)
}

fn packet(source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Vec<u8> {
    let mut memory = vec![0; payload + 28];
    udp::write_packet(
        &mut memory,
        SocketAddr::from((source, 4_000)),
        SocketAddr::from((destination, 53)),
        64,
        &vec![7; payload],
    )
    .unwrap();
    memory
}

/// So many sealed datagrams of each kind that a client sends in steady state.
fn sealed(client: &mut Tunn, count: usize) -> Vec<Vec<u8>> {
    let kinds = [
        packet(address(2), OUTSIDE, 1_392),
        packet(address(2), OUTSIDE, 40),
        packet(address(2), address(3), 1_000),
        packet(address(2), address(1), 100),
        packet(address(9), OUTSIDE, 100),
        packet(address(2), address(77), 100),
    ];
    let mut memory = [0; 2_048];
    (0..count).map(|number| written(client.encapsulate(&kinds[number % kinds.len()], &mut memory))).collect()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1_u8)))), 1);
}

#[test]
fn a_packet_up_across_or_refused_allocates_nothing() {
    let mut now = Instant::now();
    let mut outbox = Outbox::new(1 << 19);
    let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
    let (mut plane, mut client) = connected(&mut outbox, &mut ports, now);
    let datagrams = sealed(&mut client, 12_006);
    let (first, datagrams) = datagrams.split_at(6);
    // the first packet of a flow makes its entry
    for datagram in first {
        up(&mut plane, remote(2), datagram, &mut outbox, &mut ports, now);
    }
    let mut outward = 0;

    let allocations = allocations_of(|| {
        for datagram in datagrams {
            now += Duration::from_micros(100);
            outward += up(&mut plane, remote(2), datagram, &mut outbox, &mut ports, now);
            if outbox.is_tight() {
                outbox.clear();
            }
        }
    });

    assert_eq!(outward, 4_000);
    assert_eq!(allocations, 0);
}

#[test]
fn a_packet_of_a_connection_that_is_logged_allocates_nothing() {
    let mut now = Instant::now();
    let mut outbox = Outbox::new(1 << 19);
    let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
    let (mut plane, mut client) = connected(&mut outbox, &mut ports, now);
    let states = LoggedStates { new: true, established: true, related: true, invalid: true, untracked: true };
    let settings = TrafficLogSettings { enabled: true, incoming: true, states, ..TrafficLogSettings::default() };
    let mut around = Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut Counted(0) };
    plane.apply(Change::Log(Arc::new(settings)), &mut around, now);
    let datagrams = sealed(&mut client, 6_006);
    let (first, datagrams) = datagrams.split_at(6);
    for datagram in first {
        up(&mut plane, remote(2), datagram, &mut outbox, &mut ports, now);
    }
    let mut begun = 0;
    plane.take_log(|_| begun += 1);

    let allocations = allocations_of(|| {
        for datagram in datagrams {
            now += Duration::from_micros(100);
            up(&mut plane, remote(2), datagram, &mut outbox, &mut ports, now);
            if outbox.is_tight() {
                outbox.clear();
            }
            plane.take_log(|_| begun += 1);
        }
    });

    // out, to the server itself, and to a client, whose it is too
    assert_eq!((begun, allocations), (4, 0));
}

#[test]
fn a_packet_down_allocates_nothing() {
    let mut now = Instant::now();
    let mut outbox = Outbox::new(1 << 19);
    let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
    let (mut plane, _client) = connected(&mut outbox, &mut ports, now);
    let mut packets = [packet(OUTSIDE, address(2), 1_392), packet(OUTSIDE, address(2), 40)];

    // the first packet of a flow makes its entry
    for packet in &mut packets {
        let mut around = Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut Counted(0) };
        plane.handle_down(Owner(0), packet, &mut around, now);
    }

    let allocations = allocations_of(|| {
        for number in 0..10_000 {
            now += Duration::from_micros(100);
            let mut around = Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut Counted(0) };
            plane.handle_down(Owner(0), &mut packets[number % 2], &mut around, now);
            if outbox.is_tight() {
                outbox.clear();
            }
        }
    });

    assert_eq!(plane.drops().total(), 0);
    assert_eq!(allocations, 0);
}

const EXTERNAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Segments of one stream that continue one another, as large as they may be: from this port, so many.
fn stream(source: SocketAddr, destination: SocketAddr, count: u32) -> Vec<Vec<u8>> {
    const PAYLOAD: usize = 1_380;
    (0..count)
        .map(|number| {
            let mut packet = packet(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, PAYLOAD + 12);
            let (SocketAddr::V4(from), SocketAddr::V4(to)) = (source, destination) else { panic!("IPv4") };
            packet[9] = protocol::TCP;
            packet[12..16].copy_from_slice(&from.ip().octets());
            packet[16..20].copy_from_slice(&to.ip().octets());
            packet[10..12].fill(0);
            let sum = Sum::default().bytes(&packet[..20]).finish();
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            packet[20..22].copy_from_slice(&from.port().to_be_bytes());
            packet[22..24].copy_from_slice(&to.port().to_be_bytes());
            packet[24..28].copy_from_slice(&(1_000 + number * 1_380).to_be_bytes());
            packet[28..40].copy_from_slice(&[0, 0, 0, 77, 0x50, 0x10, 4, 0, 0, 0, 0, 0]);
            let sum = Sum::default().pseudo(source.ip(), destination.ip(), protocol::TCP, packet.len() - 20);
            let sum = sum.bytes(&packet[20..]).finish();
            packet[36..38].copy_from_slice(&sum.to_be_bytes());
            packet
        })
        .collect()
}

/// A server before an uplink for whole packets.
fn before_packets(outbox: &mut Outbox, ports: &mut Ports, now: Instant) -> (Dataplane, Tunn) {
    let (mut plane, client) = connected(outbox, ports, now);
    let exit = Exit::Packets { v4: Name::External(EXTERNAL.into()), v6: Name::None };
    plane.apply(Change::Exit(exit), &mut Around { outbox, ports, beyond: &mut Counted(0) }, now);
    (plane, client)
}

#[test]
fn a_stream_that_is_put_together_translated_and_shaped_allocates_nothing() {
    let mut now = Instant::now();
    let mut outbox = Outbox::new(1 << 19);
    let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
    let (mut plane, mut client) = before_packets(&mut outbox, &mut ports, now);
    let remote_host = SocketAddr::from((OUTSIDE, 443));
    let segments = stream(SocketAddr::from((address(2), 20_000)), remote_host, 6_464);
    let mut memory = [0; 2_048];
    let datagrams: Vec<Vec<u8>> =
        segments.iter().map(|segment| written(client.encapsulate(segment, &mut memory))).collect();
    let (first, datagrams) = datagrams.split_at(64);
    let mut counted = Counted(0);
    let mut batch = |plane: &mut Dataplane, datagrams: &[Vec<u8>], now| {
        let mut around = Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut counted };
        for datagram in datagrams {
            plane.handle_datagram(remote(2), datagram, &mut around, now);
        }
        plane.handle_batch_end(&mut around, now);
    };
    // the first packet of a flow makes its entry
    batch(&mut plane, first, now);

    let allocations = allocations_of(|| {
        for datagrams in datagrams.chunks(40) {
            now += Duration::from_millis(1);
            batch(&mut plane, datagrams, now);
        }
    });

    assert_eq!(plane.drops().total(), 0);
    assert!(counted.0 < 400, "{} super-packets for 6,464 packets", counted.0);
    assert_eq!(allocations, 0);
}

/// Forty segments as one, as the kernel hands them over.
fn forty_as_one(single: &[u8]) -> (Vec<u8>, Offload) {
    let mut whole = single.to_vec();
    whole.resize(40 + 40 * 1_380, 7);
    let length = u16::try_from(whole.len()).unwrap();
    whole[2..4].copy_from_slice(&length.to_be_bytes());
    whole[10..12].fill(0);
    let sum = Sum::default().bytes(&whole[..20]).finish();
    whole[10..12].copy_from_slice(&sum.to_be_bytes());
    (whole, Offload { segment: 1_380, partial_checksum: true, gathered: false })
}

#[test]
fn what_arrives_for_a_translated_flow_allocates_nothing() {
    let mut now = Instant::now();
    let mut outbox = Outbox::new(1 << 20);
    let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
    let (mut plane, mut client) = before_packets(&mut outbox, &mut ports, now);
    let (inner, remote_host) = (SocketAddr::from((address(2), 20_000)), SocketAddr::from((OUTSIDE, 443)));
    let door = SocketAddr::from((EXTERNAL, 20_000));
    let mut memory = [0; 2_048];
    let opens = written(client.encapsulate(&stream(inner, remote_host, 1)[0], &mut memory));
    up(&mut plane, remote(2), &opens, &mut outbox, &mut ports, now);
    plane.handle_batch_end(&mut Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut Counted(0) }, now);
    let single = stream(remote_host, door, 1).remove(0);
    let (whole, super_packet) = forty_as_one(&single);
    let mut room = whole.clone();
    let mut arrive = |plane: &mut Dataplane, packet: &[u8], offload, now| {
        let mut around = Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut Counted(0) };
        room[..packet.len()].copy_from_slice(packet);
        plane.handle_arrival(&mut room[..packet.len()], offload, &mut around, now);
        let sent: usize = outbox.batches().map(|batch| batch.bytes.chunks(batch.segment).count()).sum();
        outbox.clear();
        sent
    };
    arrive(&mut plane, &whole, super_packet, now);
    arrive(&mut plane, &single, Offload::NONE, now);
    let mut sent = 0;

    let allocations = allocations_of(|| {
        for _ in 0..100 {
            now += Duration::from_millis(1);
            sent += arrive(&mut plane, &whole, super_packet, now);
            sent += arrive(&mut plane, &single, Offload::NONE, now);
        }
    });

    assert_eq!((sent, plane.drops().total()), (4_100, 0));
    assert_eq!(allocations, 0);
}

#[test]
fn a_strangers_datagram_allocates_nothing() {
    let now = Instant::now();
    let mut outbox = Outbox::new(1 << 19);
    let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
    let (mut plane, mut client) = connected(&mut outbox, &mut ports, now);
    let mut forged = sealed(&mut client, 1).remove(0);
    *forged.last_mut().unwrap() ^= 1;
    let mut handshake = vec![0; 148];
    handshake[0] = 1;
    let noise = [4; 2_000];

    let allocations = allocations_of(|| {
        for length in 0..2_000 {
            up(&mut plane, remote(66), &noise[..length], &mut outbox, &mut ports, now);
            up(&mut plane, remote(66), &forged, &mut outbox, &mut ports, now);
            up(&mut plane, remote(66), &handshake, &mut outbox, &mut ports, now);
        }
    });

    assert_eq!(plane.drops().total(), 6_000);
    assert!(outbox.is_empty());
    assert_eq!(allocations, 0);
}

#[test]
fn an_esp_packet_allocates_nothing() {
    let suites = [
        Suite::aead(Encryption::Aes256Gcm),
        Suite::aead(Encryption::ChaCha20Poly1305),
        Suite::pair(Encryption::Aes256Cbc, Integrity::Sha1),
        Suite::pair(Encryption::TripleDes, Integrity::Sha256),
    ];
    for suite in suites {
        let keys = Keys {
            spi: 0x100,
            suite,
            extended: true,
            encryption: (1..=200).take(suite.encryption.key_len()).collect::<Vec<u8>>().into(),
            integrity: (1..=200).take(suite.integrity_key_len()).collect::<Vec<u8>>().into(),
        };
        let (mut outbound, mut inbound) = (Outbound::new(&keys, [1; 16]).unwrap(), Inbound::new(&keys).unwrap());
        let (from, to) = (SocketAddr::from((address(1), 1)), SocketAddr::from((address(2), 2)));
        let mut packet = vec![0; 1_400];
        let length = udp::write_packet(&mut packet, from, to, 64, &[7; 1_300]).unwrap();
        let mut memory = vec![0; 2_000];

        let allocations = allocations_of(|| {
            for _ in 0..200 {
                let sealed = outbound.seal(&packet[..length], &mut memory).unwrap();
                assert_eq!(inbound.open(&mut memory[..sealed]).unwrap().packet.len(), length);
            }
        });

        assert_eq!(allocations, 0, "{suite:?}");
    }
}

/// A client's association by ESP, installed at the server; what the client seals with.
fn by_esp(plane: &mut Dataplane, suite: Suite) -> Outbound {
    let keys = |spi| Keys {
        spi,
        suite,
        extended: false,
        encryption: (1..=200).take(suite.encryption.key_len()).collect::<Vec<u8>>().into(),
        integrity: (1..=200).take(suite.integrity_key_len()).collect::<Vec<u8>>().into(),
    };
    let child = Child {
        inbound: keys(0x100),
        outbound: keys(0x200),
        seed: [1; 16],
        client: vec![address(2).into()..=address(2).into()],
        network: vec![Ipv4Addr::UNSPECIFIED.into()..=Ipv4Addr::BROADCAST.into()],
        confirmed: true,
        carries: true,
    };
    let change = EspChange::Install { connection: 1, endpoint: remote(2), child: Box::new(child) };
    assert!(plane.apply_esp(&account(2).name, change));
    Outbound::new(&keys(0x100), [2; 16]).unwrap()
}

#[test]
fn a_stream_by_esp_allocates_nothing_either_way() {
    let (inner, remote_host) = (SocketAddr::from((address(2), 20_000)), SocketAddr::from((OUTSIDE, 443)));
    let single = stream(remote_host, SocketAddr::from((EXTERNAL, 20_000)), 1).remove(0);
    let (whole, super_packet) = forty_as_one(&single);
    for suite in [Suite::aead(Encryption::Aes256Gcm), Suite::pair(Encryption::Aes256Cbc, Integrity::Sha256)] {
        let mut now = Instant::now();
        let mut outbox = Outbox::new(1 << 20);
        let mut ports = Ports::new(16_384..=51_819, [7; 32], now);
        let (mut plane, _client) = before_packets(&mut outbox, &mut ports, now);
        let mut client = by_esp(&mut plane, suite);
        let mut memory = [0; 2_048];
        let mut datagrams: Vec<Vec<u8>> = stream(inner, remote_host, 4_040)
            .iter()
            .map(|segment| client.seal(segment, &mut memory).map(|length| memory[..length].to_vec()).unwrap())
            .collect();
        let (mut outward, mut sent) = (Told::default(), 0);
        let mut room = whole.clone();
        let mut both_ways = |plane: &mut Dataplane, datagrams: &mut [Vec<u8>], now| {
            let mut around = Around { outbox: &mut outbox, ports: &mut ports, beyond: &mut outward };
            for datagram in datagrams {
                plane.handle_esp(remote(2), datagram, &mut around, now);
            }
            plane.handle_batch_end(&mut around, now);
            room.copy_from_slice(&whole);
            plane.handle_arrival(&mut room, super_packet, &mut around, now);
            sent += outbox.batches().map(|batch| batch.bytes.chunks(batch.segment).count()).sum::<usize>();
            outbox.clear();
        };
        let (first, datagrams) = datagrams.split_at_mut(40);
        both_ways(&mut plane, first, now);

        let allocations = allocations_of(|| {
            for datagrams in datagrams.chunks_mut(40) {
                now += Duration::from_millis(100);
                both_ways(&mut plane, datagrams, now);
            }
        });

        assert_eq!((sent, plane.drops().total()), (4_040, 0), "{suite:?}");
        assert!(outward.packets < 400, "{} super-packets for 4,040 packets", outward.packets);
        assert!(outward.words > 10, "IKE was told {} times of what is used", outward.words);
        assert_eq!(allocations, 0, "{suite:?}");
    }
}
