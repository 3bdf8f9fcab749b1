//! Makes it so: owns threads, sockets, devices and the clock.
//!
//! [`Runtime`] is the handle that the rest of the house holds. It follows the store's [`Intended`] by a `watch`: boot,
//! edit and restore are the same event. It never names the store.

pub mod os;
pub mod reconcile;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::figures::AccountFigures;
use crate::domain::intended::Revision;
use crate::domain::name::{AccountName, ServerName};

/// How long a change may take to become live before its caller is told that it is not.
pub const SETTLE_BOUND: Duration = Duration::from_secs(5);

/// What the runtime is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Everything that can run runs.
    Ready,
    /// Working; says on what.
    Loading(String),
}

/// Which way packets leave, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Why it was chosen, for people.
    pub why: String,
}

/// A change did not become live within [`SETTLE_BOUND`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the change is stored but not live yet")]
pub struct Unsettled;

/// The handle to what runs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    uplink: Arc<Uplink>,
    settled: watch::Receiver<Revision>,
}

impl Runtime {
    /// A runtime that runs nothing and settles at once: for a command that finds no process running, and for tests of
    /// the rooms above.
    pub fn detached() -> Self {
        let (_, settled) = watch::channel(Revision(u64::MAX));
        Self { uplink: Arc::new(Uplink { name: "none", why: "nothing runs".into() }), settled }
    }

    /// Which way packets leave, and why.
    pub fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        Status::Ready
    }

    /// Servers that ought to run and cannot, with the reason, for people.
    pub fn faults(&self) -> Vec<(ServerName, String)> {
        Vec::new()
    }

    /// Waits until everything up to `revision` is live.
    ///
    /// # Errors
    /// [`Unsettled`] after [`SETTLE_BOUND`].
    pub async fn settled(&self, revision: Revision) -> Result<(), Unsettled> {
        let mut settled = self.settled.clone();
        let wait = settled.wait_for(|live| *live >= revision);
        match tokio::time::timeout(SETTLE_BOUND, wait).await {
            Ok(Ok(_)) => Ok(()),
            // a runtime that has stopped, or never ran, has nothing left to make live
            Ok(Err(_)) => Ok(()),
            Err(_) => Err(Unsettled),
        }
    }

    /// Looks again at everything that ought to run, as if it had just changed.
    pub fn reload(&self) {}

    /// The figures of every account that has spoken since the process began.
    pub async fn figures(&self) -> Vec<AccountFigures> {
        Vec::new()
    }

    /// The figures of one account, if it has spoken.
    pub async fn account_figures(&self, _account: &AccountName) -> Option<AccountFigures> {
        None
    }

    /// The host's own address towards the internet, by which clients are likely to reach it.
    pub fn outward_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Ends every tunnel and thread; returns when they are gone.
    pub async fn stop(&self) {}
}
