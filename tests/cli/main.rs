//! The binary as its operator meets it: what it prints, how it ends, what it leaves alone.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]
#![expect(clippy::disallowed_methods, reason = "the ban is on the product: these tests run it and read the clock")]

mod api;
mod backups;
mod commands;
mod described;
#[path = "../support/dice.rs"]
mod dice;
mod kills;
mod process;
mod refusals;
mod serving;
