//! How much of the table one owner may have, and how fast: an exhaustion hurts whoever caused it.

use std::time::Duration;

use super::super::verdict::DropReason;
use super::lists::Lists;
use crate::engine::packet::Owner;

/// An owner with fewer flows, or ports, than this finds room even where the others have filled three quarters.
pub(super) const MODEST: u32 = 64;

/// Bounds of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLimits {
    /// Flows of all owners. The last quarter is for those who have few.
    pub flows: u32,
    /// Flows of one owner. What begins outside may take half of them.
    pub flows_of_owner: u32,
    /// TCP connections of one owner that are not open yet; half as many more may begin outside.
    pub half_open_of_owner: u32,
    /// Ports of one owner (RFC 6888, REQ-4).
    pub mappings_of_owner: u32,
    /// New flows of one owner a second (RFC 6888, REQ-4 (c)). What begins outside is counted apart.
    pub new_per_second: u32,
    /// New flows of one owner at once.
    pub new_burst: u32,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self {
            flows: 1 << 18,
            flows_of_owner: 8_192,
            half_open_of_owner: 256,
            mappings_of_owner: 2_000,
            new_per_second: 200,
            new_burst: 1_000,
        }
    }
}

/// A bucket of new flows: thousandths of a flow that are spent, and when that was true.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    spent: u64,
    at: Duration,
}

impl Bucket {
    fn try_spend(&mut self, limits: &FlowLimits, since_start: Duration) -> bool {
        let elapsed = since_start.saturating_sub(self.at).as_micros();
        let regained = u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_mul(u64::from(limits.new_per_second));
        let spent = self.spent.saturating_sub(regained);
        let admitted = spent + FLOW <= u64::from(limits.new_burst) * FLOW;
        *self = Self { spent: if admitted { spent + FLOW } else { spent }, at: since_start };
        admitted
    }
}

/// What one flow costs of a bucket that fills by the allowed number a second, in millionths.
const FLOW: u64 = 1_000_000;

/// Where a flow begins: both have their own budget, so that a flood from outside takes nothing of the owner's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// With its owner.
    Own = 0,
    /// Outside.
    Outside = 1,
}

/// What one owner has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    /// Flows, by where they began.
    flows: [u32; 2],
    half_open: [u32; 2],
    /// External ports.
    pub(super) mappings: u32,
    /// Flows of others that lead to it.
    pub(super) crossing: u32,
    buckets: [Bucket; 2],
}

impl Share {
    /// Flows in all.
    pub(super) const fn total(&self) -> u32 {
        self.flows[0] + self.flows[1]
    }

    fn admit(
        &mut self,
        begin: Begin,
        is_tcp: bool,
        all: u32,
        limits: &FlowLimits,
        since_start: Duration,
    ) -> Result<(), DropReason> {
        let side = begin as usize;
        let may = |limit: u32| if begin == Begin::Own { limit } else { limit / 2 };
        if all >= limits.flows || (self.total() >= MODEST && all >= three_quarters(limits.flows)) {
            return Err(DropReason::FlowTableFull);
        }
        if self.total() >= limits.flows_of_owner || self.flows[side] >= may(limits.flows_of_owner) {
            return Err(DropReason::FlowsOfOwnerFull);
        }
        if is_tcp && self.half_open[side] >= may(limits.half_open_of_owner) {
            return Err(DropReason::HalfOpenFull);
        }
        if !self.buckets[side].try_spend(limits, since_start) {
            return Err(DropReason::FlowRate);
        }
        Ok(())
    }
}

/// Three quarters of a number.
pub(super) const fn three_quarters(whole: u32) -> u32 {
    whole - whole / 4
}

/// The shares of all owners, and the flows of each.
#[derive(Debug, Default)]
pub(super) struct Owners {
    shares: Vec<Share>,
    lists: Lists,
}

impl Owners {
    /// What an owner has.
    pub(super) fn share(&self, owner: Owner) -> Share {
        self.shares.get(owner.index()).copied().unwrap_or_default()
    }

    /// What an owner has, to be changed.
    pub(super) fn share_mut(&mut self, owner: Owner) -> &mut Share {
        if owner.index() >= self.shares.len() {
            self.shares.resize(owner.index() + 1, Share::default());
        }
        &mut self.shares[owner.index()]
    }

    /// Whether an owner may have one flow more, beside `all` that there are; counts the attempt against its rate.
    pub(super) fn admit(
        &mut self,
        owner: Owner,
        begin: Begin,
        is_tcp: bool,
        all: u32,
        limits: &FlowLimits,
        since_start: Duration,
    ) -> Result<(), DropReason> {
        self.share_mut(owner).admit(begin, is_tcp, all, limits, since_start)
    }

    /// Counts a flow in.
    pub(super) fn enter(&mut self, owner: Owner, begin: Begin, slot: u32) {
        self.share_mut(owner).flows[begin as usize] += 1;
        self.lists.insert(owner.index(), slot);
    }

    /// Counts a flow out.
    pub(super) fn leave(&mut self, owner: Owner, begin: Begin, slot: u32) {
        self.share_mut(owner).flows[begin as usize] -= 1;
        self.lists.remove(owner.index(), slot);
    }

    /// Counts a TCP connection that is not open yet, or is so no longer.
    pub(super) fn note_half_open(&mut self, owner: Owner, begin: Begin, is_half_open: bool) {
        let count = &mut self.share_mut(owner).half_open[begin as usize];
        *count = if is_half_open { *count + 1 } else { count.saturating_sub(1) };
    }

    /// The slots of an owner's flows, the newest first.
    pub(super) fn flows(&self, owner: Owner) -> impl Iterator<Item = u32> + '_ {
        self.lists.iter(owner.index())
    }

    /// The slot of an owner's newest flow.
    pub(super) fn first(&self, owner: Owner) -> Option<u32> {
        self.lists.first(owner.index())
    }
}
