//! The task that follows the store: it compares, tells the workers, and reports what is live.
//!
//! It waits for three things: a new intended state, a wish to look again, and the next try of servers that do not run as
//! they ought to. It owns the picture of what was told to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::dns;
use super::kernel::Kernel;
use super::os::clock;
use super::os::door::Door;
use super::os::ports;
use super::os::tun::{Queue, Tun};
use super::reconcile::{self, Step};
use super::responder::Responder;
use super::room::Opening;
use super::worker::{Command, Deed, Fault, Order, Worker};
use super::{Faults, Status};
use crate::domain::dns::Forwarder;
use crate::domain::intended::{Intended, IntendedServer, Revision};
use crate::domain::name::ServerName;
use crate::domain::restriction::Restrictions;
use crate::domain::server::Server;
use crate::domain::traffic_log::TrafficLogSettings;
use crate::engine::dataplane::exit::Exit;
use crate::engine::dataplane::shape::ServerLimit;
use crate::observe::fields;

/// How long until a server that could not be brought up is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// How many accounts are told before it is said again how far that is.
const SAID_EVERY: usize = 64;

/// How often the kernel's part is looked at, so that what somebody changed there is mended.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What was told to whom.
pub(super) struct Conductor {
    workers: Arc<[Worker]>,
    running: Intended,
    /// Whom the resolver asks where the API names nobody.
    forwarders: Arc<[Forwarder]>,
    /// What the workers were told of the resolver.
    resolver: Option<dns::Settings>,
    /// The slot of each server that was told to the workers.
    slots: BTreeMap<ServerName, usize>,
    /// How each server's packets leave, as the workers know it.
    exits: BTreeMap<ServerName, Exit>,
    /// The kernel's part of an uplink for whole packets.
    kernel: Option<Kernel>,
    /// IKEv2.
    responder: Responder,
    said: Said,
}

/// What the conductor says.
pub(super) struct Said {
    /// What is live.
    pub(super) live: watch::Sender<Revision>,
    /// Who is held back.
    pub(super) in_force: watch::Sender<Arc<Restrictions>>,
    /// What it is doing.
    pub(super) doing: watch::Sender<Status>,
    /// What does not run.
    pub(super) faults: Faults,
    /// What is logged; absent until that is known.
    pub(super) traffic_log: watch::Sender<Option<Arc<TrafficLogSettings>>>,
}

/// What the conductor follows.
pub(super) struct Wishes {
    /// What ought to run.
    pub(super) intended: watch::Receiver<Arc<Intended>>,
    /// Who is held back for the moment.
    pub(super) restrictions: watch::Receiver<Arc<Restrictions>>,
    /// Wishes to tell everything anew, and who waits until that is done.
    pub(super) looks: mpsc::Receiver<oneshot::Sender<()>>,
}

