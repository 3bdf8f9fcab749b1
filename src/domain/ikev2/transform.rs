//! Transforms of IKEv2, by strongSwan's names and IANA's numbers (RFC 7296, section 3.3.2, and its registry).

/// Encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// AES in CBC mode (RFC 3602) with a key of so many bits: 128, 192 or 256.
    AesCbc(u16),
    /// AES in GCM with a tag of 16 bytes (RFC 4106, RFC 5282) and a key of so many bits: 128, 192 or 256.
    AesGcm16(u16),
    /// `ChaCha20` with `Poly1305` (RFC 7634).
    ChaCha20Poly1305,
    /// Triple DES in CBC mode (RFC 2451).
    TripleDes,
}

/// Integrity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// HMAC-SHA1-96 (RFC 2404).
    Sha1,
    /// HMAC-SHA-256-128 (RFC 4868).
    Sha256,
    /// HMAC-SHA-384-192 (RFC 4868).
    Sha384,
    /// HMAC-SHA-512-256 (RFC 4868).
    Sha512,
}

/// A pseudorandom function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prf {
    /// HMAC-SHA1 (RFC 2104).
    Sha1,
    /// HMAC-SHA-256 (RFC 4868).
    Sha256,
    /// HMAC-SHA-384 (RFC 4868).
    Sha384,
    /// HMAC-SHA-512 (RFC 4868).
    Sha512,
}

/// A group for the key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// 1,024 bits (RFC 2409).
    Modp1024,
    /// 1,536 bits (RFC 3526).
    Modp1536,
    /// 2,048 bits (RFC 3526).
    Modp2048,
    /// 3,072 bits (RFC 3526).
    Modp3072,
    /// 4,096 bits (RFC 3526).
    Modp4096,
    /// NIST's P-256 (RFC 5903).
    Ecp256,
    /// NIST's P-384 (RFC 5903).
    Ecp384,
    /// NIST's P-521 (RFC 5903).
    Ecp521,
    /// Curve25519 (RFC 8031).
    Curve25519,
}

impl Cipher {
    /// IANA's number.
    pub const fn number(self) -> u16 {
        match self {
            Self::TripleDes => 3,
            Self::AesCbc(_) => 12,
            Self::AesGcm16(_) => 20,
            Self::ChaCha20Poly1305 => 28,
        }
    }

    /// The value of its Key Length attribute, where it has one.
    pub const fn key_bits(self) -> Option<u16> {
        match self {
            Self::AesCbc(bits) | Self::AesGcm16(bits) => Some(bits),
            Self::ChaCha20Poly1305 | Self::TripleDes => None,
        }
    }

    /// Whether it needs no integrity algorithm beside it.
    pub const fn authenticates(self) -> bool {
        matches!(self, Self::AesGcm16(_) | Self::ChaCha20Poly1305)
    }
}

impl Integrity {
    /// IANA's number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Sha1 => 2,
            Self::Sha256 => 12,
            Self::Sha384 => 13,
            Self::Sha512 => 14,
        }
    }

    /// The pseudorandom function of the same hash.
    pub const fn prf(self) -> Prf {
        match self {
            Self::Sha1 => Prf::Sha1,
            Self::Sha256 => Prf::Sha256,
            Self::Sha384 => Prf::Sha384,
            Self::Sha512 => Prf::Sha512,
        }
    }
}

impl Prf {
    /// IANA's number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Sha1 => 2,
            Self::Sha256 => 5,
            Self::Sha384 => 6,
            Self::Sha512 => 7,
        }
    }
}

impl Group {
    /// IANA's number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Modp1024 => 2,
            Self::Modp1536 => 5,
            Self::Modp2048 => 14,
            Self::Modp3072 => 15,
            Self::Modp4096 => 16,
            Self::Ecp256 => 19,
            Self::Ecp384 => 20,
            Self::Ecp521 => 21,
            Self::Curve25519 => 31,
        }
    }
}

