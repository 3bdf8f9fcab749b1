//! What the operator sets of the host: how people find it, and by which days it counts. The configuration goes before all
//! of it.

use jiff::tz::TimeZone;

use super::field;
use super::refusal::Refusal;

/// The settings. What is absent, the host knows itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// The zone whose days and hours count for traffic, quotas and ends.
    pub time_zone: Option<TimeZone>,
    /// The name or address that the clients of a new server connect to.
    pub endpoint: Option<String>,
    /// The URL by which people reach the API and the panel, without a `/` at its end.
    pub url: Option<String>,
}

/// What somebody asks of the settings, as it came. An absent field keeps what is there, a blank one clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettingsDraft {
    /// The name of a zone of the IANA's database, as in `Europe/Warsaw`.
    pub time_zone: Option<String>,
    /// A host name or an address.
    pub endpoint: Option<String>,
    /// As [`field::public_url`] takes it.
    pub url: Option<String>,
}

impl HostSettingsDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// `FieldMalformed` for the first field that cannot be.
    pub fn amend(&self, current: &HostSettings) -> Result<HostSettings, Refusal> {
        Ok(HostSettings {
            time_zone: one(
                self.time_zone.as_ref(),
                current.time_zone.as_ref(),
                time_zone,
                ("time_zone", "a zone as in Europe/Warsaw"),
            )?,
            endpoint: one(
                self.endpoint.as_ref(),
                current.endpoint.as_ref(),
                field::endpoint,
                ("endpoint", "IP|domain"),
            )?,
            url: one(
                self.url.as_ref(),
                current.url.as_ref(),
                field::public_url,
                ("url", "https://host[:port][/path]"),
            )?,
        })
    }
}

fn one<T: Clone>(
    asked: Option<&String>,
    current: Option<&T>,
    parse: fn(&str) -> Option<T>,
    (field, rule): (&'static str, &'static str),
) -> Result<Option<T>, Refusal> {
    match asked.map(|text| text.trim()) {
        None => Ok(current.cloned()),
        Some("") => Ok(None),
        Some(text) => parse(text).map(Some).ok_or(Refusal::FieldMalformed { field, rule }),
    }
}

/// The zone of this name.
pub fn time_zone(text: &str) -> Option<TimeZone> {
    TimeZone::get(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(time_zone: &str, endpoint: &str, url: &str) -> HostSettingsDraft {
        HostSettingsDraft { time_zone: Some(time_zone.into()), endpoint: Some(endpoint.into()), url: Some(url.into()) }
    }

    #[test]
    fn takes_what_names_a_host_and_clears_what_is_blank() {
        let whole =
            draft("Europe/Kyiv", "vpn.example", "https://vpn.example/vpn/").amend(&HostSettings::default()).unwrap();

        assert_eq!(whole.time_zone, TimeZone::get("Europe/Kyiv").ok());
        assert_eq!(
            (whole.endpoint.as_deref(), whole.url.as_deref()),
            (Some("vpn.example"), Some("https://vpn.example/vpn"))
        );
        assert_eq!(HostSettingsDraft::default().amend(&whole), Ok(whole.clone()));
        assert_eq!(draft("", " ", "").amend(&whole), Ok(HostSettings::default()));
    }

    #[test]
    fn refuses_what_names_none() {
        for (draft, field) in [
            (draft("Mars/Olympus", "", ""), "time_zone"),
            (draft("../localtime", "", ""), "time_zone"),
            (draft("", "a b", ""), "endpoint"),
            (draft("", "", "http://vpn.example"), "url"),
        ] {
            let refusal = draft.amend(&HostSettings::default()).unwrap_err();
            assert!(matches!(refusal, Refusal::FieldMalformed { field: named, .. } if named == field), "{refusal}");
        }
    }
}
