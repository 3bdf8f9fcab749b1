//! Port forwards: ports of the outside that lead to peers, and the way round to them for peers (hairpin).
//!
//! A forward has a listener for each family that its peer has: a flow that never ends by itself, whose OS socket the
//! driver opens. Connections that come in over it are flows like any other, only that smoltcp calls the peer. A peer that
//! speaks to a forwarded port of our own external address is led to the listener by the OS, through a [`Door`]; both
//! peers see the external address (RFC 4787, REQ-9a).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use super::reach::{Denied, HostAddresses};
use super::settings::buffer_len;
use super::table::{End, FlowId, Key, Opens};
use super::tcp::Connection;
use super::{Flows, udp};
use crate::domain::port_forward::{OuterPort, Transport};
use crate::engine::packet::Owner;
use crate::engine::wire::protocol;

/// A port of the outside that leads to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port and its protocol.
    pub outer: OuterPort,
    /// The peer.
    pub owner: Owner,
    /// The peer's address inside the tunnel.
    pub to: Ipv4Addr,
    /// The same over IPv6; without it nobody is let in over IPv6.
    pub to_v6: Option<Ipv6Addr>,
    /// The peer's port.
    pub to_port: u16,
}

/// Which forwards there are, and what peers need to know of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// The forwards to peers of ours; of two with the same outer port the first counts.
    pub forwards: Vec<Forward>,
    /// The one address that they listen on; all where there is none.
    pub bind: Option<IpAddr>,
    /// The addresses under which the outside knows the appliance, whether an interface has them or not.
    pub external: Vec<IpAddr>,
    /// Ports that other servers of the appliance forward. They must be open: what listens there is what peers reach.
    pub others: Vec<Door>,
}

/// The way round to a forwarded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Its protocol.
    pub protocol: Transport,
    /// What peers know: external address and port.
    pub shown: SocketAddr,
    /// Where the OS reaches the listener.
    pub real: SocketAddr,
}

/// The driver is to open a listener; then `handle_listening` or `handle_deaf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The flow that the listener is.
    pub flow: FlowId,
    /// What it takes.
    pub protocol: Transport,
    /// Where it listens.
    pub at: SocketAddr,
}

/// One listener, by its protocol and where it listens.
type Place = (Transport, SocketAddr);

/// To whom a listener leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    outer: OuterPort,
    owner: Owner,
    inner: SocketAddr,
}

#[derive(Debug, Clone, Copy)]
struct Listener {
    target: Target,
    id: FlowId,
    /// Whether the driver has opened it.
    open: bool,
}

/// What the machine knows about forwards. The operator's forwards bound it.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    listeners: BTreeMap<Place, Listener>,
    /// Listeners that the driver has not been asked for yet.
    wanted: Vec<Listen>,
    external: Vec<IpAddr>,
    others: Vec<Door>,
    /// Ways round, by what peers know.
    doors: BTreeMap<Place, SocketAddr>,
    /// UDP listeners by the peer's end: what a peer sends from there leaves by one of them.
    by_inner: BTreeMap<(Owner, SocketAddr), Vec<FlowId>>,
}

impl Forward {
    fn listeners(&self, bind: Option<IpAddr>) -> impl Iterator<Item = (Place, Target)> {
        let of = |any: IpAddr, inner: IpAddr| {
            let at = match bind {
                None => any,
                Some(address) if address.is_ipv4() == any.is_ipv4() => address,
                Some(_) => return None,
            };
            let inner = SocketAddr::new(inner, self.to_port);
            let target = Target { outer: self.outer, owner: self.owner, inner };
            Some(((self.outer.protocol, SocketAddr::new(at, self.outer.port)), target))
        };
        let v4 = of(Ipv4Addr::UNSPECIFIED.into(), self.to.into());
        let v6 = self.to_v6.and_then(|to| of(Ipv6Addr::UNSPECIFIED.into(), to.into()));
        v4.into_iter().chain(v6)
    }
}

