//! Clients by ESP, beside those of `WireGuard`.

use super::*;
use crate::engine::dataplane::by_esp::EspChange;
use crate::engine::dataplane::link::esp::Child;
use crate::engine::esp::association::{Inbound, Keys, OVERHEAD_MAX, Outbound};
use crate::engine::esp::suite::{Encryption, Suite};

/// A client by ESP; its association has the number of its account in both SPIs.
struct EspClient {
    number: u32,
    remote: SocketAddr,
    outbound: Outbound,
    inbound: Inbound,
}

fn keys(spi: u32) -> Keys {
    let suite = Suite::aead(Encryption::Aes256Gcm);
    let encryption = vec![u8::try_from(spi & 0xff).unwrap(); 36].into();
    Keys { spi, suite, extended: false, encryption, integrity: Vec::new().into() }
}

fn endpoint(remote: SocketAddr) -> Endpoint {
    Endpoint { remote, local: Some(Ipv4Addr::new(192, 0, 2, 1).into()) }
}

fn child(number: u32) -> Child {
    let only = |address: IpAddr| address..=address;
    let all = |v4: bool| -> [IpAddr; 2] {
        if v4 {
            [Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()]
        } else {
            [Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from_bits(u128::MAX).into()]
        }
    };
    let network = [all(true), all(false)].map(|[first, last]| first..=last);
    Child {
        inbound: keys(0x1000 + number),
        outbound: keys(0x2000 + number),
        seed: [1; 16],
        client: vec![only(v4(number).into()), only(v6(number).into())],
        network: network.into(),
        confirmed: true,
        carries: true,
    }
}

impl World {
    fn agree(&mut self, number: u32, change: EspChange) -> bool {
        self.plane.apply_esp(&account(number).name, change)
    }

    fn handle_esp(&mut self, from: SocketAddr, mut datagram: Vec<u8>) -> Outcome {
        self.with(|plane, around, now| plane.handle_esp(endpoint(from), &mut datagram, around, now));
        self.with(Dataplane::handle_batch_end);
        Outcome { outward: std::mem::take(&mut self.outside.outward), sent: self.drain() }
    }
}

impl EspClient {
    fn connected(number: u32, world: &mut World) -> Self {
        let remote = SocketAddr::from((Ipv4Addr::from_bits(0xc633_6480 + number), 4_500));
        let change =
            EspChange::Install { connection: number.into(), endpoint: endpoint(remote), child: child(number).into() };
        assert!(world.agree(number, change));
        Self {
            number,
            remote,
            outbound: Outbound::new(&keys(0x1000 + number), [2; 16]).unwrap(),
            inbound: Inbound::new(&keys(0x2000 + number)).unwrap(),
        }
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; packet.len() + OVERHEAD_MAX];
        let length = self.outbound.seal(packet, &mut memory).unwrap();
        memory.truncate(length);
        memory
    }

    fn send(&mut self, world: &mut World, packet: &[u8]) -> Outcome {
        let datagram = self.seal(packet);
        world.handle_esp(self.remote, datagram)
    }

    fn open(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut datagram = datagram.to_vec();
        let opened = self.inbound.open(&mut datagram).unwrap();
        datagram[opened.packet].to_vec()
    }

    fn outside(&self, payload: &[u8]) -> Vec<u8> {
        packet(v4(self.number), OUTSIDE, payload)
    }
}

#[test]
fn carries_packets_up_and_down_as_for_any_client() {
    let mut world = World::with_accounts(1);
    let mut client = EspClient::connected(1, &mut world);
    for length in [0, 1, 100, 1_392] {
        let up = client.outside(&vec![7; length]);
        assert_eq!(client.send(&mut world, &up).outward, [(Owner(0), up)]);

        let down = packet(OUTSIDE, v4(1), &vec![8; length]);
        let sent = world.down(1, &down).sent;
        assert_eq!((sent[0].0, client.open(&sent[0].1)), (endpoint(client.remote), down));
    }

    let figures = world.plane.account_figures(&account(1).name, world.now).unwrap();
    let expected = [0, 1, 100, 1_392].iter().map(|length| length + 28).sum();
    assert_eq!((figures.received, figures.sent), (expected, expected));
    assert_eq!(world.plane.drops().total(), 0);
}

#[test]
fn crosses_from_one_link_to_the_other() {
    let mut world = World::with_accounts(2);
    let (mut one, mut other) = (EspClient::connected(1, &mut world), Client::connected(2, &mut world));

    let there = packet(v4(1), v4(2), b"there");
    let sent = one.send(&mut world, &there).sent;
    let got = other.open(&sent[0].1).unwrap();
    assert_eq!(got[20..], there[20..]);
    let sent = other.send(&mut world, &packet(v4(2), v4(1), b"and back")).sent;
    assert_eq!(one.open(&sent[0].1)[28..], b"and back"[..]);
}

#[test]
fn answers_by_the_link_that_spoke_last() {
    let mut world = World::with_accounts(1);
    let mut old = Client::connected(1, &mut world);
    let mut new = EspClient::connected(1, &mut world);
    let down = packet(OUTSIDE, v4(1), b"down");
    assert_eq!(new.open(&world.down(1, &down).sent[0].1), down, "whoever has just logged in");

    let up = old.outside(b"up");
    old.send(&mut world, &up);
    assert_eq!(old.open(&world.down(1, &down).sent[0].1), Some(down.clone()));

    new.send(&mut world, &up);
    assert_eq!(new.open(&world.down(1, &down).sent[0].1), down);

    // without a connection by ESP there is the other way
    assert!(world.agree(1, EspChange::Close { connection: 1 }));
    assert_eq!(old.open(&world.down(1, &down).sent[0].1), Some(down));
    let datagram = new.seal(&up);
    world.handle_esp(new.remote, datagram);
    assert_eq!(world.dropped(DropReason::UnknownIndex), 1);
}

