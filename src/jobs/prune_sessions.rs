//! Each hour: sessions of the panel that have ended. They let nobody in from the moment on at which they do; this makes
//! room.

use std::time::Duration;

use tokio::sync::watch;

use crate::services::Services;

const EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    super::every(EVERY, ended, async || services.users.prune().await).await;
}
