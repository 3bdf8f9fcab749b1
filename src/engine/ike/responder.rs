//! All connections of one responder.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::crypto::dice::Dice;
use super::event::{Datagram, Event, Path, SessionId, Why};
use super::gate::{Gate, HALF_OPEN_MAX};
use super::init::{self, Begun};
use super::members::Members;
use super::message::header::{Exchange, Header, MARKER, VERSION};
use super::message::notify::number;
use super::refused::Refused;
use super::session::{Eviction, Present, Session, Stage, World};
use super::settings::{Identity, Member, Settings};
use super::strangers::Strangers;
use crate::domain::name::AccountName;

/// How long a connection lives on that is being followed by another from the same place.
const LINGER: Duration = Duration::from_secs(10);

/// What ought to be from now on.
#[derive(Debug, Clone)]
pub enum Change {
    /// Settings; connections stay as they are.
    Settings(Arc<Settings>),
    /// The certificate and key; connections stay.
    Identity(Arc<Identity>),
    /// Nobody new is let in any more.
    NoIdentity,
    /// Who may come in, new or edited: another password, name or address ends its connections.
    Member(Arc<Member>),
    /// It may come in no more; its connections end.
    Gone(AccountName),
    /// Its connections end, and it may come again.
    Disconnect(AccountName),
}

/// The responder.
#[derive(Debug)]
pub struct Responder {
    settings: Arc<Settings>,
    identity: Option<Arc<Identity>>,
    members: Members,
    dice: Dice,
    gate: Gate,
    strangers: Strangers,
    refused: Refused,
    sessions: BTreeMap<SessionId, Session>,
    next_id: u64,
    /// Connections that are not proved, by where their first message came from and its SPI.
    openings: BTreeMap<(SocketAddr, u64), SessionId>,
    /// Connections that are not proved, and who counts them.
    half_open: BTreeMap<SessionId, (SocketAddr, u64)>,
    ike_spis: BTreeMap<u64, SessionId>,
    esp_spis: BTreeMap<u32, SessionId>,
    present: Present,
    timers: BTreeSet<(Instant, SessionId)>,
    out: VecDeque<Datagram>,
    events: VecDeque<Event>,
    evictions: Vec<Eviction>,
    shard: u8,
}

impl Responder {
    /// A responder to which nobody is connected. `shard` is the lowest byte of its own SPIs.
    pub fn new(settings: Arc<Settings>, shard: u8, mut dice: Dice, now: Instant) -> Self {
        Self {
            settings,
            identity: None,
            members: Members::new(&mut dice),
            gate: Gate::new(&mut dice, now),
            dice,
            strangers: Strangers::new(now),
            refused: Refused::default(),
            sessions: BTreeMap::new(),
            next_id: 0,
            openings: BTreeMap::new(),
            half_open: BTreeMap::new(),
            ike_spis: BTreeMap::new(),
            esp_spis: BTreeMap::new(),
            present: Present::new(),
            timers: BTreeSet::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            evictions: Vec::new(),
            shard,
        }
    }

