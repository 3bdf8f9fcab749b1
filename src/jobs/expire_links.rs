//! Each hour: one-time links whose time is over. They show nothing from the moment on at which it is; this makes room.

use std::time::Duration;

use tokio::sync::watch;

use crate::services::Services;

const EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    super::every(EVERY, ended, async || services.links.prune().await).await;
}
