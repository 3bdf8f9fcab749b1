//! WireGuard servers: what the API and the command line may do with them.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::{Caller, Error, missing};
use crate::domain::account::Account;
use crate::domain::figures::{OnlinePeer, ServerDump};
use crate::domain::server::{Server, ServerDraft};

/// The use cases of servers.
#[derive(Debug, Clone)]
pub struct Servers {}

impl Servers {
    /// Every server, by name.
    pub fn list(&self) -> Vec<Arc<Server>> {
        Vec::new()
    }

    /// One server.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn detail(&self, _name: &str) -> Result<Arc<Server>, Error> {
        Err(missing())
    }

    /// Adds a server and returns once it listens.
    ///
    /// # Errors
    /// The refusals of [`ServerDraft`].
    pub async fn add(&self, _by: &Caller, _draft: ServerDraft) -> Result<Arc<Server>, Error> {
        Err(missing())
    }

    /// Edits what the draft names; name, keys and interface stay.
    ///
    /// # Errors
    /// `ServerNotFound` and the refusals of [`ServerDraft`].
    pub async fn edit(&self, _by: &Caller, _name: &str, _draft: ServerDraft) -> Result<Arc<Server>, Error> {
        Err(missing())
    }

    /// Deletes a server that has no accounts.
    ///
    /// # Errors
    /// `ServerNotFound`, `ServerHasPeers`.
    pub async fn delete(&self, _by: &Caller, _name: &str) -> Result<(), Error> {
        Err(missing())
    }

    /// A server's accounts, by name.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn peers(&self, _name: &str) -> Result<Vec<Arc<Account>>, Error> {
        Err(missing())
    }

    /// The addresses that a server still has to give.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn available_ips(&self, _name: &str) -> Result<Vec<Ipv4Addr>, Error> {
        Err(missing())
    }

    /// A server's tunnel.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn dump(&self, _name: &str) -> Result<ServerDump, Error> {
        Err(missing())
    }

    /// Sets the bandwidth of every account of a server; where a direction is absent, to the server's own.
    ///
    /// # Errors
    /// `ServerNotFound`, `FieldMalformed`.
    pub async fn set_bandwidth(
        &self,
        _by: &Caller,
        _name: &str,
        _download: Option<String>,
        _upload: Option<String>,
    ) -> Result<(), Error> {
        Err(missing())
    }

    /// The accounts that are connected now, over all servers.
    pub async fn online(&self) -> Vec<OnlinePeer> {
        Vec::new()
    }
}
