//! The panel's pages of the appliance itself: settings, certificate, webhooks.

use axum::http::StatusCode;
use culvert::domain::access::Author;
use culvert::domain::audit::{Deed, Kind};
use culvert::domain::host::HostSettings;
use culvert::services::Settings;
use culvert::store::Change;

use crate::reader::Reader;
use crate::support::World;

#[tokio::test]
async fn says_how_people_find_the_host_and_goes_by_its_days() {
    let world = World::with_settings(|settings| Settings { time_zone: None, ..settings }).await;
    let reader = Reader::enter(&world, "admin").await;

    let form = "endpoint=vpn.example&url=https://vpn.example/vpn&time_zone=Asia/Tokyo";
    let set = reader.post(&world, "/panel/settings/host", form).await;
    let refused = reader.post(&world, "/panel/settings/host", "time_zone=Mars/Olympus").await;

    assert_eq!(set.headers["location"], "/panel/settings?said=saved");
    assert_eq!(refused.code, StatusCode::OK);
    assert!(refused.body.contains("Incorrect value time_zone"), "{}", refused.body);
    let system = &world.services.system;
    assert_eq!((system.endpoint(), system.public_url()), ("vpn.example".into(), "https://vpn.example/vpn".into()));
    assert!(system.local_time(jiff::Timestamp::UNIX_EPOCH).ends_with("T09:00:00+09:00"));
    let server = world.post("/api/v1/wireguard", "name=new").await;
    assert!(world.get("/api/v1/wireguard/new").await.body.contains("vpn.example"), "{}", server.body);
    let cleared = reader.post(&world, "/panel/settings/host", "endpoint=&url=&time_zone=").await;
    assert_eq!(cleared.code, StatusCode::SEE_OTHER);
    assert_eq!(*system.host_settings(), HostSettings::default());
}

#[tokio::test]
async fn leaves_to_the_configuration_what_it_names() {
    let named = |settings| Settings { endpoint: Some("by.example".into()), ..settings };
    let world = World::with_settings(named).await;
    let reader = Reader::enter(&world, "admin").await;

    let page = reader.look(&world, "/panel/settings").await.body;
    reader.post(&world, "/panel/settings/host", "endpoint=other.example").await;

    assert!(!page.contains("id=\"host-endpoint\"") && !page.contains("id=\"host-time_zone\""), "{page}");
    assert!(page.contains("<dd>by.example</dd>") && page.contains("<dd>UTC</dd>"), "{page}");
    assert_eq!(world.services.system.endpoint(), "by.example");
}

#[tokio::test]
async fn sets_the_appliance_and_back() {
    let world = World::new().await;
    let reader = Reader::enter(&world, "admin").await;
    let uptime = || world.services.system.config().wireguard_handshake_uptime;
    let first = uptime();

    let set = reader.post(&world, "/panel/settings", "wireguard_handshake_uptime=77").await;
    let then = uptime();
    let refused = reader.post(&world, "/panel/settings", "wireguard_handshake_uptime=0").await;
    let reset = reader.post(&world, "/panel/settings/reset", "").await;

    assert_eq!((set.code, then), (StatusCode::SEE_OTHER, 77));
    assert!(refused.body.contains("role=\"alert\""), "{}", refused.body);
    assert_eq!((reset.code, uptime()), (StatusCode::SEE_OTHER, first));
}

#[tokio::test]
async fn shows_a_webhooks_secret_once_and_says_what_a_test_came_to() {
    let world = World::new().await;
    let reader = Reader::enter(&world, "admin").await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let made =
        reader.post(&world, "/panel/webhooks", &format!("name=billing&events=all&url=http://{closed}/hook")).await;
    let later = reader.look(&world, "/panel/webhooks").await;
    let tested = reader.post(&world, "/panel/webhooks/billing/test", "").await;
    reader.post(&world, "/panel/webhooks/billing/status", "enabled=0").await;
    let is_on = world.services.webhooks.list()[0].0.enabled;
    reader.post(&world, "/panel/webhooks/billing/delete", "").await;

    assert!(made.body.contains("whsec_") && !later.body.contains("whsec_") && later.body.contains("billing"));
    assert!(tested.body.contains("role=\"alert\""), "{}", tested.body);
    assert!(!is_on && world.services.webhooks.list().is_empty());
}