/// Runs until the store closes.
pub(super) fn start(conductor: Conductor, wishes: Wishes) {
    #[expect(clippy::disallowed_methods, reason = "it ends with the store, or with the last handle of the runtime")]
    tokio::spawn(conductor.run(wishes));
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
        forwarders: Arc<[Forwarder]>,
        kernel: Option<Kernel>,
        responder: Responder,
        said: Said,
    ) -> Self {
        let (running, slots, exits) = (Intended::default(), BTreeMap::new(), BTreeMap::new());
        Self { workers, running, forwarders, resolver: None, slots, exits, kernel, responder, said }
    }

    async fn run(mut self, Wishes { mut intended, mut restrictions, mut looks }: Wishes) {
        let mut anew: Option<oneshot::Sender<()>> = None;
        loop {
            let wanted = Arc::clone(&intended.borrow_and_update());
            let held = Arc::clone(&restrictions.borrow_and_update());
            let wanted = if held.is_empty() { wanted } else { Arc::new(wanted.under(&held)) };
            self.conform(&wanted, anew.is_some()).await;
            self.said.in_force.send_replace(held);
            if let Some(caller) = anew.take() {
                // a caller that has gone away wanted no answer
                let _ = caller.send(());
            }
            let faults = self.said.faults.lock().unwrap_or_else(PoisonError::into_inner).concat();
            let broken = !faults.is_empty();
            tokio::select! {
                changed = intended.changed() => if changed.is_err() { return },
                changed = restrictions.changed() => if changed.is_err() { return },
                look = looks.recv() => match look {
                    Some(caller) => anew = Some(caller),
                    None => return,
                },
                () = tokio::time::sleep(TRY_AGAIN), if broken => {}
                () = tokio::time::sleep(LOOK_AGAIN), if self.kernel.is_some() => {}
            }
        }
    }

    /// Makes `wanted` so, as far as it can be, and says so. With `anew`, what runs is told again what it is to be: that
    /// ends nothing that need not end, and mends whatever is not as it was told.
    async fn conform(&mut self, wanted: &Intended, anew: bool) {
        let steps = reconcile::steps(&self.running, wanted);
        let steps = if anew { reconcile::steps_anew(&self.running, wanted, steps) } else { steps };
        let mut orders = self.no_orders();
        let mut broken = Vec::new();
        let all = steps.len();
        for (done, step) in steps.into_iter().enumerate() {
            if done % SAID_EVERY == 0 || step.is_of_a_server() {
                self.said
                    .doing
                    .send_replace(Status::Loading(format!("Wireguard {step}, {} of {all} changes", done + 1)));
            }
            if self.takes_a_port(&step) {
                // one that was given up is free only when every worker has let go of it
                broken.extend(self.carry_out(std::mem::replace(&mut orders, self.no_orders())).await);
            }
            if let Err(fault) = self.order(step, wanted, &mut orders) {
                broken.push(fault);
            }
        }
        broken.extend(self.carry_out(orders).await);
        self.settle_firewall(wanted, anew).await;
        self.settle_resolver(wanted, anew).await;
        self.settle_traffic_log(wanted, anew).await;
        self.settle_doors(wanted).await;
        broken.extend(self.settle_kernel(wanted, &broken).await);
        // one that is deleted while it cannot run must not keep its slot
        self.slots.retain(|name, _| wanted.servers.contains_key(name));
        let before = std::mem::replace(&mut self.running, wanted.clone());
        self.note_faults(broken, &before);
        let without = self.responder.conform(&self.running, &self.workers).await;
        self.said.faults.lock().unwrap_or_else(PoisonError::into_inner)[1] = without;
        self.said.live.send_replace(wanted.revision);
        self.said.doing.send_replace(Status::Ready);
    }

    fn no_orders(&self) -> Vec<Vec<Order>> {
        self.workers.iter().map(|_| Vec::new()).collect()
    }

    /// Whether a step opens a port.
    fn takes_a_port(&self, step: &Step) -> bool {
        match step {
            Step::Start(_) => true,
            Step::Change(server) => self.moves(server),
            Step::Stop(_) | Step::Set(_) | Step::Remove(..) | Step::Forward(..) => false,
        }
    }

    /// Whether a server that runs is to have another port.
    fn moves(&self, server: &Server) -> bool {
        let running = self.running.servers.get(&server.name);
        running.is_none_or(|running| running.server.listen_port != server.listen_port)
    }

    /// Turns a step into an order for each worker.
    fn order(&mut self, step: Step, intended: &Intended, orders: &mut [Vec<Order>]) -> Result<(), Broken> {
        let name = step.server().clone();
        let slot = self.slot(&name);
        let mut tell = |deeds: Vec<Deed>| {
            for (share, deed) in orders.iter_mut().zip(deeds) {
                share.push(Order { slot, deed });
            }
        };
        let each = |deed: &dyn Fn() -> Deed| self.workers.iter().map(|_| deed()).collect::<Vec<_>>();
        let fault = |why, goes_on| Broken { server: name.clone(), why, goes_on };
        match step {
            Step::Start(wanted) => {
                let doors = self.open_doors(wanted.server.listen_port).map_err(|why| fault(why, false))?;
                let devices = self.open_device(&wanted.server).map_err(|why| fault(why, false))?;
                let exit = self.kernel.as_ref().map_or(Exit::Flows, |kernel| kernel.exit(&wanted.server));
                self.exits.insert(name.clone(), exit);
                let limit = Arc::new(ServerLimit::new(clock::now()));
                let open = |(door, device)| {
                    let firewall = Arc::clone(&intended.firewall);
                    Deed::Open(Box::new(Opening {
                        wanted: wanted.clone(),
                        door,
                        device,
                        firewall,
                        exit,
                        limit: Arc::clone(&limit),
                    }))
                };
                tell(doors.into_iter().zip(devices).map(open).collect());
            }
            Step::Change(server) if self.moves(&server) => {
                let doors = self.open_doors(server.listen_port).map_err(|why| fault(why, true))?;
                tell(doors.into_iter().map(|door| Deed::Change(Arc::clone(&server), Some(door))).collect());
            }
            Step::Change(server) => tell(each(&|| Deed::Change(Arc::clone(&server), None))),
            Step::Set(account) => tell(each(&|| Deed::Set(Arc::clone(&account)))),
            Step::Remove(_, account) => tell(each(&|| Deed::Remove(account.clone()))),
            Step::Forward(_, forwards) => tell(each(&|| Deed::Forward(Arc::clone(&forwards)))),
            Step::Stop(server) => {
                tell(each(&|| Deed::Close));
                self.slots.remove(&server);
                self.exits.remove(&server);
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

    /// A queue of a server's own device for each worker, where the uplink is for whole packets.
    fn open_device(&self, server: &Server) -> Result<Vec<Option<Queue>>, String> {
        if self.kernel.is_none() {
            return Ok(self.workers.iter().map(|_| None).collect());
        }
        let name = server.interface.to_string();
        let tun = Tun::open(&name, self.workers.len()).map_err(|error| format!("interface {name}: {error}"))?;
        Ok(tun.queues.into_iter().map(Some).collect())
    }

    /// Tells every worker the firewall, if it is another.
    async fn settle_firewall(&self, wanted: &Intended, anew: bool) {
        let is_same = Arc::ptr_eq(&self.running.firewall, &wanted.firewall) || self.running.firewall == wanted.firewall;
        if is_same && !anew {
            return;
        }
        let told = self.workers.iter().map(|worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::Firewall { firewall: Arc::clone(&wanted.firewall), answer });
            answered
        });
        for answer in told.collect::<Vec<_>>() {
            // a worker that has ended judges nothing
            let _ = answer.await;
        }
    }

    /// Tells every worker how to resolve, if that is otherwise than before, or `anew`.
    async fn settle_resolver(&mut self, wanted: &Intended, anew: bool) {
        let settings = dns::settings(wanted, &self.forwarders);
        if self.resolver.as_ref() == Some(&settings) && !anew {
            return;
        }
        let told = self.workers.iter().map(|worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::Dns { settings: settings.clone(), answer });
            answered
        });
        for answer in told.collect::<Vec<_>>() {
            // a worker that has ended resolves nothing
            let _ = answer.await;
        }
        self.resolver = Some(settings);
    }

    /// Tells the log's writers and every worker what is logged, if that is otherwise than before, or `anew`.
    async fn settle_traffic_log(&self, wanted: &Intended, anew: bool) {
        if self.said.traffic_log.borrow().as_ref() == Some(&wanted.traffic_log) && !anew {
            return;
        }
        self.said.traffic_log.send_replace(Some(Arc::clone(&wanted.traffic_log)));
        let told = self.workers.iter().map(|worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::TrafficLog { settings: Arc::clone(&wanted.traffic_log), answer });
            answered
        });
        for answer in told.collect::<Vec<_>>() {
            // a worker that has ended logs nothing
            let _ = answer.await;
        }
    }

    /// Tells every worker what the others forward, so that a client reaches a neighbour by the external address.
    async fn settle_doors(&self, wanted: &Intended) {
        let has_any = |intended: &Intended| intended.servers.values().any(|server| !server.forwards.is_empty());
        if self.kernel.is_some() || !(has_any(wanted) || has_any(&self.running)) {
            return;
        }
        let asked = self.workers.iter().map(|worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::Doors(answer));
            answered
        });
        let mut doors = Vec::new();
        for answer in asked.collect::<Vec<_>>() {
            doors.extend(answer.await.unwrap_or_default());
        }
        let doors = Arc::new(doors);
        for worker in self.workers.iter() {
            worker.tell(Command::AllDoors(Arc::clone(&doors)));
        }
    }

    /// Has the kernel steer as it ought to, and tells the workers what that means for them.
    async fn settle_kernel(&mut self, wanted: &Intended, broken: &[Broken]) -> Vec<Broken> {
        let Some(kernel) = &mut self.kernel else { return Vec::new() };
        let runs = |name: &&ServerName| !broken.iter().any(|fault| fault.server == **name && !fault.goes_on);
        let servers: Vec<(usize, &IntendedServer)> = (wanted.servers.iter())
            .filter(|(name, _)| runs(name))
            .filter_map(|(name, server)| Some((*self.slots.get(name)?, server)))
            .collect();
        let table = kernel.look(&servers, &wanted.firewall);
        let mut orders: Vec<Vec<Order>> = self.workers.iter().map(|_| Vec::new()).collect();
        for (slot, IntendedServer { server, .. }) in &servers {
            let exit = kernel.exit(server);
            if self.exits.insert(server.name.clone(), exit) != Some(exit) {
                for share in &mut orders {
                    share.push(Order { slot: *slot, deed: Deed::Leave(exit) });
                }
            }
        }
        let faults = kernel.conform(&servers, &wanted.firewall);
        let in_use = Arc::new(ports::in_use());
        for worker in self.workers.iter() {
            worker.tell(Command::Table(Arc::clone(&table)));
            worker.tell(Command::InUse(Arc::clone(&in_use)));
        }
        self.carry_out(orders).await;
        let named = |why: String| {
            wanted.servers.keys().map(move |server| Broken { server: server.clone(), why: why.clone(), goes_on: true })
        };
        faults.into_iter().flat_map(named).collect()
    }

    fn open_doors(&self, port: u16) -> Result<Vec<Door>, String> {
        Door::open_shared(port, self.workers.len()).map_err(|error| format!("UDP port {port}: {error}"))
    }

    /// Has every worker carry out its orders, and waits until all have. A server that one of them cannot run is closed at
    /// all of them.
    async fn carry_out(&self, orders: Vec<Vec<Order>>) -> Vec<Broken> {
        let faults = self.tell(orders).await;
        let ended = || faults.iter().filter(|fault| !fault.goes_on);
        let close = || ended().map(|fault| Order { slot: fault.slot, deed: Deed::Close }).collect();
        if ended().next().is_some() {
            self.tell(self.workers.iter().map(|_| close()).collect()).await;
        }
        let named = |Fault { slot, why, goes_on }: Fault| {
            let (server, _) = self.slots.iter().find(|(_, at)| **at == slot)?;
            Some(Broken { server: server.clone(), why, goes_on })
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
    /// be brought up is not there, one that could not be changed is as it was before, and one that has only now been
    /// brought up and lacks something runs, without the forwards that are to be tried again.
    fn note_faults(&mut self, broken: Vec<Broken>, running_before: &Intended) {
        let [faults, _] = &mut *self.said.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeSet<ServerName> = faults.drain(..).map(|(server, _)| server).collect();
        let down: BTreeSet<ServerName> =
            broken.iter().filter(|fault| !fault.goes_on).map(|fault| fault.server.clone()).collect();
        for Broken { server, why, .. } in broken {
            if !before.contains(&server) {
                warn!({ fields::SERVER } = %server, "Cannot run server `{server}` as it ought to: {why}");
            }
            match running_before.servers.get(&server) {
                _ if down.contains(&server) => {
                    self.running.servers.remove(&server);
                }
                Some(as_before) => {
                    self.running.servers.insert(server.clone(), as_before.clone());
                }
                None => {
                    if let Some(begun) = self.running.servers.get_mut(&server) {
                        begun.forwards = Arc::default();
                    }
                }
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
