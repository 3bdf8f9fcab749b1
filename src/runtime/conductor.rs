//! The task that follows the store: it compares, tells the workers, and reports what is live.
//!
//! It waits for three things: a new intended state, a wish to look again, and the next try of servers that do not run as
//! they ought to. It owns the picture of what was told to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::reconcile::{self, Step};
use super::worker::{Command, Fault, Worker};
use super::{Faults, Status};
use crate::domain::intended::{Intended, Revision};
use crate::domain::name::ServerName;
use crate::observe::fields;

/// How long until a server that could not be brought up is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What was told to whom.
pub(super) struct Conductor {
    workers: Arc<[Worker]>,
    running: Intended,
    /// Which worker has a server.
    homes: BTreeMap<ServerName, usize>,
    live: watch::Sender<Revision>,
    doing: watch::Sender<Status>,
    faults: Faults,
}

/// Runs until the store closes.
pub(super) fn start(conductor: Conductor, intended: watch::Receiver<Arc<Intended>>, looks: mpsc::Receiver<()>) {
    #[expect(clippy::disallowed_methods, reason = "it ends with the store, or with the last handle of the runtime")]
    tokio::spawn(conductor.run(intended, looks));
}

impl Conductor {
    /// Knows the workers, and that nothing runs.
    pub(super) fn new(
        workers: Arc<[Worker]>,
        live: watch::Sender<Revision>,
        doing: watch::Sender<Status>,
        faults: Faults,
    ) -> Self {
        Self { workers, running: Intended::default(), homes: BTreeMap::new(), live, doing, faults }
    }

    async fn run(mut self, mut intended: watch::Receiver<Arc<Intended>>, mut looks: mpsc::Receiver<()>) {
        loop {
            let wanted = Arc::clone(&intended.borrow_and_update());
            self.conform(&wanted).await;
            let broken = !self.faults.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            tokio::select! {
                changed = intended.changed() => if changed.is_err() { return },
                look = looks.recv() => if look.is_none() { return },
                () = tokio::time::sleep(TRY_AGAIN), if broken => {}
            }
        }
    }

    /// Makes `wanted` so, as far as it can be, and says so.
    async fn conform(&mut self, wanted: &Intended) {
        let steps = reconcile::steps(&self.running, wanted);
        if !steps.is_empty() {
            self.doing.send_replace(Status::Loading(format!("{} changes", steps.len())));
        }
        let answers = self.tell(steps);
        let mut broken = Vec::new();
        for answer in answers {
            broken.extend(answer.await.unwrap_or_default());
        }
        let before = std::mem::replace(&mut self.running, wanted.clone());
        self.note_faults(broken, &before);
        self.live.send_replace(wanted.revision);
        self.doing.send_replace(Status::Ready);
    }

    /// Hands each step to the worker that has its server. Within a worker the order stays; a port that moves from one
    /// worker to another is free by the second try at the latest.
    fn tell(&mut self, steps: Vec<Step>) -> Vec<oneshot::Receiver<Vec<Fault>>> {
        let mut shares: Vec<Vec<Step>> = self.workers.iter().map(|_| Vec::new()).collect();
        for step in steps {
            let home = self.home(&step);
            shares[home].push(step);
        }
        let told = self.workers.iter().zip(shares).filter(|(_, share)| !share.is_empty());
        told.map(|(worker, steps)| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::Apply { steps, answer });
            answered
        })
        .collect()
    }

    /// The worker of a step's server; a new server goes to the one with the fewest.
    fn home(&mut self, step: &Step) -> usize {
        let name = step.server();
        let home = self.homes.get(name).copied().unwrap_or_else(|| self.least());
        match step {
            Step::Stop(_) => self.homes.remove(name),
            Step::Start(_) | Step::Change(_) | Step::Set(_) | Step::Remove(..) => self.homes.insert(name.clone(), home),
        };
        home
    }

    fn least(&self) -> usize {
        let load = |worker: usize| self.homes.values().filter(|home| **home == worker).count();
        (0..self.workers.len()).min_by_key(|worker| load(*worker)).unwrap_or(0)
    }

    /// Corrects the picture where it is not as it ought to be, so that the next look tries again: a server that could not
    /// be brought up is not there, one that could not be changed is as it was before.
    fn note_faults(&mut self, broken: Vec<Fault>, running_before: &Intended) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeSet<ServerName> = faults.drain(..).map(|(server, _)| server).collect();
        for Fault { server, why, goes_on } in broken {
            if !before.contains(&server) {
                warn!({ fields::SERVER } = %server, "Cannot run server `{server}` as it ought to: {why}");
            }
            if let Some(as_before) = running_before.servers.get(&server).filter(|_| goes_on) {
                self.running.servers.insert(server.clone(), as_before.clone());
            } else {
                self.running.servers.remove(&server);
                // one that is deleted meanwhile must not count as its worker's for ever
                self.homes.remove(&server);
            }
            faults.push((server, why));
        }
        let still: BTreeSet<&ServerName> = faults.iter().map(|(server, _)| server).collect();
        let is_well = |server: &&ServerName| !still.contains(server) && self.running.servers.contains_key(*server);
        for server in before.iter().filter(is_well) {
            info!({ fields::SERVER } = %server, "Server `{server}` runs again");
        }
    }
}
