//! The runtime with real threads and ports: what ought to run runs, and what cannot is a fault of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519;
use culvert::domain::account::{Account, AccountId, Allowance, Password};
use culvert::domain::intended::{Intended, IntendedServer, Revision};
use culvert::domain::key::PrivateKey;
use culvert::domain::name::{AccountName, InterfaceName, ServerName, Username};
use culvert::domain::port_forward::{OuterPort, PortForward, Transport};
use culvert::domain::rate::Mbps;
use culvert::domain::restriction::Restriction;
use culvert::domain::server::Server;
use culvert::domain::traffic::{Bytes, Passed};
use culvert::domain::traffic_log::{LoggedStates, SyslogServer, TrafficLogSettings};
use culvert::engine::wire::icmp::{self, Echo};
use culvert::runtime::os::clock;
use culvert::runtime::{Runtime, Settings};
use tokio::sync::watch;

/// How long a real host may take to answer before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_entropy([seed; 32])
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

fn server(name: &str, listen_port: u16) -> Server {
    Server {
        name: ServerName::parse(name).unwrap(),
        interface: InterfaceName::numbered(0),
        listen_port,
        public_key: key(1).public(),
        private_key: key(1),
        address: "10.0.0.1/24".parse().unwrap(),
        ipv6: true,
        address_ipv6: "fd00:1::1/64".parse().unwrap(),
        mtu: 1_420,
        keep_alive: 25,
        allowed_ips: Vec::new(),
        endpoint: None,
        external_ip: Ipv4Addr::LOCALHOST.into(),
        dns_1: Ipv4Addr::LOCALHOST,
        dns_2: Ipv4Addr::LOCALHOST,
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

fn account(server: &str, number: u8) -> Account {
    Account {
        name: AccountName::parse(&format!("{server}_{number}")).unwrap(),
        server: ServerName::parse(server).unwrap(),
        enabled: true,
        username: Username::parse(&format!("{server}_{number}")).unwrap(),
        password: Password::new(String::new()),
        address: Ipv4Addr::new(10, 0, 0, number),
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

/// The appliance, and what it ought to be.
struct House {
    tokio: tokio::runtime::Runtime,
    intended: watch::Sender<Arc<Intended>>,
    runtime: Runtime,
}

impl House {
    fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (intended, follow) = watch::channel(Arc::new(Intended::default()));
        let runtime = tokio.block_on(async { Runtime::start(&Settings::default(), follow) }).unwrap();
        Self { tokio, intended, runtime }
    }

    /// Publishes the next state and waits until it is live.
    fn settle(&self, servers: &[(Server, &[Account])]) {
        let revision = Revision(self.intended.borrow().revision.0 + 1);
        let servers = servers.iter().map(|(server, accounts)| {
            let accounts = accounts.iter().map(|account| (account.name.clone(), Arc::new(account.clone()))).collect();
            let name = server.name.clone();
            let server = Arc::new(server.clone());
            (name, IntendedServer { server, accounts: Arc::new(accounts), forwards: Arc::default() })
        });
        let servers: BTreeMap<_, _> = servers.collect();
        let traffic_log = Arc::clone(&self.intended.borrow().traffic_log);
        self.intended.send_replace(Arc::new(Intended { revision, servers, traffic_log, ..Intended::default() }));
        self.tokio.block_on(self.runtime.settled(revision)).unwrap();
    }

    /// Logs connections to this syslog server from now on, or nothing.
    fn log_to(&self, server: Option<SocketAddr>) {
        let mut intended = (**self.intended.borrow()).clone();
        intended.revision.0 += 1;
        let syslog = SyslogServer {
            enabled: true,
            server: server.map(|server| server.ip()),
            port: server.map_or(0, |server| server.port()),
        };
        let states = LoggedStates { new: true, established: true, ..LoggedStates::default() };
        let enabled = server.is_some();
        intended.traffic_log =
            Arc::new(TrafficLogSettings { enabled, states, syslog, ..TrafficLogSettings::default() });
        let revision = intended.revision;
        self.intended.send_replace(Arc::new(intended));
        self.tokio.block_on(self.runtime.settled(revision)).unwrap();
    }

    fn faults(&self) -> Vec<String> {
        self.runtime.faults().into_iter().map(|(server, why)| format!("{server}: {why}")).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.tokio.block_on(self.runtime.stop());
    }
}

/// A client over a real socket.
struct Client {
    number: u8,
    tunn: Tunn,
    socket: UdpSocket,
}

impl Client {
    fn new(number: u8, server: SocketAddr) -> Self {
        let public = x25519::PublicKey::from(*key(1).public().as_bytes());
        let socket = UdpSocket::bind(if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let tunn = Tunn::new(key(number).secret(), public, None, None, u32::from(number), None);
        Self { number, tunn, socket }
    }

    fn send(&mut self, packet: &[u8]) {
        let mut memory = [0; 2_048];
        let TunnResult::WriteToNetwork(datagram) = self.tunn.encapsulate(packet, &mut memory) else {
            panic!("not sealed")
        };
        self.socket.send(datagram).unwrap();
    }

    /// The next packet from the tunnel, with whatever handshake it takes.
    fn receive(&mut self) -> Vec<u8> {
        let (mut datagram, mut memory) = ([0; 2_048], [0; 2_048]);
        loop {
            let length = self.socket.recv(&mut datagram).unwrap();
            let mut outcome = self.tunn.decapsulate(None, &datagram[..length], &mut memory);
            while let TunnResult::WriteToNetwork(answer) = outcome {
                self.socket.send(answer).unwrap();
                outcome = self.tunn.decapsulate(None, &[], &mut memory);
            }
            if let TunnResult::WriteToTunnelV4(packet, _) = outcome {
                return packet.to_vec();
            }
        }
    }

    /// Pings another address of the tunnel.
    fn ping(&mut self, number: u8) {
        let mut packet = [0; 128];
        let ends = (self.address(), IpAddr::from(Ipv4Addr::new(10, 0, 0, number)));
        let length = icmp::seal_echo(&mut packet, Echo::Request, ends, (9, 9), 56).unwrap();
        self.send(&packet[..length]);
    }

    fn address(&self) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, self.number).into()
    }
}

/// Whether a packet is an ICMP message of this type.
fn is_icmp(packet: &[u8], kind: u8) -> bool {
    packet[9] == 1 && packet[20] == kind
}

#[test]
fn carries_a_ping_over_a_real_port_of_either_family() {
    let house = House::new();
    let port = free_port();
    house.settle(&[(server("a", port), &[account("a", 2), account("a", 3)])]);
    let mut over_v4 = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    over_v4.ping(1);
    assert!(is_icmp(&over_v4.receive(), 0));

    let mut over_v6 = Client::new(3, SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
    over_v6.ping(1);
    assert!(is_icmp(&over_v6.receive(), 0));
    over_v6.ping(2);
    assert!(is_icmp(&over_v4.receive(), 8), "the ping of the other client");

    let figures = house.tokio.block_on(house.runtime.account_figures(&account("a", 2).name)).unwrap();
    assert_eq!(figures.endpoint, Some(over_v4.socket.local_addr().unwrap()));
    assert_eq!((figures.received, figures.sent), (84, 84 + 84));
    assert_eq!(house.tokio.block_on(house.runtime.figures()).len(), 2);
}

#[test]
fn cuts_and_readmits_an_account_while_another_goes_on() {
    let house = House::new();
    let port = free_port();
    let both = [account("a", 2), account("a", 3)];
    house.settle(&[(server("a", port), &both)]);
    let mut one = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    let mut other = Client::new(3, (Ipv4Addr::LOCALHOST, port).into());
    for client in [&mut one, &mut other] {
        client.ping(1);
        client.receive();
    }

    let cut = [Account { enabled: false, ..account("a", 2) }, account("a", 3)];
    house.settle(&[(server("a", port), &cut)]);
    one.ping(1);
    other.ping(1);
    assert!(is_icmp(&other.receive(), 0));
    one.socket.set_nonblocking(true).unwrap();
    assert!(one.socket.recv(&mut [0; 64]).is_err(), "the disabled account hears nothing");
    one.socket.set_nonblocking(false).unwrap();

    house.settle(&[(server("a", port), &both)]);
    // the appliance calls back; the client need not wait until it finds out
    let mut datagram = [0; 256];
    let length = one.socket.recv(&mut datagram).unwrap();
    assert_eq!((length, datagram[0]), (148, 1));
}

#[test]
fn an_occupied_port_is_a_fault_of_its_server_alone_until_it_is_free() {
    let house = House::new();
    let (taken, port) = (UdpSocket::bind("[::]:0").unwrap(), free_port());
    let busy = taken.local_addr().unwrap().port();
    let accounts = [account("a", 2)];
    let servers = [(server("a", port), &accounts[..]), (server("b", busy), &[][..])];
    house.settle(&servers);

    assert_eq!(house.faults(), [format!("b: UDP port {busy}: Address already in use (os error 98)")]);
    let mut client = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    client.ping(1);
    client.receive();

    drop(taken);
    house.settle(&servers);
    assert_eq!(house.faults(), <[String; 0]>::default());
}

#[test]
fn a_server_that_begins_without_a_forward_keeps_its_sessions_while_the_forward_is_tried_again() {
    let house = House::new();
    let taken = std::net::TcpListener::bind("[::]:0").unwrap();
    let outer = OuterPort { port: taken.local_addr().unwrap().port(), protocol: Transport::Tcp };
    let port = free_port();
    let forward = PortForward { outer, to_peer: account("a", 2).name, to_port: 80 };
    let forwards = Arc::new(BTreeMap::from([(outer, forward)]));
    let accounts = BTreeMap::from([(account("a", 2).name, Arc::new(account("a", 2)))]);
    let server = IntendedServer { server: Arc::new(server("a", port)), accounts: Arc::new(accounts), forwards };
    let again = |revision| {
        let servers = BTreeMap::from([(server.server.name.clone(), server.clone())]);
        let revision = Revision(revision);
        house.intended.send_replace(Arc::new(Intended { revision, servers, ..Intended::default() }));
        house.tokio.block_on(house.runtime.settled(revision)).unwrap();
    };
    again(1);
    assert_eq!(house.faults().len(), 1, "{:?}", house.faults());
    let mut client = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    client.ping(1);
    client.receive();

    again(2);

    assert_eq!(house.faults().len(), 1, "{:?}", house.faults());
    client.ping(1);
    assert!(is_icmp(&client.receive(), 0), "the session is the same");
    drop(taken);
    again(3);
    assert_eq!(house.faults(), <[String; 0]>::default());
    client.ping(1);
    assert!(is_icmp(&client.receive(), 0));
}

#[test]
fn follows_a_server_to_another_port_with_its_sessions() {
    let house = House::new();
    let (before, after) = (free_port(), free_port());
    let accounts = [account("a", 2)];
    house.settle(&[(server("a", before), &accounts)]);
    let mut client = Client::new(2, (Ipv4Addr::LOCALHOST, before).into());
    client.ping(1);
    client.receive();

    house.settle(&[(server("a", after), &accounts)]);
    client.socket.connect((Ipv4Addr::LOCALHOST, after)).unwrap();
    client.ping(1);
    assert!(is_icmp(&client.receive(), 0));
    UdpSocket::bind(("::", before)).expect("the old port is free");
}

#[test]
fn keeps_a_server_and_its_sessions_on_the_old_port_while_the_new_one_is_taken() {
    let house = House::new();
    let port = free_port();
    let taken = UdpSocket::bind("[::]:0").unwrap();
    let busy = taken.local_addr().unwrap().port();
    let accounts = [account("a", 2)];
    house.settle(&[(server("a", port), &accounts)]);
    let mut client = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    client.ping(1);
    client.receive();

    house.settle(&[(server("a", busy), &accounts)]);
    assert_eq!(house.faults(), [format!("a: UDP port {busy}: Address already in use (os error 98)")]);
    client.ping(1);
    assert!(is_icmp(&client.receive(), 0));

    drop(taken);
    house.settle(&[(server("a", busy), &accounts)]);
    assert_eq!(house.faults(), <[String; 0]>::default());
    client.socket.connect((Ipv4Addr::LOCALHOST, busy)).unwrap();
    client.ping(1);
    assert!(is_icmp(&client.receive(), 0));
}

#[test]
fn lets_two_servers_change_places() {
    let house = House::new();
    let (one, other) = (free_port(), free_port());
    house.settle(&[(server("a", one), &[][..]), (server("b", other), &[][..])]);

    house.settle(&[(server("a", other), &[][..]), (server("b", one), &[][..])]);

    // workers free their ports each at its own time, so one of them may need a second try
    house.settle(&[(server("a", other), &[][..]), (server("b", one), &[][..])]);
    assert_eq!(house.faults(), <[String; 0]>::default());
}

#[test]
fn is_gone_with_all_its_ports_within_two_seconds() {
    let house = House::new();
    let ports: Vec<u16> = (0..5).map(|_| free_port()).collect();
    let servers: Vec<_> = ports.iter().map(|port| (server(&format!("s{port}"), *port), &[][..])).collect();
    house.settle(&servers);
    let began = clock::now();
    drop(house);
    assert!(clock::now() - began < Duration::from_secs(2));
    for port in ports {
        UdpSocket::bind(("::", port)).expect("the port is free");
    }
}

#[test]
fn says_which_uplink_it_took_and_why() {
    let house = House::new();
    assert_eq!(house.runtime.uplink().name, "sockets");
    assert!(!house.runtime.uplink().why.is_empty());
}

/// What accounts have moved since the last time, by the number in their name: down and up.
fn passed(house: &House) -> BTreeMap<u64, (u64, u64)> {
    let mut sums: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for Passed { account, bytes } in house.tokio.block_on(house.runtime.take_passed()) {
        let sum = sums.entry(account.0).or_default();
        *sum = (sum.0 + bytes.down, sum.1 + bytes.up);
    }
    sums
}

/// An account that is known by its number.
fn known(server: &str, number: u8) -> Account {
    Account { id: AccountId(number.into()), ..account(server, number) }
}

/// The length of a ping, and of its answer.
const PING: u64 = 84;

#[test]
fn tells_what_passed_once_whatever_becomes_of_accounts_and_servers() {
    let house = House::new();
    let port = free_port();
    let both = [known("a", 2), known("a", 3)];
    let client = |number| Client::new(number, (Ipv4Addr::LOCALHOST, port).into());
    let ping = |client: &mut Client| {
        client.ping(1);
        client.receive();
    };
    let [mut one, mut other] = [2, 3].map(client);
    house.settle(&[(server("a", port), &both)]);
    ping(&mut one);
    ping(&mut other);
    assert_eq!(passed(&house), [(2, (PING, PING)), (3, (PING, PING))].into());
    assert_eq!(passed(&house), BTreeMap::new());

    ping(&mut one);
    house.settle(&[(server("a", port), &both[1..])]);
    ping(&mut other);
    // the same name comes again, and is another
    let anew = Account { id: AccountId(20), ..known("a", 2) };
    house.settle(&[(server("a", port), &[anew.clone(), both[1].clone()])]);
    ping(&mut client(2));
    house.settle(&[]);
    house.settle(&[(server("a", port), &[anew])]);
    let mut last = client(2);
    ping(&mut last);

    assert_eq!(passed(&house), [(2, (PING, PING)), (3, (PING, PING)), (20, (2 * PING, 2 * PING))].into());
    ping(&mut last);
    let last = house.tokio.block_on(house.runtime.stop());
    assert_eq!(last, [Passed { account: AccountId(20), bytes: Bytes { down: PING, up: PING } }]);
}

#[test]
fn moves_an_account_to_the_worker_of_its_new_key_and_tells_what_it_moved_at_either() {
    let house = House::new();
    let port = free_port();
    // keys of other numbers, so that some of them live at another worker
    for number in 2..12 {
        let account =
            Account { public_key: key(number).public(), address: Ipv4Addr::new(10, 0, 0, number), ..known("a", 2) };
        house.settle(&[(server("a", port), &[account])]);
        let mut client = Client::new(number, (Ipv4Addr::LOCALHOST, port).into());
        client.ping(1);
        client.receive();
    }

    assert_eq!(passed(&house), [(2, (10 * PING, 10 * PING))].into());
}

#[test]
fn holds_an_account_back_and_lets_it_go_while_another_goes_on() {
    let house = House::new();
    let port = free_port();
    house.settle(&[(server("a", port), &[known("a", 2), known("a", 3)])]);
    let mut one = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    let mut other = Client::new(3, (Ipv4Addr::LOCALHOST, port).into());
    for client in [&mut one, &mut other] {
        client.ping(1);
        client.receive();
    }
    let restrict = |restrictions| house.tokio.block_on(house.runtime.restrict(restrictions)).unwrap();

    restrict([(known("a", 2).name, (AccountId(2), Restriction::Expired))].into());
    one.ping(1);
    other.ping(1);
    assert!(is_icmp(&other.receive(), 0));
    one.socket.set_nonblocking(true).unwrap();
    assert!(one.socket.recv(&mut [0; 64]).is_err(), "the account hears nothing");
    one.socket.set_nonblocking(false).unwrap();

    restrict(BTreeMap::new());
    let mut datagram = [0; 256];
    assert_eq!((one.socket.recv(&mut datagram).unwrap(), datagram[0]), (148, 1), "it is called back");
    other.ping(1);
    assert!(is_icmp(&other.receive(), 0));
}

#[test]
fn goes_on_with_every_session_over_a_reload() {
    let house = House::new();
    let port = free_port();
    house.settle(&[(server("a", port), &[known("a", 2)])]);
    let mut client = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    client.ping(1);
    client.receive();
    let handshake = || house.tokio.block_on(house.runtime.account_figures(&known("a", 2).name)).unwrap().handshake_age;
    let before = handshake().unwrap();

    house.tokio.block_on(house.runtime.reload());
    let mut sealed = [0; 256];
    client.ping(1);
    let length = client.socket.recv(&mut sealed).unwrap();

    assert_eq!(sealed[0], 4, "the answer comes in the session that there was: {length} bytes");
    assert!(handshake().unwrap() >= before, "no handshake since");
}

/// What a syslog server hears next, behind its header.
fn heard(collector: &UdpSocket) -> String {
    let mut memory = [0; 2_048];
    let length = collector.recv(&mut memory).unwrap();
    let message = String::from_utf8_lossy(&memory[..length]).into_owned();
    message.splitn(6, ' ').nth(5).unwrap_or_default().to_owned()
}

#[test]
fn logs_while_it_is_asked_to_and_the_end_of_what_is_open_when_it_stops() {
    let house = House::new();
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = free_port();
    let accounts = [account("a", 2), account("a", 3)];
    house.settle(&[(server("a", port), &accounts)]);
    let mut unlogged = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    unlogged.ping(1);
    unlogged.receive();

    house.log_to(Some(collector.local_addr().unwrap()));
    let mut logged = Client::new(3, (Ipv4Addr::LOCALHOST, port).into());
    logged.ping(1);
    logged.receive();
    let began = heard(&collector);
    house.tokio.block_on(house.runtime.stop());
    let ended = [heard(&collector), heard(&collector)];

    assert!(began.contains(" NEW out SERVER=a ACCOUNT=a_3 "), "{began}");
    // what had begun before is told when it ends
    for account in ["a_2", "a_3"] {
        let of_it = |message: &&String| message.contains(&format!(" ESTABLISHED out SERVER=a ACCOUNT={account} "));
        assert_eq!(ended.iter().filter(of_it).count(), 1, "{ended:?}");
    }
}

#[test]
fn logs_at_a_server_that_comes_later_and_the_end_of_what_was_open_at_one_that_goes() {
    let house = House::new();
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(PATIENCE)).unwrap();
    house.log_to(Some(collector.local_addr().unwrap()));
    let port = free_port();
    house.settle(&[(server("a", port), &[account("a", 2)][..])]);
    let mut client = Client::new(2, (Ipv4Addr::LOCALHOST, port).into());
    client.ping(1);
    client.receive();

    house.settle(&[]);

    let heard = [heard(&collector), heard(&collector)];
    assert!(heard[0].contains(" NEW out ") && heard[1].contains(" ESTABLISHED out "), "{heard:?}");
}
