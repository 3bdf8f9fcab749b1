//! The uplink against real sockets of this machine.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use mio::{Events, Poll};
use smoltcp::socket::tcp::State;

use super::{Door, Forward, Forwarding, Settings, SocketsUplink};
use crate::domain::port_forward::{OuterPort, Transport};
use crate::engine::flows::reach::Reach;
use crate::engine::flows::testing::{Client, PEER, ip, pattern, settings};
use crate::engine::wire::icmp::{self, Echo, Icmp, Kind};
use crate::engine::wire::udp::{self, Udp};
use crate::engine::wire::{Ip, protocol};
use crate::runtime::os::clock;

/// An uplink that reaches this machine, and a peer of it.
struct World {
    poll: Poll,
    uplink: SocketsUplink,
    client: Client,
    /// Packets that reached the peer.
    seen: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        Self::with(Settings { reach: Reach::everything(), ..settings() })
    }

    fn with(settings: Settings) -> Self {
        let (poll, now) = (Poll::new().unwrap(), clock::now());
        let registry = poll.registry().try_clone().unwrap();
        let uplink = SocketsUplink::new(registry, 100..20_100, settings, now);
        Self { poll, uplink, client: Client::new(now), seen: Vec::new() }
    }

    fn dial(&mut self, port: u16, to: SocketAddr) {
        self.client.dial(port, to);
        self.poll_client(port);
    }

    fn poll_client(&mut self, port: u16) {
        let now = clock::now();
        for packet in self.client.poll(port, now) {
            self.uplink.handle_packet(PEER, &packet, now);
        }
    }

    /// One turn of what a worker does.
    fn turn(&mut self) {
        let mut events = Events::with_capacity(1_024);
        let deadline = self.uplink.poll_deadline();
        let wait = deadline.map_or(Duration::from_millis(5), |at| at.saturating_duration_since(clock::now()));
        self.poll.poll(&mut events, Some(wait.min(Duration::from_millis(5)))).unwrap();
        let now = clock::now();
        for event in &events {
            self.uplink.handle_event(event.token(), event.is_readable(), event.is_writable(), event.is_error(), now);
        }
        let mut down = Vec::new();
        self.uplink.turn(now, &mut |owner, packet| {
            assert_eq!(owner, PEER);
            down.push(packet.to_vec());
        });
        for packet in down {
            self.seen.push(packet.clone());
            for answer in self.client.receive(packet, now) {
                self.uplink.handle_packet(PEER, &answer, now);
            }
        }
        for port in self.client.ports() {
            if self.client.delay(port, now).is_some_and(|delay| delay.is_zero()) {
                self.poll_client(port);
            }
        }
    }

    fn run_until(&mut self, mut reached: impl FnMut(&mut Self) -> bool) {
        let end = clock::now() + Duration::from_secs(30);
        while !reached(self) {
            assert!(clock::now() < end, "the state was never reached");
            self.turn();
        }
    }

    /// Waits for the next packet that reaches the peer.
    fn next_packet(&mut self) -> Vec<u8> {
        self.run_until(|world| !world.seen.is_empty());
        self.seen.remove(0)
    }
}

/// A far end that reads everything, then answers with it; what it got comes back too.
fn echo_after_the_end(any: &str) -> (SocketAddr, Receiver<usize>) {
    let listener = TcpListener::bind(any).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        stream.write_all(&got).unwrap();
        tell.send(got.len()).unwrap();
    });
    (address, told)
}

#[test]
fn carries_bytes_through_a_real_connection_and_both_its_ends() {
    let (address, told) = echo_after_the_end("127.0.0.1:0");
    let mut world = World::new();
    world.dial(1_000, address);
    let up = pattern(3_000_000);
    let (mut sent, mut got) = (0, Vec::new());
    world.run_until(|world| {
        let socket = world.client.socket(1_000);
        if sent < up.len() && socket.may_send() {
            sent += socket.send_slice(&up[sent..]).unwrap();
            if sent == up.len() {
                socket.close();
            }
        }
        while socket.can_recv() {
            got.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        world.poll_client(1_000);
        got.len() == up.len()
    });
    assert!(got == up);
    assert_eq!(told.recv().unwrap(), up.len());
    world.run_until(|world| world.uplink.flows() == 0);
}

#[test]
fn refuses_where_nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut world = World::new();
    world.dial(1_000, address);

    world.run_until(|world| world.client.socket(1_000).state() == State::Closed);

    assert_eq!(world.uplink.flows(), 0);
}

