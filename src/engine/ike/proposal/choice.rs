//! What we choose of an offer: the first of **our** list that it satisfies, in our order within (RFC 7296, section 2.7).

use super::super::crypto::group::Group;
use super::super::message::proposal::{Proposal, Protocol, Transform, kind};
use super::names;
use super::{EspSuite, IkeSuite, Offer};
use crate::engine::esp::suite::Suite;

/// A choice, with what the answer repeats of the proposal that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<T> {
    /// The algorithms.
    pub suite: T,
    /// The proposal's number.
    pub number: u8,
    /// The sender's SPI.
    pub spi: Vec<u8>,
}

/// Whether a child's key exchange is part of what is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange<'a> {
    /// The first child has no exchange of its own: groups are passed over.
    None,
    /// A later child may have one, in one of these groups where our own offer names none.
    Possible(&'a [Group]),
}

/// Whether the proposal has this transform; a cipher of one size may come with that size or without.
fn has(proposal: &Proposal, wanted: Transform) -> bool {
    let fits = |bits: Option<u16>| {
        bits == wanted.key_bits || wanted.key_bits.is_none() && wanted.kind == kind::ENCRYPTION && bits == Some(256)
    };
    let mut transforms = proposal.transforms.iter();
    transforms.any(|have| !have.strange && have.kind == wanted.kind && have.id == wanted.id && fits(have.key_bits))
}

fn first<T: Copy>(proposal: &Proposal, ours: &[T], transform: impl Fn(T) -> Transform) -> Option<T> {
    ours.iter().copied().find(|one| has(proposal, transform(*one)))
}

fn protection(proposal: &Proposal, ours: &Offer) -> Option<Suite> {
    let encryption = first(proposal, &ours.encryptions, names::encryption)?;
    if encryption.is_aead() {
        return Some(Suite::aead(encryption));
    }
    Some(Suite::pair(encryption, first(proposal, &ours.integrities, names::integrity)?))
}

fn choose<T>(
    ours: &[Offer],
    theirs: &[Proposal],
    protocol: Protocol,
    fit: impl Fn(&Offer, &Proposal) -> Option<T>,
) -> Option<Chosen<T>> {
    let theirs = || theirs.iter().filter(|proposal| proposal.protocol == protocol.number());
    ours.iter().find_map(|offer| {
        theirs().find_map(|proposal| {
            let suite = fit(offer, proposal)?;
            Some(Chosen { suite, number: proposal.number, spi: proposal.spi.clone() })
        })
    })
}

/// Chooses the algorithms of an IKE association.
pub fn ike(ours: &[Offer], theirs: &[Proposal]) -> Option<Chosen<IkeSuite>> {
    choose(ours, theirs, Protocol::Ike, |offer, proposal| {
        Some(IkeSuite {
            protection: protection(proposal, offer)?,
            prf: first(proposal, &offer.prfs, names::prf)?,
            group: first(proposal, &offer.groups, names::group)?,
        })
    })
}

/// Chooses the algorithms of a child. A group of ours is wanted but not insisted upon: clients differ too much.
pub fn esp(ours: &[Offer], theirs: &[Proposal], exchange: Exchange<'_>) -> Option<Chosen<EspSuite>> {
    choose(ours, theirs, Protocol::Esp, |offer, proposal| {
        if proposal.spi.len() != 4 {
            return None;
        }
        Some(EspSuite {
            protection: protection(proposal, offer)?,
            group: group(offer, proposal, exchange)?,
            extended: sequences(offer, proposal)?,
        })
    })
}

/// The group of a child: none, or one; `None` where the offer wants one that we do not have.
#[expect(clippy::option_option, reason = "no group is a choice, no choice is another thing")]
fn group(offer: &Offer, proposal: &Proposal, exchange: Exchange<'_>) -> Option<Option<Group>> {
    let Exchange::Possible(others) = exchange else { return Some(None) };
    let mut wanted = proposal.transforms.iter().filter(|transform| transform.kind == kind::GROUP).peekable();
    if wanted.peek().is_none() {
        return Some(None);
    }
    let without = wanted.any(|transform| transform.id == 0);
    let ours = if offer.groups.is_empty() { others } else { &offer.groups };
    match first(proposal, ours, names::group) {
        Some(group) => Some(Some(group)),
        None => without.then_some(None),
    }
}

/// Long or short sequence numbers; who offers neither means short ones.
fn sequences(offer: &Offer, proposal: &Proposal) -> Option<bool> {
    let silent = !proposal.transforms.iter().any(|transform| transform.kind == kind::SEQUENCES);
    let only_long = !silent && !has(proposal, names::extended(false));
    match first(proposal, &offer.extended, names::extended) {
        Some(extended) => Some(extended),
        // long ones cost nothing: they are taken from whoever has no others
        None if only_long && has(proposal, names::extended(true)) => Some(true),
        None => (silent && offer.extended.contains(&false)).then_some(false),
    }
}

/// The answer to an offer for IKE, or the only proposal of ours for a successor.
pub fn ike_proposal(suite: IkeSuite, number: u8, spi: &[u8]) -> Proposal {
    let mut transforms = vec![names::encryption(suite.protection.encryption)];
    transforms.extend(suite.protection.integrity.map(names::integrity));
    transforms.extend([names::prf(suite.prf), names::group(suite.group)]);
    Proposal { number, protocol: Protocol::Ike.number(), spi: spi.to_vec(), transforms }
}

