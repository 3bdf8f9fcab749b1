//! The traffic log: what the API and the command line may set of it.

use std::sync::Arc;

use tracing::info;

use super::{Caller, Error, Ground};
use crate::domain::traffic_log::{TrafficLogDraft, TrafficLogSettings};
use crate::observe::fields;
use crate::store::Change;

/// The use cases of the traffic log.
#[derive(Debug, Clone)]
pub struct TrafficLog {
    ground: Ground,
}

impl TrafficLog {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// What is logged, and where to.
    pub fn settings(&self) -> Arc<TrafficLogSettings> {
        self.ground.store.intended().traffic_log.clone()
    }

    /// Edits what the draft names.
    ///
    /// # Errors
    /// The refusals of [`TrafficLogDraft`].
    pub async fn edit(&self, by: &Caller, draft: TrafficLogDraft) -> Result<Arc<TrafficLogSettings>, Error> {
        let rule = move |change: &mut Change| {
            let settings = Arc::new(draft.amend(&change.intended().traffic_log)?);
            if settings != change.intended().traffic_log {
                change.put_traffic_log(settings.clone());
            }
            Ok(settings)
        };
        let settings = self.ground.write(rule).await?;
        let on = if settings.enabled { "on" } else { "off" };
        info!({ fields::CALLER } = %by, "Set the traffic log: {on}");
        Ok(settings)
    }
}
