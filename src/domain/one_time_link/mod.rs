//! A one-time link: a key that shows one account's configuration once.

mod settings;
mod settle;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use self::settings::{
    BUTTON_LABELS, BUTTON_LINKS, BUTTONS, Button, Buttons, LinkIkev2, LinkPage, LinkSettings, LinkWireguard,
};
pub use self::settle::{ButtonDraft, LinkIkev2Draft, LinkPageDraft, LinkWireguardDraft};
use super::hex::{hex, unhex};
use super::limits;
use super::name::AccountName;
use super::refusal::Refusal;

/// The secret of a link, which its address ends with: 40 random bytes, read and written as 80 hex digits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct LinkKey([u8; limits::LINK_KEY_BYTES]);

/// The SHA-256 of a [`LinkKey`]. Links are looked up by it, so that how long that takes depends on nothing that leads to
/// a key: who guesses cannot steer it, and who learns some of it is no nearer to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkDigest(pub [u8; 32]);

/// A link that was made and not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeLink {
    /// Its key, which is kept because the API lists it.
    pub key: LinkKey,
    /// Whose configuration it shows.
    pub account: AccountName,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends, used or not: so many days of 24 hours later.
    pub expires: Timestamp,
}

/// Every open link, and how they are shown.
#[derive(Debug, Clone, Default)]
pub struct LinkBook {
    /// The page's settings.
    pub settings: Arc<LinkSettings>,
    /// The links, by the digest of their keys. Some may have expired and not been taken away yet.
    pub links: Arc<BTreeMap<LinkDigest, Arc<OneTimeLink>>>,
}

impl LinkKey {
    /// A key of random bytes.
    pub const fn from_entropy(bytes: [u8; limits::LINK_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads 80 hex digits in either letter case, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }

    /// The key as its link ends with it. The caller is about to show a secret.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// What the link is looked up by.
    pub fn digest(&self) -> LinkDigest {
        LinkDigest(Sha256::digest(self.0).into())
    }

    /// The bare bytes, for the file. The caller holds a secret.
    pub const fn as_bytes(&self) -> &[u8; limits::LINK_KEY_BYTES] {
        &self.0
    }
}

impl LinkDigest {
    /// The digest as 64 hex digits.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(hidden)")
    }
}

impl OneTimeLink {
    /// A new link to `account` among those of `book`. Links that have expired by `at` take no place.
    ///
    /// # Errors
    /// [`Refusal::LinksExceeded`] where the account, or the appliance, has as many open links as there may be.
    pub fn settle(book: &LinkBook, account: AccountName, key: LinkKey, at: Timestamp) -> Result<Self, Refusal> {
        let open = || book.links.values().filter(|link| !link.has_expired(at));
        let of_account = open().filter(|link| link.account == account).count();
        if of_account >= limits::LINKS_OF_ACCOUNT || open().count() >= limits::LINKS_MAX {
            return Err(Refusal::LinksExceeded);
        }
        let hours = i64::from(book.settings.page.lifetime) * 24;
        // a clock at the end of all times makes a link that has ended already
        let expires = at.saturating_add(hours.hours()).unwrap_or(at);
        Ok(Self { key, account, created: at, expires })
    }

    /// Whether it has ended by `at`.
    pub fn has_expired(&self, at: Timestamp) -> bool {
        self.expires <= at
    }
}

impl LinkBook {
    /// The link of this key, if it is open at `at`.
    pub fn open(&self, key: &LinkKey, at: Timestamp) -> Option<&Arc<OneTimeLink>> {
        self.links.get(&key.digest()).filter(|link| !link.has_expired(at))
    }

    /// Whether nothing has changed since `other` was copied from this, or this from it.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings) && Arc::ptr_eq(&self.links, &other.links)
    }

    /// Every link that is open at `at`, the oldest first.
    pub fn open_links(&self, at: Timestamp) -> Vec<Arc<OneTimeLink>> {
        let mut open: Vec<_> = self.links.values().filter(|link| !link.has_expired(at)).cloned().collect();
        open.sort_by_key(|link| link.created);
        open
    }

    /// Every link that has ended by `at`.
    pub fn expired(&self, at: Timestamp) -> Vec<LinkDigest> {
        self.links.iter().filter(|(_, link)| link.has_expired(at)).map(|(digest, _)| *digest).collect()
    }

    /// Every link to `account`.
    pub fn of_account(&self, account: &AccountName) -> Vec<LinkDigest> {
        self.links.iter().filter(|(_, link)| link.account == *account).map(|(digest, _)| *digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap()
    }

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    fn key(number: usize) -> LinkKey {
        let mut bytes = [7; limits::LINK_KEY_BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        LinkKey::from_entropy(bytes)
    }

    fn add(book: &mut LinkBook, account: &str, number: usize, hours: i64) -> Result<(), Refusal> {
        let link = OneTimeLink::settle(book, name(account), key(number), at(hours))?;
        Arc::make_mut(&mut book.links).insert(link.key.digest(), link.into());
        Ok(())
    }

    #[test]
    fn reads_80_hex_digits_and_nothing_else() {
        let shown = key(1).to_hex();
        assert_eq!(LinkKey::parse(&shown), Some(key(1)));
        assert_eq!(LinkKey::parse(&shown.to_uppercase()), Some(key(1)));

        let foreign = format!("{}zz", &shown[2..]);
        for text in ["", "0", &shown[1..], &shown[2..], &foreign, &"0".repeat(82), &"é".repeat(40)] {
            assert_eq!(LinkKey::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn hides_its_key() {
        let link = OneTimeLink::settle(&LinkBook::default(), name("a"), key(1), at(0)).unwrap();
        assert!(!format!("{link:?}").contains("7, 7") && format!("{link:?}").contains("hidden"));
    }

    #[test]
    fn ends_so_many_days_later_to_the_moment() {
        let mut book = LinkBook::default();
        add(&mut book, "a", 1, 0).unwrap();
        let end = at(24 * 10);
        assert!(book.open(&key(1), end - 1.millisecond()).is_some());
        assert!(book.expired(end - 1.millisecond()).is_empty());

        assert!(book.open(&key(1), end).is_none());
        assert_eq!((book.open_links(end), book.expired(end)), (vec![], vec![key(1).digest()]));
    }

    #[test]
    fn gives_an_account_so_many_links_and_counts_none_that_has_ended() {
        let mut book = LinkBook::default();
        for number in 0..limits::LINKS_OF_ACCOUNT {
            add(&mut book, "a", number, 0).unwrap();
        }
        assert_eq!(add(&mut book, "a", 99, 1), Err(Refusal::LinksExceeded));
        assert_eq!(add(&mut book, "b", 98, 1), Ok(()));

        assert_eq!(add(&mut book, "a", 97, 24 * 10), Ok(()));
        assert_eq!(book.of_account(&name("b")), [key(98).digest()]);
    }

    #[test]
    fn lists_the_oldest_first() {
        let mut book = LinkBook::default();
        for (number, hours) in [(1, 5), (2, 3), (3, 4)] {
            add(&mut book, "a", number, hours).unwrap();
        }
        let listed: Vec<_> = book.open_links(at(6)).iter().map(|link| link.key.clone()).collect();
        assert_eq!(listed, [key(2), key(3), key(1)]);
    }
}
