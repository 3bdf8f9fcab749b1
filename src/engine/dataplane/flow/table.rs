//! The table itself: find, open, note, end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::nat::ports::Ports;
use super::super::verdict::DropReason;
use super::ends::{Ended, Ends};
use super::limits::Owners;
use super::mapping::Mappings;
use super::open::Opening;
use super::slab::Slab;
use super::state::{State, life};
use super::tcp::{Connection, TcpMark};
use super::wheel::Wheel;
use super::{Counter, Filtering, Flow, FlowId, FlowLimits, Side, Way};
use crate::engine::packet::Owner;
use crate::engine::wire::{FlowKey, protocol};

/// How many flows are looked at in one call of [`FlowTable::handle_deadline`].
const TURN: usize = 256;

/// All flows of the clients of one server on one worker.
#[derive(Debug)]
pub struct FlowTable {
    flows: Slab,
    owners: Owners,
    mappings: Mappings,
    wheel: Wheel,
    limits: FlowLimits,
    filtering: Filtering,
    start: Instant,
    /// What has ended, while somebody wants to know.
    ends: Option<Box<Ends>>,
}

impl FlowTable {
    /// A table without flows, for the server in this slot of its worker. The seed is secret and random, so that nobody
    /// can choose what collides.
    pub fn new(server: u16, limits: FlowLimits, filtering: Filtering, seed: u64, now: Instant) -> Self {
        Self {
            flows: Slab::new(seed),
            owners: Owners::default(),
            mappings: Mappings::new(server, seed),
            wheel: Wheel::default(),
            limits,
            filtering,
            start: now,
            ends: None,
        }
    }

    /// From now on these settings hold. What is open already stays.
    pub fn apply(&mut self, limits: FlowLimits, filtering: Filtering) {
        self.limits = limits;
        self.filtering = filtering;
    }

    /// The flow to which packets with this key belong, and on which side of it they come: the one look-up of a packet.
    pub fn find(&self, key: &FlowKey) -> Option<(FlowId, Side)> {
        self.flows.find(key)
    }

    /// The flow that an ICMP error is about, and with which side's packets the error travels. `quoted` is the key of the
    /// packet that it quotes, which went the other way. An error neither refreshes nor ends a flow (RFC 4787, REQ-12).
    pub fn find_error(&self, quoted: &FlowKey) -> Option<(FlowId, Side)> {
        self.flows.find(&quoted.reversed())
    }

