//! A thread that moves packets. Each client belongs to one worker, with its tunnel and its flows, so no lock is on a
//! packet's road. Every server has a room at every worker, with a door of its own to the same port.
//!
//! A turn: wait until a socket is ready, a deadline passes or a command arrives; note what is ready; obey commands; take what
//! other workers hand over; let each room with something to do take a bounded portion of it. What is left over is the next turn's, so neither a
//! flood nor a bulk transfer keeps timers and commands waiting.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use tokio::sync::{oneshot, watch};
use tracing::error;

use super::os::door::{Door, Inbox};
use super::os::{clock, entropy};
use super::parcels::{self, Incoming, Outgoing};
use super::room::{Desk, Place, Room};
use super::share::Descriptors;
use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::intended::IntendedServer;
use crate::domain::limits;
use crate::domain::name::AccountName;
use crate::domain::server::Server;
use crate::engine::dataplane::nat::Ports;
use crate::engine::dataplane::seat::Seat;
use crate::engine::flows::reach::Reach;
use crate::engine::outbox::Outbox;

/// Commands that may wait; who sends one more waits until the worker has turned.
const COMMANDS: usize = 256;
/// Readiness notes taken a turn.
const EVENTS: usize = 1_024;
/// The commands' own token; rooms have the others.
const COMMAND: Token = Token(usize::MAX);
/// Sealed datagrams kept until a room's turn ends, in bytes.
const OUTBOX: usize = 1 << 19;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Carries out these orders, in this order, and says what it could not do.
    Apply {
        /// What to do.
        orders: Vec<Order>,
        /// Where the outcome goes.
        answer: oneshot::Sender<Vec<Fault>>,
    },
    /// Counts.
    Figures {
        /// Of this account alone, or of all.
        account: Option<AccountName>,
        /// Where the figures go.
        answer: oneshot::Sender<Vec<AccountFigures>>,
    },
    /// Ends the thread with all its tunnels.
    Stop,
}

/// What one worker has to do about a server; all workers call it by the same slot.
#[derive(Debug)]
pub(super) struct Order {
    /// Which server.
    pub(super) slot: usize,
    /// What.
    pub(super) deed: Deed,
}

/// What is to be done about a server.
#[derive(Debug)]
pub(super) enum Deed {
    /// Takes the server in, with this worker's door to its port.
    Open(IntendedServer, Door),
    /// Lets the server go with all its tunnels.
    Close,
    /// Changes it, and its door where that is another.
    Change(Arc<Server>, Option<Door>),
    /// Adds or changes an account.
    Set(Arc<Account>),
    /// Takes an account away.
    Remove(AccountName),
}

/// What a worker could not do: the operating system has no more room for sockets.
#[derive(Debug)]
pub(super) struct Fault {
    /// About which server.
    pub(super) slot: usize,
    /// Why, for people.
    pub(super) why: String,
}

/// The handle to a worker's thread.
#[derive(Debug)]
pub(super) struct Worker {
    commands: SyncSender<Command>,
    waker: Arc<Waker>,
    alive: watch::Receiver<()>,
}

impl Worker {
    /// Starts so many threads.
    ///
    /// # Errors
    /// The operating system's, where it gives no thread or no event queue.
    pub(super) fn start_all(count: u8, reach: &Reach, descriptors: &Descriptors) -> io::Result<Vec<Self>> {
        let polls: Vec<Poll> = (0..count).map(|_| Poll::new()).collect::<io::Result<_>>()?;
        let waker = |poll: &Poll| Ok(Arc::new(Waker::new(poll.registry(), COMMAND)?));
        let wakers: Vec<Arc<Waker>> = polls.iter().map(waker).collect::<io::Result<_>>()?;
        let parts = polls.into_iter().zip(parcels::mesh(&wakers)).zip(wakers);
        let start = |(number, ((poll, (outgoing, incoming)), waker))| {
            let seat = Seat { server: 0, worker: number, of: count };
            Self::start(seat, poll, waker, (outgoing, incoming), reach.clone(), descriptors.clone())
        };
        (0..).zip(parts).map(start).collect()
    }

    fn start(
        seat: Seat,
        poll: Poll,
        waker: Arc<Waker>,
        (outgoing, incoming): (Outgoing, Incoming),
        reach: Reach,
        descriptors: Descriptors,
    ) -> io::Result<Self> {
        let (commands, told) = sync_channel(COMMANDS);
        let (living, alive) = watch::channel(());
        let turns = Turns {
            seat,
            poll,
            told,
            rooms: Vec::new(),
            reach,
            descriptors,
            inbox: Inbox::default(),
            outbox: Outbox::new(OUTBOX),
            ports: Ports::new(slice(seat), entropy::bytes(), clock::now()),
            outgoing,
            incoming,
            _living: living,
        };
        std::thread::Builder::new().name(format!("worker-{}", seat.worker)).spawn(move || turns.run())?;
        Ok(Self { commands, waker, alive })
    }

