//! Who may call, and how often somebody may be wrong about it.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};

use crate::support::{HOME, Reply, World};

const REFUSED: &str = r#"{"error":"Not authorized","msg":"","status":"error"}"#;
const STATUS: &str = "/api/v1/system/status";

async fn show(world: &World, from: &str, hash: &str) -> Reply {
    let address: IpAddr = from.parse().unwrap();
    let request =
        World::request_from(address, Method::GET, STATUS).header(header::COOKIE, format!("access_hash={hash}"));
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn refuses_a_wrong_address_an_unknown_hash_and_a_deleted_one_alike() {
    let world = World::new().await;
    let made = world.operate(Method::POST, "/local/v1/access", "label=old&ip=198.51.100.7").await.success();
    let deleted = made["access_hash"].as_str().unwrap();
    show(&world, "198.51.100.7", deleted).await.success();
    world.operate(Method::DELETE, "/local/v1/access/old", "").await.success();

    let replies = [
        show(&world, "198.51.100.1", &world.hash).await,
        show(&world, "198.51.100.2", &"0".repeat(80)).await,
        show(&world, "198.51.100.7", deleted).await,
        show(&world, "198.51.100.3", "nonsense").await,
        show(&world, "198.51.100.4", "").await,
    ];

    for reply in &replies {
        assert_eq!((reply.code, reply.body.as_str()), (StatusCode::OK, REFUSED));
        assert_eq!(reply.headers, replies[0].headers);
    }
}

#[tokio::test]
async fn lets_in_who_shows_the_hash_in_the_header() {
    let world = World::new().await;
    let ask = |from: &str, scheme: &str, cookie: Option<&str>| {
        let request = World::request_from(from.parse().unwrap(), Method::GET, STATUS);
        let request = request.header(header::AUTHORIZATION, format!("{scheme} {}", world.hash));
        let cookie = cookie.map(|hash| format!("access_hash={hash}"));
        let request = cookie.into_iter().fold(request, |request, cookie| request.header(header::COOKIE, cookie));
        request.body(Body::empty()).unwrap()
    };

    world.send(ask("127.0.0.1", "Bearer", None)).await.success();
    world.send(ask("127.0.0.1", "bearer", Some("stale"))).await.success();
    world.send(ask("127.0.0.1", "Basic", Some(&world.hash))).await.success();
    assert_eq!(world.send(ask("127.0.0.1", "Basic", None)).await.body, REFUSED);
    assert_eq!(world.send(ask("198.51.100.1", "Bearer", None)).await.body, REFUSED);
}

#[tokio::test]
async fn counts_wrong_hashes_in_the_header_as_those_in_the_cookie() {
    let world = World::new().await;
    let wrong = || {
        let request = World::request_from(HOME, Method::GET, STATUS).header(header::AUTHORIZATION, "Bearer wrong");
        request.body(Body::empty()).unwrap()
    };
    for _ in 0..10 {
        assert_eq!(world.send(wrong()).await.body, REFUSED);
    }

    assert_eq!(world.send(wrong()).await.code, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn refuses_the_header_from_a_page_of_another_host() {
    let world = World::new().await;
    let request = World::request_from(HOME, Method::GET, STATUS).header(header::HOST, "vpn.example:8098");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", world.hash));

    let reply = world.send(request.header(header::ORIGIN, "https://evil.example").body(Body::empty()).unwrap()).await;

    assert_eq!(reply.body, REFUSED);
}

#[tokio::test]
async fn shows_a_hash_once_and_keeps_only_what_it_is_for() {
    let world = World::new().await;

    let made = world.operate(Method::POST, "/local/v1/access", "label=billing&ip=2001:db8::1").await.success();

    let hash = made["access_hash"].as_str().unwrap();
    assert!(hash.len() == 80 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let listed = world.operate(Method::GET, "/local/v1/access", "").await;
    assert!(!listed.body.contains(hash) && !listed.body.contains(&world.hash));
    let listed = listed.success();
    assert_eq!(listed[0]["label"], "billing");
    assert_eq!(listed[0]["ip"], "2001:db8::1");
    assert_eq!(listed[0]["last_login"], serde_json::Value::Null);
    show(&world, "2001:db8::1", hash).await.success();
    // the time is written behind the answer; writes keep their order
    world.operate(Method::POST, "/local/v1/access", "label=later&ip=::1").await.success();
    let listed = world.operate(Method::GET, "/local/v1/access", "").await.success();
    assert!(listed[0]["last_login"].is_string());
}

#[tokio::test]
async fn refuses_labels_and_addresses_that_mean_nothing() {
    let world = World::new().await;
    for form in ["", "label=a", "ip=127.0.0.1", "label=a&ip=x", "label=a&ip=10.0.0.0/33", "label=%0a&ip=::1"] {
        let refusal = world.operate(Method::POST, "/local/v1/access", form).await.refusal();
        assert!(refusal.starts_with("Incorrect value"), "{form}: {refusal}");
    }
    let taken = world.operate(Method::POST, "/local/v1/access", "label=home&ip=127.0.0.1").await;
    assert_eq!(taken.refusal(), "The name is already in use");
    let unknown = world.operate(Method::DELETE, "/local/v1/access/nobody", "").await;
    assert_eq!(unknown.refusal(), "Access not found");
}

#[tokio::test]
async fn keeps_the_operators_own_paths_from_the_world() {
    let world = World::new().await;
    for (method, path) in [
        (Method::GET, "/local/v1/status"),
        (Method::GET, "/local/v1/access"),
        (Method::POST, "/local/v1/access"),
        (Method::DELETE, "/local/v1/access/home"),
    ] {
        let reply = world.call(method, path, "").await;
        assert_eq!((reply.code, reply.refusal().as_str()), (StatusCode::NOT_FOUND, "Not found"), "{path}");
    }
}

#[tokio::test]
async fn answers_429_after_ten_wrong_hashes_and_only_to_wrong_ones() {
    let world = World::new().await;
    for _ in 0..10 {
        assert_eq!(show(&world, "127.0.0.1", "wrong").await.body, REFUSED);
    }

    let eleventh = show(&world, "127.0.0.1", "wrong").await;

    assert_eq!((eleventh.code, eleventh.refusal().as_str()), (StatusCode::TOO_MANY_REQUESTS, "Too many requests"));
    show(&world, "127.0.0.1", &world.hash).await.success();
    assert_eq!(show(&world, "127.0.0.2", "wrong").await.body, REFUSED);
}

#[tokio::test]
async fn counts_nothing_against_a_request_that_shows_no_hash() {
    let world = World::new().await;
    for _ in 0..50 {
        let request = World::request_from(HOME, Method::GET, STATUS).body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.body, REFUSED);
    }
}

#[tokio::test]
async fn believes_a_forwarded_address_from_a_proxy_alone() {
    let world = World::new().await;
    let forwarded = |from: &str, by: &str| {
        let request = World::request_from(by.parse().unwrap(), Method::GET, STATUS)
            .header(header::COOKIE, format!("access_hash={}", world.hash))
            .header("x-forwarded-for", from);
        request.body(Body::empty()).unwrap()
    };

    for by in ["198.51.100.7", "192.168.0.1", "::1"] {
        assert_eq!(world.send(forwarded("127.0.0.1", by)).await.body, REFUSED, "{by}");
    }
    world.send(forwarded("127.0.0.1", "10.1.2.3")).await.success();
    world.send(forwarded("6.6.6.6, 127.0.0.1", "::ffff:10.1.2.3")).await.success();
    assert_eq!(world.send(forwarded("127.0.0.1, 6.6.6.6", "10.1.2.3")).await.body, REFUSED);
}

#[tokio::test]
async fn refuses_what_a_page_of_another_host_sends() {
    let world = World::new().await;
    let from_page = |origin: &str| {
        let request = world.request(Method::POST, "/api/v1/wireguard").header(header::HOST, "vpn.example:8098");
        request.header(header::ORIGIN, origin).body(Body::empty()).unwrap()
    };

    for origin in ["https://evil.example", "null", "http://vpn.example:8098", "https://vpn.example"] {
        assert_eq!(world.send(from_page(origin)).await.body, REFUSED, "{origin}");
    }
    assert_eq!(world.get("/api/v1/wireguard").await.success(), serde_json::json!({}));
    world.send(from_page("https://vpn.example:8098")).await.success();
}

#[tokio::test]
async fn refuses_a_request_that_comes_from_nowhere() {
    let world = World::new().await;
    let mut request = world.request(Method::GET, STATUS).body(Body::empty()).unwrap();

    request.extensions_mut().clear();

    assert_eq!(world.send(request).await.body, REFUSED);
}
