//! An account: one client of one server.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::key::{PrivateKey, PublicKey};
use super::name::{AccountName, ServerName, Username};
use super::rate::Mbps;

/// An account as it is stored and run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name, by which every request addresses it.
    pub name: AccountName,
    /// The server that it belongs to.
    pub server: ServerName,
    /// Whether it may connect.
    pub enabled: bool,
    /// Its name for IKEv2.
    pub username: Username,
    /// Its password for IKEv2.
    pub password: Password,
    /// Its inner address.
    pub address: Ipv4Addr,
    /// Its inner IPv6 address; given even while its server has IPv6 off, so that turning it on changes no client.
    pub address_ipv6: Option<Ipv6Addr>,
    /// Its private key, unless the client keeps that to itself.
    pub private_key: Option<PrivateKey>,
    /// The key that the server knows it by.
    pub public_key: PublicKey,
    /// Its limit towards the client.
    pub b_download: Mbps,
    /// Its limit from the client.
    pub b_upload: Mbps,
    /// Its mark (`mangle` in the contract), unique over all servers.
    pub mark: u32,
}

/// A password that shows nothing in `Debug` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct Password(String);

impl Password {
    /// Takes any text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. The caller is about to show a secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}
