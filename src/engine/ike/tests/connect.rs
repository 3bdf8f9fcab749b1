//! Connections from the first message to packets, and everything that must stop one.

use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};

use super::client::{Client, Habits, path};
use super::rig::{CONTRACT_ESP, CONTRACT_IKE, Rig, account, certificate, habits, member, settings};
use crate::engine::esp::suite::{Encryption, Suite};
use crate::engine::ike::crypto::group::Group;
use crate::engine::ike::crypto::prf::Prf;
use crate::engine::ike::event::{Event, Why};
use crate::engine::ike::message::contents::Contents;
use crate::engine::ike::message::header::{Exchange, HEADER, Header, Spis};
use crate::engine::ike::message::kind;
use crate::engine::ike::message::notify::number;
use crate::engine::ike::message::proposal::Protocol;
use crate::engine::ike::message::selector::Selector;
use crate::engine::ike::message::writer::Writer;
use crate::engine::ike::proposal::{EspSuite, IkeSuite, text};
use crate::engine::ike::responder::Change;
use crate::engine::ike::settings::{Fragmentation, Settings, Uniqueness};

fn ike_suites(list: &str) -> Vec<IkeSuite> {
    let suites = text::ike(list).unwrap().into_iter().map(|offer| IkeSuite {
        protection: Suite { encryption: offer.encryptions[0], integrity: offer.integrities.first().copied() },
        prf: offer.prfs[0],
        group: offer.groups[0],
    });
    suites.collect()
}

fn esp_suites(list: &str) -> Vec<EspSuite> {
    let suites = text::esp(list).unwrap().into_iter().map(|offer| EspSuite {
        protection: Suite { encryption: offer.encryptions[0], integrity: offer.integrities.first().copied() },
        group: offer.groups.first().copied(),
        extended: offer.extended[0],
    });
    suites.collect()
}

#[test]
fn connects_with_every_proposal_of_the_contracts_defaults() {
    for ike in ike_suites(CONTRACT_IKE) {
        for esp in esp_suites(CONTRACT_ESP) {
            let mut rig = Rig::new(settings());
            let mut client = Client::new(Habits { ike, esp, ..habits() }, 1);

            let address = rig.connect(&mut client);

            assert_eq!(address.map(|address| address.octets()), Ok([10, 99, 0, 2]), "{ike:?} {esp:?}");
            assert!(rig.passes(&mut client), "{ike:?} {esp:?}");
        }
    }
}

#[test]
fn connects_with_every_group_and_with_long_sequence_numbers() {
    let list = "aes128-sha256-modp1536,aes192-sha384-modp2048,aes128gcm16-prfsha256-modp3072,aes256-sha512-modp4096,\
        aes192gcm16-prfsha512-ecp256,aes128-sha1-ecp521,aes256gcm16-prfsha1-curve25519!";
    let esp = "aes128gcm16-esn!";
    for ike in ike_suites(list) {
        let wide = Settings { ike: text::ike(list).unwrap(), esp: text::esp(esp).unwrap(), ..settings() };
        let mut rig = Rig::new(wide);
        let mut client = Client::new(Habits { ike, esp: esp_suites(esp)[0], ..habits() }, 2);

        rig.connect(&mut client).unwrap();

        assert!(rig.tunnel().inbound.extended && rig.passes(&mut client), "{ike:?}");
    }
}

#[test]
fn proves_itself_by_its_certificate_in_the_way_that_the_client_knows() {
    let (der, _) = certificate(true);
    let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
    let public = parsed.public_key().subject_public_key.data.to_vec();
    for (hashes, method, skip) in [(&[2_u16][..], 14, 16), (&[], 1, 0)] {
        for fragments in [true, false] {
            let mut rig = Rig::new(settings());
            let mut client = Client::new(Habits { fragments, hashes, ..habits() }, 3);
            rig.init(&mut client).unwrap();
            let content = client.auth_begin();
            let messages = client.request(Exchange::IkeAuth, &content);

            let datagrams = rig.say(client.path, &messages);

            assert_eq!(datagrams.iter().all(|datagram| datagram.bytes.len() <= 1_252), fragments);
            let (_, opened) = rig.opened(&mut client, &datagrams).unwrap();
            let contents = Contents::parse(opened.first, &opened.chain).unwrap();
            assert_eq!((contents.certificates[0], contents.idr.unwrap().value), (&der[..], &b"VPN.example.test"[..]));
            let (said, proof, octets) = client.take_auth_begin(&contents);
            let algorithm =
                if method == 14 { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY };
            assert_eq!(said, method);
            assert!(UnparsedPublicKey::new(algorithm, &public).verify(&octets, &proof[skip..]).is_ok());
        }
    }
}

