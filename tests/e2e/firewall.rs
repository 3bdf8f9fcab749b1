//! The firewall, on both uplinks: rules, policies, switches and counters, in the midst of traffic.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::hosts;
use crate::rig::http::{self, Body};
use crate::rig::peer::Peer;
use crate::rig::world::{HOST, HOST_V6, SERVER_OTHER, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    a_drop_rule_cuts_new_connections_and_those_that_are_open
    a_rule_may_name_one_client_and_one_host
    a_policy_of_drop_leaves_what_a_rule_accepts
    without_ip_forward_only_the_server_itself_answers
    internal_traffic_is_a_switch_of_each_server_and_of_all
    input_rules_decide_about_pings_to_the_server
    an_input_rule_opens_one_port_of_the_host_and_nothing_else_of_it
    the_api_stays_open_whatever_the_policies_are
    an_input_rule_closes_the_api_to_one_address_alone
    what_passes_is_counted
}

/// Longer than any answer takes on a loaded machine, shorter than patience.
const SILENCE: Duration = Duration::from_secs(1);

/// Adds a rule for everyone.
fn rule(appliance: &Appliance<'_>, end: &str, name: &str, action: &str, chain: &str, protocol: &str, port: u16) {
    let places = "s_ip=0.0.0.0/0&d_ip=0.0.0.0/0&s_port=0";
    let form = format!("name={name}&action={action}&chain={chain}&protocol={protocol}&d_port={port}&{places}");
    appliance.api("POST", &format!("firewall/rules/filter/{end}"), &form);
}

