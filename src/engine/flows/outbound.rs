//! What peers send: finds or makes the flow of each packet, and says what the driver must do for it.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

use super::reach::HostAddresses;
use super::settings::buffer_len;
use super::table::{End, FlowId, Key, Opens};
use super::tcp::{Connection, HeldSyn};
use super::{Flows, ping, timeouts, udp};
use crate::domain::port_forward::Transport;
use crate::engine::packet::Owner;
use crate::engine::wire::icmp::{self, Complaint, Icmp, Kind};
use crate::engine::wire::tcp::{self, Tcp};
use crate::engine::wire::udp::Udp;
use crate::engine::wire::{Ip, Ipv4, Ipv6, ipv6, protocol};

/// What an answer to a packet takes at most, in bytes: RFC 4443, section 2.4 (c).
const ANSWER_MAX: usize = 1_280;

/// What the driver must do for a packet that came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'p> {
    /// Nothing.
    Nothing,
    /// Open a TCP socket for the flow and connect it; then `handle_connected` or `handle_unreachable`.
    Connect {
        /// Which flow.
        flow: FlowId,
        /// Where to.
        to: SocketAddr,
    },
    /// Send a datagram from the flow's UDP socket, which is to be opened if it is not open yet.
    Datagram {
        /// Which flow.
        flow: FlowId,
        /// Where to.
        to: SocketAddr,
        /// What.
        payload: &'p [u8],
    },
    /// Send an echo request from the flow's ping socket, which is to be opened if it is not open yet.
    Echo {
        /// Which flow.
        flow: FlowId,
        /// Where to.
        to: IpAddr,
        /// The ICMP message with its header; the kernel writes its own identifier and checksum.
        message: &'p [u8],
    },
}

/// Where a packet goes, as far as that is known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// Somewhere, which is judged.
    Anywhere,
    /// To the host, as was judged before.
    Host,
}

/// A request whose bytes are still a place in the packet.
enum Act {
    Nothing,
    Connect(FlowId, SocketAddr),
    Datagram(FlowId, SocketAddr, Range<usize>),
    Echo(FlowId, IpAddr, Range<usize>),
}