#[test]
fn says_who_is_connected_and_what_may_travel() {
    let mut rig = Rig::new(settings());
    rig.connected(Habits { name: "OFFICE\\alice", ..habits() }, 4);

    let Some(Event::Connected { account: who, addresses, path: place, .. }) = rig.events.first().cloned() else {
        panic!()
    };
    let tunnel = rig.tunnel();

    assert_eq!((who, place), (account("alice"), path(4_500, true)));
    assert_eq!(addresses, ["10.99.0.2".parse::<std::net::IpAddr>().unwrap(), "fd00::2".parse().unwrap()]);
    assert_eq!(tunnel.client, addresses.into_iter().map(Selector::address).collect::<Vec<_>>());
    assert_eq!(tunnel.network, [Selector::all_ipv4(), Selector::all_ipv6()]);
    assert_eq!(tunnel.inbound.spi & 0xff, 2, "the SPI leads to where the client lives");
}

#[test]
fn refuses_a_wrong_password_and_an_unknown_name_alike() {
    for name in ["alice", "nobody"] {
        let mut rig = Rig::new(settings());
        let mut client = Client::new(Habits { name, password: "wrong", ..habits() }, 5);
        let start = rig.now;

        let outcome = rig.connect(&mut client);

        assert_eq!((outcome, (rig.now - start).as_secs()), (Err(number::AUTHENTICATION_FAILED), 6), "{name}");
        assert_eq!(rig.responder.connections(), (0, 0));
        assert!(rig.events.iter().all(|event| matches!(event, Event::Refused { .. })));
    }
}

#[test]
fn lets_nobody_in_who_proves_the_password_but_not_the_key() {
    let mut rig = Rig::new(settings());
    let mut client = Client::new(habits(), 6);
    rig.init(&mut client).unwrap();
    let content = client.auth_begin();
    let mut answer = rig.ask(&mut client, Exchange::IkeAuth, &content).unwrap().1;
    client.take_auth_begin(&Contents::parse(answer.first, &answer.chain).unwrap());
    while let Some(reply) = client.eap(Contents::parse(answer.first, &answer.chain).unwrap().eap.unwrap()).unwrap() {
        let mut content = Writer::default();
        content.push(kind::EAP, reply);
        answer = rig.ask(&mut client, Exchange::IkeAuth, &content).unwrap().1;
    }
    let mut content = Writer::default();
    content.auth(2, &[7; 48]);

    let (_, last) = rig.ask(&mut client, Exchange::IkeAuth, &content).unwrap();

    assert_eq!(Contents::parse(last.first, &last.chain).unwrap().error(), Some(number::AUTHENTICATION_FAILED));
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Connected { .. } | Event::Opened { .. })));
}

/// The offers that were told as refused.
fn refused(rig: &Rig) -> Vec<(Protocol, String)> {
    let offer = |event: &Event| {
        let Event::OfferRefused { protocol, offer, .. } = event else { return None };
        Some((*protocol, offer.clone()))
    };
    rig.events.iter().filter_map(offer).collect()
}

#[test]
fn refuses_other_algorithms_and_names_the_group_it_wants() {
    let other = IkeSuite { protection: Suite::aead(Encryption::Aes128Gcm), prf: Prf::Sha256, group: Group::Ecp256 };
    let mut rig = Rig::new(settings());
    let mut client = Client::new(Habits { ike: other, ..habits() }, 7);
    assert_eq!(rig.init(&mut client), Err(number::NO_PROPOSAL_CHOSEN));
    assert_eq!(refused(&rig), [(Protocol::Ike, "aes128gcm16-prfsha256-ecp256".to_owned())]);

    let mut rig = Rig::new(Settings { ike: text::ike("aes256gcm16-prfsha384-ecp384!").unwrap(), ..settings() });
    let mut client = Client::new(habits(), 8);
    let mut message = client.init();
    // the key exchange says another group than the only one that is offered
    let at = message.windows(4).position(|bytes| bytes == [0, 20, 0, 0]).unwrap();
    message[at + 1] = 19;
    let answers = rig.say(client.path, &[message]);
    let header = Header::parse(&answers[0].bytes).unwrap();
    let contents = Contents::parse(header.next, &answers[0].bytes[HEADER..]).unwrap();
    assert_eq!(contents.notify(number::INVALID_KE_PAYLOAD).unwrap().content, [0, 20]);
    assert_eq!(rig.responder.connections(), (0, 0));
}

