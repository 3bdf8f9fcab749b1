//! Times batches of work, and counts what they allocate.

use std::time::{Duration, Instant};

use culvert::runtime::os::clock;

use crate::counting;
use crate::report::median;

/// Batches of one measurement, each timed alone: their median does not hear what else the machine does.
#[derive(Default)]
pub(crate) struct Stopwatch {
    batches: Vec<f64>,
    allocations: u64,
    packets: usize,
    /// What the parts of the batch took so far.
    span: Duration,
    asked: u64,
}

impl Stopwatch {
    /// Times one batch; the work says how many packets it was.
    pub(crate) fn time(&mut self, work: impl FnOnce() -> usize) -> usize {
        let packets = self.part(work);
        self.end_batch(packets);
        packets
    }

    /// Times a part of a batch.
    pub(crate) fn part<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let asked = counting::asked();
        let began = clock::now();
        let outcome = work();
        self.span += clock::now().saturating_duration_since(began);
        self.asked += counting::asked() - asked;
        outcome
    }

    /// Ends a batch of so many packets, whose parts have been timed.
    pub(crate) fn end_batch(&mut self, packets: usize) {
        let (span, asked) = (std::mem::take(&mut self.span), std::mem::take(&mut self.asked));
        if packets > 0 {
            self.allocations += asked;
            self.packets += packets;
            self.batches.push(span.as_secs_f64() / as_f64(packets));
        }
    }

    /// Median seconds a packet.
    pub(crate) fn seconds(&mut self) -> f64 {
        median(&mut self.batches)
    }

    /// Allocations a packet.
    pub(crate) fn allocations(&self) -> f64 {
        as_f64(self.allocations) / as_f64(self.packets)
    }
}

/// A clock for machines whose time is an argument: it stands still until it is moved.
pub(crate) struct Now(pub(crate) Instant);

impl Now {
    /// Moves on and says the new time.
    pub(crate) fn pass(&mut self, span: Duration) -> Instant {
        self.0 += span;
        self.0
    }
}

/// For figures that people read.
pub(crate) fn as_f64(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::INFINITY, f64::from)
}
