//! What ought to be from now on: settings and accounts, with no session ended that need not be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::around::Around;
use super::forwards::Forwards;
use super::limiter::FrontLimiter;
use super::nat::Ports;
use super::plan::Plan;
use super::verdict::DropReason;
use super::{Change, Dataplane, seed};
use crate::domain::account::Account;
use crate::domain::name::AccountName;
use crate::domain::server::Server;
use crate::engine::offload::merge::Merge;
use crate::engine::packet::Owner;

impl Dataplane {
    /// Makes it so. Returns the peer whose flows must end: it is gone, disabled, or has another address or key.
    pub fn apply(&mut self, change: Change, around: &mut Around<'_>, now: Instant) -> Option<Owner> {
        match change {
            Change::Server(server) => {
                self.apply_server(server, now);
                self.judge_anew();
                None
            }
            Change::Firewall(firewall) => {
                let epoch = self.filter.epoch() + 1;
                self.filter.apply(firewall, epoch);
                None
            }
            Change::Forwards(forwards) => {
                self.forwards = Forwards::new(seed(self.entropy), forwards);
                self.judge_anew();
                None
            }
            Change::Exit(exit) => {
                self.exit = exit;
                self.merge = exit.takes_packets().then(|| Box::new(Merge::new(true)));
                self.judge_anew();
                None
            }
            Change::Log(settings) => {
                self.apply_log(settings);
                None
            }
            Change::Account(account) => {
                let before = self.account_named(&account.name);
                let cut = self.apply_account(&account, around, now);
                self.end_flows(cut, before.as_ref(), around, now);
                self.set_rates(&account, now);
                cut
            }
            Change::Gone(name) => {
                self.away.remove(&name);
                let before = self.account_named(&name);
                let gone = self.remove_peer(&name);
                self.end_flows(gone, before.as_ref(), around, now);
                gone
            }
        }
    }

    /// Has every flow judged again with its next packet: what it was judged by has changed, here or around
    /// ([`super::around::Beyond::standing`]).
    pub fn judge_anew(&mut self) {
        let (firewall, epoch) = (Arc::clone(self.filter.firewall()), self.filter.epoch() + 1);
        self.filter.apply(firewall, epoch);
    }

    fn account_named(&self, name: &AccountName) -> Option<Arc<Account>> {
        self.peers.get(self.peers.named(name)?).map(|peer| Arc::clone(&peer.account))
    }

    /// Ends what a client has open, and what waits for its rate, where it was cut off. `before` is who that was.
    fn end_flows(&mut self, cut: Option<Owner>, before: Option<&Arc<Account>>, around: &mut Around<'_>, now: Instant) {
        let Some(owner) = cut else { return };
        self.flows.close_owner(owner, around.ports, now);
        self.log_ends(before.map(|account| (owner, account)));
        for _ in 0..self.fragments.drop_owner(owner) {
            self.drops.count(DropReason::PeerGone);
        }
        if let Some(shaper) = &mut self.shaper {
            shaper.remove(owner);
        }
    }

    /// Ends every flow that uses an external port, for somebody else has it from now on: what came for it later would be
    /// taken for his.
    pub fn close_external(&mut self, protocol: u8, external: SocketAddr, ports: &mut Ports, now: Instant) {
        self.flows.close_external(protocol, external, ports, now);
        self.log_ends(None);
    }

    fn set_rates(&mut self, account: &Account, now: Instant) {
        let owner = self.peers.named(&account.name);
        if let (Some(owner), Some(shaper)) = (owner, &mut self.shaper) {
            shaper.set_account(owner, account.b_download, account.b_upload, now);
        }
    }

    fn apply_server(&mut self, server: Arc<Server>, now: Instant) {
        let plan = Plan::new(server);
        let other_key = plan.public != self.plan.public;
        self.plan = plan;
        if let Some(shaper) = &mut self.shaper {
            shaper.set_server(self.plan.server.limit_download, self.plan.server.limit_upload, now);
        }
        if other_key {
            self.limiter = FrontLimiter::new(&self.plan.public, seed(self.entropy), now);
            let connected: Vec<Owner> = self.peers.iter().map(|(owner, _)| owner).collect();
            for owner in connected {
                self.close_peer(owner, DropReason::PeerGone);
            }
        }
    }

    /// Removes an account, and what waited for its client; returns the slot that it had.
    fn remove_peer(&mut self, name: &AccountName) -> Option<Owner> {
        if let Some(owner) = self.peers.named(name) {
            self.drop_staged(owner, DropReason::PeerGone);
        }
        self.peers.remove(name)
    }

    fn apply_account(&mut self, account: &Arc<Account>, around: &mut Around<'_>, now: Instant) -> Option<Owner> {
        if self.seat.home(&account.public_key) != self.seat.worker {
            self.away.put(account);
            return self.remove_peer(&account.name);
        }
        self.away.remove(&account.name);
        let before = self.peers.named(&account.name).and_then(|owner| self.peers.get(owner));
        let before = before.map(|peer| Arc::clone(&peer.account));
        let owner = self.peers.put(Arc::clone(account));
        let before = before?;
        let other_key = before.public_key != account.public_key;
        if other_key || !account.enabled {
            let was_connected = self.close_peer(owner, DropReason::PeerGone);
            if let Some(peer) = self.peers.get_mut(owner) {
                peer.interrupted = (was_connected || peer.interrupted) && !other_key;
                // whoever has the new key has not spoken yet
                peer.endpoint = peer.endpoint.filter(|_| !other_key);
            }
        } else {
            self.call_back(owner, around, now);
        }
        let moved = (before.address, before.address_ipv6) != (account.address, account.address_ipv6);
        if moved || !account.enabled {
            self.peers.close_esp(owner);
        }
        (other_key || moved || (before.enabled && !account.enabled)).then_some(owner)
    }

    /// Begins a handshake with a peer that was cut off while connected: its client believes in a session that is gone.
    fn call_back(&mut self, owner: Owner, around: &mut Around<'_>, now: Instant) {
        let Some(peer) = self.peers.get_mut(owner) else { return };
        if std::mem::take(&mut peer.interrupted) && self.reach(owner, now).is_ok() {
            self.initiate(owner, around, now);
            self.schedule(owner);
        }
    }
}
