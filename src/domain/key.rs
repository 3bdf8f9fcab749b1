//! WireGuard keys. A private key shows nothing in `Debug` and is wiped when dropped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boringtun::x25519;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::refusal::Refusal;

/// A Curve25519 private key.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct PrivateKey([u8; 32]);

/// A Curve25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey([u8; 32]);

impl PrivateKey {
    /// Makes a key of 32 random bytes, clamped as RFC 7748, section 5 asks.
    pub fn from_entropy(mut bytes: [u8; 32]) -> Self {
        bytes[0] &= 0xf8;
        bytes[31] = (bytes[31] & 0x7f) | 0x40;
        Self(bytes)
    }

    /// Reads base64.
    ///
    /// # Errors
    /// [`Refusal::KeysInvalid`] unless it is 32 bytes.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        decode(text).map(Self)
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519::PublicKey::from(&self.secret()).to_bytes())
    }

    /// The key as the tunnel's library takes it.
    pub fn secret(&self) -> x25519::StaticSecret {
        x25519::StaticSecret::from(self.0)
    }

    /// The key as clients write it. The caller is about to show a secret.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl PublicKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads base64.
    ///
    /// # Errors
    /// [`Refusal::KeysInvalid`] unless it is 32 bytes that can agree on a secret: points of low order cannot.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let key = Self(decode(text)?);
        if key.is_low_order() { Err(Refusal::KeysInvalid) } else { Ok(key) }
    }

    /// Whether every agreement with this key yields zero (RFC 7748, section 6.1).
    pub fn is_low_order(&self) -> bool {
        !x25519::StaticSecret::from([0x42; 32]).diffie_hellman(&x25519::PublicKey::from(self.0)).was_contributory()
    }

    /// The bare bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn decode(text: &str) -> Result<[u8; 32], Refusal> {
    let bytes = STANDARD.decode(text).map_err(|_| Refusal::KeysInvalid)?;
    bytes.try_into().map_err(|_| Refusal::KeysInvalid)
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(hidden)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_public_key_of_rfc_7748() {
        let private = PrivateKey::from_entropy([
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c,
            0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
        ]);

        assert_eq!(private.public().to_string(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
    }

    #[test]
    fn refuses_a_point_of_low_order() {
        let zero = STANDARD.encode([0; 32]);
        assert_eq!(PublicKey::parse(&zero), Err(Refusal::KeysInvalid));
    }

    #[test]
    fn refuses_what_is_not_32_bytes_of_base64() {
        for text in ["", "abc", "2DJdzjmOtTlIfAg25V3PuuTMlbiFCcvOk7wI5D4SIU==", "!"] {
            assert_eq!(PrivateKey::parse(text), Err(Refusal::KeysInvalid), "{text:?}");
        }
    }

    #[test]
    fn shows_no_private_key() {
        let shown = format!("{:?}", PrivateKey::from_entropy([7; 32]));
        assert_eq!(shown, "PrivateKey(hidden)");
    }
}
