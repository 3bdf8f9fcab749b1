//! What was seen while a story ran, as plain values: what the invariants are asked about.

use std::collections::BTreeMap;
use std::time::Duration;

use culvert::engine::dataplane::verdict::DropReason;
use culvert::engine::wire::FlowKey;

use crate::packets::Tag;

/// The packets of one plane since it began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    /// How many came in.
    pub(crate) entered: u64,
    /// How many the plane made itself: errors that it told.
    pub(crate) made: u64,
    /// How many went on.
    pub(crate) left: u64,
    /// How many more may have become of what came in, where it was cut into fragments.
    pub(crate) pieces: u64,
    /// How many were dropped, by its own counters, at once or after they had waited.
    pub(crate) dropped: u64,
    /// How many wait for a rate, by its own counters.
    pub(crate) waiting: u64,
    /// How many more may wait, for a handshake or the rest of their fragments.
    pub(crate) may_wait: u64,
}

/// What a client got to see.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// Who sees it.
    pub(crate) viewer: usize,
    /// The client whose address it bears.
    pub(crate) addressed_to: Option<usize>,
    /// For whom it is meant by what ought to run, now or since it was on its way.
    pub(crate) meant_for: Vec<usize>,
}

/// Bytes of one account in one direction, each with the time since the beginning.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passed {
    /// Bytes a second; 0 is no limit.
    pub(crate) rate: u64,
    /// Bytes that may go at once.
    pub(crate) burst: u64,
    /// What went.
    pub(crate) bytes: Vec<(Duration, u64)>,
}

/// One use of an outside tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    /// How answers look when they come from outside, or only their destination where everyone's go to one inner side.
    pub(crate) outside: FlowKey,
    /// Whose they are: server, worker, slot of the owner there, and how answers look to him.
    pub(crate) inside: (usize, usize, u32, FlowKey),
}

/// What became of a reply, or of anything that the rules allow.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// Whether the present rules allow its flow, and did when it was asked for, and nothing else was changed since.
    pub(crate) is_allowed: bool,
    /// Whether its flow has not been silent for too long.
    pub(crate) is_alive: bool,
    /// Why it was dropped, if it was.
    pub(crate) dropped: Option<DropReason>,
    /// Whether nobody asked for it, as far as the box could tell.
    pub(crate) was_unknown: bool,
}

/// A packet that went on.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    /// Whether the rules allow it, in each state that they have been in since it came.
    pub(crate) allowed: Vec<bool>,
    /// Whose it is: the clients between whom it is, those that have an account.
    pub(crate) enabled: bool,
    /// What is wrong with its form.
    pub(crate) flaw: Option<String>,
}

/// What a box is, as far as it can be seen from outside and ought not to change by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Portrait(pub(crate) BTreeMap<String, String>);

/// How full the tables of a plane are, each with its limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fill(pub(crate) Vec<(&'static str, u64, u64)>);

/// The sum of everything that happened: two runs of one story end with the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const BEGIN: Self = Self(0xcbf2_9ce4_8422_2325);

    /// Adds bytes (FNV-1a, eight at a time).
    pub(crate) fn note(&mut self, bytes: &[u8]) {
        for some in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..some.len()].copy_from_slice(some);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        }
        self.0 = (self.0 ^ bytes.len() as u64).wrapping_mul(0x0100_0000_01b3);
    }
}

/// A word on its way through one plane: when it came in, in numbers of the states that the rules have been in.
pub(crate) type OnTheWay = BTreeMap<((usize, usize), Tag), usize>;
