//! Questions over TCP (RFC 7766): `engine::flows` ends the clients' connections, and here are the streams behind them.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Dns;
use crate::domain::limits;
use crate::domain::nat::Filtering;
use crate::domain::server::Server;
use crate::engine::dns::{Asker, Outcome};
use crate::engine::flows::reach::{HostAddresses, Reach};
use crate::engine::flows::{FlowId, Flows, Limits, Moved, Outside, Request, Settings};
use crate::engine::packet::Owner;
use crate::engine::wire::{Ip, tcp::Tcp};
use crate::runtime::os::{entropy, memory};

/// How many connections may be open, in all and of one account about.
const LIMITS: Limits = Limits { flows: 512, flows_of_owner: 32 };
/// Memory of a connection each way, in bytes.
const BUFFER: usize = 16 << 10;
/// The longest question that is taken, in bytes: a name, and an extension record with its options.
const QUESTION_MAX: usize = 4_096;
/// Answers that may wait for a client to take them, in bytes, before more of its questions are read.
const OUTBOUND_MAX: usize = 128 << 10;
/// Questions of one connection that may wait for their answers (RFC 7766, section 6.2.1.1, wants several).
const WAITING_MAX: usize = 32;
/// How often in one turn questions are read and answered.
const ROUNDS: usize = 4;
/// How long a connection is kept on which nothing happens (RFC 7766, section 6.2.3: some seconds).
const IDLE: Duration = Duration::from_secs(10);

/// The stream of one connection.
#[derive(Debug)]
struct Stream {
    flow: FlowId,
    asker: Asker,
    inbound: Vec<u8>,
    outbound: VecDeque<u8>,
    waiting: usize,
    /// Whether nothing more is to be read from the client.
    finished: bool,
    quiet_since: Instant,
}

/// The streams by their flows' places.
#[derive(Debug, Default)]
struct Table {
    streams: Vec<Option<Stream>>,
    /// Questions that were read.
    asked: VecDeque<(u64, Vec<u8>)>,
    /// The number of the next stream, so that none is mistaken for another.
    next: u32,
    now: Option<Instant>,
}

/// All streams of one server at one worker.
#[derive(Debug)]
pub(super) struct Streams {
    slot: u16,
    settings: Settings,
    /// Made with the first packet: most servers never see one.
    flows: Option<Box<Flows>>,
    table: Table,
    /// When the first stream may have been idle for too long.
    next_idle: Option<Instant>,
}

/// Only the server's own address is spoken to here.
struct NoHost;

impl HostAddresses for NoHost {
    fn contains(&mut self, _: IpAddr) -> bool {
        false
    }
}

impl Streams {
    pub(super) fn new(slot: u16, server: &Server) -> Self {
        Self { slot, settings: settings(server), flows: None, table: Table::default(), next_idle: None }
    }

    pub(super) fn apply(&mut self, server: &Server, now: Instant) {
        self.settings = settings(server);
        if let Some(flows) = &mut self.flows {
            flows.apply(self.settings.clone(), &mut NoHost, now);
            close_ended(flows, &mut self.table);
        }
    }

    pub(super) fn drop_owner(&mut self, owner: Owner) {
        if let Some(flows) = &mut self.flows {
            flows.drop_owner(owner);
            close_ended(flows, &mut self.table);
        }
    }

    /// Takes a client's segment.
    pub(super) fn handle_packet(&mut self, owner: Owner, packet: &[u8], now: Instant) {
        let flows = self.flows.get_or_insert_with(|| {
            memory::keep_buffers_lazy();
            Box::new(Flows::new(self.settings.clone(), u64::from_le_bytes(entropy::bytes()), now))
        });
        let Request::Connect { flow, to } = flows.handle_packet(owner, packet, &mut NoHost, now) else {
            return close_ended(flows, &mut self.table);
        };
        let from = Ip::new(packet).ok().and_then(|ip| {
            let segment = Tcp::new(ip.payload()).ok()?;
            Some(SocketAddr::new(ip.source(), segment.source_port()))
        });
        if let Some(from) = from {
            let asker = Asker { server: self.slot, owner, from, to, stream: None };
            self.table.insert(flow, asker, now);
            self.next_idle.get_or_insert(now + IDLE);
        }
        flows.handle_connected(flow, now);
        close_ended(flows, &mut self.table);
    }

    /// Gives an answer to a stream that has waited for it.
    pub(super) fn give(&mut self, number: u64, message: &[u8]) {
        let Some(stream) = self.table.numbered(number) else { return };
        stream.waiting = stream.waiting.saturating_sub(1);
        stream.put(message);
        let flow = stream.flow;
        if let Some(flows) = &mut self.flows {
            flows.handle_ready(flow);
        }
    }

    /// Moves bytes, and answers what can be answered at once.
    pub(super) fn turn(&mut self, dns: &mut Dns, now: Instant, down: &mut dyn FnMut(Owner, &mut [u8])) {
        let Some(flows) = &mut self.flows else { return };
        self.table.now = Some(now);
        if self.next_idle.is_some_and(|at| at <= now) {
            self.next_idle = self.table.end_idle(flows, now);
        }
        flows.turn(&mut self.table, now, down);
        // an answer makes room for more of what was sent
        for _ in 0..ROUNDS {
            if self.table.asked.is_empty() {
                break;
            }
            self.table.answer(dns, flows, now);
            flows.turn(&mut self.table, now, down);
        }
        close_ended(flows, &mut self.table);
    }

    pub(super) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let flows = self.flows.as_ref()?;
        if !self.table.asked.is_empty() {
            return Some(now);
        }
        [flows.poll_deadline(now), self.next_idle].into_iter().flatten().min()
    }
}

