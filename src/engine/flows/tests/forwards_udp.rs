//! Forwarded UDP ports: who is let in, by which socket the peer's datagrams leave, and the way round.

use std::net::SocketAddr;
use std::time::Duration;

use super::forwards::{apply, forward, forwarding};
use super::mappings::{datagram, receives, sends};
use crate::domain::port_forward::Transport;
use crate::engine::flows::FlowId;
use crate::engine::flows::forwards::{Forward, Forwarding};
use crate::engine::flows::testing::{OWN, PEER, World};
use crate::engine::wire::Ip;
use crate::engine::wire::icmp::Complaint;
use crate::engine::wire::udp::Udp;

/// The peer's end of the forwards here.
const INNER: &str = "10.0.0.2:5000";

fn udp(port: u16) -> Forward {
    forward(Transport::Udp, port, 5_000)
}

/// A world with these forwards, and their listeners over IPv4 in the order of their ports.
fn forwarded(ports: &[u16]) -> (World, Vec<FlowId>) {
    let mut world = World::new();
    let forwards: Vec<_> = ports.iter().map(|port| udp(*port)).collect();
    let mut asked = apply(&mut world, &forwarding(&forwards));
    asked.retain(|listen| listen.at.is_ipv4());
    asked.sort_by_key(|listen| listen.at);
    let listeners = asked.iter().map(|listen| listen.flow).collect();
    (world, listeners)
}

/// From whom the peer sees a datagram that comes to the flow.
fn seen_from(world: &mut World, flow: FlowId, from: &str) -> Option<String> {
    let packets = receives(world, flow, from, b"hello");
    let packet = packets.first()?;
    let view = Ip::new(&packet[..]).unwrap();
    let inner = Udp::new(view.payload()).unwrap();
    assert!(inner.is_checksum_right(view.source(), view.destination()));
    assert_eq!(inner.payload(), b"hello");
    Some(SocketAddr::new(view.source(), inner.source_port()).to_string())
}

/// By which flow a datagram of the peer's leaves, and where to.
fn leaves(world: &mut World, from: &str, to: &str) -> Option<(FlowId, String)> {
    sends(world, &datagram(from, to, b"x")).map(|(flow, to, _)| (flow, to.to_string()))
}

#[test]
fn lets_everybody_in_and_answers_from_the_same_port() {
    let (mut world, listeners) = forwarded(&[7_000]);
    for caller in ["198.51.100.7:4000", "198.51.100.8:53", "192.0.2.1:1"] {
        assert_eq!(seen_from(&mut world, listeners[0], caller), Some(caller.to_owned()));
        assert_eq!(leaves(&mut world, INNER, caller), Some((listeners[0], caller.to_owned())));
    }
    let (flow, _) = leaves(&mut world, INNER, "192.0.2.99:9").unwrap();
    assert_eq!(flow, listeners[0], "whoever the peer speaks to from there");
    let (flow, _) = leaves(&mut world, "10.0.0.2:5001", "192.0.2.99:9").unwrap();
    assert_ne!(flow, listeners[0], "another port of the peer's has its own");
    assert_eq!(seen_from(&mut world, flow, "198.51.100.7:4000"), None, "and lets in nobody unasked");
}

#[test]
fn a_forwarded_port_does_not_end_by_itself_and_survives_its_peer() {
    let (mut world, listeners) = forwarded(&[7_000]);
    leaves(&mut world, INNER, "192.0.2.1:9");
    world.now += Duration::from_secs(100_000);
    world.answers();
    world.flows.drop_owner(PEER);
    assert_eq!(world.flows.poll_closed(), None);
    assert!(seen_from(&mut world, listeners[0], "198.51.100.7:4000").is_some());
}

#[test]
fn answers_by_the_port_that_was_called_where_two_lead_to_one_end() {
    let (mut world, listeners) = forwarded(&[7_000, 7_001]);
    seen_from(&mut world, listeners[0], "198.51.100.7:4000").unwrap();
    seen_from(&mut world, listeners[1], "198.51.100.8:4000").unwrap();

    assert_eq!(leaves(&mut world, INNER, "198.51.100.7:4000").unwrap().0, listeners[0]);
    assert_eq!(leaves(&mut world, INNER, "198.51.100.8:4000").unwrap().0, listeners[1]);
}

#[test]
fn lets_a_peer_answer_a_private_caller_while_it_calls_and_at_no_other_port() {
    let (mut world, listeners) = forwarded(&[7_000]);
    assert_eq!(leaves(&mut world, INNER, "192.168.1.5:4000"), None, "nobody has called");
    assert!(seen_from(&mut world, listeners[0], "192.168.1.5:4000").is_some());

    assert!(leaves(&mut world, INNER, "192.168.1.5:4000").is_some());
    assert_eq!(leaves(&mut world, INNER, "192.168.1.5:4001"), None);
    assert_eq!(leaves(&mut world, "10.0.0.2:5001", "192.168.1.5:4000"), None);
    world.now += Duration::from_secs(300);
    assert_eq!(leaves(&mut world, INNER, "192.168.1.5:4000"), None, "it has long been quiet");
}

