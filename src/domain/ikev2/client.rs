//! Which of our proposals a kind of client can be told to use, in its own words.

use super::proposal::Proposal;
use super::transform::{Cipher, Group, Prf};

/// One choice of every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) cipher: Cipher,
    /// The hash of PRF and integrity; of an authenticating cipher of ESP none.
    pub(super) hash: Option<Prf>,
    /// The group; of ESP none where there is no perfect forward secrecy.
    pub(super) group: Option<Group>,
}

/// Ciphers, best first.
const CIPHERS: [Cipher; 8] = [
    Cipher::AesGcm16(256),
    Cipher::AesGcm16(192),
    Cipher::AesGcm16(128),
    Cipher::ChaCha20Poly1305,
    Cipher::AesCbc(256),
    Cipher::AesCbc(192),
    Cipher::AesCbc(128),
    Cipher::TripleDes,
];
/// Hashes, best first.
const HASHES: [Prf; 4] = [Prf::Sha384, Prf::Sha256, Prf::Sha512, Prf::Sha1];
/// Groups, best first.
const GROUPS: [Group; 9] = [
    Group::Ecp384,
    Group::Curve25519,
    Group::Ecp256,
    Group::Ecp521,
    Group::Modp3072,
    Group::Modp2048,
    Group::Modp4096,
    Group::Modp1536,
    Group::Modp1024,
];

/// The words of a kind of client: nothing for what it does not know.
pub(super) struct Words {
    pub(super) cipher: fn(Cipher) -> Option<&'static str>,
    pub(super) hash: fn(Prf) -> Option<&'static str>,
    pub(super) group: fn(Group) -> Option<&'static str>,
}

impl Words {
    /// The best suite of a list of proposals that the client knows every part of; of two that are as good, the first.
    pub(super) fn choose(&self, list: &[Proposal]) -> Option<Suite> {
        let suites = list.iter().filter_map(|proposal| self.suite(proposal));
        suites.min_by_key(|suite| CIPHERS.iter().position(|cipher| *cipher == suite.cipher))
    }

    fn suite(&self, proposal: &Proposal) -> Option<Suite> {
        let cipher = |cipher: &Cipher| proposal.ciphers.contains(cipher) && (self.cipher)(*cipher).is_some();
        let cipher = CIPHERS.into_iter().find(cipher)?;
        // the clients know one hash for both
        let hashed = |hash: &Prf| {
            let integrity = proposal.integrity.is_empty() || proposal.integrity.iter().any(|own| own.prf() == *hash);
            let prf = proposal.prfs.is_empty() || proposal.prfs.contains(hash);
            integrity && prf && (self.hash)(*hash).is_some()
        };
        let needs_hash = !proposal.integrity.is_empty() || !proposal.prfs.is_empty();
        let hash = HASHES.into_iter().find(hashed).filter(|_| needs_hash);
        let group = |group: &Group| proposal.groups.contains(group) && (self.group)(*group).is_some();
        let group = GROUPS.into_iter().find(group);
        let lacks_group = group.is_none() && !proposal.groups.is_empty() && !proposal.without_group;
        (hash.is_some() == needs_hash && !lacks_group).then_some(Suite { cipher, hash, group })
    }
}

/// The words of Apple's configuration profiles. Groups are numbers there; that of 1,536 bits does not work.
pub(super) const APPLE: Words = Words {
    cipher: |cipher| match cipher {
        Cipher::AesGcm16(256) => Some("AES-256-GCM"),
        Cipher::AesGcm16(128) => Some("AES-128-GCM"),
        Cipher::ChaCha20Poly1305 => Some("ChaCha20Poly1305"),
        Cipher::AesCbc(256) => Some("AES-256"),
        Cipher::AesCbc(128) => Some("AES-128"),
        Cipher::TripleDes => Some("3DES"),
        Cipher::AesGcm16(_) | Cipher::AesCbc(_) => None,
    },
    hash: |hash| match hash {
        Prf::Sha1 => Some("SHA1-96"),
        Prf::Sha256 => Some("SHA2-256"),
        Prf::Sha384 => Some("SHA2-384"),
        Prf::Sha512 => Some("SHA2-512"),
    },
    group: |group| match group {
        Group::Modp1024 => Some("2"),
        Group::Modp2048 => Some("14"),
        Group::Modp3072 => Some("15"),
        Group::Modp4096 => Some("16"),
        Group::Ecp256 => Some("19"),
        Group::Ecp384 => Some("20"),
        Group::Ecp521 => Some("21"),
        Group::Curve25519 => Some("31"),
        Group::Modp1536 => None,
    },
};

