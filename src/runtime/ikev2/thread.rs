//! The thread itself: a turn waits for a message, a deadline or a command, hands it to the responder, and takes what the
//! responder has to say before the next.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use mio::event::Source as _;
use mio::{Events, Interest, Poll, Token};
use tracing::{debug, error, warn};

use super::{COMMAND, Command, Ikev2Sessions, Ports, wish};
use crate::domain::account::Account;
use crate::domain::ikev2::Ikev2;
use crate::domain::intended::Intended;
use crate::domain::name::AccountName;
use crate::domain::server::Server;
use crate::engine::dataplane::around::EspWord;
use crate::engine::dataplane::by_esp::EspChange;
use crate::engine::dataplane::link::esp::Child;
use crate::engine::ike::crypto::dice::Dice;
use crate::engine::ike::event::{Event, Path, SessionId, Tunnel};
use crate::engine::ike::message::proposal::Protocol;
use crate::engine::ike::message::selector::Selector;
use crate::engine::ike::responder::{Change, Responder};
use crate::engine::outbox::{Batch, Endpoint, Port};
use crate::observe::fields;
use crate::runtime::os::door::{Door, Inbox};
use crate::runtime::os::{clock, entropy};
use crate::runtime::worker::{self, Worker};

/// Readiness notes taken a turn.
const EVENTS: usize = 16;
/// Batches that are taken from each port in one turn.
const BATCHES: usize = 2;
/// The first port, where clients begin.
const IKE: Token = Token(0);
/// The second, where they go on.
const ESP: Token = Token(1);

/// A connection, as the workers and the read-outs know it.
#[derive(Debug)]
struct Known {
    account: AccountName,
    /// The worker at which the client lives.
    worker: usize,
    endpoint: Endpoint,
    since: Instant,
    /// Our SPIs of its children.
    children: Vec<u32>,
}

/// What the thread owns.
pub(super) struct Thread {
    poll: Poll,
    told: Receiver<Command>,
    ports: Ports,
    doors: Option<Box<(Door, Door)>>,
    ready: [bool; 2],
    inbox: Inbox,
    responder: Responder,
    workers: Arc<[Worker]>,
    table: Ikev2Sessions,
    known: BTreeMap<SessionId, Known>,
    /// Whom the responder lets in.
    members: BTreeMap<AccountName, (Arc<Account>, Arc<Server>)>,
    /// What the responder was told of certificates and settings.
    followed: Ikev2,
}

