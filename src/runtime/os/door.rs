//! A server's UDP port: datagrams in and out by batches.
//!
//! Receiving takes up to 32 messages a system call, each of up to 64 datagrams that the kernel has put together
//! (UDP GRO). Sending hands the kernel one batch of equal segments at a time (UDP GSO). Both carry our own address, so
//! that an answer leaves from the address that was hit.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use super::{option, sharing, wait};
use crate::engine::outbox::{Batch, Endpoint};

/// What one message can hold: the largest UDP payload, which is also the most that the kernel puts together.
const MESSAGE_MAX: usize = 65_535;
/// What we ask the kernel to hold for us in each direction, in bytes; it grants what its limits allow.
const KERNEL_BUFFER: usize = 7 << 20;

/// How long one waits for room in the kernel's buffer before a batch is lost: a hundredth of a second empties half the
/// usual buffer into a link of 80 Mbit/s, and a slower link has to lose packets to be noticed.
const PATIENCE: Duration = Duration::from_millis(10);

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The kernel took everything.
    All,
    /// The kernel's buffer is full; what is left of the batch is lost, as on any full link.
    Full,
    /// The kernel refused this batch: no route, or too large for the path.
    Refused,
}

/// Memory for one batch of incoming messages. Doors of one thread share it; pages that nothing was received into cost
/// nothing.
#[derive(Debug)]
pub struct Inbox(Box<[u8]>);

impl Inbox {
    /// No memory: what stands in for an inbox while that is in use.
    pub fn none() -> Self {
        Self(Box::default())
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self(vec![0; BATCH_SIZE * MESSAGE_MAX].into())
    }
}

/// An open UDP port.
pub struct Door {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Door {
    /// Opens `port` on all addresses of both families, or of IPv4 alone where the host has no IPv6.
    ///
    /// # Errors
    /// The operating system's, above all `AddrInUse`.
    pub fn open(port: u16) -> io::Result<Self> {
        Self::of(bind_all(port, Sharing::Alone)?)
    }

    /// Opens `port` once for each of so many workers; the kernel hands each datagram to the worker to which the index of
    /// its session leads, and the first message of a handshake to any.
    ///
    /// # Errors
    /// As [`Self::open`]; a port that another program shares is taken too.
    pub fn open_shared(port: u16, workers: usize) -> io::Result<Vec<Self>> {
        if workers <= 1 {
            return Ok(vec![Self::open(port)?]);
        }
        // a port that is to be shared could be shared with a stranger: only one that is free all to oneself is taken
        let free = bind_all(port, Sharing::Alone)?;
        let port = free.local_addr()?.port();
        drop(free);
        let sockets: Vec<UdpSocket> =
            (0..workers).map(|_| bind_all(port, Sharing::Together)).collect::<io::Result<_>>()?;
        if let Some(first) = sockets.first() {
            sharing::by_session(first, workers)?;
        }
        sockets.into_iter().map(Self::of).collect()
    }

    /// Opens the port of ESP in UDP (RFC 3948): a door for each of so many workers, and one for the messages of IKE that
    /// come by the same port.
    ///
    /// # Errors
    /// As [`Self::open_shared`].
    pub fn open_esp(port: u16, workers: usize) -> io::Result<(Vec<Self>, Self)> {
        // as above: a stranger's port is not shared
        let free = bind_all(port, Sharing::Alone)?;
        let port = free.local_addr()?.port();
        drop(free);
        let mut sockets: Vec<UdpSocket> =
            (0..=workers).map(|_| bind_all(port, Sharing::Together)).collect::<io::Result<_>>()?;
        if let Some(first) = sockets.first() {
            sharing::by_spi(first, workers)?;
        }
        let of_ike = sockets.pop().map(Self::of).transpose()?.ok_or(io::ErrorKind::AddrNotAvailable)?;
        // a message must not come to a worker only because it is as long as the packet before it
        option::keep_apart(&of_ike.socket)?;
        Ok((sockets.into_iter().map(Self::of).collect::<io::Result<_>>()?, of_ike))
    }

