//! UDP mappings: one OS socket for each address and port of a peer, whatever it speaks to (RFC 4787, REQ-1).
//!
//! Answers come in from addresses that the peer has spoken to, any port of theirs (REQ-8), and only what the peer sends
//! keeps a mapping alive (REQ-6).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::timeouts;

/// How many addresses a mapping remembers; beyond, the one spoken to first is forgotten.
const CONTACTS_MAX: usize = 256;
/// The port of name servers.
const DNS: u16 = 53;

/// A mapping.
#[derive(Debug)]
pub(super) struct Mapping {
    contacts: Contacts,
    only_dns: bool,
    expires: Instant,
}

impl Mapping {
    pub(super) fn new(now: Instant) -> Self {
        Self { contacts: Contacts::default(), only_dns: true, expires: now }
    }

    /// The peer speaks to this address.
    pub(super) fn refresh(&mut self, remote: SocketAddr, now: Instant) {
        self.contacts.add(remote.ip());
        self.only_dns &= remote.port() == DNS;
        self.expires = now + if self.only_dns { timeouts::UDP_DNS } else { timeouts::UDP };
    }

    /// Whether the peer has spoken to this address.
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

/// Addresses that a mapping has spoken to.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: Vec<IpAddr>,
    next: usize,
}

impl Contacts {
    pub(super) fn add(&mut self, address: IpAddr) {
        if self.contains(address) {
            return;
        }
        if self.known.len() < CONTACTS_MAX {
            self.known.push(address);
        } else {
            self.known[self.next] = address;
            self.next = (self.next + 1) % CONTACTS_MAX;
        }
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.known.contains(&address)
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&IpAddr) -> bool) {
        self.known.retain(keep);
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn remembers_a_bounded_number_of_addresses_and_forgets_the_oldest() {
        let mut contacts = Contacts::default();
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(number));
        for number in 0..300 {
            contacts.add(address(number));
        }

        assert!(!contacts.contains(address(43)));
        assert!(contacts.contains(address(44)));
        assert!(contacts.contains(address(299)));
        assert_eq!(contacts.known.len(), CONTACTS_MAX);
    }
}
