//! Looks each second at what happens to accounts, and brings messages to webhooks.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::services::Services;

/// How long after an event it may be noticed, and after a pause has ended the next try may begin.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    let look = super::every(EVERY, ended.clone(), async || services.webhooks.look().await);
    tokio::join!(look, deliver(services, ended));
}

/// Sends what is due, to each receiver one after the other, to all of them at once. What is on its way at the end is left.
async fn deliver(services: &Services, mut ended: watch::Receiver<bool>) {
    let mut sendings = JoinSet::new();
    loop {
        for sending in services.webhooks.due() {
            let webhooks = services.webhooks.clone();
            sendings.spawn(async move { webhooks.send(sending).await });
        }
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => return,
            () = services.webhooks.rung() => {}
            () = tokio::time::sleep(EVERY) => {}
            Some(_) = sendings.join_next() => {}
        }
    }
}
