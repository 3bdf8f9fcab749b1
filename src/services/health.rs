//! Whether the host serves, for how long everything has run, and how large it has become.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Ground;
use crate::domain::audit::AuditQuery;
use crate::domain::health::{ClockFault, ClockReading, Room};
use crate::runtime::os::{clock, host};
use crate::store::Store;

/// The use case of looking.
#[derive(Debug, Clone)]
pub struct Health {
    ground: Ground,
    begun: Instant,
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// The host's clock.
    pub now: Timestamp,
    /// Why that cannot be believed, if it cannot.
    pub clock: Option<ClockFault>,
    /// Room where the data lies; absent where the system does not tell.
    pub room: Option<Room>,
    /// For how long this process has run.
    pub uptime: Duration,
    /// For how long the host has run; absent where the system does not tell.
    pub host_uptime: Option<Duration>,
    /// The size of everything that is stored, in bytes.
    pub stored: u64,
}

impl Health {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground, begun: clock::now() }
    }

    /// Looks. What cannot be read is as good as not told: that the store cannot, it says itself.
    pub async fn look(&self) -> Vitals {
        let newest = AuditQuery { limit: 1, ..AuditQuery::default() };
        let newest = self.ground.store.audit(newest).await.unwrap_or_default();
        let folder = self.ground.settings.data.clone();
        // a file system behind a network may let one wait
        let disk = tokio::task::spawn_blocking(move || (host::room(&folder), Store::size(&folder))).await;
        let (room, stored) = disk.unwrap_or_default();
        let now = clock::timestamp();
        let newest = newest.first().map(|entry| entry.at);
        Vitals {
            now,
            clock: ClockReading { now, newest, is_kept: clock::is_kept() }.fault(),
            room,
            uptime: clock::now().saturating_duration_since(self.begun),
            host_uptime: host::uptime(),
            stored,
        }
    }
}
