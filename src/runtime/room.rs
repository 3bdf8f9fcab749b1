//! One server at work: its port, its machines and its uplink, and the order in which they take turns.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};

use super::os::door::{Door, Inbox, Sent};
use super::os::entropy;
use super::parcels::Outgoing;
use super::share::{Descriptors, Share};
use super::uplink::{self, SocketsUplink};
use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::intended::IntendedServer;
use crate::domain::limits;
use crate::domain::name::AccountName;
use crate::domain::server::Server;
use crate::engine::dataplane::around::{Around, Beyond, Parcel};
use crate::engine::dataplane::nat::Ports;
use crate::engine::dataplane::seat::Seat;
use crate::engine::dataplane::{Change, Dataplane};
use crate::engine::flows::Limits;
use crate::engine::flows::reach::Reach;
use crate::engine::outbox::Outbox;
use crate::engine::packet::{Offload, Owner};

/// How many batches of messages a room takes from its port before others have their turn.
const BATCHES: usize = 4;

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
    /// The ways to the other workers.
    pub(super) outgoing: &'a mut Outgoing,
    /// The present.
    pub(super) now: Instant,
}

/// Where packets go that leave a room's road otherwise than by its door.
struct Exits<'a> {
    door: &'a Door,
    uplink: &'a mut SocketsUplink,
    outgoing: &'a mut Outgoing,
    slot: usize,
    now: Instant,
}

/// For packets on their way down, which have no other way.
struct Nowhere<'a> {
    door: &'a Door,
}

impl Beyond for Nowhere<'_> {
    fn outward(&mut self, _owner: Owner, _packet: &mut [u8], _offload: Offload) {}

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        false
    }

    fn make_room(&mut self, outbox: &mut Outbox) {
        flush(self.door, outbox);
    }
}

impl Beyond for Exits<'_> {
    fn outward(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) {
        self.uplink.handle_packet(owner, packet, self.now);
    }

    fn elsewhere(&mut self, worker: u8, parcel: Parcel<'_>) -> bool {
        self.outgoing.hand(worker, self.slot, parcel)
    }

    fn make_room(&mut self, outbox: &mut Outbox) {
        flush(self.door, outbox);
    }
}

/// A running server, as far as its clients live at this worker.
#[derive(Debug)]
pub(super) struct Room {
    place: Place,
    door: Door,
    /// Whether the port may hold datagrams: set by an event, cleared when it had none left.
    door_ready: bool,
    plane: Dataplane,
    uplink: SocketsUplink,
    reach: Reach,
    share: Share,
}

impl Room {
    /// Takes over a door and takes in the accounts.
    ///
    /// # Errors
    /// The operating system's, where it has no more room for sockets.
    pub(super) fn open(
        wanted: &IntendedServer,
        place: Place,
        mut door: Door,
        reach: Reach,
        descriptors: &Descriptors,
        desk: &mut Desk<'_>,
    ) -> io::Result<Self> {
        let server = Arc::clone(&wanted.server);
        door.register(&place.registry, place.token(0), Interest::READABLE)?;
        let mut share = descriptors.join();
        let registry = place.registry.try_clone()?;
        let tokens = place.token(1).0..place.token(Place::TOKENS - 1).0;
        let uplink = SocketsUplink::new(registry, tokens, flow_settings(&server, &reach, share.limits()), desk.now);
        let dataplane = Dataplane::new(server, place.seat, || u32::from_ne_bytes(entropy::bytes()), desk.now);
        let mut opened = Self { place, door, door_ready: true, plane: dataplane, uplink, reach, share };
        for account in wanted.accounts.values() {
            opened.set_account(Arc::clone(account), desk);
        }
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
        self.apply(Change::Server(server), desk);
        self.settle_uplink(desk.now);
        Ok(())
    }

    /// Adds or changes an account.
    pub(super) fn set_account(&mut self, account: Arc<Account>, desk: &mut Desk<'_>) {
        self.apply(Change::Account(account), desk);
    }

    /// Takes an account away and ends its tunnel.
    pub(super) fn remove_account(&mut self, account: AccountName, desk: &mut Desk<'_>) {
        self.apply(Change::Gone(account), desk);
    }

    fn apply(&mut self, change: Change, desk: &mut Desk<'_>) {
        if let Some(cut) = self.with_around(desk, |plane, around, now| plane.apply(change, around, now)) {
            self.uplink.drop_owner(cut);
        }
        flush(&self.door, desk.outbox);
    }

