//! The last stages: what an account's rate lets go now or later, and the ways out.

use std::time::Instant;

use super::around::{Around, Parcel};
use super::flow::{FlowId, Side};
use super::shape::{Direction, Lane, Verdict};
use super::verdict::DropReason;
use super::waybill::{Next, Waybill};
use super::{Dataplane, account};
use crate::engine::fragments::split::{self as cut, HEADROOM};
use crate::engine::offload::split::{complete, split};
use crate::engine::packet::{Offload, Owner};
use crate::engine::wire::icmp::{Complaint, write_error};
use crate::engine::wire::{Ip, answer, protocol};

/// The MTU that IPv6 packets which were put together are cut for on their way out: what every link takes (RFC 8200,
/// section 5).
const MTU_OUTSIDE: usize = 1_280;

/// The port of the resolver.
const DNS_PORT: u16 = 53;

/// Packets that one client's rate has let go while the shaper works, and that wait for the other's.
#[derive(Debug, Default)]
pub(super) struct Aside {
    bytes: Vec<u8>,
    packets: Vec<(Lane, Waybill, usize)>,
}

impl Dataplane {
    /// When [`Self::handle_deadline`] wants to be called.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let shaper = self.shaper.as_ref().and_then(|shaper| shaper.poll_deadline());
        let deadlines = [self.deadlines.next(), self.flows.poll_deadline(), shaper, self.fragments.next_expiry()];
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due. Bounded: where more is due, the deadline stays in the past.
    pub fn handle_deadline(&mut self, around: &mut Around<'_>, now: Instant) {
        self.handle_peers_due(around, now);
        self.flows.handle_deadline(around.ports, now);
        self.log_ends(None);
        self.expire_fragments(now);
        self.let_go(around, now);
    }

    /// Gives up packets whose rest did not come.
    fn expire_fragments(&mut self, now: Instant) {
        let before = self.fragments.dropped;
        self.fragments.expire(now);
        for _ in before..self.fragments.dropped {
            self.drops.count(DropReason::FragmentUnfit);
        }
    }

    /// Puts a fragment to the others of its packet; the packet, once nothing is missing.
    ///
    /// # Errors
    /// [`DropReason::FragmentUnfit`] for a fragment that does not fit them.
    pub(super) fn put_together(
        &mut self,
        owner: Owner,
        fragment: &[u8],
        now: Instant,
    ) -> Result<Option<Vec<u8>>, DropReason> {
        // what is over now is counted for itself, not as this fragment's
        self.expire_fragments(now);
        let before = self.fragments.dropped;
        let whole = self.fragments.handle(owner, fragment, now);
        if whole.is_none() && self.fragments.dropped > before { Err(DropReason::FragmentUnfit) } else { Ok(whole) }
    }

    /// Sends on what accounts' rates let go now.
    fn let_go(&mut self, around: &mut Around<'_>, now: Instant) {
        let Some(mut shaper) = self.shaper.take() else { return };
        shaper.release(now, &mut |lane, packet, bill| {
            if let Err(reason) = self.proceed(lane.owner, packet, bill, around, now) {
                self.drops.count(reason);
            }
        });
        self.shaper = Some(shaper);
        let mut aside = std::mem::take(&mut self.aside);
        let mut at = 0;
        for (lane, bill, length) in aside.packets.drain(..) {
            let packet = &mut aside.bytes[at..at + length];
            at += length;
            if let Err(reason) = self.offer(lane, packet, bill, around, now) {
                self.drops.count(reason);
            }
        }
        aside.bytes.clear();
        self.aside = aside;
    }

