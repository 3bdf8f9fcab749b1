//! A TCP connection outwards, non-blocking.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

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
        let mut stream = TcpStream::connect(to).map_err(|error| fault::of(&error))?;
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

fn retry(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
