//! IKEv2: certificates, the switch, the settings, and what clients import.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use serde_json::Value;

use crate::support::World;

const ROOT: &str = include_str!("../support/ikev2/rsa.crt");
const ROOT_KEY: &str = include_str!("../support/ikev2/rsa.key");
const ROOT_KEY_PKCS8: &str = include_str!("../support/ikev2/rsa-pkcs8.key");
const EC_ROOT: &str = include_str!("../support/ikev2/ec.crt");
const EC_KEY: &str = include_str!("../support/ikev2/ec.key");
const EC_KEY_SEC1: &str = include_str!("../support/ikev2/ec-sec1.key");
const IMPORT: &str = "/api/v1/ikev2/import_ca_rsa";
const GENERATE_CA: &str = "/api/v1/ikev2/generate_ca_rsa";
const GENERATE_SERVER: &str = "/api/v1/ikev2/generate_server_rsa";
const SERVER: &str = "server_domain=vpn.example&server_ip=192.0.2.1&server_ipv6=2001:db8::1&server_common_name=CN\
                      &server_organization=O&server_organizational_unit=OU&server_locality=L\
                      &server_state_or_province_name=S&server_country_name=C";
const ADVANCED: &str = "/api/v1/ikev2/advanced_settings";

/// A world with an imported root and a server's certificate.
pub(crate) async fn certified() -> World {
    let world = World::furnished().await;
    world.put(IMPORT, &format!("ca_cert={ROOT}&ca_key={ROOT_KEY}")).await.success();
    world.put(GENERATE_SERVER, &format!("{SERVER}&key_type=ecdsa256")).await.success();
    world
}

/// What a client does that trusts the root alone.
fn is_taken(config: &Value, name: &str) -> bool {
    let pem = |field: &str| CertificateDer::from_pem_slice(config[field].as_str().unwrap().as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem("ca_cert")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let name = name.to_owned().try_into().unwrap();
    verifier.verify_server_cert(&pem("server_cert"), &[], &name, &[], UnixTime::now()).is_ok()
}

#[tokio::test]
async fn makes_certificates_of_rsa_that_a_client_takes() {
    let world = World::new().await;
    let subject = "ca_common_name=CN&ca_organization=O&ca_locality=L&ca_state_or_province_name=S&ca_country_name=C\
                   &ca_organizational_unit=OU&key_type=rsa2048";

    let made = world.put(GENERATE_CA, subject).await.success();
    let config = world.put(GENERATE_SERVER, &format!("{SERVER}&key_type=rsa3072")).await.success();

    for (field, value) in [
        ("common_name", "CN"),
        ("organization", "O"),
        ("organizational_unit", "OU"),
        ("locality", "L"),
        ("state_or_province_name", "S"),
        ("country_name", "C"),
    ] {
        assert_eq!((&made[format!("ca_{field}")], &config[format!("server_{field}")]), (&value.into(), &value.into()));
    }
    for (name, taken) in
        [("vpn.example", true), ("192.0.2.1", true), ("2001:db8::1", true), ("a.example", false), ("192.0.2.2", false)]
    {
        assert_eq!(is_taken(&config, name), taken, "{name}");
    }
    for key in ["ca_key", "server_key"] {
        let key = config[key].as_str().unwrap();
        assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && key.ends_with("-----\n"));
        assert!(matches!(PrivateKeyDer::from_pem_slice(key.as_bytes()), Ok(PrivateKeyDer::Pkcs1(_))));
    }
    assert_eq!(config["enabled"], false);
    assert_eq!((&config["server_ip"], &config["server_ipv6"]), (&"192.0.2.1".into(), &"2001:db8::1".into()));
}

#[tokio::test]
async fn takes_a_root_in_every_form_in_which_clients_send_it() {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let half = |text: &str| text.lines().map(|line| line.replacen('+', "%2B", 1) + "\n").collect::<String>();
    for (certificate, key, printed) in [
        (ROOT.to_owned(), ROOT_KEY.to_owned(), ROOT_KEY),
        (half(ROOT), half(ROOT_KEY), ROOT_KEY),
        (escaped(ROOT), escaped(ROOT_KEY_PKCS8), ROOT_KEY),
        (ROOT.replace('\n', "\r\n"), ROOT_KEY.replace('\n', ""), ROOT_KEY),
        (EC_ROOT.to_owned(), escaped(EC_KEY_SEC1), EC_KEY),
    ] {
        let world = World::new().await;

        let config = world.put(IMPORT, &format!("ca_cert={certificate}&ca_key={key}")).await.success();

        assert_eq!(config["ca_key"], printed);
        assert!(config["ca_common_name"].as_str().unwrap().starts_with("Example Root"));
        let config = world.put(GENERATE_SERVER, &format!("{SERVER}&key_type=ecdsa384")).await.success();
        assert!(is_taken(&config, "vpn.example"));
    }
}

