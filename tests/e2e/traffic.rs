//! What a client does all day, through the tunnel and out, on both uplinks.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::hosts::{DNS_ANSWER, GOODBYE};
use crate::rig::http::{self, Body};
use crate::rig::on_both_uplinks;
use crate::rig::world::{BLACK_HOLE, HOST, HOST_V6, UNREACHABLE, World};

on_both_uplinks! {
    a_large_download_and_a_large_upload_arrive_unharmed
    three_hundred_connections_live_at_once
    fifty_streams_run_at_once_in_both_directions
    a_reset_is_passed_on
    names_are_resolved_over_udp
    tcp_and_udp_go_over_ipv6
    pings_are_answered_by_the_server_and_by_the_internet
    a_flood_of_pings_comes_back_whole
    a_refusal_is_passed_on_at_once
    an_unreachable_host_is_said_to_be_so_and_a_silent_one_stays_silent
    one_half_of_a_connection_outlives_the_other
}

/// 200 MB and one byte, so that the last segment is a short one.
const LARGE: usize = 200_000_001;

fn a_large_download_and_a_large_upload_arrive_unharmed(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let digest = Body::digest(LARGE);

    let begun = Instant::now();
    assert_eq!(http::get(peer.connect_to(HOST, 80).unwrap(), LARGE, |_| {}).unwrap(), digest);
    eprintln!("200 MB down: {:?}", begun.elapsed());

    let begun = Instant::now();
    assert_eq!(http::put(peer.connect_to(HOST, 80).unwrap(), LARGE).unwrap(), digest);
    eprintln!("200 MB up: {:?}", begun.elapsed());
}

fn three_hundred_connections_live_at_once(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    let mut streams: Vec<_> = (0..300).map(|_| peer.connect_to(HOST, 7).unwrap()).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        write!(stream, "I am {number:05}").unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut said = [0; 10];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(said, format!("I am {number:05}").as_bytes());
    }
    for mut stream in streams {
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert_eq!(said, GOODBYE);
    }
}

fn fifty_streams_run_at_once_in_both_directions(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let length = 2_000_001;
    let digest = Body::digest(length);

    thread::scope(|scope| {
        for number in 0..50 {
            let (peer, digest) = (&peer, &digest);
            scope.spawn(move || {
                let stream = peer.connect_to(if number % 3 == 0 { HOST_V6 } else { HOST }, 80).unwrap();
                let got = if number % 2 == 0 { http::get(stream, length, |_| {}) } else { http::put(stream, length) };
                assert_eq!(got.unwrap(), *digest, "stream {number}");
            });
        }
    });
}

fn a_reset_is_passed_on(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for host in [HOST, HOST_V6] {
        let mut stream = peer.connect_to(host, 9).unwrap();
        stream.write_all(b"x").unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{host}: {error}");
    }
}

fn names_are_resolved_over_udp(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";

    for host in [HOST, HOST_V6] {
        let answer = peer.ask(host, 53, question, Duration::from_secs(5)).unwrap();
        assert_eq!((&answer[..2], &answer[answer.len() - 4..]), (&question[..2], &DNS_ANSWER[..]));
    }
    // More than a frame holds: the answer comes in fragments, inside and outside. On an address that is the host's too
    // the kernel puts them together itself, so on `tun` it is tried with a routed address (nat.rs).
    if uplink == Uplink::Sockets {
        let large = vec![7; 4_000];
        assert_eq!(peer.ask(HOST, 7, &large, Duration::from_secs(5)).unwrap(), large);
    }
}

fn tcp_and_udp_go_over_ipv6(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    let length = 3_000_001;
    assert_eq!(http::get(peer.connect_to(HOST_V6, 80).unwrap(), length, |_| {}).unwrap(), Body::digest(length));
    assert_eq!(http::put(peer.connect_to(HOST_V6, 80).unwrap(), length).unwrap(), Body::digest(length));
    assert_eq!(peer.ask(HOST_V6, 7, b"six", Duration::from_secs(5)).unwrap(), b"six");
}

fn pings_are_answered_by_the_server_and_by_the_internet(uplink: Uplink) {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for own in peer.servers() {
        assert_eq!(peer.ping(&own, 20), 20, "{own}");
    }
    for host in [HOST, HOST_V6] {
        assert_eq!(peer.ping(host, 20), 20, "{host}");
    }
}

fn a_flood_of_pings_comes_back_whole(uplink: Uplink) {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for host in peer.servers().iter().map(String::as_str).chain([HOST, HOST_V6]) {
        assert_eq!(peer.flood(host, 1_000), 1_000, "{host}");
    }
}

fn a_refusal_is_passed_on_at_once(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for host in [HOST, HOST_V6] {
        let begun = Instant::now();
        let error = peer.connect_to(host, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{host}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

        let error = peer.ask(host, 1, b"anybody?", Duration::from_secs(3)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{host} by UDP: {error}");
    }
}

fn an_unreachable_host_is_said_to_be_so_and_a_silent_one_stays_silent(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    let begun = Instant::now();
    let error = peer.connect_to(UNREACHABLE, 80).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    // nobody answers there, so no connection may seem to be open
    let error = peer.connect_within(BLACK_HOLE, 80, Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

fn one_half_of_a_connection_outlives_the_other(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for host in [HOST, HOST_V6] {
        let mut stream = peer.connect_to(host, 7).unwrap();
        stream.write_all(b"the last word").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert_eq!(said, [b"the last word", GOODBYE].concat());
    }
}
