//! Doors to the operating system. The only place with `unsafe`, with a clock and with randomness.

pub mod addresses;
pub mod clock;
pub mod datagram;
pub mod descriptors;
pub mod door;
pub mod entropy;
pub mod fault;
pub mod host;
pub mod icmp6;
pub mod life;
pub mod memory;
pub mod netlink;
mod option;
pub mod ports;
pub mod rsa;
mod sharing;
pub mod sysctl;
pub mod tcp;
pub mod tun;
pub mod vnet;
pub(super) mod wait;
