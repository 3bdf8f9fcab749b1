//! The writer to `InfluxDB`: gathers records into batches, lays each on disk, and takes it from there when it was sent.
//!
//! Writing a batch twice is harmless, for a line of the same tags and time takes the other's place; so a batch is only let
//! go when the server has said that it has it. See <https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite>.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tracing::warn;
use ureq::Agent;

use super::backlog::Backlog;
use super::spool::{self, Batch, Spool};
use super::{BACK_OFF, Entry, Reach, Settings, Surroundings, line, pause_before_the_next_try};
use crate::domain::traffic_log::{InfluxDbServer, LoggedFields, TrafficLogSettings};
use crate::observe::{fields, trust};

/// How many records one batch has at most.
const BATCH_MAX: usize = 5_000;
/// How long the first record of a batch waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it may take over one batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// The folder within the writers' own.
const FOLDER: &str = "traffic-log";

/// What both halves of the writer work on.
struct Shared {
    spool: Mutex<Spool>,
    /// Told when there is a batch more, or the last one was laid down.
    news: Notify,
}

impl Shared {
    fn with_spool<T>(&self, work: impl FnOnce(&mut Spool) -> T) -> T {
        work(&mut self.spool.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes what comes, until nothing more comes. What is not sent by then lies on disk.
pub(super) async fn write(backlog: &Backlog, settings: Settings, surroundings: &Surroundings) {
    let folder = surroundings.folder.join(FOLDER);
    let Ok(spool) = spawn_blocking(move || Spool::open(&folder)).await else { return };
    let shared = Arc::new(Shared { spool: Mutex::new(spool), news: Notify::new() });
    let (told, mut last) = tokio::sync::watch::channel(false);
    tokio::join!(
        async {
            gather(backlog, &settings, surroundings, &shared).await;
            told.send_replace(true);
            shared.news.notify_one();
        },
        send(backlog, settings.clone(), &shared, &mut last),
    );
}

/// From records to batches on disk.
async fn gather(backlog: &Backlog, settings: &Settings, surroundings: &Surroundings, shared: &Arc<Shared>) {
    let mut clock = Clock::default();
    loop {
        backlog.holds(1).await;
        // more come together, unless the end has come
        let _ = tokio::time::timeout(LINGER, backlog.holds(BATCH_MAX)).await;
        let entries = backlog.take(BATCH_MAX).await;
        if entries.is_empty() {
            return;
        }
        // unless somebody has turned it off meanwhile
        let chosen = settings.borrow().as_ref().filter(|settings| is_on(settings)).map(|settings| settings.fields);
        let Some(chosen) = chosen else { continue };
        let lines = lines(&entries, &mut clock, chosen, surroundings);
        let (records, on_disk) = (entries.len() as u64, Arc::clone(shared));
        let put = spawn_blocking(move || on_disk.with_spool(|spool| spool.put(&lines, records))).await;
        match put {
            Ok(Ok(gone)) => backlog.lose(gone),
            Ok(Err(cause)) => {
                backlog.lose(records);
                warn!({ fields::CAUSE } = %cause, "Cannot lay records of the traffic log on disk: {cause}");
            }
            Err(_) => backlog.lose(records),
        }
        shared.news.notify_one();
    }
}

fn is_on(settings: &TrafficLogSettings) -> bool {
    settings.enabled && settings.influxdb.enabled
}

/// Gives every record a time of its own.
#[derive(Default)]
struct Clock(i128);

impl Clock {
    fn read(&mut self, at: i128) -> i128 {
        self.0 = at.max(self.0 + 1);
        self.0
    }
}

fn lines(entries: &[Arc<Entry>], clock: &mut Clock, chosen: LoggedFields, surroundings: &Surroundings) -> String {
    let mut lines = String::with_capacity(entries.len() * 256);
    for entry in entries {
        let at = clock.read(entry.at.as_nanosecond());
        line::write(&mut lines, entry, at, chosen, surroundings);
    }
    lines
}

/// From batches on disk to the server. At the end everything is tried once more, until the first failure.
async fn send(
    backlog: &Backlog,
    mut settings: Settings,
    shared: &Arc<Shared>,
    last: &mut tokio::sync::watch::Receiver<bool>,
) {
    let (mut reach, mut pause) = (Reach::new("InfluxDB"), BACK_OFF.0);
    let mut agent = None;
    loop {
        let is_last = *last.borrow();
        let present = settings.borrow_and_update().clone();
        let is_known = present.is_some();
        let Some(to) = present.filter(|settings| is_on(settings)).map(|settings| settings.influxdb.clone()) else {
            if is_known {
                // records of clients' connections are not kept for nobody
                shared.with_spool(Spool::clear);
            }
            if is_last {
                return;
            }
            something_new(&mut settings, shared).await;
            continue;
        };
        let Some((batch, path)) = shared.with_spool(|spool| spool.oldest()) else {
            if is_last {
                return;
            }
            something_new(&mut settings, shared).await;
            continue;
        };
        let client = agent.get_or_insert_with(|| trust::agent(CONNECT, PATIENCE, PATIENCE)).clone();
        let outcome = spawn_blocking(move || post(&client, &to, path)).await.unwrap_or(Outcome::Failed(String::new()));
        match outcome {
            Outcome::Taken => {
                forget(shared, &batch);
                reach.worked();
                pause = BACK_OFF.0;
            }
            Outcome::Refused(why) => {
                warn!({ fields::CAUSE } = %why, "InfluxDB refuses records of the traffic log: {why}");
                backlog.lose(forget(shared, &batch));
            }
            Outcome::Failed(_) if is_last => return,
            Outcome::Failed(why) => {
                reach.failed(&why);
                pause_before_the_next_try(&mut pause, &mut settings, backlog).await;
                if backlog.is_closed() {
                    // the last batch comes to disk before the last try
                    let _ = last.wait_for(|last| *last).await;
                }
            }
        }
    }
}

/// Takes a batch away; how many records that were.
fn forget(shared: &Shared, batch: &Batch) -> u64 {
    shared.with_spool(|spool| spool.remove(batch))
}

/// Waits for a batch, other settings or the end.
async fn something_new(settings: &mut Settings, shared: &Shared) {
    let changed = async {
        if settings.changed().await.is_err() {
            // nobody can change them any more
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = shared.news.notified() => {}
        () = changed => {}
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The server has it.
    Taken,
    /// The server will never take it.
    Refused(String),
    /// It may take it later.
    Failed(String),
}

/// Sends one record by a connection of its own.
///
/// # Errors
/// One sentence for the operator.
pub(super) async fn send_one(
    entry: Entry,
    settings: &TrafficLogSettings,
    surroundings: &Surroundings,
) -> Result<(), String> {
    let lines = lines(&[Arc::new(entry)], &mut Clock::default(), settings.fields, surroundings);
    let to = settings.influxdb.clone();
    let work = move || {
        let packed = spool::packed(lines.as_bytes()).map_err(|error| error.to_string())?;
        match post_lines(&trust::agent(CONNECT, PATIENCE, PATIENCE), &to, &packed) {
            Outcome::Taken => Ok(()),
            Outcome::Refused(why) | Outcome::Failed(why) => Err(why),
        }
    };
    spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Sends the lines in a file.
fn post(client: &Agent, to: &InfluxDbServer, path: PathBuf) -> Outcome {
    match std::fs::read(path) {
        Ok(lines) => post_lines(client, to, &lines),
        // whoever has taken it away has lost it
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

/// Sends compressed lines.
fn post_lines(client: &Agent, to: &InfluxDbServer, lines: &[u8]) -> Outcome {
    let query = [("org", to.organization.as_str()), ("bucket", to.bucket.as_str()), ("precision", "ns")];
    let Ok(query) = serde_urlencoded::to_string(query) else { return Outcome::Refused(String::new()) };
    let url = format!("{}/api/v2/write?{query}", to.url.trim_end_matches('/'));
    let request = client
        .post(&url)
        .header("Authorization", format!("Token {}", to.token.reveal()))
        .header("Content-Encoding", "gzip")
        .header("Content-Type", "text/plain; charset=utf-8");
    let response = match request.send(lines) {
        Ok(response) => response,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let status = response.status();
    match status.as_u16() {
        200..=299 => Outcome::Taken,
        // malformed, too large, or of another type than what is there: it would be so again
        400 | 413 | 422 => Outcome::Refused(format!("it answered {status}")),
        _ => Outcome::Failed(format!("it answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_no_two_records_the_same_time() {
        let mut clock = Clock::default();

        let times = [5, 5, 5, 6, 100, 3].map(|at| clock.read(at));

        assert_eq!(times, [5, 6, 7, 8, 100, 101]);
    }
}
