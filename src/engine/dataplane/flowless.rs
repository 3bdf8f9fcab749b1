//! Packets that belong to no flow of their own: ICMP errors, which speak of another flow's packet, and protocols without
//! ports.

use std::net::SocketAddr;
use std::time::Instant;

use super::around::{Around, Standing};
use super::exit::Name;
use super::flow::{Side, Way};
use super::nat::{quoted_key, translate_error};
use super::route::{self, Route};
use super::shape::Direction;
use super::verdict::DropReason;
use super::waybill::{Next, Waybill, check_hops};
use super::{Dataplane, nat};
use crate::domain::firewall::Chain;
use crate::domain::traffic_log::Tracked;
use crate::engine::packet::Owner;
use crate::engine::wire::{FlowKey, Ip};

impl Dataplane {
    /// From a client.
    pub(super) fn forward_flowless(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        if nat::quote::is_error(&ip) {
            return self.forward_error(owner, packet, bill, around, now);
        }
        let key = bare_key(&ip);
        let to = key.destination.ip();
        match route::find(&self.plan, &self.peers, &self.away, to)? {
            Route::Own => {
                self.judge(Chain::Input, &key)?;
                self.log_from_client(Tracked::Untracked, owner, packet, now);
                self.answer(owner, packet, around, now)
            }
            Route::Peer(target) => {
                self.check_internal()?;
                self.judge(Chain::Forward, &key)?;
                self.log_from_client(Tracked::Untracked, owner, packet, now);
                self.log_to_client(Tracked::Untracked, Some(target), packet, now);
                self.cross(owner, target, packet, bill, around, now)
            }
            Route::Away(_) => {
                self.check_internal()?;
                self.judge(Chain::Forward, &key)?;
                check_hops(packet)?;
                self.log_from_client(Tracked::Untracked, owner, packet, now);
                self.leave(owner, packet, bill, around, now)
            }
            Route::Outside => {
                self.judge(Chain::Forward, &key)?;
                check_hops(packet)?;
                self.check_bare(&key, around)?;
                self.log_from_client(Tracked::Untracked, owner, packet, now);
                self.leave(owner, packet, bill, around, now)
            }
        }
    }

    /// Whether a packet without ports may go outside: it cannot be told whose its answers are, unless it leaves in its
    /// client's own name.
    fn check_bare(&self, key: &FlowKey, around: &mut Around<'_>) -> Result<(), DropReason> {
        if !self.exit.takes_packets() {
            return Ok(());
        }
        match around.beyond.standing(key.protocol, key.destination) {
            Standing::Outside => {}
            Standing::Closed | Standing::Host | Standing::Inside => return Err(DropReason::OutOfReach),
        }
        match self.exit.name(key.destination.ip()) {
            Name::Own => Ok(()),
            Name::None => Err(DropReason::NoWay),
            Name::External(_) => Err(DropReason::Portless),
        }
    }

    /// A client's error about a packet that it got.
    fn forward_error(
        &mut self,
        owner: Owner,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let (id, side) = self.current_of_error(&quoted_key(packet)?, around, now)?;
        let flow = self.flows.get(id).ok_or(DropReason::ErrorUnfounded)?;
        let (way, first, translated) = (flow.way, flow.owner, flow.translated(side));
        check_hops(packet)?;
        match (way, side) {
            (Way::Out, Side::Original) | (Way::In, Side::Reply) if first == owner => {
                self.log_from_client(Tracked::Related, owner, packet, now);
                if let Some(key) = translated {
                    translate_error(packet, &key)?;
                }
                self.leave(owner, packet, bill, around, now)
            }
            (Way::Across(target), Side::Original) if first == owner => {
                self.log_from_client(Tracked::Related, owner, packet, now);
                self.cross(owner, target, packet, bill, around, now)
            }
            (Way::Across(target), Side::Reply) if target == owner => {
                self.log_from_client(Tracked::Related, owner, packet, now);
                self.cross(owner, first, packet, bill, around, now)
            }
            // about what the host has said; the server itself says nothing that it would have to mend
            (Way::Own, _) if self.exit.takes_packets() && first == owner => {
                self.log_from_client(Tracked::Related, owner, packet, now);
                self.shape(owner, Direction::Upload, packet, bill.next(Next::Host), around, now)
            }
            (Way::Own, _) => Err(DropReason::Unanswered),
            _ => Err(DropReason::ErrorUnfounded),
        }
    }

    /// From outside.
    pub(super) fn enter_flowless(
        &mut self,
        packet: &mut [u8],
        bill: Waybill,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
        if !nat::quote::is_error(&ip) {
            let key = bare_key(&ip);
            let target = self.peers.at_address(&self.plan, key.destination.ip()).ok_or(DropReason::NotMapped)?;
            self.judge(Chain::Forward, &key)?;
            bill.check_size(packet, self.plan.mtu)?;
            self.log_to_client(Tracked::Untracked, Some(target), packet, now);
            return self.shape(target, Direction::Download, packet, bill.next(Next::Down), around, now);
        }
        let (id, side) = self.current_of_error(&quoted_key(packet)?, around, now)?;
        let flow = self.flows.get(id).ok_or(DropReason::ErrorUnfounded)?;
        let owner = flow.owner;
        if !matches!((flow.way, side), (Way::Out, Side::Reply) | (Way::In, Side::Original)) {
            return Err(DropReason::ErrorUnfounded);
        }
        if let Some(key) = flow.translated(side) {
            translate_error(packet, &key)?;
        }
        self.log_to_client(Tracked::Related, Some(owner), packet, now);
        self.shape(owner, Direction::Download, packet, bill.next(Next::Down), around, now)
    }
}

/// A key without ports, for the firewall.
fn bare_key(ip: &Ip<&[u8]>) -> FlowKey {
    FlowKey {
        protocol: ip.transport().protocol,
        source: SocketAddr::new(ip.source(), 0),
        destination: SocketAddr::new(ip.destination(), 0),
    }
}
