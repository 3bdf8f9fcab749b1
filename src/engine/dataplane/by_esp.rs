//! Clients that come by IKEv2: ESP in UDP beside `WireGuard`, and the same road behind it.

use std::time::Instant;

use super::Dataplane;
use super::around::Around;
use super::link::esp::{Child, NotPassed};
use super::verdict::DropReason;
use crate::domain::name::AccountName;
use crate::engine::esp::association::{OVERHEAD_MAX, Refused};
use crate::engine::outbox::{Endpoint, Port};
use crate::engine::packet::{Offload, Owner};

/// What IKE has agreed upon with an account's client; `connection` is IKE's name of what it belongs to.
#[derive(Debug, Clone)]
pub enum EspChange {
    /// A child is to be used.
    Install {
        /// Whose.
        connection: u64,
        /// Where the client is.
        endpoint: Endpoint,
        /// The child.
        child: Box<Child>,
    },
    /// A child is sent with no more; what comes by it is still taken.
    Retire {
        /// Our SPI.
        inbound: u32,
    },
    /// A child is gone.
    Remove {
        /// Our SPI.
        inbound: u32,
    },
    /// The client is elsewhere.
    Move {
        /// Whose.
        connection: u64,
        /// Where it is.
        endpoint: Endpoint,
    },
    /// The connection is gone with all its children.
    Close {
        /// Which.
        connection: u64,
    },
}

impl Dataplane {
    /// Makes it so; `false` where no enabled account of this name lives here.
    pub fn apply_esp(&mut self, account: &AccountName, change: EspChange) -> bool {
        let owner = self.peers.named(account);
        let Some(owner) = owner.filter(|owner| self.peers.get(*owner).is_some_and(|peer| peer.account.enabled)) else {
            return false;
        };
        let Some(peer) = self.peers.get_mut(owner) else { return false };
        let link = peer.esp.get_or_insert_default();
        match change {
            EspChange::Install { connection, endpoint, child } => {
                let inbound = child.inbound.spi;
                let Ok(is_new) = link.install(connection, endpoint, *child) else { return false };
                peer.spoke_esp |= is_new;
                self.peers.put_spi(inbound, owner);
            }
            EspChange::Retire { inbound } => link.retire(inbound),
            EspChange::Remove { inbound } => {
                link.remove(inbound);
                self.peers.remove_spi(inbound);
            }
            EspChange::Move { connection, endpoint } => link.relocate(connection, endpoint),
            EspChange::Close { connection } => {
                let gone = link.close(connection);
                for inbound in gone {
                    self.peers.remove_spi(inbound);
                }
            }
        }
        true
    }

    /// Whether an account has a connection by IKEv2 that something can be sent by.
    pub fn is_by_esp(&self, account: &AccountName) -> bool {
        let peer = self.peers.named(account).and_then(|owner| self.peers.get(owner));
        peer.and_then(|peer| peer.esp.as_ref()).is_some_and(|link| link.is_connected())
    }

    /// The accounts that have a connection by IKEv2.
    pub fn connected_by_esp(&self) -> impl Iterator<Item = &AccountName> {
        let connected = self.peers.iter().filter(|(_, peer)| peer.esp.as_ref().is_some_and(|link| link.is_connected()));
        connected.map(|(_, peer)| &peer.account.name)
    }

    /// Takes an ESP packet of a datagram, as [`Self::handle_datagram`] takes one of `WireGuard`'s. It is opened in place.
    pub fn handle_esp(&mut self, from: Endpoint, datagram: &mut [u8], around: &mut Around<'_>, now: Instant) {
        if around.outbox.is_tight() {
            around.beyond.make_room(around.outbox);
        }
        let outcome = self.up_by_esp(from, datagram, around, now);
        self.settle(outcome);
    }

