//! IKEv2 of clients whose place changes: behind a NAT that forgets them, and by their own word.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::home::Router;
use crate::rig::http::{self, Body};
use crate::rig::strongswan::{self, Client, Setup};
use crate::rig::world::{HOST, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    a_client_behind_a_nat_goes_on_when_its_mapping_changes
    a_download_goes_on_when_a_client_moves_to_another_address
    no_datagram_is_lost_when_a_client_authenticates_itself_anew
}

/// How long a client may be cut off by a change of its mapping, as long as it has something to say.
const CUT_OFF_MAX: Duration = Duration::from_secs(2);

/// An appliance that speaks IKEv2, and its authority.
fn appliance(world: &World, uplink: Uplink) -> (Appliance<'_>, String) {
    strongswan::allow_ports(world);
    let appliance = Appliance::start_on(world, uplink, &[]);
    let authority = strongswan::prepare(&appliance, "ecdsa256");
    (appliance, authority)
}

fn a_client_behind_a_nat_goes_on_when_its_mapping_changes(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink);
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

fn a_download_goes_on_when_a_client_moves_to_another_address(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink);
    let client = Client::connected(&world, &authority, &Setup::of(&appliance, "peer_1"));
    let place = &client.place;
    let length = 60_000_007;
    let stream = client.connect_to(HOST, 80).unwrap();
    let download = thread::spawn(move || http::get(stream, length, |_| {}));

    for n in [3, 4] {
        place.host.ip(&format!("addr del {}/28 dev eth0", place.v4(n - 1)));
        place.host.address("eth0", &format!("{}/28", place.v4(n)));
        place.route_to_the_server();
        let online = || appliance.api("GET", "ikev2/online", "");
        until(PATIENCE, "the new place", || (online()[0]["endpoint"] == *place.v4(n)).then_some(()));
        assert!(client.passes());
    }

    assert_eq!(download.join().unwrap().unwrap(), Body::digest(length));
    assert_eq!(client.associations().matches("ESTABLISHED").count(), 1, "it was not the same connection");
}

fn no_datagram_is_lost_when_a_client_authenticates_itself_anew(uplink: Uplink) {
    let world = World::new();
    let (appliance, authority) = appliance(&world, uplink);
    let setup = Setup { daemon: "make_before_break = yes".to_owned(), ..Setup::of(&appliance, "peer_1") };
    let client = Client::connected(&world, &authority, &setup);
    // each with its number alone
    let shown = || -> Vec<String> {
        let listed = client.associations();
        let lines = listed.lines().filter(|line| line.starts_with("c: "));
        lines.map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let socket = client.socket_to(HOST, 7, PATIENCE).unwrap();
    let mut asked = 0_u32;

    for _ in 0..3 {
        let before = shown();
        client.rekey(&["--ike", "c", "--reauth"]);
        let mut after = 0;
        while after < 200 {
            socket.send(&asked.to_be_bytes()).unwrap();
            let mut answer = [0; 4];
            socket.recv(&mut answer).unwrap_or_else(|error| panic!("datagram {asked} was lost: {error}"));
            assert_eq!(u32::from_be_bytes(answer), asked);
            asked += 1;
            // the list is asked for now and then, so that the echoes stay close together
            if after > 0 || asked.is_multiple_of(50) && shown().len() == 1 && shown() != before {
                after += 1;
            }
        }
    }
}
