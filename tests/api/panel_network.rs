//! The panel's pages of the firewall, the resolver, IKEv2 and the traffic log: each can be looked at by who only looks, and
//! does what it is for.

use axum::http::StatusCode;

use crate::reader::Reader;
use crate::support::World;

const PAGES: [&str; 5] =
    ["/panel/firewall", "/panel/dns", "/panel/ikev2", "/panel/ikev2/advanced", "/panel/traffic-log"];

fn rules(world: &World) -> Vec<String> {
    world.services.firewall.current().rules.iter().map(|rule| rule.name.to_string()).collect()
}

#[tokio::test]
async fn shows_each_page_to_who_may_change_it_and_to_who_only_looks() {
    let world = World::furnished().await;
    let [writer, reader] = [Reader::enter(&world, "operator").await, Reader::enter(&world, "read_only").await];
    for path in PAGES {
        let (changes, looks) = (writer.look(&world, path).await, reader.look(&world, path).await);

        assert_eq!((changes.code, looks.code), (StatusCode::OK, StatusCode::OK), "{path}: {}", changes.body);
        assert!(!looks.body.contains("class=\"primary\""), "{path}");
        assert_eq!(reader.post(&world, path, "enabled=1").await.code, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn adds_moves_and_deletes_rules() {
    let (world, new) = (World::furnished().await, "action=DROP&chain=FORWARD&protocol=ANY&s_port=0&d_port=0");
    let writer = Reader::enter(&world, "operator").await;

    let form = format!("name=first&end=top&s_ip=0.0.0.0/0&d_ip=198.51.100.0/24&{new}");
    let added = writer.post(&world, "/panel/firewall/rules", &form).await;
    let moved = writer.post(&world, "/panel/firewall/move", "name=TEST&place=0").await;
    let wrong = writer.post(&world, "/panel/firewall/rules", &format!("name=kept&end=top&d_ip=x&{new}")).await;

    assert_eq!((added.code, moved.code), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER), "{added:?}");
    assert_eq!(rules(&world), ["TEST", "first", "system_PUQVPNCP"]);
    assert!(wrong.body.contains("value=\"kept\"") && wrong.body.contains("role=\"alert\""), "{}", wrong.body);
    writer.post(&world, "/panel/firewall/rules/first/delete", "").await;
    assert_eq!(rules(&world), ["TEST", "system_PUQVPNCP"]);
}

#[tokio::test]
async fn makes_what_ikev2_needs_and_turns_it_on_without_showing_a_key() {
    let world = World::furnished().await;
    let writer = Reader::enter(&world, "operator").await;

    let holder = |whose: &str| format!("{whose}_common_name=vpn.example&{whose}_organization=o&key_type=ecdsa256");
    writer.post(&world, "/panel/ikev2/ca/generate", &holder("ca")).await;
    let order = format!("server_domain=vpn.example&server_ip=192.0.2.1&{}", holder("server"));
    writer.post(&world, "/panel/ikev2/server/generate", &order).await;
    let on = writer.post(&world, "/panel/ikev2", "enabled=1").await;
    let page = writer.look(&world, "/panel/ikev2").await;
    let file = writer.look(&world, "/panel/ikev2/ca.pem").await;

    assert_eq!(on.code, StatusCode::SEE_OTHER, "{on:?}");
    assert!(world.services.ikev2.config().ikev2.enabled);
    assert!(page.body.contains("BEGIN CERTIFICATE") && !page.body.contains("PRIVATE KEY-----"));
    assert!(file.body.starts_with("-----BEGIN CERTIFICATE-----") && !file.body.contains("PRIVATE"));
}

#[tokio::test]
async fn changes_advanced_settings_and_sets_them_back() {
    let world = World::new().await;
    let writer = Reader::enter(&world, "operator").await;
    let delay = |world: &World| world.services.ikev2.settings().dpddelay;
    let before = delay(&world);

    writer.post(&world, "/panel/ikev2/advanced", "ike=aes256-sha256-modp2048!&esp=aes256gcm16!&dpddelay=77").await;
    let changed = delay(&world);
    writer.post(&world, "/panel/ikev2/advanced/default", "").await;

    assert_eq!((changed, delay(&world)), (77, before));
}

#[tokio::test]
async fn changes_the_resolver() {
    let world = World::new().await;
    let writer = Reader::enter(&world, "operator").await;

    let form = "enabled=0&enabled=1&forwarders_1=192.0.2.53&forwarders_2=&max_cache_ttl=300";
    let saved = writer.post(&world, "/panel/dns", form).await;
    let wrong = writer.post(&world, "/panel/dns", "forwarders_1=nobody").await;

    assert_eq!(saved.code, StatusCode::SEE_OTHER, "{saved:?}");
    assert_eq!(world.services.dns.settings().max_cache_ttl, 300);
    assert!(wrong.body.contains("value=\"nobody\""), "{}", wrong.body);
}

#[tokio::test]
async fn keeps_a_token_that_is_left_blank_and_never_shows_it() {
    let world = World::furnished().await;
    let writer = Reader::enter(&world, "operator").await;
    let to = "influxdb_url=http://192.0.2.8:8086&influxdb_bucket=b&influxdb_organization=o&enabled_influxdb=1";

    writer.post(&world, "/panel/traffic-log", &format!("{to}&influxdb_token=t0ken")).await;
    let saved = writer.post(&world, "/panel/traffic-log", &format!("{to}&influxdb_token=")).await;
    let page = writer.look(&world, "/panel/traffic-log").await;
    let tried = writer.post(&world, "/panel/traffic-log/test", "").await;

    assert_eq!(saved.code, StatusCode::SEE_OTHER, "{saved:?}");
    assert_eq!(world.services.traffic_log.settings().influxdb.token.reveal(), "t0ken");
    assert!(!page.body.contains("t0ken"));
    assert!(tried.body.contains("role=\"alert\"") && tried.body.contains("nothing runs"), "{}", tried.body);
}
