//! The host's own addresses, asked for anew at most once a second and only when somebody wants to know.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::engine::flows::reach::HostAddresses;
use crate::runtime::os::addresses;

/// How old the list may be.
const FRESH: Duration = Duration::from_secs(1);

/// The list.
#[derive(Debug)]
pub(in crate::runtime) struct Host {
    /// `None` where the kernel tells none.
    list: Option<Vec<IpAddr>>,
    read: Option<Instant>,
    now: Instant,
}

impl Host {
    pub(in crate::runtime) const fn new(now: Instant) -> Self {
        Self { list: None, read: None, now }
    }

    /// The host as it is at this time.
    pub(in crate::runtime) fn at(&mut self, now: Instant) -> &mut Self {
        self.now = now;
        self
    }
}

impl HostAddresses for Host {
    fn contains(&mut self, address: IpAddr) -> bool {
        if self.read.is_none_or(|read| self.now.saturating_duration_since(read) >= FRESH) {
            self.list = addresses::of_host();
            self.read = Some(self.now);
        }
        // a list that is not to be had must open nothing
        self.list.as_ref().map_or_else(|| addresses::is_of_host(address), |list| list.contains(&address))
    }
}