/// The answer to an offer for a child, or the only proposal of ours for a successor.
pub fn esp_proposal(suite: EspSuite, number: u8, spi: u32) -> Proposal {
    let mut transforms = vec![names::encryption(suite.protection.encryption)];
    transforms.extend(suite.protection.integrity.map(names::integrity));
    transforms.extend(suite.group.map(names::group));
    transforms.push(names::extended(suite.extended));
    Proposal { number, protocol: Protocol::Esp.number(), spi: spi.to_be_bytes().to_vec(), transforms }
}

#[cfg(test)]
mod tests {
    use super::super::super::crypto::prf::Prf;
    use super::super::text;
    use super::*;
    use crate::engine::esp::suite::{Encryption, Integrity};

    const CONTRACT_IKE: &str = "aes256-sha1-modp1024,aes128-sha1-modp1024,chacha20poly1305-sha512-curve25519-prfsha512,\
        aes256gcm16-sha384-prfsha384-ecp384,3des-sha1-modp1024!";

    fn offered(protocol: Protocol, number: u8, transforms: Vec<Transform>) -> Proposal {
        let spi = if protocol == Protocol::Esp { vec![1, 2, 3, 4] } else { vec![] };
        Proposal { number, protocol: protocol.number(), spi, transforms }
    }

    fn ike_offer(number: u8, encryptions: &[Encryption], hashes: &[(Integrity, Prf)], groups: &[Group]) -> Proposal {
        let mut transforms: Vec<Transform> = encryptions.iter().copied().map(names::encryption).collect();
        transforms.extend(hashes.iter().map(|hash| names::integrity(hash.0)));
        transforms.extend(hashes.iter().map(|hash| names::prf(hash.1)));
        transforms.extend(groups.iter().copied().map(names::group));
        offered(Protocol::Ike, number, transforms)
    }

    const SHA1: (Integrity, Prf) = (Integrity::Sha1, Prf::Sha1);
    const SHA256: (Integrity, Prf) = (Integrity::Sha256, Prf::Sha256);

    #[test]
    fn takes_the_first_of_our_list_not_of_theirs() {
        let ours = text::ike(CONTRACT_IKE).unwrap();
        let theirs = [
            ike_offer(1, &[Encryption::TripleDes], &[SHA1], &[Group::Modp1024]),
            ike_offer(2, &[Encryption::Aes128Cbc, Encryption::Aes256Cbc], &[SHA256, SHA1], &[Group::Modp1024]),
        ];

        let chosen = ike(&ours, &theirs).unwrap();

        let protection = Suite::pair(Encryption::Aes256Cbc, Integrity::Sha1);
        assert_eq!(chosen.suite, IkeSuite { protection, prf: Prf::Sha1, group: Group::Modp1024 });
        assert_eq!(chosen.number, 2);
    }

    #[test]
    fn refuses_macos_with_the_contracts_defaults_as_the_reference_does() {
        let ours = text::ike(CONTRACT_IKE).unwrap();

        assert!(ike(&ours, &[ike_offer(1, &[Encryption::Aes256Cbc], &[SHA256], &[Group::Modp2048])]).is_none());
    }

    fn esp_offer(transforms: &[Transform]) -> [Proposal; 1] {
        let base = [names::encryption(Encryption::Aes256Gcm)];
        [offered(Protocol::Esp, 7, [&base, transforms].concat())]
    }

    #[test]
    fn treats_a_group_as_wanted_but_not_as_needed() {
        let ours = text::esp("aes256gcm16-ecp384!").unwrap();
        let others = [Group::Modp2048];
        let possible = Exchange::Possible(&others);
        let group = |theirs: &[Proposal], exchange| esp(&ours, theirs, exchange).map(|chosen| chosen.suite.group);

        assert_eq!(group(&esp_offer(&[names::group(Group::Ecp384)]), possible), Some(Some(Group::Ecp384)));
        assert_eq!(group(&esp_offer(&[names::group(Group::Ecp384)]), Exchange::None), Some(None));
        assert_eq!(group(&esp_offer(&[]), possible), Some(None));
        assert_eq!(group(&esp_offer(&[names::group(Group::Modp1536)]), possible), None);
    }

    #[test]
    fn takes_groups_of_ike_where_esp_names_none() {
        let ours = text::esp("aes256gcm16!").unwrap();
        let theirs = esp_offer(&[names::group(Group::Modp2048)]);

        let chosen = esp(&ours, &theirs, Exchange::Possible(&[Group::Modp2048])).unwrap();

        assert_eq!((chosen.suite.group, chosen.number), (Some(Group::Modp2048), 7));
        assert!(esp(&ours, &theirs, Exchange::Possible(&[])).is_none());
    }

    #[test]
    fn chooses_sequence_numbers() {
        let (short, long) = (names::extended(false), names::extended(true));
        for (ours, theirs, expected) in [
            ("aes256gcm16!", &[short, long][..], Some(false)),
            ("aes256gcm16-esn-noesn!", &[short, long], Some(true)),
            ("aes256gcm16!", &[long], Some(true)),
            ("aes256gcm16-esn!", &[short], None),
            ("aes256gcm16!", &[], Some(false)),
        ] {
            let ours = text::esp(ours).unwrap();
            let chosen = esp(&ours, &esp_offer(theirs), Exchange::None);
            assert_eq!(chosen.map(|chosen| chosen.suite.extended), expected, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn never_chooses_what_has_an_attribute_that_nobody_knows_or_another_size() {
        let ours = text::esp("aes256gcm16!").unwrap();
        let mut strange = esp_offer(&[]);
        strange[0].transforms[0].strange = true;
        let mut other = esp_offer(&[]);
        other[0].transforms[0].key_bits = None;

        assert!(esp(&ours, &strange, Exchange::None).is_none() && esp(&ours, &other, Exchange::None).is_none());
    }
}
