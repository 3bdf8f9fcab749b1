//! ESP in UDP at a worker: its door to the port that all servers share, and whose each association is.
//!
//! The kernel reads a packet's SPI and hands it to the worker at which the client lives (`os/sharing.rs`). The association's
//! keys are in the room of the client's server.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use mio::event::Source as _;
use mio::{Interest, Registry, Token};

use super::ikev2::{Command, Ike};
use super::os::door::{Door, Inbox};
use super::os::entropy;
use super::room::{Desk, Room};
use crate::domain::name::AccountName;
use crate::engine::dataplane::around::EspWord;
use crate::engine::dataplane::by_esp::EspChange;
use crate::engine::outbox::Endpoint;

/// How many batches of packets are taken before the rooms have their turn.
const BATCHES: usize = 4;
/// What a message of IKE begins with on this port: RFC 3948, section 2.2.
const MARKER: [u8; 4] = [0; 4];
/// Datagrams of no association that are looked at again in the next turn. A client sends as soon as it has read IKE's
/// answer; what IKE has told this worker before that answer may have come after this turn began.
const EARLY_MAX: usize = 64;

/// What a worker has of ESP.
#[derive(Debug)]
pub(super) struct Esp {
    door: Option<Arc<Door>>,
    /// Whether the port may hold datagrams: set by an event, cleared when it had none left.
    ready: bool,
    /// The room of each association, by our SPI.
    slots: HashMap<u32, usize, FixedState>,
    ike: Ike,
    /// Accounts whose connections are lost here, and of whom IKE has not heard yet.
    unsaid: Vec<AccountName>,
    /// Datagrams of no association that is known yet, until the next turn.
    early: Vec<(Endpoint, Box<[u8]>)>,
    /// Datagrams of no association.
    pub(super) unknown: u64,
}

impl Esp {
    /// No door yet.
    pub(super) fn new(ike: Ike) -> Self {
        let slots = HashMap::with_hasher(FixedState::with_seed(u64::from_ne_bytes(entropy::bytes())));
        Self { door: None, ready: false, slots, ike, unsaid: Vec::new(), early: Vec::new(), unknown: 0 }
    }

    /// Uses this door from now on, or none.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn set_door(&mut self, door: Option<Door>, registry: &Registry, token: Token) -> std::io::Result<()> {
        self.door = None;
        if let Some(mut door) = door {
            door.register(registry, token, Interest::READABLE)?;
            self.door = Some(Arc::new(door));
            self.ready = true;
        }
        Ok(())
    }

    /// Notes that the port may hold datagrams.
    pub(super) fn handle_ready(&mut self) {
        self.ready = true;
    }

    /// The door, for what goes out.
    pub(super) fn door(&self) -> Option<&Door> {
        self.door.as_deref()
    }

    /// Says something to IKE.
    pub(super) fn tell_ike(&self, word: EspWord) {
        self.ike.mention(Command::Word(word));
    }

    /// These accounts' connections are lost: IKE has to end them.
    pub(super) fn lose<'a>(&mut self, accounts: impl Iterator<Item = &'a AccountName>) {
        self.unsaid.extend(accounts.cloned());
        self.say();
    }

    fn say(&mut self) {
        self.unsaid.retain(|account| !self.ike.mention(Command::Disconnect(account.clone())));
    }
}

/// Takes what IKE has agreed upon with an account's client to the account's room.
pub(super) fn agree(account: &AccountName, change: EspChange, gone: &[u32], rooms: &mut [Option<Room>], esp: &mut Esp) {
    for inbound in gone {
        esp.slots.remove(inbound);
    }
    let installs = match &change {
        EspChange::Install { child, .. } => Some(child.inbound.spi),
        EspChange::Retire { .. } | EspChange::Remove { .. } | EspChange::Move { .. } | EspChange::Close { .. } => None,
    };
    let mut present = rooms.iter_mut().flatten();
    let room = present.find(|room| room.plane().owner(account).is_some());
    let slot = room.and_then(|room| room.apply_esp(account, change).then(|| room.slot()));
    match (installs, slot) {
        (Some(inbound), Some(slot)) => {
            esp.slots.insert(inbound, slot);
        }
        (Some(_), None) => esp.lose(std::iter::once(account)),
        (None, _) => {}
    }
}

/// Takes a bounded number of datagrams from the port, each to its room; whether some may be left.
pub(super) fn take(rooms: &mut [Option<Room>], desk: &mut Desk<'_>) -> bool {
    if !desk.esp.unsaid.is_empty() {
        desk.esp.say();
    }
    look_again(rooms, desk);
    if !desk.esp.ready {
        return false;
    }
    let Some(door) = desk.esp.door.clone() else {
        desk.esp.ready = false;
        return false;
    };
    let mut inbox = std::mem::replace(desk.inbox, Inbox::none());
    for _ in 0..BATCHES {
        let mut last = None;
        let received = door.receive(&mut inbox, |from, datagram| place(from, datagram, rooms, desk, &mut last));
        end(last, rooms, desk);
        desk.esp.ready = received.is_ok_and(|datagrams| datagrams > 0);
        if !desk.esp.ready {
            break;
        }
    }
    *desk.inbox = inbox;
    desk.esp.ready || !desk.esp.early.is_empty()
}

/// Takes what came too early in the turn before, unless it is still nobody's.
fn look_again(rooms: &mut [Option<Room>], desk: &mut Desk<'_>) {
    let mut last = None;
    for (from, mut datagram) in std::mem::take(&mut desk.esp.early) {
        if !take_one(from, &mut datagram, rooms, desk, &mut last) {
            desk.esp.unknown += 1;
        }
    }
    end(last, rooms, desk);
}

/// Takes a datagram to its room. What waits in the outbox goes by that room's doors, so it is sent before another's.
fn place(
    from: Endpoint,
    datagram: &mut [u8],
    rooms: &mut [Option<Room>],
    desk: &mut Desk<'_>,
    last: &mut Option<usize>,
) {
    // a single byte keeps a NAT's mapping alive: RFC 3948, section 2.3
    let Some((spi, _)) = datagram.split_first_chunk::<4>() else { return };
    if *spi == MARKER {
        desk.esp.ike.mention(Command::Message(from, datagram.into()));
        return;
    }
    if take_one(from, datagram, rooms, desk, last) {
        return;
    }
    if desk.esp.early.len() < EARLY_MAX {
        desk.esp.early.push((from, datagram.into()));
    } else {
        desk.esp.unknown += 1;
    }
}

/// Takes an ESP packet to its room; `false` where it has none.
fn take_one(
    from: Endpoint,
    datagram: &mut [u8],
    rooms: &mut [Option<Room>],
    desk: &mut Desk<'_>,
    last: &mut Option<usize>,
) -> bool {
    let spi = datagram.first_chunk::<4>().map(|spi| u32::from_be_bytes(*spi));
    let slot = spi.and_then(|spi| desk.esp.slots.get(&spi).copied());
    let Some(slot) = slot.filter(|slot| rooms.get(*slot).is_some_and(Option::is_some)) else { return false };
    if *last != Some(slot) {
        end(last.replace(slot), rooms, desk);
    }
    if let Some(Some(room)) = rooms.get_mut(slot) {
        room.take_esp(from, datagram, desk);
    }
    true
}

fn end(slot: Option<usize>, rooms: &mut [Option<Room>], desk: &mut Desk<'_>) {
    if let Some(Some(room)) = slot.and_then(|slot| rooms.get_mut(slot)) {
        room.end_esp(desk);
    }
}