    /// Tells the uplink what the server's settings and its share of the descriptors mean for flows.
    fn settle_uplink(&mut self, now: Instant) {
        let settings = flow_settings(self.plane.server(), &self.reach, self.share.limits());
        self.uplink.apply(settings, now);
    }

    /// Notes that one of the room's sockets is ready.
    pub(super) fn handle_event(&mut self, event: &Event, now: Instant) {
        if event.token() == self.place.token(0) {
            self.door_ready = true;
            return;
        }
        let readable = event.is_readable() || event.is_read_closed();
        let writable = event.is_writable() || event.is_write_closed();
        self.uplink.handle_event(event.token(), readable, writable, event.is_error(), now);
    }

    /// Takes a bounded portion of what there is to do; whether datagrams are left over.
    ///
    /// Many datagrams go up before the uplink has its turn, and all that follows from both leaves in few batches.
    pub(super) fn turn(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.share.has_changed() {
            self.settle_uplink(desk.now);
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
        flush(&self.door, desk.outbox);
        self.door_ready
    }

    /// Takes one batch from the port up the road; whether there was one.
    fn take_in(&mut self, desk: &mut Desk<'_>) -> bool {
        let Self { door, plane, uplink, place, .. } = self;
        let now = desk.now;
        let mut exits = Exits { door, uplink, outgoing: desk.outgoing, slot: place.slot, now };
        let mut around = Around { outbox: desk.outbox, ports: desk.ports, beyond: &mut exits };
        let received = door.receive(desk.inbox, |from, datagram| {
            plane.handle_datagram(from, datagram, &mut around, now);
        });
        received.is_ok_and(|datagrams| datagrams > 0)
    }

    /// Takes what another worker hands over.
    pub(super) fn take_parcel(&mut self, parcel: Parcel<'_>, desk: &mut Desk<'_>) {
        self.with_around(desk, |plane, around, now| plane.handle_parcel(parcel, around, now));
        flush(&self.door, desk.outbox);
    }

    /// Gives the uplink its turn, and takes its packets down the road.
    fn bring_down(&mut self, desk: &mut Desk<'_>) {
        let Self { door, plane, uplink, .. } = self;
        let (outbox, ports, now) = (&mut *desk.outbox, &mut *desk.ports, desk.now);
        uplink.turn(now, &mut |owner, packet| {
            let mut around = Around { outbox, ports, beyond: &mut Nowhere { door } };
            plane.handle_down(owner, packet, &mut around, now);
        });
    }

    /// Calls the machine with what it is lent.
    fn with_around<T>(
        &mut self,
        desk: &mut Desk<'_>,
        call: impl FnOnce(&mut Dataplane, &mut Around<'_>, Instant) -> T,
    ) -> T {
        let Self { door, plane, uplink, place, .. } = self;
        let mut exits = Exits { door, uplink, outgoing: desk.outgoing, slot: place.slot, now: desk.now };
        call(plane, &mut Around { outbox: desk.outbox, ports: desk.ports, beyond: &mut exits }, desk.now)
    }

    /// When something is due without a socket being ready.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        [self.plane.poll_deadline(), self.uplink.poll_deadline()].into_iter().flatten().min()
    }

    /// The figures of one account, or of all that have spoken.
    pub(super) fn figures(&self, account: Option<&AccountName>, now: Instant) -> Vec<AccountFigures> {
        match account {
            Some(account) => self.plane.account_figures(account, now).into_iter().collect(),
            None => self.plane.figures(now),
        }
    }
}

/// Sends what waits. What the kernel does not take is lost, as on any full link.
fn flush(door: &Door, outbox: &mut Outbox) {
    for batch in outbox.batches() {
        if door.send(&batch) == Sent::Full {
            break;
        }
    }
    outbox.clear();
}

/// What a server's settings mean for flows.
fn flow_settings(server: &Server, reach: &Reach, limits: Limits) -> uplink::Settings {
    uplink::Settings {
        mtu: if server.mtu == 0 { limits::MTU_DEFAULT } else { server.mtu },
        address: Some(server.address.addr()),
        address_v6: server.ipv6.then(|| server.address_ipv6.addr()),
        limits,
        reach: reach.clone(),
    }
}
