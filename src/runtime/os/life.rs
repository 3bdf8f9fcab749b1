//! Which run of which network stack this is: settings and rules do not outlive it.
#![expect(unsafe_code, reason = "getsockopt has no safe wrapper for this option")]

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

/// A text that is the same as long as the host runs and the calling thread stays in its network namespace.
pub fn of_network() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let network = cookie().unwrap_or_else(
        // before Linux 5.14; a number that another namespace may have after this one's end
        || fs::metadata("/proc/thread-self/ns/net").map_or(0, |file| file.ino()),
    );
    format!("{}/{network}", boot.trim())
}

/// The number of the network namespace, which is given once.
fn cookie() -> Option<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("0.0.0.0:0")).ok()?;
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of_val(&cookie)).ok()?;
    // SAFETY: the descriptor is open; both pointers are to live values, and `length` is the size of the first.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (outcome == 0).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_the_same() {
        assert_eq!(of_network(), of_network());
        assert!(of_network().len() > 30);
    }
}
