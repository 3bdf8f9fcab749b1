//! What has ended, for whoever logs it. While nobody does, there is none of this.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::state::life;
use super::table::deadline;
use super::{Counter, Flow, FlowId, Side, Way};
use crate::engine::packet::Owner;
use crate::engine::wire::FlowKey;

/// How long after a TCP connection's last end of stream, or its reset, it is told that it is over: what is still under way
/// is counted to it. One whose reset was forged has two ends, and the second says what it amounted to. In seconds.
const LINGER: u32 = 2;
/// How many that ended may wait to be told, and how many closed connections to be over. Twice what one client may have
/// open, which can all end at once.
const WAITING_MAX: usize = 1 << 14;

/// A flow that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The key of packets of whoever began, as they arrived.
    pub original: FlowKey,
    /// The key of the answers, as they arrived.
    pub reply: FlowKey,
    /// The client by which it existed.
    pub owner: Owner,
    /// Between whom it was.
    pub way: Way,
    /// What came from either side.
    pub counters: [Counter; 2],
    /// How long it was alive, in whole seconds.
    pub lasted: Duration,
    /// Bytes of its first packet, and that packet's type of service.
    pub first: (u16, u8),
}

impl Ended {
    /// What a flow amounts to, of a table that began then.
    pub(super) fn of(flow: &Flow, start: Instant) -> Self {
        // from when it would have ended follows when it was last alive
        let silent = deadline(0, life(&flow.original, flow.way, flow.state));
        let alive = flow.expires.saturating_sub(silent).into();
        let began = flow.opened.saturating_duration_since(start).as_secs();
        Self {
            original: flow.original,
            reply: flow.reply,
            owner: flow.owner,
            way: flow.way,
            counters: flow.counters,
            lasted: Duration::from_secs(u64::saturating_sub(alive, began)),
            first: flow.first,
        }
    }

    /// Whether anybody answered.
    pub const fn is_answered(&self) -> bool {
        self.counters[Side::Reply as usize].packets > 0
    }
}

/// What has ended and was not told yet.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Connections that both sides have ended, with the second at which they are over.
    closed: VecDeque<(u32, FlowId)>,
    ended: VecDeque<Ended>,
    /// How many more there were.
    pub(super) untold: u64,
}

impl Ends {
    /// A connection is closed; in a moment it is over. Where too many are, its end is told when its flow ends.
    pub(super) fn begin(&mut self, id: FlowId, second: u32) {
        if self.closed.len() < WAITING_MAX {
            self.closed.push_back((second.saturating_add(LINGER + 1), id));
        }
    }

    /// The second at which the next connection is over.
    pub(super) fn next(&self) -> Option<u32> {
        self.closed.front().map(|(second, _)| *second)
    }

    /// Takes a connection that is over.
    pub(super) fn pop_over(&mut self, now: u32) -> Option<FlowId> {
        self.next().filter(|second| *second <= now)?;
        self.closed.pop_front().map(|(_, id)| id)
    }

    pub(super) fn note(&mut self, ended: Ended) {
        if self.ended.len() < WAITING_MAX {
            self.ended.push_back(ended);
        } else {
            self.untold += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }
}
