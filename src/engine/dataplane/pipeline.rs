//! THE road: a client's packet up, a packet for a client down.
//!
//! ```text
//! up    datagram → open → account → route ─┬─ own address → answer → down
//!                                          ├─ another client ─────→ down
//!                                          └─ outside → out
//! down  packet → fit → seal → out
//! ```
//!
//! Each stage is called from here, none calls another. What ends on the way ends for a named reason, counted here.

use std::net::IpAddr;
use std::time::Instant;

use boringtun::noise::{Packet, Tunn};

use super::around::{Around, Parcel};
use super::greet::Arrival;
use super::link::room::Room;
use super::route::Route;
use super::verdict::DropReason;
use super::{Dataplane, account, icmp, route};
use crate::engine::outbox::Endpoint;
use crate::engine::packet::{Offload, Owner};
use crate::engine::wire::{Ip, Ipv4, Ipv6, answer, icmp::write_error};

/// What stands between a packet from a client and its length in the scratch memory.
struct Up {
    owner: Owner,
    length: usize,
}

impl Dataplane {
    /// Takes a datagram from the door. What leaves the tunnel for the outside goes on by `around`; all else that follows
    /// from it (answers, packets to other clients, handshakes) is in the outbox.
    pub fn handle_datagram(&mut self, from: Endpoint, datagram: &[u8], around: &mut Around<'_>, now: Instant) {
        let outcome = self.up(from, datagram, Arrival::ByDoor, around, now);
        self.settle(outcome);
    }

    /// Takes a packet for a client from the uplink.
    pub fn handle_down(&mut self, owner: Owner, packet: &[u8], around: &mut Around<'_>, now: Instant) {
        let outcome = self.down(owner, packet, around, now);
        self.settle(outcome);
    }

    /// Takes what another worker hands over, and hands nothing on.
    pub fn handle_parcel(&mut self, parcel: Parcel<'_>, around: &mut Around<'_>, now: Instant) {
        let outcome = match parcel {
            Parcel::Datagram { from, bytes } => self.up(from, bytes, Arrival::HandedOver, around, now),
            Parcel::Crossing { packet, .. } | Parcel::Arrival { packet, .. } => self.arrive(packet, around, now),
        };
        self.settle(outcome);
    }

    /// The one place where an end for a reason is counted.
    fn settle(&mut self, outcome: Result<(), DropReason>) {
        if let Err(reason) = outcome {
            self.drops.count(reason);
        }
    }

    fn up(
        &mut self,
        from: Endpoint,
        datagram: &[u8],
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let Some(up) = self.open(from, datagram, arrival, around, now)? else { return Ok(()) };
        // out of `self` while stages borrow it; nothing is allocated
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.forward(up.owner, &mut scratch[..up.length], around, now);
        self.scratch = scratch;
        outcome
    }

    /// Opens a datagram into the scratch memory; `None` for handshakes and keepalives.
    fn open(
        &mut self,
        from: Endpoint,
        datagram: &[u8],
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<Option<Up>, DropReason> {
        let index = match Tunn::parse_incoming_packet(datagram) {
            Ok(Packet::PacketData(message)) => message.receiver_idx,
            Ok(_) => return self.greet(from, datagram, arrival, around, now).map(|()| None),
            Err(_) => return Err(DropReason::NotWireGuard),
        };
        let owner = self.peers.with_session(index).ok_or(DropReason::UnknownIndex)?;
        let tunnel = self.peers.tunnel_mut(owner).ok_or(DropReason::UnknownIndex)?;
        let room = Room::new(&mut self.scratch, datagram.len()).ok_or(DropReason::NotWireGuard)?;
        let opened = tunnel.open(datagram, room, now);
        if matches!(opened, Ok(_) | Err(DropReason::Malformed)) {
            self.peers.roam(owner, from);
        }
        let opened = opened?;
        self.after_receiving(owner, opened.completed, around, now);
        Ok((opened.length > 0).then_some(Up { owner, length: opened.length }))
    }

    /// Sends a packet of a client on its way.
    fn forward(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        let destination = ip.destination();
        self.admit(owner, ip.source(), ip.total_len())?;
        let outcome = match route::find(&self.plan, &self.peers, &self.away, destination) {
            Ok(Route::Own) => self.answer(owner, packet, around, now),
            Ok(Route::Peer(target)) => self.cross(target, packet, around, now),
            Ok(Route::Away(key)) => {
                let home = self.seat.home(key);
                cross_elsewhere(home, packet, around)
            }
            Ok(Route::Outside) => check_hops(packet).map(|()| around.beyond.outward(owner, packet, Offload::NONE)),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            self.complain(owner, reason, packet, around, now);
        }
        outcome
    }

    /// Checks whose packet it is and counts it.
    fn admit(&mut self, owner: Owner, source: IpAddr, length: usize) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(owner).ok_or(DropReason::PeerGone)?;
        account::check_source(&self.plan, &peer.account, source)?;
        peer.received += length as u64;
        Ok(())
    }

