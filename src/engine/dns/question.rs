//! What a client asks: read from its message, or why it gets no answer.

use crate::engine::wire::dns::{CLASS_IN, Extension, Header, Question, Records, Section, flag, kind, rcode};

/// The largest datagram that is sent to a client, in bytes: what travels anywhere in one piece (DNS flag day 2020).
pub(super) const DATAGRAM_MAX: usize = 1_232;
/// The largest datagram to a client that does not say what it takes (RFC 1035, section 4.2.1).
const DATAGRAM_PLAIN: usize = 512;
/// The largest message over TCP.
const STREAM_MAX: usize = 65_535;

/// A question, as far as its answer depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) id: u16,
    /// The flags that an answer repeats or obeys: RD, AD, CD.
    pub(super) flags: u16,
    /// The question as the client wrote it; empty where it could not be read.
    pub(super) section: &'a [u8],
    pub(super) extension: Option<Extension>,
    /// The largest answer, in bytes.
    pub(super) limit: usize,
}

/// What a message is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading<'a> {
    /// A question that can be answered.
    Asks(Asked<'a>, Question<'a>),
    /// Something that gets this outcome.
    Refused(Asked<'a>, u8),
    /// Nothing that is to be answered: an answer itself, or no message at all.
    Nothing,
}

impl Asked<'_> {
    pub(super) fn wants_signatures(&self) -> bool {
        self.extension.is_some_and(|extension| extension.wants_signatures)
    }

    pub(super) const fn is_unchecked(&self) -> bool {
        self.flags & flag::CD != 0
    }
}

/// Reads a client's message.
pub(super) fn read(message: &[u8], by_stream: bool) -> Reading<'_> {
    let Some(header) = Header::read(message) else { return Reading::Nothing };
    if header.has(flag::QR) {
        return Reading::Nothing;
    }
    let mut asked = Asked {
        id: header.id,
        flags: header.flags & (flag::RD | flag::AD | flag::CD),
        section: &[],
        extension: None,
        limit: if by_stream { STREAM_MAX } else { DATAGRAM_PLAIN },
    };
    if header.flags & flag::OPCODE != 0 {
        return Reading::Refused(asked, rcode::NOTIMP);
    }
    let question = Question::read(message).filter(|_| matches!(header.counts, [1, 0, 0, _]));
    let Some(question) = question else { return Reading::Refused(asked, rcode::FORMERR) };
    asked.section = &message[crate::engine::wire::dns::HEADER..question.end()];
    for record in Records::new(message, &header, question.end()) {
        let Ok(record) = record else { return Reading::Refused(asked, rcode::FORMERR) };
        if record.section == Section::Additional && record.kind == kind::OPT {
            // one alone, and of the root (RFC 6891, section 6.1.1)
            if asked.extension.is_some() || message[record.at] != 0 {
                return Reading::Refused(asked, rcode::FORMERR);
            }
            let extension = Extension::of(&record);
            asked.extension = Some(extension);
            if !by_stream {
                asked.limit = usize::from(extension.size).clamp(DATAGRAM_PLAIN, DATAGRAM_MAX);
            }
        }
    }
    match (asked.extension, question) {
        (Some(extension), _) if extension.version != 0 => Reading::Refused(asked, super::answer::BADVERS),
        (_, Question { kind: kind::AXFR | kind::IXFR | kind::OPT, .. }) => Reading::Refused(asked, rcode::NOTIMP),
        (_, Question { class, .. }) if class != CLASS_IN => Reading::Refused(asked, rcode::REFUSED),
        // whoever wants no recursion wants to know what others have asked
        _ if asked.flags & flag::RD == 0 => Reading::Refused(asked, rcode::REFUSED),
        _ => Reading::Asks(asked, question),
    }
}
