//! The flow table: what belongs together, in which state it is, and whose port it has outside.
//!
//! A packet pays one look-up ([`FlowTable::find`]); the flow that it finds holds the key of its packets and that of the
//! answers, each as it arrives, so that no stage computes a key again. Flows that are not translated (between clients, with
//! NAT turned off, before the sockets of the OS) stand in the same table. NAT follows RFC 4787 (UDP), 5382 (TCP), 5508
//! (ICMP), 6888 (limits) and 7857 (what was learnt since).

mod ends;
mod limits;
mod lists;
mod mapping;
mod open;
mod slab;
mod state;
mod table;
mod tcp;
mod wheel;

#[cfg(test)]
mod tests;

use std::time::Instant;

pub use self::ends::Ended;
pub use self::limits::FlowLimits;
pub use self::open::{Opening, Translation, may_open};
pub use self::state::State;
pub use self::table::FlowTable;
pub use self::tcp::TcpMark;
pub use crate::domain::nat::Filtering;

use self::limits::Begin;
use crate::engine::packet::Owner;
use crate::engine::wire::{FlowKey, protocol};

/// The name of a flow; one that has ended is never mistaken for another that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId {
    slot: u32,
    generation: u32,
}

impl FlowId {
    /// Its place, small and dense.
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

/// Which side of a flow a packet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From whoever began.
    Original = 0,
    /// From whoever answers.
    Reply = 1,
}

/// The side across.
const fn other(side: Side) -> Side {
    match side {
        Side::Original => Side::Reply,
        Side::Reply => Side::Original,
    }
}

/// Between whom a flow is, and who began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the owner to the outside.
    Out,
    /// From the outside to the owner: a forwarded, mapped or routed address.
    In,
    /// From the owner to another client of the same server.
    Across(Owner),
    /// Between the owner and an address of the server itself.
    Own,
}

impl Way {
    /// Whether a packet of this side comes from inside. Those alone keep a flow alive (RFC 4787, REQ-6).
    pub const fn is_outbound(self, side: Side) -> bool {
        match self {
            Self::Out => matches!(side, Side::Original),
            Self::In => matches!(side, Side::Reply),
            Self::Across(_) | Self::Own => true,
        }
    }

    const fn begin(self) -> Begin {
        match self {
            Self::In => Begin::Outside,
            Self::Out | Self::Across(_) | Self::Own => Begin::Own,
        }
    }
}

/// Packets and bytes of one side of a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets; a super-packet counts as those that it stands for.
    pub packets: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
}

/// One flow.
#[derive(Debug)]
pub struct Flow {
    original: FlowKey,
    reply: FlowKey,
    /// The client by which it exists.
    pub owner: Owner,
    /// Between whom it is.
    pub way: Way,
    /// Of which edition of the rules the judgement is that admitted it.
    pub epoch: u64,
    /// The rule that admitted it, if it was one.
    pub rule: Option<u32>,
    /// When it began.
    pub opened: Instant,
    counters: [Counter; 2],
    connection: tcp::Connection,
    state: State,
    /// The second, since the table's beginning, at which it ends if nothing happens.
    expires: u32,
    /// The port that it shares with other flows.
    mapping: Option<u32>,
    /// Bytes of its first packet, and that packet's type of service: for the log alone, and 0 while there is none.
    first: (u16, u8),
    /// Whether its end is told already, for the log alone.
    told: bool,
}

impl Flow {
    /// The key of packets of whoever began, as they arrive.
    pub const fn original(&self) -> &FlowKey {
        &self.original
    }

    /// The key of the answers, as they arrive.
    pub const fn reply(&self) -> &FlowKey {
        &self.reply
    }

    /// How far it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What came from this side.
    pub const fn counter(&self, side: Side) -> Counter {
        self.counters[side as usize]
    }

    /// Whether addresses or ports of its packets are changed.
    pub fn is_translated(&self) -> bool {
        self.reply != self.original.reversed()
    }

    /// The key with which a packet of this side leaves, or `None` where it leaves as it came.
    pub fn translated(&self, side: Side) -> Option<FlowKey> {
        let leaves = match side {
            Side::Original => self.reply,
            Side::Reply => self.original,
        };
        self.is_translated().then(|| leaves.reversed())
    }

    /// Whether its external port is one of its own, which it may share with other flows of its owner.
    pub const fn has_mapping(&self) -> bool {
        self.mapping.is_some()
    }

    fn is_half_open(&self) -> bool {
        self.original.protocol == protocol::TCP && self.state == State::Opening
    }
}
