//! `ICMPv6` that arrives at the host: errors about what was sent in its name, and answers to pings.
//!
//! Over IPv6 routing rules cannot steer ICMP: neighbour discovery is ICMP to the same address and would be steered with
//! it, and a rule cannot tell the types apart. A raw socket gets a copy of each message (RFC 3542, section 3.2); the host
//! handles its own as ever, so nothing has to be handed back.

use std::io::{self, IoSliceMut};
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::option;

/// Length of the IPv6 header that is put before each message.
const HEADER: usize = 40;
/// Destination unreachable, packet too big, time exceeded, parameter problem, echo reply (RFC 4443).
const WANTED: [u8; 5] = [1, 2, 3, 4, 129];

/// The socket.
#[derive(Debug)]
pub struct Icmp6(Socket);

impl Icmp6 {
    /// Opens it.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_NET_RAW`; the kernel's where it has no IPv6.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
        // a set bit blocks a type
        let mut filter = [u32::MAX; 8];
        for kind in WANTED {
            filter[usize::from(kind / 32)] &= !(1 << (kind % 32));
        }
        option::filter_icmp6(&socket, &filter)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        Ok(Self(socket))
    }

    /// Takes one message as the whole packet that it was, extension headers left out: its length; `None` when none waits.
    /// Its checksum was found good. The hop limit is not told and stands at 64.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let Some((header, message)) = room.split_at_mut_checked(HEADER) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(message)];
        let got = match recvmsg::<SockaddrIn6>(self.0.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()) {
            Ok(got) => got,
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let hit = got.cmsgs()?.find_map(|message| {
            if let ControlMessageOwned::Ipv6PacketInfo(told) = message { Some(told.ipi6_addr.s6_addr) } else { None }
        });
        let from = got.address.map(|address| address.ip());
        let (Some(to), Some(from)) = (hit.map(Ipv6Addr::from), from) else { return Ok(Some(0)) };
        let length = u16::try_from(got.bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        header[..4].copy_from_slice(&[0x60, 0, 0, 0]);
        header[4..6].copy_from_slice(&length.to_be_bytes());
        header[6..8].copy_from_slice(&[58, 64]);
        header[8..24].copy_from_slice(&from.octets());
        header[24..].copy_from_slice(&to.octets());
        Ok(Some(HEADER + got.bytes))
    }
}

impl Source for Icmp6 {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(registry)
    }
}
