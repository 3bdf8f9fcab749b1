//! What the second opinion on the rules (`model.rs`) means for each packet of a talk, wherever it is met.

use std::net::SocketAddr;
use std::time::Duration;

use culvert::engine::dataplane::exit::Name;
use culvert::engine::wire::{FlowKey, protocol};

use crate::model::{House, Way, server_of};
use crate::packets::{Kind, Seen, Tag};
use crate::speech::{Speaker, Talk};
use crate::world::World;

/// How long a flow may be silent for sure, and how long for at most.
fn life(talk: &Talk) -> (Duration, Duration) {
    let (least, most) = match talk.key.protocol {
        protocol::TCP => (240, 2 * 3_600 + 240),
        protocol::UDP if talk.key.destination.port() == 53 => (30, 30),
        protocol::UDP => (300, 300),
        _ => (60, 60),
    };
    // seconds are whole: a flow ends at most one later
    (Duration::from_secs(least), Duration::from_secs(most + 2))
}

impl World {
    /// Whether an answer may still come, as far as the time is concerned.
    pub(crate) fn is_alive(&self, talk: usize) -> bool {
        let talk = &self.talks[talk];
        !talk.is_over && talk.left.is_none_or(|(at, _)| self.now() - at < life(talk).0)
    }

    /// Whether a client's packet may go out under these rules, in the name that it has.
    pub(crate) fn may_go_out(&self, edition: usize, client: usize, seen: &Seen) -> bool {
        let house = &self.editions[edition];
        let Some(talk) = seen.tag.map(|tag| &self.talks[self.words[tag].talk]) else { return false };
        if talk.caller == Some(client) {
            let Some(Way::Out(name, forwarded)) = house.judge_up(client, &talk.key) else { return false };
            let is_error = matches!(seen.kind, Kind::Error(_));
            let own = house.address_beside(client, seen.to.ip());
            return match name {
                Name::External(external) => {
                    let is_port = forwarded.is_none_or(|port| port == seen.source.port());
                    seen.source.ip() == external && (is_port || is_error)
                }
                Name::Own => own == Some(seen.source.ip()),
                Name::None => false,
            };
        }
        // an answer to somebody outside, from where he called
        let Some(arrived) = talk.arrived else { return false };
        let is_name = seen.source.ip() == arrived.destination.ip();
        is_name && self.enters(house, client, talk, &arrived)
    }

    /// Whether a packet from outside may come to a client under these rules.
    fn enters(&self, house: &House, client: usize, talk: &Talk, arrived: &FlowKey) -> bool {
        // a client who calls another by an external address leaves his own server first
        let caller_may = talk.caller.is_none_or(|caller| house.is_enabled(caller));
        let by_door = house.judge_in(arrived).is_some_and(|(target, _)| target == client);
        let mapped = self.mapped_end(client, arrived).is_some_and(|inner| house.may_enter(client, arrived, inner));
        caller_may && (by_door || mapped)
    }

    /// The inner end of a client who has this external one and has spoken by it to the address where the packet is from.
    fn mapped_end(&self, client: usize, arrived: &FlowKey) -> Option<SocketAddr> {
        let spoke = |talk: &&Talk| {
            talk.caller == Some(client)
                && talk.key.protocol == arrived.protocol
                && talk.external == Some(arrived.destination)
                && (talk.key.destination.ip() == arrived.source.ip())
        };
        self.talks.iter().find(spoke).map(|talk| talk.key.source)
    }

    /// Whether an answer comes when its port is forwarded to another client, and was not when it was asked for: nobody
    /// outside can know that.
    fn comes_too_late(&self, house: &House, viewer: usize, talk: &Talk) -> bool {
        let (Some(external), Some((_, asked))) = (talk.external, talk.left) else { return false };
        let key = FlowKey { source: talk.key.destination, destination: external, ..talk.key };
        let leads = |house: &House| house.judge_in(&key).map(|(client, _)| client);
        leads(house) == Some(viewer) && self.editions[asked].target(&key).is_none()
    }

