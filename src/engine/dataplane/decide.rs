//! What is decided once a flow, and again when the rules have changed: where to, whether it may, and in whose name.
//!
//! ```text
//! redirect (port forward) → route → filter (INPUT, FORWARD or OUTPUT) → source address
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::around::{Around, Standing};
use super::exit::Name;
use super::flow::{Flow, FlowId, Opening, Side, Translation, Way, may_open};
use super::route::{self, Route};
use super::verdict::DropReason;
use super::{Dataplane, account};
use crate::domain::firewall::{Action, Chain};
use crate::engine::packet::Owner;
use crate::engine::wire::{FlowKey, Ip};

/// What was decided.
#[derive(Debug, Clone, Copy)]
struct Ruling {
    owner: Owner,
    way: Way,
    rule: Option<u32>,
    translation: Translation,
}

impl Dataplane {
    /// The flow of a packet with this key, judged by the present rules; `None` where it has none, or none any more that
    /// leaves in the right name.
    ///
    /// # Errors
    /// Why the present rules refuse it; the flow has ended.
    pub(super) fn current(
        &mut self,
        key: &FlowKey,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<Option<(FlowId, Side)>, DropReason> {
        let Some(found) = self.flows.find(key) else { return Ok(None) };
        self.judged(found, around, now)
    }

    /// The flow that an ICMP error is about, judged by the present rules; `quoted` is the key of the packet that it
    /// quotes. The error ends no flow (RFC 4787, REQ-12), but rules that have changed do.
    ///
    /// # Errors
    /// [`DropReason::ErrorUnfounded`] where there is no such flow, and why the present rules refuse it.
    pub(super) fn current_of_error(
        &mut self,
        quoted: &FlowKey,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<(FlowId, Side), DropReason> {
        let found = self.flows.find_error(quoted).ok_or(DropReason::ErrorUnfounded)?;
        self.judged(found, around, now)?.ok_or(DropReason::ErrorUnfounded)
    }

    fn judged(
        &mut self,
        (id, side): (FlowId, Side),
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<Option<(FlowId, Side)>, DropReason> {
        let Some(flow) = self.flows.get(id) else { return Ok(None) };
        if flow.epoch == self.filter.epoch() {
            return Ok(Some((id, side)));
        }
        let ruling = self.rule_again(flow, around);
        let stays = ruling.map(|ruling| {
            let flow = self.flows.get(id).filter(|flow| flow.way == ruling.way && fits(flow, ruling.translation));
            flow.map(|_| ruling.rule)
        });
        match stays {
            Ok(Some(rule)) => {
                self.flows.readmit(id, self.filter.epoch(), rule);
                Ok(Some((id, side)))
            }
            Ok(None) => {
                self.flows.close(id, around.ports, now);
                self.log_ends(None);
                Ok(None)
            }
            Err(reason) => {
                self.flows.close(id, around.ports, now);
                self.log_ends(None);
                Err(reason)
            }
        }
    }

    fn rule_again(&self, flow: &Flow, around: &mut Around<'_>) -> Result<Ruling, DropReason> {
        let key = flow.original();
        let peer = self.peers.get(flow.owner).ok_or(DropReason::PeerGone)?;
        if account::owns(&self.plan, &peer.account, key.source.ip()) {
            return self.rule_up(flow.owner, key, around);
        }
        match flow.way {
            Way::Own => self.rule_output(flow.owner, key),
            // its port was mapped when it began, and is its own as long as the flow lives
            Way::In if flow.has_mapping() => {
                self.check_name(key.destination.ip())?;
                self.rule_forwarded(flow.owner, key, flow.reply().source)
            }
            Way::Out | Way::In | Way::Across(_) => match self.find_target(key)? {
                Ok((owner, inner)) => self.rule_forwarded(owner, key, inner),
                Err(_) => Err(DropReason::PeerGone),
            },
        }
    }

    /// Begins a flow of a client's.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn decide_up(
        &mut self,
        owner: Owner,
        key: &FlowKey,
        ip: &Ip<&[u8]>,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let ruling = self.rule_up(owner, key, around);
        if matches!(ruling, Err(DropReason::InternalOff)) {
            self.traffic.internal_refused.add(super::waybill::Tally { packets: 1, bytes: ip.total_len() });
        }
        self.begin(&ruling?, key, ip, around, now)
    }

    /// Begins a flow from outside; or says at which other worker its client lives.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn decide_in(
        &mut self,
        key: &FlowKey,
        ip: &Ip<&[u8]>,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<Result<FlowId, u8>, DropReason> {
        match self.find_target(key)? {
            Ok((owner, inner)) => {
                let ruling = self.rule_forwarded(owner, key, inner)?;
                self.begin(&ruling, key, ip, around, now).map(Ok)
            }
            Err(home) => Ok(Err(home)),
        }
    }

    /// Begins a flow that an uplink of flows has let in, or answers in the server's own name.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn decide_down(
        &mut self,
        owner: Owner,
        key: &FlowKey,
        ip: &Ip<&[u8]>,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let ruling = if self.plan.is_own(key.source.ip()) {
            self.rule_output(owner, key)?
        } else {
            self.rule_forwarded(owner, key, key.destination)?
        };
        self.begin(&ruling, key, ip, around, now)
    }

    /// Begins a flow from the host to a client.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn decide_output(
        &mut self,
        owner: Owner,
        key: &FlowKey,
        ip: &Ip<&[u8]>,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let ruling = self.rule_output(owner, key)?;
        self.begin(&ruling, key, ip, around, now)
    }