/// What a name in a proposal stands for; a kind with `None` is known and cannot be had here.
#[derive(Clone, Copy)]
pub(super) enum Known {
    Cipher {
        authenticates: bool,
        cipher: Option<Cipher>,
    },
    Integrity(Option<Integrity>),
    Prf(Option<Prf>),
    Group(Option<Group>),
    /// ESP without perfect forward secrecy.
    NoGroup,
    /// Whether sequence numbers are extended.
    Esn(bool),
}

/// What strongSwan's name stands for, in any letter case.
pub(super) fn named(name: &str) -> Option<Known> {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    cipher(name).or_else(|| integrity(name)).or_else(|| prf(name)).or_else(|| group(name)).or(match name {
        "esn" => Some(Known::Esn(true)),
        "noesn" => Some(Known::Esn(false)),
        _ => None,
    })
}

fn cipher(name: &str) -> Option<Known> {
    let supported =
        |cipher: Cipher| Some(Known::Cipher { authenticates: cipher.authenticates(), cipher: Some(cipher) });
    match name {
        "chacha20poly1305" => return supported(Cipher::ChaCha20Poly1305),
        "3des" => return supported(Cipher::TripleDes),
        "null" | "des" | "cast128" => return Some(Known::Cipher { authenticates: false, cipher: None }),
        _ => {}
    }
    for other in ["blowfish", "camellia", "serpent", "twofish"] {
        if let Some(mode) = name.strip_prefix(other) {
            let (bits, mode) = key_bits(mode);
            let known = bits.is_some() || mode.is_empty();
            let authenticates = mode.starts_with("ccm");
            let counter = other == "camellia" && (mode == "ctr" || authenticates && tag_bytes(&mode[3..]).is_some());
            return (known && (mode.is_empty() || counter)).then_some(Known::Cipher { authenticates, cipher: None });
        }
    }
    let (bits, mode) = key_bits(name.strip_prefix("aes")?);
    if mode.is_empty() {
        // bare `aes` is that of 128 bits
        return supported(Cipher::AesCbc(bits.unwrap_or(128)));
    }
    let bits = bits?;
    if mode == "ctr" {
        return Some(Known::Cipher { authenticates: false, cipher: None });
    }
    if let Some(tag) = mode.strip_prefix("gcm") {
        let cipher = (tag_bytes(tag)? == 16).then_some(Cipher::AesGcm16(bits));
        return Some(Known::Cipher { authenticates: true, cipher });
    }
    tag_bytes(mode.strip_prefix("ccm")?).map(|_| Known::Cipher { authenticates: true, cipher: None })
}

/// Takes the length of the key from the front.
fn key_bits(rest: &str) -> (Option<u16>, &str) {
    let bits = [128, 192, 256].into_iter().find_map(|bits| Some((Some(bits), rest.strip_prefix(&bits.to_string())?)));
    bits.unwrap_or((None, rest))
}

/// The length of the tag, which strongSwan takes in bytes or in bits.
fn tag_bytes(text: &str) -> Option<u8> {
    match text {
        "8" | "64" => Some(8),
        "12" | "96" => Some(12),
        "16" | "128" | "" => Some(16),
        _ => None,
    }
}

fn integrity(name: &str) -> Option<Known> {
    let supported = match name {
        "sha" | "sha1" => Some(Integrity::Sha1),
        "sha256" | "sha2_256" => Some(Integrity::Sha256),
        "sha384" | "sha2_384" => Some(Integrity::Sha384),
        "sha512" | "sha2_512" => Some(Integrity::Sha512),
        "md5" | "md5_128" | "sha1_160" | "sha256_96" | "sha2_256_96" | "aesxcbc" | "camelliaxcbc" | "aescmac"
        | "aes128gmac" | "aes192gmac" | "aes256gmac" => None,
        _ => return None,
    };
    Some(Known::Integrity(supported))
}

