//! What we ask of the client, one thing at a time, and what its answers mean.

use std::time::Duration;

use zeroize::Zeroizing;

use super::super::crypto::group::{Group, Half};
use super::super::event::{Event, Why};
use super::super::message::contents::Contents;
use super::super::message::header::{Exchange, Header};
use super::super::message::notify::number;
use super::super::message::proposal::Protocol;
use super::super::message::writer::Writer;
use super::super::proposal::{EspSuite, choice, names};
use super::child::{Child, Material};
use super::create::{NONCE, lowest};
use super::{Session, World, selectors};

/// When a successor that could not be had is asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// What is to be asked of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Errand {
    /// Whether it is there.
    Probe,
    /// The end of the association with this SPI of ours.
    Goodbye(u64),
    /// The end of the child with this SPI of ours.
    DeleteChild(u32),
    /// A successor for it.
    RekeyChild(u32),
    /// A successor for the association in use.
    RekeyIke,
}

/// What we remember of a request until it is answered.
#[derive(Debug)]
pub(in super::super) enum Task {
    /// Whether the client is there.
    Probe,
    /// The end of this association.
    Goodbye,
    /// The end of the child with this SPI of ours.
    DeleteChild(u32),
    /// A child's successor.
    RekeyChild(Box<RekeyChild>),
    /// This association's successor.
    RekeyIke(Box<RekeyIke>),
}

/// A child's successor that is being asked for.
#[derive(Debug)]
pub(in super::super) struct RekeyChild {
    pub(super) old: u32,
    new: u32,
    suite: EspSuite,
    half: Option<Half>,
    nonce: [u8; NONCE],
    /// The lower nonce of the client's own request for the same, and our SPI of the child that came of it.
    pub(super) collision: Option<(Vec<u8>, u32)>,
}

/// An association's successor that is being asked for.
#[derive(Debug)]
pub(in super::super) struct RekeyIke {
    pub(super) spi: u64,
    pub(super) half: Half,
    pub(super) nonce: [u8; NONCE],
    /// The lower nonce of the client's own request for the same, and our SPI of what came of it.
    pub(super) collision: Option<(Vec<u8>, u64)>,
}

impl Session {
    /// Puts something on the list unless it is there.
    pub(super) fn wish(&mut self, errand: Errand) {
        if !self.errands.contains(&errand) {
            self.errands.push_back(errand);
        }
    }

    /// Asks what is on the list, as far as nothing else is being asked.
    pub(super) fn run_errands(&mut self, world: &mut World<'_>) {
        if !self.is_up() {
            return;
        }
        for errand in std::mem::take(&mut self.errands) {
            let at = match errand {
                Errand::Goodbye(spi) => self.associations.iter().position(|one| one.ours() == spi),
                Errand::Probe | Errand::DeleteChild(_) | Errand::RekeyChild(_) | Errand::RekeyIke => {
                    Some(self.current())
                }
            };
            let Some(at) = at else { continue };
            if self.associations[at].pending().is_some() {
                self.errands.push_back(errand);
                continue;
            }
            let mut content = Writer::default();
            let asked = match errand {
                Errand::Probe => Some((Exchange::Informational, Task::Probe)),
                Errand::Goodbye(_) => {
                    content.delete_ike();
                    Some((Exchange::Informational, Task::Goodbye))
                }
                Errand::DeleteChild(ours) => self.children.iter().any(|child| child.ours == ours).then(|| {
                    // the client takes nothing by it any more once it has read this
                    world.events.push_back(Event::Retired { session: self.id, inbound: ours });
                    content.delete_esp(&[ours]);
                    (Exchange::Informational, Task::DeleteChild(ours))
                }),
                Errand::RekeyChild(ours) => self.rekey_child(ours, &mut content, world),
                Errand::RekeyIke => self.rekey_ike(at, &mut content, world),
            };
            let Some((exchange, task)) = asked else { continue };
            let most = self.most(world.settings);
            let messages = self.associations[at].ask((exchange, &content), task, most, world.dice, world.now).to_vec();
            world.send_all(self.path, &messages);
        }
    }

    /// Asks for a child's successor with the same algorithms, and a group if the list for children names one for them.
    fn rekey_child(&mut self, ours: u32, content: &mut Writer, world: &mut World<'_>) -> Option<(Exchange, Task)> {
        let child = self.children.iter().find(|child| child.ours == ours && child.forget_at.is_none())?;
        let suite = EspSuite { group: child.suite.group.or_else(|| wanted_group(child.suite, world)), ..child.suite };
        let half = match suite.group {
            Some(group) => Some(Half::draw(group, world.dice)?),
            None => None,
        };
        let (new, nonce): (u32, [u8; NONCE]) = (world.esp_spi(self), world.dice.array());
        content.notify_of(Protocol::Esp.number(), &ours.to_be_bytes(), number::REKEY_SA, &[]);
        content.sa(&[choice::esp_proposal(suite, 1, new)]).nonce(&nonce);
        if let Some(half) = &half {
            content.ke(names::group_number(half.group()), half.public());
        }
        selectors(content, true, child);
        let rekey = RekeyChild { old: ours, new, suite, half, nonce, collision: None };
        Some((Exchange::CreateChildSa, Task::RekeyChild(Box::new(rekey))))
    }

