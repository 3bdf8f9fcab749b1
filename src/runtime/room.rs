//! One server at work: its port, its machines and its uplink, and the order in which they take turns.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};

use super::Policy;
use super::dns::{Dns, Service};
use super::esp::Esp;
use super::forwarding::Forwards;
use super::link::{Device, Exits, Link, flush};
use super::os::door::{Door, Inbox};
use super::os::entropy;
use super::os::tun::Queue;
use super::parcels::Outgoing;
use super::share::{Descriptors, Share};
use super::traffic_log;
use super::uplink::host::Host;
use super::uplink::packets::PacketUplink;
use super::uplink::{self, SocketsUplink};
use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::firewall::Firewall;
use crate::domain::intended::IntendedServer;
use crate::domain::limits;
use crate::domain::name::AccountName;
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;
use crate::domain::traffic::Passed;
use crate::domain::traffic_log::TrafficLogSettings;
use crate::engine::dataplane::around::{Around, Parcel};
use crate::engine::dataplane::by_esp::EspChange;
use crate::engine::dataplane::exit::Exit;
use crate::engine::dataplane::nat::Ports;
use crate::engine::dataplane::seat::Seat;
use crate::engine::dataplane::shape::ServerLimit;
use crate::engine::dataplane::{Change, Dataplane};
use crate::engine::dns::Asker;
use crate::engine::flows::Limits;
use crate::engine::outbox::{Endpoint, Outbox};
use crate::engine::packet::{Offload, Owner};
use crate::observe::traffic_log::Sink;

/// How many batches of messages a room takes from its port before others have their turn.
const BATCHES: usize = 4;
/// How many packets of the host a room takes before others have their turn.
const HOST_PACKETS: usize = 64;

/// Where a room registers its sockets, tokens whose upper half is the room's slot, and at which worker.
#[derive(Debug)]
pub(super) struct Place {
    /// The worker's event queue.
    pub(super) registry: Registry,
    /// The server's slot, the same at every worker.
    pub(super) slot: usize,
    /// Which worker this is.
    pub(super) seat: Seat,
}

impl Place {
    const SHIFT: u32 = usize::BITS / 2;
    /// How many tokens a room has.
    const TOKENS: usize = 1 << Self::SHIFT;

    /// The slot of the room that a token belongs to.
    pub(super) const fn room_of(token: Token) -> usize {
        token.0 >> Self::SHIFT
    }

    /// The `index`th token of this room; 0 is its port's.
    pub(super) const fn token(&self, index: usize) -> Token {
        Token(self.slot << Self::SHIFT | index)
    }
}

/// What a room needs of its worker while it works.
pub(super) struct Desk<'a> {
    /// Where datagrams come in.
    pub(super) inbox: &'a mut Inbox,
    /// Where datagrams wait to go out; empty between turns.
    pub(super) outbox: &'a mut Outbox,
    /// The external ports of this worker.
    pub(super) ports: &'a mut Ports,
    /// The uplink for whole packets, where that is the one.
    pub(super) packets: Option<&'a mut PacketUplink>,
    /// The host's own addresses.
    pub(super) host: &'a mut Host,
    /// The resolver of this worker.
    pub(super) dns: &'a mut Dns,
    /// What this worker has of ESP.
    pub(super) esp: &'a mut Esp,
    /// The ways to the other workers.
    pub(super) outgoing: &'a mut Outgoing,
    /// The present.
    pub(super) now: Instant,
}

/// What a server starts with at one worker.
#[derive(Debug)]
pub(super) struct Opening {
    /// The server and its accounts.
    pub(super) wanted: IntendedServer,
    /// This worker's door to its port.
    pub(super) door: Door,
    /// This worker's queue of its own device, on an uplink for whole packets.
    pub(super) device: Option<Queue>,
    /// The firewall.
    pub(super) firewall: Arc<Firewall>,
    /// How its clients' packets leave.
    pub(super) exit: Exit,
    /// What holds the server's own limit, for all workers together.
    pub(super) limit: Arc<ServerLimit>,
}

/// A running server, as far as its clients live at this worker.
#[derive(Debug)]
pub(super) struct Room {
    place: Place,
    door: Door,
    /// Whether the port may hold datagrams: set by an event, cleared when it had none left.
    door_ready: bool,
    plane: Dataplane,
    link: Link,
    forwards: Forwards,
    /// Port 53 of the server's own addresses.
    service: Service,
    policy: Policy,
    share: Share,
}

