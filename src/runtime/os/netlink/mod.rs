//! The kernel's network configuration by rtnetlink: links, addresses, routes and rules.
//!
//! The kernel answers a request within the system call that sends it, so nothing here waits for long. It works in the
//! network namespace in which it was opened.

mod links;
mod routes;
mod rules;

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

pub use self::links::{Address, Link, Reverse};
pub use self::routes::Route;
pub use self::rules::{Action, Rule};

/// By this number in a rule or a route its maker is recognised (`rt_protos` of iproute2 and the table of the FRR suite
/// leave it free).
pub const PROTOCOL: u8 = 220;

/// The longest message of the kernel's in a dump, in bytes.
const MESSAGE_MAX: usize = 64 << 10;
/// How long an answer may take, in seconds; it is there when the question has been sent.
const PATIENCE: i64 = 2;

/// An open door to the kernel's network configuration.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    room: Vec<u8>,
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Netlink {
    /// Opens it.
    ///
    /// # Errors
    /// The kernel's, for example in a sandbox without netlink.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
        // with it the kernel leaves out of a dump what was not asked for; older ones cannot, and we look ourselves
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, sequence: 0, room: Vec::with_capacity(MESSAGE_MAX) })
    }

    /// Asks for everything of a kind. What of it we cannot read is left out: it is not ours.
    fn dump(&mut self, question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.ask(question, NLM_F_DUMP)
    }

    /// Makes something that is not there.
    fn create(&mut self, what: RouteNetlinkMessage) -> io::Result<()> {
        self.ask(what, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK).map(|_| ())
    }

    /// Changes or removes something.
    fn change(&mut self, what: RouteNetlinkMessage) -> io::Result<()> {
        self.ask(what, NLM_F_ACK).map(|_| ())
    }

    fn ask(&mut self, question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(question);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        while !self.receive(&mut answers)? {}
        Ok(answers)
    }

    /// Takes one datagram of the kernel's; whether the answer is complete.
    fn receive(&mut self, answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
        self.room.clear();
        self.socket.recv(&mut self.room, 0)?;
        let mut rest = &self.room[..];
        while let Ok(view) = NetlinkBuffer::new_checked(rest) {
            let length = usize::try_from(view.length()).map_err(io::Error::other)?;
            let (kind, sequence) = (view.message_type(), view.sequence_number());
            let (one, after) = rest.split_at_checked(length).ok_or(io::ErrorKind::InvalidData)?;
            // messages begin at multiples of four bytes
            rest = after.get(length.next_multiple_of(4) - length..).unwrap_or_default();
            if sequence != self.sequence {
                continue;
            }
            let ends = kind < FIRST_OF_ROUTES;
            match NetlinkMessage::<RouteNetlinkMessage>::deserialize(one).map(|message| message.payload) {
                Ok(NetlinkPayload::InnerMessage(message)) => answers.push(message),
                Ok(NetlinkPayload::Error(error)) if error.code.is_some() => return Err(error.to_io()),
                Ok(NetlinkPayload::Done(done)) if done.code != 0 => {
                    return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                }
                _ if ends => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Message types below it are netlink's own (`NLMSG_MIN_TYPE`).
const FIRST_OF_ROUTES: u16 = 16;

const fn family(v6: bool) -> AddressFamily {
    if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet }
}
