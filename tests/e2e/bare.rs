//! The rig itself, proved with `wireguard-go` at both ends and the kernel's routing between.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use crate::rig::hosts::GOODBYE;
use crate::rig::namespace::Namespace;
use crate::rig::peer::{Interface, Peer, keys};
use crate::rig::world::{HOST, HOST_V6, UNREACHABLE, World};
use crate::rig::{PATIENCE, http};

fn router(world: &World, private: &str, peer: &str) -> Interface {
    let server = Interface::start(
        &world.server,
        &format!(
            "[Interface]\nPrivateKey={private}\nListenPort=51821\n[Peer]\nPublicKey={peer}\nAllowedIPs=10.0.0.2/32,fd00::2/128\n"
        ),
    );
    world.server.address(server.name(), "10.0.0.1/24");
    world.server.address(server.name(), "fd00::1/64");
    world.server.ip(&format!("link set {} mtu 1420 up", server.name()));
    for host in [&world.server, &world.internet] {
        host.sysctl("net/ipv4/ip_forward", "1");
        host.sysctl("net/ipv6/conf/all/forwarding", "1");
    }
    let back: &Namespace = &world.internet;
    back.ip("route add 10.0.0.0/24 via 203.0.113.1");
    back.ip("-6 route add fd00::/64 via 2001:db8:5::1");
    server
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn the_rig_carries_traffic_between_two_foreign_peers() {
    let world = World::new();
    let ((server, server_public), (client, client_public)) = (keys(), keys());
    let _router = router(&world, &server, &client_public);
    let file = format!(
        "[Interface]\nPrivateKey = {client}\nAddress = 10.0.0.2/24,fd00::2/64\n[Peer]\nPublicKey = {server_public}\nAllowedIPs = 0.0.0.0/0,::/0\nEndpoint = 203.0.113.1:51821\n"
    );
    let peer = Peer::connect(world.place(), &file);
    peer.until_online(PATIENCE);

    for host in [HOST, HOST_V6] {
        assert_eq!(peer.ping(host, 3), 3);
        let mut echo = peer.connect_to(host, 7).unwrap();
        echo.write_all(b"half").unwrap();
        echo.shutdown(Shutdown::Write).unwrap();
        let mut said = Vec::new();
        echo.read_to_end(&mut said).unwrap();
        assert_eq!(said, [b"half", GOODBYE].concat());
    }
    let length = 2_000_001;
    assert_eq!(http::get(peer.connect_to(HOST, 80).unwrap(), length, |_| {}).unwrap(), http::Body::digest(length));
    assert_eq!(http::put(peer.connect_to(HOST, 80).unwrap(), length).unwrap(), http::Body::digest(length));
    assert!(peer.connect_to(UNREACHABLE, 80).is_err());
    assert!(peer.tunnel.handshake(&peer.place.host) > 0);
}
