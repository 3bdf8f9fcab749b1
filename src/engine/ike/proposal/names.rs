//! Names and numbers of algorithms: the IANA registry of IKEv2.

use super::super::crypto::group::Group;
use super::super::crypto::prf::Prf;
use super::super::message::proposal::{Transform, kind};
use crate::engine::esp::suite::{Encryption, Integrity};

const fn plain(kind: u8, id: u16) -> Transform {
    Transform { kind, id, key_bits: None, strange: false }
}

const fn sized(id: u16, bits: u16) -> Transform {
    Transform { kind: kind::ENCRYPTION, id, key_bits: Some(bits), strange: false }
}

/// The transform of an encryption.
pub const fn encryption(encryption: Encryption) -> Transform {
    match encryption {
        Encryption::TripleDes => plain(kind::ENCRYPTION, 3),
        Encryption::Aes128Cbc => sized(12, 128),
        Encryption::Aes192Cbc => sized(12, 192),
        Encryption::Aes256Cbc => sized(12, 256),
        Encryption::Aes128Gcm => sized(20, 128),
        Encryption::Aes192Gcm => sized(20, 192),
        Encryption::Aes256Gcm => sized(20, 256),
        Encryption::ChaCha20Poly1305 => plain(kind::ENCRYPTION, 28),
    }
}

/// The transform of an integrity.
pub const fn integrity(integrity: Integrity) -> Transform {
    plain(
        kind::INTEGRITY,
        match integrity {
            Integrity::Sha1 => 2,
            Integrity::Sha256 => 12,
            Integrity::Sha384 => 13,
            Integrity::Sha512 => 14,
        },
    )
}

/// The transform of a pseudo-random function.
pub const fn prf(prf: Prf) -> Transform {
    plain(
        kind::PRF,
        match prf {
            Prf::Sha1 => 2,
            Prf::Sha256 => 5,
            Prf::Sha384 => 6,
            Prf::Sha512 => 7,
        },
    )
}

/// The number of a group.
pub const fn group_number(group: Group) -> u16 {
    match group {
        Group::Modp1024 => 2,
        Group::Modp1536 => 5,
        Group::Modp2048 => 14,
        Group::Modp3072 => 15,
        Group::Modp4096 => 16,
        Group::Ecp256 => 19,
        Group::Ecp384 => 20,
        Group::Ecp521 => 21,
        Group::Curve25519 => 31,
    }
}

/// The transform of a group.
pub const fn group(group: Group) -> Transform {
    plain(kind::GROUP, group_number(group))
}

/// The transform of long or short sequence numbers.
pub const fn extended(extended: bool) -> Transform {
    plain(kind::SEQUENCES, if extended { 1 } else { 0 })
}
