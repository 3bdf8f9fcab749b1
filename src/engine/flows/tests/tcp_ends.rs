//! How TCP connections end, and how many there may be.

use std::time::Duration;

use smoltcp::socket::tcp::State;

use crate::engine::flows::testing::{Dice, PEER, World, pattern, settings};
use crate::engine::flows::{Limits, Request};
use crate::engine::packet::Owner;
use crate::engine::wire::checksum::Sum;
use crate::engine::wire::{ip, protocol};

#[test]
fn passes_on_that_the_peer_has_finished_and_lets_the_outside_go_on() {
    let (mut world, flow) = World::established(1_000);
    world.client(1_000).send_slice(b"question").unwrap();
    world.client(1_000).close();
    world.poll_client(1_000);
    world.run_until(|world| world.far(flow).finished);
    assert_eq!(world.far(flow).got, b"question");

    let answer = pattern(300_000);
    world.far(flow).gives = answer.iter().copied().collect();
    world.far(flow).ends = true;
    world.flows.handle_ready(flow);
    let mut got = Vec::new();
    world.run_until(|world| {
        while world.client(1_000).can_recv() {
            got.extend(world.client(1_000).recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        world.poll_client(1_000);
        !world.closed.is_empty()
    });
    assert!(got == answer);
    assert_eq!(world.closed, [(flow, false)]);
    assert_eq!(world.flows.len(), 0);
}

#[test]
fn passes_on_that_the_outside_has_finished_and_lets_the_peer_go_on() {
    let (mut world, flow) = World::established(1_000);
    world.far(flow).gives = b"banner".to_vec().into();
    world.far(flow).ends = true;
    world.flows.handle_ready(flow);
    world.run_until(|world| world.client(1_000).state() == State::CloseWait);
    assert_eq!(world.client(1_000).recv(|bytes| (bytes.len(), bytes.to_vec())), Ok(b"banner".to_vec()));

    world.client(1_000).send_slice(b"more").unwrap();
    world.client(1_000).close();
    world.poll_client(1_000);

    world.run_until(|world| world.far(flow).finished);
    assert_eq!(world.far(flow).got, b"more");
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.closed, [(flow, false)]);
}

#[test]
fn delivers_what_the_outside_takes_slowly_after_both_have_finished() {
    let (mut world, flow) = World::established(1_000);
    world.far(flow).takes = 0;
    world.far(flow).ends = true;
    let up = pattern(100_000);
    let mut sent = 0;
    world.flows.handle_ready(flow);
    world.run_until(|world| {
        sent += world.client(1_000).send_slice(&up[sent..]).unwrap_or(0);
        world.poll_client(1_000);
        sent == up.len()
    });
    world.client(1_000).close();
    world.poll_client(1_000);
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.closed, []);

    world.far(flow).takes = usize::MAX;
    world.flows.handle_ready(flow);
    world.run_until(|world| !world.closed.is_empty());

    assert!(world.far(flow).got == up);
    assert!(world.far(flow).finished);
    assert_eq!(world.closed, [(flow, false)]);
}

#[test]
fn a_reset_of_either_side_reaches_the_other() {
    let (mut world, flow) = World::established(1_000);
    world.client(1_000).abort();
    world.poll_client(1_000);
    world.run_until(|world| !world.closed.is_empty());
    assert_eq!(world.closed, [(flow, true)]);

    let (mut world, flow) = World::established(1_000);
    world.far(flow).broken = true;
    world.flows.handle_ready(flow);
    world.run_until(|world| world.client(1_000).state() == State::Closed);
    assert_eq!(world.closed, [(flow, true)]);
}

#[test]
fn keeps_a_quiet_connection_for_two_hours_and_closes_it_in_order() {
    let (mut world, flow) = World::established(1_000);
    world.run_for(Duration::from_secs(3 * 3_600));
    assert_eq!(world.closed, [], "the peer answers when asked");

    world.far(flow).ends = true;
    world.flows.handle_ready(flow);
    world.run_until(|world| world.client(1_000).state() == State::CloseWait);
}

