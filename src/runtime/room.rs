//! One server at work: its port, its machines and its uplink, and the order in which they take turns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};

use super::Settings;
use super::os::door::{Door, Inbox};
use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::intended::IntendedServer;
use crate::domain::name::{AccountName, ServerName};
use crate::domain::server::Server;
use crate::engine::outbox::Outbox;

/// How many batches of messages a room takes from its port before others have their turn.
const BATCHES: usize = 8;

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
    server: Arc<Server>,
    place: Place,
    door: Door,
    /// Whether the port may hold datagrams: set by an event, cleared when it had none left.
    door_ready: bool,
    accounts: BTreeMap<AccountName, Arc<Account>>,
}

impl Room {
    /// Opens the port and takes in the accounts.
    ///
    /// # Errors
    /// Why the server cannot run, for people.
    pub(super) fn open(
        wanted: &IntendedServer,
        place: Place,
        _settings: &Settings,
        _now: Instant,
    ) -> Result<Self, String> {
        let server = Arc::clone(&wanted.server);
        let door = open_door(&place, server.listen_port)?;
        Ok(Self { server, place, door, door_ready: true, accounts: wanted.accounts.as_ref().clone() })
    }

    /// The server's name.
    pub(super) fn name(&self) -> &ServerName {
        &self.server.name
    }

    /// Changes the server; tunnels that the change does not concern go on.
    ///
    /// # Errors
    /// Why it cannot run so, for people.
    pub(super) fn change(&mut self, server: Arc<Server>, _now: Instant) -> Result<(), String> {
        if server.listen_port != self.server.listen_port {
            self.door = open_door(&self.place, server.listen_port)?;
            self.door_ready = true;
        }
        self.server = server;
        Ok(())
    }

    /// Adds or changes an account.
    pub(super) fn set_account(&mut self, account: Arc<Account>, _now: Instant) {
        self.accounts.insert(account.name.clone(), account);
    }

    /// Takes an account away and ends its tunnel.
    pub(super) fn remove_account(&mut self, account: &AccountName, _now: Instant) {
        self.accounts.remove(account);
    }

    /// Notes that one of the room's sockets is ready.
    pub(super) fn handle_event(&mut self, event: &Event, _now: Instant) {
        if event.token() == self.place.token(0) {
            self.door_ready = true;
        }
    }

    /// Takes a bounded portion of what there is to do; whether something is left over.
    pub(super) fn turn(&mut self, inbox: &mut Inbox, outbox: &mut Outbox, _now: Instant) -> bool {
        for _ in 0..BATCHES {
            if !self.door_ready {
                break;
            }
            self.door_ready = self.door.receive(inbox, |_from, _datagram| {}).is_ok_and(|datagrams| datagrams > 0);
        }
        for batch in outbox.batches() {
            self.door.send(&batch);
        }
        outbox.clear();
        self.door_ready
    }

    /// When something is due without a socket being ready.
    #[expect(clippy::unused_self, reason = "the machines' deadlines come here")]
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        None
    }

    /// The figures of one account, or of all that have spoken.
    #[expect(clippy::unused_self, reason = "the machines' figures come here")]
    pub(super) fn figures(&self, _account: Option<&AccountName>, _now: Instant) -> Vec<AccountFigures> {
        Vec::new()
    }
}

fn open_door(place: &Place, port: u16) -> Result<Door, String> {
    let say = |error: std::io::Error| format!("UDP port {port}: {error}");
    let mut door = Door::open(port).map_err(say)?;
    door.register(&place.registry, place.token(0), Interest::READABLE).map_err(say)?;
    Ok(door)
}
