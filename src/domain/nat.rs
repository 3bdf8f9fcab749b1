//! How clients' packets are translated, as far as the operator chooses it.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::{field, limits};

/// Which packets from outside reach a mapped port without a flow of their own: RFC 4787, section 5, REQ-8.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Those from an address to which the port's holder has sent.
    #[default]
    AddressDependent,
    /// All of them.
    EndpointIndependent,
    /// None: an answer comes from the very address and port that was asked.
    AddressAndPort,
}

impl Filtering {
    /// Reads the RFC's word for it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "address-dependent" => Some(Self::AddressDependent),
            "endpoint-independent" => Some(Self::EndpointIndependent),
            "address-and-port-dependent" => Some(Self::AddressAndPort),
            _ => None,
        }
    }
}

/// What the operator chooses. The default is what holds where nothing was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatSettings {
    /// The ports of a shared address that clients' packets may leave by.
    pub ports: RangeInclusive<u16>,
    /// Who may come in by a port that is mapped.
    pub filtering: Filtering,
    /// How many ports one account may have at a time (RFC 6888, REQ-4); each uplink's own bound where absent.
    pub ports_per_account: Option<NonZeroU32>,
}

impl Default for NatSettings {
    fn default() -> Self {
        Self { ports: limits::NAT_PORTS, filtering: Filtering::default(), ports_per_account: None }
    }
}

/// Reads a range of ports for clients' packets, both ends included: none of those below 1024, which need a privilege
/// (RFC 4787, REQ-3 (a)), and no fewer than [`limits::NAT_PORTS_MIN`].
pub fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let port = |text: &str| u16::try_from(field::number(text)?).ok();
    let (first, last) = (port(first)?, port(last)?);
    let is_enough = last.checked_sub(first)? >= limits::NAT_PORTS_MIN - 1;
    (first >= limits::PORT_UNPRIVILEGED && is_enough).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_range_of_enough_ports_that_need_no_privilege() {
        assert_eq!(ports("16384-51819"), Some(16_384..=51_819));
        assert_eq!(ports("1024-2047"), Some(1_024..=2_047));
        assert_eq!(ports("64512-65535"), Some(64_512..=65_535));
    }

    #[test]
    fn takes_no_other() {
        for text in [
            "",
            "-",
            "16384",
            "16384-",
            "-51819",
            "51819-16384",
            "1023-51819",
            "0-65535",
            "1024-2046",
            "1024-1024",
            "64512-65536",
            "16384 - 51819",
            "+1024-4096",
            "1024-4096-8192",
            "1024:4096",
        ] {
            assert_eq!(ports(text), None, "{text}");
        }
    }

    #[test]
    fn reads_each_kind_of_filtering_by_its_name() {
        let kinds = ["endpoint-independent", "address-dependent", "address-and-port-dependent"].map(Filtering::parse);

        assert_eq!(
            kinds,
            [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPort].map(Some)
        );
        assert_eq!(Filtering::parse("Address-Dependent"), None);
    }
}
