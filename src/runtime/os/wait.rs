//! Waiting for a moment: for one socket, or for whatever comes.
#![expect(unsafe_code, reason = "poll has no safe wrapper among our crates")]

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Waits until the socket takes more, at most so long; whether it does.
pub(crate) fn for_room(socket: &impl AsFd, patience: Duration) -> bool {
    let socket = socket.as_fd();
    let mut wish = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let milliseconds = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is borrowed and therefore open; the pointer is to one live `pollfd`, and one is announced.
    let ready = unsafe { libc::poll(&raw mut wish, 1, milliseconds) };
    ready == 1 && wish.revents & libc::POLLOUT != 0
}

/// Does nothing for so long, about.
#[expect(clippy::disallowed_methods, reason = "it waits for more work to come together, whatever that is")]
pub(crate) fn nap(length: Duration) {
    std::thread::sleep(length);
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn says_whether_there_is_room() {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        assert!(for_room(&near, Duration::ZERO));
        while std::io::Write::write(&mut (&near), &[0; 8_192]).is_ok() {}
        assert!(!for_room(&near, Duration::from_millis(1)));
        drop(far);
    }
}
