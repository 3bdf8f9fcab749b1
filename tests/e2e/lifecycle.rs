//! Starting, stopping, being killed; and what the process may not do.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::PATIENCE;
use crate::rig::appliance::Appliance;
use crate::rig::http;
use crate::rig::world::{HOST, World};

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn it_serves_a_client_as_nobody_without_a_capability() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    let status = fs::read_to_string(format!("/proc/{}/status", appliance.program().id())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };

    assert_eq!(field("Name"), ["culvert"]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!((field("Uid"), field("Gid")), (vec!["65534".into(); 4], vec!["65534".into(); 4]));
    assert_eq!(field("NoNewPrivs"), ["1"]);
    assert_eq!(peer.ask(HOST, 7, b"yes", Duration::from_secs(5)).unwrap(), b"yes");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn it_stops_within_two_seconds_and_its_clients_come_back_after_a_restart() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let peer = appliance.peer(&world, "peer_1");
    let stream = peer.connect_to(HOST, 80).unwrap();
    let download = thread::spawn(move || http::get(stream, 20_000_000_000, |_| {}));

    let state = |appliance: &Appliance<'_>| ["wireguard", "account"].map(|path| appliance.api("GET", path, ""));
    let before = state(&appliance);

    let took = appliance.stop();
    assert!(took <= Duration::from_secs(2), "stopping took {took:?}");
    appliance.serve();
    assert_eq!(state(&appliance), before);

    // a client notices after 15 s without an answer (KEEPALIVE_TIMEOUT + REKEY_TIMEOUT)
    peer.until_online(Duration::from_secs(25));
    assert!(download.join().unwrap().is_err(), "a connection outlived the process that held it");
    let took = appliance.stop();
    assert!(took <= Duration::from_secs(2), "stopping took {took:?}");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn nothing_acknowledged_is_lost_when_it_is_killed_twenty_times() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    appliance.api("POST", "wireguard", "name=Large&address=10.60.0.1/16");
    let mut acknowledged = BTreeSet::new();

    for round in 0..20 {
        // so many answers, then the end in the midst of the next
        let answers = 1 + round * 7 % 23;
        acknowledged.extend(create_until_killed(&mut appliance, round, answers));
        appliance.serve();
        let listed = appliance.api("GET", "account", "");
        let listed: BTreeSet<String> =
            listed.as_array().unwrap().iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect();
        let lost: Vec<&String> = acknowledged.difference(&listed).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    }

    assert!(acknowledged.len() >= 20, "only {} were acknowledged", acknowledged.len());
    let last = acknowledged.pop_last().unwrap();
    appliance.peer(&world, &last).until_online(PATIENCE);
}

/// Creates accounts over two connections until so many are acknowledged, kills the appliance, and returns the names of
/// all that were acknowledged.
fn create_until_killed(appliance: &mut Appliance<'_>, round: u32, answers: u32) -> Vec<String> {
    let (sender, received) = mpsc::sync_channel(1_000);
    let clients: Vec<_> = (0..2)
        .map(|client| {
            let sender = sender.clone();
            let mut curl = appliance.requests(&forms(round, client));
            let mut curl = curl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            thread::spawn(move || {
                for line in BufReader::new(curl.stdout.take().unwrap()).lines().map_while(Result::ok) {
                    // the last line may be half an answer: that is none
                    let Ok(envelope) = serde_json::from_str::<Value>(&line) else { continue };
                    assert_eq!(envelope["status"], "success", "{line}");
                    sender.send(envelope["msg"]["name"].as_str().unwrap().to_owned()).unwrap();
                }
                curl.wait().unwrap();
            })
        })
        .collect();
    drop(sender);
    let begun = Instant::now();
    let mut names: Vec<String> = received.iter().take(answers as usize).collect();
    assert!(begun.elapsed() < PATIENCE, "{} answers took {:?}", names.len(), begun.elapsed());
    appliance.kill();
    names.extend(received.iter());
    for client in clients {
        client.join().unwrap();
    }
    names
}

/// A hundred accounts, as forms.
fn forms(round: u32, client: u32) -> Vec<String> {
    let mut forms = Vec::new();
    for number in 0..100 {
        let mut form = String::new();
        write!(form, "wg_name=Large&name=k{round}_{client}_{number}").unwrap();
        forms.push(form);
    }
    forms
}
