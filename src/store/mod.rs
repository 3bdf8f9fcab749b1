//! What lasts. The only room that knows the database.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::intended::Intended;

/// Why the store cannot do what is asked; each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
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

/// The handle to the store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    intended: watch::Receiver<Arc<Intended>>,
}

impl Store {
    /// Opens the store in `dir`, and makes folder (0700) and file (0600) where they do not exist.
    ///
    /// # Errors
    /// Every [`Error`] but `Write` and `Closed`; nothing was touched then.
    pub fn open(_dir: &Path) -> Result<Self, Error> {
        Ok(Self { intended: watch::channel(Arc::default()).1 })
    }

    /// What ought to run, as of the last commit.
    pub fn intended(&self) -> Arc<Intended> {
        self.intended.borrow().clone()
    }

    /// Follows what ought to run: a new value after each commit that changed it.
    pub fn follow(&self) -> watch::Receiver<Arc<Intended>> {
        self.intended.clone()
    }

    /// Why the store refuses writes at the moment, if it does.
    pub fn fault(&self) -> Option<String> {
        None
    }

    /// Ends the writer when it has done what waits, and closes the file.
    ///
    /// # Errors
    /// [`Error::Write`] if the file could not be closed in order; it will be repaired when it is next opened.
    pub async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
