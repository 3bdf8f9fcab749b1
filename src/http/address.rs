//! Whose address a request comes from.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which a proxy names whom it speaks for.
const FORWARDED: &str = "x-forwarded-for";

/// The socket's remote address, put into each request's extensions by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote(pub IpAddr);

impl Remote {
    /// Takes a socket's address; an IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) becomes the IPv4 address.
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

/// The proxies whose word about their client's address counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Trusts these networks.
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The address that a request truly comes from: the last hop that is no proxy of ours.
    ///
    /// Whatever stands left of that hop was written by a stranger. A hop that is no address ends the search at the
    /// proxy that passed it on, so nonsense gains nobody another address.
    pub(super) fn client(&self, remote: Remote, headers: &HeaderMap) -> IpAddr {
        let mut client = remote.0;
        let hops = headers.get_all(FORWARDED).iter().rev();
        for hop in hops.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        headers
    }

    fn client(proxies: &[&str], remote: &str, lines: &[&str]) -> String {
        let proxies = Proxies::new(proxies.iter().map(|network| network.parse().unwrap()).collect());
        proxies.client(Remote::new(remote.parse().unwrap()), &headers(lines)).to_string()
    }

    #[test]
    fn believes_no_header_without_a_proxy() {
        for line in ["127.0.0.1", "127.0.0.1, 10.0.0.1", "::1", "", ","] {
            assert_eq!(client(&[], "203.0.113.9", &[line]), "203.0.113.9", "{line:?}");
        }
    }

    #[test]
    fn takes_the_last_hop_that_is_no_proxy() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(client(&proxies, "10.0.0.1", &["127.0.0.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&proxies, "10.0.0.1", &["1.1.1.1", "198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(client(&proxies, "10.0.0.1", &["198.51.100.7,10.9.9.9"]), "198.51.100.7");
        assert_eq!(client(&proxies, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn stops_at_a_hop_that_is_no_address() {
        let proxies = ["10.0.0.0/8"];
        for line in ["127.0.0.1, unknown", "127.0.0.1, 1.2.3.4:80", "127.0.0.1,", "\u{e9}"] {
            let mut headers = HeaderMap::new();
            headers.append(FORWARDED, axum::http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
            let proxies = Proxies::new(proxies.iter().map(|network| network.parse().unwrap()).collect());
            let client = proxies.client(Remote::new("10.0.0.1".parse().unwrap()), &headers);
            assert_eq!(client.to_string(), "10.0.0.1", "{line:?}");
        }
    }

    #[test]
    fn takes_a_mapped_address_for_the_ipv4_address_that_it_is() {
        assert_eq!(client(&[], "::ffff:192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["::ffff:192.0.2.1"]), "192.0.2.1");
    }
}
