//! Encrypted messages: RFC 7296, section 3.14, and their fragments, RFC 7383.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::crypto::dice::Dice;
use super::message::header::{HEADER, Header};
use super::message::{Fault, MESSAGE_MAX, be16, kind, payloads};
use crate::engine::esp::protection::{Protection, Unauthentic};

/// The most fragments of a message, in and out.
pub const FRAGMENTS_MAX: u16 = 32;
/// How long pieces wait for the others.
const GATHER: Duration = Duration::from_secs(30);

/// Why a message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// It has no encrypted payload, or none that is well formed; nothing is proved.
    #[error("not an encrypted message")]
    Shape,
    /// It was not sealed with the key.
    #[error("not authentic")]
    Unauthentic,
    /// It is a fragment, and others are missing.
    #[error("a fragment")]
    Waiting,
    /// It is authentic, but its content is not well formed.
    #[error("authentic and malformed")]
    Inner(Fault),
}

impl From<Unauthentic> for NotOpened {
    fn from(_: Unauthentic) -> Self {
        Self::Unauthentic
    }
}

/// An opened message: the first payload's type and the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The first payload's type.
    pub first: u8,
    /// The payloads.
    pub chain: Vec<u8>,
}

/// What a side's messages are sealed with, and how many it has sealed.
#[derive(Debug)]
pub struct Sealer {
    protection: Protection,
    sealed: u64,
}

impl Sealer {
    /// A side that has said nothing yet.
    pub fn new(protection: Protection) -> Self {
        Self { protection, sealed: 0 }
    }

    /// A counter where the cipher takes one, random bytes where it must not be foreseen.
    fn iv(&mut self, dice: &mut Dice) -> ([u8; 16], usize) {
        self.sealed += 1;
        let suite = self.protection.suite();
        let mut iv = [0; 16];
        if suite.encryption.is_aead() {
            iv[..8].copy_from_slice(&self.sealed.to_be_bytes());
        } else {
            dice.fill(&mut iv);
        }
        (iv, suite.encryption.iv_len())
    }

    /// Seals a chain as one message, or, if it is longer than `most` bytes, as fragments of at most that length.
    ///
    /// # Errors
    /// [`Unauthentic`] where it is too long for as many fragments as there may be.
    pub fn seal(
        &mut self,
        header: Header,
        content: (u8, &[u8]),
        most: Option<usize>,
        dice: &mut Dice,
    ) -> Result<Vec<Vec<u8>>, Unauthentic> {
        let (first, chain) = content;
        let whole = HEADER + 4 + self.sealed_len(chain.len());
        if most.is_none_or(|most| whole <= most) && whole <= MESSAGE_MAX {
            return Ok(vec![self.seal_one(header, (kind::SK, &[]), first, chain, dice)?]);
        }
        let room = most.and_then(|most| most.checked_sub(HEADER + 8)).ok_or(Unauthentic)?;
        let piece = self.text_len(room).ok_or(Unauthentic)?;
        let total = u16::try_from(chain.len().div_ceil(piece)).ok().filter(|total| *total <= FRAGMENTS_MAX);
        let total = total.ok_or(Unauthentic)?;
        let numbered = chain.chunks(piece).zip(1_u16..).map(|(piece, number)| {
            let [a, b] = number.to_be_bytes();
            let [c, d] = total.to_be_bytes();
            let next = if number == 1 { first } else { kind::NONE };
            self.seal_one(header, (kind::SKF, &[a, b, c, d]), next, piece, dice)
        });
        numbered.collect()
    }

    /// IV, padded text and ICV of a text of so many bytes.
    fn sealed_len(&self, text: usize) -> usize {
        let suite = self.protection.suite();
        suite.encryption.iv_len() + (text + 1).next_multiple_of(suite.encryption.block_len()) + suite.icv_len()
    }

    /// The longest text that seals into so many bytes.
    fn text_len(&self, room: usize) -> Option<usize> {
        let suite = self.protection.suite();
        let text = room.checked_sub(suite.encryption.iv_len() + suite.icv_len())?;
        (text - text % suite.encryption.block_len()).checked_sub(1).filter(|text| *text > 0)
    }

    fn seal_one(
        &mut self,
        header: Header,
        (outer, fields): (u8, &[u8]),
        next: u8,
        text: &[u8],
        dice: &mut Dice,
    ) -> Result<Vec<u8>, Unauthentic> {
        let (iv, iv_len) = self.iv(dice);
        let payload = 4 + fields.len() + self.sealed_len(text.len());
        let length = HEADER + payload;
        let mut message = Vec::with_capacity(length);
        Header { next: outer, length: u32::try_from(length).map_err(|_| Unauthentic)?, ..header }.write(&mut message);
        message.extend_from_slice(&[next, 0]);
        message.extend_from_slice(&u16::try_from(payload).map_err(|_| Unauthentic)?.to_be_bytes());
        message.extend_from_slice(fields);
        let clear = message.len();
        message.resize(clear + iv_len, 0);
        message.extend_from_slice(text);
        let end = length - self.protection.suite().icv_len();
        let pad = u8::try_from(end - message.len() - 1).map_err(|_| Unauthentic)?;
        message.resize(length, 0);
        message[end - 1] = pad;
        self.protection.seal(&mut message, clear, None, &iv[..iv_len])?;
        Ok(message)
    }
}