impl Table {
    fn insert(&mut self, flow: FlowId, asker: Asker, now: Instant) {
        if flow.index() >= self.streams.len() {
            self.streams.resize_with(flow.index() + 1, || None);
        }
        self.next = self.next.wrapping_add(1);
        let stream = Some((flow.index() as u64) << 32 | u64::from(self.next));
        self.streams[flow.index()] = Some(Stream {
            flow,
            asker: Asker { stream, ..asker },
            inbound: Vec::new(),
            outbound: VecDeque::new(),
            waiting: 0,
            finished: false,
            quiet_since: now,
        });
    }

    fn of(&mut self, flow: FlowId) -> Option<&mut Stream> {
        self.streams.get_mut(flow.index())?.as_mut().filter(|stream| stream.flow == flow)
    }

    fn numbered(&mut self, number: u64) -> Option<&mut Stream> {
        let index = usize::try_from(number >> 32).ok()?;
        self.streams.get_mut(index)?.as_mut().filter(|stream| stream.asker.stream == Some(number))
    }

    /// Answers what was read.
    fn answer(&mut self, dns: &mut Dns, flows: &mut Flows, now: Instant) {
        let mut memory = std::mem::take(&mut dns.memory);
        while let Some((number, question)) = self.asked.pop_front() {
            let Some(stream) = self.numbered(number) else { continue };
            memory.clear();
            match dns.machine.handle_question(stream.asker, &question, &mut memory, now) {
                Outcome::Answered => stream.put(&memory),
                Outcome::Waits => stream.waiting += 1,
                Outcome::Ignored => stream.finished = true,
            }
            flows.handle_ready(stream.flow);
        }
        dns.memory = memory;
    }

    /// Ends streams on which nothing has happened for too long; when the next may be one.
    fn end_idle(&mut self, flows: &mut Flows, now: Instant) -> Option<Instant> {
        let mut next = None;
        for stream in self.streams.iter_mut().flatten().filter(|stream| !stream.finished) {
            let due = stream.quiet_since + IDLE;
            if due <= now && stream.waiting == 0 {
                stream.finished = true;
                flows.handle_ready(stream.flow);
            } else {
                let due = due.max(now + Duration::from_secs(1));
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
            }
        }
        next
    }
}

impl Stream {
    fn put(&mut self, message: &[u8]) {
        let Ok(length) = u16::try_from(message.len()) else { return };
        self.outbound.extend(length.to_be_bytes());
        self.outbound.extend(message);
    }

    /// Takes the whole questions out of what was read; `None` where it cannot be one.
    fn questions(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut questions = Vec::new();
        let mut at = 0;
        while let Some(length) = self.inbound.get(at..at + 2) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length > QUESTION_MAX {
                return None;
            }
            let Some(question) = self.inbound.get(at + 2..at + 2 + length) else { break };
            questions.push(question.to_vec());
            at += 2 + length;
        }
        self.inbound.drain(..at);
        Some(questions)
    }
}

impl Outside for Table {
    fn write(&mut self, flow: FlowId, bytes: &[u8]) -> Moved {
        let now = self.now;
        let Some(stream) = self.of(flow) else { return Moved::Broken };
        if stream.finished {
            return Moved::Bytes(bytes.len());
        }
        if stream.outbound.len() >= OUTBOUND_MAX || stream.waiting >= WAITING_MAX {
            return Moved::Blocked;
        }
        let taken = bytes.len().min(QUESTION_MAX);
        stream.inbound.extend_from_slice(&bytes[..taken]);
        stream.quiet_since = now.unwrap_or(stream.quiet_since);
        let (Some(questions), Some(number)) = (stream.questions(), stream.asker.stream) else {
            return Moved::Broken;
        };
        self.asked.extend(questions.into_iter().map(|question| (number, question)));
        Moved::Bytes(taken)
    }

    fn read(&mut self, flow: FlowId, room: &mut [u8]) -> Moved {
        let now = self.now;
        let Some(stream) = self.of(flow) else { return Moved::Broken };
        let (bytes, _) = stream.outbound.as_slices();
        let length = bytes.len().min(room.len());
        if length > 0 {
            room[..length].copy_from_slice(&bytes[..length]);
            stream.outbound.drain(..length);
            stream.quiet_since = now.unwrap_or(stream.quiet_since);
            return Moved::Bytes(length);
        }
        let number = stream.asker.stream;
        let is_over = stream.finished && stream.waiting == 0;
        let has_asked = self.asked.iter().any(|(of, _)| Some(*of) == number);
        if is_over && !has_asked { Moved::Ended } else { Moved::Blocked }
    }

    fn finish(&mut self, flow: FlowId) {
        if let Some(stream) = self.of(flow) {
            stream.finished = true;
        }
    }
}

fn close_ended(flows: &mut Flows, table: &mut Table) {
    while let Some(closed) = flows.poll_closed() {
        if let Some(place) = table.streams.get_mut(closed.flow.index()) {
            *place = None;
        }
    }
}

/// What a server's settings mean for connections to itself.
fn settings(server: &Server) -> Settings {
    let own = [Some(IpAddr::V4(server.address.addr())), server.ipv6.then(|| server.address_ipv6.addr().into())];
    Settings {
        mtu: if server.mtu == 0 { limits::MTU_DEFAULT } else { server.mtu },
        address: Some(server.address.addr()),
        address_v6: server.ipv6.then(|| server.address_ipv6.addr()),
        limits: LIMITS,
        buffer_max: BUFFER,
        reach: Reach::new(own.into_iter().flatten().map(Into::into).collect()),
        // of UDP, which is not theirs
        filtering: Filtering::default(),
    }
}