    fn rekey_ike(&mut self, at: usize, content: &mut Writer, world: &mut World<'_>) -> Option<(Exchange, Task)> {
        let suite = self.associations[at].suite;
        let half = Half::draw(suite.group, world.dice)?;
        let (spi, nonce): (u64, [u8; NONCE]) = (world.ike_spi(self.id), world.dice.array());
        content.sa(&[choice::ike_proposal(suite, 1, &spi.to_be_bytes())]).nonce(&nonce);
        content.ke(names::group_number(suite.group), half.public());
        let rekey = RekeyIke { spi, half, nonce, collision: None };
        Some((Exchange::CreateChildSa, Task::RekeyIke(Box::new(rekey))))
    }

    /// Takes an answer, if it is one to what was asked.
    pub(super) fn handle_response(&mut self, at: usize, header: Header, message: &[u8], world: &mut World<'_>) {
        let association = &mut self.associations[at];
        if !association.waits_for(header.id) {
            return;
        }
        let Ok(opened) = association.open(header, message, world.now) else { return };
        let Ok(contents) = Contents::parse(opened.first, &opened.chain) else { return };
        self.heard = world.now;
        match self.associations[at].take_answered(header.id) {
            None | Some(Task::Probe) => {}
            Some(Task::Goodbye) => self.end_association(at, Why::Asked, world),
            Some(Task::DeleteChild(ours)) => {
                if let Some(at) = self.children.iter().position(|child| child.ours == ours) {
                    self.retire_child(at, world);
                }
            }
            Some(Task::RekeyChild(rekey)) => self.take_child(at, &rekey, &contents, world),
            Some(Task::RekeyIke(rekey)) => self.take_successor(at, *rekey, &contents, world),
        }
        self.run_errands(world);
    }

    /// An association is over; with the last one the connection is.
    pub(super) fn end_association(&mut self, at: usize, why: Why, world: &mut World<'_>) {
        if self.associations.len() == 1 {
            return if why == Why::Peer { self.fade(world) } else { self.close(why) };
        }
        let gone = self.associations.remove(at);
        world.ike_spis.remove(&gone.ours());
        // if it was the one in use, another is: the one that it followed or that came beside it
        if let Some(last) = self.associations.last_mut().filter(|_| !gone.superseded) {
            last.superseded = false;
        }
    }

    /// Takes the client's answer to our request for a child's successor.
    fn take_child(&mut self, at: usize, rekey: &RekeyChild, contents: &Contents<'_>, world: &mut World<'_>) {
        let said = contents.sa.as_ref().and_then(|proposals| proposals.first()).and_then(|proposal| {
            let theirs = u32::from_be_bytes(proposal.spi[..].try_into().ok()?);
            (*proposal == choice::esp_proposal(rekey.suite, proposal.number, theirs)).then_some(theirs)
        });
        let shared = match &rekey.half {
            None => Some(Zeroizing::default()),
            Some(half) => {
                let wanted = names::group_number(half.group());
                contents.ke.filter(|(group, _)| *group == wanted).and_then(|(_, public)| half.agree(public))
            }
        };
        let (Some(theirs), Some(shared), Some(nonce)) = (said, shared, contents.nonce) else {
            world.esp_spis.remove(&rekey.new);
            return self.no_successor(rekey, contents.error(), world);
        };
        let Some(old) = self.children.iter().find(|child| child.ours == rekey.old).cloned() else { return };
        let child = Child { ours: rekey.new, theirs, suite: rekey.suite, used: world.now, forget_at: None, ..old };
        let association = &self.associations[at];
        let (prf, d) = (association.suite.prf, association.keys.d.clone());
        let nonces = [&rekey.nonce[..], nonce];
        let material = Material { prf, d: &d, shared: &shared, nonces, we_began: true, replaces: Some(rekey.old) };
        self.install(child, &material, world);
        let too_many = match &rekey.collision {
            // ours has the lowest nonce: we, who made it, end it; the client ends the old one
            Some((lowest_of_theirs, _)) if lowest(nonces) < *lowest_of_theirs => rekey.new,
            _ => rekey.old,
        };
        self.wish(Errand::DeleteChild(too_many));
    }

    fn no_successor(&mut self, rekey: &RekeyChild, error: Option<u16>, world: &mut World<'_>) {
        if rekey.collision.is_some() {
            return;
        }
        if error == Some(number::CHILD_SA_NOT_FOUND) {
            return self.remove_child(rekey.old, world);
        }
        for child in self.children.iter_mut().filter(|child| child.ours == rekey.old) {
            child.rekey_at = child.ends_at.map(|_| world.now + AGAIN);
        }
    }

    pub(super) fn retry_rekey(&mut self, at: usize, world: &mut World<'_>) {
        let association = &mut self.associations[at];
        association.rekey_at = association.ends_at.map(|_| world.now + AGAIN);
    }
}

/// The group that the list for children wants beside these algorithms.
fn wanted_group(suite: EspSuite, world: &World<'_>) -> Option<Group> {
    let fits = |offer: &&super::super::proposal::Offer| {
        let integrity = suite.protection.integrity.is_none_or(|integrity| offer.integrities.contains(&integrity));
        offer.encryptions.contains(&suite.protection.encryption) && integrity && !offer.group_optional
    };
    world.settings.esp.iter().find(fits).and_then(|offer| offer.groups.first().copied())
}
