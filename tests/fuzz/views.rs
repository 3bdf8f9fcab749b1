//! Views of packets over bytes that anybody wrote.

use std::hint::black_box;

use culvert::engine::wire::icmp::{self, Complaint, Icmp};
use culvert::engine::wire::tcp::{self, Tcp};
use culvert::engine::wire::udp::Udp;
use culvert::engine::wire::{FlowKey, Ip, Ipv4, Ipv6, answer};

use crate::campaign::Campaign;
use crate::dice::Dice;
use crate::packets::{Ends, Packets};

#[test]
fn reads_any_bytes_as_any_view() {
    let mut campaign = Campaign::new("views");
    while let Some(mut dice) = campaign.next() {
        let packets = Packets::new(Ends::example(dice.once_in(2)));
        for _ in 0..64 {
            let other = packets.any(&mut dice);
            let mut bytes = packets.any(&mut dice);
            if dice.once_in(8) {
                let length = dice.below(128);
                bytes = dice.bytes(length);
            }
            dice.mutate(&mut bytes, &other);
            look(&mut dice, &bytes);
        }
    }
}

fn look(dice: &mut Dice, bytes: &[u8]) {
    look_v4(dice, bytes);
    look_v6(dice, bytes);
    for at in [0, 20, 40] {
        look_transports(bytes.get(at..).unwrap_or_default(), dice);
    }
    let Ok(view) = Ip::new(bytes) else { return };
    black_box((view.source(), view.destination(), view.payload(), FlowKey::of(&view).is_ok()));
    assert_eq!(view.packet().len(), view.total_len());
    let mut memory = vec![0; dice.below(1_600)];
    if let Some(length) = answer::write(&mut memory, &view) {
        whole(&memory[..length]);
    }
    for complaint in [Complaint::TimeExceeded, Complaint::Prohibited] {
        let from = view.destination();
        if let Some(length) = icmp::write_error(&mut memory, complaint, from, &view) {
            whole(&memory[..length]);
        }
    }
    if let Ok(segment) = Tcp::new(view.payload())
        && let Some(length) = tcp::write_reset(&mut memory, &segment, view.source(), view.destination())
    {
        whole(&memory[..length]);
    }
}

/// What is written is read again.
fn whole(packet: &[u8]) {
    assert_eq!(Ip::new(packet).unwrap().total_len(), packet.len());
}

fn look_v4(dice: &mut Dice, bytes: &[u8]) {
    let mut copy = bytes.to_vec();
    let Ok(mut view) = Ipv4::new(&mut copy[..]) else { return };
    black_box((view.identification(), view.dont_fragment(), view.more_fragments(), view.fragment_offset()));
    black_box((view.is_fragment(), view.ttl(), view.protocol(), view.source(), view.destination()));
    assert_eq!(view.header().len() + view.payload().len(), view.total_len());
    let was_right = view.is_checksum_right();
    view.set_source(dice.word().into());
    view.set_destination(dice.word().into());
    view.set_ttl(dice.byte());
    assert!(!was_right || view.is_checksum_right(), "a right checksum stays right: {bytes:02x?}");
    view.payload_mut().fill(0);
}

fn look_v6(dice: &mut Dice, bytes: &[u8]) {
    let mut copy = bytes.to_vec();
    let Ok(mut view) = Ipv6::new(&mut copy[..]) else { return };
    black_box((view.next_header(), view.hop_limit(), view.source(), view.destination(), view.payload()));
    if let Ok(upper) = view.upper() {
        assert!(upper.offset <= view.total_len());
    }
    let address = u128::from(dice.bits()).into();
    view.set_source(address);
    view.set_destination(address);
    view.set_hop_limit(dice.byte());
    view.payload_mut().fill(0);
    assert_eq!((view.source(), view.destination()), (address, address));
}

fn look_transports(bytes: &[u8], dice: &mut Dice) {
    let (v4, v6) = ([10, 0, 0, 1].into(), [dice.byte(); 16].into());
    if let Ok(view) = Tcp::new(bytes) {
        black_box((view.source_port(), view.destination_port(), view.sequence(), view.acknowledgement()));
        black_box((view.is_fin(), view.is_syn(), view.is_rst(), view.is_ack(), view.sequence_len()));
        black_box((view.is_checksum_right(v4, v4), view.is_checksum_right(v6, v6)));
        assert_eq!(view.header_len() + view.payload().len(), bytes.len());
        assert!(view.options().len() <= 40);
    }
    if let Ok(view) = Udp::new(bytes) {
        black_box((view.source_port(), view.destination_port(), view.is_checksum_right(v4, v4), view.payload()));
        assert!(view.total_len() <= bytes.len());
    }
    for protocol in [1, 58, 6] {
        let Ok(view) = Icmp::new(protocol, bytes) else { continue };
        black_box((view.kind(), view.code(), view.identifier(), view.sequence(), view.payload()));
        black_box((view.is_checksum_right(v4, v4), view.is_checksum_right(v6, v6)));
    }
}
