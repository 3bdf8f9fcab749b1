//! One TCP connection: smoltcp speaks with the peer, an OS socket with the outside, and bytes pass between their buffers.
//!
//! Each connection has a `SocketSet` of its own, for smoltcp walks a whole set on every poll. Bytes that the outside does
//! not take stay in smoltcp's receive buffer, so the peer's window closes; bytes that the peer does not acknowledge stay
//! in its send buffer, so the OS socket is not read. Both halves close on their own.

pub(super) mod device;
mod recovery;
mod ring;
mod segments;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};

use self::device::{Egress, Ingress};
use self::recovery::Recovery;
use super::answers::Answers;
use super::table::FlowId;
use super::timeouts;
use crate::engine::packet::Owner;

/// A SYN that waits until the OS has connected.
#[derive(Debug)]
pub(super) struct HeldSyn(pub(super) Box<[u8]>);

/// What became of a read or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes; not 0.
    Bytes(usize),
    /// None for now.
    Blocked,
    /// None ever again: the far end has finished (of a read).
    Ended,
    /// The connection is broken.
    Broken,
}

/// The OS's end of connections: a door that the driver opens, and that tests replace.
pub trait Outside {
    /// Sends bytes of a peer outwards.
    fn write(&mut self, flow: FlowId, bytes: &[u8]) -> Moved;
    /// Reads bytes from outside into `room`.
    fn read(&mut self, flow: FlowId, room: &mut [u8]) -> Moved;
    /// Tells the far end that the peer has finished sending.
    fn finish(&mut self, flow: FlowId);
}

/// Bytes that one connection may move each way before others have their turn.
const FAIR_SHARE: usize = 256 << 10;
/// How long smoltcp keeps a connection whose ends have both finished (10 s after the last packet), less a margin.
const TIME_WAIT_SAFE: Duration = Duration::from_secs(9);
/// How far ahead of the peer's acknowledgements the outside is read at first; doubles as the peer keeps up, so that
/// memory goes to those who use it.
const AHEAD_FIRST: usize = 64 << 10;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    recovery: Recovery,
    /// How many bytes may wait for the peer's acknowledgement.
    ahead: usize,
    /// Bytes read from outside since `ahead` grew.
    read: usize,
    /// Whether the outside has finished sending.
    ended: bool,
    /// Whether the peer has finished sending.
    fin_seen: bool,
    /// Whether the outside knows that the peer has finished sending.
    finished: bool,
    /// When the peer was heard last.
    heard: Instant,
    /// Since when the connection opens, closes or waits for the peer.
    transitory: Option<Instant>,
}

/// What is left to do for a connection after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More at once: its share was used up.
    More,
    /// Nothing before this time.
    Wait(Option<Instant>),
    /// It is over; `true` if it was broken off.
    Over(bool),
}

/// What the turn of a connection needs beside itself.
pub(super) struct Turn<'a, O> {
    pub(super) interface: &'a mut Interface,
    pub(super) clock: Clock,
    pub(super) scratch: &'a mut [u8],
    pub(super) outside: &'a mut O,
    pub(super) down: &'a mut dyn FnMut(Owner, &mut [u8]),
    /// Bytes that went to the peer.
    pub(super) sent: usize,
}

/// Turns our time into smoltcp's, which counts from an origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) const fn new(origin: Instant) -> Self {
        Self { origin }
    }

    pub(super) fn smoltcp(self, now: Instant) -> smoltcp::time::Instant {
        // smoltcp takes its time 0 for "at once", so ours begins a second later
        let since = now.saturating_duration_since(self.origin) + Duration::from_secs(1);
        smoltcp::time::Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn std(self, at: smoltcp::time::Instant) -> Instant {
        let micros = u64::try_from(at.total_micros()).unwrap_or_default();
        self.origin + Duration::from_micros(micros.saturating_sub(1_000_000))
    }
}

fn socket(buffer: usize) -> Socket<'static> {
    // zeroed memory of this size comes from the kernel untouched: it is not there until bytes lie in it
    let mut socket = Socket::new(SocketBuffer::new(vec![0; buffer]), SocketBuffer::new(vec![0; buffer]));
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(Some(timeouts::TCP_ACK_DELAY.into()));
    socket.set_congestion_control(CongestionControl::Cubic);
    socket.set_timeout(Some(timeouts::TCP_TRANSITORY.into()));
    socket.set_keep_alive(Some(timeouts::TCP_KEEP_ALIVE.into()));
    socket
}

