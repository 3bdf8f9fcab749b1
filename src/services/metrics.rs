//! Figures for those who watch the appliance from outside: gathered at once, from what each part counts anyway.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Ground;
use crate::domain::dns::DnsFigures;
use crate::domain::figures::{AccountFigures, ServerFigures};
use crate::domain::limits;
use crate::domain::name::ServerName;
use crate::runtime::Status;
use crate::runtime::os::clock;

/// The upper bounds of what a request may have taken, in seconds.
pub const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The use cases of metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    ground: Ground,
    requests: Arc<Mutex<Requests>>,
    /// What was gathered last. Whoever finds it too old gathers anew, and everybody else waits for that.
    last: Arc<tokio::sync::Mutex<Option<Gathered>>>,
}

/// What was gathered, and when.
type Gathered = (Instant, Arc<Snapshot>);

/// By endpoint and code.
type Requests = BTreeMap<(&'static str, u16), Latency>;

/// How long requests took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// How many took as long as each of [`BOUNDS`] at most, and longer than the one before.
    pub within: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// How long they took together, in seconds.
    pub sum: f64,
}

/// Everything, as of one moment. Counters begin with the process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// This program's version.
    pub version: String,
    /// The uplink's name.
    pub uplink: &'static str,
    /// Whether everything runs that can run.
    pub is_ready: bool,
    /// How many commits the store has seen.
    pub revision: u64,
    /// Whether the store refuses writes.
    pub store_fault: bool,
    /// Servers that ought to run and do not.
    pub faults: Vec<ServerName>,
    /// By server.
    pub servers: BTreeMap<ServerName, ServerFigures>,
    /// How many accounts each server has.
    pub accounts: BTreeMap<ServerName, usize>,
    /// Accounts that are connected by WireGuard, by server.
    pub online: BTreeMap<ServerName, usize>,
    /// Accounts that are connected by IKEv2.
    pub online_ikev2: usize,
    /// Accounts that have moved most, by name.
    pub busiest: Vec<AccountFigures>,
    /// How many others have spoken.
    pub omitted: usize,
    /// The resolver.
    pub dns: DnsFigures,
    /// How many records the traffic log has lost, by place.
    pub traffic_log_losses: [(&'static str, u64); 3],
    /// How long requests took, by endpoint and code.
    pub requests: BTreeMap<(&'static str, u16), Latency>,
}

impl Metrics {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground, requests: Arc::default(), last: Arc::default() }
    }

    /// When a request begins.
    pub fn begin(&self) -> Instant {
        clock::now()
    }

    /// Counts a request that ends now, by its endpoint and the code of its answer.
    pub fn end(&self, endpoint: &'static str, code: u16, begun: Instant) {
        let took = clock::now().saturating_duration_since(begun);
        self.requests().entry((endpoint, code)).or_default().count(took);
    }

    /// Everything as of now, or of a moment ago.
    pub async fn snapshot(&self) -> Arc<Snapshot> {
        let mut last = self.last.lock().await;
        let now = clock::now();
        if let Some((at, snapshot)) = last.as_ref()
            && now.saturating_duration_since(*at) < limits::METRICS_AGE
        {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(self.gather().await);
        *last = Some((now, Arc::clone(&snapshot)));
        snapshot
    }

    async fn gather(&self) -> Snapshot {
        let (runtime, intended) = (&self.ground.runtime, self.ground.store.intended());
        let within = u64::from(intended.system.wireguard_handshake_uptime);
        let figures = runtime.figures().await;
        let mut online: BTreeMap<ServerName, usize> = BTreeMap::new();
        for of in figures.iter().filter(|of| of.handshake_age.is_some_and(|age| age.as_secs() <= within)) {
            *online.entry(of.server.clone()).or_default() += 1;
        }
        let (busiest, omitted) = busiest(figures, limits::METRICS_ACCOUNTS);
        Snapshot {
            version: self.ground.settings.version.clone(),
            uplink: runtime.uplink().name,
            is_ready: runtime.status() == Status::Ready,
            revision: intended.revision.0,
            store_fault: self.ground.store.fault().is_some(),
            faults: runtime.faults().into_iter().map(|(server, _)| server).collect(),
            servers: runtime.server_figures().await,
            accounts: intended.servers.iter().map(|(name, server)| (name.clone(), server.accounts.len())).collect(),
            online,
            online_ikev2: runtime.ikev2().list(clock::now()).len(),
            busiest,
            omitted,
            dns: runtime.dns_figures().await,
            traffic_log_losses: runtime.traffic_log_losses(),
            requests: self.requests().clone(),
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latency {
    fn count(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        // the last, unbounded class is what is missing in the others
        if let Some(class) = BOUNDS.iter().position(|bound| took <= *bound) {
            self.within[class] += 1;
        }
        self.count += 1;
        self.sum += took;
    }
}

/// The accounts that have moved most, by name, so many at most; and how many others there are.
fn busiest(mut figures: Vec<AccountFigures>, most: usize) -> (Vec<AccountFigures>, usize) {
    let omitted = figures.len().saturating_sub(most);
    if omitted > 0 {
        figures.sort_unstable_by_key(|of| std::cmp::Reverse(of.received.saturating_add(of.sent)));
        figures.truncate(most);
    }
    figures.sort_unstable_by(|one, other| one.account.cmp(&other.account));
    (figures, omitted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::AccountName;

    fn moved(account: &str, sent: u64) -> AccountFigures {
        AccountFigures {
            account: AccountName::parse(account).unwrap(),
            server: ServerName::parse("wg").unwrap(),
            endpoint: None,
            handshake_age: None,
            received: 0,
            received_packets: 0,
            sent,
            sent_packets: 0,
        }
    }

    #[test]
    fn keeps_those_who_moved_most() {
        let all = vec![moved("c", 1), moved("b", 3), moved("a", 2)];

        let (kept, omitted) = busiest(all.clone(), 2);

        assert_eq!((kept, omitted), (vec![moved("a", 2), moved("b", 3)], 1));
        assert_eq!(busiest(all, 3).1, 0);
    }

    #[test]
    fn counts_a_request_in_the_class_of_its_time() {
        let mut latency = Latency::default();

        for milliseconds in [1, 2, 60_000] {
            latency.count(Duration::from_millis(milliseconds));
        }

        assert_eq!((latency.within[0], latency.within[1], latency.count), (1, 1, 3));
        assert_eq!(latency.within.iter().sum::<u64>(), 2);
        assert!((latency.sum - 60.003).abs() < 1e-9);
    }
}
