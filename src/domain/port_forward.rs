//! A port of a server's external address that leads to one of its clients.

use super::name::AccountName;

/// A protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What names a port forward within its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OuterPort {
    /// The port of the external address (`dst_port`).
    pub port: u16,
    /// Its protocol.
    pub protocol: Transport,
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
