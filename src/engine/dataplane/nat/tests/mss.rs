//! The MSS that both ends of a connection hear.

use TcpOptionElement::{MaximumSegmentSize as Mss, Noop, SelectiveAcknowledgementPermitted as Sack, WindowScale};

use super::super::clamp_mss;
use super::*;
use crate::engine::packet::Offload;
use crate::engine::wire::tcp::Tcp;

const KEYS: [(&str, &str, u16); 2] =
    [("10.0.0.2:1", "1.1.1.1:2", 1_420 - 40), ("[fd00::2]:1", "[2001:db8::1]:2", 1_420 - 60)];

#[test]
fn a_syn_and_its_answer_offer_what_fits_the_tunnel() {
    for (source, destination, fits) in KEYS {
        let key = key(protocol::TCP, source, destination);
        for before in [&[][..], &[Noop], &[Sack], &[WindowScale(7)], &[Noop, Noop, Sack, Noop]] {
            for ack in [false, true] {
                let with = |value: u16| syn_of(&key, ack, &[before, &[Mss(value)]].concat());
                for (offered, heard) in [(1_460, fits), (u16::MAX, fits), (fits, fits), (536, 536)] {
                    let mut packet = with(offered);
                    clamp_mss(&mut packet, Offload::NONE, 1_420);
                    assert_eq!(packet, with(heard));
                    let segment = Tcp::new(&packet[plain_header(&key)..]).expect("well formed");
                    assert!(segment.is_checksum_right(key.source.ip(), key.destination.ip()));
                }
            }
        }
    }
}

#[test]
fn an_uncompleted_checksum_covers_no_option_yet() {
    let key = key(protocol::TCP, KEYS[0].0, KEYS[0].1);
    let mut packet = syn_of(&key, false, &[Mss(1_460)]);
    packet[36..38].copy_from_slice(&[0x12, 0x34]);
    clamp_mss(&mut packet, Offload { segment: 0, partial_checksum: true, ..Offload::NONE }, 1_420);
    assert_eq!((&packet[36..38], &packet[42..44]), (&[0x12, 0x34][..], &1_380_u16.to_be_bytes()[..]));
}

#[test]
fn every_other_packet_stays_as_it_is() {
    let key = key(protocol::TCP, KEYS[0].0, KEYS[0].1);
    let mut data = syn_of(&key, true, &[Mss(1_460)]);
    data[33] = 0x10;
    let mut broken = syn_of(&key, false, &[Noop, Noop, Noop, Noop]);
    let lies: Vec<Vec<u8>> = [[2, 4, 5], [2, 0, 5], [9, 0, 0], [9, 200, 0]]
        .map(|options| {
            broken[41..44].copy_from_slice(&options);
            broken.clone()
        })
        .into();
    for packet in [data, syn_of(&key, false, &[Sack]), packet_of(&key, &[2, 4, 5, 180])].into_iter().chain(lies) {
        let mut clamped = packet.clone();
        clamp_mss(&mut clamped, Offload::NONE, 1_420);
        assert_eq!(clamped, packet);
    }
}
