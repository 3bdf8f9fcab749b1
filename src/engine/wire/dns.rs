//! DNS messages (RFC 1035, section 4): header, one question, records, and the extension record of RFC 6891.

use std::ops::Range;

use super::{Malformed, be16, be32, put16};

/// The header, in bytes.
pub const HEADER: usize = 12;
/// The longest name in a message, in bytes with its root (RFC 1035, section 3.1).
pub const NAME_MAX: usize = 255;
/// An extension record without options, in bytes (RFC 6891, section 6.1.2).
pub const OPT: usize = 11;
/// Labels and pointers of one name that are followed: no name has more labels, and no pointer leads forward.
const STEPS_MAX: usize = 128;
/// The longest label, in bytes.
const LABEL_MAX: u8 = 63;

/// Bits of a header's second field.
pub mod flag {
    /// A response.
    pub const QR: u16 = 0x8000;
    /// The kind of query; 0 is a standard one.
    pub const OPCODE: u16 = 0x7800;
    /// Authoritative.
    pub const AA: u16 = 0x0400;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
    /// Authentic data (RFC 4035).
    pub const AD: u16 = 0x0020;
    /// Checking disabled (RFC 4035).
    pub const CD: u16 = 0x0010;
    /// The outcome.
    pub const RCODE: u16 = 0x000f;
}

/// Outcomes of a query (RFC 1035, section 4.1.1).
pub mod rcode {
    /// No error.
    pub const NOERROR: u8 = 0;
    /// The query could not be read.
    pub const FORMERR: u8 = 1;
    /// The server failed.
    pub const SERVFAIL: u8 = 2;
    /// There is no such name.
    pub const NXDOMAIN: u8 = 3;
    /// Such queries are not answered.
    pub const NOTIMP: u8 = 4;
    /// This query is not answered.
    pub const REFUSED: u8 = 5;
}

/// Types of records.
pub mod kind {
    /// An alias.
    pub const CNAME: u16 = 5;
    /// The start of a zone.
    pub const SOA: u16 = 6;
    /// The extension record.
    pub const OPT: u16 = 41;
    /// A whole zone's changes.
    pub const IXFR: u16 = 251;
    /// A whole zone.
    pub const AXFR: u16 = 252;
    /// Every type.
    pub const ANY: u16 = 255;
}

/// The class of the internet.
pub const CLASS_IN: u16 = 1;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the answer repeats.
    pub id: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// Questions, then records: answers, authorities, additional ones.
    pub counts: [u16; 4],
}

impl Header {
    /// Reads the header of a message that has one.
    pub fn read(message: &[u8]) -> Option<Self> {
        let bytes = message.get(..HEADER)?;
        let counts = [be16(bytes, 4), be16(bytes, 6), be16(bytes, 8), be16(bytes, 10)];
        Some(Self { id: be16(bytes, 0), flags: be16(bytes, 2), counts })
    }

    /// The bytes of the header.
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        put16(&mut bytes, 0, self.id);
        put16(&mut bytes, 2, self.flags);
        for (at, count) in (4..).step_by(2).zip(self.counts) {
            put16(&mut bytes, at, count);
        }
        bytes
    }

    /// Whether these bits are all set.
    pub const fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    /// The outcome, without the part of it that an extension record may hold.
    pub const fn rcode(&self) -> u8 {
        self.flags.to_be_bytes()[1] & flag::RCODE.to_be_bytes()[1]
    }
}

/// A message's first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name as it stands in the message: labels behind their lengths, the root last.
    pub name: &'a [u8],
    /// The type asked for.
    pub kind: u16,
    /// The class.
    pub class: u16,
}

impl<'a> Question<'a> {
    /// Reads the question behind the header. A name that points elsewhere is none: there is nothing before it.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let mut at = HEADER;
        loop {
            let length = *message.get(at)?;
            if length > LABEL_MAX {
                return None;
            }
            at += 1 + usize::from(length);
            if at - HEADER > NAME_MAX {
                return None;
            }
            if length == 0 {
                break;
            }
        }
        message.get(at..at + 4)?;
        Some(Self { name: &message[HEADER..at], kind: be16(message, at), class: be16(message, at + 2) })
    }

    /// Where the question ends in its message.
    pub const fn end(&self) -> usize {
        HEADER + self.name.len() + 4
    }
}

/// Which part of a message a record stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Answers.
    Answer,
    /// Authorities.
    Authority,
    /// Additional records.
    Additional,
}

/// A record, by its places in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its part of the message.
    pub section: Section,
    /// Where it begins.
    pub at: usize,
    /// Its type.
    pub kind: u16,
    /// Its class; of an extension record, the largest datagram that its sender takes.
    pub class: u16,
    /// Where its time to live stands.
    pub ttl_at: usize,
    /// Its time to live, in seconds; of an extension record, flags.
    pub ttl: u32,
    /// Its content.
    pub content: Range<usize>,
}

/// Walks over the records behind the question that ends at `from`.
#[derive(Debug)]
pub struct Records<'a> {
    message: &'a [u8],
    at: usize,
    left: [u16; 3],
}

