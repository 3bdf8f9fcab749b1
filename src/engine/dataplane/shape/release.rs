//! What waits and may go now.

use std::time::Instant;

use super::bucket::Ticks;
use super::lane::Place;
use super::slab::NIL;
use super::{Direction, Lane, Shaper, ecn};
use crate::engine::dataplane::verdict::DropReason;

/// How many lanes one call looks at in each direction, and how many pieces it lets go; what is left stays due.
const STEPS: usize = 512;

/// What a lane whose turn it is has to say.
enum Step {
    /// Nothing waits.
    Empty,
    /// Its own rate says later.
    Later(Ticks),
    /// The server's rate says later, to all lanes.
    Blocked,
    /// This packet may go.
    Go(u32),
}

impl<M: Copy> Shaper<M> {
    /// Lets go what may go, at most a bounded number of packets, in the order in which they are to leave. What is left
    /// stays due.
    pub fn release(&mut self, now: Instant, out: &mut dyn FnMut(Lane, &mut [u8], M)) {
        let now = self.tick(now);
        for _ in 0..2 * STEPS {
            let Some(number) = self.wheel.pop_due(now) else { break };
            self.come_back(Lane::numbered(number));
        }
        for direction in [Direction::Upload, Direction::Download] {
            self.serve(direction, now, out);
        }
    }

    fn serve(&mut self, direction: Direction, now: Ticks, out: &mut dyn FnMut(Lane, &mut [u8], M)) {
        for _ in 0..STEPS {
            let side = &mut self.sides[direction as usize];
            let turn = side.pace().turn();
            let Some(number) = side.ready.head(&mut self.lanes, turn) else {
                side.forfeit();
                return;
            };
            let lane = Lane::numbered(number);
            match self.step(lane, now) {
                Step::Empty => {
                    self.sides[direction as usize].ready.leave(&mut self.lanes);
                    self.lanes[lane.index()].place = Place::Idle;
                    self.look_open(lane);
                }
                Step::Later(at) => {
                    self.sides[direction as usize].ready.leave(&mut self.lanes);
                    self.lanes[lane.index()].place = Place::Waiting;
                    self.wheel.enter(number, at, now);
                }
                Step::Blocked => return,
                Step::Go(packet) => {
                    let waiting = self.pool.packets.get_mut(packet);
                    let (wire, meta) = (waiting.size, waiting.meta);
                    out(lane, waiting.bytes_mut(), meta);
                    self.pool.packets.free(packet);
                    self.count(lane, |figures| {
                        figures.sent_bytes += wire.bytes;
                        figures.sent_packets += wire.packets;
                    });
                }
            }
        }
    }

    /// Finds what goes next from a lane whose turn it is, and takes it out.
    fn step(&mut self, lane: Lane, now: Ticks) -> Step {
        let pace = self.pace(lane);
        let queue = self.lanes[lane.index()].queue;
        if queue == NIL {
            return Step::Empty;
        }
        while let Some((flow, packet)) = self.queues[queue].head(&mut self.pool, pace.turn()) {
            let waiting = self.pool.packets.get_mut(packet);
            let wire = waiting.size;
            let due = self.lanes[lane.index()].bucket.due(wire.bytes);
            if due > now {
                return Step::Later(due);
            }
            if !self.sides[lane.direction as usize].admits(&self.limit, wire.bytes, now) {
                return Step::Blocked;
            }
            let flow_state = &mut self.pool.flows[flow];
            if flow_state.codel.condemns(waiting.since, flow_state.bytes, pace.target(), now) {
                if !ecn::mark(waiting.bytes_mut()) {
                    self.drop_head(lane, flow, DropReason::ShaperDelay);
                    continue;
                }
                self.count(lane, |figures| figures.marked += wire.packets);
            }
            self.queues[queue].spend(&mut self.pool, flow, wire.bytes);
            let side = &mut self.sides[lane.direction as usize];
            side.spend(wire.bytes);
            side.ready.spend(&mut self.lanes, lane.number(), wire.bytes);
            self.lanes[lane.index()].bucket.take(wire.bytes, now);
            return Step::Go(self.take_head(lane, flow));
        }
        self.queues.free(queue);
        self.lanes[lane.index()].queue = NIL;
        Step::Empty
    }

    /// A lane has something that its own rate lets go.
    pub(super) fn come_back(&mut self, lane: Lane) {
        let side = &mut self.sides[lane.direction as usize];
        self.lanes[lane.index()].place = Place::Ready;
        let turn = side.pace().turn();
        side.ready.come_back(&mut self.lanes, lane.number(), turn);
    }
}
