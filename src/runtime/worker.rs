//! A thread that moves packets. Each server belongs to one worker, with its port, its tunnels and its flows, so no lock
//! is on a packet's road.
//!
//! A turn: wait until a socket is ready, a deadline passes or a command arrives; note what is ready; obey commands; let
//! each room with something to do take a bounded portion of it. What is left over is the next turn's, so neither a
//! flood nor a bulk transfer keeps timers and commands waiting.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use tokio::sync::{oneshot, watch};
use tracing::error;

use super::os::clock;
use super::os::door::Inbox;
use super::reconcile::Step;
use super::room::{Desk, Place, Room};
use super::share::Descriptors;
use crate::domain::figures::AccountFigures;
use crate::domain::intended::IntendedServer;
use crate::domain::name::{AccountName, ServerName};
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
    /// Takes these steps, in this order, and says which servers do not run as they ought to.
    Apply {
        /// What to do.
        steps: Vec<Step>,
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

/// A server that cannot run, or not as it ought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which.
    pub(super) server: ServerName,
    /// Why, for people.
    pub(super) why: String,
    /// Whether it goes on as it was, because only a change of it failed.
    pub(super) goes_on: bool,
}

/// The handle to a worker's thread.
#[derive(Debug)]
pub(super) struct Worker {
    commands: SyncSender<Command>,
    waker: Waker,
    alive: watch::Receiver<()>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, where it gives no thread or no event queue.
    pub(super) fn start(index: usize, reach: Reach, descriptors: Descriptors) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), COMMAND)?;
        let (commands, told) = sync_channel(COMMANDS);
        let (living, alive) = watch::channel(());
        let turns = Turns {
            poll,
            told,
            rooms: Vec::new(),
            reach,
            descriptors,
            inbox: Inbox::default(),
            outbox: Outbox::new(OUTBOX),
            _living: living,
        };
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || turns.run())?;
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
    poll: Poll,
    told: Receiver<Command>,
    rooms: Vec<Option<Room>>,
    reach: Reach,
    descriptors: Descriptors,
    inbox: Inbox,
    outbox: Outbox,
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

    /// Lets each room take its portion; whether one left something over.
    fn turn(&mut self, now: Instant) -> bool {
        let mut desk = Desk { inbox: &mut self.inbox, outbox: &mut self.outbox, now };
        let mut left_over = false;
        for room in self.rooms.iter_mut().flatten() {
            left_over |= room.turn(&mut desk);
        }
        left_over
    }

    /// Takes all waiting commands; `false` means that the thread is to end.
    fn obey(&mut self, now: Instant) -> bool {
        while let Ok(command) = self.told.try_recv() {
            match command {
                Command::Apply { steps, answer } => {
                    let faults = steps.into_iter().filter_map(|step| self.take(step, now)).collect();
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

    /// Takes one step. A server that cannot be changed goes on as it was: its clients keep their tunnels while the next
    /// tries fail.
    fn take(&mut self, step: Step, now: Instant) -> Option<Fault> {
        let server = step.server().clone();
        let goes_on = !matches!(step, Step::Start(_));
        let why = match step {
            Step::Start(wanted) => self.open(&wanted, now),
            Step::Stop(_) => {
                self.close(&server);
                Ok(())
            }
            Step::Change(_) | Step::Set(_) | Step::Remove(..) => self.adjust(&server, step, now),
        }
        .err()?;
        Some(Fault { server, why, goes_on })
    }

    /// Changes a server that runs; one that does not has a fault already.
    fn adjust(&mut self, server: &ServerName, step: Step, now: Instant) -> Result<(), String> {
        let mut desk = Desk { inbox: &mut self.inbox, outbox: &mut self.outbox, now };
        let Some(room) = self.rooms.iter_mut().flatten().find(|room| room.name() == server) else { return Ok(()) };
        match step {
            Step::Change(changed) => return room.change(changed, &mut desk),
            Step::Set(account) => room.set_account(account, &mut desk),
            Step::Remove(_, account) => room.remove_account(account, &mut desk),
            Step::Start(_) | Step::Stop(_) => {}
        }
        Ok(())
    }

    fn open(&mut self, wanted: &IntendedServer, now: Instant) -> Result<(), String> {
        let slot = self.rooms.iter().position(Option::is_none).unwrap_or_else(|| {
            self.rooms.push(None);
            self.rooms.len() - 1
        });
        let registry = self.poll.registry().try_clone().map_err(|error| error.to_string())?;
        let place = Place { registry, slot };
        let mut desk = Desk { inbox: &mut self.inbox, outbox: &mut self.outbox, now };
        self.rooms[slot] = Some(Room::open(wanted, place, self.reach.clone(), &self.descriptors, &mut desk)?);
        Ok(())
    }

    fn close(&mut self, server: &ServerName) {
        for room in &mut self.rooms {
            if room.as_ref().is_some_and(|room| room.name() == server) {
                *room = None;
            }
        }
    }
}
