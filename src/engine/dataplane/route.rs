//! Where a client's packet goes.

use std::net::{IpAddr, Ipv4Addr};

use super::peers::Peers;
use super::plan::Plan;
use super::seat::Away;
use super::verdict::DropReason;
use crate::domain::key::PublicKey;
use crate::engine::packet::Owner;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The server itself.
    Own,
    /// Another client of the same server.
    Peer(Owner),
    /// Another client of the same server, who lives at another worker.
    Away(&'a PublicKey),
    /// Everywhere else.
    Outside,
}

/// Finds the way to a destination.
///
/// # Errors
/// [`DropReason`] where there is none: what is not one host, addresses of the clients' network that nobody has.
pub(super) fn find<'a>(
    plan: &Plan,
    peers: &Peers,
    away: &'a Away,
    destination: IpAddr,
) -> Result<Route<'a>, DropReason> {
    if plan.is_own(destination) {
        return Ok(Route::Own);
    }
    if !is_one_host(plan, destination) {
        return Err(DropReason::NotUnicast);
    }
    let route = match peers.at_address(plan, destination) {
        Some(owner) => Some(Route::Peer(owner)),
        None => away.at_address(plan, destination).map(Route::Away),
    };
    match route {
        Some(route) => Ok(route),
        None if plan.is_inside(destination) => Err(DropReason::NobodyThere),
        None => Ok(Route::Outside),
    }
}

fn is_one_host(plan: &Plan, destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(address) => {
            let broadcast =
                address == Ipv4Addr::BROADCAST || (plan.v4.prefix_len() < 31 && address == plan.v4.broadcast());
            !(broadcast || address.is_multicast() || address.is_unspecified())
        }
        IpAddr::V6(address) => !(address.is_multicast() || address.is_unspecified()),
    }
}
