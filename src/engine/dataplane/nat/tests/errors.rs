//! ICMP errors, both ways, in every shape that a quotation has.

use super::super::super::verdict::DropReason;
use super::super::quote::is_error;
use super::super::{quoted_key, translate, translate_error};
use super::*;
use crate::engine::packet::Offload;
use crate::engine::wire::Ip;
use crate::engine::wire::checksum::{self, Sum};

/// Types and codes of errors: of IPv4 and of IPv6.
const V4: [(u8, u8); 22] = [
    (3, 0),
    (3, 1),
    (3, 2),
    (3, 3),
    (3, 4),
    (3, 5),
    (3, 6),
    (3, 7),
    (3, 8),
    (3, 9),
    (3, 10),
    (3, 11),
    (3, 12),
    (3, 13),
    (3, 14),
    (3, 15),
    (4, 0),
    (5, 1),
    (11, 0),
    (11, 1),
    (12, 0),
    (12, 2),
];
const V6: [(u8, u8); 14] =
    [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (4, 2), (4, 3)];

/// Inside, outside and the name of the inside out there.
struct Place {
    inner: &'static str,
    outer: &'static str,
    remote: &'static str,
    /// Somebody on the way.
    router: &'static str,
    kinds: &'static [(u8, u8)],
}

const PLACES: [Place; 2] = [
    Place {
        inner: "10.0.0.2:5000",
        outer: "198.51.100.7:40000",
        remote: "203.0.113.1:4000",
        router: "192.0.2.1:0",
        kinds: &V4,
    },
    Place {
        inner: "[fd00::2]:5000",
        outer: "[2001:db8::7]:40000",
        remote: "[2001:db8:1::1]:4000",
        router: "[2001:db8:2::1]:0",
        kinds: &V6,
    },
];

/// An error about these bytes.
fn error(kind: (u8, u8), from: IpAddr, to: IpAddr, word: u32, quote: &[u8]) -> Vec<u8> {
    let mut message = vec![kind.0, kind.1, 0, 0];
    message.extend(word.to_be_bytes());
    message.extend(quote);
    let sum = match from {
        IpAddr::V4(_) => checksum::of(&message),
        IpAddr::V6(_) => Sum::default().pseudo(from, to, protocol::ICMPV6, message.len()).bytes(&message).finish(),
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0; 40 + message.len()];
    let number = if from.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
    let at = crate::engine::wire::ip::write_header(&mut packet, from, to, number, 61, message.len()).expect("fits");
    packet.truncate(at + message.len());
    packet[at..].copy_from_slice(&message);
    packet
}

/// What a packet may look like where it is quoted: whole, with options or extension headers, cut to 8 bytes of transport.
fn shapes(key: &FlowKey) -> Vec<(Vec<u8>, usize)> {
    let plain = packet_of(key, b"the payload of the packet");
    let mut stretched = plain.clone();
    stretch(&mut stretched, key, IpNumber::IPV6_DESTINATION_OPTIONS);
    let header = plain_header(key);
    let cuts = [(plain.clone(), plain.len()), (plain, header + 8), (stretched.clone(), stretched.len())];
    cuts.into_iter().chain([(stretched, header + 16)]).collect()
}

/// RFC 4787, REQ-12. RFC 5382, REQ-9. RFC 5508, REQ-3 (b), (c) and REQ-4: from outside, whoever sends it.
#[test]
fn an_error_from_outside_arrives_as_if_nothing_had_been_translated() {
    for (place, protocol) in PLACES.iter().flat_map(|place| ALL.map(|protocol| (place, protocol))) {
        let (went, left) = (key(protocol, place.inner, place.remote), key(protocol, place.outer, place.remote));
        for (original, quoted) in shapes(&went) {
            let mut translated = original.clone();
            translate(&mut translated, Offload::NONE, &left).expect("of one kind");
            for (&kind, from) in
                place.kinds.iter().flat_map(|kind| [place.router, place.remote].map(|from| (kind, from)))
            {
                let from = socket(from).ip();
                let mut packet = error(kind, from, left.source.ip(), 1_400, &translated[..quoted]);
                assert_eq!(quoted_key(&packet), Ok(left));
                translate_error(&mut packet, &went.reversed()).expect("translated");
                assert_eq!(packet, error(kind, from, went.source.ip(), 1_400, &original[..quoted]));
            }
        }
    }
}

/// RFC 5508, REQ-5: from inside, with the external address as its sender, for whoever sends it is not to be seen.
#[test]
fn an_error_from_inside_leaves_with_the_external_address() {
    for (place, protocol) in PLACES.iter().flat_map(|place| ALL.map(|protocol| (place, protocol))) {
        let answer = |outer: &str| {
            let mut remote = socket(place.remote);
            if protocol == protocol::ICMP {
                remote.set_port(socket(outer).port());
            }
            key(protocol, &remote.to_string(), outer)
        };
        let (came, arrived) = (answer(place.outer), answer(place.inner));
        let behind = if place.inner.starts_with('[') { "fd00::99" } else { "10.0.0.99" };
        for (original, quoted) in shapes(&came) {
            let mut translated = original.clone();
            translate(&mut translated, Offload::NONE, &arrived).expect("of one kind");
            for from in [arrived.destination.ip(), behind.parse().expect("an address")] {
                let kind = place.kinds[1];
                let mut packet = error(kind, from, came.source.ip(), 0, &translated[..quoted]);
                assert_eq!(quoted_key(&packet), Ok(arrived));
                translate_error(&mut packet, &came.reversed()).expect("translated");
                assert_eq!(packet, error(kind, came.destination.ip(), came.source.ip(), 0, &original[..quoted]));
            }
        }
    }
}