#[test]
fn asks_for_a_cookie_under_load_and_keeps_nothing_before_it_comes_back() {
    let mut rig = Rig::new(settings());
    for seed in 0..3 {
        let mut client = Client::new(habits(), 100 + seed);
        rig.init(&mut client).unwrap();
    }
    assert_eq!(rig.responder.connections(), (3, 3));
    let mut client = Client::new(habits(), 200);
    let message = client.init();

    let answers = rig.say(client.path, std::slice::from_ref(&message));

    assert_eq!(rig.responder.connections(), (3, 3));
    assert!(answers[0].bytes.len() < message.len());
    assert_eq!(client.take_init(&answers[0]), Ok(false));
    assert_eq!(rig.connect(&mut client).map(|address| address.octets()), Ok([10, 99, 0, 2]));
}

#[test]
fn forgets_whoever_does_not_finish() {
    let mut rig = Rig::new(settings());
    let mut client = Client::new(habits(), 9);
    rig.init(&mut client).unwrap();

    rig.wait(Duration::from_secs(29));
    assert_eq!(rig.responder.connections(), (1, 1));
    rig.wait(Duration::from_secs(1));

    assert_eq!(rig.responder.connections(), (0, 0));
    assert_eq!(rig.events, []);
}

#[test]
fn answers_a_repeated_request_with_the_same_bytes() {
    let mut rig = Rig::new(settings());
    let mut client = Client::new(habits(), 10);
    let first = client.init();
    let once = rig.say(client.path, std::slice::from_ref(&first));
    assert_eq!(rig.say(client.path, &[first]), once);
    client.take_init(&once[0]).unwrap();
    let content = client.auth_begin();
    let request = client.request(Exchange::IkeAuth, &content);
    assert!(request.len() > 1, "a request in pieces");
    let once = rig.say(client.path, &request);

    // every piece again: the first alone asks for the answer
    assert_eq!(rig.say(client.path, &request), once);
    let mut forged = request.clone();
    *forged[0].last_mut().unwrap() ^= 1;
    assert_eq!(rig.say(client.path, &forged[..1]), []);
}

#[test]
fn gives_no_address_to_whoever_asks_for_none() {
    let mut rig = Rig::new(settings());
    let mut client = Client::new(Habits { configuration: false, ..habits() }, 11);

    assert_eq!(rig.connect(&mut client), Err(number::FAILED_CP_REQUIRED));
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Opened { .. })));
}

#[test]
fn refuses_a_child_without_refusing_the_client() {
    let mut rig = Rig::new(Settings { esp: text::esp("aes128gcm16!").unwrap(), ..settings() });
    let mut client = Client::new(habits(), 12);

    assert_eq!(rig.connect(&mut client), Err(number::NO_PROPOSAL_CHOSEN));
    assert_eq!(rig.responder.connections(), (0, 1));
    assert_eq!(refused(&rig), [(Protocol::Esp, "aes256-sha256".to_owned())]);
}

#[test]
fn follows_uniqueids() {
    for (uniqueness, initial_contact, same_place, expected, closed) in [
        (Uniqueness::OnInitialContact, false, true, true, 0),
        (Uniqueness::OnInitialContact, true, true, true, 1),
        (Uniqueness::Never, true, true, true, 0),
        (Uniqueness::Replace, false, false, true, 1),
        (Uniqueness::Replace, false, true, true, 0),
        (Uniqueness::Keep, false, false, false, 0),
        (Uniqueness::Keep, false, true, true, 0),
    ] {
        let mut rig = Rig::new(Settings { uniqueness, ..settings() });
        let mut first = Client::new(habits(), 13);
        rig.connect(&mut first).unwrap();
        if !same_place {
            // the first is elsewhere by now
            let mut elsewhere = path(4_500, true);
            elsewhere.remote.set_ip("192.0.2.8".parse().unwrap());
            rig.responder.handle_traffic(rig.tunnel().inbound.spi, Some(elsewhere), rig.now);
        }

        let outcome = rig.connect(&mut Client::new(Habits { initial_contact, ..habits() }, 14));

        let case = (uniqueness, initial_contact, same_place);
        assert_eq!((outcome.is_ok(), rig.closed().len()), (expected, closed), "{case:?}");
        if uniqueness == Uniqueness::Replace && same_place {
            rig.wait(Duration::from_secs(10));
            assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Replaced]);
        }
    }
}

