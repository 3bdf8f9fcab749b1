//! A name server that the resolver asks: by UDP and TCP, or by TLS alone (RFC 7858).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The port of name servers.
const PORT: u16 = 53;
/// Their port for TLS.
const PORT_TLS: u16 = 853;

/// A name server that the resolver asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forwarder {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who its certificate has to be for, where it is asked by TLS: a host name, or its address.
    pub tls: Option<String>,
}

impl Forwarder {
    /// One that is asked in the clear, at the usual port.
    pub const fn plain(address: IpAddr) -> Self {
        Self { address: SocketAddr::new(address, PORT), tls: None }
    }

    /// Reads `192.0.2.53`, `192.0.2.53:5353`, `tls://192.0.2.53`, or with the name of the certificate behind it
    /// `tls://[2001:db8::53]:853#dns.example`.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, is_tls) = text.strip_prefix("tls://").map_or((text, false), |rest| (rest, true));
        let (place, name) = rest.split_once('#').map_or((rest, None), |(place, name)| (place, Some(name)));
        let bare = place.strip_prefix('[').and_then(|place| place.strip_suffix(']')).unwrap_or(place);
        let port = if is_tls { PORT_TLS } else { PORT };
        let address = bare.parse().map(|address| SocketAddr::new(address, port)).ok().or_else(|| place.parse().ok())?;
        if !is_askable(address.ip()) || address.port() == 0 {
            return None;
        }
        let tls = match (is_tls, name) {
            (true, Some(name)) => Some(super::super::field::endpoint(name)?),
            (true, None) => Some(address.ip().to_string()),
            (false, Some(_)) => return None,
            (false, None) => None,
        };
        Some(Self { address, tls })
    }
}

/// Whether a name server can be there at all.
pub(super) const fn is_askable(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    !special && !address.is_multicast() && !address.is_unspecified()
}

impl fmt::Display for Forwarder {
    /// What [`Forwarder::parse`] reads, as short as it can be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = if self.tls.is_some() { PORT_TLS } else { PORT };
        let place = if self.address.port() == usual { self.address.ip().to_string() } else { self.address.to_string() };
        match &self.tls {
            None => f.write_str(&place),
            Some(name) if *name == self.address.ip().to_string() => write!(f, "tls://{place}"),
            Some(name) => write!(f, "tls://{place}#{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for text in [
            "192.0.2.53",
            "192.0.2.53:5353",
            "2001:db8::53",
            "[2001:db8::53]:5353",
            "tls://192.0.2.53",
            "tls://192.0.2.53:8853",
            "tls://192.0.2.53#dns.example",
            "tls://[2001:db8::53]:8853#dns.example",
        ] {
            assert_eq!(Forwarder::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Forwarder::parse("tls://[2001:db8::53]").unwrap().address.port(), 853);
    }

    #[test]
    fn refuses_what_no_name_server_is() {
        for text in [
            "",
            "dns.example",
            "0.0.0.0",
            "::",
            "224.0.0.251",
            "255.255.255.255",
            "::ffff:192.0.2.53",
            "192.0.2.53:0",
            "192.0.2.53#dns.example",
            "tls://dns.example",
            "tls://192.0.2.53#",
            "tls://192.0.2.53#a b",
            "https://192.0.2.53",
        ] {
            assert_eq!(Forwarder::parse(text), None, "{text}");
        }
    }
}
