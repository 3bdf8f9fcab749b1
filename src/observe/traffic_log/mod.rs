//! The traffic log on its way: to a syslog server (RFC 5424) and to `InfluxDB` (the write API of version 2).
//!
//! Whoever has a record puts it into a bounded channel and goes on. One task takes it from there and lays it before two
//! writers, each with a backlog of its own, so that neither waits for the other: of what a writer cannot get rid of, the
//! oldest goes, and is counted. `InfluxDB`'s lies on disk until it is taken.

mod backlog;
mod influxdb;
mod line;
mod spool;
mod syslog;
mod transport;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use self::backlog::Backlog;
use super::fields;
use crate::domain::traffic_log::{Interface, Record, TrafficLogSettings, Transport};

/// How many records may be between those who have them and the task that takes them.
const UNDER_WAY_MAX: usize = 10_000;
/// How many the task takes at once.
const PORTION: usize = 256;
/// How often it is said what was lost.
const SAID_EVERY: Duration = Duration::from_secs(60);
/// How long a writer waits before it tries again what did not work, at first and at the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A record, and when that was.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub record: Record,
}

/// What the writers know beside the settings.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// This host's name.
    pub hostname: String,
    /// What the way outside is called.
    pub uplink: &'static str,
    /// How records travel to the syslog server.
    pub transport: Transport,
    /// The folder in which records lie that `InfluxDB` has not taken.
    pub folder: PathBuf,
}

impl Surroundings {
    /// The name of an interface in a record; empty where there is none.
    fn name(&self, interface: Interface, record: &Record) -> String {
        match interface {
            Interface::Server => record.server.interface.to_string(),
            Interface::Uplink => self.uplink.to_owned(),
            Interface::Host => String::new(),
        }
    }
}

/// What follows the settings; they are absent until somebody knows them.
pub type Settings = watch::Receiver<Option<Arc<TrafficLogSettings>>>;

/// Where records are handed in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sink {
    entries: mpsc::Sender<Entry>,
    losses: Arc<Losses>,
}

impl Sink {
    /// Hands in a record. It never waits: where there is no room, the record is lost and counted.
    pub fn put(&self, at: Timestamp, record: Record) {
        if self.entries.try_send(Entry { at, record }).is_err() {
            self.lose(1);
        }
    }

    /// How many records were lost.
    pub fn losses(&self) -> Arc<Losses> {
        Arc::clone(&self.losses)
    }

    /// Counts records that were lost before they came here.
    pub fn lose(&self, records: u64) {
        if records > 0 {
            self.losses.before.fetch_add(records, Ordering::Relaxed);
        }
    }
}

/// How many records were lost, and where.
#[derive(Debug, Default)]
pub struct Losses {
    /// Before they came to the writers.
    before: AtomicU64,
    /// On their way to the syslog server.
    syslog: AtomicU64,
    /// On their way to `InfluxDB`.
    influxdb: AtomicU64,
}

impl Losses {
    /// How many, by the place where they were lost: before they came to the writers, or before which collector.
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let places = [("queue", &self.before), ("syslog", &self.syslog), ("influxdb", &self.influxdb)];
        places.map(|(place, count)| (place, count.load(Ordering::Relaxed)))
    }

    /// Says what was lost beyond what was said before.
    fn say(&self, said: &mut [u64; 3]) {
        for ((count, place), said) in [
            (&self.before, "there were more than can be written"),
            (&self.syslog, "the syslog server did not take them"),
            (&self.influxdb, "InfluxDB did not take them"),
        ]
        .into_iter()
        .zip(said)
        {
            let all = count.load(Ordering::Relaxed);
            let lost = all - std::mem::replace(said, all);
            if lost > 0 {
                warn!({ fields::LOST } = lost, "The traffic log has lost {lost} records: {place}");
            }
        }
    }
}

