//! Messages that wait for their receivers. A pure machine: messages and time in, what is to be sent out.
//!
//! Each receiver gets its messages one by one and in order. One that fails is tried again, after longer and longer pauses;
//! what is too old, and what is too much, is given up, the oldest first.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::limits;
use crate::domain::name::WebhookName;

/// The first and the longest pause after a failure.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(600)];

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// What a receiver knows it again by that gets it twice.
    pub(super) id: String,
    /// When it happened.
    pub(super) at: Timestamp,
    /// The body.
    pub(super) body: String,
}

/// What became of a receiver's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How many wait.
    pub waiting: usize,
    /// How many arrived since the process began.
    pub delivered: u64,
    /// How many were given up.
    pub lost: u64,
    /// Why the last try failed, unless one has succeeded since.
    pub fault: Option<String>,
}

#[derive(Debug, Default)]
struct Receiver {
    waiting: VecDeque<(Message, Instant)>,
    /// Whether the first of them is on its way.
    is_busy: bool,
    pause: Option<Duration>,
    not_before: Option<Instant>,
    delivered: u64,
    lost: u64,
    fault: Option<String>,
}

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<WebhookName, Receiver>);

impl Queue {
    /// Lets a message wait for a receiver.
    pub(super) fn push(&mut self, to: &WebhookName, message: Message, now: Instant) {
        let receiver = self.0.entry(to.clone()).or_default();
        if receiver.waiting.len() >= limits::WEBHOOK_QUEUE {
            // the first may be on its way
            receiver.waiting.remove(usize::from(receiver.is_busy));
            receiver.lost += 1;
        }
        receiver.waiting.push_back((message, now));
    }

    /// The messages that are to be sent now, one a receiver; each is on its way until [`Self::end`].
    pub(super) fn begin(&mut self, now: Instant) -> Vec<(WebhookName, Message)> {
        let mut due = Vec::new();
        for (name, receiver) in &mut self.0 {
            if receiver.is_busy {
                continue;
            }
            let is_old = |since: &Instant| now.saturating_duration_since(*since) > limits::WEBHOOK_AGE;
            while receiver.waiting.front().is_some_and(|(_, since)| is_old(since)) {
                receiver.waiting.pop_front();
                receiver.lost += 1;
            }
            if receiver.not_before.is_some_and(|at| at > now) {
                continue;
            }
            if let Some((message, _)) = receiver.waiting.front() {
                receiver.is_busy = true;
                due.push((name.clone(), message.clone()));
            }
        }
        due
    }

    /// What became of the message that was on its way to a receiver.
    pub(super) fn end(&mut self, to: &WebhookName, outcome: Result<(), String>, now: Instant) {
        // one that is gone waits for nothing
        let Some(receiver) = self.0.get_mut(to) else { return };
        receiver.is_busy = false;
        match outcome {
            Ok(()) => {
                receiver.waiting.pop_front();
                receiver.delivered += 1;
                (receiver.pause, receiver.not_before, receiver.fault) = (None, None, None);
            }
            Err(why) => {
                let pause = receiver.pause.map_or(PAUSES[0], |pause| (pause * 2).min(PAUSES[1]));
                receiver.pause = Some(pause);
                receiver.not_before = now.checked_add(pause);
                receiver.fault = Some(why);
            }
        }
    }

    /// Tries a receiver again at once, for what is known of it has changed.
    pub(super) fn retry(&mut self, to: &WebhookName) {
        if let Some(receiver) = self.0.get_mut(to) {
            (receiver.pause, receiver.not_before) = (None, None);
        }
    }

    /// Forgets every receiver but these.
    pub(super) fn keep(&mut self, is_there: impl Fn(&WebhookName) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }

    /// How a receiver stands.
    pub(super) fn delivery(&self, of: &WebhookName) -> Delivery {
        let stands = |receiver: &Receiver| Delivery {
            waiting: receiver.waiting.len(),
            delivered: receiver.delivered,
            lost: receiver.lost,
            fault: receiver.fault.clone(),
        };
        self.0.get(of).map(stands).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::os::clock;

    fn message(number: usize) -> Message {
        Message { id: number.to_string(), at: Timestamp::UNIX_EPOCH, body: String::new() }
    }

    fn ids(due: &[(WebhookName, Message)]) -> Vec<&str> {
        due.iter().map(|(_, message)| message.id.as_str()).collect()
    }

    fn hook(name: &str) -> WebhookName {
        WebhookName::parse(name).unwrap()
    }

    #[test]
    fn sends_one_after_the_other_to_each_receiver() {
        let (mut queue, now) = (Queue::default(), clock::now());
        for number in [1, 2] {
            queue.push(&hook("a"), message(number), now);
        }
        queue.push(&hook("b"), message(3), now);

        assert_eq!(ids(&queue.begin(now)), ["1", "3"]);
        assert!(queue.begin(now).is_empty());
        queue.end(&hook("a"), Ok(()), now);
        assert_eq!(ids(&queue.begin(now)), ["2"]);
        assert_eq!(queue.delivery(&hook("a")), Delivery { waiting: 1, delivered: 1, ..Delivery::default() });
    }

    #[test]
    fn tries_again_after_longer_and_longer_pauses() {
        let (mut queue, mut now) = (Queue::default(), clock::now());
        queue.push(&hook("a"), message(1), now);
        for seconds in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
            assert_eq!(ids(&queue.begin(now)), ["1"], "{seconds}");
            queue.end(&hook("a"), Err("down".into()), now);
            now += Duration::from_secs(seconds - 1);
            assert!(queue.begin(now).is_empty(), "{seconds}");
            now += Duration::from_secs(1);
        }
        assert_eq!(queue.delivery(&hook("a")).fault.as_deref(), Some("down"));

        queue.end(&hook("a"), Err("down".into()), now);
        queue.retry(&hook("a"));
        assert_eq!(ids(&queue.begin(now)), ["1"]);
    }

    #[test]
    fn gives_up_what_is_too_old() {
        let (mut queue, now) = (Queue::default(), clock::now());
        queue.push(&hook("a"), message(1), now);
        let later = now + limits::WEBHOOK_AGE + Duration::from_secs(1);
        queue.push(&hook("a"), message(2), later);

        assert_eq!(ids(&queue.begin(later)), ["2"]);
        assert_eq!(queue.delivery(&hook("a")).lost, 1);
    }

    #[test]
    fn gives_up_the_oldest_of_too_many_but_never_the_one_on_its_way() {
        let (mut queue, now) = (Queue::default(), clock::now());
        queue.push(&hook("a"), message(0), now);
        assert_eq!(ids(&queue.begin(now)), ["0"]);

        for number in 1..=limits::WEBHOOK_QUEUE {
            queue.push(&hook("a"), message(number), now);
        }

        let stands = queue.delivery(&hook("a"));
        assert_eq!((stands.waiting, stands.lost), (limits::WEBHOOK_QUEUE, 1));
        queue.end(&hook("a"), Ok(()), now);
        assert_eq!(ids(&queue.begin(now)), ["2"]);
    }

    #[test]
    fn forgets_who_is_gone() {
        let (mut queue, now) = (Queue::default(), clock::now());
        queue.push(&hook("a"), message(1), now);
        queue.begin(now);

        queue.keep(|_| false);
        queue.end(&hook("a"), Err("late".into()), now);

        assert_eq!(queue.delivery(&hook("a")), Delivery::default());
    }
}
