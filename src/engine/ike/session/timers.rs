//! What falls due by itself.

use std::time::Instant;

use super::super::association::Waited;
use super::super::event::Why;
use super::own::Errand;
use super::{Session, Stage, Task, World};

impl Session {
    /// When to look again.
    pub(in super::super) fn next(&self, world: &World<'_>) -> Option<Instant> {
        let proof = match &self.stage {
            Stage::Opening(opening) => Some(opening.until),
            Stage::Fading(until) => return Some(*until),
            Stage::Up | Stage::Leaving | Stage::Over(_) => None,
        };
        let associations = self.associations.iter().flat_map(|one| [one.due(), one.ends_at, one.rekey_at]);
        let children = self.children.iter().flat_map(|child| {
            let idle = world.settings.idle.map(|idle| child.used + idle);
            let lives = if child.forget_at.is_some() { [None; 3] } else { [child.rekey_at, child.ends_at, idle] };
            lives.into_iter().chain([child.forget_at])
        });
        let fixed = [proof, self.late_at(), self.probe_at(world), self.lingers_until];
        associations.chain(children).chain(fixed).flatten().min()
    }

    /// When the client is to be asked whether it is there; not while anything else is asked, for that asks it too.
    fn probe_at(&self, world: &World<'_>) -> Option<Instant> {
        let asked = self.associations.get(self.current()).is_none_or(|association| association.pending().is_some());
        let silent = world.settings.probe_after.filter(|_| self.is_up() && !asked)?;
        Some(self.heard + silent)
    }

    /// Does everything that is due.
    pub(in super::super) fn handle_due(&mut self, world: &mut World<'_>) {
        let now = world.now;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Stage::Opening(opening) = &self.stage
            && opening.until <= now
        {
            return self.close(Why::Unfinished);
        }
        if let Stage::Fading(until) = self.stage {
            if until <= now {
                self.close(Why::Peer);
            }
            return;
        }
        if is_due(self.lingers_until.take_if(|at| *at <= now)) {
            return self.leave(Why::Replaced, world);
        }
        if is_due(self.late_at()) {
            self.send_late(world);
        }
        self.repeat_requests(world);
        if !self.is_up() {
            return;
        }
        self.end_lives(world);
        if !self.is_up() {
            return;
        }
        if is_due(self.probe_at(world)) {
            self.wish(Errand::Probe);
        }
        self.run_errands(world);
    }

    /// Requests that were not answered go out again; after the last the client is gone.
    fn repeat_requests(&mut self, world: &mut World<'_>) {
        let cap = world.settings.give_up_after;
        for at in (0..self.associations.len()).rev() {
            match self.associations[at].wait(cap, world.now) {
                Waited::Early => {}
                Waited::Again(messages) => world.send_all(self.path, &messages),
                Waited::InVain if self.associations[at].superseded && self.associations.len() > 1 => {
                    self.end_association(at, Why::Silent, world);
                }
                Waited::InVain => return self.close(Why::Silent),
            }
        }
    }

    fn end_lives(&mut self, world: &mut World<'_>) {
        let now = world.now;
        for at in (0..self.associations.len()).rev() {
            let association = &mut self.associations[at];
            if association.rekey_at.take_if(|when| *when <= now).is_some() && !association.superseded {
                self.wish(Errand::RekeyIke);
            }
            let association = &mut self.associations[at];
            if association.ends_at.take_if(|when| *when <= now).is_some() {
                if !association.superseded || self.associations.len() == 1 {
                    return self.leave(Why::Expired, world);
                }
                self.end_association(at, Why::Expired, world);
            }
        }
        let is_idle = |child: &super::Child| world.settings.idle.is_some_and(|most| child.used + most <= now);
        if !self.children.is_empty() && self.children.iter().all(is_idle) {
            // when nothing travels any more the connection is of no use either
            return self.leave(Why::Idle, world);
        }
        for child in self.children.clone() {
            if child.forget_at.is_some_and(|at| at <= now) {
                self.remove_child(child.ours, world);
                continue;
            }
            if child.forget_at.is_some() {
                continue;
            }
            let is_idle = world.settings.idle.is_some_and(|most| child.used + most <= now);
            if is_idle || child.ends_at.is_some_and(|at| at <= now) {
                self.wish_end(child.ours);
            } else if child.rekey_at.is_some_and(|at| at <= now) {
                self.wish(Errand::RekeyChild(child.ours));
            }
            for kept in self.children.iter_mut().filter(|kept| kept.ours == child.ours) {
                kept.rekey_at = kept.rekey_at.filter(|at| *at > now);
                kept.ends_at = kept.ends_at.filter(|at| *at > now);
                // an idle one would be due for ever until the client says that it is gone
                kept.used = if is_idle { now } else { kept.used };
            }
        }
    }

    /// Ends a child unless that is under way.
    fn wish_end(&mut self, ours: u32) {
        let ending =
            self.associations.iter().any(|one| matches!(one.pending(), Some(Task::DeleteChild(spi)) if *spi == ours));
        if !ending {
            self.wish(Errand::DeleteChild(ours));
        }
    }
}
