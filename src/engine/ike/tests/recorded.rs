//! Recorded sessions, recomputed to the byte: Diffie-Hellman's secret to keys, AUTH, MSK, children's keys and packets.

use std::collections::BTreeMap;
use std::time::Instant;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512};
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};

use crate::engine::esp::association::{Inbound, Keys};
use crate::engine::esp::protection::Protection;
use crate::engine::ike::eap::mschapv2;
use crate::engine::ike::keys::{self, IkeKeys};
use crate::engine::ike::message::contents::Contents;
use crate::engine::ike::message::header::{HEADER, Header};
use crate::engine::ike::message::kind;
use crate::engine::ike::proposal::choice::{self, Exchange};
use crate::engine::ike::proposal::{EspSuite, IkeSuite, text};
use crate::engine::ike::sealed::{NotOpened, Opened, Opener};
use crate::engine::ike::vectors::{Datagram, Session, sessions};

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
    Instant::now()
}

fn ike_suite(session: &Session, answer: &Contents<'_>) -> IkeSuite {
    let ours = text::ike(&format!("{}!", session.text("ike_proposal"))).unwrap();
    choice::ike(&ours, answer.sa.as_ref().unwrap()).unwrap().suite
}

fn esp_suite(session: &Session, answer: &Contents<'_>) -> EspSuite {
    let ours = text::esp(&format!("{}!", session.text("esp_proposal"))).unwrap();
    let groups = ours[0].groups.clone();
    choice::esp(&ours, answer.sa.as_ref().unwrap(), Exchange::Possible(&groups)).unwrap().suite
}

fn assert_keys(session: &Session, keys: &IkeKeys, generation: usize) {
    for (name, key) in [
        ("Sk_d secret", &keys.d),
        ("Sk_ai secret", &keys.ai),
        ("Sk_ar secret", &keys.ar),
        ("Sk_ei secret", &keys.ei),
        ("Sk_er secret", &keys.er),
        ("Sk_pi secret", &keys.pi),
        ("Sk_pr secret", &keys.pr),
    ] {
        if let Some(recorded) = session.secrets(name).get(generation) {
            assert_eq!(**key, *recorded, "{} {name}", session.text("suite"));
        }
    }
}

/// The IKE messages of one association in order, opened; and sealed again, to the byte.
fn opened(messages: &[&[u8]], suite: IkeSuite, keys: &IkeKeys) -> Vec<(Header, Opened)> {
    let mut openers = keys.protections(suite.protection).unwrap().map(Opener::new);
    let sealers = keys.protections(suite.protection).unwrap();
    let mut found = Vec::new();
    for message in messages {
        let header = Header::parse(message).unwrap();
        let side = usize::from(!header.initiator);
        match openers[side].open(header, message, start()) {
            Ok(opened) => found.push((header, opened)),
            Err(error) => assert_eq!(error, NotOpened::Waiting),
        }
        let clear = HEADER + if header.next == kind::SKF { 8 } else { 4 };
        let mut bytes = message.to_vec();
        let text = sealers[side].open(&mut bytes, clear, None).unwrap();
        let iv = message[clear..text.start].to_vec();
        sealers[side].seal(&mut bytes, clear, None, &iv).unwrap();
        assert_eq!(bytes, **message);
    }
    found
}

struct Ike {
    first: [Vec<u8>; 2],
    suite: IkeSuite,
    keys: IkeKeys,
    nonces: [Vec<u8>; 2],
}

fn begun(session: &Session, datagrams: &[Datagram]) -> Ike {
    let first = [datagrams[0].bytes.clone(), datagrams[1].bytes.clone()];
    let headers = first.each_ref().map(|message| Header::parse(message).unwrap());
    let [asked, said] = [0, 1].map(|at| Contents::parse(headers[at].next, &first[at][HEADER..]).unwrap());
    let suite = ike_suite(session, &said);
    let nonces = [asked.nonce.unwrap(), said.nonce.unwrap()];
    let seed = keys::skeyseed(suite.prf, nonces, &session.secrets("shared Diffie Hellman secret")[0]);
    assert_eq!(*seed, session.secrets("SKEYSEED")[0]);
    let keys = IkeKeys::derive(&suite, &seed, nonces, headers[1].spis);
    assert_keys(session, &keys, 0);
    Ike { suite, keys, nonces: nonces.map(<[u8]>::to_vec), first }
}

