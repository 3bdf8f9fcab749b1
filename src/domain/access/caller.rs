//! Who asks, and what he may.

use std::fmt;
use std::net::IpAddr;

use super::user::Role;
use crate::domain::name::UserName;

/// What a caller may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Everything.
    Admin,
    /// Everything but who may call, restoring backups, the system's settings and webhooks.
    Operator,
    /// Seeing what an operator sees, but no key, no password and no client's file; changing nothing.
    ReadOnly,
    /// Seeing and changing the accounts of the reseller of this name, within that user's caps.
    Reseller(UserName),
}

impl Authority {
    /// What a user of this role and name may.
    pub fn new(role: Role, name: &UserName) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Operator => Self::Operator,
            Role::ReadOnly => Self::ReadOnly,
            Role::Reseller => Self::Reseller(name.clone()),
        }
    }

    /// Its role.
    pub fn role(&self) -> Role {
        match self {
            Self::Admin => Role::Admin,
            Self::Operator => Role::Operator,
            Self::ReadOnly => Role::ReadOnly,
            Self::Reseller(_) => Role::Reseller,
        }
    }

    /// Whether he may change anything at all.
    pub fn may_write(&self) -> bool {
        *self != Self::ReadOnly
    }

    /// Whether he may everything.
    pub fn is_admin(&self) -> bool {
        *self == Self::Admin
    }

    /// Whose accounts alone he sees, if he does not see all.
    pub fn reseller(&self) -> Option<&UserName> {
        match self {
            Self::Reseller(name) => Some(name),
            Self::Admin | Self::Operator | Self::ReadOnly => None,
        }
    }
}

/// Who asked for something; goes into the log line of each write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The label of the access hash, the name of the panel's user, or `local`.
    pub label: String,
    /// The address that it came from, unless it came from this host's own command line.
    pub address: Option<IpAddr>,
    /// What he may.
    pub authority: Authority,
}

impl Caller {
    /// The operator on this host: the command line, by the socket in the data folder.
    pub fn local() -> Self {
        Self { label: "local".into(), address: None, authority: Authority::Admin }
    }

    /// The appliance itself, in an empty store.
    pub fn first_start() -> Self {
        Self { label: "first start".into(), address: None, authority: Authority::Admin }
    }

    /// The appliance itself, when it is time.
    pub fn schedule() -> Self {
        Self { label: "schedule".into(), address: None, authority: Authority::Admin }
    }

    /// Who it is, for the audit log.
    pub fn author(&self) -> Author {
        Author { label: self.label.clone(), address: self.address }
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

/// Who did something, as the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// As [`Caller::label`].
    pub label: String,
    /// As [`Caller::address`].
    pub address: Option<IpAddr>,
}
