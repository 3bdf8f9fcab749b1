//! Port forwards, from the first to the last. That they carry packets is told in `tests/e2e/forwards.rs`, how many there
//! may be beside the code.

use serde_json::{Value, json};

use crate::support::World;

const FORWARDS: &str = "/api/v1/wireguard/Default_1/port_forward";

fn form(dst_port: &str, protocol: &str, to_peer: &str, to_port: &str) -> String {
    format!("dst_port={dst_port}&protocol={protocol}&to_peer={to_peer}&to_port={to_port}")
}

async fn listed(world: &World) -> Value {
    world.get(FORWARDS).await.success()
}

#[tokio::test]
async fn adds_a_forward_and_shows_it_by_port_and_protocol() {
    let world = World::furnished().await;

    let added = world.post(FORWARDS, &form("53", "udp", "peer_2", "5353")).await.success();

    let forward = json!({"dst_port": 53, "protocol": "udp", "to_peer": "peer_2", "to_port": 5353});
    assert_eq!(added, forward);
    let first = json!({"dst_port": 123, "protocol": "tcp", "to_peer": "peer_1", "to_port": 444});
    assert_eq!(listed(&world).await, json!({"53_udp": forward, "123_tcp": first}));
    assert_eq!(world.get("/api/v1/wireguard/spare/port_forward").await.success(), json!({}));
}

#[tokio::test]
async fn tells_tcp_from_udp_at_the_same_port() {
    let world = World::furnished().await;
    world.post(FORWARDS, &form("123", "udp", "peer_2", "1")).await.success();

    assert_eq!(world.delete("/api/v1/wireguard/Default_1/port_forward/123/tcp").await.success(), "success");

    let left = json!({"123_udp": {"dst_port": 123, "protocol": "udp", "to_peer": "peer_2", "to_port": 1}});
    assert_eq!(listed(&world).await, left);
}

#[tokio::test]
async fn takes_ports_from_the_first_to_the_last_and_any_spelling_of_the_protocol() {
    let world = World::furnished().await;
    for (port, protocol) in [("1", "TCP"), ("65535", "Udp"), (" 80 ", " tcp ")] {
        let added = world.post(FORWARDS, &form(port, protocol, "peer_1", "65535")).await.success();
        assert_eq!(added["dst_port"].to_string(), port.trim());
        assert_eq!(added["protocol"], protocol.trim().to_lowercase());
    }
}

#[tokio::test]
async fn leaves_everything_as_it_was_when_it_refuses() {
    let world = World::furnished().await;
    world.post("/api/v1/account", "wg_name=spare&name=elsewhere").await.success();
    let before = listed(&world).await;
    for (form, text) in [
        (form("23", "icmp", "peer_1", "1"), "Protocol must be tcp or udp"),
        (form("23", "", "peer_1", "1"), "Protocol must be tcp or udp"),
        (form("0", "udp", "peer_1", "1"), "DST port must be within 1-65535"),
        (form("65536", "udp", "peer_1", "1"), "DST port must be within 1-65535"),
        (form("", "udp", "peer_1", "1"), "DST port must be within 1-65535"),
        (form("123", "tcp", "peer_2", "1"), "DST port and protocol are already enabled"),
        // the API's own
        (form("8098", "tcp", "peer_1", "1"), "DST port and protocol are already enabled"),
        // its own server's port, and another's
        (form("51821", "udp", "peer_1", "1"), "DstPort cannot be ListenPort"),
        (form("51822", "udp", "peer_1", "1"), "DstPort cannot be ListenPort"),
        (form("23", "udp", "peer_1", "0"), "To port must be within 1-65535"),
        (form("23", "udp", "peer_1", "65536"), "To port must be within 1-65535"),
        (form("23", "udp", "nobody", "1"), "Entered incorrect peer"),
        (form("23", "udp", "", "1"), "Entered incorrect peer"),
        // an account of another server
        (form("23", "udp", "elsewhere", "1"), "Entered incorrect peer"),
    ] {
        assert_eq!(world.post(FORWARDS, &form).await.refusal(), text, "{form}");
    }
    let nowhere = world.post("/api/v1/wireguard/nobody/port_forward", &form("23", "udp", "peer_1", "1")).await;
    assert_eq!(nowhere.refusal(), "Wireguard server not found");
    assert_eq!(world.get("/api/v1/wireguard/nobody/port_forward").await.refusal(), "Wireguard server not found");

    assert_eq!(listed(&world).await, before);
}

