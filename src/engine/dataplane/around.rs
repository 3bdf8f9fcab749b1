//! What the road leads to and is not its own: the door, the uplink, other workers.

use crate::engine::outbox::{Endpoint, Outbox};
use crate::engine::packet::{Offload, Owner};

/// What a call of the machine is lent.
pub struct Around<'a> {
    /// Where sealed datagrams wait for the door.
    pub outbox: &'a mut Outbox,
    /// Who takes what leaves the road otherwise.
    pub beyond: &'a mut dyn Beyond,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

/// Who takes what leaves the road otherwise than through the door. Each call is the end of a packet's way here.
pub trait Beyond {
    /// Takes a client's packet for the outside, with nothing left to decide.
    fn outward(&mut self, owner: Owner, packet: &mut [u8], offload: Offload);

    /// Takes something for the same server at another worker.
    /// `false` where that worker has no room for it.
    fn elsewhere(&mut self, worker: u8, parcel: Parcel<'_>) -> bool;
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
    /// A packet from outside for a client who lives there, as it came in.
    Arrival {
        /// The packet.
        packet: &'a [u8],
        /// What it is.
        offload: Offload,
    },
}