    /// Lets a packet go now, holds it, or drops it, as its account's rate says.
    pub(super) fn shape(
        &mut self,
        owner: Owner,
        direction: Direction,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let lane = Lane { owner, direction };
        let quantum = self.shaper.as_ref().map_or(usize::MAX, |shaper| shaper.quantum(lane));
        let segments = bill.segments(packet);
        if !bill.offload.is_super() || segments.bytes(packet.len()) <= quantum as u64 {
            return self.offer(lane, packet, bill, around, now);
        }
        // every packet will have headers of its own
        let (header, segment) = (usize::from(segments.header), usize::from(segments.segment));
        let at_most = quantum / (header + segment).max(1) * segment;
        let mut outcome = Ok(());
        split(packet, bill.offload, at_most, |piece, offload| {
            let offered = self.offer(lane, piece, Waybill { offload, ..bill }, around, now);
            if let Err(reason) = std::mem::replace(&mut outcome, offered) {
                self.drops.count(reason);
            }
        })
        .map_err(|_| DropReason::Malformed)?;
        outcome
    }

    fn offer(
        &mut self,
        lane: Lane,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let Some(shaper) = &mut self.shaper else {
            self.aside.bytes.extend_from_slice(packet);
            self.aside.packets.push((lane, bill, packet.len()));
            return Ok(());
        };
        match shaper.offer(lane, bill.flow, packet, bill.segments(packet), bill, now) {
            Verdict::Pass => self.proceed(lane.owner, packet, bill, around, now),
            Verdict::Held => Ok(()),
            Verdict::Dropped(reason) => Err(reason),
        }
    }

    fn proceed(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        match bill.next {
            Next::Outward => {
                self.send_outward(owner, packet, bill, around);
                Ok(())
            }
            Next::Down => self.send_down(owner, packet, bill, around, now),
            Next::Across(target) => self.shape(target, Direction::Download, packet, bill.next(Next::Down), around, now),
            Next::Elsewhere(home) => {
                let taken = around.beyond.elsewhere(home, Parcel::Crossing { packet, offload: bill.offload });
                if taken { Ok(()) } else { Err(DropReason::HandOverFull) }
            }
            Next::Host => {
                around.beyond.host(owner, packet, bill.offload);
                Ok(())
            }
        }
    }

    /// To the uplink. What was put together and is IPv6 is cut again, for no router does that.
    fn send_outward(&mut self, owner: Owner, packet: &mut [u8], bill: Waybill, around: &mut Around<'_>) {
        let is_cut =
            bill.offload.gathered && self.exit.takes_packets() && packet[0] >> 4 == 6 && packet.len() > MTU_OUTSIDE;
        if !is_cut {
            return around.beyond.outward(owner, packet, bill.offload);
        }
        self.in_pieces(packet, MTU_OUTSIDE, |_, piece| around.beyond.outward(owner, piece, Offload::NONE));
    }

    /// To a client: packet by packet, and in pieces where it does not fit.
    fn send_down(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        if bill.offload.is_super() {
            let mut outcome = Ok(());
            split(packet, bill.offload, 1, |packet, _| {
                let sent = self.down(owner, packet, around, now);
                if let Err(reason) = std::mem::replace(&mut outcome, sent) {
                    self.drops.count(reason);
                }
            })
            .map_err(|_| DropReason::Malformed)?;
            return outcome;
        }
        if bill.offload.partial_checksum {
            complete(packet).map_err(|_| DropReason::Malformed)?;
        }
        if packet.len() <= self.plan.mtu || bill.check_size(packet, self.plan.mtu).is_err() {
            return self.down(owner, packet, around, now);
        }
        let mut outcome = Ok(());
        self.in_pieces(packet, self.plan.mtu, |plane, piece| {
            if let Err(reason) = std::mem::replace(&mut outcome, plane.down(owner, piece, around, now)) {
                plane.drops.count(reason);
            }
        });
        outcome
    }

    /// Cuts a packet into fragments.
    fn in_pieces(&mut self, packet: &[u8], mtu: usize, mut each: impl FnMut(&mut Self, &mut [u8])) {
        let mut memory = std::mem::take(&mut self.answer);
        memory[HEADROOM..HEADROOM + packet.len()].copy_from_slice(packet);
        self.identification = self.identification.wrapping_add(1);
        let (identification, length) = (self.identification, HEADROOM + packet.len());
        cut::split(&mut memory[..length], mtu, identification, |piece| each(self, piece));
        self.answer = memory;
    }

