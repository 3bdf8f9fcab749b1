//! UDP and ping: mappings, filtering, life spans, errors, fragments.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::domain::nat::Filtering;
use crate::engine::flows::reach::tests::Host;
use crate::engine::flows::testing::{OWN, PEER, World, ip, pattern, settings};
use crate::engine::flows::{DATAGRAM_AT, FlowId, Request, Settings};
use crate::engine::fragments::split;
use crate::engine::wire::icmp::{self, Complaint, Echo, Icmp, Kind};
use crate::engine::wire::udp::Udp;
use crate::engine::wire::{Ip, protocol, udp};

pub(super) fn datagram(from: &str, to: &str, load: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 48 + load.len()];
    let length = udp::write_packet(&mut packet, from.parse().unwrap(), to.parse().unwrap(), 64, load).unwrap();
    packet.truncate(length);
    packet
}

fn ping(from: &str, to: &str, identifier: u16, sequence: u16, load: &[u8]) -> Vec<u8> {
    let (from, to) = (ip(from), ip(to));
    let at = icmp::headers_len(from);
    let mut packet = vec![0; at + load.len()];
    packet[at..].copy_from_slice(load);
    icmp::seal_echo(&mut packet, Echo::Request, (from, to), (identifier, sequence), load.len()).unwrap();
    packet
}

pub(super) fn sends(world: &mut World, packet: &[u8]) -> Option<(FlowId, SocketAddr, Vec<u8>)> {
    match world.send(packet) {
        Request::Datagram { flow, to, payload } => Some((flow, to, payload.to_vec())),
        Request::Nothing => None,
        other @ (Request::Connect { .. } | Request::Echo { .. }) => panic!("{other:?}"),
    }
}

pub(super) fn receives(world: &mut World, flow: FlowId, from: &str, load: &[u8]) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; DATAGRAM_AT + load.len()];
    buffer[DATAGRAM_AT..].copy_from_slice(load);
    let mut got = Vec::new();
    let mut host = Host(vec![ip(OWN)]);
    world.flows.handle_datagram(
        flow,
        from.parse().unwrap(),
        &mut buffer,
        (&mut host, world.now),
        &mut |owner, packet| {
            assert_eq!(owner, PEER);
            got.push(packet.to_vec());
        },
    );
    got
}

#[test]
fn maps_one_port_of_a_peer_to_one_socket_whatever_it_speaks_to() {
    let mut world = World::new();
    let mut flows = Vec::new();
    for host in 1..=50 {
        let (flow, to, load) =
            sends(&mut world, &datagram("10.0.0.2:5000", &format!("192.0.2.{host}:9{host}"), b"x")).unwrap();
        assert_eq!((to.to_string(), load), (format!("192.0.2.{host}:9{host}"), b"x".to_vec()));
        flows.push(flow);
    }
    flows.dedup();
    assert_eq!(flows.len(), 1);
    let (other, ..) = sends(&mut world, &datagram("10.0.0.2:5001", "192.0.2.1:53", b"x")).unwrap();
    assert_ne!(flows[0], other);
}

#[test]
fn lets_in_only_addresses_that_the_peer_has_spoken_to() {
    for (peer, host, other) in
        [("10.0.0.2:5000", "192.0.2.1", "192.0.2.2"), ("[fd00::2]:5000", "[2001:db8::1]", "[2001:db8::2]")]
    {
        let mut world = World::new();
        let (flow, ..) = sends(&mut world, &datagram(peer, &format!("{host}:53"), b"x")).unwrap();

        let got = receives(&mut world, flow, &format!("{host}:4000"), b"answer");
        let view = Ip::new(&got[0][..]).unwrap();
        let inner = Udp::new(view.payload()).unwrap();
        assert!(inner.is_checksum_right(view.source(), view.destination()));
        assert_eq!((inner.source_port(), inner.destination_port(), inner.payload()), (4_000, 5_000, &b"answer"[..]));
        assert_eq!(SocketAddr::new(view.destination(), 5_000), peer.parse().unwrap());

        assert!(receives(&mut world, flow, &format!("{other}:53"), b"answer").is_empty());
        assert_eq!(world.flows.counters().uninvited, 1);
    }
}

