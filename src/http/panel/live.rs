//! Figures that move: a stream of events for the page that is open, once a second (HTML, section 9.2, server-sent events).
//!
//! A page names in its address what it shows; what it is told are texts, by the names of their places in it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt as _};

use super::visit::Visit;
use super::{accounts, dashboard, online, servers, work};
use crate::domain::access::Right;
use crate::services::Services;

/// How often a page is told.
const EVERY: Duration = Duration::from_secs(1);

/// After so many events a stream ends, and the browser asks anew: who may no longer look is not told for ever.
const EVENTS: usize = 600;

/// What a page shows.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Wanted {
    of: String,
    #[serde(default)]
    name: String,
}

/// An event.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    /// Texts, by place.
    pub(super) text: BTreeMap<String, String>,
    /// Badges, by place.
    pub(super) state: BTreeMap<String, Badge>,
    /// The next points of lines: bytes a second down and up.
    pub(super) points: BTreeMap<String, [u64; 2]>,
    /// Parts of the page by name, each with what it shows: where that is another thing, it is fetched anew.
    pub(super) fresh: BTreeMap<String, String>,
    /// How far long work is: so much, of so much.
    pub(super) progress: BTreeMap<String, [u64; 2]>,
}

/// A word about how something is, and whether that is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Badge {
    /// The word.
    pub(super) text: String,
    /// Its class: `good`, `warn`, `bad`, or none.
    pub(super) mood: &'static str,
}

/// Two counters of bytes, as they were a moment ago, and how fast they grow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    last: Option<[u64; 2]>,
}

impl Flow {
    /// By how much the counters have grown since the last time; by nothing where they began anew.
    pub(super) fn grown(&mut self, counters: [u64; 2]) -> [u64; 2] {
        let last = self.last.replace(counters).unwrap_or(counters);
        [counters[0].saturating_sub(last[0]), counters[1].saturating_sub(last[1])]
    }
}

/// The stream.
pub(super) async fn stream(visit: Visit, State(services): State<Services>, Query(wanted): Query<Wanted>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    (no_store, Sse::new(events(visit, services, wanted))).into_response()
}

fn events(visit: Visit, services: Services, wanted: Wanted) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let flow = std::sync::Arc::new(tokio::sync::Mutex::new(Flow::default()));
    IntervalStream::new(ticks).take(EVENTS).then(move |_| {
        let (visit, services, wanted, flow) = (visit.clone(), services.clone(), wanted.clone(), flow.clone());
        async move {
            // whoever was logged out meanwhile is told so, and nothing else; a browser drops an event without a text
            if services.users.session(&visit.token).is_none() {
                return Ok(Event::default().event("over").data("over"));
            }
            let told = tell(&visit, &services, &wanted, &mut *flow.lock().await).await;
            Ok(Event::default().json_data(told).unwrap_or_default())
        }
    })
}

async fn tell(visit: &Visit, services: &Services, wanted: &Wanted, flow: &mut Flow) -> Told {
    match wanted.of.as_str() {
        "dashboard" => dashboard::tell(visit, services, flow).await,
        "account" => accounts::tell(visit, services, &wanted.name, flow).await,
        "work" => work::tell(visit, services, &wanted.name),
        "online" => online::tell(visit, services).await,
        "server" if visit.has(Right::See) => servers::tell(visit, services, &wanted.name, flow).await,
        _ => Told::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_by_how_much_counters_grow() {
        let mut flow = Flow::default();

        let told = [[5, 7], [8, 7], [1, 9]].map(|counters| flow.grown(counters));

        assert_eq!(told, [[0, 0], [3, 0], [0, 2]]);
    }
}