/// Says a word to an echo, and whether it came back.
fn answers(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

fn opens(peer: &Peer, host: &str, port: u16) -> bool {
    peer.connect_within(host, port, SILENCE).is_ok_and(|mut stream| {
        // on `sockets` an answer to a SYN is ours: only bytes of the other side prove a connection
        if port == 7 { answers(&mut stream) } else { http::get(stream, 1_000, |_| {}).is_ok() }
    })
}

fn a_drop_rule_cuts_new_connections_and_those_that_are_open(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for host in [HOST, HOST_V6] {
        let mut open = peer.connect_to(host, 7).unwrap();
        assert!(answers(&mut open));
        rule(&appliance, "end", "no_echo", "DROP", "FORWARD", "TCP", 7);
        assert!(!answers(&mut open), "{host}: an open connection went on");
        assert!(!opens(&peer, host, 7), "{host}: a new connection was made");
        // another protocol and another port are not meant
        assert_eq!(peer.ask(host, 7, b"udp", PATIENCE).unwrap(), b"udp");
        assert!(opens(&peer, host, 80));
        appliance.api("DELETE", "firewall/rules/filter/no_echo", "");
        assert!(opens(&peer, host, 7), "{host}: the rule outlived itself");
    }

    let socket = peer.socket(HOST, 7).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket.send(b"open").unwrap();
    socket.recv(&mut [0; 4]).unwrap();
    rule(&appliance, "top", "no_udp", "DROP", "FORWARD", "UDP", 7);
    // a refusal may come in place of silence
    let _ = socket.send(b"shut");
    assert!(socket.recv(&mut [0; 4]).is_err());
    rule(&appliance, "end", "no_ping", "DROP", "FORWARD", "ICMP", 0);
    assert_eq!(peer.ping(HOST, 2), 0);
}

fn a_rule_may_name_one_client_and_one_host(uplink: Uplink) {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let (first, second) = (appliance.peer(&world, "peer_1"), appliance.add_peer(&world, "second"));

    let form = format!(
        "name=one&action=DROP&chain=FORWARD&protocol=ANY&s_ip={}/32&s_port=0&d_ip={HOST}/32&d_port=0",
        first.address()
    );
    appliance.api("POST", "firewall/rules/filter/end", &form);
    assert!(!opens(&first, HOST, 7));
    assert_eq!(first.ping(HOST, 2), 0);
    assert!(opens(&first, HOST_V6, 7));
    assert!(opens(&second, HOST, 7));
    assert_eq!(second.ping(HOST, 2), 2);
}

fn a_policy_of_drop_leaves_what_a_rule_accepts(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    rule(&appliance, "end", "web", "ACCEPT", "FORWARD", "TCP", 80);
    appliance.api("PUT", "firewall/conf", "policy_forward=DROP");
    let length = 3_000_001;
    for host in [HOST, HOST_V6] {
        assert_eq!(http::get(peer.connect_to(host, 80).unwrap(), length, |_| {}).unwrap(), Body::digest(length));
        assert!(!opens(&peer, host, 7), "{host}");
        assert_eq!(peer.ping(host, 2), 0, "{host}");
    }
    appliance.api("PUT", "firewall/conf", "policy_forward=ACCEPT");
    assert!(opens(&peer, HOST, 7));
}

fn without_ip_forward_only_the_server_itself_answers(uplink: Uplink) {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    appliance.api("PUT", "firewall/conf", "ip_forward=0");
    assert!(!opens(&peer, HOST, 7));
    assert!(!opens(&peer, HOST_V6, 80));
    assert_eq!(peer.ping(HOST, 2), 0);
    assert_eq!(peer.ping(&peer.servers()[0], 2), 2);
    appliance.api("PUT", "firewall/conf", "ip_forward=1");
    assert!(opens(&peer, HOST, 7));
}

fn internal_traffic_is_a_switch_of_each_server_and_of_all(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let (first, second) = (appliance.peer(&world, "peer_1"), appliance.add_peer(&world, "second"));
    hosts::say(&second.place.host, 7_000, "neighbour");
    let reached = || {
        let said = first.ask(second.address(), 7_000, b"hello", SILENCE).is_ok_and(|said| said == b"neighbour");
        assert_eq!(first.ping(second.address(), 2), if said { 2 } else { 0 });
        said
    };

    for (server, all, expected) in [(1, 1, true), (0, 1, false), (1, 0, false), (1, 1, true)] {
        appliance.api("PUT", "wireguard/Default_1", &format!("internal_traffic={server}"));
        appliance.api("PUT", "firewall/conf", &format!("internal_traffic={all}"));
        assert_eq!(reached(), expected, "server {server}, all {all}");
    }
    rule(&appliance, "end", "no_neighbours", "DROP", "FORWARD", "UDP", 7_000);
    assert!(first.ask(second.address(), 7_000, b"hello", SILENCE).is_err());
    assert_eq!(first.ping(second.address(), 2), 2);
}

fn input_rules_decide_about_pings_to_the_server(uplink: Uplink) {
    let world = World::new();
    world.allow_ping();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    for own in peer.servers() {
        assert_eq!(peer.ping(&own, 2), 2, "{own}");
        rule(&appliance, "end", "no_ping", "DROP", "INPUT", "ICMP", 0);
        assert_eq!(peer.ping(&own, 2), 0, "{own}");
        assert_eq!(peer.ping(HOST, 2), 2, "INPUT speaks of the server alone");
        appliance.api("DELETE", "firewall/rules/filter/no_ping", "");
        appliance.api("PUT", "firewall/conf", "policy_input=DROP");
        assert_eq!(peer.ping(&own, 2), 0, "{own}");
        rule(&appliance, "end", "ping", "ACCEPT", "INPUT", "ICMP", 0);
        assert_eq!(peer.ping(&own, 2), 2, "{own}");
        appliance.api("DELETE", "firewall/rules/filter/ping", "");
        appliance.api("PUT", "firewall/conf", "policy_input=ACCEPT");
    }
}

fn an_input_rule_opens_one_port_of_the_host_and_nothing_else_of_it(uplink: Uplink) {
    let world = World::new();
    world.allow_ping();
    // what has an address when the appliance starts is known to be the host's at once
    let neighbour = world.place();
    let (own_v6, other) = (neighbour.v6(1), neighbour.v4(1));
    for (address, port) in [SERVER_OTHER, &own_v6, &other].into_iter().flat_map(|own| [(own, 7_000), (own, 7_001)]) {
        hosts::say_at(&world.server, address, port, "host");
    }
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let by_udp = |host: &str, port| peer.ask(host, port, b"hello", SILENCE).is_ok_and(|said| said == b"host");
    let by_tcp = |host: &str, port| {
        let mut said = String::new();
        let stream = peer.connect_within(host, port, SILENCE);
        stream.and_then(|mut stream| stream.read_to_string(&mut said)).is_ok_and(|_| said == "host")
    };
    let open = |host: &str, port| [by_tcp(host, port), by_udp(host, port)];

    for host in [SERVER_OTHER, &own_v6] {
        assert_eq!(open(host, 7_000), [false; 2], "{host}: open though no rule says so");
        let places = format!("s_ip=0.0.0.0/0&s_port=0&d_ip={host}");
        let form = format!("name=host&action=ACCEPT&chain=INPUT&protocol=ANY&d_port=7000&{places}");
        appliance.api("POST", "firewall/rules/filter/end", &form);
        assert_eq!(open(host, 7_000), [true; 2], "{host}: closed in spite of the rule");
        assert_eq!(open(host, 7_001), [false; 2], "{host}: another port");
        assert_eq!(open(&other, 7_000), [false; 2], "{other}: another address");
        assert_eq!(peer.ping(host, 2), 0, "{host}");
        let form = format!("name=ping&action=ACCEPT&chain=INPUT&protocol=ICMP&d_port=0&{places}");
        appliance.api("POST", "firewall/rules/filter/end", &form);
        assert_eq!(peer.ping(host, 2), 2, "{host}");
        for name in ["host", "ping"] {
            appliance.api("DELETE", &format!("firewall/rules/filter/{name}"), "");
        }
        assert_eq!((open(host, 7_000), peer.ping(host, 2)), ([false; 2], 0), "{host}: the rule outlived itself");
    }
    assert!(opens(&peer, HOST, 7));
}

fn the_api_stays_open_whatever_the_policies_are(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");

    appliance.api("PUT", "firewall/conf", "policy_input=DROP&policy_forward=DROP&policy_output=DROP&ip_forward=0");
    let settings = appliance.api("GET", "firewall/conf", "");
    assert_eq!(settings["policy_input"], "DROP");
    let rules = appliance.api("GET", "firewall/rules/filter", "");
    assert!(rules.as_array().unwrap().iter().any(|rule| rule["name"] == "system_PUQVPNCP"), "{rules}");
    let refusal = appliance.call("DELETE", "firewall/rules/filter/system_PUQVPNCP", "");
    assert_eq!(refusal["status"], "error", "{refusal}");
    // the tunnel itself is no matter of INPUT: a client still shakes hands, and is served again when it is let
    appliance.api(
        "PUT",
        "firewall/conf",
        "policy_input=ACCEPT&policy_forward=ACCEPT&policy_output=ACCEPT&ip_forward=1",
    );
    peer.until_online(PATIENCE);
}

fn an_input_rule_closes_the_api_to_one_address_alone(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let answered = || {
        let mut curl = world.server.command("curl");
        curl.args(["--silent", "--insecure", "--max-time", "2", "--interface", "127.0.0.9"]);
        curl.arg("https://127.0.0.1:8098/api/v1/firewall/conf").output().unwrap().status.success()
    };
    assert!(answered());
    let form = "name=shut&action=DROP&chain=INPUT&protocol=TCP&s_ip=127.0.0.9/32&s_port=0&d_ip=0.0.0.0/0&d_port=8098";
    appliance.api("POST", "firewall/rules/filter/top", form);
    assert!(!answered());
    appliance.api("DELETE", "firewall/rules/filter/shut", "");
    assert!(answered());
}

/// What stands after `Pkt:` and `Bytes:`, added up over all lines.
fn counted(text: &str) -> [u64; 2] {
    ["Pkt: ", "Bytes: "].map(|word| {
        let after = text.match_indices(word).map(|(at, _)| text[at + word.len()..].split_whitespace().next().unwrap());
        after.map(|number| number.parse::<u64>().unwrap()).sum()
    })
}

fn what_passes_is_counted(uplink: Uplink) {
    let world = World::new();
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    let length: u32 = 3_000_000;

    for path in ["wireguard/Default_1/firewall_nat_rules", "account/peer_1/firewall_mangle_rules"] {
        let count = || counted(appliance.api("GET", path, "").as_str().unwrap());
        let before = count();
        http::get(peer.connect_to(HOST, 80).unwrap(), length as usize, |_| {}).unwrap();
        let sent = http::put(peer.connect_to(HOST, 80).unwrap(), length as usize).unwrap();
        assert_eq!(sent, Body::digest(length as usize));
        until(PATIENCE, "a count of what passed", || {
            let [packets, bytes] = count();
            (packets > before[0] && bytes >= before[1] + u64::from(length)).then_some(())
        });
    }
}
