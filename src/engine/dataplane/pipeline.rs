//! THE road: a client's packet up, a packet for a client down.
//!
//! ```text
//! up       datagram → open → account → flow ─┬─ known ─────────┬→ translate → shape → out
//!                                            └─ new: decide ───┤
//! across   ...                                                 ├→ shape → down
//! arrival  packet from outside → flow ───────┬─ known ─────────┼→ translate → shape → down
//!                                            └─ new: decide ───┘
//! down     fit → seal → door
//! ```
//!
//! Each stage is called from here, none calls another. What ends on the way ends for a named reason, counted here. What
//! is decided once a flow is in `decide.rs`; packets that have no flow are in `flowless.rs`.

use std::net::IpAddr;
use std::time::Instant;

use boringtun::noise::{Packet, Tunn};

use super::around::{Around, Parcel};
use super::flow::{FlowId, Side, TcpMark, Way};
use super::greet::Arrival;
use super::link::room::Room;
use super::log::is_invalid;
use super::shape::Direction;
use super::verdict::DropReason;
use super::waybill::{Next, Tally, Waybill, check_hops};
use super::{Dataplane, account, icmp, nat};
use crate::domain::traffic_log::Tracked;
use crate::engine::outbox::Endpoint;
use crate::engine::packet::{Offload, Owner};
use crate::engine::wire::tcp::Tcp;
use crate::engine::wire::{FlowKey, Ip, ip::take_hop, protocol};

impl Dataplane {
    /// Takes a datagram from the door. What follows from it is in the outbox or has gone on by `around`, at the latest
    /// with [`Self::handle_batch_end`].
    pub fn handle_datagram(&mut self, from: Endpoint, datagram: &[u8], around: &mut Around<'_>, now: Instant) {
        if around.outbox.is_tight() {
            around.beyond.make_room(around.outbox);
        }
        let outcome = self.up(from, datagram, Arrival::ByDoor, around, now);
        self.settle(outcome);
    }

    /// Nothing more comes for now: what was held back to become part of a super-packet goes on.
    pub fn handle_batch_end(&mut self, around: &mut Around<'_>, now: Instant) {
        let Some(mut merge) = self.merge.take() else { return };
        merge.flush(|packet, offload, owner| self.take_up(owner, packet, offload, around, now));
        self.merge = Some(merge);
    }

    /// Takes a packet for a client from the uplink that ends flows itself (`engine/flows`).
    pub fn handle_down(&mut self, owner: Owner, packet: &mut [u8], around: &mut Around<'_>, now: Instant) {
        let outcome = self.take_down(owner, packet, around, now);
        self.settle(outcome);
    }

    /// Takes a packet from outside as it came in, for an external address and port of this server or one of its clients.
    pub fn handle_arrival(&mut self, packet: &mut [u8], offload: Offload, around: &mut Around<'_>, now: Instant) {
        let outcome = self.arrive_from_outside(packet, offload, Arrival::ByDoor, around, now);
        self.settle(outcome);
    }

    /// Takes a packet of the host for a client.
    pub fn handle_host(&mut self, packet: &mut [u8], offload: Offload, around: &mut Around<'_>, now: Instant) {
        let outcome = self.take_output(packet, offload, Arrival::ByDoor, around, now);
        self.settle(outcome);
    }

    /// Takes what another worker hands over, and hands nothing on.
    pub fn handle_parcel(&mut self, parcel: Parcel<'_>, around: &mut Around<'_>, now: Instant) {
        let outcome = match parcel {
            Parcel::Datagram { from, bytes } => self.up(from, bytes, Arrival::HandedOver, around, now),
            Parcel::Crossing { packet, offload } => {
                self.with_copy(packet, |plane, packet| plane.arrive(packet, offload, Arrival::HandedOver, around, now))
            }
            Parcel::Arrival { packet, offload } => self.with_copy(packet, |plane, packet| {
                plane.arrive_from_outside(packet, offload, Arrival::HandedOver, around, now)
            }),
            Parcel::FromHost { packet, offload } => self.with_copy(packet, |plane, packet| {
                plane.take_output(packet, offload, Arrival::HandedOver, around, now)
            }),
        };
        self.settle(outcome);
        self.handle_batch_end(around, now);
    }

    fn with_copy<T>(&mut self, packet: &[u8], call: impl FnOnce(&mut Self, &mut [u8]) -> T) -> T {
        let mut memory = std::mem::take(&mut self.scratch);
        memory[..packet.len()].copy_from_slice(packet);
        let outcome = call(self, &mut memory[..packet.len()]);
        self.scratch = memory;
        outcome
    }

