//! Who may call: access hashes of the API and logins of the panel.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An access hash as it is kept: never the hash that the client shows, only that one's SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// What it is for (`dns_name` in the contract); unique.
    pub label: String,
    /// The address from which alone it works.
    pub ip: IpAddr,
    /// SHA-256 of the 40 bytes that the client shows as 80 hex digits.
    pub digest: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// When it last let somebody in, to the minute.
    pub last_login: Option<Timestamp>,
}

/// A login of the panel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelUser {
    /// The name to log in with.
    pub name: String,
    /// The password's argon2id hash, in PHC form.
    pub password_hash: String,
    /// When it was made.
    pub created: Timestamp,
}

impl fmt::Debug for PanelUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanelUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Everybody who may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessBook {
    /// The access hashes, by label.
    pub entries: BTreeMap<String, AccessEntry>,
    /// The panel's users, by name.
    pub users: BTreeMap<String, PanelUser>,
}

/// The TCP connection by which a request came; IPv4 addresses in IPv6 clothes are undressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The other end.
    pub from: SocketAddr,
    /// Our end.
    pub to: SocketAddr,
}

impl Way {
    /// The way between two ends of a socket.
    pub fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { from: plain(from), to: plain(to) }
    }
}

/// Who asked for something; goes into the log line of each write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The label of the access hash, or `local`.
    pub label: String,
    /// The address that it came from, unless it came from this host's own command line.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The operator on this host: the command line, by the socket in the data folder.
    pub fn local() -> Self {
        Self { label: "local".into(), address: None }
    }

    /// The appliance itself, in an empty store.
    pub fn first_start() -> Self {
        Self { label: "first start".into(), address: None }
    }

    /// The appliance itself, when it is time.
    pub fn schedule() -> Self {
        Self { label: "schedule".into(), address: None }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}@{address}", self.label),
            None => f.write_str(&self.label),
        }
    }
}
