//! Who may call: access hashes, made, listed, removed and checked.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{Caller, Error, Ground};
use crate::domain::access::{AccessBook, AccessDraft, AccessEntry, Authority, PanelUser, Right, Role};
use crate::domain::audit::{Deed, Kind};
use crate::domain::hex::{hex, unhex};
use crate::domain::limits::{self, ACCESS_HASH_BYTES, LAST_LOGIN_GRAIN};
use crate::domain::refusal::Refusal;
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// The use cases of access hashes.
#[derive(Debug, Clone)]
pub struct Access {
    ground: Ground,
}

impl Access {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// Makes an access hash, and returns it: 80 hex digits, shown this once.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `NameTaken` for a label that is in use (also by a user of the panel), and the
    /// refusals of [`AccessDraft`].
    pub async fn add(&self, by: &Caller, draft: AccessDraft) -> Result<String, Error> {
        by.must(Right::Administer)?;
        let terms = draft.settle(&self.ground.time_zone())?;
        let (shown, entry) = make(terms.label.clone(), terms.net, clock::timestamp());
        let rule = move |change: &mut Change| {
            let scope = terms.scope(|name| change.access().users.get(name))?;
            Ok(((), put_new(change, AccessEntry { scope, expires: terms.expires, ..entry })?))
        };
        self.ground.write(by, rule).await?;
        Ok(shown)
    }

    /// Makes an access hash for the user who asks, and returns it: 80 hex digits, shown this once. It is of exactly what he
    /// may himself, and named after him.
    ///
    /// # Errors
    /// `NotAllowed` to all but the panel's users, and to admins, who make hashes by [`Self::add`]; `NameTaken`,
    /// `AccessExceeded`, and the refusals of [`AccessDraft`].
    pub async fn add_own(&self, by: &Caller, draft: AccessDraft) -> Result<String, Error> {
        let random = entropy::bytes();
        let (asks, zone, at) = (by.clone(), self.ground.time_zone(), clock::timestamp());
        let rule = move |change: &mut Change| {
            let user = owner(change.access(), &asks)?;
            let terms = draft.own(user).settle(&zone)?;
            let scope = terms.scope(|name| change.access().users.get(name))?;
            if change.access().own_of(&asks.label).count() >= limits::ACCESS_OF_USER {
                return Err(Refusal::AccessExceeded);
            }
            let entry = AccessEntry {
                scope,
                expires: terms.expires,
                owner: Some(user.name.clone()),
                ..entry(terms.label, terms.net, &random, at)
            };
            Ok(((), put_new(change, entry)?))
        };
        self.ground.write_own(by, rule).await?;
        Ok(hex(&random))
    }

    /// The access hashes that the user who asks has made for himself, by label.
    ///
    /// # Errors
    /// As [`Self::add_own`] to who may make none.
    pub fn list_own(&self, by: &Caller) -> Result<Vec<AccessEntry>, Error> {
        let book = self.ground.store.access();
        let user = owner(&book, by)?;
        Ok(book.own_of(user.name.as_str()).cloned().collect())
    }

    /// Removes an access hash that the user who asks has made for himself.
    ///
    /// # Errors
    /// As [`Self::add_own`] to who may make none; `AccessNotFound` also for one that is not his own.
    pub async fn remove_own(&self, by: &Caller, label: &str) -> Result<(), Error> {
        let (asks, removed) = (by.clone(), label.to_owned());
        let rule = move |change: &mut Change| {
            let user = owner(change.access(), &asks)?;
            if !change.access().own_of(user.name.as_str()).any(|entry| entry.label == removed) {
                return Err(Refusal::AccessNotFound);
            }
            Ok(((), removal(change, &removed)?))
        };
        self.ground.write_own(by, rule).await
    }

    /// Every access hash, by label; the hashes themselves are not kept.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins.
    pub fn list(&self, by: &Caller) -> Result<Vec<AccessEntry>, Error> {
        by.must(Right::Administer)?;
        Ok(self.ground.store.access().entries.values().cloned().collect())
    }

    /// Removes an access hash.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `AccessNotFound`.
    pub async fn remove(&self, by: &Caller, label: &str) -> Result<(), Error> {
        by.must(Right::Administer)?;
        let removed = label.to_owned();
        let rule = move |change: &mut Change| Ok(((), removal(change, &removed)?));
        self.ground.write(by, rule).await
    }

    /// Who shows this hash from this address, if it is valid there. Takes the same time for every wrong hash, and for a
    /// right one from a wrong address.
    pub fn check(&self, hash: &str, ip: IpAddr) -> Option<Caller> {
        self.check_at(hash, ip, clock::timestamp())
    }

