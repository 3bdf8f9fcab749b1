//! What a server's settings mean for its packets.

use std::net::IpAddr;
use std::sync::Arc;

use boringtun::x25519;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::domain::limits;
use crate::domain::server::Server;

/// A server's settings as the road needs them.
pub struct Plan {
    /// The settings themselves.
    pub server: Arc<Server>,
    /// The server's key.
    pub secret: x25519::StaticSecret,
    /// The key that clients know it by.
    pub public: x25519::PublicKey,
    /// Its own address and its clients' network.
    pub v4: Ipv4Net,
    /// The same of IPv6, where that is on.
    pub v6: Option<Ipv6Net>,
    /// The largest inner packet, in bytes.
    pub mtu: usize,
}

impl Plan {
    /// Reads a server's settings.
    pub fn new(server: Arc<Server>) -> Self {
        let secret = server.private_key.secret();
        let mtu = if server.mtu == 0 { limits::MTU_DEFAULT } else { server.mtu };
        Self {
            public: x25519::PublicKey::from(&secret),
            secret,
            v4: server.address,
            v6: server.ipv6.then_some(server.address_ipv6),
            mtu: usize::from(mtu),
            server,
        }
    }

    /// Whether it is the server's own address.
    pub fn is_own(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address == self.v4.addr(),
            IpAddr::V6(address) => self.v6.is_some_and(|net| address == net.addr()),
        }
    }

    /// Whether it lies in the clients' network.
    pub fn is_inside(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(&address),
            IpAddr::V6(address) => self.v6.is_some_and(|net| net.contains(&address)),
        }
    }

    /// The server's own address of the same version, if it has one.
    pub fn own_beside(&self, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(_) => Some(self.v4.addr().into()),
            IpAddr::V6(_) => self.v6.map(|net| net.addr().into()),
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("server", &self.server.name).finish_non_exhaustive()
    }
}
