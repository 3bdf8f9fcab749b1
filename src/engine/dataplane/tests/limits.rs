//! What a flood of handshakes may cost.

use super::*;

/// Enough right initiations of strangers to bring the server under load; returns how many were more than calm.
fn flood(world: &mut World, count: u32) {
    let mut stranger = Client::new(9_999);
    let initiation = stranger.initiation();
    for _ in 0..count {
        assert!(
            world
                .handle(SocketAddr::from(([198, 51, 100, 250], 7)), &initiation)
                .sent
                .iter()
                .all(|sent| sent.1.len() == 64)
        );
    }
}

#[test]
fn asks_for_a_cookie_under_load_and_lets_in_who_shows_it() {
    let mut world = World::with_accounts(1);
    flood(&mut world, 1_001);
    assert!(world.dropped(DropReason::UnderLoad) >= 1);
    let mut client = Client::new(1);

    let first = client.initiation();
    let outcome = world.handle(client.remote, &first);

    assert_eq!(outcome.sent[0].1.len(), 64, "a cookie, no longer than what asked for it");
    assert_eq!(client.answer(&outcome.sent[0].1), None);
    client.connect(&mut world);
}

#[test]
fn is_calm_again_when_the_flood_is_over() {
    let mut world = World::with_accounts(1);
    flood(&mut world, 1_500);
    world.pass(Duration::from_millis(2_100));
    let _client = Client::connected(1, &mut world);
}

#[test]
fn lets_a_cookie_holder_try_5_times_at_once_and_20_times_a_second() {
    let mut world = World::with_accounts(1);
    flood(&mut world, 1_001);
    let mut client = Client::new(1);
    let first = client.initiation();
    let cookie = world.handle(client.remote, &first).sent[0].1.clone();
    client.answer(&cookie);
    let mut answered = 0;
    // 3,000 tries in one second, while others keep the server under load
    for try_number in 0..3_000 {
        if try_number % 2 == 0 {
            flood(&mut world, 1);
        }
        let initiation = client.initiation();
        let sent = world.handle(client.remote, &initiation).sent;
        answered += sent.iter().filter(|sent| sent.1.len() == 92).count();
        world.pass(Duration::from_micros(333));
    }
    assert!((20..=25).contains(&answered), "{answered}");
    assert!(world.dropped(DropReason::AddressLimited) > 2_900);
}

#[test]
fn answers_one_peer_at_most_50_times_a_second() {
    let mut world = World::with_accounts(1);
    let mut client = Client::new(1);
    let mut answered = 0;
    for _ in 0..900 {
        let initiation = client.initiation();
        answered += world.handle(client.remote, &initiation).sent.len();
        world.pass(Duration::from_millis(1) + Duration::from_micros(111));
    }
    assert!((45..=51).contains(&answered), "{answered}");
}

#[test]
fn gives_each_address_a_bucket_of_its_own_and_an_ipv6_network_one() {
    let now = start();
    let public = x25519::PublicKey::from(*server().public_key.as_bytes());
    let mut limiter = super::super::limiter::FrontLimiter::new(&public, 1, now);
    let mut spent = |address: &str| limiter.try_spend(address.parse().unwrap(), now);
    assert!((0..5).all(|_| spent("198.51.100.1")) && !spent("198.51.100.1"));
    assert!(spent("198.51.100.2"));
    assert!((0..5).all(|host| spent(&format!("2001:db8::{host}"))) && !spent("2001:db8::77"));
    assert!(spent("2001:db8:0:1::1"));
}
