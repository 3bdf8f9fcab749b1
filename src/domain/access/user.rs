//! A user of the panel: what it is, and how far it reaches.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::second_factor::SecondFactor;
use crate::domain::name::UserName;
use crate::domain::rate::Mbps;
use crate::domain::words::words;

/// What a user, or an access hash, is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Does everything.
    Admin,
    /// Runs the tunnels.
    Operator,
    /// Watches.
    ReadOnly,
    /// Sells accounts of its own.
    Reseller,
}

words!(Role { Admin = "admin", Operator = "operator", ReadOnly = "read_only", Reseller = "reseller" });

/// How far a reseller reaches; 0 is no bound. Nobody else has any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Caps {
    /// How many accounts it may have.
    pub accounts: u32,
    /// The highest upload bandwidth of each of them, in Mbit/s.
    pub b_upload: Mbps,
    /// The highest download bandwidth of each of them, in Mbit/s.
    pub b_download: Mbps,
    /// What all of them together may move in a calendar month, in bytes, both directions counted.
    pub traffic: u64,
}

/// A login of the panel.
#[derive(Clone, PartialEq, Eq)]
pub struct PanelUser {
    /// The name to log in with.
    pub name: UserName,
    /// The password's argon2id hash, in PHC form.
    pub password_hash: String,
    /// Whether the password is still the one that the first start chose.
    pub password_is_first: bool,
    /// When it was made.
    pub created: Timestamp,
    /// What it may.
    pub role: Role,
    /// How far it reaches as a reseller.
    pub caps: Caps,
    /// What it shows besides its password, if anything.
    pub second_factor: Option<SecondFactor>,
    /// The language in which it wants to read the panel; absent for the browser's.
    pub language: Option<String>,
    /// The panel's colours; absent for the browser's.
    pub theme: Option<String>,
}

impl fmt::Debug for PanelUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanelUser").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}