#[tokio::test]
async fn removes_a_forward_by_port_and_protocol_or_says_what_is_wrong_with_the_path() {
    let world = World::furnished().await;
    let before = listed(&world).await;
    for (path, text) in [
        ("nobody/port_forwarding/123/tcp", "Wireguard server not found"),
        ("spare/port_forwarding/123/tcp", "There is no such port forwarding"),
        ("Default_1/port_forwarding/124/tcp", "There is no such port forwarding"),
        ("Default_1/port_forwarding/123/udp", "There is no such port forwarding"),
        ("Default_1/port_forwarding/123/icmp", "Incorrect protocol parameter (tcp|udp)"),
        ("Default_1/port_forwarding/0/tcp", "Incorrect dst_port parameter"),
        ("Default_1/port_forwarding/65536/tcp", "Incorrect dst_port parameter"),
        ("Default_1/port_forwarding/x/tcp", "Incorrect dst_port parameter"),
    ] {
        assert_eq!(world.delete(&format!("/api/v1/wireguard/{path}")).await.refusal(), text, "{path}");
    }
    assert_eq!(listed(&world).await, before);

    assert_eq!(world.delete("/api/v1/wireguard/Default_1/port_forwarding/123/tcp").await.success(), "success");
    assert_eq!(listed(&world).await, json!({}));
}

#[tokio::test]
async fn servers_with_one_external_address_share_its_ports() {
    let world = World::furnished().await;
    world.post("/api/v1/account", "wg_name=spare&name=elsewhere").await.success();
    let of_spare = "/api/v1/wireguard/spare/port_forward";

    let refused = world.post(of_spare, &form("123", "tcp", "elsewhere", "1")).await;
    assert_eq!(refused.refusal(), "DST port and protocol are already enabled");

    world.put("/api/v1/wireguard/spare", "external_ip=198.51.100.9").await.success();
    world.post(of_spare, &form("123", "tcp", "elsewhere", "1")).await.success();
    let back = world.put("/api/v1/wireguard/spare", "external_ip=192.0.2.1").await;
    assert_eq!(back.refusal(), "Port already in use");
}

#[tokio::test]
async fn keeps_a_server_from_listening_on_a_port_that_is_forwarded() {
    let world = World::furnished().await;
    world.post(FORWARDS, &form("51900", "udp", "peer_1", "1")).await.success();

    assert_eq!(world.put("/api/v1/wireguard/spare", "listen_port=51900").await.refusal(), "Port already in use");

    world.delete("/api/v1/wireguard/Default_1/port_forward/51900/udp").await.success();
    world.put("/api/v1/wireguard/spare", "listen_port=51900").await.success();
}

#[tokio::test]
async fn goes_with_the_account_to_which_it_leads() {
    let world = World::furnished().await;
    world.post(FORWARDS, &form("80", "tcp", "peer_2", "8080")).await.success();

    world.delete("/api/v1/account/peer_1").await.success();

    let left = json!({"80_tcp": {"dst_port": 80, "protocol": "tcp", "to_peer": "peer_2", "to_port": 8080}});
    assert_eq!(listed(&world).await, left);
}

#[tokio::test]
async fn outlives_the_process() {
    let world = World::furnished().await;
    world.post(FORWARDS, &form("53", "udp", "peer_2", "5353")).await.success();
    let before = listed(&world).await;

    let world = world.reopened().await;

    assert_eq!(listed(&world).await, before);
}
