//! What ought to be from now on: settings and accounts, with no session ended that need not be.

use std::sync::Arc;
use std::time::Instant;

use super::around::Around;
use super::limiter::FrontLimiter;
use super::plan::Plan;
use super::{Change, Dataplane, seed};
use crate::domain::account::Account;
use crate::domain::server::Server;
use crate::engine::packet::Owner;

impl Dataplane {
    /// Makes it so. Returns the peer whose flows must end: it is gone, disabled, or has another address or key.
    pub fn apply(&mut self, change: Change, around: &mut Around<'_>, now: Instant) -> Option<Owner> {
        match change {
            Change::Server(server) => {
                self.apply_server(server, now);
                None
            }
            Change::Account(account) => self.apply_account(&account, around, now),
            Change::Gone(name) => {
                self.away.remove(&name);
                self.peers.remove(&name)
            }
        }
    }

    fn apply_server(&mut self, server: Arc<Server>, now: Instant) {
        let plan = Plan::new(server);
        let other_key = plan.public != self.plan.public;
        self.plan = plan;
        if other_key {
            self.limiter = FrontLimiter::new(&self.plan.public, seed(self.entropy), now);
            let connected: Vec<Owner> = self.peers.iter().map(|(owner, _)| owner).collect();
            for owner in connected {
                self.peers.close(owner);
            }
        }
    }

    fn apply_account(&mut self, account: &Arc<Account>, around: &mut Around<'_>, now: Instant) -> Option<Owner> {
        if self.seat.home(&account.public_key) != self.seat.worker {
            self.away.put(account);
            return self.peers.remove(&account.name);
        }
        self.away.remove(&account.name);
        let before = self.peers.named(&account.name).and_then(|owner| self.peers.get(owner));
        let before = before.map(|peer| Arc::clone(&peer.account));
        let owner = self.peers.put(Arc::clone(account));
        let before = before?;
        let other_key = before.public_key != account.public_key;
        if other_key || !account.enabled {
            let was_connected = self.peers.close(owner);
            if let Some(peer) = self.peers.get_mut(owner) {
                peer.interrupted = (was_connected || peer.interrupted) && !other_key;
                // whoever has the new key has not spoken yet
                peer.endpoint = peer.endpoint.filter(|_| !other_key);
            }
        } else {
            self.call_back(owner, around, now);
        }
        let moved = (before.address, before.address_ipv6) != (account.address, account.address_ipv6);
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
