//! What the operator chooses about NAT, on the whole road.

use std::num::NonZeroU32;

use super::*;
use crate::domain::nat::{Filtering, NatSettings};
use crate::engine::dataplane::exit::{Exit, Name};

/// In whose name packets leave.
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn world(nat: &NatSettings) -> (World, Client) {
    let mut world = World::new(server());
    world.ports = Ports::new(nat.ports.clone(), [7; 32], world.now);
    world.plane.set_nat(nat);
    world.apply(Change::Account(Arc::new(account(1))));
    world.apply(Change::Exit(Exit::Packets { v4: Name::External(EXTERNAL.into()), v6: Name::None }));
    let client = Client::connected(1, &mut world);
    (world, client)
}

fn datagram(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut memory = vec![0; 64];
    let length = udp::write_packet(&mut memory, source, destination, 64, b"?").unwrap();
    memory.truncate(length);
    memory
}

/// Has the client send from a port to the outside; the external address and port by which that leaves.
fn leaves(world: &mut World, client: &mut Client, from: u16, to: &str) -> Option<SocketAddr> {
    let sealed = client.seal(&datagram((v4(1), from).into(), to.parse().unwrap()));
    let left = world.handle(client.remote, &sealed).outward;
    let (_, packet) = left.first()?;
    let ip = Ip::new(&packet[..]).unwrap();
    let port = u16::from_be_bytes([ip.payload()[0], ip.payload()[1]]);
    Some(SocketAddr::new(ip.source(), port))
}

fn is_let_in(world: &mut World, from: &str, to: SocketAddr) -> bool {
    let mut packet = datagram(from.parse().unwrap(), to);
    world.with(|plane, around, now| plane.handle_arrival(&mut packet, Offload::NONE, around, now));
    !world.drain().is_empty()
}

/// RFC 4787, REQ-8.
#[test]
fn lets_in_whom_the_chosen_filtering_lets_in() {
    for (filtering, other_port, other_host) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPort, false, false),
    ] {
        let (mut world, mut client) = world(&NatSettings { filtering, ..NatSettings::default() });
        let door = leaves(&mut world, &mut client, 20_000, "203.0.113.9:53").unwrap();

        let let_in =
            ["203.0.113.9:53", "203.0.113.9:54", "203.0.113.10:53"].map(|from| is_let_in(&mut world, from, door));

        assert_eq!(let_in, [true, other_port, other_host], "{filtering:?}");
        let refused = [other_port, other_host].iter().filter(|admitted| !**admitted).count() as u64;
        assert_eq!(world.dropped(DropReason::Unsolicited), refused, "{filtering:?}");
    }
}

/// RFC 6888, REQ-4.
#[test]
fn gives_one_account_no_more_ports_than_the_operator_chooses() {
    let ports_per_account = NonZeroU32::new(3);
    let (mut world, mut client) = world(&NatSettings { ports_per_account, ..NatSettings::default() });
    for from in 20_000..20_003 {
        assert!(leaves(&mut world, &mut client, from, "203.0.113.9:53").is_some());
    }

    assert_eq!(leaves(&mut world, &mut client, 20_003, "203.0.113.9:53"), None);
    // what has a port may go on, to wherever
    assert!(leaves(&mut world, &mut client, 20_000, "203.0.113.10:53").is_some());
    assert_eq!(world.dropped(DropReason::MappingsOfOwnerFull), 1);
}

/// RFC 4787, REQ-3: whatever port the client has.
#[test]
fn takes_ports_of_the_chosen_range_alone() {
    let (mut world, mut client) = world(&NatSettings { ports: 2_000..=3_023, ..NatSettings::default() });
    for from in [53, 1_999, 2_000, 3_023, 3_024, 40_000, 65_535] {
        let left = leaves(&mut world, &mut client, from, "203.0.113.9:53").unwrap();
        assert!((2_000..=3_023).contains(&left.port()), "{from} left as {left}");
    }
}
