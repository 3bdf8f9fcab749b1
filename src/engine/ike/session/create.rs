//! `CREATE_CHILD_SA` by the client: another child, a child's successor, or the association's own. RFC 7296, sections 1.3
//! and 2.8.

use super::super::crypto::group::{Group, Half};
use super::super::keys::Secret;
use super::super::message::contents::Contents;
use super::super::message::header::Exchange;
use super::super::message::notify::number;
use super::super::message::proposal::{Proposal, Protocol, kind};
use super::super::message::selector::{self, Selector};
use super::super::message::writer::Writer;
use super::super::proposal::{Offer, choice, names};
use super::auth::networks;
use super::child::{CHILDREN_MAX, Child, Material};
use super::own::Task;
use super::{Session, World, selectors};

/// Bytes of our nonces.
pub(in super::super) const NONCE: usize = 32;

/// A refusal: a notification and its content.
pub(super) type Refusal = (u16, Vec<u8>);

/// Groups that any of these lists names.
pub(super) fn groups<'a>(lists: impl Iterator<Item = &'a Offer>) -> Vec<Group> {
    let mut groups: Vec<Group> = lists.flat_map(|offer| offer.groups.iter().copied()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Our half of an exchange and the secret, where the peer's public value is of this group.
///
/// # Errors
/// [`number::INVALID_KE_PAYLOAD`] for another group's, [`number::INVALID_SYNTAX`] for a value that is none.
pub(super) fn exchanged(
    group: Group,
    ke: Option<(u16, &[u8])>,
    world: &mut World<'_>,
) -> Result<(Half, Secret), Refusal> {
    let wanted = names::group_number(group);
    let (_, public) = ke
        .filter(|(group, _)| *group == wanted)
        .ok_or_else(|| (number::INVALID_KE_PAYLOAD, wanted.to_be_bytes().to_vec()))?;
    let half = Half::draw(group, world.dice).ok_or_else(|| (number::TEMPORARY_FAILURE, Vec::new()))?;
    let secret = half.agree(public).ok_or_else(|| (number::INVALID_SYNTAX, Vec::new()))?;
    Ok((half, secret))
}

impl Session {
    /// Takes a request.
    pub(super) fn handle_create(&mut self, at: usize, contents: &Contents<'_>, world: &mut World<'_>) {
        let is_ike = contents.sa.as_ref().is_some_and(|proposals| proposals[0].protocol == Protocol::Ike.number());
        let outcome = if self.associations[at].superseded {
            Err((number::TEMPORARY_FAILURE, Vec::new()))
        } else if is_ike {
            self.create_successor(at, contents, world)
        } else {
            self.create_child(at, contents, world)
        };
        match outcome {
            Ok(content) => self.reply(at, Exchange::CreateChildSa, &content, world),
            Err((notify, content)) => self.reply_error(at, Exchange::CreateChildSa, notify, &content, world),
        }
    }

    fn create_child(&mut self, at: usize, contents: &Contents<'_>, world: &mut World<'_>) -> Result<Writer, Refusal> {
        let plain = |notify: u16| (notify, Vec::new());
        let syntax = || plain(number::INVALID_SYNTAX);
        let proposals = contents.sa.as_ref().ok_or_else(syntax)?;
        let nonce = contents.nonce.ok_or_else(syntax)?;
        let (tsi, tsr) = contents.tsi.as_ref().zip(contents.tsr.as_ref()).ok_or_else(syntax)?;
        let old = self.rekeyed(at, contents)?;
        if old.is_none() && self.children.len() >= CHILDREN_MAX {
            return Err(plain(number::NO_ADDITIONAL_SAS));
        }
        let others = groups(world.settings.esp.iter().chain(&world.settings.ike));
        let offered = without_groups(proposals, contents.ke.is_some());
        let chosen = choice::esp(&world.settings.esp, &offered, choice::Exchange::Possible(&others));
        let Some(chosen) = chosen else {
            world.refuse_offer(self.path, Protocol::Esp, proposals);
            return Err(plain(number::NO_PROPOSAL_CHOSEN));
        };
        let exchange = chosen.suite.group.map(|group| exchanged(group, contents.ke, world)).transpose()?;
        let client = selector::narrow(&self.allowed(), tsi);
        let network = selector::narrow(&networks(&client), tsr);
        if client.is_empty() || network.is_empty() {
            return Err(plain(number::TS_UNACCEPTABLE));
        }
        let theirs = chosen.spi.try_into().map(u32::from_be_bytes).map_err(|_| plain(number::NO_PROPOSAL_CHOSEN))?;
        let (ours, own): (u32, [u8; NONCE]) = (world.esp_spi(self), world.dice.array());
        let child = Child {
            ours,
            theirs,
            suite: chosen.suite,
            client,
            network,
            rekey_at: None,
            ends_at: None,
            used: world.now,
            forget_at: None,
        };
        let mut content = Writer::default();
        content.sa(&[choice::esp_proposal(chosen.suite, chosen.number, ours)]).nonce(&own);
        let shared = exchange.map(|(half, shared)| {
            content.ke(names::group_number(half.group()), half.public());
            shared
        });
        selectors(&mut content, false, &child);
        self.note_collision(at, old, [nonce, &own], ours);
        let association = &self.associations[at];
        let (prf, d) = (association.suite.prf, association.keys.d.clone());
        let shared = shared.unwrap_or_default();
        let material = Material { prf, d: &d, shared: &shared, nonces: [nonce, &own], we_began: false, replaces: old };
        self.install(child, &material, world);
        Ok(content)
    }

    /// Our SPI of the child that a request is to follow, if it says so.
    fn rekeyed(&self, at: usize, contents: &Contents<'_>) -> Result<Option<u32>, Refusal> {
        let Some(notify) = contents.notify(number::REKEY_SA) else { return Ok(None) };
        let missing = || (number::CHILD_SA_NOT_FOUND, Vec::new());
        let theirs = notify.spi.try_into().map(u32::from_be_bytes).map_err(|_| missing())?;
        let child = &self.children[self.child_of(theirs).ok_or_else(missing)?];
        // RFC 7296, section 2.25: what we are about to end or to take elsewhere cannot be followed now
        match self.associations[at].pending() {
            Some(Task::DeleteChild(ours)) if *ours == child.ours => Err((number::TEMPORARY_FAILURE, Vec::new())),
            Some(Task::RekeyIke(_) | Task::Goodbye) => Err((number::TEMPORARY_FAILURE, Vec::new())),
            _ => Ok(Some(child.ours)),
        }
    }

    /// Both sides asked for the same child's successor at the same time: who keeps which is decided once both are here.
    fn note_collision(&mut self, at: usize, old: Option<u32>, nonces: [&[u8]; 2], theirs: u32) {
        if let (Some(Task::RekeyChild(rekey)), Some(old)) = (self.associations[at].pending_mut(), old)
            && rekey.old == old
        {
            rekey.collision = Some((lowest(nonces), theirs));
        }
    }

    /// What the client may use as a source.
    fn allowed(&self) -> Vec<Selector> {
        self.member.iter().flat_map(|member| member.addresses().map(Selector::address)).collect()
    }
}

/// The lower of two nonces, which decides a collision: RFC 7296, section 2.8.1.
pub(super) fn lowest(nonces: [&[u8]; 2]) -> Vec<u8> {
    let [first, second] = nonces;
    first.min(second).to_vec()
}

/// Without a key exchange only proposals that can do without one count, if there are any.
fn without_groups(proposals: &[Proposal], has_exchange: bool) -> Vec<Proposal> {
    let needs = |proposal: &Proposal| {
        let mut groups = proposal.transforms.iter().filter(|transform| transform.kind == kind::GROUP).peekable();
        groups.peek().is_some() && groups.all(|transform| transform.id != 0)
    };
    let free: Vec<Proposal> = proposals.iter().filter(|proposal| !needs(proposal)).cloned().collect();
    if has_exchange || free.is_empty() { proposals.to_vec() } else { free }
}
