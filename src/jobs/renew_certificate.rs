//! Each hour: the certificate of the API and the panel, where an authority gave it and it ends soon.

use std::time::Duration;

use tokio::sync::watch;

use crate::services::Services;

const EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(services: &Services, ended: watch::Receiver<bool>) {
    let stop = ended.clone();
    super::every(EVERY, ended, async || {
        let mut stop = stop.clone();
        // an authority that takes its time does not hold up the end
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = services.web_certificate.renew_if_due() => {}
        }
    })
    .await;
}