/// RFC 4787, REQ-8: who is let in besides the very one that was asked.
#[test]
fn lets_in_whom_the_operator_chooses() {
    for (filtering, other_port, other_host) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPort, false, false),
    ] {
        for (peer, host, other) in
            [("10.0.0.2:5000", "192.0.2.1", "192.0.2.2"), ("[fd00::2]:5000", "[2001:db8::1]", "[2001:db8::2]")]
        {
            let mut world = World::with(Settings { filtering, ..settings() });
            let (flow, ..) = sends(&mut world, &datagram(peer, &format!("{host}:53"), b"x")).unwrap();

            let is_let_in = |from: String| !receives(&mut world, flow, &from, b"answer").is_empty();
            let let_in = [format!("{host}:53"), format!("{host}:4000"), format!("{other}:53")].map(is_let_in);

            assert_eq!(let_in, [true, other_port, other_host], "{filtering:?} {peer}");
        }
    }
}

/// What the process can be reached by and no peer may reach is no stranger of the internet.
#[test]
fn lets_in_nobody_near_the_host_whatever_the_operator_chooses() {
    let mut world = World::with(Settings { filtering: Filtering::EndpointIndependent, ..settings() });
    let (flow, ..) = sends(&mut world, &datagram("10.0.0.2:5000", "192.0.2.1:53", b"x")).unwrap();

    for near in [format!("{OWN}:53"), "127.0.0.1:53".into(), "169.254.169.254:53".into(), "192.168.1.1:53".into()] {
        assert!(receives(&mut world, flow, &near, b"hello").is_empty(), "{near}");
    }
}

#[test]
fn one_peer_has_no_more_flows_than_it_may_have_ports() {
    let limits = settings().limits.with_ports(NonZeroU32::new(3));
    let mut world = World::with(Settings { limits, ..settings() });
    for port in 5_000..5_003 {
        assert!(sends(&mut world, &datagram(&format!("10.0.0.2:{port}"), "192.0.2.1:53", b"x")).is_some());
    }

    assert_eq!(sends(&mut world, &datagram("10.0.0.2:5003", "192.0.2.1:53", b"x")), None);
    assert!(sends(&mut world, &datagram("10.0.0.2:5000", "192.0.2.9:53", b"x")).is_some());
    assert_eq!(world.flows.counters().exhausted, 1);
}

fn is_alive_after(first: &str, outbound_at: Option<u64>, inbound_at: Option<u64>, after: u64) -> bool {
    let mut world = World::new();
    let begin = world.now;
    let (flow, ..) = sends(&mut world, &datagram("10.0.0.2:5000", first, b"x")).unwrap();
    for second in 0..=after {
        world.now = begin + Duration::from_secs(second);
        world.answers();
        if Some(second) == outbound_at {
            sends(&mut world, &datagram("10.0.0.2:5000", first, b"x"));
        }
        if Some(second) == inbound_at {
            receives(&mut world, flow, first, b"x");
        }
    }
    world.flows.poll_closed().is_none()
}

#[test]
fn keeps_a_mapping_for_five_minutes_after_the_peer_last_spoke() {
    assert!(is_alive_after("192.0.2.1:9000", None, None, 299));
    assert!(!is_alive_after("192.0.2.1:9000", None, None, 300));
    assert!(is_alive_after("192.0.2.1:9000", Some(200), None, 499));
    assert!(!is_alive_after("192.0.2.1:9000", Some(200), None, 500));
    assert!(!is_alive_after("192.0.2.1:9000", None, Some(299), 300), "only the peer keeps it alive");
    assert!(is_alive_after("192.0.2.1:53", None, None, 29));
    assert!(!is_alive_after("192.0.2.1:53", None, None, 30));
}

