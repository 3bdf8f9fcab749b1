//! What comes back for mappings: datagrams, echo replies and errors.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Flows;
use super::reach::HostAddresses;
use super::table::{End, FlowId};
use crate::domain::nat::Filtering;
use crate::engine::fragments::split::{self, HEADROOM};
use crate::engine::packet::Owner;
use crate::engine::wire::icmp::{self, Complaint, Echo, Icmp, Kind};
use crate::engine::wire::{Ip, ip, ipv6, protocol, udp};

/// Where in its buffer the driver puts a datagram or an ICMP message that it received: behind room for headers.
pub const DATAGRAM_AT: usize = HEADROOM + ipv6::HEADER + udp::HEADER;
/// How much of a payload an error quotes at most, in bytes; more is cut off when the error is written.
const QUOTE_MAX: usize = 1_280;

impl Flows {
    /// The flow's OS socket has received what lies in `buffer` behind [`DATAGRAM_AT`] bytes: a datagram, or of a ping
    /// socket an ICMP message. `down` gets the packets that carry it.
    pub fn handle_received(
        &mut self,
        id: FlowId,
        from: SocketAddr,
        buffer: &mut [u8],
        (host, now): (&mut dyn HostAddresses, Instant),
        down: &mut dyn FnMut(Owner, &mut [u8]),
    ) {
        match self.table.get_mut(id).map(|flow| flow.key.protocol) {
            Some(protocol::UDP) => self.handle_datagram(id, from, buffer, (host, now), down),
            Some(_) => self.handle_echo(id, from.ip(), buffer, down),
            None => {}
        }
    }

    /// A datagram from outside lies in `buffer` behind [`DATAGRAM_AT`] bytes; `down` gets the packets that carry it.
    pub(super) fn handle_datagram(
        &mut self,
        id: FlowId,
        from: SocketAddr,
        buffer: &mut [u8],
        (host, now): (&mut dyn HostAddresses, Instant),
        down: &mut dyn FnMut(Owner, &mut [u8]),
    ) {
        let filtering = self.settings.filtering;
        let Some(flow) = self.table.get_mut(id) else { return };
        let (owner, to) = (flow.key.owner, flow.key.source);
        let shown = match &flow.end {
            End::Udp(mapping) => match mapping.doors.shown_of(from) {
                None if mapping.is_forwarded => self.admit(id, from, host, now),
                None => match mapping.known_as(from, filtering) {
                    None if self.admits_strangers(from, host) => Some(from),
                    shown => shown,
                },
                shown => shown,
            },
            End::Connecting(_) | End::Tcp(_) | End::Ping(_) | End::Listening | End::Closed => None,
        };
        let Some(from) = shown else {
            self.counters.uninvited += 1;
            return;
        };
        let packet = &mut buffer[DATAGRAM_AT - udp::headers_len(to) - HEADROOM..];
        let payload = packet.len() - HEADROOM - udp::headers_len(to);
        if let Some(length) = udp::seal_packet(&mut packet[HEADROOM..], from, to, 64, payload) {
            self.send_down(owner, &mut packet[..HEADROOM + length], down);
        }
    }

    /// Whether somebody to whom a peer has not spoken may speak to it: who could not be reached cannot be answered, and
    /// what is near the host is no stranger of the internet.
    fn admits_strangers(&self, from: SocketAddr, host: &mut dyn HostAddresses) -> bool {
        self.settings.filtering == Filtering::EndpointIndependent && self.settings.reach.judge(from.ip(), host).is_ok()
    }

