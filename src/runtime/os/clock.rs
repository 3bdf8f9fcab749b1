//! The one clock.
#![expect(clippy::disallowed_methods, reason = "this is the file that the ban points to")]

use std::time::Instant;

use jiff::Timestamp;

/// Now, for measuring spans.
pub fn now() -> Instant {
    Instant::now()
}

/// Now, for people and records.
pub fn timestamp() -> Timestamp {
    Timestamp::now()
}
