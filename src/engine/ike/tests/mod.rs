//! The responder against recorded sessions and against a client of its own kind.

mod client;
mod connect;
mod orders;
mod recorded;
pub(super) mod rig;
mod upkeep;
