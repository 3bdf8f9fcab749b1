//! OS sockets by flow.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use mio::{Registry, Token};

use crate::domain::port_forward::Transport;
use crate::engine::flows::forwards::Listen;
use crate::engine::flows::{Closed, FlowId, Moved, Outside};
use crate::runtime::os::datagram::{Carries, Complaint, DatagramSocket};
use crate::runtime::os::fault::{self, Fault};
use crate::runtime::os::tcp::{Caller, Connection, Listener, Progress};

/// The socket of one flow.
#[derive(Debug)]
pub(super) enum Socket {
    /// Asked to connect.
    Connecting(Connection),
    /// Connected.
    Tcp(Connection),
    /// UDP or pings.
    Datagrams {
        /// The socket.
        socket: DatagramSocket,
        /// Whether it stands in the queue of those to be read.
        queued: bool,
    },
    /// A TCP port that leads to a peer.
    Listening {
        /// The socket.
        listener: Listener,
        /// Whether it stands in the queue of those that somebody may have connected to.
        queued: bool,
    },
}

/// All sockets of an uplink.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    tokens: Range<usize>,
    entries: Vec<Option<(FlowId, Socket)>>,
}

impl Sockets {
    pub(super) const fn new(registry: Registry, tokens: Range<usize>) -> Self {
        Self { registry, tokens, entries: Vec::new() }
    }

    /// The flow that a token belongs to.
    pub(super) fn flow_of(&self, token: Token) -> Option<FlowId> {
        let index = token.0.checked_sub(self.tokens.start)?;
        self.entries.get(index)?.as_ref().map(|(flow, _)| *flow)
    }

    pub(super) fn get_mut(&mut self, flow: FlowId) -> Option<&mut Socket> {
        let entry = self.entries.get_mut(flow.index())?.as_mut();
        entry.filter(|(of, _)| *of == flow).map(|(_, socket)| socket)
    }

    /// Begins to connect.
    pub(super) fn connect(&mut self, flow: FlowId, to: SocketAddr) -> Result<(), Fault> {
        let connection = Connection::open(to, &self.registry, self.token(flow))?;
        self.put(flow, Socket::Connecting(connection));
        Ok(())
    }

    /// The connection stands.
    pub(super) fn establish(&mut self, flow: FlowId) {
        if let Some(Some((of, socket))) = self.entries.get_mut(flow.index()).map(Option::take) {
            let socket = match socket {
                Socket::Connecting(connection) => Socket::Tcp(connection),
                other @ (Socket::Tcp(_) | Socket::Datagrams { .. } | Socket::Listening { .. }) => other,
            };
            self.put(of, socket);
        }
    }

    /// Sends a datagram from the flow's socket, which is opened if it is not open yet.
    pub(super) fn send(&mut self, flow: FlowId, carries: Carries, to: SocketAddr, bytes: &[u8]) -> Result<(), Unsent> {
        if self.get_mut(flow).is_none() {
            self.open(flow, carries, to.is_ipv6()).map_err(|error| Unsent::Closed(fault::of(&error)))?;
        }
        let Some(Socket::Datagrams { socket, .. }) = self.get_mut(flow) else { return Ok(()) };
        // an error about an earlier datagram comes first and is told once
        let sent = socket.send(to, bytes).or_else(|_| socket.send(to, bytes));
        sent.map_err(|error| Unsent::Refused(fault::of(&error)))
    }

    /// How many flows there are tokens for.
    pub(super) fn room(&self) -> usize {
        self.tokens.len()
    }

    /// Takes a complaint of the network's about what the flow sent.
    pub(super) fn complaint(&mut self, flow: FlowId, room: &mut [u8]) -> Option<Complaint> {
        let Some(Socket::Datagrams { socket, .. }) = self.get_mut(flow) else { return None };
        socket.complaint(room)
    }

    /// Closes the socket of a flow that has ended.
    pub(super) fn close(&mut self, closed: Closed) {
        if self.get_mut(closed.flow).is_none() {
            return;
        }
        let Some((_, socket)) = self.entries[closed.flow.index()].take() else { return };
        match socket {
            Socket::Tcp(connection) if closed.abort => connection.abort(),
            Socket::Connecting(_) | Socket::Tcp(_) | Socket::Datagrams { .. } | Socket::Listening { .. } => {}
        }
    }

    /// Opens a forwarded port.
    pub(super) fn listen(&mut self, listen: &Listen) -> io::Result<()> {
        let token = self.token(listen.flow);
        let socket = match listen.protocol {
            Transport::Tcp => {
                Socket::Listening { listener: Listener::open(listen.at, &self.registry, token)?, queued: false }
            }
            Transport::Udp => {
                let mut socket = DatagramSocket::bind(Carries::Udp, listen.at)?;
                socket.register(&self.registry, token)?;
                Socket::Datagrams { socket, queued: false }
            }
        };
        self.put(listen.flow, socket);
        Ok(())
    }

    /// Takes in a connection that came from outside.
    pub(super) fn adopt(&mut self, flow: FlowId, caller: Caller) -> Result<(), Fault> {
        let connection = caller.connection(&self.registry, self.token(flow))?;
        self.put(flow, Socket::Tcp(connection));
        Ok(())
    }

    fn open(&mut self, flow: FlowId, carries: Carries, v6: bool) -> io::Result<()> {
        let mut socket = DatagramSocket::open(carries, v6)?;
        socket.register(&self.registry, self.token(flow))?;
        self.put(flow, Socket::Datagrams { socket, queued: false });
        Ok(())
    }

    const fn token(&self, flow: FlowId) -> Token {
        Token(self.tokens.start + flow.index())
    }

    fn put(&mut self, flow: FlowId, socket: Socket) {
        if flow.index() >= self.entries.len() {
            self.entries.resize_with(flow.index() + 1, || None);
        }
        self.entries[flow.index()] = Some((flow, socket));
    }

    fn connection(&mut self, flow: FlowId) -> Option<&mut Connection> {
        match self.get_mut(flow)? {
            Socket::Tcp(connection) => Some(connection),
            Socket::Connecting(_) | Socket::Datagrams { .. } | Socket::Listening { .. } => None,
        }
    }
}

/// Why a datagram did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The flow has no socket and gets none.
    Closed(Fault),
    /// The kernel refuses this datagram, or tells about an earlier one.
    Refused(Fault),
}

impl Outside for Sockets {
    fn write(&mut self, flow: FlowId, bytes: &[u8]) -> Moved {
        self.connection(flow).map_or(Moved::Broken, |connection| moved(connection.write(bytes)))
    }

    fn read(&mut self, flow: FlowId, room: &mut [u8]) -> Moved {
        self.connection(flow).map_or(Moved::Broken, |connection| moved(connection.read(room)))
    }

    fn finish(&mut self, flow: FlowId) {
        if let Some(connection) = self.connection(flow) {
            connection.finish();
        }
    }
}

const fn moved(progress: Progress) -> Moved {
    match progress {
        Progress::Bytes(length) => Moved::Bytes(length),
        Progress::Blocked => Moved::Blocked,
        Progress::Ended => Moved::Ended,
        Progress::Broken => Moved::Broken,
    }
}

/// An address with a port, for protocols that have none.
pub(super) const fn portless(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 0)
}