    /// From client to client, as any router would.
    fn cross(
        &mut self,
        target: Owner,
        packet: &mut [u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        check_hops(packet)?;
        take_hop(packet);
        self.down(target, packet, around, now)
    }

    /// From a client at another worker to one of ours.
    fn arrive(&mut self, packet: &[u8], around: &mut Around<'_>, now: Instant) -> Result<(), DropReason> {
        let destination = Ip::new(packet).map_err(|_| DropReason::Malformed)?.destination();
        let target = self.peers.at_address(&self.plan, destination).ok_or(DropReason::NobodyThere)?;
        self.down(target, packet, around, now)
    }

    /// Answers a packet for the server's own address.
    fn answer(
        &mut self,
        owner: Owner,
        question: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let mut memory = std::mem::take(&mut self.answer);
        let written = Ip::new(question).ok().and_then(|question| answer::write(&mut memory, &question));
        let outcome = match written {
            Some(length) => self.down(owner, &memory[..length], around, now),
            None => Err(DropReason::Unanswered),
        };
        self.answer = memory;
        outcome
    }

    /// Tells a client why its packet went no further, where a router would.
    fn complain(&mut self, owner: Owner, reason: DropReason, about: &[u8], around: &mut Around<'_>, now: Instant) {
        let Some(complaint) = icmp::complaint(reason, self.plan.mtu) else { return };
        let Ok(about) = Ip::new(about) else { return };
        let Some(own) = self.plan.own_beside(about.source()) else { return };
        if !self.complaints.admit(now) {
            return;
        }
        let mut memory = std::mem::take(&mut self.answer);
        if let Some(length) = write_error(&mut memory, complaint, own, &about) {
            self.handle_down(owner, &memory[..length], around, now);
        }
        self.answer = memory;
    }

    fn down(&mut self, owner: Owner, packet: &[u8], around: &mut Around<'_>, now: Instant) -> Result<(), DropReason> {
        if packet.len() > self.plan.mtu {
            return Err(DropReason::TooBig);
        }
        let endpoint = self.reach(owner, now)?;
        if !self.peers.tunnel_mut(owner).is_some_and(|tunnel| tunnel.is_connected(now)) {
            return self.hold(owner, packet, around, now);
        }
        let length = self.seal(owner, packet, around, now)?;
        around.outbox.commit(endpoint, length);
        self.after_sending(owner, around, now);
        Ok(())
    }
}

/// From client to client at another worker.
fn cross_elsewhere(home: u8, packet: &mut [u8], around: &mut Around<'_>) -> Result<(), DropReason> {
    check_hops(packet)?;
    take_hop(packet);
    let taken = around.beyond.elsewhere(home, Parcel::Crossing { packet, offload: Offload::NONE });
    if taken { Ok(()) } else { Err(DropReason::HandOverFull) }
}

/// Whether a router may send it on.
fn check_hops(packet: &[u8]) -> Result<(), DropReason> {
    let left = match Ipv4::new(packet) {
        Ok(view) => view.ttl(),
        Err(_) => Ipv6::new(packet).map_err(|_| DropReason::Malformed)?.hop_limit(),
    };
    if left <= 1 { Err(DropReason::TimeExceeded) } else { Ok(()) }
}

/// Takes one hop from what has more than one left.
fn take_hop(packet: &mut [u8]) {
    if let Ok(mut view) = Ipv4::new(&mut *packet) {
        let left = view.ttl();
        view.set_ttl(left.saturating_sub(1));
    } else if let Ok(mut view) = Ipv6::new(packet) {
        let left = view.hop_limit();
        view.set_hop_limit(left.saturating_sub(1));
    }
}
