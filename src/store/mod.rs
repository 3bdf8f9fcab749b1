//! What lasts. The only room that knows the database.

mod access_records;
mod archive;
mod audit;
mod backups_record;
mod carried;
mod change;
#[cfg(test)]
mod disasters;
mod dns_record;
mod file;
mod host_record;
mod ikev2;
pub mod ledger;
mod link_records;
mod messages;
mod record;
mod records;
mod rules;
mod state;
mod tables;
#[cfg(test)]
mod tests;
mod traffic_log_record;
mod web_certificate_record;
mod webhook_record;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::ReadTransaction;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::archive::{Archive, Holding, Origin, Snapshot};
pub use self::change::Change;
pub use self::ledger::Ledger;
pub use self::messages::MessageChanges;
pub use self::state::WebhookBook;
use self::writer::{Opener, Order, Published, QUEUE, Waiting, Writer};
use crate::domain::access::AccessBook;
use crate::domain::audit::{AuditEntry, AuditQuery};
use crate::domain::backup::BackupSettings;
use crate::domain::host::HostSettings;
use crate::domain::intended::{Intended, Revision};
use crate::domain::limits;
use crate::domain::one_time_link::LinkBook;
use crate::domain::refusal::Refusal;
use crate::domain::web_certificate::WebCertificate;
use crate::domain::webhook::Kept;

/// Why the store cannot do what is asked; each is one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A later Culvert wrote this file.
    #[error("the store {path} has format {found}, this program knows formats up to {known}; use a newer Culvert")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// The latest format that is known here.
        known: u64,
    },
    /// Another process has it open.
    #[error("the store {path} is in use by another process")]
    Held {
        /// The file.
        path: String,
    },
    /// The folder or the file cannot be written, or not even made.
    #[error("cannot use {path}: {why}")]
    Unusable {
        /// The folder or the file.
        path: String,
        /// What the operating system said.
        why: String,
    },
    /// The file is there but is not what was written.
    #[error("the store {path} is damaged ({why}); nothing was changed, restore a backup")]
    Damaged {
        /// The file.
        path: String,
        /// What was noticed.
        why: String,
    },
    /// A write failed; whether it is stored is unknown until the store has reopened its file.
    #[error("the store could not write: {why}")]
    Write {
        /// What the operating system or the database said.
        why: String,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a write had no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Its closure refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored. After [`Error::Write`] it may nevertheless be there.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// The handle to the store; cheap to clone. When the last one goes, the file is closed.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    intended: watch::Receiver<Arc<Intended>>,
    access: watch::Receiver<Arc<AccessBook>>,
    backups: watch::Receiver<Arc<BackupSettings>>,
    links: watch::Receiver<Arc<LinkBook>>,
    webhooks: watch::Receiver<Arc<WebhookBook>>,
    web_certificate: watch::Receiver<Arc<WebCertificate>>,
    host: watch::Receiver<Arc<HostSettings>>,
    fault: Arc<Mutex<Option<String>>>,
    /// `None` while this is being dropped, so that the thread sees that nobody is left.
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    ledger: Ledger,
}

impl Store {
    /// Whether there is a store in `dir` to open; touches nothing.
    pub fn is_in(dir: &Path) -> bool {
        file::is_in(dir)
    }

    /// The size of the files in `dir` that lie there for good: the store and the traffic figures, in bytes.
    pub fn size(dir: &Path) -> u64 {
        let sizes = [file::NAME, ledger::NAME].map(|name| dir.join(name).metadata().map_or(0, |file| file.len()));
        sizes.into_iter().sum()
    }

