//! Each hour: figures that are older than they are to be kept.

use std::time::Duration;

use tokio::sync::watch;

use crate::services::Services;

const EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    super::every(EVERY, ended, async || services.traffic.prune().await).await;
}