impl Thread {
    pub(super) fn new(
        poll: Poll,
        told: Receiver<Command>,
        ports: Ports,
        workers: Arc<[Worker]>,
        table: Ikev2Sessions,
    ) -> Self {
        let followed = Ikev2::default();
        let settings = Arc::new(wish::settings(&followed.settings));
        let dice = Dice::new(entropy::fill);
        Self {
            poll,
            told,
            ports,
            doors: None,
            ready: [false; 2],
            inbox: Inbox::default(),
            responder: Responder::new(settings, 0, dice, clock::now()),
            workers,
            table,
            known: BTreeMap::new(),
            members: BTreeMap::new(),
            followed,
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let wait = if self.ready.contains(&true) {
                Some(std::time::Duration::ZERO)
            } else {
                self.responder.poll_deadline().map(|at| at.saturating_duration_since(clock::now()))
            };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    error!("The thread of IKEv2 cannot wait for its sockets and ends: {error}");
                    return;
                }
                Ok(()) | Err(_) => {}
            }
            for event in events.iter().filter(|event| event.token() != COMMAND) {
                self.ready[usize::from(event.token() == ESP)] = true;
            }
            if !self.obey() {
                return;
            }
            self.responder.handle_deadline(clock::now());
            self.settle();
            self.take_in();
        }
    }

    /// Takes all waiting commands; `false` means that the thread is to end.
    fn obey(&mut self) -> bool {
        while let Ok(command) = self.told.try_recv() {
            let now = clock::now();
            match command {
                Command::Follow { intended, on, answer } => {
                    self.follow(&intended, on, now);
                    // nobody waits for the answer any more: nothing is lost
                    let _ = answer.send(());
                }
                Command::Doors(doors) => self.take_doors(doors),
                Command::Disconnect(account) => self.responder.apply(Change::Disconnect(account), now),
                Command::Word(EspWord::Used { inbound, from }) => {
                    let path = from.map(|from| self.path(from, true));
                    self.responder.handle_traffic(inbound, path, now);
                }
                Command::Word(EspWord::Spent { inbound }) => self.responder.handle_spent(inbound, now),
                Command::Message(from, message) => {
                    let path = self.path(from, true);
                    self.responder.handle_datagram(path, &message, now);
                }
                Command::Stop(answer) => {
                    for account in std::mem::take(&mut self.members).into_keys() {
                        self.responder.apply(Change::Gone(account), now);
                        self.settle();
                    }
                    let _ = answer.send(());
                    return false;
                }
            }
            self.settle();
        }
        true
    }

    fn take_doors(&mut self, doors: Option<Box<(Door, Door)>>) {
        self.doors = doors;
        let Some(doors) = &mut self.doors else { return };
        let registry = self.poll.registry();
        let registered = doors.0.register(registry, IKE, Interest::READABLE);
        if let Err(cause) = registered.and_then(|()| doors.1.register(registry, ESP, Interest::READABLE)) {
            error!({ fields::CAUSE } = %cause, "The thread of IKEv2 cannot wait for its sockets: {cause}");
        }
        self.ready = [true; 2];
    }

    /// Takes a bounded number of messages from both ports.
    fn take_in(&mut self) {
        let Some(doors) = self.doors.take() else {
            self.ready = [false; 2];
            return;
        };
        let mut inbox = std::mem::replace(&mut self.inbox, Inbox::none());
        for (at, door) in [&doors.0, &doors.1].into_iter().enumerate() {
            for _ in 0..BATCHES {
                if !self.ready[at] {
                    break;
                }
                let mut messages: Vec<(Path, Vec<u8>)> = Vec::new();
                let received = door.receive(&mut inbox, |from, message| {
                    messages.push((self.path(from, at == 1), message.to_vec()));
                });
                self.ready[at] = received.is_ok_and(|count| count > 0);
                for (path, message) in messages {
                    self.responder.handle_datagram(path, &message, clock::now());
                    self.settle_by(Some(&doors));
                }
            }
        }
        self.inbox = inbox;
        self.doors = Some(doors);
    }

    fn path(&self, from: Endpoint, marked: bool) -> Path {
        let local = from.local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let port = if marked { self.ports.esp } else { self.ports.ike };
        Path { remote: from.remote, local: SocketAddr::new(local, port), marked }
    }

    /// Brings certificates, settings and accounts up to date.
    fn follow(&mut self, intended: &Intended, on: bool, now: Instant) {
        let Ikev2 { server, settings, .. } = &intended.ikev2;
        if *settings != self.followed.settings {
            self.responder.apply(Change::Settings(Arc::new(wish::settings(settings))), now);
        }
        let is_same = *server == self.followed.server && settings.authby == self.followed.settings.authby;
        if !is_same {
            let identity = wish::identity(&intended.ikev2).map(Arc::new);
            self.responder.apply(identity.map_or(Change::NoIdentity, Change::Identity), now);
        }
        self.followed = intended.ikev2.clone();
        let servers = intended.servers.values().filter(|server| on && server.server.ikev2);
        let wanted: BTreeMap<&AccountName, (&Arc<Account>, &Arc<Server>)> = servers
            .flat_map(|server| server.accounts.values().map(move |account| (account, &server.server)))
            .filter(|(account, _)| account.enabled && !account.password.is_empty())
            .map(|(account, server)| (&account.name, (account, server)))
            .collect();
        let gone: Vec<AccountName> = self.members.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for account in gone {
            self.members.remove(&account);
            self.responder.apply(Change::Gone(account), now);
            self.settle();
        }
        let workers = self.count_workers();
        for (name, (account, server)) in wanted {
            if self.members.get(name).is_some_and(|before| !wish::differs(before, account, server)) {
                continue;
            }
            self.members.insert(name.clone(), (Arc::clone(account), Arc::clone(server)));
            self.responder.apply(Change::Member(wish::member(account, server, workers)), now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        let doors = self.doors.take();
        self.settle_by(doors.as_deref());
        self.doors = doors;
    }

    /// Does what the responder says.
    fn settle_by(&mut self, doors: Option<&(Door, Door)>) {
        // the workers first: a client may use a child as soon as it has read that it may
        while let Some(event) = self.responder.poll_event() {
            self.handle(event);
        }
        while let Some(datagram) = self.responder.poll_datagram() {
            let Some((ike, esp)) = doors else { continue };
            let endpoint = endpoint(datagram.path);
            let port = if datagram.path.marked { Port::Esp } else { Port::WireGuard };
            let (bytes, segment) = (&datagram.bytes[..], datagram.bytes.len());
            // what does not go out is asked for again
            let _ = if datagram.path.marked { esp } else { ike }.send(&Batch { endpoint, port, bytes, segment });
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Connected { session, account, path, .. } => {
                debug!({ fields::ACCOUNT } = %account, "Account `{account}` connects by IKEv2 from {}", path.remote);
                let member = self.members.get(&account);
                let worker = member.map(|(account, _)| usize::from(wish::home(account, self.count_workers())));
                let known = Known {
                    account,
                    worker: worker.unwrap_or_default(),
                    endpoint: endpoint(path),
                    since: clock::now(),
                    children: Vec::new(),
                };
                self.show(&known);
                self.known.insert(session, known);
            }
            Event::Opened { session, tunnel } => self.open(session, *tunnel),
            Event::Retired { session, inbound } => {
                let Some(known) = self.known.get(&session) else { return };
                self.tell(known, EspChange::Retire { inbound }, Vec::new());
            }
            Event::Shut { session, inbound } => {
                let Some(known) = self.known.get_mut(&session) else { return };
                known.children.retain(|spi| *spi != inbound);
                let known = &self.known[&session];
                self.tell(known, EspChange::Remove { inbound }, vec![inbound]);
            }
            Event::Moved { session, path } => {
                let Some(known) = self.known.get_mut(&session) else { return };
                known.endpoint = endpoint(path);
                let known = &self.known[&session];
                self.show(known);
                self.tell(known, EspChange::Move { connection: session.0, endpoint: known.endpoint }, Vec::new());
            }
            Event::Closed { session, account, why } => {
                debug!({ fields::ACCOUNT } = %account, "Account `{account}` is no more connected by IKEv2: {why:?}");
                let Some(known) = self.known.remove(&session) else { return };
                self.tell(&known, EspChange::Close { connection: session.0 }, known.children.clone());
                match self.known.values().rev().find(|other| other.account == account) {
                    Some(other) => self.show(other),
                    None => {
                        self.table.take(account.as_str());
                    }
                }
            }
            Event::OfferRefused { remote, protocol, offer, count } => {
                let setting = match protocol {
                    Protocol::Ike => "ike",
                    Protocol::Esp => "esp",
                };
                warn!(
                    "An IKEv2 client from {remote} offers nothing that the setting `{setting}` takes: {offer} (refused \
                     offers since the last such line: {count})"
                );
            }
            Event::Refused { remote, notify } => debug!("Refused an IKEv2 client from {remote}: {notify}"),
        }
    }

    fn open(&mut self, session: SessionId, tunnel: Tunnel) {
        let Some(known) = self.known.get_mut(&session) else { return };
        let inbound = tunnel.inbound.spi;
        known.children.push(inbound);
        let ranges = |selectors: &[Selector]| selectors.iter().map(|selector| selector.first..=selector.last).collect();
        let child = Child {
            client: ranges(&tunnel.client),
            network: ranges(&tunnel.network),
            inbound: tunnel.inbound,
            outbound: tunnel.outbound,
            seed: tunnel.seed,
            confirmed: tunnel.confirmed,
            carries: self.followed.settings.installpolicy,
        };
        let known = &self.known[&session];
        let (connection, endpoint) = (session.0, known.endpoint);
        self.tell(known, EspChange::Install { connection, endpoint, child: Box::new(child) }, Vec::new());
    }

    /// Tells the worker of a connection; `gone` are SPIs that lead nowhere from now on.
    fn tell(&self, known: &Known, change: EspChange, gone: Vec<u32>) {
        if let Some(worker) = self.workers.get(known.worker) {
            worker.tell(worker::Command::Esp { account: known.account.clone(), change, gone });
        }
    }

    fn count_workers(&self) -> u8 {
        u8::try_from(self.workers.len()).unwrap_or(1)
    }

    fn show(&self, known: &Known) {
        self.table.put(known.account.clone(), known.endpoint.remote.ip(), known.since);
    }
}

fn endpoint(path: Path) -> Endpoint {
    let local = Some(path.local.ip()).filter(|address| !address.is_unspecified());
    Endpoint { remote: path.remote, local }
}
