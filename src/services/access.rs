//! Who may call: access hashes, made, listed, removed and checked.

use std::net::IpAddr;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{Caller, Error, Ground};
use crate::domain::access::{AccessEntry, Authority};
use crate::domain::audit::{Deed, Kind};
use crate::domain::hex::hex;
use crate::domain::limits::{ACCESS_HASH_BYTES, LABEL_LENGTH, LAST_LOGIN_GRAIN};
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

    /// Makes an access hash that works from `ip` alone, and returns it: 80 hex digits, shown this once.
    ///
    /// # Errors
    /// `FieldMalformed` for a label that is empty, too long or not printable and for what is no address, `NameTaken` for
    /// a label that is in use.
    pub async fn add(&self, by: &Caller, label: &str, ip: &str) -> Result<String, Error> {
        let (label, ip) = (checked_label(label)?, checked_address(ip)?);
        let (shown, entry) = make(label.clone(), ip, clock::timestamp());
        let rule = move |change: &mut Change| {
            let book = change.access();
            // one name is one caller in the audit log
            if book.entries.contains_key(&entry.label) || book.users.contains_key(entry.label.as_str()) {
                return Err(Refusal::NameTaken);
            }
            change.put_access(entry);
            let text = format!("Added an access hash for `{label}` from {ip}");
            Ok(((), Deed::to(Kind::Access, &label, text)))
        };
        self.ground.write(by, rule).await?;
        Ok(shown)
    }

    /// Every access hash, by label; the hashes themselves are not kept.
    pub fn list(&self) -> Vec<AccessEntry> {
        self.ground.store.access().entries.values().cloned().collect()
    }

    /// Removes an access hash.
    ///
    /// # Errors
    /// `AccessNotFound`.
    pub async fn remove(&self, by: &Caller, label: &str) -> Result<(), Error> {
        let removed = label.to_owned();
        let rule = move |change: &mut Change| {
            change.remove_access(&removed)?;
            let text = format!("Removed the access hash for `{removed}`");
            Ok(((), Deed::to(Kind::Access, &removed, text)))
        };
        self.ground.write(by, rule).await
    }

    /// Who shows this hash from this address, if it is valid there. Takes the same time for every wrong hash, and for a
    /// right one from a wrong address.
    pub fn check(&self, hash: &str, ip: IpAddr) -> Option<Caller> {
        let (digest, well_formed) = digest_of(hash);
        let (book, ip) = (self.ground.store.access(), ip.to_canonical());
        let mut found = None;
        for entry in book.entries.values() {
            let right = entry.digest.ct_eq(&digest) & well_formed & Choice::from(u8::from(entry.ip == ip));
            if bool::from(right) {
                found = Some(entry);
            }
        }
        let entry = found?;
        self.record_use(entry, clock::timestamp());
        Some(Caller { label: entry.label.clone(), address: Some(ip), authority: Authority::Admin })
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

/// Makes a hash, and the entry that will know it again. Times are kept to the millisecond.
pub(super) fn make(label: String, ip: IpAddr, at: Timestamp) -> (String, AccessEntry) {
    let secret: [u8; ACCESS_HASH_BYTES] = entropy::bytes();
    let entry = AccessEntry { label, ip, digest: Sha256::digest(secret).into(), created: at, last_login: None };
    (hex(&secret), entry)
}

fn is_stale(entry: &AccessEntry, at: Timestamp) -> bool {
    entry.last_login.is_none_or(|last| at.as_second() - last.as_second() >= LAST_LOGIN_GRAIN)
}

fn checked_label(label: &str) -> Result<String, Refusal> {
    let label = label.trim();
    let fits = (1..=LABEL_LENGTH).contains(&label.len()) && !label.chars().any(char::is_control);
    let rule = "1 to 128 bytes of printable text";
    if fits { Ok(label.to_owned()) } else { Err(Refusal::FieldMalformed { field: "label", rule }) }
}

fn checked_address(ip: &str) -> Result<IpAddr, Refusal> {
    let ip: IpAddr = ip.trim().parse().map_err(|_| Refusal::FieldMalformed { field: "ip", rule: "an IP address" })?;
    Ok(ip.to_canonical())
}

/// The digest of the bytes that `hash` spells, and whether it spells so many bytes at all. What does not is digested too.
fn digest_of(hash: &str) -> ([u8; 32], Choice) {
    let mut secret = [0; ACCESS_HASH_BYTES];
    let mut well_formed = hash.len() == 2 * ACCESS_HASH_BYTES;
    for (byte, digits) in secret.iter_mut().zip(hash.as_bytes().as_chunks::<2>().0) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (digit(digits[0]), digit(digits[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => well_formed = false,
        }
    }
    (Sha256::digest(secret).into(), Choice::from(u8::from(well_formed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_hash_again_in_either_letter_case() {
        let (shown, entry) = make("a".into(), IpAddr::from([127, 0, 0, 1]), Timestamp::UNIX_EPOCH);
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

    #[test]
    fn refuses_labels_that_would_break_a_line_or_a_table() {
        for label in ["", "  ", "a\nb", &"x".repeat(129)] {
            assert!(checked_label(label).is_err(), "{label:?}");
        }
        assert_eq!(checked_label(" billing.example.com "), Ok("billing.example.com".into()));
    }

    #[test]
    fn writes_a_mapped_address_as_the_ipv4_address_that_it_is() {
        assert_eq!(checked_address("::ffff:10.1.2.3"), Ok(IpAddr::from([10, 1, 2, 3])));
        assert!(checked_address("10.1.2").is_err());
    }
}
