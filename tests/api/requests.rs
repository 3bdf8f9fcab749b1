//! What holds for every request: envelopes, codes, headers, bounds, forms as clients send them.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use culvert::domain::limits;

use crate::support::{HOME, Reply, World};

#[tokio::test]
async fn answers_404_and_405_in_the_envelope() {
    let world = World::new().await;

    for path in ["/api/v1/nothing", "/api/v2/system/status", "/api", "/robots.txt", "/api/v1//wireguard"] {
        let reply = world.get(path).await;
        assert_eq!((reply.code, reply.refusal().as_str()), (StatusCode::NOT_FOUND, "Not found"), "{path}");
    }
    for (method, path) in [
        (Method::DELETE, "/api/v1/wireguard"),
        (Method::POST, "/api/v1/system/status"),
        (Method::PUT, "/api/v1/wireguard/online"),
        (Method::PATCH, "/api/v1/account/peer_1"),
        (Method::POST, "/"),
    ] {
        let reply = world.call(method, path, "a=1").await;
        assert_eq!((reply.code, reply.refusal().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"));
        assert!(reply.headers.contains_key(header::ALLOW), "{path}");
    }
}

#[tokio::test]
async fn takes_a_slash_at_the_end_for_none() {
    let world = World::new().await;
    world.post("/api/v1/wireguard/", "").await.success();

    assert_eq!(world.get("/api/v1/wireguard/Default_1/").await.success()["name"], "Default_1");
    world.get("/api/v1/system/status/?x=1").await.success();
}

#[tokio::test]
async fn forbids_keeping_and_guessing_of_every_answer() {
    let world = World::new().await;
    for path in ["/", "/api/v1/system/status", "/nothing"] {
        let reply = world.get(path).await;
        assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
}

#[tokio::test]
async fn leads_people_to_the_panel_and_there_to_its_door() {
    let world = World::new().await;

    let asked = |path| World::request_from(HOME, Method::GET, path).header(header::HOST, "vpn.example");
    let first = world.send(asked("/").body(Body::empty()).unwrap()).await;
    let second = world.send(asked("/panel").body(Body::empty()).unwrap()).await;

    assert_eq!((first.code, first.headers[header::LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/panel"));
    assert_eq!(
        (second.code, second.headers[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/panel/login")
    );
}

#[tokio::test]
async fn describes_itself_to_whoever_reaches_the_port() {
    let (world, furnished) = (World::new().await, World::furnished().await);
    for (path, kind) in [
        ("/api/openapi.json", "application/json"),
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/search.js", "text/javascript; charset=utf-8"),
    ] {
        let ask =
            || World::request_from("198.51.100.7".parse().unwrap(), Method::GET, path).body(Body::empty()).unwrap();

        let (reply, other) = (world.send(ask()).await, furnished.send(ask()).await);

        assert_eq!(
            (reply.code, &reply.headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &kind.parse().unwrap()),
            "{path}"
        );
        assert_eq!(reply.body, other.body, "{path} tells of the appliance that shows it");
    }
}

#[tokio::test]
async fn lets_the_page_of_the_api_load_nothing_from_elsewhere() {
    let reply = World::new().await.get("/api/docs").await;

    let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("script-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
    assert_eq!(reply.headers[header::REFERRER_POLICY], "no-referrer");
}

#[tokio::test]
async fn refuses_a_body_larger_than_any_form() {
    let world = World::new().await;
    let fitting = format!("pad={}", "a".repeat(limits::FORM_BYTES - 4));
    world.post("/api/v1/wireguard", &fitting).await.success();

    let reply = world.post("/api/v1/wireguard", &(fitting + "a")).await;

    assert_eq!((reply.code, reply.refusal().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"));
    assert_eq!(world.get("/api/v1/wireguard").await.success().as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn refuses_a_body_that_is_no_form() {
    let world = World::new().await;
    let many = (0..=limits::FORM_FIELDS).map(|number| format!("f{number}=1")).collect::<Vec<_>>().join("&");
    for (kind, body) in [
        ("multipart/form-data; boundary=x", "--x\r\n"),
        ("application/json", "[1]"),
        ("application/json", r#"{"name":{"a":1}}"#),
        ("application/json", r#"{"mtu":[1400]}"#),
        ("application/json", r#"{"mtu":1400"#),
        ("application/json", "name=web"),
        ("application/json; charset=utf-8", "null"),
        ("application/x-www-form-urlencoded", "name=%ff"),
        ("application/x-www-form-urlencoded", many.as_str()),
    ] {
        let request = world.request(Method::POST, "/api/v1/wireguard").header(header::CONTENT_TYPE, kind);
        let reply = world.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        assert_eq!((reply.code, reply.refusal().as_str()), (StatusCode::OK, "Malformed request body"), "{kind}");
    }
    assert_eq!(world.get("/api/v1/wireguard").await.success(), serde_json::json!({}));
}

#[tokio::test]
async fn takes_forms_as_clients_send_them() {
    let world = World::new().await;

    let form =
        "&&name=+web%0d%0a&nobody_asked=1&listen_port=52000&listen_port= 52001 &internal_traffic=TRUE&ikev2=0&\n";
    let server = world.post("/api/v1/wireguard", form).await.success();

    assert_eq!(server["name"], "web");
    assert_eq!(server["listen_port"], "52001");
    assert_eq!(server["internal_traffic"], true);
    assert_eq!(server["ikev2"], false);
    assert_eq!(server.get("nobody_asked"), None);
}

#[tokio::test]
async fn takes_a_json_object_for_a_form() {
    let world = World::new().await;
    let request = world.request(Method::POST, "/api/v1/wireguard").header(header::CONTENT_TYPE, "application/json");

    let body = r#"{"name":"web","listen_port":52001,"internal_traffic":true,"mtu":null}"#;
    let server = world.send(request.body(Body::from(body)).unwrap()).await.success();

    assert_eq!(server["listen_port"], "52001");
    assert_eq!(server["internal_traffic"], true);
}

/// Sends a JSON body with the valid hash.
async fn send_json(world: &World, path: &str, body: impl Into<Body>) -> Reply {
    let request = world.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn refuses_a_wrong_json_type_in_the_words_of_the_form() {
    let world = World::new().await;
    for (body, form) in [
        (r#"{"listen_port":true}"#, "listen_port=true"),
        (r#"{"listen_port":1e300}"#, "listen_port=1e%2B300"),
        (r#"{"listen_port":-1}"#, "listen_port=-1"),
        (r#"{"internal_traffic":2}"#, "internal_traffic=2"),
        (r#"{"mtu":1400.5}"#, "mtu=1400.5"),
        (r#"{"name":"a b"}"#, "name=a+b"),
        (r#"{"private_key":1}"#, "private_key=1"),
        (r#"{"dns_1":false}"#, "dns_1=false"),
    ] {
        let told = send_json(&world, "/api/v1/wireguard", body).await;

        assert_eq!(told.refusal(), world.post("/api/v1/wireguard", form).await.refusal(), "{body}");
        assert_eq!(told.code, StatusCode::OK);
    }
    assert_eq!(world.get("/api/v1/wireguard").await.success(), serde_json::json!({}));
}

#[tokio::test]
async fn refuses_json_that_is_too_large_or_no_text() {
    let world = World::new().await;
    let padded = |bytes: usize| format!(r#"{{"pad":"{}"}}"#, "a".repeat(bytes - 10));
    send_json(&world, "/api/v1/wireguard", padded(limits::FORM_BYTES)).await.success();

    let large = send_json(&world, "/api/v1/wireguard", padded(limits::FORM_BYTES + 1)).await;
    let no_text = send_json(&world, "/api/v1/wireguard", b"{\"name\":\"\xff\"}".to_vec()).await;

    assert_eq!((large.code, large.refusal().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"));
    assert_eq!((no_text.code, no_text.refusal().as_str()), (StatusCode::OK, "Malformed request body"));
    assert_eq!(world.get("/api/v1/wireguard").await.success().as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn lets_the_last_of_two_json_members_count() {
    let world = World::new().await;

    let server = send_json(&world, "/api/v1/wireguard", r#"{"mtu":1400,"mtu":"1300"}"#).await.success();

    assert_eq!(server["mtu"], 1300);
}

#[tokio::test]
async fn answers_a_head_without_a_body() {
    let world = World::new().await;
    let request = world.request(Method::HEAD, "/api/v1/system/status").body(Body::empty()).unwrap();

    let reply = world.send(request).await;

    assert_eq!((reply.code, reply.body.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn takes_a_name_that_is_no_text_for_nothing() {
    let world = World::new().await;
    assert_eq!(world.get("/api/v1/account/%ff").await.code, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/api/v1/account/a%2Fb").await.refusal(), "Account not found");
    assert_eq!(world.get("/api/v1/account/..").await.refusal(), "Account not found");
}
