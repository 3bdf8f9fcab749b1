//! Makes the backups of the schedule.

use std::time::Duration;

use tokio::sync::watch;

use crate::domain::access::Caller;
use crate::services::Services;
use crate::services::progress::Progress;

/// The longest nap: a clock that is set meanwhile is noticed soon.
const NAP: Duration = Duration::from_secs(30);

/// Makes backups when they are due, until `ended` says so. A schedule that is changed counts at once; what was due while nothing ran
/// is not made up for.
pub(super) async fn run(services: &Services, mut ended: watch::Receiver<bool>) {
    let now = || services.backups.now();
    let work = async {
        let mut settings = services.backups.follow();
        let mut after = now();
        loop {
            let due = settings.borrow_and_update().next_after(&after);
            let left =
                due.as_ref().map_or(NAP, |due| Duration::try_from(now().duration_until(&due.at)).unwrap_or_default());
            if let Some(due) = due.filter(|_| left.is_zero()) {
                // what fails is in the log and in the status by then
                let _ = services.backups.create(&Caller::schedule(), due.statistics, &Progress::default()).await;
                after = due.at;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(NAP)) => {}
                Ok(()) = settings.changed() => after = now(),
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = ended.wait_for(|ended| *ended) => {}
    }
}