    /// Whether a packet may come down to a client under these rules.
    pub(crate) fn may_come_down(&self, edition: usize, viewer: usize, seen: &Seen) -> bool {
        let house = &self.editions[edition];
        let Some(word) = seen.tag.map(|tag| self.words[tag]) else { return false };
        let talk = &self.talks[word.talk];
        let is_called = !word.is_reply && talk.arrived.is_some() && !matches!(seen.kind, Kind::Error(_));
        if talk.caller == Some(viewer) && !is_called {
            // it answers what was allowed, and not too late
            let in_time = talk.left.is_none_or(|(at, _)| self.now() - at <= life(talk).1);
            return match house.judge_up(viewer, &talk.key) {
                // where the client's own address is routed here, anybody may begin anew
                Some(Way::Out(Name::External(_), None)) => in_time,
                Some(Way::Out(..) | Way::Across(_) | Way::Own) => true,
                None => false,
            };
        }
        let is_across =
            talk.caller.is_some_and(|caller| house.judge_up(caller, &talk.key) == Some(Way::Across(viewer)));
        if word.is_reply && word.by == Speaker::Host && self.comes_too_late(house, viewer, talk) {
            return true;
        }
        is_across || talk.arrived.is_some_and(|arrived| self.enters(house, viewer, talk, &arrived))
    }

    /// Whether a packet is meant for a client at all, the firewall aside.
    pub(crate) fn is_meant_for(&self, edition: usize, viewer: usize, seen: &Seen) -> bool {
        let house = &self.editions[edition];
        let Some(word) = seen.tag.map(|tag| self.words[tag]) else { return false };
        let talk = &self.talks[word.talk];
        if matches!(seen.kind, Kind::Error(_)) {
            return word.by == Speaker::Client(viewer);
        }
        if word.is_reply {
            return talk.caller == Some(viewer) || self.comes_too_late(house, viewer, talk);
        }
        let slot = server_of(viewer);
        let is_neighbour = talk.caller.is_some_and(|caller| {
            server_of(caller) == slot
                && house.is_internal_on(slot)
                && house.client_at(slot, talk.key.destination.ip()) == Some(viewer)
        });
        let by_door = |arrived: FlowKey| {
            house.target(&arrived).is_some_and(|(target, _)| target == viewer)
                || self.mapped_end(viewer, &arrived).is_some()
        };
        is_neighbour || talk.arrived.is_some_and(by_door)
    }

    /// Whether a packet ought to pass as far as the rules are concerned, wherever it is.
    pub(crate) fn ought_to_pass(&self, tag: Tag, kind: Kind) -> bool {
        let (word, house, edition) = (self.words[tag], self.house(), self.edition());
        let talk = &self.talks[word.talk];
        // a reset begins nothing, and a talk that has broken off owes nothing
        if matches!(kind, Kind::Tcp(flags, ..) if flags.rst) || talk.is_over {
            return false;
        }
        let up = talk.caller.map(|caller| house.judge_up(caller, &talk.key));
        if !word.is_reply {
            return match (up, talk.arrived) {
                (Some(way), None) => way.is_some(),
                // it has left, and comes back by a door
                (Some(way), Some(arrived)) => way.is_some() && house.judge_in(&arrived).is_some(),
                (None, Some(arrived)) => house.judge_in(&arrived).is_some(),
                (None, None) => false,
            };
        }
        let asked_now = talk.left.is_some_and(|(_, asked)| asked == edition);
        let heard_now = talk.came == Some(edition);
        match (up, word.by) {
            (Some(Some(Way::Out(..))), Speaker::Host) => asked_now,
            (Some(Some(Way::Out(..))), Speaker::Client(callee)) => {
                let arrived = talk.arrived.filter(|_| asked_now && heard_now);
                arrived.is_some_and(|arrived| house.judge_in(&arrived).is_some_and(|(target, _)| target == callee))
            }
            (Some(Some(Way::Across(callee))), Speaker::Client(by)) => callee == by && heard_now,
            (None, Speaker::Client(callee)) => {
                let arrived = talk.arrived.filter(|_| heard_now);
                arrived.is_some_and(|arrived| house.judge_in(&arrived).is_some_and(|(target, _)| target == callee))
            }
            _ => false,
        }
    }
}
