//! Mappings of pings: one OS socket for each address and identifier of a peer (RFC 5508, REQ-1).
//!
//! The kernel puts an identifier of its own on the wire and gives back only answers to it; sequence numbers pass.

use std::net::IpAddr;
use std::time::Instant;

use super::timeouts;
use super::udp::Contacts;

/// A mapping.
#[derive(Debug)]
pub(super) struct Mapping {
    contacts: Contacts<IpAddr>,
    expires: Instant,
}

impl Mapping {
    pub(super) fn new(now: Instant) -> Self {
        Self { contacts: Contacts::default(), expires: now }
    }

    /// The peer pings this address.
    pub(super) fn refresh(&mut self, remote: IpAddr, now: Instant) {
        self.contacts.add(remote);
        self.expires = now + timeouts::PING;
    }

    /// Whether the peer has pinged this address.
    pub(super) fn has_contacted(&self, remote: IpAddr) -> bool {
        self.contacts.contains(remote)
    }

    /// Forgets the addresses that `keep` does not pick.
    pub(super) fn retain(&mut self, keep: impl FnMut(&IpAddr) -> bool) {
        self.contacts.retain(keep);
    }

    pub(super) fn expires(&self) -> Instant {
        self.expires
    }
}