    /// [`Self::open_at`], for an API at its usual port.
    ///
    /// # Errors
    /// As there.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_at(dir, limits::API_PORT)
    }

    /// Opens the store in `dir`, and makes folder (0700) and file (0600) where they do not exist. The rule that keeps the
    /// API at `api_port` reachable is among the firewall's as long as the store is open, and in no file.
    ///
    /// # Errors
    /// Every [`Error`] but `Write` and `Closed`; nothing was touched then.
    pub fn open_at(dir: &Path, api_port: u16) -> Result<Self, Error> {
        let dir = dir.to_owned();
        let ledger = Ledger::of(&dir);
        let opener = Box::new(move || {
            let (database, mut state) = file::open(&dir)?;
            state.keep_open(api_port);
            Ok((database, state))
        });
        Self::start(opener, ledger)
    }

    /// Opens the file by `opener` and starts the thread that owns it.
    fn start(mut opener: Opener, ledger: Ledger) -> Result<Self, Error> {
        let no_thread = |error: std::io::Error| Error::Write { why: error.to_string() };
        let (database, state) = opener()?;
        let (intended, intended_seen) = watch::channel(Arc::new(state.intended));
        let (access, access_seen) = watch::channel(Arc::new(state.access));
        let (links, links_seen) = watch::channel(Arc::new(state.links));
        let (webhooks, webhooks_seen) = watch::channel(state.webhooks);
        let (web_certificate, web_certificate_seen) = watch::channel(state.web_certificate);
        let (host, host_seen) = watch::channel(state.host);
        let (backups, backups_seen) = watch::channel(state.backups);
        let fault = Arc::new(Mutex::new(None));
        let (places, audited) = (state.places, state.audited);
        let published = Published {
            intended,
            access,
            backups,
            links,
            webhooks,
            web_certificate,
            host,
            places,
            audited,
            fault: fault.clone(),
        };
        let (orders, ordered) = mpsc::channel(QUEUE);
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(no_thread)?;
        let writer = Writer::new(opener, database, published, ordered);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || writer.run(&timer));
        let thread = Some(thread.map_err(no_thread)?);
        let shared = Shared {
            intended: intended_seen,
            access: access_seen,
            backups: backups_seen,
            links: links_seen,
            webhooks: webhooks_seen,
            web_certificate: web_certificate_seen,
            host: host_seen,
            fault,
            orders: Some(orders),
            thread,
            ledger,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Traffic figures.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// What ought to run, as of the last commit.
    pub fn intended(&self) -> Arc<Intended> {
        self.shared.intended.borrow().clone()
    }

    /// All that can be compared with what an archive holds.
    pub fn holding(&self) -> Holding {
        Holding {
            intended: self.intended(),
            access: self.access(),
            links: self.links(),
            webhooks: self.shared.webhooks.borrow().clone(),
            backups: self.shared.backups.borrow().clone(),
            host: self.host(),
        }
    }

    /// Follows what ought to run: a new value after each commit that changed it.
    pub fn follow(&self) -> watch::Receiver<Arc<Intended>> {
        self.shared.intended.clone()
    }

    /// Who may call, as of the last commit. Costs no disk.
    pub fn access(&self) -> Arc<AccessBook> {
        self.shared.access.borrow().clone()
    }

    /// The certificate of the API and the panel, as of the last commit; a new value after each commit that changed it.
    pub fn web_certificate(&self) -> watch::Receiver<Arc<WebCertificate>> {
        self.shared.web_certificate.clone()
    }

    /// What is set of the host, as of the last commit.
    pub fn host(&self) -> Arc<HostSettings> {
        self.shared.host.borrow().clone()
    }

    /// When and where backups are made, as of the last commit; a new value after each commit that changed it.
    pub fn backups(&self) -> watch::Receiver<Arc<BackupSettings>> {
        self.shared.backups.clone()
    }

    /// Everything as of now, to be packed while others write; with the traffic figures that are on disk, if asked.
    ///
    /// # Errors
    /// [`Error::Write`] where a file cannot be read, [`Error::Closed`].
    pub async fn snapshot(&self, statistics: bool) -> Result<Snapshot, Error> {
        let (caller, answer) = oneshot::channel();
        self.order(Order::Snapshot(caller)).await?;
        let transaction = answer.await.map_err(|_| Error::Closed)??;
        let statistics = if statistics { Some(self.shared.ledger.dump().await?) } else { None };
        Ok(Snapshot { transaction, statistics })
    }

    /// Replaces everything by what an archive has, in one step. The revision is that of the new state, which is published
    /// when this returns. Traffic figures stay.
    ///
    /// # Errors
    /// [`Error::Write`], and everything is as before; [`Error::Closed`].
    pub async fn restore(&self, archive: &Archive) -> Result<Revision, Error> {
        let (caller, answer) = oneshot::channel();
        self.order(Order::Restore(Arc::clone(&archive.tables), caller)).await?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Replaces the traffic figures by those of an archive that has some.
    ///
    /// # Errors
    /// [`Error::Write`], and the figures are as before.
    pub async fn restore_statistics(&self, archive: Archive) -> Result<(), Error> {
        match archive.statistics {
            statistics if statistics.is_empty() => Ok(()),
            statistics => self.shared.ledger.replace(statistics).await,
        }
    }

    /// Entries of the audit log, the latest first.
    ///
    /// # Errors
    /// [`Error::Write`] where the file cannot be read, [`Error::Closed`].
    pub async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditEntry>, Error> {
        self.read(move |transaction| audit::read(transaction, &query)).await
    }

    /// The messages of webhooks that wait in the file, in the order in which they are to be sent.
    ///
    /// # Errors
    /// As [`Self::audit`].
    pub async fn messages(&self) -> Result<Vec<Kept>, Error> {
        self.read(messages::read).await
    }

    /// Reads what is only in the file, as of now.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (caller, answer) = oneshot::channel();
        self.order(Order::Snapshot(caller)).await?;
        let transaction = answer.await.map_err(|_| Error::Closed)??;
        let read = tokio::task::spawn_blocking(move || read(&transaction)).await;
        let failed = |why: String| Error::Write { why };
        read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    async fn order(&self, order: Order) -> Result<(), Error> {
        let orders = self.shared.orders.as_ref().ok_or(Error::Closed)?;
        orders.send(order).await.map_err(|_| Error::Closed)
    }

    /// The one-time links, as of the last commit. Costs no disk.
    pub fn links(&self) -> Arc<LinkBook> {
        self.shared.links.borrow().clone()
    }

    /// The webhooks, as of the last commit. Costs no disk.
    pub fn webhooks(&self) -> Arc<WebhookBook> {
        self.shared.webhooks.borrow().clone()
    }

    /// Runs `rule` on a private copy of everything. What it did is durable and published when this returns, or nothing of
    /// it is: if it refuses, and if the disk does. The revision is that of the commit, which others may share.
    ///
    /// # Errors
    /// What `rule` refuses, and [`Error::Write`] or [`Error::Closed`].
    pub async fn write<T, F>(&self, rule: F) -> Result<(T, Revision), WriteError>
    where
        F: FnOnce(&mut Change) -> Result<T, Refusal> + Send + 'static,
        T: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let order = Order::Write(Box::new(Waiting::new(rule, caller)));
        let orders = self.shared.orders.as_ref().ok_or(Error::Closed)?;
        orders.send(order).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Has `rule` run some time soon, and waits for nothing: for records that may be lost, as of a last use.
    pub fn write_soon<F>(&self, rule: F)
    where
        F: FnOnce(&mut Change) -> Result<(), Refusal> + Send + 'static,
    {
        let (caller, _) = oneshot::channel();
        if let Some(orders) = &self.shared.orders {
            let _ = orders.try_send(Order::Write(Box::new(Waiting::new(rule, caller))));
        }
    }

    /// Why the store refuses writes at the moment, if it does.
    pub fn fault(&self) -> Option<String> {
        self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the writer when it has done what waits, and closes the file. Writes are refused from then on.
    ///
    /// # Errors
    /// [`Error::Write`] if the file could not be closed in order; it will be repaired when it is next opened.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.ledger.close().await;
        let (caller, answer) = oneshot::channel();
        let Some(orders) = &self.shared.orders else { return Ok(()) };
        if orders.send(Order::Close(caller)).await.is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}

impl Drop for Shared {
    /// Waits for the thread, so that whoever opens the file next finds it closed.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}