/// What the other side's messages are opened with, and pieces of them.
#[derive(Debug)]
pub struct Opener {
    protection: Protection,
    pieces: Option<Pieces>,
}

#[derive(Debug)]
struct Pieces {
    id: u32,
    response: bool,
    since: Instant,
    first: u8,
    held: Vec<Option<Vec<u8>>>,
}

impl Opener {
    /// A side from which nothing came yet.
    pub fn new(protection: Protection) -> Self {
        Self { protection, pieces: None }
    }

    /// Opens a message, or puts it to its pieces.
    ///
    /// # Errors
    /// [`NotOpened`]; only [`NotOpened::Waiting`] and [`NotOpened::Inner`] prove that the other side sent it.
    pub fn open(&mut self, header: Header, message: &[u8], now: Instant) -> Result<Opened, NotOpened> {
        let outer = payloads(header.next, &message[HEADER..]).map_err(|_| NotOpened::Shape)?;
        let payload = outer.last().ok_or(NotOpened::Shape)?;
        let body = HEADER + payload.at + 4;
        match payload.kind {
            kind::SK => {
                let mut bytes = message.to_vec();
                let text = self.unsealed(&mut bytes, body)?;
                Ok(Opened { first: payload.next, chain: bytes[text].to_vec() })
            }
            kind::SKF => {
                let numbers = be16(payload.body, 0).zip(be16(payload.body, 2));
                let (number, total) = numbers.ok_or(NotOpened::Shape)?;
                if number == 0
                    || number > total
                    || total > FRAGMENTS_MAX
                    || (number == 1) == (payload.next == kind::NONE)
                {
                    return Err(NotOpened::Shape);
                }
                let mut bytes = message.to_vec();
                let text = self.unsealed(&mut bytes, body + 4)?;
                self.gather(header, (number, total), payload.next, bytes[text].to_vec(), now)
            }
            _ => Err(NotOpened::Shape),
        }
    }

    /// Whether a message, or a fragment, was sealed by the other side; nothing of it is kept.
    pub fn proves(&self, header: Header, message: &[u8]) -> bool {
        let Ok(outer) = payloads(header.next, &message[HEADER..]) else { return false };
        let clear = match outer.last() {
            Some(payload) if payload.kind == kind::SK => HEADER + payload.at + 4,
            Some(payload) if payload.kind == kind::SKF => HEADER + payload.at + 8,
            _ => return false,
        };
        self.protection.open(&mut message.to_vec(), clear, None).is_ok()
    }

    fn unsealed(&self, bytes: &mut [u8], clear: usize) -> Result<Range<usize>, NotOpened> {
        let text = self.protection.open(bytes, clear, None)?;
        let inner = NotOpened::Inner(Fault::Syntax);
        let pad = usize::from(*bytes[text.clone()].last().ok_or(inner)?);
        let end = text.end.checked_sub(pad + 1).filter(|end| *end >= text.start).ok_or(inner)?;
        Ok(text.start..end)
    }

    /// RFC 7383, section 2.6: a larger total replaces what was collected, a smaller one is of an older try.
    fn gather(
        &mut self,
        header: Header,
        (number, total): (u16, u16),
        first: u8,
        text: Vec<u8>,
        now: Instant,
    ) -> Result<Opened, NotOpened> {
        let (id, response) = (header.id, header.response);
        let fresh = |pieces: &Pieces| {
            pieces.id == id && pieces.response == response && now.saturating_duration_since(pieces.since) < GATHER
        };
        let mut pieces = match self.pieces.take().filter(fresh) {
            Some(pieces) if pieces.held.len() > usize::from(total) => {
                self.pieces = Some(pieces);
                return Err(NotOpened::Waiting);
            }
            Some(pieces) if pieces.held.len() == usize::from(total) => pieces,
            _ => Pieces { id, response, since: now, first: kind::NONE, held: vec![None; total.into()] },
        };
        if number == 1 {
            pieces.first = first;
        }
        let held: usize = pieces.held.iter().flatten().map(Vec::len).sum();
        if held + text.len() > MESSAGE_MAX {
            return Err(NotOpened::Inner(Fault::Syntax));
        }
        pieces.held[usize::from(number) - 1].get_or_insert(text);
        let Some(whole) = pieces.held.iter().cloned().collect::<Option<Vec<_>>>() else {
            self.pieces = Some(pieces);
            return Err(NotOpened::Waiting);
        };
        Ok(Opened { first: pieces.first, chain: whole.concat() })
    }
}

/// Whether a message is a fragment that is not the first: the answer is repeated for the first one alone.
pub fn is_later_fragment(header: &Header, message: &[u8]) -> bool {
    header.next == kind::SKF && be16(message, HEADER + 4) != Some(1)
}

#[cfg(test)]
mod tests;
