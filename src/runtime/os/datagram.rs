//! UDP and ping sockets outwards, non-blocking, with the errors that the network sent back about what they sent.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

/// What a datagram socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// UDP.
    Udp,
    /// Echo requests and replies of ICMP: the kernel puts in an identifier of its own.
    Ping,
}

/// An ICMP error about a datagram that the socket sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Complaint {
    /// Where the datagram went.
    pub remote: SocketAddr,
    /// Who complains.
    pub reporter: Option<IpAddr>,
    /// ICMP type and code.
    pub kind: (u8, u8),
    /// The next link's MTU in bytes, if that is what the complaint is about.
    pub mtu: u16,
    /// How much of the datagram came back.
    pub length: usize,
}

/// A socket that speaks to anybody.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: UdpSocket,
}

impl DatagramSocket {
    /// Opens a socket of this family on a port of the kernel's choice.
    ///
    /// # Errors
    /// The kernel's; of pings, where `net.ipv4.ping_group_range` does not name our group.
    pub fn open(carries: Carries, v6: bool) -> io::Result<Self> {
        let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Self::bind(carries, SocketAddr::new(any, 0))
    }

    /// Opens a socket at this address and port, of its family alone.
    ///
    /// # Errors
    /// The kernel's, above all `AddrInUse`.
    pub fn bind(carries: Carries, at: SocketAddr) -> io::Result<Self> {
        let v6 = at.is_ipv6();
        let domain = Domain::for_address(at);
        let protocol = match (carries, v6) {
            (Carries::Udp, _) => Protocol::UDP,
            (Carries::Ping, false) => Protocol::ICMPV4,
            (Carries::Ping, true) => Protocol::ICMPV6,
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
        socket.set_nonblocking(true)?;
        if v6 {
            socket.set_only_v6(true)?;
        }
        socket.bind(&at.into())?;
        if v6 {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        }
        Ok(Self { socket: UdpSocket::from_std(socket.into()) })
    }

    /// Has readiness told under this token.
    ///
    /// # Errors
    /// The kernel's.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Sends one datagram. What the kernel has no room for is lost, as on any full link.
    ///
    /// # Errors
    /// The kernel's; it may also be about an earlier datagram, in which case [`Self::complaint`] has more.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        match self.socket.send_to(bytes, to) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Takes one datagram: its length and where it comes from; `None` when none waits.
    pub fn receive(&self, room: &mut [u8]) -> Option<(usize, SocketAddr)> {
        // an error is about what was sent, and is told once; what waits behind it comes at the second try
        let mut attempts = (0..4).map(|_| self.socket.recv_from(room));
        let last = attempts.find(|outcome| !matches!(outcome, Err(error) if error.kind() != ErrorKind::WouldBlock));
        last?.ok()
    }

    /// Takes one complaint about what was sent; as much of that as came back is put into `room`.
    pub fn complaint(&self, room: &mut [u8]) -> Option<Complaint> {
        let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let mut parts = [IoSliceMut::new(room)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags).ok()?;
        let remote = message.address.as_ref().and_then(address)?;
        let (error, reporter) = message.cmsgs().ok()?.find_map(|message| {
            if let ControlMessageOwned::Ipv4RecvErr(error, from) = &message {
                Some((*error, from.map(|from| IpAddr::from(SockaddrIn::from(from).ip()))))
            } else if let ControlMessageOwned::Ipv6RecvErr(error, from) = &message {
                Some((*error, from.map(|from| IpAddr::from(SockaddrIn6::from(from).ip()))))
            } else {
                None
            }
        })?;
        Some(Complaint {
            remote,
            reporter,
            kind: (error.ee_type, error.ee_code),
            mtu: u16::try_from(error.ee_info).unwrap_or_default(),
            length: message.bytes,
        })
    }
}

fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), address.port()))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    fn poll_once(poll: &mut Poll) {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(!events.is_empty());
    }

    #[test]
    fn says_that_nobody_listens() {
        for (any, v6) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
            let closed = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
            let mut poll = Poll::new().unwrap();
            let mut socket = DatagramSocket::open(Carries::Udp, v6).unwrap();
            socket.register(poll.registry(), Token(0)).unwrap();
            socket.send(closed, b"anybody?").unwrap();
            poll_once(&mut poll);

            let mut room = [0; 100];
            let complaint = socket.complaint(&mut room).expect("a complaint");

            assert_eq!(complaint.remote, closed);
            assert_eq!(complaint.kind, if v6 { (1, 4) } else { (3, 3) });
            assert_eq!(&room[..complaint.length], b"anybody?");
            assert_eq!(complaint.reporter, Some(closed.ip()));
            assert_eq!(socket.complaint(&mut room), None);
        }
    }

    #[test]
    fn carries_datagrams_both_ways() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = DatagramSocket::open(Carries::Udp, false).unwrap();
        socket.send(far.local_addr().unwrap(), b"question").unwrap();
        let mut room = [0; 100];
        let (length, from) = far.recv_from(&mut room).unwrap();
        assert_eq!(&room[..length], b"question");
        assert_eq!(socket.receive(&mut room), None);

        far.send_to(b"answer", from).unwrap();

        let got = socket.receive(&mut room);
        assert_eq!(got, Some((6, far.local_addr().unwrap())));
        assert_eq!(&room[..6], b"answer");
    }
}
