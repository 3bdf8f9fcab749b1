//! Whom to ask: the first forwarder, unless it has been silent of late.

use std::time::{Duration, Instant};

use crate::domain::dns::Forwarder;

/// How long an answer is waited for where nothing is known of the forwarder.
const WAIT_FIRST: Duration = Duration::from_millis(400);
/// The shortest wait before the other one is asked too.
const WAIT_MIN: Duration = Duration::from_millis(150);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// So many questions without an answer in a row, and a forwarder is passed over for a while.
const SILENT_MAX: u32 = 2;
/// How long it is passed over at first; twice as long each time.
const ASIDE_FIRST: Duration = Duration::from_secs(5);
/// The longest.
const ASIDE_MAX: Duration = Duration::from_secs(60);

/// What is known of a forwarder.
#[derive(Debug, Clone, Default)]
struct Health {
    /// How long it takes, smoothed (RFC 6298, section 2).
    round_trip: Option<Duration>,
    silent: u32,
    aside: Option<(Instant, Duration)>,
}

/// The forwarders, and what is known of each.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    forwarders: Vec<Forwarder>,
    health: Vec<Health>,
}

impl Upstreams {
    pub(super) fn new(forwarders: Vec<Forwarder>) -> Self {
        let health = vec![Health::default(); forwarders.len()];
        Self { forwarders, health }
    }

    pub(super) fn forwarders(&self) -> &[Forwarder] {
        &self.forwarders
    }

    /// The best of those that `wanted` picks: the first that is not passed over, else the first.
    pub(super) fn best(&self, wanted: impl Fn(usize) -> bool, now: Instant) -> Option<usize> {
        let is_passed_over = |at: &usize| self.health[*at].aside.is_some_and(|(until, _)| now < until);
        let mut some = (0..self.forwarders.len()).filter(|at| wanted(*at));
        let first = some.clone().next();
        some.find(|at| !is_passed_over(at)).or(first)
    }

    /// How long its answer is waited for before another is asked.
    pub(super) fn wait(&self, at: usize) -> Duration {
        let known = self.health.get(at).and_then(|health| health.round_trip);
        known.map_or(WAIT_FIRST, |round_trip| (3 * round_trip).clamp(WAIT_MIN, WAIT_MAX))
    }

    /// It has answered after so long.
    pub(super) fn note_answer(&mut self, at: usize, took: Duration) {
        let Some(health) = self.health.get_mut(at) else { return };
        let smoothed = health.round_trip.map_or(took, |known| (7 * known + took) / 8);
        *health = Health { round_trip: Some(smoothed), ..Health::default() };
    }

    /// It has not answered in time, or, if `broken`, cannot be spoken to at all.
    pub(super) fn note_silence(&mut self, at: usize, broken: bool, now: Instant) {
        let Some(health) = self.health.get_mut(at) else { return };
        health.silent += if broken { SILENT_MAX } else { 1 };
        let is_aside = health.aside.is_some_and(|(until, _)| now < until);
        if health.silent >= SILENT_MAX && !is_aside {
            let span = health.aside.map_or(ASIDE_FIRST, |(_, span)| (2 * span).min(ASIDE_MAX));
            health.aside = Some((now + span, span));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::dns::testing::start;

    fn two() -> (Upstreams, Instant) {
        let forwarders = ["192.0.2.1", "192.0.2.2"].map(|text| Forwarder::parse(text).unwrap());
        (Upstreams::new(forwarders.into()), start())
    }

    #[test]
    fn passes_over_a_silent_one_for_longer_each_time_and_comes_back() {
        let (mut upstreams, start) = two();
        let first = |upstreams: &Upstreams, now| upstreams.best(|_| true, now);
        upstreams.note_silence(0, false, start);
        assert_eq!(first(&upstreams, start), Some(0));

        upstreams.note_silence(0, false, start);
        assert_eq!(first(&upstreams, start), Some(1));
        let later = start + ASIDE_FIRST;
        assert_eq!(first(&upstreams, later), Some(0));

        upstreams.note_silence(0, false, later);
        assert_eq!(first(&upstreams, later + ASIDE_FIRST), Some(1));
        upstreams.note_answer(0, Duration::from_millis(10));
        assert_eq!(first(&upstreams, later), Some(0));
    }

    #[test]
    fn waits_three_round_trips_within_bounds() {
        let (mut upstreams, _) = two();
        assert_eq!(upstreams.wait(0), WAIT_FIRST);
        upstreams.note_answer(0, Duration::from_millis(100));
        assert_eq!(upstreams.wait(0), Duration::from_millis(300));
        upstreams.note_answer(1, Duration::from_millis(1));
        assert_eq!(upstreams.wait(1), WAIT_MIN);
    }

    #[test]
    fn takes_the_first_where_all_are_silent() {
        let (mut upstreams, now) = two();
        for at in [0, 1] {
            upstreams.note_silence(at, true, now);
        }
        assert_eq!(upstreams.best(|_| true, now), Some(0));
        assert_eq!(upstreams.best(|at| at != 0, now), Some(1));
    }
}
