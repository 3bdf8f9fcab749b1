//! One IKE association: keys, message IDs, the answer that is kept, and requests that are repeated.
//! RFC 7296, sections 2.1 to 2.3, with a window of one.

use std::time::{Duration, Instant};

use super::crypto::dice::Dice;
use super::keys::IkeKeys;
use super::message::header::{Exchange, Header, Spis, VERSION};
use super::message::writer::Writer;
use super::proposal::IkeSuite;
use super::sealed::{NotOpened, Opened, Opener, Sealer};

/// How long the first answer is waited for; each later one 1.8 times as long.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often a request is sent again.
const TRIES: u32 = 5;

/// What a request of the other side is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The next one.
    Fresh,
    /// The last one once more.
    Again,
    /// Neither: it is dropped.
    Stray,
}

/// What comes of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waited {
    /// Nothing yet.
    Early,
    /// These datagrams are to be sent again.
    Again(Vec<Vec<u8>>),
    /// It was too often in vain.
    InVain,
}

#[derive(Debug)]
struct Pending<T> {
    id: u32,
    task: T,
    messages: Vec<Vec<u8>>,
    tries: u32,
    since: Instant,
    due: Instant,
}

/// One IKE association. `T` is what we remember of a request of ours until it is answered.
#[derive(Debug)]
pub(super) struct Association<T> {
    /// Its SPIs.
    pub(super) spis: Spis,
    /// Whether we began it: the first one never, a successor perhaps.
    pub(super) we_began: bool,
    /// Its algorithms.
    pub(super) suite: IkeSuite,
    /// Its keys.
    pub(super) keys: IkeKeys,
    /// When a successor is to be begun.
    pub(super) rekey_at: Option<Instant>,
    /// When it must be over.
    pub(super) ends_at: Option<Instant>,
    /// Whether it has a successor and waits for its end.
    pub(super) superseded: bool,
    sealer: Sealer,
    opener: Opener,
    expected: u32,
    answer: Vec<Vec<u8>>,
    next: u32,
    pending: Option<Pending<T>>,
}

impl<T> Association<T> {
    /// An association that has said nothing; its first request has the ID `expected`.
    pub(super) fn new(suite: IkeSuite, keys: IkeKeys, spis: Spis, we_began: bool, expected: u32) -> Option<Self> {
        let [initiator, responder] = keys.protections(suite.protection).ok()?;
        let (ours, theirs) = if we_began { (initiator, responder) } else { (responder, initiator) };
        let (sealer, opener) = (Sealer::new(ours), Opener::new(theirs));
        Some(Self {
            spis,
            we_began,
            suite,
            keys,
            rekey_at: None,
            ends_at: None,
            superseded: false,
            sealer,
            opener,
            expected,
            answer: Vec::new(),
            next: 0,
            pending: None,
        })
    }

    /// Our SPI.
    pub(super) fn ours(&self) -> u64 {
        if self.we_began { self.spis.initiator } else { self.spis.responder }
    }

    /// Whether a header is of this association and of its other side.
    pub(super) fn is_from_other(&self, header: &Header) -> bool {
        header.spis == self.spis && header.initiator != self.we_began
    }

    /// What a request with this ID is.
    pub(super) fn incoming(&self, id: u32) -> Incoming {
        if id == self.expected {
            Incoming::Fresh
        } else if id.checked_add(1) == Some(self.expected) {
            Incoming::Again
        } else {
            Incoming::Stray
        }
    }

    /// The answer to the last request, as it was sent.
    pub(super) fn last_answer(&self) -> &[Vec<u8>] {
        &self.answer
    }

    /// Opens a message.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub(super) fn open(&mut self, header: Header, message: &[u8], now: Instant) -> Result<Opened, NotOpened> {
        self.opener.open(header, message, now)
    }

    /// Whether a message, or a fragment, was sealed by the other side.
    pub(super) fn proves(&self, header: Header, message: &[u8]) -> bool {
        self.opener.proves(header, message)
    }

    fn header(&self, exchange: Exchange, response: bool, id: u32) -> Header {
        let (spis, initiator) = (self.spis, self.we_began);
        Header { spis, next: 0, version: VERSION, exchange: exchange.number(), initiator, response, id, length: 0 }
    }

    /// Seals the answer to the request that is expected, keeps it, and expects the next one.
    pub(super) fn answer(
        &mut self,
        exchange: Exchange,
        content: &Writer,
        most: Option<usize>,
        dice: &mut Dice,
    ) -> &[Vec<u8>] {
        let header = self.header(exchange, true, self.expected);
        let (first, chain) = content.chain();
        self.answer = self.sealer.seal(header, (first, &chain), most, dice).unwrap_or_default();
        self.expected = self.expected.wrapping_add(1);
        &self.answer
    }

    /// The request that is expected was taken, its answer comes later.
    pub(super) fn hold_answer(&mut self) {
        self.answer.clear();
        self.expected = self.expected.wrapping_add(1);
    }

    /// Seals the answer that was held, and keeps it.
    pub(super) fn late_answer(
        &mut self,
        exchange: Exchange,
        content: &Writer,
        most: Option<usize>,
        dice: &mut Dice,
    ) -> &[Vec<u8>] {
        self.expected = self.expected.wrapping_sub(1);
        self.answer(exchange, content, most, dice)
    }

    /// What our request is about that is not answered yet.
    pub(super) fn pending(&self) -> Option<&T> {
        self.pending.as_ref().map(|pending| &pending.task)
    }

    /// What our request is about that is not answered yet.
    pub(super) fn pending_mut(&mut self) -> Option<&mut T> {
        self.pending.as_mut().map(|pending| &mut pending.task)
    }

    /// Seals a request of ours and waits for its answer; there is none before it.
    pub(super) fn ask(
        &mut self,
        (exchange, content): (Exchange, &Writer),
        task: T,
        most: Option<usize>,
        dice: &mut Dice,
        now: Instant,
    ) -> &[Vec<u8>] {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let (first, chain) = content.chain();
        let header = self.header(exchange, false, id);
        let messages = self.sealer.seal(header, (first, &chain), most, dice).unwrap_or_default();
        let pending = Pending { id, task, messages, tries: 0, since: now, due: now + PATIENCE };
        &self.pending.insert(pending).messages
    }

    /// Takes the task that an answer with this ID is about.
    pub(super) fn take_answered(&mut self, id: u32) -> Option<T> {
        self.pending.take_if(|pending| pending.id == id).map(|pending| pending.task)
    }

    /// Whether a request of ours with this ID waits.
    pub(super) fn waits_for(&self, id: u32) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.id == id)
    }

    /// When a request of ours is to be sent again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.due)
    }

    /// What is to be done about a request that is not answered; `cap` is the longest that one waits in all.
    pub(super) fn wait(&mut self, cap: Option<Duration>, now: Instant) -> Waited {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.due <= now) else { return Waited::Early };
        let too_long = cap.is_some_and(|cap| now.saturating_duration_since(pending.since) >= cap);
        if pending.tries == TRIES || too_long {
            return Waited::InVain;
        }
        pending.tries += 1;
        let patience = (0..pending.tries).fold(PATIENCE, |patience, _| patience * 9 / 5);
        let end = cap.map_or(now + patience, |cap| pending.since + cap);
        pending.due = (now + patience).min(end);
        Waited::Again(pending.messages.clone())
    }
}
