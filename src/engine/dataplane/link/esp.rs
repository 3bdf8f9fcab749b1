//! One client's ESP: the children of its connection, and which of them is sent with.
//!
//! Who proves the client and agrees on keys is `engine::ike`; its events are what [`Children::install`] and
//! [`Children::remove`] are called for.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};

use crate::engine::esp::association::{Inbound, Keys, Outbound, Refused};
use crate::engine::esp::protection::Unauthentic;
use crate::engine::wire::Ip;

/// A child that is to be taken into use.
#[derive(Debug, Clone)]
pub struct Child {
    /// What the client sends with, to our SPI.
    pub inbound: Keys,
    /// What we send with.
    pub outbound: Keys,
    /// Random bytes for the IVs of what we send.
    pub seed: [u8; 16],
    /// The client's inner addresses.
    pub client: Vec<RangeInclusive<IpAddr>>,
    /// The addresses that it may speak with.
    pub network: Vec<RangeInclusive<IpAddr>>,
    /// Whether the client is known to have the keys.
    pub confirmed: bool,
    /// Whether it carries anything at all (`installpolicy`).
    pub carries: bool,
}

/// Why a packet did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPassed {
    /// No child has this SPI.
    #[error("unknown SPI")]
    UnknownSpi,
    /// The child refuses it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It is authentic, but its addresses are not what was agreed upon: RFC 4301, section 5.2.
    #[error("other addresses than agreed upon")]
    WrongAddress,
    /// No child may be sent with, or none takes these addresses.
    #[error("no child")]
    NoChild,
    /// The child is to carry nothing.
    #[error("nothing is to travel")]
    NoPolicy,
}

/// What came out of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where in the datagram the inner packet lies.
    pub packet: Range<usize>,
    /// Our SPI that it came by.
    pub inbound: u32,
    /// Whether it is newer than anything before: only then does it say where the client is.
    pub newest: bool,
}

/// What a child has carried, and what it has refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Packets from the client.
    pub received: u64,
    /// Packets to the client.
    pub sent: u64,
    /// Datagrams that were seen before or are too old.
    pub replayed: u64,
    /// Datagrams that were not sealed with its key.
    pub unauthentic: u64,
    /// Packets with other addresses than agreed upon.
    pub wrong_address: u64,
}

#[derive(Debug)]
struct Installed {
    inbound: Inbound,
    outbound: Outbound,
    client: Vec<RangeInclusive<IpAddr>>,
    network: Vec<RangeInclusive<IpAddr>>,
    confirmed: bool,
    /// Whether it is over save for packets that are under way.
    retired: bool,
    carries: bool,
    /// Whether its successor was asked for because its numbers run out.
    asked: bool,
    figures: Figures,
}

impl Installed {
    /// Whether it may be sent with.
    fn sends(&self) -> bool {
        self.confirmed && !self.retired
    }

    fn takes(&self, client: IpAddr, other: IpAddr) -> bool {
        let has = |ranges: &[RangeInclusive<IpAddr>], address: IpAddr| {
            ranges.iter().any(|range| range.start().is_ipv4() == address.is_ipv4() && range.contains(&address))
        };
        has(&self.client, client) && has(&self.network, other)
    }
}

/// The children of one connection, the newest last. There are few: `engine::ike` allows eight.
#[derive(Debug, Default)]
pub struct Children {
    installed: Vec<Installed>,
}

impl Children {
    /// Takes a child into use: it opens at once, and is sent with once the client is known to have its keys.
    ///
    /// # Errors
    /// [`Unauthentic`] for keys that do not fit their suite.
    pub fn install(&mut self, child: Child) -> Result<(), Unauthentic> {
        self.installed.push(Installed {
            inbound: Inbound::new(&child.inbound)?,
            outbound: Outbound::new(&child.outbound, child.seed)?,
            client: child.client,
            network: child.network,
            confirmed: child.confirmed,
            retired: false,
            carries: child.carries,
            asked: false,
            figures: Figures::default(),
        });
        Ok(())
    }

    /// A child is gone. If it was the only one that could be sent with, its successor is from now on.
    pub fn remove(&mut self, inbound: u32) -> Option<Figures> {
        let at = self.place(inbound)?;
        let figures = self.installed.remove(at).figures;
        self.follow();
        Some(figures)
    }

    /// A child is sent with no more; what comes by it is still taken. If it was the only one that could be sent with, its
    /// successor is from now on.
    pub fn retire(&mut self, inbound: u32) {
        if let Some(at) = self.place(inbound) {
            self.installed[at].retired = true;
            self.follow();
        }
    }

    /// Lets the newest child be sent with where none can be.
    fn follow(&mut self) {
        if !self.is_connected()
            && let Some(last) = self.installed.iter_mut().rfind(|child| !child.retired)
        {
            last.confirmed = true;
        }
    }

