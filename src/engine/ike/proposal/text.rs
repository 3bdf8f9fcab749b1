//! The settings' lists of proposals (`domain::ikev2::proposal`) as the responder compares them with what peers offer.

use super::super::crypto::group::Group;
use super::super::crypto::prf::Prf;
use super::Offer;
use crate::domain::ikev2::proposal::{Malformed, Proposal, Proposals, Protocol};
use crate::domain::ikev2::transform;
use crate::engine::esp::suite::{Encryption, Integrity};

/// What a list takes, in its order.
pub fn offers(proposals: &Proposals) -> Vec<Offer> {
    proposals.list().iter().map(offer).collect()
}

/// Reads a list for IKE.
///
/// # Errors
/// [`Malformed`]: one bad proposal spoils the whole list.
pub fn ike(text: &str) -> Result<Vec<Offer>, Malformed> {
    Proposals::parse(Protocol::Ike, text).map(|proposals| offers(&proposals))
}

/// Reads a list for ESP.
///
/// # Errors
/// [`Malformed`]: one bad proposal spoils the whole list.
pub fn esp(text: &str) -> Result<Vec<Offer>, Malformed> {
    Proposals::parse(Protocol::Esp, text).map(|proposals| offers(&proposals))
}

fn offer(proposal: &Proposal) -> Offer {
    Offer {
        encryptions: proposal.ciphers.iter().map(|cipher| encryption(*cipher)).collect(),
        integrities: proposal.integrity.iter().map(|integrity| self::integrity(*integrity)).collect(),
        prfs: proposal.prfs.iter().map(|prf| self::prf(*prf)).collect(),
        groups: proposal.groups.iter().map(|group| self::group(*group)).collect(),
        group_optional: proposal.without_group,
        extended: proposal.esn.clone(),
    }
}

const fn encryption(cipher: transform::Cipher) -> Encryption {
    use transform::Cipher;
    match cipher {
        Cipher::AesCbc(128) => Encryption::Aes128Cbc,
        Cipher::AesCbc(192) => Encryption::Aes192Cbc,
        Cipher::AesCbc(_) => Encryption::Aes256Cbc,
        Cipher::AesGcm16(128) => Encryption::Aes128Gcm,
        Cipher::AesGcm16(192) => Encryption::Aes192Gcm,
        Cipher::AesGcm16(_) => Encryption::Aes256Gcm,
        Cipher::ChaCha20Poly1305 => Encryption::ChaCha20Poly1305,
        Cipher::TripleDes => Encryption::TripleDes,
    }
}

const fn integrity(integrity: transform::Integrity) -> Integrity {
    match integrity {
        transform::Integrity::Sha1 => Integrity::Sha1,
        transform::Integrity::Sha256 => Integrity::Sha256,
        transform::Integrity::Sha384 => Integrity::Sha384,
        transform::Integrity::Sha512 => Integrity::Sha512,
    }
}

const fn prf(prf: transform::Prf) -> Prf {
    match prf {
        transform::Prf::Sha1 => Prf::Sha1,
        transform::Prf::Sha256 => Prf::Sha256,
        transform::Prf::Sha384 => Prf::Sha384,
        transform::Prf::Sha512 => Prf::Sha512,
    }
}

const fn group(group: transform::Group) -> Group {
    match group {
        transform::Group::Modp1024 => Group::Modp1024,
        transform::Group::Modp1536 => Group::Modp1536,
        transform::Group::Modp2048 => Group::Modp2048,
        transform::Group::Modp3072 => Group::Modp3072,
        transform::Group::Modp4096 => Group::Modp4096,
        transform::Group::Ecp256 => Group::Ecp256,
        transform::Group::Ecp384 => Group::Ecp384,
        transform::Group::Ecp521 => Group::Ecp521,
        transform::Group::Curve25519 => Group::Curve25519,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ikev2::settings::{ESP_DEFAULT, IKE_DEFAULT};

    #[test]
    fn takes_the_contracts_defaults() {
        let (ike, esp) = (ike(IKE_DEFAULT).unwrap(), esp(ESP_DEFAULT).unwrap());

        assert_eq!((ike.len(), esp.len()), (5, 5));
        assert_eq!(ike[0].prfs, [Prf::Sha1]);
        assert_eq!((&ike[3].integrities[..], &ike[3].prfs[..]), (&[][..], &[Prf::Sha384][..]));
        // beside a cipher that authenticates the integrity is dropped
        assert_eq!(esp[1].integrities, []);
        assert_eq!((&esp[3].groups[..], &esp[3].extended[..]), (&[Group::Ecp384][..], &[false][..]));
    }

    #[test]
    fn gives_every_algorithm_the_number_that_the_settings_give_it() {
        use super::super::names;
        let all = "aes256-aes192-aes128-3des-sha1-sha256-sha384-sha512-prfsha1-prfsha256-prfsha384-prfsha512-modp1024-\
                   modp1536-modp2048-modp3072-modp4096-ecp256-ecp384-ecp521-curve25519!";
        let gcm = "aes256gcm16-aes192gcm16-aes128gcm16-chacha20poly1305-prfsha1-ecp256!";
        for text in [all, gcm] {
            let proposals = Proposals::parse(Protocol::Ike, text).unwrap();
            let (theirs, ours) = (&proposals.list()[0], offer(&proposals.list()[0]));
            let pairs = theirs.ciphers.iter().zip(&ours.encryptions);
            assert!(
                pairs
                    .map(|(theirs, ours)| (theirs, names::encryption(*ours)))
                    .all(|(theirs, ours)| { (theirs.number(), theirs.key_bits()) == (ours.id, ours.key_bits) })
            );
            let pairs = theirs.integrity.iter().zip(&ours.integrities);
            assert!(pairs.map(|(theirs, ours)| (theirs.number(), names::integrity(*ours).id)).all(|(a, b)| a == b));
            let pairs = theirs.prfs.iter().zip(&ours.prfs);
            assert!(pairs.map(|(theirs, ours)| (theirs.number(), names::prf(*ours).id)).all(|(a, b)| a == b));
            let pairs = theirs.groups.iter().zip(&ours.groups);
            assert!(pairs.map(|(theirs, ours)| (theirs.number(), names::group_number(*ours))).all(|(a, b)| a == b));
        }
    }

    #[test]
    fn reads_sequences_and_optional_groups_for_esp() {
        let offer = &esp("aes128gcm16-ecp256-modpnone-esn-noesn!").unwrap()[0];

        assert!(offer.group_optional && offer.groups == [Group::Ecp256]);
        assert_eq!(offer.extended, [true, false]);
    }
}