fn prf(name: &str) -> Option<Known> {
    let supported = match name {
        "prfsha1" => Some(Prf::Sha1),
        "prfsha256" => Some(Prf::Sha256),
        "prfsha384" => Some(Prf::Sha384),
        "prfsha512" => Some(Prf::Sha512),
        "prfmd5" | "prfaesxcbc" | "prfcamelliaxcbc" | "prfaescmac" => None,
        _ => return None,
    };
    Some(Known::Prf(supported))
}

fn group(name: &str) -> Option<Known> {
    let supported = match name {
        "modpnone" => return Some(Known::NoGroup),
        "modp1024" => Some(Group::Modp1024),
        "modp1536" => Some(Group::Modp1536),
        "modp2048" => Some(Group::Modp2048),
        "modp3072" => Some(Group::Modp3072),
        "modp4096" => Some(Group::Modp4096),
        "ecp256" => Some(Group::Ecp256),
        "ecp384" => Some(Group::Ecp384),
        "ecp521" => Some(Group::Ecp521),
        "curve25519" | "x25519" => Some(Group::Curve25519),
        "modp768" | "modp6144" | "modp8192" | "modp1024s160" | "modp2048s224" | "modp2048s256" | "ecp192"
        | "ecp224" | "ecp224bp" | "ecp256bp" | "ecp384bp" | "ecp512bp" | "curve448" | "x448" => None,
        _ => return None,
    };
    Some(Known::Group(supported))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a name stands for, as text: `?` for what nobody knows, a kind alone for what cannot be had.
    fn said(name: &str) -> String {
        match named(name) {
            None => "?".into(),
            Some(Known::Cipher { cipher: Some(cipher), .. }) => format!("{}/{:?}", cipher.number(), cipher.key_bits()),
            Some(Known::Cipher { authenticates, .. }) => if authenticates { "aead" } else { "cipher" }.into(),
            Some(Known::Integrity(known)) => {
                known.map_or_else(|| "integrity".into(), |known| known.number().to_string())
            }
            Some(Known::Prf(known)) => known.map_or_else(|| "prf".into(), |known| known.number().to_string()),
            Some(Known::Group(known)) => known.map_or_else(|| "group".into(), |known| known.number().to_string()),
            Some(Known::NoGroup) => "none".into(),
            Some(Known::Esn(extended)) => extended.to_string(),
        }
    }

    #[test]
    fn knows_the_names_of_strongswan_and_the_numbers_of_iana() {
        for (names, expected) in [
            ("aes AES128", "12/Some(128)"),
            ("aes192", "12/Some(192)"),
            ("aes256gcm16 aes256gcm128 aes256gcm", "20/Some(256)"),
            ("chacha20poly1305", "28/None"),
            ("3des", "3/None"),
            ("aes128gcm8 aes128gcm96 aes192ccm12 aes256ccm camellia256ccm64", "aead"),
            ("aes128ctr null des blowfish blowfish192 camellia camellia128ctr serpent256 twofish", "cipher"),
            ("sha sha1", "2"),
            ("sha256 sha2_256", "12"),
            ("sha384", "13"),
            ("sha512", "14"),
            ("md5 aesxcbc aescmac sha256_96", "integrity"),
            ("prfsha256", "5"),
            ("prfsha512", "7"),
            ("prfaesxcbc prfmd5", "prf"),
            ("modp2048", "14"),
            ("ecp256", "19"),
            ("curve25519 x25519", "31"),
            ("modp768 modp8192 ecp192 ecp256bp x448", "group"),
            ("modpnone", "none"),
            ("esn", "true"),
            ("noesn", "false"),
            ("aes512 aes256gcm7 aesgcm16 rot13 sha3 prf modp camelliagcm aes128! blowfish128ctr serpentccm8", "?"),
        ] {
            for name in names.split(' ') {
                assert_eq!(said(name), expected, "{name}");
            }
        }
    }
}
