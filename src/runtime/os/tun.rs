//! TUN devices with several queues, whole super-packets and unfinished checksums.
//!
//! A device lives as long as one of its queues is open: a process that dies leaves none behind, and with the device go its
//! addresses and routes. Each packet is one system call, whatever its size up to 64 KiB.
#![expect(unsafe_code, reason = "the device's requests (ioctl) have no safe wrapper")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::vnet::{self, Header};

/// The most parts that a packet of ours may lie in.
pub const PARTS_MAX: usize = 128;
/// The longest packet either way, in bytes.
pub const PACKET_MAX: usize = 65_535;

/// Where devices are made.
const DOOR: &str = "/dev/net/tun";

/// What the kernel may leave undone in the packets that it gives us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offload {
    /// Nothing: single packets with finished checksums.
    None,
    /// Checksums.
    Checksum,
    /// Checksums and the segmentation of TCP.
    Tcp,
    /// The segmentation of UDP as well (Linux 6.2 and later).
    TcpAndUdp,
}

impl Offload {
    /// From the most to the least.
    const ALL: [Self; 4] = [Self::TcpAndUdp, Self::Tcp, Self::Checksum, Self::None];

    const fn flags(self) -> libc::c_uint {
        const TCP: libc::c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        match self {
            Self::None => 0,
            Self::Checksum => libc::TUN_F_CSUM,
            Self::Tcp => TCP,
            Self::TcpAndUdp => TCP | libc::TUN_F_USO4 | libc::TUN_F_USO6,
        }
    }
}

/// An open device: its queues, each for one thread.
#[derive(Debug)]
pub struct Tun {
    /// The name that the kernel gave it.
    pub name: String,
    /// What its packets may lack.
    pub offload: Offload,
    /// Its queues. A flow's packets come by one of them: the one by which the flow was last written to.
    pub queues: Vec<Queue>,
}

/// One queue of a device. It reads and writes through `&self`, and never waits.
#[derive(Debug)]
pub struct Queue(File);

impl Tun {
    /// Makes the device `name` (`%d` in it stands for a number of the kernel's choice) with so many queues, at least one.
    /// It is down and has no address.
    ///
    /// # Errors
    /// `NotFound` where there is no `/dev/net/tun`, `PermissionDenied` without the privilege, `ResourceBusy` where an
    /// interface of this name is there, `InvalidInput` for a name that none can have.
    pub fn open(name: &str, queues: usize) -> io::Result<Self> {
        // whatever has this name already is another program's, even a device that would take one more queue of ours
        let (first, name) = attach(name, libc::IFF_TUN_EXCL)?;
        let more = (1..queues).map(|_| attach(&name, 0).map(|(queue, _)| queue));
        let queues = std::iter::once(Ok(first)).chain(more).collect::<io::Result<Vec<Queue>>>()?;
        let offload = agree(&queues[0])?;
        Ok(Self { name, offload, queues })
    }
}

impl Queue {
    /// Takes one packet from the kernel into `room`, which should hold [`PACKET_MAX`]; its length, and what is undone
    /// about it. `None` when none waits.
    ///
    /// # Errors
    /// The kernel's; `InvalidData` for a packet that is not as was agreed on.
    pub fn read(&self, room: &mut [u8]) -> io::Result<Option<(Header, usize)>> {
        let mut header = [0; vnet::LENGTH];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(room)];
        let length = match (&self.0).read_vectored(&mut parts) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let packet = length.checked_sub(vnet::LENGTH).ok_or(io::ErrorKind::InvalidData)?;
        let header = Header::parse(header).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some((header, packet)))
    }

    /// Gives the kernel one packet, which lies in `parts`.
    ///
    /// # Errors
    /// The kernel's: `InvalidInput` for a packet that is not as `header` says (or in more than [`PARTS_MAX`] parts), EIO
    /// while the device is down, `WouldBlock` where it has no room.
    pub fn write(&self, header: &Header, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let header = header.compose();
        let mut all = [IoSlice::new(&[]); PARTS_MAX + 1];
        let room = all.get_mut(1..=parts.len()).ok_or(io::ErrorKind::InvalidInput)?;
        room.copy_from_slice(parts);
        all[0] = IoSlice::new(&header);
        // the kernel takes a packet whole or not at all
        (&self.0).write_vectored(&all[..=parts.len()]).map(|_| ())
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Source for Queue {
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

/// Opens one queue; the name that the device has.
fn attach(name: &str, more: libc::c_int) -> io::Result<(Queue, String)> {
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE | more;
    // a short: the last flag is its sign
    let flags = u16::try_from(flags).map_err(io::Error::other)?.cast_signed();
    // std opens everything close-on-exec
    let door = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DOOR)?;
    let mut wish =
        libc::ifreq { ifr_name: [0; libc::IFNAMSIZ], ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // the last byte stays 0, which ends the name
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in wish.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: the descriptor is open; the pointer is to one live `ifreq`, which the kernel reads and writes.
    let outcome = unsafe { libc::ioctl(door.as_raw_fd(), libc::TUNSETIFF, &raw mut wish) };
    succeeded(outcome)?;
    set(&door, libc::TUNSETVNETHDRSZ, vnet::LENGTH)?;
    // without it the header is as the machine is
    if cfg!(target_endian = "big") {
        set(&door, libc::TUNSETVNETLE, 1)?;
    }
    let given = wish.ifr_name.iter().take_while(|&&byte| byte != 0).map(|byte| byte.to_ne_bytes()[0]);
    let given = String::from_utf8(given.collect()).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((Queue(door), given))
}

/// The most that this kernel may leave undone. It holds for the whole device.
fn agree(queue: &Queue) -> io::Result<Offload> {
    for offload in Offload::ALL {
        let flags = libc::c_ulong::from(offload.flags());
        // SAFETY: the descriptor is open, and this request takes a number, not a pointer.
        let outcome = unsafe { libc::ioctl(queue.0.as_raw_fd(), libc::TUNSETOFFLOAD, flags) };
        if outcome == 0 {
            return Ok(offload);
        }
    }
    Err(io::Error::last_os_error())
}

fn set(door: &File, request: libc::Ioctl, value: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(value).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open; the pointer is to a live integer, which the kernel only reads.
    succeeded(unsafe { libc::ioctl(door.as_raw_fd(), request, &raw const value) })
}

fn succeeded(outcome: libc::c_int) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
