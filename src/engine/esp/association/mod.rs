//! One security association: packets of one direction, sealed or opened in place.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, UnboundCipherKey};
use zeroize::Zeroizing;

use super::protection::{Protection, Unauthentic};
use super::suite::Suite;
use super::window::Window;
use crate::engine::wire::{Ipv4, Ipv6};

/// SPI and sequence number.
pub const HEADER: usize = 8;
/// The last sequence number without extended ones: after it the association asks for its end or a successor.
pub const LAST_SEQUENCE: u64 = u32::MAX as u64;
/// How many sequence numbers before the last one a successor is wanted.
pub const SEQUENCE_MARGIN: u64 = 1 << 20;
/// The longest tail: padding to a block of 16, its length and the next header.
const TAIL_MAX: usize = 17;
/// The longest IV and the longest ICV.
const CIPHER_MAX: usize = 16 + 32;
/// What sealing adds to a packet at most, in bytes.
pub const OVERHEAD_MAX: usize = HEADER + CIPHER_MAX + TAIL_MAX;

/// Next headers: RFC 4303, section 2.6 and the protocol numbers of IP in IP.
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const DUMMY: u8 = 59;

/// Keys of one direction, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The receiver's SPI.
    pub spi: u32,
    /// The algorithms.
    pub suite: Suite,
    /// Whether sequence numbers have 64 bits.
    pub extended: bool,
    /// The encryption's key, with its salt.
    pub encryption: Zeroizing<Vec<u8>>,
    /// The integrity's key; empty where the encryption authenticates.
    pub integrity: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("spi", &format_args!("{:08x}", self.spi))
            .field("suite", &self.suite)
            .field("extended", &self.extended)
            .finish_non_exhaustive()
    }
}

/// Why a packet was not opened, or could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be ESP of this association.
    #[error("too short, or no whole blocks")]
    Malformed,
    /// Its sequence number was seen or is too old.
    #[error("replayed")]
    Replayed,
    /// It was not sealed with the key.
    #[error("not authentic")]
    Unauthentic,
    /// It is authentic, but its padding or the packet in it is not well formed.
    #[error("authentic and malformed")]
    BadInner,
    /// It is authentic and a dummy (next header 59), which hides how much is said.
    #[error("a dummy")]
    Dummy,
    /// The last sequence number was used.
    #[error("no sequence number left")]
    Exhausted,
    /// The memory is too small.
    #[error("no room")]
    NoRoom,
}

impl From<Unauthentic> for Refused {
    fn from(_: Unauthentic) -> Self {
        Self::Unauthentic
    }
}

/// What came out of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where in the datagram the inner packet lies.
    pub packet: Range<usize>,
    /// Whether it is newer than anything before: only then does it say where the other side is.
    pub newest: bool,
}

/// Opens what the other side seals.
#[derive(Debug)]
pub struct Inbound {
    spi: u32,
    extended: bool,
    protection: Protection,
    window: Window,
}

impl Inbound {
    /// An association that has seen nothing.
    ///
    /// # Errors
    /// [`Unauthentic`] for keys that do not fit the suite.
    pub fn new(keys: &Keys) -> Result<Self, Unauthentic> {
        Ok(Self {
            spi: keys.spi,
            extended: keys.extended,
            protection: Protection::new(keys.suite, &keys.encryption, &keys.integrity)?,
            window: Window::default(),
        })
    }

    /// The SPI that datagrams for it begin with.
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// Opens a datagram in place: the checks are in the order of RFC 4303, section 3.4, the cheapest first.
    ///
    /// # Errors
    /// [`Refused::BadInner`] and [`Refused::Dummy`] are authentic; every other reason means that nothing is proved.
    pub fn open(&mut self, datagram: &mut [u8]) -> Result<Opened, Refused> {
        let low = datagram.get(4..HEADER).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let low = low.ok_or(Refused::Malformed)?;
        self.protection.text(datagram.len(), HEADER).map_err(|_| Refused::Malformed)?;
        let sequence = if self.extended { self.window.extend(low) } else { low.into() };
        if !self.window.is_fresh(sequence) {
            return Err(Refused::Replayed);
        }
        let high = self.extended.then_some(upper(sequence));
        let text = self.protection.open(datagram, HEADER, high)?;
        let newest = self.window.mark(sequence);
        let packet = inner(datagram, text)?;
        Ok(Opened { packet, newest })
    }
}

/// Where the inner packet lies in an authentic text.
fn inner(datagram: &[u8], text: Range<usize>) -> Result<Range<usize>, Refused> {
    let body = &datagram[text.clone()];
    let (rest, &[pad, next]) = body.split_last_chunk::<2>().ok_or(Refused::BadInner)?;
    if next == DUMMY {
        return Err(Refused::Dummy);
    }
    let length = rest.len().checked_sub(pad.into()).ok_or(Refused::BadInner)?;
    let (packet, padding) = rest.split_at(length);
    if !padding.iter().zip(1_u8..).all(|(have, want)| *have == want) {
        return Err(Refused::BadInner);
    }
    // what stands between the packet's own end and the padding hides its length (RFC 4303, section 2.7)
    let length = match next {
        IPV4 => Ipv4::new(packet).map(|view| view.total_len()),
        IPV6 => Ipv6::new(packet).map(|view| view.total_len()),
        _ => return Err(Refused::BadInner),
    };
    let length = length.map_err(|_| Refused::BadInner)?;
    Ok(text.start..text.start + length)
}

