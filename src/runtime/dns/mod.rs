//! Drives `engine::dns`: one resolver a worker, the questions of its clients, and the sockets to the forwarders.
//!
//! What is remembered is answered by the worker that opened the packet, without a lock and without another thread. What
//! is not goes over a bounded queue to a task that asks the forwarder, and its reply comes back to the worker.

mod errand;
mod fetch;
mod lists;
mod service;
mod streams;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use mio::Waker;
use tokio::sync::mpsc;

pub(super) use self::errand::start;
pub(super) use self::lists::{Lists, start as keep_lists};
pub(super) use self::service::Service;
use super::os::entropy;
use crate::domain::dns::{Forwarder, askers};
use crate::domain::intended::Intended;
use crate::domain::limits;
use crate::domain::server::Server;
pub(super) use crate::engine::dns::Settings;
use crate::engine::dns::{Ask, Asker, Bounds, Resolver, Ticket};

/// Replies of forwarders that may wait for a worker.
const REPLIES: usize = 1_024;

/// What the resolver of every worker is told.
pub(super) fn settings(wanted: &Intended, configured: &[Forwarder]) -> Settings {
    Settings {
        enabled: wanted.dns.enabled,
        forwarders: wanted.dns.forwarders_in_force(configured),
        longest: wanted.dns.max_cache_ttl.into(),
    }
}

/// A question to a forwarder on its way there, with the way back.
#[derive(Debug)]
pub(super) struct Errand {
    ask: Ask,
    back: Back,
}

/// The way back to a worker.
#[derive(Debug, Clone)]
struct Back {
    replies: SyncSender<Reply>,
    waker: Arc<Waker>,
}

/// What became of a question to a forwarder.
#[derive(Debug)]
enum Reply {
    /// A message has come.
    Message(Ticket, Vec<u8>),
    /// Nobody listens there, or the connection broke.
    Failure(Ticket),
}

impl Back {
    /// Tells the worker. One that has no room for more loses it, as a full link does: the question is asked again.
    fn tell(&self, reply: Reply) {
        match self.replies.try_send(reply) {
            Ok(()) | Err(TrySendError::Full(_)) => {
                // a worker that cannot be woken ends, and says so itself
                let _ = self.waker.wake();
            }
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The resolver of one worker.
#[derive(Debug)]
pub(super) struct Dns {
    machine: Resolver,
    errands: mpsc::Sender<Errand>,
    replies: Receiver<Reply>,
    back: Back,
    lists: Arc<Lists>,
    /// Where answers are written.
    memory: Vec<u8>,
}

impl Dns {
    /// One that serves nobody yet; `of` workers share what may be remembered.
    pub(super) fn new(errands: mpsc::Sender<Errand>, waker: Arc<Waker>, of: u8) -> Self {
        let (sender, replies) = sync_channel(REPLIES);
        let share = usize::from(of.max(1));
        let bounds = Bounds { entries: limits::DNS_CACHE_ENTRIES / share, bytes: limits::DNS_CACHE_BYTES / share };
        let machine = Resolver::new(bounds, || u32::from_ne_bytes(entropy::bytes()));
        Self {
            machine,
            errands,
            replies,
            back: Back { replies: sender, waker },
            lists: Arc::default(),
            memory: Vec::new(),
        }
    }

    /// From now on these settings hold.
    pub(super) fn apply(&mut self, settings: Settings, now: Instant) {
        self.machine.apply(settings, now);
    }

    /// Whether anybody is answered.
    pub(super) fn is_enabled(&self) -> bool {
        self.machine.is_enabled()
    }

    /// Serves the clients of the server in this slot.
    pub(super) fn serve(&mut self, slot: usize, server: &Server) {
        if let Ok(slot) = u16::try_from(slot) {
            self.machine.serve(slot, askers(server));
            self.machine.block(slot, Arc::clone(self.lists.of(&server.name)));
        }
    }

    /// From now on these lists hold; [`Self::serve`] tells the machine for each server.
    pub(super) fn set_lists(&mut self, lists: Arc<Lists>) {
        self.lists = lists;
    }

    /// The server in this slot is gone.
    pub(super) fn leave(&mut self, slot: usize) {
        if let Ok(slot) = u16::try_from(slot) {
            self.machine.leave(slot);
        }
    }

    /// The machine, for those who read its figures.
    pub(super) fn machine(&self) -> &Resolver {
        &self.machine
    }

    /// Takes what came back, and does what is due; `answered` gets the answers to those who have waited.
    pub(super) fn turn(&mut self, now: Instant, mut answered: impl FnMut(Asker, &[u8])) {
        while let Ok(reply) = self.replies.try_recv() {
            match reply {
                Reply::Message(ticket, message) => self.machine.handle_reply(ticket, &message, now),
                Reply::Failure(ticket) => self.machine.handle_failure(ticket, now),
            }
        }
        if self.machine.poll_deadline().is_some_and(|due| due <= now) {
            self.machine.handle_deadline(now);
        }
        self.send();
        while let Some((asker, message)) = self.machine.poll_answer() {
            answered(asker, &message);
        }
    }

    /// Sends what is to be asked on its way; whether somebody is to be answered. Where no more can be sent, the question
    /// fails in its own time.
    pub(super) fn send(&mut self) -> bool {
        while let Some(ask) = self.machine.poll_ask() {
            // full is as good as lost on the way, and is asked again as that is
            let _ = self.errands.try_send(Errand { ask, back: self.back.clone() });
        }
        self.machine.has_answers()
    }

    /// When [`Self::turn`] wants to be called though nothing came.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.machine.poll_deadline()
    }
}

/// What the resolver has done at these servers, by their slots.
pub(super) fn figures<'a>(
    dns: &Dns,
    servers: impl Iterator<Item = (usize, &'a Server)>,
) -> crate::domain::dns::DnsFigures {
    let machine = dns.machine();
    let (entries, bytes) = machine.remembered();
    let counted =
        servers.filter_map(|(slot, server)| Some((server.name.clone(), machine.counters(u16::try_from(slot).ok()?))));
    let servers: BTreeMap<_, _> = counted.collect();
    let blocked = machine.most_blocked().collect();
    crate::domain::dns::DnsFigures { servers, entries: entries as u64, bytes: bytes as u64, blocked }
}