/// The words of `Set-VpnConnectionIPsecConfiguration` for IKE: `EncryptionMethod`, `IntegrityCheckMethod`, `DHGroup`.
pub(super) const WINDOWS_IKE: Words = Words {
    cipher: |cipher| match cipher {
        Cipher::AesGcm16(256) => Some("GCMAES256"),
        Cipher::AesGcm16(128) => Some("GCMAES128"),
        Cipher::AesCbc(256) => Some("AES256"),
        Cipher::AesCbc(192) => Some("AES192"),
        Cipher::AesCbc(128) => Some("AES128"),
        Cipher::TripleDes => Some("DES3"),
        Cipher::AesGcm16(_) | Cipher::AesCbc(_) | Cipher::ChaCha20Poly1305 => None,
    },
    hash: |hash| match hash {
        Prf::Sha1 => Some("SHA1"),
        Prf::Sha256 => Some("SHA256"),
        Prf::Sha384 => Some("SHA384"),
        Prf::Sha512 => None,
    },
    group: |group| match group {
        Group::Modp1024 => Some("Group2"),
        Group::Modp2048 => Some("Group14"),
        Group::Ecp256 => Some("ECP256"),
        Group::Ecp384 => Some("ECP384"),
        Group::Modp1536 | Group::Modp3072 | Group::Modp4096 | Group::Ecp521 | Group::Curve25519 => None,
    },
};

/// The words of `Set-VpnConnectionIPsecConfiguration` for ESP: `CipherTransformConstants`,
/// `AuthenticationTransformConstants`, `PfsGroup`.
pub(super) const WINDOWS_ESP: Words = Words {
    cipher: |cipher| match cipher {
        Cipher::AesGcm16(256) => Some("GCMAES256"),
        Cipher::AesGcm16(192) => Some("GCMAES192"),
        Cipher::AesGcm16(128) => Some("GCMAES128"),
        Cipher::AesCbc(256) => Some("AES256"),
        Cipher::AesCbc(192) => Some("AES192"),
        Cipher::AesCbc(128) => Some("AES128"),
        Cipher::TripleDes => Some("DES3"),
        Cipher::AesGcm16(_) | Cipher::AesCbc(_) | Cipher::ChaCha20Poly1305 => None,
    },
    hash: |hash| match hash {
        Prf::Sha1 => Some("SHA196"),
        Prf::Sha256 => Some("SHA256128"),
        Prf::Sha384 | Prf::Sha512 => None,
    },
    group: |group| match group {
        Group::Modp1024 => Some("PFS2"),
        Group::Modp2048 => Some("PFS2048"),
        Group::Ecp256 => Some("ECP256"),
        Group::Ecp384 => Some("ECP384"),
        Group::Modp1536 | Group::Modp3072 | Group::Modp4096 | Group::Ecp521 | Group::Curve25519 => None,
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ikev2::proposal::{Proposals, Protocol};
    use crate::domain::ikev2::settings::{ESP_DEFAULT, IKE_DEFAULT};

    /// What a kind of client is told: cipher, hash and group in its words.
    fn told(words: &Words, protocol: Protocol, text: &str) -> String {
        let proposals = Proposals::parse(protocol, text).unwrap();
        let Some(suite) = words.choose(proposals.list()) else { return "nothing".into() };
        let hash = suite.hash.and_then(words.hash).unwrap_or("-");
        format!("{} {hash} {}", (words.cipher)(suite.cipher).unwrap(), suite.group.and_then(words.group).unwrap_or("-"))
    }

    #[test]
    fn tells_each_client_the_best_of_the_defaults() {
        for (words, protocol, text, expected) in [
            (&APPLE, Protocol::Ike, IKE_DEFAULT, "AES-256-GCM SHA2-384 20"),
            (&APPLE, Protocol::Esp, ESP_DEFAULT, "AES-256-GCM - 20"),
            (&WINDOWS_IKE, Protocol::Ike, IKE_DEFAULT, "GCMAES256 SHA384 ECP384"),
            (&WINDOWS_ESP, Protocol::Esp, ESP_DEFAULT, "GCMAES256 - ECP384"),
        ] {
            assert_eq!(told(words, protocol, text), expected);
        }
    }

    #[test]
    fn tells_a_client_nothing_that_it_does_not_know() {
        for (words, protocol, text, expected) in [
            (&WINDOWS_IKE, Protocol::Ike, "chacha20poly1305-prfsha256-curve25519!", "nothing"),
            (&APPLE, Protocol::Ike, "chacha20poly1305-prfsha256-curve25519!", "ChaCha20Poly1305 SHA2-256 31"),
            (&APPLE, Protocol::Ike, "aes256-sha256-modp1536!", "nothing"),
            (&APPLE, Protocol::Ike, "aes256-sha1-prfsha256-modp2048!", "nothing"),
            (&WINDOWS_ESP, Protocol::Esp, "aes256-sha512,aes128-sha256-modp2048!", "AES128 SHA256128 PFS2048"),
            (&WINDOWS_ESP, Protocol::Esp, "aes192gcm16-modp4096!", "nothing"),
            (&WINDOWS_ESP, Protocol::Esp, "aes192gcm16-modp4096-modpnone!", "GCMAES192 - -"),
        ] {
            assert_eq!(told(words, protocol, text), expected, "{text}");
        }
    }
}
