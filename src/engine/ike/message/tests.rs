//! Recorded messages there and back, and bytes that are none.

use super::contents::Contents;
use super::header::{HEADER, Header};
use super::writer::Writer;
use super::*;
use crate::engine::ike::vectors;

fn first_messages() -> Vec<Vec<u8>> {
    let sessions = vectors::sessions();
    sessions.iter().flat_map(|session| session.datagrams().into_iter().take(2)).map(|datagram| datagram.bytes).collect()
}

#[test]
fn reads_recorded_headers_and_writes_them_back() {
    for message in first_messages() {
        let header = Header::parse(&message).unwrap();
        let mut written = Vec::new();

        header.write(&mut written);

        assert_eq!(written, message[..HEADER]);
    }
}

#[test]
fn reads_recorded_payloads_and_writes_them_back() {
    for message in first_messages() {
        let header = Header::parse(&message).unwrap();
        let contents = Contents::parse(header.next, &message[HEADER..]).unwrap();
        let mut writer = Writer::default();
        for payload in payloads(header.next, &message[HEADER..]).unwrap() {
            match payload.kind {
                kind::SA => writer.sa(contents.sa.as_ref().unwrap()),
                kind::KE => writer.ke(contents.ke.unwrap().0, contents.ke.unwrap().1),
                kind::NONCE => writer.nonce(contents.nonce.unwrap()),
                _ => writer.push(payload.kind, payload.body.to_vec()),
            };
        }

        let (first, bytes) = writer.chain();

        assert_eq!((first, &bytes[..]), (header.next, &message[HEADER..]));
    }
}

#[test]
fn refuses_every_message_that_is_cut_short_or_too_long() {
    for message in first_messages() {
        let header = Header::parse(&message).unwrap();
        for length in HEADER..message.len() {
            assert!(Header::parse(&message[..length]).is_none());
            assert!(Contents::parse(header.next, &message[HEADER..length]).is_err(), "{length}");
        }
        assert!(Contents::parse(header.next, &[&message[HEADER..], &[0]].concat()).is_err());
    }
}

#[test]
fn skips_a_strange_payload_unless_it_is_critical() {
    assert_eq!(payloads(200, &[0, 0, 0, 5, 1]).unwrap().len(), 1);
    assert_eq!(payloads(200, &[0, 0x80, 0, 5, 1]), Err(Fault::Critical(200)));
    // the bit says nothing on a payload that is known
    assert!(payloads(kind::VENDOR, &[0, 0x80, 0, 5, 1]).is_ok());
}

#[test]
fn refuses_payloads_without_end() {
    let chain = |count: usize| {
        let mut writer = Writer::default();
        (0..count).for_each(|_| {
            writer.push(kind::VENDOR, vec![]);
        });
        writer.chain().1
    };
    assert!(payloads(kind::VENDOR, &chain(PAYLOADS_MAX)).is_ok());
    assert_eq!(payloads(kind::VENDOR, &chain(PAYLOADS_MAX + 1)), Err(Fault::Syntax));
    // a length of nothing would be read for ever
    assert_eq!(payloads(kind::VENDOR, &[kind::VENDOR, 0, 0, 0]), Err(Fault::Syntax));
}

#[test]
fn refuses_what_may_stand_once_and_stands_twice() {
    for kind in [kind::NONCE, kind::KE, kind::IDI, kind::AUTH, kind::EAP] {
        let mut writer = Writer::default();
        let (first, bytes) = writer.push(kind, vec![1; 20]).push(kind, vec![1; 20]).chain();
        assert_eq!(Contents::parse(first, &bytes), Err(Fault::Syntax), "{kind}");
    }
}

#[test]
fn writes_selectors_configurations_and_deletes_as_it_reads_them() {
    let selectors = [selector::Selector::all_ipv4(), selector::Selector::all_ipv6()];
    let mut writer = Writer::default();
    writer.selectors(kind::TSI, &selectors).configuration(1, &[(1, vec![]), (8, vec![7; 17])]);
    writer.delete_esp(&[1, 2]).delete_ike();
    let (first, bytes) = writer.chain();

    let contents = Contents::parse(first, &bytes).unwrap();

    assert_eq!(contents.tsi.unwrap(), selectors);
    assert_eq!(contents.configuration.unwrap().attributes, [(1, &[][..]), (8, &[7; 17])]);
    assert_eq!(contents.deletes, [notify::Delete::Esp(vec![1, 2]), notify::Delete::Ike]);
}

#[test]
fn narrows_addresses_protocols_and_ports() {
    let own = selector::Selector::address("10.0.0.2".parse().unwrap());
    let web = selector::Selector { protocol: 6, first_port: 80, last_port: 443, ..selector::Selector::all_ipv4() };

    assert_eq!(selector::narrow(&[own], &[selector::Selector::all_ipv4(), selector::Selector::all_ipv6()]), [own]);
    assert_eq!(web.narrowed(&own), Some(selector::Selector { first: own.first, last: own.last, ..web }));
    assert_eq!(own.narrowed(&selector::Selector::address("10.0.0.3".parse().unwrap())), None);
    assert_eq!(web.narrowed(&selector::Selector { protocol: 17, ..own }), None);
}
