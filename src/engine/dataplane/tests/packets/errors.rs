//! ICMP errors, both ways and around the hairpin, and those that are our own.

use super::*;
use crate::engine::dataplane::nat::quoted_key;

fn question(client: usize, version: usize) -> Vec<u8> {
    packet_of(&key(protocol::UDP, &at(INNER[client][version], 20_000), &at(REMOTE[version], 4_000)), b"?")
}

/// RFC 4787, REQ-12 (a), (b). RFC 5382, REQ-9. RFC 5508, REQ-4: whoever sends it, a client gets it as if nothing had been
/// translated.
#[test]
fn an_error_from_outside_reaches_the_client_that_it_is_about() {
    for (version, protocol) in
        [V4, V6].iter().flat_map(|version| [protocol::TCP, protocol::UDP, protocol::ICMP].map(|it| (*version, it)))
    {
        let mut rig = Rig::new(2);
        let went = packet_of(&key(protocol, &at(INNER[2][version], 1_030), &at(REMOTE[version], 1_030)), b"?");
        let left = rig.up(1, &went).only_left();
        for from in [REMOTE[version], STRANGER[version]] {
            let told = rig.arrive(&error(HOST_UNREACHABLE[version], 0, from, &left)).only_got(1);
            assert_eq!(told, error(HOST_UNREACHABLE[version], 0, from, &went));
        }
    }
}

/// RFC 5508, REQ-3, REQ-3 (a) and REQ-4: nobody gets an error whose checksum is wrong, or that is about nothing of ours.
#[test]
fn an_unsound_or_unfounded_error_is_dropped_in_silence() {
    let mut rig = Rig::new(1);
    let left = rig.up(0, &question(1, V4)).only_left();
    let sound = error(HOST_UNREACHABLE[V4], 0, STRANGER[V4], &left);
    let mut wrong = sound.clone();
    wrong[22] ^= 1;
    let mut wrong_inside = left;
    wrong_inside[10] ^= 1;
    let wrong_inside = error(HOST_UNREACHABLE[V4], 0, STRANGER[V4], &wrong_inside);
    let nobodys = packet_of(&key(protocol::UDP, &at(EXTERNAL[V4], 20_009), &at(REMOTE[V4], 4_000)), b"?");

    for packet in [wrong, wrong_inside, error(HOST_UNREACHABLE[V4], 0, STRANGER[V4], &nobodys)] {
        assert!(rig.arrive(&packet).is_nothing());
    }

    assert_eq!((rig.dropped(DropReason::WrongChecksum), rig.dropped(DropReason::ErrorUnfounded)), (2, 1));
    rig.arrive(&sound).only_got(0);
}

/// RFC 5508, REQ-5: a client's error leaves in the external address's name, and what it quotes is as it came.
#[test]
fn an_error_of_a_clients_leaves_in_the_external_name() {
    for version in [V4, V6] {
        let mut rig = Rig::new(1);
        let left = rig.up(0, &question(1, version)).only_left();
        let (from, to) = ends(&left);
        let answer = packet_of(&key(protocol::UDP, &to, &from), b"!");
        let got = rig.arrive(&answer).only_got(0);

        let told = rig.up(0, &error(HOST_UNREACHABLE[version], 0, INNER[1][version], &got)).only_left();

        assert_eq!(told, error(HOST_UNREACHABLE[version], 0, EXTERNAL[version], &answer));
    }
}

/// RFC 5508, REQ-5: an error about nothing of its own leaves nothing behind, nor one that goes elsewhere than to the sender
/// of what it quotes: so nobody reaches by an error whom he may not reach otherwise.
#[test]
fn a_client_cannot_send_errors_to_whomever_it_likes() {
    let mut rig = Rig::new(2);
    let left = rig.up(0, &question(1, V4)).only_left();
    let (from, to) = ends(&left);
    let got = rig.arrive(&packet_of(&key(protocol::UDP, &to, &from), b"!")).only_got(0);
    let nobodys = packet_of(&key(protocol::UDP, &at(STRANGER[V4], 1), &at(INNER[1][V4], 20_000)), b"!");
    let mut aside = error(HOST_UNREACHABLE[V4], 0, INNER[1][V4], &got);
    aside[16..20].copy_from_slice(&[169, 254, 169, 254]);
    mend_header(&mut aside);

    assert!(rig.up(0, &error(HOST_UNREACHABLE[V4], 0, INNER[1][V4], &nobodys)).is_nothing());
    assert!(rig.up(0, &aside).is_nothing());
    // another client's flow is none of its own either
    assert!(rig.up(1, &error(HOST_UNREACHABLE[V4], 0, INNER[2][V4], &got)).is_nothing());

    assert_eq!(rig.dropped(DropReason::ErrorUnfounded), 3);
}

