//! `WireGuard`'s timers (paper, section 6), in our own time.
//!
//! `noise` has timers too, but it stamps what happens with the time of the last look at them, and so begins handshakes
//! that nobody needs. It is therefore never asked what is due.

use std::time::{Duration, Instant};

use crate::engine::dataplane::timeouts::{FORGET_KEYS, KEEPALIVE_TIMEOUT, REKEY_ATTEMPT_TIME, REKEY_TIMEOUT};

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send a handshake initiation.
    Initiate,
    /// Send an empty packet.
    Keepalive,
    /// Nobody answered: forget what waits to be sent.
    GiveUp,
    /// Forget all keys.
    Forget,
}

/// When a tunnel wants to do something of its own accord.
#[derive(Debug)]
pub struct Timers {
    /// The last initiation went unanswered.
    retransmit: Option<Instant>,
    /// When the present attempt began.
    began: Option<Instant>,
    /// When we last sent an initiation.
    initiated: Option<Instant>,
    /// Data came in and nothing went back.
    keepalive: Option<Instant>,
    /// More data came in since.
    another_keepalive: bool,
    /// Data went out and nothing came back.
    unanswered: Option<Instant>,
    /// No new session was made for too long.
    forget: Instant,
    /// Added to what must not keep step with the other side.
    jitter: Duration,
}

impl Timers {
    /// The timers of a tunnel that has done nothing yet.
    pub fn new(jitter: Duration, now: Instant) -> Self {
        Self {
            retransmit: None,
            began: None,
            initiated: None,
            keepalive: None,
            another_keepalive: false,
            unanswered: None,
            forget: now + FORGET_KEYS,
            jitter,
        }
    }

    /// Something authenticated was sent.
    pub fn handle_sent(&mut self) {
        self.keepalive = None;
    }

    /// Data was sent.
    pub fn handle_sent_data(&mut self, now: Instant) {
        if self.unanswered.is_none() {
            self.unanswered = Some(now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + self.jitter);
        }
    }

    /// Something authenticated was received.
    pub fn handle_received(&mut self) {
        self.unanswered = None;
    }

    /// Data was received.
    pub fn handle_received_data(&mut self, now: Instant) {
        if self.keepalive.is_none() {
            self.keepalive = Some(now + KEEPALIVE_TIMEOUT);
        } else {
            self.another_keepalive = true;
        }
    }

    /// Whether an initiation may be sent: one each [`REKEY_TIMEOUT`].
    pub fn may_initiate(&self, now: Instant) -> bool {
        self.initiated.is_none_or(|last| now.saturating_duration_since(last) >= REKEY_TIMEOUT)
    }

    /// An initiation was sent.
    pub fn handle_initiated(&mut self, now: Instant) {
        self.handle_sent();
        self.began.get_or_insert(now);
        self.initiated = Some(now);
        self.retransmit = Some(now + REKEY_TIMEOUT + self.jitter);
    }

    /// A session has keys.
    pub fn handle_derived(&mut self, now: Instant) {
        self.forget = now + FORGET_KEYS;
    }

    /// Both sides have shown that they have the keys.
    pub fn handle_completed(&mut self) {
        self.retransmit = None;
        self.began = None;
    }

    /// The next thing that is due, and crosses it off. The caller does it and asks again.
    pub fn poll_due(&mut self, now: Instant) -> Option<Due> {
        if self.forget <= now {
            return Some(Due::Forget);
        }
        if take_due(&mut self.retransmit, now) {
            return Some(self.retry_or_give_up(now));
        }
        if take_due(&mut self.unanswered, now) {
            return Some(Due::Initiate);
        }
        if take_due(&mut self.keepalive, now) {
            if std::mem::take(&mut self.another_keepalive) {
                self.keepalive = Some(now + KEEPALIVE_TIMEOUT);
            }
            return Some(Due::Keepalive);
        }
        None
    }

    fn retry_or_give_up(&mut self, now: Instant) -> Due {
        let tried = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        if tried < REKEY_ATTEMPT_TIME {
            return Due::Initiate;
        }
        self.began = None;
        self.keepalive = None;
        Due::GiveUp
    }

    /// When to ask next.
    pub fn next(&self) -> Instant {
        [self.retransmit, self.unanswered, self.keepalive].into_iter().flatten().fold(self.forget, Instant::min)
    }
}

/// Whether it is due; if so it is crossed off.
fn take_due(timer: &mut Option<Instant>, now: Instant) -> bool {
    timer.take_if(|at| *at <= now).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that falls due until `end`, with the second in which it does; initiations are "sent".
    fn run(timers: &mut Timers, start: Instant, end: u64) -> Vec<(u64, Due)> {
        let mut events = Vec::new();
        while timers.next() <= start + Duration::from_secs(end) {
            let now = timers.next();
            while let Some(due) = timers.poll_due(now) {
                events.push(((now - start).as_secs(), due));
                match due {
                    Due::Initiate => timers.handle_initiated(now),
                    Due::Forget => return events,
                    Due::Keepalive | Due::GiveUp => {}
                }
            }
        }
        events
    }

    fn fresh() -> (Timers, Instant) {
        let start = crate::engine::dataplane::tests::start();
        (Timers::new(Duration::ZERO, start), start)
    }

    #[test]
    fn begins_no_handshake_before_data_went_unanswered_for_15_seconds() {
        let (mut timers, start) = fresh();
        timers.handle_sent_data(start);
        assert_eq!(run(&mut timers, start, 19), [(15, Due::Initiate)]);
    }

    #[test]
    fn begins_no_handshake_when_anything_comes_back() {
        let (mut timers, start) = fresh();
        timers.handle_sent_data(start);
        timers.handle_received();
        assert_eq!(run(&mut timers, start, 539), []);
    }

    #[test]
    fn acknowledges_data_after_10_seconds_and_once_more_if_more_came() {
        let (mut timers, start) = fresh();
        timers.handle_received_data(start);
        timers.handle_received_data(start + Duration::from_secs(1));
        assert_eq!(run(&mut timers, start, 100), [(10, Due::Keepalive), (20, Due::Keepalive)]);
    }

    #[test]
    fn acknowledges_nothing_when_something_went_back() {
        let (mut timers, start) = fresh();
        timers.handle_received_data(start);
        timers.handle_sent();
        assert_eq!(run(&mut timers, start, 539), []);
    }

    #[test]
    fn tries_for_90_seconds_each_5_and_then_gives_up_and_forgets() {
        let (mut timers, start) = fresh();
        timers.handle_initiated(start);

        let events = run(&mut timers, start, 600);

        let tries = events.iter().filter(|(_, due)| *due == Due::Initiate).count();
        assert_eq!(tries, 17);
        assert_eq!(events[..2], [(5, Due::Initiate), (10, Due::Initiate)]);
        assert_eq!(events[17..], [(90, Due::GiveUp), (540, Due::Forget)]);
    }

    #[test]
    fn allows_one_initiation_each_5_seconds() {
        let (mut timers, start) = fresh();
        assert!(timers.may_initiate(start));
        timers.handle_initiated(start);
        assert!(!timers.may_initiate(start + Duration::from_millis(4_999)));
        assert!(timers.may_initiate(start + REKEY_TIMEOUT));
    }
}