/// What each collector said to one record: the collector, and what it has against it.
pub type Trial = Vec<(&'static str, Result<(), String>)>;

/// Sends one record at once to wherever the settings have records go, past everything that waits and whether or not
/// anything is logged. A syslog server that is told by datagrams says nothing to them.
pub async fn try_out(entry: Entry, settings: &TrafficLogSettings, surroundings: &Surroundings) -> Trial {
    let mut said = Trial::new();
    if settings.syslog.enabled {
        said.push(("syslog", syslog::send_one(&entry, settings, surroundings).await));
    }
    if settings.influxdb.enabled {
        said.push(("InfluxDB", influxdb::send_one(entry, settings, surroundings).await));
    }
    said
}

/// Starts the writers, which end when every [`Sink`] is gone and what they have is written or on disk; the receiver then
/// closes. Must be called within a tokio runtime.
pub fn start(surroundings: Arc<Surroundings>, settings: Settings) -> (Sink, watch::Receiver<()>) {
    let (entries, handed_in) = mpsc::channel(UNDER_WAY_MAX);
    let losses = Arc::<Losses>::default();
    let sink = Sink { entries, losses: Arc::clone(&losses) };
    let (living, ended) = watch::channel(());
    #[expect(clippy::disallowed_methods, reason = "it ends when the last sink is gone")]
    tokio::spawn(async move {
        let mut said = [0; 3];
        let to_syslog = Backlog::new(Arc::clone(&losses), |losses| &losses.syslog);
        let to_influxdb = Backlog::new(Arc::clone(&losses), |losses| &losses.influxdb);
        tokio::join!(
            distribute(handed_in, settings.clone(), (&losses, &mut said), &to_syslog, &to_influxdb),
            syslog::write(&to_syslog, settings.clone(), &surroundings),
            influxdb::write(&to_influxdb, settings.clone(), &surroundings),
        );
        losses.say(&mut said);
        drop(living);
    });
    (sink, ended)
}

/// Lays every record before the writers that it is for.
async fn distribute(
    mut handed_in: mpsc::Receiver<Entry>,
    settings: Settings,
    (losses, said): (&Losses, &mut [u64; 3]),
    to_syslog: &Backlog,
    to_influxdb: &Backlog,
) {
    let mut entries = Vec::with_capacity(PORTION);
    let mut round = tokio::time::interval(SAID_EVERY);
    loop {
        tokio::select! {
            count = handed_in.recv_many(&mut entries, PORTION) => if count == 0 { break },
            _ = round.tick() => losses.say(said),
        }
        let (syslog, influxdb) = {
            let settings = settings.borrow();
            let settings = settings.as_ref().filter(|settings| settings.enabled);
            settings.map_or((false, false), |settings| (settings.syslog.enabled, settings.influxdb.enabled))
        };
        for entry in entries.drain(..).map(Arc::new) {
            if syslog {
                to_syslog.push(Arc::clone(&entry));
            }
            if influxdb {
                to_influxdb.push(entry);
            }
        }
    }
    to_syslog.close();
    to_influxdb.close();
}

/// Whether somewhere takes what it is given: says so when that changes.
#[derive(Debug)]
struct Reach {
    whom: &'static str,
    is_lost: bool,
}

impl Reach {
    const fn new(whom: &'static str) -> Self {
        Self { whom, is_lost: false }
    }

    fn failed(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_lost, true) {
            warn!({ fields::CAUSE } = why, "{} does not take the traffic log: {why}", self.whom);
        }
    }

    fn worked(&mut self) {
        if std::mem::take(&mut self.is_lost) {
            info!("{} takes the traffic log again", self.whom);
        }
    }
}

/// Waits until it is worth trying again: when `pause` is over, when the settings change, or at the end.
async fn pause_before_the_next_try(pause: &mut Duration, settings: &mut Settings, backlog: &Backlog) {
    tokio::select! {
        () = tokio::time::sleep(*pause) => *pause = (*pause * 2).min(BACK_OFF.1),
        changed = settings.changed() => match changed {
            Ok(()) => *pause = BACK_OFF.0,
            Err(_) => tokio::time::sleep(*pause).await,
        },
        () = backlog.closed() => {}
    }
}

#[cfg(test)]
mod tests;
