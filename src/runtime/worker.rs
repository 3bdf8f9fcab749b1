//! A thread that moves packets. Each client belongs to one worker, with its tunnel and its flows, so no lock is on a
//! packet's road. Every server has a room at every worker, with a door of its own to the same port.
//!
//! A turn: wait until a socket is ready, a deadline passes or a command arrives; note what is ready; obey commands; take what
//! other workers hand over; let each room with something to do take a bounded portion of it. What is left over is the next turn's, so neither a
//! flood nor a bulk transfer keeps timers and commands waiting.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, error};

use super::dns::{self, Dns, Errand, Lists};
use super::esp::{self, Esp};
use super::ikev2::Ike;
use super::os::door::Inbox;
use super::os::ports::InUse;
use super::os::tun::Queue;
use super::os::{clock, entropy, wait};
use super::parcels::{self, Incoming, Outgoing};
use super::question::Question;
use super::room::{Desk, Opening, Place, Room};
use super::share::Descriptors;
use super::uplink::Door;
use super::uplink::host::Host;
use super::uplink::packets::{self, PacketUplink, Table};
use super::{Policy, arrivals, os};
use crate::domain::account::Account;
use crate::domain::figures::AccountFigures;
use crate::domain::firewall::Firewall;
use crate::domain::name::AccountName;
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;
use crate::domain::traffic::Passed;
use crate::domain::traffic_log::TrafficLogSettings;
use crate::engine::dataplane::by_esp::EspChange;
use crate::engine::dataplane::exit::Exit;
use crate::engine::dataplane::nat::Ports;
use crate::engine::dataplane::seat::Seat;
use crate::engine::outbox::Outbox;
use crate::engine::wire::protocol;
use crate::observe::traffic_log::Sink;

/// Commands that may wait; who sends one more waits until the worker has turned.
const COMMANDS: usize = 256;
/// The token of the port of ESP.
const ESP: Token = Token(usize::MAX - 3);
/// Readiness notes taken a turn.
const EVENTS: usize = 1_024;
/// The commands' own token; rooms have the others.
const COMMAND: Token = Token(usize::MAX);
/// The token of the uplink for whole packets.
const UPLINK: Token = Token(usize::MAX - 1);
/// The token of what the host hears of ICMP.
const UPLINK_ERRORS: Token = Token(usize::MAX - 2);
/// A turn that takes so long is one of a busy link.
const BUSY: Duration = Duration::from_micros(40);
/// How long a worker then lets more come together, as network cards do with their interrupts: measured, 50 to 150 µs save a
/// tenth to a quarter of the core's time for a byte and leave the round trip as it is.
const NAP: Duration = Duration::from_micros(100);
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
    /// Judges by this firewall from now on, and says when it does.
    Firewall {
        /// The firewall.
        firewall: Arc<Firewall>,
        /// Where the word goes that it is so.
        answer: oneshot::Sender<Vec<Fault>>,
    },
    /// Resolves by these settings from now on, and says when it does.
    Dns {
        /// The settings.
        settings: dns::Settings,
        /// Where the word goes that it is so.
        answer: oneshot::Sender<Vec<Fault>>,
    },
    /// Logs by these settings from now on, and says when it does.
    TrafficLog {
        /// The settings.
        settings: Arc<TrafficLogSettings>,
        /// Where the word goes that it is so.
        answer: oneshot::Sender<Vec<Fault>>,
    },
    /// Leaves these names unanswered from now on.
    Lists(Arc<Lists>),
    /// Tells the ways to forwarded ports.
    Doors(oneshot::Sender<Vec<Door>>),
    /// What all workers forward.
    AllDoors(Arc<Vec<Door>>),
    /// Whose what comes from outside is.
    Table(Arc<Table>),
    /// The ports that programs of the host use, which no client's packets leave by.
    InUse(Arc<InUse>),
    /// Uses this door to the port of ESP from now on, or none.
    EspDoor(Option<os::door::Door>),
    /// Uses, or no longer uses, what IKE has agreed upon with an account's client.
    Esp {
        /// The account.
        account: AccountName,
        /// What was agreed upon.
        change: EspChange,
        /// SPIs of ours that lead nowhere from now on.
        gone: Vec<u32>,
    },
    /// Answers.
    Ask(Question),
    /// Tells what accounts have moved since this was last asked.
    Passed(oneshot::Sender<Vec<Passed>>),
    /// Ends the thread with all its tunnels, and tells what accounts have moved until then.
    Stop(oneshot::Sender<Vec<Passed>>),
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
    /// Takes the server in.
    Open(Box<Opening>),
    /// Lets the server go with all its tunnels.
    Close,
    /// Changes it, and its door where that is another.
    Change(Arc<Server>, Option<os::door::Door>),
    /// Adds or changes an account.
    Set(Arc<Account>),
    /// Takes an account away.
    Remove(AccountName),
    /// Changes its port forwards.
    Forward(Arc<BTreeMap<OuterPort, PortForward>>),
    /// Lets its clients' packets leave so.
    Leave(Exit),
}