    fn of(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // a tunnel's datagram may be larger than the path: let routers fragment it, as every WireGuard does, instead
        // of losing it without a word
        option::allow_fragments(&socket)?;
        // asking for more than the host allows is no error
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), KERNEL_BUFFER);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), KERNEL_BUFFER);
        Ok(Self { socket, state })
    }

    /// The port that it has.
    ///
    /// # Errors
    /// The operating system's.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Takes one batch from the kernel and shows each datagram; returns how many there were, 0 when none waits.
    ///
    /// # Errors
    /// The operating system's; an ICMP error that an earlier answer of ours provoked is not one.
    pub fn receive(&self, inbox: &mut Inbox, mut show: impl FnMut(Endpoint, &mut [u8])) -> io::Result<usize> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slots = inbox.0.chunks_exact_mut(MESSAGE_MAX).map(IoSliceMut::new);
        let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| slots.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let messages = match self.state.recv(UdpSockRef::from(&self.socket), &mut slots, &mut metas) {
            Ok(messages) => messages,
            Err(error) if is_transient(&error) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut datagrams = 0;
        for (meta, slot) in metas.iter().zip(&mut slots).take(messages) {
            let from = Endpoint { remote: canonical(meta.addr), local: meta.dst_ip.map(|ip| ip.to_canonical()) };
            for datagram in slot[..meta.len].chunks_mut(meta.stride.max(1)) {
                show(from, datagram);
                datagrams += 1;
            }
        }
        Ok(datagrams)
    }

    /// Hands one batch to the kernel, and waits a little where its buffer is full: that is how a worker keeps the pace of
    /// its link.
    pub fn send(&self, batch: &Batch<'_>) -> Sent {
        let at_once = self.state.max_gso_segments().max(1) * batch.segment.max(1);
        let mut outcome = Sent::All;
        for part in batch.bytes.chunks(at_once) {
            outcome = match self.send_patiently(batch, part, batch.endpoint.local) {
                Ok(()) => outcome,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Full,
                Err(_) => self.send_singly(batch, part),
            };
            if outcome == Sent::Full {
                return outcome;
            }
        }
        outcome
    }

    /// Sends segment by segment, for a device or a kernel that refuses segmentation, and from any address of ours where
    /// the one that was hit is gone.
    fn send_singly(&self, batch: &Batch<'_>, part: &[u8]) -> Sent {
        let mut outcome = Sent::All;
        for segment in part.chunks(batch.segment.max(1)) {
            let sent = self.send_patiently(batch, segment, batch.endpoint.local);
            outcome = match sent.or_else(|_| self.send_patiently(batch, segment, None)) {
                Ok(()) => outcome,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Full,
                Err(_) => Sent::Refused,
            };
        }
        outcome
    }

    fn send_patiently(&self, batch: &Batch<'_>, contents: &[u8], from: Option<IpAddr>) -> io::Result<()> {
        let transmit = Transmit {
            destination: batch.endpoint.remote,
            ecn: None,
            contents,
            segment_size: Some(batch.segment),
            src_ip: from,
        };
        match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && wait::for_room(&self.socket, PATIENCE) => {
                self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
            }
            outcome => outcome,
        }
    }
}

impl Source for Door {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).deregister(registry)
    }
}

/// Whether a port is for one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Together,
}

fn bind_all(port: u16, sharing: Sharing) -> io::Result<UdpSocket> {
    match bind(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into(), sharing) {
        Err(error) if lacks_ipv6(&error) => bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into(), sharing),
        other => other,
    }
}

fn bind(domain: Domain, address: SocketAddr, sharing: Sharing) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.set_reuse_port(sharing == Sharing::Together)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Whether the host has IPv6 turned off, as containers often do.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Whether another try may simply succeed.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// An IPv4 address that a dual-stack socket shows as IPv6 becomes itself again.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The address from which this host would reach the internet, without sending anything: the kernel only looks up a
/// route for the documentation address.
pub fn outward_address() -> Option<IpAddr> {
    outward_address_of(false).or_else(|| outward_address_of(true))
}

