//! What leaves: log lines on standard error, readiness to a service manager, copies of backups and the traffic log.
//!
//! Owns the form of log lines and the names of their fields. Never asks the store or a service for anything.

pub mod acme;
pub mod fields;
mod log;
mod readiness;
pub mod traffic_log;
mod trust;
pub mod upload;
pub mod webhook;

pub use log::{Format, UnknownFilter, start};
pub use readiness::{ready, stopping};
