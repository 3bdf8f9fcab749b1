//! One client's connection: what it has proved, its associations and its children.

mod auth;
mod child;
mod create;
mod informational;
mod own;
mod successor;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::association::{Association, Incoming};
use super::crypto::dice::Dice;
use super::event::{Datagram, Event, Path, SessionId, Why};
use super::message::contents::Contents;
use super::message::header::{Exchange, Header, MARKER};
use super::message::notify::number;
use super::message::proposal::{Proposal, Protocol};
use super::message::writer::Writer;
use super::message::{Fault, kind};
use super::refused::Refused;
use super::sealed::{NotOpened, is_later_fragment};
use super::settings::{Fragmentation, Identity, Member, Settings};
use crate::domain::name::AccountName;

pub(super) use auth::{Opening, Proof};
pub(super) use child::Child;
pub(super) use create::NONCE;
pub(super) use own::{Errand, Task};

/// How long a connection may take to be proved.
pub(super) const HALF_OPEN: Duration = Duration::from_secs(30);
/// Bytes of a datagram's payload when a message is cut: an IP packet of 1280 bytes, less IP and UDP.
const FRAGMENT_IPV4: usize = 1_280 - 20 - 8;
const FRAGMENT_IPV6: usize = 1_280 - 40 - 8;

/// Connections of each account that were proved, and where they are.
pub(super) type Present = BTreeMap<AccountName, BTreeMap<SessionId, SocketAddr>>;

/// Who must go, why, and whether it has some seconds to do so by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Eviction {
    pub(super) session: SessionId,
    pub(super) linger: bool,
}

/// Everything around a connection that it needs while something happens to it.
pub(super) struct World<'a> {
    pub(super) settings: &'a Settings,
    pub(super) identity: Option<&'a Identity>,
    pub(super) members: &'a super::members::Members,
    pub(super) dice: &'a mut Dice,
    pub(super) out: &'a mut VecDeque<Datagram>,
    pub(super) events: &'a mut VecDeque<Event>,
    /// Our SPIs of IKE associations.
    pub(super) ike_spis: &'a mut BTreeMap<u64, SessionId>,
    /// Our inbound SPIs of children.
    pub(super) esp_spis: &'a mut BTreeMap<u32, SessionId>,
    pub(super) present: &'a mut Present,
    pub(super) evictions: &'a mut Vec<Eviction>,
    pub(super) refused: &'a mut Refused,
    pub(super) shard: u8,
    pub(super) now: Instant,
}

impl World<'_> {
    /// A new SPI of ours for an IKE association; its lowest byte says whose it is.
    pub(super) fn ike_spi(&mut self, session: SessionId) -> u64 {
        loop {
            let spi = u64::from_be_bytes(self.dice.array()) & !0xff | u64::from(self.shard);
            if spi > 0xff && !self.ike_spis.contains_key(&spi) {
                self.ike_spis.insert(spi, session);
                return spi;
            }
        }
    }

    /// A new inbound SPI for a child; its lowest byte says where the client lives, and it is none of those below 256.
    fn esp_spi(&mut self, session: &Session) -> u32 {
        let shard = session.member.as_ref().map_or(self.shard, |member| member.shard);
        let session = session.id;
        loop {
            let spi = u32::from_be_bytes(self.dice.array()) & !0xff | u32::from(shard);
            if spi > 0xff && !self.esp_spis.contains_key(&spi) {
                self.esp_spis.insert(spi, session);
                return spi;
            }
        }
    }

    /// Nothing was chosen of an offer.
    pub(super) fn refuse_offer(&mut self, path: Path, protocol: Protocol, offer: &[Proposal]) {
        self.events.extend(self.refused.note(path.remote, protocol, offer, self.now));
    }

    pub(super) fn send(&mut self, path: Path, message: &[u8]) {
        let bytes = if path.marked { [&MARKER[..], message].concat() } else { message.to_vec() };
        self.out.push_back(Datagram { path, bytes });
    }

    fn send_all(&mut self, path: Path, messages: &[Vec<u8>]) {
        for message in messages {
            self.send(path, message);
        }
    }
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Not both sides have proved who they are.
    Opening(Box<Opening>),
    /// They have.
    Up,
    /// It is gone for everybody but the client, who has yet to say that it knows.
    Leaving,
    /// The client ended it and goes on by another: until then packets of this one may still be under way.
    Fading(Instant),
    /// It is to be forgotten.
    Over(Why),
}

