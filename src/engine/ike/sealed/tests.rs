//! Messages and fragments there and back.

use super::*;
use crate::engine::esp::suite::{Encryption, Integrity, Suite};
use crate::engine::ike::message::header::{Exchange, Spis, VERSION};

const SUITES: [Suite; 3] = [
    Suite::aead(Encryption::Aes256Gcm),
    Suite::pair(Encryption::Aes128Cbc, Integrity::Sha1),
    Suite::pair(Encryption::TripleDes, Integrity::Sha256),
];

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
    Instant::now()
}

fn protection(suite: Suite) -> Protection {
    let key: Vec<u8> = (1..=100).collect();
    let (encryption, rest) = key.split_at(suite.encryption.key_len());
    Protection::new(suite, encryption, &rest[..suite.integrity_key_len()]).unwrap()
}

fn header(id: u32) -> Header {
    let spis = Spis { initiator: 1, responder: 2 };
    let exchange = Exchange::IkeAuth.number();
    Header { spis, next: 0, version: VERSION, exchange, initiator: false, response: true, id, length: 0 }
}

fn sealed(suite: Suite, id: u32, chain: &[u8], most: Option<usize>) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(|bytes| bytes.fill(0x5a));
    Sealer::new(protection(suite)).seal(header(id), (kind::VENDOR, chain), most, &mut dice).unwrap()
}

fn open(opener: &mut Opener, message: &[u8], now: Instant) -> Result<Opened, NotOpened> {
    opener.open(Header::parse(message).unwrap(), message, now)
}

#[test]
fn opens_messages_of_every_length() {
    for suite in SUITES {
        for length in 0..60 {
            let chain = vec![7; length];
            let messages = sealed(suite, 1, &chain, None);

            let opened = open(&mut Opener::new(protection(suite)), &messages[0], start()).unwrap();

            assert_eq!((messages.len(), opened), (1, Opened { first: kind::VENDOR, chain }), "{suite:?}");
        }
    }
}

#[test]
fn puts_fragments_together_in_any_order_and_keeps_each_within_its_bound() {
    for suite in SUITES {
        let chain: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        let mut messages = sealed(suite, 1, &chain, Some(1_000));
        assert!(messages.len() == 6 && messages.iter().all(|message| message.len() <= 1_000), "{suite:?}");
        messages.reverse();
        messages.insert(3, messages[1].clone());

        let mut opener = Opener::new(protection(suite));
        let outcomes: Vec<_> = messages.iter().map(|message| open(&mut opener, message, start())).collect();

        let (last, waiting) = outcomes.split_last().unwrap();
        assert!(waiting.iter().all(|outcome| *outcome == Err(NotOpened::Waiting)));
        assert_eq!(*last, Ok(Opened { first: kind::VENDOR, chain }));
    }
}

#[test]
fn keeps_pieces_of_different_messages_tries_and_times_apart() {
    let (suite, now) = (SUITES[0], start());
    let chain = vec![7; 2_000];
    let (one, two) = (sealed(suite, 1, &chain, Some(1_200)), sealed(suite, 2, &chain, Some(1_200)));
    let smaller = sealed(suite, 2, &chain, Some(600));
    let mut opener = Opener::new(protection(suite));

    for piece in [&one[0], &two[1], &smaller[0], &two[0]] {
        assert_eq!(open(&mut opener, piece, now), Err(NotOpened::Waiting));
    }
    for piece in &smaller[1..smaller.len() - 1] {
        assert_eq!(open(&mut opener, piece, now), Err(NotOpened::Waiting));
    }
    let last = smaller.last().unwrap();
    assert_eq!(open(&mut opener, last, now + Duration::from_secs(30)), Err(NotOpened::Waiting));
}

#[test]
fn takes_no_forged_piece_and_no_impossible_number() {
    let suite = SUITES[0];
    let messages = sealed(suite, 1, &[7; 2_000], Some(1_200));
    for (at, value) in [(HEADER + 5, 0), (HEADER + 5, 3), (HEADER + 7, 33), (100, 0), (8, 9), (20, 9)] {
        let mut forged = messages[0].clone();
        forged[at] = value;

        let outcome = open(&mut Opener::new(protection(suite)), &forged, start());

        assert!(matches!(outcome, Err(NotOpened::Shape | NotOpened::Unauthentic)), "{at}: {outcome:?}");
    }
}

#[test]
fn keeps_no_more_than_a_message_may_have() {
    let suite = SUITES[0];
    let messages = sealed(suite, 1, &vec![7; 65_536], Some(3_000));
    let mut opener = Opener::new(protection(suite));

    let outcomes: Vec<_> = messages.iter().map(|message| open(&mut opener, message, start())).collect();

    assert!(messages.len() <= 32 && outcomes.last() == Some(&Err(NotOpened::Inner(Fault::Syntax))));
}

#[test]
fn refuses_to_make_more_fragments_than_there_may_be() {
    let mut dice = Dice::new(|bytes| bytes.fill(1));
    let mut sealer = Sealer::new(protection(SUITES[0]));

    assert!(sealer.seal(header(1), (kind::VENDOR, &vec![0; 40_000]), Some(1_000), &mut dice).is_err());
    assert!(sealer.seal(header(1), (kind::VENDOR, &vec![0; 70_000]), None, &mut dice).is_err());
}
