//! Names and numbers of algorithms: the IANA registry of IKEv2.

use std::borrow::Cow;

use super::super::crypto::group::Group;
use super::super::crypto::prf::Prf;
use super::super::message::proposal::{Proposal, Transform, kind};
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

/// The longest text of an offer, in bytes.
const TEXT_MAX: usize = 400;

/// An offer in strongSwan's words, as the settings take them: `aes256-sha256-prfsha256-modp2048, ...`. What has no name
/// is told by its kind and number; a long offer is cut.
pub fn offer(proposals: &[Proposal]) -> String {
    let mut text = String::new();
    for proposal in proposals {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let mut parted = false;
        for word in proposal.transforms.iter().copied().filter_map(word) {
            if text.len() + word.len() > TEXT_MAX {
                text.push_str("...");
                return text;
            }
            if parted {
                text.push('-');
            }
            text.push_str(&word);
            parted = true;
        }
    }
    text
}

/// A transform's name; none for short sequence numbers, which go without saying.
fn word(Transform { kind, id, key_bits, .. }: Transform) -> Option<Cow<'static, str>> {
    let (kind, name) = match kind {
        kind::ENCRYPTION => ("encryption", key_bits.map_or_else(|| plain_cipher(id), |bits| sized_cipher(id, bits))),
        kind::PRF => ("prf", prf_name(id).map(Cow::Borrowed)),
        kind::INTEGRITY => ("integrity", integrity_name(id).map(Cow::Borrowed)),
        kind::GROUP => ("group", group_name(id).map(Cow::Borrowed)),
        kind::SEQUENCES if id == 0 => return None,
        kind::SEQUENCES => ("sequences", (id == 1).then_some(Cow::Borrowed("esn"))),
        _ => return Some(Cow::Owned(format!("kind{kind}#{id}"))),
    };
    Some(name.unwrap_or_else(|| Cow::Owned(format!("{kind}#{id}"))))
}

fn plain_cipher(id: u16) -> Option<Cow<'static, str>> {
    let name = match id {
        2 => "des",
        3 => "3des",
        11 => "null",
        28 => "chacha20poly1305",
        _ => return None,
    };
    Some(Cow::Borrowed(name))
}

fn sized_cipher(id: u16, bits: u16) -> Option<Cow<'static, str>> {
    let (name, mode) = match id {
        12 => ("aes", ""),
        13 => ("aes", "ctr"),
        14 => ("aes", "ccm8"),
        15 => ("aes", "ccm12"),
        16 => ("aes", "ccm16"),
        18 => ("aes", "gcm8"),
        19 => ("aes", "gcm12"),
        20 => ("aes", "gcm16"),
        23 => ("camellia", ""),
        24 => ("camellia", "ctr"),
        _ => return None,
    };
    Some(Cow::Owned(format!("{name}{bits}{mode}")))
}

const fn prf_name(id: u16) -> Option<&'static str> {
    Some(match id {
        1 => "prfmd5",
        2 => "prfsha1",
        4 => "prfaesxcbc",
        5 => "prfsha256",
        6 => "prfsha384",
        7 => "prfsha512",
        8 => "prfaescmac",
        _ => return None,
    })
}

const fn integrity_name(id: u16) -> Option<&'static str> {
    Some(match id {
        1 => "md5",
        2 => "sha1",
        5 => "aesxcbc",
        8 => "aescmac",
        12 => "sha256",
        13 => "sha384",
        14 => "sha512",
        _ => return None,
    })
}

const fn group_name(id: u16) -> Option<&'static str> {
    Some(match id {
        0 => "modpnone",
        1 => "modp768",
        2 => "modp1024",
        5 => "modp1536",
        14 => "modp2048",
        15 => "modp3072",
        16 => "modp4096",
        17 => "modp6144",
        18 => "modp8192",
        19 => "ecp256",
        20 => "ecp384",
        21 => "ecp521",
        22 => "modp1024s160",
        23 => "modp2048s224",
        24 => "modp2048s256",
        25 => "ecp192",
        26 => "ecp224",
        28 => "ecp256bp",
        29 => "ecp384bp",
        30 => "ecp512bp",
        31 => "curve25519",
        32 => "curve448",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::message::proposal::Protocol;
    use super::super::text;
    use super::*;

    fn proposal(transforms: &[(u8, u16, Option<u16>)]) -> Proposal {
        let transform = |(kind, id, key_bits)| Transform { kind, id, key_bits, strange: false };
        let transforms = transforms.iter().copied().map(transform).collect();
        Proposal { number: 1, protocol: Protocol::Ike.number(), spi: Vec::new(), transforms }
    }

    #[test]
    fn tells_an_offer_in_the_words_that_the_settings_take() {
        let words = "aes192-sha1-sha256-sha384-sha512-prfsha1-prfsha256-prfsha384-prfsha512-modp1024-modp1536-modp2048-\
                     modp3072-modp4096-ecp256-ecp384-ecp521-curve25519";
        for text in [words, "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha256-ecp256", "3des-sha1-prfsha1-modp1024"] {
            let of = &text::ike(&format!("{text}!")).unwrap()[0];
            let mut transforms: Vec<Transform> = of.encryptions.iter().copied().map(encryption).collect();
            transforms.extend(of.integrities.iter().copied().map(integrity));
            transforms.extend(of.prfs.iter().copied().map(prf));
            transforms.extend(of.groups.iter().copied().map(group));

            assert_eq!(offer(&[Proposal { transforms, ..proposal(&[]) }]), text);
        }
    }

    #[test]
    fn tells_what_has_no_name_by_its_number_and_cuts_what_is_long() {
        let strange =
            [(1, 13, Some(256)), (1, 99, None), (2, 4, None), (3, 5, None), (4, 0, None), (5, 0, None), (9, 1, None)];
        let told = "aes256ctr-encryption#99-prfaesxcbc-aesxcbc-modpnone-kind9#1";
        assert_eq!(offer(&[proposal(&strange)]), told);
        assert_eq!(
            offer(&[proposal(&[(1, 20, Some(256)), (5, 1, None)]), proposal(&[(1, 3, None)])]),
            "aes256gcm16-esn, 3des"
        );

        let long = offer(&[proposal(&[(4, 24, None); 255])]);

        assert!(long.len() <= TEXT_MAX + 4 && long.ends_with("..."), "{long}");
    }
}