impl Connection {
    /// A connection that has not seen its SYN yet, with buffers of so many bytes each way.
    pub(super) fn new(port: u16, buffer: usize, now: Instant) -> Self {
        let mut socket = socket(buffer);
        // cannot fail: the socket is new, and a port of 0 has been refused
        let _ = socket.listen(port);
        Self::of(socket, buffer, now)
    }

    /// A connection that calls the peer at its end `to` in the name of `from`; `None` where one of them has no port.
    pub(super) fn call(
        interface: &mut Interface,
        (from, to): (SocketAddr, SocketAddr),
        buffer: usize,
        now: Instant,
    ) -> Option<Self> {
        let mut socket = socket(buffer);
        socket.connect(interface.context(), to, from).ok()?;
        Some(Self::of(socket, buffer, now))
    }

    fn of(socket: Socket<'static>, buffer: usize, now: Instant) -> Self {
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self {
            sockets,
            handle,
            recovery: Recovery::new(buffer, now),
            ahead: AHEAD_FIRST.min(buffer),
            read: 0,
            ended: false,
            fin_seen: false,
            finished: false,
            heard: now,
            transitory: Some(now),
        }
    }

    /// Whether the peer has not answered the call yet.
    pub(super) fn is_calling(&self) -> bool {
        let state = self.sockets.get::<Socket<'_>>(self.handle).state();
        matches!(state, State::SynSent | State::SynReceived)
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    /// Whether the peer may begin anew from the same port.
    pub(super) fn is_waiting_out(&self) -> bool {
        self.sockets.get::<Socket<'_>>(self.handle).state() == State::TimeWait
    }

    /// Takes a packet of the peer's.
    pub(super) fn handle_packet(
        &mut self,
        interface: &mut Interface,
        (owner, packet): (Owner, &[u8]),
        answers: &mut Answers,
        (clock, now): (Clock, Instant),
    ) {
        self.heard = now;
        self.recovery.handle_received(packet, now);
        let mut ingress = Ingress { packet: Some(packet), owner, answers };
        interface.poll_ingress_single(clock.smoltcp(now), &mut ingress, &mut self.sockets);
        self.fin_seen |=
            matches!(self.socket().state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
    }

    /// Moves what can be moved: out, in, and to the peer.
    pub(super) fn turn<O: Outside>(&mut self, id: FlowId, owner: Owner, turn: &mut Turn<'_, O>, now: Instant) -> Next {
        let drained = self.drain(id, turn.outside);
        let filled = self.fill(id, turn.outside);
        if drained.is_err() || filled.is_err() {
            self.socket().abort();
        }
        if self.is_held_open(now) {
            let is_given_up = now >= self.heard + timeouts::TCP_TRANSITORY;
            let again = now + timeouts::TCP_TRANSITORY;
            return if is_given_up { Next::Over(true) } else { Next::Wait(Some(again)) };
        }
        self.set_life_span(now);
        let moment = turn.clock.smoltcp(now);
        let again = if self.socket().may_send() || self.ended {
            self.recovery.turn(turn.scratch, now, |packet| (turn.down)(owner, packet))
        } else {
            0
        };
        let recovery = &mut self.recovery;
        let mut egress = Egress { owner, scratch: turn.scratch, down: turn.down, sent: again, recovery, now };
        while egress.sent < FAIR_SHARE {
            if turn.interface.poll_egress(moment, &mut egress, &mut self.sockets) == PollResult::None {
                break;
            }
        }
        turn.sent = egress.sent;
        let used_up = egress.sent >= FAIR_SHARE || drained == Ok(true) || filled == Ok(true);
        let state = self.socket().state();
        // after a reset in the handshake smoltcp listens again
        if matches!(state, State::Closed | State::Listen) {
            let waits = state == State::Closed && self.has_bytes_left();
            let again = now + timeouts::TCP_TRANSITORY;
            return if waits { Next::Wait(Some(again)) } else { Next::Over(!self.is_complete()) };
        }
        if used_up {
            return Next::More;
        }
        let at = turn.interface.poll_at(moment, &self.sockets);
        let at = at.map(|at| turn.clock.std(at));
        Next::Wait([at, self.recovery.poll_deadline()].into_iter().flatten().min())
    }

    /// Whether both ends have finished and the outside has everything.
    fn is_complete(&self) -> bool {
        self.ended && self.finished
    }

    /// Whether the peer has finished in order but the outside has not taken everything yet.
    fn has_bytes_left(&mut self) -> bool {
        self.ended && self.fin_seen && self.socket().can_recv()
    }

    /// Whether smoltcp must not be let look at its clock: it would forget bytes that the outside has not taken yet,
    /// because the peer is done with the connection.
    fn is_held_open(&mut self, now: Instant) -> bool {
        let state = self.socket().state();
        let would_forget = state == State::TimeWait && now >= self.heard + TIME_WAIT_SAFE;
        (state == State::Closed || would_forget) && self.has_bytes_left()
    }

    /// Passes what the peer sent outwards. `Ok(true)` if there was more than its share.
    fn drain<O: Outside>(&mut self, id: FlowId, outside: &mut O) -> Result<bool, ()> {
        let mut moved = 0;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        // smoltcp takes bytes even after a FIN, which no honest peer sends, and the outside has been told of the end
        if self.finished && socket.can_recv() {
            return Err(());
        }
        while socket.can_recv() {
            if moved >= FAIR_SHARE {
                return Ok(true);
            }
            let written = socket.recv(|bytes| match outside.write(id, bytes) {
                Moved::Bytes(length) => (length, Moved::Bytes(length)),
                other @ (Moved::Blocked | Moved::Ended | Moved::Broken) => (0, other),
            });
            match written {
                Ok(Moved::Bytes(length)) => moved += length,
                Ok(Moved::Blocked) => return Ok(false),
                Ok(Moved::Ended | Moved::Broken) | Err(_) => return Err(()),
            }
        }
        if self.fin_seen && !self.finished {
            self.finished = true;
            outside.finish(id);
        }
        Ok(false)
    }

    /// Reads what the outside sends. `Ok(true)` if there was more than its share.
    fn fill<O: Outside>(&mut self, id: FlowId, outside: &mut O) -> Result<bool, ()> {
        let mut moved = 0;
        let recovery = &mut self.recovery;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        if self.ended || !socket.may_send() {
            return Ok(false);
        }
        // a call to the OS for a few bytes costs as much as one for many
        let is_worth_it = |waiting: usize, ahead: usize| waiting <= ahead - ahead / 4;
        while is_worth_it(socket.send_queue(), self.ahead) {
            if moved >= FAIR_SHARE {
                return Ok(true);
            }
            let room = self.ahead - socket.send_queue();
            let read = socket.send(|space| {
                let length = space.len().min(room);
                match outside.read(id, &mut space[..length]) {
                    Moved::Bytes(length) => {
                        recovery.handle_given(&space[..length]);
                        (length, Moved::Bytes(length))
                    }
                    other @ (Moved::Blocked | Moved::Ended | Moved::Broken) => (0, other),
                }
            });
            match read {
                Ok(Moved::Bytes(length)) => {
                    moved += length;
                    self.read += length;
                    if self.read >= 2 * self.ahead {
                        self.read = 0;
                        self.ahead = (2 * self.ahead).min(socket.send_capacity());
                    }
                }
                Ok(Moved::Blocked) => return Ok(false),
                Ok(Moved::Ended) => {
                    self.ended = true;
                    socket.close();
                    return Ok(false);
                }
                Ok(Moved::Broken) | Err(_) => return Err(()),
            }
        }
        Ok(false)
    }

    /// An established connection on which nothing waits may be quiet for long; any other is given up soon where the
    /// peer says nothing at all.
    fn set_life_span(&mut self, now: Instant) {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        let is_established = socket.state() == State::Established;
        if is_established && socket.send_queue() == 0 {
            if self.transitory.take().is_some() {
                socket.set_timeout(Some(timeouts::TCP_ESTABLISHED.into()));
            }
            return;
        }
        let since = *self.transitory.get_or_insert(now);
        // smoltcp counts from when the peer was heard last, which may be long ago on a quiet connection
        let quiet = since.saturating_duration_since(self.heard);
        socket.set_timeout(Some((quiet + timeouts::TCP_TRANSITORY).into()));
        if !is_established {
            socket.set_keep_alive(Some(timeouts::TCP_TRANSITORY_KEEP_ALIVE.into()));
        }
    }
}
