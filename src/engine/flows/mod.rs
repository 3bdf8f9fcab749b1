//! The unprivileged mode: ends each peer's TCP, turns UDP and ping into mappings, and asks for ordinary OS sockets.
//!
//! [`Flows`] is a pure machine. The driver (`runtime/uplink`) gives it packets of peers and what its OS sockets did, does
//! what a [`Request`] asks, and lets it take its [`Flows::turn`] after each batch; the machine never opens a socket and
//! never reads a clock. What a packet costs does not depend on how many flows there are: a flow is found by one hash, has
//! a smoltcp socket set of its own, and stands in a queue only while it has something to do.

mod answers;
mod counters;
mod deadlines;
pub mod forwards;
mod inbound;
mod outbound;
mod ping;
pub mod reach;
mod settings;
mod table;
mod tcp;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timeouts;
mod udp;

use std::collections::VecDeque;
use std::time::Instant;

use smoltcp::iface::{Config, Interface};
use smoltcp::wire::HardwareAddress;

use self::answers::Answers;
pub use self::counters::Counters;
use self::deadlines::Deadlines;
use self::forwards::Forwards;
pub use self::inbound::DATAGRAM_AT;
pub use self::outbound::Request;
pub use self::settings::{Limits, Settings};
pub use self::table::{Closed, FlowId};
use self::table::{End, Table};
use self::tcp::device::{Blank, SUPER_SEGMENT};
use self::tcp::{Clock, Next, Turn};
pub use self::tcp::{Moved, Outside};
use crate::domain::port_forward::Transport;
use crate::engine::fragments::gather::Fragments;
use crate::engine::packet::Owner;

/// Flows that are served in one turn; what is left is served in the next.
const TURN_FLOWS: usize = 256;
/// The smallest tunnel that TCP is cut for, in bytes: what every IPv4 host takes (RFC 791, section 3.1).
const MTU_MIN: u16 = 576;
/// Bytes that go down to peers in one turn, about: what the worker keeps before it sends.
const TURN_BYTES: usize = 1 << 20;

/// All flows of all peers.
pub struct Flows {
    settings: Settings,
    table: Table,
    deadlines: Deadlines,
    forwards: Forwards,
    fragments: Fragments,
    answers: Answers,
    counters: Counters,
    /// Flows with something to do, in the order in which it came up.
    ready: VecDeque<FlowId>,
    interface: Interface,
    clock: Clock,
    scratch: Vec<u8>,
    /// What the last fragment completed.
    whole: Vec<u8>,
    /// The identification of the next packet that is cut into fragments.
    identification: u32,
    seed: u64,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Flows").field("flows", &self.table.len()).finish_non_exhaustive()
    }
}

fn interface(mtu: u16, seed: u64, now: smoltcp::time::Instant) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, &mut Blank { mtu: usize::from(mtu) }, now);
    // every address outside is ours to answer for
    interface.set_any_ip(true);
    interface
}

impl Flows {
    /// A machine without flows. The seed is secret and random: sequence numbers come from it.
    pub fn new(mut settings: Settings, seed: u64, now: Instant) -> Self {
        settings.mtu = settings.mtu.max(MTU_MIN);
        let clock = Clock::new(now);
        Self {
            interface: interface(settings.mtu, seed, clock.smoltcp(now)),
            settings,
            table: Table::new(seed),
            deadlines: Deadlines::default(),
            forwards: Forwards::default(),
            fragments: Fragments::new(seed, timeouts::FRAGMENTS),
            answers: Answers::new(),
            counters: Counters::default(),
            ready: VecDeque::new(),
            clock,
            scratch: vec![0; SUPER_SEGMENT],
            whole: Vec::new(),
            identification: u32::try_from(seed >> 32).unwrap_or_default(),
            seed,
        }
    }

    /// From now on these settings hold. Flows to where peers may go no longer are ended.
    pub fn apply(&mut self, mut settings: Settings, host: &mut dyn reach::HostAddresses, now: Instant) {
        settings.mtu = settings.mtu.max(MTU_MIN);
        if settings.mtu != self.settings.mtu {
            self.interface = interface(settings.mtu, self.seed.rotate_left(17), self.clock.smoltcp(now));
        }
        if settings.reach != self.settings.reach {
            self.judge_again(&settings.reach, host);
        }
        self.settings = settings;
    }

    fn judge_again(&mut self, reach: &reach::Reach, host: &mut dyn reach::HostAddresses) {
        for id in self.table.ids(|_| true) {
            let Some(flow) = self.table.get_mut(id) else { continue };
            let is_open = match flow.key.destination {
                // who came in by a forwarded port was not sought by the peer
                Some(to) if flow.forward.is_none() => {
                    self.forwards.door(Transport::Tcp, to).is_some() || reach.judge(to.ip(), host).is_ok()
                }
                _ => true,
            };
            match &mut flow.end {
                End::Udp(mapping) => mapping.retain(|address| reach.judge(*address, host).is_ok()),
                End::Ping(mapping) => mapping.retain(|address| reach.judge(*address, host).is_ok()),
                End::Connecting(_) | End::Tcp(_) | End::Listening | End::Closed => {}
            }
            if !is_open {
                self.end(id, true);
            }
        }
    }

