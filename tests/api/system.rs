//! The appliance itself.

use std::sync::Arc;

use axum::http::Method;
use culvert::runtime::{self, Runtime};
use tokio::sync::watch;

use crate::support::World;

#[tokio::test]
async fn counts_what_there_is() {
    let world = World::furnished().await;

    let status = world.get("/api/v1/system/status").await.success();

    assert_eq!(status["count_wireguard"], 2);
    assert_eq!(status["count_accounts"], 2);
    assert_eq!(status["license_valid"], true);
    assert_eq!(status["status"], "OK");
    assert_eq!(status["version"], "0.0.0");
}

#[tokio::test]
async fn counts_the_operators_cap_as_available() {
    let world = World::with_cap(500).await;

    let status = world.get("/api/v1/system/status").await.success();

    assert_eq!(status["count_accounts_available"], 500);
}

#[tokio::test]
async fn knows_the_host() {
    let world = World::new().await;

    let host = world.get("/api/v1/system/info").await.success();

    let number = |key: &str| host[key].as_str().unwrap().parse::<f64>().unwrap();
    assert!(number("memory_total") > 0.0 && number("memory_free") <= number("memory_total"));
    assert!((0.0..=100.0).contains(&number("memory_used_percent")));
    assert!(number("cpu_threads") >= 1.0 && number("cpu_used_load1") >= 0.0);
    for key in ["cpu_model", "hostname", "os_architecture", "os_name", "timezone"] {
        assert_ne!(host[key], "", "{key}");
    }
}

#[tokio::test]
async fn tells_the_operator_which_way_packets_leave() {
    let world = World::furnished().await;

    let status = world.operate(Method::GET, "/local/v1/status", "").await.success();

    assert_eq!(status["uplink"]["name"], "none");
    assert_eq!(status["uplink"]["why"], "nothing runs");
    assert_eq!((status["servers"].as_u64(), status["accounts"].as_u64()), (Some(2), Some(2)));
    assert_eq!(status["faults"], serde_json::json!([]));
    let before = status["revision"].as_u64().unwrap();
    world.put("/api/v1/account/peer_1", "b_upload=5").await.success();
    let status = world.operate(Method::GET, "/local/v1/status", "").await.success();
    assert_eq!(status["revision"], before + 1);
}

#[tokio::test]
async fn lets_the_operator_do_all_that_a_key_may() {
    let world = World::new().await;

    world.operate(Method::POST, "/api/v1/wireguard", "name=web").await.success();

    assert_eq!(world.get("/api/v1/wireguard/web").await.success()["name"], "web");
}

#[tokio::test]
async fn says_what_it_does_until_everything_runs() {
    let world = World::furnished().await;
    let (_store, intended) = watch::channel(Arc::default());
    let settings = runtime::Settings { workers: Some(1), ..runtime::Settings::default() };

    // on this one thread nothing else runs between the start and the answer
    let starting = Runtime::start(&settings, intended).unwrap();
    let world = world.above(starting.clone());
    let status = world.operate(Method::GET, "/api/v1/system/status", "").await.success();

    assert_eq!(status["status"], "Loading (starting)");
    starting.stop().await;
}

#[tokio::test]
async fn keeps_its_settings_over_a_restart_until_they_are_set_back() {
    let world = World::new().await;
    let first = world.get("/api/v1/system/config").await.success();
    let form = "traffic_statistics_frequency=10&traffic_statistics_history=5&wireguard_handshake_uptime=300";

    let edited = world.put("/api/v1/system/config", form).await.success();
    let world = world.reopened().await;
    let kept = world.get("/api/v1/system/config").await.success();
    let back = world.put("/api/v1/system/config/default", "").await.success();

    let expected = |frequency, history, uptime| {
        serde_json::json!({
            "traffic_statistics_frequency": frequency,
            "traffic_statistics_history": history,
            "wireguard_handshake_uptime": uptime,
        })
    };
    assert_eq!(edited, expected(10, 5, 300));
    assert_eq!(kept, edited);
    assert_eq!((&first, &back), (&expected(5, 2, 180), &first));
}

#[tokio::test]
async fn has_a_licence_for_as_many_accounts_as_the_operator_allows() {
    let (capped, free) = (World::with_cap(2).await, World::new().await);
    capped.furnish().await;

    let license = capped.get("/api/v1/license").await.success();
    let unlimited = free.get("/api/v1/license").await.success();

    assert_eq!((license["accounts"].as_u64(), license["valid"].as_bool()), (Some(2), Some(true)));
    assert_eq!((unlimited["accounts"].as_u64(), unlimited["valid"].as_bool()), (Some(2_147_483_647), Some(true)));
    let refused = capped.post("/api/v1/account", "wg_name=Default_1").await;
    assert_eq!(refused.refusal(), "VPN account limit exceeded");
}

#[tokio::test]
async fn has_no_valid_licence_where_there_are_more_accounts_than_the_operator_allows() {
    let world = World::furnished().await.with_another_cap(1);

    let (license, status) =
        (world.get("/api/v1/license").await.success(), world.get("/api/v1/system/status").await.success());

    assert_eq!((license["valid"].as_bool(), status["license_valid"].as_bool()), (Some(false), Some(false)));
    assert_eq!((status["count_accounts"].as_u64(), status["count_accounts_available"].as_u64()), (Some(2), Some(1)));
}
