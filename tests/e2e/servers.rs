//! Several servers in one process, and a server that cannot run.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use crate::rig::appliance::Appliance;
use crate::rig::http::{self, Body};
use crate::rig::world::{HOST, HOST_V6, SERVER, SERVER_OTHER, SERVER_V6, World};
use crate::rig::{PATIENCE, until};

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn two_servers_carry_traffic_side_by_side() {
    let world = World::new();
    let appliance = Appliance::start(&world);
    let first = appliance.peer(&world, "peer_1");
    appliance.api("POST", "wireguard", "name=Second&listen_port=51999&address=10.55.0.1/24");
    appliance.api("POST", "account", "wg_name=Second&name=guest");
    let second = appliance.peer(&world, "guest");

    for peer in [&first, &second] {
        assert_eq!(peer.ask(HOST, 7, b"both", Duration::from_secs(5)).unwrap(), b"both");
        let own = peer.servers();
        assert_eq!(peer.ping(&own[0], 3), 3, "{own:?}");
    }
    assert!(second.address().starts_with("10.55.0."), "{}", second.address());
    // clients of different servers are strangers
    assert_eq!(first.ping(second.address(), 2), 0);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn an_occupied_port_is_the_fault_of_that_server_alone() {
    let world = World::new();
    let squatter = world.server.enter(|| UdpSocket::bind("[::]:51999")).unwrap();
    let appliance = Appliance::start(&world);
    let first = appliance.peer(&world, "peer_1");

    appliance.api("POST", "wireguard", "name=Second&listen_port=51999");
    appliance.api("POST", "account", "wg_name=Second&name=guest");
    let status = until(PATIENCE, "a status that names the fault", || {
        let status = appliance.cli("status");
        status.contains("Second").then_some(status)
    });
    assert!(status.contains("51999") || status.to_lowercase().contains("in use"), "{status}");
    assert_eq!(first.ask(HOST, 7, b"still", Duration::from_secs(5)).unwrap(), b"still");

    drop(squatter);
    appliance.call("PUT", "system/reload", "");
    appliance.peer(&world, "guest");
    assert_eq!(first.ask(HOST, 7, b"still", Duration::from_secs(5)).unwrap(), b"still");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn answers_come_from_the_address_that_was_asked() {
    let world = World::new();
    let appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    let (host, tunnel) = (&peer.place.host, &peer.tunnel);
    host.ip(&format!("route add {SERVER_OTHER}/32 via {}", peer.place.v4(1)));
    let key = tunnel.wg(host, "show", "peers").trim().to_owned();

    for address in [SERVER_OTHER, &peer.place.v4(1), SERVER_V6, &peer.place.v6(1), SERVER] {
        let endpoint = if address.contains(':') { format!("[{address}]:51821") } else { format!("{address}:51821") };
        // forgetting the peer makes the client shake hands anew, with this address
        let file = peer.file.stripped.lines().filter(|line| !line.starts_with("Endpoint"));
        let file: Vec<&str> = file.collect();
        tunnel.wg(host, "set", &format!("peer {key} remove"));
        tunnel.configure(host, &format!("{}\nEndpoint = {endpoint}\n", file.join("\n")));
        peer.until_online(PATIENCE);
        let shown = tunnel.wg(host, "show", "endpoints");
        assert!(shown.contains(&endpoint), "asked {endpoint}, answered from {shown}");
        // the client's next handshake would bear the same time if it came within 17 ms, and be taken for a replay
        assert_eq!(peer.ping(&peer.servers()[0], 2), 2);
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn strangers_hear_nothing() {
    let world = World::new();
    let appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    let stranger = world.place();
    let socket = stranger.host.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
    socket.connect((SERVER, 51_821)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();

    for kind in 0..=255_u8 {
        // the lengths of WireGuard's four messages, their neighbours, none, and the largest
        for length in [0, 1, 4, 31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1_500, 65_507] {
            let mut datagram = vec![kind; length];
            if length > 4 {
                datagram[1..4].fill(0);
            }
            // the queue towards the server may be full for a moment
            until(PATIENCE, "room for a datagram", || socket.send(&datagram).ok());
        }
    }

    let error = socket.recv(&mut [0; 2_000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    assert_eq!(peer.ask(HOST, 7, b"still", Duration::from_secs(5)).unwrap(), b"still");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn the_smallest_and_the_largest_tunnel_mtu_carry_traffic() {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start(&world);
    let length = 5_000_001;

    for mtu in [1_280, 9_100] {
        appliance.api("POST", "wireguard", &format!("name=m{mtu}&mtu={mtu}&ipv6=1"));
        appliance.api("POST", "account", &format!("wg_name=m{mtu}&name=p{mtu}"));
        let peer = appliance.peer(&world, &format!("p{mtu}"));
        assert_eq!(peer.file.mtu, Some(mtu.to_string()));
        for host in [HOST, HOST_V6] {
            assert_eq!(http::get(peer.connect_to(host, 80).unwrap(), length, |_| {}).unwrap(), Body::digest(length));
            assert_eq!(http::put(peer.connect_to(host, 80).unwrap(), length).unwrap(), Body::digest(length));
        }
        for own in peer.servers() {
            assert_eq!(peer.ping(&own, 3), 3, "{own}");
        }
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_tunnel_over_ipv6_carries_both_families() {
    let world = World::new();
    let appliance = Appliance::start(&world);
    appliance.api("PUT", "wireguard/Default_1", &format!("endpoint={SERVER_V6}"));
    let peer = appliance.peer(&world, "peer_1");
    assert!(peer.file.stripped.contains(&format!("Endpoint = [{SERVER_V6}]:51821")), "{}", peer.file.stripped);
    let length = 20_000_001;

    for host in [HOST, HOST_V6] {
        assert_eq!(http::get(peer.connect_to(host, 80).unwrap(), length, |_| {}).unwrap(), Body::digest(length));
        assert_eq!(http::put(peer.connect_to(host, 80).unwrap(), length).unwrap(), Body::digest(length));
    }
}