    /// To a client, one packet that fits.
    pub(super) fn down(
        &mut self,
        owner: Owner,
        packet: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        if packet.len() > self.plan.mtu {
            return Err(DropReason::TooBig);
        }
        if self.goes_by_esp(owner) {
            return self.down_by_esp(owner, packet, around, now);
        }
        let endpoint = self.reach(owner, now)?;
        if around.outbox.is_tight() {
            around.beyond.make_room(around.outbox);
        }
        if !self.peers.tunnel_mut(owner).is_some_and(|tunnel| tunnel.is_connected(now)) {
            return self.hold(owner, packet, around, now);
        }
        let length = self.seal(owner, packet, around, now)?;
        around.outbox.commit(endpoint, length);
        self.after_sending(owner, around, now);
        Ok(())
    }

    /// Whether there is a client to send to.
    pub(super) fn check_reachable(&self, target: Owner) -> Result<(), DropReason> {
        let peer = self.peers.get(target).filter(|peer| peer.account.enabled).ok_or(DropReason::PeerGone)?;
        if peer.endpoint.is_some() || self.goes_by_esp(target) { Ok(()) } else { Err(DropReason::NoEndpoint) }
    }

    /// Takes a client's packet for the server or its host.
    pub(super) fn serve(
        &mut self,
        owner: Owner,
        id: FlowId,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let flow = self.flows.get(id).ok_or(DropReason::PeerGone)?;
        let account = &self.peers.get(owner).ok_or(DropReason::PeerGone)?.account;
        let by_host = !account::owns(&self.plan, account, flow.original().source.ip());
        let to_own = self.plan.is_own(flow.original().destination.ip());
        let is_ping = matches!(flow.original().protocol, protocol::ICMP | protocol::ICMPV6);
        let asks = matches!(flow.original().protocol, protocol::UDP | protocol::TCP)
            && flow.original().destination.port() == DNS_PORT;
        if to_own && !by_host && asks && around.beyond.resolver(owner, packet, bill.offload) {
            return Ok(());
        }
        // a rule that names the server's own address opens what the host offers there
        let is_opened = flow.rule.is_some() && !is_ping;
        // an uplink of flows reaches what the host offers at its other addresses, and nothing else of it
        let goes_to_host =
            if self.exit.takes_packets() { by_host || !to_own || is_opened } else { !by_host && !to_own };
        if goes_to_host {
            return self.shape(owner, Direction::Upload, packet, bill.next(Next::Host), around, now);
        }
        self.answer(owner, packet, around, now)?;
        self.flows.note(id, Side::Reply, None, 1, packet.len(), now);
        Ok(())
    }

    /// Answers a packet for the server's own address.
    pub(super) fn answer(
        &mut self,
        owner: Owner,
        question: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let mut memory = std::mem::take(&mut self.padded);
        let written = Ip::new(question).ok().and_then(|question| answer::write(&mut memory, &question));
        let outcome = match written {
            Some(length) => {
                let mut whole = std::mem::take(&mut self.reply);
                whole.clear();
                whole.extend_from_slice(&memory[..length]);
                self.padded = memory;
                let outcome = self.send_down(owner, &mut whole, Waybill::new(Offload::GATHERED), around, now);
                self.reply = whole;
                return outcome;
            }
            None => Err(DropReason::Unanswered),
        };
        self.padded = memory;
        outcome
    }

    /// Writes an ICMP error, if one more may go, and hands it to `send`.
    pub(super) fn write_complaint(
        &mut self,
        own: std::net::IpAddr,
        complaint: Complaint,
        about: &Ip<&[u8]>,
        now: Instant,
        send: impl FnOnce(&mut Self, &mut [u8], Offload),
    ) {
        if !self.complaints.admit(now) {
            return;
        }
        let mut memory = std::mem::take(&mut self.answer);
        if let Some(length) = write_error(&mut memory, complaint, own, about) {
            send(self, &mut memory[..length], Offload::NONE);
        }
        self.answer = memory;
    }
}