/// One client's connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) path: Path,
    pub(super) stage: Stage,
    /// Whose it is, once it is proved.
    pub(super) member: Option<Arc<Member>>,
    /// Its associations: those that have successors, then the one in use.
    pub(super) associations: Vec<Association<Task>>,
    pub(super) children: Vec<Child>,
    /// What is to be asked of the client once nothing else is asked.
    errands: VecDeque<Errand>,
    /// Whether both sides take fragments.
    fragments: bool,
    mobike: bool,
    /// When the client last showed that it is there.
    heard: Instant,
    /// When it must go because another took its place.
    pub(super) lingers_until: Option<Instant>,
    /// The entry in the responder's timers that counts.
    pub(super) scheduled: Option<Instant>,
}

impl Session {
    /// A connection of which both sides know the first keys.
    pub(super) fn new(
        id: SessionId,
        path: Path,
        association: Association<Task>,
        opening: Opening,
        fragments: bool,
        now: Instant,
    ) -> Self {
        Self {
            id,
            path,
            stage: Stage::Opening(Box::new(opening)),
            member: None,
            associations: vec![association],
            children: Vec::new(),
            errands: VecDeque::new(),
            fragments,
            mobike: false,
            heard: now,
            lingers_until: None,
            scheduled: None,
        }
    }

    /// Ends it from our side: it is gone at once, and the client is told until it says that it knows.
    pub(super) fn leave(&mut self, why: Why, world: &mut World<'_>) {
        if !self.is_up() {
            return self.close(why);
        }
        let most = self.most(world.settings);
        self.part(why, world);
        self.errands.clear();
        self.stage = Stage::Leaving;
        let at = self.current();
        self.associations.drain(..at);
        let mut content = Writer::default();
        let asked = (Exchange::Informational, &*content.delete_ike());
        let messages = self.associations[0].ask(asked, Task::Goodbye, most, world.dice, world.now).to_vec();
        world.send_all(self.path, &messages);
    }

