//! The shaper: what an account's rate, and the server's above it, let go now, and what waits.
//!
//! It stands last on the road: a packet that it lets go has nothing left to decide. A packet within its rates passes
//! untouched ([`Shaper::offer`]). One beyond them is copied and waits in its lane, fairly queued among the account's
//! flows (RFC 8290) and watched by `CoDel` (RFC 8289), until [`Shaper::release`] lets it go. A lane is in the wheel
//! while its own rate makes it wait, in the rounds of its server while only the server's does, and nowhere while it is
//! empty: idle accounts cost nothing, and a busy one costs the same among thousands.

mod bucket;
mod codel;
mod ecn;
mod lane;
mod queue;
mod release;
mod rounds;
mod slab;
mod store;
mod wheel;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

pub use bucket::ServerLimit;

use super::verdict::{DropReason, Drops};
use crate::domain::figures::LaneFigures;
use crate::domain::rate::Mbps;
use crate::engine::packet::Owner;
use bucket::{Pace, Ticks};
use lane::{LaneState, Place, Side};
use queue::{FairQueue, Pool};
use slab::{NIL, Slab};
use store::{Size, Store};
use wheel::Wheel;

/// The share of the free memory that one lane may take: a busy one always leaves most of it to the quiet ones (dynamic
/// thresholds, Choudhury and Hahne, 1998).
const LANE_SHARE: usize = 4;

/// Which way packets go, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Upload,
    /// To the client.
    Download,
}

/// One direction of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// The account's slot.
    pub owner: Owner,
    /// The direction.
    pub direction: Direction,
}

impl Lane {
    const fn index(self) -> usize {
        self.owner.index() * 2 + self.direction as usize
    }

    const fn number(self) -> u32 {
        self.owner.0 * 2 + self.direction as u32
    }

    const fn numbered(number: u32) -> Self {
        let direction = if number.is_multiple_of(2) { Direction::Upload } else { Direction::Download };
        Self { owner: Owner(number / 2), direction }
    }
}

/// What a piece becomes on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segments {
    /// Bytes of IP and transport header, which every packet will have.
    pub header: u16,
    /// Bytes of payload in each packet but the last; 0 for a packet that stands for itself.
    pub segment: u16,
}

impl Segments {
    /// A packet that stands for itself.
    pub const NONE: Self = Self { header: 0, segment: 0 };

    /// How many bytes a piece of this length amounts to there.
    pub fn bytes(self, length: usize) -> u64 {
        self.size(length).bytes
    }

    fn size(self, length: usize) -> Size {
        let (length, header) = (length as u64, u64::from(self.header));
        if self.segment == 0 {
            return Size { bytes: length, packets: 1 };
        }
        let packets = length.saturating_sub(header).div_ceil(u64::from(self.segment)).max(1);
        Size { bytes: length + header * (packets - 1), packets }
    }
}

/// What becomes of a packet that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It goes now; it is the caller's.
    Pass,
    /// It was copied and waits.
    Held,
    /// It is dropped. The caller counts why; the shaper has counted it in its lane's figures.
    Dropped(DropReason),
}

/// The shaper of one server's clients on one worker. `M` travels with a packet that waits.
#[derive(Debug)]
pub struct Shaper<M> {
    limit: Arc<ServerLimit>,
    /// By [`Lane::index`].
    lanes: Vec<LaneState>,
    queues: Slab<FairQueue>,
    pool: Pool<M>,
    wheel: Wheel,
    sides: [Side; 2],
    drops: Drops,
    /// Mixes the flows' hashes; odd, so that different ones stay different.
    seed: u32,
    /// The last time that it was told of.
    clock: Ticks,
}

impl<M: Copy> Shaper<M> {
    /// A shaper that limits nothing yet. The seed is secret and random, so that nobody can choose whose queue to share.
    /// The workers of one server share its limit.
    pub fn new(seed: u64, limit: Arc<ServerLimit>) -> Self {
        Self {
            limit,
            lanes: Vec::new(),
            queues: Slab::new(),
            pool: Pool { flows: Slab::new(), packets: Store::new() },
            wheel: Wheel::new(),
            sides: [Side::new(Direction::Upload), Side::new(Direction::Download)],
            drops: Drops::new(),
            seed: u32::try_from(seed >> 32).unwrap_or_default() | 1,
            clock: 0,
        }
    }

