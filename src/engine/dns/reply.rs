//! What comes back from the forwarders, and what is done where nothing does.

use std::sync::Arc;
use std::time::Instant;

use super::answer::{self, Remark, Ttl};
use super::cache::Found;
use super::pending::{Pending, Sent, Waiting};
use super::question::DATAGRAM_MAX;
use super::stored::Stored;
use super::{Ask, FAILURE_LIVES, RECHECK, Resolver, Ticket, Transport};
use crate::engine::wire::dns::{Extension, Header, OPT, Question, flag, rcode};

/// Questions to the forwarders for one answer.
const TRIES_MAX: usize = 4;
/// What a message over TLS is padded to a multiple of, in bytes (RFC 8467, section 4.1).
const PADDED: usize = 128;
/// The option of an extension record that is padding (RFC 7830).
const OPTION_PADDING: u16 = 12;

/// What a message from where the forwarder is has to do with what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It is the answer.
    Answers,
    /// It may be the answer, but its name is written otherwise: a forger guesses, some forwarders forget. Ask by TCP.
    Doubtful,
    /// It is something else: go on waiting.
    Other,
}

/// Whether a message answers what was asked: the same number and the same question, to the letter case.
pub fn judge(asked: &[u8], reply: &[u8]) -> Judged {
    let (Some(ours), Some(theirs)) = (Header::read(asked), Header::read(reply)) else { return Judged::Other };
    let fits = ours.id == theirs.id && theirs.has(flag::QR) && theirs.flags & flag::OPCODE == 0;
    let (Some(question), Some(repeated)) = (Question::read(asked), Question::read(reply)) else {
        return Judged::Other;
    };
    let same = question.name.eq_ignore_ascii_case(repeated.name)
        && (question.kind, question.class) == (repeated.kind, repeated.class);
    match fits && same && theirs.counts[0] == 1 {
        true if question.name == repeated.name => Judged::Answers,
        true => Judged::Doubtful,
        false => Judged::Other,
    }
}

impl Resolver {
    /// A message has come for a question to a forwarder.
    pub fn handle_reply(&mut self, ticket: Ticket, reply: &[u8], now: Instant) {
        let Some((to, transport, judged)) = self.judge_reply(ticket, reply) else { return };
        let is_datagram = transport == Transport::Udp;
        let is_cut = Header::read(reply).is_some_and(|header| header.has(flag::TC));
        match judged {
            Judged::Other => self.forged += 1,
            Judged::Doubtful | Judged::Answers if is_datagram && (judged == Judged::Doubtful || is_cut) => {
                self.forged += u64::from(judged == Judged::Doubtful);
                self.close(ticket, now);
                self.ask(ticket.slot, to, Transport::Tcp, now);
            }
            Judged::Doubtful | Judged::Answers => {
                self.close(ticket, now);
                self.take(ticket.slot, reply, now);
            }
        }
    }

    /// A question to a forwarder has come to nothing: nobody listens, or the connection broke.
    pub fn handle_failure(&mut self, ticket: Ticket, now: Instant) {
        if self.generation_fits(ticket) {
            let Some(sent) = self.sent_mut(ticket) else { return };
            if !std::mem::replace(&mut sent.open, false) {
                return;
            }
            let to = sent.to;
            self.upstreams.note_silence(to, true, now);
            self.go_on(ticket.slot, now);
        }
    }

    /// Does what is due: asks another forwarder, gives what is too old, gives up.
    pub fn handle_deadline(&mut self, now: Instant) {
        while let Some(slot) = self.pendings.pop_due(now) {
            let Some(pending) = self.pendings.get_mut(slot) else { return };
            if pending.gives_up <= now {
                self.fail(slot, now);
                continue;
            }
            if pending.stale_at.is_some_and(|at| at <= now) {
                pending.stale_at = None;
                let key = pending.key.clone();
                let waiting = self.pendings.take_waiting(slot);
                self.give_stale(&key, waiting, now);
            }
            let Some(pending) = self.pendings.get_mut(slot) else { continue };
            if pending.next_try.is_some_and(|at| at <= now) {
                pending.next_try = None;
                let silent = pending.sent.iter().rev().find(|sent| sent.open).map(|sent| sent.to);
                if let Some(silent) = silent {
                    self.upstreams.note_silence(silent, false, now);
                }
                self.ask_next(slot, now);
            }
            self.pendings.settle(slot);
        }
    }

