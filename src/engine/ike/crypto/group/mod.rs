//! Diffie-Hellman groups: RFC 3526, 2409, 5903 and 8031.

use std::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::dice::Dice;
use super::modp::{self, EXPONENT};

/// How often a private key is drawn at most: one in 2^32 is not below a curve's order.
const DRAWS: usize = 4;

/// A group in which two sides agree on a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// 1024 bits: group 2. Weak; Windows knows no other by itself.
    Modp1024,
    /// 1536 bits: group 5.
    Modp1536,
    /// 2048 bits: group 14.
    Modp2048,
    /// 3072 bits: group 15.
    Modp3072,
    /// 4096 bits: group 16.
    Modp4096,
    /// The curve P-256: group 19.
    Ecp256,
    /// The curve P-384: group 20.
    Ecp384,
    /// The curve P-521: group 21.
    Ecp521,
    /// Curve25519: group 31.
    Curve25519,
}

enum Kind {
    Modp(usize),
    /// A curve, and the bytes of a coordinate.
    Curve(&'static agreement::Algorithm, usize),
    Curve25519,
}

impl Group {
    fn kind(self) -> Kind {
        match self {
            Self::Modp1024 => Kind::Modp(1024),
            Self::Modp1536 => Kind::Modp(1536),
            Self::Modp2048 => Kind::Modp(2048),
            Self::Modp3072 => Kind::Modp(3072),
            Self::Modp4096 => Kind::Modp(4096),
            Self::Ecp256 => Kind::Curve(&agreement::ECDH_P256, 32),
            Self::Ecp384 => Kind::Curve(&agreement::ECDH_P384, 48),
            Self::Ecp521 => Kind::Curve(&agreement::ECDH_P521, 66),
            Self::Curve25519 => Kind::Curve25519,
        }
    }

    /// Bytes of a public value.
    pub fn public_len(self) -> usize {
        match self.kind() {
            Kind::Modp(bits) => bits / 8,
            Kind::Curve(_, coordinate) => 2 * coordinate,
            Kind::Curve25519 => 32,
        }
    }
}

/// One side's half of an agreement.
pub struct Half {
    group: Group,
    secret: Secret,
    public: Vec<u8>,
}

enum Secret {
    Exponent(Zeroizing<[u8; EXPONENT]>),
    Curve(PrivateKey),
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Half {
    /// Draws a private value; `None` where the library refuses one draw after the other, which honest dice never see.
    pub fn draw(group: Group, dice: &mut Dice) -> Option<Self> {
        match group.kind() {
            Kind::Modp(bits) => {
                let exponent = Zeroizing::new(dice.array());
                let public = modp::power(bits, &modp::generator(bits), &exponent)?.to_vec();
                Some(Self { group, secret: Secret::Exponent(exponent), public })
            }
            Kind::Curve(algorithm, length) => (0..DRAWS).find_map(|_| {
                let mut private = dice.secret(length);
                if length == 66 {
                    // 521 bits are 65 bytes and one bit
                    private[0] &= 1;
                }
                Self::of_curve(group, algorithm, &private)
            }),
            Kind::Curve25519 => Self::of_curve(group, &agreement::X25519, &dice.secret(32)),
        }
    }

    fn of_curve(group: Group, algorithm: &'static agreement::Algorithm, private: &[u8]) -> Option<Self> {
        let private = PrivateKey::from_private_key(algorithm, private).ok()?;
        let public = private.compute_public_key().ok()?;
        // a point is 4 | x | y; IKE leaves the 4 out (RFC 5903, section 7)
        let point = public.as_ref().get(usize::from(group != Group::Curve25519)..)?;
        Some(Self { group, public: point.to_vec(), secret: Secret::Curve(private) })
    }

    /// The group.
    pub fn group(&self) -> Group {
        self.group
    }

    /// What is sent.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The secret that both sides then have; `None` for a public value that is none of the group's, or that would make
    /// the secret one of few.
    pub fn agree(&self, peer: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match (self.group.kind(), &self.secret) {
            (Kind::Modp(bits), Secret::Exponent(exponent)) => modp::power(bits, peer, exponent),
            (Kind::Curve(algorithm, coordinate), Secret::Curve(private)) if peer.len() == 2 * coordinate => {
                agree_on(private, algorithm, &[&[4], peer].concat())
            }
            (Kind::Curve25519, Secret::Curve(private)) => agree_on(private, &agreement::X25519, peer),
            (Kind::Modp(_) | Kind::Curve(..) | Kind::Curve25519, Secret::Exponent(_) | Secret::Curve(_)) => None,
        }
    }
}

/// The library checks that a point is on its curve and that the result is not all zeros (RFC 7748, section 6.1).
fn agree_on(private: &PrivateKey, algorithm: &'static agreement::Algorithm, peer: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let peer = UnparsedPublicKey::new(algorithm, peer);
    agreement::agree(private, peer, (), |secret| Ok(Zeroizing::new(secret.to_vec()))).ok()
}

#[cfg(test)]
mod tests;
