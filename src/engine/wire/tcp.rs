//! TCP (RFC 9293): what a router of segments needs of it.

use std::net::IpAddr;

use super::checksum::Sum;
use super::{Malformed, be16, be32, ip, protocol, put16, put32};

/// The smallest header, in bytes.
pub const HEADER: usize = 20;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// A TCP segment whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<T>(T);

impl<T: AsRef<[u8]>> Tcp<T> {
    /// Checks the header's length.
    ///
    /// # Errors
    /// [`Malformed`] where it does not hold.
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let segment = bytes.as_ref();
        if segment.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        let header = usize::from(segment[12] >> 4) * 4;
        if header < HEADER || header > segment.len() {
            return Err(Malformed::HeaderLength);
        }
        Ok(Self(bytes))
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The port that it comes from.
    pub fn source_port(&self) -> u16 {
        be16(self.bytes(), 0)
    }

    /// The port that it goes to.
    pub fn destination_port(&self) -> u16 {
        be16(self.bytes(), 2)
    }

    /// Sequence number.
    pub fn sequence(&self) -> u32 {
        be32(self.bytes(), 4)
    }

    /// Acknowledgement number.
    pub fn acknowledgement(&self) -> u32 {
        be32(self.bytes(), 8)
    }

    /// Bytes of the header with its options.
    pub fn header_len(&self) -> usize {
        usize::from(self.bytes()[12] >> 4) * 4
    }

    /// Whether it ends the sender's stream.
    pub fn is_fin(&self) -> bool {
        self.bytes()[13] & FIN != 0
    }

    /// Whether it opens a stream.
    pub fn is_syn(&self) -> bool {
        self.bytes()[13] & SYN != 0
    }

    /// Whether it aborts the connection.
    pub fn is_rst(&self) -> bool {
        self.bytes()[13] & RST != 0
    }

    /// Whether its acknowledgement number means something.
    pub fn is_ack(&self) -> bool {
        self.bytes()[13] & ACK != 0
    }

    /// Whether its checksum is right between these addresses.
    pub fn is_checksum_right(&self, source: IpAddr, destination: IpAddr) -> bool {
        let segment = self.bytes();
        Sum::default().pseudo(source, destination, protocol::TCP, segment.len()).bytes(segment).finish() == 0
    }

    /// The options of its header.
    pub fn options(&self) -> &[u8] {
        &self.bytes()[HEADER..self.header_len()]
    }

    /// What it carries.
    pub fn payload(&self) -> &[u8] {
        &self.bytes()[self.header_len()..]
    }

    /// How much of the sequence space it takes.
    pub fn sequence_len(&self) -> u32 {
        let payload = u32::try_from(self.payload().len()).unwrap_or(u32::MAX);
        payload.wrapping_add(u32::from(self.is_syn())).wrapping_add(u32::from(self.is_fin()))
    }
}

/// Writes the reset that answers a segment to a port where nobody listens (RFC 9293, section 3.10.7.1).
///
/// `source` and `destination` are the segment's own. Returns the packet's length, or `None` for a segment that is a
/// reset itself, and where the buffer is too small.
pub fn write_reset<T: AsRef<[u8]>>(
    packet: &mut [u8],
    segment: &Tcp<T>,
    source: IpAddr,
    destination: IpAddr,
) -> Option<usize> {
    if segment.is_rst() {
        return None;
    }
    let at = ip::write_header(packet, destination, source, protocol::TCP, 64, HEADER)?;
    let reset = &mut packet[at..at + HEADER];
    reset.fill(0);
    put16(reset, 0, segment.destination_port());
    put16(reset, 2, segment.source_port());
    if segment.is_ack() {
        put32(reset, 4, segment.acknowledgement());
        reset[13] = RST;
    } else {
        put32(reset, 8, segment.sequence().wrapping_add(segment.sequence_len()));
        reset[13] = RST | ACK;
    }
    reset[12] = 0x50;
    let sum = Sum::default().pseudo(destination, source, protocol::TCP, HEADER).bytes(reset).finish();
    put16(reset, 16, sum);
    Some(at + HEADER)
}