/// RFC 5508, REQ-7: errors hairpin too.
#[test]
fn an_error_about_a_looped_packet_finds_back_to_its_sender() {
    let went = key(17, "10.0.0.2:5000", "198.51.100.7:8080");
    let looped = key(17, "198.51.100.7:40000", "198.51.100.7:8080");
    let arrived = key(17, "198.51.100.7:40000", "10.0.0.3:80");
    let original = packet_of(&went, b"payload");
    let mut quoted = original.clone();
    for step in [&looped, &arrived] {
        translate(&mut quoted, Offload::NONE, step).expect("of one kind");
    }
    let mut packet = error((3, 3), arrived.destination.ip(), arrived.source.ip(), 0, &quoted);

    translate_error(&mut packet, &looped.reversed()).expect("translated");
    assert_eq!(quoted_key(&packet), Ok(looped));
    translate_error(&mut packet, &went.reversed()).expect("translated");

    assert_eq!(packet, error((3, 3), went.destination.ip(), went.source.ip(), 0, &original));
}

/// RFC 5508, REQ-3 and REQ-3 (a): dropped where its own checksum is wrong, or that of the quoted header.
#[test]
fn an_error_with_a_wrong_checksum_is_dropped() {
    for place in &PLACES {
        let left = key(17, place.outer, place.remote);
        let quote = packet_of(&left, b"payload");
        let to = left.source.ip();
        let good = error(place.kinds[0], socket(place.router).ip(), to, 0, &quote);
        for bit in 0..8 {
            let mut bad = good.clone();
            let at = good.len() - 1 - bit * 3;
            bad[at] ^= 1 << bit;
            assert_eq!(quoted_key(&bad), Err(DropReason::WrongChecksum));
            let before = bad.clone();
            assert_eq!(translate_error(&mut bad, &left.reversed()), Err(DropReason::WrongChecksum));
            assert_eq!(bad, before);
        }
    }
    let left = key(17, PLACES[0].outer, PLACES[0].remote);
    let mut quote = packet_of(&left, b"payload");
    quote[10] ^= 1;
    let packet = error((3, 3), socket(PLACES[0].router).ip(), left.source.ip(), 0, &quote);
    assert_eq!(quoted_key(&packet), Err(DropReason::WrongChecksum));
}

/// RFC 5508, REQ-3 (c): the quoted transport's checksum is not judged.
#[test]
fn a_quoted_transport_may_have_any_checksum() {
    for (place, protocol) in PLACES.iter().flat_map(|place| ALL.map(|protocol| (place, protocol))) {
        let (went, left) = (key(protocol, place.inner, place.remote), key(protocol, place.outer, place.remote));
        let mut quote = packet_of(&left, b"payload");
        *quote.last_mut().expect("bytes") ^= 0x55;
        let mut packet = error(place.kinds[0], socket(place.router).ip(), left.source.ip(), 0, &quote);
        translate_error(&mut packet, &went.reversed()).expect("translated");
        assert_eq!(quoted_key(&packet), Ok(went));
    }
}

/// RFC 5508, REQ-4 and REQ-11: messages that are no errors and quotations without ports lead to no flow.
#[test]
fn what_quotes_no_flow_is_no_error_about_one() {
    let left = key(17, PLACES[0].outer, PLACES[0].remote);
    let (router, outer) = (socket(PLACES[0].router).ip(), left.source.ip());
    let quote = packet_of(&left, b"payload");
    let about = |quote: &[u8]| quoted_key(&error((3, 3), router, outer, 0, quote));
    let changed = |at: usize, value: u8| {
        let mut quote = quote.clone();
        quote[at] = value;
        quote[10..12].fill(0);
        let sum = checksum::of(&quote[..20]).to_be_bytes();
        quote[10..12].copy_from_slice(&sum);
        quote
    };
    assert_eq!(about(&quote), Ok(left));
    for (quote, why) in [
        (changed(7, 1), "a later fragment"),
        (changed(9, 47), "a protocol without ports"),
        (changed(9, protocol::ICMPV6), "ICMP of the other version"),
        (quote[..27].to_vec(), "fewer than 8 bytes of transport"),
        (quote[..19].to_vec(), "a part of a header"),
        (Vec::new(), "nothing"),
    ] {
        assert_eq!(about(&quote), Err(DropReason::ErrorUnfounded), "{why}");
    }
    // about an error nobody may complain (RFC 1122, section 3.2.2)
    assert_eq!(about(&error((3, 3), outer, router, 0, &quote)), Err(DropReason::ErrorUnfounded));
    for kind in [(0, 0), (8, 0), (13, 0)] {
        assert_eq!(quoted_key(&error(kind, router, outer, 0, &quote)), Err(DropReason::ErrorUnfounded));
    }
    assert!(is_error(&Ip::new(&error((3, 3), router, outer, 0, &quote)[..]).expect("well formed")));
    assert!(!is_error(&Ip::new(&quote[..]).expect("well formed")));
}
