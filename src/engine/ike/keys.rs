//! Keys of associations, from the secrets that both sides have: RFC 7296, sections 2.14, 2.15, 2.17 and 2.18.

use zeroize::Zeroizing;

use super::crypto::prf::Prf;
use super::message::header::Spis;
use super::proposal::IkeSuite;
use crate::engine::esp::protection::{Protection, Unauthentic};
use crate::engine::esp::suite::Suite;

/// A secret that is wiped when dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// What AUTH by a shared key is made with besides the key.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// Keys of an IKE association that outlive its beginning.
#[derive(Clone, PartialEq, Eq)]
pub struct IkeKeys {
    /// Derives children's keys and successors' (`SK_d`).
    pub d: Secret,
    /// The initiator's integrity key (`SK_ai`).
    pub ai: Secret,
    /// The responder's integrity key (`SK_ar`).
    pub ar: Secret,
    /// The initiator's encryption key (`SK_ei`).
    pub ei: Secret,
    /// The responder's encryption key (`SK_er`).
    pub er: Secret,
    /// The initiator's key for AUTH (`SK_pi`).
    pub pi: Secret,
    /// The responder's key for AUTH (`SK_pr`).
    pub pr: Secret,
}

impl std::fmt::Debug for IkeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IkeKeys")
    }
}

/// The seed of a first association's keys: RFC 7296, section 2.14.
pub fn skeyseed(prf: Prf, nonces: [&[u8]; 2], shared: &[u8]) -> Secret {
    prf.of(&nonces.concat(), &[shared])
}

/// The seed of a successor's keys: RFC 7296, section 2.18. `old` and `d` are of the association that it follows.
pub fn skeyseed_of_successor(old: Prf, d: &[u8], nonces: [&[u8]; 2], shared: &[u8]) -> Secret {
    old.of(d, &[shared, nonces[0], nonces[1]])
}

impl IkeKeys {
    /// Stretches the seed: RFC 7296, section 2.14.
    pub fn derive(suite: &IkeSuite, skeyseed: &[u8], nonces: [&[u8]; 2], spis: Spis) -> Self {
        let (own, protection) = (suite.prf.output_len(), suite.protection);
        let (integrity, encryption) = (protection.integrity_key_len(), protection.encryption.key_len());
        let spis = [spis.initiator.to_be_bytes(), spis.responder.to_be_bytes()];
        let length = 3 * own + 2 * integrity + 2 * encryption;
        let stream = suite.prf.plus(skeyseed, &[nonces[0], nonces[1], &spis[0], &spis[1]], length);
        let mut rest = &stream[..];
        let mut take = |length: usize| {
            let (key, more) = rest.split_at(length);
            rest = more;
            Zeroizing::new(key.to_vec())
        };
        Self {
            d: take(own),
            ai: take(integrity),
            ar: take(integrity),
            ei: take(encryption),
            er: take(encryption),
            pi: take(own),
            pr: take(own),
        }
    }

    /// What protects the initiator's and the responder's messages.
    ///
    /// # Errors
    /// [`Unauthentic`] where the keys are not of this suite.
    pub fn protections(&self, suite: Suite) -> Result<[Protection; 2], Unauthentic> {
        Ok([Protection::new(suite, &self.ei, &self.ai)?, Protection::new(suite, &self.er, &self.ar)?])
    }
}

/// Keys of a child in one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct ChildKeys {
    /// The encryption's, with its salt.
    pub encryption: Secret,
    /// The integrity's; empty where the encryption authenticates.
    pub integrity: Secret,
}

/// A child's keys, of what the exchange's initiator sends and of what its responder sends: RFC 7296, section 2.17.
/// `shared` is empty without an exchange of its own.
pub fn child(prf: Prf, d: &[u8], shared: &[u8], nonces: [&[u8]; 2], suite: Suite) -> [ChildKeys; 2] {
    let (encryption, one) = (suite.encryption.key_len(), suite.keymat_len());
    let stream = prf.plus(d, &[shared, nonces[0], nonces[1]], 2 * one);
    [0, one].map(|at| ChildKeys {
        encryption: Zeroizing::new(stream[at..at + encryption].to_vec()),
        integrity: Zeroizing::new(stream[at + encryption..at + one].to_vec()),
    })
}

/// What a side signs: its first message, the other's nonce, and its identity under its own key. RFC 7296, section 2.15.
pub fn auth_octets(prf: Prf, first_message: &[u8], other_nonce: &[u8], p: &[u8], identity: &[u8]) -> Vec<u8> {
    [first_message, other_nonce, &prf.of(p, &[identity])].concat()
}

/// AUTH by a shared key: RFC 7296, section 2.15; with EAP the key is the MSK (section 2.16).
pub fn auth_of_shared_key(prf: Prf, key: &[u8], octets: &[u8]) -> Secret {
    prf.of(&prf.of(key, &[KEY_PAD]), &[octets])
}
