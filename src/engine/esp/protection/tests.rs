//! Known answers, and what must not open.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const SUITES: [Suite; 11] = [
    Suite::aead(Encryption::Aes128Gcm),
    Suite::aead(Encryption::Aes192Gcm),
    Suite::aead(Encryption::Aes256Gcm),
    Suite::aead(Encryption::ChaCha20Poly1305),
    Suite::pair(Encryption::Aes128Cbc, Integrity::Sha1),
    Suite::pair(Encryption::Aes128Cbc, Integrity::Sha256),
    Suite::pair(Encryption::Aes192Cbc, Integrity::Sha384),
    Suite::pair(Encryption::Aes256Cbc, Integrity::Sha512),
    Suite::pair(Encryption::Aes256Cbc, Integrity::Sha1),
    Suite::pair(Encryption::TripleDes, Integrity::Sha1),
    Suite::pair(Encryption::TripleDes, Integrity::Sha256),
];

fn keyed(suite: Suite) -> Protection {
    let key: Vec<u8> = (1..=200).collect();
    let (encryption, rest) = key.split_at(suite.encryption.key_len());
    Protection::new(suite, encryption, &rest[..suite.integrity_key_len()]).unwrap()
}

fn sealed(protection: &Protection, high: Option<u32>) -> Vec<u8> {
    let suite = protection.suite();
    let iv = vec![9; suite.encryption.iv_len()];
    let mut message = vec![0; 8 + iv.len() + 64 + suite.icv_len()];
    message[..8].copy_from_slice(b"HEADER!!");
    message[8 + iv.len()..][..64].fill(0x61);
    protection.seal(&mut message, 8, high, &iv).unwrap();
    message
}

#[test]
fn opens_what_it_sealed_with_every_suite() {
    for suite in SUITES {
        let protection = keyed(suite);

        for high in [None, Some(7)] {
            let mut message = sealed(&protection, high);
            let text = protection.open(&mut message, 8, high).unwrap();
            assert_eq!(message[text], [0x61; 64], "{suite:?}");
        }
    }
}

#[test]
fn opens_nothing_of_which_one_bit_was_changed() {
    for suite in SUITES {
        let protection = keyed(suite);
        let message = sealed(&protection, None);

        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert_eq!(protection.open(&mut changed, 8, None), Err(Unauthentic), "{suite:?} at {at}");
        }
    }
}

#[test]
fn authenticates_the_upper_half_that_is_not_sent() {
    for suite in SUITES {
        let protection = keyed(suite);

        assert!(protection.open(&mut sealed(&protection, Some(1)), 8, Some(2)).is_err(), "{suite:?}");
        assert!(protection.open(&mut sealed(&protection, Some(0)), 8, None).is_err(), "{suite:?}");
    }
}

#[test]
fn refuses_every_message_that_is_too_short() {
    for suite in SUITES {
        let protection = keyed(suite);
        let message = sealed(&protection, None);

        for length in 8..message.len() {
            assert!(protection.open(&mut message[..length].to_vec(), 8, None).is_err(), "{suite:?} at {length}");
        }
    }
}

#[test]
fn refuses_keys_of_other_lengths_and_suites_that_are_none() {
    let gcm = Suite::aead(Encryption::Aes128Gcm);
    assert!(Protection::new(gcm, &[0; 16], &[]).is_err());
    assert!(Protection::new(Suite::aead(Encryption::Aes128Cbc), &[0; 16], &[]).is_err());
    assert!(Protection::new(Suite::pair(Encryption::Aes128Gcm, Integrity::Sha1), &[0; 20], &[0; 20]).is_err());
}

/// RFC 7634, appendix A.
#[test]
fn seals_the_esp_packet_of_rfc_7634() {
    let key = hex(
        "80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f 90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2 a3",
    );
    let plain = hex("45 00 00 54 a6 f2 00 00 40 01 e7 78 c6 33 64 05 c0 00 02 05 08 00 5b 7a 3a 08 00 00 55 3b ec 10
         00 07 36 27 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23
         24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30 31 32 33 34 35 36 37 01 02 02 04");
    let expected =
        hex("01 02 03 04 00 00 00 05 10 11 12 13 14 15 16 17 24 03 94 28 b9 7f 41 7e 3c 13 75 3a 4f 05 08 7b
         67 c3 52 e6 a7 fa b1 b9 82 d4 66 ef 40 7a e5 c6 14 ee 80 99 d5 28 44 eb 61 aa 95 df ab 4c 02 f7
         2a a7 1e 7c 4c 4f 64 c9 be fe 2f ac c6 38 e8 f3 cb ec 16 3f ac 46 9b 50 27 73 f6 fb 94 e6 64 da
         91 65 b8 28 29 f6 41 e0 76 aa a8 26 6b 7f b0 f7 b1 1b 36 99 07 e1 ad 43");
    let protection = Protection::new(Suite::aead(Encryption::ChaCha20Poly1305), &key, &[]).unwrap();
    let mut message = vec![0; expected.len()];
    message[..8].copy_from_slice(&expected[..8]);
    message[16..16 + plain.len()].copy_from_slice(&plain);

    protection.seal(&mut message, 8, None, &expected[8..16]).unwrap();

    assert_eq!(message, expected);
}