    fn place(&self, inbound: u32) -> Option<usize> {
        self.installed.iter().position(|child| child.inbound.spi() == inbound)
    }

    /// Whether there is a child to send with.
    pub fn is_connected(&self) -> bool {
        self.installed.iter().any(Installed::sends)
    }

    /// What a child has carried.
    pub fn figures(&self, inbound: u32) -> Option<Figures> {
        Some(self.installed[self.place(inbound)?].figures)
    }

    /// Opens a datagram in place. The first packet by a child shows that the client has its keys.
    ///
    /// # Errors
    /// [`NotPassed`]; nothing is proved but by [`NotPassed::WrongAddress`] and the reasons of [`Refused`] that say so.
    pub fn open(&mut self, datagram: &mut [u8]) -> Result<Opened, NotPassed> {
        let (spi, _) = datagram.split_first_chunk::<4>().ok_or(NotPassed::UnknownSpi)?;
        let inbound = u32::from_be_bytes(*spi);
        let at = self.place(inbound).ok_or(NotPassed::UnknownSpi)?;
        let child = &mut self.installed[at];
        let opened = child.inbound.open(datagram).inspect_err(|refused| match refused {
            Refused::Replayed => child.figures.replayed += 1,
            Refused::Unauthentic => child.figures.unauthentic += 1,
            Refused::Malformed | Refused::BadInner | Refused::Dummy | Refused::Exhausted | Refused::NoRoom => {}
        })?;
        child.confirmed = true;
        let ip = Ip::new(&datagram[opened.packet.clone()]).map_err(|_| Refused::BadInner)?;
        if !child.takes(ip.source(), ip.destination()) {
            child.figures.wrong_address += 1;
            return Err(NotPassed::WrongAddress);
        }
        if !child.carries {
            return Err(NotPassed::NoPolicy);
        }
        child.figures.received += 1;
        Ok(Opened { packet: opened.packet, inbound, newest: opened.newest })
    }

    /// Seals a packet with the newest child that takes its addresses; returns the datagram's length and our SPI of it.
    ///
    /// # Errors
    /// [`NotPassed::NoChild`], and what [`Outbound::seal`] refuses.
    pub fn seal(&mut self, packet: &[u8], memory: &mut [u8]) -> Result<(usize, u32), NotPassed> {
        let ip = Ip::new(packet).map_err(|_| Refused::BadInner)?;
        let (source, destination) = (ip.source(), ip.destination());
        let mut newest_first = self.installed.iter_mut().rev();
        let child = newest_first.find(|child| child.sends() && child.takes(destination, source));
        let child = child.ok_or(NotPassed::NoChild)?;
        if !child.carries {
            return Err(NotPassed::NoPolicy);
        }
        let length = child.outbound.seal(packet, memory)?;
        child.figures.sent += 1;
        Ok((length, child.inbound.spi()))
    }

    /// Whether one of them has this SPI of ours.
    pub fn has(&self, inbound: u32) -> bool {
        self.place(inbound).is_some()
    }

    /// Our SPIs.
    pub fn spis(&self) -> impl Iterator<Item = u32> {
        self.installed.iter().map(|child| child.inbound.spi())
    }

    /// The largest packet that fits a datagram of so many bytes, by the newest child to send with.
    pub fn packet_max(&self, datagram: usize) -> Option<usize> {
        let newest = self.installed.iter().rev().find(|child| child.sends())?;
        Some(newest.outbound.packet_max(datagram))
    }

    /// A child whose sequence numbers are nearly spent, named once by our SPI.
    pub fn take_spent(&mut self) -> Option<u32> {
        let child = self.installed.iter_mut().find(|child| child.outbound.is_nearly_spent() && !child.asked)?;
        child.asked = true;
        Some(child.inbound.spi())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::esp::suite::{Encryption, Suite};
    use crate::engine::wire::udp;

    fn keys(spi: u32) -> Keys {
        let suite = Suite::aead(Encryption::Aes128Gcm);
        let encryption = vec![u8::try_from(spi & 0xff).unwrap(); 20].into();
        Keys { spi, suite, extended: false, encryption, integrity: Vec::new().into() }
    }

    fn only(address: &str) -> RangeInclusive<IpAddr> {
        let address = address.parse().unwrap();
        address..=address
    }

    fn child(number: u32, confirmed: bool) -> Child {
        Child {
            inbound: keys(0x100 + number),
            outbound: keys(0x200 + number),
            seed: [1; 16],
            client: vec![only("10.0.0.2")],
            network: vec!["0.0.0.0".parse().unwrap()..="255.255.255.255".parse().unwrap()],
            confirmed,
            carries: true,
        }
    }

    fn packet(from: &str, to: &str) -> Vec<u8> {
        let mut bytes = vec![0; 60];
        let socket = |address: &str| std::net::SocketAddr::new(address.parse().unwrap(), 7);
        let length = udp::write_packet(&mut bytes, socket(from), socket(to), 64, b"hello").unwrap();
        bytes.truncate(length);
        bytes
    }

    /// A datagram of the client's by the child with this number.
    fn from_client(number: u32, packet: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 200];
        let length = Outbound::new(&keys(0x100 + number), [2; 16]).unwrap().seal(packet, &mut memory).unwrap();
        memory.truncate(length);
        memory
    }

