//! What we agree to: lists of algorithms, from texts, and what is chosen of a peer's offer.

pub mod choice;
pub mod names;
pub mod text;

use crate::engine::esp::suite::{Encryption, Integrity, Suite};

use super::crypto::group::Group;
use super::crypto::prf::Prf;

/// Algorithms of an IKE association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IkeSuite {
    /// What protects its messages.
    pub protection: Suite,
    /// What derives its keys.
    pub prf: Prf,
    /// Where its secret comes from.
    pub group: Group,
}

/// Algorithms of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EspSuite {
    /// What protects its packets.
    pub protection: Suite,
    /// Where its own secret comes from, if it has one (perfect forward secrecy).
    pub group: Option<Group>,
    /// Whether its sequence numbers have 64 bits.
    pub extended: bool,
}

/// Alternatives that we take, each kind in our order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Encryptions, all of one kind: with or without authentication.
    pub encryptions: Vec<Encryption>,
    /// Integrities; empty where the encryptions authenticate.
    pub integrities: Vec<Integrity>,
    /// Pseudo-random functions; empty for ESP.
    pub prfs: Vec<Prf>,
    /// Groups; for ESP often empty.
    pub groups: Vec<Group>,
    /// Whether a child may do without a group although there are some.
    pub group_optional: bool,
    /// Whether sequence numbers may have 64 bits, in our order; empty for IKE.
    pub extended: Vec<bool>,
}
