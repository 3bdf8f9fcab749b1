//! Accounts, from the first to the last.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::World;

const ACCOUNTS: &str = "/api/v1/account";

#[tokio::test]
async fn chooses_what_is_not_given() {
    let world = World::new().await;
    world.post("/api/v1/wireguard", "b_download=12&b_upload=13").await.success();

    let first = world.post(ACCOUNTS, "wg_name=Default_1").await.success();
    let second = world.post(ACCOUNTS, "wg_name=Default_1&name=laptop").await.success();

    for (key, value) in [
        ("name", "peer_1"),
        ("username", "user_1"),
        ("allowed_IPs", "10.0.0.2"),
        ("mangle", "100"),
        ("b_download", "12"),
        ("b_upload", "13"),
        ("status", "enable"),
        ("wg_name", "Default_1"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(first["password"].as_str().unwrap().len(), 10);
    for (key, value) in [("name", "laptop"), ("username", "user_2"), ("allowed_IPs", "10.0.0.3"), ("mangle", "101")] {
        assert_eq!(second[key], value, "{key}");
    }
}

#[tokio::test]
async fn keeps_what_an_edit_does_not_name() {
    let world = World::furnished().await;
    let mut before = world.get("/api/v1/account/peer_1").await.success();

    let after = world.put("/api/v1/account/peer_1", "status=disable&b_upload=5").await.success();

    before["status"] = json!("disable");
    before["state"] = json!("disabled");
    before["b_upload"] = json!("5");
    assert_eq!(after, before);
    assert_eq!(world.get("/api/v1/account/peer_1").await.success(), after);
}

#[tokio::test]
async fn leaves_everything_as_it_was_when_it_refuses() {
    let world = World::furnished().await;
    let before = world.get(ACCOUNTS).await.success();

    let refused =
        world.put("/api/v1/account/peer_1", "status=disable&b_upload=5&password=new&allowed_IPs=10.0.0.3").await;
    assert_eq!(refused.refusal(), "IP address already in use");
    let refused = world.post(ACCOUNTS, "wg_name=Default_1&name=new&public_key=x").await;
    assert_eq!(refused.refusal(), "Keys are invalid");

    assert_eq!(world.get(ACCOUNTS).await.success(), before);
}

#[tokio::test]
async fn deletes_an_account_and_gives_its_place_away() {
    let world = World::furnished().await;

    assert_eq!(world.delete("/api/v1/account/peer_1").await.success(), "success");

    assert_eq!(world.get("/api/v1/account/peer_1").await.refusal(), "Account not found");
    let next = world.post(ACCOUNTS, "wg_name=Default_1").await.success();
    assert_eq!((next["name"].as_str(), next["allowed_IPs"].as_str()), (Some("peer_1"), Some("10.0.0.2")));
    assert_eq!(next["mangle"], "100");
}

#[tokio::test]
async fn takes_an_address_with_or_without_its_prefix_length() {
    let world = World::furnished().await;

    for (given, kept) in [("10.0.0.50", "10.0.0.50"), ("10.0.0.51/32", "10.0.0.51")] {
        let account = world.put("/api/v1/account/peer_1", &format!("allowed_IPs={given}")).await.success();
        assert_eq!(account["allowed_IPs"], kept);
    }
}

#[tokio::test]
async fn lets_a_client_keep_its_private_key() {
    let world = World::furnished().await;
    let key = culvert::domain::key::PrivateKey::from_entropy([7; 32]).public().to_string();

    let account = world.post(ACCOUNTS, &format!("wg_name=Default_1&name=own&public_key={key}")).await.success();

    assert_eq!((account["private_key"].as_str(), account["public_key"].as_str()), (Some(""), Some(key.as_str())));
    let text = world.get("/api/v1/account/own/config_text").await.success();
    assert!(!text.as_str().unwrap().contains(&key), "the server's key belongs there, not the client's");
}

#[tokio::test]
async fn restores_the_plus_of_raw_keys() {
    let world = World::furnished().await;
    let key = (0..=u8::MAX)
        .map(|seed| culvert::domain::key::PrivateKey::from_entropy([seed; 32]).public().to_string())
        .find(|key| key.contains('+'))
        .unwrap();

    let account = world.post(ACCOUNTS, &format!("wg_name=Default_1&public_key={key}")).await.success();

    assert_eq!(account["public_key"].as_str(), Some(key.as_str()));
}

#[tokio::test]
async fn gives_accounts_that_are_added_at_once_places_of_their_own() {
    let world = Arc::new(World::furnished().await);
    let mut adding = JoinSet::new();
    for _ in 0..24 {
        let world = Arc::clone(&world);
        adding.spawn(async move { world.post(ACCOUNTS, "wg_name=Default_1").await.success() });
    }

    let accounts = adding.join_all().await;

    for key in ["name", "username", "allowed_IPs", "allowed_IPs_ipv6", "mangle", "public_key", "password"] {
        let values: BTreeSet<_> = accounts.iter().map(|account| account[key].to_string()).collect();
        assert_eq!(values.len(), 24, "{key}");
    }
}

#[tokio::test]
async fn writes_a_client_file_in_the_contracts_layout() {
    let world = World::furnished().await;
    world.put("/api/v1/wireguard/Default_1", "ipv6=0&keep_alive=0&dns_1=8.8.8.8&dns_2=1.1.1.1").await.success();
    let server = world.get("/api/v1/wireguard/Default_1").await.success();
    let account = world.get("/api/v1/account/peer_1").await.success();

    let text = world.get("/api/v1/account/peer_1/config_text").await.success();

    let text = text.as_str().unwrap();
    let private = account["private_key"].as_str().unwrap();
    let public = server["public_key"].as_str().unwrap();
    let parts: Vec<_> = text.split_whitespace().collect();
    for part in [
        "[Interface] Address = 10.0.0.2/24 DNS = 8.8.8.8,1.1.1.1",
        &format!("PrivateKey = {private}"),
        "AllowedIPs = 0.0.0.0/0 Endpoint = 192.0.2.1:51821",
        &format!("PublicKey = {public}"),
    ] {
        assert!(parts.join(" ").contains(part), "{part}\n{text}");
    }
}

#[tokio::test]
async fn refuses_text_that_would_write_lines_of_its_own() {
    let world = World::furnished().await;
    let before = world.get("/api/v1/account/peer_1/config_text").await.success();
    let lines = ["a%0a[Peer]", "a%0d%0aPostUp=x", "a%1b[2J", "a%00b", "a%E2%80%AEb", "a%22,%22b", "a%09b"];

    for line in lines {
        for field in ["name", "username", "allowed_IPs"] {
            let reply = world.post(ACCOUNTS, &format!("wg_name=Default_1&{field}={line}")).await;
            assert_eq!(reply.json()["status"], "error", "{field} {line}");
        }
        for field in ["endpoint", "dns_1", "allowed_ips", "external_ip", "address", "name"] {
            let reply = world.put("/api/v1/wireguard/Default_1", &format!("{field}={line}")).await;
            assert_eq!(reply.json()["status"], "error", "{field} {line}");
        }
    }

    assert_eq!(world.get("/api/v1/account/peer_1/config_text").await.success(), before);
    assert_eq!(world.get(ACCOUNTS).await.success().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn draws_a_code_that_reads_as_the_client_file() {
    let world = World::furnished().await;
    let text = world.get("/api/v1/account/peer_1/config_text").await.success();

    let image = world.get("/api/v1/account/peer_1/config_qr").await.success();

    let image = STANDARD.decode(image.as_str().unwrap()).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(image)).read_info().unwrap();
    let header = reader.info();
    assert_eq!((header.width, header.height, header.bit_depth), (500, 500, png::BitDepth::One));
    let mut rows = vec![0; reader.output_buffer_size().unwrap()];
    let line = reader.next_frame(&mut rows).unwrap().line_size;
    let light = |x: usize, y: usize| rows[y * line + x / 8] >> (7 - x % 8) & 1 == 1;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(500, 500, |x, y| if light(x, y) { 255 } else { 0 });
    let (_, read) = image.detect_grids()[0].decode().unwrap();
    assert_eq!(Some(read.as_str()), text.as_str());
}

#[tokio::test]
async fn draws_a_code_for_the_operators_terminal() {
    let world = World::furnished().await;

    let drawn = world.operate(Method::GET, "/local/v1/account/peer_1/config_qr_text", "").await.success();

    let lines: Vec<_> = drawn.as_str().unwrap().lines().map(|line| line.chars().count()).collect();
    assert!(lines.len() > 20 && lines.iter().all(|width| *width == lines[0]));
    let short = world.operate(Method::GET, "/local/v1/account/peer_1/qr_text", "").await.success();
    assert_eq!(short, drawn);
    assert_eq!(world.get("/local/v1/account/peer_1/config_qr_text").await.code, 404);
}

#[tokio::test]
async fn dumps_a_tunnel_that_has_not_spoken() {
    let world = World::furnished().await;

    let dump = world.get("/api/v1/account/peer_1/dump").await.success();

    let allowed = dump["allowed_ips"].as_str().unwrap();
    assert!(allowed.split(',').any(|network| network == "10.0.0.2/32"), "{allowed}");
    for (key, value) in [
        ("endpoint", "(none)"),
        ("keepalive", "off"),
        ("latest_handshake", "0"),
        ("transfer_rx", "0"),
        ("transfer_tx", "0"),
    ] {
        assert_eq!(dump[key], value, "{key}");
    }
    assert_eq!(world.get("/api/v1/wireguard/online").await.success(), json!([]));
}
