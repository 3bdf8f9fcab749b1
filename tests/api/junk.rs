//! Whatever a key holder sends, nothing breaks: no answer is ours to be sorry for, and what is stored can be read again.

use std::fmt::Write as _;

use axum::http::Method;
use culvert::http::routes::{self, Admission};
use serde_json::Value;

use crate::support::World;

const FIELDS: [&str; 40] = [
    "name",
    "private_key",
    "public_key",
    "interface_name",
    "listen_port",
    "mtu",
    "keep_alive",
    "allowed_ips",
    "endpoint",
    "address",
    "internal_traffic",
    "external_ip",
    "dns_1",
    "dns_2",
    "ipv6",
    "address_ipv6",
    "dns_1_ipv6",
    "dns_2_ipv6",
    "b_download",
    "b_upload",
    "ikev2",
    "disable_nat",
    "wg_name",
    "status",
    "username",
    "password",
    "allowed_IPs",
    "allowed_IPs_ipv6",
    "enabled",
    "key_type",
    "ca_cert",
    "ca_key",
    "ca_common_name",
    "ca_organization",
    "server_domain",
    "server_ip",
    "server_common_name",
    "server_organization",
    "ike",
    "esp",
];

/// Values of every kind, most of them where rules have their edges.
const VALUES: [&str; 55] = [
    "",
    " ",
    "0",
    "1",
    "-1",
    "+1",
    "00",
    "1e3",
    "1.5",
    "65535",
    "65536",
    "51820",
    "51821",
    "60000",
    "4294967296",
    "18446744073709551616",
    "true",
    "FALSE",
    "yes",
    "enable",
    "disable",
    "web",
    "Default_1",
    "peer_1",
    "info",
    "online",
    "a%2Fb",
    "..",
    "%00",
    "%ff",
    "%F0%9F%92%A9",
    "wg0",
    "wg1",
    "wg99999",
    "wg100000",
    "0.0.0.0",
    "0.0.0.0/0",
    "10.0.0.1",
    "10.0.0.2/32",
    "10.0.0.255",
    "10.9.0.1/30",
    "10.9.0.1/31",
    "10.9.0.1/32",
    "127.0.0.1/8",
    "224.0.0.1/4",
    "255.255.255.255/32",
    "::",
    "::/0",
    "fd00::1/64",
    "fd00::1/127",
    "::ffff:10.0.0.1/128",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "aes256-sha256-modp2048!",
    "aes256-aes256gcm16,",
    "-----BEGIN CERTIFICATE-----MAA=-----END CERTIFICATE-----",
];

/// A small generator (Knuth's MMIX constants): the same story in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.below(among.len())]
    }

    fn form(&mut self) -> String {
        let mut form = String::new();
        for _ in 0..self.below(5) {
            write!(form, "{}={}&", self.pick(&FIELDS), self.pick(&VALUES)).unwrap();
        }
        // often enough where something is there to be broken
        if self.below(2) == 0 {
            form += "wg_name=Default_1&";
        }
        form
    }
}

#[tokio::test]
async fn breaks_nothing() {
    let (world, mut dice) = (World::furnished().await, Dice(1));
    let rows: Vec<_> = routes::table().into_iter().filter(|route| route.admission == Admission::Key).collect();
    let names = ["Default_1", "spare", "peer_1", "peer_2", "nobody", "%2e%2e", "info"];
    let mut succeeded = 0;
    for _ in 0..1_500 {
        let route = &rows[dice.below(rows.len())];
        // what is deleted is missed by everything after it
        if route.methods == [Method::DELETE] && dice.below(8) > 0 {
            continue;
        }
        let (path, form) = (route.paths[0].replace("{name}", dice.pick(&names)), dice.form());
        let reply = world.call(route.methods[0].clone(), &path, &form).await;
        let code = reply.code.as_u16();
        assert!(matches!(code, 200 | 404 | 405), "{code}: {} {path} {form}", route.id);
        if route.id == "metrics" {
            continue;
        }
        let envelope = reply.json();
        assert!(envelope["error"].is_string() && envelope["status"].is_string(), "{envelope}");
        succeeded += u32::from(envelope["status"] == "success");
    }
    assert!(succeeded > 300, "only {succeeded} requests succeeded, so little was tried");

    let everything = async |world: &World| -> (Value, Value) {
        (world.get("/api/v1/wireguard").await.success(), world.get("/api/v1/account").await.success())
    };
    let before = everything(&world).await;
    let world = world.reopened().await;
    assert_eq!(everything(&world).await, before);
}
