//! One peer's `WireGuard`: `noise` (boringtun) behind a guard, with sessions and timers of our own beside it.
//!
//! What stands in front of `noise`, and why: it panics on counters near 2^64 and on short buffers, keeps using keys whose
//! counter is spent, stamps timers with a stale clock, and does not pad. Every call to it is in this file.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519;

use super::room::{HANDSHAKE, OVERHEAD, Room};
use super::timers::Timers;
use crate::engine::dataplane::timeouts::{
    INITIATION_INTERVAL, KEEPALIVE_TIMEOUT, REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME, REKEY_AFTER_TIME, REKEY_TIMEOUT,
};
use crate::engine::dataplane::verdict::DropReason;

/// How many sessions `noise` keeps; a session's place is its index modulo this.
const SESSIONS: usize = 8;
/// How many packets wait for a handshake.
const STAGED_MAX: usize = 32;

/// A session's keys are in `noise`; this is what we know about them.
#[derive(Debug, Clone, Copy)]
struct Session {
    index: u32,
    established: Instant,
    /// Whether we began it.
    initiated: bool,
    /// Whether the other side has shown that it has the keys.
    confirmed: bool,
}

impl Session {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.established)
    }
}

/// What came out of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the packet at the memory's beginning; 0 for a keepalive.
    pub length: usize,
    /// Whether it completed a handshake.
    pub completed: bool,
}

/// One peer's keys, sessions and timers.
pub struct Tunnel {
    noise: Tunn,
    index: u32,
    sessions: [Option<Session>; SESSIONS],
    /// The place of the session with which we send.
    current: usize,
    /// When the last initiation of the other side was taken.
    consumed: Option<Instant>,
    /// Whether a new session ought to be begun.
    rekey: bool,
    /// Whether the session in use already asked for that by receiving.
    asked_by_receiving: bool,
    staged: VecDeque<Box<[u8]>>,
    /// What is due when.
    pub timers: Timers,
    /// The entry in [`super::super::deadlines::Deadlines`] that counts.
    pub scheduled: Option<Instant>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("index", &self.index).field("timers", &self.timers).finish_non_exhaustive()
    }
}

/// What a new tunnel is made of.
pub struct Seed<'a> {
    /// Our key.
    pub secret: &'a x25519::StaticSecret,
    /// The other side's key.
    pub peer: [u8; 32],
    /// 24 bits, unique among the server's tunnels and unguessable.
    pub index: u32,
    /// Checks the first MAC, and limits nothing.
    pub limiter: Arc<RateLimiter>,
    /// Up to [`super::super::timeouts::REKEY_JITTER_MAX`].
    pub jitter: Duration,
}

impl Tunnel {
    /// A tunnel without a session.
    pub fn new(seed: Seed<'_>, now: Instant) -> Self {
        let peer = x25519::PublicKey::from(seed.peer);
        Self {
            noise: Tunn::new(seed.secret.clone(), peer, None, None, seed.index, Some(seed.limiter)),
            index: seed.index,
            sessions: [None; SESSIONS],
            current: 0,
            consumed: None,
            rekey: false,
            asked_by_receiving: false,
            staged: VecDeque::new(),
            timers: Timers::new(seed.jitter, now),
            scheduled: None,
        }
    }

    /// The upper 24 bits of its sessions' indices.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Answers an initiation; returns the answer's length.
    ///
    /// # Errors
    /// [`DropReason::OtherPeer`] for another peer's, and the reasons of what is replayed, forged or too soon.
    pub fn handle_initiation(
        &mut self,
        from: IpAddr,
        datagram: &[u8],
        room: Room<'_>,
        now: Instant,
    ) -> Result<usize, DropReason> {
        if self.consumed.is_some_and(|last| now.saturating_duration_since(last) < INITIATION_INTERVAL) {
            return Err(DropReason::PeerLimited);
        }
        self.wind_clock();
        let answer = written(self.noise.decapsulate(Some(from), datagram, room.memory()))?;
        let index = le32(answer, 4).ok_or(DropReason::Unexpected)?;
        let length = answer.len();
        self.consumed = Some(now);
        self.timers.handle_received();
        self.timers.handle_sent();
        self.timers.handle_derived(now);
        self.keep(Session { index, established: now, initiated: false, confirmed: false });
        Ok(length)
    }