    /// Sets an account's limits. They apply at once, also to what waits, of which nothing is lost.
    pub fn set_account(&mut self, owner: Owner, download: Mbps, upload: Mbps, now: Instant) {
        let now = self.tick(now);
        self.make_room(owner);
        for (direction, rate) in [(Direction::Upload, upload), (Direction::Download, download)] {
            let lane = Lane { owner, direction };
            let state = &mut self.lanes[lane.index()];
            if state.figures.rate == rate {
                continue;
            }
            state.figures.rate = rate;
            state.bucket.set(Pace::of(rate), now);
            if state.place == Place::Waiting {
                self.wheel.leave(lane.number());
                self.come_back(lane);
            }
            self.look_open(lane);
        }
    }

    /// Forgets an account: its limits, its figures, and what waits for it, which is counted as dropped.
    pub fn remove(&mut self, owner: Owner) {
        for direction in [Direction::Upload, Direction::Download] {
            let lane = Lane { owner, direction };
            if lane.index() >= self.lanes.len() {
                continue;
            }
            self.empty(lane);
            let state = &mut self.lanes[lane.index()];
            let (place, turn) = (state.place, state.turn);
            *state = LaneState { place, turn, ..LaneState::new(true) };
            if place == Place::Waiting {
                state.place = Place::Idle;
                self.wheel.leave(lane.number());
            }
            self.look_open(lane);
        }
    }

    /// Sets the limits of the whole server, above those of its accounts. Every worker is to be told the same.
    pub fn set_server(&mut self, download: Mbps, upload: Mbps, now: Instant) {
        let now = self.tick(now);
        for (side, rate) in self.sides.iter_mut().zip([upload, download]) {
            if side.pace().rate() != rate {
                side.set(Pace::of(rate), &self.limit, now);
            }
        }
        for number in (0..).take(self.lanes.len()) {
            self.look_open(Lane::numbered(number));
        }
    }

    /// How many bytes on the wire may go as one piece: about 1 ms of the rate, [`usize::MAX`] without a limit. The caller
    /// cuts what stands for many packets before it offers it; one packet is never too much.
    pub fn quantum(&self, lane: Lane) -> usize {
        match self.lanes.get(lane.index()) {
            Some(state) if state.open => usize::MAX,
            _ => {
                let pace = self.pace(lane);
                if pace.is_unlimited() { usize::MAX } else { usize::try_from(pace.piece()).unwrap_or(usize::MAX) }
            }
        }
    }

    /// Offers a packet, or a piece of no more than [`Self::quantum`] bytes that stands for many. Packets of one flow
    /// leave in the order in which they came.
    #[inline]
    pub fn offer(
        &mut self,
        lane: Lane,
        flow_hash: u32,
        packet: &[u8],
        segments: Segments,
        meta: M,
        now: Instant,
    ) -> Verdict {
        match self.lanes.get(lane.index()) {
            Some(state) if state.open => return Verdict::Pass,
            None if self.sides[lane.direction as usize].pace().is_unlimited() => return Verdict::Pass,
            Some(_) => {}
            None => self.make_room(lane.owner),
        }
        let now = self.tick(now);
        let wire = segments.size(packet.len());
        let state = &mut self.lanes[lane.index()];
        let side = &mut self.sides[lane.direction as usize];
        if state.is_empty() && state.bucket.due(wire.bytes) <= now && side.take(&self.limit, wire.bytes, now) {
            state.bucket.take(wire.bytes, now);
            self.count(lane, |figures| {
                figures.sent_bytes += wire.bytes;
                figures.sent_packets += wire.packets;
            });
            return Verdict::Pass;
        }
        self.count(lane, |figures| figures.overlimits += wire.packets);
        if !self.clear_room(lane, packet.len(), wire) {
            self.count(lane, |figures| figures.dropped += wire.packets);
            return Verdict::Dropped(DropReason::ShaperFull);
        }
        let packet = self.pool.packets.put(packet, wire, meta, now);
        self.hold(lane, flow_hash, packet, now);
        Verdict::Held
    }

    /// When [`Self::release`] wants to be called, if anything waits.
    pub fn poll_deadline(&self) -> Option<Instant> {
        if self.pool.packets.is_empty() {
            return None;
        }
        let ready = self.sides.iter().filter_map(|side| side.deadline(self.clock));
        ready.chain(self.wheel.next()).min().map(|at| self.limit.instant(at))
    }

    /// What an account's lanes have done, first upload, then download.
    pub fn figures(&self, owner: Owner) -> [LaneFigures; 2] {
        [Direction::Upload, Direction::Download].map(|direction| {
            self.lanes.get(Lane { owner, direction }.index()).map(|state| state.figures).unwrap_or_default()
        })
    }

    /// What all lanes have done, also those of accounts that are gone, first upload, then download.
    pub fn totals(&self) -> [LaneFigures; 2] {
        [self.sides[0].totals, self.sides[1].totals]
    }

