//! The uplink for whole packets: what comes back from outside to a name of ours.

use super::*;
use crate::domain::firewall::{Action, Firewall, FirewallSettings};
use crate::engine::dataplane::exit::{Exit, Name};
use crate::engine::fragments::split::{HEADROOM, split};
use crate::engine::wire::icmp::{Complaint, write_error};
use crate::engine::wire::protocol;

const EXTERNAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const OUTSIDE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

/// A world whose packets leave in external names, and a client of it.
fn translating() -> (World, Client) {
    let mut world = World::with_accounts(1);
    let v4 = Name::External(server().external_ip);
    world.apply(Change::Exit(Exit::Packets { v4, v6: Name::External(EXTERNAL_V6.into()) }));
    let client = Client::connected(1, &mut world);
    (world, client)
}

/// Sends a packet out; as it leaves.
fn out(client: &mut Client, world: &mut World, packet: &[u8]) -> Vec<u8> {
    let mut outward = client.send(world, packet).outward;
    world.with(Dataplane::handle_batch_end);
    outward.append(&mut world.outside.outward);
    outward.pop().unwrap_or_else(|| panic!("{:?}", world.plane.drops())).1
}

fn arrive(world: &mut World, mut packet: Vec<u8>, offload: Offload) -> Outcome {
    world.with(|plane, around, now| plane.handle_arrival(&mut packet, offload, around, now));
    Outcome { outward: std::mem::take(&mut world.outside.outward), sent: world.drain() }
}

/// What comes back to a packet, with so many bytes.
fn reply(to: &[u8], bytes: usize) -> Vec<u8> {
    let ip = Ip::new(to).unwrap();
    let port = |at: usize| u16::from_be_bytes([ip.payload()[at], ip.payload()[at + 1]]);
    let (source, destination) = (SocketAddr::new(ip.destination(), port(2)), SocketAddr::new(ip.source(), port(0)));
    let mut memory = vec![0; bytes + 48];
    let length = udp::write_packet(&mut memory, source, destination, 64, &vec![7; bytes]).unwrap();
    memory.truncate(length);
    memory
}

fn error_about(packet: &[u8]) -> Vec<u8> {
    let about = Ip::new(packet).unwrap();
    let mut memory = vec![0; 1_280];
    let length = write_error(&mut memory, Complaint::PortUnreachable, about.destination(), &about).unwrap();
    memory.truncate(length);
    memory
}

#[test]
fn lets_an_error_in_no_longer_than_the_packets_that_it_is_about() {
    let (mut world, mut client) = translating();
    let up = client.outside(b"?");
    let left = out(&mut client, &mut world, &up);
    assert_eq!(arrive(&mut world, error_about(&left), Offload::NONE).sent.len(), 1);
    let settings = FirewallSettings { policy_forward: Action::Drop, ..FirewallSettings::default() };
    world.apply(Change::Firewall(Arc::new(Firewall { settings, ..Firewall::default() })));

    let outcome = arrive(&mut world, error_about(&left), Offload::NONE);

    assert_eq!(outcome, Outcome::default());
    assert_eq!(world.dropped(DropReason::Filtered), 1);
}

#[test]
fn lets_nobody_in_by_a_name_that_clients_have_no_longer() {
    let (mut world, mut client) = translating();
    let left = out(&mut client, &mut world, &packet(v6(1), OUTSIDE_V6, b"?"));
    // the same host by another port, which alone has no flow
    let mut other = reply(&left, 1);
    other[41] ^= 1;
    assert_eq!(arrive(&mut world, other.clone(), Offload::NONE).sent.len(), 1, "{:?}", world.plane.drops());
    world.apply(Change::Exit(Exit::Packets { v4: Name::External(server().external_ip), v6: Name::None }));

    let outcome = [reply(&left, 1), other].map(|packet| arrive(&mut world, packet, Offload::NONE));

    assert_eq!(outcome, [Outcome::default(), Outcome::default()]);
    assert_eq!([DropReason::NoWay, DropReason::NotMapped].map(|reason| world.dropped(reason)), [1, 1]);
}

#[test]
fn answers_nobody_in_a_clients_own_name_once_it_leaves_in_another() {
    let (mut world, mut client) = translating();
    world.apply(Change::Exit(Exit::Packets { v4: Name::Own, v6: Name::None }));
    assert_eq!(arrive(&mut world, packet(OUTSIDE, v4(1), b"?"), Offload::NONE).sent.len(), 1);
    let answer = reply(&packet(OUTSIDE, v4(1), b"?"), 1);
    assert_eq!(out(&mut client, &mut world, &answer), answer);
    world.apply(Change::Exit(Exit::Packets { v4: Name::External(server().external_ip), v6: Name::None }));

    let outcome = client.send(&mut world, &answer);
    world.with(Dataplane::handle_batch_end);

    assert!(outcome.outward.is_empty() && world.outside.outward.is_empty());
    assert_eq!(world.dropped(DropReason::NotMapped), 1);
}

