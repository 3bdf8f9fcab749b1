//! What is set of the host, as it lies in the file.

use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::host::{HostSettings, time_zone};

first_version!(HostV1);

/// The settings.
#[derive(Serialize, Deserialize)]
pub(super) struct HostV1 {
    time_zone: Option<String>,
    endpoint: Option<String>,
    url: Option<String>,
}

impl From<&HostSettings> for HostV1 {
    fn from(settings: &HostSettings) -> Self {
        let HostSettings { time_zone, endpoint, url } = settings.clone();
        let time_zone = time_zone.and_then(|zone| zone.iana_name().map(str::to_owned));
        Self { time_zone, endpoint, url }
    }
}

impl From<HostV1> for HostSettings {
    fn from(record: HostV1) -> Self {
        // a zone that the database has lost since is as good as none
        let zone = record.time_zone.and_then(|name| time_zone(&name));
        Self { time_zone: zone, endpoint: record.endpoint, url: record.url }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        for settings in [
            HostSettings::default(),
            HostSettings {
                time_zone: time_zone("America/Argentina/Ushuaia"),
                endpoint: Some("vpn.example".into()),
                url: Some("https://vpn.example:8443".into()),
            },
        ] {
            let bytes = encode(&HostV1::from(&settings)).unwrap();
            assert_eq!(HostSettings::from(decode::<HostV1>(&bytes).unwrap()), settings);
        }
    }
}