    /// An ICMP message from outside lies in `buffer` behind [`DATAGRAM_AT`] bytes; `down` gets the packets that carry
    /// it, if it is an echo reply.
    pub(super) fn handle_echo(
        &mut self,
        id: FlowId,
        from: IpAddr,
        buffer: &mut [u8],
        down: &mut dyn FnMut(Owner, &mut [u8]),
    ) {
        let Some(flow) = self.table.get_mut(id) else { return };
        let (owner, to, protocol) = (flow.key.owner, flow.key.source, flow.key.protocol);
        let is_invited = matches!(&flow.end, End::Ping(mapping) if mapping.has_contacted(from));
        let Ok(message) = Icmp::new(protocol, &buffer[DATAGRAM_AT..]) else { return };
        if !is_invited || message.kind() != Kind::EchoReply {
            self.counters.uninvited += 1;
            return;
        }
        let (names, load) = ((to.port(), message.sequence()), message.payload().len());
        let packet = &mut buffer[DATAGRAM_AT - ip::header_len(to.ip()) - HEADROOM..];
        let length = icmp::seal_echo(&mut packet[HEADROOM..], Echo::Reply, (from, to.ip()), names, load);
        if let Some(length) = length {
            self.send_down(owner, &mut packet[..HEADROOM + length], down);
        }
    }

    /// The OS says that what the flow sent to `remote` did not arrive. The peer is told by an ICMP error from `reporter`
    /// that quotes its packet, rebuilt from what the OS gives back of it. For a ping, `sent` is the ICMP message.
    pub fn handle_error(
        &mut self,
        id: FlowId,
        remote: SocketAddr,
        complaint: Complaint,
        (reporter, sent): (Option<IpAddr>, &[u8]),
        now: Instant,
    ) {
        let Some(flow) = self.table.get_mut(id) else { return };
        let filtering = self.settings.filtering;
        let (owner, source, of) = (flow.key.owner, flow.key.source, flow.key.protocol);
        let shown = match &flow.end {
            End::Udp(mapping) => mapping.known_as(remote, filtering),
            End::Ping(mapping) => mapping.has_contacted(remote.ip()).then_some(remote),
            End::Connecting(_) | End::Tcp(_) | End::Listening | End::Closed => None,
        };
        let Some(shown) = shown.filter(|_| self.answers.may_complain(owner, now)) else { return };
        // on a way round it is this host that complains
        let reporter = reporter.filter(|_| shown == remote);
        let remote = shown;
        let sent = &sent[..sent.len().min(QUOTE_MAX)];
        let mut quoted = [0; DATAGRAM_AT + QUOTE_MAX];
        let Some(length) = rebuild(&mut quoted, of, source, remote, sent) else { return };
        let Ok(about) = Ip::new(&quoted[..length]) else { return };
        let from = reporter.filter(|from| from.is_ipv4() == remote.is_ipv4()).unwrap_or_else(|| remote.ip());
        self.answers.push(owner, QUOTE_MAX, |packet| icmp::write_error(packet, complaint, from, &about));
    }

    /// Hands a packet behind [`HEADROOM`] bytes to a peer, in fragments if the tunnel does not carry it whole.
    fn send_down(&mut self, owner: Owner, buffer: &mut [u8], down: &mut dyn FnMut(Owner, &mut [u8])) {
        let mtu = usize::from(self.settings.mtu);
        if buffer.len() - HEADROOM <= mtu {
            return down(owner, &mut buffer[HEADROOM..]);
        }
        self.identification = self.identification.wrapping_add(1);
        split::split(buffer, mtu, self.identification, |fragment| down(owner, fragment));
    }
}

/// Writes the packet that a peer must have sent.
fn rebuild(packet: &mut [u8], of: u8, source: SocketAddr, remote: SocketAddr, sent: &[u8]) -> Option<usize> {
    if of == protocol::UDP {
        return udp::write_packet(packet, source, remote, 64, sent);
    }
    let message = Icmp::new(of, sent).ok()?;
    let at = icmp::headers_len(source.ip());
    let load = message.payload();
    packet.get_mut(at..at + load.len())?.copy_from_slice(load);
    let names = (source.port(), message.sequence());
    icmp::seal_echo(packet, Echo::Request, (source.ip(), remote.ip()), names, load.len())
}
