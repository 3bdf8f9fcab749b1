//! The world: clients, the server's host and the internet, joined by cables.
//!
//! ```text
//!   client k ── 198.51.100.(16k)/28 ── server ── 203.0.113.0/24 ── internet
//! ```
//!
//! No host has a way to the real internet. Addresses are those of documentation (RFC 5737, RFC 3849), which a peer
//! may reach; the private prefix 10.77.0.0/24 lies in the internet too, for what a peer may not reach.

use std::cell::Cell;
use std::net::Ipv6Addr;

use super::hosts;
use super::namespace::{Namespace, sweep};

/// The server's address towards the internet, to which clients connect.
pub const SERVER: &str = "203.0.113.1";
/// The same over IPv6.
pub const SERVER_V6: &str = "2001:db8:5::1";
/// Another of the server host's own addresses.
pub const SERVER_OTHER: &str = "192.0.2.77";
/// The metadata address of clouds, which the server's host answers on.
pub const METADATA: &str = "169.254.169.254";
/// A host in the internet, with every service of [`hosts`].
pub const HOST: &str = "192.0.2.80";
/// The same host over IPv6.
pub const HOST_V6: &str = "2001:db8:1::80";
/// A host in a private network behind the server, with the same services.
pub const PRIVATE: &str = "10.77.0.80";
/// An address for which the internet's router answers "host unreachable".
pub const UNREACHABLE: &str = "192.0.2.99";
/// An address for which nothing answers.
pub const BLACK_HOLE: &str = "192.0.2.66";

/// The three kinds of hosts. A client's place is made by [`World::place`].
pub struct World {
    /// Where the appliance runs.
    pub server: Namespace,
    /// Everything behind it.
    pub internet: Namespace,
    places: Cell<u8>,
}

impl World {
    /// Makes the server's host and the internet, with its services running.
    pub fn new() -> Self {
        sweep();
        let (server, internet) = (Namespace::new("server"), Namespace::new("internet"));
        Namespace::cable(&server, "wan", &internet, "lan");
        for (host, interface, addresses) in [
            (&server, "wan", &["203.0.113.1/24", "2001:db8:5::1/64"][..]),
            (&server, "lo", &["192.0.2.77/32", "169.254.169.254/32"][..]),
            (&internet, "lan", &["203.0.113.2/24", "2001:db8:5::2/64"][..]),
            (&internet, "lo", &["192.0.2.80/32", "2001:db8:1::80/128", "10.77.0.80/32"][..]),
        ] {
            for address in addresses {
                host.address(interface, address);
            }
        }
        server.ip("route add default via 203.0.113.2");
        server.ip("-6 route add default via 2001:db8:5::2");
        internet.sysctl("net/ipv4/ip_forward", "1");
        internet.ip("route add unreachable 192.0.2.99/32");
        internet.ip("route add blackhole 192.0.2.66/32");
        hosts::start(&internet);
        Self { server, internet, places: Cell::new(0) }
    }

    /// Lets the server's processes send pings without a privilege, as most distributions do.
    pub fn allow_ping(&self) {
        self.server.sysctl("net/ipv4/ping_group_range", "0 2147483647");
    }

    /// Makes a host in the internet behind a link that carries 1,300 bytes at most, in the midst of the way.
    pub fn far(&self) -> Far {
        let (router, host) = (Namespace::new("router"), Namespace::new("far"));
        Namespace::cable(&self.internet, "narrow", &router, "narrow");
        Namespace::cable(&router, "wide", &host, "eth0");
        for (host, interface, addresses) in [
            (&self.internet, "narrow", ["192.0.2.129/30", "2001:db8:2::1/64"]),
            (&router, "narrow", ["192.0.2.130/30", "2001:db8:2::2/64"]),
            (&router, "wide", ["192.0.2.161/28", "2001:db8:3::1/64"]),
            (&host, "eth0", ["192.0.2.162/28", "2001:db8:3::80/64"]),
        ] {
            for address in addresses {
                host.address(interface, address);
            }
        }
        for end in [&self.internet, &router] {
            end.ip("link set narrow mtu 1300");
            end.sysctl("net/ipv4/ip_forward", "1");
            end.sysctl("net/ipv6/conf/all/forwarding", "1");
        }
        self.internet.ip("route add 192.0.2.160/28 via 192.0.2.130");
        self.internet.ip("-6 route add 2001:db8:3::/64 via 2001:db8:2::2");
        router.ip("route add default via 192.0.2.129");
        router.ip("-6 route add default via 2001:db8:2::1");
        host.ip("route add default via 192.0.2.161");
        host.ip("-6 route add default via 2001:db8:3::1");
        hosts::start_tcp(&host);
        Far { _hosts: [router, host], addresses: ["192.0.2.162", "2001:db8:3::80"] }
    }

    /// Makes a place for one more client: a host with a cable to the server, that reaches nothing but the server.
    pub fn place(&self) -> Place {
        let number = self.places.replace(self.places.get() + 1);
        let host = Namespace::new("client");
        let outer = format!("lan{number}");
        Namespace::cable(&host, "eth0", &self.server, &outer);
        let place = Place { host, number };
        self.server.address(&outer, &format!("{}/28", place.v4(1)));
        self.server.address(&outer, &format!("{}/64", place.v6(1)));
        place.host.address("eth0", &format!("{}/28", place.v4(2)));
        place.host.address("eth0", &format!("{}/64", place.v6(2)));
        place.route_to_the_server();
        place
    }
}

/// A host behind a narrow link, with TCP echo and HTTP.
pub struct Far {
    _hosts: [Namespace; 2],
    /// Its addresses.
    pub addresses: [&'static str; 2],
}

/// Where a client lives.
pub struct Place {
    /// Its host.
    pub host: Namespace,
    number: u8,
}

impl Place {
    /// The n-th address on its cable; the server's end is the first.
    pub fn v4(&self, n: u8) -> String {
        format!("198.51.100.{}", self.number * 16 + n)
    }

    /// The n-th IPv6 address on its cable; the server's end is the first.
    pub fn v6(&self, n: u8) -> String {
        Ipv6Addr::new(0x2001, 0xdb8, 0xc, self.number.into(), 0, 0, 0, n.into()).to_string()
    }

    /// Routes the server's addresses over the cable.
    pub fn route_to_the_server(&self) {
        self.host.ip(&format!("route replace {SERVER}/32 via {}", self.v4(1)));
        self.host.ip(&format!("-6 route replace {SERVER_V6}/128 via {}", self.v6(1)));
    }
}
