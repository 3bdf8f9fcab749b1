//! A child: the association that packets travel in.

use std::time::{Duration, Instant};

use super::super::crypto::prf::Prf;
use super::super::event::{Event, Tunnel, Why};
use super::super::keys;
use super::super::message::selector::Selector;
use super::super::proposal::EspSuite;
use super::{Session, Stage, World};
use crate::engine::esp::association::Keys;

/// How long an inbound SPI is kept once the client has said that it is over: packets may still be under way.
const LATE_PACKETS: Duration = Duration::from_secs(5);
/// The most children of a connection.
pub(super) const CHILDREN_MAX: usize = 8;

/// A child.
#[derive(Debug, Clone)]
pub(in super::super) struct Child {
    /// Our inbound SPI.
    pub(in super::super) ours: u32,
    /// The client's inbound SPI.
    pub(super) theirs: u32,
    pub(super) suite: EspSuite,
    /// The client's side.
    pub(super) client: Vec<Selector>,
    /// The other side.
    pub(super) network: Vec<Selector>,
    pub(super) rekey_at: Option<Instant>,
    pub(super) ends_at: Option<Instant>,
    /// When anything last travelled.
    pub(super) used: Instant,
    /// Set when it is over save for packets that are under way.
    pub(super) forget_at: Option<Instant>,
}

/// What a child's keys are made of.
pub(super) struct Material<'a> {
    pub(super) prf: Prf,
    pub(super) d: &'a [u8],
    /// Empty without an exchange of its own.
    pub(super) shared: &'a [u8],
    /// Of the exchange's initiator, then of its responder.
    pub(super) nonces: [&'a [u8]; 2],
    /// Whether we began the exchange.
    pub(super) we_began: bool,
    pub(super) replaces: Option<u32>,
}

/// How long before its end something is renewed: the margin, and up to so many percent of it by chance.
pub(super) fn renewal(life: Duration, margin: Duration, fuzz_percent: u32, chance: u64) -> Duration {
    let most = margin.as_millis().saturating_mul(fuzz_percent.into()) / 100;
    let fuzz = u64::try_from(most).unwrap_or(u64::MAX);
    let fuzz = Duration::from_millis(if fuzz == u64::MAX { chance } else { chance % (fuzz + 1) });
    life.saturating_sub(margin.saturating_add(fuzz))
}

impl Session {
    /// Takes a child into use and says so.
    pub(super) fn install(&mut self, mut child: Child, material: &Material<'_>, world: &mut World<'_>) {
        let protection = child.suite.protection;
        let [first, second] = keys::child(material.prf, material.d, material.shared, material.nonces, protection);
        let (theirs, ours) = if material.we_began { (second, first) } else { (first, second) };
        let keys = |spi, keys: keys::ChildKeys| Keys {
            spi,
            suite: protection,
            extended: child.suite.extended,
            encryption: keys.encryption,
            integrity: keys.integrity,
        };
        let tunnel = Tunnel {
            inbound: keys(child.ours, theirs),
            outbound: keys(child.theirs, ours),
            seed: world.dice.array(),
            client: child.client.clone(),
            network: child.network.clone(),
            replaces: material.replaces,
            confirmed: material.we_began || material.replaces.is_none(),
        };
        if let Some(lives) = world.settings.lifetimes {
            let chance = world.dice.up_to(u64::MAX);
            child.rekey_at = Some(world.now + renewal(lives.child, lives.margin, lives.fuzz_percent, chance));
            child.ends_at = Some(world.now + lives.child);
        }
        world.events.push_back(Event::Opened { session: self.id, tunnel: Box::new(tunnel) });
        self.children.push(child);
    }

    /// The place of a child by the client's SPI, unless it is over.
    pub(super) fn child_of(&self, theirs: u32) -> Option<usize> {
        self.children.iter().position(|child| child.theirs == theirs && child.forget_at.is_none())
    }

    /// Forgets a child at once.
    pub(super) fn remove_child(&mut self, ours: u32, world: &mut World<'_>) {
        let Some(at) = self.children.iter().position(|child| child.ours == ours) else { return };
        self.children.remove(at);
        world.esp_spis.remove(&ours);
        world.events.push_back(Event::Shut { session: self.id, inbound: ours });
    }

    /// A child is over for both sides: it goes as soon as no more packets can be under way; at once where it is the only
    /// one.
    pub(super) fn retire_child(&mut self, at: usize, world: &mut World<'_>) {
        let alone = self.children.iter().filter(|child| child.forget_at.is_none()).count() == 1;
        let child = &mut self.children[at];
        let ours = child.ours;
        if alone && child.forget_at.is_none() {
            self.remove_child(ours, world);
        } else if child.forget_at.is_none() {
            child.forget_at = Some(world.now + LATE_PACKETS);
            world.events.push_back(Event::Retired { session: self.id, inbound: ours });
        }
    }

    /// The client ended the connection. Where it goes on by another, what it sent by this one is still taken for a while.
    pub(super) fn fade(&mut self, world: &mut World<'_>) {
        let others = self.account().and_then(|account| world.present.get(account));
        let goes_on = others.is_some_and(|sessions| sessions.keys().any(|session| *session != self.id));
        if !goes_on || !self.is_up() {
            return self.close(Why::Peer);
        }
        let retired = self.children.iter().map(|child| Event::Retired { session: self.id, inbound: child.ours });
        world.events.extend(retired);
        self.errands.clear();
        self.stage = Stage::Fading(world.now + LATE_PACKETS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renews_within_the_margin_and_its_fuzz() {
        let (life, margin) = (Duration::from_hours(1), Duration::from_mins(9));
        let spread = |chance| renewal(life, margin, 100, chance).as_secs();

        assert_eq!(spread(0), 3_060);
        assert_eq!(spread(540_000), 2_520);
        assert!((0..1_000_u64).map(|chance| spread(chance * 7_919)).all(|at| (2_520..=3_060).contains(&at)));
        assert_eq!(renewal(Duration::from_secs(1), margin, 0, 5), Duration::ZERO);
        // the contract's largest fuzz makes no number overflow
        assert_eq!(renewal(life, Duration::from_hours(24), 2_147_483_647, u64::MAX), Duration::ZERO);
    }
}