    fn up_by_esp(
        &mut self,
        from: Endpoint,
        datagram: &mut [u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let (spi, _) = datagram.split_first_chunk::<4>().ok_or(DropReason::NotEsp)?;
        let owner = self.peers.with_spi(u32::from_be_bytes(*spi)).ok_or(DropReason::UnknownIndex)?;
        let peer = self.peers.get_mut(owner).ok_or(DropReason::PeerGone)?;
        let link = peer.esp.as_deref_mut().ok_or(DropReason::UnknownIndex)?;
        let (opened, word) = link.open(from, datagram, now).map_err(reason)?;
        peer.spoke_esp = true;
        if let Some(word) = word {
            around.beyond.tell_ike(word);
        }
        let packet = &mut datagram[opened.packet];
        let Some(mut merge) = self.merge.take() else {
            self.take_up(owner, packet, Offload::NONE, around, now);
            return Ok(());
        };
        let room = merge.room();
        let outcome = match room.get_mut(..packet.len()) {
            Some(room) => {
                room.copy_from_slice(packet);
                merge.accept(packet.len(), owner, |packet, offload, owner| {
                    self.take_up(owner, packet, offload, around, now);
                });
                Ok(())
            }
            None => Err(DropReason::Malformed),
        };
        merge.abandon();
        self.merge = Some(merge);
        outcome
    }

    /// Whether what goes to a client goes by ESP: it spoke so last, or has no other way.
    pub(super) fn goes_by_esp(&self, owner: Owner) -> bool {
        let Some(peer) = self.peers.get(owner) else { return false };
        let connected = peer.esp.as_ref().is_some_and(|link| link.is_connected());
        connected && (peer.spoke_esp || peer.endpoint.is_none())
    }

    /// The largest packet for a client that goes out whole.
    pub(super) fn mtu_of(&self, owner: Owner) -> usize {
        let by_esp = || self.peers.get(owner)?.esp.as_ref()?.mtu();
        let link = if self.goes_by_esp(owner) { by_esp() } else { None };
        link.map_or(self.plan.mtu, |link| link.min(self.plan.mtu))
    }

    /// Seals a packet for a client by ESP, and hands it to the outbox.
    pub(super) fn down_by_esp(
        &mut self,
        owner: Owner,
        packet: &[u8],
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(owner).filter(|peer| peer.account.enabled).ok_or(DropReason::PeerGone)?;
        let link = peer.esp.as_deref_mut().ok_or(DropReason::NoEndpoint)?;
        if around.outbox.is_tight() {
            around.beyond.make_room(around.outbox);
        }
        let memory = around.outbox.room(packet.len() + OVERHEAD_MAX).ok_or(DropReason::OutboxFull)?;
        let sealed = link.seal(packet, memory, now).map_err(reason)?;
        around.outbox.commit_by(Port::Esp, sealed.endpoint, sealed.length);
        peer.sent += packet.len() as u64;
        peer.sent_packets += 1;
        if let Some(word) = sealed.word {
            around.beyond.tell_ike(word);
        }
        Ok(())
    }
}

fn reason(not_passed: NotPassed) -> DropReason {
    match not_passed {
        NotPassed::UnknownSpi => DropReason::UnknownIndex,
        NotPassed::WrongAddress => DropReason::SourceForged,
        NotPassed::NoChild => DropReason::NotAgreed,
        NotPassed::NoPolicy => DropReason::NoPolicy,
        NotPassed::Refused(Refused::Malformed) => DropReason::NotEsp,
        NotPassed::Refused(Refused::Replayed) => DropReason::Replayed,
        NotPassed::Refused(Refused::Unauthentic) => DropReason::Unauthentic,
        NotPassed::Refused(Refused::BadInner) => DropReason::Malformed,
        NotPassed::Refused(Refused::Dummy) => DropReason::Dummy,
        NotPassed::Refused(Refused::Exhausted) => DropReason::CounterExhausted,
        NotPassed::Refused(Refused::NoRoom) => DropReason::OutboxFull,
    }
}
