//! Notify and Delete payloads: RFC 7296, sections 3.10 and 3.11.

use super::proposal::Protocol;
use super::{Fault, be16};

/// Notify types: RFC 7296, section 3.10.1, and the RFCs named below.
pub mod number {
    /// An unknown payload had to be understood.
    pub const UNSUPPORTED_CRITICAL_PAYLOAD: u16 = 1;
    /// No association has this SPI.
    pub const INVALID_IKE_SPI: u16 = 4;
    /// Another major version.
    pub const INVALID_MAJOR_VERSION: u16 = 5;
    /// Not well formed.
    pub const INVALID_SYNTAX: u16 = 7;
    /// Nothing of what was offered is taken.
    pub const NO_PROPOSAL_CHOSEN: u16 = 14;
    /// The public value is of another group than the one chosen.
    pub const INVALID_KE_PAYLOAD: u16 = 17;
    /// Who it is was not proved.
    pub const AUTHENTICATION_FAILED: u16 = 24;
    /// No more children.
    pub const NO_ADDITIONAL_SAS: u16 = 35;
    /// No inner address is left.
    pub const INTERNAL_ADDRESS_FAILURE: u16 = 36;
    /// An inner address must be asked for.
    pub const FAILED_CP_REQUIRED: u16 = 37;
    /// None of the selectors is allowed.
    pub const TS_UNACCEPTABLE: u16 = 38;
    /// A NAT where the peer wants none: RFC 4555.
    pub const UNEXPECTED_NAT_DETECTED: u16 = 41;
    /// Try again later.
    pub const TEMPORARY_FAILURE: u16 = 43;
    /// There is no such child.
    pub const CHILD_SA_NOT_FOUND: u16 = 44;
    /// From here on a type is a status.
    pub const FIRST_STATUS: u16 = 16_384;
    /// The peer has no other association with us.
    pub const INITIAL_CONTACT: u16 = 16_384;
    /// Where a message comes from, as its sender sees it.
    pub const NAT_DETECTION_SOURCE_IP: u16 = 16_388;
    /// Where a message goes to, as its sender sees it.
    pub const NAT_DETECTION_DESTINATION_IP: u16 = 16_389;
    /// To be sent back with the same request.
    pub const COOKIE: u16 = 16_390;
    /// The child that gets a successor.
    pub const REKEY_SA: u16 = 16_393;
    /// No padding that hides lengths.
    pub const ESP_TFC_PADDING_NOT_SUPPORTED: u16 = 16_394;
    /// Addresses may change: RFC 4555.
    pub const MOBIKE_SUPPORTED: u16 = 16_396;
    /// They have changed: RFC 4555.
    pub const UPDATE_SA_ADDRESSES: u16 = 16_400;
    /// To be sent back: RFC 4555.
    pub const COOKIE2: u16 = 16_401;
    /// No NAT is between us: RFC 4555.
    pub const NO_NATS_ALLOWED: u16 = 16_402;
    /// When one must prove again who one is: RFC 4478.
    pub const AUTH_LIFETIME: u16 = 16_403;
    /// Long messages may come in pieces: RFC 7383.
    pub const IKEV2_FRAGMENTATION_SUPPORTED: u16 = 16_430;
    /// Hashes for signatures: RFC 7427.
    pub const SIGNATURE_HASH_ALGORITHMS: u16 = 16_431;
}

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify<'a> {
    /// The protocol that the SPI is of, if there is one.
    pub protocol: u8,
    /// The SPI; often empty.
    pub spi: &'a [u8],
    /// What it says.
    pub kind: u16,
    /// What belongs to it.
    pub content: &'a [u8],
}

impl<'a> Notify<'a> {
    /// Reads a payload's content.
    ///
    /// # Errors
    /// [`Fault::Syntax`] where it is cut short.
    pub fn parse(body: &'a [u8]) -> Result<Self, Fault> {
        let (&[protocol, spi, ..], rest) = body.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
        let (spi, content) = rest.split_at_checked(spi.into()).ok_or(Fault::Syntax)?;
        Ok(Self { protocol, spi, kind: be16(body, 2).ok_or(Fault::Syntax)?, content })
    }
}

/// What a Delete payload ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delete {
    /// The association that it came by.
    Ike,
    /// Children, by their sender's inbound SPIs.
    Esp(Vec<u32>),
}

impl Delete {
    /// Reads a payload's content; `None` for a protocol that we do not have.
    ///
    /// # Errors
    /// [`Fault::Syntax`] for SPIs of another length or number.
    pub fn parse(body: &[u8]) -> Result<Option<Self>, Fault> {
        let (&[protocol, size, ..], rest) = body.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
        let count = usize::from(be16(body, 2).ok_or(Fault::Syntax)?);
        if rest.len() != count * usize::from(size) {
            return Err(Fault::Syntax);
        }
        match Protocol::of(protocol) {
            Some(Protocol::Ike) => Ok(Some(Self::Ike)),
            Some(Protocol::Esp) if size == 4 => {
                Ok(Some(Self::Esp(rest.as_chunks().0.iter().map(|spi| u32::from_be_bytes(*spi)).collect())))
            }
            Some(Protocol::Esp) => Err(Fault::Syntax),
            None => Ok(None),
        }
    }
}
