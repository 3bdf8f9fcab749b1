//! What carries a room's packets to the outside, and the ways out of its road.

use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};

use super::dns::{Dns, Service};
use super::esp::Esp;
use super::forwarding::Forwards;
use super::os::door::{Door, Sent};
use super::os::tun::Queue;
use super::parcels::Outgoing;
use super::uplink::SocketsUplink;
use super::uplink::host::Host;
use super::uplink::packets::{self, PacketUplink};
use crate::engine::dataplane::around::{Beyond, EspWord, Parcel, Standing};
use crate::engine::flows::reach::HostAddresses as _;
use crate::engine::offload::split::split;
use crate::engine::outbox::{Outbox, Port};
use crate::engine::packet::{Offload, Owner};

/// What carries a room's packets to the outside.
#[derive(Debug)]
pub(super) enum Link {
    /// Ordinary sockets, the room's own.
    Flows(Box<SocketsUplink>),
    /// The worker's queue of the uplink, and the room's queue of the server's own device.
    Packets(Device),
}

/// A server's own device, by which the host reaches its clients.
#[derive(Debug)]
pub(super) struct Device {
    queue: Queue,
    /// Whether it may hold packets: set by an event, cleared when it had none left.
    ready: bool,
}

impl Device {
    /// Takes a queue, and has readiness told under this token.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn new(mut queue: Queue, registry: &Registry, token: Token) -> std::io::Result<Self> {
        queue.register(registry, token, Interest::READABLE)?;
        Ok(Self { queue, ready: true })
    }

    /// Takes one packet of the host's into `memory`: its length and what it is.
    pub(super) fn read(&mut self, memory: &mut [u8]) -> Option<(usize, Offload)> {
        if !self.ready {
            return None;
        }
        if let Ok(Some((header, length))) = self.queue.read(memory) {
            return Some((length, packets::offload_of(&header)));
        }
        self.ready = false;
        None
    }

    /// Whether it may hold packets.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }
}

impl Link {
    /// Notes that one of its sockets is ready.
    pub(super) fn handle_event(&mut self, event: &Event, now: Instant) {
        match self {
            Self::Flows(uplink) => {
                let readable = event.is_readable() || event.is_read_closed();
                let writable = event.is_writable() || event.is_write_closed();
                uplink.handle_event(event.token(), readable, writable, event.is_error(), now);
            }
            Self::Packets(device) => device.ready = true,
        }
    }

    /// Ends what an account has open.
    pub(super) fn drop_owner(&mut self, owner: Owner) {
        if let Self::Flows(uplink) = self {
            uplink.drop_owner(owner);
        }
    }

    /// When something is due without a socket being ready.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        match self {
            Self::Flows(uplink) => uplink.poll_deadline(),
            Self::Packets(_) => None,
        }
    }
}

/// Where packets go that leave a room's road.
pub(super) struct Exits<'a> {
    pub(super) door: &'a Door,
    pub(super) esp: &'a Esp,
    /// Absent for packets on their way down, which come from it.
    pub(super) link: Option<&'a mut Link>,
    pub(super) packets: Option<&'a mut PacketUplink>,
    pub(super) forwards: &'a Forwards,
    pub(super) host: &'a mut Host,
    pub(super) outgoing: &'a mut Outgoing,
    /// Port 53 of the server's own address; absent for packets on their way down.
    pub(super) resolver: Option<(&'a mut Dns, &'a mut Service)>,
    pub(super) slot: usize,
    pub(super) now: Instant,
}

impl Beyond for Exits<'_> {
    fn outward(&mut self, owner: Owner, packet: &mut [u8], offload: Offload) {
        match (&mut self.link, &mut self.packets) {
            (Some(Link::Flows(uplink)), _) => uplink.handle_packet(owner, packet, self.now),
            (_, Some(packets)) => packets.send(packet, offload),
            (Some(Link::Packets(_)) | None, None) => {}
        }
    }

    fn elsewhere(&mut self, worker: u8, parcel: Parcel<'_>) -> bool {
        self.outgoing.hand(worker, self.slot, parcel)
    }

    fn host(&mut self, owner: Owner, packet: &mut [u8], offload: Offload) {
        match &mut self.link {
            Some(Link::Flows(uplink)) => uplink.handle_packet_to_host(owner, packet, self.now),
            Some(Link::Packets(device)) => {
                packets::write(&device.queue, packet, offload);
            }
            None => {}
        }
    }

    fn resolver(&mut self, owner: Owner, packet: &mut [u8], offload: Offload) -> bool {
        let Some((dns, service)) = &mut self.resolver else { return false };
        if !dns.is_enabled() {
            return false;
        }
        // what is no whole datagram or segment asks nothing
        let _ = split(packet, offload, 1, |packet, _| service.handle_packet(dns, owner, packet, self.now));
        true
    }

    fn standing(&mut self, protocol: u8, to: std::net::SocketAddr) -> Standing {
        if let Some(packets) = &mut self.packets {
            return packets.standing(protocol, to);
        }
        if self.forwards.leads_in(protocol, to) {
            return Standing::Inside;
        }
        // what else is closed to clients, loopback above all, the uplink of flows knows itself
        let is_hosts = !to.ip().is_loopback() && self.host.at(self.now).contains(to.ip());
        if is_hosts { Standing::Host } else { Standing::Outside }
    }

    fn tell_ike(&mut self, word: EspWord) {
        self.esp.tell_ike(word);
    }

    fn make_room(&mut self, outbox: &mut Outbox) {
        flush(self.door, self.esp, outbox);
    }
}

/// Sends what waits. What the kernel does not take is lost, as on any full link.
pub(super) fn flush(door: &Door, esp: &Esp, outbox: &mut Outbox) {
    for batch in outbox.batches() {
        let door = match batch.port {
            Port::WireGuard => Some(door),
            Port::Esp => esp.door(),
        };
        if door.is_some_and(|door| door.send(&batch) == Sent::Full) {
            break;
        }
    }
    outbox.clear();
}