    fn sent_by(children: &mut Children) -> Result<u32, NotPassed> {
        children.seal(&packet("192.0.2.1", "10.0.0.2"), &mut [0; 200]).map(|(_, inbound)| inbound)
    }

    #[test]
    fn sends_by_a_successor_once_the_client_has_shown_that_it_has_the_keys() {
        let mut children = Children::default();
        children.install(child(1, true)).unwrap();
        children.install(child(2, false)).unwrap();
        assert_eq!(sent_by(&mut children), Ok(0x101));

        let opened = children.open(&mut from_client(2, &packet("10.0.0.2", "192.0.2.1"))).unwrap();

        assert_eq!((opened.inbound, opened.newest), (0x102, true));
        assert_eq!(sent_by(&mut children), Ok(0x102));
        // packets by the old one may still be under way
        assert!(children.open(&mut from_client(1, &packet("10.0.0.2", "192.0.2.1"))).is_ok());
        assert_eq!(children.figures(0x102), Some(Figures { received: 1, sent: 1, ..Figures::default() }));
    }

    #[test]
    fn sends_by_a_successor_once_the_old_one_is_gone() {
        let mut children = Children::default();
        children.install(child(1, true)).unwrap();
        children.install(child(2, false)).unwrap();

        assert!(children.remove(0x101).is_some());

        assert_eq!(sent_by(&mut children), Ok(0x102));
        children.remove(0x102);
        assert!(!children.is_connected() && sent_by(&mut children) == Err(NotPassed::NoChild));
    }

    #[test]
    fn sends_no_more_by_a_child_that_is_over_and_takes_what_comes_by_it() {
        let mut children = Children::default();
        children.install(child(1, true)).unwrap();
        children.install(child(2, true)).unwrap();

        // the newer of two that came at once is the one that is given up
        children.retire(0x102);

        assert_eq!(sent_by(&mut children), Ok(0x101));
        assert!(children.open(&mut from_client(2, &packet("10.0.0.2", "192.0.2.1"))).is_ok());
        assert_eq!(sent_by(&mut children), Ok(0x101), "what comes by it does not bring it back");
        children.install(child(3, false)).unwrap();
        children.retire(0x101);
        assert_eq!(sent_by(&mut children), Ok(0x103), "the successor of whom was over");
    }

    #[test]
    fn lets_a_client_speak_in_its_own_name_alone() {
        let mut children = Children::default();
        children.install(child(1, true)).unwrap();

        let outcome = children.open(&mut from_client(1, &packet("10.0.0.3", "192.0.2.1")));

        assert_eq!(outcome, Err(NotPassed::WrongAddress));
        assert_eq!(children.figures(0x101).unwrap().wrong_address, 1);
        let to_another = children.seal(&packet("192.0.2.1", "10.0.0.3"), &mut [0; 200]);
        assert_eq!(to_another, Err(NotPassed::NoChild));
    }

    #[test]
    fn carries_nothing_where_that_is_the_policy() {
        let mut children = Children::default();
        children.install(Child { carries: false, ..child(1, true) }).unwrap();

        let opened = children.open(&mut from_client(1, &packet("10.0.0.2", "192.0.2.1")));

        assert_eq!((opened, sent_by(&mut children)), (Err(NotPassed::NoPolicy), Err(NotPassed::NoPolicy)));
    }

    #[test]
    fn counts_what_it_refuses_and_knows_its_own_alone() {
        let mut children = Children::default();
        children.install(child(1, true)).unwrap();
        let mut datagram = from_client(1, &packet("10.0.0.2", "192.0.2.1"));
        let mut forged = datagram.clone();
        *forged.last_mut().unwrap() ^= 1;

        assert_eq!(children.open(&mut forged), Err(NotPassed::Refused(Refused::Unauthentic)));
        assert!(children.open(&mut datagram.clone()).is_ok());
        assert_eq!(children.open(&mut datagram), Err(NotPassed::Refused(Refused::Replayed)));
        assert_eq!(children.open(&mut from_client(9, &packet("10.0.0.2", "192.0.2.1"))), Err(NotPassed::UnknownSpi));
        assert_eq!(children.open(&mut [1, 2, 3]), Err(NotPassed::UnknownSpi));

        let expected = Figures { received: 1, replayed: 1, unauthentic: 1, ..Figures::default() };
        assert_eq!(children.figures(0x101), Some(expected));
    }
}