/// RFC 5508, REQ-7 (a): an error about a packet that turned back turns back too.
#[test]
fn an_error_about_a_hairpin_finds_its_sender() {
    let mut rig = Rig::new(2);
    rig.forward(&[(Transport::Udp, 8_080, 2, 80)]);
    let went = packet_of(&key(protocol::UDP, &at(INNER[1][V4], 20_000), &at(EXTERNAL[V4], 8_080)), b"ask");
    let looped = rig.up(0, &went).only_left();
    let got = rig.arrive(&looped).only_got(1);

    let told = rig.up(1, &error((3, 3), 0, INNER[2][V4], &got)).only_left();
    assert_eq!(told, error((3, 3), 0, EXTERNAL[V4], &looped));
    assert_eq!(quoted_key(&told).unwrap().reversed().destination, at(EXTERNAL[V4], 20_000).parse().unwrap());
    let told = rig.arrive(&told).only_got(0);

    assert_eq!(told, error((3, 3), 0, EXTERNAL[V4], &went));
}

/// RFC 5508, REQ-10: what a router says of its own accord: of packets for which there is no way, or no more time.
#[test]
fn the_server_speaks_as_a_router_does() {
    for version in [V4, V6] {
        let mut rig = Rig::new(1);
        let mut late = question(1, version);
        set_hops(&mut late, 1);
        let to_nobody = packet_of(&key(protocol::UDP, &at(INNER[1][version], 9), &at(INNER[3][version], 9)), b"?");

        let told = rig.up(0, &late).only_got(0);
        assert_eq!(icmp_type(&told), [(11, 0), (3, 0)][version]);
        assert_eq!(told, error([(11, 0), (3, 0)][version], 0, INNER[0][version], &late));
        let told = rig.up(0, &to_nobody).only_got(0);
        assert_eq!(icmp_type(&told), HOST_UNREACHABLE[version]);
    }
}

/// RFC 5508, REQ-11: ICMP that is neither a question, an answer nor an error is dropped, both ways.
#[test]
fn other_icmp_goes_nowhere() {
    let mut rig = Rig::new(1);
    rig.up(0, &question(1, V4)).only_left();
    // a timestamp, an address mask request, a router advertisement
    for kind in [13, 17, 9] {
        let other = |from: &str, to: &str| {
            let mut packet = packet_of(&key(protocol::ICMP, &at(from, 20_000), &at(to, 20_000)), b"?");
            packet[20] = kind;
            packet[22..24].fill(0);
            let sum = checksum::of(&packet[20..]);
            packet[22..24].copy_from_slice(&sum.to_be_bytes());
            packet
        };
        let came = rig.up(0, &other(INNER[1][V4], REMOTE[V4]));
        assert!(came.left.is_empty() && came.host.is_empty());
        assert!(rig.arrive(&other(REMOTE[V4], EXTERNAL[V4])).is_nothing());
    }
    assert_eq!((rig.dropped(DropReason::Portless), rig.dropped(DropReason::NotMapped)), (3, 3));
}

/// What a client says about a packet of the host's is the host's to hear.
#[test]
fn an_error_about_a_packet_of_the_hosts_reaches_the_host() {
    for version in [V4, V6] {
        let mut rig = Rig::new(1);
        let asks = packet_of(&key(protocol::UDP, &at(INNER[0][version], 5_000), &at(INNER[1][version], 7)), b"?");
        let got = rig.host(&asks).only_got(0);

        let came = rig.up(0, &error([(3, 3), (1, 4)][version], 0, INNER[1][version], &got));

        assert_eq!(came.host, [error([(3, 3), (1, 4)][version], 0, INNER[1][version], &asks)]);
    }
}

/// An untranslated error goes to the client whose packet it quotes, or to nobody.
#[test]
fn an_error_for_one_client_about_anothers_packet_reaches_nobody() {
    let mut rig = Rig::with(server(), Exit::Packets { v4: Name::Own, v6: Name::Own }, 2);
    let asks = packet_of(&key(protocol::UDP, &at(INNER[1][V4], 5_000), &at(REMOTE[V4], 1)), b"?");
    let left = rig.up(0, &asks).only_left();
    let mut aside = error(HOST_UNREACHABLE[V4], 0, REMOTE[V4], &left);
    assert_eq!(rig.arrive(&aside).only_got(0), aside);

    aside[16..20].copy_from_slice(&[10, 0, 0, 3]);
    mend_header(&mut aside);

    assert!(rig.arrive(&aside).is_nothing());
    assert_eq!(rig.dropped(DropReason::ErrorUnfounded), 1);
}