    /// The one place where an end for a reason is counted.
    pub(super) fn settle(&mut self, outcome: Result<(), DropReason>) {
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
        let index = match Tunn::parse_incoming_packet(datagram) {
            Ok(Packet::PacketData(message)) => message.receiver_idx,
            Ok(_) => return self.greet(from, datagram, arrival, around, now),
            Err(_) => return Err(DropReason::NotWireGuard),
        };
        let owner = self.peers.with_session(index).ok_or(DropReason::UnknownIndex)?;
        // out of `self` while stages borrow it; nothing is allocated
        if let Some(mut merge) = self.merge.take() {
            let opened = self.open(owner, from, datagram, merge.room(), around, now);
            let outcome = opened.map(|length| {
                merge.accept(length, owner, |packet, offload, owner| {
                    self.take_up(owner, packet, offload, around, now);
                });
            });
            merge.abandon();
            self.merge = Some(merge);
            return outcome;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.open(owner, from, datagram, &mut scratch, around, now).map(|length| {
            if length > 0 {
                self.take_up(owner, &mut scratch[..length], Offload::NONE, around, now);
            }
        });
        self.scratch = scratch;
        outcome
    }

    /// Opens a datagram into memory; the length of what was in it, 0 for a keepalive.
    fn open(
        &mut self,
        owner: Owner,
        from: Endpoint,
        datagram: &[u8],
        memory: &mut [u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<usize, DropReason> {
        let tunnel = self.peers.tunnel_mut(owner).ok_or(DropReason::UnknownIndex)?;
        let room = Room::new(memory, datagram.len()).ok_or(DropReason::NotWireGuard)?;
        let opened = tunnel.open(datagram, room, now);
        if matches!(opened, Ok(_) | Err(DropReason::Malformed)) {
            self.peers.roam(owner, from);
        }
        let opened = opened?;
        if opened.length > 0
            && let Some(peer) = self.peers.get_mut(owner)
        {
            peer.spoke_esp = false;
        }
        self.after_receiving(owner, opened.completed, around, now);
        Ok(opened.length)
    }

    /// Takes a client's packet out of its tunnel; tells the client where it ends, if a router would.
    pub(super) fn take_up(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        offload: Offload,
        around: &mut Around<'_>,
        now: Instant,
    ) {
        let outcome = self.admit(owner, packet, offload).and_then(|is_fragment| {
            if is_fragment {
                self.gather(owner, packet, around, now)
            } else {
                self.forward(owner, packet, Waybill::new(offload), around, now)
            }
        });
        if let Err(reason) = outcome {
            if is_invalid(reason) {
                self.log_from_client(Tracked::Invalid, owner, packet, now);
            }
            self.complain(owner, reason, packet, around, now);
        }
        self.settle(outcome);
    }

    /// Checks whose packet it is and counts it; whether it is a part of a larger one.
    fn admit(&mut self, owner: Owner, packet: &[u8], offload: Offload) -> Result<bool, DropReason> {
        let ip = Ip::new(packet).map_err(|_| DropReason::Malformed)?;
        let peer = self.peers.get_mut(owner).ok_or(DropReason::PeerGone)?;
        account::check_source(&self.plan, &peer.account, ip.source())?;
        let tally = Tally::of(&ip, offload);
        peer.received += tally.bytes as u64;
        peer.received_packets += u64::from(tally.packets);
        Ok(ip.transport().fragment)
    }

    /// Puts a client's fragments together before anything is decided.
    fn gather(&mut self, owner: Owner, packet: &[u8], around: &mut Around<'_>, now: Instant) -> Result<(), DropReason> {
        match self.put_together(owner, packet, now)? {
            Some(mut whole) => self.forward(owner, &mut whole, Waybill::gathered(), around, now),
            None => Ok(()),
        }
    }

    /// Sends a packet of a client on its way.
    fn forward(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        let Some(key) = FlowKey::of(&ip).map_err(|_| DropReason::Malformed)? else {
            return self.forward_flowless(owner, packet, bill, around, now);
        };
        let (id, side) = match self.current(&key, around, now)? {
            Some(found) => found,
            None => (self.decide_up(owner, &key, &ip, around, now)?, Side::Original),
        };
        let way = self.note(id, side, &ip, bill.offload, now)?;
        let translated = self.flows.get(id).and_then(|flow| flow.translated(side));
        let bill = bill.of_flow(id);
        match (way, side) {
            (Way::Out, Side::Original) | (Way::In, Side::Reply) => {
                check_hops(packet)?;
                if self.exit.takes_packets() {
                    nat::clamp_mss(packet, bill.offload, self.mtu_of(owner));
                }
                if let Some(key) = translated {
                    nat::translate(packet, bill.offload, &key)?;
                }
                self.leave(owner, packet, bill, around, now)
            }
            (Way::Across(target), Side::Original) => self.cross(owner, target, packet, bill, around, now),
            (Way::Across(_), Side::Reply) => {
                let target = self.flows.get(id).map(|flow| flow.owner).ok_or(DropReason::PeerGone)?;
                self.cross(owner, target, packet, bill, around, now)
            }
            (Way::Own, _) => self.serve(owner, id, packet, bill, around, now),
            (Way::Out, Side::Reply) | (Way::In, Side::Original) => Err(DropReason::SourceForged),
        }
    }

    /// Counts a packet of a flow; the flow's way.
    fn note(
        &mut self,
        id: FlowId,
        side: Side,
        ip: &Ip<&[u8]>,
        offload: Offload,
        now: Instant,
    ) -> Result<Way, DropReason> {
        let is_tcp = ip.transport().protocol == protocol::TCP;
        let mark = is_tcp.then(|| Tcp::new(ip.payload()).ok()).flatten().map(|segment| TcpMark::of(&segment));
        let tally = Tally::of(ip, offload);
        if self.flows.note(id, side, mark.as_ref(), tally.packets, tally.bytes, now) {
            self.log_ends(None);
            self.log_begin(id, ip);
        }
        let flow = self.flows.get(id).ok_or(DropReason::PeerGone)?;
        if let Some(rule) = flow.rule {
            self.filter.count(rule, tally.packets.into(), tally.bytes as u64);
        }
        match flow.way {
            Way::Across(_) => self.traffic.internal.add(tally),
            Way::Out | Way::In if flow.is_translated() || !self.exit.takes_packets() => {
                self.traffic.count_translated(flow.original().source.is_ipv4(), tally);
            }
            Way::Out | Way::In | Way::Own => {}
        }
        Ok(flow.way)
    }

    /// Outward, or to a client who lives at another worker.
    pub(super) fn leave(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let destination = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?.destination();
        let next = if self.plan.is_inside(destination) {
            let key = self.away.at_address(&self.plan, destination).ok_or(DropReason::NobodyThere)?;
            take_hop(packet);
            Next::Elsewhere(self.seat.home(key))
        } else {
            Next::Outward
        };
        self.shape(owner, Direction::Upload, packet, bill.next(next), around, now)
    }

    /// From client to client, as any router would.
    pub(super) fn cross(
        &mut self,
        owner: Owner,
        target: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        check_hops(packet)?;
        bill.check_size(packet, self.plan.mtu)?;
        self.check_reachable(target)?;
        take_hop(packet);
        self.shape(owner, Direction::Upload, packet, bill.next(Next::Across(target)), around, now)
    }

    /// From outside: nobody there has an address of the clients' network.
    fn arrive_from_outside(
        &mut self,
        packet: &mut [u8],
        offload: Offload,
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let source = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?.source();
        if self.plan.is_inside(source) {
            return Err(DropReason::SourceForged);
        }
        let outcome = self.arrive(packet, offload, arrival, around, now);
        if outcome.is_err_and(is_invalid) {
            self.log_to_client(Tracked::Invalid, None, packet, now);
        }
        outcome
    }

    /// From outside, or from a client at another worker, to a client of ours.
    fn arrive(
        &mut self,
        packet: &mut [u8],
        offload: Offload,
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        if ip.transport().fragment {
            // of nobody yet: whose it is shows when it is whole
            return match self.put_together(Owner(u32::MAX), packet, now)? {
                Some(mut whole) => self.enter(&mut whole, Waybill::gathered(), arrival, around, now),
                None => Ok(()),
            };
        }
        self.enter(packet, Waybill::new(offload), arrival, around, now)
    }

    fn enter(
        &mut self,
        packet: &mut [u8],
        bill: Waybill,
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        let Some(key) = FlowKey::of(&ip).map_err(|_| DropReason::Malformed)? else {
            return self.enter_flowless(packet, bill, around, now);
        };
        let (id, side) = match self.current(&key, around, now)? {
            Some(found) => found,
            None => match self.decide_in(&key, &ip, around, now)? {
                Ok(id) => (id, Side::Original),
                Err(home) if arrival == Arrival::ByDoor => {
                    let taken = around.beyond.elsewhere(home, Parcel::Arrival { packet, offload: bill.offload });
                    return if taken { Ok(()) } else { Err(DropReason::HandOverFull) };
                }
                Err(_) => return Err(DropReason::NobodyThere),
            },
        };
        let flow = self.flows.get(id).ok_or(DropReason::PeerGone)?;
        let (way, mtu) = (flow.way, self.mtu_of(flow.owner));
        // what a client says comes by his tunnel, whatever name it has outside
        if !matches!((way, side), (Way::Out, Side::Reply) | (Way::In, Side::Original)) {
            return Err(DropReason::SourceForged);
        }
        if let Err(reason) = bill.check_size(packet, mtu) {
            self.complain_outward((reason, mtu), packet, around, now);
            return Err(reason);
        }
        self.note(id, side, &ip, bill.offload, now)?;
        let flow = self.flows.get(id).ok_or(DropReason::PeerGone)?;
        let (owner, translated) = (flow.owner, flow.translated(side));
        nat::clamp_mss(packet, bill.offload, mtu);
        if let Some(key) = translated {
            nat::translate(packet, bill.offload, &key)?;
        }
        self.shape(owner, Direction::Download, packet, bill.of_flow(id).next(Next::Down), around, now)
    }

    /// From the uplink that ends flows itself: nothing is translated.
    fn take_down(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        let mut bill = Waybill::new(Offload::NONE).next(Next::Down);
        // what tells of errors, and later pieces, have no flow of their own
        if let Ok(Some(key)) = FlowKey::of(&ip) {
            let (id, side) = match self.current(&key, around, now)? {
                Some(found) => found,
                None => (self.decide_down(owner, &key, &ip, around, now)?, Side::Original),
            };
            self.note(id, side, &ip, Offload::NONE, now)?;
            bill = bill.of_flow(id);
        } else if nat::quote::is_error(&ip) {
            self.log_to_client(Tracked::Related, Some(owner), packet, now);
        }
        self.shape(owner, Direction::Download, packet, bill, around, now)
    }

    /// From the host itself to a client.
    fn take_output(
        &mut self,
        packet: &mut [u8],
        offload: Offload,
        arrival: Arrival,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        let target = self.peers.at_address(&self.plan, ip.destination());
        let Some(owner) = target else {
            let key = self.away.at_address(&self.plan, ip.destination()).ok_or(DropReason::NobodyThere)?;
            if arrival == Arrival::HandedOver {
                return Err(DropReason::NobodyThere);
            }
            let taken = around.beyond.elsewhere(self.seat.home(key), Parcel::FromHost { packet, offload });
            return if taken { Ok(()) } else { Err(DropReason::HandOverFull) };
        };
        let mut bill = Waybill::new(offload).next(Next::Down);
        bill.check_size(packet, self.mtu_of(owner))?;
        if let Ok(Some(key)) = FlowKey::of(&ip) {
            let (id, side) = match self.current(&key, around, now)? {
                Some(found) => found,
                None => (self.decide_output(owner, &key, &ip, around, now)?, Side::Original),
            };
            self.note(id, side, &ip, offload, now)?;
            bill = bill.of_flow(id);
        }
        self.shape(owner, Direction::Download, packet, bill, around, now)
    }

    /// Tells a client why its packet went no further, where a router would.
    pub(super) fn complain(
        &mut self,
        owner: Owner,
        reason: DropReason,
        about: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) {
        let Some(complaint) = icmp::complaint(reason, self.plan.mtu) else { return };
        let Ok(about) = Ip::new(about) else { return };
        let Some(own) = self.plan.own_beside(about.source()) else { return };
        self.write_complaint(own, complaint, &about, now, |plane, packet, _| {
            let outcome = plane.down(owner, packet, around, now);
            plane.settle(outcome);
        });
    }

    /// Tells a sender outside that its packet does not fit a client's tunnel; from the very address that it wrote to.
    fn complain_outward(
        &mut self,
        (reason, mtu): (DropReason, usize),
        about: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) {
        let Some(complaint) = icmp::complaint(reason, mtu) else { return };
        let Ok(about) = Ip::new(about) else { return };
        let own: IpAddr = about.destination();
        self.write_complaint(own, complaint, &about, now, |_, packet, offload| {
            around.beyond.outward(Owner(u32::MAX), packet, offload);
        });
    }
}