impl Flows {
    /// Takes a packet that a peer sends to the outside.
    pub fn handle_packet<'p>(
        &'p mut self,
        owner: Owner,
        packet: &'p [u8],
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Request<'p> {
        self.take(owner, packet, Bound::Anywhere, host, now)
    }

    /// Takes a packet that a peer sends to an address and port of the host, which are open to it. What is said there
    /// comes from an address of the host's own.
    pub fn handle_packet_to_host<'p>(
        &'p mut self,
        owner: Owner,
        packet: &'p [u8],
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Request<'p> {
        self.take(owner, packet, Bound::Host, host, now)
    }

    fn take<'p>(
        &'p mut self,
        owner: Owner,
        packet: &'p [u8],
        bound: Bound,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Request<'p> {
        let is_fragment = Ip::new(packet).is_ok_and(|view| view.transport().fragment);
        if !is_fragment {
            return self.route(owner, packet, bound, host, now).of(packet);
        }
        let Some(whole) = self.fragments.handle(owner, packet, now) else {
            return Request::Nothing;
        };
        let act = self.route(owner, &whole, bound, host, now);
        self.whole = whole;
        act.of(&self.whole)
    }

    fn route(&mut self, owner: Owner, packet: &[u8], bound: Bound, host: &mut dyn HostAddresses, now: Instant) -> Act {
        let Ok(view) = Ip::new(packet) else {
            self.counters.unsupported += 1;
            return Act::Nothing;
        };
        if view.source().is_unspecified() || view.destination().is_unspecified() {
            self.counters.unsupported += 1;
            return Act::Nothing;
        }
        if ttl(packet) <= 1 && bound == Bound::Anywhere {
            self.counters.expired += 1;
            self.complain(owner, &view, Complaint::TimeExceeded, now);
            return Act::Nothing;
        }
        match view.transport().protocol {
            protocol::TCP => self.handle_segment(owner, &view, bound, host, now),
            protocol::UDP => self.handle_udp(owner, &view, bound, host, now),
            protocol::ICMP if view.source().is_ipv4() => self.handle_ping(owner, &view, bound, host, now),
            protocol::ICMPV6 if view.source().is_ipv6() => self.handle_ping(owner, &view, bound, host, now),
            _ => {
                self.counters.unsupported += 1;
                self.complain(owner, &view, Complaint::Prohibited, now);
                Act::Nothing
            }
        }
    }

    fn handle_segment(
        &mut self,
        owner: Owner,
        view: &Ip<&[u8]>,
        bound: Bound,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Act {
        let Some(segment) = Tcp::new(view.payload()).ok().filter(|_| has_plain_header(view)) else {
            self.counters.unsupported += 1;
            return Act::Nothing;
        };
        let source = SocketAddr::new(view.source(), segment.source_port());
        let to = SocketAddr::new(view.destination(), segment.destination_port());
        let key = Key { owner, protocol: protocol::TCP, source, destination: Some(to) };
        let opens = segment.is_syn() && !segment.is_ack() && !segment.is_rst();
        if let Some(id) = self.table.find(&key)
            && self.handle_known_segment(id, view, &segment, opens, now)
        {
            return Act::Nothing;
        }
        if !opens || source.port() == 0 || to.port() == 0 {
            self.counters.stray += 1;
            self.reset(owner, view);
            return Act::Nothing;
        }
        let door = self.forwards.door(Transport::Tcp, to);
        let may_reach = door.is_some() || bound == Bound::Host || self.may_reach(owner, view, host, now);
        if !may_reach || !self.has_room(owner, view, Opens::Connection, now) {
            return Act::Nothing;
        }
        let id = self.table.insert(key, End::Connecting(HeldSyn(view.packet().into())), None);
        self.counters.opened += 1;
        self.deadlines.no_later_than(id.slot(), now + timeouts::TCP_TRANSITORY);
        Act::Connect(id, door.unwrap_or(to))
    }

    /// Takes a segment of a flow that exists; `false` if the segment begins another in its place.
    fn handle_known_segment(
        &mut self,
        id: FlowId,
        view: &Ip<&[u8]>,
        segment: &Tcp<&[u8]>,
        opens: bool,
        now: Instant,
    ) -> bool {
        let Some(flow) = self.table.get_mut(id) else { return false };
        match &mut flow.end {
            End::Connecting(_) if segment.is_rst() => self.end(id, true),
            End::Tcp(connection) if opens && connection.is_waiting_out() => {
                self.end(id, false);
                return false;
            }
            End::Tcp(connection) => {
                let packet = (flow.key.owner, view.packet());
                connection.handle_packet(&mut self.interface, packet, &mut self.answers, (self.clock, now));
                self.handle_ready(id);
            }
            // a SYN again: the first one still waits
            End::Connecting(_) | End::Udp(_) | End::Ping(_) | End::Listening | End::Closed => {}
        }
        true
    }

    fn handle_udp(
        &mut self,
        owner: Owner,
        view: &Ip<&[u8]>,
        bound: Bound,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Act {
        let Ok(datagram) = Udp::new(view.payload()) else {
            self.counters.unsupported += 1;
            return Act::Nothing;
        };
        let source = SocketAddr::new(view.source(), datagram.source_port());
        let to = SocketAddr::new(view.destination(), datagram.destination_port());
        let key = Key { owner, protocol: protocol::UDP, source, destination: None };
        let known = self.forwarded(owner, source, to, now).or_else(|| self.table.find(&key));
        let Some((id, real)) = self.way_of(known, (to, bound), (key, view), host, now) else { return Act::Nothing };
        let begin = view.transport().offset + crate::engine::wire::udp::HEADER;
        Act::Datagram(id, real, begin..begin + datagram.payload().len())
    }

    /// By which mapping a datagram leaves, and where to; `None` where it may not go out.
    fn way_of(
        &mut self,
        known: Option<FlowId>,
        (to, bound): (SocketAddr, Bound),
        (key, view): (Key, &Ip<&[u8]>),
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Option<(FlowId, SocketAddr)> {
        let door = self.forwards.door(Transport::Udp, to);
        let caller = match known.and_then(|id| self.table.get_mut(id)).map(|flow| &flow.end) {
            Some(End::Udp(mapping)) => mapping.callers.real_of(to, now),
            _ => None,
        };
        let open = door.or(caller).or_else(|| (bound == Bound::Host).then_some(to));
        let filtering = self.settings.filtering;
        let id = self.mapping(known, (key, view), open.is_some(), host, now)?;
        let Some(End::Udp(mapping)) = self.table.get_mut(id).map(|flow| &mut flow.end) else { return None };
        if let Some(real) = door {
            mapping.doors.add(udp::Pass { shown: to, real, since: now });
        }
        if bound == Bound::Host && door.is_none() {
            // its answers are let in
            mapping.callers.add(udp::Pass { shown: to, real: open.unwrap_or(to), since: now });
        }
        // what is open in spite of `reach` opens no other port of the same address
        match open {
            Some(_) => mapping.touch(to.port(), now),
            None => mapping.refresh(to, filtering, now),
        }
        if let Some(expires) = mapping.expires() {
            self.deadlines.no_later_than(id.slot(), expires);
        }
        Some((id, open.unwrap_or(to)))
    }

    fn handle_ping(
        &mut self,
        owner: Owner,
        view: &Ip<&[u8]>,
        bound: Bound,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Act {
        let Ok(message) = Icmp::new(view.transport().protocol, view.payload()) else {
            self.counters.unsupported += 1;
            return Act::Nothing;
        };
        if message.kind() != Kind::Echo {
            self.counters.unsupported += 1;
            return Act::Nothing;
        }
        let source = SocketAddr::new(view.source(), message.identifier());
        let key = Key { owner, protocol: view.transport().protocol, source, destination: None };
        let known = self.table.find(&key);
        let Some(id) = self.mapping(known, (key, view), bound == Bound::Host, host, now) else { return Act::Nothing };
        let Some(End::Ping(mapping)) = self.table.get_mut(id).map(|flow| &mut flow.end) else { return Act::Nothing };
        mapping.refresh(view.destination(), now);
        let expires = mapping.expires();
        self.deadlines.no_later_than(id.slot(), expires);
        Act::Echo(id, view.destination(), view.transport().offset..view.transport().end)
    }

    /// The mapping of a packet, made of its key if none is known; `None` where the packet may not go out. Where it goes
    /// is open already, or is judged.
    fn mapping(
        &mut self,
        known: Option<FlowId>,
        (key, view): (Key, &Ip<&[u8]>),
        is_open: bool,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Option<FlowId> {
        let is_known = match known.and_then(|id| self.table.get_mut(id)).map(|flow| &flow.end) {
            Some(End::Udp(mapping)) => mapping.has_contacted(view.destination()),
            Some(End::Ping(mapping)) => mapping.has_contacted(view.destination()),
            Some(End::Connecting(_) | End::Tcp(_) | End::Listening | End::Closed) | None => false,
        };
        if !is_open && !is_known && !self.may_reach(key.owner, view, host, now) {
            return None;
        }
        if known.is_some() {
            return known;
        }
        if !self.has_room(key.owner, view, Opens::Mapping, now) {
            return None;
        }
        self.counters.opened += 1;
        let end = match key.protocol {
            protocol::UDP => End::Udp(udp::Mapping::new(now)),
            _ => End::Ping(ping::Mapping::new(now)),
        };
        Some(self.table.insert(key, end, None))
    }

    fn has_room(&mut self, owner: Owner, view: &Ip<&[u8]>, opens: Opens, now: Instant) -> bool {
        let has_room = self.table.has_room(owner, opens, &self.settings.limits);
        if !has_room {
            self.counters.exhausted += 1;
            self.complain(owner, view, Complaint::Prohibited, now);
        }
        has_room
    }

    fn may_reach(&mut self, owner: Owner, view: &Ip<&[u8]>, host: &mut dyn HostAddresses, now: Instant) -> bool {
        let may = self.settings.reach.judge(view.destination(), host).is_ok();
        if !may {
            self.counters.denied += 1;
            self.complain(owner, view, Complaint::Prohibited, now);
        }
        may
    }

    /// The OS has connected the flow: the peer's SYN is answered now.
    pub fn handle_connected(&mut self, id: FlowId, now: Instant) {
        let Some(flow) = self.table.get_mut(id) else { return };
        let End::Connecting(HeldSyn(syn)) = &mut flow.end else { return };
        let syn = std::mem::take(syn);
        let (owner, port) = (flow.key.owner, flow.key.destination.map_or(0, |to| to.port()));
        let buffer = buffer_len(self.table.connections_of(owner)).min(self.settings.buffer_max);
        let mut connection = Box::new(Connection::new(port, buffer, now));
        let clock = (self.clock, now);
        connection.handle_packet(&mut self.interface, (owner, &syn), &mut self.answers, clock);
        self.deadlines.remove(id.slot());
        self.table.establish(id, connection);
        self.handle_ready(id);
    }

    /// The far end has refused the connection: so do we.
    pub fn handle_refused(&mut self, id: FlowId) {
        let Some(flow) = self.table.get_mut(id) else { return };
        if let End::Connecting(HeldSyn(syn)) = &mut flow.end {
            let (owner, syn) = (flow.key.owner, std::mem::take(syn));
            if let Ok(view) = Ip::new(&syn[..]) {
                self.reset(owner, &view);
            }
        }
        self.end(id, true);
    }

    /// The flow's OS socket cannot be opened or cannot connect, for this reason.
    pub fn handle_unreachable(&mut self, id: FlowId, complaint: Complaint, now: Instant) {
        let Some(flow) = self.table.get_mut(id) else { return };
        if let End::Connecting(HeldSyn(syn)) = &mut flow.end {
            let (owner, syn) = (flow.key.owner, std::mem::take(syn));
            if let Ok(view) = Ip::new(&syn[..]) {
                self.complain(owner, &view, complaint, now);
            }
        }
        self.end(id, true);
    }

    fn reset(&mut self, owner: Owner, view: &Ip<&[u8]>) {
        let Ok(segment) = Tcp::new(view.payload()) else { return };
        self.answers.push(owner, ipv6::HEADER + tcp::HEADER, |packet| {
            tcp::write_reset(packet, &segment, view.source(), view.destination())
        });
    }

    fn complain(&mut self, owner: Owner, view: &Ip<&[u8]>, complaint: Complaint, now: Instant) {
        if !self.answers.may_complain(owner, now) {
            return;
        }
        let from = self.settings.own_address(view.source()).unwrap_or_else(|| view.destination());
        self.answers.push(owner, ANSWER_MAX, |packet| icmp::write_error(packet, complaint, from, view));
    }
}

impl Act {
    fn of(self, packet: &[u8]) -> Request<'_> {
        match self {
            Self::Nothing => Request::Nothing,
            Self::Connect(flow, to) => Request::Connect { flow, to },
            Self::Datagram(flow, to, range) => Request::Datagram { flow, to, payload: &packet[range] },
            Self::Echo(flow, to, range) => Request::Echo { flow, to, message: &packet[range] },
        }
    }
}

/// Whether smoltcp is to see this header: no peer's TCP needs IPv6's extensions, whose errors it would answer itself.
fn has_plain_header(view: &Ip<&[u8]>) -> bool {
    view.source().is_ipv4() || view.transport().offset == ipv6::HEADER
}

fn ttl(packet: &[u8]) -> u8 {
    match Ipv4::new(packet) {
        Ok(view) => view.ttl(),
        Err(_) => Ipv6::new(packet).map_or(0, |view| view.hop_limit()),
    }
}
