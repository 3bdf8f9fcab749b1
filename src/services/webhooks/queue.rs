//! Messages that wait for their receivers. A pure machine: messages and time in, what is to be sent out.
//!
//! Each receiver gets its messages one by one and in order. One that fails is tried again, after longer and longer pauses;
//! what is too old, and what is too much, is given up, the oldest first.

//!
//! What has to wait outlives the process: the machine says what is to be kept elsewhere, and what no more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::limits;
use crate::domain::name::WebhookName;
use crate::domain::webhook::{Kept, Message};
use crate::store::MessageChanges;

/// The first and the longest pause after a failure.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(600)];
/// What arrives so soon is never kept: most messages arrive at once, and cost no disk.
const YOUNG: Duration = Duration::from_secs(1);

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
    waiting: VecDeque<Waiting>,
    /// Whether the first of them is on its way.
    is_busy: bool,
    pause: Option<Duration>,
    not_before: Option<Instant>,
    delivered: u64,
    lost: u64,
    fault: Option<String>,
}

impl Receiver {
    /// Gives a message up; its number, if it is kept.
    fn lose(&mut self, at: usize) -> Option<u64> {
        self.lost += 1;
        self.waiting.remove(at).and_then(|waiting| waiting.number)
    }
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    since: Instant,
    /// How long it had waited by then, in an earlier process.
    before: Duration,
    /// Its number where it is kept.
    number: Option<u64>,
    /// Whether it has got there.
    is_written: bool,
}

impl Waiting {
    fn age(&self, now: Instant) -> Duration {
        self.before + now.saturating_duration_since(self.since)
    }
}

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Queue {
    receivers: BTreeMap<WebhookName, Receiver>,
    /// The largest number of a message that was ever kept.
    numbered: u64,
    /// What is kept, and waits no more.
    gone: Vec<u64>,
}

impl Queue {
    /// Lets a message wait for a receiver.
    pub(super) fn push(&mut self, to: &WebhookName, message: Message, now: Instant) {
        let receiver = self.receivers.entry(to.clone()).or_default();
        if receiver.waiting.len() >= limits::WEBHOOK_QUEUE {
            // the first may be on its way
            self.gone.extend(receiver.lose(usize::from(receiver.is_busy)));
        }
        let waiting = Waiting { message, since: now, before: Duration::ZERO, number: None, is_written: false };
        receiver.waiting.push_back(waiting);
    }

    /// Lets messages of an earlier process wait on, before all that have come since; `at` is now, too.
    pub(super) fn resume(&mut self, kept: Vec<Kept>, at: Timestamp, now: Instant) {
        for Kept { number, to, message } in kept.into_iter().rev() {
            self.numbered = self.numbered.max(number);
            let receiver = self.receivers.entry(to).or_default();
            // a clock that was set back makes nothing older
            let before = Duration::try_from(at.duration_since(message.at)).unwrap_or_default();
            // what is on its way stays first
            let first = usize::from(receiver.is_busy);
            let waiting = Waiting { message, since: now, before, number: Some(number), is_written: true };
            receiver.waiting.insert(first, waiting);
        }
    }

    /// What is to be kept from now on, and what no more: of what has waited for a moment, or of everything `at_the_end`.
    /// It counts as done, until [`Self::fail_to_keep`].
    pub(super) fn changes(&mut self, at_the_end: bool, now: Instant) -> MessageChanges {
        let mut put = Vec::new();
        for (to, receiver) in &mut self.receivers {
            let unwritten = receiver.waiting.iter_mut().filter(|waiting| !waiting.is_written);
            for waiting in unwritten.filter(|waiting| at_the_end || waiting.age(now) >= YOUNG) {
                let number = *waiting.number.get_or_insert_with(|| {
                    self.numbered += 1;
                    self.numbered
                });
                waiting.is_written = true;
                put.push(Kept { number, to: to.clone(), message: waiting.message.clone() });
            }
        }
        MessageChanges { put, gone: std::mem::take(&mut self.gone) }
    }

    /// Takes back that changes are done: they are due again.
    pub(super) fn fail_to_keep(&mut self, changes: MessageChanges) {
        let numbers: BTreeSet<u64> = changes.put.iter().map(|kept| kept.number).collect();
        for waiting in self.receivers.values_mut().flat_map(|receiver| &mut receiver.waiting) {
            if waiting.number.is_some_and(|number| numbers.contains(&number)) {
                waiting.is_written = false;
            }
        }
        self.gone.extend(changes.gone);
    }

    /// The messages that are to be sent now, one a receiver; each is on its way until [`Self::end`].
    pub(super) fn begin(&mut self, now: Instant) -> Vec<(WebhookName, Message)> {
        let mut due = Vec::new();
        for (name, receiver) in &mut self.receivers {
            if receiver.is_busy {
                continue;
            }
            while receiver.waiting.front().is_some_and(|waiting| waiting.age(now) > limits::WEBHOOK_AGE) {
                self.gone.extend(receiver.lose(0));
            }
            if receiver.not_before.is_some_and(|at| at > now) {
                continue;
            }
            if let Some(Waiting { message, .. }) = receiver.waiting.front() {
                receiver.is_busy = true;
                due.push((name.clone(), message.clone()));
            }
        }
        due
    }

