//! Names and numbers of algorithms: the IANA registry of IKEv2 and the names that configurations use.

use super::super::crypto::group::Group;
use super::super::crypto::prf::Prf;
use super::super::message::proposal::{Transform, kind};
use crate::engine::esp::suite::{Encryption, Integrity};

/// What a word of a proposal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// What encrypts.
    Encryption(Encryption),
    /// What authenticates.
    Integrity(Integrity),
    /// What derives keys.
    Prf(Prf),
    /// Where a secret comes from.
    Group(Group),
    /// No group.
    NoGroup,
    /// Whether sequence numbers have 64 bits.
    Extended(bool),
    /// A known algorithm that we do not have.
    Unsupported,
}

/// What a word of a proposal stands for, in lower case; `None` for a word that nobody knows.
pub fn word(name: &str) -> Option<Word> {
    Some(match name {
        "3des" => Word::Encryption(Encryption::TripleDes),
        "aes" | "aes128" => Word::Encryption(Encryption::Aes128Cbc),
        "aes192" => Word::Encryption(Encryption::Aes192Cbc),
        "aes256" => Word::Encryption(Encryption::Aes256Cbc),
        "aes128gcm16" | "aes128gcm128" => Word::Encryption(Encryption::Aes128Gcm),
        "aes192gcm16" | "aes192gcm128" => Word::Encryption(Encryption::Aes192Gcm),
        "aes256gcm16" | "aes256gcm128" => Word::Encryption(Encryption::Aes256Gcm),
        "chacha20poly1305" | "chacha20poly1305compat" => Word::Encryption(Encryption::ChaCha20Poly1305),
        "sha" | "sha1" => Word::Integrity(Integrity::Sha1),
        "sha256" | "sha2_256" => Word::Integrity(Integrity::Sha256),
        "sha384" | "sha2_384" => Word::Integrity(Integrity::Sha384),
        "sha512" | "sha2_512" => Word::Integrity(Integrity::Sha512),
        "prfsha1" => Word::Prf(Prf::Sha1),
        "prfsha256" => Word::Prf(Prf::Sha256),
        "prfsha384" => Word::Prf(Prf::Sha384),
        "prfsha512" => Word::Prf(Prf::Sha512),
        "modp1024" => Word::Group(Group::Modp1024),
        "modp1536" => Word::Group(Group::Modp1536),
        "modp2048" => Word::Group(Group::Modp2048),
        "modp3072" => Word::Group(Group::Modp3072),
        "modp4096" => Word::Group(Group::Modp4096),
        "ecp256" => Word::Group(Group::Ecp256),
        "ecp384" => Word::Group(Group::Ecp384),
        "ecp521" => Word::Group(Group::Ecp521),
        "curve25519" | "x25519" => Word::Group(Group::Curve25519),
        "modpnone" | "none" => Word::NoGroup,
        "esn" => Word::Extended(true),
        "noesn" => Word::Extended(false),
        _ if is_known(name) => Word::Unsupported,
        _ => return None,
    })
}

/// Whether strongSwan knows the name.
fn is_known(name: &str) -> bool {
    const PLAIN: [&str; 24] = [
        "null",
        "des",
        "md5",
        "md5_128",
        "sha1_160",
        "sha256_96",
        "sha2_256_96",
        "aesxcbc",
        "aescmac",
        "prfmd5",
        "prfaesxcbc",
        "prfaescmac",
        "modp768",
        "modp6144",
        "modp8192",
        "modp1024s160",
        "modp2048s224",
        "modp2048s256",
        "ecp192",
        "ecp224",
        "curve448",
        "x448",
        "blowfish",
        "ecp224bp",
    ];
    let brainpool = ["ecp256bp", "ecp384bp", "ecp512bp"].contains(&name);
    PLAIN.contains(&name) || brainpool || is_family(name)
}

/// Ciphers that come in many sizes: `aesNctr`, `aesNccm8`, `aesNgcm8`, `camelliaN`, `blowfishN`, `aesNgmac`.
fn is_family(name: &str) -> bool {
    let families = ["aes", "camellia", "blowfish"];
    let Some(rest) = families.iter().find_map(|family| name.strip_prefix(family)) else { return false };
    let Some(mode) = ["128", "192", "256"].iter().find_map(|bits| rest.strip_prefix(bits)) else {
        return rest.is_empty();
    };
    let icv = |mode: &str| ["8", "12", "16", "64", "96", "128"].contains(&mode);
    matches!(mode, "" | "ctr" | "gmac") || ["gcm", "ccm"].iter().any(|kind| mode.strip_prefix(kind).is_some_and(icv))
}

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
