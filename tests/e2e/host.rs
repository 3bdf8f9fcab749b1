//! The host on which Culvert runs with a TUN: its own traffic goes on, it reaches clients, and it gets everything back.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::hosts;
use crate::rig::http::{self, Body};
use crate::rig::namespace::{Namespace, finish};
use crate::rig::peer::Peer;
use crate::rig::world::{HOST, HOST_V6, SERVER, SERVER_V6, World};
use crate::rig::{PATIENCE, until};

/// A word that comes back, from one host to another.
fn echo(from: &Namespace, host: &str, port: u16) {
    let address = SocketAddr::new(host.parse().unwrap(), port);
    let mut stream = from.enter(|| TcpStream::connect_timeout(&address, PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"host").unwrap();
    let mut said = [0; 4];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"host", "{host}");
}

/// A word that a service says, by TCP and by UDP.
fn hear(from: &Namespace, host: &str, port: u16) -> [String; 2] {
    let address = SocketAddr::new(host.parse().unwrap(), port);
    let mut stream = from.enter(|| TcpStream::connect_timeout(&address, PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut by_tcp = String::new();
    stream.read_to_string(&mut by_tcp).unwrap();
    let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = from.enter(|| UdpSocket::bind(any)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(address).unwrap();
    socket.send(b"hello").unwrap();
    let mut datagram = [0; 64];
    let length = socket.recv(&mut datagram).unwrap();
    [by_tcp, String::from_utf8_lossy(&datagram[..length]).into_owned()]
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn the_hosts_own_traffic_goes_on_while_nat_runs_on_its_address() {
    let world = World::new();
    // one below the ports that the NAT has, one among them
    for port in [8_080, 30_000] {
        hosts::say(&world.server, port, "service");
    }
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let length = 100_000_001;
    let stream = peer.connect_to(HOST, 80).unwrap();
    let download = thread::spawn(move || http::get(stream, length, |_| {}));

    for host in [HOST, HOST_V6] {
        for _ in 0..50 {
            echo(&world.server, host, 7);
        }
        // the service that tells who asks answers by UDP too
        let [by_tcp, by_udp] = hear(&world.server, host, 8);
        let own = if host == HOST { SERVER } else { SERVER_V6 };
        for seen in [by_tcp, by_udp] {
            assert_eq!(seen.parse::<SocketAddr>().unwrap().ip().to_string(), own);
        }
        finish(world.server.command("ping").args(["-n", "-i", "0.05", "-W", "2", "-c", "10", host]));
    }
    for host in [SERVER, SERVER_V6] {
        finish(world.internet.command("ping").args(["-n", "-i", "0.05", "-W", "2", "-c", "10", host]));
        for port in [8_080, 30_000] {
            assert_eq!(hear(&world.internet, host, port), ["service", "service"], "{host} {port}");
        }
    }
    assert_eq!(download.join().unwrap().unwrap(), Body::digest(length));
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn the_host_reaches_clients_through_the_servers_interface() {
    let world = World::new();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let name = appliance.api("GET", "wireguard/Default_1", "")["interface_name"].as_str().unwrap().to_owned();
    hosts::say(&peer.place.host, 7_000, "client");

    assert!(world.server.ip(&format!("addr show dev {name}")).contains(&format!("{}/24", peer.servers()[0])));
    for address in peer.addresses() {
        finish(world.server.command("ping").args(["-n", "-i", "0.05", "-W", "2", "-c", "5", &address]));
        assert_eq!(hear(&world.server, &address, 7_000), ["client", "client"], "{address}");
    }
}

/// Everything that the network of a host is made of, by where it is read.
fn network(host: &Namespace) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for words in ["rule", "-6 rule", "route show table all", "-6 route show table all", "-o link", "-o addr"] {
        let mut lines: Vec<String> = host.ip(words).lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        state.insert(words.to_owned(), lines.join("\n"));
    }
    host.enter(|| {
        for family in ["/proc/sys/net/ipv4", "/proc/sys/net/ipv6", "/proc/sys/net/core"] {
            settings(Path::new(family), &mut state);
        }
    });
    state
}

fn settings(folder: &Path, state: &mut BTreeMap<String, String>) {
    let paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in paths {
        if path.is_dir() {
            settings(&path, state);
        } else if let Ok(value) = fs::read_to_string(&path) {
            state.insert(path.display().to_string(), value);
        }
    }
}

fn assert_same(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    for key in before.keys().chain(after.keys()) {
        assert_eq!(before.get(key), after.get(key), "{key}");
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn after_a_stop_the_host_is_as_it_was_and_a_kill_is_healed_by_the_next_start() {
    let world = World::new();
    let place = world.place();
    // what another program has put there stays
    world.server.ip("rule add priority 77 to 192.0.2.250 lookup 4242");
    world.server.ip("route add 192.0.2.250/32 via 203.0.113.2 table 4242");
    // the kernel's own addresses get their routes when nobody has claimed them
    until(PATIENCE, "addresses that are settled", || {
        world.server.ip("-6 addr show tentative").trim().is_empty().then_some(())
    });
    let before = network(&world.server);

    let mut appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let mut peer = Peer::connect(place, &appliance.client_file("peer_1"));
    peer.until_online(PATIENCE);
    let running = network(&world.server);
    assert_ne!(before["rule"], running["rule"]);
    echo(&world.server, HOST, 7);

    appliance.kill();
    // whatever a dead process leaves behind must not keep the host from the internet
    echo(&world.server, HOST, 7);
    finish(world.server.command("ping").args(["-n", "-W", "2", "-c", "1", HOST]));
    for _ in 0..2 {
        appliance.serve();
        peer = peer.reconnect();
        peer.until_online(PATIENCE);
        assert_eq!(network(&world.server)["rule"], running["rule"]);
        appliance.kill();
    }
    appliance.serve();
    appliance.stop();
    assert_same(&before, &network(&world.server));
    echo(&world.server, HOST, 7);
}
