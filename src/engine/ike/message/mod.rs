//! Messages as bytes: headers, payloads and what is in them, both ways. RFC 7296, section 3.
//!
//! Nothing here decides anything. Sizes, depths and counts are bounded before anything is allocated for them.

pub mod contents;
pub mod header;
pub mod notify;
pub mod proposal;
pub mod selector;
pub mod writer;

/// The longest message, before and after it was put together from fragments.
pub const MESSAGE_MAX: usize = 65_535;
/// The most payloads of a message.
pub const PAYLOADS_MAX: usize = 100;

/// Payload types: RFC 7296, section 3.2, and RFC 7383.
pub mod kind {
    /// No payload follows.
    pub const NONE: u8 = 0;
    /// Security association.
    pub const SA: u8 = 33;
    /// Key exchange.
    pub const KE: u8 = 34;
    /// The initiator's identity.
    pub const IDI: u8 = 35;
    /// The responder's identity.
    pub const IDR: u8 = 36;
    /// Certificate.
    pub const CERT: u8 = 37;
    /// Certificate request.
    pub const CERTREQ: u8 = 38;
    /// Authentication.
    pub const AUTH: u8 = 39;
    /// Nonce.
    pub const NONCE: u8 = 40;
    /// Notify.
    pub const NOTIFY: u8 = 41;
    /// Delete.
    pub const DELETE: u8 = 42;
    /// Vendor ID.
    pub const VENDOR: u8 = 43;
    /// The initiator's traffic selectors.
    pub const TSI: u8 = 44;
    /// The responder's traffic selectors.
    pub const TSR: u8 = 45;
    /// Encrypted and authenticated.
    pub const SK: u8 = 46;
    /// Configuration.
    pub const CP: u8 = 47;
    /// Extensible authentication.
    pub const EAP: u8 = 48;
    /// A fragment, encrypted and authenticated: RFC 7383.
    pub const SKF: u8 = 53;
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `INVALID_SYNTAX`.
    #[error("not well formed")]
    Syntax,
    /// `UNSUPPORTED_CRITICAL_PAYLOAD`, with the payload's type.
    #[error("unknown payload {0} that must be understood")]
    Critical(u8),
}

/// One payload without its generic header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Its type.
    pub kind: u8,
    /// The type that its header names as the next one's; in SK and SKF the first inside.
    pub next: u8,
    /// Where its header begins in the bytes that were parsed.
    pub at: usize,
    /// Its content.
    pub body: &'a [u8],
}

/// Takes a chain of payloads apart: RFC 7296, section 3.2. Nothing may stand behind the last one.
///
/// # Errors
/// [`Fault`] for what is cut short or too much.
pub fn payloads(first: u8, bytes: &[u8]) -> Result<Vec<Payload<'_>>, Fault> {
    let mut found = Vec::new();
    let (mut kind, mut at) = (first, 0);
    while kind != kind::NONE {
        if found.len() == PAYLOADS_MAX {
            return Err(Fault::Syntax);
        }
        let rest = bytes.get(at..).ok_or(Fault::Syntax)?;
        let (&[next, flags, high, low], _) = rest.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(4..length).ok_or(Fault::Syntax)?;
        let known = matches!(kind, kind::SA..=kind::EAP | kind::SKF);
        if !known && flags & 0x80 != 0 {
            return Err(Fault::Critical(kind));
        }
        found.push(Payload { kind, next, at, body });
        at += length;
        // an encrypted payload is the last: its next payload lies inside
        kind = if matches!(kind, kind::SK | kind::SKF) { kind::NONE } else { next };
    }
    if at == bytes.len() { Ok(found) } else { Err(Fault::Syntax) }
}

/// Big-endian numbers at a place; `None` beyond the end.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
