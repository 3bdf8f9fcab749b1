//! Senders that listen: a model of TCP with CUBIC (RFC 9438), without retransmissions, for only time counts here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::*;

/// What travels with a packet: flow, number, and when it was offered.
type Meta = (usize, u64, Instant);

/// One sender.
#[derive(Debug)]
struct Sender {
    rtt: Duration,
    ecn: bool,
    window: f64,
    slow_start: bool,
    /// The window before it was last cut, and when that was.
    before: f64,
    cut: Instant,
    /// Numbers below this one were sent before the window was last cut.
    recover: u64,
    next: u64,
    flying: BTreeMap<u64, Instant>,
}

impl Sender {
    fn cut(&mut self, number: u64, now: Instant) {
        if number >= self.recover {
            (self.before, self.cut, self.recover) = (self.window, now, self.next);
            self.window = (self.window * 0.7).max(2.0);
            self.slow_start = false;
        }
    }

    fn acknowledged(&mut self, number: u64, marked: bool, now: Instant) {
        self.flying.remove(&number);
        let lost: Vec<u64> = self.flying.range(..number.saturating_sub(2)).map(|(number, _)| *number).collect();
        for number in lost {
            self.flying.remove(&number);
            self.cut(number, now);
        }
        if marked {
            self.cut(number, now);
        } else if self.slow_start {
            self.window += 1.0;
        } else {
            let elapsed = (now - self.cut).as_secs_f64();
            let back = (self.before * 0.3 / 0.4).cbrt();
            let cubic = 0.4 * (elapsed - back).powi(3) + self.before;
            let reno = self.before * 0.7 + 0.53 * elapsed / self.rtt.as_secs_f64();
            self.window += ((cubic.max(reno) - self.window) / self.window).clamp(0.0, 0.5);
        }
    }

    /// Gives up what was not acknowledged for long.
    fn look(&mut self, now: Instant) {
        if self.flying.first_key_value().is_some_and(|(_, sent)| now - *sent > SECOND) {
            self.flying.clear();
            (self.window, self.recover) = (2.0, self.next);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start(usize),
    Acknowledged(usize, u64, bool),
    Ping,
}

/// Senders in front of one lane of a shaper, and a ping beside them.
pub(super) struct Net {
    shaper: Shaper<Meta>,
    now: Instant,
    began: Instant,
    senders: Vec<Sender>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    order: u64,
    chance: Chance,
    wake: Option<Instant>,
    /// What left: when, whose, how long it had waited.
    pub(super) left: Vec<(Duration, usize, Duration)>,
}

/// The flow of the ping.
pub(super) const PING: usize = 999;

impl Net {
    pub(super) fn new(megabits: u16, rtts: &[u32], ecn: bool) -> Self {
        let now = start();
        let mut net = Self {
            shaper: limited(megabits, now),
            now,
            began: now,
            senders: Vec::new(),
            events: BinaryHeap::new(),
            order: 0,
            chance: Chance(4_101_842_887_655_102_017),
            wake: None,
            left: Vec::new(),
        };
        for (number, rtt) in rtts.iter().enumerate() {
            net.senders.push(Sender {
                rtt: MS * *rtt,
                ecn,
                window: 10.0,
                slow_start: true,
                before: 0.0,
                cut: now,
                recover: 0,
                next: 0,
                flying: BTreeMap::new(),
            });
            net.after(MS * 7 * u32::try_from(number).unwrap(), Event::Start(number));
        }
        net.after(MS, Event::Ping);
        net
    }

    fn after(&mut self, span: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((self.now + span, self.order, event)));
    }

    pub(super) fn run(&mut self, span: Duration) {
        while self.now < self.began + span {
            let next = self.events.peek().map(|Reverse((at, _, _))| *at).unwrap();
            if let Some(wake) = self.wake.take_if(|wake| *wake <= next) {
                self.now = wake;
                let mut gone = Vec::new();
                self.shaper.release(wake, &mut |_, packet, meta| gone.push((packet[1] & 3 == 3, meta)));
                for (marked, meta) in gone {
                    self.leave(meta, marked);
                }
            } else {
                self.now = next;
                let Some(Reverse((_, _, event))) = self.events.pop() else { return };
                self.handle(event);
            }
            if self.wake.is_none() {
                let late = self.chance.up_to(MS);
                self.wake = self.shaper.poll_deadline().map(|at| at.max(self.now) + late);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Ping => {
                self.offer(PING, 0, 84, false);
                self.after(MS * 37, Event::Ping);
            }
            Event::Acknowledged(flow, number, marked) => {
                self.senders[flow].acknowledged(number, marked, self.now);
                self.send(flow);
            }
            Event::Start(flow) => {
                self.senders[flow].look(self.now);
                self.send(flow);
                self.after(MS * 200, Event::Start(flow));
            }
        }
    }

    fn send(&mut self, flow: usize) {
        while counted(self.senders[flow].flying.len() as u64) < self.senders[flow].window {
            let sender = &mut self.senders[flow];
            let (number, ecn) = (sender.next, sender.ecn);
            sender.flying.insert(number, self.now);
            sender.next += 1;
            self.offer(flow, number, FULL, ecn);
        }
    }

    fn offer(&mut self, flow: usize, number: u64, length: usize, ecn: bool) {
        let mut packet = vec![0; length];
        packet[0] = 0x45;
        packet[1] = u8::from(ecn) * 2;
        let meta = (flow, number, self.now);
        let hash = u32::try_from(flow).unwrap().wrapping_mul(0x9e37_79b9);
        if self.shaper.offer(down(0), hash, &packet, Segments::NONE, meta, self.now) == Verdict::Pass {
            self.leave(meta, false);
        }
    }

    fn leave(&mut self, (flow, number, since): Meta, marked: bool) {
        self.left.push((self.now - self.began, flow, self.now - since));
        if let Some(sender) = self.senders.get(flow) {
            self.after(sender.rtt, Event::Acknowledged(flow, number, marked));
        }
    }

    /// Waits of the packets of some flows in a span of time, sorted.
    pub(super) fn waits(&self, of: impl Fn(usize) -> bool, from: Duration) -> Vec<Duration> {
        let of = self.left.iter().filter(|(at, flow, _)| *at >= from && of(*flow));
        let mut waits: Vec<Duration> = of.map(|(_, _, wait)| *wait).collect();
        waits.sort_unstable();
        waits
    }

    /// Packets of each sender that left in a span of time.
    pub(super) fn shares(&self, from: Duration) -> Vec<f64> {
        let count = |flow| counted(self.left.iter().filter(|(at, of, _)| *at >= from && *of == flow).count() as u64);
        (0..self.senders.len()).map(count).collect()
    }
}
