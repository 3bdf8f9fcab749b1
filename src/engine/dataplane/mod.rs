//! One server's packets: sealed datagrams on one side, its clients' packets on the other.
//!
//! [`Dataplane`] is a pure machine. Datagrams come in by [`Dataplane::handle_datagram`], packets for clients by
//! [`Dataplane::handle_down`], time by [`Dataplane::handle_deadline`], settings by [`Dataplane::apply`]; datagrams go
//! out through the outbox, packets for the outside through what is [`around::Around`] it. The order of stages is in `pipeline.rs` and nowhere else.

pub mod account;
mod apply;
pub mod around;
pub mod by_esp;
pub mod deadlines;
mod decide;
pub mod exit;
pub mod filter;
pub mod flow;
mod flowless;
mod forwards;
mod greet;
pub mod icmp;
mod last;
pub mod limiter;
pub mod link;
mod log;
pub mod nat;
pub mod peers;
mod pipeline;
pub mod plan;
pub mod route;
pub mod seat;
pub mod shape;
pub mod timeouts;
pub mod traffic;
mod tunnels;
pub mod verdict;
mod waybill;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use crate::domain::account::Account;
use crate::domain::figures::{AccountFigures, LaneFigures};
use crate::domain::firewall::Firewall;
use crate::domain::name::AccountName;
use crate::domain::nat::NatSettings;
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;
use crate::domain::traffic::Passed;
use crate::domain::traffic_log::TrafficLogSettings;
use crate::engine::fragments::gather::Fragments;
use crate::engine::offload::merge::Merge;
use crate::engine::packet::Owner;

use deadlines::Deadlines;
use exit::Exit;
use filter::{Filter, Hits};
use flow::{Filtering, FlowLimits, FlowTable};
use forwards::Forwards;
use icmp::Complaints;
use last::Aside;
use limiter::FrontLimiter;
use log::Log;
use peers::{Peer, Peers};
use plan::Plan;
use seat::{Away, Seat};
use shape::{ServerLimit, Shaper};
use traffic::Traffic;
use verdict::Drops;
use waybill::Waybill;

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
    /// The firewall. Flows that it refuses end with their next packet.
    Firewall(Arc<Firewall>),
    /// The server's port forwards. Flows by one that is gone end with their next packet.
    Forwards(Arc<BTreeMap<OuterPort, PortForward>>),
    /// How packets leave. Flows that left otherwise end with their next packet.
    Exit(Exit),
    /// What is logged.
    Log(Arc<TrafficLogSettings>),
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
    forwards: Forwards,
    exit: Exit,
    filter: Filter,
    flows: FlowTable,
    /// Absent while it lets packets go.
    shaper: Option<Box<Shaper<Waybill>>>,
    aside: Aside,
    fragments: Fragments,
    /// Where packets become super-packets, for an uplink that takes them.
    merge: Option<Box<Merge<Owner>>>,
    complaints: Complaints,
    drops: Drops,
    traffic: Traffic,
    /// Absent while nothing is logged.
    log: Option<Box<Log>>,
    entropy: Entropy,
    /// The identification of the next packet that is cut into fragments.
    identification: u32,
    /// Where datagrams are opened.
    scratch: Box<[u8]>,
    /// Where answers of the server itself are written.
    answer: Box<[u8]>,
    /// Where packets are padded.
    padded: Box<[u8]>,
    /// Where an answer of the server itself waits for its way down.
    reply: Vec<u8>,
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
            forwards: Forwards::new(seed(entropy), Arc::default()),
            exit: Exit::default(),
            filter: Filter::new(Arc::default(), 0),
            flows: FlowTable::new(seat.server, FlowLimits::default(), Filtering::default(), seed(entropy), now),
            shaper: Some(Box::new(Shaper::new(seed(entropy), Arc::new(ServerLimit::new(now))))),
            aside: Aside::default(),
            fragments: Fragments::new(seed(entropy), timeouts::FRAGMENTS),
            merge: None,
            complaints: Complaints::new(now),
            drops: Drops::new(),
            traffic: Traffic::default(),
            log: None,
            entropy,
            identification: entropy(),
            scratch: vec![0; SCRATCH].into(),
            answer: vec![0; SCRATCH].into(),
            padded: vec![0; SCRATCH].into(),
            reply: Vec::new(),
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

    /// The account in a slot.
    pub fn account(&self, owner: Owner) -> Option<&Arc<Account>> {
        self.peers.get(owner).map(|peer| &peer.account)
    }

    /// What was dropped, and why.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What was dropped after it had waited for its account's rate, and why.
    pub fn late_drops(&self) -> Option<&Drops> {
        self.shaper.as_ref().map(|shaper| shaper.drops())
    }

    /// What packets amount to.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The flows.
    pub fn flows(&self) -> &FlowTable {
        &self.flows
    }

    /// What each rule of the firewall has decided upon.
    pub fn rule_hits(&self) -> &[Hits] {
        self.filter.counters()
    }

    /// What an account's lanes have let go, up and down.
    pub fn lanes(&self, owner: Owner) -> Option<[LaneFigures; 2]> {
        self.shaper.as_ref().map(|shaper| shaper.figures(owner))
    }

    /// What all accounts' lanes have let go, up and down.
    pub fn all_lanes(&self) -> Option<[LaneFigures; 2]> {
        self.shaper.as_ref().map(|shaper| shaper.totals())
    }

    /// Translates as the operator chooses; before there is any account.
    pub fn set_nat(&mut self, nat: &NatSettings) {
        let bound = FlowLimits::default();
        let mappings_of_owner = nat.ports_per_account.map_or(bound.mappings_of_owner, NonZeroU32::get);
        self.flows.apply(FlowLimits { mappings_of_owner, ..bound }, nat.filtering);
    }

    /// Shares the server's own limit with its other workers; before there is any account.
    pub fn share_limit(&mut self, limit: Arc<ServerLimit>, now: Instant) {
        let mut shaper = Shaper::new(seed(self.entropy), limit);
        shaper.set_server(self.plan.server.limit_download, self.plan.server.limit_upload, now);
        self.shaper = Some(Box::new(shaper));
    }

    /// What accounts have moved since this was last asked. Whatever becomes of an account, its bytes are told once.
    pub fn take_passed(&mut self) -> Vec<Passed> {
        self.peers.take_passed()
    }

    /// The figures of every account that has spoken since the beginning.
    pub fn figures(&self, now: Instant) -> Vec<AccountFigures> {
        let spoken = self.peers.iter().filter(|(_, peer)| peer.has_spoken());
        spoken.map(|(_, peer)| figures_of(peer, now)).collect()
    }

    /// The figures of one account, if it has spoken.
    pub fn account_figures(&self, name: &AccountName, now: Instant) -> Option<AccountFigures> {
        let peer = self.peers.get(self.peers.named(name)?)?;
        peer.has_spoken().then(|| figures_of(peer, now))
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
        received_packets: peer.received_packets,
        sent: peer.sent,
        sent_packets: peer.sent_packets,
    }
}
