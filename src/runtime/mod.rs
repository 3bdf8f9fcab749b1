//! Makes it so: owns threads, sockets, devices and the clock.
//!
//! [`Runtime`] is the handle that the rest of the house holds. It follows the store's [`Intended`] by a `watch`: boot,
//! edit and restore are the same event. It never names the store.

mod arrivals;
mod conductor;
mod dns;
mod esp;
mod forwarding;
pub mod ikev2;
mod kernel;
mod link;
pub mod os;
mod parcels;
mod question;
pub mod reconcile;
mod responder;
mod room;
mod share;
pub mod steering;
mod traffic_log;
pub mod uplink;
mod worker;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use self::ikev2::{Ike, Ikev2Sessions};
use self::kernel::Kernel;
use self::os::tun::{Queue, Tun};
use self::share::Descriptors;
use self::steering::Steering;
use self::traffic_log::TrafficLog;
use self::worker::{Command, Ways, Worker};
use crate::domain::dns::{BlocklistSource, Forwarder};
use crate::domain::figures::AccountFigures;
use crate::domain::intended::{Intended, Revision};
use crate::domain::name::{AccountName, ServerName};
use crate::domain::nat::NatSettings;
use crate::domain::restriction::Restrictions;
use crate::domain::traffic::Passed;
use crate::domain::traffic_log::{Record, TrafficLogSettings, Transport};
use crate::engine::flows::reach::Reach;
use crate::observe::traffic_log::{Entry, Losses, Surroundings, Trial, try_out};

/// How long a change may take to become live before its caller is told that it is not.
pub const SETTLE_BOUND: Duration = Duration::from_secs(5);
/// The most workers: their number has to fit in a byte of a session's index, several times for an even spread.
const WORKERS_MAX: usize = 64;
/// The file in the folder that remembers the kernel's settings.
const MEMORY: &str = "host-settings";
/// How long workers get to end.
const STOP_BOUND: Duration = Duration::from_millis(1_500);

/// What the operator lets the runtime choose.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Which uplink to take.
    pub uplink: UplinkWish,
    /// Whom the resolver asks where the API names nobody.
    pub forwarders: Vec<Forwarder>,
    /// Lists of names that the resolver does not answer.
    pub blocklists: Vec<BlocklistSource>,
    /// Prefixes that peers may reach though they are closed by default.
    pub reach_allow: Vec<IpNet>,
    /// How clients' packets are translated.
    pub nat: NatSettings,
    /// How the traffic log travels to its syslog server.
    pub syslog: Transport,
    /// How many threads move packets; the number of cores where absent.
    pub workers: Option<usize>,
    /// The UDP ports of IKEv2.
    pub ikev2: ikev2::Ports,
    /// The folder where the kernel's settings are remembered that `tun` changes, so that they can be put back, and where
    /// records of the traffic log lie until they are taken.
    pub folder: PathBuf,
}

/// What the operator lets clients do, beside what the store holds.
#[derive(Debug, Clone, Default)]
struct Policy {
    reach: Reach,
    nat: NatSettings,
}

/// Which uplink the operator asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UplinkWish {
    /// The best that can be had.
    Auto,
    /// Ordinary sockets of this process, which change nothing about the host.
    #[default]
    Sockets,
    /// A TUN device.
    Tun,
}

/// Why the runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operator asks for an uplink that cannot be had.
    #[error("uplink `tun` cannot be had: {0}; use `sockets` or `auto`")]
    NoTun(String),
    /// The operating system refuses what every worker needs.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] std::io::Error),
}

/// What the runtime is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Everything that can run runs.
    Ready,
    /// Working; says on what.
    Loading(String),
}

/// Which way packets leave, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Why it was chosen, for people.
    pub why: String,
}

/// A change did not become live within [`SETTLE_BOUND`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the change is stored but not live yet")]
pub struct Unsettled;

/// Servers that do not run as they ought to, with the reason, for people; and those that speak no IKEv2 though they ought to.
type Faults = Arc<Mutex<[Vec<(ServerName, String)>; 2]>>;

