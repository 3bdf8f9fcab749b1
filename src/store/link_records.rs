//! The records of one-time links as they lie in the file. A record is never changed: it gets a successor.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use crate::domain::name::AccountName;
use crate::domain::one_time_link::{LinkIkev2, LinkKey, LinkPage, LinkSettings, LinkWireguard, OneTimeLink};

/// A one-time link; times in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct OneTimeLinkV1 {
    key: Vec<u8>,
    account: AccountName,
    created: i64,
    expires: i64,
}

impl Record for OneTimeLinkV1 {
    const VERSION: u8 = 1;
    type Previous = Nothing;
}

impl From<Nothing> for OneTimeLinkV1 {
    fn from(nothing: Nothing) -> Self {
        match nothing {}
    }
}

impl From<&OneTimeLink> for OneTimeLinkV1 {
    fn from(link: &OneTimeLink) -> Self {
        Self {
            key: link.key.as_bytes().to_vec(),
            account: link.account.clone(),
            created: link.created.as_millisecond(),
            expires: link.expires.as_millisecond(),
        }
    }
}

impl TryFrom<OneTimeLinkV1> for OneTimeLink {
    type Error = anyhow::Error;

    fn try_from(record: OneTimeLinkV1) -> Result<Self, anyhow::Error> {
        let key = record.key.try_into().map_err(|_| anyhow::anyhow!("a key of another length"))?;
        Ok(Self {
            key: LinkKey::from_entropy(key),
            account: record.account,
            created: Timestamp::from_millisecond(record.created)?,
            expires: Timestamp::from_millisecond(record.expires)?,
        })
    }
}

/// What the page of one-time links shows.
#[derive(Serialize, Deserialize)]
pub(super) struct LinkSettingsV1 {
    page: LinkPage,
    wireguard: LinkWireguard,
    ikev2: LinkIkev2,
}

impl Record for LinkSettingsV1 {
    const VERSION: u8 = 1;
    type Previous = Nothing;
}

impl From<Nothing> for LinkSettingsV1 {
    fn from(nothing: Nothing) -> Self {
        match nothing {}
    }
}

impl From<&LinkSettings> for LinkSettingsV1 {
    fn from(settings: &LinkSettings) -> Self {
        let LinkSettings { page, wireguard, ikev2 } = settings;
        Self { page: page.as_ref().clone(), wireguard: wireguard.as_ref().clone(), ikev2: ikev2.as_ref().clone() }
    }
}

impl From<LinkSettingsV1> for LinkSettings {
    fn from(record: LinkSettingsV1) -> Self {
        Self { page: record.page.into(), wireguard: record.wireguard.into(), ikev2: record.ikev2.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;

    #[test]
    fn brings_back_a_one_time_link_and_its_settings_as_they_were() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let key = LinkKey::from_entropy([7; 40]);
        let link = OneTimeLink { key, account: AccountName::parse("a").unwrap(), created: at, expires: at };
        let bytes = encode(&OneTimeLinkV1::from(&link)).unwrap();
        assert_eq!(OneTimeLink::try_from(decode::<OneTimeLinkV1>(&bytes).unwrap()).unwrap(), link);
        let cut = OneTimeLinkV1 { key: vec![7; 39], ..OneTimeLinkV1::from(&link) };
        assert!(OneTimeLink::try_from(cut).is_err());

        let page = LinkPage { title: "x".into(), css: "y".into(), lifetime: 3, ..LinkPage::default() };
        let settings = LinkSettings { page: page.into(), ..LinkSettings::default() };
        let bytes = encode(&LinkSettingsV1::from(&settings)).unwrap();
        assert_eq!(LinkSettings::from(decode::<LinkSettingsV1>(&bytes).unwrap()), settings);
    }

    /// A release writes these bytes, so this text never changes.
    #[test]
    fn writes_version_1_of_a_link_as_ever() {
        let at = Timestamp::from_millisecond(1).unwrap();
        let key = LinkKey::from_entropy([7; 40]);
        let link = OneTimeLink { key, account: AccountName::parse("a").unwrap(), created: at, expires: at };
        let bytes = encode(&OneTimeLinkV1::from(&link)).unwrap();
        assert_eq!(bytes, [&b"\x01\x28"[..], &[7; 40], b"\x01a\x02\x02"].concat());
    }
}