impl<'a> Records<'a> {
    /// The records of a message.
    pub fn new(message: &'a [u8], header: &Header, from: usize) -> Self {
        let [_, answers, authorities, additional] = header.counts;
        Self { message, at: from, left: [answers, authorities, additional] }
    }

    fn next_in(&mut self, section: Section) -> Result<Record, Malformed> {
        let at = self.at;
        let fixed = skip_name(self.message, at)?;
        let content = fixed + 10;
        if self.message.len() < content {
            return Err(Malformed::Truncated);
        }
        let end = content + usize::from(be16(self.message, fixed + 8));
        if self.message.len() < end {
            return Err(Malformed::Truncated);
        }
        self.at = end;
        Ok(Record {
            section,
            at,
            kind: be16(self.message, fixed),
            class: be16(self.message, fixed + 2),
            ttl_at: fixed + 4,
            ttl: be32(self.message, fixed + 4),
            content: content..end,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        let at = self.left.iter().position(|left| *left > 0)?;
        self.left[at] -= 1;
        let record = self.next_in(sections[at]);
        if record.is_err() {
            self.left = [0; 3];
        }
        Some(record)
    }
}

/// Where a name ends that begins at `at`. What a pointer leads to is read by others.
fn skip_name(message: &[u8], mut at: usize) -> Result<usize, Malformed> {
    for _ in 0..STEPS_MAX {
        let length = *message.get(at).ok_or(Malformed::Truncated)?;
        match length {
            0 => return Ok(at + 1),
            0xc0.. => return message.get(at + 1).map(|_| at + 2).ok_or(Malformed::Truncated),
            1..=LABEL_MAX => at += 1 + usize::from(length),
            _ => return Err(Malformed::HeaderLength),
        }
    }
    Err(Malformed::HeaderLength)
}

/// The last number of a zone's start, which bounds how long it may be remembered that something is not there (RFC 2308).
pub fn soa_minimum(message: &[u8], record: &Record) -> Option<u32> {
    // two names and five numbers
    let numbers = record.content.end.checked_sub(20).filter(|at| *at > record.content.start)?;
    message.get(numbers..record.content.end).map(|numbers| be32(numbers, 16))
}

/// What an extension record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// The largest datagram that its sender takes, in bytes.
    pub size: u16,
    /// Its version; there is none but 0.
    pub version: u8,
    /// Whether signatures are wanted (RFC 3225).
    pub wants_signatures: bool,
}

impl Extension {
    /// Reads an extension record.
    pub const fn of(record: &Record) -> Self {
        let [_, version, flags, _] = record.ttl.to_be_bytes();
        Self { size: record.class, version, wants_signatures: flags & 0x80 != 0 }
    }

    /// The record, with the upper part of the outcome and room for so many bytes of options.
    pub fn bytes(&self, outcome: u8, options: u16) -> [u8; OPT] {
        let mut bytes = [0; OPT];
        put16(&mut bytes, 1, kind::OPT);
        put16(&mut bytes, 3, self.size);
        bytes[5] = outcome;
        bytes[6] = self.version;
        bytes[7] = if self.wants_signatures { 0x80 } else { 0 };
        put16(&mut bytes, 9, options);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.b` of type A, with one answer that points at the question.
    const ANSWER: &[u8] =
        b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x01b\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";

    #[test]
    fn reads_header_question_and_records() {
        let header = Header::read(ANSWER).unwrap();
        let question = Question::read(ANSWER).unwrap();
        let records: Vec<Record> = Records::new(ANSWER, &header, question.end()).map(Result::unwrap).collect();

        assert_eq!((header.id, header.has(flag::QR | flag::RA), header.rcode()), (0x1234, true, 0));
        assert_eq!(header.bytes(), ANSWER[..HEADER]);
        assert_eq!((question.name, question.kind, question.class), (&b"\x01a\x01b\0"[..], 1, CLASS_IN));
        assert_eq!(
            (records.len(), records[0].ttl, &ANSWER[records[0].content.clone()]),
            (1, 60, &b"\xc0\0\x02\x01"[..])
        );
    }

    #[test]
    fn ends_at_the_first_record_that_is_cut_off() {
        for length in 0..ANSWER.len() {
            let message = &ANSWER[..length];
            let Some(header) = Header::read(message) else { continue };
            let Some(question) = Question::read(message) else { continue };
            let records: Vec<_> = Records::new(message, &header, question.end()).collect();
            assert_eq!(records, [Err(Malformed::Truncated)], "{length}");
        }
    }

    #[test]
    fn takes_no_question_with_a_pointer_or_an_endless_name() {
        let pointer = b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01";
        let mut endless = vec![0; HEADER];
        endless.extend([1, b'a'].repeat(200));
        endless.extend([0, 0, 1, 0, 1]);

        assert_eq!(Question::read(pointer), None);
        assert_eq!(Question::read(&endless), None);
    }

    #[test]
    fn writes_the_extension_record_that_it_reads() {
        let extension = Extension { size: 1_232, version: 0, wants_signatures: true };
        let mut message = b"\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec();
        message.extend(extension.bytes(1, 0));
        let header = Header::read(&message).unwrap();

        let record = Records::new(&message, &header, HEADER).next().unwrap().unwrap();

        assert_eq!((record.kind, Extension::of(&record)), (kind::OPT, extension));
    }
}
