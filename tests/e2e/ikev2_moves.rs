//! IKEv2 of clients whose place changes: behind a NAT that forgets them, and by their own word.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::home::Router;
use crate::rig::http::{self, Body};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::world::{HOST, World};
use crate::rig::{on_both_uplinks, until};

on_both_uplinks! {
    a_client_behind_a_nat_goes_on_when_its_mapping_changes
}

/// How long a client may be cut off by a change of its mapping, as long as it has something to say.
const CUT_OFF_MAX: Duration = Duration::from_secs(2);

fn a_client_behind_a_nat_goes_on_when_its_mapping_changes(uplink: Uplink) {
    let world = World::new();
    strongswan::allow_ports(&world);
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    let (place, router) = Router::home(&world);
    let client = Client::start(place, &authority, &Setup::of(&appliance, "peer_1"));
    client.connect().unwrap_or_else(|said| panic!("{said}"));
    assert!(client.passes() && router.carries(2, 30_000, true));
    let length = 20_000_003;
    let stream = client.connect_to(HOST, 80).unwrap();
    let download = thread::spawn(move || http::get(stream, length, |_| {}));
    let socket = client.socket_to(HOST, 7, Duration::from_millis(50)).unwrap();

    // other ports of the same address, another address, another address and other ports
    for (before, after, ports) in [(2, 2, 40_000), (2, 3, 40_000), (3, 4, 50_000)] {
        router.forget(before, after, ports);
        let begun = Instant::now();
        // late answers to earlier questions are none to this one
        let question = format!("{after} {ports}");
        until(CUT_OFF_MAX, "an echo by another mapping", || {
            socket.send(question.as_bytes()).unwrap();
            let mut answer = [0; 32];
            let length = socket.recv(&mut answer).ok()?;
            (answer[..length] == *question.as_bytes()).then_some(())
        });
        assert!(begun.elapsed() < CUT_OFF_MAX, "cut off for {:?}", begun.elapsed());
        assert!(router.carries(after, ports, true), "the mapping is not what it ought to be");
    }

    assert_eq!(download.join().unwrap().unwrap(), Body::digest(length));
    assert_eq!(client.associations().matches("ESTABLISHED").count(), 1);
    assert_eq!(appliance.api("GET", "ikev2/online", "")[0]["endpoint"], client.place.v4(4));
}
