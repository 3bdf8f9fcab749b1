//! Ways in by the clock: what is done every so often, with nobody asking.

mod backups;
mod expire_links;
mod prune_sessions;
mod prune_traffic;
mod renew_certificate;
mod sample_traffic;
mod webhooks;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::services::Services;

/// Runs every job until `ended` says so. One that is in the middle of something ends it first.
pub async fn run(services: &Services, ended: watch::Receiver<bool>) {
    tokio::join!(
        sample_traffic::run(services, ended.clone()),
        prune_sessions::run(services, ended.clone()),
        prune_traffic::run(services, ended.clone()),
        backups::run(services, ended.clone()),
        expire_links::run(services, ended.clone()),
        renew_certificate::run(services, ended.clone()),
        webhooks::run(services, ended),
    );
}

/// Does something every so often, from now on.
async fn every(span: Duration, mut ended: watch::Receiver<bool>, mut work: impl AsyncFnMut()) {
    let mut ticks = tokio::time::interval(span);
    // what was late is not made up for
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => return,
            _ = ticks.tick() => {}
        }
        work().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn works_at_once_and_then_every_so_often_until_it_is_ended() {
        let (end, ended) = watch::channel(false);
        let done = Cell::new(0);
        let work = every(Duration::from_secs(60), ended, async || {
            done.set(done.get() + 1);
            if done.get() == 3 {
                end.send_replace(true);
            }
        });

        let begun = clock();
        work.await;

        assert_eq!((done.get(), clock().duration_since(begun)), (3, Duration::from_secs(120)));
    }

    #[expect(clippy::disallowed_methods, reason = "it is the clock of the test, which stands still")]
    fn clock() -> tokio::time::Instant {
        tokio::time::Instant::now()
    }
}
