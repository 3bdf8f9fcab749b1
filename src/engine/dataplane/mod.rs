//! One server's packets: sealed datagrams on one side, its clients' packets on the other.
//!
//! [`Dataplane`] is a pure machine. Datagrams come in by [`Dataplane::handle_datagram`], packets for clients by
//! [`Dataplane::handle_down`], time by [`Dataplane::handle_deadline`], settings by [`Dataplane::apply`]; datagrams go
//! out through the outbox, packets for the outside through what is [`around::Around`] it. The order of stages is in `pipeline.rs` and nowhere else.

pub mod account;
mod apply;
pub mod around;
pub mod deadlines;
pub mod filter;
pub mod flow;
mod greet;
pub mod icmp;
pub mod limiter;
pub mod link;
pub mod nat;
pub mod peers;
mod pipeline;
pub mod plan;
pub mod route;
pub mod seat;
pub mod shape;
pub mod timeouts;
mod tunnels;
pub mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::name::AccountName;
use crate::domain::server::Server;
use crate::engine::packet::Owner;

use deadlines::Deadlines;
use icmp::Complaints;
use limiter::FrontLimiter;
use peers::{Peer, Peers};
use plan::Plan;
use seat::{Away, Seat};
use verdict::Drops;

/// The largest datagram that UDP carries, with what a call into `noise` wants above it.
const SCRATCH: usize = 65_535 + link::room::HANDSHAKE;

/// Unpredictable bits, from outside.
pub type Entropy = fn() -> u32;

/// What ought to be from now on.
#[derive(Debug, Clone)]
pub enum Change {
    /// The server's settings. Only another private key ends sessions.
    Server(Arc<Server>),
    /// An account, new or edited. Only another key, or being disabled, ends its session.
    Account(Arc<Account>),
    /// An account is gone.
    Gone(AccountName),
}

/// One server's packets.
#[derive(Debug)]
pub struct Dataplane {
    seat: Seat,
    plan: Plan,
    peers: Peers,
    away: Away,
    limiter: FrontLimiter,
    deadlines: Deadlines,
    complaints: Complaints,
    drops: Drops,
    entropy: Entropy,
    /// Where datagrams are opened.
    scratch: Box<[u8]>,
    /// Where answers of the server itself are written.
    answer: Box<[u8]>,
    /// Where packets are padded.
    padded: Box<[u8]>,
}

impl Dataplane {
    /// A server without peers, at one of the workers that share it.
    pub fn new(server: Arc<Server>, seat: Seat, entropy: Entropy, now: Instant) -> Self {
        let plan = Plan::new(server);
        Self {
            limiter: FrontLimiter::new(&plan.public, seed(entropy), now),
            seat,
            plan,
            peers: Peers::new(seed(entropy)),
            away: Away::new(seed(entropy)),
            deadlines: Deadlines::default(),
            complaints: Complaints::new(now),
            drops: Drops::new(),
            entropy,
            scratch: vec![0; SCRATCH].into(),
            answer: vec![0; SCRATCH].into(),
            padded: vec![0; SCRATCH].into(),
        }
    }

    /// The server's settings.
    pub fn server(&self) -> &Arc<Server> {
        &self.plan.server
    }

    /// The slot of an account.
    pub fn owner(&self, name: &AccountName) -> Option<Owner> {
        self.peers.named(name)
    }

    /// What was dropped, and why.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// The figures of every account that has spoken since the beginning.
    pub fn figures(&self, now: Instant) -> Vec<AccountFigures> {
        let spoken = self.peers.iter().filter(|(_, peer)| peer.endpoint.is_some());
        spoken.map(|(_, peer)| figures_of(peer, now)).collect()
    }

    /// The figures of one account, if it has spoken.
    pub fn account_figures(&self, name: &AccountName, now: Instant) -> Option<AccountFigures> {
        let peer = self.peers.get(self.peers.named(name)?)?;
        peer.endpoint.map(|_| figures_of(peer, now))
    }
}

/// A secret start for a hash.
fn seed(entropy: Entropy) -> u64 {
    u64::from(entropy()) << 32 | u64::from(entropy())
}

fn figures_of(peer: &Peer, now: Instant) -> AccountFigures {
    AccountFigures {
        account: peer.account.name.clone(),
        server: peer.account.server.clone(),
        endpoint: peer.endpoint.map(|endpoint| endpoint.remote),
        handshake_age: peer.last_handshake.map(|at| now.saturating_duration_since(at)),
        received: peer.received,
        sent: peer.sent,
    }
}
