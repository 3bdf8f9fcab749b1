//! One server at work: its port, its machines and its uplink, and the order in which they take turns.

use std::sync::Arc;
use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};

use super::Settings;
use super::os::door::{Door, Inbox, Sent};
use super::os::entropy;
use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::intended::IntendedServer;
use crate::domain::name::{AccountName, ServerName};
use crate::domain::server::Server;
use crate::engine::dataplane::{Change, Dataplane};
use crate::engine::outbox::Outbox;

/// How many batches of messages a room takes from its port before others have their turn.
const BATCHES: usize = 4;

/// Where a room registers its sockets: tokens whose upper half is the room's slot.
#[derive(Debug)]
pub(super) struct Place {
    /// The worker's event queue.
    pub(super) registry: Registry,
    /// The room's slot in the worker.
    pub(super) slot: usize,
}

impl Place {
    const SHIFT: u32 = usize::BITS / 2;

    /// The slot of the room that a token belongs to.
    pub(super) const fn room_of(token: Token) -> usize {
        token.0 >> Self::SHIFT
    }

    /// The `index`th token of this room; 0 is its port's.
    pub(super) const fn token(&self, index: usize) -> Token {
        Token(self.slot << Self::SHIFT | index)
    }
}

/// A running server.
#[derive(Debug)]
pub(super) struct Room {
    place: Place,
    door: Door,
    /// Whether the port may hold datagrams: set by an event, cleared when it had none left.
    door_ready: bool,
    plane: Dataplane,
}

impl Room {
    /// Opens the port and takes in the accounts.
    ///
    /// # Errors
    /// Why the server cannot run, for people.
    pub(super) fn open(
        wanted: &IntendedServer,
        place: Place,
        outbox: &mut Outbox,
        _settings: &Settings,
        now: Instant,
    ) -> Result<Self, String> {
        let server = Arc::clone(&wanted.server);
        let door = open_door(&place, server.listen_port)?;
        let dataplane = Dataplane::new(server, || u32::from_ne_bytes(entropy::bytes()), now);
        let mut opened = Self { place, door, door_ready: true, plane: dataplane };
        for account in wanted.accounts.values() {
            opened.set_account(Arc::clone(account), outbox, now);
        }
        Ok(opened)
    }

    /// The server's name.
    pub(super) fn name(&self) -> &ServerName {
        &self.plane.server().name
    }

    /// Changes the server; tunnels that the change does not concern go on.
    ///
    /// # Errors
    /// Why it cannot run so, for people.
    pub(super) fn change(&mut self, server: Arc<Server>, outbox: &mut Outbox, now: Instant) -> Result<(), String> {
        if server.listen_port != self.plane.server().listen_port {
            self.door = open_door(&self.place, server.listen_port)?;
            self.door_ready = true;
        }
        self.apply(Change::Server(server), outbox, now);
        Ok(())
    }

    /// Adds or changes an account.
    pub(super) fn set_account(&mut self, account: Arc<Account>, outbox: &mut Outbox, now: Instant) {
        self.apply(Change::Account(account), outbox, now);
    }

    /// Takes an account away and ends its tunnel.
    pub(super) fn remove_account(&mut self, account: AccountName, outbox: &mut Outbox, now: Instant) {
        self.apply(Change::Gone(account), outbox, now);
    }

    fn apply(&mut self, change: Change, outbox: &mut Outbox, now: Instant) {
        let _cut = self.plane.apply(change, outbox, now);
        flush(&self.door, outbox);
    }

    /// Notes that one of the room's sockets is ready.
    pub(super) fn handle_event(&mut self, event: &Event, _now: Instant) {
        if event.token() == self.place.token(0) {
            self.door_ready = true;
        }
    }

    /// Takes a bounded portion of what there is to do; whether something is left over.
    pub(super) fn turn(&mut self, inbox: &mut Inbox, outbox: &mut Outbox, now: Instant) -> bool {
        if self.plane.poll_deadline().is_some_and(|at| at <= now) {
            self.plane.handle_deadline(outbox, now);
        }
        for _ in 0..BATCHES {
            if !self.door_ready {
                break;
            }
            self.door_ready = self.take_in(inbox, outbox, now);
        }
        flush(&self.door, outbox);
        self.door_ready
    }

    /// Takes one batch from the port up the road; whether there was one.
    fn take_in(&mut self, inbox: &mut Inbox, outbox: &mut Outbox, now: Instant) -> bool {
        let Self { door, plane, .. } = self;
        let received = door.receive(inbox, |from, datagram| {
            make_room(door, outbox);
            let _outward = plane.handle_datagram(from, datagram, outbox, now);
        });
        received.is_ok_and(|datagrams| datagrams > 0)
    }

    /// When something is due without a socket being ready.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.plane.poll_deadline()
    }

    /// The figures of one account, or of all that have spoken.
    pub(super) fn figures(&self, account: Option<&AccountName>, now: Instant) -> Vec<AccountFigures> {
        match account {
            Some(account) => self.plane.account_figures(account, now).into_iter().collect(),
            None => self.plane.figures(now),
        }
    }
}

/// Sends what waits if not much more fits.
fn make_room(door: &Door, outbox: &mut Outbox) {
    if outbox.is_tight() {
        flush(door, outbox);
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

fn open_door(place: &Place, port: u16) -> Result<Door, String> {
    let say = |error: std::io::Error| format!("UDP port {port}: {error}");
    let mut door = Door::open(port).map_err(say)?;
    door.register(&place.registry, place.token(0), Interest::READABLE).map_err(say)?;
    Ok(door)
}
