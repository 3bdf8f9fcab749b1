//! The resolver: answers clients' questions from memory, or asks a forwarder.
//!
//! [`Resolver`] is a pure machine. A question comes in by [`Resolver::handle_question`] and is answered at once where the
//! answer is remembered. Otherwise [`Resolver::poll_ask`] says whom to ask what, [`Resolver::handle_reply`] takes what
//! came back, and [`Resolver::poll_answer`] gives the answers to all who asked the same meanwhile. The machine never opens
//! a socket, reads a clock or draws a number: who drives it does.
//!
//! A forged answer has to guess the port, which the driver lets the kernel choose anew for each question, the number, and
//! the letter case of the name (draft-vixie-dnsext-dns0x20).

mod answer;
pub mod blocklist;
mod cache;
mod frequent;
mod pending;
mod question;
mod reply;
mod stored;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use self::answer::{Remark, Ttl};
use self::blocklist::Blocklist;
pub use self::cache::Bounds;
use self::cache::{Cache, Found, Key};
use self::frequent::Frequent;
use self::pending::{Joined, Pendings, Waiting};
use self::question::{Asked, Reading};
pub use self::reply::{Judged, judge};
use self::upstream::Upstreams;
use crate::domain::dns::{DnsCounters, Forwarder};
use crate::engine::packet::Owner;
use crate::engine::wire::dns::{Question, rcode};

/// How long after it is too old an answer may still be given where no newer one is to be had (RFC 8767, section 5).
const STALE: Duration = Duration::from_secs(86_400);
/// How long a client waits before it gets what is too old (RFC 8767, section 5: the client response timer).
const STALE_AFTER: Duration = Duration::from_millis(1_800);
/// How long the forwarders are left alone with a question that they have just failed (RFC 8767, section 5).
const RECHECK: Duration = Duration::from_secs(30);
/// How long a failure is remembered, in seconds (RFC 9520, section 3.2: at least 1, at most 300).
const FAILURE_LIVES: u32 = 5;
/// How long an answer is waited for in all: less than what programs wait for us.
const PATIENCE: Duration = Duration::from_secs(4);

/// Unpredictable bits, from outside.
pub type Entropy = fn() -> u32;

/// What ought to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether anybody is answered.
    pub enabled: bool,
    /// Whom to ask, the preferred one first.
    pub forwarders: Vec<Forwarder>,
    /// How long an answer may be remembered, in seconds.
    pub longest: u32,
}

/// Who asks, and how the answer gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The slot of the server that was asked.
    pub server: u16,
    /// The account that asks.
    pub owner: Owner,
    /// Where from.
    pub from: SocketAddr,
    /// At which of the server's addresses.
    pub to: SocketAddr,
    /// By which TCP connection, in the driver's numbers; absent for UDP.
    pub stream: Option<u64>,
}

/// What became of a question at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was written.
    Answered,
    /// The answer comes by [`Resolver::poll_answer`].
    Waits,
    /// There is none.
    Ignored,
}

/// How a forwarder is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By a datagram, from a port of its own.
    Udp,
    /// By a connection, with two bytes of length before the message.
    Tcp,
    /// By TLS, likewise.
    Tls,
}

/// Which question to a forwarder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) number: u8,
}

#[cfg(test)]
impl Ticket {
    /// One for tests of who carries it.
    pub(crate) const fn first() -> Self {
        Self { slot: 0, generation: 0, number: 0 }
    }
}

/// A question to a forwarder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its name, for the reply.
    pub ticket: Ticket,
    /// Whom to ask.
    pub forwarder: Forwarder,
    /// How.
    pub transport: Transport,
    /// What.
    pub message: Arc<[u8]>,
}

/// A server whose clients may ask.
#[derive(Debug)]
struct Served {
    askers: Vec<IpNet>,
    blocklist: Arc<Blocklist>,
    counters: DnsCounters,
}

/// The machine.
#[derive(Debug)]
pub struct Resolver {
    settings: Settings,
    servers: BTreeMap<u16, Served>,
    cache: Cache,
    pendings: Pendings,
    upstreams: Upstreams,
    asks: VecDeque<Ask>,
    answers: VecDeque<(Asker, Vec<u8>)>,
    /// Names that block lists have and that were asked for.
    blocked: Frequent,
    /// Replies that answered no question of ours.
    forged: u64,
    entropy: Entropy,
}

impl Resolver {
    /// One that serves nobody yet and remembers this much.
    pub fn new(bounds: Bounds, entropy: Entropy) -> Self {
        let seed = || u64::from(entropy()) << 32 | u64::from(entropy());
        Self {
            settings: Settings { enabled: false, forwarders: Vec::new(), longest: 0 },
            servers: BTreeMap::new(),
            cache: Cache::new(bounds, seed()),
            pendings: Pendings::new(seed()),
            upstreams: Upstreams::default(),
            asks: VecDeque::new(),
            answers: VecDeque::new(),
            blocked: Frequent::default(),
            forged: 0,
            entropy,
        }
    }