    /// What was dropped after it had waited, and why.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// The slower of a lane's and its server's pace.
    fn pace(&self, lane: Lane) -> Pace {
        let side = self.sides[lane.direction as usize].pace();
        self.lanes.get(lane.index()).map_or(side, |state| state.bucket.pace().slower(side))
    }

    fn tick(&mut self, now: Instant) -> Ticks {
        // the caller's clock may stand still, but nothing here runs backwards
        self.clock = self.clock.max(self.limit.ticks(now));
        self.clock
    }

    fn make_room(&mut self, owner: Owner) {
        let lanes = (owner.index() + 1) * 2;
        while self.lanes.len() < lanes {
            let open = self.sides[self.lanes.len() % 2].pace().is_unlimited();
            self.lanes.push(LaneState::new(open));
        }
        self.wheel.make_room(lanes);
    }

    fn look_open(&mut self, lane: Lane) {
        let unlimited = self.pace(lane).is_unlimited();
        let state = &mut self.lanes[lane.index()];
        state.open = unlimited && state.is_empty();
    }

    fn count(&mut self, lane: Lane, change: impl Fn(&mut LaneFigures)) {
        change(&mut self.lanes[lane.index()].figures);
        change(&mut self.sides[lane.direction as usize].totals);
    }

    /// Makes room in a full lane at the cost of its own fattest flow; whether there is room.
    fn clear_room(&mut self, lane: Lane, length: usize, size: Size) -> bool {
        let Some(needed) = Store::<M>::needed(length) else { return false };
        let allowed = self.pace(lane).backlog();
        loop {
            let state = &self.lanes[lane.index()];
            let fits = state.memory + needed <= self.pool.packets.room() / LANE_SHARE;
            if state.is_empty() || fits && state.figures.backlog_bytes + size.bytes <= allowed {
                return fits;
            }
            let Some((flow, seen)) = self.queues[state.queue].fattest(&mut self.pool) else { return false };
            // several at once where many flows had to be looked at, as in RFC 8290, section 4.1
            let half = self.pool.flows[flow].bytes / 2;
            for _ in 0..=seen / 8 {
                if self.pool.flows[flow].bytes > half {
                    self.drop_head(lane, flow, DropReason::ShaperFull);
                }
            }
        }
    }

    fn hold(&mut self, lane: Lane, flow_hash: u32, packet: u32, now: Ticks) {
        let pace = self.pace(lane);
        let waiting = self.pool.packets.get(packet);
        let (size, memory) = (waiting.size, waiting.memory());
        let state = &mut self.lanes[lane.index()];
        state.open = false;
        state.memory += memory;
        if state.queue == NIL {
            state.queue = self.queues.put(FairQueue::new());
        }
        let hash = flow_hash.wrapping_mul(self.seed);
        self.queues[state.queue].push(&mut self.pool, hash, packet, pace.turn());
        if state.place == Place::Idle {
            let due = state.bucket.due(size.bytes);
            if due > now {
                state.place = Place::Waiting;
                self.wheel.enter(lane.number(), due, now);
            } else {
                self.come_back(lane);
            }
        }
        self.count(lane, |figures| {
            figures.backlog_bytes += size.bytes;
            figures.backlog_packets += size.packets;
        });
    }

    /// Drops the first packet of a flow that has one.
    fn drop_head(&mut self, lane: Lane, flow: u32, reason: DropReason) {
        self.drops.count(reason);
        let packet = self.take_head(lane, flow);
        let size = self.pool.packets.get(packet).size;
        self.pool.packets.free(packet);
        self.count(lane, |figures| figures.dropped += size.packets);
    }

    /// Takes the first packet out of a flow that has one.
    fn take_head(&mut self, lane: Lane, flow: u32) -> u32 {
        let packet = FairQueue::pop(&mut self.pool, flow);
        let waiting = self.pool.packets.get(packet);
        let (size, memory) = (waiting.size, waiting.memory());
        self.lanes[lane.index()].memory -= memory;
        self.count(lane, |figures| {
            figures.backlog_bytes -= size.bytes;
            figures.backlog_packets -= size.packets;
        });
        packet
    }

    /// Drops all that waits in a lane.
    fn empty(&mut self, lane: Lane) {
        let queue = self.lanes[lane.index()].queue;
        if queue == NIL {
            return;
        }
        let turn = self.pace(lane).turn();
        while let Some((flow, _)) = self.queues[queue].head(&mut self.pool, turn) {
            self.drop_head(lane, flow, DropReason::PeerGone);
        }
        self.queues.free(queue);
    }
}
