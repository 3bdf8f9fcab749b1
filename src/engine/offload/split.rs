//! Cuts super-packets into packets, or into smaller super-packets, where they lie.

use super::Unfit;
use super::layout::{FIRST, LAST, Layout};
use crate::engine::packet::Offload;
use crate::engine::wire::protocol;

/// The longest headers of a super-packet, in bytes: IPv6 with as many bytes of extensions again as all else may have.
const HEADERS_MAX: usize = 256;

/// Cuts a packet into pieces of at most this many bytes of payload, rounded down to whole segments, at least one.
///
/// `each` gets the pieces in their order and may write into them. A piece of one segment is a packet that stands for
/// itself, with its checksum complete; a longer one is a super-packet, whose checksum is partial. What is no
/// super-packet is handed over as it is, completed if need be. The headers of a piece are written over the end of the
/// one before it, which has been handed over by then, so that the payload stays where it is.
///
/// # Errors
/// [`Unfit`] for what is not a whole TCP segment or UDP datagram; nothing has been handed over then.
pub fn split(
    packet: &mut [u8],
    offload: Offload,
    at_most: usize,
    mut each: impl FnMut(&mut [u8], Offload),
) -> Result<(), Unfit> {
    if !offload.is_super() {
        if offload.partial_checksum {
            complete(packet)?;
        }
        each(packet, Offload::NONE);
        return Ok(());
    }
    let layout = Layout::read(packet)?;
    let mut headers = [0; HEADERS_MAX];
    let headers = headers.get_mut(..layout.headers).ok_or(Unfit)?;
    headers.copy_from_slice(&packet[..layout.headers]);
    let segment = usize::from(offload.segment);
    let piece = (at_most / segment).max(1) * segment;
    let payload = layout.end - layout.headers;
    let mut at = 0;
    loop {
        let length = piece.min(payload - at);
        let is_last = at + length == payload;
        let bytes = &mut packet[at..at + layout.headers + length];
        bytes[..layout.headers].copy_from_slice(headers);
        advance(&layout, bytes, (at, segment), is_last);
        layout.write_lengths(bytes);
        let offload = if length > segment {
            layout.write_partial_checksum(bytes);
            Offload { segment: offload.segment, partial_checksum: true, ..Offload::NONE }
        } else {
            layout.write_checksum(bytes);
            Offload::NONE
        };
        each(bytes, offload);
        at += length;
        if is_last {
            return Ok(());
        }
    }
}

/// Completes the partial checksum of a packet that stands for itself. Bytes behind the packet are left alone.
///
/// # Errors
/// [`Unfit`] for what is not a whole TCP segment or UDP datagram; nothing has been changed then.
pub fn complete(packet: &mut [u8]) -> Result<(), Unfit> {
    let layout = Layout::read(packet)?;
    layout.write_checksum(&mut packet[..layout.end]);
    Ok(())
}

/// Writes into a piece's headers what tells it from the first: `at` is where its payload begins in the whole.
fn advance(layout: &Layout, piece: &mut [u8], (at, segment): (usize, usize), is_last: bool) {
    if layout.is_v4() {
        // each packet has an identification of its own; 16 bits wide, it wraps
        let packets = u16::try_from(at / segment).unwrap_or_default();
        let identification = u16::from_be_bytes([piece[4], piece[5]]).wrapping_add(packets);
        piece[4..6].copy_from_slice(&identification.to_be_bytes());
    }
    if layout.protocol == protocol::TCP {
        let header = &mut piece[layout.transport..layout.headers];
        let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let sequence = sequence.wrapping_add(u32::try_from(at).unwrap_or_default());
        header[4..8].copy_from_slice(&sequence.to_be_bytes());
        if at > 0 {
            header[13] &= !FIRST;
        }
        if !is_last {
            header[13] &= !LAST;
        }
    }
}
