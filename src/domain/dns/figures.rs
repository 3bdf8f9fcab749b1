//! What the resolver has done.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::domain::name::ServerName;

/// What became of the questions of one server's clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DnsCounters {
    /// Questions that could be read.
    pub questions: u64,
    /// Those that were answered from memory.
    pub cached: u64,
    /// Those that were answered with what was too old, for nothing newer was to be had (RFC 8767).
    pub stale: u64,
    /// Those that were answered with what a forwarder said.
    pub forwarded: u64,
    /// Those whose name a block list has.
    pub blocked: u64,
    /// Those that were refused: of no client of the server, malformed, or of a kind that is not answered.
    pub refused: u64,
    /// Those that nobody could answer, or that were one too many.
    pub failed: u64,
    /// Names that its block lists have.
    pub listed: u64,
}

impl AddAssign for DnsCounters {
    fn add_assign(&mut self, other: Self) {
        self.questions += other.questions;
        self.cached += other.cached;
        self.stale += other.stale;
        self.forwarded += other.forwarded;
        self.blocked += other.blocked;
        self.refused += other.refused;
        self.failed += other.failed;
        // every worker has the same lists
        self.listed = self.listed.max(other.listed);
    }
}

/// What the resolver knows and has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsFigures {
    /// By server.
    pub servers: BTreeMap<ServerName, DnsCounters>,
    /// Answers in memory.
    pub entries: u64,
    /// What they take there, in bytes.
    pub bytes: u64,
    /// Names that were blocked, each with about how often: those that were blocked most often are among them.
    pub blocked: BTreeMap<String, u64>,
}

impl DnsFigures {
    /// The names that were blocked most often, the most frequent first.
    pub fn most_blocked(&self, count: usize) -> Vec<(String, u64)> {
        let mut names: Vec<_> = self.blocked.iter().map(|(name, count)| (name.clone(), *count)).collect();
        // of two that were as frequent the order is that of their names
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        names.truncate(count);
        names
    }
}

impl AddAssign for DnsFigures {
    fn add_assign(&mut self, other: Self) {
        for (server, counters) in other.servers {
            *self.servers.entry(server).or_default() += counters;
        }
        self.entries += other.entries;
        self.bytes += other.bytes;
        for (name, count) in other.blocked {
            *self.blocked.entry(name).or_default() += count;
        }
    }
}
