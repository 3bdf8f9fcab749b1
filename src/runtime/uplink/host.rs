//! The host's own addresses, asked for anew at most once a second and only when somebody wants to know.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::engine::flows::reach::HostAddresses;
use crate::runtime::os::addresses;

/// How old the list may be.
const FRESH: Duration = Duration::from_secs(1);

/// The list.
#[derive(Debug)]
pub(super) struct Host {
    list: Vec<IpAddr>,
    read: Option<Instant>,
    now: Instant,
}

impl Host {
    pub(super) const fn new(now: Instant) -> Self {
        Self { list: Vec::new(), read: None, now }
    }

    /// The host as it is at this time.
    pub(super) fn at(&mut self, now: Instant) -> &mut Self {
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
        self.list.contains(&address)
    }
}
