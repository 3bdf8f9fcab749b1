//! What can be counted: plain numbers that the engine fills and the API prints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::name::{AccountName, ServerName};
use super::rate::Mbps;

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

/// An account that is connected now, as the contract prints it (`wireguard_online`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlinePeer {
    /// The account.
    pub account: Arc<Account>,
    /// Where its last authenticated datagram came from; `(none)` if that is not known.
    pub endpoint: String,
    /// When its last handshake was completed, in the host's time zone: `2022-12-12 13:02:01`.
    pub latest_handshake: String,
    /// Bytes of inner packets from the client.
    pub transfer_rx: String,
    /// Bytes of inner packets to the client.
    pub transfer_tx: String,
}

/// An account's tunnel as the contract prints it (`account_dump`), after `wg show dump`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDump {
    /// Its inner addresses, each with its full prefix length, separated by commas.
    pub allowed_ips: String,
    /// Where its last authenticated datagram came from, or `(none)`.
    pub endpoint: String,
    /// The interval at which the server itself sends keepalives: always `off`, for clients do that.
    pub keepalive: String,
    /// When its last handshake was completed, in Unix seconds; `0` for never.
    pub latest_handshake: String,
    /// Bytes of inner packets from the client.
    pub transfer_rx: String,
    /// Bytes of inner packets to the client.
    pub transfer_tx: String,
}

/// A server's tunnel as the contract prints it (`server_dump`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDump {
    /// The UDP port on which it listens.
    pub port: String,
    /// The key that clients know it by.
    pub public_key: String,
}

/// What the shaper has done in one direction of an account, or of a whole server: what `tc -s class` tells of a class.
/// Bytes are those of IP packets. A direction without any limit above it is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneFigures {
    /// The limit.
    pub rate: Mbps,
    /// Bytes that went on.
    pub sent_bytes: u64,
    /// Packets that went on.
    pub sent_packets: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets that were marked instead of dropped (ECN, RFC 3168).
    pub marked: u64,
    /// Packets that had to wait.
    pub overlimits: u64,
    /// Bytes that wait now.
    pub backlog_bytes: u64,
    /// Packets that wait now.
    pub backlog_packets: u64,
}
