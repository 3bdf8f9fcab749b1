//! The resolver at every server's own address, as `dig` sees it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::namespace::Namespace;
use crate::rig::peer::Peer;
use crate::rig::world::{BLACK_HOLE, UNREACHABLE, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

/// A name server in the internet.
const FORWARDER: &str = "192.0.2.53";

on_both_uplinks! {
    clients_ask_by_udp_and_tcp_over_both_versions
    what_is_known_is_asked_for_once
    what_no_datagram_holds_comes_by_tcp
    a_silent_forwarder_is_passed_over
    a_resolver_that_is_switched_off_says_nothing
    a_rule_closes_the_resolver
    another_servers_client_gets_nothing
    a_blocked_name_is_not_asked_for
}

/// What a name server was asked.
struct Zone {
    by_udp: Arc<AtomicUsize>,
    by_tcp: Arc<AtomicUsize>,
}

impl Zone {
    /// Answers every name in `host`: `big…` with forty addresses, which only TCP gives whole, any other with one.
    fn serve(host: &Namespace) -> Self {
        host.address("lo", &format!("{FORWARDER}/32"));
        let zone = Self { by_udp: Arc::default(), by_tcp: Arc::default() };
        let (by_udp, by_tcp) = (Arc::clone(&zone.by_udp), Arc::clone(&zone.by_tcp));
        host.enter(|| {
            let socket = UdpSocket::bind((FORWARDER, 53)).unwrap();
            thread::spawn(move || {
                let mut question = [0; 1_500];
                while let Ok((length, from)) = socket.recv_from(&mut question) {
                    by_udp.fetch_add(1, Ordering::SeqCst);
                    let _ = socket.send_to(&answer(&question[..length], true), from);
                }
            });
            let listener = TcpListener::bind((FORWARDER, 53)).unwrap();
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    by_tcp.fetch_add(1, Ordering::SeqCst);
                    let mut length = [0; 2];
                    if stream.read_exact(&mut length).is_err() {
                        continue;
                    }
                    let mut question = vec![0; u16::from_be_bytes(length).into()];
                    let _ = stream.read_exact(&mut question);
                    let answer = answer(&question, false);
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &answer].concat());
                }
            });
        });
        zone
    }

    fn asked(&self) -> [usize; 2] {
        [&self.by_udp, &self.by_tcp].map(|count| count.load(Ordering::SeqCst))
    }
}

/// The answer to a question (RFC 1035, section 4).
fn answer(question: &[u8], by_datagram: bool) -> Vec<u8> {
    let name = question[12..].iter().position(|byte| *byte == 0).unwrap();
    let is_big = question[13..].to_ascii_lowercase().starts_with(b"big");
    let mut answer = question[..12 + name + 5].to_vec();
    let (flags, count) = match (is_big, by_datagram) {
        (true, true) => (0x83, 0),
        (true, false) => (0x81, 40),
        (false, _) => (0x81, 1),
    };
    answer[2..12].copy_from_slice(&[flags, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    for last in 0..count {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 198, 51, 100, last]);
    }
    answer
}

