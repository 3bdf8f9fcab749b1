//! The table, requirement by requirement.

mod addresses;
mod limits;
mod lives;
mod model;
mod tcp;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::super::nat::ports::Ports;
use super::super::verdict::DropReason;
use super::{Filtering, FlowId, FlowLimits, FlowTable, Opening, Side, TcpMark, Translation, Way};
use crate::engine::packet::Owner;
use crate::engine::wire::{FlowKey, protocol};

const ALICE: Owner = Owner(1);
const BOB: Owner = Owner(2);
const EXTERNAL: &str = "198.51.100.7";

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn external() -> IpAddr {
    EXTERNAL.parse().expect("an address")
}

fn key(protocol: u8, source: SocketAddr, destination: SocketAddr) -> FlowKey {
    FlowKey { protocol, source, destination }
}

/// No limit that a test would meet by chance.
const WIDE: FlowLimits = FlowLimits {
    flows: 1 << 20,
    flows_of_owner: 1 << 20,
    half_open_of_owner: 1 << 20,
    mappings_of_owner: 1 << 20,
    new_per_second: 1 << 20,
    new_burst: 1 << 20,
};

/// A table, its ports and its time.
struct Rig {
    table: FlowTable,
    ports: Ports,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Self::with(WIDE, Filtering::default())
    }

    fn with(limits: FlowLimits, filtering: Filtering) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
        let now = Instant::now();
        let ports = Ports::new(16_384..=51_819, [7; 32], now);
        Self { table: FlowTable::new(3, limits, filtering, 9, now), ports, now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        while self.table.poll_deadline().is_some_and(|at| at <= self.now) {
            self.table.handle_deadline(&mut self.ports, self.now);
        }
    }

    fn open(&mut self, owner: Owner, way: Way, key: FlowKey, translation: Translation) -> Result<FlowId, DropReason> {
        let opening = Opening { owner, way, key, epoch: 1, rule: None, translation };
        self.table.open(&opening, &mut self.ports, self.now)
    }

    /// A flow to the outside, translated.
    fn out(&mut self, owner: Owner, protocol: u8, inner: &str, remote: &str) -> Result<FlowId, DropReason> {
        let key = key(protocol, socket(inner), socket(remote));
        self.open(owner, Way::Out, key, Translation::Source(external()))
    }

    /// A flow from the outside to what stands behind a port.
    fn inward(&mut self, protocol: u8, remote: &str, door: SocketAddr, inner: &str) -> Result<FlowId, DropReason> {
        let key = key(protocol, socket(remote), door);
        self.open(ALICE, Way::In, key, Translation::Destination(socket(inner)))
    }

    fn note(&mut self, id: FlowId, side: Side) {
        self.table.note(id, side, None, 1, 100, self.now);
    }

    fn segment(&mut self, id: FlowId, side: Side, mark: TcpMark) {
        self.table.note(id, side, Some(&mark), 1, 100, self.now);
    }

    /// Where a flow of the owner's is seen from outside.
    fn door(&self, id: FlowId) -> SocketAddr {
        self.table.get(id).expect("a flow").reply().destination
    }

    fn lives(&self, id: FlowId) -> bool {
        self.table.get(id).is_some()
    }
}

#[test]
fn a_flow_is_found_by_both_keys_until_it_ends_and_never_mistaken_for_its_successor() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let (original, reply) = {
        let flow = rig.table.get(id).expect("a flow");
        (*flow.original(), *flow.reply())
    };
    assert_eq!(rig.table.find(&original), Some((id, Side::Original)));
    assert_eq!(rig.table.find(&reply), Some((id, Side::Reply)));
    assert_eq!(reply, key(protocol::UDP, socket("203.0.113.1:4000"), socket("198.51.100.7:20000")));
    assert_eq!(rig.table.get(id).and_then(|flow| flow.translated(Side::Original)), Some(reply.reversed()));
    assert_eq!(rig.table.get(id).and_then(|flow| flow.translated(Side::Reply)), Some(original.reversed()));

    rig.table.close(id, &mut rig.ports, rig.now);
    assert_eq!((rig.table.find(&original), rig.table.find(&reply)), (None, None));
    let next = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    assert_eq!((next.index(), rig.lives(id), rig.lives(next)), (id.index(), false, true));
}

#[test]
fn a_flow_counts_both_sides_and_remembers_who_admitted_it() {
    let mut rig = Rig::new();
    let id = rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    rig.table.note(id, Side::Original, None, 44, 60_000, rig.now);
    rig.table.note(id, Side::Reply, None, 1, 90, rig.now);
    rig.table.readmit(id, 2, Some(5));

    let flow = rig.table.get(id).expect("a flow");
    let counted = [Side::Original, Side::Reply].map(|side| (flow.counter(side).packets, flow.counter(side).bytes));
    assert_eq!(counted, [(44, 60_000), (1, 90)]);
    assert_eq!((flow.epoch, flow.rule, flow.state().name()), (2, Some(5), "established"));
}

#[test]
fn a_table_entry_is_small() {
    // two places of the hash table, two lists' links and a place of the wheel stand beside it
    let beside = 2 * 10 + 2 * 8 + 2;
    assert!(size_of::<super::Flow>() + beside <= 320, "{} bytes", size_of::<super::Flow>());
}

#[test]
fn closing_a_client_ends_what_leads_from_and_to_it() {
    let mut rig = Rig::new();
    rig.out(ALICE, protocol::UDP, "10.0.0.2:20000", "203.0.113.1:4000").expect("room");
    let crossing = key(protocol::TCP, socket("10.0.0.3:1000"), socket("10.0.0.2:22"));
    rig.open(BOB, Way::Across(ALICE), crossing, Translation::None).expect("room");
    let kept = rig.out(BOB, protocol::UDP, "10.0.0.3:20001", "203.0.113.1:4000").expect("room");
    assert_eq!(rig.table.of_owner(BOB).count(), 2);

    rig.table.close_owner(ALICE, &mut rig.ports, rig.now);

    assert_eq!(rig.table.iter().map(|(id, _)| id).collect::<Vec<_>>(), [kept]);
    assert_eq!((rig.table.count_of(ALICE), rig.table.count_of(BOB), rig.table.mappings()), (0, 1, 1));
}

#[test]
fn flows_without_translation_leave_as_they_came_and_take_no_port() {
    let mut rig = Rig::new();
    let key = key(protocol::UDP, socket("10.0.0.2:20000"), socket("203.0.113.1:4000"));
    let id = rig.open(ALICE, Way::Out, key, Translation::None).expect("room");

    assert_eq!(rig.table.find(&key.reversed()), Some((id, Side::Reply)));
    assert_eq!(rig.table.get(id).and_then(|flow| flow.translated(Side::Original)), None);
    assert_eq!(rig.table.mappings(), 0);
    assert_eq!(rig.open(ALICE, Way::Out, key, Translation::None), Err(DropReason::FlowCollides));
    assert_eq!(rig.open(ALICE, Way::In, key.reversed(), Translation::None), Err(DropReason::FlowCollides));
}
