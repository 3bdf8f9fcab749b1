//! Doors to the operating system. The only place with `unsafe`, with a clock and with randomness.

pub mod clock;
pub mod door;
pub mod entropy;
mod option;
mod wait;
