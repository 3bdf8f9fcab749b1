//! Handshakes: who speaks, what it may cost, and the answer.

use std::net::IpAddr;
use std::time::Instant;

use boringtun::noise::Packet;
use boringtun::noise::Tunn;
use boringtun::noise::handshake::parse_handshake_anon;

use super::Dataplane;
use super::around::{Around, Parcel};
use super::limiter::Admission;
use super::link::room::Room;
use super::verdict::DropReason;
use crate::domain::key::PublicKey;
use crate::engine::outbox::Endpoint;
use crate::engine::packet::Owner;

/// How a datagram came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// By this worker's own door.
    ByDoor,
    /// From another worker, at whose door it came in.
    HandedOver,
}

impl Dataplane {
    /// Takes a message that is no data. Nothing goes out but answers to what is authentic, and cookies under load.
    pub(super) fn greet(
        &mut self,
        from: Endpoint,
        datagram: &[u8],
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let packet = Tunn::parse_incoming_packet(datagram).map_err(|_| DropReason::NotWireGuard)?;
        if let Packet::PacketCookieReply(reply) = packet {
            return self.take_cookie(from.remote.ip(), reply.receiver_idx, datagram);
        }
        match self.limiter.admit(from.remote.ip(), datagram, now) {
            Admission::Pass(Packet::HandshakeInit(_)) => self.meet(from, datagram, arrival, around, now),
            Admission::Pass(Packet::HandshakeResponse(response)) => {
                self.confirm(from, response.receiver_idx, datagram, around, now)
            }
            Admission::Pass(_) => Err(DropReason::Unexpected),
            Admission::Cookie(cookie) => {
                around.outbox.push(from, &cookie);
                Err(DropReason::UnderLoad)
            }
            Admission::Refuse(reason) => Err(reason),
        }
    }

    fn take_cookie(&mut self, from: IpAddr, index: u32, datagram: &[u8]) -> Result<(), DropReason> {
        let owner = self.peers.with_session(index).ok_or(DropReason::UnknownIndex)?;
        let tunnel = self.peers.tunnel_mut(owner).ok_or(DropReason::UnknownIndex)?;
        let room = Room::new(&mut self.scratch, datagram.len()).ok_or(DropReason::NotWireGuard)?;
        tunnel.handle_cookie(from, datagram, room)
    }

    /// Takes the answer to our initiation.
    fn confirm(
        &mut self,
        from: Endpoint,
        index: u32,
        datagram: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let owner = self.peers.with_session(index).ok_or(DropReason::UnknownIndex)?;
        let tunnel = self.peers.tunnel_mut(owner).ok_or(DropReason::UnknownIndex)?;
        let memory = around.outbox.room(Room::needed(0)).ok_or(DropReason::OutboxFull)?;
        let room = Room::new(memory, 0).ok_or(DropReason::OutboxFull)?;
        let length = tunnel.handle_response(from.remote.ip(), datagram, room, now)?;
        around.outbox.commit(from, length);
        self.peers.roam(owner, from);
        self.after_receiving(owner, true, around, now);
        Ok(())
    }

    /// Finds out who begins a handshake, and answers.
    fn meet(
        &mut self,
        from: Endpoint,
        datagram: &[u8],
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        // whoever spoke from there last most likely speaks again: that saves the agreement on a key that only tells who
        // it is. A wrong guess costs as much and changes nothing.
        if let Some(owner) = self.peers.hinted(from.remote) {
            match self.respond(owner, from, datagram, around, now) {
                Err(DropReason::OtherPeer | DropReason::PeerLimited | DropReason::UnknownPeer) => {}
                outcome => return outcome,
            }
        }
        let key = self.identify(datagram)?;
        let Some(owner) = self.peers.with_key(&key) else {
            if arrival == Arrival::HandedOver || !self.away.has_key(&key) {
                return Err(DropReason::UnknownPeer);
            }
            let parcel = Parcel::Datagram { from, bytes: datagram };
            let taken = around.beyond.elsewhere(self.seat.home(&key), parcel);
            return if taken { Ok(()) } else { Err(DropReason::HandOverFull) };
        };
        let stranger = self.peers.get(owner).is_none_or(|peer| peer.tunnel.is_none());
        if stranger {
            self.make_tunnel(owner, now);
        }
        let outcome = self.respond(owner, from, datagram, around, now);
        if stranger && outcome.is_err() {
            // anybody who knows two public keys comes this far
            self.peers.close(owner);
        }
        outcome
    }

    fn identify(&self, datagram: &[u8]) -> Result<PublicKey, DropReason> {
        let Ok(Packet::HandshakeInit(initiation)) = Tunn::parse_incoming_packet(datagram) else {
            return Err(DropReason::NotWireGuard);
        };
        let half = parse_handshake_anon(&self.plan.secret, &self.plan.public, &initiation)
            .map_err(|_| DropReason::Unauthentic)?;
        Ok(PublicKey::from_bytes(half.peer_static_public))
    }

    /// Answers an initiation as this peer's.
    fn respond(
        &mut self,
        owner: Owner,
        from: Endpoint,
        datagram: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let tunnel = self.peers.tunnel_mut(owner).ok_or(DropReason::UnknownPeer)?;
        let memory = around.outbox.room(Room::needed(0)).ok_or(DropReason::OutboxFull)?;
        let room = Room::new(memory, 0).ok_or(DropReason::OutboxFull)?;
        let length = tunnel.handle_initiation(from.remote.ip(), datagram, room, now)?;
        around.outbox.commit(from, length);
        // the peer has moved only when it shows the new keys: this may be somebody who repeats what he overheard, once
        // the tunnel that would know it again has been forgotten
        self.peers.note_hint(owner, from.remote);
        self.schedule(owner);
        Ok(())
    }
}