    /// Hands over a command. A worker that has ended drops it, and with it the answer's sender.
    pub(super) fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok() && self.waker.wake().is_err() {
            error!("Cannot wake a worker");
        }
    }

    /// Waits until the thread has ended.
    pub(super) async fn ended(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }
}

/// What the thread owns.
struct Turns {
    seat: Seat,
    poll: Poll,
    told: Receiver<Command>,
    rooms: Vec<Option<Room>>,
    reach: Reach,
    descriptors: Descriptors,
    inbox: Inbox,
    outbox: Outbox,
    ports: Ports,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Closes when the thread ends, however it ends.
    _living: watch::Sender<()>,
}

impl Turns {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut left_over = false;
        loop {
            let wait = if left_over { Some(Duration::ZERO) } else { self.wait(clock::now()) };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    error!("A worker cannot wait for its sockets and ends: {error}");
                    return;
                }
                Ok(()) | Err(_) => {}
            }
            let now = clock::now();
            for event in events.iter().filter(|event| event.token() != COMMAND) {
                if let Some(Some(room)) = self.rooms.get_mut(Place::room_of(event.token())) {
                    room.handle_event(event, now);
                }
            }
            if !self.obey(now) {
                return;
            }
            left_over = self.turn(now);
        }
    }

    /// How long nothing will be due; `None` is for ever.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let deadline = self.rooms.iter().flatten().filter_map(Room::poll_deadline).min()?;
        Some(deadline.saturating_duration_since(now))
    }

    /// Takes what was handed over, and lets each room take its portion; whether something is left over.
    fn turn(&mut self, now: Instant) -> bool {
        let Self { inbox, outbox, ports, outgoing, incoming, rooms, .. } = self;
        let mut desk = Desk { inbox, outbox, ports, outgoing, now };
        let mut left_over = incoming.take(|slot, parcel| {
            if let Some(Some(room)) = rooms.get_mut(slot) {
                room.take_parcel(parcel, &mut desk);
            }
        });
        for room in rooms.iter_mut().flatten() {
            left_over |= room.turn(&mut desk);
        }
        outgoing.wake();
        left_over
    }

    /// Takes all waiting commands; `false` means that the thread is to end.
    fn obey(&mut self, now: Instant) -> bool {
        while let Ok(command) = self.told.try_recv() {
            match command {
                Command::Apply { orders, answer } => {
                    let faults = orders.into_iter().filter_map(|order| self.carry_out(order, now)).collect();
                    // nobody waits for the answer any more: nothing is lost
                    let _ = answer.send(faults);
                }
                Command::Figures { account, answer } => {
                    let rooms = self.rooms.iter().flatten();
                    let _ = answer.send(rooms.flat_map(|room| room.figures(account.as_ref(), now)).collect());
                }
                Command::Stop => return false,
            }
        }
        true
    }

    /// Carries out one order.
    fn carry_out(&mut self, Order { slot, deed }: Order, now: Instant) -> Option<Fault> {
        let Self { inbox, outbox, ports, outgoing, rooms, .. } = self;
        let mut desk = Desk { inbox, outbox, ports, outgoing, now };
        let room = rooms.get_mut(slot).and_then(Option::as_mut);
        let done = match (deed, room) {
            (Deed::Open(wanted, door), _) => self.open(slot, &wanted, door, now),
            (Deed::Close, _) => {
                rooms.get_mut(slot).into_iter().for_each(|room| *room = None);
                Ok(())
            }
            (Deed::Change(server, door), Some(room)) => room.change(server, door, &mut desk),
            (Deed::Set(account), Some(room)) => {
                room.set_account(account, &mut desk);
                Ok(())
            }
            (Deed::Remove(account), Some(room)) => {
                room.remove_account(account, &mut desk);
                Ok(())
            }
            // one that does not run has a fault already
            (Deed::Change(..) | Deed::Set(_) | Deed::Remove(_), None) => Ok(()),
        };
        done.err().map(|error| Fault { slot, why: error.to_string() })
    }

    fn open(&mut self, slot: usize, wanted: &IntendedServer, door: Door, now: Instant) -> io::Result<()> {
        let seat = Seat { server: u16::try_from(slot).map_err(io::Error::other)?, ..self.seat };
        let place = Place { registry: self.poll.registry().try_clone()?, slot, seat };
        let Self { inbox, outbox, ports, outgoing, .. } = self;
        let mut desk = Desk { inbox, outbox, ports, outgoing, now };
        let room = Room::open(wanted, place, door, self.reach.clone(), &self.descriptors, &mut desk)?;
        if self.rooms.len() <= slot {
            self.rooms.resize_with(slot + 1, || None);
        }
        self.rooms[slot] = Some(room);
        Ok(())
    }
}

/// The external ports that are a worker's: an equal slice of those below the servers' listen ports.
fn slice(seat: Seat) -> std::ops::RangeInclusive<u16> {
    let (first, last) = (*limits::NAT_PORTS.start(), *limits::NAT_PORTS.end());
    let size = (last - first).div_ceil(u16::from(seat.of.max(1)));
    let begin = first + size * u16::from(seat.worker);
    begin..=last.min(begin.saturating_add(size - 1))
}
