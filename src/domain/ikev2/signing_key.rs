//! The private key of a certificate. It shows nothing in `Debug` and is wiped when dropped.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::certificate::Flaw;
use super::pem;
use crate::domain::limits;

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// ECDSA over NIST's P-256.
    EcdsaP256,
    /// ECDSA over NIST's P-384.
    EcdsaP384,
}

/// A private key that has been checked, as PKCS #8.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SigningKey(Vec<u8>);

/// The tags of an INTEGER, an OCTET STRING and a SEQUENCE.
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// The algorithm `rsaEncryption` with its NULL (RFC 3279, section 2.3.1).
const RSA: [u8; 15] = [SEQUENCE, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

impl SigningKey {
    /// Reads the one key in a PEM text: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// [`Flaw::NoKey`], [`Flaw::KeyRejected`], [`Flaw::KeySize`].
    pub fn read(text: &str) -> Result<Self, Flaw> {
        let blocks = pem::blocks(text);
        let mut keys = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
        let (Some(block), None) = (keys.next(), keys.next()) else { return Err(Flaw::NoKey) };
        match block.label {
            "RSA PRIVATE KEY" => Self::from_pkcs8(from_pkcs1(&block.der)),
            "EC PRIVATE KEY" => from_sec1(&block.der),
            _ => Self::from_pkcs8(block.der.to_vec()),
        }
    }

    /// Checks a key in PKCS #8.
    ///
    /// # Errors
    /// [`Flaw::KeyRejected`] for what is no key of a known kind, [`Flaw::KeySize`] for RSA out of bounds.
    pub fn from_pkcs8(mut der: Vec<u8>) -> Result<Self, Flaw> {
        let checked = check(&der);
        der.zeroize();
        checked
    }

    /// A key that was checked before it was stored.
    pub const fn trusted(der: Vec<u8>) -> Self {
        Self(der)
    }

    /// The key as PKCS #8. The caller is about to hold a secret.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0
    }

    /// What kind of key it is; nothing for one that was never checked.
    pub fn kind(&self) -> Option<KeyKind> {
        if let Ok(pair) = rsa::KeyPair::from_pkcs8(&self.0) {
            return Some(KeyKind::Rsa(pair.public_modulus_len() * 8));
        }
        CURVES
            .into_iter()
            .find(|(_, algorithm)| EcdsaKeyPair::from_pkcs8(algorithm, &self.0).is_ok())
            .map(|(kind, _)| kind)
    }

    /// The public key as it stands in a certificate: PKCS #1 of an RSA key, the uncompressed point of another.
    pub fn public(&self) -> Vec<u8> {
        if let Ok(pair) = rsa::KeyPair::from_pkcs8(&self.0) {
            return pair.public_key().as_ref().to_vec();
        }
        let pairs = CURVES.into_iter().filter_map(|(_, algorithm)| EcdsaKeyPair::from_pkcs8(algorithm, &self.0).ok());
        pairs.map(|pair| pair.public_key().as_ref().to_vec()).next().unwrap_or_default()
    }

    /// The key as the contract prints it: PKCS #1 of an RSA key, PKCS #8 of another. The caller is about to show a secret.
    pub fn to_pem(&self) -> String {
        to_pkcs1(&self.0).map_or_else(|| pem::write("PRIVATE KEY", &self.0), |der| pem::write("RSA PRIVATE KEY", der))
    }
}

/// The curves whose signatures every client knows.
const CURVES: [(KeyKind, &EcdsaSigningAlgorithm); 2] =
    [(KeyKind::EcdsaP256, &ECDSA_P256_SHA256_ASN1_SIGNING), (KeyKind::EcdsaP384, &ECDSA_P384_SHA384_ASN1_SIGNING)];