#[test]
fn follows_what_is_authentic_and_new_to_where_it_came_from_and_tells_ike() {
    let mut world = World::with_accounts(1);
    let mut client = EspClient::connected(1, &mut world);
    let (old, new) = (client.remote, SocketAddr::from(([198, 51, 100, 250], 1_234)));
    let up = client.outside(b"up");
    let (first, second, third) = (client.seal(&up), client.seal(&up), client.seal(&up));
    let mut forged = client.seal(&up);
    *forged.last_mut().unwrap() ^= 1;

    for (from, datagram) in [(old, &first), (new, &third), (old, &second), (old, &first), (old, &forged)] {
        world.handle_esp(from, datagram.clone());
    }

    let down = world.down(1, &packet(OUTSIDE, v4(1), b"down"));
    assert_eq!(down.sent[0].0, endpoint(new));
    assert_eq!((world.dropped(DropReason::Replayed), world.dropped(DropReason::Unauthentic)), (1, 1));
    let used = |from: SocketAddr| EspWord::Used { inbound: 0x1001, from: Some(endpoint(from)) };
    let sent = EspWord::Used { inbound: 0x1001, from: None };
    assert_eq!(world.outside.words, [used(old), used(new), sent]);
}

#[test]
fn sends_by_a_connection_that_follows_another_once_the_client_has_used_it() {
    let mut world = World::with_accounts(1);
    let mut client = EspClient::connected(1, &mut world);
    let down = packet(OUTSIDE, v4(1), b"down");
    let spi_to = |world: &mut World| world.down(1, &down).sent[0].1[..4].to_vec();
    let follower = |connection: u64, number: u32, remote: SocketAddr| {
        let (inbound, outbound) = (keys(0x1000 + number), keys(0x2000 + number));
        let child = Child { inbound, outbound, ..child(1) }.into();
        EspChange::Install { connection, endpoint: endpoint(remote), child }
    };

    assert!(world.agree(1, follower(2, 2, client.remote)));
    assert_eq!(spi_to(&mut world), 0x2001_u32.to_be_bytes());
    client.outbound = Outbound::new(&keys(0x1002), [2; 16]).unwrap();
    let up = client.outside(b"up");
    client.send(&mut world, &up);
    assert_eq!(spi_to(&mut world), 0x2002_u32.to_be_bytes());

    // one from elsewhere is another device, or the same after all: it has just spoken
    assert!(world.agree(1, follower(3, 3, SocketAddr::from(([198, 51, 100, 251], 4_500)))));
    assert_eq!(spi_to(&mut world), 0x2003_u32.to_be_bytes());
}

#[test]
fn tells_ike_of_a_busy_association_once_a_second() {
    let mut world = World::with_accounts(1);
    let mut client = EspClient::connected(1, &mut world);
    for _ in 0..30 {
        let up = client.outside(b"up");
        client.send(&mut world, &up);
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.outside.words.len(), 3);
}

#[test]
fn lets_a_client_speak_in_its_own_name_alone() {
    let mut world = World::with_accounts(2);
    let mut client = EspClient::connected(1, &mut world);

    let outcome = client.send(&mut world, &packet(v4(2), OUTSIDE, b"I am somebody else"));

    assert_eq!(outcome, Outcome::default());
    assert_eq!(world.dropped(DropReason::SourceForged), 1);
}

#[test]
fn ends_with_the_account() {
    let disabled = Account { enabled: false, ..account(1) };
    let moved = Account { address: v4(9), ..account(1) };
    for change in [Change::Account(Arc::new(disabled)), Change::Account(Arc::new(moved)), Change::Gone(account(1).name)]
    {
        let mut world = World::with_accounts(1);
        let mut client = EspClient::connected(1, &mut world);

        world.change(change);

        let up = client.outside(b"up");
        assert_eq!(client.send(&mut world, &up), Outcome::default());
        assert_eq!(world.dropped(DropReason::UnknownIndex), 1);
    }
    let mut world = World::with_accounts(1);
    let install = |number: u32| EspChange::Install {
        connection: 1,
        endpoint: endpoint(SocketAddr::from(([198, 51, 100, 1], 4_500))),
        child: child(number).into(),
    };
    assert!(!world.agree(2, install(2)), "of nobody");
    world.change(Change::Account(Arc::new(Account { enabled: false, ..account(1) })));
    assert!(!world.agree(1, install(1)), "of somebody who may not connect");
}

#[test]
fn says_what_fits_the_link() {
    let mut world = World::with_accounts(1);
    assert_eq!(world.plane.mtu_of(Owner(0)), 1_420);
    let _client = EspClient::connected(1, &mut world);
    // 1438 would fit, and the server's own is less
    assert_eq!(world.plane.mtu_of(Owner(0)), 1_420);

    let endpoint = endpoint("[2001:db8::7]:4500".parse().unwrap());
    assert!(world.agree(1, EspChange::Move { connection: 1, endpoint }));

    // 1500 - 40 - 8 - 8 of ESP - 8 of IV - 16 of ICV, in multiples of four, less two bytes
    assert_eq!(world.plane.mtu_of(Owner(0)), 1_418);
}
