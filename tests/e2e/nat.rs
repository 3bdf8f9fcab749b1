//! Our own NAT and the kernel's routing around it: what a client's packets look like outside, and what comes back.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

use crate::rig::PATIENCE;
use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::http::{self, Body};
use crate::rig::namespace::finish;
use crate::rig::peer::Peer;
use crate::rig::world::{HOST, HOST_V6, SERVER, SERVER_V6, World};
use crate::rig::{on_both_uplinks, until};

/// An address that the internet routes to the server and that is on no interface.
const ROUTED: &str = "192.0.2.33";

on_both_uplinks! {
    the_internet_sees_the_external_address
    two_clients_with_one_inner_port_are_told_apart
    a_narrow_link_in_the_midst_of_the_way_is_found_and_obeyed
    a_resolver_gets_its_answer
}

fn the_internet_sees_the_external_address(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for (host, external) in [(HOST, SERVER), (HOST_V6, SERVER_V6)] {
        assert_eq!(peer.seen_by_tcp(host).ip().to_string(), external);
        assert_eq!(peer.seen_by_udp(host).ip().to_string(), external);
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn the_operator_chooses_the_ports_that_packets_leave_by_and_who_may_answer_there() {
    let world = World::new();
    let chosen = [("CULVERT_NAT_PORTS", "20000-21499"), ("CULVERT_NAT_FILTERING", "endpoint-independent")];
    let appliance = Appliance::start_on(&world, Uplink::Tun, &chosen);
    let peer = appliance.peer(&world, "peer_1");
    let ports = 20_000..=21_499;

    let reserved = "/proc/sys/net/ipv4/ip_local_reserved_ports";
    assert_eq!(world.server.enter(|| std::fs::read_to_string(reserved)).unwrap().trim(), "20000-21499");
    for host in [HOST, HOST_V6] {
        for _ in 0..20 {
            assert!(ports.contains(&peer.seen_by_tcp(host).port()), "{host} by TCP");
        }
        let socket = peer.socket(host, 8).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(b"who am I?").unwrap();
        let mut answer = [0; 64];
        let length = socket.recv(&mut answer).unwrap();
        let seen: SocketAddr = String::from_utf8_lossy(&answer[..length]).parse().unwrap();
        assert!(ports.contains(&seen.port()), "{seen} by UDP");

        // a word from a port of the internet's that the client has not spoken to, at the client's own: a socket that is
        // connected hears one alone, so another one of the same port listens
        let own = socket.local_addr().unwrap().port();
        drop(socket);
        let any = if host == HOST { "0.0.0.0" } else { "::" };
        let listener = peer.place.host.enter(|| UdpSocket::bind((any, own))).unwrap();
        listener.set_read_timeout(Some(PATIENCE)).unwrap();
        let router = if host == HOST { "203.0.113.2" } else { "2001:db8:5::2" };
        let stranger = world.internet.enter(|| UdpSocket::bind((router, 0))).unwrap();
        stranger.send_to(b"hello", seen).unwrap();
        let length = listener.recv(&mut answer).unwrap();
        assert_eq!(&answer[..length], b"hello", "{host}");
    }
}

fn two_clients_with_one_inner_port_are_told_apart(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peers = [appliance.peer(&world, "peer_1"), appliance.add_peer(&world, "second")];

    for host in [HOST, HOST_V6] {
        let any = if host == HOST { "0.0.0.0:5000" } else { "[::]:5000" };
        let sockets = peers.each_ref().map(|peer| {
            let socket = peer.place.host.enter(|| UdpSocket::bind(any)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.connect((host, 8)).unwrap();
            socket
        });
        for round in 0..3 {
            let seen = sockets.each_ref().map(|socket| {
                socket.send(b"who am I?").unwrap();
                let mut answer = [0; 64];
                let length = socket.recv(&mut answer).unwrap();
                String::from_utf8_lossy(&answer[..length]).into_owned()
            });
            assert_ne!(seen[0], seen[1], "round {round}");
        }
    }
}

fn a_narrow_link_in_the_midst_of_the_way_is_found_and_obeyed(uplink: Uplink) {
    let world = World::new();
    let far = world.far();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let length = 10_000_001;

    for host in far.addresses {
        assert_eq!(http::put(peer.connect_to(host, 80).unwrap(), length).unwrap(), Body::digest(length), "{host}");
        assert_eq!(
            http::get(peer.connect_to(host, 80).unwrap(), length, |_| {}).unwrap(),
            Body::digest(length),
            "{host}"
        );
    }
}

fn a_resolver_gets_its_answer(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for host in [HOST, HOST_V6] {
        let mut dig = peer.place.host.command("dig");
        dig.args(["+short", "+notcp", "+timeout=5", "+tries=1", &format!("@{host}"), "example.org", "A"]);
        assert_eq!(finish(&mut dig).trim(), "192.0.2.80");
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_trace_shows_the_server_and_ends_at_the_host() {
    let world = World::new();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for (version, host, own) in [("-4", HOST, 0), ("-6", HOST_V6, 1)] {
        let mut traceroute = peer.place.host.command("traceroute");
        let trace = finish(traceroute.args([version, "-n", "-q", "2", "-w", "1", "-m", "6", host]));
        let hops: Vec<&str> = trace.lines().skip(1).collect();
        assert!(hops[0].contains(&peer.servers()[own]), "{trace}");
        assert!(hops.last().unwrap().contains(host), "{trace}");
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_stun_client_finds_a_mapping_that_is_the_same_for_every_destination() {
    let world = World::new();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = appliance.peer(&world, "peer_1");
    world.internet.address("lo", "192.0.2.81/32");
    let mut server = world.internet.command("stund");
    let folder = tempfile::tempdir().unwrap();
    let server = server.args(["-h", HOST, "-a", "192.0.2.81"]);
    let _server = crate::rig::program::Program::start("stund", server, &folder.path().join("log"));

    let found = until(PATIENCE, "a mapping", || {
        let mut client: Command = peer.place.host.command("stun");
        // its exit code is the kind of NAT that it found
        let output = client.args([HOST, "-v"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        text.contains("Primary:").then_some(text)
    });
    let primary = found.lines().find(|line| line.starts_with("Primary:")).unwrap();
    assert!(primary.contains("Independent Mapping"), "{primary}");
}

/// Adds a server with an external address of its own, and connects a client to it.
fn with_server(world: &World, appliance: &Appliance<'_>, name: &str, form: &str) -> Peer {
    appliance.api("POST", "wireguard", &format!("name={name}&endpoint={SERVER}&{form}"));
    appliance.api("POST", "account", &format!("wg_name={name}&name=of_{name}"));
    appliance.peer(world, &format!("of_{name}"))
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn each_server_has_its_own_external_address() {
    let world = World::new();
    world.server.address("wan", "203.0.113.7/24");
    world.internet.ip(&format!("route add {ROUTED}/32 via {SERVER}"));
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let first = appliance.peer(&world, "peer_1");
    let second =
        with_server(&world, &appliance, "Second", "listen_port=51999&address=10.55.0.1/24&external_ip=203.0.113.7");
    let routed = with_server(
        &world,
        &appliance,
        "Routed",
        &format!("listen_port=52001&address=10.56.0.1/24&external_ip={ROUTED}"),
    );

    for (peer, external) in [(&first, SERVER), (&second, "203.0.113.7"), (&routed, ROUTED)] {
        assert_eq!(peer.seen_by_tcp(HOST).ip().to_string(), external);
        assert_eq!(peer.seen_by_udp(HOST).ip().to_string(), external);
        assert_eq!(peer.ping(HOST, 3), 3, "{external}");
        let length = 3_000_001;
        assert_eq!(http::get(peer.connect_to(HOST, 80).unwrap(), length, |_| {}).unwrap(), Body::digest(length));
    }
    // more than a frame holds: the answer comes in fragments, inside and outside
    let large = vec![7; 4_000];
    assert_eq!(routed.ask(HOST, 7, &large, Duration::from_secs(5)).unwrap(), large);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn without_nat_a_client_is_seen_and_reached_by_its_own_address() {
    let world = World::new();
    world.internet.ip(&format!("route add 10.57.0.0/24 via {SERVER}"));
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = with_server(&world, &appliance, "Plain", "listen_port=51999&address=10.57.0.1/24&disable_nat=1");
    let own: IpAddr = peer.address().parse().unwrap();

    assert_eq!(peer.seen_by_tcp(HOST).ip(), own);
    assert_eq!(peer.seen_by_udp(HOST).ip(), own);
    assert_eq!(peer.ping(HOST, 3), 3);
    // and from outside, by someone who was not asked
    let mut ping = world.internet.command("ping");
    finish(ping.args(["-n", "-c", "2", "-W", "2", "-I", HOST, peer.address()]));
    // the other servers' clients still have theirs
    assert_eq!(appliance.peer(&world, "peer_1").seen_by_tcp(HOST).ip().to_string(), SERVER);
}

/// A client whose own addresses, of both families, are routed to the server.
fn routed_client(world: &World, appliance: &Appliance<'_>) -> Peer {
    world.internet.ip(&format!("route add 10.57.0.0/24 via {SERVER}"));
    world.internet.ip(&format!("-6 route add 2001:db8:57::/64 via {SERVER_V6}"));
    let form = "listen_port=51999&address=10.57.0.1/24&ipv6=1&address_ipv6=2001:db8:57::1/64&disable_nat=1";
    with_server(world, appliance, "Plain", form)
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn large_datagrams_go_both_ways_in_pieces() {
    let world = World::new();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = routed_client(&world, &appliance);
    let bound = Duration::from_secs(5);
    // a datagram that fits a frame, but not the tunnel, and may be cut
    world.internet.sysctl("net/ipv4/ip_no_pmtu_disc", "1");

    for host in [HOST, HOST_V6] {
        for length in [1_400, 1_472, 4_000, 20_000] {
            let large = vec![7; length];
            // over IPv6 the host outside has to learn first what fits
            let second = Duration::from_secs(1);
            let what = format!("{length} bytes from {host}");
            assert_eq!(until(PATIENCE, &what, || peer.ask(host, 7, &large, second).ok()), large);
        }
    }
    for (address, any) in peer.addresses().iter().zip(["0.0.0.0:7100", "[::]:7100"]) {
        let ear = peer.place.host.enter(|| UdpSocket::bind(any)).unwrap();
        ear.set_read_timeout(Some(bound)).unwrap();
        let mouth = world.internet.enter(|| UdpSocket::bind(any.replace("7100", "0"))).unwrap();
        for length in [4_000, 20_000] {
            mouth.send_to(&vec![7; length], SocketAddr::new(address.parse().unwrap(), 7_100)).unwrap();
            assert_eq!(ear.recv(&mut vec![0; 65_536]).unwrap(), length, "{address}");
        }
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_sender_outside_learns_what_fits_the_tunnel() {
    let world = World::new();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = routed_client(&world, &appliance);

    for (address, load) in peer.addresses().iter().zip(["1392", "1372"]) {
        let mut ping = world.internet.command("ping");
        ping.args(["-n", "-M", "do", "-s", "1440", "-c", "2", "-W", "1", "-i", "0.2", address]);
        let output = ping.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.replace(' ', "").to_lowercase().contains("mtu=1420"), "{text}");
        let mut fits = world.internet.command("ping");
        finish(fits.args(["-n", "-M", "do", "-s", load, "-c", "1", "-W", "2", "-i", "0.2", address]));
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_port_on_which_the_host_listens_is_never_mapped() {
    let world = World::new();
    // every port of a range that a client is about to ask for
    let taken: Vec<(TcpListener, UdpSocket)> = (20_000..20_020)
        .map(|port| {
            let tcp = world.server.enter(|| TcpListener::bind(("0.0.0.0", port))).unwrap();
            (tcp, world.server.enter(|| UdpSocket::bind(("0.0.0.0", port))).unwrap())
        })
        .collect();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for port in 20_000..20_020 {
        let socket = peer.place.host.enter(|| UdpSocket::bind(("0.0.0.0", port))).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((HOST, 8)).unwrap();
        socket.send(b"who am I?").unwrap();
        let mut answer = [0; 64];
        let length = socket.recv(&mut answer).unwrap();
        let seen = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert_ne!(seen, format!("{SERVER}:{port}"));
    }
    drop(taken);
}
