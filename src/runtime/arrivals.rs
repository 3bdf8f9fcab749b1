//! What comes in by the uplink for whole packets: each packet to its room, to another worker, or back to the host.

use super::room::{Desk, Room};
use super::uplink::packets::Goes;
use crate::engine::dataplane::around::Parcel;
use crate::engine::packet::Offload;
use crate::engine::wire::Ip;

/// Packets that are taken in one turn.
const AT_ONCE: usize = 128;
/// Bytes that are taken in one turn, about: a tenth of a millisecond's work, so that who sends up does not wait for long.
const BYTES_AT_ONCE: usize = 256 << 10;
/// The slot of no server: what is handed over so is still to be placed.
pub(super) const UNPLACED: usize = u16::MAX as usize;
/// The same for a copy of what the host has.
pub(super) const HEARD: usize = UNPLACED - 1;

/// Whether a packet may be handed to another worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handing {
    /// It came in here.
    Once,
    /// It has been handed over already.
    Never,
    /// It is a copy of what the host has, and came in here.
    Heard,
    /// It is such a copy, and has been handed over already.
    HeardNever,
}

/// Takes a bounded number of packets from the uplink; whether some may be left.
pub(super) fn take(rooms: &mut [Option<Room>], desk: &mut Desk<'_>) -> bool {
    let Some(packets) = desk.packets.as_deref_mut() else { return false };
    packets.pass(desk.now);
    let mut memory = std::mem::take(&mut packets.memory);
    let (mut last, mut bytes) = (None, 0);
    for _ in 0..AT_ONCE {
        if bytes >= BYTES_AT_ONCE {
            break;
        }
        let Some((length, offload)) = desk.packets.as_deref_mut().and_then(|packets| packets.read(&mut memory)) else {
            break;
        };
        bytes += length;
        place(&mut memory[..length], offload, rooms, desk, (Handing::Once, &mut last));
    }
    for _ in 0..AT_ONCE {
        let Some(length) = desk.packets.as_deref_mut().and_then(|packets| packets.read_error(&mut memory)) else {
            break;
        };
        // the host has its own copy: nothing of it is handed back
        place(&mut memory[..length], Offload::NONE, rooms, desk, (Handing::Heard, &mut last));
    }
    send(last, rooms, desk);
    let Some(packets) = desk.packets.as_deref_mut() else { return false };
    packets.memory = memory;
    packets.is_ready()
}

/// Takes what clients sent to external addresses to whom it leads; whether there was some.
pub(super) fn turn_back(rooms: &mut [Option<Room>], desk: &mut Desk<'_>) -> bool {
    let Some(packets) = desk.packets.as_deref_mut() else { return false };
    let (mut bytes, turns) = packets.take_turned();
    let (mut at, mut last) = (0, None);
    for (length, offload) in &turns {
        place(&mut bytes[at..at + length], *offload, rooms, desk, (Handing::Once, &mut last));
        at += length;
    }
    send(last, rooms, desk);
    !turns.is_empty()
}

/// Takes a packet that another worker handed over, under one of the slots of no server, to its room.
pub(super) fn take_over(slot: usize, parcel: Parcel<'_>, rooms: &mut [Option<Room>], desk: &mut Desk<'_>) {
    let Parcel::Arrival { packet, offload } = parcel else { return };
    let handing = match slot {
        UNPLACED => Handing::Never,
        HEARD => Handing::HeardNever,
        _ => return,
    };
    let mut last = None;
    place(&mut packet.to_vec(), offload, rooms, desk, (handing, &mut last));
    send(last, rooms, desk);
}

/// Takes a packet to its room. What waits in the outbox goes by the door of one room, so it is sent before another's.
fn place(
    packet: &mut [u8],
    offload: Offload,
    rooms: &mut [Option<Room>],
    desk: &mut Desk<'_>,
    (handing, last): (Handing, &mut Option<usize>),
) {
    let Some(packets) = desk.packets.as_deref_mut() else { return };
    if Ip::new(&packet[..]).is_ok_and(|ip| ip.transport().fragment) {
        if let Some(mut whole) = packets.gather(packet) {
            place(&mut whole, Offload::GATHERED, rooms, desk, (handing, last));
        }
        return;
    }
    match packets.place(packet, desk.ports) {
        Goes::To(slot) => {
            if *last != Some(slot) {
                send(last.replace(slot), rooms, desk);
            }
            if let Some(Some(room)) = rooms.get_mut(slot) {
                room.take_arrival(packet, offload, desk);
            }
        }
        Goes::Elsewhere(worker) if matches!(handing, Handing::Once | Handing::Heard) => {
            let slot = if handing == Handing::Once { UNPLACED } else { HEARD };
            desk.outgoing.hand(worker, slot, Parcel::Arrival { packet, offload });
        }
        Goes::Elsewhere(_) | Goes::Back if matches!(handing, Handing::Once | Handing::Never) => {
            packets.write(packet, offload);
        }
        // the host has it already
        Goes::Elsewhere(_) | Goes::Back => {}
    }
}

fn send(slot: Option<usize>, rooms: &mut [Option<Room>], desk: &mut Desk<'_>) {
    if let Some(Some(room)) = slot.and_then(|slot| rooms.get_mut(slot)) {
        room.send(desk);
    }
}
