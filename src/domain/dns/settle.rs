//! From what is asked of the resolver to its settings: refuses what cannot be.

use std::net::IpAddr;

use super::DnsSettings;
use super::forwarder::is_askable;
use crate::domain::field::{self, cleared, given};
use crate::domain::intended::Intended;
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// What somebody asks of the resolver. What is absent stays; a forwarder that is blank is the configuration's again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsDraft {
    /// A flag.
    pub enabled: Option<String>,
    /// An address.
    pub forwarders_1: Option<String>,
    /// An address.
    pub forwarders_2: Option<String>,
    /// 30 to 3600, in seconds.
    pub max_cache_ttl: Option<String>,
}

impl DnsDraft {
    /// The present settings with what the draft names changed.
    ///
    /// # Errors
    /// The contract's refusal of a forwarder that is no address or one of our own; [`Refusal::FieldMalformed`].
    pub fn amend(&self, intended: &Intended) -> Result<DnsSettings, Refusal> {
        let mut settings = intended.dns;
        if let Some(text) = given(self.enabled.as_ref()) {
            settings.enabled = field::flag("enabled", text)?;
        }
        let forwarders =
            [(&self.forwarders_1, Refusal::Forwarder1Malformed), (&self.forwarders_2, Refusal::Forwarder2Malformed)];
        for (at, (field, refusal)) in forwarders.into_iter().enumerate() {
            if cleared(field.as_ref()) {
                settings.forwarders[at] = None;
            } else if let Some(text) = given(field.as_ref()) {
                settings.forwarders[at] = Some(forwarder(text, intended).ok_or(refusal)?);
            }
        }
        if let Some(text) = given(self.max_cache_ttl.as_ref()) {
            let seconds = field::number(text).and_then(|seconds| u16::try_from(seconds).ok());
            let seconds = seconds.filter(|seconds| limits::DNS_CACHE_TTL.contains(seconds));
            let refusal = Refusal::FieldMalformed { field: "max_cache_ttl", rule: "30 to 3600" };
            settings.max_cache_ttl = seconds.ok_or(refusal)?;
        }
        Ok(settings)
    }
}

/// An address that can be asked. A server's own is none: that is where this resolver answers.
fn forwarder(text: &str, intended: &Intended) -> Option<IpAddr> {
    let address = field::address(text).filter(|address| is_askable(*address))?;
    let is_own = intended.servers.values().any(|server| {
        let server = &server.server;
        address == IpAddr::V4(server.address.addr()) || address == IpAddr::V6(server.address_ipv6.addr())
    });
    (!is_own).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    fn draft(forwarders_1: &str, max_cache_ttl: &str) -> DnsDraft {
        let given = |text: &str| (text != "-").then(|| text.to_owned());
        DnsDraft { forwarders_1: given(forwarders_1), max_cache_ttl: given(max_cache_ttl), ..DnsDraft::default() }
    }

    #[test]
    fn changes_what_is_named_alone() {
        let mut house = house();
        let both = DnsDraft {
            enabled: Some("false".into()),
            forwarders_1: Some("192.0.2.53".into()),
            forwarders_2: Some("2001:db8::53/128".into()),
            max_cache_ttl: Some("300".into()),
        };

        house.dns = both.amend(&house).unwrap();
        let named = draft("198.51.100.1", "-").amend(&house).unwrap();
        let cleared = draft("", "-").amend(&house).unwrap();

        let [first, second] = ["198.51.100.1", "2001:db8::53"].map(|text| Some(text.parse::<IpAddr>().unwrap()));
        assert_eq!(named, DnsSettings { enabled: false, forwarders: [first, second], max_cache_ttl: 300 });
        assert_eq!(cleared.forwarders, [None, second]);
    }

    #[test]
    fn refuses_forwarders_that_cannot_be_asked() {
        let house = house();
        for text in ["x", "192.0.2", "0.0.0.0", "::", "239.1.2.3", "dns.example", "tls://192.0.2.53", "10.0.0.1"] {
            assert_eq!(draft(text, "-").amend(&house), Err(Refusal::Forwarder1Malformed), "{text}");
            let second = DnsDraft { forwarders_2: Some(text.into()), ..DnsDraft::default() };
            assert_eq!(second.amend(&house), Err(Refusal::Forwarder2Malformed), "{text}");
        }
    }

    #[test]
    fn keeps_the_cache_within_the_contracts_bounds() {
        let house = house();
        for text in ["29", "3601", "-1", "1e3", "99999999"] {
            assert!(draft("-", text).amend(&house).is_err(), "{text}");
        }
        for (text, seconds) in [("30", 30), ("3600", 3_600)] {
            assert_eq!(draft("-", text).amend(&house).unwrap().max_cache_ttl, seconds);
        }
    }
}
