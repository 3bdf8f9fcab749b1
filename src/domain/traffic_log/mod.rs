//! What is logged of the traffic, and where the records go.

mod record;
mod settle;
#[cfg(test)]
pub(crate) mod testing;

use std::net::IpAddr;

pub use self::record::{Direction, Event, Interface, Record, Totals, Tracked};
pub use self::settle::TrafficLogDraft;
use super::password::Password;
use super::{field, limits};

/// The traffic log's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficLogSettings {
    /// Whether anything is logged.
    pub enabled: bool,
    /// Of which states of connections and packets there are records.
    pub states: LoggedStates,
    /// Whether also of what others begin towards clients.
    pub incoming: bool,
    /// What a record says beside addresses, ports and account.
    pub fields: LoggedFields,
    /// The syslog server.
    pub syslog: SyslogServer,
    /// The `InfluxDB` server.
    pub influxdb: InfluxDbServer,
}

/// The states of connection tracking of which there are records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoggedStates {
    /// A connection that begins, and the end of one that nobody has answered.
    pub new: bool,
    /// The end of a connection that was answered.
    pub established: bool,
    /// What another connection has brought about: an ICMP error.
    pub related: bool,
    /// What belongs to no connection and begins none.
    pub invalid: bool,
    /// What is not tracked: packets of protocols without ports.
    pub untracked: bool,
}

/// What a record says beside addresses, ports and account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoggedFields {
    /// Where it came in.
    pub interface_in: bool,
    /// Where it left.
    pub interface_out: bool,
    /// The length of the packet.
    pub len: bool,
    /// The account's mark.
    pub mark: bool,
    /// The type of service (RFC 791), or traffic class (RFC 8200).
    pub tos: bool,
}

/// A server that takes records as syslog messages (RFC 5424).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogServer {
    /// Whether records go there.
    pub enabled: bool,
    /// Its address.
    pub server: Option<IpAddr>,
    /// Its port.
    pub port: u16,
}

impl LoggedStates {
    /// Whether there are records of this state.
    pub const fn has(self, state: Tracked) -> bool {
        match state {
            Tracked::New => self.new,
            Tracked::Established => self.established,
            Tracked::Related => self.related,
            Tracked::Invalid => self.invalid,
            Tracked::Untracked => self.untracked,
        }
    }
}

impl Default for SyslogServer {
    fn default() -> Self {
        Self { enabled: false, server: None, port: limits::SYSLOG_PORT }
    }
}

/// How records travel to the syslog server: the operator's choice, beside what the API can set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Transport {
    /// A datagram each (RFC 5426).
    #[default]
    Udp,
    /// Counted on a stream (RFC 6587).
    Tcp,
    /// On an encrypted stream (RFC 5425).
    Tls {
        /// The name in the server's certificate; its address where there is none.
        name: Option<String>,
    },
}

impl Transport {
    /// Reads `udp`, `tcp`, `tls`, or `tls#logs.example` with the name in the server's certificate.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('#') {
            None if text == "udp" => Some(Self::Udp),
            None if text == "tcp" => Some(Self::Tcp),
            None if text == "tls" => Some(Self::Tls { name: None }),
            Some(("tls", name)) => field::endpoint(name).map(|name| Self::Tls { name: Some(name) }),
            None | Some(_) => None,
        }
    }
}

/// A server that takes records by the write API of `InfluxDB`'s version 2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfluxDbServer {
    /// Whether records go there.
    pub enabled: bool,
    /// Where it is: http or https.
    pub url: String,
    /// What lets us write.
    pub token: Password,
    /// Where the records lie.
    pub bucket: String,
    /// Whose bucket it is.
    pub organization: String,
}
