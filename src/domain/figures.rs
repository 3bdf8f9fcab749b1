//! What can be counted: plain numbers that the engine fills and the API prints.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::AddAssign;
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
    /// How many packets those are.
    pub received_packets: u64,
    /// Bytes of inner packets to the client.
    pub sent: u64,
    /// How many packets those are.
    pub sent_packets: u64,
}

/// Packets and their bytes, those of the IP packets themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    /// How many packets.
    pub packets: u64,
    /// How many bytes in them.
    pub bytes: u64,
}

/// What a server's clients have done since it began to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerTraffic {
    /// IPv4 packets that left with the server's external address.
    pub nat: Counter,
    /// IPv6 packets that left with an address of the host.
    pub nat6: Counter,
    /// Packets from one client to another that were let through.
    pub internal: Counter,
    /// Packets from one client to another that were dropped, because either switch of internal traffic is off.
    pub internal_dropped: Counter,
    /// What the server's own shaper did: towards the clients, then from them.
    pub lanes: [LaneFigures; 2],
}

/// What a server has done since it began to run, and what it is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFigures {
    /// What its clients have done.
    pub traffic: ServerTraffic,
    /// Handshakes that were completed.
    pub handshakes: u64,
    /// Flows that are open.
    pub flows: u64,
    /// External ports that its clients' flows have.
    pub mappings: u64,
    /// Packets that went no further, by reason.
    pub drops: BTreeMap<String, u64>,
}

/// What an account's client has done since its tunnel began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountTraffic {
    /// Packets from the client.
    pub up: Counter,
    /// Packets to the client.
    pub down: Counter,
    /// What the account's own shaper did: towards the client, then from it.
    pub lanes: [LaneFigures; 2],
}

/// An open flow of an account. Of a protocol without ports, those of the addresses are 0 or, of a ping, its identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The protocol's number (IANA).
    pub protocol: u8,
    /// Who opened it.
    pub source: SocketAddr,
    /// What for.
    pub destination: SocketAddr,
    /// Where answers come from.
    pub reply_source: SocketAddr,
    /// Where answers go to, until they are translated back.
    pub reply_destination: SocketAddr,
    /// How far it is, in a word.
    pub state: &'static str,
    /// How long ago it was opened.
    pub age: Duration,
    /// Packets from who opened it.
    pub up: Counter,
    /// Packets to who opened it.
    pub down: Counter,
}

impl AddAssign for Counter {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl AddAssign for LaneFigures {
    /// Joins what two workers did under the same limit.
    fn add_assign(&mut self, other: Self) {
        self.rate = self.rate.max(other.rate);
        self.sent_bytes += other.sent_bytes;
        self.sent_packets += other.sent_packets;
        self.dropped += other.dropped;
        self.marked += other.marked;
        self.overlimits += other.overlimits;
        self.backlog_bytes += other.backlog_bytes;
        self.backlog_packets += other.backlog_packets;
    }
}

impl AddAssign for ServerTraffic {
    fn add_assign(&mut self, other: Self) {
        self.nat += other.nat;
        self.nat6 += other.nat6;
        self.internal += other.internal;
        self.internal_dropped += other.internal_dropped;
        for (lane, other) in self.lanes.iter_mut().zip(other.lanes) {
            *lane += other;
        }
    }
}

impl AddAssign for AccountTraffic {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
        for (lane, other) in self.lanes.iter_mut().zip(other.lanes) {
            *lane += other;
        }
    }
}

impl AddAssign for ServerFigures {
    fn add_assign(&mut self, other: Self) {
        self.traffic += other.traffic;
        self.handshakes += other.handshakes;
        self.flows += other.flows;
        self.mappings += other.mappings;
        for (reason, count) in other.drops {
            *self.drops.entry(reason).or_default() += count;
        }
    }
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
