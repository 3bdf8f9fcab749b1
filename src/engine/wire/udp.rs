//! UDP (RFC 768).

use std::net::SocketAddr;

use super::checksum::Sum;
use super::{Malformed, be16, ip, protocol, put16};

/// The header, in bytes.
pub const HEADER: usize = 8;

/// A UDP datagram whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Udp<T>(T);

impl<T: AsRef<[u8]>> Udp<T> {
    /// Checks the length. Bytes behind it are no part of the datagram.
    ///
    /// # Errors
    /// [`Malformed`] where it does not hold.
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let datagram = bytes.as_ref();
        if datagram.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        let length = usize::from(be16(datagram, 4));
        if length < HEADER || length > datagram.len() {
            return Err(Malformed::TotalLength);
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

    /// Bytes with the header.
    pub fn total_len(&self) -> usize {
        usize::from(be16(self.bytes(), 4))
    }

    /// Whether its checksum is right between these addresses; over IPv4 zero means that there is none.
    pub fn is_checksum_right(&self, source: std::net::IpAddr, destination: std::net::IpAddr) -> bool {
        let datagram = &self.bytes()[..self.total_len()];
        if be16(datagram, 6) == 0 {
            return source.is_ipv4();
        }
        Sum::default().pseudo(source, destination, protocol::UDP, datagram.len()).bytes(datagram).finish() == 0
    }

    /// What it carries.
    pub fn payload(&self) -> &[u8] {
        &self.bytes()[HEADER..self.total_len()]
    }
}

/// Bytes of the headers before the payload of a packet from this address: where [`seal_packet`] wants the payload.
pub const fn headers_len(source: SocketAddr) -> usize {
    if source.is_ipv4() { super::ipv4::HEADER + HEADER } else { super::ipv6::HEADER + HEADER }
}

/// Writes IP and UDP headers around a payload of so many bytes that already lies at [`headers_len`].
///
/// Returns the packet's length, or `None` where the addresses are of different versions or the buffer is too small.
pub fn seal_packet(
    packet: &mut [u8],
    source: SocketAddr,
    destination: SocketAddr,
    ttl: u8,
    payload: usize,
) -> Option<usize> {
    let length = HEADER + payload;
    let at = ip::write_header(packet, source.ip(), destination.ip(), protocol::UDP, ttl, length)?;
    let datagram = &mut packet[at..at + length];
    put16(datagram, 0, source.port());
    put16(datagram, 2, destination.port());
    put16(datagram, 4, u16::try_from(length).unwrap_or(u16::MAX));
    put16(datagram, 6, 0);
    let sum = Sum::default().pseudo(source.ip(), destination.ip(), protocol::UDP, length).bytes(datagram).finish();
    // RFC 768: a sum of zero is sent as all ones, for zero says that there is none
    put16(datagram, 6, if sum == 0 { 0xffff } else { sum });
    Some(at + length)
}

/// Writes a whole packet with this payload; `None` as [`seal_packet`].
pub fn write_packet(
    packet: &mut [u8],
    source: SocketAddr,
    destination: SocketAddr,
    ttl: u8,
    payload: &[u8],
) -> Option<usize> {
    let at = headers_len(source);
    packet.get_mut(at..at + payload.len())?.copy_from_slice(payload);
    seal_packet(packet, source, destination, ttl, payload.len())
}