    /// Ends everything that waits.
    pub(super) fn fail_all(&mut self, now: Instant) {
        for slot in self.pendings.slots() {
            self.fail(slot, now);
        }
        self.asks.clear();
    }

    fn generation_fits(&self, ticket: Ticket) -> bool {
        self.pendings.generation(ticket.slot) == ticket.generation
    }

    fn sent_mut(&mut self, ticket: Ticket) -> Option<&mut Sent> {
        self.pendings.get_mut(ticket.slot)?.sent.get_mut(usize::from(ticket.number))
    }

    fn judge_reply(&mut self, ticket: Ticket, reply: &[u8]) -> Option<(usize, Transport, Judged)> {
        if !self.generation_fits(ticket) {
            return None;
        }
        let sent = self.sent_mut(ticket).filter(|sent| sent.open)?;
        Some((sent.to, sent.transport, judge(&sent.message, reply)))
    }

    /// The forwarder has spoken.
    fn close(&mut self, ticket: Ticket, now: Instant) {
        let Some(sent) = self.sent_mut(ticket) else { return };
        sent.open = false;
        let (to, took) = (sent.to, now.saturating_duration_since(sent.at));
        self.upstreams.note_answer(to, took);
    }

    /// Takes an answer that is one.
    fn take(&mut self, slot: u32, reply: &[u8], now: Instant) {
        let outcome = Header::read(reply).map_or(rcode::SERVFAIL, |header| header.rcode());
        let stored = Stored::read(reply, now).filter(|_| matches!(outcome, rcode::NOERROR | rcode::NXDOMAIN));
        let Some(stored) = stored else {
            if let Some(pending) = self.pendings.get_mut(slot) {
                pending.outcome = Some(outcome).filter(|outcome| *outcome != rcode::NOERROR);
            }
            return self.go_on(slot, now);
        };
        let Some(pending) = self.pendings.remove(slot) else { return };
        let longest = self.settings.longest;
        for waiting in &pending.waiting {
            self.count(waiting, |counters| counters.forwarded += 1);
            let mut message = Vec::new();
            answer::records(&mut message, &waiting.asked(), &stored, Ttl::Aged { age: 0, longest }, None);
            self.answers.push_back((waiting.asker, message));
        }
        if stored.lives > 0 {
            self.cache.put(&pending.key, stored);
        }
    }

    fn count(&mut self, waiting: &Waiting, note: impl FnOnce(&mut crate::domain::dns::DnsCounters)) {
        if let Some(served) = self.servers.get_mut(&waiting.asker.server) {
            note(&mut served.counters);
        }
    }

    /// One forwarder could not help: another is asked, or nobody is left.
    fn go_on(&mut self, slot: u32, now: Instant) {
        let Some(pending) = self.pendings.get_mut(slot) else { return };
        let is_asked = |at: usize| pending.sent.iter().any(|sent| sent.to == at);
        let has_another = (0..self.upstreams.forwarders().len()).any(|at| !is_asked(at));
        let has_open = pending.sent.iter().any(|sent| sent.open);
        if has_another {
            self.ask_next(slot, now);
        } else if !has_open {
            self.fail(slot, now);
        }
    }

    /// Nobody could answer.
    fn fail(&mut self, slot: u32, now: Instant) {
        let Some(pending) = self.pendings.remove(slot) else { return };
        let Pending { key, section, waiting, outcome, .. } = pending;
        let Some(waiting) = self.give_stale(&key, waiting, now) else { return };
        let outcome = outcome.unwrap_or(rcode::SERVFAIL);
        for waiting in &waiting {
            self.count(waiting, |counters| counters.failed += 1);
            let mut message = Vec::new();
            answer::outcome(&mut message, &waiting.asked(), outcome, Some(Remark::NoReachableAuthority));
            self.answers.push_back((waiting.asker, message));
        }
        self.cache.put(&key, Stored::failure(&section, outcome, now, FAILURE_LIVES));
    }

    /// Gives what is too old to who waits, and remembers that nothing newer is to be had; gives those back who wait
    /// where nothing is remembered.
    fn give_stale(&mut self, key: &[u8], waiting: Vec<Waiting>, now: Instant) -> Option<Vec<Waiting>> {
        let stored = match self.cache.find(key, self.settings.longest, super::STALE, now) {
            Found::Stale(stored, _) | Found::Fresh(stored, _) => stored,
            Found::Nothing => return Some(waiting),
        };
        if stored.is_failure() {
            return Some(waiting);
        }
        let mut messages = Vec::with_capacity(waiting.len());
        for one in &waiting {
            let mut message = Vec::new();
            answer::records(&mut message, &one.asked(), stored, Ttl::Stale, Some(Remark::Stale));
            messages.push((one.asker, message));
        }
        self.answers.extend(messages);
        self.cache.note_failure(key, now + RECHECK);
        for one in &waiting {
            self.count(one, |counters| counters.stale += 1);
        }
        None
    }