impl Forwards {
    /// How many listeners there are.
    pub(super) fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Where the OS reaches what peers know by this address, if it is a forwarded port.
    pub(super) fn door(&self, protocol: Transport, shown: SocketAddr) -> Option<SocketAddr> {
        self.doors.get(&(protocol, shown)).copied()
    }

    /// The UDP listeners that lead to this end of a peer's.
    pub(super) fn of_inner(&self, owner: Owner, inner: SocketAddr) -> &[FlowId] {
        self.by_inner.get(&(owner, inner)).map_or(&[], Vec::as_slice)
    }

    /// The external address of the same family.
    fn external_beside(&self, address: IpAddr) -> Option<IpAddr> {
        self.external.iter().copied().find(|external| external.is_ipv4() == address.is_ipv4())
    }

    /// Notes everything that an open listener stands for.
    fn show(&mut self, place: Place, listener: Listener) {
        let (protocol, at) = place;
        let real = SocketAddr::new(reached(at.ip()), at.port());
        for external in self.external.iter().filter(|external| external.is_ipv4() == at.is_ipv4()) {
            self.doors.insert((protocol, SocketAddr::new(*external, at.port())), real);
        }
        if protocol == Transport::Udp {
            self.by_inner.entry((listener.target.owner, listener.target.inner)).or_default().push(listener.id);
        }
    }

    fn show_all(&mut self) {
        self.doors = self.others.iter().map(|door| ((door.protocol, door.shown), door.real)).collect();
        self.by_inner.clear();
        let open: Vec<_> = self.listeners.iter().filter(|(_, listener)| listener.open).map(|(p, l)| (*p, *l)).collect();
        for (place, listener) in open {
            self.show(place, listener);
        }
    }

    fn place_of(&self, id: FlowId) -> Option<Place> {
        self.listeners.iter().find(|(_, listener)| listener.id == id).map(|(place, _)| *place)
    }
}

/// How this host reaches what listens on an address of its own. Loopback leads to what listens on all, also where no
/// interface has the external address.
const fn reached(at: IpAddr) -> IpAddr {
    match at {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => at,
    }
}

