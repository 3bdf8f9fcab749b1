//! What happens by itself, in virtual time.

use super::*;

/// Lets time pass until `end` seconds from the start of the world, doing what is due; returns when what was sent.
fn run(world: &mut World, from: Instant, end: u64) -> Vec<(u64, usize)> {
    let mut sent = Vec::new();
    let end = from + Duration::from_secs(end);
    while let Some(at) = world.plane.poll_deadline().filter(|at| *at <= end) {
        world.now = world.now.max(at);
        world.handle_deadline();
        let second = (world.now - from).as_secs();
        sent.extend(world.drain().into_iter().map(|(_, datagram)| (second, datagram.len())));
    }
    world.now = end;
    sent
}

#[test]
fn does_nothing_for_peers_that_have_not_spoken() {
    let world = World::with_accounts(1_000);
    assert_eq!(world.plane.poll_deadline(), None);
}

#[test]
fn begins_no_handshake_15_seconds_after_idleness_ends() {
    let mut world = World::with_accounts(1);
    let _client = Client::connected(1, &mut world);
    let from = world.now;
    assert_eq!(run(&mut world, from, 100), []);
    let from = world.now;
    assert_eq!(world.down(1, &packet(OUTSIDE, v4(1), b"x")).sent.len(), 1);
    let sent = run(&mut world, from, 17);
    assert_eq!(sent, [(15, 148)]);
}

#[test]
fn counts_what_waited_for_a_handshake_that_nobody_answered() {
    let mut world = World::with_accounts(1);
    let _client = Client::connected(1, &mut world);
    world.pass(Duration::from_secs(181));
    let down = packet(OUTSIDE, v4(1), b"x");
    assert_eq!(world.down(1, &down).sent[0].1.len(), 148, "an initiation");
    world.down(1, &down);
    let from = world.now;

    run(&mut world, from, 100);

    assert_eq!((world.dropped(DropReason::HandshakeUnanswered), world.plane.drops().total()), (2, 2));
}

#[test]
fn acknowledges_data_after_10_seconds() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let up = client.outside(b"x");
    client.send(&mut world, &up);
    let from = world.now;
    assert_eq!(run(&mut world, from, 100), [(10, 32)]);
}

#[test]
fn forgets_a_silent_peers_keys_and_keeps_its_endpoint() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let from = world.now;
    assert_eq!(run(&mut world, from, 541), []);
    assert_eq!(world.plane.poll_deadline(), None, "an idle peer costs nothing");
    assert!(world.plane.peers.iter().all(|(_, peer)| peer.tunnel.is_none() && peer.endpoint.is_some()));
    let up = client.outside(b"x");
    assert_eq!(client.send(&mut world, &up), Outcome::default());
    assert_eq!(world.dropped(DropReason::UnknownIndex), 1);
}

#[test]
fn uses_no_session_older_than_180_seconds() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let from = world.now;
    run(&mut world, from, 179);
    assert_eq!(world.down(1, &packet(OUTSIDE, v4(1), b"x")).sent[0].1.len(), 32 + 32);
    run(&mut world, from, 181);
    let up = client.outside(b"x");
    assert_eq!(client.send(&mut world, &up), Outcome::default());
    assert_eq!(world.dropped(DropReason::SessionOld), 1);
}

#[test]
fn holds_packets_for_a_peer_without_a_session_and_begins_one() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let from = world.now;
    run(&mut world, from, 300);
    let down = packet(OUTSIDE, v4(1), b"wake up");
    let outcome = world.down(1, &down);
    assert_eq!(outcome.sent[0].1.len(), 148);
    for _ in 0..40 {
        assert_eq!(world.down(1, &down), Outcome::default());
    }
    assert_eq!(world.dropped(DropReason::QueueFull), 9);

    let response = client.answer(&outcome.sent[0].1).expect("a response");
    let outcome = world.handle(client.remote, &response);

    let packets: Vec<_> = outcome.sent.iter().filter_map(|(_, datagram)| client.open(datagram)).collect();
    assert_eq!(packets, vec![down; 32]);
}

#[test]
fn tries_for_90_seconds_to_reach_a_peer_and_then_forgets_it() {
    let mut world = World::with_accounts(1);
    let _client = Client::connected(1, &mut world);
    let from = world.now;
    run(&mut world, from, 600);
    let from = world.now;
    assert_eq!(world.down(1, &packet(OUTSIDE, v4(1), b"x")).sent.len(), 1);
    let sent = run(&mut world, from, 3_600);
    assert!(sent.iter().all(|(second, length)| *second < 96 && *length == 148), "{sent:?}");
    assert!((16..=17).contains(&sent.len()), "{}", sent.len());
    assert!(world.plane.peers.iter().all(|(_, peer)| peer.tunnel.is_none()));
}

#[test]
fn begins_a_new_session_in_time_where_it_began_the_old_one() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let from = world.now;
    run(&mut world, from, 300);
    let initiation = world.down(1, &packet(OUTSIDE, v4(1), b"x")).sent.remove(0).1;
    let response = client.answer(&initiation).expect("a response");
    world.handle(client.remote, &response);
    let from = world.now;
    run(&mut world, from, 119);
    assert_eq!(world.down(1, &packet(OUTSIDE, v4(1), b"x")).sent.len(), 1);
    let up = client.outside(b"x");
    client.send(&mut world, &up);
    run(&mut world, from, 120);
    let lengths: Vec<usize> =
        world.down(1, &packet(OUTSIDE, v4(1), b"x")).sent.iter().map(|(_, datagram)| datagram.len()).collect();
    assert_eq!(lengths, [64, 148]);
}

#[test]
fn looks_at_1_000_peers_by_deadline_and_never_begins_a_needless_handshake_in_a_day() {
    let mut world = World::with_accounts(1_000);
    let mut clients: Vec<Client> = (1..=1_000).map(|number| Client::connected(number, &mut world)).collect();
    let from = world.now;
    // each client asks and is answered once, then sleeps for the rest of the day
    for client in &mut clients {
        let up = client.outside(b"x");
        client.send(&mut world, &up);
        world.down(client.number, &packet(OUTSIDE, v4(client.number), b"y"));
        let acknowledgement = client.seal(&[]);
        world.handle(client.remote, &acknowledgement);
    }
    assert_eq!(run(&mut world, from, 86_400), []);
    assert_eq!(world.plane.poll_deadline(), None);
}
