//! Making, using and forgetting tunnels: the stages at the road's two ends, and what time asks for.

use std::time::Instant;

use super::Dataplane;
use super::around::Around;
use super::link::room::{HANDSHAKE, Room};
use super::link::timers::Due;
use super::link::wireguard::{Seed, Tunnel};
use super::timeouts::REKEY_JITTER_MAX;
use super::verdict::DropReason;
use crate::engine::outbox::Endpoint;
use crate::engine::packet::Owner;

/// How many deadlines are worked on in one call, so that a crowd of peers does not starve the road.
const DEADLINES_AT_ONCE: usize = 256;
/// What a plaintext is padded to (paper, section 5.4.6).
const PADDING: usize = 16;

impl Dataplane {
    /// Does what peers' timers ask for, a bounded number of them.
    pub(super) fn handle_peers_due(&mut self, around: &mut Around<'_>, now: Instant) {
        for _ in 0..DEADLINES_AT_ONCE {
            if !around.outbox.has_room(HANDSHAKE) {
                return;
            }
            let Some((at, owner)) = self.deadlines.pop_due(now) else { return };
            let Some(tunnel) = self.peers.tunnel_mut(owner) else { continue };
            if tunnel.scheduled == Some(at) {
                tunnel.scheduled = None;
                self.handle_due(owner, around, now);
                self.schedule(owner);
            }
        }
    }

    fn handle_due(&mut self, owner: Owner, around: &mut Around<'_>, now: Instant) {
        while let Some(due) = self.peers.tunnel_mut(owner).and_then(|tunnel| tunnel.timers.poll_due(now)) {
            match due {
                Due::Initiate => self.initiate(owner, around, now),
                Due::Keepalive => self.keep_alive(owner, around, now),
                Due::GiveUp => self.give_up(owner, now),
                Due::Forget => {
                    self.close_peer(owner, DropReason::HandshakeUnanswered);
                }
            }
        }
    }

    fn keep_alive(&mut self, owner: Owner, around: &mut Around<'_>, now: Instant) {
        // without a session there is nothing left to acknowledge
        if !self.peers.tunnel_mut(owner).is_some_and(|tunnel| tunnel.is_connected(now)) {
            return;
        }
        let Some(endpoint) = self.peers.get(owner).and_then(|peer| peer.endpoint) else { return };
        if let Ok(length) = self.seal(owner, &[], around, now) {
            around.outbox.commit(endpoint, length);
        }
    }

    fn give_up(&mut self, owner: Owner, now: Instant) {
        self.drop_staged(owner, DropReason::HandshakeUnanswered);
        if self.peers.tunnel_mut(owner).is_some_and(|tunnel| !tunnel.is_connected(now)) {
            self.peers.close(owner);
        }
    }

    /// Forgets a peer's keys and timers, and what waited for them; returns whether there were any.
    pub(super) fn close_peer(&mut self, owner: Owner, reason: DropReason) -> bool {
        self.drop_staged(owner, reason);
        self.peers.close(owner)
    }

    /// Forgets what waits for a peer's handshake.
    pub(super) fn drop_staged(&mut self, owner: Owner, reason: DropReason) {
        let waited = self.peers.tunnel_mut(owner).map_or(0, Tunnel::drop_staged);
        for _ in 0..waited {
            self.drops.count(reason);
        }
    }

    /// Finds where a peer is, and makes its tunnel if it has none.
    pub(super) fn reach(&mut self, owner: Owner, now: Instant) -> Result<Endpoint, DropReason> {
        let peer = self.peers.get(owner).filter(|peer| peer.account.enabled).ok_or(DropReason::PeerGone)?;
        let endpoint = peer.endpoint.ok_or(DropReason::NoEndpoint)?;
        if peer.tunnel.is_none() {
            self.make_tunnel(owner, now);
        }
        Ok(endpoint)
    }

    /// Gives a peer a tunnel without a session.
    pub(super) fn make_tunnel(&mut self, owner: Owner, now: Instant) {
        let Some(peer) = self.peers.get(owner) else { return };
        let mut index = self.seat.index((self.entropy)());
        while !self.peers.is_index_free(index) {
            index = self.seat.index((self.entropy)());
        }
        let jitter = REKEY_JITTER_MAX.mul_f64(f64::from((self.entropy)()) / f64::from(u32::MAX));
        let seed = Seed {
            secret: &self.plan.secret,
            peer: *peer.account.public_key.as_bytes(),
            index,
            limiter: self.limiter.calm(),
            jitter,
        };
        let tunnel = Box::new(Tunnel::new(seed, now));
        self.peers.open(owner, tunnel);
        self.deadlines.make_room();
        self.schedule(owner);
    }

