//! Drives `engine::flows` with OS sockets: does what it asks, tells it what the sockets did.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Once;
use std::time::Instant;

use mio::{Registry, Token};
use tracing::warn;

use super::host::Host;
use super::table::{Socket, Sockets, Unsent, portless};
pub use crate::engine::flows::Settings;
use crate::engine::flows::reach::HostAddresses;
use crate::engine::flows::{Counters, DATAGRAM_AT, FlowId, Flows, Limits, Request};
use crate::engine::packet::Owner;
use crate::engine::wire::icmp::Complaint;
use crate::runtime::os::datagram::{self, Carries, DatagramSocket};
use crate::runtime::os::fault::Fault;
use crate::runtime::os::tcp::Standing;
use crate::runtime::os::{entropy, memory};

/// Datagrams that one socket gives before others have their turn.
const DATAGRAMS: usize = 32;
/// Datagram sockets that are read in one turn.
const DATAGRAM_SOCKETS: usize = 64;
/// Bytes of datagrams that are read in one turn.
const DATAGRAM_BYTES: usize = 512 << 10;
/// The largest datagram.
const DATAGRAM_MAX: usize = 65_535;
/// How much of a datagram is kept for telling its sender that it did not leave: what the error quotes at most.
const QUOTED: usize = 64;

/// How the machine takes a packet.
type Taking = for<'p> fn(&'p mut Flows, Owner, &'p [u8], &mut dyn HostAddresses, Instant) -> Request<'p>;

/// The uplink of one server's peers that opens ordinary sockets.
#[derive(Debug)]
pub struct SocketsUplink {
    pub(super) flows: Flows,
    pub(super) sockets: Sockets,
    pub(super) host: Host,
    /// Datagram sockets that may have something to read.
    ready: VecDeque<FlowId>,
    /// Listeners that somebody may have connected to.
    pub(super) called: VecDeque<FlowId>,
    /// Until when nobody is taken in.
    pub(super) pause: Option<Instant>,
    buffer: Vec<u8>,
    /// When the uplink was last told the time.
    pub(super) now: Instant,
}

impl SocketsUplink {
    /// An uplink that registers its sockets with `registry` under `tokens`, of which there is one for each flow.
    pub fn new(registry: Registry, tokens: Range<usize>, mut settings: Settings, now: Instant) -> Self {
        memory::keep_buffers_lazy();
        warn_once_where_pings_are_forbidden();
        settings.limits = within(settings.limits, tokens.len());
        Self {
            flows: Flows::new(settings, u64::from_le_bytes(entropy::bytes()), now),
            sockets: Sockets::new(registry, tokens),
            host: Host::new(now),
            ready: VecDeque::new(),
            called: VecDeque::new(),
            pause: None,
            buffer: vec![0; DATAGRAM_AT + DATAGRAM_MAX],
            now,
        }
    }

    /// Takes a peer's packet whose destination is outside.
    pub fn handle_packet(&mut self, owner: Owner, packet: &[u8], now: Instant) {
        self.take(owner, packet, Flows::handle_packet, now);
    }

    /// Takes a peer's packet for an address and port of this host, which are open to it.
    pub fn handle_packet_to_host(&mut self, owner: Owner, packet: &[u8], now: Instant) {
        self.take(owner, packet, Flows::handle_packet_to_host, now);
    }

    fn take(&mut self, owner: Owner, packet: &[u8], by: Taking, now: Instant) {
        self.now = now;
        match by(&mut self.flows, owner, packet, self.host.at(now), now) {
            Request::Nothing => {}
            Request::Connect { flow, to } => {
                if let Err(fault) = self.sockets.connect(flow, to) {
                    self.fail(flow, fault);
                }
            }
            Request::Datagram { flow, to, payload } => {
                let quote = Quote::of(payload);
                let outcome = self.sockets.send(flow, Carries::Udp, to, payload);
                self.tell(flow, to, outcome, &quote);
            }
            Request::Echo { flow, to, message } => {
                let quote = Quote::of(message);
                let outcome = self.sockets.send(flow, Carries::Ping, portless(to), message);
                self.tell(flow, portless(to), outcome, &quote);
            }
        }
    }

    /// A socket of this uplink is ready.
    pub fn handle_event(&mut self, token: Token, readable: bool, writable: bool, error: bool, now: Instant) {
        self.now = now;
        let Some(flow) = self.sockets.flow_of(token) else { return };
        match self.sockets.get_mut(flow) {
            Some(Socket::Connecting(connection)) => {
                connection.note(readable, writable, error);
                match connection.standing() {
                    Standing::Pending => {}
                    Standing::Open => {
                        self.sockets.establish(flow);
                        self.flows.handle_connected(flow, now);
                    }
                    Standing::Failed(fault) => self.fail(flow, fault),
                }
            }
            Some(Socket::Tcp(connection)) => {
                connection.note(readable, writable, error);
                if error {
                    self.flows.handle_broken(flow);
                } else {
                    self.flows.handle_ready(flow);
                }
            }
            Some(Socket::Listening { queued: true, .. }) | None => {}
            Some(Socket::Listening { queued, .. }) => {
                *queued = true;
                self.called.push_back(flow);
            }
            Some(Socket::Datagrams { queued, .. }) => {
                if !std::mem::replace(queued, true) {
                    self.ready.push_back(flow);
                }
                if error {
                    self.hear_complaints(flow);
                }
            }
        }
    }

    /// Does a bounded portion of what there is to do; `down` gets the packets for peers.
    pub fn turn(&mut self, now: Instant, down: &mut dyn FnMut(Owner, &mut [u8])) {
        self.now = now;
        self.close_ended();
        self.take_callers();
        self.read_datagrams(down);
        self.flows.turn(&mut self.sockets, now, down);
        self.close_ended();
    }