    /// The next datagram that is to be sent.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_deadline`] is to be called.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, _)| *at);
        first.into_iter().chain(self.refused.deadline()).min()
    }

    /// How many connections there are: those that are half-way in, and all.
    pub fn connections(&self) -> (usize, usize) {
        (self.half_open.len(), self.sessions.len())
    }

    /// Makes it so.
    pub fn apply(&mut self, change: Change, now: Instant) {
        match change {
            Change::Settings(settings) => {
                self.settings = settings;
                self.refused.forget();
            }
            Change::Identity(identity) => self.identity = Some(identity),
            Change::NoIdentity => self.identity = None,
            Change::Member(member) => {
                let differs = self.members.of(&member.account).is_some_and(|old| {
                    (&old.login, &old.hash, old.ipv4, old.ipv6, old.shard)
                        != (&member.login, &member.hash, member.ipv4, member.ipv6, member.shard)
                });
                let account = member.account.clone();
                self.members.put(member);
                if differs {
                    self.disconnect(&account, now);
                }
            }
            Change::Gone(account) => {
                self.members.remove(&account);
                self.disconnect(&account, now);
            }
            Change::Disconnect(account) => self.disconnect(&account, now),
        }
    }

    fn disconnect(&mut self, account: &AccountName, now: Instant) {
        let sessions: Vec<SessionId> =
            self.present.get(account).into_iter().flat_map(BTreeMap::keys).copied().collect();
        for session in sessions {
            self.with(session, now, |session, world| session.leave(Why::Asked, world));
        }
    }

    /// Takes a datagram of port 500, or of port 4500 that is no ESP packet. What is no message of ours is dropped.
    pub fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let message = if path.marked { datagram.strip_prefix(&MARKER[..]) } else { Some(datagram) };
        let Some((message, header)) = message.and_then(|message| Some((message, Header::parse(message)?))) else {
            return;
        };
        if header.version >> 4 > VERSION >> 4 {
            return self.refuse((header, message.len()), path, number::INVALID_MAJOR_VERSION, now);
        }
        if header.version >> 4 != VERSION >> 4 || header.spis.initiator == 0 {
            return;
        }
        if header.exchange == Exchange::IkeSaInit.number() {
            let first = header.spis.responder == 0 && header.initiator && !header.response && header.id == 0;
            if first {
                self.begin(header, message, path, now);
            }
            return;
        }
        let ours = if header.initiator { header.spis.responder } else { header.spis.initiator };
        if let Some(session) = self.ike_spis.get(&ours).copied() {
            self.with(session, now, |session, world| session.handle(header, message, path, world));
        } else {
            self.refuse((header, message.len()), path, number::INVALID_IKE_SPI, now);
        }
    }

    /// Tells somebody of whom we know nothing, if at all.
    fn refuse(&mut self, (header, asked): (Header, usize), path: Path, notify: u16, now: Instant) {
        if let Some(message) = self.strangers.answer(header, asked, notify, now) {
            let bytes = if path.marked { [&MARKER[..], &message].concat() } else { message };
            self.out.push_back(Datagram { path, bytes });
        }
    }

    /// An authentic ESP packet came by a child of ours with this inbound SPI, or one went out by it (then without a
    /// path). The path is given where the packet is newer than all before it. Once a second for each child is enough,
    /// and at once where the path differs from the last one.
    pub fn handle_traffic(&mut self, inbound: u32, path: Option<Path>, now: Instant) {
        if let Some(session) = self.esp_spis.get(&inbound).copied() {
            self.with(session, now, |session, world| session.handle_traffic(inbound, path, world));
        }
    }

    /// A child's sequence numbers are nearly spent: it needs a successor now.
    pub fn handle_spent(&mut self, inbound: u32, now: Instant) {
        if let Some(session) = self.esp_spis.get(&inbound).copied() {
            self.with(session, now, |session, world| session.renew_child(inbound, world));
        }
    }

    /// Does what is due.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.events.extend(self.refused.due(now));
        while let Some((at, session)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, session));
            if let Some(session) = self.sessions.get_mut(&session) {
                session.scheduled = None;
            }
            self.with(session, now, Session::handle_due);
        }
    }

    fn begin(&mut self, header: Header, message: &[u8], path: Path, now: Instant) {
        let place = (path.remote, header.spis.initiator);
        if let Some(session) = self.openings.get(&place) {
            // the same message gets the same answer; another with the same SPI is somebody's mistake or attack
            if let Some(Stage::Opening(opening)) = self.sessions.get(session).map(|session| &session.stage)
                && opening.request == message
            {
                let bytes = opening.answer.clone();
                let bytes = if path.marked { [&MARKER[..], &bytes].concat() } else { bytes };
                self.out.push_back(Datagram { path, bytes });
            }
            return;
        }
        let id = SessionId(self.next_id);
        let mut gate = std::mem::replace(&mut self.gate, Gate::closed(now));
        let begun = self.in_world(now, |world| init::begin((id, &mut gate), header, message, path, world));
        self.gate = gate;
        if let Begun::Session(session) = begun {
            self.next_id += 1;
            self.make_room(now);
            self.gate.enter(path.remote.ip());
            self.openings.insert(place, id);
            self.half_open.insert(id, place);
            self.sessions.insert(id, *session);
            self.settle(id, now);
        }
    }

    /// The oldest that is not proved goes first.
    fn make_room(&mut self, now: Instant) {
        if self.half_open.len() >= HALF_OPEN_MAX
            && let Some(oldest) = self.half_open.keys().next().copied()
        {
            self.with(oldest, now, |session, _| session.close(Why::Unfinished));
        }
    }

    fn in_world<T>(&mut self, now: Instant, work: impl FnOnce(&mut World<'_>) -> T) -> T {
        let mut world = World {
            settings: &self.settings,
            identity: self.identity.as_deref(),
            members: &self.members,
            dice: &mut self.dice,
            out: &mut self.out,
            events: &mut self.events,
            ike_spis: &mut self.ike_spis,
            esp_spis: &mut self.esp_spis,
            present: &mut self.present,
            evictions: &mut self.evictions,
            refused: &mut self.refused,
            shard: self.shard,
            now,
        };
        work(&mut world)
    }

    /// Lets something happen to a connection, and then what follows from it.
    fn with(&mut self, id: SessionId, now: Instant, work: impl FnOnce(&mut Session, &mut World<'_>)) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        self.in_world(now, |world| work(&mut session, world));
        self.sessions.insert(id, session);
        self.settle(id, now);
        for eviction in std::mem::take(&mut self.evictions) {
            self.evict(eviction, now);
        }
    }

    fn evict(&mut self, eviction: Eviction, now: Instant) {
        if eviction.linger {
            if let Some(session) = self.sessions.get_mut(&eviction.session) {
                session.lingers_until = Some(now + LINGER);
            }
            self.settle(eviction.session, now);
        } else {
            // the client has said that it knows nothing of it, or has made another: there is nobody to tell
            self.with(eviction.session, now, |session, _| session.close(Why::Replaced));
        }
    }

    /// Brings tables and timers in line with what a connection has become.
    fn settle(&mut self, id: SessionId, now: Instant) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        if !matches!(session.stage, Stage::Opening(_))
            && let Some(place) = self.half_open.remove(&id)
        {
            self.openings.remove(&place);
            self.gate.leave(place.0.ip());
        }
        let next = match session.stage {
            Stage::Over(why) => {
                self.in_world(now, |world| session.bury(why, world));
                None
            }
            Stage::Opening(_) | Stage::Up | Stage::Leaving | Stage::Fading(_) => {
                self.in_world(now, |world| session.next(world))
            }
        };
        if let Some(scheduled) = session.scheduled.take() {
            self.timers.remove(&(scheduled, id));
        }
        if !matches!(session.stage, Stage::Over(_)) {
            session.scheduled = next;
            self.timers.extend(next.map(|at| (at, id)));
            self.sessions.insert(id, session);
        }
    }
}
