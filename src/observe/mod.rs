//! What leaves: log lines on standard error, and readiness to a service manager.
//!
//! Owns the form of log lines and the names of their fields. Never asks the store or a service for anything.

pub mod fields;
mod log;
mod readiness;
pub mod upload;

pub use log::{Format, UnknownFilter, start};
pub use readiness::{ready, stopping};
