//! Offers that nothing was chosen of: told once each and once a minute at most, whoever sends them and however often, so
//! that an operator learns what a client would need and no stranger fills a log.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::event::Event;
use super::message::proposal::{Proposal, Protocol};
use super::proposal::names;

/// How long nothing is told after something was.
const PAUSE: Duration = Duration::from_secs(60);
/// Offers that were told of late and are not told again.
const TOLD_MAX: usize = 16;

/// What was refused of late.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// What was told, the oldest first.
    told: VecDeque<(Protocol, String)>,
    last: Option<Instant>,
    /// The first other offer since; it is told when the pause is over.
    waiting: Option<(SocketAddr, Protocol, String)>,
    /// How many were refused since something was told.
    count: u64,
}

impl Refused {
    /// Forgets what was told: under other settings it is news.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }

    /// Counts an offer, and says what is to be told now.
    pub(super) fn note(
        &mut self,
        remote: SocketAddr,
        protocol: Protocol,
        offer: &[Proposal],
        now: Instant,
    ) -> Option<Event> {
        self.count += 1;
        if self.waiting.is_none() {
            let new = (protocol, names::offer(offer));
            if !self.told.contains(&new) {
                self.waiting = Some((remote, new.0, new.1));
            }
        }
        self.due(now)
    }

    /// When [`Self::due`] has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.as_ref().and(self.last).map(|last| last + PAUSE)
    }

    /// What waited, once the pause is over.
    pub(super) fn due(&mut self, now: Instant) -> Option<Event> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return None;
        }
        let (remote, protocol, offer) = self.waiting.take()?;
        if self.told.len() == TOLD_MAX {
            self.told.pop_front();
        }
        self.told.push_back((protocol, offer.clone()));
        self.last = Some(now);
        Some(Event::OfferRefused { remote, protocol, offer, count: std::mem::take(&mut self.count) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ike::message::proposal::Transform;

    fn offer(group: u16) -> [Proposal; 1] {
        let transform = |kind, id, key_bits| Transform { kind, id, key_bits, strange: false };
        let transforms =
            vec![transform(1, 12, Some(256)), transform(3, 12, None), transform(2, 5, None), transform(4, group, None)];
        [Proposal { number: 1, protocol: 1, spi: Vec::new(), transforms }]
    }

    #[test]
    fn tells_of_an_offer_once_and_of_another_when_a_minute_is_over() {
        let from = SocketAddr::from(([192, 0, 2, 7], 500));
        #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = |group: &str, count| {
            let offer = format!("aes256-sha256-prfsha256-{group}");
            Some(Event::OfferRefused { remote: from, protocol: Protocol::Ike, offer, count })
        };
        let mut refused = Refused::default();
        let mut note = |group, seconds| refused.note(from, Protocol::Ike, &offer(group), at(seconds));

        assert_eq!(note(14, 0), told("modp2048", 1));
        assert_eq!((note(14, 1), note(5, 2), note(16, 3), note(14, 59)), (None, None, None, None));
        assert_eq!(refused.deadline(), Some(at(60)));
        assert_eq!((refused.due(at(59)), refused.due(at(60))), (None, told("modp1536", 4)));
        assert_eq!(refused.note(from, Protocol::Ike, &offer(14), at(500)), None, "told before");
        refused.forget();
        assert_eq!(refused.note(from, Protocol::Ike, &offer(14), at(501)), told("modp2048", 2));
    }
}