    /// Seals a packet into the outbox's room; returns the datagram's length, to be committed.
    pub(super) fn seal(
        &mut self,
        owner: Owner,
        packet: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<usize, DropReason> {
        let peer = self.peers.get_mut(owner).ok_or(DropReason::PeerGone)?;
        let tunnel = peer.tunnel.as_deref_mut().ok_or(DropReason::PeerGone)?;
        // never beyond the MTU: a full packet stays as it is
        let length = packet.len().next_multiple_of(PADDING).min(self.plan.mtu).max(packet.len());
        let padded = if length == packet.len() {
            packet
        } else {
            self.padded[..packet.len()].copy_from_slice(packet);
            self.padded[packet.len()..length].fill(0);
            &self.padded[..length]
        };
        let memory = around.outbox.room(Room::needed(length)).ok_or(DropReason::OutboxFull)?;
        let length = tunnel.seal(padded, memory, now)?;
        peer.sent += packet.len() as u64;
        // an empty one is a keepalive
        peer.sent_packets += u64::from(!packet.is_empty());
        Ok(length)
    }

    /// Keeps a packet for a peer without a session, and begins one.
    pub(super) fn hold(
        &mut self,
        owner: Owner,
        packet: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        self.peers.tunnel_mut(owner).ok_or(DropReason::PeerGone)?.stage(packet)?;
        self.initiate(owner, around, now);
        self.schedule(owner);
        Ok(())
    }

    /// Sends an initiation, unless the last one is too recent or nobody knows where to.
    pub(super) fn initiate(&mut self, owner: Owner, around: &mut Around<'_>, now: Instant) {
        let Some(peer) = self.peers.get_mut(owner) else { return };
        let (Some(endpoint), Some(tunnel)) = (peer.endpoint, peer.tunnel.as_deref_mut()) else { return };
        let Some(room) = around.outbox.room(Room::needed(0)).and_then(|memory| Room::new(memory, 0)) else { return };
        if let Some(length) = tunnel.initiate(room, now) {
            around.outbox.commit(endpoint, length);
        }
    }

    /// What follows from something authenticated: a completed handshake, what waited for it, a new session in time.
    pub(super) fn after_receiving(&mut self, owner: Owner, completed: bool, around: &mut Around<'_>, now: Instant) {
        if completed && let Some(peer) = self.peers.get_mut(owner) {
            peer.last_handshake = Some(now);
            self.traffic.handshakes += 1;
        }
        if self.peers.tunnel_mut(owner).is_some_and(|tunnel| tunnel.has_staged()) {
            self.release(owner, around, now);
        }
        self.after_sending(owner, around, now);
    }

    /// What follows from a datagram to a peer: a new session in time, and its timers.
    pub(super) fn after_sending(&mut self, owner: Owner, around: &mut Around<'_>, now: Instant) {
        if self.peers.tunnel_mut(owner).is_some_and(Tunnel::take_rekey) {
            self.initiate(owner, around, now);
        }
        self.schedule(owner);
    }

    /// Sends what waited, as far as the outbox has room.
    fn release(&mut self, owner: Owner, around: &mut Around<'_>, now: Instant) {
        let Some(endpoint) = self.peers.get(owner).and_then(|peer| peer.endpoint) else { return };
        while around.outbox.has_room(Room::needed(self.plan.mtu)) {
            let Some(tunnel) = self.peers.tunnel_mut(owner).filter(|tunnel| tunnel.is_connected(now)) else { return };
            let Some(packet) = tunnel.unstage() else { return };
            match self.seal(owner, &packet, around, now) {
                Ok(length) => around.outbox.commit(endpoint, length),
                Err(reason) => self.drops.count(reason),
            }
        }
    }

    /// Enters a peer's next deadline, unless an earlier one stands.
    pub(super) fn schedule(&mut self, owner: Owner) {
        let Some(tunnel) = self.peers.tunnel_mut(owner) else { return };
        let next = tunnel.timers.next();
        if tunnel.scheduled.is_none_or(|at| next < at) {
            tunnel.scheduled = Some(next);
            self.deadlines.push(next, owner);
        }
    }
}
