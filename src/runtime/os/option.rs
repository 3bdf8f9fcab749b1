//! Socket options that no safe wrapper offers.
#![expect(unsafe_code, reason = "setsockopt has no safe wrapper for these options")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Lets routers on the path, and this host, fragment what the socket sends (RFC 1191 turned off).
///
/// # Errors
/// The operating system's.
pub(crate) fn allow_fragments(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
    // an IPv4 socket has no options of IPv6, which is no failure
    let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT);
    let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 0);
    Ok(())
}

/// Has the kernel hand over every datagram by itself, and put none together (UDP GRO turned off).
///
/// # Errors
/// The operating system's.
pub(crate) fn keep_apart(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    set(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 0)
}

/// Has a raw `ICMPv6` socket receive only the types whose bits are 0 (RFC 3542, section 3.2).
///
/// # Errors
/// The operating system's.
pub(crate) fn filter_icmp6(socket: &impl std::os::fd::AsFd, blocked: &[u32; 8]) -> io::Result<()> {
    /// `ICMPV6_FILTER` of linux/icmpv6.h
    const FILTER: libc::c_int = 1;
    set(socket.as_fd(), libc::IPPROTO_ICMPV6, FILTER, *blocked)
}

fn set<T: Copy>(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed and therefore open; the pointer is to a live value of `length` bytes, which
    // the kernel only reads.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