#[test]
fn a_reset_passes_through_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::new();
    world.dial(1_000, listener.local_addr().unwrap());
    world.run_until(|world| world.client.socket(1_000).may_send());
    let (stream, _) = listener.accept().unwrap();
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    world.run_until(|world| world.client.socket(1_000).state() == State::Closed);

    world.dial(1_001, listener.local_addr().unwrap());
    world.run_until(|world| world.client.socket(1_001).may_send());
    let (mut stream, _) = listener.accept().unwrap();
    world.client.socket(1_001).abort();
    world.poll_client(1_001);
    world.run_until(|world| world.uplink.flows() == 0);
    let error = stream.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn dropping_a_peer_resets_what_it_had_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::new();
    world.dial(1_000, listener.local_addr().unwrap());
    world.run_until(|world| world.client.socket(1_000).may_send());
    let (mut stream, _) = listener.accept().unwrap();

    world.uplink.drop_owner(PEER);

    assert_eq!(stream.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(world.uplink.flows(), 0);
}

#[test]
fn never_opens_a_connection_to_this_host_by_its_settings() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let allow = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let mut world = World::with(Settings { reach: Reach::new(allow), ..settings() });
    let own = crate::runtime::os::addresses::of_host().unwrap();
    for (number, address) in own.iter().filter(|address| address.is_ipv4()).enumerate() {
        world.dial(1_000 + u16::try_from(number).unwrap(), SocketAddr::new(*address, port));
    }
    world.turn();

    assert_eq!(world.uplink.flows(), 0);
    assert!(world.uplink.counters().denied > 0);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

fn datagram(to: SocketAddr, load: &[u8]) -> Vec<u8> {
    let from: SocketAddr = if to.is_ipv4() { "10.0.0.2:5000" } else { "[fd00::2]:5000" }.parse().unwrap();
    let mut packet = vec![0; 48 + load.len()];
    let length = udp::write_packet(&mut packet, from, to, 64, load).unwrap();
    packet.truncate(length);
    packet
}

#[test]
fn carries_datagrams_and_their_answers() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let far = UdpSocket::bind(any).unwrap();
        let address = far.local_addr().unwrap();
        let mut world = World::new();
        world.uplink.handle_packet(PEER, &datagram(address, b"question"), clock::now());
        let mut room = [0; 100];
        let (length, from) = far.recv_from(&mut room).unwrap();
        assert_eq!(&room[..length], b"question");
        world.uplink.handle_packet(PEER, &datagram(address, b"again"), clock::now());
        let (_, again) = far.recv_from(&mut room).unwrap();
        assert_eq!(again, from, "one mapping");

        far.send_to(b"answer", from).unwrap();

        let packet = world.next_packet();
        let view = Ip::new(&packet[..]).unwrap();
        let answer = Udp::new(view.payload()).unwrap();
        assert_eq!((view.source(), answer.source_port()), (address.ip(), address.port()));
        assert_eq!((answer.destination_port(), answer.payload()), (5_000, &b"answer"[..]));
    }
}

#[test]
fn tells_the_peer_that_nobody_takes_its_datagram() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut world = World::new();
    // from loopback no error may come, so another address of loopback stands for the outside
    world.uplink.handle_packet(PEER, &datagram(address, b"question"), clock::now());
    let end = clock::now() + Duration::from_millis(200);
    world.run_until(|world| !world.seen.is_empty() || clock::now() > end);

    // RFC 1122, section 3.2.2: none about a packet to loopback; the mapping lives on all the same
    assert!(world.seen.is_empty());
    assert_eq!(world.uplink.flows(), 1);
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run says so aloud")]
fn pings_where_the_kernel_allows_it() {
    use crate::runtime::os::datagram::{Carries, DatagramSocket};
    if DatagramSocket::open(Carries::Ping, false).is_err() {
        eprintln!("SKIPPED: this kernel lets our group open no ping sockets");
        return;
    }
    let mut world = World::new();
    let (from, to) = (ip("10.0.0.2"), ip("127.0.0.1"));
    let at = icmp::headers_len(from);
    let mut packet = vec![7; at + 32];
    icmp::seal_echo(&mut packet, Echo::Request, (from, to), (77, 3), 32).unwrap();

    world.uplink.handle_packet(PEER, &packet, clock::now());

    let packet = world.next_packet();
    let view = Ip::new(&packet[..]).unwrap();
    let reply = Icmp::new(protocol::ICMP, view.payload()).unwrap();
    assert_eq!((reply.kind(), reply.identifier(), reply.sequence()), (Kind::EchoReply, 77, 3));
    assert_eq!((view.source(), reply.payload()), (to, &[7; 32][..]));
}

/// The external address of the forwards here, which no interface has.
const EXTERNAL: &str = "198.51.100.1";

