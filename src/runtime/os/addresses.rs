//! The host's own addresses.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};

use nix::sys::socket::SockaddrStorage;

/// Every address of every interface of the host; `None` where the process may not ask, as in a sandbox without netlink.
pub fn of_host() -> Option<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs().ok()?;
    Some(interfaces.filter_map(|interface| interface.address.as_ref().and_then(ip)).collect())
}

/// Whether the address is the host's, asked one at a time: only its own can be bound. In doubt it is.
pub fn is_of_host(address: IpAddr) -> bool {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => true,
        // a host without IPv6 has no address of it either
        Err(error) => error.kind() != ErrorKind::AddrNotAvailable && error.raw_os_error() != Some(libc::EAFNOSUPPORT),
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_that_loopback_is_the_hosts_own() {
        assert!(of_host().unwrap().contains(&"127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn tells_own_addresses_from_others_without_a_list() {
        for own in of_host().unwrap().into_iter().filter(IpAddr::is_ipv4) {
            assert!(is_of_host(own), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_of_host(other.parse().unwrap()), "{other}");
        }
    }
}
