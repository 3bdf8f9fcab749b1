//! Proposals as configurations write them: `aes256-sha256-modp2048,aes256gcm16-prfsha384-ecp384!`.
//!
//! Commas part proposals, hyphens algorithms; several of one kind are alternatives. Without a `!` at the end our own
//! lists stand behind it.

use super::super::crypto::prf::Prf;
use super::Offer;
use super::names::{Word, word};
use crate::engine::esp::suite::{Encryption, Integrity};

/// What stands behind a list for IKE that is not strict.
const IKE_DEFAULTS: &str = "aes256gcm16-prfsha384-ecp384,aes256gcm16-aes128gcm16-prfsha256-prfsha384-ecp256-curve25519-\
    modp4096-modp3072-modp2048,chacha20poly1305-prfsha512-prfsha256-curve25519-ecp256,aes256-aes192-aes128-sha256-\
    sha384-sha512-sha1-ecp256-ecp384-ecp521-curve25519-modp4096-modp3072-modp2048";
/// What stands behind a list for ESP that is not strict.
const ESP_DEFAULTS: &str = "aes256gcm16-aes192gcm16-aes128gcm16,chacha20poly1305,aes256-aes192-aes128-sha256-sha384-\
    sha512-sha1";

/// Why a text is no list of proposals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProposals {
    /// A word that is no algorithm's name.
    #[error("unknown algorithm {0}")]
    Unknown(String),
    /// Ciphers with and without authentication of their own in one proposal.
    #[error("{0} mixes ciphers that authenticate with ciphers that do not")]
    Mixed(String),
    /// A kind of algorithm is missing.
    #[error("{0} lacks a kind of algorithm")]
    Incomplete(String),
    /// None is left once those that we do not have are gone.
    #[error("nothing that is supported")]
    Nothing,
}

/// A list, and the proposals of it that were skipped because we do not have their algorithms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// What we take, in order.
    pub offers: Vec<Offer>,
    /// Words that were passed over.
    pub skipped: Vec<String>,
}

/// Reads a list for IKE.
///
/// # Errors
/// [`BadProposals`]: one bad proposal spoils the whole list.
pub fn ike(text: &str) -> Result<Offers, BadProposals> {
    list(text, IKE_DEFAULTS, |words, skips| {
        let mut offer = gathered(words);
        if offer.prfs.is_empty() {
            // an integrity counts for a PRF, also beside a cipher that needs none
            offer.prfs = offer.integrities.iter().map(|integrity| prf_of(*integrity)).collect();
        }
        offer.group_optional = false;
        offer.extended.clear();
        finished(offer, |offer| !offer.prfs.is_empty() && !offer.groups.is_empty(), skips)
    })
}

/// Reads a list for ESP.
///
/// # Errors
/// [`BadProposals`]: one bad proposal spoils the whole list.
pub fn esp(text: &str) -> Result<Offers, BadProposals> {
    list(text, ESP_DEFAULTS, |words, skips| {
        let mut offer = gathered(words);
        offer.prfs.clear();
        if offer.extended.is_empty() {
            offer.extended.push(false);
        }
        finished(offer, |_| true, skips)
    })
}

enum Verdict {
    Good(Offer),
    Mixed,
    Incomplete,
    Unsupported,
}

fn list(text: &str, defaults: &str, judge: impl Fn(&[Word], bool) -> Verdict) -> Result<Offers, BadProposals> {
    let text = text.trim();
    let (text, strict) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
    let mut found = Offers { offers: Vec::new(), skipped: Vec::new() };
    let ours = (!strict).then_some(defaults);
    for proposal in [Some(text), ours].into_iter().flatten().flat_map(|list| list.split(',')) {
        let proposal = proposal.trim().to_ascii_lowercase();
        let mut words = Vec::new();
        let mut skips = false;
        for name in proposal.split('-').map(str::trim) {
            let word = word(name).ok_or_else(|| BadProposals::Unknown(name.to_owned()))?;
            if word == Word::Unsupported {
                skips = true;
                found.skipped.push(name.to_owned());
            } else {
                words.push(word);
            }
        }
        match judge(&words, skips) {
            Verdict::Good(offer) => found.offers.push(offer),
            Verdict::Mixed => return Err(BadProposals::Mixed(proposal)),
            Verdict::Incomplete => return Err(BadProposals::Incomplete(proposal)),
            Verdict::Unsupported => {}
        }
    }
    if found.offers.is_empty() { Err(BadProposals::Nothing) } else { Ok(found) }
}

