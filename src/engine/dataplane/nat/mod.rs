//! Network address translation: whose an external port is, and packets rewritten.
//!
//! Which flow a packet belongs to, and with which key it leaves, is the flow table's to say; here is how its bytes change.
//! A packet is translated by the key that it is to have. Super-packets are translated once: they have one header.

mod dice;
pub mod mss;
pub mod ports;
pub mod quote;
pub mod rewrite;

#[cfg(test)]
mod tests;

pub use mss::clamp_mss;
pub use ports::Ports;
pub use quote::{quoted_key, translate_error};
pub use rewrite::translate;