#[test]
fn keeps_out_what_no_peer_may_be_told_of() {
    let (mut world, listeners) = forwarded(&[7_000]);
    for caller in ["169.254.169.254:80", "168.63.129.16:80", "100.100.100.200:80"] {
        assert_eq!(seen_from(&mut world, listeners[0], caller), None, "{caller}");
    }
    assert_eq!(world.flows.counters().uninvited, 3);
}

#[test]
fn two_peers_meet_at_the_external_address() {
    let (mut world, listeners) = forwarded(&[7_000]);
    let shown = format!("{OWN}:7000");
    let (flow, real) = leaves(&mut world, "10.0.0.2:6000", &shown).unwrap();
    assert_eq!(real, "127.0.0.1:7000", "also where no interface has the external address");
    assert_eq!(leaves(&mut world, "10.0.0.2:6000", &format!("{OWN}:7001")), None, "no other port is open");

    let caller = seen_from(&mut world, listeners[0], "127.0.0.1:40000");
    assert_eq!(caller, Some(format!("{OWN}:40000")), "RFC 4787, REQ-9a");
    let answer = leaves(&mut world, INNER, &format!("{OWN}:40000"));
    assert_eq!(answer, Some((listeners[0], "127.0.0.1:40000".to_owned())));
    assert_eq!(seen_from(&mut world, flow, "127.0.0.1:7000"), Some(shown));
    assert_eq!(seen_from(&mut world, flow, "127.0.0.1:7001"), None, "to the port");
}

#[test]
fn two_forwarded_ports_speak_with_each_other() {
    let mut world = World::new();
    let other = Forward { to_port: 6_000, ..udp(7_001) };
    let mut asked = apply(&mut world, &forwarding(&[udp(7_000), other]));
    asked.retain(|listen| listen.at.is_ipv4());
    asked.sort_by_key(|listen| listen.at);

    let sent = leaves(&mut world, INNER, &format!("{OWN}:7001"));
    assert_eq!(sent, Some((asked[0].flow, "127.0.0.1:7001".to_owned())));
    assert_eq!(seen_from(&mut world, asked[1].flow, "127.0.0.1:7000"), Some(format!("{OWN}:7000")));
    let sent = leaves(&mut world, "10.0.0.2:6000", &format!("{OWN}:7000"));
    assert_eq!(sent, Some((asked[1].flow, "127.0.0.1:7000".to_owned())));
    assert_eq!(seen_from(&mut world, asked[0].flow, "127.0.0.1:7001"), Some(format!("{OWN}:7001")));
}

#[test]
fn a_way_round_that_is_gone_lets_nothing_through_either_way() {
    let (mut world, _) = forwarded(&[7_000]);
    let shown = format!("{OWN}:7000");
    let (flow, _) = leaves(&mut world, "10.0.0.2:6000", &shown).unwrap();

    apply(&mut world, &Forwarding::default());

    assert_eq!(leaves(&mut world, "10.0.0.2:6000", &shown), None);
    assert_eq!(seen_from(&mut world, flow, "127.0.0.1:7000"), None);
}

#[test]
fn passes_errors_on_in_the_name_that_the_peer_knows() {
    let (mut world, _) = forwarded(&[7_000]);
    let (flow, real) = leaves(&mut world, "10.0.0.2:6000", &format!("{OWN}:7000")).unwrap();

    let remote = real.parse().unwrap();
    world.flows.handle_error(flow, remote, Complaint::PortUnreachable, (Some(remote.ip()), b"x"), world.now);

    let answers = world.answers();
    let quoted = Ip::new(&answers[0][28..]).unwrap();
    assert_eq!(quoted.destination().to_string(), OWN);
    assert_eq!(Ip::new(&answers[0][..]).unwrap().source().to_string(), OWN, "not loopback");
}

#[test]
fn remembers_a_bounded_number_of_callers() {
    let (mut world, listeners) = forwarded(&[7_000]);
    for port in 1..=1_000 {
        assert!(seen_from(&mut world, listeners[0], &format!("192.168.1.5:{port}")).is_some());
    }
    assert_eq!(leaves(&mut world, INNER, "192.168.1.5:744"), None);
    assert!(leaves(&mut world, INNER, "192.168.1.5:745").is_some());
    assert!(leaves(&mut world, INNER, "192.168.1.5:1000").is_some());
}
