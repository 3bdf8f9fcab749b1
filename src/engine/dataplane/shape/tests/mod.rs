//! The shaper in virtual time.

mod lanes;
mod latency;
mod rates;
mod senders;
mod stories;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Direction, Lane, Segments, ServerLimit, Shaper, Verdict};
use crate::domain::rate::Mbps;
use crate::engine::packet::Owner;
use crate::engine::wire::udp;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const FULL: usize = 1_420;

#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
fn start() -> Instant {
    Instant::now()
}

fn mbps(megabits: u16) -> Mbps {
    Mbps::new(megabits).unwrap()
}

fn up(owner: u32) -> Lane {
    Lane { owner: Owner(owner), direction: Direction::Upload }
}

fn down(owner: u32) -> Lane {
    Lane { owner: Owner(owner), direction: Direction::Download }
}

fn shaper<M: Copy>(now: Instant) -> Shaper<M> {
    Shaper::new(0x1234_5678_9abc_def1, Arc::new(ServerLimit::new(now)))
}

/// One account with this limit downwards.
fn limited<M: Copy>(megabits: u16, now: Instant) -> Shaper<M> {
    let mut shaper = shaper(now);
    shaper.set_account(Owner(0), mbps(megabits), Mbps::UNLIMITED, now);
    shaper
}

/// A packet of so many bytes.
fn packet(length: usize) -> Vec<u8> {
    let [source, destination] = ["198.51.100.7:1", "10.0.0.2:2"].map(|end| end.parse::<SocketAddr>().unwrap());
    let mut memory = vec![0; length];
    udp::write_packet(&mut memory, source, destination, 64, &vec![7; length - 28]).unwrap();
    memory
}

/// How late a worker wakes: up to 1 ms, from a seed.
#[derive(Debug, Clone, Copy)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap();
        Duration::from_nanos(self.next() % (most + 1))
    }
}

/// A load that does not listen: packets of one size at an even pace, each of the next lane and flow.
struct Flood {
    lanes: Vec<Lane>,
    flows: u32,
    length: usize,
    segments: Segments,
    every: Duration,
    late: Duration,
    /// What left: when, from which lane, and how many bytes on the wire.
    left: Vec<(Instant, Lane, u64)>,
    chance: Chance,
    number: u32,
    due: Instant,
    wake: Option<Instant>,
}

impl Flood {
    /// So many megabits a second of packets of so many bytes.
    fn new(lanes: Vec<Lane>, length: usize, megabits: u32, now: Instant) -> Self {
        Self {
            lanes,
            flows: 1,
            length,
            segments: Segments::NONE,
            every: Duration::from_nanos(length as u64 * 8_000 / u64::from(megabits)),
            late: Duration::ZERO,
            left: Vec::new(),
            chance: Chance(88_172_645_463_325_252),
            number: 0,
            due: now,
            wake: None,
        }
    }

    fn run(&mut self, shaper: &mut Shaper<u64>, until: Instant) {
        let packet = packet(self.length);
        let size = self.segments.size(self.length).bytes;
        loop {
            let wake = self.wake.filter(|wake| *wake <= self.due);
            let now = wake.unwrap_or(self.due);
            if now >= until {
                return;
            }
            if wake.is_some() {
                self.wake = None;
                shaper.release(now, &mut |lane, _, size| self.left.push((now, lane, size)));
            } else {
                self.due += self.every;
                self.number += 1;
                let lane = self.lanes[self.number as usize % self.lanes.len()];
                let flow = self.number / u32::try_from(self.lanes.len()).unwrap() % self.flows;
                if shaper.offer(lane, flow, &packet, self.segments, size, now) == Verdict::Pass {
                    self.left.push((now, lane, size));
                }
            }
            if self.wake.is_none() {
                self.wake = shaper.poll_deadline().map(|at| at.max(now) + self.chance.up_to(self.late));
            }
        }
    }

    /// Bytes that left from a lane in a span of time.
    fn bytes(&self, lane: Lane, from: Instant, until: Instant) -> u64 {
        let within = self.left.iter().filter(|(at, of, _)| *of == lane && (from..until).contains(at));
        within.map(|(_, _, bytes)| bytes).sum()
    }

    /// The most bytes that left within any window of this length.
    fn most_within(&self, window: Duration) -> u64 {
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for (at, _, bytes) in &self.left {
            sum += bytes;
            while *at - self.left[first].0 > window {
                sum -= self.left[first].2;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }
}

/// A count among fractions.
fn counted(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Jain's index of fairness.
fn jain(shares: &[f64]) -> f64 {
    let count = counted(shares.len() as u64);
    shares.iter().sum::<f64>().powi(2) / (count * shares.iter().map(|share| share * share).sum::<f64>())
}
