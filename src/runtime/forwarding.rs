//! A room's port forwards on the uplink that ends flows itself: kept as they ought to be, whoever comes and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::os::door::{outward_address, outward_address_of};
use super::uplink::{Door, Forward, Forwarding, SocketsUplink};
use crate::domain::port_forward::{OuterPort, PortForward, Transport};
use crate::engine::dataplane::Dataplane;
use crate::engine::wire::protocol;

/// How long until a port that could not be opened is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What ought to be forwarded.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    wanted: Arc<BTreeMap<OuterPort, PortForward>>,
    /// What other servers forward, and this one at other workers.
    others: Vec<Door>,
    /// When a port that could not be opened is tried again.
    again: Option<Instant>,
    /// Whether the uplink has been told of any.
    told: bool,
    /// Everything that leads to a client now, as clients know it.
    shown: BTreeSet<(Transport, SocketAddr)>,
}

impl Forwards {
    /// From now on these ought to be.
    pub(super) fn want(&mut self, wanted: Arc<BTreeMap<OuterPort, PortForward>>) {
        self.wanted = wanted;
    }

    /// From now on these are the others'.
    pub(super) fn know(&mut self, others: &[Door]) {
        self.others.clear();
        self.others.extend_from_slice(others);
    }

    /// When [`Self::settle`] wants to be called.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.again
    }

    /// Has the uplink listen for the clients that live here; what could not be opened, for people.
    pub(super) fn settle(&mut self, plane: &Dataplane, uplink: &mut SocketsUplink, now: Instant) -> Vec<String> {
        if self.wanted.is_empty() && self.others.is_empty() && !self.told {
            return Vec::new();
        }
        let faults = uplink.set_forwards(&self.forwarding(plane), now);
        self.told = true;
        self.shown = uplink.doors().iter().chain(&self.others).map(|door| (door.protocol, door.shown)).collect();
        self.again = (!faults.is_empty()).then(|| now + TRY_AGAIN);
        faults
    }

    /// Whether an address and port of this host lead to a client.
    pub(super) fn leads_in(&self, protocol: u8, to: SocketAddr) -> bool {
        let transport = match protocol {
            protocol::TCP => Transport::Tcp,
            protocol::UDP => Transport::Udp,
            _ => return false,
        };
        self.shown.contains(&(transport, to))
    }

    fn forwarding(&self, plane: &Dataplane) -> Forwarding {
        let server = plane.server();
        let here = |forward: &PortForward| {
            let owner = plane.owner(&forward.to_peer)?;
            let account = plane.account(owner).filter(|account| account.enabled)?;
            let to_v6 = account.address_ipv6.filter(|_| server.ipv6);
            Some(Forward { outer: forward.outer, owner, to: account.address, to_v6, to_port: forward.to_port })
        };
        // the host's first address stands for all; a further one, for which another server may forward the same port, for
        // itself
        let first = outward_address();
        let bind = Some(server.external_ip).filter(|external| Some(*external) != first);
        let mut external = vec![server.external_ip];
        external.extend(outward_address_of(true).filter(|_| bind.is_none()));
        Forwarding {
            forwards: self.wanted.values().filter_map(here).collect(),
            bind,
            external,
            others: self.others.clone(),
        }
    }
}
