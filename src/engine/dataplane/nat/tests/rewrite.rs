//! A translated packet is, to the byte, the one that the oracle writes for the other key.

use proptest::prelude::*;

use super::super::super::verdict::DropReason;
use super::super::translate;
use super::*;
use crate::engine::packet::Offload;
use crate::engine::wire::checksum::Sum;

/// Two keys of one kind.
fn two_keys() -> impl Strategy<Value = (FlowKey, FlowKey)> {
    let sockets = prop_oneof![
        any::<[([u8; 4], u16); 4]>().prop_map(|all| all.map(|(address, port)| SocketAddr::new(address.into(), port))),
        any::<[([u8; 16], u16); 4]>().prop_map(|all| all.map(|(address, port)| SocketAddr::new(address.into(), port))),
    ];
    (sockets, 0_usize..3).prop_map(|([a, b, c, d], protocol)| {
        let between = |source: SocketAddr, destination: SocketAddr| {
            key(ALL[protocol], &source.to_string(), &destination.to_string())
        };
        (between(a, b), between(c, d))
    })
}

/// The field that an uncompleted checksum has: the folded sum of the pseudo header, not complemented.
fn partial(key: &FlowKey, length: usize) -> [u8; 2] {
    (!Sum::default().pseudo(key.source.ip(), key.destination.ip(), key.protocol, length).finish()).to_be_bytes()
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(
        (from, to) in two_keys(), payload in proptest::collection::vec(any::<u8>(), 0..300), stretched in any::<bool>(),
    ) {
        let (mut packet, mut expected) = (packet_of(&from, &payload), packet_of(&to, &payload));
        if stretched {
            stretch(&mut packet, &from, IpNumber::IPV6_DESTINATION_OPTIONS);
            stretch(&mut expected, &to, IpNumber::IPV6_DESTINATION_OPTIONS);
        }
        translate(&mut packet, Offload::NONE, &to).expect("of one kind");
        prop_assert_eq!(packet, expected);
    }

    #[test]
    fn keeps_an_uncompleted_checksum_of_a_super_packet_right(
        (from, to) in two_keys(), length in 0_usize..60_000, segment in 500_u16..1_400,
    ) {
        let at = match from.protocol {
            protocol::TCP => 16,
            protocol::UDP => 6,
            _ => return Ok(()),
        };
        let payload = vec![0x5a; length];
        let (mut packet, mut expected) = (packet_of(&from, &payload), packet_of(&to, &payload));
        let at = plain_header(&from) + at;
        let transport = packet.len() - plain_header(&from);
        packet[at..at + 2].copy_from_slice(&partial(&from, transport));
        expected[at..at + 2].copy_from_slice(&partial(&to, transport));
        translate(&mut packet, Offload { segment, partial_checksum: true, ..Offload::NONE }, &to).expect("of one kind");
        prop_assert!(packet == expected);
    }

    #[test]
    fn never_panics_on_arbitrary_bytes(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120), (_, to) in two_keys(), first in prop_oneof![Just(0x45_u8), Just(0x60)],
    ) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if bytes.len() > 40 {
            let (at, length) = if first == 0x45 { (2, bytes.len()) } else { (4, bytes.len() - 40) };
            bytes[at..at + 2].copy_from_slice(&u16::try_from(length).expect("short").to_be_bytes());
            bytes[if first == 0x45 { 9 } else { 6 }] = to.protocol;
        }
        let _ = translate(&mut bytes.clone(), Offload::NONE, &to);
        let _ = super::super::quoted_key(&bytes);
        let _ = super::super::translate_error(&mut bytes.clone(), &to);
        super::super::clamp_mss(&mut bytes, Offload::NONE, 1_280);
    }
}

