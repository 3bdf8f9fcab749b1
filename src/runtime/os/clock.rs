//! The one clock.
#![expect(clippy::disallowed_methods, reason = "this is the file that the ban points to")]
#![expect(unsafe_code, reason = "adjtimex has no safe wrapper")]

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

/// Whether the kernel says that something keeps the host's clock right, as NTP does (adjtimex(2)); absent where it may not
/// be asked.
pub fn is_kept() -> Option<bool> {
    // SAFETY: it is made of integers alone, for which zero is a value; with no mode set nothing is changed by asking.
    let mut asked: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live value of the call's own type.
    let state = unsafe { libc::adjtimex(&raw mut asked) };
    match state {
        -1 => None,
        libc::TIME_ERROR => Some(false),
        _ => Some(asked.status & libc::STA_UNSYNC == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_of_the_clock_what_it_said_before() {
        assert_eq!(is_kept(), is_kept());
    }
}
