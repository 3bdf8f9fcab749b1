//! Two workers that share a server, each with its clients.

use super::*;

/// Both workers' shares of a server, and clients that live at the first and at the second.
fn shared() -> ([World; 2], [u32; 2]) {
    let now = start();
    let mut worlds = [0, 1].map(|worker| World::at(Seat { server: 0, worker, of: 2 }, server(), now));
    let lives_at = |worker: u8| {
        (1..100).find(|number| Seat { server: 0, worker: 0, of: 2 }.home(&account(*number).public_key) == worker)
    };
    let numbers = [0, 1].map(|worker| lives_at(worker).unwrap());
    for world in &mut worlds {
        for number in numbers {
            world.apply(Change::Account(Arc::new(account(number))));
        }
    }
    (worlds, numbers)
}

/// Takes the only thing that was handed over to where it goes.
fn hand_over([one, other]: &mut [World; 2]) -> Vec<(Endpoint, Vec<u8>)> {
    let (worker, handed) = one.outside.elsewhere.pop().expect("something was handed over");
    assert_eq!((worker, one.outside.elsewhere.len()), (1, 0));
    other.with(|plane, around, now| match &handed {
        Handed::Datagram(from, bytes) => plane.handle_parcel(Parcel::Datagram { from: *from, bytes }, around, now),
        Handed::Packet(packet) => {
            plane.handle_parcel(Parcel::Crossing { packet, offload: Offload::NONE }, around, now);
        }
    });
    other.drain()
}

/// Connects a client whose first message comes in at the wrong door.
fn connect_by_the_wrong_door(worlds: &mut [World; 2], number: u32) -> Client {
    let mut client = Client::new(number);
    let initiation = client.initiation();
    assert_eq!(worlds[0].handle(client.remote, &initiation), Outcome::default());
    let answer = hand_over(worlds).pop().expect("an answer").1;
    let confirmation = client.answer(&answer).expect("a keepalive");
    assert_eq!(confirmation[5] % 2, 1, "the kernel finds the way to the second worker");
    worlds[1].handle(client.remote, &confirmation);
    client
}

#[test]
fn a_handshake_at_the_wrong_door_is_answered_where_its_client_lives() {
    let (mut worlds, [_, second]) = shared();
    let mut client = connect_by_the_wrong_door(&mut worlds, second);
    let up = client.outside(b"hello");
    assert_eq!(client.send(&mut worlds[1], &up).outward.len(), 1);
    assert_eq!(worlds[0].plane.figures(worlds[0].now).len(), 0);
    assert_eq!(worlds[1].plane.figures(worlds[1].now).len(), 1);
}

#[test]
fn nothing_is_handed_over_twice_and_nobody_is_handed_over_who_has_no_account() {
    let (mut worlds, [first, second]) = shared();
    let initiation = Client::new(second).initiation();
    worlds[0].apply(Change::Gone(account(second).name));
    assert_eq!(worlds[0].handle(Client::new(second).remote, &initiation), Outcome::default());
    assert!(worlds[0].outside.elsewhere.is_empty());
    assert_eq!(worlds[0].dropped(DropReason::UnknownPeer), 1);

    // the second worker still believes in the first, which knows better
    let initiation = Client::new(first).initiation();
    let from = Endpoint { remote: Client::new(first).remote, local: None };
    worlds[1].with(|plane, around, now| {
        plane.handle_parcel(Parcel::Datagram { from, bytes: &initiation }, around, now);
    });
    assert!(worlds[1].outside.elsewhere.is_empty());
    assert_eq!(worlds[1].dropped(DropReason::UnknownPeer), 1);
}

#[test]
fn clients_of_different_workers_reach_one_another_if_they_may() {
    let (mut worlds, [first, second]) = shared();
    let mut one = Client::connected(first, &mut worlds[0]);
    let mut other = connect_by_the_wrong_door(&mut worlds, second);
    let across = packet(v4(first), v4(second), b"hello");

    assert_eq!(one.send(&mut worlds[0], &across), Outcome::default());
    let sent = hand_over(&mut worlds);
    let got = other.open(&sent[0].1).expect("a packet");
    assert_eq!((got[8], &got[28..]), (63, &b"hello"[..]), "one hop less");

    worlds[0].apply(Change::Server(Arc::new(Server { internal_traffic: false, ..server() })));
    one.send(&mut worlds[0], &across);
    assert_eq!(worlds[0].dropped(DropReason::InternalOff), 1);
    assert!(worlds[0].outside.elsewhere.is_empty());
}

#[test]
fn an_account_whose_new_key_lives_elsewhere_moves_there() {
    let (mut worlds, [first, second]) = shared();
    let mut client = Client::connected(first, &mut worlds[0]);
    let moved = Arc::new(Account { public_key: account(second).public_key, ..account(first) });
    for world in &mut worlds {
        world.apply(Change::Gone(account(second).name));
        world.apply(Change::Account(Arc::clone(&moved)));
    }
    let up = client.outside(b"hello");
    assert_eq!(client.send(&mut worlds[0], &up), Outcome::default());
    assert_eq!(worlds[0].plane.owner(&moved.name), None);
    assert!(worlds[1].plane.owner(&moved.name).is_some());
}