/// Seals what goes to the other side.
pub struct Outbound {
    spi: u32,
    extended: bool,
    protection: Protection,
    sequence: u64,
    /// Makes IVs that nobody can foresee; absent where a counter is IV enough.
    ivs: Option<EncryptingKey>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("spi", &self.spi).field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Outbound {
    /// An association that has sent nothing. `seed` is random and makes the IVs of CBC.
    ///
    /// # Errors
    /// [`Unauthentic`] for keys that do not fit the suite.
    pub fn new(keys: &Keys, seed: [u8; 16]) -> Result<Self, Unauthentic> {
        let ivs = match keys.suite.integrity {
            Some(_) => {
                let key = UnboundCipherKey::new(&AES_128, &seed).map_err(|_| Unauthentic)?;
                Some(EncryptingKey::ecb(key).map_err(|_| Unauthentic)?)
            }
            None => None,
        };
        Ok(Self {
            spi: keys.spi,
            extended: keys.extended,
            protection: Protection::new(keys.suite, &keys.encryption, &keys.integrity)?,
            sequence: 0,
            ivs,
        })
    }

    /// The SPI that its datagrams begin with.
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// The last sequence number that was used.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether it ought to have a successor soon.
    pub fn is_nearly_spent(&self) -> bool {
        !self.extended && self.sequence + SEQUENCE_MARGIN > LAST_SEQUENCE
    }

    /// Where in the memory of [`Self::seal_in_place`] the packet is to lie.
    pub fn offset(&self) -> usize {
        HEADER + self.protection.suite().encryption.iv_len()
    }

    /// The length of the datagram that a packet of so many bytes becomes.
    pub fn sealed_len(&self, packet: usize) -> usize {
        self.offset() + self.padded(packet) + self.protection.suite().icv_len()
    }

    /// The longest packet whose datagram is not longer than this.
    pub fn packet_max(&self, datagram: usize) -> usize {
        let block = self.protection.suite().encryption.block_len().max(4);
        let text = datagram.saturating_sub(self.offset() + self.protection.suite().icv_len());
        (text / block * block).saturating_sub(2)
    }

    /// Packet, padding and the two bytes behind it; RFC 4303, section 2.4: a multiple of the block, and of four.
    fn padded(&self, packet: usize) -> usize {
        (packet + 2).next_multiple_of(self.protection.suite().encryption.block_len().max(4))
    }

    /// Copies a packet into the memory and seals it there; returns the datagram's length.
    ///
    /// # Errors
    /// [`Refused::NoRoom`], [`Refused::Exhausted`], and [`Refused::BadInner`] for what is no IP packet.
    pub fn seal(&mut self, packet: &[u8], memory: &mut [u8]) -> Result<usize, Refused> {
        let offset = self.offset();
        memory.get_mut(offset..offset + packet.len()).ok_or(Refused::NoRoom)?.copy_from_slice(packet);
        self.seal_in_place(memory, packet.len())
    }

    /// Seals a packet of so many bytes that lies at [`Self::offset`]; returns the datagram's length.
    ///
    /// # Errors
    /// [`Refused::NoRoom`], [`Refused::Exhausted`], and [`Refused::BadInner`] for what is no IP packet.
    pub fn seal_in_place(&mut self, memory: &mut [u8], packet: usize) -> Result<usize, Refused> {
        let (offset, length) = (self.offset(), self.sealed_len(packet));
        let message = memory.get_mut(..length).ok_or(Refused::NoRoom)?;
        let next = match message.get(offset).filter(|_| packet > 0).map(|first| first >> 4) {
            Some(4) => IPV4,
            Some(6) => IPV6,
            _ => return Err(Refused::BadInner),
        };
        if !self.extended && self.sequence >= LAST_SEQUENCE || self.sequence == u64::MAX {
            return Err(Refused::Exhausted);
        }
        self.sequence += 1;
        message[..4].copy_from_slice(&self.spi.to_be_bytes());
        message[4..HEADER].copy_from_slice(&self.sequence.to_be_bytes()[4..]);
        let tail = &mut message[offset + packet..offset + self.padded(packet)];
        let pad = tail.len() - 2;
        for (byte, number) in tail.iter_mut().zip(1_u8..) {
            *byte = number;
        }
        tail[pad] = u8::try_from(pad).map_err(|_| Refused::NoRoom)?;
        tail[pad + 1] = next;
        let iv = self.iv()?;
        let high = self.extended.then_some(upper(self.sequence));
        self.protection.seal(message, HEADER, high, &iv[..offset - HEADER])?;
        Ok(length)
    }

    /// The sequence number where a counter suffices; otherwise the number under a key of its own, which is as good as
    /// random to whoever lacks that key (RFC 3602, section 3).
    fn iv(&self) -> Result<[u8; 16], Refused> {
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&self.sequence.to_be_bytes());
        if let Some(ivs) = &self.ivs {
            ivs.less_safe_encrypt(&mut iv, aws_lc_rs::cipher::EncryptionContext::None)
                .map_err(|_| Refused::Unauthentic)?;
        }
        Ok(iv)
    }
}

fn upper(sequence: u64) -> u32 {
    u32::try_from(sequence >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
