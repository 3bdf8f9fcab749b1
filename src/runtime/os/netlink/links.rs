//! Network interfaces and their addresses.

use std::io;

use ipnet::IpNet;
use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};

use super::{Netlink, family};

/// `IFLA_INET_CONF`, `IPV4_DEVCONF_RP_FILTER` and `IPV4_DEVCONF_ACCEPT_LOCAL` of `linux/if_link.h` and `linux/ip.h`.
const CONF: u16 = 1;
const RP_FILTER: u16 = 8;
const ACCEPT_LOCAL: u16 = 23;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// The longest packet in bytes.
    pub mtu: u32,
    /// How many packets may wait for its reader.
    pub queue: u32,
    /// What it asks of an IPv4 packet's source; `None` where it has no IPv4.
    pub reverse: Option<Reverse>,
}

/// What an interface asks of the source of an IPv4 packet that comes in by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reverse {
    /// `rp_filter`: 0 asks nothing.
    pub filter: u32,
    /// `accept_local`: whether it may be the host's own.
    pub accept_local: bool,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The interface's number.
    pub link: u32,
    /// The address with its network's length.
    pub net: IpNet,
}

impl Netlink {
    /// Every interface.
    ///
    /// # Errors
    /// The kernel's.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let answers = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answers
            .iter()
            .filter_map(|answer| if let RouteNetlinkMessage::NewLink(m) = answer { link(m) } else { None })
            .collect())
    }

    /// Every address of every interface.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let answers = self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        let parse = |answer: &RouteNetlinkMessage| {
            if let RouteNetlinkMessage::NewAddress(message) = answer { address(message) } else { None }
        };
        Ok(answers.iter().filter_map(parse).collect())
    }

    /// Gives an interface an MTU and a queue of these lengths, has it ask nothing of a packet's source, and sets it up.
    /// It gives itself no IPv6 address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_up(&mut self, index: u32, mtu: u32, queue: u32, reverse: Reverse) -> io::Result<()> {
        let entry =
            |kind: u16, value: u32| [[8, 0], kind.to_ne_bytes()].concat().into_iter().chain(value.to_ne_bytes());
        let conf: Vec<u8> =
            entry(RP_FILTER, reverse.filter).chain(entry(ACCEPT_LOCAL, reverse.accept_local.into())).collect();
        let conf = AfSpecInet::Other(DefaultNla::new(CONF | NLA_F_NESTED, conf));
        let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        self.set_link(index, vec![LinkAttribute::Mtu(mtu), LinkAttribute::TxQueueLen(queue)], false)?;
        // by this road also where /proc/sys is read-only
        self.set_link(index, vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![conf])])], false)?;
        // a host without IPv6 needs not be told, and refuses
        let _ = self.set_link(index, vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![none])])], false);
        self.set_link(index, Vec::new(), true)
    }

    fn set_link(&mut self, index: u32, attributes: Vec<LinkAttribute>, up: bool) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if up {
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
        }
        message.attributes = attributes;
        self.change(RouteNetlinkMessage::SetLink(message))
    }

    /// Gives an interface an address. An IPv6 address is usable at once: nobody else can have it on a device of ours.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_address(&mut self, address: Address) -> io::Result<()> {
        let mut message = message(address);
        if address.net.addr().is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        self.create(RouteNetlinkMessage::NewAddress(message))
    }

    /// Takes an address from an interface.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_address(&mut self, address: Address) -> io::Result<()> {
        self.change(RouteNetlinkMessage::DelAddress(message(address)))
    }
}

fn message(Address { link, net }: Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(net.addr().is_ipv6());
    message.header.prefix_len = net.prefix_len();
    message.header.index = link;
    message.attributes = vec![AddressAttribute::Local(net.addr()), AddressAttribute::Address(net.addr())];
    message
}

fn link(message: &LinkMessage) -> Option<Link> {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        up: message.header.flags.contains(LinkFlags::Up),
        mtu: 0,
        queue: 0,
        reverse: None,
    };
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            link.name.clone_from(name);
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            link.mtu = *mtu;
        } else if let LinkAttribute::TxQueueLen(queue) = attribute {
            link.queue = *queue;
        } else if let LinkAttribute::AfSpecUnspec(families) = attribute {
            link.reverse = families.iter().find_map(reverse);
        }
    }
    (!link.name.is_empty()).then_some(link)
}

fn reverse(family: &AfSpecUnspec) -> Option<Reverse> {
    let AfSpecUnspec::Inet(parts) = family else { return None };
    parts.iter().find_map(|part| {
        let AfSpecInet::DevConf(conf) = part else { return None };
        Some(Reverse { filter: conf.rp_filter.try_into().unwrap_or_default(), accept_local: conf.accept_local != 0 })
    })
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut own = None;
    for attribute in &message.attributes {
        // on a point-to-point interface the other attribute is the far end
        if let AddressAttribute::Local(address) = attribute {
            own = Some(*address);
        } else if let AddressAttribute::Address(address) = attribute {
            own = own.or(Some(*address));
        }
    }
    let net = IpNet::new(own?, message.header.prefix_len).ok()?;
    Some(Address { link: message.header.index, net })
}
