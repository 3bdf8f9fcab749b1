//! What ought to be in the kernel, and what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::runtime::os::netlink::{Address, Link, Route, Rule};

/// What ought to be. The default wants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The device by which clients' packets leave and come back; without it nothing is steered.
    pub uplink: Option<Device>,
    /// Whether the host forwards packets. Without it nothing can be steered or handed back, so nothing is.
    pub forwarding: bool,
    /// The addresses in whose name clients' packets leave, and how each is reached.
    pub externals: BTreeMap<IpAddr, Reached>,
    /// The ports of shared addresses that the NAT maps to.
    pub ports: RangeInclusive<u16>,
    /// Further ports of shared addresses that lead to clients.
    pub forwards: BTreeSet<Forwarded>,
    /// A device for each server. Packets from outside to its networks are steered to the uplink, the host's own go to it.
    pub servers: Vec<Device>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            uplink: None,
            forwarding: false,
            externals: BTreeMap::new(),
            ports: 0..=0,
            forwards: BTreeSet::new(),
            servers: Vec::new(),
        }
    }
}

/// Ports of an external address that are forwarded, as far as they follow one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forwarded {
    /// The address.
    pub external: IpAddr,
    /// TCP or UDP.
    pub protocol: u8,
    /// The first and the last.
    pub ports: (u16, u16),
}

/// A TUN device of ours, which is open already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// The longest packet in bytes. The uplink's ought to be no shorter than any other interface's: what comes from
    /// outside is forwarded into it.
    pub mtu: u32,
    /// Its addresses; the uplink needs none.
    pub addresses: Vec<IpNet>,
}

/// How packets to an external address come to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// An interface of the host has it: the host's own programs use it too.
    Shared,
    /// A router sends them; no interface has it, and all of it is the NAT's.
    Routed,
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Every interface, by name.
    pub links: BTreeMap<String, Link>,
    /// Every address.
    pub addresses: Vec<Address>,
    /// Our rules, and those of others that are like ours.
    pub rules: Vec<Rule>,
    /// Our routes.
    pub routes: Vec<Route>,
    /// Whether the host forwards IPv4 and IPv6.
    pub forwards: [bool; 2],
}

impl Wish {
    /// The names of all our devices.
    pub fn devices(&self) -> BTreeSet<&str> {
        self.uplink.iter().chain(&self.servers).map(|device| device.name.as_str()).collect()
    }

    /// Whether anything of this family is to go through the uplink.
    pub fn forwards(&self, v6: bool) -> bool {
        let networks = self.servers.iter().flat_map(|server| &server.addresses).map(IpNet::addr);
        let of_family = |address: &IpAddr| address.is_ipv6() == v6;
        self.uplink.is_some()
            && self.forwarding
            && self.externals.keys().copied().chain(networks).any(|a| of_family(&a))
    }

    /// The shared addresses of this family.
    pub fn shared(&self, v6: bool) -> impl Iterator<Item = IpAddr> + '_ {
        self.reached(Reached::Shared).filter(move |address| address.is_ipv6() == v6)
    }

    /// The addresses that are so reached.
    pub fn reached(&self, how: Reached) -> impl Iterator<Item = IpAddr> + '_ {
        self.externals.iter().filter(move |(_, reached)| **reached == how).map(|(address, _)| *address)
    }
}

impl Reached {
    /// How packets to `external` come here, where the host's other interfaces have these addresses.
    pub fn by(external: IpAddr, addresses: &[IpAddr]) -> Self {
        if addresses.contains(&external) { Self::Shared } else { Self::Routed }
    }
}
