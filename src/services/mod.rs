//! Use cases, a noun a file. The API, the CLI and later the panel and the jobs all come through here.

pub mod access;
pub mod accounts;
pub mod first_start;
pub mod servers;
pub mod system;

use std::net::IpAddr;

pub use self::access::Access;
pub use self::accounts::Accounts;
pub use self::first_start::FirstStart;
pub use self::servers::Servers;
pub use self::system::System;
pub use crate::domain::access::Caller;
use crate::runtime::Runtime;
use crate::store::Store;

/// Why a use case ended without its effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's business: the text is for it.
    #[error(transparent)]
    Refused(#[from] crate::domain::refusal::Refusal),
    /// Ours: logged once where it is handled, never shown.
    #[error("fault")]
    Fault(#[from] anyhow::Error),
}

/// What the operator decided that the use cases depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many accounts may exist; [`crate::domain::limits::ACCOUNTS_MAX`] where he names no cap.
    pub accounts_cap: Option<u32>,
    /// The external address of a server that names none; the host's own outward address where this is absent.
    pub external_ip: Option<IpAddr>,
    /// What the clients of a new server connect to, where that is not its external address.
    pub endpoint: Option<String>,
    /// The port of the API and the panel.
    pub api_port: u16,
    /// This program's version.
    pub version: String,
}

/// Every use case.
#[derive(Debug, Clone)]
pub struct Services {
    /// WireGuard servers.
    pub servers: Servers,
    /// Accounts.
    pub accounts: Accounts,
    /// Who may call.
    pub access: Access,
    /// The appliance and its host.
    pub system: System,
}

impl Services {
    /// Joins the use cases to what lasts and what runs.
    pub fn new(_store: Store, _runtime: Runtime, _settings: Settings) -> Self {
        Self { servers: Servers {}, accounts: Accounts {}, access: Access {}, system: System {} }
    }
}

/// Until the bodies are there.
fn missing() -> Error {
    Error::Fault(anyhow::anyhow!("this use case has no body yet"))
}
