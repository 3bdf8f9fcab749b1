//! The host's own addresses.

use std::net::IpAddr;

use nix::sys::socket::SockaddrStorage;

/// Every address of every interface of the host. Empty where the kernel does not tell.
pub fn of_host() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces.filter_map(|interface| interface.address.as_ref().and_then(ip)).collect()
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
        assert!(of_host().contains(&"127.0.0.1".parse().unwrap()));
    }
}
