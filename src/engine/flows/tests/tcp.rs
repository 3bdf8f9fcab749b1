//! TCP: handshakes, bytes both ways over good and bad links, windows.

use std::time::Duration;

use smoltcp::socket::tcp::State;
use smoltcp::wire::{Ipv4Packet, TcpPacket};

use crate::engine::flows::testing::{World, pattern};
use crate::engine::wire::icmp::Complaint;

#[test]
fn answers_a_syn_only_once_the_outside_has_connected() {
    let mut world = World::new();
    world.dial(1_000, "192.0.2.1:80");
    // long enough for the peer to repeat its SYN
    world.run_for(Duration::from_secs(5));

    assert_eq!(world.client(1_000).state(), State::SynSent);
    assert_eq!(world.connecting.len(), 1, "a repeated SYN asks for nothing");
    assert_eq!(world.connecting[0].1, "192.0.2.1:80".parse().unwrap());

    world.connect();
    world.run_until(|world| world.client(1_000).state() == State::Established);
}

#[test]
fn refuses_where_the_outside_refuses() {
    let mut world = World::new();
    world.dial(1_000, "[2001:db8::1]:80");
    world.run_until(|world| !world.connecting.is_empty());
    let (flow, _) = world.connecting[0];

    world.flows.handle_refused(flow);

    world.run_until(|world| world.client(1_000).state() == State::Closed);
    assert_eq!(world.closed, [(flow, true)]);
    assert_eq!(world.flows.len(), 0);
}

#[test]
fn tells_the_peer_why_there_is_no_way() {
    for (complaint, code) in [(Complaint::NoRoute, 0), (Complaint::HostUnreachable, 1), (Complaint::Prohibited, 13)] {
        let mut world = World::new();
        world.keep_seen = true;
        world.dial(1_000, "192.0.2.1:80");
        world.run_until(|world| !world.connecting.is_empty());
        let (flow, _) = world.connecting[0];

        world.flows.handle_unreachable(flow, complaint, world.now);
        world.run_until(|world| !world.seen.is_empty());

        let packet = &world.seen[0];
        assert_eq!((packet[9], packet[20], packet[21]), (1, 3, code));
        assert_eq!(&packet[12..16], &[10, 0, 0, 1], "it comes from the appliance");
        assert_eq!(&packet[28 + 12..28 + 20], &[10, 0, 0, 2, 192, 0, 2, 1], "it quotes the SYN");
    }
}

#[test]
fn resets_connections_that_it_does_not_know() {
    let (mut world, flow) = World::established(1_000);
    world.flows.drop_owner(crate::engine::flows::testing::PEER);
    world.settle();
    assert_eq!(world.closed, [(flow, true)]);

    world.client(1_000).send_slice(b"hello?").unwrap();
    world.poll_client(1_000);

    world.run_until(|world| world.client(1_000).state() == State::Closed);
}

#[test]
fn advertises_a_window_of_a_mebibyte_with_its_scale() {
    let mut world = World::new();
    world.keep_seen = true;
    world.dial(1_000, "192.0.2.1:80");
    world.run_until(|world| !world.connecting.is_empty());
    world.connect();
    world.run_until(|world| world.client(1_000).state() == State::Established);
    world.client(1_000).send_slice(b"GET").unwrap();
    world.poll_client(1_000);
    world.run_until(|world| world.seen.len() > 1);

    let read = |packet: &[u8]| {
        let ip = Ipv4Packet::new_checked(packet).unwrap();
        let segment = TcpPacket::new_checked(ip.payload()).unwrap();
        // no option before it has 3, 3 in it: MSS is 2, 4 and two bytes of 5
        let options = segment.options();
        let scale = options.windows(3).find(|option| option[..2] == [3, 3]).map(|option| option[2]);
        (segment.syn(), segment.window_len(), scale)
    };
    let (syn, window, scale) = read(&world.seen[0]);
    assert!(syn);
    assert_eq!(window, u16::MAX);
    let scale = scale.expect("a scale");
    let (_, window, _) = read(&world.seen[1]);
    assert!((usize::from(window) << scale) > 1_040_000, "{window} << {scale}");
}