    /// Takes the answer to our initiation; returns the length of the keepalive that confirms it.
    ///
    /// # Errors
    /// The reasons of what is forged or was not asked for.
    pub fn handle_response(
        &mut self,
        from: IpAddr,
        datagram: &[u8],
        room: Room<'_>,
        now: Instant,
    ) -> Result<usize, DropReason> {
        let index = le32(datagram, 8).ok_or(DropReason::NotWireGuard)?;
        self.wind_clock();
        let length = written(self.noise.decapsulate(Some(from), datagram, room.memory()))?.len();
        self.timers.handle_received();
        self.timers.handle_sent();
        self.timers.handle_derived(now);
        self.timers.handle_completed();
        self.keep(Session { index, established: now, initiated: true, confirmed: true });
        self.take_up(place(index), now);
        Ok(length)
    }

    /// Takes a cookie. It is authenticated, but says nothing about where the peer is.
    ///
    /// # Errors
    /// The reasons of what is forged or was not asked for.
    pub fn handle_cookie(&mut self, from: IpAddr, datagram: &[u8], room: Room<'_>) -> Result<(), DropReason> {
        match self.noise.decapsulate(Some(from), datagram, room.memory()) {
            TunnResult::Done => Ok(()),
            TunnResult::Err(error) => Err(reason(&error)),
            TunnResult::WriteToNetwork(_) | TunnResult::WriteToTunnelV4(..) | TunnResult::WriteToTunnelV6(..) => {
                Err(DropReason::Unexpected)
            }
        }
    }

    /// Opens a data message into the room.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] is authenticated all the same; every other reason means that nothing is proved.
    pub fn open(&mut self, datagram: &[u8], room: Room<'_>, now: Instant) -> Result<Opened, DropReason> {
        let index = le32(datagram, 4).ok_or(DropReason::NotWireGuard)?;
        let counter = datagram.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        if counter.is_none_or(|counter| counter >= REJECT_AFTER_MESSAGES) {
            return Err(DropReason::CounterExhausted);
        }
        let at = place(index);
        let session = self.sessions[at].filter(|session| session.index == index).ok_or(DropReason::UnknownIndex)?;
        if session.age(now) >= REJECT_AFTER_TIME {
            return Err(DropReason::SessionOld);
        }
        let length = match self.noise.decapsulate(None, datagram, room.memory()) {
            TunnResult::Done => Ok(0),
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => Ok(packet.len()),
            TunnResult::Err(WireGuardError::InvalidPacket) => Err(DropReason::Malformed),
            TunnResult::Err(error) => return Err(reason(&error)),
            TunnResult::WriteToNetwork(_) => return Err(DropReason::Unexpected),
        };
        let completed = self.note_received(session, at, now);
        if length != Ok(0) {
            self.timers.handle_received_data(now);
        }
        Ok(Opened { length: length?, completed })
    }

    fn note_received(&mut self, session: Session, at: usize, now: Instant) -> bool {
        self.timers.handle_received();
        self.take_up(at, now);
        let is_last_minute = session.age(now) + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT >= REJECT_AFTER_TIME;
        if session.initiated && at == self.current && is_last_minute && !self.asked_by_receiving {
            self.asked_by_receiving = true;
            self.rekey = true;
        }
        if session.confirmed {
            return false;
        }
        self.sessions[at] = Some(Session { confirmed: true, ..session });
        self.timers.handle_completed();
        true
    }

    /// Whether there is a session to send with.
    pub fn is_connected(&self, now: Instant) -> bool {
        self.sessions[self.current].is_some_and(|session| session.confirmed && session.age(now) < REJECT_AFTER_TIME)
    }

