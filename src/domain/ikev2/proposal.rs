//! Proposal strings in strongSwan's syntax: `a-b-c,d-e-f!`.
//!
//! Commas part proposals, hyphens part transforms, blanks and letter case do not matter. Several transforms of one kind
//! in one proposal are alternatives, the first preferred. A string without `!` at its end is not strict: the proposals of
//! [`MODERN_IKE`] or [`MODERN_ESP`] stand behind it. What is known but cannot be had here is left out of a proposal, and
//! the proposal with it where nothing of its kind remains.

use std::fmt;

use super::transform::{self, Cipher, Group, Integrity, Known, Prf};
use crate::domain::limits;

/// IKE proposals that every client of the last years takes, best first; macOS and hardened Windows need the last two.
pub const MODERN_IKE: &str = "aes256gcm16-prfsha384-ecp384,aes256gcm16-prfsha256-ecp256,\
                              chacha20poly1305-prfsha512-curve25519,aes256-sha256-ecp256,aes256-sha256-modp2048";
/// ESP proposals that every client of the last years takes, best first.
pub const MODERN_ESP: &str = "aes256gcm16,aes128gcm16,chacha20poly1305,aes256-sha256";

/// Which of the two protocols a proposal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The IKE SA itself.
    Ike,
    /// Its CHILD SAs.
    Esp,
}

/// A proposal: of each kind the alternatives, the first preferred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Encryption; never empty, and either all of them authenticate or none does.
    pub ciphers: Vec<Cipher>,
    /// Integrity; empty where the ciphers authenticate.
    pub integrity: Vec<Integrity>,
    /// Pseudorandom functions; empty for ESP.
    pub prfs: Vec<Prf>,
    /// Key exchange; empty for ESP without perfect forward secrecy.
    pub groups: Vec<Group>,
    /// Whether ESP may go without a group although it names some (`modpnone` among them).
    pub without_group: bool,
    /// Extended sequence numbers that ESP may use (`esn`, `noesn`); `[false]` where none is named.
    pub esn: Vec<bool>,
}

/// A whole string, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposals {
    text: String,
    list: Vec<Proposal>,
}

/// Why a string is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than there may be.
    #[error("too long")]
    TooLong,
    /// A proposal without a transform, as between two commas.
    #[error("an empty proposal")]
    Empty,
    /// A name that no transform has.
    #[error("unknown algorithm `{0}`")]
    Unknown(String),
    /// A proposal of `aes256gcm16` and `aes256` together.
    #[error("ciphers with and without authentication in one proposal")]
    Mixed,
    /// A kind that the protocol needs is missing.
    #[error("a proposal without {0}")]
    Missing(&'static str),
    /// Nothing that could be used is left.
    #[error("no proposal of supported algorithms")]
    Unsupported,
}

impl Proposals {
    /// Reads `text`.
    ///
    /// # Errors
    /// [`Malformed`]; one bad proposal spoils the whole string.
    pub fn parse(protocol: Protocol, text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if text.len() > limits::PROPOSALS_LENGTH {
            return Err(Malformed::TooLong);
        }
        let strict = text.strip_suffix('!');
        let mut list = read(protocol, strict.unwrap_or(text))?;
        if strict.is_none() {
            for modern in read(protocol, protocol.modern())? {
                if !list.contains(&modern) {
                    list.push(modern);
                }
            }
        }
        if list.is_empty() { Err(Malformed::Unsupported) } else { Ok(Self { text: text.to_owned(), list }) }
    }

    /// A string of this program's own, which a test has read; were it none, nothing could be agreed on.
    pub(super) fn known(protocol: Protocol, text: &str) -> Self {
        Self::parse(protocol, text).unwrap_or_else(|_| Self { text: text.to_owned(), list: Vec::new() })
    }

    /// The string as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The proposals that can be used, the first preferred. Never empty.
    pub fn list(&self) -> &[Proposal] {
        &self.list
    }
}

impl fmt::Debug for Proposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposals({})", self.text)
    }
}

impl Protocol {
    const fn modern(self) -> &'static str {
        match self {
            Self::Ike => MODERN_IKE,
            Self::Esp => MODERN_ESP,
        }
    }
}

/// Reads proposals between commas, and leaves out those of which too little is supported.
fn read(protocol: Protocol, text: &str) -> Result<Vec<Proposal>, Malformed> {
    let texts: Vec<&str> = text.split(',').collect();
    if texts.len() > limits::PROPOSALS_MAX {
        return Err(Malformed::TooLong);
    }
    let mut list = Vec::new();
    for text in texts {
        let named = Named::read(text)?;
        named.check(protocol)?;
        list.extend(named.settle(protocol).filter(|proposal| !list.contains(proposal)));
    }
    Ok(list)
}

/// What a proposal names, supported or not.
#[derive(Default)]
struct Named {
    proposal: Proposal,
    authenticated: bool,
    plain: bool,
    integrity: bool,
    prf: bool,
    group: bool,
}