impl Room {
    /// Takes over a door and takes in the accounts.
    ///
    /// # Errors
    /// The operating system's, where it has no more room for sockets.
    pub(super) fn open(
        opening: Opening,
        place: Place,
        policy: Policy,
        descriptors: &Descriptors,
        desk: &mut Desk<'_>,
    ) -> io::Result<Self> {
        let Opening { wanted, mut door, device, firewall, exit, limit } = opening;
        let server = Arc::clone(&wanted.server);
        door.register(&place.registry, place.token(0), Interest::READABLE)?;
        let mut share = descriptors.join();
        let link = if let Some(queue) = device {
            Link::Packets(Device::new(queue, &place.registry, place.token(1))?)
        } else {
            let registry = place.registry.try_clone()?;
            let tokens = place.token(1).0..place.token(Place::TOKENS - 1).0;
            let settings = flow_settings(&server, &policy, share.limits());
            Link::Flows(Box::new(SocketsUplink::new(registry, tokens, settings, desk.now)))
        };
        let service = Service::new(place.slot, &server);
        desk.dns.serve(place.slot, &server);
        let mut machine = Dataplane::new(server, place.seat, || u32::from_ne_bytes(entropy::bytes()), desk.now);
        machine.share_limit(limit, desk.now);
        machine.set_nat(&policy.nat);
        let (forwards, door_ready) = (Forwards::default(), true);
        let mut opened = Self { place, door, door_ready, plane: machine, link, forwards, service, policy, share };
        opened.apply(Change::Exit(exit), desk);
        opened.apply(Change::Firewall(firewall), desk);
        for account in wanted.accounts.values() {
            opened.set_account(Arc::clone(account), desk);
        }
        opened.set_forwards(wanted.forwards, desk);
        Ok(opened)
    }

    /// Changes the server, and its door where that is another; tunnels that the change does not concern go on.
    ///
    /// # Errors
    /// The operating system's, where it has no more room for sockets.
    pub(super) fn change(&mut self, server: Arc<Server>, door: Option<Door>, desk: &mut Desk<'_>) -> io::Result<()> {
        if let Some(mut door) = door {
            door.register(&self.place.registry, self.place.token(0), Interest::READABLE)?;
            self.door = door;
            self.door_ready = true;
        }
        self.service.apply(&server, desk.now);
        desk.dns.serve(self.place.slot, &server);
        self.apply(Change::Server(server), desk);
        self.settle_uplink(desk.now);
        self.settle_forwards(desk.now);
        Ok(())
    }

    /// Adds or changes an account.
    pub(super) fn set_account(&mut self, account: Arc<Account>, desk: &mut Desk<'_>) {
        self.apply(Change::Account(account), desk);
        // who comes or goes may be whom a port leads to; what fails is tried again
        self.settle_forwards(desk.now);
    }

    /// Takes an account away and ends its tunnel.
    pub(super) fn remove_account(&mut self, account: AccountName, desk: &mut Desk<'_>) {
        self.apply(Change::Gone(account), desk);
        self.settle_forwards(desk.now);
    }

    /// Changes the port forwards; what could not be opened, for people.
    pub(super) fn set_forwards(
        &mut self,
        forwards: Arc<BTreeMap<OuterPort, PortForward>>,
        desk: &mut Desk<'_>,
    ) -> Vec<String> {
        self.forwards.want(Arc::clone(&forwards));
        self.apply(Change::Forwards(forwards), desk);
        self.settle_forwards(desk.now)
    }

    /// The ways to the ports that are forwarded here.
    pub(super) fn doors(&self) -> Vec<uplink::Door> {
        match &self.link {
            Link::Flows(uplink) => uplink.doors(),
            Link::Packets(_) => Vec::new(),
        }
    }

    /// Tells what is forwarded elsewhere.
    pub(super) fn know_doors(&mut self, others: &[uplink::Door], desk: &mut Desk<'_>) {
        let own = self.doors();
        let others: Vec<uplink::Door> = others.iter().filter(|door| !own.contains(door)).copied().collect();
        self.forwards.know(&others);
        self.settle_forwards(desk.now);
    }

    fn settle_forwards(&mut self, now: Instant) -> Vec<String> {
        match &mut self.link {
            Link::Flows(uplink) => self.forwards.settle(&self.plane, uplink, now),
            Link::Packets(_) => Vec::new(),
        }
    }

    /// Ends what uses an external port that is forwarded from now on.
    pub(super) fn close_external(&mut self, protocol: u8, external: SocketAddr, ports: &mut Ports, now: Instant) {
        self.plane.close_external(protocol, external, ports, now);
    }

    /// Leaves those names unanswered that the worker's lists have.
    pub(super) fn take_lists(&mut self, desk: &mut Desk<'_>) {
        desk.dns.serve(self.place.slot, self.plane.server());
    }

    /// Judges by this firewall from now on.
    pub(super) fn set_firewall(&mut self, firewall: Arc<Firewall>, desk: &mut Desk<'_>) {
        self.apply(Change::Firewall(firewall), desk);
    }

