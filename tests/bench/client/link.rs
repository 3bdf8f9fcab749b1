//! What seals and opens packets: a WireGuard session, or an ESP association of either direction.

use boringtun::noise::{Tunn, TunnResult};
use culvert::engine::esp::association::{Inbound, Outbound};

/// What WireGuard adds to a packet: type, receiver, counter (16), tag (16).
const OVERHEAD: usize = 32;

/// One of them.
pub(crate) enum Link {
    /// boringtun's.
    WireGuard(Box<Tunn>),
    /// Both directions, as a login leaves them.
    Esp(Box<(Inbound, Outbound)>),
}

/// What came of a datagram.
pub(crate) enum Opened<'a> {
    /// A packet of so many bytes, in the memory.
    Packet(usize),
    /// Something to be sent back.
    Answer(&'a [u8]),
    /// Nothing.
    Nothing,
}

impl Link {
    /// The length of the datagram that a packet of so many bytes becomes.
    pub(crate) fn sealed_len(&self, packet: usize) -> usize {
        match self {
            Self::WireGuard(_) => packet + OVERHEAD,
            Self::Esp(both) => both.1.sealed_len(packet),
        }
    }

    /// Seals a packet; the datagram's length, or `None` where there is no session yet.
    pub(crate) fn seal(&mut self, packet: &[u8], room: &mut [u8]) -> Option<usize> {
        match self {
            // without a session the packet waits inside boringtun
            Self::WireGuard(noise) => written(noise.encapsulate(packet, room)).map(<[u8]>::len),
            Self::Esp(both) => both.1.seal(packet, room).ok(),
        }
    }

    /// Opens a datagram into memory of at least its length.
    pub(crate) fn open<'a>(&mut self, datagram: &mut [u8], memory: &'a mut [u8]) -> Opened<'a> {
        match self {
            Self::WireGuard(noise) => match noise.decapsulate(None, datagram, memory) {
                TunnResult::WriteToTunnelV4(inner, _) | TunnResult::WriteToTunnelV6(inner, _) => {
                    Opened::Packet(inner.len())
                }
                TunnResult::WriteToNetwork(answer) => Opened::Answer(answer),
                TunnResult::Done | TunnResult::Err(_) => Opened::Nothing,
            },
            Self::Esp(both) => match both.0.open(datagram) {
                Ok(opened) => {
                    let packet = &datagram[opened.packet];
                    memory[..packet.len()].copy_from_slice(packet);
                    Opened::Packet(packet.len())
                }
                // a message of IKE's among them: nobody here keeps the connection up longer than a measurement
                Err(_) => Opened::Nothing,
            },
        }
    }

    /// The first message of a session, where one has to be begun.
    pub(crate) fn begin<'a>(&mut self, memory: &'a mut [u8]) -> Option<&'a [u8]> {
        match self {
            Self::WireGuard(noise) => written(noise.format_handshake_initiation(memory, true)),
            Self::Esp(_) => None,
        }
    }

    /// Lets timers act; what is to be sent then.
    pub(crate) fn tick<'a>(&mut self, memory: &'a mut [u8]) -> Option<&'a [u8]> {
        let Self::WireGuard(noise) = self else { return None };
        let mut first = [0; 256];
        match noise.update_timers(&mut first) {
            TunnResult::Err(_) => written(noise.format_handshake_initiation(memory, true)),
            TunnResult::WriteToNetwork(datagram) => {
                let room = memory.get_mut(..datagram.len())?;
                room.copy_from_slice(datagram);
                Some(room)
            }
            TunnResult::Done | TunnResult::WriteToTunnelV4(..) | TunnResult::WriteToTunnelV6(..) => None,
        }
    }
}

fn written(outcome: TunnResult<'_>) -> Option<&[u8]> {
    match outcome {
        TunnResult::WriteToNetwork(datagram) => Some(datagram),
        TunnResult::Done | TunnResult::Err(_) | TunnResult::WriteToTunnelV4(..) | TunnResult::WriteToTunnelV6(..) => {
            None
        }
    }
}
