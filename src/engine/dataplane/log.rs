//! What is logged of connections and packets: decided here, written elsewhere. While nothing is logged there is no
//! [`Log`], and a packet pays one look whether there is.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dataplane;
use super::flow::{Counter as Counted, Ended, FlowId, Side, Way};
use super::verdict::DropReason;
use crate::domain::account::Account;
use crate::domain::figures::Counter;
use crate::domain::traffic_log::{Direction, Event, Interface, Record, Totals, Tracked, TrafficLogSettings};
use crate::engine::packet::Owner;
use crate::engine::wire::{FlowKey, Ip};

/// How many records may wait to be taken: all connections of two clients, which can all end at once.
const RECORDS_MAX: usize = 1 << 14;
/// How many packets that are no connections are recorded a second: whoever sends them chooses how many there are, and
/// connections must not go unrecorded for them.
const PACKETS_PER_SECOND: u32 = 100;

/// Records that wait to be taken.
#[derive(Debug)]
pub(super) struct Log {
    settings: Arc<TrafficLogSettings>,
    records: VecDeque<Record>,
    /// How many more there were.
    lost: u64,
    /// The second that is counted, and how many packets were recorded in it.
    packets: Option<(Instant, u32)>,
}

impl Log {
    fn new(settings: Arc<TrafficLogSettings>) -> Self {
        Self { settings, records: VecDeque::new(), lost: 0, packets: None }
    }

    fn wants(&self, state: Tracked, direction: Direction) -> bool {
        self.settings.states.has(state) && (direction == Direction::Outgoing || self.settings.incoming)
    }

    fn push(&mut self, record: Record) {
        if self.records.len() < RECORDS_MAX {
            self.records.push_back(record);
        } else {
            self.lost += 1;
        }
    }

    /// Whether one more packet may be recorded in this second.
    fn admits(&mut self, now: Instant) -> bool {
        let fresh = |since: &(Instant, u32)| now.saturating_duration_since(since.0) < Duration::from_secs(1);
        let (since, count) = self.packets.filter(fresh).unwrap_or((now, 0));
        let admitted = count < PACKETS_PER_SECOND;
        self.packets = Some((since, count + u32::from(admitted)));
        self.lost += u64::from(!admitted);
        admitted
    }
}

/// What all records of a connection have in common.
struct Outline<'a> {
    original: &'a FlowKey,
    reply: &'a FlowKey,
    owner: Owner,
    way: Way,
    first: (u16, u8),
}

impl Dataplane {
    /// Logs as these settings say from now on.
    pub(super) fn apply_log(&mut self, settings: Arc<TrafficLogSettings>) {
        self.flows.watch_ends(settings.enabled);
        match &mut self.log {
            Some(log) if settings.enabled => log.settings = settings,
            _ => self.log = settings.enabled.then(|| Box::new(Log::new(settings))),
        }
    }

    /// Hands out the records of what happened since this was last called; how many more there were than could be kept.
    pub fn take_log(&mut self, each: impl FnMut(Record)) -> u64 {
        let Some(log) = &mut self.log else { return 0 };
        log.records.drain(..).for_each(each);
        std::mem::take(&mut log.lost)
    }

    /// Ends the log's account of every connection: the machine is about to go. More than may wait to be taken are lost and
    /// counted.
    pub fn close_log(&mut self) {
        if self.log.is_none() {
            return;
        }
        let open: Vec<Ended> = self.flows.unended().take(RECORDS_MAX).collect();
        for ended in &open {
            self.log_end(ended, None);
        }
        let more = self.flows.unended().count() - open.len();
        if let Some(log) = &mut self.log {
            log.lost += more as u64;
        }
    }

    /// A connection has begun with this packet.
    pub(super) fn log_begin(&mut self, id: FlowId, packet: &Ip<&[u8]>) {
        if self.log.is_none() {
            return;
        }
        let first = first_of(packet);
        self.flows.note_first(id, first.0, first.1);
        let Some(flow) = self.flows.get(id) else { return };
        let (original, reply) = (*flow.original(), *flow.reply());
        let outline = Outline { original: &original, reply: &reply, owner: flow.owner, way: flow.way, first };
        self.log_connection(&outline, Tracked::New, None, |_| Event::Begin);
    }

    /// Records the connections that have ended. `gone` is who had a slot that is somebody else's by now, or nobody's.
    pub(super) fn log_ends(&mut self, gone: Option<(Owner, &Arc<Account>)>) {
        while let Some(ended) = self.flows.pop_ended() {
            self.log_end(&ended, gone);
        }
        let untold = self.flows.take_untold();
        if let Some(log) = &mut self.log {
            log.lost += untold;
        }
    }

    fn log_end(&mut self, ended: &Ended, gone: Option<(Owner, &Arc<Account>)>) {
        let Ended { original, reply, owner, way, counters, lasted, first } = ended;
        let outline = Outline { original, reply, owner: *owner, way: *way, first: *first };
        let state = if ended.is_answered() { Tracked::Established } else { Tracked::New };
        let counter = |side: Side| {
            let Counted { packets, bytes } = counters[side as usize];
            Counter { packets, bytes }
        };
        self.log_connection(&outline, state, gone, |direction| {
            let (up, down) = match direction {
                Direction::Outgoing => (Side::Original, Side::Reply),
                Direction::Incoming => (Side::Reply, Side::Original),
            };
            Event::End(Totals { up: counter(up), down: counter(down), lasted: *lasted })
        });
    }