fn check(der: &[u8]) -> Result<SigningKey, Flaw> {
    if let Ok(pair) = rsa::KeyPair::from_pkcs8(der) {
        if !limits::RSA_BITS.contains(&(pair.public_modulus_len() * 8)) {
            return Err(Flaw::KeySize);
        }
        // written anew, so that what lies around the key stays outside
        let clean = pair.as_der().map_err(|_| Flaw::KeyRejected)?;
        return Ok(SigningKey(clean.as_ref().to_vec()));
    }
    let pair = CURVES.into_iter().find_map(|(_, algorithm)| EcdsaKeyPair::from_pkcs8(algorithm, der).ok());
    from_pair(&pair.ok_or(Flaw::KeyRejected)?)
}

fn from_pair(pair: &EcdsaKeyPair) -> Result<SigningKey, Flaw> {
    let clean = pair.to_pkcs8v1().map_err(|_| Flaw::KeyRejected)?;
    Ok(SigningKey(clean.as_ref().to_vec()))
}

/// PKCS #1 in PKCS #8 (RFC 5208, section 5).
fn from_pkcs1(der: &[u8]) -> Vec<u8> {
    let mut key = pem::wrap(OCTETS, der);
    let mut body = [&pem::wrap(INTEGER, &[0])[..], &RSA, &key].concat();
    let whole = pem::wrap(SEQUENCE, &body);
    key.zeroize();
    body.zeroize();
    whole
}

/// PKCS #1 out of PKCS #8, of an RSA key.
fn to_pkcs1(der: &[u8]) -> Option<&[u8]> {
    let (_, body, _) = pem::element(der)?;
    let (_, _version, rest) = pem::element(body)?;
    let rest = rest.strip_prefix(&RSA)?;
    let (_, key, _) = pem::element(rest)?;
    Some(key)
}

/// A key of SEC 1, which names its curve (RFC 5915).
fn from_sec1(der: &[u8]) -> Result<SigningKey, Flaw> {
    let pairs = CURVES.into_iter().find_map(|(_, algorithm)| EcdsaKeyPair::from_private_key_der(algorithm, der).ok());
    from_pair(&pairs.ok_or(Flaw::KeyRejected)?)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ikev2::fixture;

    #[test]
    fn reads_each_form_of_a_key() {
        for (text, kind) in [
            (fixture::RSA_KEY, KeyKind::Rsa(2048)),
            (fixture::RSA_KEY_PKCS8, KeyKind::Rsa(2048)),
            (fixture::EC_KEY, KeyKind::EcdsaP256),
            (fixture::EC_KEY_SEC1, KeyKind::EcdsaP256),
        ] {
            assert_eq!(SigningKey::read(text).unwrap().kind(), Some(kind), "{text}");
        }
        assert_eq!(SigningKey::read(fixture::RSA_KEY), SigningKey::read(fixture::RSA_KEY_PKCS8));
        assert_eq!(
            SigningKey::read(fixture::EC_KEY).unwrap().public(),
            SigningKey::read(fixture::EC_KEY_SEC1).unwrap().public()
        );
    }

    #[test]
    fn prints_an_rsa_key_as_it_came() {
        assert_eq!(SigningKey::read(fixture::RSA_KEY).unwrap().to_pem(), fixture::RSA_KEY);
        assert_eq!(SigningKey::read(fixture::EC_KEY).unwrap().to_pem(), fixture::EC_KEY);
    }

    #[test]
    fn refuses_keys_that_are_none_or_too_small() {
        for (text, flaw) in [
            ("", Flaw::NoKey),
            (fixture::CA, Flaw::NoKey),
            (&[fixture::EC_KEY, fixture::RSA_KEY].concat(), Flaw::NoKey),
            (&fixture::RSA_KEY.replace("RSA ", "EC "), Flaw::KeyRejected),
            (&fixture::EC_KEY.replace("PRIVATE", "RSA PRIVATE"), Flaw::KeyRejected),
            (fixture::SMALL_KEY, Flaw::KeyRejected),
            (fixture::LARGE_KEY, Flaw::KeySize),
            (fixture::ED25519_KEY, Flaw::KeyRejected),
        ] {
            assert_eq!(SigningKey::read(text), Err(flaw), "{text}");
        }
    }

    #[test]
    fn shows_nothing() {
        assert_eq!(format!("{:?}", SigningKey::read(fixture::EC_KEY).unwrap()), "SigningKey(hidden)");
    }
}