    /// Seals a packet, or an empty one; returns the datagram's length. The caller has asked [`Self::is_connected`].
    ///
    /// # Errors
    /// [`DropReason::QueueFull`] where `noise` has no session after all; it then keeps the packet itself.
    pub fn seal(&mut self, packet: &[u8], memory: &mut [u8], now: Instant) -> Result<usize, DropReason> {
        let room = Room::new(memory, packet.len()).ok_or(DropReason::OutboxFull)?;
        let length = match self.noise.encapsulate(packet, room.memory()) {
            TunnResult::WriteToNetwork(datagram) if datagram.first() == Some(&4) => datagram.len(),
            TunnResult::WriteToNetwork(_)
            | TunnResult::Done
            | TunnResult::Err(_)
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..) => {
                self.sessions[self.current] = None;
                return Err(DropReason::QueueFull);
            }
        };
        self.timers.handle_sent();
        if !packet.is_empty() {
            self.timers.handle_sent_data(now);
        }
        self.rekey |= self.sessions[self.current]
            .is_some_and(|session| session.initiated && session.age(now) >= REKEY_AFTER_TIME);
        Ok(length)
    }

    /// Keeps a packet until there is a session.
    ///
    /// # Errors
    /// [`DropReason::QueueFull`] where enough waits.
    pub fn stage(&mut self, packet: &[u8]) -> Result<(), DropReason> {
        if self.staged.len() >= STAGED_MAX {
            return Err(DropReason::QueueFull);
        }
        self.staged.push_back(packet.into());
        Ok(())
    }

    /// The next packet that waited.
    pub fn unstage(&mut self) -> Option<Box<[u8]>> {
        self.staged.pop_front()
    }

    /// Whether packets wait.
    pub fn has_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Forgets what waits: how many packets.
    pub fn drop_staged(&mut self) -> usize {
        std::mem::take(&mut self.staged).len()
    }

    /// Whether a new session ought to be begun, asked once.
    pub fn take_rekey(&mut self) -> bool {
        std::mem::take(&mut self.rekey)
    }

    /// Writes an initiation; returns its length, or `None` too soon after the last one.
    pub fn initiate(&mut self, room: Room<'_>, now: Instant) -> Option<usize> {
        if !self.timers.may_initiate(now) {
            return None;
        }
        let TunnResult::WriteToNetwork(datagram) = self.noise.format_handshake_initiation(room.memory(), true) else {
            return None;
        };
        self.timers.handle_initiated(now);
        Some(datagram.len())
    }

    fn keep(&mut self, session: Session) {
        self.sessions[place(session.index)] = Some(session);
    }

    /// Sends with this session from now on, unless the one in use is younger: `noise`'s own rule.
    fn take_up(&mut self, at: usize, now: Instant) {
        if at == self.current {
            return;
        }
        let newer = match (self.sessions[at], self.sessions[self.current]) {
            (Some(session), Some(current)) => {
                session.established >= current.established || current.age(now) >= REJECT_AFTER_TIME
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        if newer {
            self.current = at;
            self.asked_by_receiving = false;
        }
    }

    /// Lets `noise` look at its clock before it stamps a session, and throws away what its timers think is due.
    fn wind_clock(&mut self) {
        let mut unwanted = [0; HANDSHAKE + OVERHEAD];
        let _ = self.noise.update_timers(&mut unwanted);
    }
}

fn place(index: u32) -> usize {
    index as usize % SESSIONS
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

fn written(outcome: TunnResult<'_>) -> Result<&mut [u8], DropReason> {
    match outcome {
        TunnResult::WriteToNetwork(datagram) => Ok(datagram),
        TunnResult::Err(error) => Err(reason(&error)),
        TunnResult::Done | TunnResult::WriteToTunnelV4(..) | TunnResult::WriteToTunnelV6(..) => {
            Err(DropReason::Unexpected)
        }
    }
}

/// What an error of `noise` means for a datagram that had the right shape.
pub fn reason(error: &WireGuardError) -> DropReason {
    match error {
        WireGuardError::WrongKey => DropReason::OtherPeer,
        WireGuardError::InvalidCounter
        | WireGuardError::DuplicateCounter
        | WireGuardError::WrongTai64nTimestamp
        | WireGuardError::InvalidTai64nTimestamp => DropReason::Replayed,
        WireGuardError::InvalidMac => DropReason::WrongMac,
        WireGuardError::InvalidAeadTag => DropReason::Unauthentic,
        WireGuardError::WrongIndex | WireGuardError::NoCurrentSession => DropReason::UnknownIndex,
        WireGuardError::UnderLoad => DropReason::UnderLoad,
        WireGuardError::InvalidPacket
        | WireGuardError::IncorrectPacketLength
        | WireGuardError::WrongPacketType
        | WireGuardError::DestinationBufferTooSmall => DropReason::NotWireGuard,
        WireGuardError::UnexpectedPacket | WireGuardError::LockFailed | WireGuardError::ConnectionExpired => {
            DropReason::Unexpected
        }
    }
}
