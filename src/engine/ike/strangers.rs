//! What is said to messages of no association: without protection, never longer than what was asked, and seldom.

use std::time::{Duration, Instant};

use super::message::header::{HEADER, Header, VERSION};
use super::message::writer::Writer;

/// How many are answered a second.
const AT_MOST: u32 = 10;

/// Who was answered of late.
#[derive(Debug)]
pub(super) struct Strangers {
    since: Instant,
    answered: u32,
}

impl Strangers {
    /// Nobody.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, answered: 0 }
    }

    /// The answer to a request of nobody we know, if it gets one.
    pub(super) fn answer(&mut self, header: Header, asked: usize, notify: u16, now: Instant) -> Option<Vec<u8>> {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.answered) = (now, 0);
        }
        let message = refusal(header, notify);
        if header.response || self.answered >= AT_MOST || message.len() > asked {
            return None;
        }
        self.answered += 1;
        Some(message)
    }
}

/// The same SPIs, exchange and number, and nothing but a notification: RFC 7296, sections 2.5 and 2.21.4.
fn refusal(header: Header, notify: u16) -> Vec<u8> {
    let mut content = Writer::default();
    let (next, chain) = content.notify(notify, &[]).chain();
    let length = u32::try_from(HEADER + chain.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(HEADER + chain.len());
    Header { next, version: VERSION, initiator: !header.initiator, response: true, length, ..header }
        .write(&mut message);
    message.extend_from_slice(&chain);
    message
}
