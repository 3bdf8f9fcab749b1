//! Edits of servers and accounts while tunnels are up.

use super::*;

fn works(client: &mut Client, world: &mut World) -> bool {
    let up = client.outside(b"still here");
    client.send(world, &up).outward.len() == 1
}

#[test]
fn cuts_a_disabled_account_at_once() {
    let mut world = World::with_accounts(2);
    let mut client = Client::connected(1, &mut world);
    let mut other = Client::connected(2, &mut world);
    let owner = world.change(Change::Account(Arc::new(Account { enabled: false, ..account(1) })));

    assert_eq!(owner, Some(Owner(0)));
    assert!(!works(&mut client, &mut world));
    let initiation = client.initiation();
    assert_eq!(world.handle(client.remote, &initiation), Outcome::default());
    assert_eq!(world.down(1, &packet(OUTSIDE, v4(1), b"x")), Outcome::default());
    assert!(works(&mut other, &mut world));
    let figures = world.plane.account_figures(&account(1).name, world.now).unwrap();
    assert_eq!(figures.endpoint, Some(client.remote), "what it did is not forgotten");
}

#[test]
fn counts_what_waited_for_whoever_is_gone() {
    let changes = [
        Change::Gone(account(1).name),
        Change::Account(Arc::new(Account { enabled: false, ..account(1) })),
        Change::Server(Arc::new(Server { private_key: key(77), public_key: key(77).public(), ..server() })),
    ];
    for change in changes {
        let mut world = World::with_accounts(1);
        let mut client = Client::connected(1, &mut world);
        let mut fragment = client.outside(&[7; 64]);
        fragment[6] = 0x20;
        client.send(&mut world, &fragment);
        world.pass(Duration::from_secs(181));
        world.handle_deadline();
        assert_eq!(world.dropped(DropReason::FragmentUnfit), 1);
        world.down(1, &packet(OUTSIDE, v4(1), b"x"));

        world.change(change);

        assert_eq!((world.dropped(DropReason::PeerGone), world.plane.drops().total()), (1, 2));
    }
}

#[test]
fn counts_the_fragments_of_whoever_is_cut_off() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let mut fragment = client.outside(&[7; 64]);
    fragment[6] = 0x20;
    client.send(&mut world, &fragment);

    world.change(Change::Account(Arc::new(Account { enabled: false, ..account(1) })));

    assert_eq!(world.dropped(DropReason::PeerGone), 1);
}

#[test]
fn calls_an_account_back_when_it_is_enabled_again() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    world.apply(Change::Account(Arc::new(Account { enabled: false, ..account(1) })));

    let outcome = world.apply(Change::Account(Arc::new(account(1))));

    assert_eq!(outcome.sent[0].0.remote, client.remote);
    let response = client.answer(&outcome.sent[0].1).expect("a response");
    let outcome = world.handle(client.remote, &response);
    assert_eq!(client.open(&outcome.sent[0].1), None, "a keepalive confirms the session");
    assert!(works(&mut client, &mut world));
}

#[test]
fn drops_no_session_for_an_edit_that_needs_none() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let edits = [
        Account { b_download: Mbps::new(10).unwrap(), ..account(1) },
        Account { mark: 900, ..account(1) },
        Account { private_key: Some(key(1)), ..account(1) },
    ];
    for edit in edits {
        assert_eq!(world.change(Change::Account(Arc::new(edit))), None);
        assert!(works(&mut client, &mut world));
    }
    let settings = [
        Server { mtu: 1_280, ..server() },
        Server { internal_traffic: false, ..server() },
        Server { ipv6: false, ..server() },
    ];
    for server in settings {
        assert_eq!(world.apply(Change::Server(Arc::new(server))), Outcome::default());
        assert!(works(&mut client, &mut world));
    }
}

#[test]
fn ends_the_flows_but_not_the_session_of_an_account_that_gets_another_address() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let moved = Account { address: v4(5), ..account(1) };
    let cut = world.change(Change::Account(Arc::new(moved)));
    assert_eq!(cut, Some(Owner(0)));
    assert!(!works(&mut client, &mut world));
    assert_eq!(world.dropped(DropReason::SourceForged), 1);
    client.number = 5;
    assert!(works(&mut client, &mut world));
}

#[test]
fn lets_two_accounts_swap_their_addresses() {
    let mut world = World::with_accounts(2);
    let mut one = Client::connected(1, &mut world);
    let mut two = Client::connected(2, &mut world);
    for (number, address) in [(1, v4(2)), (2, v4(1))] {
        world.apply(Change::Account(Arc::new(Account { address, ..account(number) })));
    }
    let outcome = one.send(&mut world, &packet(v4(2), v4(1), b"hello"));
    assert_eq!(outcome.sent[0].0.remote, two.remote);
    assert!(two.open(&outcome.sent[0].1).is_some());
}

#[test]
fn ends_the_session_of_an_account_that_gets_another_key() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    world.apply(Change::Account(Arc::new(Account { public_key: key(50).public(), ..account(1) })));
    assert!(!works(&mut client, &mut world));
    let mut other = Client::new(50);
    other.connect(&mut world);
    let up = packet(v4(1), OUTSIDE, b"x");
    assert_eq!(other.send(&mut world, &up).outward, [(Owner(0), up)]);
}

#[test]
fn ends_every_session_when_the_server_gets_another_key() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let private_key = key(77);
    world.apply(Change::Server(Arc::new(Server { public_key: private_key.public(), private_key, ..server() })));
    assert!(!works(&mut client, &mut world));
    let initiation = client.initiation();
    assert_eq!(world.handle(client.remote, &initiation), Outcome::default());
    assert_eq!(world.dropped(DropReason::WrongMac), 1);
}

#[test]
fn forgets_an_account_that_is_gone_and_reuses_its_slot() {
    let mut world = World::with_accounts(2);
    let mut client = Client::connected(1, &mut world);
    let cut = world.change(Change::Gone(account(1).name));
    assert_eq!(cut, Some(Owner(0)));
    assert!(!works(&mut client, &mut world));
    world.apply(Change::Account(Arc::new(account(3))));
    let mut third = Client::connected(3, &mut world);
    let up = third.outside(b"x");
    assert_eq!(third.send(&mut world, &up).outward, [(Owner(0), up)]);
    assert_eq!(world.plane.figures(world.now).len(), 1);
}
