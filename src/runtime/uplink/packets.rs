//! The uplink for whole packets: one queue of a TUN device, which the kernel routes to and from.
//!
//! Each worker has its own. What comes in is for the holder of an external port, for a forwarded port, for a network that
//! is routed to clients, or for the host itself, to which it is handed back by the same device. What a client sends to one
//! of the external addresses turns back before it leaves (RFC 4787, REQ-9).

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mio::event::Source as _;
use mio::{Interest, Registry, Token};
use tracing::warn;

use super::host::Host;
use crate::engine::dataplane::around::Standing;
use crate::engine::dataplane::nat::{Ports, quoted_key};
use crate::engine::dataplane::seat::Seat;
use crate::engine::flows::reach::{HostAddresses as _, Reach};
use crate::engine::fragments::gather::Fragments;
use crate::engine::packet::{Offload, Owner};
use crate::engine::wire::ip::take_hop;
use crate::engine::wire::tcp::Tcp;
use crate::engine::wire::{FlowKey, Ip, protocol, udp};
use crate::runtime::Policy;
use crate::runtime::os::entropy;
use crate::runtime::os::icmp6::Icmp6;
use crate::runtime::os::tun::{PACKET_MAX, Queue};
use crate::runtime::os::vnet::{Header, Kind, Segments, Unfinished};

/// How long a packet's fragments wait for the rest (RFC 5722 and RFC 4787, REQ-14 (a) ask for a bound).
const FRAGMENTS: Duration = Duration::from_secs(2);
/// Bytes of packets that may wait to turn back.
const TURNING: usize = 1 << 20;

/// Whose what comes from outside is, besides the holders of ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::runtime) struct Table {
    /// The addresses in whose name clients' packets leave.
    pub(in crate::runtime) externals: BTreeSet<IpAddr>,
    /// The slots of the servers that have forwarded ports.
    pub(in crate::runtime) doors: BTreeMap<(u8, SocketAddr), usize>,
    /// Networks of clients that are reached by their own addresses, with their servers' slots.
    pub(in crate::runtime) networks: Vec<(IpNet, usize)>,
}

/// Where a packet from outside goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum Goes {
    /// To the server in this slot.
    To(usize),
    /// To another worker, who knows.
    Elsewhere(u8),
    /// To the host: nobody here asked for it.
    Back,
}

/// One worker's end of the uplink.
#[derive(Debug)]
pub(in crate::runtime) struct PacketUplink {
    queue: Queue,
    ready: bool,
    /// What the host hears of ICMP over IPv6; the first worker's.
    errors: Option<Icmp6>,
    errors_ready: bool,
    seat: Seat,
    table: Arc<Table>,
    reach: Reach,
    /// The ports of shared addresses that the NAT maps to, of all workers.
    mapped: RangeInclusive<u16>,
    host: Host,
    fragments: Fragments,
    /// Where packets are read.
    pub(in crate::runtime) memory: Box<[u8]>,
    turning: Vec<u8>,
    turns: Vec<(usize, Offload)>,
    /// Packets that the kernel had no room for, or refused.
    lost: u64,
    now: Instant,
}

impl PacketUplink {
    /// Takes a queue, and has readiness told under this token.
    ///
    /// # Errors
    /// The operating system's.
    pub(in crate::runtime) fn new(
        mut queue: Queue,
        (registry, tokens): (&Registry, [Token; 2]),
        seat: Seat,
        policy: &Policy,
        now: Instant,
    ) -> std::io::Result<Self> {
        queue.register(registry, tokens[0], Interest::READABLE)?;
        let errors = if seat.worker == 0 { open_errors(registry, tokens[1]) } else { None };
        Ok(Self {
            queue,
            ready: true,
            errors,
            errors_ready: true,
            seat,
            table: Arc::default(),
            reach: policy.reach.clone(),
            mapped: policy.nat.ports.clone(),
            host: Host::new(now),
            fragments: Fragments::new(u64::from_le_bytes(entropy::bytes()), FRAGMENTS),
            memory: vec![0; PACKET_MAX].into(),
            turning: Vec::new(),
            turns: Vec::new(),
            lost: 0,
            now,
        })
    }

    /// From now on this holds; what held before.
    pub(in crate::runtime) fn apply(&mut self, table: Arc<Table>) -> Arc<Table> {
        std::mem::replace(&mut self.table, table)
    }

    /// The device, or the host's ICMP, has something to read.
    pub(in crate::runtime) fn handle_ready(&mut self) {
        self.ready = true;
        self.errors_ready = self.errors.is_some();
    }

