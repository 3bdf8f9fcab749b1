//! IKEv2 at work: a thread that owns the responder and its two ports, and the way to it.
//!
//! Agreeing on keys and proving who one is takes milliseconds; it is done here, so that no packet waits for it. What
//! travels by these keys is the workers' (`runtime/esp.rs`): they are told of every association, and tell when one is used.

mod sessions;
mod thread;
mod wish;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mio::{Poll, Token, Waker};
use tokio::sync::oneshot;
use tracing::error;

pub use self::sessions::Ikev2Sessions;
use super::os::door::Door;
use super::worker::Worker;
use crate::domain::intended::Intended;
use crate::domain::name::AccountName;
use crate::engine::dataplane::around::EspWord;
use crate::engine::outbox::Endpoint;

/// Commands that may wait.
const COMMANDS: usize = 4_096;
/// The commands' own token.
const COMMAND: Token = Token(usize::MAX);

/// The UDP ports of IKEv2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Where clients begin: 500 (RFC 7296, section 2).
    pub ike: u16,
    /// Where they go on, with their packets beside it: 4500 (RFC 3948).
    pub esp: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { ike: 500, esp: 4_500 }
    }
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Follows what ought to run from now on, and says when it does. Without `on` nobody is let in.
    Follow {
        /// What ought to run.
        intended: Box<Intended>,
        /// Whether anybody may come in.
        on: bool,
        /// Where the word goes that it is so.
        answer: oneshot::Sender<()>,
    },
    /// Uses these doors, to the first port and to the second; or none.
    Doors(Option<Box<(Door, Door)>>),
    /// Ends an account's connections; it may come again.
    Disconnect(AccountName),
    /// A worker's word about an association.
    Word(EspWord),
    /// A message that came in at a worker's door.
    Message(Endpoint, Box<[u8]>),
    /// Ends everybody's connections, and the thread.
    Stop(oneshot::Sender<()>),
}

/// The way to the thread; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ike {
    commands: SyncSender<Command>,
    waker: Arc<Waker>,
}

/// What the thread is made of that must be there before it starts.
#[derive(Debug)]
pub(super) struct Parts {
    poll: Poll,
    told: Receiver<Command>,
}

impl Ike {
    /// A way to a thread that is yet to start.
    ///
    /// # Errors
    /// The operating system's, where it gives no event queue.
    pub(super) fn prepare() -> io::Result<(Self, Parts)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), COMMAND)?);
        let (commands, told) = sync_channel(COMMANDS);
        Ok((Self { commands, waker }, Parts { poll, told }))
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, where it gives no thread.
    pub(super) fn start(
        Parts { poll, told }: Parts,
        ports: Ports,
        workers: Arc<[Worker]>,
        table: Ikev2Sessions,
    ) -> io::Result<()> {
        let thread = thread::Thread::new(poll, told, ports, workers, table);
        std::thread::Builder::new().name("ikev2".into()).spawn(move || thread.run())?;
        Ok(())
    }

    /// Hands over a command. A thread that has ended drops it, and with it the answer's sender.
    pub(super) fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            self.wake();
        }
    }

    /// Hands over what a worker has to say, which never waits: what finds no room is said again, or sent again.
    /// Returns whether it found room.
    pub(super) fn mention(&self, command: Command) -> bool {
        let taken = self.commands.try_send(command).is_ok();
        if taken {
            self.wake();
        }
        taken
    }

    fn wake(&self) {
        if self.waker.wake().is_err() {
            error!("Cannot wake the thread of IKEv2");
        }
    }
}
