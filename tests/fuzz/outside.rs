//! Hosts outside that take, give, end and break at random.

use std::collections::BTreeMap;

use culvert::engine::flows::reach::HostAddresses;
use culvert::engine::flows::{FlowId, Moved, Outside};

use crate::dice::Dice;

/// One host's end of a connection.
#[derive(Default)]
pub(crate) struct Far {
    pub(crate) got: Vec<u8>,
    pub(crate) gives: Vec<u8>,
    pub(crate) ends: bool,
    pub(crate) broken: bool,
    pub(crate) stuck: bool,
    pub(crate) finished: bool,
}

/// All hosts, by the flow's place.
pub(crate) struct Hosts {
    pub(crate) far: BTreeMap<usize, Far>,
    /// Whether reads and writes are cut at random places.
    pub(crate) dice: Dice,
}

impl Hosts {
    fn far(&mut self, flow: FlowId) -> &mut Far {
        self.far.entry(flow.index()).or_default()
    }
}

impl Outside for Hosts {
    fn write(&mut self, flow: FlowId, bytes: &[u8]) -> Moved {
        let some = 1 + self.dice.below(bytes.len().max(1));
        let far = self.far(flow);
        assert!(!far.finished, "bytes followed the end");
        if far.broken {
            return Moved::Broken;
        }
        if far.stuck || bytes.is_empty() {
            return Moved::Blocked;
        }
        let length = some.min(bytes.len());
        far.got.extend_from_slice(&bytes[..length]);
        Moved::Bytes(length)
    }

    fn read(&mut self, flow: FlowId, room: &mut [u8]) -> Moved {
        let far = self.far(flow);
        let length = room.len().min(far.gives.len());
        if far.broken {
            return Moved::Broken;
        }
        if length == 0 {
            return if far.ends && far.gives.is_empty() { Moved::Ended } else { Moved::Blocked };
        }
        for (place, byte) in room.iter_mut().zip(far.gives.drain(..length)) {
            *place = byte;
        }
        Moved::Bytes(length)
    }

    fn finish(&mut self, flow: FlowId) {
        self.far(flow).finished = true;
    }
}

/// No address is the host's own.
pub(crate) struct NoHost;

impl HostAddresses for NoHost {
    fn contains(&mut self, _: std::net::IpAddr) -> bool {
        false
    }
}
