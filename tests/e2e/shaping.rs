//! An account's rate, on both uplinks; and the list of its connections.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::http::{self, Body};
use crate::rig::peer::Peer;
use crate::rig::world::{HOST, HOST_V6, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    an_accounts_rate_holds_each_way
    a_changed_rate_applies_at_once_and_leaves_the_session_alone
    the_rate_of_one_account_is_not_that_of_another
    an_open_flow_is_listed
}

/// The payload of a full segment, and the bytes of IP that hold it.
const SEGMENT: [f64; 2] = [1_368.0, 1_420.0];

/// A download that says when its bytes came.
fn download(peer: &Peer, length: usize, came: &Mutex<Vec<(Instant, usize)>>) -> String {
    let stream = peer.connect_to(HOST, 80).unwrap();
    http::get(stream, length, |total| came.lock().unwrap().push((Instant::now(), total))).unwrap()
}

/// Mbit/s of IP from one look to another.
fn rate(from: (Instant, usize), to: (Instant, usize)) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let bits = (to.1 - from.1) as f64 * 8.0 * SEGMENT[1] / SEGMENT[0];
    bits / to.0.duration_since(from.0).as_secs_f64() / 1e6
}

fn an_accounts_rate_holds_each_way(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    appliance.api("PUT", "account/peer_1", "b_download=20&b_upload=10");

    let came = Mutex::new(Vec::new());
    let length = 10_000_000;
    assert_eq!(download(&peer, length, &came), Body::digest(length));
    let came = came.into_inner().unwrap();
    // without the beginning, where a burst is allowed
    let first = *came.iter().find(|(_, total)| *total > 1_000_000).unwrap();
    let down = rate(first, *came.last().unwrap());
    assert!((18.0..20.3).contains(&down), "{down} Mbit/s of 20");

    let length = 5_000_000;
    let begun = Instant::now();
    assert_eq!(http::put(peer.connect_to(HOST, 80).unwrap(), length).unwrap(), Body::digest(length));
    // with the beginning: here only the far end knows when bytes came
    let up = rate((begun, 0), (Instant::now(), length));
    assert!((8.5..11.0).contains(&up), "{up} Mbit/s of 10");
}

fn a_changed_rate_applies_at_once_and_leaves_the_session_alone(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    appliance.api("PUT", "account/peer_1", "b_download=10");
    let shaken = peer.tunnel.handshake(&peer.place.host);
    let came = Mutex::new(Vec::new());
    let length = 400_000_000;

    thread::scope(|scope| {
        let whole = scope.spawn(|| download(&peer, length, &came));
        // looks at what came in the last second, once a whole one has passed since `since`
        let measured = |since: Instant, wanted: std::ops::Range<f64>| {
            until(PATIENCE, &format!("a rate of {wanted:?}"), || {
                let came = came.lock().unwrap();
                let last = *came.last()?;
                let first = *came.iter().find(|(at, _)| *at + Duration::from_secs(1) > last.0)?;
                (first.0 > since && last.0 > first.0 && wanted.contains(&rate(first, last))).then_some(last.0)
            })
        };
        measured(Instant::now(), 8.0..11.0);
        appliance.api("PUT", "account/peer_1", "b_download=50");
        let changed = Instant::now();
        let seen = measured(changed, 40.0..55.0);
        assert!(seen - changed < Duration::from_secs(4), "only after {:?}", seen - changed);
        appliance.api("PUT", "account/peer_1", "b_download=0");
        let changed = Instant::now();
        measured(changed, 100.0..1e6);
        assert_eq!(whole.join().unwrap(), Body::digest(length));
    });
    assert_eq!(peer.tunnel.handshake(&peer.place.host), shaken, "the session was not the same all along");
}

fn the_rate_of_one_account_is_not_that_of_another(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let (slow, free) = (appliance.peer(&world, "peer_1"), appliance.add_peer(&world, "free"));
    appliance.api("PUT", "account/peer_1", "b_download=5&b_upload=5");

    thread::scope(|scope| {
        let slow = scope.spawn(|| http::get(slow.connect_to(HOST, 80).unwrap(), 2_000_000, |_| {}));
        let begun = Instant::now();
        http::get(free.connect_to(HOST, 80).unwrap(), 20_000_000, |_| {}).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?} for 20 MB", begun.elapsed());
        assert!(!slow.is_finished(), "5 Mbit/s were not kept");
        slow.join().unwrap().unwrap();
    });
    // the sum of both families is what is limited
    let took = |host: &str| {
        let begun = Instant::now();
        http::get(slow.connect_to(host, 80).unwrap(), 1_000_000, |_| {}).unwrap();
        begun.elapsed()
    };
    let alone = took(HOST_V6);
    let together = thread::scope(|scope| {
        let other = scope.spawn(|| took(HOST));
        took(HOST_V6).max(other.join().unwrap())
    });
    assert!(together > alone.mul_f64(1.5), "{alone:?} alone, {together:?} together");
}

fn an_open_flow_is_listed(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let (peer, other) = (appliance.peer(&world, "peer_1"), appliance.add_peer(&world, "other"));
    let stream = peer.connect_to(HOST, 80).unwrap();
    let own = stream.local_addr().unwrap().port().to_string();
    let listed = |account: &str| appliance.api("GET", &format!("account/{account}/connections"), "").to_string();

    let text = until(PATIENCE, "the flow in the list", || {
        let text = listed("peer_1");
        (text.contains(HOST) && text.contains(&own)).then_some(text)
    });
    assert!(text.contains(peer.address()) && text.to_lowercase().contains("tcp"), "{text}");
    assert!(!listed("other").contains(&own));
    assert_ne!(appliance.call("GET", "account/nobody/connections", "")["status"], "success");
    drop((stream, other));
}