    /// Asks the best forwarder that has not been asked yet; where all have been, the best again.
    pub(super) fn ask_next(&mut self, slot: u32, now: Instant) {
        let Some(pending) = self.pendings.get_mut(slot) else { return };
        let is_asked = |at: usize| pending.sent.iter().any(|sent| sent.to == at);
        // a connection loses nothing: to ask again by another changes nothing
        let is_connected = |at: usize| {
            let mut open = pending.sent.iter().filter(|sent| sent.to == at && sent.open);
            open.any(|sent| sent.transport != Transport::Udp)
        };
        let best = if pending.sent.len() >= TRIES_MAX {
            None
        } else {
            let fresh = self.upstreams.best(|at| !is_asked(at), now);
            fresh.or_else(|| self.upstreams.best(|at| !is_connected(at), now))
        };
        match best {
            Some(to) => {
                let is_tls = self.upstreams.forwarders().get(to).is_some_and(|forwarder| forwarder.tls.is_some());
                self.ask(slot, to, if is_tls { Transport::Tls } else { Transport::Udp }, now);
            }
            // nobody to ask at all
            None if pending.sent.is_empty() => self.fail(slot, now),
            None => {
                pending.next_try = None;
                self.pendings.settle(slot);
            }
        }
    }

    fn ask(&mut self, slot: u32, to: usize, transport: Transport, now: Instant) {
        let wait = self.upstreams.wait(to);
        let generation = self.pendings.generation(slot);
        let entropy = self.entropy;
        let (Some(pending), Some(forwarder)) = (self.pendings.get_mut(slot), self.upstreams.forwarders().get(to))
        else {
            return;
        };
        let Ok(number) = u8::try_from(pending.sent.len()) else { return };
        let message: Arc<[u8]> = compose(pending, transport, entropy).into();
        pending.sent.push(Sent { to, transport, message: Arc::clone(&message), at: now, open: true });
        // a connection takes a round trip more than a datagram, or two
        pending.next_try = Some(now + if transport == Transport::Udp { wait } else { 2 * wait });
        let ticket = Ticket { slot, generation, number };
        self.asks.push_back(Ask { ticket, forwarder: forwarder.clone(), transport, message });
        self.pendings.settle(slot);
    }
}

/// Writes a question to a forwarder, with a number and a letter case that nobody can guess.
fn compose(pending: &Pending, transport: Transport, entropy: super::Entropy) -> Vec<u8> {
    let [high, low, _, _] = entropy().to_be_bytes();
    let unchecked = if pending.unchecked { flag::CD } else { 0 };
    // AD asks for the same in the answer (RFC 6840, section 5.7)
    let flags = flag::RD | flag::AD | unchecked;
    let header = Header { id: u16::from_be_bytes([high, low]), flags, counts: [1, 0, 0, 1] };
    let mut message = header.bytes().to_vec();
    let name = pending.section.len().saturating_sub(4);
    let (mut bits, mut left) = (0, 0);
    for (at, byte) in pending.section.iter().enumerate() {
        if left == 0 {
            (bits, left) = (entropy(), u32::BITS);
        }
        let is_letter = at < name && byte.is_ascii_lowercase();
        message.push(if is_letter && bits & 1 == 1 { byte.to_ascii_uppercase() } else { *byte });
        (bits, left) = (bits >> 1, left - 1);
    }
    let size = u16::try_from(DATAGRAM_MAX).unwrap_or(u16::MAX);
    let extension = Extension { size, version: 0, wants_signatures: pending.wants_signatures };
    if transport != Transport::Tls {
        message.extend(extension.bytes(0, 0));
        return message;
    }
    let padding = (message.len() + OPT + 4).next_multiple_of(PADDED) - (message.len() + OPT + 4);
    let padding = u16::try_from(padding).unwrap_or(0);
    message.extend(extension.bytes(0, 4 + padding));
    message.extend(OPTION_PADDING.to_be_bytes());
    message.extend(padding.to_be_bytes());
    message.resize(message.len() + usize::from(padding), 0);
    message
}
