//! What an operator decides about an account holds for IKEv2 as for WireGuard: rate, firewall, neighbours, quota, figures.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::hosts;
use crate::rig::http::{self, Body};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::world::{HOST, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    an_accounts_rate_holds_each_way
    rules_and_neighbourhood_are_the_firewalls
    a_quota_cuts_a_client_off_and_what_it_moved_is_counted
}

/// Longer than any answer takes on a loaded machine, shorter than patience.
const SILENCE: Duration = Duration::from_secs(1);
/// The payload of a full segment through the daemon's TUN of 1,400 bytes, and the bytes of IP that hold it.
const SEGMENT: [f64; 2] = [1_348.0, 1_400.0];

/// An appliance that speaks IKEv2, and its authority.
fn appliance(world: &World, uplink: Uplink) -> (Appliance<'_>, String) {
    strongswan::allow_ports(world);
    let appliance = Appliance::start_on(world, uplink, &[]);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    (appliance, authority)
}

/// An account's inner address.
fn address(appliance: &Appliance<'_>, account: &str) -> String {
    let detail = appliance.api("GET", &format!("account/{account}"), "");
    detail["allowed_IPs"].as_str().unwrap().split('/').next().unwrap().to_owned()
}

/// Mbit/s of IP that so many bytes of payload are.
fn rate(bytes: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let bits = bytes as f64 * 8.0 * SEGMENT[1] / SEGMENT[0];
    bits / took.as_secs_f64() / 1e6
}

fn an_accounts_rate_holds_each_way(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink);
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));
    appliance.api("PUT", "account/peer_1", "b_download=20&b_upload=10");

    let (length, mut first) = (8_000_000, None);
    let down = http::get(client.connect_to(HOST, 80).unwrap(), length, |total| {
        // without the beginning, where a burst is allowed
        if first.is_none() && total > 1_000_000 {
            first = Some((Instant::now(), total));
        }
    });
    assert_eq!(down.unwrap(), Body::digest(length));
    let (since, before) = first.unwrap();
    let down = rate(length - before, since.elapsed());
    assert!((19.0..21.0).contains(&down), "{down} Mbit/s of 20");

    let length = 4_000_000;
    let begun = Instant::now();
    assert_eq!(http::put(client.connect_to(HOST, 80).unwrap(), length).unwrap(), Body::digest(length));
    // with the beginning: here only the far end knows when bytes came
    let up = rate(length, begun.elapsed());
    assert!((8.5..11.0).contains(&up), "{up} Mbit/s of 10");
}

fn rules_and_neighbourhood_are_the_firewalls(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink);
    appliance.api("POST", "account", "wg_name=Default_1&name=second&username=second&password=word");
    let first = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));
    let second = Client::connected(&world, &authority, &Setup::of(&appliance, "second"));
    let neighbour = address(&appliance, "second");
    hosts::say_at(&second.place.host, &neighbour, 7_000, "neighbour");
    let reached = || first.ask(&neighbour, 7_000, b"hello", SILENCE).is_ok_and(|said| said == b"neighbour");

    for (server, all, expected) in [(1, 1, true), (0, 1, false), (1, 0, false), (1, 1, true)] {
        appliance.api("PUT", "wireguard/Default_1", &format!("internal_traffic={server}"));
        appliance.api("PUT", "firewall/conf", &format!("internal_traffic={all}"));
        assert_eq!(reached(), expected, "server {server}, all {all}");
    }
    let places = format!("s_ip={}/32&d_ip={HOST}/32&s_port=0&d_port=7", address(&appliance, "peer_1"));
    let rule = format!("name=no_echo&action=DROP&chain=FORWARD&protocol=UDP&{places}");
    appliance.api("POST", "firewall/rules/filter/end", &rule);
    assert!(first.ask(HOST, 7, b"here", SILENCE).is_err(), "a rule against it was passed");
    assert!(second.passes(), "a rule against another held it up");
    appliance.api("DELETE", "firewall/rules/filter/no_echo", "");
    first.until_online(PATIENCE);
}

fn a_quota_cuts_a_client_off_and_what_it_moved_is_counted(uplink: Uplink) {
    const QUOTA: usize = 5_000_000;
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink);
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));
    appliance.api("PUT", "account/peer_1", &format!("quota={QUOTA}&quota_period=day"));

    let stream = client.connect_to(HOST, 80).unwrap();
    // nothing that ends a connection comes through, so it may wait for ever
    let _endless = thread::spawn(move || http::get(stream, 20_000_000_000, |_| {}));
    let state = |wanted: &str| {
        until(PATIENCE, wanted, || (appliance.api("GET", "account/peer_1", "")["state"] == wanted).then_some(()));
    };
    state("over_quota");
    until(PATIENCE, "no packet", || (!client.passes()).then_some(()));

    appliance.api("PUT", "account/peer_1", "quota=0");
    state("active");
    if client.associations().is_empty() {
        client.connect().unwrap();
    }
    client.until_online(PATIENCE);
    let today = appliance.api("GET", "account/peer_1/traffic_statistics/now/now", "");
    let moved: u64 = today.as_array().unwrap().iter().map(|day| day["traffic_download"].as_u64().unwrap()).sum();
    assert!(moved >= QUOTA as u64, "{moved} bytes were counted");
}
