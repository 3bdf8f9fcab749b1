//! The task that follows the store: it compares, tells the workers, and reports what is live.
//!
//! It waits for three things: a new intended state, a wish to look again, and the next try of servers that do not run as
//! they ought to. It owns the picture of what was told to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::os::door::Door;
use super::reconcile::{self, Step};
use super::worker::{Command, Deed, Fault, Order, Worker};
use super::{Faults, Status};
use crate::domain::intended::{Intended, Revision};
use crate::domain::name::ServerName;
use crate::domain::server::Server;
use crate::observe::fields;

/// How long until a server that could not be brought up is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What was told to whom.
pub(super) struct Conductor {
    workers: Arc<[Worker]>,
    running: Intended,
    /// The slot of each server that was told to the workers.
    slots: BTreeMap<ServerName, usize>,
    live: watch::Sender<Revision>,
    doing: watch::Sender<Status>,
    faults: Faults,
}

/// Runs until the store closes.
pub(super) fn start(conductor: Conductor, intended: watch::Receiver<Arc<Intended>>, looks: mpsc::Receiver<()>) {
    #[expect(clippy::disallowed_methods, reason = "it ends with the store, or with the last handle of the runtime")]
    tokio::spawn(conductor.run(intended, looks));
}

/// A server that cannot run, or not as it ought to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    server: ServerName,
    /// Why, for people.
    why: String,
    /// Whether it goes on as it was, because only a change of it failed.
    goes_on: bool,
}

impl Conductor {
    /// Knows the workers, and that nothing runs.
    pub(super) fn new(
        workers: Arc<[Worker]>,
        live: watch::Sender<Revision>,
        doing: watch::Sender<Status>,
        faults: Faults,
    ) -> Self {
        Self { workers, running: Intended::default(), slots: BTreeMap::new(), live, doing, faults }
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
        let mut orders = self.no_orders();
        let mut broken = Vec::new();
        for step in steps {
            if self.takes_a_port(&step) {
                // one that was given up is free only when every worker has let go of it
                broken.extend(self.carry_out(std::mem::replace(&mut orders, self.no_orders())).await);
            }
            if let Err(fault) = self.order(step, &mut orders) {
                broken.push(fault);
            }
        }
        broken.extend(self.carry_out(orders).await);
        // one that is deleted while it cannot run must not keep its slot
        self.slots.retain(|name, _| wanted.servers.contains_key(name));
        let before = std::mem::replace(&mut self.running, wanted.clone());
        self.note_faults(broken, &before);
        self.live.send_replace(wanted.revision);
        self.doing.send_replace(Status::Ready);
    }

    fn no_orders(&self) -> Vec<Vec<Order>> {
        self.workers.iter().map(|_| Vec::new()).collect()
    }

    /// Whether a step opens a port.
    fn takes_a_port(&self, step: &Step) -> bool {
        match step {
            Step::Start(_) => true,
            Step::Change(server) => self.moves(server),
            Step::Stop(_) | Step::Set(_) | Step::Remove(..) => false,
        }
    }

    /// Whether a server that runs is to have another port.
    fn moves(&self, server: &Server) -> bool {
        let running = self.running.servers.get(&server.name);
        running.is_none_or(|running| running.server.listen_port != server.listen_port)
    }

    /// Turns a step into an order for each worker.
    fn order(&mut self, step: Step, orders: &mut [Vec<Order>]) -> Result<(), Broken> {
        let name = step.server().clone();
        let slot = self.slot(&name);
        let mut tell = |deeds: Vec<Deed>| {
            for (share, deed) in orders.iter_mut().zip(deeds) {
                share.push(Order { slot, deed });
            }
        };
        let each = |deed: &dyn Fn() -> Deed| self.workers.iter().map(|_| deed()).collect::<Vec<_>>();
        let fault = |goes_on| move |why| Broken { server: name.clone(), why, goes_on };
        match step {
            Step::Start(wanted) => {
                let doors = self.open_doors(wanted.server.listen_port).map_err(fault(false))?;
                tell(doors.into_iter().map(|door| Deed::Open(wanted.clone(), door)).collect());
            }
            Step::Change(server) if self.moves(&server) => {
                let doors = self.open_doors(server.listen_port).map_err(fault(true))?;
                tell(doors.into_iter().map(|door| Deed::Change(Arc::clone(&server), Some(door))).collect());
            }
            Step::Change(server) => tell(each(&|| Deed::Change(Arc::clone(&server), None))),
            Step::Set(account) => tell(each(&|| Deed::Set(Arc::clone(&account)))),
            Step::Remove(_, account) => tell(each(&|| Deed::Remove(account.clone()))),
            Step::Stop(server) => {
                tell(each(&|| Deed::Close));
                self.slots.remove(&server);
            }
        }
        Ok(())
    }

    /// A server's slot: its own, or the lowest free one.
    fn slot(&mut self, name: &ServerName) -> usize {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let taken: BTreeSet<usize> = self.slots.values().copied().collect();
        let slot = (0..=taken.len()).find(|slot| !taken.contains(slot)).unwrap_or_default();
        self.slots.insert(name.clone(), slot);
        slot
    }

    fn open_doors(&self, port: u16) -> Result<Vec<Door>, String> {
        Door::open_shared(port, self.workers.len()).map_err(|error| format!("UDP port {port}: {error}"))
    }

    /// Has every worker carry out its orders, and waits until all have. A server that one of them cannot run is closed at
    /// all of them.
    async fn carry_out(&self, orders: Vec<Vec<Order>>) -> Vec<Broken> {
        let faults = self.tell(orders).await;
        let close = || faults.iter().map(|fault| Order { slot: fault.slot, deed: Deed::Close }).collect();
        if !faults.is_empty() {
            self.tell(self.workers.iter().map(|_| close()).collect()).await;
        }
        let named = |Fault { slot, why }: Fault| {
            let (server, _) = self.slots.iter().find(|(_, at)| **at == slot)?;
            Some(Broken { server: server.clone(), why, goes_on: false })
        };
        faults.into_iter().filter_map(named).collect()
    }

    async fn tell(&self, orders: Vec<Vec<Order>>) -> Vec<Fault> {
        let told = self.workers.iter().zip(orders).filter(|(_, share)| !share.is_empty());
        let answers: Vec<oneshot::Receiver<Vec<Fault>>> = told
            .map(|(worker, orders)| {
                let (answer, answered) = oneshot::channel();
                worker.tell(Command::Apply { orders, answer });
                answered
            })
            .collect();
        let mut faults = Vec::new();
        for answer in answers {
            faults.extend(answer.await.unwrap_or_default());
        }
        faults
    }

    /// Corrects the picture where it is not as it ought to be, so that the next look tries again: a server that could not
    /// be brought up is not there, one that could not be changed is as it was before.
    fn note_faults(&mut self, broken: Vec<Broken>, running_before: &Intended) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeSet<ServerName> = faults.drain(..).map(|(server, _)| server).collect();
        for Broken { server, why, goes_on } in broken {
            if !before.contains(&server) {
                warn!({ fields::SERVER } = %server, "Cannot run server `{server}` as it ought to: {why}");
            }
            if let Some(as_before) = running_before.servers.get(&server).filter(|_| goes_on) {
                self.running.servers.insert(server.clone(), as_before.clone());
            } else {
                self.running.servers.remove(&server);
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
