//! The last door: how peers' packets reach the internet.
//!
//! `sockets` needs no privilege: the pure machine `engine::flows` ends the peers' flows, and this room opens ordinary OS
//! sockets in their name.

mod host;
mod sockets;
mod table;
#[cfg(test)]
mod tests;

pub use sockets::{Settings, SocketsUplink};
