//! What the kernel's refusals mean to a peer.

use std::io;

use nix::errno::Errno;

/// Why something did not reach its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens, or the connection was reset.
    Refused,
    /// There is no way to its network.
    NoRoute,
    /// Its host does not answer.
    Silent,
    /// This host or one on the way forbids it, or has nothing left for it.
    Prohibited,
    /// It is larger than the path takes.
    TooBig,
    /// None of these.
    Other,
}

/// What an error of the kernel's means.
pub fn of(error: &io::Error) -> Fault {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED | Errno::ECONNRESET | Errno::ECONNABORTED) => Fault::Refused,
        Some(Errno::ENETUNREACH | Errno::ENETDOWN | Errno::EAFNOSUPPORT) => Fault::NoRoute,
        Some(Errno::EHOSTUNREACH | Errno::EHOSTDOWN | Errno::ETIMEDOUT) => Fault::Silent,
        Some(Errno::EACCES | Errno::EPERM | Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::EADDRNOTAVAIL) => {
            Fault::Prohibited
        }
        Some(Errno::EMSGSIZE) => Fault::TooBig,
        _ => Fault::Other,
    }
}
