//! What the server tells a client about a packet that it did not forward, and how often.

use std::time::{Duration, Instant};

use super::verdict::DropReason;
use crate::engine::wire::icmp::Complaint;

/// How many errors a server sends a second: RFC 1812, section 4.3.2.8 and RFC 4443, section 2.4 (f) ask for a limit.
const PER_SECOND: u32 = 100;

/// The limit of errors.
#[derive(Debug)]
pub struct Complaints {
    began: Instant,
    told: u32,
}

impl Complaints {
    /// Nothing said yet.
    pub fn new(now: Instant) -> Self {
        Self { began: now, told: 0 }
    }

    /// Whether one more may go, and counts it.
    pub fn admit(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.began) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let admitted = self.told < PER_SECOND;
        self.told += u32::from(admitted);
        admitted
    }
}

/// What a router says when it drops for this reason, if anything.
pub fn complaint(reason: DropReason, mtu: usize) -> Option<Complaint> {
    match reason {
        DropReason::InternalOff
        | DropReason::OutOfReach
        | DropReason::HostClosed
        | DropReason::Portless
        // RFC 5508, REQ-8 and RFC 6888, REQ-11: whoever has used up what there is is told so
        | DropReason::FlowRate
        | DropReason::FlowsOfOwnerFull
        | DropReason::HalfOpenFull
        | DropReason::FlowTableFull
        | DropReason::MappingsOfOwnerFull
        | DropReason::PortsExhausted => Some(Complaint::Prohibited),
        DropReason::NobodyThere | DropReason::NoEndpoint | DropReason::PeerGone => Some(Complaint::HostUnreachable),
        DropReason::NoWay => Some(Complaint::NoRoute),
        DropReason::TimeExceeded => Some(Complaint::TimeExceeded),
        DropReason::TooBig => Some(Complaint::TooBig(u16::try_from(mtu).unwrap_or(u16::MAX))),
        DropReason::NotWireGuard
        | DropReason::WrongMac
        | DropReason::UnderLoad
        | DropReason::AddressLimited
        | DropReason::PeerLimited
        | DropReason::UnknownPeer
        | DropReason::OtherPeer
        | DropReason::UnknownIndex
        | DropReason::Unauthentic
        | DropReason::Replayed
        | DropReason::CounterExhausted
        | DropReason::SessionOld
        | DropReason::Unexpected
        | DropReason::Malformed
        | DropReason::SourceForged
        | DropReason::NotUnicast
        | DropReason::Unanswered
        | DropReason::QueueFull
        | DropReason::HandshakeUnanswered
        | DropReason::OutboxFull
        | DropReason::HandOverFull
        | DropReason::ShaperDelay
        | DropReason::ShaperFull
        | DropReason::FlowCollides
        | DropReason::NotMapped
        | DropReason::Unsolicited
        | DropReason::ErrorUnfounded
        | DropReason::WrongChecksum
        | DropReason::SourceRouted
        | DropReason::FragmentUnfit
        | DropReason::Filtered
        | DropReason::ForwardingOff
        | DropReason::Stray
        | DropReason::NotEsp
        | DropReason::Dummy
        | DropReason::NotAgreed
        | DropReason::NoPolicy => None,
    }
}
