//! What each kind of client offers, said by charon: the offers of Windows, Apple's, Android's and `MikroTik`'s clients, first
//! to last, as reported of them.

use crate::rig::PATIENCE;
use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::until;
use crate::rig::world::World;

/// A kind of client.
struct Kind {
    name: &'static str,
    ike: &'static str,
    esp: &'static str,
    /// Further lines of its connection.
    connection: &'static str,
    /// What IKE and ESP agree on with the contract's defaults, and without their `!`.
    defaults: Option<[&'static str; 2]>,
    open: [&'static str; 2],
}

/// Algorithms as the daemon shows them.
const OLD: &str = "AES_CBC-256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024";
const OLD_ESP: &str = "AES_CBC-256/HMAC_SHA1_96";
const MODERN_ESP: &str = "AES_CBC-256/HMAC_SHA2_256_128";
const CHACHA: &str = "CHACHA20_POLY1305/PRF_HMAC_SHA2_512/CURVE_25519";
const MODP2048: &str = "AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048";

const KINDS: [Kind; 9] = [
    Kind {
        name: "Windows 10",
        ike: "3des-sha1-modp1024,aes256-sha1-modp1024,3des-sha256-modp1024,aes256-sha256-modp1024,3des-sha384-modp1024,\
              aes256-sha384-modp1024",
        esp: "aes256-sha1,aes128-sha1,3des-sha1,des-sha1,null-sha1",
        connection: "",
        defaults: Some([OLD, OLD_ESP]),
        open: [OLD, OLD_ESP],
    },
    Kind {
        name: "Windows 11",
        ike: "3des-sha1-modp1024,aes256-sha1-modp1024,aes256-sha256-modp1024,aes256-sha384-modp1024,\
              aes128gcm16-prfsha256-modp1024,aes256gcm16-prfsha384-modp1024",
        esp: "aes256-sha1,aes128-sha1,3des-sha1,des-sha1,null-sha1",
        connection: "",
        defaults: Some([OLD, OLD_ESP]),
        open: [OLD, OLD_ESP],
    },
    Kind {
        name: "Windows, hardened",
        ike: "aes256-sha1-modp2048,aes256-sha256-modp2048,aes256-sha384-modp2048",
        esp: "aes256-sha1,aes128-sha1,3des-sha1",
        connection: "",
        defaults: None,
        open: [MODP2048, OLD_ESP],
    },
    Kind {
        name: "iOS",
        ike: "aes256-sha256-modp2048,aes256-sha256-ecp256,aes256-sha256-modp1536,aes128-sha1-modp1024,3des-sha1-modp1024",
        esp: "aes256-sha256,aes128-sha1,3des-sha1",
        connection: "send_certreq = no\n",
        defaults: Some(["AES_CBC-128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024", MODERN_ESP]),
        open: ["AES_CBC-128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024", MODERN_ESP],
    },
    Kind {
        name: "macOS",
        ike: "aes256-sha256-modp2048",
        esp: "aes256-sha256",
        connection: "send_certreq = no\n",
        defaults: None,
        open: [MODP2048, MODERN_ESP],
    },
    Kind {
        name: "Android",
        ike: "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-prfsha512-prfsha384-prfsha256-\
              prfaesxcbc-prfaescmac-prfsha1-modp4096-curve25519-modp3072-modp2048,\
              chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-\
              aes128gcm12-aes128gcm8-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-curve25519-\
              modp3072-modp2048",
        esp: "chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes128gcm16-aes128gcm12-aes128gcm8,\
              aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256",
        connection: "send_certreq = no\nmobike = yes\n",
        defaults: Some([CHACHA, MODERN_ESP]),
        open: [CHACHA, MODERN_ESP],
    },
    Kind {
        name: "strongSwan's app",
        ike: "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha512-prfsha384-prfsha256-ecp256-ecp384-ecp521-curve25519-\
              modp3072-modp4096-modp2048,\
              aes256-aes192-aes128-sha512-sha384-sha256-prfsha512-prfsha384-prfsha256-ecp256-ecp384-ecp521-curve25519-\
              modp3072-modp4096-modp2048",
        esp: "aes128gcm16-aes256gcm16-chacha20poly1305-ecp256-ecp384-ecp521-curve25519-modp3072,\
              aes128-aes192-aes256-sha256-sha384-sha512-ecp256-ecp384-ecp521-curve25519-modp3072,\
              aes128gcm16-aes256gcm16-chacha20poly1305,aes128-aes192-aes256-sha256-sha384-sha512",
        connection: "encap = yes\n",
        defaults: Some([CHACHA, MODERN_ESP]),
        open: [CHACHA, MODERN_ESP],
    },
    Kind {
        name: "MikroTik",
        ike: "aes128-3des-sha1-modp2048-modp1024",
        esp: "aes256-aes192-aes128-sha1-modp1024",
        connection: "",
        defaults: Some(["AES_CBC-128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024", OLD_ESP]),
        open: ["AES_CBC-128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024", OLD_ESP],
    },
    Kind {
        name: "Windows by PowerShell",
        ike: "aes256gcm16-prfsha384-ecp384",
        esp: "aes256gcm16-ecp384",
        connection: "",
        defaults: Some(["AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384", "AES_GCM_16-256"]),
        open: ["AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384", "AES_GCM_16-256"],
    },
];

/// Associations and children of the client, each with its number.
fn shown(client: &Client) -> Vec<String> {
    let listed = client.associations();
    let lines = listed.lines().filter(|line| line.starts_with("c: ") || line.starts_with("  k: "));
    lines.map(|line| line.split(',').take(2).collect()).collect()
}

/// Comes in, passes packets, renews both associations as such clients do, and goes.
fn assert_served(client: &Client, kind: &Kind, expected: [&str; 2]) {
    let name = kind.name;
    client.connect().unwrap_or_else(|said| panic!("{name}: {said}"));

    let listed = client.associations();
    for word in expected {
        assert!(listed.contains(word), "{name}: no {word} in {listed}");
    }
    assert!(client.passes(), "{name}");
    for which in [["--child", "k"], ["--ike", "c"]] {
        let before = shown(client);
        client.rekey(&which);
        // the old child is shown for some seconds beside the new one
        until(PATIENCE, &format!("{name}: other keys after {which:?}"), || {
            let listed = client.associations();
            let settled = !listed.contains("REKEYING,") && !listed.contains("DELETING,");
            (settled && shown(client) != before).then_some(())
        });
        assert!(client.passes(), "{name} after {which:?}");
    }
    client.disconnect();
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn every_kind_of_client_comes_in_with_what_it_offers() {
    let world = World::new();
    strongswan::allow_ports(&world);
    let mut appliance = Appliance::start_on(&world, Uplink::Sockets, &[]);
    let authority = strongswan::prepare(&appliance, "rsa2048");
    let setup = Setup::of(&appliance, "peer_1");
    let client = Client::start(world.place(), &authority, &setup);
    let set_up = |kind: &Kind| {
        let proposals = (format!("proposals = {}\n", kind.ike), format!("esp_proposals = {}\n", kind.esp));
        client.set_up(&setup.clone().connection(&proposals.0).connection(kind.connection).child(&proposals.1));
    };

    for kind in &KINDS {
        set_up(kind);
        match kind.defaults {
            Some(expected) => assert_served(&client, kind, expected),
            None => assert!(client.connect().unwrap_err().contains("NO_PROPOSAL_CHOSEN"), "{}", kind.name),
        }
    }
    // the operator is told what would be needed, once a minute at most
    let said = appliance.program().said();
    let told: Vec<&str> =
        said.lines().filter(|line| line.contains("offers nothing that the setting `ike` takes")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("WARN")
            && told[0].contains(": aes256-sha1-prfsha1-modp2048, aes256-sha256-prfsha256-modp2048")
    );

    // the documented better choice: the same lists without the `!` that makes them strict
    let settings = appliance.api("GET", "ikev2/advanced_settings", "");
    let without = |name: &str| settings[name].as_str().unwrap().trim_end_matches('!').to_owned();
    appliance.cli(&format!("ikev2 settings ike={} esp={}", without("ike"), without("esp")));
    for kind in &KINDS {
        set_up(kind);
        assert_served(&client, kind, kind.open);
    }
}
