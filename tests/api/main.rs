//! Stories of the API, told to the real router over a real store.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "the tests start what they talk to")]

mod access;
mod accounts;
mod dns;
mod junk;
mod listener;
mod requests;
mod secrets;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod system;