    /// [`Self::check`], at a moment of the caller's.
    pub(super) fn check_at(&self, hash: &str, ip: IpAddr, at: Timestamp) -> Option<Caller> {
        let (digest, well_formed) = digest_of(hash);
        let (book, ip) = (self.ground.store.access(), ip.to_canonical());
        let mut found = None;
        for entry in book.entries.values() {
            let right = entry.digest.ct_eq(&digest) & well_formed & Choice::from(u8::from(entry.admits(ip, at)));
            if bool::from(right) {
                found = Some(entry);
            }
        }
        let entry = found?;
        let authority = entry.authority(|name| book.users.get(name).map(|user| user.role))?;
        self.record_use(entry, at);
        Some(Caller { label: entry.label.clone(), address: Some(ip), authority })
    }

    /// Keeps when the hash was used, unless that was kept a moment ago.
    fn record_use(&self, entry: &AccessEntry, at: Timestamp) {
        if !is_stale(entry, at) {
            return;
        }
        let (label, digest) = (entry.label.clone(), entry.digest);
        self.ground.store.write_soon(move |change| {
            let present = change.access().entries.get(&label).filter(|entry| entry.digest == digest);
            if let Some(entry) = present.filter(|entry| is_stale(entry, at)).cloned() {
                change.put_access(AccessEntry { last_login: Some(at), ..entry });
            }
            Ok(())
        });
    }
}

/// The user who asks, if he may have access hashes of his own. An admin's would do nothing that others of him do not.
fn owner<'a>(book: &'a AccessBook, by: &Caller) -> Result<&'a PanelUser, Refusal> {
    book.asking(by).filter(|user| user.role != Role::Admin).ok_or(Refusal::NotAllowed)
}

/// Stores a new access hash, and says what that was.
fn put_new(change: &mut Change, entry: AccessEntry) -> Result<Deed, Refusal> {
    let book = change.access();
    // one name is one caller in the audit log
    if book.entries.contains_key(&entry.label) || book.users.contains_key(entry.label.as_str()) {
        return Err(Refusal::NameTaken);
    }
    let scope = match (&entry.owner, &entry.scope) {
        (Some(owner), scope) => format!(", {}, user `{owner}`'s own", scope.role()),
        (None, Authority::Admin) => String::new(),
        (None, Authority::Reseller(name)) => format!(", of reseller `{name}`"),
        (None, scope @ (Authority::Operator | Authority::ReadOnly)) => format!(", {}", scope.role()),
    };
    let end = entry.expires.map_or_else(String::new, |end| format!(", until {end}"));
    let text = format!("Added an access hash for `{}` from {}{scope}{end}", entry.label, entry.from_where());
    let deed = Deed::to(Kind::Access, &entry.label, text);
    change.put_access(entry);
    Ok(deed)
}

/// Removes an access hash, and says what that was.
fn removal(change: &mut Change, label: &str) -> Result<Deed, Refusal> {
    change.remove_access(label)?;
    Ok(Deed::to(Kind::Access, label, format!("Removed the access hash for `{label}`")))
}

/// Makes an admin's hash that does not end, and the entry that will know it again. Times are kept to the millisecond.
pub(super) fn make(label: String, net: IpNet, at: Timestamp) -> (String, AccessEntry) {
    let secret = entropy::bytes();
    (hex(&secret), entry(label, net, &secret, at))
}

/// The entry of an admin's hash that does not end, of these bytes.
fn entry(label: String, net: IpNet, secret: &[u8; ACCESS_HASH_BYTES], at: Timestamp) -> AccessEntry {
    let digest = Sha256::digest(secret).into();
    let scope = Authority::Admin;
    AccessEntry { label, net, digest, created: at, last_login: None, scope, expires: None, owner: None }
}

fn is_stale(entry: &AccessEntry, at: Timestamp) -> bool {
    entry.last_login.is_none_or(|last| at.as_second() - last.as_second() >= LAST_LOGIN_GRAIN)
}

/// The digest of the bytes that `hash` spells, and whether it spells so many bytes at all. What does not is digested too.
fn digest_of(hash: &str) -> ([u8; 32], Choice) {
    let spelt = unhex::<ACCESS_HASH_BYTES>(hash);
    (Sha256::digest(spelt.unwrap_or([0; ACCESS_HASH_BYTES])).into(), Choice::from(u8::from(spelt.is_some())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_hash_again_in_either_letter_case() {
        let (shown, entry) = make("a".into(), IpNet::from(IpAddr::from([127, 0, 0, 1])), Timestamp::UNIX_EPOCH);
        assert_eq!(shown.len(), 80);
        for text in [shown.clone(), shown.to_uppercase()] {
            let (digest, well_formed) = digest_of(&text);
            assert!(digest == entry.digest && bool::from(well_formed));
        }
    }

    #[test]
    fn takes_nothing_but_80_hex_digits() {
        let long = "0".repeat(82);
        let foreign = format!("{}zz", "0".repeat(78));
        let accented = "é".repeat(40);
        for text in ["", "0", &long[..79], &long, &foreign, &accented] {
            assert!(!bool::from(digest_of(text).1), "{text:?}");
        }
        assert!(bool::from(digest_of(&long[..80]).1));
    }
}