impl Named {
    fn read(text: &str) -> Result<Self, Malformed> {
        let mut named = Self::default();
        for name in text.split('-').map(str::trim) {
            if name.is_empty() {
                return Err(Malformed::Empty);
            }
            named.add(transform::named(name).ok_or_else(|| Malformed::Unknown(name.chars().take(32).collect()))?);
        }
        Ok(named)
    }

    fn add(&mut self, known: Known) {
        let Proposal { ciphers, integrity, prfs, groups, without_group, esn } = &mut self.proposal;
        match known {
            Known::Cipher { authenticates, cipher } => {
                self.authenticated |= authenticates;
                self.plain |= !authenticates;
                add(ciphers, cipher);
            }
            Known::Integrity(supported) => {
                self.integrity = true;
                add(integrity, supported);
            }
            Known::Prf(supported) => {
                self.prf = true;
                add(prfs, supported);
            }
            Known::Group(supported) => {
                self.group = true;
                add(groups, supported);
            }
            Known::NoGroup => *without_group = true,
            Known::Esn(extended) => add(esn, Some(extended)),
        }
    }

    /// Refuses what no responder could make sense of, whatever it supports.
    fn check(&self, protocol: Protocol) -> Result<(), Malformed> {
        match protocol {
            _ if self.authenticated && self.plain => Err(Malformed::Mixed),
            _ if !self.authenticated && !self.plain => Err(Malformed::Missing("encryption")),
            _ if self.plain && !self.integrity => Err(Malformed::Missing("integrity")),
            Protocol::Ike if !self.prf && !self.integrity => Err(Malformed::Missing("a PRF")),
            Protocol::Ike if !self.group => Err(Malformed::Missing("a group")),
            Protocol::Ike | Protocol::Esp => Ok(()),
        }
    }

    /// What of it can be used; nothing where a kind that it names has nothing left.
    fn settle(self, protocol: Protocol) -> Option<Proposal> {
        let mut proposal = self.proposal;
        match protocol {
            Protocol::Ike => {
                // the integrity algorithm names the PRF where nothing else does
                if !self.prf {
                    proposal.prfs = proposal.integrity.iter().map(|integrity| integrity.prf()).collect();
                }
                proposal.esn.clear();
                proposal.without_group = false;
            }
            Protocol::Esp => {
                proposal.prfs.clear();
                if proposal.esn.is_empty() {
                    proposal.esn.push(false);
                }
            }
        }
        if self.authenticated {
            proposal.integrity.clear();
        }
        let lacks = proposal.ciphers.is_empty()
            || self.plain && proposal.integrity.is_empty()
            || protocol == Protocol::Ike && proposal.prfs.is_empty()
            || self.group && proposal.groups.is_empty() && !proposal.without_group;
        (!lacks).then_some(proposal)
    }
}