    /// Logs so from now on.
    pub(super) fn set_log(&mut self, settings: Arc<TrafficLogSettings>, desk: &mut Desk<'_>) {
        self.apply(Change::Log(settings), desk);
    }

    /// Hands in what there is to log.
    pub(super) fn hand_in_log(&mut self, sink: &Sink) {
        traffic_log::hand_in(&mut self.plane, sink);
    }

    /// Hands in what there is to log, and of what is open that it has ended: the room is about to go.
    pub(super) fn close_log(&mut self, sink: &Sink) {
        self.plane.close_log();
        self.hand_in_log(sink);
    }

    /// Lets packets leave so from now on.
    pub(super) fn set_exit(&mut self, exit: Exit, desk: &mut Desk<'_>) {
        self.apply(Change::Exit(exit), desk);
    }

    /// Has every flow judged again, for what external addresses and ports are to clients has changed.
    pub(super) fn judge_anew(&mut self) {
        self.plane.judge_anew();
    }

    fn apply(&mut self, change: Change, desk: &mut Desk<'_>) {
        if let Some(cut) = self.with_around(desk, |plane, around, now| plane.apply(change, around, now)) {
            self.link.drop_owner(cut);
            self.service.drop_owner(cut);
        }
        flush(&self.door, desk.esp, desk.outbox);
    }

    /// Tells the uplink what the server's settings and its share of the descriptors mean for flows.
    fn settle_uplink(&mut self, now: Instant) {
        let settings = flow_settings(self.plane.server(), &self.policy, self.share.limits());
        if let Link::Flows(uplink) = &mut self.link {
            uplink.apply(settings, now);
        }
    }

    /// Notes that one of the room's sockets is ready.
    pub(super) fn handle_event(&mut self, event: &Event, now: Instant) {
        if event.token() == self.place.token(0) {
            self.door_ready = true;
        } else {
            self.link.handle_event(event, now);
        }
    }

    /// Takes a bounded portion of what there is to do; whether something is left over.
    ///
    /// Many datagrams go up before the uplink has its turn, and all that follows from both leaves in few batches.
    pub(super) fn turn(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.share.has_changed() {
            self.settle_uplink(desk.now);
        }
        if self.forwards.poll_deadline().is_some_and(|at| at <= desk.now) {
            self.settle_forwards(desk.now);
        }
        if self.plane.poll_deadline().is_some_and(|at| at <= desk.now) {
            self.with_around(desk, Dataplane::handle_deadline);
        }
        for _ in 0..BATCHES {
            if !self.door_ready {
                break;
            }
            self.door_ready = self.take_in(desk);
        }
        self.bring_down(desk);
        flush(&self.door, desk.esp, desk.outbox);
        self.door_ready || matches!(&self.link, Link::Packets(device) if device.is_ready())
    }

    /// Takes one batch from the port up the road; whether there was one.
    fn take_in(&mut self, desk: &mut Desk<'_>) -> bool {
        let Self { door, plane, link, place, forwards, service, .. } = self;
        let (inbox, now, slot) = (&mut *desk.inbox, desk.now, place.slot);
        let (packets, resolver) = (desk.packets.as_deref_mut(), Some((&mut *desk.dns, service)));
        let (outgoing, host) = (&mut *desk.outgoing, &mut *desk.host);
        let (link, esp) = (Some(link), &*desk.esp);
        let mut exits = Exits { door, esp, link, packets, forwards, host, outgoing, resolver, slot, now };
        let mut around = Around { outbox: desk.outbox, ports: desk.ports, beyond: &mut exits };
        let received = door.receive(inbox, |from, datagram| plane.handle_datagram(from, datagram, &mut around, now));
        plane.handle_batch_end(&mut around, now);
        received.is_ok_and(|datagrams| datagrams > 0)
    }

    /// Takes what another worker hands over.
    pub(super) fn take_parcel(&mut self, parcel: Parcel<'_>, desk: &mut Desk<'_>) {
        self.with_around(desk, |plane, around, now| plane.handle_parcel(parcel, around, now));
        flush(&self.door, desk.esp, desk.outbox);
    }

    /// Takes a client's ESP packet; what follows from it goes on at the latest with [`Self::end_esp`].
    pub(super) fn take_esp(&mut self, from: Endpoint, datagram: &mut [u8], desk: &mut Desk<'_>) {
        self.with_around(desk, |plane, around, now| plane.handle_esp(from, datagram, around, now));
    }

    /// No more ESP packets come for now.
    pub(super) fn end_esp(&mut self, desk: &mut Desk<'_>) {
        self.with_around(desk, Dataplane::handle_batch_end);
        self.send(desk);
    }

    /// Takes what IKE has agreed upon; `false` where no enabled account of this name lives here.
    pub(super) fn apply_esp(&mut self, account: &AccountName, change: EspChange) -> bool {
        self.plane.apply_esp(account, change)
    }