/// The handle to what runs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    uplink: Arc<Uplink>,
    settled: watch::Receiver<Revision>,
    status: watch::Receiver<Status>,
    faults: Faults,
    workers: Arc<[Worker]>,
    steering: Option<Arc<Mutex<Steering>>>,
    forwarders: Arc<[Forwarder]>,
    again: mpsc::Sender<oneshot::Sender<()>>,
    restrictions: watch::Sender<Arc<Restrictions>>,
    in_force: watch::Receiver<Arc<Restrictions>>,
    ike: Option<Ike>,
    ikev2: Ikev2Sessions,
    /// What the traffic log has lost.
    log_losses: Arc<Losses>,
    /// What the traffic log's writers know; absent where none run.
    log_surroundings: Option<Arc<Surroundings>>,
    /// Closes when the traffic log is written.
    log_ended: watch::Receiver<()>,
}

impl Runtime {
    /// Starts the workers and follows `intended` from now on. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]. A server that cannot be brought up is none: see [`Self::faults`].
    pub fn start(settings: &Settings, intended: watch::Receiver<Arc<Intended>>) -> Result<Self, StartError> {
        let (uplink, steering, queues) = choose(settings)?;
        let count = u8::try_from(count_workers(settings)).unwrap_or(1);
        let policy = Policy { reach: Reach::new(settings.reach_allow.clone()), nat: settings.nat.clone() };
        let limit = os::descriptors::raise_limit();
        let (descriptors, errands) = (Descriptors::new(limit), dns::start(limit));
        let (ike, parts) = Ike::prepare()?;
        let log = TrafficLog::start(&settings.syslog, steering.is_some(), &settings.folder);
        let log_losses = log.sink.losses();
        let ways = Ways { errands, log: log.sink, ike: ike.clone() };
        let workers: Arc<[Worker]> = Worker::start_all(count, &policy, &descriptors, queues, &ways)?.into();
        let ikev2 = Ikev2Sessions::default();
        Ike::start(parts, settings.ikev2, Arc::clone(&workers), ikev2.clone())?;
        dns::keep_lists(settings.blocklists.clone(), settings.folder.clone(), Arc::clone(&workers));
        let (live, settled) = watch::channel(Revision(0));
        let (doing, status) = watch::channel(Status::Loading("starting".into()));
        let (again, looks) = mpsc::channel(1);
        let (restrictions, held) = watch::channel(Arc::default());
        let (held_now, in_force) = watch::channel(Arc::default());
        let faults = Faults::default();
        let forwarders: Arc<[Forwarder]> = settings.forwarders.clone().into();
        conductor::start(
            conductor::Conductor::new(
                Arc::clone(&workers),
                Arc::clone(&forwarders),
                steering.clone().map(|steering| Kernel::new(steering, settings.nat.ports.clone())),
                responder::Responder::new(ike.clone(), settings.ikev2),
                conductor::Said {
                    live,
                    in_force: held_now,
                    doing,
                    faults: Arc::clone(&faults),
                    traffic_log: log.settings,
                },
            ),
            conductor::Wishes { intended, restrictions: held, looks },
        );
        let (uplink, ike) = (Arc::new(uplink), Some(ike));
        Ok(Self {
            uplink,
            settled,
            status,
            faults,
            workers,
            steering,
            forwarders,
            again,
            restrictions,
            in_force,
            ike,
            ikev2,
            log_losses,
            log_surroundings: Some(log.surroundings),
            log_ended: log.ended,
        })
    }

