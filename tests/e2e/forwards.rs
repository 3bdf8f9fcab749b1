//! Ports of the external address that lead to a client, on both uplinks.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::hosts;
use crate::rig::http::{self, Body};
use crate::rig::namespace::Namespace;
use crate::rig::world::{SERVER, SERVER_V6, World};
use crate::rig::{PATIENCE, on_both_uplinks};

on_both_uplinks! {
    a_forward_leads_to_the_client_by_tcp_and_udp_over_both_families
    a_large_body_goes_through_a_forward_both_ways
    a_neighbour_reaches_a_forward_by_the_external_address
    a_forward_ends_when_it_is_deleted
    what_cannot_be_forwarded_is_refused
}

/// The port outside, and the one of the client.
const OUTER: u16 = 8_443;
const INNER: u16 = 9_000;
const SECOND: Duration = Duration::from_secs(1);

fn forward(appliance: &Appliance<'_>, protocol: &str, inner: u16) {
    let form = format!("dst_port={OUTER}&protocol={protocol}&to_peer=peer_1&to_port={inner}");
    appliance.api("POST", "wireguard/Default_1/port_forwarding", &form);
}

fn by_tcp(from: &Namespace, host: &str, bound: Duration) -> io::Result<String> {
    let address = SocketAddr::new(host.parse().unwrap(), OUTER);
    let mut stream = from.enter(|| TcpStream::connect_timeout(&address, bound))?;
    stream.set_read_timeout(Some(bound))?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

fn by_udp(from: &Namespace, host: &str, bound: Duration) -> io::Result<String> {
    let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = from.enter(|| UdpSocket::bind(any))?;
    socket.set_read_timeout(Some(bound))?;
    socket.connect(SocketAddr::new(host.parse().unwrap(), OUTER))?;
    socket.send(b"hello")?;
    let mut said = [0; 64];
    let length = socket.recv(&mut said)?;
    Ok(String::from_utf8_lossy(&said[..length]).into_owned())
}

fn a_forward_leads_to_the_client_by_tcp_and_udp_over_both_families(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    hosts::say(&peer.place.host, INNER, "client");

    forward(&appliance, "tcp", INNER);
    forward(&appliance, "udp", INNER);
    for host in [SERVER, SERVER_V6] {
        for _ in 0..3 {
            assert_eq!(by_tcp(&world.internet, host, PATIENCE).unwrap(), "client", "{host}");
            assert_eq!(by_udp(&world.internet, host, PATIENCE).unwrap(), "client", "{host}");
        }
    }
    let listed = appliance.api("GET", "wireguard/Default_1/port_forward", "");
    assert_eq!(listed[format!("{OUTER}_udp")]["to_port"], INNER, "{listed}");
}

fn a_large_body_goes_through_a_forward_both_ways(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    hosts::start_tcp(&peer.place.host);
    forward(&appliance, "tcp", 80);
    let length = 20_000_001;

    for host in [SERVER, SERVER_V6] {
        let connect = || {
            let address = SocketAddr::new(host.parse().unwrap(), OUTER);
            world.internet.enter(|| TcpStream::connect_timeout(&address, PATIENCE)).unwrap()
        };
        assert_eq!(http::get(connect(), length, |_| {}).unwrap(), Body::digest(length), "{host}");
        assert_eq!(http::put(connect(), length).unwrap(), Body::digest(length), "{host}");
    }
}

fn a_neighbour_reaches_a_forward_by_the_external_address(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    // their tunnels run over IPv6, so that the IPv4 address may go through them, as it does where wg-quick routes by marks
    appliance.api("PUT", "wireguard/Default_1", &format!("endpoint={SERVER_V6}"));
    let (peer, neighbour) = (appliance.peer(&world, "peer_1"), appliance.add_peer(&world, "neighbour"));
    for client in [&peer, &neighbour] {
        client.place.host.ip(&format!("route replace {SERVER}/32 dev {}", client.tunnel.name()));
    }
    hosts::say(&peer.place.host, INNER, "client");
    forward(&appliance, "tcp", INNER);
    forward(&appliance, "udp", INNER);
    assert_eq!(by_tcp(&neighbour.place.host, SERVER, PATIENCE).unwrap(), "client");
    assert_eq!(by_udp(&neighbour.place.host, SERVER, PATIENCE).unwrap(), "client");
}

fn a_forward_ends_when_it_is_deleted(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    hosts::say(&peer.place.host, INNER, "client");

    for protocol in ["tcp", "udp"] {
        let by = if protocol == "tcp" { by_tcp } else { by_udp };
        let ask = |bound| by(&world.internet, SERVER, bound);
        forward(&appliance, protocol, INNER);
        assert_eq!(ask(PATIENCE).unwrap(), "client");
        appliance.api("DELETE", &format!("wireguard/Default_1/port_forwarding/{OUTER}/{protocol}"), "");
        assert!(ask(SECOND).is_err(), "{protocol}");
        // and may be made again
        forward(&appliance, protocol, INNER);
        assert_eq!(ask(PATIENCE).unwrap(), "client");
    }
}

fn what_cannot_be_forwarded_is_refused(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let add = |form: &str| appliance.call("POST", "wireguard/Default_1/port_forwarding", form)["error"].clone();

    assert_eq!(add("dst_port=51821&protocol=udp&to_peer=peer_1&to_port=53"), "DstPort cannot be ListenPort");
    assert_eq!(add("dst_port=80&protocol=icmp&to_peer=peer_1&to_port=53"), "Protocol must be tcp or udp");
    assert_eq!(add("dst_port=80&protocol=tcp&to_peer=nobody&to_port=53"), "Entered incorrect peer");
    forward(&appliance, "tcp", INNER);
    let again = add(&format!("dst_port={OUTER}&protocol=tcp&to_peer=peer_1&to_port=1"));
    assert_eq!(again, "DST port and protocol are already enabled");
}
