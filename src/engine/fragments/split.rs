//! Cuts a packet that is too large for the tunnel into fragments (RFC 791, section 3.2; RFC 8200, section 4.5).

use crate::engine::wire::{checksum, ipv4, ipv6};

/// Bytes that must lie unused before a packet that is to be cut: room for IPv6's fragment header.
pub const HEADROOM: usize = FRAGMENT_HEADER;

const FRAGMENT_HEADER: usize = 8;
/// IPv4's header with all the options that it may have, in bytes.
const HEADER_MAX: usize = 60;
/// The protocol number of IPv6's fragment header.
const FRAGMENT: u8 = 44;

/// Cuts the packet behind the first [`HEADROOM`] bytes of `buffer`, which has a plain header over IPv6; `each` gets the
/// fragments.
///
/// A fragment's headers are written over the end of the one before it, which has been handed over by then.
pub fn split(buffer: &mut [u8], mtu: usize, identification: u32, each: impl FnMut(&mut [u8])) {
    if buffer[HEADROOM] >> 4 == 4 {
        split_v4(&mut buffer[HEADROOM..], mtu, identification, each);
    } else {
        split_v6(buffer, mtu, identification, each);
    }
}

fn split_v4(packet: &mut [u8], mtu: usize, identification: u32, mut each: impl FnMut(&mut [u8])) {
    let mut header = [0; HEADER_MAX];
    let header_len = usize::from(packet[0] & 0xf) * 4;
    let header = &mut header[..header_len];
    header.copy_from_slice(&packet[..header_len]);
    // an identification is 16 bits wide over IPv4
    header[4..6].copy_from_slice(&identification.to_be_bytes()[2..]);
    let load = packet.len() - header_len;
    for (at, length, more) in pieces(load, mtu - header_len) {
        let fragment = &mut packet[at..at + header_len + length];
        fragment[..header_len].copy_from_slice(header);
        let total = u16::try_from(fragment.len()).unwrap_or(u16::MAX);
        fragment[2..4].copy_from_slice(&total.to_be_bytes());
        let word = u16::try_from(at / 8).unwrap_or_default() | if more { 0x2000 } else { 0 };
        fragment[6..8].copy_from_slice(&word.to_be_bytes());
        fragment[10..12].fill(0);
        let sum = checksum::of(&fragment[..header_len]);
        fragment[10..12].copy_from_slice(&sum.to_be_bytes());
        each(fragment);
        if at == 0 {
            keep_copied(&mut header[ipv4::HEADER..]);
        }
    }
}

/// Leaves of IPv4 options those that belong into every fragment; the others turn into "no operation", so that all headers
/// are of one length (RFC 791, section 3.2).
fn keep_copied(options: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut at = 0;
    while at < options.len() && options[at] != END {
        let length = match options[at] {
            NO_OPERATION => 1,
            _ => usize::from(options.get(at + 1).copied().unwrap_or(0)).max(2),
        };
        let end = options.len().min(at + length);
        if options[at] & COPIED == 0 {
            options[at..end].fill(NO_OPERATION);
        }
        at = end;
    }
}

fn split_v6(buffer: &mut [u8], mtu: usize, identification: u32, mut each: impl FnMut(&mut [u8])) {
    const HEADERS: usize = ipv6::HEADER + FRAGMENT_HEADER;
    let mut headers = [0; HEADERS];
    headers[..ipv6::HEADER].copy_from_slice(&buffer[HEADROOM..HEADROOM + ipv6::HEADER]);
    headers[ipv6::HEADER] = headers[6];
    headers[6] = FRAGMENT;
    headers[ipv6::HEADER + 4..].copy_from_slice(&identification.to_be_bytes());
    let load = buffer.len() - HEADERS;
    for (at, length, more) in pieces(load, mtu - HEADERS) {
        let fragment = &mut buffer[at..at + HEADERS + length];
        fragment[..HEADERS].copy_from_slice(&headers);
        let payload = u16::try_from(FRAGMENT_HEADER + length).unwrap_or(u16::MAX);
        fragment[4..6].copy_from_slice(&payload.to_be_bytes());
        let word = u16::try_from(at).unwrap_or_default() | u16::from(more);
        fragment[ipv6::HEADER + 2..ipv6::HEADER + 4].copy_from_slice(&word.to_be_bytes());
        each(fragment);
    }
}

/// Where each fragment begins in the payload, how long it is, and whether more follow.
fn pieces(load: usize, room: usize) -> impl Iterator<Item = (usize, usize, bool)> {
    let piece = room / 8 * 8;
    (0..load).step_by(piece).map(move |at| {
        let length = piece.min(load - at);
        (at, length, at + length < load)
    })
}

#[cfg(test)]
mod tests {
    use etherparse::{IpSlice, SlicedPacket};

    use super::*;
    use crate::engine::wire::udp;

    #[test]
    fn makes_fragments_that_another_implementation_reads() {
        for (source, destination) in [("10.0.0.1:1", "10.0.0.2:2"), ("[fd00::1]:1", "[fd00::2]:2")] {
            let mut buffer = vec![0; 70_000];
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            let length =
                udp::write_packet(&mut buffer[HEADROOM..], source, destination, 64, &[7; 5_000]).expect("fits");
            let mut total = 0;

            split(&mut buffer[..HEADROOM + length], 1_420, 0x0102_0304, |fragment| {
                assert!(fragment.len() <= 1_420);
                match SlicedPacket::from_ip(fragment).expect("well formed").net.expect("IP") {
                    etherparse::NetSlice::Ipv4(slice) => {
                        assert_eq!(slice.header().identification(), 0x0304);
                        assert_eq!(usize::from(slice.header().fragments_offset().value()) * 8, total);
                        assert!(ipv4::Ipv4::new(&*fragment).unwrap().is_checksum_right());
                        total += slice.payload().payload.len();
                    }
                    etherparse::NetSlice::Ipv6(slice) => {
                        assert!(slice.is_payload_fragmented());
                        total += slice.payload().payload.len();
                    }
                    other @ etherparse::NetSlice::Arp(_) => panic!("{other:?}"),
                }
                let _ = IpSlice::from_slice(fragment).expect("well formed");
            });

            assert_eq!(total, 5_008);
        }
    }
}