/// Adds an alternative that is supported and not there yet.
fn add<T: PartialEq>(alternatives: &mut Vec<T>, supported: Option<T>) {
    alternatives.extend(supported.filter(|alternative| !alternatives.contains(alternative)).into_iter().take(1));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ikev2::settings::{ESP_DEFAULT, IKE_DEFAULT};

    fn ike(text: &str) -> Result<Vec<Proposal>, Malformed> {
        Proposals::parse(Protocol::Ike, text).map(|proposals| proposals.list)
    }

    fn esp(text: &str) -> Result<Vec<Proposal>, Malformed> {
        Proposals::parse(Protocol::Esp, text).map(|proposals| proposals.list)
    }

    #[test]
    fn reads_the_defaults_of_the_contract() {
        let list = ike(IKE_DEFAULT).unwrap();
        assert_eq!(list.len(), 5);
        assert_eq!(
            list[0],
            Proposal {
                ciphers: vec![Cipher::AesCbc(256)],
                integrity: vec![Integrity::Sha1],
                prfs: vec![Prf::Sha1],
                groups: vec![Group::Modp1024],
                ..Proposal::default()
            }
        );
        assert_eq!((&list[2].integrity, &list[2].prfs), (&vec![], &vec![Prf::Sha512]));
        let list = esp(ESP_DEFAULT).unwrap();
        assert_eq!(list.len(), 5);
        assert_eq!((&list[1].ciphers, &list[1].integrity), (&vec![Cipher::ChaCha20Poly1305], &vec![]));
        assert_eq!((&list[3].groups, list[3].esn.as_slice()), (&vec![Group::Ecp384], &[false][..]));
    }

    #[test]
    fn takes_several_of_one_kind_as_alternatives_in_their_order() {
        let list = ike(" AES256 - aes128-SHA256-sha1-modp2048-x25519-modp2048! ").unwrap();

        assert_eq!(list.len(), 1);
        assert_eq!(list[0].ciphers, [Cipher::AesCbc(256), Cipher::AesCbc(128)]);
        assert_eq!(list[0].prfs, [Prf::Sha256, Prf::Sha1]);
        assert_eq!(list[0].groups, [Group::Modp2048, Group::Curve25519]);
    }

    #[test]
    fn takes_the_prf_of_an_authenticating_cipher_from_an_integrity_algorithm() {
        assert_eq!(ike("aes256gcm16-sha384-ecp384!"), ike("aes256gcm16-prfsha384-ecp384!"));
        assert_eq!(ike("aes256gcm16-ecp384!"), Err(Malformed::Missing("a PRF")));
    }

    #[test]
    fn stands_behind_a_string_that_is_not_strict_with_modern_proposals() {
        assert_eq!(ike("3des-sha1-modp1024!").unwrap().len(), 1);
        assert_eq!(ike("3des-sha1-modp1024").unwrap().len(), 6);
        // what is there already does not stand there twice
        assert_eq!(esp(MODERN_ESP).unwrap().len(), 4);
    }

    #[test]
    fn leaves_out_what_is_known_and_cannot_be_had() {
        let list = ike("aes256ctr-sha256-modp2048,aes256-aes128ctr-sha256-aesxcbc-modp2048-modp6144!").unwrap();
        assert_eq!(list, ike("aes256-sha256-modp2048!").unwrap());
        // never weaker than what was asked for: neither without integrity nor without the group
        assert_eq!(esp("aes128-aesxcbc!"), Err(Malformed::Unsupported));
        assert_eq!(esp("aes128gcm16-modp8192!"), Err(Malformed::Unsupported));
        assert_eq!(ike("aes128-sha1-prfaescmac-modp2048!"), Err(Malformed::Unsupported));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for (text, why) in [
            ("", Malformed::Empty),
            ("!", Malformed::Empty),
            ("aes256-sha1-modp1024,!", Malformed::Empty),
            ("aes256--sha1-modp1024", Malformed::Empty),
            ("aes256-sha1-modp1025", Malformed::Unknown("modp1025".into())),
            ("aes256!-sha1-modp1024", Malformed::Unknown("aes256!".into())),
            ("aes256-aes256gcm16-sha1-modp1024", Malformed::Mixed),
            ("sha1-modp1024", Malformed::Missing("encryption")),
            ("aes256-modp1024", Malformed::Missing("integrity")),
            ("aes256-sha1", Malformed::Missing("a group")),
            ("aes256-sha1-modp1024,blowfish-sha1!", Malformed::Missing("a group")),
            ("blowfish-sha1-modp1024!", Malformed::Unsupported),
        ] {
            assert_eq!(ike(text), Err(why), "{text}");
        }
        assert_eq!(esp("aes256"), Err(Malformed::Missing("integrity")));
        let long = vec!["aes256-sha1-modp1024"; limits::PROPOSALS_MAX + 1].join(",");
        assert_eq!(ike(&long), Err(Malformed::TooLong));
        assert_eq!(ike(&"a".repeat(limits::PROPOSALS_LENGTH + 1)), Err(Malformed::TooLong));
    }

    #[test]
    fn knows_perfect_forward_secrecy_and_extended_sequence_numbers() {
        let list = esp("aes256gcm16-ecp384-modpnone-esn-noesn!").unwrap();
        assert_eq!((list[0].without_group, list[0].esn.as_slice()), (true, &[true, false][..]));
        assert_eq!(list[0].groups, [Group::Ecp384]);
    }

    #[test]
    fn keeps_the_string_as_it_was_given() {
        let text = "AES256-SHA1-MODP1024 , 3des-sha1-modp1024!";
        assert_eq!(Proposals::parse(Protocol::Ike, &format!(" {text}\n")).unwrap().as_str(), text);
    }

    proptest! {
        #[test]
        fn settles_only_whole_proposals(text in "[a-z0-9,!-]{0,64}|((aes256|aes128gcm16|3des|camellia128)(-(sha1|md5|prfsha256|ecp256|modp768|esn|modpnone)){0,4},?){0,4}!?") {
            for protocol in [Protocol::Ike, Protocol::Esp] {
                let Ok(proposals) = Proposals::parse(protocol, &text) else { continue };
                prop_assert!(!proposals.list().is_empty());
                for proposal in proposals.list() {
                    let authenticates = proposal.ciphers[0].authenticates();
                    prop_assert!(proposal.ciphers.iter().all(|cipher| cipher.authenticates() == authenticates));
                    prop_assert_eq!(proposal.integrity.is_empty(), authenticates);
                    prop_assert_eq!(proposal.prfs.is_empty(), protocol == Protocol::Esp);
                    prop_assert_eq!(proposal.esn.is_empty(), protocol == Protocol::Ike);
                    prop_assert!(protocol == Protocol::Esp || !proposal.groups.is_empty());
                }
            }
        }
    }
}