    /// From now on these settings hold. With other forwarders, or when it is switched off, everything is forgotten: the
    /// operator may have changed them for what they answered.
    pub fn apply(&mut self, settings: Settings, now: Instant) {
        if settings == self.settings {
            return;
        }
        if settings.forwarders != self.settings.forwarders || !settings.enabled {
            self.cache.clear();
            self.fail_all(now);
            self.upstreams = Upstreams::new(settings.forwarders.clone());
        }
        self.settings = settings;
    }

    /// Serves the clients in these networks at the server in this slot.
    pub fn serve(&mut self, slot: u16, askers: Vec<IpNet>) {
        let stranger = || Served { askers: Vec::new(), blocklist: Arc::default(), counters: DnsCounters::default() };
        self.servers.entry(slot).or_insert_with(stranger).askers = askers;
    }

    /// The server in this slot is gone.
    pub fn leave(&mut self, server: u16) {
        self.servers.remove(&server);
    }

    /// From now on the server in this slot has these names blocked.
    pub fn block(&mut self, slot: u16, blocklist: Arc<Blocklist>) {
        if let Some(served) = self.servers.get_mut(&slot) {
            served.blocklist = blocklist;
        }
    }

    /// Whether anybody is answered.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// What became of the questions at the server in this slot.
    pub fn counters(&self, slot: u16) -> DnsCounters {
        let Some(served) = self.servers.get(&slot) else { return DnsCounters::default() };
        DnsCounters { listed: served.blocklist.len() as u64, ..served.counters }
    }

    /// How many answers are remembered, and how many bytes they take.
    pub fn remembered(&self) -> (usize, usize) {
        (self.cache.len(), self.cache.bytes())
    }

    /// The names that were blocked most often, in no order, each with about how often: of few, never too low.
    pub fn most_blocked(&self) -> impl Iterator<Item = (String, u64)> {
        self.blocked.names()
    }

    /// How many replies answered no question of ours.
    pub fn forged(&self) -> u64 {
        self.forged
    }

    /// Takes a client's message. An answer that is there at once is appended to `out`.
    pub fn handle_question(&mut self, asker: Asker, message: &[u8], out: &mut Vec<u8>, now: Instant) -> Outcome {
        let Some(served) = self.servers.get_mut(&asker.server).filter(|_| self.settings.enabled) else {
            return Outcome::Ignored;
        };
        let (query, question) = match question::read(message, asker.stream.is_some()) {
            Reading::Asks(query, question) => (query, question),
            Reading::Refused(query, outcome) => {
                served.counters.questions += 1;
                served.counters.refused += 1;
                answer::outcome(out, &query, outcome, None);
                return Outcome::Answered;
            }
            Reading::Nothing => return Outcome::Ignored,
        };
        served.counters.questions += 1;
        if !served.askers.iter().any(|network| network.contains(&asker.from.ip())) {
            served.counters.refused += 1;
            answer::outcome(out, &query, rcode::REFUSED, Some(Remark::Prohibited));
            return Outcome::Answered;
        }
        if served.blocklist.contains(question.name) {
            served.counters.blocked += 1;
            self.blocked.count(question.name);
            answer::outcome(out, &query, rcode::NXDOMAIN, Some(Remark::Blocked));
            return Outcome::Answered;
        }
        self.look_up(asker, (&query, &question), out, now)
    }

    fn look_up(
        &mut self,
        asker: Asker,
        (query, question): (&Asked<'_>, &Question<'_>),
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Outcome {
        let Some(served) = self.servers.get_mut(&asker.server) else { return Outcome::Ignored };
        let key = Key::new(question, query.wants_signatures(), query.is_unchecked());
        let longest = self.settings.longest;
        let has_stale = match self.cache.find(key.bytes(), longest, STALE, now) {
            Found::Fresh(stored, _) if stored.is_failure() => {
                served.counters.failed += 1;
                answer::outcome(out, query, stored.outcome(), Some(Remark::CachedError));
                return Outcome::Answered;
            }
            Found::Fresh(stored, age) => {
                served.counters.cached += 1;
                answer::records(out, query, stored, Ttl::Aged { age, longest }, None);
                return Outcome::Answered;
            }
            Found::Stale(stored, true) => {
                served.counters.stale += 1;
                answer::records(out, query, stored, Ttl::Stale, Some(Remark::Stale));
                return Outcome::Answered;
            }
            Found::Stale(_, false) => true,
            Found::Nothing => false,
        };
        let waiting = Waiting::new(asker, query);
        match self.pendings.join(key.bytes(), waiting, now) {
            Joined::Waits => Outcome::Waits,
            Joined::New(slot) => {
                if let Some(pending) = self.pendings.get_mut(slot) {
                    pending.stale_at = has_stale.then_some(now + STALE_AFTER);
                }
                self.ask_next(slot, now);
                Outcome::Waits
            }
            Joined::Full => {
                served.counters.failed += 1;
                answer::outcome(out, query, rcode::SERVFAIL, None);
                Outcome::Answered
            }
        }
    }

    /// Whom to ask what.
    pub fn poll_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// An answer to somebody who has waited.
    pub fn poll_answer(&mut self) -> Option<(Asker, Vec<u8>)> {
        self.answers.pop_front()
    }

    /// Whether [`Self::poll_answer`] has one.
    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// When [`Self::handle_deadline`] wants to be called.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.pendings.next_due()
    }
}
