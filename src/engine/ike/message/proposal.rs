//! The SA payload: proposals of transforms. RFC 7296, section 3.3.

use super::{Fault, be16};

/// The most proposals of a payload.
pub const PROPOSALS_MAX: usize = 32;

/// What an association protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// IKE itself.
    Ike,
    /// Packets.
    Esp,
}

impl Protocol {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ike => 1,
            Self::Esp => 3,
        }
    }

    /// The protocol of a number.
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ike),
            3 => Some(Self::Esp),
            _ => None,
        }
    }
}

/// Transform types: RFC 7296, section 3.3.2.
pub mod kind {
    /// Encryption.
    pub const ENCRYPTION: u8 = 1;
    /// Pseudo-random function.
    pub const PRF: u8 = 2;
    /// Integrity.
    pub const INTEGRITY: u8 = 3;
    /// Diffie-Hellman group.
    pub const GROUP: u8 = 4;
    /// Extended sequence numbers.
    pub const SEQUENCES: u8 = 5;
}

/// One algorithm on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transform {
    /// What it is for.
    pub kind: u8,
    /// Its number there.
    pub id: u16,
    /// Bits of its key, where one number stands for many.
    pub key_bits: Option<u16>,
    /// Whether it has an attribute that we do not know: it can then not be chosen.
    pub strange: bool,
}

/// Alternatives for each kind of transform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its number, which the answer repeats.
    pub number: u8,
    /// The protocol's number.
    pub protocol: u8,
    /// The sender's SPI: 0, 4 or 8 bytes.
    pub spi: Vec<u8>,
    /// The alternatives, in the sender's order.
    pub transforms: Vec<Transform>,
}

/// Reads a payload's content.
///
/// # Errors
/// [`Fault::Syntax`] for what is cut short, too much, or counted wrong.
pub fn parse(body: &[u8]) -> Result<Vec<Proposal>, Fault> {
    let mut proposals = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        if proposals.len() == PROPOSALS_MAX {
            return Err(Fault::Syntax);
        }
        let length = usize::from(be16(rest, 2).ok_or(Fault::Syntax)?);
        let (one, more) = rest.split_at_checked(length).ok_or(Fault::Syntax)?;
        let is_last = match one.first() {
            Some(0) => true,
            Some(2) => false,
            _ => return Err(Fault::Syntax),
        };
        if is_last != more.is_empty() {
            return Err(Fault::Syntax);
        }
        proposals.push(proposal(one)?);
        rest = more;
    }
    if proposals.is_empty() { Err(Fault::Syntax) } else { Ok(proposals) }
}

fn proposal(one: &[u8]) -> Result<Proposal, Fault> {
    let (&[_, _, _, _, number, protocol, size, count], rest) = one.split_first_chunk::<8>().ok_or(Fault::Syntax)?;
    let (spi, mut rest) = rest.split_at_checked(size.into()).ok_or(Fault::Syntax)?;
    if !matches!(size, 0 | 4 | 8) {
        return Err(Fault::Syntax);
    }
    let mut transforms = Vec::new();
    for left in (0..count).rev() {
        let length = usize::from(be16(rest, 2).ok_or(Fault::Syntax)?);
        let (one, more) = rest.split_at_checked(length).ok_or(Fault::Syntax)?;
        let (&[last, _, _, _, kind, _, high, low], attributes) = one.split_first_chunk::<8>().ok_or(Fault::Syntax)?;
        if last != if left == 0 { 0 } else { 3 } {
            return Err(Fault::Syntax);
        }
        let (key_bits, strange) = read_attributes(attributes)?;
        transforms.push(Transform { kind, id: u16::from_be_bytes([high, low]), key_bits, strange });
        rest = more;
    }
    if rest.is_empty() { Ok(Proposal { number, protocol, spi: spi.to_vec(), transforms }) } else { Err(Fault::Syntax) }
}

/// The key length, and whether there is anything else: RFC 7296, section 3.3.5.
fn read_attributes(mut rest: &[u8]) -> Result<(Option<u16>, bool), Fault> {
    let (mut key_bits, mut strange) = (None, false);
    while !rest.is_empty() {
        let kind = be16(rest, 0).ok_or(Fault::Syntax)?;
        let value = be16(rest, 2).ok_or(Fault::Syntax)?;
        let length = if kind & 0x8000 != 0 { 4 } else { 4 + usize::from(value) };
        match kind {
            0x800e if key_bits.is_none() => key_bits = Some(value),
            _ => strange = true,
        }
        rest = rest.get(length..).ok_or(Fault::Syntax)?;
    }
    Ok((key_bits, strange))
}

/// Writes a payload's content.
pub fn write(proposals: &[Proposal]) -> Vec<u8> {
    let mut body = Vec::new();
    for (index, proposal) in proposals.iter().enumerate() {
        let mut transforms = Vec::new();
        for (index, transform) in proposal.transforms.iter().enumerate() {
            let length: u8 = if transform.key_bits.is_some() { 12 } else { 8 };
            let more = if index + 1 < proposal.transforms.len() { 3 } else { 0 };
            transforms.extend_from_slice(&[more, 0, 0, length, transform.kind, 0]);
            transforms.extend_from_slice(&transform.id.to_be_bytes());
            if let Some(bits) = transform.key_bits {
                transforms.extend_from_slice(&[0x80, 14]);
                transforms.extend_from_slice(&bits.to_be_bytes());
            }
        }
        let length = u16::try_from(8 + proposal.spi.len() + transforms.len()).unwrap_or(u16::MAX);
        let count = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        body.extend_from_slice(&[if index + 1 < proposals.len() { 2 } else { 0 }, 0]);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&[proposal.number, proposal.protocol]);
        body.extend_from_slice(&[count(proposal.spi.len()), count(proposal.transforms.len())]);
        body.extend_from_slice(&proposal.spi);
        body.extend_from_slice(&transforms);
    }
    body
}
