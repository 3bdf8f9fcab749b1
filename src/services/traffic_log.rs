//! The traffic log: what the API and the command line may set of it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Caller, Error, Ground};
use crate::domain::audit::{Deed, Kind};
use crate::domain::refusal::Refusal;
use crate::domain::traffic_log::{Record, Tracked, TrafficLogDraft, TrafficLogSettings};
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
            let text = told(&settings);
            Ok((settings, Deed::of(Kind::TrafficLog, text)))
        };
        self.ground.write(by, rule).await
    }

    /// Sends one record to every collector that the settings name, now. What is sent by datagrams is as good as taken:
    /// nobody answers them.
    ///
    /// # Errors
    /// `NoLoggingMethod` where no collector is on, `ServerNotFound` where there is no server yet; `TrafficLogFailed`, with what
    /// each that did not take it has said.
    pub async fn test(&self) -> Result<(), Error> {
        let intended = self.ground.store.intended();
        let settings = &intended.traffic_log;
        if !settings.syslog.enabled && !settings.influxdb.enabled {
            return Err(Refusal::NoLoggingMethod.into());
        }
        let server = intended.servers.values().next().ok_or(Refusal::ServerNotFound)?.server.clone();
        let said = self.ground.runtime.try_traffic_log(settings, Record::trial(server)).await;
        let said = said.ok_or_else(|| Refusal::TrafficLogFailed("nothing runs".into()))?;
        let against = said.into_iter().filter_map(|(whom, said)| Some(format!("{whom}: {}", said.err()?)));
        let against: Vec<String> = against.collect();
        if against.is_empty() { Ok(()) } else { Err(Refusal::TrafficLogFailed(against.join("; ")).into()) }
    }
}

/// The settings in a sentence, without the token.
fn told(settings: &TrafficLogSettings) -> String {
    if !settings.enabled {
        return "Set the traffic log: off".to_owned();
    }
    let all = [Tracked::New, Tracked::Established, Tracked::Related, Tracked::Invalid, Tracked::Untracked];
    let states: Vec<&str> = all.into_iter().filter(|state| settings.states.has(*state)).map(Tracked::name).collect();
    let states = if states.is_empty() { "nothing".to_owned() } else { states.join(", ") };
    let directions = if settings.incoming { "in and out" } else { "out" };
    let syslog = settings.syslog.server.filter(|_| settings.syslog.enabled);
    let syslog = syslog.map(|server| format!("syslog at {}", SocketAddr::new(server, settings.syslog.port)));
    let influxdb = settings.influxdb.enabled.then(|| format!("InfluxDB at {}", settings.influxdb.url));
    let places: Vec<String> = syslog.into_iter().chain(influxdb).collect();
    format!("Set the traffic log: {states}, {directions}, to {}", places.join(" and "))
}
