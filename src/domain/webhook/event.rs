//! What a webhook tells.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::EventKind;
use crate::domain::name::{AccountName, ServerName};

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// By WireGuard.
    WireGuard,
    /// By IKEv2.
    Ikev2,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An account's client has connected, or is connected no more.
    Presence {
        /// Whether it is connected now.
        connected: bool,
        /// The account.
        account: AccountName,
        /// Its server.
        server: ServerName,
        /// How.
        protocol: Protocol,
        /// Where its client is, or was last.
        address: Option<IpAddr>,
    },
    /// An account's end has come.
    Expired {
        /// The account.
        account: AccountName,
        /// Its server.
        server: ServerName,
    },
    /// So much of an account's quota is used up.
    Quota {
        /// The account.
        account: AccountName,
        /// Its server.
        server: ServerName,
        /// 80 or 100.
        percent: u8,
        /// Bytes that count for it.
        used: u64,
        /// Bytes that it may move.
        quota: u64,
    },
    /// A backup could not be made, or its copy not sent.
    BackupFailed {
        /// Why, for people.
        why: String,
    },
    /// Somebody tries whether messages arrive.
    Test,
}

impl Event {
    /// Its kind; a test has none, for it goes where it is sent.
    pub fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Self::Presence { connected: true, .. } => EventKind::Connected,
            Self::Presence { connected: false, .. } => EventKind::Disconnected,
            Self::Expired { .. } => EventKind::Expired,
            Self::Quota { .. } => EventKind::Quota,
            Self::BackupFailed { .. } => EventKind::BackupFailed,
            Self::Test => return None,
        })
    }

    /// The message's body: `{"type", "timestamp", "data"}`, as Standard Webhooks wants it.
    pub fn message(&self, at: Timestamp) -> String {
        let kind = self.kind().map_or("test", EventKind::word);
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        json!({ "type": kind, "timestamp": at.to_string(), "data": self.details() }).to_string()
    }

    fn details(&self) -> Value {
        match self {
            Self::Presence { account, server, protocol, address, .. } => {
                let protocol = match protocol {
                    Protocol::WireGuard => "wireguard",
                    Protocol::Ikev2 => "ikev2",
                };
                json!({ "account": account, "server": server, "protocol": protocol, "address": address })
            }
            Self::Expired { account, server } => json!({ "account": account, "server": server }),
            Self::Quota { account, server, percent, used, quota } => {
                json!({ "account": account, "server": server, "percent": percent, "used": used, "quota": quota })
            }
            Self::BackupFailed { why } => json!({ "why": why }),
            Self::Test => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_standard_webhooks_wants_it() {
        let event = Event::Presence {
            connected: true,
            account: AccountName::parse("peer_1").unwrap(),
            server: ServerName::parse("wg").unwrap(),
            protocol: Protocol::WireGuard,
            address: Some([192, 0, 2, 7].into()),
        };

        let message = event.message("2026-03-04T05:06:07.8Z".parse().unwrap());

        let expected = r#"{"type":"account.connected","timestamp":"2026-03-04T05:06:07Z","data":{"account":"peer_1","server":"wg","protocol":"wireguard","address":"192.0.2.7"}}"#;
        assert_eq!(message, expected);
    }
}
