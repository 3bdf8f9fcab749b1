//! What the machine says besides messages.

use std::net::{IpAddr, SocketAddr};

use crate::domain::name::AccountName;
use crate::engine::esp::association::Keys;

use super::message::proposal::Protocol;
use super::message::selector::Selector;

/// Where a datagram comes from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// The other side.
    pub remote: SocketAddr,
    /// Our side.
    pub local: SocketAddr,
    /// Whether messages have the marker before them and ESP may come beside them: port 4500.
    pub marked: bool,
}

/// A datagram that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Where to.
    pub path: Path,
    /// The marker, where there is one, and the message.
    pub bytes: Vec<u8>,
}

/// One client's connection, through all its associations' successors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A child's keys and what may travel in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// What the client sends with, to our SPI.
    pub inbound: Keys,
    /// What we send with, to the client's SPI.
    pub outbound: Keys,
    /// Random bytes for the IVs of what we send.
    pub seed: [u8; 16],
    /// The client's side: an inner source must be one of these.
    pub client: Vec<Selector>,
    /// The other side.
    pub network: Vec<Selector>,
    /// Our SPI of the child that it follows.
    pub replaces: Option<u32>,
    /// Whether the client is known to have the keys: then one may send with them at once, otherwise with the first
    /// packet that comes by them, or when the one before it is gone.
    pub confirmed: bool,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The client said so.
    Peer,
    /// We said so: it was asked for from outside, or the account is no longer let in.
    Asked,
    /// Another connection of the account took its place.
    Replaced,
    /// The client is silent.
    Silent,
    /// Nothing travelled.
    Idle,
    /// Its life is over.
    Expired,
    /// The client did not prove who it is.
    NotProved,
    /// It was not finished in time, or had to make room.
    Unfinished,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both sides have proved who they are.
    Connected {
        /// The connection.
        session: SessionId,
        /// Whose it is.
        account: AccountName,
        /// Its inner addresses.
        addresses: Vec<IpAddr>,
        /// Where it is.
        path: Path,
    },
    /// A child came to be.
    Opened {
        /// The connection.
        session: SessionId,
        /// The keys.
        tunnel: Box<Tunnel>,
    },
    /// A child is sent with no more. What comes by it is taken until it is [`Event::Shut`].
    Retired {
        /// The connection.
        session: SessionId,
        /// Our SPI.
        inbound: u32,
    },
    /// A child is gone.
    Shut {
        /// The connection.
        session: SessionId,
        /// Our SPI.
        inbound: u32,
    },
    /// The client is elsewhere now.
    Moved {
        /// The connection.
        session: SessionId,
        /// Where it is.
        path: Path,
    },
    /// A connection that was [`Event::Connected`] ended, and its children with it.
    Closed {
        /// The connection.
        session: SessionId,
        /// Whose it was.
        account: AccountName,
        /// Why.
        why: Why,
    },
    /// What a client offers is nothing that the settings take. Said once for an offer, and once a minute at most.
    OfferRefused {
        /// Who.
        remote: SocketAddr,
        /// Whether it is about IKE or packets.
        protocol: Protocol,
        /// The offer, in the words of the settings.
        offer: String,
        /// How many were refused since this was last said, with this one.
        count: u64,
    },
    /// Somebody was not let in.
    Refused {
        /// Who.
        remote: SocketAddr,
        /// The notification's number that says why.
        notify: u16,
    },
}
