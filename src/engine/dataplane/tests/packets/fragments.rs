//! Fragments, both ways and in either order, within bounds.

use super::*;

fn datagram(from: &str, to: &str, length: usize) -> Vec<u8> {
    let load: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
    packet_of(&key(protocol::UDP, from, to), &load)
}

/// The last thing that left or arrived, put together again as its receiver does.
fn whole(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut fragments = crate::engine::fragments::gather::Fragments::new(1, Duration::from_secs(2));
    let now = start();
    if let [only] = packets {
        return only.clone();
    }
    packets.iter().find_map(|piece| fragments.handle(Owner(0), piece, now)).expect("all of it")
}

/// RFC 4787, REQ-14: a client's fragments are translated in whichever order they come, and leave as one packet or, over
/// IPv6, where no router cuts, in pieces that every link takes.
#[test]
fn a_clients_fragments_leave_in_the_external_name() {
    for (version, reversed) in [(V4, false), (V4, true), (V6, false), (V6, true)] {
        let mut rig = Rig::new(1);
        let (inner, remote) = (at(INNER[1][version], 20_000), at(REMOTE[version], 4_000));
        let mut pieces = cut(&datagram(&inner, &remote, 3_000), 1_280, 7);
        if reversed {
            pieces.reverse();
        }

        let came: Vec<Came> = pieces.iter().map(|piece| rig.up(0, piece)).collect();

        assert!(came[..came.len() - 1].iter().all(Came::is_nothing));
        let left = &came.last().unwrap().left;
        assert!(version == V4 || left.iter().all(|piece| piece.len() <= 1_280));
        let left = whole(left);
        assert_eq!(ends(&left), (at(EXTERNAL[version], 20_000), remote));
        assert_sound(&left);
        assert_eq!(payload(&left).len(), 3_000);
    }
}

/// RFC 4787, REQ-14: fragments from outside reach the client in whichever order they come, in pieces that fit the tunnel;
/// also where they were put together before they came to their server.
#[test]
fn fragments_from_outside_reach_the_client() {
    for (version, reversed, gathered) in
        [V4, V6].iter().flat_map(|it| [(*it, false, false), (*it, true, false), (*it, false, true)])
    {
        let mut rig = Rig::new(1);
        let (inner, remote) = (at(INNER[1][version], 20_000), at(REMOTE[version], 4_000));
        let door = rig.seen(0, protocol::UDP, &inner, &remote);
        let large = datagram(&remote, &door, 4_000);
        let mut pieces = cut(&large, 1_500, 7);
        if reversed {
            pieces.reverse();
        }

        let came = if gathered {
            rig.arrive_as(&large, Offload::GATHERED)
        } else {
            pieces.iter().map(|piece| rig.arrive(piece)).last().unwrap()
        };

        assert!(came.left.is_empty(), "nobody is told that it is too large: its sender has cut it already");
        let got: Vec<Vec<u8>> = came.got.into_iter().map(|(_, piece)| piece).collect();
        assert!(got.iter().all(|piece| piece.len() <= 1_420));
        let got = whole(&got);
        assert_eq!((ends(&got), payload(&got)), ((remote, inner), payload(&large)));
    }
}

/// RFC 4787, REQ-14 (a): a flood of first fragments costs bounded memory, and nothing of what is whole.
#[test]
fn a_flood_of_fragments_hurts_nothing_that_is_whole() {
    let mut rig = Rig::new(1);
    let (inner, remote) = (at(INNER[1][V4], 20_000), at(REMOTE[V4], 4_000));
    let door = rig.seen(0, protocol::UDP, &inner, &remote);
    for number in 0..20_000 {
        let first = cut(&datagram(&at(STRANGER[V4], 1), &door, 3_000), 1_500, number).remove(0);
        assert!(rig.arrive(&first).is_nothing());
        if number % 1_000 == 0 {
            rig.reaches(0, protocol::UDP, &remote, &door);
            assert_eq!(rig.seen(0, protocol::UDP, &inner, &remote), door);
        }
    }
    assert!(rig.dropped(DropReason::FragmentUnfit) > 19_000);

    rig.pass(60);

    // what waited is forgotten, and there is room again
    let came = cut(&datagram(&remote, &door, 3_000), 1_500, 7).iter().map(|piece| rig.arrive(piece)).last().unwrap();
    assert_eq!(came.got.len(), 3);
}

/// RFC 5722: fragments that overlap are dropped with their packet.
#[test]
fn fragments_that_overlap_are_dropped() {
    for version in [V4, V6] {
        let mut rig = Rig::new(1);
        let (inner, remote) = (at(INNER[1][version], 20_000), at(REMOTE[version], 4_000));
        let door = rig.seen(0, protocol::UDP, &inner, &remote);
        let large = datagram(&remote, &door, 3_000);
        let [narrow, wide] = [1_280, 1_500].map(|mtu| cut(&large, mtu, 7));
        for piece in [&wide[0], &narrow[1], &narrow[2]] {
            assert!(rig.arrive(piece).is_nothing());
        }
        assert!(rig.dropped(DropReason::FragmentUnfit) > 0);
    }
}
