//! The server's signature: RFC 7296, section 2.15, RFC 4754 and RFC 7427.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, KeyPair as _, RsaKeyPair, RsaSignatureEncoding,
};

/// Hashes of RFC 7427, by their numbers there, from the one that we like best.
pub const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

/// A hash for signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256: number 2.
    Sha256,
    /// SHA-384: number 3.
    Sha384,
    /// SHA-512: number 4.
    Sha512,
}

impl Hash {
    /// Its number in `SIGNATURE_HASH_ALGORITHMS`.
    pub const fn number(self) -> u16 {
        match self {
            Self::Sha256 => 2,
            Self::Sha384 => 3,
            Self::Sha512 => 4,
        }
    }
}

/// How an AUTH payload proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// RSA PKCS#1 with SHA-1: number 1, for clients without RFC 7427.
    RsaSha1,
    /// A shared key: number 2.
    SharedKey,
    /// ECDSA with the curve's own hash: numbers 9, 10 and 11, for clients without RFC 7427.
    Ecdsa(Hash),
    /// The signature names its algorithm: number 14.
    Signature,
}

impl Method {
    /// Its number in an AUTH payload.
    pub const fn number(self) -> u8 {
        match self {
            Self::RsaSha1 => 1,
            Self::SharedKey => 2,
            Self::Ecdsa(Hash::Sha256) => 9,
            Self::Ecdsa(Hash::Sha384) => 10,
            Self::Ecdsa(Hash::Sha512) => 11,
            Self::Signature => 14,
        }
    }
}

/// `AlgorithmIdentifier`s of RFC 7427, appendix A.
const RSA_SHA256: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
const RSA_SHA384: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12, 5, 0];
const RSA_SHA512: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13, 5, 0];
const ECDSA_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_SHA512: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];

/// A key that cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not PKCS#8 of RSA with 2048 to 8192 bits, or of ECDSA on P-256, P-384 or P-521.
    #[error("neither an RSA nor an ECDSA key in PKCS#8")]
    Unknown,
    /// It does not belong to the certificate.
    #[error("the key is not the certificate's")]
    OtherKey,
}

/// Makes an RSA signature with PKCS#1 padding over the octets' SHA-1; `None` where the library fails.
pub type SignSha1 = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// The server's private key.
///
/// An ECDSA signature draws its nonce inside the library: it is the one thing that the machine says and that its dice do
/// not decide.
pub struct Signer {
    key: Key,
    public: Vec<u8>,
}

enum Key {
    Rsa { key: RsaKeyPair, sha1: SignSha1 },
    Ecdsa { key: EcdsaKeyPair, hash: Hash },
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Reads a private key in PKCS#8 DER. `sha1` makes of an RSA key what signs with SHA-1, for which our library has no
    /// safe function.
    ///
    /// # Errors
    /// [`BadKey::Unknown`] for any other.
    pub fn from_pkcs8(der: &[u8], sha1: impl FnOnce(&[u8]) -> Option<SignSha1>) -> Result<Self, BadKey> {
        if let Ok(key) = RsaKeyPair::from_pkcs8(der) {
            let sha1 = sha1(der).ok_or(BadKey::Unknown)?;
            let public = key.public_key().as_ref().to_vec();
            return Ok(Self { key: Key::Rsa { key, sha1 }, public });
        }
        let curves = [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, Hash::Sha256),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, Hash::Sha384),
            (&ECDSA_P521_SHA512_FIXED_SIGNING, Hash::Sha512),
        ];
        let found =
            curves.into_iter().find_map(|(curve, hash)| Some((EcdsaKeyPair::from_pkcs8(curve, der).ok()?, hash)));
        let (key, hash) = found.ok_or(BadKey::Unknown)?;
        let public = key.public_key().as_ref().to_vec();
        Ok(Self { key: Key::Ecdsa { key, hash }, public })
    }

    /// The public key, as a certificate's `subjectPublicKey` has it.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Signs the octets; `hashes` are the numbers that the client sent in `SIGNATURE_HASH_ALGORITHMS`, if it did.
    ///
    /// Returns the method and the AUTH payload's content; `None` where the library fails.
    pub fn sign(&self, octets: &[u8], hashes: Option<&[u16]>) -> Option<(Method, Vec<u8>)> {
        let takes = |hash: Hash| hashes.is_some_and(|hashes| hashes.contains(&hash.number()));
        match &self.key {
            Key::Rsa { key, sha1 } => {
                if let Some(hash) = HASHES.into_iter().find(|hash| takes(*hash)) {
                    let (identifier, encoding): (_, &'static RsaSignatureEncoding) = match hash {
                        Hash::Sha256 => (&RSA_SHA256, &signature::RSA_PKCS1_SHA256),
                        Hash::Sha384 => (&RSA_SHA384, &signature::RSA_PKCS1_SHA384),
                        Hash::Sha512 => (&RSA_SHA512, &signature::RSA_PKCS1_SHA512),
                    };
                    let mut signature = vec![0; key.public_modulus_len()];
                    key.sign(encoding, &SystemRandom::new(), octets, &mut signature).ok()?;
                    Some((Method::Signature, named(identifier, &signature)))
                } else {
                    Some((Method::RsaSha1, sha1(octets)?))
                }
            }
            Key::Ecdsa { key, hash } => {
                let signature = key.sign(&SystemRandom::new(), octets).ok()?;
                if !takes(*hash) {
                    return Some((Method::Ecdsa(*hash), signature.as_ref().to_vec()));
                }
                let identifier = match hash {
                    Hash::Sha256 => &ECDSA_SHA256,
                    Hash::Sha384 => &ECDSA_SHA384,
                    Hash::Sha512 => &ECDSA_SHA512,
                };
                Some((Method::Signature, named(identifier, &sequence_of_two(signature.as_ref()))))
            }
        }
    }
}

