//! The uplink against real sockets of this machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use mio::{Events, Poll};
use smoltcp::socket::tcp::State;

use super::{Settings, SocketsUplink};
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
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn dropping_a_peer_resets_what_it_had_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::new();
    world.dial(1_000, listener.local_addr().unwrap());
    world.run_until(|world| world.client.socket(1_000).may_send());
    let (mut stream, _) = listener.accept().unwrap();

    world.uplink.drop_owner(PEER);

    assert_eq!(stream.read(&mut [0; 10]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
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
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
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
