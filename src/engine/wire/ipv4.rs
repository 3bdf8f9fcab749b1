//! IPv4 (RFC 791).

use std::net::Ipv4Addr;

use super::{Malformed, be16, checksum, put16};

/// The smallest header, in bytes.
pub const HEADER: usize = 20;

/// An IPv4 packet whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<T>(T);

impl<T: AsRef<[u8]>> Ipv4<T> {
    /// Checks version, header length and total length. Bytes behind the total length are no part of the packet.
    ///
    /// # Errors
    /// [`Malformed`] where one of them does not hold.
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let packet = bytes.as_ref();
        if packet.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        if packet[0] >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header = usize::from(packet[0] & 0xf) * 4;
        if header < HEADER || header > packet.len() {
            return Err(Malformed::HeaderLength);
        }
        let total = usize::from(be16(packet, 2));
        if total < header || total > packet.len() {
            return Err(Malformed::TotalLength);
        }
        Ok(Self(bytes))
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Bytes of the header with its options.
    pub fn header_len(&self) -> usize {
        usize::from(self.bytes()[0] & 0xf) * 4
    }

    /// Bytes of the whole packet.
    pub fn total_len(&self) -> usize {
        usize::from(be16(self.bytes(), 2))
    }

    /// The identification that fragments of one packet share.
    pub fn identification(&self) -> u16 {
        be16(self.bytes(), 4)
    }

    /// Whether routers may not fragment it.
    pub fn dont_fragment(&self) -> bool {
        self.bytes()[6] & 0x40 != 0
    }

    /// Whether further fragments follow.
    pub fn more_fragments(&self) -> bool {
        self.bytes()[6] & 0x20 != 0
    }

    /// Where in the original payload this fragment begins, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(be16(self.bytes(), 6) & 0x1fff) * 8
    }

    /// Whether it is a part of a larger packet.
    pub fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset() != 0
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.bytes()[8]
    }

    /// What the payload is.
    pub fn protocol(&self) -> u8 {
        self.bytes()[9]
    }

    /// Where it comes from.
    pub fn source(&self) -> Ipv4Addr {
        address(self.bytes(), 12)
    }

    /// Where it goes to.
    pub fn destination(&self) -> Ipv4Addr {
        address(self.bytes(), 16)
    }

    /// Whether the header's checksum is right.
    pub fn is_checksum_right(&self) -> bool {
        checksum::of(&self.bytes()[..self.header_len()]) == 0
    }

    /// Header and options.
    pub fn header(&self) -> &[u8] {
        &self.bytes()[..self.header_len()]
    }

    /// What the header carries.
    pub fn payload(&self) -> &[u8] {
        &self.bytes()[self.header_len()..self.total_len()]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv4<T> {
    /// Writes another source and mends the header's checksum. The transport's checksum is the caller's.
    pub fn set_source(&mut self, source: Ipv4Addr) {
        self.replace(12, source.octets());
    }

    /// Writes another destination and mends the header's checksum. The transport's checksum is the caller's.
    pub fn set_destination(&mut self, destination: Ipv4Addr) {
        self.replace(16, destination.octets());
    }

    /// Writes another time to live and mends the header's checksum.
    pub fn set_ttl(&mut self, ttl: u8) {
        let protocol = self.protocol();
        self.replace(8, [ttl, protocol]);
    }

    /// What the header carries, to be written.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let range = self.header_len()..self.total_len();
        &mut self.0.as_mut()[range]
    }

    fn replace<const N: usize>(&mut self, at: usize, new: [u8; N]) {
        let bytes = self.0.as_mut();
        let sum = checksum::update(be16(bytes, 10), &bytes[at..at + N], &new);
        bytes[at..at + N].copy_from_slice(&new);
        put16(bytes, 10, sum);
    }
}

/// Writes a header without options, unfragmented and not to be fragmented, for so many bytes of payload.
///
/// # Panics
/// Unless `packet` has room for the header and the whole fits 65,535 bytes.
pub(super) fn write_header(
    packet: &mut [u8],
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    ttl: u8,
    payload: usize,
) {
    let header = &mut packet[..HEADER];
    header.fill(0);
    header[0] = 0x45;
    put16(header, 2, u16::try_from(HEADER + payload).unwrap_or(u16::MAX));
    // RFC 6864: with DF set the identification means nothing and may stay zero
    header[6] = 0x40;
    header[8] = ttl;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    let sum = checksum::of(header);
    put16(header, 10, sum);
}

/// Writes another identification, flags and fragment offset into a header of 20 bytes, and its checksum anew.
pub fn name(packet: &mut [u8], identification: u16, flags: u16) {
    let header = &mut packet[..HEADER];
    put16(header, 4, identification);
    put16(header, 6, flags);
    put16(header, 10, 0);
    let sum = checksum::of(header);
    put16(header, 10, sum);
}

fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_checksum_right_through_every_change() {
        let mut packet = [0; 28];
        write_header(&mut packet, Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(1, 1, 1, 1), 17, 64, 8);
        let mut view = Ipv4::new(&mut packet[..]).expect("well formed");

        view.set_source(Ipv4Addr::new(198, 51, 100, 7));
        view.set_destination(Ipv4Addr::BROADCAST);
        view.set_ttl(1);

        assert!(view.is_checksum_right());
        assert_eq!((view.ttl(), view.protocol()), (1, 17));
    }

    #[test]
    fn refuses_lengths_that_do_not_hold() {
        let mut packet = [0; 28];
        write_header(&mut packet, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, 17, 64, 8);
        assert_eq!(Ipv4::new(&packet[..19]).err(), Some(Malformed::Truncated));
        assert_eq!(Ipv4::new(&packet[..27]).err(), Some(Malformed::TotalLength));
        packet[0] = 0x44;
        assert_eq!(Ipv4::new(&packet[..]).err(), Some(Malformed::HeaderLength));
        packet[0] = 0x4f;
        assert_eq!(Ipv4::new(&packet[..]).err(), Some(Malformed::HeaderLength));
        packet[0] = 0x65;
        assert_eq!(Ipv4::new(&packet[..]).err(), Some(Malformed::Version));
    }
}
