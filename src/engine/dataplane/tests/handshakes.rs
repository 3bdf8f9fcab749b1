//! Handshakes, roaming, and silence.

use super::super::timeouts;
use super::*;
use proptest::prelude::*;

#[test]
fn makes_a_tunnel_only_when_a_peer_speaks() {
    let mut world = World::with_accounts(3);
    let tunnels = |world: &World| world.plane.peers.iter().filter(|(_, peer)| peer.tunnel.is_some()).count();
    assert_eq!(tunnels(&world), 0);
    let _client = Client::connected(2, &mut world);
    assert_eq!(tunnels(&world), 1);
    let figures = world.plane.figures(world.now);
    assert_eq!(figures.len(), 1);
    assert_eq!(figures[0].handshake_age, Some(Duration::from_millis(20)));
}

#[test]
fn costs_little_for_a_peer_that_has_not_spoken() {
    assert!(size_of::<Option<super::super::peers::Peer>>() <= 144);
}

#[test]
fn answers_from_the_address_that_was_hit() {
    let mut world = World::with_accounts(1);
    let mut client = Client::new(1);
    let hit = Endpoint { remote: client.remote, local: Some(Ipv4Addr::new(192, 0, 2, 77).into()) };
    let initiation = client.initiation();
    world.with(|plane, around, now| plane.handle_datagram(hit, &initiation, around, now));
    assert_eq!(world.drain()[0].0, hit);
}

#[test]
fn tells_a_thousand_peers_apart_by_index() {
    let mut world = World::with_accounts(1_000);
    let mut clients: Vec<Client> = (1..=1_000).map(|number| Client::connected(number, &mut world)).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        let up = client.outside(b"who am I");
        let outcome = client.send(&mut world, &up);
        assert_eq!(outcome.outward, [(Owner(u32::try_from(place).unwrap()), up)]);
        let down = packet(OUTSIDE, v4(client.number), b"you are");
        let outcome = world.down(client.number, &down);
        assert_eq!(outcome.sent[0].0.remote, client.remote);
        assert_eq!(client.open(&outcome.sent[0].1), Some(down));
    }
}

#[test]
fn follows_a_peer_that_moves() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    for port in 1..100 {
        client.remote.set_port(port);
        let up = client.outside(b"moved");
        assert_eq!(client.send(&mut world, &up).outward.len(), 1);
        let outcome = world.down(1, &packet(OUTSIDE, v4(1), b"found"));
        assert_eq!(outcome.sent[0].0.remote, client.remote);
    }
}

#[test]
fn follows_nobody_who_proves_nothing() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let mut forged = client.seal(&client.outside(b"x"));
    *forged.last_mut().unwrap() ^= 1;
    let stranger = SocketAddr::from(([198, 51, 100, 66], 1));
    assert_eq!(world.handle(stranger, &forged), Outcome::default());
    assert_eq!(world.dropped(DropReason::Unauthentic), 1);
    let figures = world.plane.account_figures(&account(1).name, world.now).unwrap();
    assert_eq!(figures.endpoint, Some(client.remote));
}

#[test]
fn takes_no_initiation_twice() {
    let mut world = World::with_accounts(1);
    let mut client = Client::new(1);
    let initiation = client.initiation();
    assert_eq!(world.handle(client.remote, &initiation).sent.len(), 1);
    world.pass(Duration::from_secs(1));
    let stranger = SocketAddr::from(([198, 51, 100, 66], 1));
    assert_eq!(world.handle(stranger, &initiation), Outcome::default());
    assert_eq!(world.handle(client.remote, &initiation), Outcome::default());
    assert_eq!(world.dropped(DropReason::Replayed), 2);
}

#[test]
fn sends_nothing_to_where_an_initiation_came_from_before_the_keys_are_proved() {
    let mut world = World::with_accounts(1);
    let mut client = Client::new(1);
    let captured = client.initiation();
    client.connect(&mut world);
    // what the last initiation said is forgotten with the keys
    world.pass(timeouts::FORGET_KEYS);
    world.handle_deadline();
    world.drain();
    let stranger = SocketAddr::from(([198, 51, 100, 66], 1));

    let answered = world.handle(stranger, &captured);

    assert_eq!(answered.sent.len(), 1, "it cannot be told from an honest one");
    let figures = world.plane.account_figures(&account(1).name, world.now).unwrap();
    assert_eq!(figures.endpoint, Some(client.remote));
    let outcome = world.down(1, &packet(OUTSIDE, v4(1), b"for the client"));
    assert_eq!(outcome.sent[0].0.remote, client.remote);
}

#[test]
fn takes_no_data_twice() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let datagram = client.seal(&client.outside(b"once"));
    assert_eq!(world.handle(client.remote, &datagram).outward.len(), 1);
    assert_eq!(world.handle(client.remote, &datagram), Outcome::default());
    assert_eq!(world.dropped(DropReason::Replayed), 1);
}

#[test]
fn keeps_no_tunnel_for_a_stranger_who_knows_two_public_keys() {
    let mut world = World::with_accounts(1);
    let mut client = Client::new(1);
    let mut initiation = client.initiation();
    // the timestamp proves the peer; the MACs after it only that the server's key is known
    initiation[100] ^= 1;
    let label = &b"mac1----"[..];
    let mac_key = blake2(&[label, server().public_key.as_bytes()].concat(), &[], 32);
    let mac = blake2(&initiation[..116], &mac_key, 16);
    initiation[116..132].copy_from_slice(&mac);
    assert_eq!(world.handle(client.remote, &initiation), Outcome::default());
    assert_eq!(world.dropped(DropReason::Unauthentic), 1);
    assert!(world.plane.peers.iter().all(|(_, peer)| peer.tunnel.is_none() && peer.endpoint.is_none()));
}

