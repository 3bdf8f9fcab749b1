//! What the machine is told: sizes, bounds and where peers may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use super::reach::Reach;
use crate::domain::nat::Filtering;

/// What the machine is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest packet that a peer takes, in bytes; at least 1,280.
    pub mtu: u16,
    /// The appliance's own address inside the tunnel, which ICMP errors come from.
    pub address: Option<Ipv4Addr>,
    /// The same over IPv6.
    pub address_v6: Option<Ipv6Addr>,
    /// How much may grow.
    pub limits: Limits,
    /// The most memory of a TCP connection each way, in bytes; [`usize::MAX`] for what is good for speed.
    pub buffer_max: usize,
    /// Where peers may go.
    pub reach: Reach,
    /// Who may answer at a peer's UDP port.
    pub filtering: Filtering,
}

impl Settings {
    /// Which of our addresses speaks to this one.
    pub(super) fn own_address(&self, beside: IpAddr) -> Option<IpAddr> {
        match beside {
            IpAddr::V4(_) => self.address.map(IpAddr::from),
            IpAddr::V6(_) => self.address_v6.map(IpAddr::from),
        }
    }
}

/// How many flows may be open. A flow beyond is refused; none is ever ended to make room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all: each holds a file descriptor.
    pub flows: usize,
    /// Of one peer.
    pub flows_of_owner: usize,
}

impl Limits {
    /// Shares out so many file descriptors: two thirds of them to flows, two fifths of those to any one peer
    /// while enough is free.
    pub const fn of_descriptors(descriptors: usize) -> Self {
        let flows = descriptors / 3 * 2;
        Self { flows, flows_of_owner: flows / 5 * 2 }
    }

    /// No more of one peer than it may have ports, of which each flow takes one (RFC 6888, REQ-4).
    #[must_use]
    pub fn with_ports(self, ports_per_account: Option<NonZeroU32>) -> Self {
        let ports = ports_per_account.map_or(usize::MAX, |ports| usize::try_from(ports.get()).unwrap_or(usize::MAX));
        Self { flows_of_owner: self.flows_of_owner.min(ports), ..self }
    }
}

/// TCP connections of one peer that the outside has not answered yet, and as many that the peer has not.
pub(super) const HALF_OPEN_OF_OWNER: usize = 256;

/// How large a TCP connection's buffers are, each way, by how many connections its peer has already.
///
/// One MiB fills 80 Mbit/s over 100 ms. Memory is only taken as far as bytes lie in a buffer, but a peer that never
/// reads could make it all be taken: so whoever opens many connections gets smaller ones.
pub(super) const fn buffer_len(connections: usize) -> usize {
    match connections {
        0..128 => 1 << 20,
        128..1_024 => 1 << 18,
        _ => 1 << 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_a_third_of_the_descriptors_and_no_peer_more_than_two_fifths() {
        let limits = Limits::of_descriptors(20_000);
        assert_eq!(limits, Limits { flows: 13_332, flows_of_owner: 5_332 });
    }

    #[test]
    fn bounds_what_one_peer_can_make_be_taken() {
        let all: usize = (0..5_332).map(buffer_len).sum();
        assert!(all < 700 << 20, "{all}");
    }
}
