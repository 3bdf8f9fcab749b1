//! Rules, routes and settings of a host on which Culvert runs with a TUN, as the kernel prints them.

use std::fs;
use std::time::Duration;

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::namespace::Namespace;
use crate::rig::peer::Peer;
use crate::rig::world::{HOST, SERVER, World};
use crate::rig::{PATIENCE, until};

/// The settings that the steering changes on a host that forwards nothing yet.
const SETTINGS: [&str; 5] = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/ip_early_demux",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/conf/all/rp_filter",
];

fn settings(host: &Namespace) -> Vec<String> {
    host.enter(|| {
        SETTINGS.map(|key| fs::read_to_string(format!("/proc/sys/{key}")).unwrap().trim().to_owned()).to_vec()
    })
}

/// The rules of a host, in their order, with single blanks.
fn rules(host: &Namespace) -> Vec<String> {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    host.ip("rule").lines().map(plain).collect()
}

/// What is ours in a host's network, and what the test has put there.
fn picture(host: &Namespace) -> Vec<String> {
    let routes = ["route show table all proto 220", "-6 route show table all proto 220", "route show table 4242"];
    let words = ["rule", "-6 rule"].iter().chain(&routes).map(|words| host.ip(words));
    words.chain(settings(host)).collect()
}

/// A foreign rule and a foreign route, as another program would have them, also in the midst of ours.
fn put_foreign(host: &Namespace) {
    host.ip("rule add priority 4 to 192.0.2.251 lookup 4242");
    host.ip("rule add priority 77 to 192.0.2.250 lookup 4242");
    host.ip("route add 192.0.2.250/32 via 203.0.113.2 table 4242");
    host.sysctl("net/ipv4/ip_early_demux", "1");
    host.sysctl("net/ipv4/ip_local_reserved_ports", "8080,20000-20010");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn after_a_start_everything_is_in_its_place() {
    let world = World::new();
    put_foreign(&world.server);

    let _appliance = Appliance::start_on(&world, Uplink::Tun, &[]);

    let found = rules(&world.server);
    let place = |text: &str| {
        found.iter().position(|rule| rule.contains(text)).unwrap_or_else(|| panic!("no {text}: {found:#?}"))
    };
    let steered = place(&format!("to {SERVER} ipproto udp dport 16384-51819 lookup 20220"));
    assert!(place("iif culvert0 goto 5") < steered && place("ipproto icmp lookup 20220") < steered);
    assert!(steered < place("lookup local") && place("lookup local") < place("lookup main"));
    assert!(found.iter().filter(|rule| rule.contains("lookup local")).count() == 1, "{found:#?}");
    assert!(found.contains(&"77: from all to 192.0.2.250 lookup 4242".to_owned()), "{found:#?}");
    assert!(world.server.ip("route show table 20220").contains("default dev culvert0"));
    assert_eq!(settings(&world.server)[..4], ["1", "1", "0", "8080,16384-51819"]);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn what_somebody_takes_away_comes_back_and_nothing_else_changes() {
    let world = World::new();
    put_foreign(&world.server);
    let place = world.place();
    let appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let peer = Peer::connect(place, &appliance.client_file("peer_1"));
    peer.until_online(PATIENCE);
    let before = picture(&world.server);

    world.server.ip(&format!("rule del priority 4 to {SERVER} ipproto udp dport 16384-51819"));
    world.server.ip("route del default dev culvert0 table 20220");
    world.server.sysctl("net/ipv4/ip_early_demux", "1");

    assert_ne!(picture(&world.server)[..], before[..]);
    until(PATIENCE, "everything in its place", || {
        let sorted = |picture: Vec<String>| -> Vec<String> {
            let mut lines: Vec<String> = picture.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        (sorted(picture(&world.server)) == sorted(before.clone())).then_some(())
    });
    assert_eq!(peer.ask(HOST, 7, b"still", Duration::from_secs(5)).unwrap(), b"still");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn starts_and_kills_change_nothing_more_and_a_stop_puts_all_of_it_back() {
    let world = World::new();
    put_foreign(&world.server);
    let before = picture(&world.server);
    let mut appliance = Appliance::start_on(&world, Uplink::Tun, &[]);
    let running = picture(&world.server);
    assert_ne!(running, before);

    for _ in 0..2 {
        appliance.kill();
        appliance.serve();
        until(PATIENCE, "everything in its place", || (picture(&world.server) == running).then_some(()));
    }
    appliance.stop();

    assert_eq!(picture(&world.server), before);
}
