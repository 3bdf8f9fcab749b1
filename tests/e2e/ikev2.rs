//! Clients by IKEv2: strongSwan logs in, and everything behind the tunnel is as it is for WireGuard.

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::http::{self, Body};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::world::{HOST, HOST_V6, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    a_client_logs_in_and_reaches_the_internet
    a_client_of_either_family_is_served_over_ipv6
    an_rsa_certificate_with_4096_bits_goes_in_fragments
    a_client_that_names_no_hash_is_shown_a_signature_over_sha1
    the_operator_ends_connections
    an_account_by_both_links_is_answered_by_the_one_that_spoke_last
}

/// How many bytes a download has.
const LENGTH: usize = 3_000_001;

/// An appliance that speaks IKEv2, and its authority.
fn appliance<'a>(world: &'a World, uplink: Uplink, key: &str) -> (Appliance<'a>, String) {
    strongswan::allow_ports(world);
    world.allow_ping();
    let appliance = Appliance::start_on(world, uplink, &[]);
    let authority = strongswan::prepare(&appliance, key);
    (appliance, authority)
}

fn assert_serves(client: &Client, host: &str) {
    assert_eq!(client.ping(host, 5), 5, "pings to {host}");
    let down = http::get(client.connect_to(host, 80).unwrap(), LENGTH, |_| {}).unwrap();
    assert_eq!(down, Body::digest(LENGTH), "down from {host}");
    let up = http::put(client.connect_to(host, 80).unwrap(), LENGTH).unwrap();
    assert_eq!(up, Body::digest(LENGTH), "up to {host}");
}

fn a_client_logs_in_and_reaches_the_internet(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink, "ecdsa256");

    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));

    assert_serves(&client, HOST);
    let online = appliance.api("GET", "ikev2/online", "");
    let online = online.as_array().unwrap();
    assert_eq!(online.len(), 1, "{online:?}");
    assert_eq!((&online[0]["name"], &online[0]["endpoint"]), (&"peer_1".into(), &client.place.v4(2).into()));
    client.disconnect();
    until(PATIENCE, "nobody online", || {
        (appliance.api("GET", "ikev2/online", "") == serde_json::json!([])).then_some(())
    });
    assert!(!client.passes(), "packets pass without a connection");
}

fn a_client_of_either_family_is_served_over_ipv6(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink, "ecdsa384");
    appliance.api("PUT", "wireguard/Default_1", "ipv6=1");
    let setup = Setup { server: crate::rig::world::SERVER_V6, ..Setup::of(&appliance, "peer_1") };

    let client = Client::connected(&world, &authority, &setup);

    assert_serves(&client, HOST);
    assert_serves(&client, HOST_V6);
}

fn an_rsa_certificate_with_4096_bits_goes_in_fragments(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink, "rsa4096");

    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));

    assert!(client.said().contains("EF(1/"), "no fragment came");
    assert_serves(&client, HOST);
}

fn a_client_that_names_no_hash_is_shown_a_signature_over_sha1(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink, "rsa2048");
    let mut setup = Setup::of(&appliance, "peer_1");
    setup.daemon.push_str("signature_authentication = no\n");

    let client = Client::connected(&world, &authority, &setup);

    let said = client.said();
    assert!(
        said.contains(&format!("authentication of '{}' with RSA signature successful", strongswan::NAME)),
        "{said}"
    );
    assert!(client.passes());
}

fn the_operator_ends_connections(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink, "ecdsa256");
    let setup = Setup::of(&appliance, "peer_1");
    let client = Client::connected(&world, &authority, &setup);
    let gone = || until(PATIENCE, "the end of the client's tunnel", || client.associations().is_empty().then_some(()));

    appliance.api("DELETE", "ikev2/online/peer_1", "");
    gone();
    client.connect().unwrap();
    assert!(client.passes());

    appliance.api("PUT", "account/peer_1", "status=disable");
    gone();
    let said = client.connect().unwrap_err();
    assert!(said.contains("EAP_FAILURE") || said.contains("AUTH_FAILED"), "{said}");
    appliance.api("PUT", "account/peer_1", "status=enable");
    client.connect().unwrap();
    assert!(client.passes());

    appliance.api("PUT", "account/peer_1", "password=another");
    gone();
    client.connect().unwrap_err();
    appliance.api("PUT", "account/peer_1", &format!("password={}", setup.password));
    client.connect().unwrap();

    appliance.api("PUT", "wireguard/Default_1", "ikev2=0");
    gone();
    let (refused, _) = client.swanctl(&["--initiate", "--child", "k", "--timeout", "2"]);
    assert!(!refused, "let in by a server that speaks no IKEv2");
    appliance.api("PUT", "wireguard/Default_1", "ikev2=1");
    client.connect().unwrap();

    appliance.api("DELETE", "account/peer_1", "");
    gone();
    client.connect().unwrap_err();
}

fn an_account_by_both_links_is_answered_by_the_one_that_spoke_last(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink, "ecdsa256");
    let setup = Setup::of(&appliance, "peer_1");
    let peer = appliance.peer(&world, "peer_1");

    let client = Client::connected(&world, &authority, &setup);

    for _ in 0..3 {
        assert_serves(&client, HOST);
        peer.until_online(PATIENCE);
        let down = http::get(peer.connect_to(HOST, 80).unwrap(), LENGTH, |_| {}).unwrap();
        assert_eq!(down, Body::digest(LENGTH));
    }
}
