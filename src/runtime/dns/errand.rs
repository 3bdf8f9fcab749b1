//! The task that asks the forwarders: a socket of its own for each datagram, a connection for what does not fit in one.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::tls::{self, Keeper};
use super::{Errand, Reply};
use crate::engine::dns::{Judged, Transport, judge};

/// Errands that may wait to be begun.
const QUEUE: usize = 1_024;
/// The most errands at a time: each holds a file descriptor.
const AT_ONCE: usize = 1_024;
/// How long a reply is waited for: a little longer than the machine does.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest datagram that a forwarder sends: more than it was told that it may.
const DATAGRAM: usize = 4_096;

/// Starts the task; it ends with the last worker. Must be called within a tokio runtime.
pub(in crate::runtime) fn start(descriptors: usize) -> mpsc::Sender<Errand> {
    let (sender, errands) = mpsc::channel(QUEUE);
    #[expect(clippy::disallowed_methods, reason = "it ends with the last worker, whose errands it runs")]
    tokio::spawn(run(errands, AT_ONCE.min(descriptors / 8).max(8)));
    sender
}

async fn run(mut errands: mpsc::Receiver<Errand>, at_once: usize) {
    let permits = Arc::new(Semaphore::new(at_once));
    let trust = tls::trust();
    let mut keepers: BTreeMap<(SocketAddr, String), Keeper> = BTreeMap::new();
    // what is left in it ends with it
    let mut running = JoinSet::new();
    loop {
        let errand = tokio::select! {
            errand = errands.recv() => match errand {
                Some(errand) => errand,
                None => return,
            },
            Some(_) = running.join_next(), if !running.is_empty() => continue,
        };
        if let (Transport::Tls, Some(name)) = (errand.ask.transport, &errand.ask.forwarder.tls) {
            let key = (errand.ask.forwarder.address, name.clone());
            let keeper = keepers.entry(key).or_insert_with_key(|(address, name)| {
                let (keeper, work) = tls::keep(*address, name.clone(), Arc::clone(&trust));
                running.spawn(work);
                keeper
            });
            keeper.take(errand);
            continue;
        }
        // where there is none, the question is asked again, or fails in its own time
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            running.spawn(async move {
                carry_out(errand).await;
                drop(permit);
            });
        }
    }
}

/// Asks, and tells what came of it. Silence is told to nobody: the machine has a deadline of its own.
async fn carry_out(errand: Errand) {
    let Errand { ask, back } = errand;
    let asked = async {
        match ask.transport {
            Transport::Udp => by_datagram(ask.forwarder.address, &ask.message).await,
            Transport::Tcp | Transport::Tls => by_connection(ask.forwarder.address, &ask.message).await,
        }
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(message)) => back.tell(Reply::Message(ask.ticket, message)),
        Ok(Err(_)) => back.tell(Reply::Failure(ask.ticket)),
        Err(_) => {}
    }
}

/// Asks from a port that the kernel draws, and hears nobody but the forwarder.
async fn by_datagram(to: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(to).await?;
    socket.send(message).await?;
    let mut reply = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut reply).await?;
        // what answers something else is a forger's, or late: the real one may still come
        if judge(message, &reply[..length]) != Judged::Other {
            reply.truncate(length);
            return Ok(reply);
        }
    }
}

async fn by_connection(to: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&framed(message)).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// A message behind its length (RFC 1035, section 4.2.2).
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x01B\0\0\x01\0\x01";

    fn reply(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut reply = ASKED.to_vec();
        reply[2] = 0x81;
        change(&mut reply);
        reply
    }

    #[tokio::test]
    async fn hears_nobody_but_the_forwarder_and_nothing_but_the_answer() {
        let forwarder = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let forger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = forwarder.local_addr().unwrap();
        let lies = async {
            let (_, from) = forwarder.recv_from(&mut [0; 512]).await.unwrap();
            // the right answer from another port
            forger.send_to(&reply(|reply| reply[3] = 3), from).await.unwrap();
            for lie in [
                reply(|reply| reply[0] ^= 1),
                reply(|reply| reply[2] = 1),
                reply(|reply| reply[13] = b'x'),
                reply(|reply| reply[18] = 28),
                b"short".to_vec(),
            ] {
                forwarder.send_to(&lie, from).await.unwrap();
            }
            forwarder.send_to(&reply(|_| {}), from).await.unwrap();
        };

        let (heard, ()) = tokio::join!(by_datagram(to, ASKED), lies);

        assert_eq!(heard.unwrap(), reply(|_| {}));
    }

    #[tokio::test]
    async fn asks_from_another_port_each_time() {
        let forwarder = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = forwarder.local_addr().unwrap();
        let mut ports = std::collections::BTreeSet::new();
        for _ in 0..16 {
            let answer = async {
                let (_, from) = forwarder.recv_from(&mut [0; 512]).await.unwrap();
                forwarder.send_to(&reply(|_| {}), from).await.unwrap();
                from.port()
            };
            let (heard, port) = tokio::join!(by_datagram(to, ASKED), answer);
            heard.unwrap();
            ports.insert(port);
        }

        assert!(ports.len() >= 14, "{ports:?}");
    }

    #[tokio::test]
    async fn says_at_once_that_nobody_listens() {
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

        assert!(by_datagram(nobody, ASKED).await.is_err());
    }
}
