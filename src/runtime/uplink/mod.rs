//! The last door: how peers' packets reach the internet.
//!
//! `sockets` needs no privilege: the pure machine `engine::flows` ends the peers' flows, and this room opens ordinary OS
//! sockets in their name. `tun` (`packets`) writes whole packets to a TUN device, which the kernel routes.

pub(super) mod host;
mod listeners;
pub(super) mod packets;
mod sockets;
mod table;
#[cfg(test)]
mod tests;

pub use sockets::{Settings, SocketsUplink};

pub use crate::engine::flows::forwards::{Door, Forward, Forwarding};
