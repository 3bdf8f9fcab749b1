//! Routes of ours, and the way that a packet would take.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::{Netlink, PROTOCOL, family};

/// A route of ours into a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The table that it is in; 254 is `main`.
    pub table: u32,
    /// Where to.
    pub to: IpNet,
    /// The device's number.
    pub link: u32,
}

impl Netlink {
    /// Every route of ours, of both families and all tables.
    ///
    /// # Errors
    /// The kernel's.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let mut routes = Vec::new();
        for v6 in [false, true] {
            let mut question = RouteMessage::default();
            question.header.address_family = family(v6);
            question.header.protocol = RouteProtocol::Other(PROTOCOL);
            let answers = match self.dump(RouteNetlinkMessage::GetRoute(question)) {
                Err(error) if lacks_family(&error) => continue,
                answers => answers?,
            };
            routes.extend(answers.iter().filter_map(|answer| {
                if let RouteNetlinkMessage::NewRoute(message) = answer { ours(message) } else { None }
            }));
        }
        Ok(routes)
    }

    /// Adds a route of ours.
    ///
    /// # Errors
    /// The kernel's: `AlreadyExists` where somebody has a route to the same place in the same table.
    pub fn add_route(&mut self, route: &Route) -> io::Result<()> {
        self.create(RouteNetlinkMessage::NewRoute(message(route)))
    }

    /// Removes a route of ours.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_route(&mut self, route: &Route) -> io::Result<()> {
        self.change(RouteNetlinkMessage::DelRoute(message(route)))
    }

    /// The number of the interface by which this host reaches the internet; `None` where it does not.
    pub fn way_out(&mut self, v6: bool) -> Option<u32> {
        let mut question = RouteMessage::default();
        question.header.address_family = family(v6);
        question.header.destination_prefix_length = if v6 { 128 } else { 32 };
        // the kernel only looks it up
        let far: IpAddr = if v6 {
            Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x1111).into()
        } else {
            Ipv4Addr::new(1, 1, 1, 1).into()
        };
        question.attributes.push(RouteAttribute::Destination(far.into()));
        let answers = self.ask(RouteNetlinkMessage::GetRoute(question), NLM_F_ACK).ok()?;
        answers.iter().find_map(|answer| {
            let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
            // a route that refuses has no interface, or loopback
            (message.header.kind == RouteType::Unicast).then(|| device(message)).flatten()
        })
    }
}

/// Whether the host has no such family at all.
fn lacks_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP))
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let v6 = route.to.addr().is_ipv6();
    message.header.address_family = family(v6);
    message.header.destination_prefix_length = route.to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_UNSPEC;
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    // IPv4: what lies behind is on the device itself; IPv6 knows no such difference
    message.header.scope = if v6 { RouteScope::Universe } else { RouteScope::Link };
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Table(route.table),
        RouteAttribute::Destination(route.to.addr().into()),
        RouteAttribute::Oif(route.link),
    ];
    message
}

fn ours(message: &RouteMessage) -> Option<Route> {
    if message.header.protocol != RouteProtocol::Other(PROTOCOL) {
        return None;
    }
    let mut table = message.header.table.into();
    // a default route is told without a destination
    let v6 = message.header.address_family == family(true);
    let mut to: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    for attribute in &message.attributes {
        if let RouteAttribute::Table(number) = attribute {
            table = *number;
        } else if let RouteAttribute::Destination(RouteAddress::Inet(address)) = attribute {
            to = (*address).into();
        } else if let RouteAttribute::Destination(RouteAddress::Inet6(address)) = attribute {
            to = (*address).into();
        }
    }
    let to = IpNet::new(to, message.header.destination_prefix_length).ok()?;
    Some(Route { table, to, link: device(message)? })
}

fn device(message: &RouteMessage) -> Option<u32> {
    message.attributes.iter().find_map(|one| if let RouteAttribute::Oif(index) = one { Some(*index) } else { None })
}
