//! Tunnels: sealed datagrams on one side, packets on the other.

pub mod connections;
pub mod esp;
pub mod room;
pub mod timers;
pub mod wireguard;
