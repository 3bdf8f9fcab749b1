//! Reads what one field of a form says. Text in, value or refusal out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::limits;
use super::password::Password;
use super::rate::Mbps;
use super::refusal::Refusal;

/// What the field says, without blanks at its ends; an empty field says nothing.
pub(super) fn given(field: Option<&String>) -> Option<&str> {
    field.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Whether the field is there and empty, which clears some values.
pub(super) fn cleared(field: Option<&String>) -> bool {
    field.is_some_and(|text| text.trim().is_empty())
}

/// Reads 1, 0, true or false, in any letter case.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub(super) fn flag(name: &'static str, text: &str) -> Result<bool, Refusal> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Refusal::FieldMalformed { field: name, rule: "1|0" }),
    }
}

/// [`flag`], where the field says something.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub(super) fn amend_flag(name: &'static str, field: Option<&String>, settled: &mut bool) -> Result<(), Refusal> {
    if let Some(text) = given(field) {
        *settled = flag(name, text)?;
    }
    Ok(())
}

/// Reads a decimal number: digits and nothing else.
pub(super) fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Reads a port, 1 to 65535.
pub(super) fn port(text: &str) -> Option<u16> {
    number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

/// Whether it is an http or https URL with something behind.
pub(super) fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

/// A line of text, where the field is there; an empty one clears it.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub(super) fn amend_line(name: &'static str, field: Option<&String>, settled: &mut String) -> Result<(), Refusal> {
    let Some(text) = field.map(|text| text.trim()) else { return Ok(()) };
    if text.len() > limits::TEXT_LENGTH || text.chars().any(char::is_control) {
        return Err(Refusal::FieldMalformed { field: name, rule: "a line of at most 1024 bytes" });
    }
    text.clone_into(settled);
    Ok(())
}

/// [`amend_line`], of a secret.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub(super) fn amend_secret(name: &'static str, field: Option<&String>, settled: &mut Password) -> Result<(), Refusal> {
    let mut line = settled.reveal().to_owned();
    amend_line(name, field, &mut line)?;
    *settled = Password::new(line);
    Ok(())
}

/// Reads a bandwidth.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub(super) fn rate(name: &'static str, text: &str) -> Result<Mbps, Refusal> {
    number(text)
        .and_then(|number| u16::try_from(number).ok())
        .and_then(Mbps::new)
        .ok_or(Refusal::FieldMalformed { field: name, rule: "0 to 10000" })
}

/// Reads an address, bare or with a prefix length, which is dropped.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|net: IpNet| net.addr()))
}

/// [`address`], of IPv4 alone.
pub(super) fn address_v4(text: &str) -> Option<Ipv4Addr> {
    match address(text)? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// [`address`], of IPv6 alone.
pub(super) fn address_v6(text: &str) -> Option<Ipv6Addr> {
    match address(text)? {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

/// Reads the address by which clients reach a server: one that a packet could be sent to.
pub fn external_ip(text: &str) -> Option<IpAddr> {
    address(text).filter(|address| !address.is_unspecified() && !address.is_multicast())
}

/// Reads a network; a bare address is a network of one.
pub fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.map(|network| network.trunc())
}

/// Reads networks separated by commas.
pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    let networks: Vec<IpNet> =
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(network).collect::<Option<_>>()?;
    (networks.len() <= limits::ALLOWED_IPS_MAX).then_some(networks)
}

/// Reads what clients connect to: an address, or a domain (RFC 1123, section 2.1) of letters, digits, `-` and `.`.
pub fn endpoint(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // a last label of digits alone is a mistyped address, never a domain
    let named = text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    (text.len() <= 253 && named && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

/// A host, then perhaps a port, then perhaps a path of unreserved letters (RFC 3986, section 3.3); what it begins with is
/// secret, so it is https.
pub fn public_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://")?.trim_end_matches('/');
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let bracketed = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[bracketed..].find(':') {
        Some(at) => (&authority[..bracketed + at], Some(&authority[bracketed + at + 1..])),
        None => (authority, None),
    };
    endpoint(host)?;
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
        return None;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().all(plain).then(|| format!("https://{rest}"))
}

/// Whether a client could route packets to this address at all.
pub(super) fn is_host(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !special && !address.is_multicast() && !address.is_unspecified()
}

/// Which moment a day stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Beginning,
    End,
}

/// A moment as a form has it: with an offset (RFC 3339), without one in the given zone, or a day, by one of its ends.
pub(super) fn moment(text: &str, zone: &TimeZone, day: Bound) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let is_day = text.len() == "2026-12-31".len();
    let local = match (is_day, day) {
        (false, _) => text.parse::<DateTime>().ok()?.to_zoned_datetime(zone.clone()),
        (true, Bound::Beginning) => text.parse::<Date>().ok()?.to_zoned_datetime(zone.clone()),
        (true, Bound::End) => text.parse::<Date>().ok()?.tomorrow().ok()?.to_zoned_datetime(zone.clone()),
    };
    local.ok().map(|local| local.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_flags_in_any_letter_case() {
        for (text, value) in [("1", true), ("0", false), ("TRUE", true), ("False", false)] {
            assert_eq!(flag("ipv6", text), Ok(value));
        }
        for text in ["yes", "2", "on", "tru"] {
            assert_eq!(flag("ipv6", text), Err(Refusal::FieldMalformed { field: "ipv6", rule: "1|0" }));
        }
    }

    #[test]
    fn takes_no_sign_before_a_number() {
        assert_eq!(number("25"), Some(25));
        for text in ["", "+25", "-1", "0x1", "1e3", "4294967296", "２５"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn drops_the_prefix_length_of_an_address() {
        assert_eq!(address_v4("8.8.8.8/32"), Some(Ipv4Addr::new(8, 8, 8, 8)));
        assert_eq!(address_v4("8.8.8.8"), Some(Ipv4Addr::new(8, 8, 8, 8)));
        assert_eq!(address_v4("8.8.8.8/33"), None);
        assert_eq!(address_v6("8.8.8.8"), None);
    }

    #[test]
    fn reads_networks_between_commas() {
        let networks = networks("10.1.2.3/8, 192.0.2.1,fd00::1/64");
        let texts: Vec<String> = networks.into_iter().flatten().map(|net| net.to_string()).collect();
        assert_eq!(texts, ["10.0.0.0/8", "192.0.2.1/32", "fd00::/64"]);
    }

    #[test]
    fn refuses_an_endpoint_that_is_neither_address_nor_domain() {
        for text in
            ["a b", "vpn.example.com:51820", "-a.example", "a..b", "1.2.3", "x\nPostUp = id", "http://a.example"]
        {
            assert_eq!(endpoint(text), None, "{text:?}");
        }
        assert_eq!(endpoint("VPN.example.com"), Some("vpn.example.com".into()));
        assert_eq!(endpoint("[2001:db8::1]"), Some("2001:db8::1".into()));
    }
}
