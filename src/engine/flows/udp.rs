//! UDP mappings: one OS socket for each address and port of a peer, whatever it speaks to (RFC 4787, REQ-1).
//!
//! Answers come in from addresses that the peer has spoken to, any port of theirs, unless the operator chooses otherwise
//! (REQ-8), and only what the peer sends keeps a mapping alive (REQ-6). A forwarded port is a mapping that lives on its own and lets everybody in.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::timeouts;
use crate::domain::nat::Filtering;

/// How many addresses a mapping remembers; beyond, the one spoken to first is forgotten.
const CONTACTS_MAX: usize = 256;
/// The port of name servers.
const DNS: u16 = 53;

/// A mapping.
#[derive(Debug)]
pub(super) struct Mapping {
    contacts: Contacts<IpAddr>,
    /// The same with their ports, where those count.
    asked: Contacts<SocketAddr>,
    only_dns: bool,
    expires: Instant,
    /// Whether a forwarded port leads here.
    pub(super) is_forwarded: bool,
    /// Who called at the forwarded port, or what of the host is open to the peer, though `reach` refuses it.
    pub(super) callers: Passes,
    /// Forwarded ports of ours that the peer has spoken to.
    pub(super) doors: Passes,
}

impl Mapping {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            contacts: Contacts::default(),
            asked: Contacts::default(),
            only_dns: true,
            expires: now,
            is_forwarded: false,
            callers: Passes::default(),
            doors: Passes::default(),
        }
    }

    /// The mapping of a forwarded port.
    pub(super) fn forwarded(now: Instant) -> Self {
        Self { is_forwarded: true, ..Self::new(now) }
    }

    /// The peer speaks to this address, which it may.
    pub(super) fn refresh(&mut self, remote: SocketAddr, filtering: Filtering, now: Instant) {
        self.contacts.add(remote.ip());
        if filtering == Filtering::AddressAndPort {
            self.asked.add(remote);
        }
        self.touch(remote.port(), now);
    }

    /// The peer speaks to this port.
    pub(super) fn touch(&mut self, port: u16, now: Instant) {
        self.only_dns &= port == DNS;
        self.expires = now + if self.only_dns { timeouts::UDP_DNS } else { timeouts::UDP };
    }

    /// Whether the peer has spoken to this address.
    pub(super) fn has_contacted(&self, remote: IpAddr) -> bool {
        self.contacts.contains(remote)
    }

    /// What the peer knows the remote as, if the peer has spoken to it: to its address, or where that is asked for to
    /// its port too.
    pub(super) fn known_as(&self, remote: SocketAddr, filtering: Filtering) -> Option<SocketAddr> {
        let passes = self.doors.shown_of(remote).or_else(|| self.callers.shown_of(remote));
        let is_known = match filtering {
            Filtering::EndpointIndependent | Filtering::AddressDependent => self.contacts.contains(remote.ip()),
            Filtering::AddressAndPort => self.asked.contains(remote),
        };
        passes.or_else(|| is_known.then_some(remote))
    }

    /// Forgets the addresses that `keep` does not pick.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&IpAddr) -> bool) {
        self.asked.retain(|remote| keep(&remote.ip()));
        self.contacts.retain(keep);
    }

    /// Forgets everybody.
    pub(super) fn forget(&mut self) {
        *self = Self::forwarded(self.expires);
    }

    /// When it ends; a forwarded one does not end by itself.
    pub(super) fn expires(&self) -> Option<Instant> {
        (!self.is_forwarded).then_some(self.expires)
    }
}

/// A remote that may be spoken to, to the port, though `reach` refuses its address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// What the peer knows it as.
    pub(super) shown: SocketAddr,
    /// What the OS knows it as.
    pub(super) real: SocketAddr,
    /// When it was granted last.
    pub(super) since: Instant,
}

/// Passes; beyond a bound, the one granted first is forgotten.
#[derive(Debug, Default)]
pub(super) struct Passes {
    known: Vec<Pass>,
    next: usize,
}

impl Passes {
    pub(super) fn add(&mut self, pass: Pass) {
        if let Some(known) = self.known.iter_mut().find(|known| known.real == pass.real) {
            *known = pass;
        } else if self.known.len() < CONTACTS_MAX {
            self.known.push(pass);
        } else {
            self.known[self.next] = pass;
            self.next = (self.next + 1) % CONTACTS_MAX;
        }
    }

    /// Where the OS is to send what the peer sends there; a pass that was not granted for long is none.
    pub(super) fn real_of(&self, shown: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let mut passes = self.known.iter().filter(|pass| pass.shown == shown);
        passes.find(|pass| now.saturating_duration_since(pass.since) < timeouts::UDP).map(|pass| pass.real)
    }

    pub(super) fn shown_of(&self, real: SocketAddr) -> Option<SocketAddr> {
        self.known.iter().find(|pass| pass.real == real).map(|pass| pass.shown)
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Pass) -> bool) {
        self.known.retain(keep);
        self.next = 0;
    }
}

/// Whom a mapping has spoken to.
#[derive(Debug)]
pub(super) struct Contacts<T> {
    known: Vec<T>,
    next: usize,
}

impl<T> Default for Contacts<T> {
    fn default() -> Self {
        Self { known: Vec::new(), next: 0 }
    }
}

impl<T: Copy + PartialEq> Contacts<T> {
    pub(super) fn add(&mut self, address: T) {
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

    pub(super) fn contains(&self, address: T) -> bool {
        self.known.contains(&address)
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
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