    /// When the uplink wants a turn though no socket is ready; a time in the past means at once.
    pub fn poll_deadline(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(self.now);
        }
        [self.flows.poll_deadline(self.now), self.callers_due()].into_iter().flatten().min()
    }

    /// Ends every flow of a peer at once; its forwarded ports stay.
    pub fn drop_owner(&mut self, owner: Owner) {
        self.flows.drop_owner(owner);
        self.close_ended();
    }

    /// From now on these settings hold.
    pub fn apply(&mut self, mut settings: Settings, now: Instant) {
        settings.limits = within(settings.limits, self.sockets.room());
        self.flows.apply(settings, self.host.at(now), now);
        self.close_ended();
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.flows.counters()
    }

    /// How many flows are open.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    fn fail(&mut self, flow: FlowId, fault: Fault) {
        match fault {
            Fault::Refused => self.flows.handle_refused(flow),
            Fault::NoRoute => self.flows.handle_unreachable(flow, Complaint::NoRoute, self.now),
            Fault::Silent | Fault::TooBig | Fault::Other => {
                self.flows.handle_unreachable(flow, Complaint::HostUnreachable, self.now);
            }
            Fault::Prohibited => self.flows.handle_unreachable(flow, Complaint::Prohibited, self.now),
        }
        self.close_ended();
    }

    /// Tells a peer that its datagram did not leave.
    fn tell(&mut self, flow: FlowId, to: SocketAddr, outcome: Result<(), Unsent>, quote: &Quote) {
        let fault = match outcome {
            Ok(()) => return,
            Err(Unsent::Closed(fault)) => return self.fail(flow, fault),
            Err(Unsent::Refused(fault)) => fault,
        };
        let complaint = match fault {
            Fault::NoRoute => Complaint::NoRoute,
            Fault::Silent => Complaint::HostUnreachable,
            Fault::Prohibited => Complaint::Prohibited,
            // what the network has said comes with the complaints
            Fault::Refused | Fault::TooBig | Fault::Other => return self.hear_complaints(flow),
        };
        self.flows.handle_error(flow, to, complaint, (None, quote.bytes()), self.now);
    }

    /// Passes on what the network says about what the flow sent.
    fn hear_complaints(&mut self, flow: FlowId) {
        for _ in 0..DATAGRAMS {
            let Some(heard) = self.sockets.complaint(flow, &mut self.buffer) else { return };
            let Some(complaint) = meaning(&heard) else { continue };
            let about = (heard.reporter, &self.buffer[..heard.length]);
            self.flows.handle_error(flow, heard.remote, complaint, about, self.now);
        }
    }

    fn read_datagrams(&mut self, down: &mut dyn FnMut(Owner, &mut [u8])) {
        let mut bytes = 0;
        for _ in 0..self.ready.len().min(DATAGRAM_SOCKETS) {
            if bytes >= DATAGRAM_BYTES {
                return;
            }
            let Some(flow) = self.ready.pop_front() else { return };
            bytes += self.read_datagrams_of(flow, down);
        }
    }

    fn read_datagrams_of(&mut self, flow: FlowId, down: &mut dyn FnMut(Owner, &mut [u8])) -> usize {
        let mut bytes = 0;
        for _ in 0..DATAGRAMS {
            let Some(Socket::Datagrams { socket, queued }) = self.sockets.get_mut(flow) else { return bytes };
            let Some((length, from)) = socket.receive(&mut self.buffer[DATAGRAM_AT..]) else {
                *queued = false;
                return bytes;
            };
            bytes += length;
            let here = (self.host.at(self.now) as &mut dyn HostAddresses, self.now);
            self.flows.handle_received(flow, from, &mut self.buffer[..DATAGRAM_AT + length], here, down);
        }
        self.ready.push_back(flow);
        bytes
    }

    pub(super) fn close_ended(&mut self) {
        while let Some(closed) = self.flows.poll_closed() {
            self.sockets.close(closed);
        }
    }
}

/// The beginning of what was sent, kept beside what borrows it.
struct Quote {
    bytes: [u8; QUOTED],
    length: usize,
}

impl Quote {
    fn of(sent: &[u8]) -> Self {
        let (mut bytes, length) = ([0; QUOTED], sent.len().min(QUOTED));
        bytes[..length].copy_from_slice(&sent[..length]);
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// No more flows than there are tokens.
fn within(limits: Limits, tokens: usize) -> Limits {
    Limits { flows: limits.flows.min(tokens), ..limits }
}

/// What an ICMP error means to the peer.
fn meaning(heard: &datagram::Complaint) -> Option<Complaint> {
    match (heard.remote.is_ipv4(), heard.kind) {
        (true, (3, 0 | 5..=8 | 11)) | (false, (1, 0)) => Some(Complaint::NoRoute),
        (true, (3, 1 | 2 | 12)) | (false, (1, 3)) => Some(Complaint::HostUnreachable),
        (true, (3, 3)) | (false, (1, 4)) => Some(Complaint::PortUnreachable),
        (true, (3, 4)) | (false, (2, _)) => Some(Complaint::TooBig(heard.mtu)),
        (true, (3, 9 | 10 | 13..=15)) | (false, (1, 1 | 5 | 6)) => Some(Complaint::Prohibited),
        (true, (11, _)) | (false, (3, _)) => Some(Complaint::TimeExceeded),
        _ => None,
    }
}

fn warn_once_where_pings_are_forbidden() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let is_allowed = |v6| DatagramSocket::open(Carries::Ping, v6).is_ok();
        if !is_allowed(false) && !is_allowed(true) {
            warn!(
                "Peers cannot ping the outside: the sysctl net.ipv4.ping_group_range does not name a group of this process"
            );
        }
    });
}
