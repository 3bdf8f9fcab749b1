//! The resolver's settings, as the API shows and changes them.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn shows_a_resolver_that_answers_the_clients_of_every_server_from_the_start() {
    let world = World::furnished().await;
    world.put("/api/v1/wireguard/spare", "ipv6=1").await.success();

    let shown = world.get("/api/v1/dns").await.success();

    let v6 = world.get("/api/v1/wireguard/spare").await.success()["address_ipv6"].as_str().unwrap().to_owned();
    let v6: ipnet::Ipv6Net = v6.parse().unwrap();
    assert_eq!(shown["acl"], json!(["10.0.0.0/24", "10.0.1.0/24", v6.trunc().to_string()]));
    assert_eq!((&shown["enabled"], &shown["max_cache_ttl"]), (&json!(true), &json!("3600")));
    assert_eq!((&shown["forwarders_1"], &shown["forwarders_2"]), (&json!("1.1.1.1"), &json!("9.9.9.9")));
    assert_eq!(shown["bind9"], "0.0.0 (Culvert, in process)");
    assert_eq!(shown["pid"], std::process::id().to_string());
}

#[tokio::test]
async fn changes_what_is_named_and_keeps_the_rest_over_a_restart() {
    let world = World::new().await;

    let edited = world.put("/api/v1/dns", "enabled=0&forwarders_1=192.0.2.53/32&max_cache_ttl=300").await.success();
    world.put("/api/v1/dns", "forwarders_2=2001:db8::53").await.success();
    let world = world.reopened().await;
    let shown = world.get("/api/v1/dns").await.success();

    assert_eq!((&edited["enabled"], &edited["forwarders_1"]), (&json!(false), &json!("192.0.2.53")));
    assert_eq!((&shown["enabled"], &shown["max_cache_ttl"]), (&json!(false), &json!("300")));
    assert_eq!((&shown["forwarders_1"], &shown["forwarders_2"]), (&json!("192.0.2.53"), &json!("2001:db8::53")));
}

#[tokio::test]
async fn goes_back_to_the_forwarders_of_the_configuration() {
    let world = World::new().await;
    world.put("/api/v1/dns", "forwarders_1=192.0.2.53").await.success();

    let edited = world.put("/api/v1/dns", "forwarders_1=").await.success();

    assert_eq!(edited["forwarders_1"], "1.1.1.1");
}

#[tokio::test]
async fn shows_one_forwarder_where_both_are_the_same() {
    let world = World::new().await;

    let edited = world.put("/api/v1/dns", "forwarders_1=192.0.2.53&forwarders_2=192.0.2.53").await.success();

    assert_eq!((&edited["forwarders_1"], &edited["forwarders_2"]), (&json!("192.0.2.53"), &json!("")));
}

#[tokio::test]
async fn refuses_a_change_with_one_value_that_cannot_be_and_changes_nothing() {
    let world = World::furnished().await;
    for (form, text) in [
        ("forwarders_1=10.0.1.1", "Incorrect data in Forwarder1 parameters"),
        ("forwarders_2=0.0.0.0", "Incorrect data in Forwarder2 parameters"),
        ("max_cache_ttl=29", "Incorrect value max_cache_ttl (should be 30 to 3600)"),
        ("max_cache_ttl=3601", "Incorrect value max_cache_ttl (should be 30 to 3600)"),
        ("enabled=maybe", "Incorrect value enabled (should be 1|0)"),
    ] {
        let reply = world.put("/api/v1/dns", &format!("max_cache_ttl=60&{form}")).await;
        assert_eq!(reply.refusal(), text, "{form}");
    }
    assert_eq!(world.get("/api/v1/dns").await.success()["max_cache_ttl"], "3600");
}