/// What a worker could not do: the operating system has no more room for sockets.
#[derive(Debug)]
pub(super) struct Fault {
    /// About which server.
    pub(super) slot: usize,
    /// Why, for people.
    pub(super) why: String,
    /// Whether the server goes on without that.
    pub(super) goes_on: bool,
}

/// Where every worker sends what others do for it.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// What its resolver asks of forwarders.
    pub(super) errands: mpsc::Sender<Errand>,
    /// What is logged of the traffic.
    pub(super) log: Sink,
    /// What IKE is told.
    pub(super) ike: Ike,
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
    pub(super) fn start_all(
        count: u8,
        policy: &Policy,
        descriptors: &Descriptors,
        queues: Option<Vec<Queue>>,
        ways: &Ways,
    ) -> io::Result<Vec<Self>> {
        let polls: Vec<Poll> = (0..count).map(|_| Poll::new()).collect::<io::Result<_>>()?;
        let waker = |poll: &Poll| Ok(Arc::new(Waker::new(poll.registry(), COMMAND)?));
        let wakers: Vec<Arc<Waker>> = polls.iter().map(waker).collect::<io::Result<_>>()?;
        let mut queues = queues.map(Vec::into_iter);
        let parts = polls.into_iter().zip(parcels::mesh(&wakers)).zip(wakers);
        let start = |(number, ((poll, ends), waker)): (u8, ((Poll, _), _))| {
            let seat = Seat { server: 0, worker: number, of: count };
            let packets = match queues.as_mut().and_then(Iterator::next) {
                Some(queue) => Some(PacketUplink::new(
                    queue,
                    (poll.registry(), [UPLINK, UPLINK_ERRORS]),
                    seat,
                    policy,
                    clock::now(),
                )?),
                None => None,
            };
            let dns = Dns::new(ways.errands.clone(), Arc::clone(&waker), count);
            let parts = (packets, dns, Esp::new(ways.ike.clone()), ways.log.clone());
            Self::start(seat, (poll, waker), ends, parts, (policy.clone(), descriptors.clone()))
        };
        (0..).zip(parts).map(start).collect()
    }

    fn start(
        seat: Seat,
        (poll, waker): (Poll, Arc<Waker>),
        (outgoing, incoming): (Outgoing, Incoming),
        (uplink, dns, esp, log): (Option<PacketUplink>, Dns, Esp, Sink),
        (policy, descriptors): (Policy, Descriptors),
    ) -> io::Result<Self> {
        let (commands, told) = sync_channel(COMMANDS);
        let (living, alive) = watch::channel(());
        let turns = Turns {
            seat,
            poll,
            told,
            rooms: Vec::new(),
            descriptors,
            inbox: Inbox::default(),
            outbox: Outbox::new(OUTBOX),
            ports: Ports::new(packets::slice(seat, &policy.nat.ports), entropy::bytes(), clock::now()),
            policy,
            packets: uplink,
            dns,
            esp,
            log,
            logged: Arc::default(),
            host: Host::new(clock::now()),
            in_use: Arc::default(),
            outgoing,
            incoming,
            left: Vec::new(),
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
    policy: Policy,
    descriptors: Descriptors,
    inbox: Inbox,
    outbox: Outbox,
    ports: Ports,
    packets: Option<PacketUplink>,
    dns: Dns,
    esp: Esp,
    log: Sink,
    /// What is logged.
    logged: Arc<TrafficLogSettings>,
    host: Host,
    in_use: Arc<InUse>,
    outgoing: Outgoing,
    incoming: Incoming,
    /// What clients of servers that were closed have moved and nobody was told.
    left: Vec<Passed>,
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
                if [UPLINK, UPLINK_ERRORS].contains(&event.token()) {
                    self.packets.iter_mut().for_each(PacketUplink::handle_ready);
                } else if event.token() == ESP {
                    self.esp.handle_ready();
                } else if let Some(Some(room)) = self.rooms.get_mut(Place::room_of(event.token())) {
                    room.handle_event(event, now);
                }
            }
            if !self.obey(now) {
                return;
            }
            left_over = self.turn(now);
            // what comes meanwhile comes in larger batches, and wakes the other cores less often
            if !left_over && clock::now().saturating_duration_since(now) > BUSY {
                wait::nap(NAP);
            }
        }
    }

    /// How long nothing will be due; `None` is for ever.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let rooms = self.rooms.iter().flatten().filter_map(|room| room.poll_deadline(now));
        let deadline = rooms.chain(self.dns.poll_deadline()).min()?;
        Some(deadline.saturating_duration_since(now))
    }

    /// Takes what was handed over and what comes from outside, and lets each room take its portion; whether something is
    /// left over.
    fn turn(&mut self, now: Instant) -> bool {
        let Self { inbox, outbox, ports, packets, dns, esp, host, outgoing, incoming, rooms, log, .. } = self;
        dns.turn(now, |asker, message| {
            if let Some(Some(room)) = rooms.get_mut(usize::from(asker.server)) {
                room.give(asker, message);
            }
        });
        let mut desk = Desk { inbox, outbox, ports, packets: packets.as_mut(), dns, esp, host, outgoing, now };
        let mut left_over = incoming.take(|slot, parcel| match rooms.get_mut(slot) {
            Some(Some(room)) => room.take_parcel(parcel, &mut desk),
            Some(None) | None => arrivals::take_over(slot, parcel, rooms, &mut desk),
        });
        left_over |= arrivals::take(rooms, &mut desk);
        left_over |= esp::take(rooms, &mut desk);
        for room in rooms.iter_mut().flatten() {
            left_over |= room.turn(&mut desk);
        }
        left_over |= arrivals::turn_back(rooms, &mut desk);
        left_over |= desk.dns.send();
        outgoing.wake();
        for room in rooms.iter_mut().flatten() {
            room.hand_in_log(log);
        }
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
                Command::Firewall { firewall, answer } => {
                    self.for_each_room(now, |room, desk| room.set_firewall(Arc::clone(&firewall), desk));
                    let _ = answer.send(Vec::new());
                }
                Command::Dns { settings, answer } => {
                    self.dns.apply(settings, now);
                    let _ = answer.send(Vec::new());
                }
                Command::TrafficLog { settings, answer } => {
                    self.logged = settings;
                    let logged = Arc::clone(&self.logged);
                    self.for_each_room(now, |room, desk| room.set_log(Arc::clone(&logged), desk));
                    let _ = answer.send(Vec::new());
                }
                Command::Lists(lists) => {
                    self.dns.set_lists(lists);
                    self.for_each_room(now, Room::take_lists);
                }
                Command::Doors(answer) => {
                    let _ = answer.send(self.rooms.iter().flatten().flat_map(Room::doors).collect());
                }
                Command::AllDoors(doors) => self.for_each_room(now, |room, desk| room.know_doors(&doors, desk)),
                Command::EspDoor(door) => {
                    if let Err(cause) = self.esp.set_door(door, self.poll.registry(), ESP) {
                        error!("A worker cannot wait for ESP packets: {cause}");
                    }
                }
                Command::Esp { account, change, gone } => {
                    esp::agree(&account, change, &gone, &mut self.rooms, &mut self.esp);
                }
                Command::Table(table) => self.set_table(&table, now),
                Command::Ask(question) => question.answer(self.rooms.iter().flatten(), &self.dns, now),
                Command::InUse(in_use) => self.keep_off(in_use),
                Command::Passed(answer) => self.tell_passed(answer),
                Command::Stop(answer) => {
                    self.tell_passed(answer);
                    self.rooms.iter_mut().flatten().for_each(|room| room.close_log(&self.log));
                    let lost = self.packets.as_ref().map_or(0, PacketUplink::lost);
                    let unknown = self.esp.unknown;
                    debug!("The kernel did not take {lost} packets; {unknown} were of no ESP association");
                    return false;
                }
            }
        }
        true
    }

    /// Tells what accounts have moved. Where nobody waits for it any more, it is told next time.
    fn tell_passed(&mut self, answer: oneshot::Sender<Vec<Passed>>) {
        let mut passed = std::mem::take(&mut self.left);
        passed.extend(self.rooms.iter_mut().flatten().flat_map(Room::take_passed));
        if let Err(untold) = answer.send(passed) {
            self.left = untold;
        }
    }

    fn for_each_room(&mut self, now: Instant, mut call: impl FnMut(&mut Room, &mut Desk<'_>)) {
        let Self { inbox, outbox, ports, packets, dns, esp, host, outgoing, rooms, .. } = self;
        let mut desk = Desk { inbox, outbox, ports, packets: packets.as_mut(), dns, esp, host, outgoing, now };
        for room in rooms.iter_mut().flatten() {
            call(room, &mut desk);
        }
    }

    /// From now on what comes from outside is whose this table says; a forwarded port is nobody's own, and whoever had it
    /// until now begins anew.
    fn set_table(&mut self, table: &Arc<Table>, now: Instant) {
        let Some(packets) = &mut self.packets else { return };
        let before = packets.apply(Arc::clone(table));
        if before != *table {
            self.rooms.iter_mut().flatten().for_each(Room::judge_anew);
        }
        for (protocol, to) in before.doors.keys().filter(|door| !table.doors.contains_key(door)) {
            self.ports.unreserve(Some(to.ip()), *protocol, to.port());
        }
        for (protocol, to) in table.doors.keys().filter(|door| !before.doors.contains_key(door)) {
            for (_, holder) in self.ports.reserve(Some(to.ip()), *protocol, to.port()) {
                if let Some(Some(room)) = self.rooms.get_mut(usize::from(holder)) {
                    room.close_external(*protocol, *to, &mut self.ports, now);
                }
            }
        }
    }

    /// Gives no port away that a program of the host uses (RFC 4787, REQ-3; port shadowing).
    fn keep_off(&mut self, in_use: Arc<InUse>) {
        let range = self.ports.range();
        let kinds = [(protocol::TCP, &self.in_use.tcp, &in_use.tcp), (protocol::UDP, &self.in_use.udp, &in_use.udp)];
        for (protocol, before, after) in kinds {
            for port in range.clone() {
                match (before.contains(port), after.contains(port)) {
                    (false, true) => drop(self.ports.reserve(None, protocol, port)),
                    (true, false) => self.ports.unreserve(None, protocol, port),
                    _ => {}
                }
            }
        }
        self.in_use = in_use;
    }

    /// Carries out one order.
    fn carry_out(&mut self, Order { slot, deed }: Order, now: Instant) -> Option<Fault> {
        let Self { inbox, outbox, ports, packets, dns, esp, host, outgoing, rooms, left, log, .. } = self;
        let mut desk = Desk { inbox, outbox, ports, packets: packets.as_mut(), dns, esp, host, outgoing, now };
        let room = rooms.get_mut(slot).and_then(Option::as_mut);
        let done = match (deed, room) {
            (Deed::Open(opening), _) => self.open(slot, *opening, now),
            (Deed::Close, _) => {
                let closed = rooms.get_mut(slot).and_then(Option::take);
                desk.esp.lose(closed.iter().flat_map(|room| room.plane().connected_by_esp()));
                left.extend(closed.into_iter().flat_map(|mut room| {
                    room.close_log(log);
                    room.take_passed()
                }));
                desk.dns.leave(slot);
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
            (Deed::Forward(forwards), Some(room)) => {
                let why = room.set_forwards(forwards, &mut desk).into_iter().next()?;
                return Some(Fault { slot, why, goes_on: true });
            }
            (Deed::Leave(exit), Some(room)) => {
                room.set_exit(exit, &mut desk);
                Ok(())
            }
            // one that does not run has a fault already
            (Deed::Change(..) | Deed::Set(_) | Deed::Remove(_) | Deed::Forward(_) | Deed::Leave(_), None) => Ok(()),
        };
        done.err().map(|error| Fault { slot, why: error.to_string(), goes_on: false })
    }

    fn open(&mut self, slot: usize, opening: Opening, now: Instant) -> io::Result<()> {
        let seat = Seat { server: u16::try_from(slot).map_err(io::Error::other)?, ..self.seat };
        let place = Place { registry: self.poll.registry().try_clone()?, slot, seat };
        let Self { inbox, outbox, ports, packets, dns, esp, host, outgoing, .. } = self;
        let mut desk = Desk { inbox, outbox, ports, packets: packets.as_mut(), dns, esp, host, outgoing, now };
        let mut room = Room::open(opening, place, self.policy.clone(), &self.descriptors, &mut desk)?;
        room.set_log(Arc::clone(&self.logged), &mut desk);
        if self.rooms.len() <= slot {
            self.rooms.resize_with(slot + 1, || None);
        }
        let before = self.rooms[slot].replace(room);
        self.esp.lose(before.iter().flat_map(|room| room.plane().connected_by_esp()));
        self.left.extend(before.into_iter().flat_map(|mut room| {
            room.close_log(&self.log);
            room.take_passed()
        }));
        Ok(())
    }
}
