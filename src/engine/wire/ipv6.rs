//! IPv6 (RFC 8200), with its extension headers walked under a bound.

use std::net::Ipv6Addr;

use super::{Malformed, be16, put16};

/// The header, in bytes.
pub const HEADER: usize = 40;
/// How many extension headers are walked; RFC 8504, section 5.3 lets a host set such a bound.
const EXTENSIONS_MAX: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// An IPv6 packet whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6<T>(T);

/// What lies behind the extension headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper {
    /// What it is.
    pub protocol: u8,
    /// Where in the packet it begins, in bytes.
    pub offset: usize,
    /// Where in the original payload this part begins, in bytes; not 0 means that there is no transport header here.
    pub fragment_offset: usize,
    /// Whether it is a part of a larger packet.
    pub fragment: bool,
}

impl<T: AsRef<[u8]>> Ipv6<T> {
    /// Checks version and length. Bytes behind the payload length are no part of the packet.
    ///
    /// # Errors
    /// [`Malformed`] where one of them does not hold. Jumbograms (RFC 2675) are not taken.
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let packet = bytes.as_ref();
        if packet.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        if packet[0] >> 4 != 6 {
            return Err(Malformed::Version);
        }
        if HEADER + usize::from(be16(packet, 4)) > packet.len() {
            return Err(Malformed::TotalLength);
        }
        Ok(Self(bytes))
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Bytes of the whole packet.
    pub fn total_len(&self) -> usize {
        HEADER + usize::from(be16(self.bytes(), 4))
    }

    /// What follows the fixed header: an extension or the payload.
    pub fn next_header(&self) -> u8 {
        self.bytes()[6]
    }

    /// Hop limit.
    pub fn hop_limit(&self) -> u8 {
        self.bytes()[7]
    }

    /// Where it comes from.
    pub fn source(&self) -> Ipv6Addr {
        address(self.bytes(), 8)
    }

    /// Where it goes to.
    pub fn destination(&self) -> Ipv6Addr {
        address(self.bytes(), 24)
    }

    /// What follows the fixed header, extensions included.
    pub fn payload(&self) -> &[u8] {
        &self.bytes()[HEADER..self.total_len()]
    }

    /// Walks the extension headers to what they carry.
    ///
    /// # Errors
    /// [`Malformed::Extensions`] past the bound or the end.
    pub fn upper(&self) -> Result<Upper, Malformed> {
        let packet = &self.bytes()[..self.total_len()];
        let mut upper = Upper { protocol: self.next_header(), offset: HEADER, fragment_offset: 0, fragment: false };
        for _ in 0..=EXTENSIONS_MAX {
            let length = match upper.protocol {
                FRAGMENT => 8,
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                    let length = packet.get(upper.offset + 1).ok_or(Malformed::Extensions)?;
                    (usize::from(*length) + 1) * 8
                }
                _ => return Ok(upper),
            };
            let extension = packet.get(upper.offset..upper.offset + length).ok_or(Malformed::Extensions)?;
            if upper.protocol == FRAGMENT {
                upper.fragment_offset = usize::from(be16(extension, 2) & 0xfff8);
                // an "atomic" fragment (RFC 6946) is a whole packet
                upper.fragment |= upper.fragment_offset != 0 || extension[3] & 1 != 0;
            }
            upper.protocol = extension[0];
            upper.offset += length;
            if upper.fragment_offset != 0 {
                return Ok(upper);
            }
        }
        Err(Malformed::Extensions)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv6<T> {
    /// Writes another source. The transport's checksum is the caller's.
    pub fn set_source(&mut self, source: Ipv6Addr) {
        self.0.as_mut()[8..24].copy_from_slice(&source.octets());
    }

    /// Writes another destination. The transport's checksum is the caller's.
    pub fn set_destination(&mut self, destination: Ipv6Addr) {
        self.0.as_mut()[24..40].copy_from_slice(&destination.octets());
    }

    /// Writes another hop limit.
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        self.0.as_mut()[7] = hop_limit;
    }

    /// What follows the fixed header, to be written.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let range = HEADER..self.total_len();
        &mut self.0.as_mut()[range]
    }
}

/// Writes a header for so many bytes of payload.
///
/// # Panics
/// Unless `packet` has room for the header.
pub(super) fn write_header(
    packet: &mut [u8],
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: u8,
    hop_limit: u8,
    payload: usize,
) {
    let header = &mut packet[..HEADER];
    header.fill(0);
    header[0] = 0x60;
    put16(header, 4, u16::try_from(payload).unwrap_or(u16::MAX));
    header[6] = protocol;
    header[7] = hop_limit;
    header[8..24].copy_from_slice(&source.octets());
    header[24..40].copy_from_slice(&destination.octets());
}

fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_extensions(kinds: &[u8], last: u8) -> Vec<u8> {
        let mut packet = vec![0; HEADER + kinds.len() * 8 + 8];
        let first = kinds.first().copied().unwrap_or(last);
        let payload = packet.len() - HEADER;
        write_header(&mut packet, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, first, 64, payload);
        for index in 0..kinds.len() {
            packet[HEADER + index * 8] = kinds.get(index + 1).copied().unwrap_or(last);
        }
        packet
    }

    #[test]
    fn walks_extensions_up_to_the_bound() {
        for count in 0..=EXTENSIONS_MAX {
            let packet = with_extensions(&vec![DESTINATION_OPTIONS; count], 17);
            let upper = Ipv6::new(&packet[..]).expect("well formed").upper().expect("within the bound");
            assert_eq!((upper.protocol, upper.offset), (17, HEADER + count * 8));
        }
        let packet = with_extensions(&[DESTINATION_OPTIONS; EXTENSIONS_MAX + 1], 17);
        assert_eq!(Ipv6::new(&packet[..]).expect("well formed").upper(), Err(Malformed::Extensions));
    }

    #[test]
    fn refuses_an_extension_that_does_not_fit() {
        let mut packet = with_extensions(&[HOP_BY_HOP], 17);
        packet[HEADER + 1] = 200;
        assert_eq!(Ipv6::new(&packet[..]).expect("well formed").upper(), Err(Malformed::Extensions));
    }

    #[test]
    fn tells_later_fragments_from_first_ones_and_from_whole_packets() {
        let mut packet = with_extensions(&[FRAGMENT], 17);
        let upper = |packet: &[u8]| Ipv6::new(packet).expect("well formed").upper().expect("walkable");

        assert!(!upper(&packet).fragment);
        packet[HEADER + 3] = 1;
        assert!(upper(&packet).fragment);
        packet[HEADER + 2] = 1;
        assert_eq!(upper(&packet).fragment_offset, 256);
    }
}
