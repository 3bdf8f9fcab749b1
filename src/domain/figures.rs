//! What can be counted: plain numbers that the engine fills and the API prints.

use std::net::SocketAddr;
use std::time::Duration;

use super::name::{AccountName, ServerName};

/// What one account's tunnel has done since the process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFigures {
    /// Whose they are.
    pub account: AccountName,
    /// The server that it belongs to.
    pub server: ServerName,
    /// Where its last authenticated datagram came from.
    pub endpoint: Option<SocketAddr>,
    /// How long ago the last handshake was completed.
    pub handshake_age: Option<Duration>,
    /// Bytes of inner packets from the client.
    pub received: u64,
    /// Bytes of inner packets to the client.
    pub sent: u64,
}
