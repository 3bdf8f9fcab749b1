//! Cuts a super-segment into segments where it lies, and seals each with its lengths and checksums.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::wire::checksum::{self, Sum};
use crate::engine::wire::{ipv4, ipv6, protocol, tcp};

/// Headers with all their options: 60 bytes of TCP behind 40 of IPv6 (smoltcp writes no IP options).
const HEADERS_MAX: usize = ipv6::HEADER + 60;
/// Where a TCP header has its flags.
pub(super) const FLAGS: usize = 13;
/// The flag of every segment but the first.
pub(super) const ACK: u8 = 0x10;
/// FIN and PSH belong to the last segment alone.
const LAST_ONLY: u8 = 0x09;

/// Fills in lengths and checksums of a packet with one TCP segment, written without them.
pub(super) fn seal(packet: &mut [u8]) {
    let length = packet.len();
    cut(packet, length, |_| {});
}

/// Cuts the payload of a TCP packet into pieces of at most `piece` bytes; `each` gets a whole packet for every one.
///
/// A piece's headers are written over the end of the piece before it, which has been handed over by then: nothing is
/// copied but headers.
pub(super) fn cut(packet: &mut [u8], piece: usize, mut each: impl FnMut(&mut [u8])) {
    let ip = if packet[0] >> 4 == 4 { ipv4::HEADER } else { ipv6::HEADER };
    let head = ip + usize::from(packet[ip + 12] >> 4) * 4;
    let mut headers = [0; HEADERS_MAX];
    headers[..head].copy_from_slice(&packet[..head]);
    let first = u32::from_be_bytes([headers[ip + 4], headers[ip + 5], headers[ip + 6], headers[ip + 7]]);
    let flags = headers[ip + FLAGS];
    let load = packet.len() - head;
    let mut at = 0;
    loop {
        let length = piece.min(load - at);
        let is_last = at + length == load;
        let segment = &mut packet[at..at + head + length];
        segment[..head].copy_from_slice(&headers[..head]);
        let sequence = first.wrapping_add(u32::try_from(at).unwrap_or_default());
        segment[ip + 4..ip + 8].copy_from_slice(&sequence.to_be_bytes());
        segment[ip + FLAGS] = if is_last { flags } else { flags & !LAST_ONLY };
        seal_ip(segment);
        seal_tcp(segment, ip);
        each(segment);
        at += length;
        if is_last {
            return;
        }
    }
}

fn seal_ip(packet: &mut [u8]) {
    if packet[0] >> 4 == 4 {
        let total = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[10..12].fill(0);
        let sum = checksum::of(&packet[..ipv4::HEADER]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let payload = u16::try_from(packet.len() - ipv6::HEADER).unwrap_or(u16::MAX);
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
    }
}

fn seal_tcp(packet: &mut [u8], ip: usize) {
    let (source, destination) = addresses(packet);
    let segment = &mut packet[ip..];
    segment[tcp::HEADER - 4..tcp::HEADER - 2].fill(0);
    let sum = Sum::default().pseudo(source, destination, protocol::TCP, segment.len()).bytes(segment).finish();
    segment[tcp::HEADER - 4..tcp::HEADER - 2].copy_from_slice(&sum.to_be_bytes());
}

fn addresses(packet: &[u8]) -> (IpAddr, IpAddr) {
    if packet[0] >> 4 == 4 {
        (v4(packet, 12).into(), v4(packet, 16).into())
    } else {
        (v6(packet, 8).into(), v6(packet, 24).into())
    }
}

fn v4(packet: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3])
}

fn v6(packet: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&packet[at..at + 16]);
    octets.into()
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    use super::*;

    fn super_segment(v6: bool, options: bool, load: &[u8]) -> Vec<u8> {
        let builder = if v6 {
            PacketBuilder::ipv6([1; 16], [2; 16], 64)
        } else {
            PacketBuilder::ipv4([1, 2, 3, 4], [5, 6, 7, 8], 64)
        };
        let mut builder = builder.tcp(80, 40_000, u32::MAX - 1_000, 5_000).ack(77).fin().psh();
        if options {
            builder = builder.options(&[etherparse::TcpOptionElement::Timestamp(1, 2)]).expect("fits");
        }
        let mut packet = Vec::new();
        builder.write(&mut packet, load).expect("fits");
        packet
    }

    proptest! {
        #[test]
        fn pieces_are_whole_packets_that_make_up_the_stream(
            v6: bool, options: bool,
            load in proptest::collection::vec(any::<u8>(), 0..9_000),
            piece in 40_usize..3_000,
        ) {
            let mut packet = super_segment(v6, options, &load);
            let mut got = Vec::new();
            let mut fins = Vec::new();

            cut(&mut packet, piece, |packet| {
                let sliced = SlicedPacket::from_ip(packet).expect("well formed");
                let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
                let (source, destination) = addresses(packet);
                let view = tcp::Tcp::new(tcp.slice()).expect("well formed");
                assert!(view.is_checksum_right(source, destination));
                assert!(v6 || ipv4::Ipv4::new(&*packet).expect("well formed").is_checksum_right());
                assert_eq!(tcp.sequence_number(), (u32::MAX - 1_000).wrapping_add(u32::try_from(got.len()).unwrap()));
                got.extend_from_slice(tcp.payload());
                fins.push((tcp.fin(), tcp.psh()));
            });

            prop_assert_eq!(&got, &load);
            prop_assert_eq!(fins.pop(), Some((true, true)));
            prop_assert!(fins.iter().all(|flags| *flags == (false, false)));
        }
    }
}
