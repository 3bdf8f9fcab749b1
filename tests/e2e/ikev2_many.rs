//! Many clients by IKEv2 at once, and many new keys under load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::world::{HOST, World};
use crate::rig::{PATIENCE, until};

/// How many clients there are.
const CLIENTS: usize = 100;
/// How often keys are renewed in all.
const RENEWALS: usize = 1_000;
/// How long they may take to connect together.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// Accounts of so many clients, each with its inner address.
fn accounts(appliance: &Appliance<'_>) -> Vec<(Setup, String)> {
    let first = Setup::of(appliance, "peer_1");
    let forms: Vec<String> =
        (0..CLIENTS).map(|n| format!("wg_name=Default_1&name=many{n}&username=many{n}&password=word{n}")).collect();
    assert_eq!(appliance.add_accounts(&forms), forms.len());
    let address = |n: usize| {
        let detail = appliance.api("GET", &format!("account/many{n}"), "");
        let address = detail["allowed_IPs"].as_str().unwrap_or_else(|| panic!("{detail}"));
        address.split('/').next().unwrap().to_owned()
    };
    (0..CLIENTS)
        .map(|n| {
            let setup = Setup { user: format!("many{n}"), password: format!("word{n}"), ..first.clone() };
            (setup.child("start_action = start\n"), address(n))
        })
        .collect()
}

/// Asks an echo from this address until it is `over`, one datagram after another, and counts the answers. More of a
/// hundred clients at once would not fit the buffers of the sockets on the way, which is no loss of ours.
///
/// # Panics
/// Where one is lost.
fn ask(client: &Client, own: &str, over: &AtomicBool, answered: &AtomicUsize) {
    let socket = client.socket_from(own, HOST, 7, PATIENCE).unwrap();
    let mut asked = 0_u64;
    while !over.load(Ordering::Relaxed) {
        socket.send(&asked.to_be_bytes()).unwrap();
        let mut answer = [0; 8];
        socket.recv(&mut answer).unwrap_or_else(|error| panic!("{own} lost datagram {asked}: {error}"));
        assert_eq!(u64::from_be_bytes(answer), asked, "{own}");
        asked += 1;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often keys were renewed, as the daemon tells: those of children, and of associations.
fn renewals(client: &Client) -> [usize; 2] {
    let said = client.said();
    ["outbound CHILD_SA k{", "rekeyed between"].map(|words| said.matches(words).count())
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's strongSwan: run tests/run"]
fn a_hundred_clients_lose_nothing_while_both_sides_renew_keys_a_thousand_times() {
    let world = World::new();
    strongswan::allow_ports(&world);
    let appliance = Appliance::start_on(&world, Uplink::Sockets, &[]);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    // children are renewed by us after up to 6 seconds, associations after up to 8
    appliance.cli("ikev2 settings rekey=yes reauth=no lifetime=66 ikelifetime=68 margintime=60 rekeyfuzz=10");
    let accounts = accounts(&appliance);
    let setups: Vec<Setup> = accounts.iter().map(|(setup, _)| setup.clone()).collect();
    let client = Client::start_many(world.place(), &authority, &setups);
    let online = || appliance.api("GET", "ikev2/online", "").as_array().unwrap().len();
    until(CONNECT_MAX, "a hundred clients", || (online() == CLIENTS).then_some(()));
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    // the server knows of a client a moment before the client does
    for (_, own) in &accounts {
        let socket = client.socket_from(own, HOST, 7, Duration::from_millis(50)).unwrap();
        until(PATIENCE, "an echo", || socket.send(b"here").and_then(|_| socket.recv(&mut [0; 8])).ok());
    }

    thread::scope(|scope| {
        for (_, own) in &accounts {
            scope.spawn(|| ask(&client, own, &over, &answered));
        }
        // by turns, so that either side's wishes meet the other's; the echoes set the pace
        let mut wishes = [["--child", "k"], ["--ike", "c0"]].into_iter().cycle();
        until(Duration::from_secs(120), "a thousand new keys", || {
            let before = answered.load(Ordering::Relaxed);
            client.rekey(&wishes.next()?);
            until(PATIENCE, "two thousand echoes", || {
                (answered.load(Ordering::Relaxed) > before + 2_000).then_some(())
            });
            let [children, associations] = renewals(&client);
            (children + associations >= RENEWALS && associations >= CLIENTS).then_some(())
        });
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(online(), CLIENTS);
}