    fn begin(
        &mut self,
        ruling: &Ruling,
        key: &FlowKey,
        ip: &Ip<&[u8]>,
        around: &mut Around<'_>,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        if !may_open(ip) {
            return Err(DropReason::Stray);
        }
        let Ruling { owner, way, rule, translation } = *ruling;
        let opening = Opening { owner, way, key: *key, epoch: self.filter.epoch(), rule, translation };
        let id = self.flows.open(&opening, around.ports, now)?;
        self.log_begin(id, ip);
        Ok(id)
    }

    /// A client's flow.
    fn rule_up(&self, owner: Owner, key: &FlowKey, around: &mut Around<'_>) -> Result<Ruling, DropReason> {
        let to = key.destination;
        let (way, chain) = match route::find(&self.plan, &self.peers, &self.away, to.ip())? {
            Route::Own => (Way::Own, Chain::Input),
            Route::Peer(target) => {
                self.check_internal()?;
                (Way::Across(target), Chain::Forward)
            }
            Route::Away(_) => {
                self.check_internal()?;
                (Way::Out, Chain::Forward)
            }
            Route::Outside => match around.beyond.standing(key.protocol, to) {
                Standing::Outside | Standing::Inside => (Way::Out, Chain::Forward),
                Standing::Host => (Way::Own, Chain::Input),
                Standing::Closed => return Err(DropReason::OutOfReach),
            },
        };
        let is_hosts = way == Way::Own && !self.plan.is_own(to.ip());
        let rule = if is_hosts { Some(self.judge_to_host(key)?) } else { self.judge(chain, key)? };
        let translation = if way == Way::Out { self.name(owner, key)? } else { Translation::None };
        Ok(Ruling { owner, way, rule, translation })
    }

    /// In whose name a client's flow leaves.
    fn name(&self, owner: Owner, key: &FlowKey) -> Result<Translation, DropReason> {
        if self.plan.is_inside(key.destination.ip()) {
            return Ok(Translation::None);
        }
        let external = match self.exit.name(key.destination.ip()) {
            Name::None => return Err(DropReason::NoWay),
            Name::Own => return Ok(Translation::None),
            Name::External(external) => external,
        };
        let account = &self.peers.get(owner).ok_or(DropReason::PeerGone)?.account;
        let forwarded = self.forwards.to(&account.name, key.protocol, key.source.port());
        Ok(match forwarded {
            Some(port) => Translation::SourceForwarded(SocketAddr::new(external, port)),
            None => Translation::Source(external),
        })
    }

    /// A flow from outside to a client's address and port.
    fn rule_forwarded(&self, owner: Owner, key: &FlowKey, inner: SocketAddr) -> Result<Ruling, DropReason> {
        if self.plan.is_inside(key.source.ip()) {
            self.check_internal()?;
        }
        let rule = self.judge(Chain::Forward, &FlowKey { destination: inner, ..*key })?;
        let translation = if inner == key.destination { Translation::None } else { Translation::Destination(inner) };
        Ok(Ruling { owner, way: Way::In, rule, translation })
    }

    /// A flow from the appliance or its host to a client.
    fn rule_output(&self, owner: Owner, key: &FlowKey) -> Result<Ruling, DropReason> {
        let rule = self.judge(Chain::Output, key)?;
        Ok(Ruling { owner, way: Way::Own, rule, translation: Translation::None })
    }

    /// The client's end of what comes from outside; or the other worker at which the client lives.
    fn find_target(&self, key: &FlowKey) -> Result<Result<(Owner, SocketAddr), u8>, DropReason> {
        let to = key.destination;
        if self.plan.is_inside(to.ip()) {
            // from outside only while the clients' own addresses are what they have there
            if !self.plan.is_inside(key.source.ip()) && self.exit.name(to.ip()) != Name::Own {
                return Err(DropReason::NotMapped);
            }
            if let Some(owner) = self.peers.at_address(&self.plan, to.ip()) {
                return Ok(Ok((owner, to)));
            }
            let elsewhere = self.away.at_address(&self.plan, to.ip()).ok_or(DropReason::NobodyThere)?;
            return Ok(Err(self.seat.home(elsewhere)));
        }
        self.check_name(to.ip())?;
        if let Some(forward) = self.forwards.at(key.protocol, to.port()) {
            let Some(owner) = self.peers.named(&forward.to_peer) else {
                let elsewhere = self.away.named(&forward.to_peer).ok_or(DropReason::PeerGone)?;
                return Ok(Err(self.seat.home(elsewhere)));
            };
            let peer = self.peers.get(owner).filter(|peer| peer.account.enabled).ok_or(DropReason::PeerGone)?;
            let inner = account::address_beside(&self.plan, &peer.account, to.ip()).ok_or(DropReason::NobodyThere)?;
            return Ok(Ok((owner, SocketAddr::new(inner, forward.to_port))));
        }
        self.flows.admit_inbound(key).map(Ok)
    }

    /// Whether clients leave in the name of this address. Ports that they had by another lead to nobody any more.
    fn check_name(&self, external: IpAddr) -> Result<(), DropReason> {
        if self.exit.name(external) == Name::External(external) { Ok(()) } else { Err(DropReason::NotMapped) }
    }

    pub(super) fn check_internal(&self) -> Result<(), DropReason> {
        let allowed = self.plan.server.internal_traffic && self.filter.firewall().settings.internal_traffic;
        if allowed { Ok(()) } else { Err(DropReason::InternalOff) }
    }

    /// Asks the firewall about what the host itself offers: closed to clients until a rule opens it. The rule that does.
    fn judge_to_host(&self, key: &FlowKey) -> Result<u32, DropReason> {
        let judged = self.filter.judge_to_host(key);
        match judged.action {
            Action::Accept => judged.rule.ok_or(DropReason::HostClosed),
            Action::Drop => Err(DropReason::Filtered),
        }
    }

    /// Asks the firewall; the rule that admits it.
    pub(super) fn judge(&self, chain: Chain, key: &FlowKey) -> Result<Option<u32>, DropReason> {
        if chain == Chain::Forward && !self.filter.firewall().settings.ip_forward {
            return Err(DropReason::ForwardingOff);
        }
        let judged = self.filter.judge(chain, key);
        match judged.action {
            Action::Accept => Ok(judged.rule),
            Action::Drop => Err(DropReason::Filtered),
        }
    }
}

/// Whether a flow leaves in the name that was decided.
fn fits(flow: &Flow, translation: Translation) -> bool {
    match translation {
        Translation::None => !flow.is_translated(),
        Translation::Source(external) => flow.has_mapping() && flow.reply().destination.ip() == external,
        Translation::SourceForwarded(external) => !flow.has_mapping() && flow.reply().destination == external,
        Translation::Destination(inner) => flow.reply().source == inner,
    }
}