#[test]
fn a_mapping_that_asked_more_than_name_servers_lives_longer() {
    let mut world = World::new();
    sends(&mut world, &datagram("10.0.0.2:5000", "192.0.2.1:9000", b"x"));
    sends(&mut world, &datagram("10.0.0.2:5000", "192.0.2.1:53", b"x"));
    world.now += Duration::from_secs(299);
    world.answers();
    assert_eq!(world.flows.poll_closed(), None);
}

#[test]
fn refuses_what_peers_may_not_reach_and_says_so() {
    for to in ["127.0.0.1:53", "169.254.169.254:80", "10.1.2.3:53", "192.168.1.1:1", "224.0.0.1:1", "203.0.113.9:53"] {
        let mut world = World::new();
        assert_eq!(sends(&mut world, &datagram("10.0.0.2:5000", to, b"x")), None, "{to}");
        assert_eq!(world.flows.counters().denied, 1);
        assert_eq!(world.flows.len(), 0);
        let answers = world.answers();
        let is_told = !to.starts_with("127") && !to.starts_with("224");
        assert_eq!(answers.len(), usize::from(is_told), "{to}");
        if is_told {
            assert_eq!((answers[0][9], answers[0][20], answers[0][21]), (1, 3, 13));
        }
    }
    let mut world = World::new();
    let (flow, ..) = sends(&mut world, &datagram("10.0.0.2:5000", "192.0.2.1:53", b"x")).unwrap();
    assert_eq!(
        sends(&mut world, &datagram("10.0.0.2:5000", &format!("{OWN}:53"), b"x")),
        None,
        "also by an open mapping"
    );
    assert!(receives(&mut world, flow, &format!("{OWN}:53"), b"x").is_empty());
}

#[test]
fn tells_a_packet_that_has_travelled_too_far() {
    let mut world = World::new();
    let mut packet = datagram("10.0.0.2:5000", "192.0.2.1:33434", b"x");
    crate::engine::wire::Ipv4::new(&mut packet[..]).unwrap().set_ttl(1);
    assert_eq!(sends(&mut world, &packet), None);
    let answers = world.answers();
    assert_eq!((answers[0][20], &answers[0][12..16]), (11, &[10, 0, 0, 1][..]));

    let mut packet = datagram("[fd00::2]:5000", "[2001:db8::1]:33434", b"x");
    packet[7] = 1;
    assert_eq!(sends(&mut world, &packet), None);
    assert_eq!(world.answers()[0][40], 3);
}

#[test]
fn passes_errors_on_quoting_the_packet_of_the_peer() {
    let mut world = World::new();
    let (flow, ..) = sends(&mut world, &datagram("10.0.0.2:5000", "192.0.2.1:9000", b"question")).unwrap();

    let reporter = Some(ip("198.51.100.1"));
    let remote = "192.0.2.1:9000".parse().unwrap();
    world.flows.handle_error(flow, remote, Complaint::PortUnreachable, (reporter, b"question"), world.now);

    let answers = world.answers();
    let view = Ip::new(&answers[0][..]).unwrap();
    assert_eq!((view.source(), view.destination()), (ip("198.51.100.1"), ip("10.0.0.2")));
    assert_eq!((answers[0][20], answers[0][21]), (3, 3));
    let quoted = Ip::new(&answers[0][28..]).unwrap();
    let inner = Udp::new(quoted.payload()).unwrap();
    assert_eq!((quoted.source(), quoted.destination()), (ip("10.0.0.2"), ip("192.0.2.1")));
    assert_eq!((inner.source_port(), inner.destination_port(), inner.payload()), (5_000, 9_000, &b"question"[..]));
    assert_eq!(world.flows.len(), 1, "an error ends no mapping (RFC 4787, REQ-12)");

    world.flows.handle_error(flow, "192.0.2.9:1".parse().unwrap(), Complaint::NoRoute, (None, b""), world.now);
    assert!(world.answers().is_empty(), "nothing is passed on about what the peer never sent");
}