/// RFC 768 and RFC 3022, section 4.1.
#[test]
fn a_datagram_without_checksum_keeps_none() {
    let (from, to) = (key(17, "10.0.0.2:1", "1.1.1.1:2"), key(17, "198.51.100.7:9", "1.1.1.1:2"));
    let mut packet = packet_of(&from, b"nobody sums this");
    packet[26..28].fill(0);
    translate(&mut packet, Offload::NONE, &to).expect("of one kind");
    assert_eq!(packet[26..28], [0, 0]);
    assert_eq!(packet[20..22], [0, 9]);
}

/// RFC 768: a sum of zero is sent as all ones.
#[test]
fn a_datagram_with_checksum_never_loses_it() {
    for (inner, remote, outer) in
        [("10.0.0.2:1", "1.1.1.1:2", "198.51.100.7"), ("[fd00::2]:1", "[2001:db8::1]:2", "[2001:db8::7]")]
    {
        let mut all_ones = 0;
        for port in 1..=u16::MAX {
            let (from, to) = (key(17, inner, remote), key(17, &format!("{outer}:{port}"), remote));
            let mut packet = packet_of(&from, b"payload");
            translate(&mut packet, Offload::NONE, &to).expect("of one kind");
            let at = plain_header(&from) + 6;
            assert_ne!(packet[at..at + 2], [0, 0]);
            all_ones += usize::from(packet[at..at + 2] == [0xff, 0xff]);
        }
        assert!(all_ones > 0);
    }
}

#[test]
fn what_lies_behind_the_packet_stays() {
    let (from, to) = (key(6, "10.0.0.2:1", "1.1.1.1:2"), key(6, "198.51.100.7:9", "1.1.1.1:2"));
    let mut packet = packet_of(&from, b"payload");
    packet.extend([0xee; 5]);
    translate(&mut packet, Offload::NONE, &to).expect("of one kind");
    assert_eq!(packet, [packet_of(&to, b"payload"), vec![0xee; 5]].concat());
}

#[test]
fn a_packet_of_another_kind_is_refused_and_left_alone() {
    let from = key(6, "10.0.0.2:1", "1.1.1.1:2");
    let packet = packet_of(&from, b"payload");
    for to in [key(17, "198.51.100.7:9", "1.1.1.1:2"), key(6, "[fd00::2]:1", "[fd00::3]:1")] {
        let mut tried = packet.clone();
        assert_eq!(translate(&mut tried, Offload::NONE, &to), Err(DropReason::Malformed));
        assert_eq!(tried, packet);
    }
}

/// NAT66: an extension header that names further stops is no way around the table.
#[test]
fn a_source_routed_packet_is_refused() {
    let (from, to) = (key(17, "[fd00::2]:1", "[2001:db8::1]:2"), key(17, "[2001:db8::7]:1", "[2001:db8::1]:2"));
    let mut packet = packet_of(&from, b"payload");
    stretch(&mut packet, &from, IpNumber::IPV6_ROUTE_HEADER);
    assert_eq!(translate(&mut packet.clone(), Offload::NONE, &to), Err(DropReason::SourceRouted));
    packet[43] = 0;
    assert_eq!(translate(&mut packet, Offload::NONE, &to), Ok(()));
}

/// RFC 4787, REQ-10. RFC 5382, REQ-6. RFC 6888, REQ-1: no application's payload is read or changed.
#[test]
fn payloads_that_name_addresses_pass_unchanged() {
    for payload in [
        "PORT 10,0,0,2,19,137\r\n",
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060\r\nContact: <sip:a@10.0.0.2:5060>\r\n",
        "\x03\0\0\x2a setup 10.0.0.2:1720",
    ] {
        for (protocol, port) in [(6, 21), (6, 1_720), (17, 5_060)] {
            let (from, to) = (
                key(protocol, "10.0.0.2:5000", &format!("1.1.1.1:{port}")),
                key(protocol, "198.51.100.7:5000", &format!("1.1.1.1:{port}")),
            );
            let mut packet = packet_of(&from, payload.as_bytes());
            translate(&mut packet, Offload::NONE, &to).expect("of one kind");
            assert_eq!(packet, packet_of(&to, payload.as_bytes()));
        }
    }
}
