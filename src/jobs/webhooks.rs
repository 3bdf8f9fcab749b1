//! Looks each second at what happens to accounts, and brings messages to webhooks.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::services::Services;

/// How long after an event it may be noticed, and after a pause has ended the next try may begin.
const EVERY: Duration = Duration::from_secs(1);

/// How long what is on its way may take at the end.
const LAST: Duration = Duration::from_secs(1);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    let look = super::every(EVERY, ended.clone(), async || {
        services.webhooks.keep().await;
        services.webhooks.look().await;
    });
    tokio::join!(look, deliver(services, ended));
}

/// Sends what is due, to each receiver one after the other, to all of them at once. What is on its way at the end has a
/// moment to arrive; what then has not is sent again by the next process.
async fn deliver(services: &Services, mut ended: watch::Receiver<bool>) {
    let mut sendings = JoinSet::new();
    loop {
        for sending in services.webhooks.due() {
            let webhooks = services.webhooks.clone();
            sendings.spawn(async move { webhooks.send(sending).await });
        }
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            () = services.webhooks.rung() => {}
            () = tokio::time::sleep(EVERY) => {}
            Some(_) = sendings.join_next() => {}
        }
    }
    let all = async { while sendings.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST, all).await;
}
