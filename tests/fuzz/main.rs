//! Hostile bytes at every parser: real seeds, changed at random, in a story that its seed repeats.
//!
//! Each target runs for a few seconds. `CULVERT_FUZZ_SECONDS=600` makes each run that long; `CULVERT_FUZZ_SEED=N` repeats
//! the one story whose number a failure has printed, or, beside the other variable, begins there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

mod arrivals;
mod campaign;
mod certificates;
mod dice;
mod ike;
mod names;
mod outside;
mod packets;
mod peers;
mod rig;
mod strangers;
mod texts;
mod views;
