//! Who may call: access hashes, made, listed, removed and checked.

use std::net::IpAddr;

use super::{Caller, Error, missing};
use crate::domain::access::AccessEntry;

/// The use cases of access hashes.
#[derive(Debug, Clone)]
pub struct Access {}

impl Access {
    /// Makes an access hash that works from `ip` alone, and returns it: 80 hex digits, shown this once.
    ///
    /// # Errors
    /// `FieldMalformed` for a label that is empty, too long or taken, and for what is no address.
    pub async fn add(&self, _by: &Caller, _label: &str, _ip: &str) -> Result<String, Error> {
        Err(missing())
    }

    /// Every access hash, by label; the hashes themselves are not kept.
    pub fn list(&self) -> Vec<AccessEntry> {
        Vec::new()
    }

    /// Removes an access hash.
    ///
    /// # Errors
    /// `AccessNotFound`.
    pub async fn remove(&self, _by: &Caller, _label: &str) -> Result<(), Error> {
        Err(missing())
    }

    /// Who shows this hash from this address, if it is valid there. Takes the same time for every wrong hash.
    pub fn check(&self, _hash: &str, _ip: IpAddr) -> Option<Caller> {
        None
    }
}
