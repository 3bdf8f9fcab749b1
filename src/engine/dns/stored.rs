//! An answer as it is remembered: without its extension record, with the places of its times to live.

use std::time::Instant;

use crate::engine::wire::dns::{self, Header, Question, Record, Records, Section, kind, rcode};

/// The longest that an answer of any kind may be believed, in seconds: a week (RFC 2181, section 8, lets it be bounded).
const LIVES_MAX: u32 = 604_800;

/// An answer as it is remembered.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) message: Box<[u8]>,
    /// Where its times to live stand.
    pub(super) ttls: Box<[u16]>,
    /// When it came.
    pub(super) since: Instant,
    /// How long it holds, in seconds; 0 for what is not to be remembered.
    pub(super) lives: u32,
}

/// What was found in the records of an answer.
#[derive(Default)]
struct Walk {
    ttls: Vec<u16>,
    /// The shortest time to live of the answers.
    shortest: Option<u32>,
    /// How long the start of a zone lets it be remembered that something is not there.
    absent: Option<u32>,
    /// Whether there is a record of the type that was asked for.
    answered: bool,
    /// Where the extension record begins.
    extension: Option<(usize, u16)>,
}

impl Stored {
    /// Reads an answer of a forwarder; `None` where its records cannot be read.
    pub(super) fn read(message: &[u8], since: Instant) -> Option<Self> {
        let header = Header::read(message)?;
        let question = Question::read(message)?;
        let mut walk = Walk::default();
        let mut additional = 0;
        let mut end = question.end();
        for record in Records::new(message, &header, question.end()) {
            let record = record.ok()?;
            if record.section == Section::Additional {
                // the extension record is the hop's own; what stands behind it may point into it
                if record.kind == kind::OPT {
                    walk.extension = Some((record.at, additional));
                    break;
                }
                additional += 1;
            }
            walk.take(message, &question, &record)?;
            end = record.content.end;
        }
        let additional = walk.extension.map_or(additional, |(_, before)| before);
        let mut counts = header.counts;
        counts[3] = additional;
        let mut kept: Box<[u8]> = message[..end].into();
        kept[..dns::HEADER].copy_from_slice(&Header { counts, ..header }.bytes());
        let lives = walk.lives(&header);
        Some(Self { message: kept, ttls: walk.ttls.into(), since, lives })
    }

    /// The memory of a failure with this outcome, for the question of this name.
    pub(super) fn failure(section: &[u8], outcome: u8, since: Instant, lives: u32) -> Self {
        let header = Header { id: 0, flags: dns::flag::QR | u16::from(outcome), counts: [1, 0, 0, 0] };
        let message = [&header.bytes()[..], section].concat();
        Self { message: message.into(), ttls: Box::default(), since, lives }
    }

    /// Whether it is the memory of a failure.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self.outcome(), rcode::NOERROR | rcode::NXDOMAIN)
    }

    /// The outcome.
    pub(super) fn outcome(&self) -> u8 {
        Header::read(&self.message).map_or(rcode::SERVFAIL, |header| header.rcode())
    }

    /// The memory that it takes, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.message.len() + 2 * self.ttls.len()
    }
}

impl Walk {
    fn take(&mut self, message: &[u8], question: &Question<'_>, record: &Record) -> Option<()> {
        self.ttls.push(u16::try_from(record.ttl_at).ok()?);
        let lives = of_wire(record.ttl);
        match record.section {
            Section::Answer => {
                self.shortest = Some(self.shortest.map_or(lives, |shortest| shortest.min(lives)));
                self.answered |= record.kind == question.kind || question.kind == kind::ANY;
            }
            Section::Authority if record.kind == kind::SOA => {
                // RFC 2308, section 5
                self.absent = Some(lives.min(of_wire(dns::soa_minimum(message, record)?)));
            }
            Section::Authority | Section::Additional => {}
        }
        Some(())
    }

    /// How long the answer holds. That something is not there is remembered only where a zone says for how long
    /// (RFC 2308, section 5).
    fn lives(&self, header: &Header) -> u32 {
        match header.rcode() {
            rcode::NOERROR if self.answered => self.shortest.unwrap_or(0),
            rcode::NOERROR | rcode::NXDOMAIN => {
                let absent = self.absent.unwrap_or(0);
                self.shortest.map_or(absent, |shortest| shortest.min(absent))
            }
            _ => 0,
        }
    }
}

/// A time to live: with its highest bit set it is 0 (RFC 2181, section 8).
fn of_wire(ttl: u32) -> u32 {
    if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl.min(LIVES_MAX) }
}