    /// A runtime that runs nothing and settles at once: for a command that finds no process running, and for tests of
    /// the rooms above.
    pub fn detached() -> Self {
        let (_, settled) = watch::channel(Revision(u64::MAX));
        let (_, status) = watch::channel(Status::Ready);
        let (again, _) = mpsc::channel(1);
        let (restrictions, _) = watch::channel(Arc::default());
        let (_, in_force) = watch::channel(Arc::default());
        let uplink = Arc::new(Uplink { name: "none", why: "nothing runs".into() });
        let (faults, workers, ikev2) = (Faults::default(), Arc::new([]), Ikev2Sessions::default());
        let forwarders = Arc::new([]);
        let (_, log_ended) = watch::channel(());
        Self {
            uplink,
            settled,
            status,
            faults,
            workers,
            steering: None,
            forwarders,
            again,
            restrictions,
            in_force,
            ike: None,
            ikev2,
            log_losses: Arc::default(),
            log_surroundings: None,
            log_ended,
        }
    }

    /// Which way packets leave, and why.
    pub fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Servers that do not run as they ought to, with the reason, for people. Each is tried again every few seconds.
    pub fn faults(&self) -> Vec<(ServerName, String)> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }

    /// Waits until everything up to `revision` is live.
    ///
    /// # Errors
    /// [`Unsettled`] after [`SETTLE_BOUND`].
    pub async fn settled(&self, revision: Revision) -> Result<(), Unsettled> {
        let mut settled = self.settled.clone();
        let wait = settled.wait_for(|live| *live >= revision);
        match tokio::time::timeout(SETTLE_BOUND, wait).await {
            // a runtime that has stopped, or never ran, has nothing left to make live
            Ok(Ok(_) | Err(_)) => Ok(()),
            Err(_) => Err(Unsettled),
        }
    }

    /// Tells everything that runs again what it is to be; returns when that is done, or after [`SETTLE_BOUND`]. No session
    /// ends by it.
    pub async fn reload(&self) {
        let (answer, answered) = oneshot::channel();
        let done = async {
            if self.again.send(answer).await.is_ok() {
                let _ = answered.await;
            }
        };
        let _ = tokio::time::timeout(SETTLE_BOUND, done).await;
    }

    /// The figures of every account that has spoken since the process began.
    pub async fn figures(&self) -> Vec<AccountFigures> {
        let mut all = Vec::new();
        for answer in self.ask(None) {
            all.extend(answer.await.unwrap_or_default());
        }
        all
    }

    /// The figures of one account, if it has spoken.
    pub async fn account_figures(&self, account: &AccountName) -> Option<AccountFigures> {
        for answer in self.ask(Some(account)) {
            if let Some(figures) = answer.await.unwrap_or_default().pop() {
                return Some(figures);
            }
        }
        None
    }

    fn ask(&self, account: Option<&AccountName>) -> Vec<oneshot::Receiver<Vec<AccountFigures>>> {
        let ask = |worker: &Worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::Figures { account: account.cloned(), answer });
            answered
        };
        self.workers.iter().map(ask).collect()
    }

    /// Whom the resolver asks where the API names nobody.
    pub fn configured_forwarders(&self) -> &[Forwarder] {
        &self.forwarders
    }

    /// How many records the traffic log has lost, by place.
    pub fn traffic_log_losses(&self) -> [(&'static str, u64); 3] {
        self.log_losses.counts()
    }

    /// Sends one record to every collector of these settings now; what each of them said. None where nothing runs.
    pub async fn try_traffic_log(&self, settings: &TrafficLogSettings, record: Record) -> Option<Trial> {
        let surroundings = self.log_surroundings.as_ref()?;
        Some(try_out(Entry { at: os::clock::timestamp(), record }, settings, surroundings).await)
    }

    /// Who is connected by IKEv2.
    pub fn ikev2(&self) -> &Ikev2Sessions {
        &self.ikev2
    }

    /// Ends an account's connections by IKEv2; whether it had any. They are gone from the table at once; its client is told
    /// afterwards, and may come again.
    pub fn disconnect_ikev2(&self, account: &AccountName) -> bool {
        let was_connected = self.ikev2.take(account.as_str());
        if let Some(ike) = self.ike.as_ref() {
            ike.tell(ikev2::Command::Disconnect(account.clone()));
        }
        was_connected
    }

    /// The host's own address towards the internet, by which clients are likely to reach it.
    pub fn outward_address(&self) -> Option<IpAddr> {
        os::door::outward_address()
    }

    /// What accounts have moved since this was last asked, each account as often as it was told. Whoever asks and does not
    /// wait for the answer loses it.
    pub async fn take_passed(&self) -> Vec<Passed> {
        self.told(Command::Passed).await
    }

    /// Holds these accounts back from now on, and nobody else; returns when it is so.
    ///
    /// # Errors
    /// [`Unsettled`] after [`SETTLE_BOUND`].
    pub async fn restrict(&self, restrictions: Restrictions) -> Result<(), Unsettled> {
        let wanted = Arc::new(restrictions);
        self.restrictions.send_replace(Arc::clone(&wanted));
        let mut in_force = self.in_force.clone();
        let wait = in_force.wait_for(|present| Arc::ptr_eq(present, &wanted));
        match tokio::time::timeout(SETTLE_BOUND, wait).await {
            Ok(Ok(_) | Err(_)) => Ok(()),
            Err(_) => Err(Unsettled),
        }
    }

    /// What every worker says to this, one after the other.
    async fn told(&self, command: impl Fn(oneshot::Sender<Vec<Passed>>) -> Command) -> Vec<Passed> {
        let ask = |worker: &Worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(command(answer));
            answered
        };
        let mut all = Vec::new();
        for answer in self.workers.iter().map(ask).collect::<Vec<_>>() {
            all.extend(answer.await.unwrap_or_default());
        }
        all
    }

    /// Ends every tunnel and thread; returns when they are gone, or after 1.5 s, with what accounts have moved until then
    /// and nobody has asked for.
    pub async fn stop(&self) -> Vec<Passed> {
        let mut last = Vec::new();
        let ended = async {
            if let Some(ike) = &self.ike {
                let (answer, answered) = oneshot::channel();
                ike.tell(ikev2::Command::Stop(answer));
                let _ = answered.await;
            }
            last = self.told(Command::Stop).await;
            for worker in self.workers.iter() {
                worker.ended().await;
            }
            let mut log_ended = self.log_ended.clone();
            while log_ended.changed().await.is_ok() {}
        };
        let _ = tokio::time::timeout(STOP_BOUND, ended).await;
        if let Some(steering) = &self.steering {
            let left = steering.lock().unwrap_or_else(PoisonError::into_inner).release();
            for fault in left.faults {
                warn!("The network is not as it was before: {fault}");
            }
        }
        last
    }
}

