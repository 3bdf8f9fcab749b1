//! The box under test: planes of every server at every worker, and around them what the runtime and the kernel do with
//! threads, sockets and routes, done here with plain calls.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use culvert::engine::dataplane::around::{Around, Beyond, Parcel, Standing};
use culvert::engine::dataplane::nat::{Ports, quoted_key};
use culvert::engine::dataplane::seat::Seat;
use culvert::engine::dataplane::shape::ServerLimit;
use culvert::engine::dataplane::verdict::{DropReason, Drops};
use culvert::engine::dataplane::{Change, Dataplane, Entropy};
use culvert::engine::fragments::gather::Fragments;
use culvert::engine::offload::split::split;
use culvert::engine::outbox::{Endpoint, Outbox};
use culvert::engine::packet::{Offload, Owner};
use culvert::engine::wire::ip::take_hop;
use culvert::engine::wire::{FlowKey, Ip, protocol};

use crate::model::{House, SERVERS, WORKERS, client_named, name_of, server_of};

/// What may wait on the way to another worker.
const HAND_OVER: usize = 64;

/// A plane: its worker and its server's slot.
pub(crate) type At = (usize, usize);

/// What one worker hands to another.
#[derive(Debug, Clone)]
pub(crate) enum Handed {
    Datagram(Endpoint, Vec<u8>),
    Crossing(Vec<u8>, Offload),
    FromHost(Vec<u8>, Offload),
    Arrival(Vec<u8>, Offload),
}

impl Handed {
    fn of(parcel: Parcel<'_>) -> Self {
        match parcel {
            Parcel::Datagram { from, bytes } => Self::Datagram(from, bytes.to_vec()),
            Parcel::Crossing { packet, offload } => Self::Crossing(packet.to_vec(), offload),
            Parcel::FromHost { packet, offload } => Self::FromHost(packet.to_vec(), offload),
            Parcel::Arrival { packet, offload } => Self::Arrival(packet.to_vec(), offload),
        }
    }

    fn parcel(&self) -> Parcel<'_> {
        match self {
            Self::Datagram(from, bytes) => Parcel::Datagram { from: *from, bytes },
            Self::Crossing(packet, offload) => Parcel::Crossing { packet, offload: *offload },
            Self::FromHost(packet, offload) => Parcel::FromHost { packet, offload: *offload },
            Self::Arrival(packet, offload) => Parcel::Arrival { packet, offload: *offload },
        }
    }

    /// The packets that it is.
    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Datagram(..) => Vec::new(),
            Self::Crossing(packet, offload) | Self::FromHost(packet, offload) | Self::Arrival(packet, offload) => {
                singles(packet, *offload)
            }
        }
    }
}

/// What came out of a plane.
#[derive(Debug)]
pub(crate) enum Out {
    /// A packet for the outside, of this client; of nobody where the server itself says something.
    Outward(Option<usize>, Vec<u8>, Offload),
    /// Something for another worker.
    Elsewhere(u8, Handed),
    /// A packet for the host.
    Host(Vec<Vec<u8>>),
    /// A datagram for a client.
    Sealed(SocketAddr, Vec<u8>),
}

/// What followed from one call of a plane.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) outs: Vec<Out>,
    /// Why packets were dropped, each reason as often as it was given.
    pub(crate) dropped: Vec<DropReason>,
    /// How many were dropped that had waited.
    pub(crate) late: u64,
    /// How many more wait for a rate than before.
    pub(crate) waiting: i64,
}

/// The packets that a super-packet stands for, as the kernel makes them.
pub(crate) fn singles(packet: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let (mut packet, mut singles) = (packet.to_vec(), Vec::new());
    split(&mut packet, offload, 1, |single, _| singles.push(single.to_vec())).unwrap();
    singles
}

struct Exits<'a> {
    house: &'a House,
    outs: Vec<(Option<Owner>, Out)>,
}

impl Beyond for Exits<'_> {
    fn outward(&mut self, owner: Owner, packet: &mut [u8], offload: Offload) {
        self.outs.push((Some(owner), Out::Outward(None, packet.to_vec(), offload)));
    }

    fn elsewhere(&mut self, worker: u8, parcel: Parcel<'_>) -> bool {
        let has_room = self.outs.len() < HAND_OVER;
        if has_room {
            self.outs.push((None, Out::Elsewhere(worker, Handed::of(parcel))));
        }
        has_room
    }

    fn host(&mut self, _owner: Owner, packet: &mut [u8], offload: Offload) {
        self.outs.push((None, Out::Host(singles(packet, offload))));
    }

    fn standing(&mut self, protocol: u8, to: SocketAddr) -> Standing {
        self.house.standing(protocol, to)
    }
}

