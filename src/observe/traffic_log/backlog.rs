//! What waits for a writer: bounded, and the oldest goes first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::{Entry, Losses};

/// How many records may wait for one writer.
const WAITING_MAX: usize = 10_000;

/// Records that wait for one writer. Nobody who lays one here waits for anything.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: Mutex<Waiting>,
    /// Told when there is something, or the end has come.
    news: Notify,
    losses: Arc<Losses>,
    /// Which of the losses are this writer's.
    of_it: fn(&Losses) -> &AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Arc<Entry>>,
    is_closed: bool,
}

impl Backlog {
    /// Nothing waits.
    pub(super) fn new(losses: Arc<Losses>, of_it: fn(&Losses) -> &AtomicU64) -> Self {
        Self { waiting: Mutex::default(), news: Notify::new(), losses, of_it }
    }

    /// Lays a record before the writer; where too many wait, the oldest is lost.
    pub(super) fn push(&self, entry: Arc<Entry>) {
        let overflow = {
            let mut waiting = self.lock();
            let full = waiting.entries.len() >= WAITING_MAX;
            let oldest = if full { waiting.entries.pop_front() } else { None };
            waiting.entries.push_back(entry);
            oldest.is_some()
        };
        if overflow {
            self.lose(1);
        }
        self.news.notify_waiters();
    }

    /// Counts records that the writer has lost.
    pub(super) fn lose(&self, records: u64) {
        (self.of_it)(&self.losses).fetch_add(records, Ordering::Relaxed);
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.news.notify_waiters();
    }

    /// Whether nothing more comes.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Takes the oldest, so many at most, as soon as there is any; none at the end.
    pub(super) async fn take(&self, at_most: usize) -> Vec<Arc<Entry>> {
        self.when(|waiting| !waiting.entries.is_empty() || waiting.is_closed).await;
        let mut waiting = self.lock();
        let count = waiting.entries.len().min(at_most);
        waiting.entries.drain(..count).collect()
    }

    /// Waits until so many wait, or nothing more comes.
    pub(super) async fn holds(&self, records: usize) {
        self.when(|waiting| waiting.entries.len() >= records || waiting.is_closed).await;
    }

    /// Waits until nothing more comes.
    pub(super) async fn closed(&self) {
        self.when(|waiting| waiting.is_closed).await;
    }

    async fn when(&self, is_so: impl Fn(&Waiting) -> bool) {
        loop {
            // before the look, so that what comes after it is not missed
            let news = self.news.notified();
            if is_so(&self.lock()) {
                return;
            }
            news.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::traffic_log::testing;

    fn backlog() -> Backlog {
        Backlog::new(Arc::default(), |losses| &losses.syslog)
    }

    fn entry(second: usize) -> Arc<Entry> {
        let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        Arc::new(Entry { at, record: testing::record() })
    }

    #[tokio::test]
    async fn loses_the_oldest_and_counts_it() {
        let backlog = backlog();
        for second in 0..WAITING_MAX + 3 {
            backlog.push(entry(second));
        }

        let first = backlog.take(1).await.remove(0);

        assert_eq!((first.at.as_second(), backlog.losses.syslog.load(Ordering::Relaxed)), (3, 3));
    }

    #[tokio::test]
    async fn gives_what_it_has_before_it_ends() {
        let backlog = backlog();
        backlog.push(entry(1));
        backlog.push(entry(2));
        backlog.close();

        let taken = [backlog.take(1).await.len(), backlog.take(9).await.len(), backlog.take(9).await.len()];

        assert_eq!(taken, [1, 1, 0]);
    }

    #[tokio::test]
    async fn wakes_who_waits() {
        let backlog = backlog();

        let (taken, ()) = tokio::join!(backlog.take(9), async { backlog.push(entry(1)) });

        assert_eq!(taken.len(), 1);
    }
}
