//! A WireGuard server: its identity, its network, and what its clients get.

mod settle;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use self::settle::{HostFacts, ServerSeed};
use crate::domain::key::{PrivateKey, PublicKey};
use crate::domain::name::{InterfaceName, ServerName};
use crate::domain::rate::Mbps;

/// A server as it is stored and run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name, by which every request addresses it.
    pub name: ServerName,
    /// Its network interface.
    pub interface: InterfaceName,
    /// The UDP port on which it listens.
    pub listen_port: u16,
    /// Its private key.
    pub private_key: PrivateKey,
    /// The key that clients know it by.
    pub public_key: PublicKey,
    /// Its own inner address, with the prefix length of its clients' network.
    pub address: Ipv4Net,
    /// Whether its clients get IPv6 addresses too.
    pub ipv6: bool,
    /// Its own inner IPv6 address, with the prefix length of its clients' network; kept while `ipv6` is off.
    pub address_ipv6: Ipv6Net,
    /// The largest inner packet, in bytes; 0 in a request chooses the default.
    pub mtu: u16,
    /// The clients' persistent keepalive in seconds, 0 for none.
    pub keep_alive: u32,
    /// What clients route into the tunnel; empty means everything that the server's families cover.
    pub allowed_ips: Vec<IpNet>,
    /// What clients connect to where it is not `external_ip`: an address or a domain.
    pub endpoint: Option<String>,
    /// The address from which its clients' packets leave.
    pub external_ip: IpAddr,
    /// The clients' first DNS server.
    pub dns_1: Ipv4Addr,
    /// The clients' second DNS server.
    pub dns_2: Ipv4Addr,
    /// The clients' first DNS server over IPv6.
    pub dns_1_ipv6: Option<Ipv6Addr>,
    /// The clients' second DNS server over IPv6.
    pub dns_2_ipv6: Option<Ipv6Addr>,
    /// A new account's limit towards the client.
    pub b_download: Mbps,
    /// A new account's limit from the client.
    pub b_upload: Mbps,
    /// Whether its clients may reach one another.
    pub internal_traffic: bool,
    /// Whether its accounts may also connect by IKEv2.
    pub ikev2: bool,
    /// Whether its clients' packets leave with their own source address.
    pub disable_nat: bool,
    /// The limit of all its clients together, towards them.
    pub limit_download: Mbps,
    /// The limit of all its clients together, from them.
    pub limit_upload: Mbps,
}

/// What somebody asks of a server: the contract's form as it came, field by field, nothing judged yet.
///
/// An absent or blank field chooses the default when a server is added, and keeps what is there when it is edited. Blank
/// clears `allowed_ips`, `endpoint`, `dns_1_ipv6` and `dns_2_ipv6` in an edit.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerDraft {
    /// Letters, digits, `_` and `-`.
    pub name: Option<String>,
    /// Base64.
    pub private_key: Option<String>,
    /// Base64; must belong to `private_key`.
    pub public_key: Option<String>,
    /// `wgN`.
    pub interface_name: Option<String>,
    /// 51820 to 65535.
    pub listen_port: Option<String>,
    /// 0 to 9100.
    pub mtu: Option<String>,
    /// Seconds.
    pub keep_alive: Option<String>,
    /// Networks, separated by commas.
    pub allowed_ips: Option<String>,
    /// An address or a domain.
    pub endpoint: Option<String>,
    /// The server's own address with its network's prefix length.
    pub address: Option<String>,
    /// A flag.
    pub internal_traffic: Option<String>,
    /// An address.
    pub external_ip: Option<String>,
    /// An IPv4 address.
    pub dns_1: Option<String>,
    /// An IPv4 address.
    pub dns_2: Option<String>,
    /// A flag.
    pub ipv6: Option<String>,
    /// The server's own IPv6 address with its network's prefix length.
    pub address_ipv6: Option<String>,
    /// An IPv6 address.
    pub dns_1_ipv6: Option<String>,
    /// An IPv6 address.
    pub dns_2_ipv6: Option<String>,
    /// 0 to 10000 Mbit/s.
    pub b_download: Option<String>,
    /// 0 to 10000 Mbit/s.
    pub b_upload: Option<String>,
    /// A flag.
    pub ikev2: Option<String>,
    /// A flag; beyond the contract.
    pub disable_nat: Option<String>,
    /// 0 to 10000 Mbit/s; beyond the contract.
    pub limit_download: Option<String>,
    /// 0 to 10000 Mbit/s; beyond the contract.
    pub limit_upload: Option<String>,
}

impl fmt::Debug for ServerDraft {
    /// Shows nothing but the name: a draft may hold a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerDraft").field("name", &self.name).finish_non_exhaustive()
    }
}
