//! All flows: by what a packet says, and by their own name.

use std::collections::HashMap;
use std::net::SocketAddr;

use foldhash::fast::FixedState;

use super::settings::{HALF_OPEN_OF_OWNER, Limits};
use super::{ping, tcp, udp};
use crate::domain::port_forward::OuterPort;
use crate::engine::packet::Owner;

/// The name of a flow; one that has ended is never mistaken for another that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId {
    index: u32,
    generation: u32,
}

impl FlowId {
    /// Its place, small and dense: where the driver keeps its OS socket.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    pub(super) const fn slot(self) -> u32 {
        self.index
    }
}

/// What the packets of a flow have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) owner: Owner,
    pub(super) protocol: u8,
    pub(super) source: SocketAddr,
    /// Only TCP's flows have one: mappings of UDP and ping do not depend on it (RFC 4787, REQ-1; RFC 5508, REQ-1).
    pub(super) destination: Option<SocketAddr>,
}

/// One flow.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) key: Key,
    /// Whether it stands in the queue of those that have something to do.
    pub(super) queued: bool,
    /// Whether it is a TCP connection that has not been answered yet.
    pub(super) half_open: bool,
    /// The forwarded port that it listens on, or by which it came in.
    pub(super) forward: Option<OuterPort>,
    pub(super) end: End,
}

impl Flow {
    /// Whether it is a listener of a forwarded port.
    pub(super) const fn is_listener(&self) -> bool {
        self.forward.is_some() && !matches!(self.end, End::Tcp(_))
    }
}

/// What is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    /// A mapping of UDP or pings.
    Mapping,
    /// A TCP connection of the peer's.
    Connection,
    /// A TCP connection to the peer, by a forwarded port.
    Call,
}

/// What our end of a flow is.
#[derive(Debug)]
pub(super) enum End {
    /// The OS has been asked to connect; the peer's SYN waits.
    Connecting(tcp::HeldSyn),
    /// A TCP connection with the peer on one side and the OS on the other.
    Tcp(Box<tcp::Connection>),
    /// A UDP mapping.
    Udp(udp::Mapping),
    /// A mapping of pings.
    Ping(ping::Mapping),
    /// A TCP port that leads to the peer.
    Listening,
    /// Nothing any more: waits until the driver has closed its OS socket.
    Closed,
}

/// How the OS socket of a flow that ended is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Which flow.
    pub flow: FlowId,
    /// Whether what is still on its way is to be thrown away and the far end told so (RST).
    pub abort: bool,
}

/// What one peer has open.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    flows: usize,
    connections: usize,
    half_open: usize,
    /// Connections by forwarded ports, which are among the connections.
    called: usize,
    /// Those of them that the peer has not answered yet.
    calling: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    flow: Option<Flow>,
}

/// All flows of a machine.
#[derive(Debug)]
pub(super) struct Table {
    keys: HashMap<Key, FlowId, FixedState>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    closed: Vec<Closed>,
    tallies: Vec<Tally>,
}

