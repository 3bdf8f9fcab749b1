//! `IKEv2`, the responder: RFC 7296 as a pure machine.

pub mod crypto;
pub mod eap;
pub mod keys;
pub mod message;
pub mod proposal;
pub mod sealed;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