#[test]
fn ends_connections_of_an_account_that_is_changed_or_gone() {
    for change in [
        Change::Gone(account("alice")),
        Change::Member(member("alice", "new", 2)),
        Change::Disconnect(account("alice")),
    ] {
        let mut rig = Rig::new(settings());
        let mut client = rig.connected(habits(), 15);

        rig.responder.apply(change.clone(), rig.now);
        let sent = rig.taken();

        assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Asked], "{change:?}");
        let (header, opened) = rig.opened(&mut client, &sent).unwrap();
        assert_eq!(Contents::parse(opened.first, &opened.chain).unwrap().deletes.len(), 1);
        let answer = client.answer(Exchange::Informational, header.id, &Writer::default());
        rig.say(client.path, &answer);
        assert_eq!(rig.responder.connections(), (0, 0));
    }
}

#[test]
fn lets_nobody_in_while_it_is_shut_or_has_no_certificate() {
    for shut in [true, false] {
        let mut rig = Rig::new(Settings { open: !shut, ..settings() });
        if !shut {
            rig.responder.apply(Change::NoIdentity, rig.now);
        }
        assert_eq!(rig.init(&mut Client::new(habits(), 16)), Err(number::NO_PROPOSAL_CHOSEN));
    }
}

#[test]
fn announces_fragments_only_where_it_takes_them() {
    for (fragmentation, announced, pieces) in
        [(Fragmentation::Yes, true, true), (Fragmentation::Accept, true, false), (Fragmentation::No, false, false)]
    {
        let mut rig = Rig::new(Settings { fragmentation, ..settings() });
        let mut client = Client::new(habits(), 17);
        let first = client.init();
        let answers = rig.say(client.path, &[first]);
        let header = Header::parse(&answers[0].bytes).unwrap();
        let contents = Contents::parse(header.next, &answers[0].bytes[HEADER..]).unwrap();
        assert_eq!(contents.says(number::IKEV2_FRAGMENTATION_SUPPORTED), announced);
        client.take_init(&answers[0]).unwrap();

        let content = client.auth_begin();
        let request = client.request(Exchange::IkeAuth, &content);

        assert_eq!(rig.say(client.path, &request).len() > 1, pieces, "{fragmentation:?}");
    }
}

#[test]
fn tells_a_stranger_seldom_and_in_no_more_bytes_that_it_is_unknown_or_of_another_version() {
    let mut rig = Rig::new(settings());
    let mut asked = |spi: u64, version: u8, response: bool, length: usize| {
        let spis = Spis { initiator: spi, responder: 7 };
        let (exchange, length_said) = (Exchange::Informational.number(), u32::try_from(length).unwrap());
        let mut message = Vec::new();
        Header { spis, next: 46, version, exchange, initiator: true, response, id: 3, length: length_said }
            .write(&mut message);
        message.resize(length, 0);
        let answers = rig.say(path(4_500, true), &[message]);
        rig.now += Duration::from_millis(10);
        answers.first().map(|answer| {
            let header = Header::parse(&answer.bytes[4..]).unwrap();
            assert!((header.response, header.initiator, header.id, header.spis) == (true, false, 3, spis));
            assert!(answer.bytes.len() <= length + 4);
            Contents::parse(header.next, &answer.bytes[4 + HEADER..]).unwrap().error().unwrap()
        })
    };

    assert_eq!(asked(1, 0x20, false, 60), Some(number::INVALID_IKE_SPI));
    assert_eq!(asked(1, 0x30, false, 60), Some(number::INVALID_MAJOR_VERSION));
    assert_eq!(asked(1, 0x10, false, 60), None, "IKEv1");
    assert_eq!((asked(1, 0x20, true, 60), asked(1, 0x20, false, 30)), (None, None));
    let answered = (2..50).filter(|spi| asked(*spi, 0x20, false, 60).is_some()).count();
    assert_eq!(answered, 8, "ten in a second");
    for _ in 0..60 {
        asked(1, 0x20, true, 60);
    }
    assert_eq!(asked(1, 0x20, false, 60), Some(number::INVALID_IKE_SPI));
}