    /// Takes one ICMP message over IPv6 that the host heard: its length.
    pub(in crate::runtime) fn read_error(&mut self, memory: &mut [u8]) -> Option<usize> {
        if !self.errors_ready {
            return None;
        }
        let read = self.errors.as_ref().and_then(|errors| errors.read(memory).ok().flatten());
        self.errors_ready = read.is_some();
        read
    }

    /// Whether something may be there to be read.
    pub(in crate::runtime) fn is_ready(&self) -> bool {
        self.ready || self.errors_ready || !self.turns.is_empty()
    }

    /// Notes the time; gives up fragments that have waited too long.
    pub(in crate::runtime) fn pass(&mut self, now: Instant) {
        self.now = now;
        self.fragments.expire(now);
    }

    /// Packets that the kernel did not take.
    pub(in crate::runtime) fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes one packet from the kernel into `memory`: its length and what it is.
    pub(in crate::runtime) fn read(&mut self, memory: &mut [u8]) -> Option<(usize, Offload)> {
        if let Ok(Some((header, length))) = self.queue.read(memory) {
            return Some((length, offload_of(&header)));
        }
        self.ready = false;
        None
    }

    /// Puts fragments together; the whole packet when it is.
    pub(in crate::runtime) fn gather(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.fragments.handle(Owner(0), packet, self.now)
    }

    /// Sends a packet to the outside, or turns it back where it leads to a client.
    pub(in crate::runtime) fn send(&mut self, packet: &mut [u8], offload: Offload) {
        if !self.turns_back(packet) {
            self.write(packet, offload);
        } else if self.turning.len() + packet.len() <= TURNING {
            take_hop(packet);
            self.turning.extend_from_slice(packet);
            self.turns.push((packet.len(), offload));
        } else {
            self.lost += 1;
        }
    }

    /// Hands a packet back to the host, or sends it on: the kernel finds its way.
    pub(in crate::runtime) fn write(&mut self, packet: &[u8], offload: Offload) {
        self.lost += u64::from(!write(&self.queue, packet, offload));
    }

    /// What has turned back since the last call: all bytes, and where each packet ends.
    pub(in crate::runtime) fn take_turned(&mut self) -> (Vec<u8>, Vec<(usize, Offload)>) {
        (std::mem::take(&mut self.turning), std::mem::take(&mut self.turns))
    }

    fn turns_back(&self, packet: &[u8]) -> bool {
        let Ok(ip) = Ip::new(packet) else { return false };
        if !self.table.externals.contains(&ip.destination()) {
            return false;
        }
        let key = FlowKey::of(&ip).ok().flatten().or_else(|| quoted_key(packet).ok().map(FlowKey::reversed));
        key.is_some_and(|key| self.leads_in(key.protocol, key.destination))
    }

    /// Whether an external address and port may lead to a client.
    fn leads_in(&self, protocol: u8, to: SocketAddr) -> bool {
        let is_mapped = matches!(protocol, protocol::TCP | protocol::UDP) && self.mapped.contains(&to.port());
        self.table.externals.contains(&to.ip()) && (is_mapped || self.table.doors.contains_key(&(protocol, to)))
    }

    /// What an address is to clients.
    pub(in crate::runtime) fn standing(&mut self, protocol: u8, to: SocketAddr) -> Standing {
        if self.leads_in(protocol, to) {
            return Standing::Inside;
        }
        let host = self.host.at(self.now);
        if host.contains(to.ip()) {
            return if to.ip().is_loopback() { Standing::Closed } else { Standing::Host };
        }
        match self.reach.judge(to.ip(), host) {
            Ok(()) => Standing::Outside,
            Err(_) => Standing::Closed,
        }
    }

    /// Whose a packet from outside is.
    pub(in crate::runtime) fn place(&self, packet: &[u8], ports: &Ports) -> Goes {
        let Ok(ip) = Ip::new(packet) else { return Goes::Back };
        let to = ip.destination();
        if let Some((_, slot)) = self.table.networks.iter().find(|(network, _)| network.contains(&to)) {
            return Goes::To(*slot);
        }
        // an error goes where the packet that it is about came from
        let key = match FlowKey::of(&ip) {
            Ok(Some(key)) => key,
            Ok(None) => match quoted_key(packet) {
                Ok(quoted) => quoted.reversed(),
                Err(_) => return Goes::Back,
            },
            Err(_) => return Goes::Back,
        };
        if let Some(slot) = self.table.doors.get(&(key.protocol, key.destination)) {
            return Goes::To(*slot);
        }
        if let Some(slot) = ports.holder(key.protocol, key.destination) {
            return Goes::To(usize::from(slot));
        }
        let home = worker_of(key.destination.port(), &self.mapped, self.seat.of);
        if home != self.seat.worker && self.leads_in_or_pings(&key) { Goes::Elsewhere(home) } else { Goes::Back }
    }