#[test]
fn ends_the_connection_of_a_peer_that_vanished() {
    let (mut world, flow) = World::established(1_000);
    world.loss = 1_000;
    world.run_for(Duration::from_secs(7_300));
    assert_eq!(world.closed, []);
    world.run_for(Duration::from_secs(300));
    assert_eq!(world.closed, [(flow, true)]);

    // where bytes wait for it, it is given up sooner
    let (mut world, flow) = World::established(1_000);
    world.loss = 1_000;
    world.far(flow).gives = vec![0; 1_000].into();
    world.flows.handle_ready(flow);
    world.run_for(Duration::from_secs(300));
    assert_eq!(world.closed, [(flow, true)]);
}

#[test]
fn bounds_half_open_connections_and_flows_of_one_peer_and_of_all() {
    let mut world = World::new();
    let syn = |port: u16| segment(port, 1, 0, 0x02, &[]);
    let asked = (1_000..1_300).filter(|port| world.send(&syn(*port)) != Request::Nothing).count();
    assert_eq!(asked, 256);

    let mut world =
        World::with(crate::engine::flows::Settings { limits: Limits { flows: 60, flows_of_owner: 20 }, ..settings() });
    let asked = (1_000..1_300).filter(|port| world.send(&syn(*port)) != Request::Nothing).count();
    assert_eq!(asked, 20);
    assert_eq!(world.flows.counters().exhausted, 280);
}

#[test]
fn leaves_room_for_a_quiet_peer_however_many_noisy_ones_there_are() {
    let limits = Limits { flows: 100, flows_of_owner: 40 };
    let mut world = World::with(crate::engine::flows::Settings { limits, ..settings() });
    let host = &mut crate::engine::flows::reach::tests::Host(Vec::new());
    let mut take = |owner: u32| {
        let before = world.flows.len();
        for port in 1_000..1_100 {
            world.flows.handle_packet(Owner(owner), &segment(port, 1, 0, 0x02, &[]), host, world.now);
        }
        world.flows.len() - before
    };

    let noisy: Vec<usize> = (1..=4).map(&mut take).collect();

    assert_eq!(noisy, [40, 30, 15, 8]);
    assert!(take(5) > 0);
}

#[test]
fn dropping_a_peer_ends_its_flows_alone_and_frees_their_places() {
    let mut world = World::new();
    let host = &mut crate::engine::flows::reach::tests::Host(Vec::new());
    for port in 1_000..1_100 {
        world.flows.handle_packet(PEER, &segment(port, 1, 0, 0x02, &[]), host, world.now);
        world.flows.handle_packet(Owner(9), &segment(port, 1, 0, 0x02, &[]), host, world.now);
    }
    world.flows.drop_owner(PEER);
    let mut closed = 0;
    while world.flows.poll_closed().is_some() {
        closed += 1;
    }
    assert_eq!((closed, world.flows.len()), (100, 100));
}