    /// Ends every flow of a peer at once; it hears nothing more of them. Its forwarded ports stay.
    pub fn drop_owner(&mut self, owner: Owner) {
        for id in self.table.ids(|flow| flow.key.owner == owner) {
            match self.table.get_mut(id) {
                Some(flow) if flow.is_listener() => {
                    if let End::Udp(mapping) = &mut flow.end {
                        mapping.forget();
                    }
                }
                _ => self.end(id, true),
            }
        }
        self.fragments.drop_owner(owner);
        self.answers.drop_owner(owner);
    }

    /// A flow that has ended since the last call, whose OS socket the driver now closes.
    pub fn poll_closed(&mut self) -> Option<Closed> {
        self.table.poll_closed()
    }

    /// When the machine wants a turn though nothing happens; a time in the past means at once.
    pub fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        if !self.ready.is_empty() || !self.answers.is_empty() {
            return Some(now);
        }
        let deadlines = [self.deadlines.next(), self.fragments.next_expiry()];
        deadlines.into_iter().flatten().min()
    }

    /// How many flows are open, listeners of forwarded ports left out.
    pub fn len(&self) -> usize {
        self.table.len().saturating_sub(self.forwards.len())
    }

    /// How many flows of this peer are open.
    pub fn len_of(&self, owner: Owner) -> usize {
        self.table.flows_of(owner)
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        Counters { fragments: self.fragments.dropped, answers: self.answers.dropped, ..self.counters }
    }

    /// The OS socket of a TCP flow may have become readable or writable.
    pub fn handle_ready(&mut self, id: FlowId) {
        let Some(flow) = self.table.get_mut(id) else { return };
        if !flow.queued && matches!(flow.end, End::Tcp(_)) {
            flow.queued = true;
            self.ready.push_back(id);
        }
    }

    /// The OS socket of a TCP flow is broken. A peer that has not answered its call yet is not waited for.
    pub fn handle_broken(&mut self, id: FlowId) {
        match self.table.get_mut(id) {
            Some(flow) if flow.half_open => self.end(id, true),
            _ => self.handle_ready(id),
        }
    }

    /// Moves bytes between the OS sockets and the peers for flows that have something to do: a bounded amount, each flow
    /// its share, in the order in which they came up.
    pub fn turn<O: Outside>(&mut self, outside: &mut O, now: Instant, down: &mut dyn FnMut(Owner, &mut [u8])) {
        self.answers.flush(down);
        self.fragments.expire(now);
        while let Some(slot) = self.deadlines.pop_due(now) {
            self.handle_deadline(slot, now);
        }
        let mut sent = 0;
        for _ in 0..self.ready.len().min(TURN_FLOWS) {
            if sent >= TURN_BYTES {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            sent += self.turn_of(id, outside, now, down);
        }
    }

    /// The turn of one flow; how many bytes it sent to its peer.
    fn turn_of<O: Outside>(
        &mut self,
        id: FlowId,
        outside: &mut O,
        now: Instant,
        down: &mut dyn FnMut(Owner, &mut [u8]),
    ) -> usize {
        let Some(flow) = self.table.get_mut(id) else { return 0 };
        flow.queued = false;
        let End::Tcp(connection) = &mut flow.end else { return 0 };
        let scratch = &mut self.scratch[..];
        let mut turn = Turn { interface: &mut self.interface, clock: self.clock, scratch, outside, down, sent: 0 };
        let next = connection.turn(id, flow.key.owner, &mut turn, now);
        let sent = turn.sent;
        if !connection.is_calling() {
            self.table.settle(id);
        }
        match next {
            Next::More => self.handle_ready(id),
            Next::Wait(Some(at)) => self.deadlines.no_later_than(id.slot(), at),
            Next::Wait(None) => {}
            Next::Over(abort) => self.end(id, abort),
        }
        sent
    }

    fn handle_deadline(&mut self, slot: u32, now: Instant) {
        let Some(id) = self.table.at(slot) else { return };
        let Some(flow) = self.table.get_mut(id) else { return };
        let expires = match &flow.end {
            End::Tcp(_) => return self.handle_ready(id),
            End::Closed | End::Listening => return,
            End::Connecting(_) => Some(now),
            End::Udp(mapping) => mapping.expires(),
            End::Ping(mapping) => Some(mapping.expires()),
        };
        match expires {
            Some(expires) if expires > now => self.deadlines.no_later_than(slot, expires),
            Some(_) => self.end(id, false),
            None => {}
        }
    }

    fn end(&mut self, id: FlowId, abort: bool) {
        self.deadlines.remove(id.slot());
        self.table.close(id, abort);
    }
}