    /// Whether both sides have proved who they are.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up)
    }

    /// The account, once it is proved.
    pub(super) fn account(&self) -> Option<&AccountName> {
        self.member.as_ref().map(|member| &member.account)
    }

    pub(super) fn close(&mut self, why: Why) {
        if !matches!(self.stage, Stage::Over(_)) {
            self.stage = Stage::Over(why);
        }
    }

    /// The longest message that goes out whole.
    fn most(&self, settings: &Settings) -> Option<usize> {
        let fragment = if self.path.remote.is_ipv4() { FRAGMENT_IPV4 } else { FRAGMENT_IPV6 };
        let sends = self.fragments && settings.fragmentation == Fragmentation::Yes;
        sends.then_some(fragment - if self.path.marked { MARKER.len() } else { 0 })
    }

    /// Takes a message that names one of our SPIs.
    pub(super) fn handle(&mut self, header: Header, message: &[u8], path: Path, world: &mut World<'_>) {
        let found = self.associations.iter().position(|association| association.is_from_other(&header));
        let (Some(at), Some(exchange)) = (found, Exchange::of(header.exchange)) else { return };
        if header.response {
            return self.handle_response(at, header, message, world);
        }
        match self.associations[at].incoming(header.id) {
            Incoming::Fresh => self.handle_request(at, exchange, header, message, path, world),
            Incoming::Again => self.repeat(at, header, message, path, world),
            Incoming::Stray => {}
        }
    }

    /// RFC 7296, section 2.1: the same request gets the same answer, byte for byte; of fragments the first one asks.
    fn repeat(&mut self, at: usize, header: Header, message: &[u8], path: Path, world: &mut World<'_>) {
        let association = &self.associations[at];
        if !is_later_fragment(&header, message) && association.proves(header, message) {
            world.send_all(path, association.last_answer());
        }
    }

    fn handle_request(
        &mut self,
        at: usize,
        exchange: Exchange,
        header: Header,
        message: &[u8],
        path: Path,
        world: &mut World<'_>,
    ) {
        let opened = match self.associations[at].open(header, message, world.now) {
            Ok(opened) => opened,
            Err(NotOpened::Inner(_)) => return self.refuse(at, exchange, Fault::Syntax, path, world),
            Err(NotOpened::Shape | NotOpened::Unauthentic | NotOpened::Waiting) => return,
        };
        self.heard = world.now;
        self.follow(path, world);
        let contents = match Contents::parse(opened.first, &opened.chain) {
            Ok(contents) => contents,
            Err(fault) => return self.refuse(at, exchange, fault, path, world),
        };
        match (&self.stage, exchange) {
            (Stage::Opening(_), Exchange::IkeAuth) => self.handle_auth(at, &contents, world),
            (Stage::Opening(_), Exchange::Informational) => {
                // whoever gives up half-way says so under the keys that there are
                self.reply(at, exchange, &Writer::default(), world);
                self.close(Why::NotProved);
            }
            (Stage::Up, Exchange::CreateChildSa) => self.handle_create(at, &contents, world),
            (Stage::Up, Exchange::Informational) => self.handle_informational(at, &contents, path, world),
            (Stage::Leaving, Exchange::Informational) => {
                self.reply(at, exchange, &Writer::default(), world);
                self.close(Why::Asked);
            }
            (Stage::Opening(_) | Stage::Up, _) => self.refuse(at, exchange, Fault::Syntax, path, world),
            (Stage::Leaving | Stage::Fading(_) | Stage::Over(_), _) => {}
        }
        self.run_errands(world);
    }

    /// Says what is wrong with an authentic request. While nothing is proved that is the end.
    fn refuse(&mut self, at: usize, exchange: Exchange, fault: Fault, path: Path, world: &mut World<'_>) {
        let mut content = Writer::default();
        match fault {
            Fault::Syntax => content.notify(number::INVALID_SYNTAX, &[]),
            Fault::Critical(kind) => content.notify(number::UNSUPPORTED_CRITICAL_PAYLOAD, &[kind]),
        };
        let most = self.most(world.settings);
        let messages = self.associations[at].answer(exchange, &content, most, world.dice).to_vec();
        world.send_all(path, &messages);
        if !self.is_up() {
            self.close(Why::NotProved);
        }
    }

    fn reply(&mut self, at: usize, exchange: Exchange, content: &Writer, world: &mut World<'_>) {
        let most = self.most(world.settings);
        let messages = self.associations[at].answer(exchange, content, most, world.dice).to_vec();
        world.send_all(self.path, &messages);
    }

    /// An answer that is nothing but a notification.
    fn reply_error(&mut self, at: usize, exchange: Exchange, notify: u16, content: &[u8], world: &mut World<'_>) {
        self.reply(at, exchange, Writer::default().notify(notify, content), world);
    }

    /// Goes where an authentic request came from: before everything is proved, and after that unless the client tells
    /// where it is by itself (RFC 4555, section 3.8).
    fn follow(&mut self, path: Path, world: &mut World<'_>) {
        if !self.is_up() {
            self.path = path;
        } else if !self.mobike {
            self.move_to(path, world);
        }
    }

    fn move_to(&mut self, path: Path, world: &mut World<'_>) {
        if self.path == path {
            return;
        }
        self.path = path;
        if let Some(account) = self.account().cloned() {
            world.present.entry(account).or_default().insert(self.id, path.remote);
        }
        world.events.push_back(Event::Moved { session: self.id, path });
    }

    /// An authentic packet of a child came, newer than all before it: the client is there, and where it came from.
    pub(super) fn handle_traffic(&mut self, inbound: u32, path: Option<Path>, world: &mut World<'_>) {
        let Some(child) = self.children.iter_mut().find(|child| child.ours == inbound) else { return };
        child.used = world.now;
        if let Some(path) = path.filter(|_| matches!(self.stage, Stage::Up)) {
            self.heard = world.now;
            self.move_to(path, world);
        }
    }

    /// A child needs a successor now.
    pub(super) fn renew_child(&mut self, inbound: u32, world: &mut World<'_>) {
        if self.is_up() {
            self.wish(Errand::RekeyChild(inbound));
            self.run_errands(world);
        }
    }

    /// The association in use.
    fn current(&self) -> usize {
        let in_use = self.associations.iter().rposition(|association| !association.superseded);
        in_use.unwrap_or_else(|| self.associations.len().saturating_sub(1))
    }

    /// Forgets everything, and says so. Its SPIs are nobody's from now on.
    pub(super) fn bury(&mut self, why: Why, world: &mut World<'_>) {
        self.part(why, world);
        // also those of exchanges that were not finished
        world.ike_spis.retain(|_, session| *session != self.id);
    }

    /// Is nobody's connection any more: its children are gone, its account is free.
    fn part(&mut self, why: Why, world: &mut World<'_>) {
        self.children.clear();
        world.esp_spis.retain(|_, session| *session != self.id);
        if let Some(member) = self.member.take() {
            if let Some(sessions) = world.present.get_mut(&member.account) {
                sessions.remove(&self.id);
                if sessions.is_empty() {
                    world.present.remove(&member.account);
                }
            }
            world.events.push_back(Event::Closed { session: self.id, account: member.account.clone(), why });
        }
    }
}

/// Selectors, as payloads of this order: the client's, then ours, where the client began the exchange.
fn selectors(content: &mut Writer, ours_first: bool, child: &Child) {
    let (first, second) = if ours_first { (&child.network, &child.client) } else { (&child.client, &child.network) };
    content.selectors(kind::TSI, first).selectors(kind::TSR, second);
}
