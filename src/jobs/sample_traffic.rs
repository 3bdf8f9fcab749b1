//! Each second: what has passed, and who is held back for it or for an end that has come.

use std::time::Duration;

use tokio::sync::watch;

use crate::services::Services;

/// How long an account may go on after its quota is used up or its end has come.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    super::every(EVERY, ended, async || services.traffic.sample().await).await;
}
