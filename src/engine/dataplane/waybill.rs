//! What travels with a packet beside its bytes, and what its bytes amount to.

use super::flow::FlowId;
use super::shape::Segments;
use super::verdict::DropReason;
use crate::engine::packet::{Offload, Owner};
use crate::engine::wire::tcp::Tcp;
use crate::engine::wire::udp;
use crate::engine::wire::{Ip, Ipv4, Ipv6, protocol};

/// Where a packet goes when the shaper lets it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To the uplink.
    Outward,
    /// To the client whose lane it is.
    Down,
    /// To another client, whose lane comes next.
    Across(Owner),
    /// To a client at another worker.
    Elsewhere(u8),
    /// To the host.
    Host,
}

/// What travels with a packet beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waybill {
    /// What the packet is.
    pub(super) offload: Offload,
    /// Tells one flow's packets from another's.
    pub(super) flow: u32,
    /// Where it goes.
    pub(super) next: Next,
}

impl Waybill {
    pub(super) const fn new(offload: Offload) -> Self {
        Self { offload, flow: 0, next: Next::Outward }
    }

    pub(super) const fn gathered() -> Self {
        Self::new(Offload::GATHERED)
    }

    pub(super) const fn next(self, next: Next) -> Self {
        Self { next, ..self }
    }

    pub(super) fn of_flow(self, id: FlowId) -> Self {
        Self { flow: u32::try_from(id.index()).unwrap_or(0), ..self }
    }

    /// Checks that each packet fits a link with this MTU, or may be cut.
    ///
    /// # Errors
    /// [`DropReason::TooBig`] where it neither fits nor may be cut (RFC 791; RFC 8200, section 5).
    pub(super) fn check_size(self, packet: &[u8], mtu: usize) -> Result<(), DropReason> {
        let longest =
            if self.offload.is_super() { headers_of(packet) + usize::from(self.offload.segment) } else { packet.len() };
        if longest <= mtu || (!self.offload.is_super() && (self.offload.gathered || may_be_cut(packet))) {
            return Ok(());
        }
        Err(DropReason::TooBig)
    }

    /// What the shaper is told of it.
    pub(super) fn segments(self, packet: &[u8]) -> Segments {
        if !self.offload.is_super() {
            return Segments::NONE;
        }
        Segments { header: u16::try_from(headers_of(packet)).unwrap_or(u16::MAX), segment: self.offload.segment }
    }
}

/// Whether a router may cut it: IPv4 without "don't fragment".
fn may_be_cut(packet: &[u8]) -> bool {
    Ipv4::new(packet).is_ok_and(|view| !view.dont_fragment())
}

/// Bytes of IP and transport header.
fn headers_of(packet: &[u8]) -> usize {
    Ip::new(packet).map_or(0, |ip| headers(&ip))
}

fn headers(ip: &Ip<&[u8]>) -> usize {
    let transport = ip.transport();
    transport.offset
        + match transport.protocol {
            protocol::TCP => Tcp::new(ip.payload()).map_or(0, |segment| segment.header_len()),
            protocol::UDP => udp::HEADER,
            _ => 0,
        }
}

/// What a packet counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Packets: those that a super-packet stands for.
    pub(super) packets: u32,
    /// Bytes of their IP packets.
    pub(super) bytes: usize,
}

impl Tally {
    pub(super) fn of(ip: &Ip<&[u8]>, offload: Offload) -> Self {
        let length = ip.total_len();
        if !offload.is_super() {
            return Self { packets: 1, bytes: length };
        }
        let headers = headers(ip);
        let packets = length.saturating_sub(headers).div_ceil(usize::from(offload.segment)).max(1);
        Self { packets: u32::try_from(packets).unwrap_or(u32::MAX), bytes: length + headers * (packets - 1) }
    }
}

/// Whether a router may send it on.
///
/// # Errors
/// [`DropReason::TimeExceeded`] where it may not.
pub(super) fn check_hops(packet: &[u8]) -> Result<(), DropReason> {
    let left = match Ipv4::new(packet) {
        Ok(view) => view.ttl(),
        Err(_) => Ipv6::new(packet).map_err(|_| DropReason::Malformed)?.hop_limit(),
    };
    if left <= 1 { Err(DropReason::TimeExceeded) } else { Ok(()) }
}
