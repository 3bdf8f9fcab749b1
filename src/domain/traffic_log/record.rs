//! What is written of a connection or a packet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::account::Account;
use crate::domain::figures::Counter;
use crate::domain::server::Server;

/// One record. When that was is said by whoever takes it from the machine: machines know no calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// By which server it came or went.
    pub server: Arc<Server>,
    /// Whose it is; nobody's where a packet from outside belongs to no connection.
    pub account: Option<Arc<Account>>,
    /// What happened.
    pub event: Event,
    /// What connection tracking says of it.
    pub state: Tracked,
    /// Who began: the client or somebody else.
    pub direction: Direction,
    /// The protocol's number.
    pub protocol: u8,
    /// Where the first packet came from; of a protocol without ports the port is 0.
    pub source: SocketAddr,
    /// Where it went to.
    pub destination: SocketAddr,
    /// What the client's end is called on the other side of the address translation, where there is one: outside if the
    /// client began, inside if somebody else did.
    pub translated: Option<SocketAddr>,
    /// By which interface the first packet came, and by which it left.
    pub interfaces: (Interface, Interface),
    /// Bytes of the first packet.
    pub len: u16,
    /// Its type of service (RFC 791), or traffic class (RFC 8200).
    pub tos: u8,
}

impl Record {
    /// A record by which the operator sees whether collectors take any: of a packet that never was, from the server's own
    /// address to itself.
    pub fn trial(server: Arc<Server>) -> Self {
        let own = SocketAddr::new(server.address.addr().into(), 0);
        Self {
            server,
            account: None,
            event: Event::Packet,
            state: Tracked::Untracked,
            direction: Direction::Outgoing,
            protocol: EXPERIMENT,
            source: own,
            destination: own,
            translated: None,
            interfaces: (Interface::Host, Interface::Host),
            len: 0,
            tos: 0,
        }
    }
}

/// The protocol's number that is for trials (RFC 3692, section 2.1).
const EXPERIMENT: u8 = 253;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection began.
    Begin,
    /// A connection is over.
    End(Totals),
    /// A packet came that is no connection of its own.
    Packet,
}

/// What a connection amounted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// From the client.
    pub up: Counter,
    /// To the client.
    pub down: Counter,
    /// From the first packet to the last, in whole seconds.
    pub lasted: Duration,
}

/// What connection tracking says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// It began a connection, or belonged to one that nobody had answered.
    New,
    /// It belonged to a connection that was answered.
    Established,
    /// Another connection has brought it about: an ICMP error.
    Related,
    /// It belongs to no connection and begins none.
    Invalid,
    /// Its protocol has no ports, so it is of no connection.
    Untracked,
}

impl Tracked {
    /// Its name, as `iptables` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Established => "ESTABLISHED",
            Self::Related => "RELATED",
            Self::Invalid => "INVALID",
            Self::Untracked => "UNTRACKED",
        }
    }
}

/// Who began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The client.
    Outgoing,
    /// Somebody else.
    Incoming,
}

impl Direction {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outgoing => "out",
            Self::Incoming => "in",
        }
    }
}

/// By what a packet comes or leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// The clients' side: the server's own interface.
    Server,
    /// The way outside.
    Uplink,
    /// The appliance or its host itself: no interface.
    Host,
}