impl Table {
    /// An empty table; the seed keeps strangers from choosing keys that collide.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            keys: HashMap::with_hasher(FixedState::with_seed(seed)),
            slots: Vec::new(),
            free: Vec::new(),
            closed: Vec::new(),
            tallies: Vec::new(),
        }
    }

    pub(super) fn find(&self, key: &Key) -> Option<FlowId> {
        self.keys.get(key).copied()
    }

    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        let slot = self.slots.get_mut(id.index())?;
        slot.flow.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// The flow that holds this place now.
    pub(super) fn at(&self, index: u32) -> Option<FlowId> {
        let slot = self.slots.get(index as usize)?;
        slot.flow.as_ref().map(|_| FlowId { index, generation: slot.generation })
    }

    /// So many flows are open, closing ones included.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many flows this peer has, listeners left out.
    pub(super) fn flows_of(&self, owner: Owner) -> usize {
        self.tallies.get(owner.index()).map_or(0, |tally| tally.flows)
    }

    /// How many TCP connections this peer has.
    pub(super) fn connections_of(&self, owner: Owner) -> usize {
        self.tallies.get(owner.index()).map_or(0, |tally| tally.connections)
    }

    /// Whether one more flow of this kind is within the bounds.
    ///
    /// Nobody may have more than is still free: however many peers take all they can get, one share is left for those
    /// that have little (the dynamic threshold of Choudhury and Hahne, 1998). Strangers who call take no more than half of
    /// what a peer may have, so that they cannot keep it from speaking itself.
    pub(super) fn has_room(&self, owner: Owner, opens: Opens, limits: &Limits) -> bool {
        let tally = self.tallies.get(owner.index()).copied().unwrap_or_default();
        let free = limits.flows.saturating_sub(self.len());
        let is_within = match opens {
            Opens::Mapping => true,
            Opens::Connection => tally.half_open < HALF_OPEN_OF_OWNER,
            Opens::Call => tally.calling < HALF_OPEN_OF_OWNER && tally.called < limits.flows_of_owner.div_ceil(2),
        };
        is_within && tally.flows < free.min(limits.flows_of_owner)
    }

    /// Adds a flow; the caller has asked [`Self::has_room`]. Listeners are the operator's and count to no peer.
    pub(super) fn insert(&mut self, key: Key, end: End, forward: Option<OuterPort>) -> FlowId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let half_open = matches!(end, End::Connecting(_) | End::Tcp(_));
        let flow = Flow { key, queued: false, half_open, forward, end };
        let tally = self.tally(key.owner);
        tally.flows += usize::from(!flow.is_listener());
        tally.connections += usize::from(half_open);
        if half_open && forward.is_some() {
            tally.called += 1;
            tally.calling += 1;
        } else {
            tally.half_open += usize::from(half_open);
        }
        let slot = &mut self.slots[index as usize];
        slot.flow = Some(flow);
        let id = FlowId { index, generation: slot.generation };
        self.keys.insert(key, id);
        id
    }

    /// The OS's connection stands: the peer is answered.
    pub(super) fn establish(&mut self, id: FlowId, connection: Box<tcp::Connection>) {
        let Some(flow) = self.get_mut(id) else { return };
        flow.end = End::Tcp(connection);
        self.settle(id);
    }

    /// The connection has been answered: it is half open no longer.
    pub(super) fn settle(&mut self, id: FlowId) {
        let Some(flow) = self.get_mut(id).filter(|flow| flow.half_open) else { return };
        flow.half_open = false;
        let (owner, is_call) = (flow.key.owner, flow.forward.is_some());
        let tally = self.tally(owner);
        *(if is_call { &mut tally.calling } else { &mut tally.half_open }) -= 1;
    }

    /// Ends a flow: packets do not find it any more, and its place is free once [`Self::poll_closed`] has named it.
    pub(super) fn close(&mut self, id: FlowId, abort: bool) {
        self.settle(id);
        let Some(flow) = self.get_mut(id) else { return };
        let (key, is_listener, is_call) = (flow.key, flow.is_listener(), flow.forward.is_some());
        let end = std::mem::replace(&mut flow.end, End::Closed);
        let tally = self.tally(key.owner);
        match end {
            End::Closed => return,
            End::Connecting(_) | End::Tcp(_) => {
                tally.connections -= 1;
                tally.called -= usize::from(is_call);
            }
            End::Udp(_) | End::Ping(_) | End::Listening => {}
        }
        tally.flows -= usize::from(!is_listener);
        self.keys.remove(&key);
        self.closed.push(Closed { flow: id, abort });
    }

    /// A flow that has ended, whose place is free from now on.
    pub(super) fn poll_closed(&mut self) -> Option<Closed> {
        let closed = self.closed.pop()?;
        let slot = &mut self.slots[closed.flow.index()];
        slot.flow = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(closed.flow.index);
        Some(closed)
    }

    /// The flows that `wanted` picks.
    pub(super) fn ids(&self, mut wanted: impl FnMut(&Flow) -> bool) -> Vec<FlowId> {
        let indices = 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let open = indices.filter(|index| self.slots[*index as usize].flow.as_ref().is_some_and(&mut wanted));
        open.filter_map(|index| self.at(index)).collect()
    }

    fn tally(&mut self, owner: Owner) -> &mut Tally {
        if owner.index() >= self.tallies.len() {
            self.tallies.resize(owner.index() + 1, Tally::default());
        }
        &mut self.tallies[owner.index()]
    }
}