/// What tells a listener's flow from every other: no packet goes to the unspecified address.
fn listener_key(target: &Target) -> Key {
    let any = match target.inner {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let protocol = number(target.outer.protocol);
    let destination = Some(SocketAddr::new(any, target.outer.port));
    Key { owner: target.owner, protocol, source: target.inner, destination }
}

const fn number(protocol: Transport) -> u8 {
    match protocol {
        Transport::Tcp => protocol::TCP,
        Transport::Udp => protocol::UDP,
    }
}

impl Flows {
    /// From now on these forwards exist and no others. What stays as it was keeps its listeners, and connections whose
    /// target stays go on; listeners that could not be opened are asked for again. Returns the ports for which there is
    /// no room among the flows.
    ///
    /// Afterwards the driver closes what [`Flows::poll_closed`] names, and then opens what [`Flows::poll_listen`] names.
    pub fn apply_forwarding(&mut self, forwarding: &Forwarding, now: Instant) -> Vec<OuterPort> {
        let mut wanted = BTreeMap::new();
        for forward in &forwarding.forwards {
            for (place, target) in forward.listeners(forwarding.bind) {
                wanted.entry(place).or_insert(target);
            }
        }
        self.close_listeners(&wanted);
        let refused = self.add_listeners(&wanted, now);
        self.forwards.external.clone_from(&forwarding.external);
        self.forwards.others.clone_from(&forwarding.others);
        self.forwards.show_all();
        self.end_calls_but(&wanted.into_values().collect());
        self.forget_doors();
        refused
    }

    fn close_listeners(&mut self, wanted: &BTreeMap<Place, Target>) {
        let mut listeners = std::mem::take(&mut self.forwards.listeners);
        listeners.retain(|place, listener| {
            let is_alive = self.table.get_mut(listener.id).is_some_and(|flow| !matches!(flow.end, End::Closed));
            let stays = is_alive && wanted.get(place) == Some(&listener.target);
            if !stays {
                self.end(listener.id, true);
            }
            stays
        });
        self.forwards.listeners = listeners;
        // what the driver has not opened yet is asked for once
        self.forwards.wanted.clear();
    }

    fn add_listeners(&mut self, wanted: &BTreeMap<Place, Target>, now: Instant) -> Vec<OuterPort> {
        let mut refused = BTreeSet::new();
        for (place, target) in wanted {
            let known = self.forwards.listeners.get(place).copied();
            let id = match known {
                Some(listener) if listener.open => continue,
                Some(listener) => listener.id,
                None if self.table.len() >= self.settings.limits.flows => {
                    refused.insert(target.outer);
                    continue;
                }
                None => {
                    let end = match place.0 {
                        Transport::Tcp => End::Listening,
                        Transport::Udp => End::Udp(udp::Mapping::forwarded(now)),
                    };
                    self.table.insert(listener_key(target), end, Some(target.outer))
                }
            };
            self.forwards.listeners.insert(*place, Listener { target: *target, id, open: false });
            self.forwards.wanted.push(Listen { flow: id, protocol: place.0, at: place.1 });
        }
        refused.into_iter().collect()
    }

    /// Ends the connections that came in over forwards which are gone or lead elsewhere now.
    fn end_calls_but(&mut self, targets: &BTreeSet<Target>) {
        let gone = |flow: &super::table::Flow| {
            let (owner, inner) = (flow.key.owner, flow.key.source);
            let target = flow.forward.map(|outer| Target { outer, owner, inner });
            !flow.is_listener() && target.is_some_and(|target| !targets.contains(&target))
        };
        for id in self.table.ids(gone) {
            self.end(id, true);
        }
    }

    /// Lets mappings forget the ways round that are gone.
    fn forget_doors(&mut self) {
        for id in self.table.ids(|flow| matches!(flow.end, End::Udp(_))) {
            if let Some(End::Udp(mapping)) = self.table.get_mut(id).map(|flow| &mut flow.end) {
                let forwards = &self.forwards;
                mapping.doors.retain(|pass| forwards.door(Transport::Udp, pass.shown) == Some(pass.real));
            }
        }
    }

    /// A listener that the driver is to open.
    pub fn poll_listen(&mut self) -> Option<Listen> {
        self.forwards.wanted.pop()
    }

    /// The listener is open.
    pub fn handle_listening(&mut self, id: FlowId) {
        let Some(place) = self.forwards.place_of(id) else { return };
        if let Some(listener) = self.forwards.listeners.get_mut(&place) {
            listener.open = true;
            let listener = *listener;
            self.forwards.show(place, listener);
        }
    }

    /// The listener cannot be opened. The next [`Flows::apply_forwarding`] asks for it again.
    pub fn handle_deaf(&mut self, id: FlowId) {
        if let Some(place) = self.forwards.place_of(id) {
            self.forwards.listeners.remove(&place);
        }
        self.end(id, true);
    }

    /// The ways round to the forwards of this machine that are open: what other servers' peers may be told.
    pub fn doors(&self) -> Vec<Door> {
        let others: BTreeSet<Place> = self.forwards.others.iter().map(|door| (door.protocol, door.shown)).collect();
        let own = self.forwards.doors.iter().filter(|(place, _)| !others.contains(place));
        own.map(|((protocol, shown), real)| Door { protocol: *protocol, shown: *shown, real: *real }).collect()
    }

    /// Somebody outside has connected to this listener: the peer is called, and `Some` is the flow. `None` means that the
    /// caller is to be reset.
    pub fn handle_accepted(
        &mut self,
        listener: FlowId,
        remote: SocketAddr,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Option<FlowId> {
        let flow = self.table.get_mut(listener).filter(|flow| matches!(flow.end, End::Listening))?;
        let (owner, inner, forward) = (flow.key.owner, flow.key.source, flow.forward);
        let Some(shown) = self.shown(remote, host) else {
            self.counters.unanswerable += 1;
            return None;
        };
        let key = Key { owner, protocol: protocol::TCP, source: inner, destination: Some(shown) };
        if let Some(known) = self.table.find(&key) {
            let is_over = self
                .table
                .get_mut(known)
                .is_some_and(|flow| matches!(&flow.end, End::Tcp(connection) if connection.is_waiting_out()));
            if !is_over {
                // the peer could not tell the two apart
                self.counters.unanswerable += 1;
                return None;
            }
            self.end(known, false);
        }
        if !self.table.has_room(owner, Opens::Call, &self.settings.limits) {
            self.counters.exhausted += 1;
            return None;
        }
        let buffer = buffer_len(self.table.connections_of(owner));
        let connection = Connection::call(&mut self.interface, (shown, inner), buffer, now)?;
        let id = self.table.insert(key, End::Tcp(Box::new(connection)), forward);
        self.counters.opened += 1;
        self.handle_ready(id);
        Some(id)
    }

    /// What a peer sees of a remote that came in: whoever speaks from this host shows the external address, or where that
    /// is not known the appliance's own inside. `None` for who could not be answered.
    pub(super) fn shown(&self, remote: SocketAddr, host: &mut dyn HostAddresses) -> Option<SocketAddr> {
        let address = remote.ip();
        if is_link_local(address) {
            return None;
        }
        let is_ours = address.is_loopback() || host.contains(address);
        if !is_ours || self.forwards.external.contains(&address) {
            return Some(remote);
        }
        let external = self.forwards.external_beside(address).or_else(|| self.settings.own_address(address))?;
        Some(SocketAddr::new(external, remote.port()))
    }

    /// Lets in a datagram from anybody over a forwarded port; what the peer sees of the sender.
    ///
    /// Whom `reach` refuses may be answered all the same, at the address and port that called, while it calls. Nobody can
    /// take the name of an address of this host's from outside, and of the rest only private ones can call.
    pub(super) fn admit(
        &mut self,
        id: FlowId,
        remote: SocketAddr,
        host: &mut dyn HostAddresses,
        now: Instant,
    ) -> Option<SocketAddr> {
        let shown = self.shown(remote, host)?;
        let needs_pass = match self.settings.reach.judge(remote.ip(), host) {
            Ok(()) => false,
            Err(Denied::Unlisted) => true,
            Err(Denied::Always) if remote.ip().is_loopback() || host.contains(remote.ip()) => true,
            Err(Denied::Always) => return None,
        };
        let flow = self.table.get_mut(id)?;
        // where two forwards lead to the same end, an answer has to leave by the one that was called
        let is_shared = self.forwards.of_inner(flow.key.owner, flow.key.source).len() > 1;
        if let End::Udp(mapping) = &mut flow.end
            && (needs_pass || is_shared || shown != remote)
        {
            mapping.callers.add(udp::Pass { shown, real: remote, since: now });
        }
        Some(shown)
    }

    /// The UDP listener by which a packet from this end of a peer's to that remote leaves.
    pub(super) fn forwarded(
        &mut self,
        owner: Owner,
        inner: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> Option<FlowId> {
        let mut first = None;
        for id in self.forwards.of_inner(owner, inner) {
            // one whose socket has failed leads nowhere
            let Some(End::Udp(mapping)) = self.table.get_mut(*id).map(|flow| &flow.end) else { continue };
            if mapping.callers.real_of(to, now).is_some() {
                return Some(*id);
            }
            first = first.or(Some(*id));
        }
        first
    }
}

/// A name that means something on one link alone.
const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
