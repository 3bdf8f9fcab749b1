//! Forwarded ports: opens their listeners, and takes in whoever connects to them.

use std::time::{Duration, Instant};

use super::sockets::SocketsUplink;
use super::table::Socket;
use crate::domain::port_forward::{OuterPort, Transport};
use crate::engine::flows::FlowId;
use crate::engine::flows::forwards::{Door, Forwarding, Listen};
use crate::engine::flows::reach::HostAddresses as _;
use crate::engine::wire::icmp::Complaint;
use crate::runtime::os::tcp::Accepted;

/// Callers that one listener takes before others have their turn.
const CALLERS: usize = 32;
/// Listeners that are served in one turn.
const LISTENERS: usize = 8;
/// How long nobody is taken in after the process has run out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

impl SocketsUplink {
    /// From now on these ports lead to peers, and no others. What stays as it was keeps its listeners and its
    /// connections. Where the host does not have the address to listen on, because a network translates to it, they
    /// listen on all.
    ///
    /// Returns what cannot be opened and why, for people; it is tried again at the next call.
    pub fn set_forwards(&mut self, forwarding: &Forwarding, now: Instant) -> Vec<String> {
        self.now = now;
        let bind = forwarding.bind.filter(|address| self.host.at(now).contains(*address));
        let refused = self.flows.apply_forwarding(&Forwarding { bind, ..forwarding.clone() }, now);
        self.close_ended();
        let mut faults: Vec<String> = refused.into_iter().map(|port| fault(port, &"no descriptor is left")).collect();
        while let Some(listen) = self.flows.poll_listen() {
            match self.sockets.listen(&listen) {
                Ok(()) => self.flows.handle_listening(listen.flow),
                Err(error) => {
                    self.flows.handle_deaf(listen.flow);
                    if !lacks_family(&listen, &error) {
                        faults.push(fault(OuterPort { port: listen.at.port(), protocol: listen.protocol }, &error));
                    }
                }
            }
        }
        self.close_ended();
        // a port that somebody else has is missing in both families
        faults.sort_unstable();
        faults.dedup();
        faults
    }

    /// The ways round to forwarded ports of this uplink, for the peers of others.
    pub fn doors(&self) -> Vec<Door> {
        self.flows.doors()
    }

    /// Takes in whoever has connected to forwarded ports: a bounded number.
    pub(super) fn take_callers(&mut self) {
        if self.pause.is_some_and(|until| self.now < until) {
            return;
        }
        self.pause = None;
        for _ in 0..self.called.len().min(LISTENERS) {
            let Some(listener) = self.called.pop_front() else { return };
            self.take_callers_of(listener);
        }
    }

    fn take_callers_of(&mut self, id: FlowId) {
        for _ in 0..CALLERS {
            let Some(Socket::Listening { listener, queued }) = self.sockets.get_mut(id) else { return };
            let caller = match listener.accept() {
                Accepted::Caller(caller) => caller,
                Accepted::Gone => continue,
                Accepted::Nobody => {
                    *queued = false;
                    return;
                }
                Accepted::Exhausted => {
                    self.pause = Some(self.now + PAUSE);
                    break;
                }
            };
            let Some(flow) = self.flows.handle_accepted(id, caller.remote(), self.host.at(self.now), self.now) else {
                caller.refuse();
                continue;
            };
            if self.sockets.adopt(flow, caller).is_err() {
                self.flows.handle_unreachable(flow, Complaint::Prohibited, self.now);
            }
            // a call may take the place of a connection that was over, whose socket goes first
            self.close_ended();
        }
        self.called.push_back(id);
    }

    /// When callers wait to be taken in.
    pub(super) fn callers_due(&self) -> Option<Instant> {
        (!self.called.is_empty()).then(|| self.pause.unwrap_or(self.now))
    }
}

fn fault(port: OuterPort, why: &dyn std::fmt::Display) -> String {
    let protocol = match port.protocol {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    format!("forward of {protocol} port {}: {why}", port.port)
}

/// Whether the host has IPv6 turned off, as containers often do: IPv4 is then all there is to listen on.
fn lacks_family(listen: &Listen, error: &std::io::Error) -> bool {
    let is_absent =
        error.kind() == std::io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    is_absent && listen.at.is_ipv6() && listen.at.ip().is_unspecified()
}