#[test]
fn judges_open_flows_anew_when_what_is_around_has_changed() {
    let (mut world, mut client) = translating();
    let up = client.outside(b"?");
    out(&mut client, &mut world, &up);
    world.outside.standings.push((OUTSIDE.into(), Standing::Host));

    world.plane.judge_anew();
    let outcome = client.send(&mut world, &up);
    world.with(Dataplane::handle_batch_end);

    assert!(outcome.outward.is_empty() && world.outside.outward.is_empty());
    assert_eq!(world.dropped(DropReason::HostClosed), 1);
}

#[test]
fn takes_nobody_outside_for_a_client_whose_own_address_he_uses() {
    let (mut world, mut client) = translating();
    world.apply(Change::Exit(Exit::Packets { v4: Name::Own, v6: Name::None }));
    let up = client.outside(b"?");
    let left = out(&mut client, &mut world, &up);
    assert_eq!(left, up, "in its own name");

    let outcome = arrive(&mut world, left, Offload::NONE);

    assert_eq!(outcome, Outcome::default());
    assert_eq!(world.dropped(DropReason::SourceForged), 1);
    assert_eq!(arrive(&mut world, reply(&up, 1), Offload::NONE).sent.len(), 1);
}

#[test]
fn cuts_again_what_came_in_fragments() {
    let (mut world, mut client) = translating();
    let left = out(&mut client, &mut world, &packet(v6(1), OUTSIDE_V6, b"?"));
    let answer = reply(&left, 3_000);

    let whole = arrive(&mut world, answer.clone(), Offload::NONE);
    let gathered = arrive(&mut world, answer, Offload::GATHERED);

    assert_eq!((whole.sent.len(), world.dropped(DropReason::TooBig)), (0, 1), "no router cuts it");
    assert_eq!(gathered.sent.len(), 3, "{:?}", world.plane.drops());
    let pieces = gathered.sent.iter().map(|(_, datagram)| client.open(datagram).unwrap());
    assert!(pieces.into_iter().all(|piece| piece.len() <= 1_420 && piece[6] == 44));
}

#[test]
fn takes_an_external_port_from_whoever_has_it() {
    let (mut world, mut client) = translating();
    let up = client.outside(b"?");
    let left = out(&mut client, &mut world, &up);
    let external = SocketAddr::new(server().external_ip, u16::from_be_bytes([left[20], left[21]]));
    assert_eq!(world.ports.holder(protocol::UDP, external), Some(0));
    assert_eq!(world.ports.reserve(Some(external.ip()), protocol::UDP, external.port()).len(), 1);
    let World { plane, ports, now, .. } = &mut world;

    plane.close_external(protocol::UDP, external, ports, *now);

    assert_eq!(world.ports.holder(protocol::UDP, external), None);
    assert_eq!(arrive(&mut world, reply(&left, 1), Offload::NONE), Outcome::default());
    let again = out(&mut client, &mut world, &up);
    assert_ne!(again[20..22], left[20..22], "another port");
}

#[test]
fn weighs_small_datagrams_that_go_as_one_with_the_headers_that_each_will_have() {
    let (mut world, mut client) = translating();
    let rate = Mbps::new(1).unwrap();
    world.apply(Change::Account(Arc::new(Account { b_upload: rate, ..account(1) })));
    let datagrams: Vec<Vec<u8>> = (0..60).map(|_| client.seal(&packet(v6(1), OUTSIDE_V6, &[7; 8]))).collect();

    let mut outward = Vec::new();
    for datagram in datagrams {
        outward.extend(world.handle(client.remote, &datagram).outward);
    }
    world.with(Dataplane::handle_batch_end);
    outward.append(&mut world.outside.outward);

    let packets: usize = outward.iter().map(|(_, packet)| (packet.len() - 48) / 8).sum();
    assert!((40..=53).contains(&packets), "{packets} of 56 bytes where 3,000 may go at once");
}

#[test]
fn counts_each_packet_whose_rest_did_not_come_for_itself() {
    let (mut world, mut client) = translating();
    let pieces = |number: u32| {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend(packet(v4(1), OUTSIDE, &[7; 2_000]));
        let mut pieces = Vec::new();
        split(&mut buffer, 1_420, number, |piece| pieces.push(piece.to_vec()));
        pieces
    };
    let (lost, whole) = (pieces(1), pieces(2));
    client.send(&mut world, &lost[0]);
    world.pass(Duration::from_millis(1_500));
    client.send(&mut world, &whole[0]);
    world.pass(Duration::from_millis(600));

    // the time to look after the first comes with the last piece of the second
    let left = out(&mut client, &mut world, &whole[1]);

    assert_eq!((left.len(), world.dropped(DropReason::FragmentUnfit)), (2_028, 1));
}
