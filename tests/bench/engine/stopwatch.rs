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
}

impl Stopwatch {
    /// Times one batch of so many packets.
    pub(crate) fn time<T>(&mut self, packets: usize, work: impl FnOnce() -> T) -> T {
        let asked = counting::asked();
        let began = clock::now();
        let outcome = work();
        let span = began.elapsed();
        self.allocations += counting::asked() - asked;
        self.packets += packets;
        self.batches.push(span.as_secs_f64() / as_f64(packets));
        outcome
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
