//! The header of every message: RFC 7296, section 3.1.

use super::{be32, be64};

/// Bytes of the header.
pub const HEADER: usize = 28;
/// What stands before a message on port 4500: RFC 7296, section 2.23.
pub const MARKER: [u8; 4] = [0; 4];

/// Exchange types: RFC 7296, section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exchange {
    /// The first: algorithms, keys, nonces.
    IkeSaInit,
    /// Who is who, and the first child.
    IkeAuth,
    /// Another child, or a successor for either kind of association.
    CreateChildSa,
    /// Everything else.
    Informational,
}

impl Exchange {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::IkeSaInit => 34,
            Self::IkeAuth => 35,
            Self::CreateChildSa => 36,
            Self::Informational => 37,
        }
    }

    /// The exchange of a number.
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            34 => Some(Self::IkeSaInit),
            35 => Some(Self::IkeAuth),
            36 => Some(Self::CreateChildSa),
            37 => Some(Self::Informational),
            _ => None,
        }
    }
}

/// The SPIs of both sides of an IKE association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spis {
    /// Of whoever began it.
    pub initiator: u64,
    /// Of the other side; 0 before it has answered.
    pub responder: u64,
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose message it is.
    pub spis: Spis,
    /// The first payload's type.
    pub next: u8,
    /// Major and minor version.
    pub version: u8,
    /// The exchange's number.
    pub exchange: u8,
    /// Whether the sender began the association.
    pub initiator: bool,
    /// Whether it is an answer.
    pub response: bool,
    /// Which request it is or answers.
    pub id: u32,
    /// Bytes of the whole message.
    pub length: u32,
}

/// Version 2.0.
pub const VERSION: u8 = 0x20;

impl Header {
    /// Reads a header; `None` where there are fewer than [`HEADER`] bytes, or not as many as it says.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let flags = *message.get(19)?;
        let header = Self {
            spis: Spis { initiator: be64(message, 0)?, responder: be64(message, 8)? },
            next: message[16],
            version: message[17],
            exchange: message[18],
            initiator: flags & 0x08 != 0,
            response: flags & 0x20 != 0,
            id: be32(message, 20)?,
            length: be32(message, 24)?,
        };
        (u32::try_from(message.len()) == Ok(header.length)).then_some(header)
    }

    /// Writes it to the beginning of a message.
    pub fn write(&self, message: &mut Vec<u8>) {
        let flags = if self.initiator { 0x08 } else { 0 } | if self.response { 0x20 } else { 0 };
        message.extend_from_slice(&self.spis.initiator.to_be_bytes());
        message.extend_from_slice(&self.spis.responder.to_be_bytes());
        message.extend_from_slice(&[self.next, self.version, self.exchange, flags]);
        message.extend_from_slice(&self.id.to_be_bytes());
        message.extend_from_slice(&self.length.to_be_bytes());
    }
}
