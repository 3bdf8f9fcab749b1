//! Clients that move, and sessions that grow old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::http::{self, Body};
use crate::rig::world::{HOST, SERVER_V6, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    a_client_keeps_its_connections_when_its_address_and_port_change
    a_client_moves_from_ipv4_to_ipv6_in_mid_session
    a_client_that_is_switched_off_and_on_is_served_again_at_once
}

fn a_client_keeps_its_connections_when_its_address_and_port_change(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let (place, tunnel) = (&peer.place, &peer.tunnel);
    let shaken = tunnel.handshake(&place.host);
    let length = 150_000_007;
    let stream = peer.connect_to(HOST, 80).unwrap();
    let download = thread::spawn(move || http::get(stream, length, |_| {}));

    for (n, port) in [(3, 40_001), (4, 40_002), (5, 40_003)] {
        place.host.ip(&format!("addr del {}/28 dev eth0", place.v4(n - 1)));
        place.host.address("eth0", &format!("{}/28", place.v4(n)));
        place.route_to_the_server();
        tunnel.wg(&place.host, "set", &format!("listen-port {port}"));
        let begun = Instant::now();
        peer.until_online(PATIENCE);
        assert!(begun.elapsed() < Duration::from_secs(5), "followed only after {:?}", begun.elapsed());
        let endpoint = format!("{}:{port}", place.v4(n));
        until(PATIENCE, &endpoint, || appliance.online("peer_1").filter(|online| online["endpoint"] == *endpoint));
    }

    assert_eq!(download.join().unwrap().unwrap(), Body::digest(length));
    assert_eq!(tunnel.handshake(&place.host), shaken, "the session was not the same all along");
}

fn a_client_moves_from_ipv4_to_ipv6_in_mid_session(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let (host, tunnel) = (&peer.place.host, &peer.tunnel);
    let key = tunnel.wg(host, "show", "peers").trim().to_owned();

    tunnel.wg(host, "set", &format!("peer {key} endpoint [{SERVER_V6}]:51821"));

    peer.until_online(PATIENCE);
    let place = format!("[{}]:", peer.place.v6(2));
    until(PATIENCE, &place, || {
        appliance.online("peer_1").filter(|online| online["endpoint"].as_str().unwrap().starts_with(&place))
    });
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn no_packet_is_lost_when_keys_are_renewed_under_traffic() {
    let world = World::new();
    let appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    let host = &peer.place.host;
    let shaken = peer.tunnel.handshake(host);
    let renewed = AtomicBool::new(false);

    thread::scope(|scope| {
        scope.spawn(|| {
            // REKEY_AFTER_TIME is two minutes, and no clock of a real peer can be moved
            until(Duration::from_secs(150), "new keys", || (peer.tunnel.handshake(host) != shaken).then_some(()));
            renewed.store(true, Ordering::Relaxed);
        });
        let socket = peer.socket(HOST, 7).unwrap();
        let (mut asked, mut after) = (0_u32, 0);
        while after < 5_000 {
            socket.send(&asked.to_be_bytes()).unwrap();
            let mut answer = [0; 4];
            socket.recv(&mut answer).unwrap_or_else(|error| panic!("datagram {asked} was lost: {error}"));
            assert_eq!(u32::from_be_bytes(answer), asked);
            asked += 1;
            after += u32::from(renewed.load(Ordering::Relaxed));
        }
    });
    let length = 5_000_001;
    assert_eq!(http::get(peer.connect_to(HOST, 80).unwrap(), length, |_| {}).unwrap(), Body::digest(length));
}

fn a_client_that_is_switched_off_and_on_is_served_again_at_once(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let mut peer = appliance.peer(&world, "peer_1");

    for _ in 0..5 {
        peer = peer.reconnect();
        let begun = Instant::now();
        peer.until_online(PATIENCE);
        assert!(begun.elapsed() < Duration::from_secs(3), "back only after {:?}", begun.elapsed());
    }
}
