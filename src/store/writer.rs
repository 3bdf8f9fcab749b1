//! The one thread that writes. Closures that wait together are committed together, then published, then answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::sync::{mpsc, oneshot, watch};

use super::archive::Tables;
use super::change::Change;
use super::state::{State, WebhookBook};
use super::{Error, WriteError, tables};
use crate::domain::access::AccessBook;
use crate::domain::backup::BackupSettings;
use crate::domain::host::HostSettings;
use crate::domain::intended::{Intended, Revision};
use crate::domain::one_time_link::LinkBook;
use crate::domain::refusal::Refusal;
use crate::domain::web_certificate::WebCertificate;

/// How many closures may wait before their callers wait to let them wait.
pub(super) const QUEUE: usize = 256;
/// The first and the longest pause between two tries to reopen a file that failed, when nobody asks to write.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Opens the file: at start, and again after it has failed.
pub(super) type Opener = Box<dyn FnMut() -> Result<(Database, State), Error> + Send>;

/// What the writer is told.
pub(super) enum Order {
    /// A closure that waits.
    Write(Box<dyn Job>),
    /// Everything as of now.
    Snapshot(oneshot::Sender<Result<ReadTransaction, Error>>),
    /// Everything is to be what an archive has.
    Restore(Arc<Tables>, oneshot::Sender<Result<Revision, Error>>),
    /// End; whoever waits on this hears how the file was closed.
    Close(oneshot::Sender<Result<(), Error>>),
}

/// A closure and its caller.
pub(super) trait Job: Send {
    /// Runs the closure; if it refuses, nothing of it remains in `change`.
    fn run(&mut self, change: &mut Change);
    /// Answers the caller.
    fn answer(self: Box<Self>, outcome: Result<Revision, Error>);
}

/// What a caller hears.
pub(super) type Answer<T> = Result<(T, Revision), WriteError>;

/// The one kind of [`Job`].
pub(super) struct Waiting<F, T> {
    rule: Option<F>,
    result: Option<Result<T, Refusal>>,
    caller: oneshot::Sender<Answer<T>>,
}

impl<F, T> Waiting<F, T> {
    pub(super) fn new(rule: F, caller: oneshot::Sender<Answer<T>>) -> Self {
        Self { rule: Some(rule), result: None, caller }
    }
}

impl<F, T> Job for Waiting<F, T>
where
    F: FnOnce(&mut Change) -> Result<T, Refusal> + Send,
    T: Send,
{
    fn run(&mut self, change: &mut Change) {
        let Some(rule) = self.rule.take() else { return };
        let mark = change.mark();
        let result = rule(change);
        if result.is_err() {
            change.back_to(mark);
        }
        self.result = Some(result);
    }

    fn answer(self: Box<Self>, outcome: Result<Revision, Error>) {
        let answer = match (outcome, self.result) {
            (Ok(revision), Some(Ok(value))) => Ok((value, revision)),
            (Ok(_), Some(Err(refusal))) => Err(WriteError::Refused(refusal)),
            (Ok(_), None) => Err(WriteError::Failed(Error::Closed)),
            (Err(error), _) => Err(WriteError::Failed(error)),
        };
        // a caller that has gone away wanted no answer
        let _ = self.caller.send(answer);
    }
}

/// The writer's side of what the store publishes.
pub(super) struct Published {
    pub(super) intended: watch::Sender<Arc<Intended>>,
    pub(super) access: watch::Sender<Arc<AccessBook>>,
    pub(super) backups: watch::Sender<Arc<BackupSettings>>,
    pub(super) links: watch::Sender<Arc<LinkBook>>,
    pub(super) webhooks: watch::Sender<Arc<WebhookBook>>,
    pub(super) web_certificate: watch::Sender<Arc<WebCertificate>>,
    pub(super) host: watch::Sender<Arc<HostSettings>>,
    /// What only the file knows: where in it each firewall rule stands.
    pub(super) places: Arc<Vec<i64>>,
    /// And the number of the latest entry of the audit log.
    pub(super) audited: u64,
    pub(super) fault: Arc<Mutex<Option<String>>>,
}

impl Published {
    fn state(&self) -> State {
        State {
            intended: self.intended.borrow().as_ref().clone(),
            access: self.access.borrow().as_ref().clone(),
            links: self.links.borrow().as_ref().clone(),
            places: self.places.clone(),
            backups: self.backups.borrow().clone(),
            webhooks: self.webhooks.borrow().clone(),
            web_certificate: self.web_certificate.borrow().clone(),
            host: self.host.borrow().clone(),
            audited: self.audited,
        }
    }

    fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// Owns the file.
pub(super) struct Writer {
    opener: Opener,
    /// `None` from a failure until the file has been reopened.
    database: Option<Database>,
    published: Published,
    orders: mpsc::Receiver<Order>,
}

impl Writer {
    pub(super) fn new(opener: Opener, database: Database, published: Published, orders: mpsc::Receiver<Order>) -> Self {
        Self { opener, database: Some(database), published, orders }
    }