    /// What became of the message that was on its way to a receiver.
    pub(super) fn end(&mut self, to: &WebhookName, outcome: Result<(), String>, now: Instant) {
        // one that is gone waits for nothing
        let Some(receiver) = self.receivers.get_mut(to) else { return };
        receiver.is_busy = false;
        match outcome {
            Ok(()) => {
                self.gone.extend(receiver.waiting.pop_front().and_then(|waiting| waiting.number));
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
        if let Some(receiver) = self.receivers.get_mut(to) {
            (receiver.pause, receiver.not_before) = (None, None);
        }
    }

    /// Forgets every receiver but these.
    pub(super) fn keep(&mut self, is_there: impl Fn(&WebhookName) -> bool) {
        for (_, receiver) in self.receivers.extract_if(.., |name, _| !is_there(name)) {
            self.gone.extend(receiver.waiting.iter().filter_map(|waiting| waiting.number));
        }
    }

    /// How a receiver stands.
    pub(super) fn delivery(&self, of: &WebhookName) -> Delivery {
        let stands = |receiver: &Receiver| Delivery {
            waiting: receiver.waiting.len(),
            delivered: receiver.delivered,
            lost: receiver.lost,
            fault: receiver.fault.clone(),
        };
        self.receivers.get(of).map(stands).unwrap_or_default()
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

    fn numbers(changes: &MessageChanges) -> (Vec<u64>, &[u64]) {
        (changes.put.iter().map(|kept| kept.number).collect(), &changes.gone)
    }

    #[test]
    fn keeps_what_has_to_wait_and_forgets_it_when_it_waits_no_more() {
        let (mut queue, now) = (Queue::default(), clock::now());
        for number in 1..=3 {
            queue.push(&hook("a"), message(number), now);
        }
        assert!(queue.changes(false, now).is_empty());

        let later = now + YOUNG;
        assert_eq!(numbers(&queue.changes(false, later)), (vec![1, 2, 3], &[][..]));
        assert!(queue.changes(false, later).is_empty());
        queue.push(&hook("b"), message(4), later);
        queue.begin(later);
        queue.end(&hook("a"), Ok(()), later);
        assert_eq!(numbers(&queue.changes(true, later)), (vec![4], &[1][..]));
        queue.keep(|name| *name == hook("b"));
        assert_eq!(numbers(&queue.changes(true, later)), (vec![], &[2, 3][..]));
    }

    #[test]
    fn keeps_again_what_could_not_be_written() {
        let (mut queue, now) = (Queue::default(), clock::now());
        for number in [1, 2] {
            queue.push(&hook("a"), message(number), now);
        }

        let changes = queue.changes(true, now);
        queue.begin(now);
        // while it is written the first arrives
        queue.end(&hook("a"), Ok(()), now);
        queue.fail_to_keep(changes);

        // whether it is there is unknown
        assert_eq!(numbers(&queue.changes(true, now)), (vec![2], &[1][..]));
    }

    #[test]
    fn goes_on_with_what_an_earlier_process_kept() {
        let (mut queue, now) = (Queue::default(), clock::now());
        let at = Timestamp::UNIX_EPOCH + Duration::from_secs(60);
        queue.push(&hook("a"), message(9), now);
        queue.begin(now);
        let kept = |number| Kept { number, to: hook("a"), message: message(usize::try_from(number).unwrap()) };

        queue.resume(vec![kept(4), kept(5)], at, now);

        let mut sent = Vec::new();
        for _ in 0..3 {
            queue.end(&hook("a"), Ok(()), now);
            sent.extend(ids(&queue.begin(now)).into_iter().map(str::to_owned));
        }
        assert_eq!(sent, ["4", "5"]);
        assert_eq!(numbers(&queue.changes(true, now)), (vec![], &[4, 5][..]));
        queue.push(&hook("a"), message(9), now);
        assert_eq!(numbers(&queue.changes(true, now)), (vec![6], &[][..]));
    }

    #[test]
    fn counts_the_time_before_the_start_for_the_age() {
        let (mut queue, now) = (Queue::default(), clock::now());
        let at = Timestamp::UNIX_EPOCH + limits::WEBHOOK_AGE;

        queue.resume(vec![Kept { number: 1, to: hook("a"), message: message(1) }], at, now);

        let later = now + Duration::from_secs(1);
        assert!(queue.begin(later).is_empty());
        assert_eq!(queue.delivery(&hook("a")).lost, 1);
        assert_eq!(numbers(&queue.changes(false, later)), (vec![], &[1][..]));
    }
}
