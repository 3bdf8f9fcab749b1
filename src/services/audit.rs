//! The audit log: what the API and the command line may read of it. It is written with each change, and by nobody else.

use jiff::tz::TimeZone;

use super::{Error, Ground};
use crate::domain::audit::{AuditDraft, AuditEntry};

/// The use cases of the audit log.
#[derive(Debug, Clone)]
pub struct Audit {
    ground: Ground,
}

impl Audit {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// The entries that the draft wants, the latest first.
    ///
    /// # Errors
    /// The refusals of [`AuditDraft`]; a fault where the file cannot be read.
    pub async fn read(&self, draft: &AuditDraft) -> Result<Vec<AuditEntry>, Error> {
        let query = draft.settle(&self.time_zone())?;
        self.ground.store.audit(query).await.map_err(|cause| Error::Fault(cause.into()))
    }

    /// In which time zone its days are.
    pub fn time_zone(&self) -> TimeZone {
        self.ground.time_zone()
    }
}