    /// A flow.
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(id)
    }

    /// Notes that a later edition of the rules admits a flow too, and by which rule.
    pub fn readmit(&mut self, id: FlowId, epoch: u64, rule: Option<u32>) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.epoch = epoch;
            flow.rule = rule;
        }
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many external ports are in use by their own right, forwarded ones left out.
    pub fn mappings(&self) -> usize {
        self.mappings.len()
    }

    /// How many flows exist by this owner.
    pub fn count_of(&self, owner: Owner) -> u32 {
        self.owners.share(owner).total()
    }

    /// How many external ports this owner has.
    pub fn mappings_of(&self, owner: Owner) -> u32 {
        self.owners.share(owner).mappings
    }

    /// The flows that exist by this owner, the newest first.
    pub fn of_owner(&self, owner: Owner) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.owners.flows(owner).filter_map(|slot| Some((self.flows.id(slot), self.flows.at(slot)?)))
    }

    /// Every flow.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.flows.iter()
    }

    /// Who stands behind the external port to which a packet from outside goes, where the packet belongs to no flow and
    /// no port is forwarded. The caller opens a flow [`Way::In`] to it.
    ///
    /// # Errors
    /// [`DropReason::NotMapped`] and [`DropReason::Unsolicited`]; neither is answered (RFC 5382, REQ-4).
    pub fn admit_inbound(&self, key: &FlowKey) -> Result<(Owner, SocketAddr), DropReason> {
        // a ping's identifier is no door: what is not an answer is a question to the host
        if !matches!(key.protocol, protocol::TCP | protocol::UDP) {
            return Err(DropReason::NotMapped);
        }
        let inner = self.mappings.admit(key.protocol, key.source.ip(), key.destination, self.filtering)?;
        Ok((inner.owner, inner.address))
    }

    /// Begins a flow. Its first packet is still to be noted.
    ///
    /// # Errors
    /// The limit that its owner has come up against, or [`DropReason::FlowCollides`] where its packets or answers would
    /// look like those of another flow.
    pub fn open(&mut self, opening: &Opening, ports: &mut Ports, now: Instant) -> Result<FlowId, DropReason> {
        let Opening { owner, way, key, epoch, rule, .. } = *opening;
        if self.flows.find(&key).is_some() {
            return Err(DropReason::FlowCollides);
        }
        let all = u32::try_from(self.flows.len()).unwrap_or(u32::MAX);
        let is_tcp = key.protocol == protocol::TCP;
        let since_start = now.saturating_duration_since(self.start);
        self.owners.admit(owner, way.begin(), is_tcp, all, &self.limits, since_start)?;
        let share = self.owners.share_mut(owner);
        let answers = opening.answers(&mut self.mappings, share, &self.limits, ports, now)?;
        if answers.key == key || self.flows.find(&answers.key).is_some() {
            self.end_mapping(answers.mapping, ports, now);
            return Err(DropReason::FlowCollides);
        }
        let flow = Flow {
            original: key,
            reply: answers.key,
            owner,
            way,
            epoch,
            rule,
            opened: now,
            counters: [Counter::default(); 2],
            connection: Connection::default(),
            state: State::Opening,
            expires: deadline(self.second(now), life(&key, way, State::Opening)),
            mapping: answers.mapping,
            first: (0, 0),
            told: false,
        };
        if let Some(mapping) = flow.mapping {
            self.mappings.enter(mapping, spoken_to(&flow));
        }
        let expires = flow.expires;
        let id = self.flows.insert(flow);
        self.owners.enter(owner, way.begin(), id.slot);
        if is_tcp {
            self.owners.note_half_open(owner, way.begin(), true);
        }
        if let Way::Across(target) = way {
            self.owners.share_mut(target).crossing += 1;
        }
        self.wheel.arm(id.slot, expires, self.second(now));
        Ok(id)
    }

    /// Counts packets of one side and takes note of what they say: `tcp` is given for TCP. Whether with them another
    /// connection begins, by the ports of one that is over.
    pub fn note(
        &mut self,
        id: FlowId,
        side: Side,
        tcp: Option<&TcpMark>,
        packets: u32,
        bytes: usize,
        now: Instant,
    ) -> bool {
        let second = self.second(now);
        let Some(flow) = self.flows.get_mut(id) else { return false };
        let before = flow.state;
        let is_outbound = flow.way.is_outbound(side);
        let state = match tcp {
            Some(mark) => flow.connection.note(before, side, is_outbound, mark),
            None if side == Side::Reply => State::Established,
            None => before,
        };
        let begins = state == State::Opening && before != State::Opening;
        if begins {
            if let Some(ends) = self.ends.as_mut().filter(|_| !flow.told) {
                ends.note(Ended::of(flow, self.start));
            }
            (flow.counters, flow.opened, flow.told) = ([Counter::default(); 2], now, false);
        }
        flow.state = state;
        let counter = &mut flow.counters[side as usize];
        counter.packets += u64::from(packets);
        counter.bytes += bytes as u64;
        // RFC 7857, section 2.3: a reset does not keep a flow alive
        let refreshes = is_outbound && !tcp.is_some_and(|mark| mark.rst);
        if flow.state == before {
            if refreshes {
                flow.expires = deadline(second, life(&flow.original, flow.way, flow.state));
            }
            return false;
        }
        self.change(id, before, refreshes, second);
        begins
    }

    /// What follows from another state.
    fn change(&mut self, id: FlowId, before: State, refreshes: bool, second: u32) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        match (&mut self.ends, flow.state) {
            (Some(ends), State::Closing | State::Reset) if !flow.told => ends.begin(id, second),
            // the reset was none
            (Some(_), State::Established) => flow.told = false,
            _ => {}
        }
        // an answer from outside does not keep UDP or a ping alive, whatever the state is called
        if refreshes || flow.original.protocol == protocol::TCP {
            flow.expires = deadline(second, life(&flow.original, flow.way, flow.state));
            self.wheel.arm(id.slot, flow.expires, second);
        }
        let was_half_open = flow.original.protocol == protocol::TCP && before == State::Opening;
        if was_half_open != flow.is_half_open() {
            self.owners.note_half_open(flow.owner, flow.way.begin(), flow.is_half_open());
        }
    }

    /// When [`FlowTable::handle_deadline`] wants to be called.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let over = self.ends.as_ref().and_then(|ends| ends.next());
        let second = self.wheel.next().into_iter().chain(over).min()?;
        Some(self.start + Duration::from_secs(u64::from(second)))
    }

    /// Ends flows whose time has come, a bounded number in one call.
    pub fn handle_deadline(&mut self, ports: &mut Ports, now: Instant) {
        let second = self.second(now);
        self.tell_closed(second);
        for _ in 0..TURN {
            let Some(slot) = self.wheel.pop_due(second) else { return };
            let Some(flow) = self.flows.at(slot) else { continue };
            if flow.expires > second {
                self.wheel.arm(slot, flow.expires, second);
            } else {
                self.close(self.flows.id(slot), ports, now);
            }
        }
    }

    /// Ends a flow, and its port where no other flow uses it.
    pub fn close(&mut self, id: FlowId, ports: &mut Ports, now: Instant) {
        let Some(flow) = self.flows.remove(id) else { return };
        if let Some(ends) = self.ends.as_mut().filter(|_| !flow.told) {
            ends.note(Ended::of(&flow, self.start));
        }
        self.wheel.remove(id.slot);
        self.owners.leave(flow.owner, flow.way.begin(), id.slot);
        if flow.is_half_open() {
            self.owners.note_half_open(flow.owner, flow.way.begin(), false);
        }
        if let Way::Across(target) = flow.way {
            self.owners.share_mut(target).crossing -= 1;
        }
        if let Some(mapping) = flow.mapping {
            self.mappings.leave(mapping, spoken_to(&flow));
            self.end_mapping(flow.mapping, ports, now);
        }
    }

    /// Ends every flow from and to a client.
    pub fn close_owner(&mut self, owner: Owner, ports: &mut Ports, now: Instant) {
        while let Some(slot) = self.owners.first(owner) {
            self.close(self.flows.id(slot), ports, now);
        }
        if self.owners.share(owner).crossing > 0 {
            self.close_all_where(|flow| flow.way == Way::Across(owner), ports, now);
        }
    }

    /// Ends every flow of which this is true.
    pub fn close_all_where(&mut self, mut is_over: impl FnMut(&Flow) -> bool, ports: &mut Ports, now: Instant) {
        for slot in 0..self.flows.slots() {
            if self.flows.at(slot).is_some_and(&mut is_over) {
                self.close(self.flows.id(slot), ports, now);
            }
        }
    }

    /// Ends every flow that uses an external port, so that somebody else can have it.
    pub fn close_external(&mut self, protocol: u8, external: SocketAddr, ports: &mut Ports, now: Instant) {
        let uses = |flow: &Flow| {
            let doors = [flow.original.destination, flow.reply.destination];
            flow.original.protocol == protocol && flow.is_translated() && doors.contains(&external)
        };
        self.close_all_where(uses, ports, now);
    }

    /// Keeps account of what ends from now on, or no longer.
    pub fn watch_ends(&mut self, wanted: bool) {
        match (&self.ends, wanted) {
            (None, true) => self.ends = Some(Box::default()),
            (Some(_), false) => self.ends = None,
            (None, false) | (Some(_), true) => {}
        }
    }

    /// What a flow's first packet was, for whoever is told of its end.
    pub fn note_first(&mut self, id: FlowId, len: u16, tos: u8) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.first = (len, tos);
        }
    }

    /// The next of what has ended since this was last asked.
    pub fn pop_ended(&mut self) -> Option<Ended> {
        self.ends.as_mut()?.pop()
    }

    /// How many more have ended than could be kept, since this was last asked.
    pub fn take_untold(&mut self) -> u64 {
        self.ends.as_mut().map_or(0, |ends| std::mem::take(&mut ends.untold))
    }

    /// What every flow is whose end was not told yet, as if it ended now.
    pub fn unended(&self) -> impl Iterator<Item = Ended> + '_ {
        self.flows.iter().filter(|(_, flow)| !flow.told).map(|(_, flow)| Ended::of(flow, self.start))
    }

    /// Tells of connections that both sides have ended, long before the table lets go of them.
    fn tell_closed(&mut self, second: u32) {
        let Some(ends) = &mut self.ends else { return };
        for _ in 0..TURN {
            let Some(id) = ends.pop_over(second) else { return };
            let is_over = |flow: &&mut Flow| !flow.told && matches!(flow.state, State::Closing | State::Reset);
            if let Some(flow) = self.flows.get_mut(id).filter(is_over) {
                flow.told = true;
                ends.note(Ended::of(flow, self.start));
            }
        }
    }

    fn end_mapping(&mut self, mapping: Option<u32>, ports: &mut Ports, now: Instant) {
        let Some(mapping) = mapping else { return };
        if let Some(owner) = self.mappings.end_if_idle(mapping, ports, now) {
            self.owners.share_mut(owner).mappings -= 1;
        }
    }

    /// Whole seconds since the beginning.
    fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(u32::MAX)
    }
}

/// The second at which a flow ends that was alive in this one: never before its life is over, at most one after.
pub(super) fn deadline(second: u32, life: Duration) -> u32 {
    second.saturating_add(u32::try_from(life.as_secs()).unwrap_or(u32::MAX)).saturating_add(1)
}

/// To whom the inner side of a flow's mapping has spoken by it.
fn spoken_to(flow: &Flow) -> Option<std::net::IpAddr> {
    (flow.way == Way::Out).then(|| flow.original.destination.ip())
}
