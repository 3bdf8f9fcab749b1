//! Whose packet it is: nobody speaks as another.

use std::net::IpAddr;

use super::plan::Plan;
use super::verdict::DropReason;
use crate::domain::account::Account;

/// Checks that a packet from this account carries one of its own addresses.
///
/// # Errors
/// [`DropReason::SourceForged`] otherwise, also for its IPv6 address while the server has IPv6 off.
pub fn check_source(plan: &Plan, account: &Account, source: IpAddr) -> Result<(), DropReason> {
    if owns(plan, account, source) { Ok(()) } else { Err(DropReason::SourceForged) }
}

/// Whether the address is this account's.
pub fn owns(plan: &Plan, account: &Account, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => account.address == address,
        IpAddr::V6(address) => plan.v6.is_some() && account.address_ipv6 == Some(address),
    }
}

/// The account's inner address of the same version as this one, if it has one.
pub fn address_beside(plan: &Plan, account: &Account, beside: IpAddr) -> Option<IpAddr> {
    match beside {
        IpAddr::V4(_) => Some(account.address.into()),
        IpAddr::V6(_) => account.address_ipv6.filter(|_| plan.v6.is_some()).map(IpAddr::from),
    }
}
