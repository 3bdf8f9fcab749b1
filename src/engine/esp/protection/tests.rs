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

/// Seals a text behind SPI, sequence number and IV, and compares what is before the ICV of CBC, or everything.
fn assert_seals(suite: Suite, keys: [&str; 2], high: Option<u32>, [clear, plain, expected]: [&str; 3]) {
    let [encryption, integrity] = keys.map(hex);
    let protection = Protection::new(suite, &encryption, &integrity).unwrap();
    let (clear, plain, expected) = (hex(clear), hex(plain), hex(expected));
    let mut message = [&clear[..], &plain, &vec![0; suite.icv_len()]].concat();

    protection.seal(&mut message, 8, high, &clear[8..]).unwrap();

    assert_eq!(message[clear.len()..][..expected.len()], expected, "{suite:?}");
    let text = protection.open(&mut message, 8, high).unwrap();
    assert_eq!(message[text], plain, "{suite:?}");
}

/// draft-mcgrew-gcm-test-01, section 4: packets of RFC 4106 with each size of key, the first with an extended number.
#[test]
fn seals_the_packets_that_were_made_for_rfc_4106() {
    assert_seals(
        Suite::aead(Encryption::Aes128Gcm),
        ["4c80cdefbb5d10da906ac73c3613a6342e443b68", ""],
        Some(0x8765_4321),
        [
            "00004321000000004956ed7e3b244cfe",
            "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f75647003736970
             0963796265726369747902646b000021000101020201",
            "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1f4a13c5d
             15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4",
        ],
    );
    assert_seals(
        Suite::aead(Encryption::Aes192Gcm),
        ["feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe", ""],
        None,
        [
            "0000a5f80000000afacedbaddecaf888",
            "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001",
            "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc7795457b9652037f53
             18027b5b4cd7a636",
        ],
    );
    assert_seals(
        Suite::aead(Encryption::Aes256Gcm),
        ["abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344", ""],
        None,
        [
            "4a2cbfe3000000020102030405060708",
            "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b4010104020102
             0201",
            "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f0545659f14e99d
             ef842d8eb335f4eecfdbf831824b4c4915956c96",
        ],
    );
}

/// RFC 3602, section 4, case 5: the encrypted part, for the packets there have no ICV.
#[test]
fn encrypts_the_packet_of_rfc_3602() {
    assert_seals(
        Suite::pair(Encryption::Aes128Cbc, Integrity::Sha1),
        ["90d382b410eeba7ad938c46cec1a82bf", "0101010101010101010101010101010101010101"],
        None,
        [
            "0000432100000001e96e8c08ab465763fd098d45dd3ff893",
            "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627
             28292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01",
            "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e523a55db080b59ec3a8e4b7e52
             775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
        ],
    );
}
