//! Pseudo-random functions: RFC 7296, section 2.13, RFC 2104 and 4868.

use hmac::Hmac;
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// What derives keys and proves that one has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prf {
    /// `PRF_HMAC_SHA1`: RFC 2104.
    Sha1,
    /// `PRF_HMAC_SHA2_256`: RFC 4868.
    Sha256,
    /// `PRF_HMAC_SHA2_384`: RFC 4868.
    Sha384,
    /// `PRF_HMAC_SHA2_512`: RFC 4868.
    Sha512,
}

impl Prf {
    /// Bytes of its output, which are also its preferred key's.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The function of a key and of these parts, one after the other.
    pub fn of(self, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        fn hmac<M: hmac::Mac + hmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
            // HMAC takes a key of any length: there is no error to make
            let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(key) else { return Zeroizing::default() };
            for part in parts {
                mac.update(part);
            }
            Zeroizing::new(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Sha1 => hmac::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => hmac::<Hmac<Sha256>>(key, parts),
            Self::Sha384 => hmac::<Hmac<Sha384>>(key, parts),
            Self::Sha512 => hmac::<Hmac<Sha512>>(key, parts),
        }
    }

    /// `prf+`: so many bytes, at most 255 outputs of them.
    pub fn plus(self, key: &[u8], seed: &[&[u8]], length: usize) -> Zeroizing<Vec<u8>> {
        let mut stream = Zeroizing::new(Vec::with_capacity(length + self.output_len()));
        let mut last: Zeroizing<Vec<u8>> = Zeroizing::default();
        for number in 1..=u8::MAX {
            if stream.len() >= length {
                break;
            }
            let number = [number];
            let parts: Vec<&[u8]> = [&last[..]].into_iter().chain(seed.iter().copied()).chain([&number[..]]).collect();
            last = self.of(key, &parts);
            stream.extend_from_slice(&last);
        }
        stream.truncate(length);
        stream
    }
}

/// SHA-1 of these parts: what NAT detection (RFC 7296, section 2.23) and MS-CHAPv2 are made of.
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ike::vectors::hex;

    /// RFC 4231, section 4.3 (test case 2), and RFC 2202, section 3 (test case 2).
    #[test]
    fn agrees_with_the_rfcs() {
        let (key, text) = (b"Jefe", b"what do ya want for nothing?");
        for (prf, expected) in [
            (Prf::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Prf::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Prf::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Prf::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd
                 caeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(*prf.of(key, &[&text[..10], &text[10..]]), hex(expected), "{prf:?}");
            assert_eq!(prf.output_len(), hex(expected).len());
        }
    }

    #[test]
    fn stretches_as_its_definition_says() {
        let (key, seed) = ([1; 20], [2; 40]);
        let first = Prf::Sha1.of(&key, &[&seed, &[1]]);
        let second = Prf::Sha1.of(&key, &[&first, &seed, &[2]]);

        let stream = Prf::Sha1.plus(&key, &[&seed[..10], &seed[10..]], 33);

        assert_eq!(*stream, [&first[..], &second[..13]].concat());
    }
}
