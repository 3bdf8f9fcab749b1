//! What must never be written down, whatever happens to it on its way.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, header};
use culvert::domain::key::PrivateKey;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{HOME, World};

const ROOT: &str = include_str!("../support/ikev2/rsa.crt");
const ROOT_KEY: &str = include_str!("../support/ikev2/rsa.key");
const OTHER_KEY: &str = include_str!("../support/ikev2/ec.key");

/// Keeps every log line of the process.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<u8>>>);

impl io::Write for Book {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Book {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn stay_out_of_every_log_line() {
    let book = Book::default();
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(book.clone()).finish();
    tracing::subscriber::set_global_default(log).unwrap();
    let [server_key, account_key] = [[0x51; 32], [0x52; 32]].map(|bytes| PrivateKey::from_entropy(bytes).to_base64());
    let (password, guess) = ("canary%20of%20a%20password", "5ca1ab1e".repeat(10));
    let token = "canary-of-a-token";
    let account = format!("wg_name=web&name=kept&private_key={account_key}&password={password}");

    let world = World::new().await;
    world.post("/api/v1/wireguard", &format!("name=web&private_key={server_key}")).await.success();
    world.post("/api/v1/account", &account).await.success();
    // once more, so that it is refused; then what is malformed, unknown, too large
    world.post("/api/v1/account", &account).await.refusal();
    world.post("/api/v1/account", &format!("{account}%ff")).await.refusal();
    world.post("/api/v1/account", &format!("{account}&pad={}", "a".repeat(70_000))).await.refusal();
    world.put("/api/v1/account/nobody", &account).await.refusal();
    world.put("/api/v1/account/kept", &format!("password={password}&status=disable")).await.success();
    for read in ["", "/config_text", "/config_qr", "/dump"] {
        world.get(&format!("/api/v1/account/kept{read}")).await.success();
    }
    world.put("/api/v1/ikev2/import_ca_rsa", &format!("ca_cert={ROOT}&ca_key={OTHER_KEY}")).await.refusal();
    world.put("/api/v1/ikev2/import_ca_rsa", &format!("ca_cert={ROOT}&ca_key={ROOT_KEY}")).await.success();
    let asked =
        "server_domain=a.example&server_ip=192.0.2.1&server_common_name=a&server_organization=b&key_type=rsa2048";
    let made = world.put("/api/v1/ikev2/generate_server_rsa", asked).await.success();
    world.put("/api/v1/ikev2", "enabled=1").await.success();
    world.get("/api/v1/account/kept/ikev2_profile").await.success();
    let made = made["server_key"].as_str().unwrap().to_owned();
    let wrong = World::request_from(HOME, Method::GET, "/api/v1/account");
    let wrong = wrong.header(header::COOKIE, format!("access_hash={guess}")).body(Body::empty()).unwrap();
    world.send(wrong).await.refusal();
    world.operate(Method::GET, "/local/v1/access", "").await.success();

    let to_influxdb = "enabled_influxdb=1&influxdb_url=http://192.0.2.7:8086&influxdb_bucket=b&influxdb_organization=o";
    world.put("/api/v1/traffic_logging", &format!("enabled=1&{to_influxdb}&influxdb_token={token}")).await.success();
    world.put("/api/v1/traffic_logging", &format!("enabled=maybe&influxdb_token={token}")).await.refusal();
    world.get("/api/v1/traffic_logging").await.success();

    let link = world.get("/api/v1/account/kept/otl").await.success();
    let link = link.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    world.get("/api/v1/otl/list").await.success();
    for (method, key) in [(Method::GET, &link), (Method::POST, &link), (Method::POST, &guess)] {
        let request = World::request_from(HOME, method, &format!("/otl/{key}")).body(Body::empty()).unwrap();
        world.send(request).await;
    }

    let lines = String::from_utf8_lossy(&book.0.lock().unwrap()).into_owned();
    assert!(lines.contains("Added account `kept`"), "nothing was logged, so this proves nothing: {lines}");
    for secret in [&server_key, &account_key, "canary of a password", password, &world.hash, &guess, &link, token] {
        assert!(!lines.contains(secret), "a line holds {secret}");
    }
    assert!(lines.contains("Made a certificate of the server"));
    for line in [ROOT_KEY, OTHER_KEY, &made].iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with('-')) {
        assert!(!lines.contains(line), "a line holds {line}");
    }
}