/// BLAKE2s (RFC 7693), keyed or not; no crate of it is ours to name.
fn blake2(input: &[u8], key: &[u8], length: usize) -> Vec<u8> {
    const IV: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    const SIGMA: [[usize; 16]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ];
    let mut state = IV;
    state[0] ^= 0x0101_0000 ^ (u32::try_from(key.len()).unwrap() << 8) ^ u32::try_from(length).unwrap();
    let mut message = Vec::new();
    if !key.is_empty() {
        message.extend_from_slice(key);
        message.resize(64, 0);
    }
    message.extend_from_slice(input);
    let total = message.len();
    let blocks = total.div_ceil(64).max(1);
    message.resize(blocks * 64, 0);
    for (number, block) in message.chunks(64).enumerate() {
        let words: Vec<u32> = block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let mut work = [0; 16];
        work[..8].copy_from_slice(&state);
        work[8..].copy_from_slice(&IV);
        let last = number + 1 == blocks;
        work[12] ^= u32::try_from(if last { total } else { (number + 1) * 64 }).unwrap();
        if last {
            work[14] = !work[14];
        }
        for row in SIGMA {
            let lanes = [
                [0, 4, 8, 12],
                [1, 5, 9, 13],
                [2, 6, 10, 14],
                [3, 7, 11, 15],
                [0, 5, 10, 15],
                [1, 6, 11, 12],
                [2, 7, 8, 13],
                [3, 4, 9, 14],
            ];
            for (lane, [a, b, c, d]) in lanes.into_iter().enumerate() {
                for (half, (turn_d, turn_b)) in [(16, 12), (8, 7)].into_iter().enumerate() {
                    work[a] = work[a].wrapping_add(work[b]).wrapping_add(words[row[2 * lane + half]]);
                    work[d] = (work[d] ^ work[a]).rotate_right(turn_d);
                    work[c] = work[c].wrapping_add(work[d]);
                    work[b] = (work[b] ^ work[c]).rotate_right(turn_b);
                }
            }
        }
        for place in 0..8 {
            state[place] ^= work[place] ^ work[place + 8];
        }
    }
    state.iter().flat_map(|word| word.to_le_bytes()).take(length).collect()
}

#[test]
fn works_without_the_hint_and_with_a_wrong_one() {
    let mut world = World::with_accounts(2);
    let mut one = Client::connected(1, &mut world);
    let mut two = Client::new(2);
    // two comes from where one just spoke
    two.remote = one.remote;
    two.connect(&mut world);
    one.remote.set_port(1);
    one.connect(&mut world);
    let up = two.outside(b"x");
    assert_eq!(two.send(&mut world, &up).outward[0].0, Owner(1));
    assert_eq!(world.plane.drops().total(), 0);
}

#[test]
fn refuses_spent_counters_before_they_reach_the_cipher() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let limit = u64::MAX - (1 << 13);
    for (counter, reason) in [
        (limit - 1, DropReason::Unauthentic),
        (limit, DropReason::CounterExhausted),
        (limit + 1, DropReason::CounterExhausted),
        (u64::MAX - 1_024, DropReason::CounterExhausted),
        (u64::MAX, DropReason::CounterExhausted),
    ] {
        let before = world.dropped(reason);
        let mut datagram = client.seal(&client.outside(b"x"));
        datagram[8..16].copy_from_slice(&counter.to_le_bytes());
        assert_eq!(world.handle(client.remote, &datagram), Outcome::default());
        assert_eq!(world.dropped(reason), before + 1, "{counter}");
    }
}

#[test]
fn is_silent_to_every_type_and_length() {
    let mut world = World::with_accounts(1);
    let client = Client::connected(1, &mut world);
    let index = world.plane.peers.iter().next().unwrap().1.tunnel.as_ref().unwrap().index() << 8;
    for kind in [0_u32, 1, 2, 3, 4, 5, 255, 256, u32::MAX] {
        for length in 0..2_000 {
            let mut datagram = vec![0; length];
            for (at, byte) in kind.to_le_bytes().into_iter().chain((index + 1).to_le_bytes()).enumerate() {
                if let Some(place) = datagram.get_mut(at) {
                    *place = byte;
                }
            }
            assert_eq!(world.handle(client.remote, &datagram), Outcome::default(), "{kind} {length}");
        }
    }
    let mut huge = vec![0; 65_507];
    huge[0] = 4;
    huge[4..8].copy_from_slice(&(index + 1).to_le_bytes());
    assert_eq!(world.handle(client.remote, &huge), Outcome::default());
    assert_eq!(world.plane.drops().total(), 9 * 2_000 + 1);
}

#[test]
fn carries_the_largest_datagram() {
    let mut world = World::with_accounts(1);
    let mut client = Client::connected(1, &mut world);
    let up = client.outside(&vec![1; 65_400]);
    assert_eq!(client.send(&mut world, &up).outward, [(Owner(0), up)]);
}

proptest! {
    #[test]
    fn is_silent_to_arbitrary_bytes(datagram in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..6) {
        let mut world = World::with_accounts(1);
        let mut datagram = datagram;
        if datagram.len() >= 4 {
            datagram[..4].copy_from_slice(&[kind, 0, 0, 0]);
        }
        prop_assert_eq!(world.handle(SocketAddr::from(([198, 51, 100, 1], 9)), &datagram), Outcome::default());
    }
}