    /// Works until it is told to close, or until nobody holds the store any more. `timer` only measures pauses.
    pub(super) fn run(mut self, timer: &tokio::runtime::Runtime) {
        let mut pause = PAUSES[0];
        loop {
            let next = if self.database.is_some() {
                pause = PAUSES[0];
                self.orders.blocking_recv()
            } else {
                let orders = &mut self.orders;
                let Ok(next) = timer.block_on(async { tokio::time::timeout(pause, orders.recv()).await }) else {
                    pause = (pause * 2).min(PAUSES[1]);
                    let _ = self.reopen();
                    continue;
                };
                next
            };
            let Some(first) = next else {
                let _ = self.close();
                return;
            };
            if let Some(caller) = self.handle(first) {
                let _ = caller.send(self.close());
                return;
            }
        }
    }

    /// Handles `first` and everything that waits behind it; returns who waits for the end, if that was ordered.
    fn handle(&mut self, first: Order) -> Option<oneshot::Sender<Result<(), Error>>> {
        let (mut jobs, mut closing) = (Vec::new(), None);
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Write(job) => jobs.push(job),
                // what was asked for before comes before
                Order::Snapshot(caller) => {
                    self.commit(std::mem::take(&mut jobs));
                    let _ = caller.send(self.snapshot());
                }
                Order::Restore(tables, caller) => {
                    self.commit(std::mem::take(&mut jobs));
                    let _ = caller.send(self.restore(&tables));
                }
                Order::Close(caller) => {
                    closing = Some(caller);
                    break;
                }
            }
            next = if jobs.len() < QUEUE { self.orders.try_recv().ok() } else { None };
        }
        self.commit(jobs);
        closing
    }

    /// Runs the closures, commits what they did in one transaction, publishes it and answers.
    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        let outcome = self.reopen().and_then(|()| {
            let mut change = Change::new(self.published.state());
            for job in &mut jobs {
                job.run(&mut change);
            }
            self.store(change)
        });
        for job in jobs {
            job.answer(outcome.clone());
        }
    }

    fn store(&mut self, change: Change) -> Result<Revision, Error> {
        let current = change.intended().revision;
        if change.steps().is_empty() {
            return Ok(current);
        }
        let revision = if change.is_intended() { Revision(current.0 + 1) } else { current };
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        if let Err(error) = tables::commit(database, change.steps(), revision) {
            // the database takes no write after a failure until it has been opened anew
            self.database = None;
            let error = Error::Write { why: error.to_string() };
            self.published.set_fault(Some(error.to_string()));
            return Err(error);
        }
        let mut state = change.into_state();
        state.intended.revision = revision;
        self.publish(state);
        Ok(revision)
    }

    fn snapshot(&mut self) -> Result<ReadTransaction, Error> {
        self.reopen()?;
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        database.begin_read().map_err(|error| Error::Write { why: error.to_string() })
    }

    /// Puts what the archive has into the file, and then reads the file as at a start.
    fn restore(&mut self, tables: &Tables) -> Result<Revision, Error> {
        self.reopen()?;
        let revision = Revision(self.published.intended.borrow().revision.0 + 1);
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        let replaced = tables::replace(database, tables, revision);
        self.close()?;
        self.reopen()?;
        replaced.map(|()| revision).map_err(|error| Error::Write { why: error.to_string() })
    }

    /// Makes `state` what everybody sees.
    fn publish(&mut self, state: State) {
        self.published.places = state.places;
        self.published.audited = state.audited;
        if self.published.intended.borrow().revision != state.intended.revision {
            self.published.intended.send_replace(Arc::new(state.intended));
        }
        if **self.published.access.borrow() != state.access {
            self.published.access.send_replace(Arc::new(state.access));
        }
        if *self.published.backups.borrow() != state.backups {
            self.published.backups.send_replace(state.backups);
        }
        if *self.published.web_certificate.borrow() != state.web_certificate {
            self.published.web_certificate.send_replace(state.web_certificate);
        }
        if *self.published.host.borrow() != state.host {
            self.published.host.send_replace(state.host);
        }
        if *self.published.webhooks.borrow() != state.webhooks {
            self.published.webhooks.send_replace(state.webhooks);
        }
        if !self.published.links.borrow().is_same(&state.links) {
            self.published.links.send_replace(Arc::new(state.links));
        }
    }

    /// Opens the file anew if it has failed. What a failed commit wrote may be there: the file decides.
    fn reopen(&mut self) -> Result<(), Error> {
        if self.database.is_some() {
            return Ok(());
        }
        match (self.opener)() {
            Ok((database, state)) => {
                self.database = Some(database);
                self.published.set_fault(None);
                self.publish(state);
                Ok(())
            }
            Err(error) => {
                self.published.set_fault(Some(error.to_string()));
                Err(error)
            }
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.database.take().map(Database::close) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Error::Write { why: error.to_string() }),
        }
    }
}
