//! Packets there and back, replays, and packets that are authentic and still refused.

use super::*;
use crate::engine::esp::suite::{Encryption, Integrity};
use crate::engine::wire::udp;

const SUITES: [Suite; 5] = [
    Suite::aead(Encryption::Aes256Gcm),
    Suite::aead(Encryption::ChaCha20Poly1305),
    Suite::pair(Encryption::Aes256Cbc, Integrity::Sha256),
    Suite::pair(Encryption::Aes128Cbc, Integrity::Sha1),
    Suite::pair(Encryption::TripleDes, Integrity::Sha1),
];

fn keys(suite: Suite, extended: bool) -> Keys {
    let key: Vec<u8> = (1..=200).collect();
    let (encryption, rest) = key.split_at(suite.encryption.key_len());
    Keys {
        spi: 0xc0ff_ee00,
        suite,
        extended,
        encryption: encryption.to_vec().into(),
        integrity: rest[..suite.integrity_key_len()].to_vec().into(),
    }
}

fn pair(suite: Suite, extended: bool) -> (Outbound, Inbound) {
    let keys = keys(suite, extended);
    (Outbound::new(&keys, [5; 16]).unwrap(), Inbound::new(&keys).unwrap())
}

fn packet(payload: usize) -> Vec<u8> {
    let (from, to) = ("10.0.0.2:1000".parse().unwrap(), "10.0.0.3:2000".parse().unwrap());
    let mut bytes = vec![0; 28 + payload];
    let length = udp::write_packet(&mut bytes, from, to, 64, &vec![7; payload]).unwrap();
    bytes.truncate(length);
    bytes
}

fn sealed(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut memory = vec![0xee; packet.len() + OVERHEAD_MAX];
    let length = outbound.seal(packet, &mut memory).unwrap();
    memory.truncate(length);
    memory
}

#[test]
fn carries_packets_of_every_length_with_every_suite() {
    for suite in SUITES {
        for extended in [false, true] {
            let (mut outbound, mut inbound) = pair(suite, extended);

            for payload in 0..40 {
                let packet = packet(payload);
                let mut datagram = sealed(&mut outbound, &packet);
                let opened = inbound.open(&mut datagram).unwrap();
                assert_eq!((&datagram[opened.packet], opened.newest), (&packet[..], true), "{suite:?}");
            }
        }
    }
}

#[test]
fn sends_the_sequence_number_as_counter_and_never_repeats_an_iv() {
    for suite in SUITES {
        let (mut outbound, _) = pair(suite, false);

        let [first, second] = [1, 2].map(|_| sealed(&mut outbound, &packet(1)));

        assert_eq!((&first[..8], &second[4..8]), (&[0xc0, 0xff, 0xee, 0, 0, 0, 0, 1][..], &[0, 0, 0, 2][..]));
        assert_ne!(first[8..16], second[8..16], "{suite:?}");
    }
}

#[test]
fn refuses_a_replay_and_takes_what_came_out_of_order() {
    let (mut outbound, mut inbound) = pair(SUITES[0], false);
    let [mut first, mut second] = [1, 2].map(|_| sealed(&mut outbound, &packet(1)));

    assert!(inbound.open(&mut second.clone()).unwrap().newest);
    assert!(!inbound.open(&mut first.clone()).unwrap().newest);

    assert_eq!(inbound.open(&mut first), Err(Refused::Replayed));
    assert_eq!(inbound.open(&mut second), Err(Refused::Replayed));
}

#[test]
fn does_not_mark_a_forgery() {
    let (mut outbound, mut inbound) = pair(SUITES[2], false);
    let mut good = sealed(&mut outbound, &packet(1));
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;

    assert_eq!(inbound.open(&mut forged), Err(Refused::Unauthentic));

    assert!(inbound.open(&mut good).is_ok());
}

#[test]
fn passes_the_turn_of_the_lower_half_with_extended_numbers_alone() {
    for (extended, lasts) in [(true, true), (false, false)] {
        let (mut outbound, mut inbound) = pair(SUITES[0], extended);
        outbound.sequence = LAST_SEQUENCE - 1;
        assert!(inbound.open(&mut sealed(&mut outbound, &packet(1))).is_ok());
        assert_eq!(outbound.is_nearly_spent(), !extended);

        let mut memory = [0; 200];
        let outcome = outbound.seal(&packet(1), &mut memory);

        assert_eq!(outcome.is_ok(), lasts);
        if let Ok(length) = outcome {
            assert!(inbound.open(&mut memory[..length]).is_ok());
        }
    }
}

/// Seals a text as it is, so that what an authentic peer may do wrong can be tried.
fn text(text: &[u8]) -> Vec<u8> {
    let suite = SUITES[0];
    let keys = keys(suite, false);
    let mut message = vec![0; HEADER + 8 + text.len() + 16];
    message[..8].copy_from_slice(&[0xc0, 0xff, 0xee, 0, 0, 0, 0, 1]);
    message[16..16 + text.len()].copy_from_slice(text);
    let protection = Protection::new(suite, &keys.encryption, &keys.integrity).unwrap();
    protection.seal(&mut message, HEADER, None, &[0; 8]).unwrap();
    message
}

#[test]
fn refuses_what_is_authentic_and_still_wrong() {
    let with = |tail: &[u8]| [&packet(0)[..], tail].concat();
    let cases = [
        (with(&[1, 2, 2, IPV4]), Ok(28)),
        (with(&[0, 0, 0, 0, 0, IPV4]), Ok(28)),
        (with(&[1, 3, 2, IPV4]), Err(Refused::BadInner)),
        (with(&[200, IPV4]), Err(Refused::BadInner)),
        (with(&[0, IPV6]), Err(Refused::BadInner)),
        (with(&[0, 17]), Err(Refused::BadInner)),
        (with(&[0, DUMMY]), Err(Refused::Dummy)),
        (vec![0, IPV4], Err(Refused::BadInner)),
        (vec![0], Err(Refused::BadInner)),
    ];
    for (bytes, expected) in cases {
        let (_, mut inbound) = pair(SUITES[0], false);

        let outcome = inbound.open(&mut text(&bytes)).map(|opened| opened.packet.len());

        assert_eq!(outcome, expected, "{bytes:?}");
    }
}

#[test]
fn refuses_every_shortened_datagram() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = pair(suite, true);
        let datagram = sealed(&mut outbound, &packet(3));

        for length in 0..datagram.len() {
            assert!(inbound.open(&mut datagram[..length].to_vec()).is_err(), "{suite:?} at {length}");
        }
    }
}

#[test]
fn seals_nothing_that_is_no_packet_or_has_no_room() {
    let (mut outbound, _) = pair(SUITES[0], false);
    let mut memory = [0; 100];

    assert_eq!(outbound.seal(&[], &mut memory), Err(Refused::BadInner));
    assert_eq!(outbound.seal(&[0x50; 20], &mut memory), Err(Refused::BadInner));
    assert_eq!(outbound.seal(&packet(100), &mut memory), Err(Refused::NoRoom));

    assert_eq!(outbound.sequence(), 0);
}