    fn leads_in_or_pings(&self, key: &FlowKey) -> bool {
        self.table.externals.contains(&key.destination.ip()) && self.mapped.contains(&key.destination.port())
    }
}

/// Over IPv6 no rule steers ICMP, so it is heard beside the host.
fn open_errors(registry: &Registry, token: Token) -> Option<Icmp6> {
    let opened = Icmp6::open().and_then(|mut errors| {
        errors.register(registry, token, Interest::READABLE)?;
        Ok(errors)
    });
    match opened {
        Ok(errors) => Some(errors),
        Err(error) => {
            warn!("Clients get no answers to pings over IPv6, and no errors: a raw socket needs CAP_NET_RAW ({error})");
            None
        }
    }
}

/// Gives a device a packet; whether it took it.
pub(in crate::runtime) fn write(queue: &Queue, packet: &[u8], offload: Offload) -> bool {
    let Some(header) = header_of(packet, offload) else { return false };
    queue.write(&header, &[IoSlice::new(packet)]).is_ok()
}

/// The external ports of a worker: an equal slice of all that are mapped to.
pub(in crate::runtime) fn slice(seat: Seat, mapped: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let size = mapped.len();
    let begin = |worker: u8| {
        let before = size * usize::from(worker) / usize::from(seat.of.max(1));
        mapped.start().saturating_add(u16::try_from(before).unwrap_or(u16::MAX))
    };
    // the range has many more ports than there are workers: no slice is empty
    let end = begin(seat.worker.saturating_add(1)).saturating_sub(1);
    begin(seat.worker)..=if seat.worker.saturating_add(1) >= seat.of { *mapped.end() } else { end }
}

/// The worker in whose slice a port lies.
fn worker_of(port: u16, mapped: &RangeInclusive<u16>, workers: u8) -> u8 {
    let place = usize::from(port.saturating_sub(*mapped.start()));
    let before = ((place + 1) * usize::from(workers)).saturating_sub(1) / mapped.len().max(1);
    u8::try_from(before).unwrap_or(u8::MAX).min(workers.saturating_sub(1))
}

/// What a packet of the kernel's is.
pub(in crate::runtime) fn offload_of(header: &Header) -> Offload {
    Offload {
        segment: header.segments.map_or(0, |segments| segments.size),
        partial_checksum: header.unfinished.is_some(),
        gathered: false,
    }
}

/// What the kernel is told of a packet of ours; `None` where it is none.
fn header_of(packet: &[u8], offload: Offload) -> Option<Header> {
    if !offload.is_super() && !offload.partial_checksum {
        return Some(Header::default());
    }
    let ip = Ip::new(packet).ok()?;
    let transport = ip.transport();
    let start = u16::try_from(transport.offset).ok()?;
    let (kind, length, offset, ecn) = match transport.protocol {
        protocol::TCP => {
            let segment = Tcp::new(ip.payload()).ok()?;
            let kind = if ip.source().is_ipv4() { Kind::TcpV4 } else { Kind::TcpV6 };
            (kind, segment.header_len(), 16, ip.payload()[13] & 0x80 != 0)
        }
        protocol::UDP => (Kind::Udp, udp::HEADER, 6, false),
        _ => return None,
    };
    Some(Header {
        segments: offload.is_super().then_some(Segments { kind, size: offload.segment, ecn }),
        headers: start + u16::try_from(length).ok()?,
        unfinished: offload.partial_checksum.then_some(Unfinished { start, offset }),
        good: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits;

    #[test]
    fn gives_every_port_to_the_worker_in_whose_slice_it_lies() {
        for mapped in [limits::NAT_PORTS, 1_024..=2_047, 1_024..=65_535, 64_500..=65_535, 64_512..=65_535] {
            for of in [1, 2, 3, 7, 64] {
                let slices: Vec<_> = (0..of).map(|worker| slice(Seat { server: 0, worker, of }, &mapped)).collect();
                for port in mapped.clone() {
                    let holders = (0..of).filter(|worker| slices[usize::from(*worker)].contains(&port));
                    assert_eq!(
                        holders.collect::<Vec<_>>(),
                        [worker_of(port, &mapped, of)],
                        "{port} of {mapped:?}, {of}"
                    );
                }
            }
        }
    }
}