/// How many threads move packets.
fn count_workers(settings: &Settings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    settings.workers.unwrap_or(cores).clamp(1, WORKERS_MAX)
}

/// An uplink, and what one for whole packets needs.
type Chosen = (Uplink, Option<Arc<Mutex<Steering>>>, Option<Vec<Queue>>);

/// Takes the best uplink that the wish allows.
fn choose(settings: &Settings) -> Result<Chosen, StartError> {
    let sockets = |why: String| (Uplink { name: "sockets", why }, None, None);
    let open = || {
        steering::can_open()?;
        let tun = Tun::open(kernel::UPLINK, count_workers(settings))
            .map_err(|error| format!("interface {}: {error}", kernel::UPLINK))?;
        let steering = Steering::open(&settings.folder.join(MEMORY)).map_err(|error| error.to_string())?;
        Ok((Some(Arc::new(Mutex::new(steering))), Some(tun.queues)))
    };
    let tun = |why: &str, (steering, queues)| (Uplink { name: "tun", why: why.into() }, steering, queues);
    match settings.uplink {
        UplinkWish::Sockets => Ok(sockets("the configuration asks for it".into())),
        UplinkWish::Tun => open().map(|parts| tun("the configuration asks for it", parts)).map_err(StartError::NoTun),
        UplinkWish::Auto => Ok(match open() {
            Ok(parts) => tun("it is the faster one, and this process may use it", parts),
            Err(why) => sockets(format!("it needs no privilege; `tun` cannot be had: {why}")),
        }),
    }
}