    /// Records what happened to a connection: for the client by which it exists, and for the client to whom it leads.
    fn log_connection(
        &mut self,
        outline: &Outline<'_>,
        state: Tracked,
        gone: Option<(Owner, &Arc<Account>)>,
        event: impl Fn(Direction) -> Event,
    ) {
        let Outline { original, reply, owner, way, first } = *outline;
        let is_inside = |address: SocketAddr| self.plan.is_inside(address.ip());
        let beyond = |address| if is_inside(address) { Interface::Server } else { Interface::Uplink };
        let by_client = is_inside(original.source) && !self.plan.is_own(original.source.ip());
        let outgoing = (Direction::Outgoing, owner);
        let (who, interfaces) = match way {
            Way::Out => ([Some(outgoing), None], (Interface::Server, beyond(original.destination))),
            Way::In => ([Some((Direction::Incoming, owner)), None], (beyond(original.source), Interface::Server)),
            Way::Across(target) => {
                ([Some(outgoing), Some((Direction::Incoming, target))], (Interface::Server, Interface::Server))
            }
            Way::Own if by_client => ([Some(outgoing), None], (Interface::Server, Interface::Host)),
            Way::Own => ([Some((Direction::Incoming, owner)), None], (Interface::Host, Interface::Server)),
        };
        let translated = match way {
            _ if *reply == original.reversed() => None,
            Way::In => Some(reply.source),
            Way::Out | Way::Across(_) | Way::Own => Some(reply.destination),
        };
        for (direction, owner) in who.into_iter().flatten() {
            let account = gone.filter(|(of, _)| *of == owner).map(|(_, account)| account);
            let account = account.or_else(|| self.peers.get(owner).map(|peer| &peer.account));
            let Some(log) = self.log.as_mut().filter(|log| log.wants(state, direction)) else { continue };
            log.push(Record {
                server: Arc::clone(&self.plan.server),
                account: account.cloned(),
                event: event(direction),
                state,
                direction,
                protocol: original.protocol,
                source: original.source,
                destination: original.destination,
                translated,
                interfaces,
                len: first.0,
                tos: first.1,
            });
        }
    }

    /// Records a client's packet that is no connection of its own.
    pub(super) fn log_from_client(&mut self, state: Tracked, owner: Owner, packet: &[u8], now: Instant) {
        self.log_packet(state, Direction::Outgoing, Some(owner), packet, now);
    }

    /// Records a packet for a client that is no connection of its own; `owner` is absent where it leads to nobody.
    pub(super) fn log_to_client(&mut self, state: Tracked, owner: Option<Owner>, packet: &[u8], now: Instant) {
        self.log_packet(state, Direction::Incoming, owner, packet, now);
    }

    fn log_packet(&mut self, state: Tracked, direction: Direction, owner: Option<Owner>, packet: &[u8], now: Instant) {
        let Some(log) = self.log.as_mut().filter(|log| log.wants(state, direction)) else { return };
        let Ok(packet) = Ip::new(packet) else { return };
        if !log.admits(now) {
            return;
        }
        // what has no key has no ports either
        let key = FlowKey::of(&packet).ok().flatten();
        let [source, destination] = key.map_or_else(
            || [packet.source(), packet.destination()].map(|address| SocketAddr::new(address, 0)),
            |key| [key.source, key.destination],
        );
        let interface = |address: SocketAddr| match address.ip() {
            address if self.plan.is_own(address) => Interface::Host,
            address if self.plan.is_inside(address) => Interface::Server,
            _ => Interface::Uplink,
        };
        let interfaces = match direction {
            Direction::Outgoing => (Interface::Server, interface(destination)),
            Direction::Incoming => (interface(source), Interface::Server),
        };
        let (len, tos) = first_of(&packet);
        log.push(Record {
            server: Arc::clone(&self.plan.server),
            account: owner.and_then(|owner| self.peers.get(owner)).map(|peer| Arc::clone(&peer.account)),
            event: Event::Packet,
            state,
            direction,
            protocol: packet.transport().protocol,
            source,
            destination,
            translated: None,
            interfaces,
            len,
            tos,
        });
    }
}

/// Whether what was dropped for this reason belongs to no connection and begins none.
pub(super) const fn is_invalid(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::Malformed
            | DropReason::Stray
            | DropReason::ErrorUnfounded
            | DropReason::WrongChecksum
            | DropReason::FragmentUnfit
    )
}

/// A packet's length and its type of service.
fn first_of(packet: &Ip<&[u8]>) -> (u16, u8) {
    let bytes = packet.packet();
    // the traffic class lies across the first two bytes (RFC 8200, section 3)
    let tos = if bytes[0] >> 4 == 6 { bytes[0] << 4 | bytes[1] >> 4 } else { bytes[1] };
    (u16::try_from(bytes.len()).unwrap_or(u16::MAX), tos)
}