fn gathered(words: &[Word]) -> Offer {
    let mut offer = Offer::default();
    for word in words {
        match *word {
            Word::Encryption(encryption) => push_once(&mut offer.encryptions, encryption),
            Word::Integrity(integrity) => push_once(&mut offer.integrities, integrity),
            Word::Prf(prf) => push_once(&mut offer.prfs, prf),
            Word::Group(group) => push_once(&mut offer.groups, group),
            Word::NoGroup => offer.group_optional = true,
            Word::Extended(extended) => push_once(&mut offer.extended, extended),
            Word::Unsupported => {}
        }
    }
    offer
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn finished(mut offer: Offer, whole: impl Fn(&Offer) -> bool, skips: bool) -> Verdict {
    let aead = offer.encryptions.iter().filter(|encryption: &&Encryption| encryption.is_aead()).count();
    if aead != 0 && aead != offer.encryptions.len() {
        return Verdict::Mixed;
    }
    if aead != 0 {
        offer.integrities.clear();
    }
    let protected = aead != 0 || !offer.integrities.is_empty();
    match (!offer.encryptions.is_empty() && protected && whole(&offer), skips) {
        (true, _) => Verdict::Good(offer),
        (false, true) => Verdict::Unsupported,
        (false, false) => Verdict::Incomplete,
    }
}

const fn prf_of(integrity: Integrity) -> Prf {
    match integrity {
        Integrity::Sha1 => Prf::Sha1,
        Integrity::Sha256 => Prf::Sha256,
        Integrity::Sha384 => Prf::Sha384,
        Integrity::Sha512 => Prf::Sha512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ike::crypto::group::Group;

    const CONTRACT_IKE: &str = "aes256-sha1-modp1024,aes128-sha1-modp1024,chacha20poly1305-sha512-curve25519-prfsha512,\
        aes256gcm16-sha384-prfsha384-ecp384,3des-sha1-modp1024!";
    const CONTRACT_ESP: &str = "aes256-sha256,chacha20poly1305-sha512,aes256-sha1,aes256gcm16-ecp384,3des-sha1!";

    #[test]
    fn reads_the_contracts_defaults() {
        let (ike, esp) = (ike(CONTRACT_IKE).unwrap(), esp(CONTRACT_ESP).unwrap());

        assert_eq!((ike.offers.len(), esp.offers.len()), (5, 5));
        assert!(ike.skipped.is_empty() && esp.skipped.is_empty());
        assert_eq!(ike.offers[0].prfs, [Prf::Sha1]);
        assert_eq!((&ike.offers[3].integrities[..], &ike.offers[3].prfs[..]), (&[][..], &[Prf::Sha384][..]));
        // beside a cipher that authenticates the integrity is dropped
        assert_eq!(esp.offers[1].integrities, []);
        assert_eq!((&esp.offers[3].groups[..], &esp.offers[3].extended[..]), (&[Group::Ecp384][..], &[false][..]));
    }

    #[test]
    fn takes_alternatives_spaces_and_any_case() {
        let offers = ike(" AES256-aes128-sha256-sha384-modp2048-ECP256 , aes256gcm16-sha256-ecp256 !").unwrap().offers;

        assert_eq!(offers[0].encryptions, [Encryption::Aes256Cbc, Encryption::Aes128Cbc]);
        assert_eq!(offers[0].prfs, [Prf::Sha256, Prf::Sha384]);
        assert_eq!(offers[0].groups, [Group::Modp2048, Group::Ecp256]);
        assert_eq!((&offers[1].integrities[..], &offers[1].prfs[..]), (&[][..], &[Prf::Sha256][..]));
    }

    #[test]
    fn appends_our_own_lists_unless_it_is_strict() {
        assert_eq!(ike("aes256-sha1-modp1024!").unwrap().offers.len(), 1);
        assert!(ike("aes256-sha1-modp1024").unwrap().offers.len() > 4);
        assert!(esp("aes256-sha1").unwrap().offers.len() > 3);
    }

    #[test]
    fn skips_what_it_does_not_have_and_refuses_when_nothing_is_left() {
        let offers = esp("aes256ctr-sha256,camellia256-aes128-sha1,aes128-aesxcbc!").unwrap();

        assert_eq!(offers.offers.len(), 1);
        assert_eq!(offers.skipped, ["aes256ctr", "camellia256", "aesxcbc"]);
        assert_eq!(esp("null-sha1,blowfish128-md5!"), Err(BadProposals::Nothing));
    }

    #[test]
    fn refuses_a_list_of_which_one_is_bad() {
        for (text, error) in [
            ("aes256-sha1-modp1024,aes512-sha1-modp1024!", BadProposals::Unknown("aes512".into())),
            ("aes256gcm16-aes256-sha1-modp1024!", BadProposals::Mixed("aes256gcm16-aes256-sha1-modp1024".into())),
            ("aes256-sha1!", BadProposals::Incomplete("aes256-sha1".into())),
            ("aes256-modp1024!", BadProposals::Incomplete("aes256-modp1024".into())),
            ("sha1-modp1024!", BadProposals::Incomplete("sha1-modp1024".into())),
            ("!", BadProposals::Unknown(String::new())),
        ] {
            assert_eq!(ike(text), Err(error), "{text}");
        }
    }

    #[test]
    fn reads_sequences_and_optional_groups_for_esp() {
        let offer = &esp("aes128gcm16-ecp256-modpnone-esn-noesn!").unwrap().offers[0];

        assert!(offer.group_optional && offer.groups == [Group::Ecp256]);
        assert_eq!(offer.extended, [true, false]);
    }
}
