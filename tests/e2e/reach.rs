//! Where a peer may not go, and what the operator opens.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::rig::appliance::Appliance;
use crate::rig::hosts::Trap;
use crate::rig::peer::Peer;
use crate::rig::world::{HOST, METADATA, PRIVATE, SERVER_OTHER, World};
use crate::rig::{PATIENCE, until};

/// The port of what nobody may reach.
const FORBIDDEN: u16 = 8_099;

/// Tries to reach a place by TCP and by UDP.
fn try_to_reach(peer: &Peer, host: &str, port: u16) {
    let refused = |error: &io::Error| {
        // anything else would mean that the packet never left the client
        matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::TimedOut
                | ErrorKind::WouldBlock
        ) || error.raw_os_error() == Some(libc::EACCES)
            // the standard library's word where a refusal overtakes its look at the socket
            || error.to_string().contains("POLLHUP")
    };
    let by_tcp = peer.connect_within(host, port, Duration::from_secs(2)).map(|_| ()).unwrap_err();
    assert!(refused(&by_tcp), "{host} by TCP: {by_tcp:?}");
    let by_udp = peer.ask(host, port, b"let me in", Duration::from_secs(1)).unwrap_err();
    assert!(refused(&by_udp), "{host} by UDP: {by_udp:?}");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn nothing_of_the_servers_host_is_within_reach() {
    let world = World::new();
    world.allow_ping();
    let trap = Trap::set(&world.server, FORBIDDEN);
    let appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    let neighbour = world.place();
    // the client's own loopback must not take what is meant for the server's
    peer.place.host.ip("addr del 127.0.0.1/8 dev lo");
    peer.place.host.ip(&format!("route add 127.0.0.1/32 dev {}", peer.tunnel.name()));
    peer.place.host.ip("-6 addr del ::1/128 dev lo");
    peer.place.host.ip(&format!("-6 route add ::1/128 dev {}", peer.tunnel.name()));

    let own = [METADATA, SERVER_OTHER, "127.0.0.1", "::1", &neighbour.v4(1), &neighbour.v6(1)];
    for host in own.into_iter().chain(peer.servers().iter().map(String::as_str)) {
        try_to_reach(&peer, host, FORBIDDEN);
    }
    assert_eq!(trap.caught(), 0);

    // the trap does catch: the server's host reaches itself, and its own API answers there
    world.server.enter(|| TcpStream::connect((SERVER_OTHER, FORBIDDEN))).unwrap();
    until(PATIENCE, "a catch", || (trap.caught() == 1).then_some(()));
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_private_network_is_closed_until_the_operator_opens_it() {
    let world = World::new();
    let trap = Trap::set(&world.internet, FORBIDDEN);
    let appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    try_to_reach(&peer, PRIVATE, FORBIDDEN);
    assert_eq!(trap.caught(), 0);
    drop((peer, appliance));

    let appliance = Appliance::start_with(&world, &[("CULVERT_REACH__ALLOW", "10.77.0.0/24")]);
    let peer = appliance.peer(&world, "peer_1");
    assert_eq!(peer.ask(PRIVATE, 7, b"open", Duration::from_secs(5)).unwrap(), b"open");
    peer.connect_to(PRIVATE, 7).unwrap();
    assert_eq!(trap.caught(), 0);
    assert_eq!(peer.ask(HOST, 7, b"still", Duration::from_secs(5)).unwrap(), b"still");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_stolen_source_address_carries_nothing() {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start(&world);
    let thief = appliance.peer(&world, "peer_1");
    let victim = appliance.add_peer(&world, "victim");
    appliance.api("PUT", "wireguard/Default_1", "internal_traffic=1");

    for address in ["10.0.0.250", "192.0.2.5", victim.address()] {
        thief.place.host.address(thief.tunnel.name(), &format!("{address}/32"));
        assert_eq!(thief.ping_from(address, HOST, 2), 0, "{address}");
    }
    assert_eq!(thief.ping_from(thief.address(), HOST, 2), 2);
    assert_eq!(victim.ping(HOST, 2), 2);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn peers_reach_one_another_only_with_internal_traffic() {
    let world = World::new();
    let appliance = Appliance::start(&world);
    let first = appliance.peer(&world, "peer_1");
    let second = appliance.add_peer(&world, "second");
    let listener = second.place.host.enter(|| TcpListener::bind("[::]:7000")).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.write_all(b"hello neighbour").unwrap_or_default();
        }
    });

    appliance.api("PUT", "wireguard/Default_1", "internal_traffic=1");
    for address in second.addresses() {
        assert_eq!(first.ping(&address, 5), 5, "{address}");
        let mut said = String::new();
        first.connect_to(&address, 7_000).unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello neighbour");
    }

    appliance.api("PUT", "wireguard/Default_1", "internal_traffic=0");
    for address in second.addresses() {
        assert_eq!(first.ping(&address, 2), 0, "{address}");
        assert!(first.connect_within(&address, 7_000, Duration::from_secs(1)).is_err());
    }
    assert_eq!(first.ask(HOST, 7, b"still", Duration::from_secs(5)).unwrap(), b"still");
}
