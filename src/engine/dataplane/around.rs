//! What the road leads to and is not its own: the door, the uplink, the host, other workers.

use std::net::SocketAddr;

use super::nat::Ports;
use crate::engine::outbox::{Endpoint, Outbox};
use crate::engine::packet::{Offload, Owner};

/// What a call of the machine is lent.
pub struct Around<'a> {
    /// Where sealed datagrams wait for the door.
    pub outbox: &'a mut Outbox,
    /// The external ports of the worker.
    pub ports: &'a mut Ports,
    /// Who takes what leaves the road otherwise.
    pub beyond: &'a mut dyn Beyond,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

/// What an address outside the clients' network is to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Somebody else's.
    Outside,
    /// Closed to clients.
    Closed,
    /// The host's own.
    Host,
    /// One of the external addresses, with a port that leads back to a client.
    Inside,
}

/// What IKE is told of a client's ESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspWord {
    /// Something authentic came by the association with this inbound SPI, or something went out beside it.
    Used {
        /// Our SPI.
        inbound: u32,
        /// Where the newest packet came from; absent for what went out.
        from: Option<Endpoint>,
    },
    /// Its sequence numbers are nearly spent.
    Spent {
        /// Our SPI.
        inbound: u32,
    },
}

/// Who takes what leaves the road otherwise than through the door. Each call but [`Self::standing`],
/// [`Self::tell_ike`] and [`Self::make_room`] is the end of a packet's way here.
pub trait Beyond {
    /// Takes a client's packet for the outside, with nothing left to decide.
    fn outward(&mut self, owner: Owner, packet: &mut [u8], offload: Offload);

    /// Takes something for the same server at another worker; `false` where that worker has no room for it.
    fn elsewhere(&mut self, worker: u8, parcel: Parcel<'_>) -> bool;

    /// Takes a client's packet for the host itself, which may have it.
    fn host(&mut self, _owner: Owner, _packet: &mut [u8], _offload: Offload) {}

    /// Takes a client's packet for port 53 of the server's own address; `false` where nobody answers there, and the packet
    /// is as it was.
    fn resolver(&mut self, _owner: Owner, _packet: &mut [u8], _offload: Offload) -> bool {
        false
    }

    /// What an address and port outside the clients' network is to them.
    fn standing(&mut self, _protocol: u8, _to: SocketAddr) -> Standing {
        Standing::Outside
    }

    /// Takes a word for IKE about an ESP association; at most one a second for each but where the client moves.
    fn tell_ike(&mut self, _word: EspWord) {}

    /// Sends what waits for the door, for not much more fits.
    fn make_room(&mut self, _outbox: &mut Outbox) {}
}

/// What is handed over to another worker, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parcel<'a> {
    /// A datagram as it came in at the wrong door.
    Datagram {
        /// Who sent it.
        from: Endpoint,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// A client's packet for a client who lives there.
    Crossing {
        /// The packet.
        packet: &'a [u8],
        /// What it is.
        offload: Offload,
    },
    /// A packet of the host for a client who lives there.
    FromHost {
        /// The packet.
        packet: &'a [u8],
        /// What it is.
        offload: Offload,
    },
    /// A packet from outside for a client who lives there, as it came in.
    Arrival {
        /// The packet.
        packet: &'a [u8],
        /// What it is.
        offload: Offload,
    },
}
