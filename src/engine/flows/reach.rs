//! Where a peer may not go: the one judgement before a socket is opened in its name.
//!
//! The process opens ordinary sockets, so whatever the host can reach, a peer could. Everything that is not the open
//! internet is therefore refused; `reach.allow` opens listed prefixes, but never loopback, link-local addresses,
//! multicast or the host's own addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The host's own addresses, which change while the process runs.
pub trait HostAddresses {
    /// Whether the address is one of the host's own.
    fn contains(&mut self, address: IpAddr) -> bool;
}

/// Why a destination is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Loopback, link-local, multicast, unspecified, the host's own: no configuration opens these.
    Always,
    /// A private or otherwise special prefix that the configuration does not list.
    Unlisted,
}

/// Which destinations the operator opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    allow: Vec<IpNet>,
    #[cfg(test)]
    everything: bool,
}

/// Never reachable, whatever the configuration says.
const NEVER_V4: [(Ipv4Addr, u8); 8] = [
    (Ipv4Addr::UNSPECIFIED, 8), // "this network", and 0.0.0.0 itself connects to loopback: RFC 1122, 3.2.1.3
    (Ipv4Addr::new(127, 0, 0, 0), 8), // loopback: RFC 1122, 3.2.1.3
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local and cloud metadata: RFC 3927
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast: RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4), // reserved and broadcast: RFC 1112, RFC 919
    (Ipv4Addr::new(100, 100, 100, 200), 32), // cloud metadata: Alibaba's
    (Ipv4Addr::new(168, 63, 129, 16), 32), // cloud metadata: Azure's, among public addresses and only there for its guests
    (Ipv4Addr::new(192, 0, 0, 192), 32),   // cloud metadata: Oracle's
];

/// Reachable only where the configuration lists them.
const UNLISTED_V4: [(Ipv4Addr, u8); 6] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),     // private: RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),  // shared by carriers: RFC 6598
    (Ipv4Addr::new(172, 16, 0, 0), 12),  // private: RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),   // protocol assignments: RFC 6890
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private: RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),  // benchmarks: RFC 2544
];

/// Never reachable, whatever the configuration says.
const NEVER_V6: [(Ipv6Addr, u8); 12] = [
    (Ipv6Addr::UNSPECIFIED, 96), // ::, ::1 and the deprecated IPv4-compatible addresses: RFC 4291, 2.5.5.1
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), // IPv4-mapped: would open an IPv4 connection
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), // link-local: RFC 4291
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8), // multicast: RFC 4291
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32), // cloud metadata, credentials, time: Amazon's
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128), // cloud metadata: Oracle's
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128), // cloud metadata: Scaleway's
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128), // cloud metadata: Google's
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96), // NAT64 embeds an IPv4 address: RFC 6052
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48), // NAT64 of local use: RFC 8215
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4 embeds an IPv4 address: RFC 3056
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32), // Teredo embeds an IPv4 address: RFC 4380
];

/// Reachable only where the configuration lists them.
const UNLISTED_V6: [(Ipv6Addr, u8); 2] = [
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), // unique local: RFC 4193
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10), // site-local: RFC 3879
];

impl Reach {
    /// Opens these prefixes beyond the internet.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self {
            allow,
            #[cfg(test)]
            everything: false,
        }
    }

    /// Opens everything, loopback too: for tests against listeners on this machine. No configuration leads here.
    #[cfg(test)]
    pub(crate) fn everything() -> Self {
        Self { allow: Vec::new(), everything: true }
    }

    /// Whether a peer may speak to this address.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn judge(&self, destination: IpAddr, host: &mut dyn HostAddresses) -> Result<(), Denied> {
        #[cfg(test)]
        if self.everything {
            return Ok(());
        }
        let (never, unlisted) = match destination {
            IpAddr::V4(address) => (is_in_v4(&NEVER_V4, address), is_in_v4(&UNLISTED_V4, address)),
            IpAddr::V6(address) => (is_in_v6(&NEVER_V6, address), is_in_v6(&UNLISTED_V6, address)),
        };
        if never || host.contains(destination) {
            return Err(Denied::Always);
        }
        if unlisted && !self.allow.iter().any(|prefix| prefix.contains(&destination)) {
            return Err(Denied::Unlisted);
        }
        Ok(())
    }
}

