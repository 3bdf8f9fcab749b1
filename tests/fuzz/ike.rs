//! The responder of `IKEv2` and ESP before strangers: recorded messages, changed, and random chains of payloads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use culvert::domain::name::AccountName;
use culvert::engine::esp::association::{Inbound, Keys};
use culvert::engine::esp::suite::{Encryption, Integrity, Suite};
use culvert::engine::ike::crypto::dice::Dice as Draws;
use culvert::engine::ike::eap::mschapv2::nt_hash;
use culvert::engine::ike::event::Path;
use culvert::engine::ike::message::contents::Contents;
use culvert::engine::ike::message::header::HEADER;
use culvert::engine::ike::proposal::text;
use culvert::engine::ike::responder::{Change, Responder};
use culvert::engine::ike::settings::{Fragmentation, Identity, Member, Settings, Uniqueness};
use culvert::runtime::os::clock;
use culvert::runtime::os::rsa::sha1_signer;

use crate::campaign::Campaign;
use crate::dice::Dice;

/// Payload types that have something in them.
const KINDS: [u8; 18] = [33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 53, 200];

fn recorded() -> Vec<Vec<u8>> {
    let texts = [
        include_str!("../../src/engine/ike/vectors/aes256gcm16.json"),
        include_str!("../../src/engine/ike/vectors/aes256-sha1-modp1024.json"),
    ];
    let datagrams = texts.iter().flat_map(|text| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        value["datagrams"].as_array().unwrap().clone()
    });
    datagrams.map(|datagram| hex(datagram["hex"].as_str().unwrap())).collect()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn settings() -> Settings {
    Settings {
        ike: text::ike("aes256-sha1-modp1024,aes256gcm16-prfsha384-ecp384").unwrap(),
        esp: text::esp("aes256gcm16-ecp384").unwrap(),
        lifetimes: None,
        probe_after: Some(Duration::from_secs(30)),
        give_up_after: None,
        idle: None,
        uniqueness: Uniqueness::Replace,
        fragmentation: Fragmentation::Yes,
        mobike: true,
        open: true,
    }
}

fn responder(seed: u64) -> Responder {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["vpn.example.test".into()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().to_vec();
    let identity = Identity::new(vec![certificate], &key.serialize_der(), "vpn.example.test", sha1_signer).unwrap();
    let mut dice = Dice::new(seed);
    let draws = Draws::new(move |bytes| bytes.iter_mut().for_each(|byte| *byte = dice.byte()));
    let mut responder = Responder::new(Arc::new(settings()), 1, draws, clock::now());
    responder.apply(Change::Identity(Arc::new(identity)), clock::now());
    let member = Member {
        account: AccountName::parse("alice").unwrap(),
        login: "alice".into(),
        hash: nt_hash("secret"),
        ipv4: Some([10, 0, 0, 2].into()),
        ipv6: None,
        dns: Vec::new(),
        shard: 1,
    };
    responder.apply(Change::Member(Arc::new(member)), clock::now());
    responder
}

/// A chain of payloads of random types with random contents, some of recorded ones.
fn chain(dice: &mut Dice, seeds: &[Vec<u8>]) -> (u8, Vec<u8>) {
    let kinds: Vec<u8> = (0..dice.below(8)).map(|_| *dice.pick(&KINDS)).collect();
    let mut bytes = Vec::new();
    for at in 0..kinds.len() {
        let length = dice.below(80);
        let body =
            if dice.once_in(2) { dice.bytes(length) } else { dice.pick(seeds).iter().skip(length).copied().collect() };
        let next = kinds.get(at + 1).copied().unwrap_or(0);
        bytes.extend_from_slice(&[next, 0]);
        bytes.extend_from_slice(&u16::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend_from_slice(&body);
    }
    (kinds.first().copied().unwrap_or(0), bytes)
}

fn path(dice: &mut Dice) -> Path {
    let marked = dice.once_in(2);
    let port = 1_024 + dice.short() % 8;
    Path {
        remote: SocketAddr::from(([192, 0, 2, dice.byte()], port)),
        local: SocketAddr::from(([198, 51, 100, 1], 500)),
        marked,
    }
}

#[test]
fn the_responder_survives_strangers() {
    let (seeds, mut campaign) = (recorded(), Campaign::new("ike"));
    while let Some(mut dice) = campaign.next() {
        let mut responder = responder(dice.bits());
        let mut now = clock::now();
        for _ in 0..300 {
            let (mut message, other) = (dice.pick(&seeds).clone(), dice.pick(&seeds).clone());
            dice.mutate(&mut message, &other);
            if dice.once_in(2) && message.len() >= HEADER {
                // a right length and sometimes a right beginning: deeper than the header
                let (first, bytes) = chain(&mut dice, &seeds);
                message.truncate(HEADER);
                message.extend_from_slice(&bytes);
                message[16] = first;
                message[17] = 0x20;
            }
            let length = u32::try_from(message.len()).unwrap();
            if message.len() >= HEADER && !dice.once_in(4) {
                message[24..HEADER].copy_from_slice(&length.to_be_bytes());
            }
            let path = path(&mut dice);
            let bytes = if path.marked { [&[0; 4], &message[..]].concat() } else { message };
            responder.handle_datagram(path, &bytes, now);
            responder.handle_traffic(dice.word(), Some(path), now);
            while responder.poll_datagram().is_some() || responder.poll_event().is_some() {}
            now += Duration::from_millis(dice.below(2_000).try_into().unwrap());
            responder.handle_deadline(now);
            assert!(responder.poll_deadline().is_none_or(|at| at > now));
            assert!(responder.connections().0 <= 2_000);
        }
    }
}

#[test]
fn payloads_are_read_whatever_they_are() {
    let (seeds, mut campaign) = (recorded(), Campaign::new("payloads"));
    while let Some(mut dice) = campaign.next() {
        for _ in 0..200 {
            let (first, mut bytes) = chain(&mut dice, &seeds);
            if dice.once_in(2) {
                let other = dice.pick(&seeds).clone();
                dice.mutate(&mut bytes, &other);
            }
            let _ = Contents::parse(first, &bytes);
        }
    }
}

#[test]
fn esp_survives_strangers() {
    let suites = [Suite::aead(Encryption::Aes256Gcm), Suite::pair(Encryption::Aes256Cbc, Integrity::Sha1)];
    let (seeds, mut campaign) = (recorded(), Campaign::new("esp"));
    while let Some(mut dice) = campaign.next() {
        let suite = *dice.pick(&suites);
        let keys = Keys {
            spi: 1,
            suite,
            extended: dice.once_in(2),
            encryption: dice.bytes(suite.encryption.key_len()).into(),
            integrity: dice.bytes(suite.integrity_key_len()).into(),
        };
        let mut inbound = Inbound::new(&keys).unwrap();
        for _ in 0..500 {
            let (mut datagram, other) = (dice.pick(&seeds).clone(), dice.pick(&seeds).clone());
            dice.mutate(&mut datagram, &other);
            assert!(inbound.open(&mut datagram).is_err());
        }
    }
}

#[test]
fn proposal_texts_are_refused_or_read() {
    let mut campaign = Campaign::new("proposals");
    let words =
        ["aes256", "sha1", "modp1024", "-", ",", "!", " ", "AES128GCM16", "é", "esn", "ecp384", "prfsha1", "null", ""];
    while let Some(mut dice) = campaign.next() {
        for _ in 0..200 {
            let text: String = (0..dice.below(20)).map(|_| *dice.pick(&words)).collect();
            for list in [text::ike(&text), text::esp(&text)].into_iter().flatten() {
                assert!(!list.is_empty());
            }
        }
    }
}