#[tokio::test]
async fn suggests_names_where_there_is_no_certificate() {
    let config = World::new().await.get("/api/v1/ikev2/config").await.success();

    assert_eq!(
        (&config["ca_cert"], &config["server_key"], &config["ca_locality"]),
        (&"".into(), &"".into(), &"".into())
    );
    assert_eq!(config["server_ip"], "192.0.2.1");
    let host = &config["server_domain"];
    assert!(!host.as_str().unwrap().is_empty());
    assert_eq!((&config["ca_common_name"], &config["server_organization"]), (host, host));
}

#[tokio::test]
async fn goes_off_with_the_certificates() {
    let world = certified().await;
    assert_eq!(world.put("/api/v1/ikev2/", "enabled=TRUE").await.success()["enabled"], true);

    let config = world.delete("/api/v1/ikev2/delete_server_rsa").await.success();

    assert_eq!((&config["enabled"], &config["server_cert"]), (&false.into(), &"".into()));
    assert_ne!(config["ca_cert"], "");
    let again = world.delete("/api/v1/ikev2/delete_server_rsa").await.refusal();
    assert_eq!(again, "The SERVER certificate is not present in the system");
    world.put(GENERATE_SERVER, &format!("{SERVER}&key_type=ecdsa256")).await.success();
    world.put("/api/v1/ikev2", "enabled=1").await.success();
    let config = world.delete("/api/v1/ikev2/delete_ca_rsa").await.success();
    assert_eq!(
        (&config["enabled"], &config["server_cert"], &config["ca_key"]),
        (&false.into(), &"".into(), &"".into())
    );
    assert_eq!(world.put("/api/v1/ikev2", "enabled=0").await.success()["enabled"], false);
}

#[tokio::test]
async fn refuses_a_switch_that_is_none() {
    let world = certified().await;
    for form in ["", "enabled=", "enabled=on"] {
        assert_eq!(world.put("/api/v1/ikev2", form).await.refusal(), "Incorrect value enabled (should be 1|0)");
    }
}

#[tokio::test]
async fn makes_one_authority_of_two_that_are_asked_for_at_once() {
    let world = World::new().await;
    let ask = || world.put(GENERATE_CA, "ca_common_name=a&ca_organization=b&key_type=ecdsa256");

    let (one, other) = tokio::join!(ask(), ask());

    let refused: Vec<_> = [&one, &other].into_iter().filter(|reply| reply.json()["status"] == "error").collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].refusal(), "The root certificate is already in the system");
}

#[tokio::test]
async fn keeps_everything_over_a_restart() {
    let world = certified().await;
    world.put("/api/v1/ikev2", "enabled=1").await.success();
    world.put(ADVANCED, "ike=aes256-sha256-modp2048!&esp=aes256gcm16&charondebug_ike=-1&dpddelay=0").await.success();
    let everything =
        async |world: &World| (world.get("/api/v1/ikev2/config").await.success(), world.get(ADVANCED).await.success());
    let before = everything(&world).await;

    let world = world.reopened().await;

    assert_eq!(everything(&world).await, before);
    assert_eq!((&before.1["charondebug_ike"], &before.1["esp"]), (&(-1).into(), &"aes256gcm16".into()));
}

#[tokio::test]
async fn has_the_defaults_of_the_contract_and_goes_back_to_them() {
    let world = World::new().await;
    let defaults = world.get(ADVANCED).await.success();

    let form = "ike=aes256-sha256-modp2048!&esp=aes256gcm16!&rekey=yes&uniqueids=keep&type=drop&charondebug_net=4";
    let edited = world.put(ADVANCED, form).await.success();
    let back = world.put("/api/v1/ikev2/advanced_settings/default", "").await.success();

    let expected: Value = serde_json::from_str(
        r#"{"authby":"pubkey","charondebug_asn":0,"charondebug_cfg":0,"charondebug_chd":0,"charondebug_dmn":0,
        "charondebug_enc":0,"charondebug_esp":0,"charondebug_ike":0,"charondebug_imc":0,"charondebug_imv":0,
        "charondebug_job":0,"charondebug_knl":0,"charondebug_lib":0,"charondebug_mgr":0,"charondebug_net":0,
        "charondebug_pts":0,"charondebug_tls":0,"charondebug_tnc":0,"closeaction":"none","compress":"no",
        "dpdaction":"clear","dpddelay":300,"dpdtimeout":150,
        "esp":"aes256-sha256,chacha20poly1305-sha512,aes256-sha1,aes256gcm16-ecp384,3des-sha1!",
        "forceencaps":"yes","fragmentation":"yes",
        "ike":"aes256-sha1-modp1024,aes128-sha1-modp1024,chacha20poly1305-sha512-curve25519-prfsha512,aes256gcm16-sha384-prfsha384-ecp384,3des-sha1-modp1024!",
        "ikelifetime":86400,"inactivity":86400,"installpolicy":"yes","keyingtries":5,"lifetime":3600,"margintime":600,
        "mobike":"yes","modeconfig":"pull","reauth":"yes","rekey":"no","rekeyfuzz":100,"strictcrlpolicy":"no",
        "type":"tunnel","uniqueids":"no"}"#,
    )
    .unwrap();
    assert_eq!(defaults.to_string(), expected.to_string());
    assert_eq!((&edited["rekey"], &edited["type"], &edited["dpddelay"]), (&"yes".into(), &"drop".into(), &300.into()));
    assert_eq!(back, defaults);
}