#[test]
fn puts_fragments_of_peers_together_and_cuts_large_answers() {
    for (peer, host) in [("10.0.0.2:5000", "192.0.2.1:9000"), ("[fd00::2]:5000", "[2001:db8::1]:9000")] {
        let mut world = World::new();
        let load = pattern(5_000);
        let whole = datagram(peer, host, &load);
        let mut buffer = vec![0; split::HEADROOM];
        buffer.extend_from_slice(&whole);
        let mut pieces = Vec::new();
        split::split(&mut buffer, 1_420, 77, |piece| pieces.push(piece.to_vec()));

        let mut flow = None;
        for piece in pieces.iter().rev() {
            assert_eq!(flow, None);
            if let Some((id, to, got)) = sends(&mut world, piece) {
                assert_eq!((to, got == load), (host.parse().unwrap(), true));
                flow = Some(id);
            }
        }
        let flow = flow.expect("the datagram came together");

        let down = receives(&mut world, flow, host, &load);
        assert_eq!(down.len(), 4);
        assert!(down.iter().all(|packet| packet.len() <= 1_420));
        let mut other = World::new();
        let whole = down.iter().find_map(|piece| other.flows.fragments.handle(PEER, piece, other.now)).unwrap();
        let view = Ip::new(&whole[..]).unwrap();
        let inner = Udp::new(view.payload()).unwrap();
        assert!(inner.is_checksum_right(view.source(), view.destination()));
        assert!(inner.payload() == load);
    }
}

#[test]
fn maps_pings_and_gives_back_identifier_and_sequence() {
    for (peer, host, of) in [("10.0.0.2", "192.0.2.1", protocol::ICMP), ("fd00::2", "2001:db8::1", protocol::ICMPV6)] {
        let mut world = World::new();
        let request = ping(peer, host, 77, 5, b"abcdefgh");
        let Request::Echo { flow, to, message } = world.send(&request) else { panic!("no echo") };
        assert_eq!(to, ip(host));
        let message = Icmp::new(of, message.to_vec()).unwrap();
        assert_eq!((message.kind(), message.sequence(), message.payload()), (Kind::Echo, 5, &b"abcdefgh"[..]));
        let Request::Echo { flow: same, .. } = world.send(&ping(peer, host, 77, 6, b"")) else { panic!("no echo") };
        assert_eq!(same, flow);

        // the kernel's own identifier is 4660
        let reply_type = if of == protocol::ICMP { 0 } else { 129 };
        let mut buffer = vec![0; DATAGRAM_AT];
        buffer.extend_from_slice(&[reply_type, 0, 0, 0, 0x12, 0x34, 0, 5]);
        buffer.extend_from_slice(b"abcdefgh");
        let mut got = Vec::new();
        world.flows.handle_echo(flow, ip(host), &mut buffer, &mut |_, packet| got.push(packet.to_vec()));
        let view = Ip::new(&got[0][..]).unwrap();
        let reply = Icmp::new(of, view.payload()).unwrap();
        assert_eq!((view.source(), view.destination()), (ip(host), ip(peer)));
        assert!(reply.is_checksum_right(view.source(), view.destination()));
        assert_eq!((reply.kind(), reply.identifier(), reply.sequence()), (Kind::EchoReply, 77, 5));

        let mut got = 0;
        let stranger: IpAddr = if of == protocol::ICMP { ip("192.0.2.2") } else { ip("2001:db8::2") };
        world.flows.handle_echo(flow, stranger, &mut buffer, &mut |_, _| got += 1);
        assert_eq!(got, 0);

        world.now += Duration::from_secs(59);
        world.answers();
        assert_eq!(world.flows.poll_closed(), None);
        world.now += Duration::from_secs(1);
        world.answers();
        assert!(world.flows.poll_closed().is_some());
    }
}
