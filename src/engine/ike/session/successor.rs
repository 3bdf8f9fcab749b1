//! An IKE association's successor, whoever asks for it: RFC 7296, sections 1.3.2, 2.8 and 2.18.

use super::super::association::Association;
use super::super::keys::{self, IkeKeys, Secret};
use super::super::message::contents::Contents;
use super::super::message::header::Spis;
use super::super::message::notify::number;
use super::super::message::proposal::Protocol;
use super::super::message::writer::Writer;
use super::super::proposal::{IkeSuite, choice, names};
use super::child::renewal;
use super::create::{NONCE, Refusal, exchanged, lowest};
use super::own::{Errand, RekeyIke, Task};
use super::{Session, World};

impl Session {
    /// Answers the client's request for a successor. Children move over; the client ends the old one.
    pub(super) fn create_successor(
        &mut self,
        at: usize,
        contents: &Contents<'_>,
        world: &mut World<'_>,
    ) -> Result<Writer, Refusal> {
        let plain = |notify: u16| (notify, Vec::new());
        let proposals = contents.sa.as_ref().ok_or_else(|| plain(number::INVALID_SYNTAX))?;
        let nonce = contents.nonce.ok_or_else(|| plain(number::INVALID_SYNTAX))?;
        if !matches!(self.associations[at].pending(), None | Some(Task::Probe | Task::RekeyIke(_))) {
            // a child of ours is being followed or ended: RFC 7296, section 2.25.2
            return Err(plain(number::TEMPORARY_FAILURE));
        }
        let Some(chosen) = choice::ike(&world.settings.ike, proposals) else {
            world.refuse_offer(self.path, Protocol::Ike, proposals);
            return Err(plain(number::NO_PROPOSAL_CHOSEN));
        };
        let theirs = chosen.spi.try_into().map(u64::from_be_bytes).map_err(|_| plain(number::NO_PROPOSAL_CHOSEN))?;
        let (half, shared) = exchanged(chosen.suite.group, contents.ke, world)?;
        let own: [u8; NONCE] = world.dice.array();
        let spis = Spis { initiator: theirs, responder: world.ike_spi(self.id) };
        self.succeed(at, chosen.suite, spis, [nonce, &own], &shared, world)
            .ok_or_else(|| plain(number::TEMPORARY_FAILURE))?;
        if let Some(Task::RekeyIke(rekey)) = self.associations[at].pending_mut() {
            rekey.collision = Some((lowest([nonce, &own]), spis.responder));
        }
        let mut content = Writer::default();
        content.sa(&[choice::ike_proposal(chosen.suite, chosen.number, &spis.responder.to_be_bytes())]).nonce(&own);
        content.ke(names::group_number(half.group()), half.public());
        Ok(content)
    }

    /// Puts the successor of an association behind it. `None` where its keys do not fit its suite.
    fn succeed(
        &mut self,
        at: usize,
        suite: IkeSuite,
        spis: Spis,
        nonces: [&[u8]; 2],
        shared: &Secret,
        world: &mut World<'_>,
    ) -> Option<()> {
        let we_began = world.ike_spis.get(&spis.initiator) == Some(&self.id);
        let old = &self.associations[at];
        let seed = keys::skeyseed_of_successor(old.suite.prf, &old.keys.d, nonces, shared);
        let keys = IkeKeys::derive(&suite, &seed, nonces, spis);
        self.associations.push(Association::new(suite, keys, spis, we_began, 0)?);
        self.associations[at].superseded = true;
        self.associations[at].rekey_at = None;
        self.set_lives(self.associations.len() - 1, world);
        Some(())
    }

    /// Takes the client's answer to our request for a successor.
    pub(super) fn take_successor(
        &mut self,
        at: usize,
        rekey: RekeyIke,
        contents: &Contents<'_>,
        world: &mut World<'_>,
    ) {
        let suite = self.associations[at].suite;
        let said = contents
            .sa
            .as_ref()
            .and_then(|proposals| proposals.first())
            .filter(|proposal| *proposal == &choice::ike_proposal(suite, proposal.number, &proposal.spi));
        let theirs = said.and_then(|proposal| <[u8; 8]>::try_from(&proposal.spi[..]).ok()).map(u64::from_be_bytes);
        let shared = contents.ke.filter(|(group, _)| *group == names::group_number(suite.group));
        let shared = shared.and_then(|(_, public)| rekey.half.agree(public));
        let (Some(theirs), Some(shared), Some(nonce)) = (theirs, shared, contents.nonce) else {
            world.ike_spis.remove(&rekey.spi);
            if rekey.collision.is_none() {
                self.retry_rekey(at, world);
            }
            return;
        };
        let spis = Spis { initiator: rekey.spi, responder: theirs };
        if self.succeed(at, suite, spis, [&rekey.nonce, nonce], &shared, world).is_none() {
            return;
        }
        match rekey.collision {
            // ours has the lowest nonce: it is the one too many, and we, who made it, end it
            Some((lowest_of_theirs, kept)) if lowest([&rekey.nonce, nonce]) < lowest_of_theirs => {
                self.supersede(rekey.spi);
                self.errands.push_back(Errand::Goodbye(rekey.spi));
                self.keep_last(kept);
            }
            _ => self.errands.push_back(Errand::Goodbye(self.associations[at].ours())),
        }
    }

    fn supersede(&mut self, spi: u64) {
        for association in self.associations.iter_mut().filter(|association| association.ours() == spi) {
            association.superseded = true;
            association.rekey_at = None;
        }
    }

    fn keep_last(&mut self, spi: u64) {
        if let Some(at) = self.associations.iter().position(|association| association.ours() == spi) {
            let kept = self.associations.remove(at);
            self.associations.push(kept);
        }
    }

    /// When an association is to have a successor, and when it must be over.
    pub(super) fn set_lives(&mut self, at: usize, world: &mut World<'_>) {
        let Some(lives) = world.settings.lifetimes else { return };
        let chance = world.dice.up_to(u64::MAX);
        let association = &mut self.associations[at];
        association.ends_at = Some(world.now + lives.ike);
        let renews = !lives.reauthenticate;
        let renewal = renewal(lives.ike, lives.margin, lives.fuzz_percent, chance);
        association.rekey_at = renews.then(|| world.now + renewal);
    }
}
