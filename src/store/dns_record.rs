//! The resolver's settings, as they lie in the file.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::dns::DnsSettings;

first_version!(DnsV1);

/// The settings.
#[derive(Serialize, Deserialize)]
pub(super) struct DnsV1 {
    enabled: bool,
    forwarders: [Option<IpAddr>; 2],
    max_cache_ttl: u16,
}

impl From<&DnsSettings> for DnsV1 {
    fn from(settings: &DnsSettings) -> Self {
        let DnsSettings { enabled, forwarders, max_cache_ttl } = *settings;
        Self { enabled, forwarders, max_cache_ttl }
    }
}

impl From<DnsV1> for DnsSettings {
    fn from(record: DnsV1) -> Self {
        let DnsV1 { enabled, forwarders, max_cache_ttl } = record;
        Self { enabled, forwarders, max_cache_ttl }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn writes_version_1_of_the_resolver_as_ever() {
        let forwarders = [None, Some(IpAddr::from([192, 0, 2, 53]))];
        let settings = DnsSettings { enabled: true, forwarders, max_cache_ttl: 300 };

        let bytes = encode(&DnsV1::from(&settings)).unwrap();

        assert_eq!(bytes, b"\x01\x01\0\x01\0\xc0\0\x02\x35\xac\x02");
        assert_eq!(DnsSettings::from(decode::<DnsV1>(&bytes).unwrap()), settings);
    }
}