fn transfer(to: &str, loss: u32, jitter: Duration, length: usize) {
    let (mut world, flow) = World::established_to(1_000, to);
    (world.loss, world.jitter) = (loss, jitter);
    let (up, down) = (pattern(length), pattern(length));
    world.far(flow).gives = down.iter().copied().collect();
    let (mut sent, mut got) = (0, Vec::new());

    world.run_until(|world| {
        let client = world.client(1_000);
        if client.may_send() && sent < up.len() {
            sent += client.send_slice(&up[sent..]).unwrap();
        }
        while client.can_recv() {
            got.extend(client.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        world.poll_client(1_000);
        got.len() == down.len() && world.far(flow).got.len() == up.len()
    });

    assert!(got == down, "what went down is intact");
    assert!(world.far(flow).got == up, "what went up is intact");
}

#[test]
fn carries_ten_megabytes_both_ways_at_once() {
    transfer("192.0.2.1:80", 0, Duration::ZERO, 10_000_000);
    transfer("[2001:db8::1]:80", 0, Duration::ZERO, 10_000_000);
}

#[test]
fn carries_bytes_intact_over_a_link_that_loses_and_reorders() {
    transfer("192.0.2.1:80", 10, Duration::from_millis(20), 2_000_000);
}

#[test]
fn closes_the_window_while_the_outside_takes_nothing_and_loses_nothing() {
    let (mut world, flow) = World::established(1_000);
    world.far(flow).takes = 0;
    let up = pattern(3_000_000);
    let mut sent = 0;
    let mut push = |world: &mut World| {
        sent += world.client(1_000).send_slice(&up[sent..]).unwrap();
        world.poll_client(1_000);
        sent
    };
    let end = world.now + Duration::from_secs(30);
    world.run_until(|world| {
        push(world);
        world.now > end
    });
    let stalled = push(&mut world);
    assert!(stalled < 1_500_000, "the peer stalls at {stalled}");
    assert!(world.far(flow).got.is_empty());

    world.far(flow).takes = usize::MAX;
    world.flows.handle_ready(flow);
    world.run_until(|world| {
        push(world);
        world.far(flow).got.len() == up.len()
    });
    assert!(world.far(flow).got == up);
}

#[test]
fn reads_the_outside_no_further_than_the_peer_keeps_up() {
    let (mut world, flow) = World::established(1_000);
    let down = pattern(4_000_000);
    world.far(flow).gives = down.iter().copied().collect();
    world.flows.handle_ready(flow);
    world.run_for(Duration::from_secs(30));

    let taken = down.len() - world.far(flow).gives.len();
    assert!(taken < 1_000_000, "{taken} bytes were read for a peer that reads none");

    let mut got = Vec::new();
    world.run_until(|world| {
        while world.client(1_000).can_recv() {
            got.extend(world.client(1_000).recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        world.poll_client(1_000);
        got.len() == down.len()
    });
    assert!(got == down);
}

#[test]
fn serves_a_small_flow_while_others_are_busy() {
    let mut world = World::new();
    let mut flows = Vec::new();
    for port in 1_000..1_020 {
        world.dial(port, "192.0.2.1:80");
        world.run_until(|world| !world.connecting.is_empty());
        flows.push(world.connect());
        world.run_until(|world| world.client(port).may_send());
    }
    for flow in &flows[..19] {
        world.far(*flow).gives = vec![1; 3_000_000].into();
        world.flows.handle_ready(*flow);
    }
    world.run_for(Duration::from_millis(50));
    world.far(flows[19]).gives = vec![2; 100].into();
    world.flows.handle_ready(flows[19]);
    let asked = world.now;

    world.run_until(|world| {
        for port in 1_000..1_019 {
            let _ = world.client(port).recv(|bytes| (bytes.len(), ()));
            world.poll_client(port);
        }
        world.client(1_019).recv_queue() == 100
    });

    assert!(world.now - asked < Duration::from_millis(20), "{:?}", world.now - asked);
}