/// Where a packet from outside goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    /// To the server in this slot.
    To(usize),
    /// To another worker, who knows.
    Elsewhere(usize),
    /// To the host: nobody here asked for it.
    Back,
}

#[derive(Debug)]
struct Worker {
    planes: Vec<Dataplane>,
    ports: Ports,
    gather: Fragments,
}

/// The box.
#[derive(Debug)]
pub(crate) struct Appliance {
    house: House,
    workers: Vec<Worker>,
    outbox: Outbox,
}

impl Appliance {
    /// A box that runs what ought to.
    pub(crate) fn new(house: &House, entropy: Entropy, now: Instant) -> Self {
        let limits: Vec<_> = (0..SERVERS).map(|_| Arc::new(ServerLimit::new(now))).collect();
        let worker = |number: u8| Worker {
            planes: (0_u16..).zip(&limits).map(|it| plane(house, number, it, entropy, now)).collect(),
            ports: Ports::new(slice(&house.range, number.into()), [7; 32], now),
            gather: Fragments::new(1, Duration::from_secs(2)),
        };
        let bare = House { forwards: vec![Arc::default(); SERVERS], ..house.clone() };
        let workers = (0..WORKERS).map(worker).collect();
        let mut appliance = Self { house: bare, workers, outbox: Outbox::new(1 << 19) };
        appliance.set_table(house, now);
        for slot in 0..SERVERS {
            let exit = Change::Exit(house.exit(slot));
            let mut changes = vec![exit, Change::Firewall(Arc::clone(&house.firewall))];
            let accounts = house.accounts.iter().filter(|(client, _)| server_of(**client) == slot);
            changes.extend(accounts.map(|(_, account)| Change::Account(Arc::clone(account))));
            changes.push(Change::Forwards(Arc::clone(&house.forwards[slot])));
            for worker in 0..usize::from(WORKERS) {
                for change in &changes {
                    let outcome = appliance.change((worker, slot), change, now);
                    assert!(outcome.outs.is_empty() && outcome.dropped.is_empty(), "a new box is silent");
                }
            }
        }
        appliance
    }

    /// Every plane.
    pub(crate) fn planes(&self) -> impl Iterator<Item = (At, &Dataplane)> {
        self.workers
            .iter()
            .enumerate()
            .flat_map(|(worker, it)| it.planes.iter().enumerate().map(move |(slot, plane)| ((worker, slot), plane)))
    }

    /// One plane.
    pub(crate) fn plane(&self, (worker, slot): At) -> &Dataplane {
        &self.workers[worker].planes[slot]
    }

    /// A worker's ports.
    pub(crate) fn ports(&self, worker: usize) -> &Ports {
        &self.workers[worker].ports
    }

