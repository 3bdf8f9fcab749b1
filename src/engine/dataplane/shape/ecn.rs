//! Congestion told without a drop (RFC 3168; RFC 8289, section 5.3 lets a queue mark instead).

use crate::engine::wire::checksum;

/// Marks a packet as having met congestion; whether its ends understand that. One that is marked already stays so.
pub(super) fn mark(packet: &mut [u8]) -> bool {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) if packet.len() >= 20 => mark_ipv4(packet),
        // the traffic class lies across the first two bytes (RFC 8200, section 3)
        Some(6) if packet.len() >= 40 => {
            let capable = packet[1] & 0x30 != 0;
            packet[1] |= if capable { 0x30 } else { 0 };
            capable
        }
        _ => false,
    }
}

fn mark_ipv4(packet: &mut [u8]) -> bool {
    let [version, service] = [packet[0], packet[1]];
    if service.is_multiple_of(4) {
        return false;
    }
    let new = [version, service | 3];
    let sum = checksum::update(u16::from_be_bytes([packet[10], packet[11]]), &packet[..2], &new);
    packet[..2].copy_from_slice(&new);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::engine::wire::{Ipv4, Ipv6, udp};

    fn packet(source: &str, destination: &str) -> Vec<u8> {
        let [source, destination] = [source, destination].map(|end| end.parse::<SocketAddr>().unwrap());
        let mut memory = vec![0; 128];
        let length = udp::write_packet(&mut memory, source, destination, 64, &[7; 40]).unwrap();
        memory.truncate(length);
        memory
    }

    #[test]
    fn marks_only_what_its_ends_understand() {
        for ecn in 0..4_u8 {
            let mut packet = packet("10.0.0.2:1", "10.0.0.3:2");
            packet[1] = ecn;
            packet[10..12].fill(0);
            let sum = checksum::of(&packet[..20]).to_be_bytes();
            packet[10..12].copy_from_slice(&sum);

            assert_eq!(mark(&mut packet), ecn != 0);
            assert_eq!(packet[1], if ecn == 0 { 0 } else { 3 });
            assert!(Ipv4::new(&packet[..]).unwrap().is_checksum_right());
        }
        for ecn in 0..4_u8 {
            let mut packet = packet("[fd00::2]:1", "[fd00::3]:2");
            packet[1] = ecn << 4 | 5;
            assert_eq!(mark(&mut packet), ecn != 0);
            assert_eq!(packet[1], if ecn == 0 { 5 } else { 0x35 });
            assert!(Ipv6::new(&packet[..]).is_ok());
        }
    }

    #[test]
    fn leaves_what_is_no_packet() {
        for mut bytes in [vec![], vec![0x45; 19], vec![0x6f; 39], vec![0xff; 64]] {
            let before = bytes.clone();
            assert!(!mark(&mut bytes));
            assert_eq!(bytes, before);
        }
    }
}
