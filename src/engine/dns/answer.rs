//! Writes answers: what is remembered or just came, in the words of the one who asks.

use super::question::{Asked, DATAGRAM_MAX};
use super::stored::Stored;
use crate::engine::wire::dns::{Extension, HEADER, Header, OPT, flag};

/// The outcome of an extension record of another version than 0 (RFC 6891, section 6.1.3), in its wider field.
pub(super) const BADVERS: u8 = 16;
/// How long what is too old may be remembered by who gets it, in seconds (RFC 8767, section 4).
const STALE_TTL: u32 = 30;
/// The option of an extension record that says more about an outcome (RFC 8914).
const OPTION_ERROR: u16 = 15;

/// More about an outcome, for people and logs (RFC 8914, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remark {
    /// What is too old was given.
    Stale = 3,
    /// The failure is remembered.
    CachedError = 13,
    /// A block list has the name.
    Blocked = 15,
    /// The client may not ask here.
    Prohibited = 18,
    /// No forwarder answers.
    NoReachableAuthority = 22,
}

/// What times to live are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ttl {
    /// Those that came, `age` seconds later and at most so long.
    Aged {
        /// Seconds since they came.
        age: u32,
        /// Seconds that anything may be remembered.
        longest: u32,
    },
    /// Those of what is too old.
    Stale,
}

/// Appends an answer with no records but this outcome.
pub(super) fn outcome(out: &mut Vec<u8>, asked: &Asked<'_>, outcome: u8, remark: Option<Remark>) {
    let flags = flag::QR | flag::RA | asked.flags & (flag::RD | flag::CD) | u16::from(outcome & 0x0f);
    let questions = u16::from(!asked.section.is_empty());
    let header = Header { id: asked.id, flags, counts: [questions, 0, 0, u16::from(asked.extension.is_some())] };
    out.extend(header.bytes());
    out.extend_from_slice(asked.section);
    extend(out, asked, outcome >> 4, remark);
}

/// Appends an answer that is remembered or just came; one that is too large for the client without its records.
pub(super) fn records(out: &mut Vec<u8>, asked: &Asked<'_>, stored: &Stored, ttl: Ttl, remark: Option<Remark>) {
    let Some(header) = Header::read(&stored.message) else { return };
    let has_extension = asked.extension.is_some();
    let is_trusted = header.has(flag::AD) && (asked.wants_signatures() || asked.flags & flag::AD != 0);
    let mut flags = flag::QR | flag::RA | asked.flags & (flag::RD | flag::CD) | header.flags & flag::RCODE;
    if is_trusted {
        flags |= flag::AD;
    }
    let extension = if has_extension { OPT + remark.map_or(0, |_| 6) } else { 0 };
    let is_cut = stored.message.len() + extension > asked.limit;
    let mut counts = header.counts;
    if is_cut {
        (flags, counts) = (flags | flag::TC, [1, 0, 0, 0]);
    }
    counts[3] += u16::from(has_extension);
    let begin = out.len();
    out.extend(Header { id: asked.id, flags, counts }.bytes());
    out.extend_from_slice(asked.section);
    if !is_cut {
        out.extend_from_slice(stored.message.get(HEADER + asked.section.len()..).unwrap_or_default());
        for at in &stored.ttls {
            let at = begin + usize::from(*at);
            let Some(field) = out.get_mut(at..at + 4) else { continue };
            let came = field.try_into().map_or(0, u32::from_be_bytes);
            let written = match ttl {
                Ttl::Aged { age, longest } => came.min(longest).saturating_sub(age),
                Ttl::Stale => STALE_TTL,
            };
            field.copy_from_slice(&written.to_be_bytes());
        }
    }
    extend(out, asked, 0, remark);
}

fn extend(out: &mut Vec<u8>, asked: &Asked<'_>, upper: u8, remark: Option<Remark>) {
    let Some(extension) = asked.extension else { return };
    let size = u16::try_from(DATAGRAM_MAX).unwrap_or(u16::MAX);
    let ours = Extension { size, version: 0, wants_signatures: extension.wants_signatures };
    out.extend(ours.bytes(upper, if remark.is_some() { 6 } else { 0 }));
    if let Some(remark) = remark {
        for field in [OPTION_ERROR, 2, remark as u16] {
            out.extend(field.to_be_bytes());
        }
    }
}
