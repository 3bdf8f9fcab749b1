//! IKEv2 in the course of time: keys that are renewed, clients that move and vanish, and what is agreed upon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::http::{self, Body};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::world::{HOST, World};
use crate::rig::{PATIENCE, until};

/// An appliance that speaks IKEv2, and its authority.
fn appliance<'a>(world: &'a World, settings: &[(&'static str, &str)]) -> (Appliance<'a>, String) {
    strongswan::allow_ports(world);
    let appliance = Appliance::start_on(world, Uplink::Sockets, settings);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    (appliance, authority)
}

/// What the client's list of associations has of this kind: `c: ` with their numbers, `in ` with SPIs of children.
fn shown(client: &Client, word: &str) -> Vec<String> {
    let listed = client.associations();
    let lines = listed.lines().map(str::trim).filter(|line| line.starts_with(word));
    lines.map(|line| line.split(',').next().unwrap().to_owned()).collect()
}

/// Asks an echo without a pause while something else happens, and then a little longer.
///
/// # Panics
/// Where a datagram is lost.
fn without_loss(client: &Client, meanwhile: impl FnOnce() + Send) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            meanwhile();
            over.store(true, Ordering::Relaxed);
        });
        let socket = client.socket_to(HOST, 7, Duration::from_secs(5)).unwrap();
        let (mut asked, mut after) = (0_u32, 0);
        while after < 500 {
            socket.send(&asked.to_be_bytes()).unwrap();
            let mut answer = [0; 4];
            socket.recv(&mut answer).unwrap_or_else(|error| panic!("datagram {asked} was lost: {error}"));
            assert_eq!(u32::from_be_bytes(answer), asked);
            asked += 1;
            after += u32::from(over.load(Ordering::Relaxed));
        }
    });
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn no_packet_is_lost_when_a_client_renews_keys_under_traffic() {
    let world = World::new();
    let (appliance, authority) = appliance(&world, &[]);
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));

    without_loss(&client, || {
        for (which, word) in [(["--child", "k"], "in "), (["--ike", "c"], "c: ")].iter().cycle().take(10) {
            let before = shown(&client, word);
            client.rekey(which);
            until(PATIENCE, "other keys alone", || {
                let now = shown(&client, word);
                (now.len() == 1 && now != before).then_some(())
            });
        }
    });
    assert_eq!(shown(&client, "in ").len(), 1, "{}", client.associations());
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn no_packet_is_lost_when_the_server_renews_keys_under_traffic() {
    let world = World::new();
    let (appliance, authority) = appliance(&world, &[]);
    appliance.cli("ikev2 settings rekey=yes reauth=no ikelifetime=63 lifetime=62 margintime=60 rekeyfuzz=0");
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));

    without_loss(&client, || {
        let (mut children, mut associations) = (Vec::new(), Vec::new());
        until(Duration::from_secs(40), "three children and two associations", || {
            let note = |seen: &mut Vec<String>, now: Vec<String>| {
                for one in now {
                    if !seen.contains(&one) {
                        seen.push(one);
                    }
                }
            };
            note(&mut children, shown(&client, "in "));
            note(&mut associations, shown(&client, "c: "));
            (children.len() >= 4 && associations.len() >= 3).then_some(())
        });
    });
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn a_client_authenticates_itself_anew_in_the_midst_of_a_download() {
    let world = World::new();
    let (appliance, authority) = appliance(&world, &[]);
    appliance.cli("ikev2 settings uniqueids=replace");
    let setup = Setup { daemon: "make_before_break = yes".to_owned(), ..Setup::of(&appliance, "peer_1") };
    let client = Client::connected(&world, &authority, &setup);
    let length = 60_000_007;
    let stream = client.connect_to(HOST, 80).unwrap();
    let download = thread::spawn(move || http::get(stream, length, |_| {}));

    for _ in 0..3 {
        let before = shown(&client, "c: ");
        client.rekey(&["--ike", "c", "--reauth"]);
        until(PATIENCE, "another association alone", || {
            let now = shown(&client, "c: ");
            (now.len() == 1 && now != before).then_some(())
        });
        assert!(client.passes());
    }

    assert_eq!(download.join().unwrap().unwrap(), Body::digest(length));
    assert_eq!(appliance.api("GET", "ikev2/online", "").as_array().unwrap().len(), 1);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn a_client_that_vanishes_is_noticed() {
    let world = World::new();
    let (appliance, authority) = appliance(&world, &[]);
    appliance.cli("ikev2 settings dpddelay=1 dpdtimeout=3");
    let mut client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));
    let online = || appliance.api("GET", "ikev2/online", "").as_array().unwrap().len();
    let begun = Instant::now();
    // one that is silent and there answers, and stays
    until(PATIENCE, "some seconds", || (begun.elapsed() > Duration::from_secs(6)).then_some(()));
    assert_eq!(online(), 1);

    client.vanish();

    until(Duration::from_secs(15), "nobody online", || (online() == 0).then_some(()));
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn nobody_comes_in_by_a_wrong_password_or_an_unknown_name() {
    let world = World::new();
    let (appliance, authority) = appliance(&world, &[]);
    let right = Setup::of(&appliance, "peer_1");
    let client = Client::start(world.place(), &authority, &right);

    let wrong = Setup { password: "wrong".to_owned(), ..right.clone() };
    let unknown = Setup { user: "nobody_knows_me".to_owned(), ..right.clone() };
    let mut said = Vec::new();
    for setup in [&wrong, &unknown] {
        client.set_up(setup);
        let refused = client.connect().unwrap_err();
        said.push(refused.replace(&setup.user, "").lines().filter(|line| line.contains("EAP")).count());
    }

    assert_eq!(said[0], said[1], "who is known can be told from who is not");
    assert_eq!(appliance.api("GET", "ikev2/online", ""), serde_json::json!([]));
    client.set_up(&right);
    client.connect().unwrap();
    assert!(client.passes());
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn each_proposal_of_the_defaults_is_agreed_upon_and_carries_packets() {
    let world = World::new();
    let (appliance, authority) = appliance(&world, &[]);
    let setup = Setup::of(&appliance, "peer_1");
    let client = Client::start(world.place(), &authority, &setup);
    let pairs = [
        ("aes256-sha1-modp1024", "aes256-sha256", "AES_CBC-256/HMAC_SHA1_96", "AES_CBC-256/HMAC_SHA2_256_128"),
        ("aes128-sha1-modp1024", "chacha20poly1305", "AES_CBC-128/HMAC_SHA1_96", "CHACHA20_POLY1305"),
        (
            "chacha20poly1305-prfsha512-curve25519",
            "aes256-sha1",
            "CHACHA20_POLY1305/PRF_HMAC_SHA2_512",
            "AES_CBC-256/HMAC_SHA1_96",
        ),
        ("aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384", "AES_GCM_16-256/PRF_HMAC_SHA2_384", "AES_GCM_16-256"),
        ("3des-sha1-modp1024", "3des-sha1", "3DES_CBC/HMAC_SHA1_96", "3DES_CBC/HMAC_SHA1_96"),
    ];

    for (ike, esp, shown_ike, shown_esp) in pairs {
        let proposals = (format!("proposals = {ike}\n"), format!("esp_proposals = {esp}\n"));
        client.set_up(&setup.clone().connection(&proposals.0).child(&proposals.1));
        client.connect().unwrap_or_else(|said| panic!("{ike} {esp}: {said}"));

        let listed = client.associations();
        assert!(listed.contains(shown_ike) && listed.contains(shown_esp), "{ike} {esp}: {listed}");
        let down = http::get(client.connect_to(HOST, 80).unwrap(), 1_000_001, |_| {}).unwrap();
        assert_eq!(down, Body::digest(1_000_001), "{ike} {esp}");
        client.disconnect();
    }
    client.set_up(&setup.connection("proposals = aes128gcm16-prfsha256-ecp256\n"));
    let said = client.connect().unwrap_err();
    assert!(said.contains("NO_PROPOSAL_CHOSEN"), "{said}");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn high_ports_need_no_privilege() {
    let world = World::new();
    let ports = [("CULVERT_IKEV2__PORT", "15000"), ("CULVERT_IKEV2__NAT_PORT", "15001")];
    let appliance = Appliance::start_on(&world, Uplink::Sockets, &ports);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    let setup = Setup::of(&appliance, "peer_1").connection("local_port = 4500\nremote_port = 15001\n");

    let client = Client::connected(&world, &authority, &setup);

    let down = http::get(client.connect_to(HOST, 80).unwrap(), 1_000_001, |_| {}).unwrap();
    assert_eq!(down, Body::digest(1_000_001));
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn a_port_that_is_not_to_be_had_is_a_fault_and_no_end() {
    let world = World::new();
    let appliance = Appliance::start_on(&world, Uplink::Sockets, &[]);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    let status = until(PATIENCE, "a status that names the fault", || {
        let status = appliance.cli("status");
        status.contains("UDP port 500").then_some(status)
    });
    assert!(status.contains("Default_1") && status.contains("IKEv2"), "{status}");
    let peer = appliance.peer(&world, "peer_1");

    // the fault is mended by itself once the port is to be had
    strongswan::allow_ports(&world);
    until(PATIENCE, "a status without a fault", || (!appliance.cli("status").contains("UDP port 500")).then_some(()));
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));

    assert!(client.passes());
    peer.until_online(PATIENCE);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn clients_are_told_when_the_server_stops_and_come_back() {
    let world = World::new();
    let (mut appliance, authority) = appliance(&world, &[]);
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));

    appliance.stop();
    until(PATIENCE, "the end of the client's tunnel", || client.associations().is_empty().then_some(()));
    appliance.serve();

    client.connect().unwrap();
    client.until_online(PATIENCE);
}
