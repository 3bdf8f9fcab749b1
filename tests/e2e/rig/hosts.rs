//! What answers in the internet: HTTP on 80, TCP and UDP echo on 7, who asks on 8, resets on 9, DNS on 53; and traps,
//! which ought to stay empty.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::http;
use super::namespace::Namespace;
use super::world::{HOST, HOST_V6, PRIVATE};

/// What the DNS server answers for every name.
pub const DNS_ANSWER: [u8; 4] = [192, 0, 2, 80];
/// What the echo server sends after it has seen the end of what it was sent.
pub const GOODBYE: &[u8] = b"goodbye";

/// Starts every service in `host`, on all its addresses.
pub fn start(host: &Namespace) {
    host.enter(|| {
        serve(listen(80), http::answer);
        serve(listen(7), echo);
        serve(listen(8), tell_who);
        serve(listen(9), reset);
        // a socket an address: one for all would answer from another address than the one that was asked
        for address in [HOST, HOST_V6, PRIVATE] {
            answer(UdpSocket::bind((address, 7)).unwrap(), <[u8]>::to_vec);
            answer(UdpSocket::bind((address, 53)).unwrap(), resolve);
            tell_who_by_udp(UdpSocket::bind((address, 8)).unwrap());
        }
    });
}

/// Starts the TCP services in `host`, on all its addresses.
pub fn start_tcp(host: &Namespace) {
    host.enter(|| {
        serve(listen(80), http::answer);
        serve(listen(7), echo);
    });
}

/// Starts something that says one word on a TCP and a UDP port of every address of `host`.
pub fn say(host: &Namespace, port: u16, word: &'static str) {
    host.enter(|| {
        serve(listen(port), move |mut stream| stream.write_all(word.as_bytes()));
        answer(UdpSocket::bind(("::", port)).unwrap(), move |_| word.into());
    });
}

/// The same on one address of `host` alone, from which its answers come whatever way they take.
pub fn say_at(host: &Namespace, address: &str, port: u16, word: &'static str) {
    host.enter(|| {
        serve(TcpListener::bind((address, port)).unwrap(), move |mut stream| stream.write_all(word.as_bytes()));
        answer(UdpSocket::bind((address, port)).unwrap(), move |_| word.into());
    });
}

/// Something that nobody may reach: it counts who did.
pub struct Trap {
    caught: Arc<AtomicUsize>,
}

impl Trap {
    /// Listens on a TCP and a UDP port of every address of `host`.
    pub fn set(host: &Namespace, port: u16) -> Self {
        let caught = Arc::new(AtomicUsize::new(0));
        let (by_tcp, by_udp) = (Arc::clone(&caught), Arc::clone(&caught));
        host.enter(|| {
            serve(listen(port), move |_| {
                by_tcp.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            answer(UdpSocket::bind(("::", port)).unwrap(), move |_| {
                by_udp.fetch_add(1, Ordering::SeqCst);
                b"caught".to_vec()
            });
        });
        Self { caught }
    }

    /// How many connections and datagrams came.
    pub fn caught(&self) -> usize {
        self.caught.load(Ordering::SeqCst)
    }
}

fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("::", port)).unwrap()
}

/// Serves each connection in a thread of its own, until the test's process ends.
fn serve(listener: TcpListener, conversation: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let conversation = conversation.clone();
            // a client that goes away ends its conversation, nothing else
            thread::spawn(move || conversation(stream).unwrap_or_default());
        }
    });
}

fn answer(socket: UdpSocket, reply: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) {
    thread::spawn(move || {
        let mut datagram = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(&reply(&datagram[..length]), from);
        }
    });
}

/// Tells a client where it seems to come from.
fn tell_who(mut stream: TcpStream) -> io::Result<()> {
    let from = stream.peer_addr()?;
    write!(stream, "{}", SocketAddr::new(from.ip().to_canonical(), from.port()))
}

fn tell_who_by_udp(socket: UdpSocket) {
    thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
            let _ = socket.send_to(SocketAddr::new(from.ip().to_canonical(), from.port()).to_string().as_bytes(), from);
        }
    });
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16_384];
    loop {
        match stream.read(&mut bytes)? {
            0 => break,
            length => stream.write_all(&bytes[..length])?,
        }
    }
    stream.write_all(GOODBYE)?;
    stream.shutdown(Shutdown::Write)
}

/// Ends a connection with a reset as soon as something came.
fn reset(mut stream: TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0])?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// Answers any question with one address (RFC 1035, section 4).
fn resolve(question: &[u8]) -> Vec<u8> {
    let name = question.get(12..).and_then(|rest| rest.iter().position(|byte| *byte == 0)).unwrap_or(0);
    let end = (12 + name + 5).min(question.len());
    let mut reply = question[..end].to_vec();
    // a response, recursion available, one question, one answer, nothing else
    reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    reply.extend(DNS_ANSWER);
    reply
}