    /// Takes a packet from outside; what follows from it leaves with [`Self::send`].
    pub(super) fn take_arrival(&mut self, packet: &mut [u8], offload: Offload, desk: &mut Desk<'_>) {
        self.with_around(desk, |plane, around, now| plane.handle_arrival(packet, offload, around, now));
    }

    /// Sends what waits for the door.
    pub(super) fn send(&mut self, desk: &mut Desk<'_>) {
        flush(&self.door, desk.esp, desk.outbox);
    }

    /// Gives the uplink its turn, and takes its packets, or the host's, down the road.
    fn bring_down(&mut self, desk: &mut Desk<'_>) {
        let Self { door, plane, link, place, forwards, service, .. } = self;
        let (now, slot) = (desk.now, place.slot);
        let (outbox, ports, outgoing) = (&mut *desk.outbox, &mut *desk.ports, &mut *desk.outgoing);
        let (forwards, host, esp) = (&*forwards, &mut *desk.host, &*desk.esp);
        let mut down = |owner: Owner, packet: &mut [u8]| {
            let (link, packets, resolver) = (None, None, None);
            let mut exits = Exits { door, esp, link, packets, forwards, host, outgoing, resolver, slot, now };
            let mut around = Around { outbox, ports, beyond: &mut exits };
            plane.handle_down(owner, packet, &mut around, now);
        };
        service.turn(desk.dns, now, &mut down);
        match link {
            Link::Flows(uplink) => uplink.turn(now, &mut down),
            Link::Packets(_) => self.bring_down_the_hosts(desk),
        }
    }

    fn bring_down_the_hosts(&mut self, desk: &mut Desk<'_>) {
        let Some(packets) = desk.packets.as_deref_mut() else { return };
        let mut memory = std::mem::take(&mut packets.memory);
        for _ in 0..HOST_PACKETS {
            let Link::Packets(device) = &mut self.link else { break };
            let Some((length, offload)) = device.read(&mut memory) else { break };
            let packet = &mut memory[..length];
            self.with_around(desk, |plane, around, now| plane.handle_host(packet, offload, around, now));
        }
        if let Some(packets) = desk.packets.as_deref_mut() {
            packets.memory = memory;
        }
    }

    /// Calls the machine with what it is lent.
    fn with_around<T>(
        &mut self,
        desk: &mut Desk<'_>,
        call: impl FnOnce(&mut Dataplane, &mut Around<'_>, Instant) -> T,
    ) -> T {
        let Self { door, plane, link, place, forwards, service, .. } = self;
        let (now, slot, packets) = (desk.now, place.slot, desk.packets.as_deref_mut());
        let (outgoing, host, resolver) = (&mut *desk.outgoing, &mut *desk.host, Some((&mut *desk.dns, service)));
        let (link, esp) = (Some(link), &*desk.esp);
        let mut exits = Exits { door, esp, link, packets, forwards, host, outgoing, resolver, slot, now };
        call(plane, &mut Around { outbox: desk.outbox, ports: desk.ports, beyond: &mut exits }, now)
    }

    /// When something is due without a socket being ready.
    pub(super) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let Self { plane, link, forwards, service, .. } = self;
        let deadlines =
            [plane.poll_deadline(), link.poll_deadline(), forwards.poll_deadline(), service.poll_deadline(now)];
        deadlines.into_iter().flatten().min()
    }

    /// Gives an answer of the resolver to a client who has waited for it.
    pub(super) fn give(&mut self, asker: Asker, message: &[u8]) {
        self.service.give(asker, message);
    }

    /// The server's slot.
    pub(super) fn slot(&self) -> usize {
        self.place.slot
    }

    /// The machine, for those who read its figures.
    pub(super) fn plane(&self) -> &Dataplane {
        &self.plane
    }

    /// What its accounts have moved since this was last asked.
    pub(super) fn take_passed(&mut self) -> Vec<Passed> {
        self.plane.take_passed()
    }

    /// The figures of one account, or of all that have spoken.
    pub(super) fn figures(&self, account: Option<&AccountName>, now: Instant) -> Vec<AccountFigures> {
        match account {
            Some(account) => self.plane.account_figures(account, now).into_iter().collect(),
            None => self.plane.figures(now),
        }
    }
}

/// What a server's settings mean for flows.
fn flow_settings(server: &Server, policy: &Policy, limits: Limits) -> uplink::Settings {
    uplink::Settings {
        mtu: if server.mtu == 0 { limits::MTU_DEFAULT } else { server.mtu },
        address: Some(server.address.addr()),
        address_v6: server.ipv6.then(|| server.address_ipv6.addr()),
        limits: limits.with_ports(policy.nat.ports_per_account),
        buffer_max: usize::MAX,
        reach: policy.reach.clone(),
        filtering: policy.nat.filtering,
    }
}
