//! What the tests of this room share: a clock that is moved, clients that ask, and forwarders that answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{Ask, Asker, Bounds, Outcome, Resolver, Settings};
use crate::domain::dns::Forwarder;
use crate::engine::packet::Owner;
use crate::engine::wire::dns::{Extension, HEADER, Header, Question, Records, flag, kind};

/// Numbers that differ, the same in every run of one test alone.
pub(super) fn entropy() -> u32 {
    static STATE: AtomicU32 = AtomicU32::new(0x9e37_79b9);
    let state = STATE.fetch_add(0x6d2b_79f5, Ordering::Relaxed);
    let mixed = (state ^ state >> 15).wrapping_mul(0x2c1b_3c6d);
    (mixed ^ mixed >> 12).wrapping_mul(0x297a_2d39) ^ mixed >> 15
}

/// One instant for all tests of a process: the clock is moved, not waited for.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
pub(super) fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// A resolver with two forwarders and the clients of one server, 10.0.0.0/24.
pub(super) struct Rig {
    pub(super) resolver: Resolver,
    pub(super) now: Instant,
}

/// What a forwarder says of a name.
#[derive(Clone, Copy)]
pub(super) struct Says<'a> {
    pub(super) outcome: u8,
    pub(super) flags: u16,
    /// Answers of the type that was asked for: their time to live and content.
    pub(super) answers: &'a [(u32, &'a [u8])],
    /// The start of the zone among the authorities: its time to live and its last number.
    pub(super) soa: Option<(u32, u32)>,
}

/// One address, for five minutes.
pub(super) const ADDRESS: Says<'static> = Says { outcome: 0, flags: 0, answers: &[(300, &[192, 0, 2, 1])], soa: None };

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Bounds { entries: 1_000, bytes: 1 << 20 }, &["192.0.2.53", "198.51.100.53"])
    }

    pub(super) fn with(bounds: Bounds, forwarders: &[&str]) -> Self {
        let mut rig = Self { resolver: Resolver::new(bounds, entropy), now: start() };
        let forwarders = forwarders.iter().map(|text| Forwarder::parse(text).unwrap()).collect();
        rig.resolver.apply(Settings { enabled: true, forwarders, longest: 3_600 }, rig.now);
        rig.resolver.serve(0, vec!["10.0.0.0/24".parse().unwrap()]);
        rig
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now += span;
        self.resolver.handle_deadline(self.now);
    }

    /// Asks; the answer, if it is there at once.
    pub(super) fn ask(&mut self, asker: Asker, question: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self.resolver.handle_question(asker, question, &mut out, self.now) {
            Outcome::Answered => Some(out),
            Outcome::Waits | Outcome::Ignored => None,
        }
    }

    /// Asks what must go to a forwarder, and what goes there.
    pub(super) fn forwarded(&mut self, question: &[u8]) -> Ask {
        assert_eq!(self.ask(client(2, 4_000), question), None, "it is answered at once");
        self.resolver.poll_ask().expect("a forwarder is asked")
    }

    /// A forwarder says this to what it was asked.
    pub(super) fn reply(&mut self, ask: &Ask, says: &Says<'_>) {
        self.resolver.handle_reply(ask.ticket, &reply(&ask.message, says), self.now);
    }

    /// Asks, has the forwarder say this, and takes the answer.
    pub(super) fn resolve(&mut self, question: &[u8], says: &Says<'_>) -> Vec<u8> {
        let ask = self.forwarded(question);
        self.reply(&ask, says);
        self.answer()
    }

    /// The one answer to somebody who has waited.
    pub(super) fn answer(&mut self) -> Vec<u8> {
        let answer = self.resolver.poll_answer().expect("an answer").1;
        assert_eq!(self.resolver.poll_answer(), None);
        answer
    }
}

/// A client by UDP: its last byte and its port.
pub(super) fn client(host: u8, port: u16) -> Asker {
    Asker {
        server: 0,
        owner: Owner(host.into()),
        from: ([10, 0, 0, host], port).into(),
        to: ([10, 0, 0, 1], 53).into(),
        stream: None,
    }
}

/// A question of type A.
pub(super) fn question(name: &str, id: u16) -> Vec<u8> {
    of_kind(name, id, 1)
}

pub(super) fn of_kind(name: &str, id: u16, kind: u16) -> Vec<u8> {
    let mut message = Header { id, flags: flag::RD, counts: [1, 0, 0, 0] }.bytes().to_vec();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The same with an extension record.
pub(super) fn extended(mut question: Vec<u8>, size: u16, wants_signatures: bool) -> Vec<u8> {
    question[11] = 1;
    question.extend(Extension { size, version: 0, wants_signatures }.bytes(0, 0));
    question
}

/// The reply to what a forwarder was asked, with an extension record as every forwarder sends.
pub(super) fn reply(asked: &[u8], says: &Says<'_>) -> Vec<u8> {
    let question = Question::read(asked).unwrap();
    let header = Header::read(asked).unwrap();
    let flags = flag::QR | flag::RD | flag::RA | says.flags | u16::from(says.outcome);
    let counts = [1, u16::try_from(says.answers.len()).unwrap(), says.soa.is_some().into(), 1];
    let mut message = Header { id: header.id, flags, counts }.bytes().to_vec();
    message.extend(&asked[HEADER..question.end()]);
    for (ttl, content) in says.answers {
        record(&mut message, question.kind, *ttl, content);
    }
    if let Some((ttl, minimum)) = says.soa {
        let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
        record(&mut message, kind::SOA, ttl, &[&[0xc0, 12, 0xc0, 12][..], &numbers].concat());
    }
    message.extend(Extension { size: 1_232, version: 0, wants_signatures: false }.bytes(0, 0));
    message
}

fn record(message: &mut Vec<u8>, kind: u16, ttl: u32, content: &[u8]) {
    message.extend([0xc0, 12]);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message.extend(ttl.to_be_bytes());
    message.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    message.extend(content);
}

/// What an answer says: its outcome, and the times to live of its records without the extension record's.
pub(super) fn read(answer: &[u8]) -> (u8, Vec<u32>) {
    let (header, question) = (Header::read(answer).unwrap(), Question::read(answer).unwrap());
    let records = Records::new(answer, &header, question.end()).map(Result::unwrap);
    (header.rcode(), records.filter(|record| record.kind != kind::OPT).map(|record| record.ttl).collect())
}
