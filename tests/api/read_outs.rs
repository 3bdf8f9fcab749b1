//! What servers and accounts have counted and limited, as text for people, and what an account has open.
//!
//! Here nothing runs, so every counter is 0: what traffic adds to them is told in `tests/e2e/firewall.rs` and
//! `tests/e2e/shaping.rs`.

use culvert::domain::server::Server;
use serde_json::json;

use crate::support::World;

const SERVER: &str = "/api/v1/wireguard/Default_1";

/// The lines that a shaper has which has let nothing go.
const NOTHING: &str = " Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) \n backlog 0b 0p requeues 0\n";

/// A server as the store has it.
fn server(world: &World) -> std::sync::Arc<Server> {
    world.services.servers.detail("Default_1").unwrap()
}

#[tokio::test]
async fn shows_what_a_server_translates() {
    let world = World::furnished().await;
    let shown = async || world.get("/api/v1/wireguard/Default_1/firewall_nat_rules").await.success();
    let v4 = "10.0.0.0/24 -> 0.0.0.0/0 SNAT to: 192.0.2.1 Pkt: 0 Bytes: 0\n";

    assert_eq!(shown().await, v4);

    world.put(SERVER, "ipv6=1").await.success();
    let v6 = server(&world).address_ipv6.trunc();
    assert_eq!(shown().await, format!("{v4}{v6} -> ::/0 MASQUERADE Pkt: 0 Bytes: 0\n"));

    world.put(SERVER, "disable_nat=1").await.success();
    assert_eq!(shown().await, "");
}

#[tokio::test]
async fn shows_whether_a_servers_clients_reach_one_another() {
    let world = World::furnished().await;
    let shown = async || world.get("/api/v1/wireguard/Default_1/firewall_filter_rules").await.success();

    for (of_server, of_all, action) in [(1, 1, "ACCEPT"), (0, 1, "DROP"), (1, 0, "DROP"), (0, 0, "DROP")] {
        world.put(SERVER, &format!("internal_traffic={of_server}")).await.success();
        world.put("/api/v1/firewall/conf", &format!("internal_traffic={of_all}")).await.success();

        let line = format!("10.0.0.0/24 -> 10.0.0.0/24 {action} Pkt: 0 Bytes: 0\n");
        assert_eq!(shown().await, line, "server {of_server}, all {of_all}");
    }
}

#[tokio::test]
async fn shows_a_servers_own_limits() {
    let world = World::furnished().await;
    world.put(SERVER, "limit_download=500&limit_upload=100").await.success();
    let uplink = "none";

    let shown = world.get("/api/v1/wireguard/Default_1/traffic_control").await.success();

    assert_eq!(
        shown,
        format!(
            "qdisc htb 1: root dev {uplink} rate 100Mbit ceil 100Mbit\n{NOTHING}\
             qdisc htb 1: root dev {} rate 500Mbit ceil 500Mbit\n{NOTHING}",
            server(&world).interface
        )
    );
}

#[tokio::test]
async fn shows_what_an_accounts_mark_has_counted() {
    let world = World::furnished().await;
    for (account, address, mark) in [("peer_1", "10.0.0.2", "0x64"), ("peer_2", "10.0.0.3", "0x65")] {
        let shown = world.get(&format!("/api/v1/account/{account}/firewall_mangle_rules")).await.success();

        let lines = format!(
            "0.0.0.0/0 -> {address} MARK {mark} Pkt: 0 Bytes: 0\n{address} -> 0.0.0.0/0 MARK {mark} Pkt: 0 Bytes: 0\n"
        );
        assert_eq!(shown, lines, "{account}");
    }
}

#[tokio::test]
async fn shows_an_accounts_limits_as_they_are_now() {
    let world = World::furnished().await;
    for (download, upload) in [(0, 0), (20, 10), (10_000, 1)] {
        world.put("/api/v1/account/peer_1", &format!("b_download={download}&b_upload={upload}")).await.success();

        let shown = world.get("/api/v1/account/peer_1/traffic_control").await.success();

        let lane = |device: &str, rate: u32| {
            format!("{device} --> class htb 1:100 root rate {rate}Mbit ceil {rate}Mbit \n{NOTHING}\n")
        };
        assert_eq!(shown, lane("none", upload) + &lane("wg1", download));
    }
}

#[tokio::test]
async fn shows_no_connections_of_an_account_that_never_connected() {
    let world = World::furnished().await;

    assert_eq!(world.get("/api/v1/account/peer_1/connections").await.success(), json!([]));
}

#[tokio::test]
async fn knows_nothing_of_who_is_not_there() {
    let world = World::furnished().await;
    for path in ["firewall_nat_rules", "firewall_filter_rules", "traffic_control", "set_bandwidth"] {
        let refused = world.get(&format!("/api/v1/wireguard/nobody/{path}")).await;
        assert_eq!(refused.refusal(), "Wireguard server not found", "{path}");
    }
    for path in ["firewall_mangle_rules", "traffic_control", "connections"] {
        let refused = world.get(&format!("/api/v1/account/nobody/{path}")).await;
        assert_eq!(refused.refusal(), "Account not found", "{path}");
    }
}

#[tokio::test]
async fn sets_no_bandwidth_where_it_refuses_one() {
    let world = World::furnished().await;
    let before = world.get("/api/v1/wireguard/Default_1/peers").await.success();
    for (form, field) in [
        ("b_download=10&b_upload=10001", "b_upload"),
        ("b_upload=10&b_download=-1", "b_download"),
        ("b_upload=x", "b_upload"),
    ] {
        let refused = world.put("/api/v1/wireguard/Default_1/set_bandwidth", form).await;
        assert_eq!(refused.refusal(), format!("Incorrect value {field} (should be 0 to 10000)"), "{form}");
    }

    assert_eq!(world.get("/api/v1/wireguard/Default_1/peers").await.success(), before);
}