/// What `dig` says to these words.
fn dig(peer: &Peer, words: &str) -> String {
    let mut command = peer.place.host.command("dig");
    command.args(["+tries=1", "+time=3"]).args(words.split_whitespace());
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_answered(peer: &Peer, words: &str) -> bool {
    dig(peer, words).contains("status: NOERROR")
}

fn served<'a>(world: &'a World, uplink: Uplink, settings: &[(&'static str, &str)]) -> (Zone, Appliance<'a>) {
    let zone = Zone::serve(&world.internet);
    let appliance = Appliance::start_on(world, uplink, settings);
    appliance.api("PUT", "dns", &format!("forwarders_1={FORWARDER}&forwarders_2={FORWARDER}"));
    (zone, appliance)
}

fn clients_ask_by_udp_and_tcp_over_both_versions(uplink: Uplink) {
    let world = World::new();
    let (_zone, appliance) = served(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for (number, server) in (0..).zip(peer.servers()) {
        for (way, words) in ["", "+tcp", "+noedns", "+tcp +noedns", "+dnssec", "+bufsize=4096"].iter().enumerate() {
            let name = format!("n{number}{way}.example");
            let fresh = dig(&peer, &format!("@{server} {name} A {words}"));
            let known = dig(&peer, &format!("@{server} {name} A {words}"));
            for said in [fresh, known] {
                assert!(said.contains("198.51.100.0") && said.contains("status: NOERROR"), "{server} {words}: {said}");
                let has_extension = said.contains("OPT PSEUDOSECTION");
                assert_eq!(has_extension, !words.contains("noedns"), "{server} {words}: {said}");
            }
        }
    }
    // several questions on one connection
    let server = &peer.servers()[0];
    let said = dig(&peer, &format!("+tcp +keepopen @{server} a.example A b.example A c.example A"));
    assert_eq!(said.matches("status: NOERROR").count(), 3, "{said}");
}

fn what_is_known_is_asked_for_once(uplink: Uplink) {
    let world = World::new();
    let (zone, appliance) = served(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let server = &peer.servers()[0];

    for name in ["a.example", "A.example", "a.EXAMPLE"] {
        assert!(is_answered(&peer, &format!("@{server} {name} A")), "{name}");
    }

    assert_eq!(zone.asked(), [1, 0]);
    let counted = appliance.api("GET", "dns", "")["questions"]["Default_1"].clone();
    assert_eq!((counted["all"].as_u64(), counted["cached"].as_u64()), (Some(3), Some(2)), "{counted}");
}

fn what_no_datagram_holds_comes_by_tcp(uplink: Uplink) {
    let world = World::new();
    let (zone, appliance) = served(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let server = &peer.servers()[0];

    let cut = dig(&peer, &format!("@{server} big.example A +noedns +ignore"));
    let whole = dig(&peer, &format!("@{server} big.example A +noedns"));

    assert!(cut.contains("flags: qr tc"), "{cut}");
    assert_eq!(whole.matches("198.51.100.").count(), 40, "{whole}");
    assert_eq!(zone.asked(), [1, 1]);
}

fn a_silent_forwarder_is_passed_over(uplink: Uplink) {
    let world = World::new();
    let (_zone, appliance) = served(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let server = &peer.servers()[0];
    for silent in [BLACK_HOLE, UNREACHABLE] {
        appliance.api("PUT", "dns", &format!("forwarders_1={silent}&forwarders_2={FORWARDER}"));
        for name in ["a", "b", "c", "d"] {
            let asked = Instant::now();
            assert!(is_answered(&peer, &format!("@{server} {name}.example A")), "{silent} {name}");
            assert!(asked.elapsed() < Duration::from_secs(2), "{silent} {name}: {:?}", asked.elapsed());
        }
    }
}

fn a_resolver_that_is_switched_off_says_nothing(uplink: Uplink) {
    let world = World::new();
    let (_zone, appliance) = served(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let server = &peer.servers()[0];
    assert!(is_answered(&peer, &format!("@{server} a.example A")));

    appliance.api("PUT", "dns", "enabled=0");
    for words in ["", "+tcp"] {
        assert!(!is_answered(&peer, &format!("@{server} a.example A {words}")), "{words}");
    }

    appliance.api("PUT", "dns", "enabled=1");
    for words in ["", "+tcp"] {
        assert!(is_answered(&peer, &format!("@{server} a.example A {words}")), "{words}");
    }
}

fn a_rule_closes_the_resolver(uplink: Uplink) {
    let world = World::new();
    let (_zone, appliance) = served(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let server = &peer.servers()[0];
    let rule = "action=DROP&chain=INPUT&protocol=UDP&s_ip=0.0.0.0/0&s_port=0&d_ip=0.0.0.0/0&d_port=53&name=mute";
    appliance.api("POST", "firewall/rules/filter/end", rule);

    assert!(!is_answered(&peer, &format!("@{server} a.example A")));
    assert!(is_answered(&peer, &format!("@{server} a.example A +tcp")));
    let opened = rule.replace("DROP", "ACCEPT").replace("mute", "open");
    appliance.api("POST", "firewall/rules/filter/top", &opened);
    assert!(is_answered(&peer, &format!("@{server} a.example A")));
}

fn another_servers_client_gets_nothing(uplink: Uplink) {
    let world = World::new();
    let (_zone, appliance) = served(&world, uplink, &[]);
    appliance.api("POST", "wireguard", "name=other");
    appliance.api("POST", "account", "wg_name=other&name=stranger");
    let stranger = appliance.peer(&world, "stranger");
    let own = &stranger.servers()[0];

    assert!(is_answered(&stranger, &format!("@{own} a.example A")));
    for words in ["", "+tcp"] {
        let said = dig(&stranger, &format!("@10.0.0.1 a.example A {words}"));
        assert!(!said.contains("status:"), "{said}");
    }
}

fn a_blocked_name_is_not_asked_for(uplink: Uplink) {
    let world = World::new();
    let folder = tempfile::Builder::new().prefix("culvert-lists-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let list = folder.path().join("ads");
    fs::write(&list, "0.0.0.0 ads.example\n").unwrap();
    let (zone, appliance) = served(&world, uplink, &[("CULVERT_DNS__BLOCKLISTS", list.to_str().unwrap())]);
    let peer = appliance.peer(&world, "peer_1");
    let server = &peer.servers()[0];
    let listed = |count: u64| {
        let shown = appliance.api("GET", "dns", "");
        (shown["questions"]["Default_1"]["listed"].as_u64() == Some(count)).then_some(())
    };
    until(PATIENCE, "a block list", || listed(1));

    let said = dig(&peer, &format!("@{server} ads.example A"));
    assert!(said.contains("status: NXDOMAIN") && said.contains("EDE: 15 (Blocked)"), "{said}");
    assert_eq!(zone.asked(), [0, 0]);
    let most = &appliance.api("GET", "dns", "")["most_blocked"];
    assert_eq!(*most, serde_json::json!([{"count": 1, "name": "ads.example"}]));

    fs::write(&list, "0.0.0.0 other.example\n0.0.0.0 third.example\n").unwrap();
    until(PATIENCE, "the changed block list", || listed(2));
    assert!(is_answered(&peer, &format!("@{server} ads.example A")));
}