/// A TCP packet from the peer to 192.0.2.1:80.
fn segment(port: u16, sequence: u32, acknowledgement: u32, flags: u8, load: &[u8]) -> Vec<u8> {
    let (source, destination) = ("10.0.0.2".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let mut packet = vec![0; 40 + load.len()];
    ip::write_header(&mut packet, source, destination, protocol::TCP, 64, 20 + load.len()).unwrap();
    packet[20..22].copy_from_slice(&port.to_be_bytes());
    packet[22..24].copy_from_slice(&80_u16.to_be_bytes());
    packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    packet[28..32].copy_from_slice(&acknowledgement.to_be_bytes());
    (packet[32], packet[33]) = (0x50, flags);
    packet[34..36].copy_from_slice(&5_000_u16.to_be_bytes());
    packet[40..].copy_from_slice(load);
    let sum = Sum::default().pseudo(source, destination, protocol::TCP, 20 + load.len()).bytes(&packet[20..]).finish();
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn survives_segments_that_no_honest_peer_sends() {
    let mut dice = Dice(4_711);
    for _ in 0..300 {
        let mut world = World::new();
        let mut acknowledge = 0;
        world.send(&segment(1_000, 99, 0, 0x02, &[]));
        let flow = {
            let id = world.flows.table.ids(|_| true)[0];
            world.connecting.push((id, "192.0.2.1:80".parse().unwrap()));
            world.connect()
        };
        for packet in world.answers() {
            acknowledge = u32::from_be_bytes([packet[24], packet[25], packet[26], packet[27]]).wrapping_add(1);
        }
        for _ in 0..60 {
            if let Some(far) = world.outside.0.get_mut(&flow) {
                far.takes = dice.pick(4_000);
                far.gives.extend(vec![0; dice.pick(5_000)]);
                far.ends |= dice.roll(40) == 0;
                world.flows.handle_ready(flow);
            }
            let near = |dice: &mut Dice, base: u32| match dice.roll(4) {
                0 => base.wrapping_add(dice.roll(6_000)).wrapping_sub(3_000),
                1 => base.wrapping_add(dice.roll(2_200_000)).wrapping_sub(1_100_000),
                2 => dice.roll(1 << 31) * 2 + 1,
                _ => base,
            };
            let (sequence, number) = (near(&mut dice, 100), near(&mut dice, acknowledge));
            let flags = [0x10, 0x10, 0x18, 0x11, 0x02, 0x04, 0x14, 0x12, 0x00, 0x3f, 0x01][dice.pick(11)];
            let load = vec![5; [0, 0, 1, 100, 1_380][dice.pick(5)]];
            let mut packet = segment(1_000, sequence, number, flags, &load);
            if dice.roll(3) == 0 {
                // part of what it carries is declared to be options
                packet[32] = u8::try_from(0x50 + dice.roll(11) * 0x10).unwrap();
                packet[40..].iter_mut().for_each(|byte| *byte = [0, 1, 2, 4, 5, 5, 10, 255][dice.pick(8)]);
            }
            world.send(&packet);
            world.answers();
            world.now += Duration::from_millis(dice.roll(3_000).into());
        }
    }
}

#[test]
fn holds_ten_thousand_connections() {
    let mut world = World::new();
    let mut flows = Vec::new();
    for port in 1_000..11_000 {
        world.send(&segment(port, 1, 0, 0x02, &[]));
        let id = world.flows.table.ids(|flow| flow.key.source.port() == port)[..1].to_vec();
        world.connecting.push((id[0], "192.0.2.1:80".parse().unwrap()));
        flows.push(world.connect());
        for packet in world.answers() {
            let number = u32::from_be_bytes([packet[24], packet[25], packet[26], packet[27]]).wrapping_add(1);
            world.send(&segment(port, 2, number, 0x18, b"hello"));
        }
        world.answers();
    }
    assert_eq!(world.flows.len(), 10_000);
    assert!(flows.iter().all(|flow| world.outside.0[flow].got == b"hello"));

    world.flows.drop_owner(PEER);
    while world.flows.poll_closed().is_some() {}
    assert_eq!(world.flows.len(), 0);
}

#[test]
fn takes_no_extensions_of_ipv6_into_a_connection() {
    let (mut world, _) = World::established_to(1_000, "[2001:db8::1]:80");
    let mut dice = Dice(3);
    for _ in 0..2_000 {
        let mut packet = vec![0; 40 + 8 + 20];
        let (source, destination) = ("fd00::2".parse().unwrap(), "2001:db8::1".parse().unwrap());
        ip::write_header(&mut packet, source, destination, 0, 64, 28).unwrap();
        packet[40..].iter_mut().for_each(|byte| *byte = u8::try_from(dice.roll(256)).unwrap());
        (packet[40], packet[41]) = (protocol::TCP, 0);
        packet[48..52].copy_from_slice(&[0x03, 0xe8, 0, 80]);
        packet[60] = 0x50;
        world.send(&packet);
        assert!(world.answers().is_empty());
    }
    assert_eq!(world.flows.counters().unsupported, 2_000);
    assert_eq!(world.flows.len(), 1);
}