fn is_in_v4(table: &[(Ipv4Addr, u8)], address: Ipv4Addr) -> bool {
    table.iter().any(|(network, bits)| Ipv4Net::new_assert(*network, *bits).contains(&address))
}

fn is_in_v6(table: &[(Ipv6Addr, u8)], address: Ipv6Addr) -> bool {
    table.iter().any(|(network, bits)| Ipv6Net::new_assert(*network, *bits).contains(&address))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A host with these addresses.
    pub(crate) struct Host(pub(crate) Vec<IpAddr>);

    impl HostAddresses for Host {
        fn contains(&mut self, address: IpAddr) -> bool {
            self.0.contains(&address)
        }
    }

    fn judge(reach: &Reach, address: &str) -> Result<(), Denied> {
        let mut host = Host(vec!["203.0.113.9".parse().unwrap(), "2001:db8::9".parse().unwrap()]);
        reach.judge(address.parse().unwrap(), &mut host)
    }

    const NEVER: [&str; 58] = [
        "0.0.0.0",
        "0.0.0.1",
        "0.255.255.255",
        "127.0.0.1",
        "127.0.0.53",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.0",
        "224.0.0.251",
        "239.255.255.250",
        "239.255.255.255",
        "240.0.0.0",
        "254.1.2.3",
        "255.255.255.255",
        "203.0.113.9",
        "::",
        "::1",
        "::7f00:1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:1.1.1.1",
        "::ffff:169.254.169.254",
        "::ffff:255.255.255.255",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::101:101",
        "64:ff9b:1::1",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:101:101::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::",
        "fe80::1",
        "fe80::5054:ff:fe12:3456",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "ff00::",
        "ff01::1",
        "ff02::1",
        "ff02::fb",
        "ff0e::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fd00:ec2::254",
        "fd00:ec2::253",
        "fd00:ec2::23",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "fd20:ce::254",
        "2001:db8::9",
    ];

    const UNLISTED: [&str; 26] = [
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.199",
        "100.127.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.170",
        "192.0.0.255",
        "192.168.0.0",
        "192.168.1.1",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "fc00::",
        "fc00::1",
        "fd00::1",
        "fd00:ec1::254",
        "fd00:ec3::254",
        "fd20:ce::253",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fec0::",
        "fec0::1",
        "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fd12:3456:789a:1::1",
    ];

    const OPEN: [&str; 26] = [
        "1.0.0.0",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "203.0.113.10",
        "223.255.255.255",
        "2001:1::1",
        "2003::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
    ];

    #[test]
    fn opens_the_internet_and_nothing_else() {
        let reach = Reach::default();
        for address in OPEN {
            assert_eq!(judge(&reach, address), Ok(()), "{address}");
        }
        for address in NEVER {
            assert_eq!(judge(&reach, address), Err(Denied::Always), "{address}");
        }
        for address in UNLISTED {
            assert_eq!(judge(&reach, address), Err(Denied::Unlisted), "{address}");
        }
    }

    #[test]
    fn opens_listed_private_prefixes_and_no_more() {
        let reach = Reach::new(vec!["10.1.0.0/16".parse().unwrap(), "fd12:3456:789a::/48".parse().unwrap()]);

        assert_eq!(judge(&reach, "10.1.2.3"), Ok(()));
        assert_eq!(judge(&reach, "10.2.0.0"), Err(Denied::Unlisted));
        assert_eq!(judge(&reach, "fd12:3456:789a:1::1"), Ok(()));
        assert_eq!(judge(&reach, "fd12:3456:789b::1"), Err(Denied::Unlisted));
    }

    #[test]
    fn never_opens_what_no_configuration_may_open() {
        let reach = Reach::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);

        for address in NEVER {
            assert_eq!(judge(&reach, address), Err(Denied::Always), "{address}");
        }
        for address in UNLISTED {
            assert_eq!(judge(&reach, address), Ok(()), "{address}");
        }
    }
}