fn forwarding(protocol: Transport, port: u16, to_port: u16) -> Forwarding {
    let outer = OuterPort { port, protocol };
    let (to, to_v6) = ("10.0.0.2".parse().unwrap(), Some("fd00::2".parse().unwrap()));
    let forwards = vec![Forward { outer, owner: PEER, to, to_v6, to_port }];
    Forwarding { forwards, external: vec![ip(EXTERNAL)], ..Forwarding::default() }
}

impl World {
    /// Forwards some free port to this one of the peer's; which that is.
    fn forward(&mut self, protocol: Transport, to_port: u16) -> u16 {
        let mut last = Vec::new();
        for _ in 0..100 {
            let port = match protocol {
                Transport::Tcp => TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port(),
                Transport::Udp => UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port(),
            };
            last = self.uplink.set_forwards(&forwarding(protocol, port, to_port), clock::now());
            if last.is_empty() {
                return port;
            }
        }
        panic!("{last:?}");
    }

    /// Lets the peer read everything that has come to this port of its.
    fn read(&mut self, port: u16, got: &mut Vec<u8>) {
        let socket = self.client.socket(port);
        while socket.can_recv() {
            got.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        self.poll_client(port);
    }
}

#[test]
fn a_stranger_reaches_the_peer_by_a_forwarded_port_and_hears_both_ends() {
    for host in ["127.0.0.1", "::1"] {
        let mut world = World::new();
        let port = world.forward(Transport::Tcp, 80);
        world.client.listen(80);
        let Ok(mut stream) = TcpStream::connect((host, port)) else {
            assert_eq!(host, "::1", "IPv6 may be turned off");
            continue;
        };
        let bytes = pattern(2_000_000);
        let up = bytes.clone();
        let stranger = std::thread::spawn(move || {
            stream.write_all(&up).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            got
        });
        let (mut got, mut sent) = (Vec::new(), 0);
        world.run_until(|world| {
            world.read(80, &mut got);
            got.len() == bytes.len() && world.client.socket(80).state() == State::CloseWait
        });
        assert!(got == bytes);
        world.run_until(|world| {
            sent += world.client.socket(80).send_slice(&bytes[sent..]).unwrap();
            world.poll_client(80);
            sent == bytes.len()
        });
        world.client.socket(80).close();
        world.poll_client(80);
        world.run_until(|_| stranger.is_finished());
        assert!(stranger.join().unwrap() == bytes);
    }
}

#[test]
fn resets_pass_through_a_forwarded_port_both_ways() {
    let mut world = World::new();
    let port = world.forward(Transport::Tcp, 80);
    world.client.listen(80);
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    world.run_until(|world| world.client.socket(80).may_send());
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    world.run_until(|world| world.client.socket(80).state() == State::Closed);
    assert_eq!(world.uplink.flows(), 0);

    // nobody listens at the peer's any more
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    world.run_until(|world| world.uplink.flows() == 1);
    world.run_until(|world| world.uplink.flows() == 0);
    assert_eq!(stream.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn dropping_a_peer_resets_who_came_in() {
    let mut world = World::new();
    let port = world.forward(Transport::Tcp, 80);
    world.client.listen(80);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    world.run_until(|world| world.client.socket(80).may_send());

    world.uplink.drop_owner(PEER);

    assert_eq!(stream.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(world.uplink.flows(), 0);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "its port stays");
}

#[test]
fn opens_and_closes_only_what_has_changed() {
    let mut world = World::new();
    let port = world.forward(Transport::Tcp, 80);
    world.client.listen(80);
    let _stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    world.run_until(|world| world.client.socket(80).may_send());
    let mut forwards = forwarding(Transport::Tcp, port, 80);

    assert_eq!(world.uplink.set_forwards(&forwards, clock::now()), Vec::<String>::new());
    // of both families where there are two
    let taken = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
    let other = taken.local_addr().unwrap().port();
    forwards.forwards.extend(forwarding(Transport::Tcp, other, 81).forwards);
    let faults = world.uplink.set_forwards(&forwards, clock::now());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with(&format!("forward of TCP port {other}: ")), "{faults:?}");
    drop(taken);
    assert_eq!(world.uplink.set_forwards(&forwards, clock::now()), Vec::<String>::new(), "it is tried again");
    assert_eq!(world.client.socket(80).state(), State::Established);
    assert_eq!(world.uplink.flows(), 1);

    let gone = forwarding(Transport::Tcp, other, 81);
    assert_eq!(world.uplink.set_forwards(&gone, clock::now()), Vec::<String>::new());
    assert_eq!(world.uplink.flows(), 0);
    let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn listens_on_all_addresses_where_the_host_has_not_the_one() {
    let mut world = World::new();
    let port = world.forward(Transport::Tcp, 80);
    let mut forwards = forwarding(Transport::Tcp, port, 80);
    forwards.bind = Some(ip(EXTERNAL));
    assert_eq!(world.uplink.set_forwards(&forwards, clock::now()), Vec::<String>::new());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());

    forwards.bind = Some(ip("127.0.0.1"));
    assert_eq!(world.uplink.set_forwards(&forwards, clock::now()), Vec::<String>::new());

    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    let refused = TcpStream::connect(("127.0.0.2", port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_peer_goes_round_to_a_forwarded_port_of_an_address_that_no_interface_has() {
    let mut world = World::with(settings());
    let port = world.forward(Transport::Tcp, 80);
    world.client.listen(80);
    world.dial(1_000, SocketAddr::new(ip(EXTERNAL), port));
    world.run_until(|world| world.client.socket(80).may_send() && world.client.socket(1_000).may_send());

    let remote = world.client.socket(80).remote_endpoint().unwrap();
    assert_eq!(remote.addr, ip(EXTERNAL).into());
    world.client.socket(1_000).send_slice(b"there").unwrap();
    world.client.socket(80).send_slice(b"and back").unwrap();
    world.poll_client(1_000);
    world.poll_client(80);
    let (mut there, mut back) = (Vec::new(), Vec::new());
    world.run_until(|world| {
        world.read(80, &mut there);
        world.read(1_000, &mut back);
        there == b"there" && back == b"and back"
    });
    assert_eq!(world.uplink.flows(), 2);
}

#[test]
fn peers_of_two_uplinks_meet_at_a_forwarded_port() {
    let (mut world, mut other) = (World::with(settings()), World::with(settings()));
    let port = world.forward(Transport::Tcp, 80);
    world.client.listen(80);
    let doors: Vec<Door> = world.uplink.doors();
    let told = Forwarding { others: doors, ..Forwarding::default() };
    assert_eq!(other.uplink.set_forwards(&told, clock::now()), Vec::<String>::new());

    other.dial(1_000, SocketAddr::new(ip(EXTERNAL), port));
    other.run_until(|other| {
        world.turn();
        other.client.socket(1_000).may_send() && world.client.socket(80).may_send()
    });

    assert_eq!((world.uplink.flows(), other.uplink.flows()), (1, 1));
}

/// The source, destination port and payload of a datagram that reached the peer.
fn opened(packet: &[u8]) -> (SocketAddr, u16, Vec<u8>) {
    let view = Ip::new(packet).unwrap();
    let inner = Udp::new(view.payload()).unwrap();
    assert!(inner.is_checksum_right(view.source(), view.destination()));
    let source = SocketAddr::new(view.source(), inner.source_port());
    (source, inner.destination_port(), inner.payload().to_vec())
}

#[test]
fn strangers_reach_a_forwarded_udp_port_unasked_and_are_answered_by_it() {
    let mut world = World::new();
    let port = world.forward(Transport::Udp, 5_000);
    let to = SocketAddr::new(ip("127.0.0.1"), port);
    for _ in 0..2 {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(b"hello", to).unwrap();
        let packet = world.next_packet();
        let (from, at, load) = opened(&packet);
        let seen = SocketAddr::new(ip(EXTERNAL), stranger.local_addr().unwrap().port());
        assert_eq!((from, at, &load[..]), (seen, 5_000, &b"hello"[..]));

        world.uplink.handle_packet(PEER, &datagram(from, b"answer"), clock::now());

        let mut room = [0; 100];
        let (length, from) = stranger.recv_from(&mut room).unwrap();
        assert_eq!((&room[..length], from), (&b"answer"[..], to));
    }
    // whom the peer speaks to first sees the forwarded port too
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    world.uplink.handle_packet(PEER, &datagram(far.local_addr().unwrap(), b"first"), clock::now());
    assert_eq!(far.recv_from(&mut [0; 100]).unwrap().1, to);
    assert_eq!(world.uplink.flows(), 0, "all by the forward's own socket");
}

#[test]
fn a_datagram_goes_round_to_a_forwarded_port_and_its_answer_back() {
    let mut world = World::with(settings());
    let port = world.forward(Transport::Udp, 6_000);
    let shown = SocketAddr::new(ip(EXTERNAL), port);
    world.uplink.handle_packet(PEER, &datagram(shown, b"question"), clock::now());
    let packet = world.next_packet();
    let (from, at, load) = opened(&packet);
    assert_eq!((from.ip(), at, &load[..]), (ip(EXTERNAL), 6_000, &b"question"[..]));

    let mut answer = vec![0; 48 + 6];
    let length = udp::write_packet(&mut answer, "10.0.0.2:6000".parse().unwrap(), from, 64, b"answer").unwrap();
    world.uplink.handle_packet(PEER, &answer[..length], clock::now());

    let packet = world.next_packet();
    assert_eq!(opened(&packet), (shown, 5_000, b"answer".to_vec()));
}