/// The same of one version.
pub fn outward_address_of(v6: bool) -> Option<IpAddr> {
    let probe = |bind: SocketAddr, to: SocketAddr| -> Option<IpAddr> {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(to).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    };
    if v6 {
        return probe(
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x1111), 53).into(),
        );
    }
    probe((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(1, 1, 1, 1), 53).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outbox::Port;

    fn drain(door: &mut Door) -> Vec<(Endpoint, Vec<u8>)> {
        let mut poll = mio::Poll::new().unwrap();
        poll.registry().register(door, Token(0), Interest::READABLE).unwrap();
        let mut events = mio::Events::with_capacity(4);
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        while seen.is_empty() {
            poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            while door.receive(&mut inbox, |from, datagram| seen.push((from, datagram.to_vec()))).unwrap() > 0 {}
        }
        poll.registry().deregister(door).unwrap();
        seen
    }

    #[test]
    fn shows_who_sent_and_which_address_was_hit() {
        let mut door = Door::open(0).unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.send_to(b"hello", (Ipv4Addr::LOCALHOST, door.port().unwrap())).unwrap();

        let seen = drain(&mut door);

        let local = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_eq!(seen, [(Endpoint { remote: client.local_addr().unwrap(), local }, b"hello".to_vec())]);
    }

    #[test]
    fn sends_a_batch_as_single_datagrams_of_the_same_bytes() {
        let near = Door::open(0).unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(100 * 1_452 / 2 + 7).collect();
        let endpoint = Endpoint { remote: client.local_addr().unwrap(), local: None };

        for chunk in bytes.chunks(40 * 1_452) {
            assert_eq!(near.send(&Batch { endpoint, port: Port::WireGuard, bytes: chunk, segment: 1_452 }), Sent::All);
        }

        let mut got = Vec::new();
        let mut buffer = [0; 2_000];
        while got.len() < bytes.len() {
            let length = client.recv(&mut buffer).unwrap();
            assert!(length <= 1_452);
            got.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(got, bytes);
        assert_eq!(near.receive(&mut Inbox::default(), |_, _| ()).unwrap(), 0);
    }

    #[test]
    fn gives_each_worker_the_sessions_that_lead_to_it() {
        let doors = Door::open_shared(0, 3).unwrap();
        let port = doors[0].port().unwrap();
        for (kind, at) in [(4, 5), (3, 5), (2, 9), (1, 5)] {
            for index in 0..=255_u8 {
                let mut datagram = [0xee; 64];
                datagram[0] = kind;
                datagram[at] = index;
                // each from a port of its own: the choice is the session's, not the address's
                let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                client.send_to(&datagram, (Ipv4Addr::LOCALHOST, port)).unwrap();
                let mut got = Vec::new();
                for (worker, door) in doors.iter().enumerate() {
                    door.receive(&mut Inbox::default(), |_, datagram| got.push((worker, datagram.to_vec()))).unwrap();
                }
                assert_eq!(got, [(usize::from(index % 3), datagram.to_vec())], "type {kind}");
            }
        }
    }

    #[test]
    fn gives_each_worker_its_associations_and_ike_its_messages() {
        let (doors, of_ike) = Door::open_esp(0, 3).unwrap();
        let port = of_ike.port().unwrap();
        let got = |datagram: &[u8]| {
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            client.send_to(datagram, (Ipv4Addr::LOCALHOST, port)).unwrap();
            let all = doors.iter().chain([&of_ike]).enumerate();
            let mut got = Vec::new();
            for (number, door) in all {
                door.receive(&mut Inbox::default(), |_, datagram| got.push((number, datagram.to_vec()))).unwrap();
            }
            got
        };
        for shard in 0..=255_u8 {
            let mut datagram = [0xee; 64];
            datagram[3] = shard;
            assert_eq!(got(&datagram), [(usize::from(shard % 3), datagram.to_vec())]);
        }
        let mut message = [0xee; 64];
        message[..4].fill(0);
        assert_eq!(got(&message), [(3, message.to_vec())]);
        assert_eq!(got(&[0xff]), [(0, vec![0xff])], "a keepalive");
    }

    #[test]
    fn shares_no_port_with_another_program() {
        let first = Door::open_shared(0, 2).unwrap();
        let error = Door::open_shared(first[0].port().unwrap(), 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn refuses_a_port_that_is_taken() {
        let first = Door::open(0).unwrap();
        let error = Door::open(first.port().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
