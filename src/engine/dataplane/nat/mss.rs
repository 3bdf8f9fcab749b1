//! MSS clamping: both ends of a TCP connection learn what fits the tunnel, whatever happens to ICMP on the way.

use super::rewrite::mend;
use crate::engine::packet::Offload;
use crate::engine::wire::tcp::{self, Tcp};
use crate::engine::wire::{Ip, ip, protocol};

/// The option's kind and length (RFC 9293, section 3.2).
const MSS: [u8; 2] = [2, 4];
const END: u8 = 0;
const NO_OPERATION: u8 = 1;

/// Lowers the MSS that a SYN offers to what fits a link with this MTU, in bytes. Any other packet stays as it is.
pub fn clamp_mss(packet: &mut [u8], offload: Offload, mtu: usize) {
    let Some((at, begin, end, most)) = find(packet, mtu) else { return };
    let segment = &mut packet[begin..end];
    let offered = u16::from_be_bytes([segment[at], segment[at + 1]]);
    if offered <= most {
        return;
    }
    // a checksum sums words, and the option may stand across two of them
    let words = at & !1..(at + 3) & !1;
    let mut old = [0; 4];
    let old = &mut old[..words.len()];
    old.copy_from_slice(&segment[words.clone()]);
    segment[at..at + 2].copy_from_slice(&most.to_be_bytes());
    if !offload.partial_checksum {
        let mut new = [0; 4];
        let new = &mut new[..words.len()];
        new.copy_from_slice(&segment[words]);
        mend(segment, 16, old, new);
    }
}

/// Where in the segment the value stands, where the segment lies, and what fits.
fn find(packet: &[u8], mtu: usize) -> Option<(usize, usize, usize, u16)> {
    let view = Ip::new(packet).ok()?;
    let transport = view.transport();
    if transport.protocol != protocol::TCP || !transport.has_header {
        return None;
    }
    let segment = Tcp::new(view.payload()).ok()?;
    if !segment.is_syn() {
        return None;
    }
    let at = tcp::HEADER + value_in(segment.options())?;
    let most = mtu.checked_sub(ip::header_len(view.source()) + tcp::HEADER)?;
    Some((at, transport.offset, transport.end, u16::try_from(most).unwrap_or(u16::MAX)))
}

fn value_in(options: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match options.get(at..)? {
            [END, ..] | [] => return None,
            [NO_OPERATION, ..] => at += 1,
            [kind, length, _, _, ..] if [*kind, *length] == MSS => return Some(at + 2),
            [_, length, ..] if *length >= 2 => at += usize::from(*length),
            _ => return None,
        }
    }
}
