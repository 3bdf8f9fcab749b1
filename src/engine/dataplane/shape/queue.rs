//! The packets of one lane that wait: a queue a flow, in fair rounds (RFC 8290).
//!
//! A flow exists only while it has packets, or a place in the rounds. Up to [`WAYS`] flows of one bucket are kept apart
//! by their whole hash; further ones share the last of them, until it is empty.

use super::codel::Codel;
use super::rounds::{Members, Rounds, Turn};
use super::slab::{NIL, Slab};
use super::store::Store;

/// Buckets of a lane's flows; a power of two.
const BUCKETS: usize = 128;
/// Flows of a bucket that are kept apart.
const WAYS: usize = 8;

/// One flow's packets.
#[derive(Debug)]
pub(super) struct Flow {
    hash: u32,
    /// The next flow of the same bucket.
    chain: u32,
    /// Whether flows of other hashes are in it. While they are, its bucket takes no new flows, lest a packet overtake
    /// an earlier one of its flow.
    shared: bool,
    turn: Turn,
    head: u32,
    tail: u32,
    pub(super) bytes: u64,
    pub(super) codel: Codel,
}

impl Members for Slab<Flow> {
    fn turn(&mut self, member: u32) -> &mut Turn {
        &mut self[member].turn
    }
}

/// The flows and packets of all lanes.
#[derive(Debug)]
pub(super) struct Pool<M> {
    pub(super) flows: Slab<Flow>,
    pub(super) packets: Store<M>,
}

/// One lane's queue.
#[derive(Debug)]
pub(super) struct FairQueue {
    rounds: Rounds,
    buckets: [u32; BUCKETS],
}

impl FairQueue {
    pub(super) const fn new() -> Self {
        Self { rounds: Rounds::EMPTY, buckets: [NIL; BUCKETS] }
    }

    /// Puts a packet behind the others of its flow.
    pub(super) fn push<M: Copy>(&mut self, pool: &mut Pool<M>, hash: u32, packet: u32, quantum: i64) {
        let member = self.flow_of(pool, hash);
        let bytes = pool.packets.get(packet).size.bytes;
        let flow = &mut pool.flows[member];
        if flow.head == NIL {
            flow.head = packet;
        } else {
            pool.packets.get_mut(flow.tail).next = packet;
        }
        flow.tail = packet;
        flow.bytes += bytes;
        if !flow.turn.is_listed() {
            self.rounds.enter(&mut pool.flows, member, quantum);
        }
    }

    /// The flow whose turn it is, and its first packet; `None` once nothing waits.
    pub(super) fn head<M>(&mut self, pool: &mut Pool<M>, quantum: i64) -> Option<(u32, u32)> {
        loop {
            let member = self.rounds.head(&mut pool.flows, quantum)?;
            let packet = pool.flows[member].head;
            if packet != NIL {
                return Some((member, packet));
            }
            if self.rounds.rest(&mut pool.flows) {
                self.forget(pool, member);
            }
        }
    }

    /// Takes the first packet out of a flow that has one.
    pub(super) fn pop<M: Copy>(pool: &mut Pool<M>, member: u32) -> u32 {
        let flow = &mut pool.flows[member];
        let packet = flow.head;
        let waiting = pool.packets.get(packet);
        flow.head = waiting.next;
        flow.bytes -= waiting.size.bytes;
        packet
    }

    /// Counts bytes that a flow sent.
    pub(super) fn spend<M>(&mut self, pool: &mut Pool<M>, member: u32, bytes: u64) {
        self.rounds.spend(&mut pool.flows, member, bytes);
    }

    /// The flow with the most bytes, and how many were looked at.
    pub(super) fn fattest<M>(&self, pool: &mut Pool<M>) -> Option<(u32, usize)> {
        let (mut found, mut most, mut seen) = (None, 0, 0);
        self.rounds.each(&mut pool.flows, |flows, member| {
            seen += 1;
            if flows[member].bytes > most {
                (found, most) = (Some(member), flows[member].bytes);
            }
        });
        found.map(|member| (member, seen))
    }

    fn flow_of<M>(&mut self, pool: &mut Pool<M>, hash: u32) -> u32 {
        let bucket = &mut self.buckets[bucket_of(hash)];
        let (mut member, mut last, mut ways, mut shared) = (*bucket, NIL, 0, NIL);
        while member != NIL {
            let flow = &pool.flows[member];
            if flow.hash == hash {
                return member;
            }
            if flow.shared {
                shared = member;
            }
            (last, member) = (member, flow.chain);
            ways += 1;
        }
        if shared != NIL {
            return shared;
        }
        if ways == WAYS {
            pool.flows[last].shared = true;
            return last;
        }
        *bucket = pool.flows.put(Flow {
            hash,
            chain: *bucket,
            shared: false,
            turn: Turn::new(),
            head: NIL,
            tail: NIL,
            bytes: 0,
            codel: Codel::new(),
        });
        *bucket
    }

    fn forget<M>(&mut self, pool: &mut Pool<M>, member: u32) {
        let Flow { hash, chain, .. } = pool.flows[member];
        let bucket = &mut self.buckets[bucket_of(hash)];
        if *bucket == member {
            *bucket = chain;
        } else {
            let mut before = *bucket;
            while pool.flows[before].chain != member {
                before = pool.flows[before].chain;
            }
            pool.flows[before].chain = chain;
        }
        pool.flows.free(member);
    }
}

fn bucket_of(hash: u32) -> usize {
    // the upper bits, where mixing has left the most
    (hash >> 25) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::store::Size;
    use super::*;

    proptest! {
        #[test]
        fn keeps_the_order_of_each_flow_even_where_flows_share(
            steps in proptest::collection::vec((0_u32..24, any::<bool>()), 1..400),
        ) {
            let mut pool = Pool { flows: Slab::new(), packets: Store::new() };
            let mut queue = FairQueue::new();
            let (mut given, mut taken) = ([0_u32; 24], [0_u32; 24]);
            let take = |pool: &mut Pool<(u32, u32)>, queue: &mut FairQueue, taken: &mut [u32; 24]| {
                let (member, _) = queue.head(pool, 1_500)?;
                let packet = FairQueue::pop(pool, member);
                let (flow, number) = pool.packets.get(packet).meta;
                queue.spend(pool, member, 700);
                pool.packets.free(packet);
                let in_order = taken[flow as usize] == number;
                taken[flow as usize] += 1;
                Some(in_order)
            };
            for (flow, takes) in steps {
                if takes {
                    prop_assert!(take(&mut pool, &mut queue, &mut taken).unwrap_or(true));
                } else {
                    // three buckets only
                    let hash = (flow % 3) << 25 | flow;
                    let meta = (flow, given[flow as usize]);
                    given[flow as usize] += 1;
                    let packet = pool.packets.put(&[0; 700], Size { bytes: 700, packets: 1 }, meta, 0);
                    queue.push(&mut pool, hash, packet, 1_500);
                }
            }
            while let Some(in_order) = take(&mut pool, &mut queue, &mut taken) {
                prop_assert!(in_order);
            }
            prop_assert_eq!(given, taken);
            prop_assert_eq!(pool.flows.len(), 0);
            prop_assert!(queue.buckets.iter().all(|bucket| *bucket == NIL));
            prop_assert!(pool.packets.is_empty());
        }
    }
}