fn verifies(session: &Session, octets: &[u8], proof: &[u8]) -> bool {
    let der = session.der("server_certificate");
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    let public = &*certificate.public_key().subject_public_key.data;
    let algorithms: [&'static dyn VerificationAlgorithm; 3] =
        [&RSA_PKCS1_2048_8192_SHA256, &RSA_PKCS1_2048_8192_SHA384, &RSA_PKCS1_2048_8192_SHA512];
    algorithms
        .into_iter()
        .any(|algorithm| UnparsedPublicKey::new(algorithm, public).verify(octets, &proof[16..]).is_ok())
}

fn assert_auths(session: &Session, ike: &Ike, messages: &[(Header, Opened)]) {
    let prf = ike.suite.prf;
    let contents: Vec<Contents<'_>> =
        messages.iter().map(|(_, opened)| Contents::parse(opened.first, &opened.chain).unwrap()).collect();
    let idi = contents.iter().find_map(|contents| contents.idi).unwrap();
    let idr = contents.iter().filter(|contents| contents.auth.is_some()).find_map(|contents| contents.idr).unwrap();
    let octets = [
        keys::auth_octets(prf, &ike.first[0], &ike.nonces[1], &ike.keys.pi, idi.body),
        keys::auth_octets(prf, &ike.first[1], &ike.nonces[0], &ike.keys.pr, idr.body),
    ];
    let recorded = session.secrets("octets = message + nonce + prf(Sk_px, IDx')");
    assert_eq!((&recorded[0], &recorded[1]), (&octets[1], &octets[0]));

    let mut eap = contents.iter().filter_map(|contents| contents.eap).skip(2);
    let challenge: [u8; 16] = eap.next().unwrap()[10..26].try_into().unwrap();
    let response = eap.next().unwrap();
    let success = eap.next().unwrap();
    let hash = mschapv2::nt_hash(session.text("password"));
    let peer = response[10..26].try_into().unwrap();
    let challenge = mschapv2::challenge_hash(&peer, &challenge, session.text("user"));
    let expected = mschapv2::nt_response(challenge, &hash);
    assert_eq!(response[34..58], expected);
    let said = mschapv2::authenticator_response(&hash, &expected, challenge);
    assert!(success[9..].starts_with(said.as_bytes()));
    let msk = mschapv2::msk(&hash, &expected);
    assert_eq!(*msk, session.secrets("secret")[0]);

    let auths: Vec<(u8, &[u8])> = contents.iter().filter_map(|contents| contents.auth).collect();
    assert_eq!(auths.iter().map(|auth| auth.0).collect::<Vec<_>>(), [14, 2, 2]);
    assert!(verifies(session, &octets[1], auths[0].1));
    for (auth, octets) in auths[1..].iter().zip(&octets) {
        assert_eq!(auth.1, &keys::auth_of_shared_key(prf, &msk, octets)[..]);
    }
}

/// The children's keys by SPI, in the order in which they came to be.
fn children(session: &Session, ike: &Ike, messages: &[(Header, Opened)]) -> BTreeMap<u32, Keys> {
    let mut found = BTreeMap::new();
    let (mut generation, mut asked_spi, mut asked_nonce) = (0, 0, ike.nonces[0].clone());
    for (header, opened) in messages {
        let contents = Contents::parse(opened.first, &opened.chain).unwrap();
        let Some(proposals) = contents.sa.as_ref().filter(|proposals| proposals[0].protocol == 3) else { continue };
        let spi = u32::from_be_bytes(proposals[0].spi[..].try_into().unwrap());
        if !header.response {
            asked_spi = spi;
            asked_nonce = contents.nonce.map_or_else(|| ike.nonces[0].clone(), <[u8]>::to_vec);
            continue;
        }
        let suite = esp_suite(session, &contents);
        let nonce = contents.nonce.unwrap_or(&ike.nonces[1]);
        let shared = if contents.ke.is_some() { session.secrets("DH secret")[0].clone() } else { Vec::new() };
        let keys = keys::child(ike.suite.prf, &ike.keys.d, &shared, [&asked_nonce, nonce], suite.protection);
        for (side, name, spi) in [(0, "initiator", spi), (1, "responder", asked_spi)] {
            let (encryption, integrity) = (&keys[side].encryption, &keys[side].integrity);
            assert_eq!(**encryption, session.secrets(&format!("encryption {name} key"))[generation]);
            if let Some(recorded) = session.secrets(&format!("integrity {name} key")).get(generation) {
                assert_eq!(**integrity, *recorded);
            }
            let (encryption, integrity) = (encryption.clone(), integrity.clone());
            found.insert(spi, Keys { spi, suite: suite.protection, extended: suite.extended, encryption, integrity });
        }
        generation += 1;
    }
    found
}

/// Opens every recorded packet, and seals it again to the byte.
fn assert_packets(session: &Session, datagrams: &[Datagram], keys: &BTreeMap<u32, Keys>) {
    let mut inbounds: BTreeMap<u32, Inbound> =
        keys.iter().map(|(spi, keys)| (*spi, Inbound::new(keys).unwrap())).collect();
    let mut packets = 0;
    for datagram in datagrams.iter().filter(|datagram| datagram.marked && datagram.bytes[..4] != [0; 4]) {
        let spi = u32::from_be_bytes(datagram.bytes[..4].try_into().unwrap());
        let mut bytes = datagram.bytes.clone();
        let opened = inbounds.get_mut(&spi).unwrap().open(&mut bytes).unwrap();
        assert!(opened.newest && bytes[opened.packet.start] == 0x45);

        let keys = &keys[&spi];
        let protection = Protection::new(keys.suite, &keys.encryption, &keys.integrity).unwrap();
        let iv = datagram.bytes[8..opened.packet.start].to_vec();
        protection.seal(&mut bytes, 8, None, &iv).unwrap();
        assert_eq!(bytes, datagram.bytes);
        packets += 1;
    }
    assert_eq!(packets, 8, "{}", session.text("suite"));
}

#[test]
fn recomputes_recorded_sessions_to_the_byte() {
    for session in sessions() {
        let datagrams = session.datagrams();
        let ike = begun(&session, &datagrams);
        let all: Vec<&[u8]> = datagrams
            .iter()
            .skip(2)
            .filter(|datagram| datagram.marked && datagram.bytes[..4] == [0; 4])
            .map(|datagram| &datagram.bytes[4..])
            .collect();
        let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = all.iter().partition(|message| message[..8] == ike.first[0][..8]);

        let messages = opened(&old, ike.suite, &ike.keys);
        assert_auths(&session, &ike, &messages);
        let keys = children(&session, &ike, &messages);
        assert_packets(&session, &datagrams, &keys);
        assert_successor(&session, &ike, &messages, &new);
    }
}

fn assert_successor(session: &Session, ike: &Ike, messages: &[(Header, Opened)], new: &[&[u8]]) {
    let rekeys: Vec<Contents<'_>> = messages
        .iter()
        .map(|(_, opened)| Contents::parse(opened.first, &opened.chain).unwrap())
        .filter(|contents| contents.sa.as_ref().is_some_and(|proposals| proposals[0].protocol == 1))
        .collect();
    let nonces = [rekeys[0].nonce.unwrap(), rekeys[1].nonce.unwrap()];
    let suite = ike_suite(session, &rekeys[1]);
    let shared = &session.secrets("shared Diffie Hellman secret")[1];
    let seed = keys::skeyseed_of_successor(ike.suite.prf, &ike.keys.d, nonces, shared);
    assert_eq!(*seed, session.secrets("SKEYSEED")[1]);
    let keys = IkeKeys::derive(&suite, &seed, nonces, Header::parse(new[0]).unwrap().spis);
    assert_keys(session, &keys, 1);

    let last = opened(new, suite, &keys);

    assert_eq!(last.len(), 2);
}