#[tokio::test]
async fn takes_a_certificate_and_never_shows_its_key() {
    let world = World::new().await;
    let reader = Reader::enter(&world, "admin").await;
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["brought.example".into()]).unwrap().self_signed(&key).unwrap();
    let form = |key: &str| serde_urlencoded::to_string([("certificate", made.pem().as_str()), ("key", key)]).unwrap();

    let refused = reader.post(&world, "/panel/certificate/own", &form("nothing")).await;
    let rootless = reader
        .post(&world, "/panel/certificate/ask", "name=vpn.example.com&directory=https://127.0.0.1:1/d&root=none")
        .await;
    let taken = reader.post(&world, "/panel/certificate/own", &form(&key.serialize_pem())).await;
    let shown = reader.look(&world, "/panel/certificate").await;

    assert!(refused.body.contains("aria-invalid=\"true\""), "{}", refused.body);
    assert!(rootless.body.contains("id=\"acme-root-wrong\""), "{}", rootless.body);
    assert!(shown.body.contains("<input type=\"file\" data-into=\"own-key\""), "{}", shown.body);
    assert_eq!(taken.code, StatusCode::SEE_OTHER);
    assert!(world.services.web_certificate.look().is_brought && !shown.body.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn says_that_the_clock_is_behind_what_is_recorded() {
    const WRONG: &str = "clock is wrong";
    let world = World::new().await;
    let reader = Reader::enter(&world, "read_only").await;
    let before = reader.look(&world, "/panel").await.body;
    let later = |change: &mut Change| {
        let by = Author { label: "later".into(), address: None };
        change.note("2099-01-01T00:00:00Z".parse().unwrap(), by, Deed::of(Kind::System, "later"));
        Ok(())
    };

    world.store.write(later).await.unwrap();
    let after = reader.look(&world, "/panel").await.body;

    assert!(!before.contains(WRONG) && after.contains(WRONG), "{after}");
}

#[tokio::test]
async fn leaves_the_appliance_to_administrators() {
    let world = World::new().await;
    let reader = Reader::enter(&world, "operator").await;

    for path in ["/panel/settings", "/panel/settings/reset", "/panel/certificate/make", "/panel/webhooks"] {
        let reply = reader.post(&world, path, "wireguard_handshake_uptime=99").await;
        assert_eq!(reply.code, StatusCode::FORBIDDEN, "{path}");
    }
    assert_ne!(world.services.system.config().wireguard_handshake_uptime, 99);
}

#[tokio::test]
async fn changes_where_a_webhook_goes_and_keeps_its_secret() {
    let world = World::new().await;
    let reader = Reader::enter(&world, "admin").await;
    world
        .post("/api/v1/webhooks", "name=hook&url=https://old.example/&secret=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
        .await
        .success();
    let hook = || world.services.webhooks.list()[0].0.clone();
    let secret = hook().secret.clone();

    let form = "url=https://new.example/&events=account.expired&enabled=0";
    let saved = reader.post(&world, "/panel/webhooks/hook", form).await;
    let refused = reader.post(&world, "/panel/webhooks/hook", "url=ftp://new.example/&events=all&enabled=1").await;
    let unknown = reader.look(&world, "/panel/webhooks/nobody").await;

    assert_eq!(saved.headers["location"], "/panel/webhooks/hook?said=saved");
    assert_eq!((hook().url.as_str(), hook().enabled, hook().events.len()), ("https://new.example/", false, 1));
    assert_eq!(hook().secret, secret);
    assert!(refused.body.contains("aria-invalid=\"true\"") && refused.body.contains("ftp://new.example/"));
    assert_eq!(unknown.code, StatusCode::NOT_FOUND);
}
