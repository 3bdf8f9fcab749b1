//! Servers, from the first to the last.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::World;

const SERVERS: &str = "/api/v1/wireguard";

#[tokio::test]
async fn chooses_what_is_not_given() {
    let world = World::new().await;

    let first = world.post(SERVERS, "").await.success();
    let second = world.post(SERVERS, "").await.success();

    for (key, value) in [
        ("name", json!("Default_1")),
        ("interface_name", json!("wg1")),
        ("address", json!("10.0.0.1/24")),
        ("listen_port", json!("51821")),
        ("external_ip", json!("192.0.2.1")),
        ("b_download", json!("0")),
        ("keep_alive", json!(25)),
        ("mtu", json!(1420)),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    for (key, value) in
        [("name", "Default_2"), ("interface_name", "wg2"), ("address", "10.0.1.1/24"), ("listen_port", "51822")]
    {
        assert_eq!(second[key], value, "{key}");
    }
    assert_ne!(first["private_key"], second["private_key"]);
    assert_ne!(first["address_ipv6"], second["address_ipv6"]);
}

#[tokio::test]
async fn takes_the_lowest_number_that_is_free_again() {
    let world = World::new().await;
    for _ in 0..3 {
        world.post(SERVERS, "").await.success();
    }
    assert_eq!(world.delete("/api/v1/wireguard/Default_2").await.success(), "success");

    assert_eq!(world.post(SERVERS, "").await.success()["name"], "Default_2");
}

#[tokio::test]
async fn keeps_what_an_edit_does_not_name() {
    let world = World::furnished().await;
    let mut before = world.get("/api/v1/wireguard/Default_1").await.success();

    let after = world.put("/api/v1/wireguard/Default_1", "listen_port=52000&dns_1=9.9.9.9").await.success();

    before["listen_port"] = json!("52000");
    before["dns_1"] = json!("9.9.9.9");
    assert_eq!(after, before);
    assert_eq!(world.get("/api/v1/wireguard/Default_1").await.success(), after);
}

#[tokio::test]
async fn leaves_everything_as_it_was_when_it_refuses() {
    let world = World::furnished().await;
    let before = world.get(SERVERS).await.success();

    // the last of the fields is the wrong one
    let form = "mtu=1300&keep_alive=7&dns_1=9.9.9.9&b_download=10&external_ip=198.51.100.1&listen_port=51822";
    assert_eq!(world.put("/api/v1/wireguard/Default_1", form).await.refusal(), "Port already in use");
    assert_eq!(world.post(SERVERS, "name=new&b_upload=10001").await.json()["status"], "error");
    assert_eq!(world.delete("/api/v1/wireguard/Default_1").await.json()["status"], "error");

    assert_eq!(world.get(SERVERS).await.success(), before);
}

#[tokio::test]
async fn restores_the_plus_of_raw_keys() {
    let world = World::new().await;
    // its base64 has a plus in either key
    let (private, public) =
        ("aNKn9bgK8/GkCp+HpyF8k6XTVGlSPjLCbSGS5d5aSHo=", derived("aNKn9bgK8/GkCp+HpyF8k6XTVGlSPjLCbSGS5d5aSHo="));

    let server = world.post(SERVERS, &format!("private_key={private}&public_key={public}&\n")).await.success();

    assert_eq!((server["private_key"].as_str(), server["public_key"].as_str()), (Some(private), Some(public.as_str())));
}

fn derived(private: &str) -> String {
    culvert::domain::key::PrivateKey::parse(private).unwrap().public().to_string()
}

#[tokio::test]
async fn takes_booleans_in_every_spelling() {
    let world = World::furnished().await;
    for (text, value) in [("1", true), ("0", false), ("true", true), ("False", false), ("TRUE", true), (" 0 ", false)] {
        let server = world.put("/api/v1/wireguard/Default_1", &format!("internal_traffic={text}")).await.success();
        assert_eq!(server["internal_traffic"], value, "{text:?}");
    }
    let refused = world.put("/api/v1/wireguard/Default_1", "internal_traffic=yes").await;
    assert!(refused.refusal().starts_with("Incorrect value internal_traffic"));
}

#[tokio::test]
async fn gives_servers_that_are_added_at_once_numbers_of_their_own() {
    let world = Arc::new(World::new().await);
    let mut adding = JoinSet::new();
    for _ in 0..12 {
        let world = Arc::clone(&world);
        adding.spawn(async move { world.post(SERVERS, "").await.success() });
    }

    let servers = adding.join_all().await;

    for key in ["name", "interface_name", "address", "address_ipv6", "listen_port", "private_key"] {
        let values: BTreeSet<_> = servers.iter().map(|server| server[key].to_string()).collect();
        assert_eq!(values.len(), 12, "{key}");
    }
    assert_eq!(world.get(SERVERS).await.success().as_object().unwrap().len(), 12);
}

#[tokio::test]
async fn sets_the_bandwidth_of_all_accounts() {
    let world = World::furnished().await;
    let bandwidths = async || -> Vec<(Value, Value)> {
        let peers = world.get("/api/v1/wireguard/Default_1/peers").await.success();
        peers.as_object().unwrap().values().map(|peer| (peer["b_download"].clone(), peer["b_upload"].clone())).collect()
    };
    let set = "/api/v1/wireguard/Default_1/set_bandwidth";

    assert_eq!(world.put(set, "b_download=10&b_upload=20").await.success(), "");
    assert_eq!(bandwidths().await, vec![(json!("10"), json!("20")); 2]);

    world.put("/api/v1/wireguard/Default_1", "b_download=7&b_upload=8").await.success();
    assert_eq!(bandwidths().await, vec![(json!("10"), json!("20")); 2]);
    assert_eq!(world.get(set).await.success(), "");
    assert_eq!(bandwidths().await, vec![(json!("7"), json!("8")); 2]);

    world.call(Method::GET, &format!("{set}?b_download=3"), "b_upload=4").await.success();
    assert_eq!(bandwidths().await, vec![(json!("3"), json!("4")); 2]);

    assert_eq!(world.put(set, "b_download=10001").await.json()["status"], "error");
    assert_eq!(bandwidths().await, vec![(json!("3"), json!("4")); 2]);
}

#[tokio::test]
async fn offers_the_addresses_that_are_free() {
    let world = World::furnished().await;

    let free = world.get("/api/v1/wireguard/Default_1/available_ips").await.success();

    let free: Vec<_> = free.as_array().unwrap().iter().map(|address| address.as_str().unwrap()).collect();
    assert_eq!((free[0], free[free.len() - 1], free.len()), ("10.0.0.4", "10.0.0.254", 251));
}

#[tokio::test]
async fn shows_port_and_key_as_a_dump() {
    let world = World::furnished().await;
    let server = world.get("/api/v1/wireguard/Default_1").await.success();

    let dump = world.get("/api/v1/wireguard/Default_1/dump").await.success();

    assert_eq!(dump, json!({"port": "51821", "public_key": server["public_key"]}));
}

#[tokio::test]
async fn takes_what_the_examples_do_not_print() {
    let world = World::new().await;

    let form = "mtu=1280&allowed_ips=10.0.0.0/8, 192.168.1.0/24&endpoint=vpn.example&ipv6=1&address_ipv6=fd00:1::1/64\
                &dns_1_ipv6=2620:fe::fe&disable_nat=1";
    let server = world.post(SERVERS, form).await.success();

    assert_eq!(server["mtu"], 1280);
    assert_eq!(server["allowed_ips"], "10.0.0.0/8, 192.168.1.0/24");
    assert_eq!(server["endpoint"], "vpn.example");
    assert_eq!(server["ipv6"], true);
    assert_eq!(server["address_ipv6"], "fd00:1::1/64");
    assert_eq!(server["dns_1_ipv6"], "2620:fe::fe");
    assert_eq!(server["dns_2_ipv6"], "");
    assert_eq!(server["disable_nat"], true);
}

#[tokio::test]
async fn outlives_the_process() {
    let world = World::furnished().await;
    let before = world.get(SERVERS).await.success();

    let world = world.reopened().await;

    assert_eq!(world.get(SERVERS).await.success(), before);
    assert_eq!(world.get("/api/v1/account").await.success().as_array().unwrap().len(), 2);
}