    /// Calls a plane; everything that follows.
    fn call(&mut self, at: At, now: Instant, call: impl FnOnce(&mut Dataplane, &mut Around<'_>, Instant)) -> Outcome {
        let Self { house, workers, outbox } = self;
        let Worker { planes, ports, .. } = &mut workers[at.0];
        let plane = &mut planes[at.1];
        let (before, late, waiting) = (*plane.drops(), late(plane), waiting(plane));
        let mut exits = Exits { house, outs: Vec::new() };
        call(plane, &mut Around { outbox, ports, beyond: &mut exits }, now);
        let mut outcome = Outcome {
            outs: Vec::new(),
            dropped: difference(&before, plane.drops()),
            late: self::late(plane) - late,
            waiting: self::waiting(plane).cast_signed() - waiting.cast_signed(),
        };
        for (owner, mut out) in exits.outs {
            if let (Out::Outward(client, ..), Some(account)) = (&mut out, owner.and_then(|owner| plane.account(owner)))
            {
                *client = Some(client_named(&account.name));
            }
            outcome.outs.push(out);
        }
        for batch in outbox.batches() {
            let datagrams = batch.bytes.chunks(batch.segment);
            outcome.outs.extend(datagrams.map(|one| Out::Sealed(batch.endpoint.remote, one.to_vec())));
        }
        outbox.clear();
        outcome
    }

    /// Takes datagrams that come in one batch.
    pub(crate) fn datagrams(&mut self, at: At, datagrams: &[(SocketAddr, Vec<u8>)], now: Instant) -> Outcome {
        self.call(at, now, |plane, around, now| {
            for (remote, bytes) in datagrams {
                plane.handle_datagram(Endpoint { remote: *remote, local: None }, bytes, around, now);
            }
            plane.handle_batch_end(around, now);
        })
    }

    /// Takes a packet from outside that is whole and has its place.
    pub(crate) fn arrival(&mut self, at: At, mut packet: Vec<u8>, offload: Offload, now: Instant) -> Outcome {
        self.call(at, now, |plane, around, now| plane.handle_arrival(&mut packet, offload, around, now))
    }

    /// Takes what another worker hands over.
    pub(crate) fn parcel(&mut self, at: At, handed: &Handed, now: Instant) -> Outcome {
        self.call(at, now, |plane, around, now| plane.handle_parcel(handed.parcel(), around, now))
    }

    /// When something is due at one of the planes.
    pub(crate) fn poll_deadline(&self) -> Option<(Instant, At)> {
        self.planes().filter_map(|(at, plane)| Some((plane.poll_deadline()?, at))).min()
    }

    /// Does what is due at a plane.
    pub(crate) fn deadline(&mut self, at: At, now: Instant) -> Outcome {
        self.call(at, now, Dataplane::handle_deadline)
    }

    fn change(&mut self, at: At, change: &Change, now: Instant) -> Outcome {
        self.call(at, now, |plane, around, now| {
            plane.apply(change.clone(), around, now);
        })
    }

    /// Takes what came from outside at a worker's queue: puts fragments together and says where the whole goes.
    pub(crate) fn place(&mut self, worker: usize, packet: Vec<u8>, now: Instant) -> Option<(Vec<u8>, Offload, Goes)> {
        let is_piece = Ip::new(&packet[..]).unwrap().transport().fragment;
        let gather = &mut self.workers[worker].gather;
        let (packet, offload) = if is_piece {
            (gather.handle(Owner(0), &packet, now)?, Offload::GATHERED)
        } else {
            (packet, Offload::NONE)
        };
        let goes = self.find_place(worker, &packet);
        Some((packet, offload, goes))
    }

    /// As `runtime/uplink/packets.rs` does it.
    pub(crate) fn find_place(&self, worker: usize, packet: &[u8]) -> Goes {
        let ip = Ip::new(packet).unwrap();
        let to = ip.destination();
        let is_routed = |slot: &usize| self.house.is_routed(*slot, to);
        if let Some(slot) = (0..SERVERS).find(is_routed) {
            return Goes::To(slot);
        }
        let key = FlowKey::of(&ip).unwrap().or_else(|| quoted_key(packet).ok().map(FlowKey::reversed));
        let Some(key) = key else { return Goes::Back };
        if let Some(slot) = self.house.door(key.protocol, key.destination) {
            return Goes::To(slot);
        }
        if let Some(slot) = self.workers[worker].ports.holder(key.protocol, key.destination) {
            return Goes::To(usize::from(slot));
        }
        let port = key.destination.port();
        let may_be_held = self.house.is_external(to) && self.house.range.contains(&port);
        let home = (0..usize::from(WORKERS)).find(|number| slice(&self.house.range, *number).contains(&port));
        match home {
            Some(home) if home != worker && may_be_held => Goes::Elsewhere(home),
            _ => Goes::Back,
        }
    }

    /// Whether a packet for the outside leads back to a client; if so it has travelled on by one hop.
    pub(crate) fn turns_back(&self, packet: &mut [u8]) -> bool {
        let ip = Ip::new(&packet[..]).unwrap();
        let key = FlowKey::of(&ip).unwrap().or_else(|| quoted_key(packet).ok().map(FlowKey::reversed));
        let leads_in = key.is_some_and(|key| {
            let is_mapped = matches!(key.protocol, protocol::TCP | protocol::UDP)
                && self.house.range.contains(&key.destination.port());
            self.house.is_external(key.destination.ip())
                && (is_mapped || self.house.door(key.protocol, key.destination).is_some())
        });
        let turns = leads_in && self.house.is_external(ip.destination());
        if turns {
            take_hop(packet);
        }
        turns
    }

    /// Makes it run what ought to run now. Level-triggered: only the difference is applied, or everything where `anew`.
    pub(crate) fn conform(&mut self, house: &House, anew: bool, now: Instant) -> Vec<(At, Outcome)> {
        let before = self.house.clone();
        self.set_table(house, now);
        let mut outcomes = Vec::new();
        for slot in 0..SERVERS {
            let changes = changes(&before, house, slot, anew);
            for worker in 0..usize::from(WORKERS) {
                let at = (worker, slot);
                outcomes.extend(changes.iter().map(|change| (at, self.change(at, change, now))));
            }
        }
        outcomes
    }

    /// From now on what comes from outside is whose this says, as `runtime/worker.rs` does it; a forwarded port is
    /// nobody's own.
    fn set_table(&mut self, house: &House, now: Instant) {
        let (before, after) = (doors(&self.house), doors(house));
        let known = |house: &House| {
            let names = (0..SERVERS).map(|slot| house.externals(slot));
            (names.collect::<Vec<_>>(), (0..SERVERS).map(|slot| house.exit(slot)).collect::<Vec<_>>())
        };
        if before != after || known(&self.house) != known(house) {
            let planes = self.workers.iter_mut().flat_map(|worker| &mut worker.planes);
            planes.for_each(Dataplane::judge_anew);
        }
        for worker in &mut self.workers {
            for (number, to) in before.difference(&after) {
                worker.ports.unreserve(Some(to.ip()), *number, to.port());
            }
            for (number, to) in after.difference(&before) {
                for (_, holder) in worker.ports.reserve(Some(to.ip()), *number, to.port()) {
                    worker.planes[usize::from(holder)].close_external(*number, *to, &mut worker.ports, now);
                }
            }
        }
        self.house = house.clone();
    }
}

fn plane(
    house: &House,
    worker: u8,
    (slot, limit): (u16, &Arc<ServerLimit>),
    entropy: Entropy,
    now: Instant,
) -> Dataplane {
    let seat = Seat { server: slot, worker, of: WORKERS };
    let mut plane = Dataplane::new(Arc::clone(&house.servers[usize::from(slot)]), seat, entropy, now);
    plane.share_limit(Arc::clone(limit), now);
    plane
}

/// A worker's part of the ports.
fn slice(range: &RangeInclusive<u16>, worker: usize) -> RangeInclusive<u16> {
    let size = (range.end() - range.start() + 1).div_ceil(u16::from(WORKERS));
    let begin = range.start() + size * u16::try_from(worker).unwrap();
    begin..=(*range.end()).min(begin + (size - 1))
}

/// What differs between two states of a server, in the order in which it is applied.
fn changes(before: &House, after: &House, slot: usize, anew: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if anew || before.servers[slot] != after.servers[slot] {
        changes.push(Change::Server(Arc::clone(&after.servers[slot])));
    }
    if anew || before.exit(slot) != after.exit(slot) {
        changes.push(Change::Exit(after.exit(slot)));
    }
    if anew || before.firewall != after.firewall {
        changes.push(Change::Firewall(Arc::clone(&after.firewall)));
    }
    let here = |client: &&usize| server_of(**client) == slot;
    let gone = before.accounts.keys().filter(here).filter(|client| !after.accounts.contains_key(client));
    changes.extend(gone.map(|client| Change::Gone(name_of(*client))));
    for client in after.accounts.keys().filter(here) {
        if anew || before.accounts.get(client) != after.accounts.get(client) {
            changes.push(Change::Account(Arc::clone(&after.accounts[client])));
        }
    }
    if anew || before.forwards[slot] != after.forwards[slot] {
        changes.push(Change::Forwards(Arc::clone(&after.forwards[slot])));
    }
    changes
}

/// Every forwarded port, by its external address.
pub(crate) fn doors(house: &House) -> BTreeSet<(u8, SocketAddr)> {
    let mut doors = BTreeSet::new();
    for (slot, forwards) in house.forwards.iter().enumerate() {
        for outer in forwards.keys() {
            let number = if outer.protocol.word() == "tcp" { protocol::TCP } else { protocol::UDP };
            let externals = house.externals(slot).into_iter();
            doors.extend(externals.map(|external: IpAddr| (number, SocketAddr::new(external, outer.port))));
        }
    }
    doors
}

fn late(plane: &Dataplane) -> u64 {
    plane.late_drops().map_or(0, Drops::total)
}

/// How many packets wait for a rate.
pub(crate) fn waiting(plane: &Dataplane) -> u64 {
    plane.all_lanes().map_or(0, |lanes| lanes.iter().map(|lane| lane.backlog_packets).sum())
}

fn difference(before: &Drops, after: &Drops) -> Vec<DropReason> {
    if before == after {
        return Vec::new();
    }
    let times = |reason: DropReason| usize::try_from(after.of(reason) - before.of(reason)).unwrap();
    DropReason::ALL.into_iter().flat_map(|reason| std::iter::repeat_n(reason, times(reason))).collect()
}
