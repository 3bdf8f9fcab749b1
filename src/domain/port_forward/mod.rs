//! A port of a server's external address that leads to one of its clients.

mod settle;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::settle::PortForwardDraft;
pub(super) use self::settle::{is_forwarded_at, is_udp_forwarded};
use super::name::AccountName;
use super::refusal::Refusal;
use super::words::words;

/// A protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

words!(Transport { Tcp = "tcp", Udp = "udp" });

/// What names a port forward within its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OuterPort {
    /// The port of the external address (`dst_port`).
    pub port: u16,
    /// Its protocol.
    pub protocol: Transport,
}

impl OuterPort {
    /// Reads what a path names.
    ///
    /// # Errors
    /// [`Refusal::ForwardPathProtocol`], [`Refusal::ForwardPathPort`].
    pub fn parse(port: &str, protocol: &str) -> Result<Self, Refusal> {
        let protocol = Transport::parse(protocol).ok_or(Refusal::ForwardPathProtocol)?;
        let port = settle::port(port).ok_or(Refusal::ForwardPathPort)?;
        Ok(Self { port, protocol })
    }
}

impl fmt::Display for OuterPort {
    /// As the contract names a port forward: `53_udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.port, self.protocol.word())
    }
}

/// A port forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortForward {
    /// The port of the external address.
    pub outer: OuterPort,
    /// The client to which it leads.
    pub to_peer: AccountName,
    /// The client's port.
    pub to_port: u16,
}