#[tokio::test]
async fn leaves_the_settings_as_they_were_when_it_refuses() {
    let world = World::new().await;
    let before = world.get(ADVANCED).await.success();

    for form in
        ["dpddelay=7", "dpddelay=7&esp=aes256gcm16!&ike=rot13!", "dpddelay=7&esp=aes256!&ike=3des-sha1-modp1024!"]
    {
        world.put(ADVANCED, form).await.refusal();
    }

    assert_eq!(world.get(ADVANCED).await.success(), before);
}

#[tokio::test]
async fn writes_profiles_for_every_kind_of_client() {
    let world = certified().await;
    let profile = async |kind: &str| {
        let text = world.get(&format!("/api/v1/account/peer_1/ikev2_{kind}")).await.success();
        text.as_str().unwrap().to_owned()
    };
    let root = STANDARD.encode(CertificateDer::from_pem_slice(ROOT.as_bytes()).unwrap());

    let sswan: Value = serde_json::from_str(&profile("profile").await).unwrap();

    assert_eq!((&sswan["type"], &sswan["name"]), (&"ikev2-eap".into(), &"vpn.example".into()));
    assert_eq!(sswan["remote"], serde_json::json!({"addr": "vpn.example", "id": "vpn.example", "cert": root}));
    assert_eq!(sswan["local"]["eap_id"], "user_1");
    for kind in ["mobileconfig", "powershell"] {
        let text = profile(kind).await;
        assert!(text.contains(&root) && text.contains("vpn.example") && text.contains("user_1"), "{kind}");
        let password = world.get("/api/v1/account/peer_1").await.success()["password"].as_str().unwrap().to_owned();
        assert!(!text.contains(&password));
    }
}

#[tokio::test]
async fn writes_no_profile_where_there_is_nothing_to_connect_to() {
    let world = World::furnished().await;
    for kind in ["profile", "mobileconfig", "powershell"] {
        let path = format!("/api/v1/account/peer_1/ikev2_{kind}");
        assert_eq!(world.get(&path).await.refusal(), "The ROOT certificate is not present in the system");
    }
    world.put(IMPORT, &format!("ca_cert={ROOT}&ca_key={ROOT_KEY}")).await.success();
    let refusal = world.get("/api/v1/account/peer_1/ikev2_profile").await.refusal();
    assert_eq!(refusal, "The SERVER certificate is not present in the system");
}

#[tokio::test]
async fn tells_who_it_is_and_that_nobody_is_connected() {
    let world = World::furnished().await;

    let info = world.get("/api/v1/ikev2/info").await.success();

    let process = std::process::id().to_string();
    assert_eq!((&info["pid_charon"], &info["pid_starter"]), (&process.as_str().into(), &process.as_str().into()));
    assert_eq!(info["strongswan"], "0.0.0 (Culvert, in userspace)");
    assert_eq!(world.get("/api/v1/ikev2/online").await.success(), serde_json::json!([]));
    assert_eq!(world.delete("/api/v1/ikev2/online/peer_1").await.success(), "success");
    assert_eq!(world.delete("/api/v1/ikev2/online/nobody").await.refusal(), "Account not found");
}

#[tokio::test]
async fn tells_who_is_connected_until_he_is_dropped() {
    let runtime = culvert::runtime::Runtime::detached();
    let world = World::furnished().await.above(runtime.clone());
    let since = culvert::runtime::os::clock::now().checked_sub(Duration::from_secs(11)).unwrap();
    for name in ["peer_1", "gone"] {
        runtime.ikev2().put(culvert::domain::name::AccountName::parse(name).unwrap(), [192, 0, 2, 9].into(), since);
    }

    let online = world.get("/api/v1/ikev2/online").await.success();
    world.delete("/api/v1/ikev2/online/peer_1").await.success();

    // an account that does not exist any more is nobody's
    assert_eq!(online.as_array().unwrap().len(), 1);
    let (name, endpoint) = (&online[0]["name"], &online[0]["endpoint"]);
    assert_eq!((name, endpoint), (&"peer_1".into(), &"192.0.2.9".into()));
    assert_eq!(world.get("/api/v1/ikev2/online").await.success(), serde_json::json!([]));
}
