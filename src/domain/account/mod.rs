//! An account: one client of one server.

pub mod allowance;
mod settle;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use self::allowance::Allowance;
pub use self::settle::{AccountSeed, rate_or};
use crate::domain::key::{PrivateKey, PublicKey};
use crate::domain::name::{AccountName, ServerName, UserName, Username};
pub use crate::domain::password::Password;
use crate::domain::rate::Mbps;

/// What an account is known by for as long as it lives, and no other ever: a random number, for a name may come again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(pub u64);

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
    /// What it is known by where a name may mislead.
    pub id: AccountId,
    /// Until when it may connect, and how much it may move.
    pub allowance: Allowance,
    /// The reseller whose it is; nobody's where the operator made it.
    pub owner: Option<UserName>,
}

/// What somebody asks of an account: the contract's form as it came, field by field, nothing judged yet.
///
/// An absent or blank field chooses the default when an account is added, and keeps what is there when it is edited.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccountDraft {
    /// The server that it is to belong to.
    pub wg_name: Option<String>,
    /// Letters, digits, `_` and `-`.
    pub name: Option<String>,
    /// `enable` or `disable`.
    pub status: Option<String>,
    /// Letters, digits, `_` and `-`.
    pub username: Option<String>,
    /// Any printable text.
    pub password: Option<String>,
    /// An address of the server's network (`allowed_IPs`).
    pub allowed_ips: Option<String>,
    /// An address of the server's IPv6 network (`allowed_IPs_ipv6`).
    pub allowed_ips_ipv6: Option<String>,
    /// Base64.
    pub private_key: Option<String>,
    /// Base64; alone it means that the client keeps its private key to itself.
    pub public_key: Option<String>,
    /// 0 to 10000 Mbit/s.
    pub b_download: Option<String>,
    /// 0 to 10000 Mbit/s.
    pub b_upload: Option<String>,
    /// Beyond the contract: a day, a time, or `never`.
    pub expires: Option<String>,
    /// Beyond the contract: bytes, 0 for none.
    pub quota: Option<String>,
    /// Beyond the contract: `none`, `day`, `week` or `month`.
    pub quota_period: Option<String>,
    /// Beyond the contract: `cut` or `throttle`.
    pub quota_action: Option<String>,
    /// Beyond the contract: 1 to 10000 Mbit/s.
    pub quota_rate: Option<String>,
    /// Beyond the contract: a reseller's name, or nothing for nobody's.
    pub owner: Option<String>,
    /// In which zone a time without an offset is meant; UTC where absent.
    pub zone: Option<TimeZone>,
}

impl fmt::Debug for AccountDraft {
    /// Shows nothing but the names: a draft may hold a private key and a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountDraft").field("wg_name", &self.wg_name).field("name", &self.name).finish_non_exhaustive()
    }
}
