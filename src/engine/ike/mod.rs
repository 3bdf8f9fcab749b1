//! `IKEv2`, the responder for road warriors, as a pure machine: RFC 7296 with EAP-MSCHAPv2, fragments and MOBIKE.
//!
//! [`responder::Responder`] takes datagrams, changes, time and randomness, and gives datagrams, events and the next
//! deadline. A client's packets are not its business: [`event::Event::Opened`] says with which keys `engine::esp` opens
//! and seals them. What a road warrior does not need is not here: no pre-shared key, no AH, no transport mode, no `IPComp`,
//! no `IKEv1`.

mod association;
pub mod crypto;
pub mod eap;
pub mod event;
pub mod gate;
mod init;
pub mod keys;
pub mod members;
pub mod message;
pub mod nat;
pub mod proposal;
mod refused;
pub mod responder;
pub mod sealed;
mod session;
pub mod settings;
mod strangers;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
