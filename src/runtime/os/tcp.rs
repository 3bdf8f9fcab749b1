//! TCP connections outwards and from outside, non-blocking.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::fault::{self, Fault};

/// How a connection that was begun stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not known yet.
    Pending,
    /// Connected.
    Open,
    /// It cannot be connected.
    Failed(Fault),
}

/// What became of a read or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes; not 0.
    Bytes(usize),
    /// None until the kernel says otherwise.
    Blocked,
    /// The far end has finished (of a read).
    Ended,
    /// The connection is broken.
    Broken,
}

/// A connection, or one that is being made.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Readiness is told once: it holds until the kernel refuses.
    readable: bool,
    writable: bool,
}

impl Connection {
    /// Begins to connect.
    ///
    /// # Errors
    /// Why it cannot even begin.
    pub fn open(to: SocketAddr, registry: &Registry, token: Token) -> Result<Self, Fault> {
        let stream = TcpStream::connect(to).map_err(|error| fault::of(&error))?;
        Self::register(stream, registry, token)
    }

    fn register(mut stream: TcpStream, registry: &Registry, token: Token) -> Result<Self, Fault> {
        // the peer's own stack has decided what to send when; failure costs a little delay and nothing else
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_keepalive(true);
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, token, both).map_err(|error| fault::of(&error))?;
        Ok(Self { stream, readable: false, writable: false })
    }

    /// The kernel says that the socket is ready; an error makes both ways ready, so that each meets it.
    pub fn note(&mut self, readable: bool, writable: bool, error: bool) {
        self.readable |= readable || error;
        self.writable |= writable || error;
    }

    /// Whether the connection stands by now.
    pub fn standing(&self) -> Standing {
        if !self.writable {
            return Standing::Pending;
        }
        match (self.stream.take_error(), self.stream.peer_addr()) {
            (Ok(Some(error)) | Err(error), _) => Standing::Failed(fault::of(&error)),
            (Ok(None), Ok(_)) => Standing::Open,
            (Ok(None), Err(_)) => Standing::Pending,
        }
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Progress {
        if !self.writable {
            return Progress::Blocked;
        }
        match retry(|| self.stream.write(bytes)) {
            Ok(0) => Progress::Broken,
            Ok(length) => {
                // a short write means that the kernel's buffer is full, and it will say when it is not
                self.writable = length == bytes.len();
                Progress::Bytes(length)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Progress::Blocked
            }
            Err(_) => Progress::Broken,
        }
    }

    /// Reads bytes into `room`, which is not empty.
    pub fn read(&mut self, room: &mut [u8]) -> Progress {
        if !self.readable {
            return Progress::Blocked;
        }
        match retry(|| self.stream.read(room)) {
            Ok(0) => Progress::Ended,
            // a short read says nothing: the end may follow at once, and it is told only once
            Ok(length) => Progress::Bytes(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Progress::Blocked
            }
            Err(_) => Progress::Broken,
        }
    }

    /// Tells the far end that nothing more follows.
    pub fn finish(&self) {
        // a connection that is broken already shows so at the next read or write
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection at once: what waits is thrown away and the far end gets a reset.
    pub fn abort(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// A port that takes connections.
#[derive(Debug)]
pub struct Listener(TcpListener);

/// Connections that the kernel makes before they are taken in; it grants what its own limit allows.
const BACKLOG: i32 = 1_024;

/// What became of taking a connection in.
#[derive(Debug)]
pub enum Accepted {
    /// Somebody.
    Caller(Caller),
    /// One who has gone again.
    Gone,
    /// Nobody waits.
    Nobody,
    /// Somebody waits, but there is no descriptor or no memory for a connection.
    Exhausted,
}

/// A connection that has come in.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    remote: SocketAddr,
}

impl Listener {
    /// Opens the port at this address, of its family alone.
    ///
    /// # Errors
    /// The kernel's, above all `AddrInUse`.
    pub fn open(at: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
        if at.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // connections of an earlier listener that are waited out do not keep the port
        socket.set_reuse_address(true)?;
        socket.bind(&at.into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Self(listener))
    }

    /// Takes in one connection.
    pub fn accept(&self) -> Accepted {
        let error = match self.0.accept() {
            Ok((stream, remote)) => return Accepted::Caller(Caller { stream, remote }),
            Err(error) => error,
        };
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => Accepted::Nobody,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => Accepted::Exhausted,
            // accept(2): errors of the new connection's network count as its own
            _ => Accepted::Gone,
        }
    }
}

impl Caller {
    /// Where it comes from.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Resets it.
    pub fn refuse(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Makes a connection of it, which stands.
    ///
    /// # Errors
    /// Why the kernel does not tell its readiness; the connection is closed.
    pub fn connection(self, registry: &Registry, token: Token) -> Result<Connection, Fault> {
        let mut connection = Connection::register(self.stream, registry, token)?;
        (connection.readable, connection.writable) = (true, true);
        Ok(connection)
    }
}

fn retry(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