/// RFC 7427, section 3: a length, the `AlgorithmIdentifier`, the signature.
fn named(identifier: &[u8], signature: &[u8]) -> Vec<u8> {
    let length = u8::try_from(identifier.len()).unwrap_or_default();
    [&[length], identifier, signature].concat()
}

/// `Ecdsa-Sig-Value` of r and s, side by side: RFC 7427, appendix A.3 has the DER of RFC 3279.
fn sequence_of_two(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let body = [integer(r), integer(s)].concat();
    // two coordinates of P-521 make 138 bytes: more than one byte of length can say by itself
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    [head, &body].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    let bytes = &bytes[zeros..];
    let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
    let length = u8::try_from(sign.len() + bytes.len()).unwrap_or_default();
    [&[2, length], sign, bytes].concat()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1,
        RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    use super::*;
    use crate::engine::ike::tests::rig::sha1_signer;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

    fn signer(algorithm: &'static rcgen::SignatureAlgorithm) -> Signer {
        Signer::from_pkcs8(&KeyPair::generate_for(algorithm).unwrap().serialize_der(), sha1_signer).unwrap()
    }

    fn verifies(signer: &Signer, algorithm: &'static dyn VerificationAlgorithm, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(algorithm, signer.public()).verify(b"octets", signature).is_ok()
    }

    #[test]
    fn signs_with_the_best_hash_that_the_client_has_or_as_old_clients_want_it() {
        let rsa = signer(&PKCS_RSA_SHA256);
        let (p256, p384) = (signer(&PKCS_ECDSA_P256_SHA256), signer(&PKCS_ECDSA_P384_SHA384));

        let (method, named) = rsa.sign(b"octets", Some(&[1, 3, 4])).unwrap();
        assert_eq!((method, named[0], &named[1..16]), (Method::Signature, 15, &RSA_SHA384[..]));
        assert!(verifies(&rsa, &RSA_PKCS1_2048_8192_SHA384, &named[16..]));

        for hashes in [None, Some(&[1_u16][..])] {
            let (method, signature) = rsa.sign(b"octets", hashes).unwrap();
            assert_eq!(method, Method::RsaSha1);
            assert!(verifies(&rsa, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, &signature));
        }

        let (method, signature) = p256.sign(b"octets", None).unwrap();
        assert_eq!(method, Method::Ecdsa(Hash::Sha256));
        assert!(verifies(&p256, &ECDSA_P256_SHA256_FIXED, &signature));

        for (signer, hash, asn1) in [(&p256, 2, &ECDSA_P256_SHA256_ASN1), (&p384, 3, &ECDSA_P384_SHA384_ASN1)] {
            // often enough for numbers with a leading zero and with a leading one
            for _ in 0..40 {
                let (method, named) = signer.sign(b"octets", Some(&[hash])).unwrap();
                assert_eq!((method, named[0]), (Method::Signature, 12));
                assert!(verifies(signer, asn1, &named[13..]));
            }
        }
    }

    #[test]
    fn takes_no_other_key() {
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_der();

        assert_eq!(Signer::from_pkcs8(&ed25519, sha1_signer).err(), Some(BadKey::Unknown));
        assert_eq!(Signer::from_pkcs8(b"no key", sha1_signer).err(), Some(BadKey::Unknown));
    }
}
