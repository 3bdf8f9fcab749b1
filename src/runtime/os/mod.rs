//! Doors to the operating system. The only place with `unsafe`, with a clock and with randomness.

pub mod addresses;
pub mod clock;
pub mod datagram;
pub mod descriptors;
pub mod door;
pub mod entropy;
pub mod fault;
pub mod host;
pub mod memory;
mod option;
mod sharing;
pub mod tcp;
mod wait;
