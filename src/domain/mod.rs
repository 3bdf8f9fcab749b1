//! Nouns and rules. Pure values: no I/O, no clock, no randomness of its own.
//!
//! Every other room speaks in these types. A value that has been checked has another type than one that has not: a
//! [`server::ServerDraft`] is what somebody asked for, a [`server::Server`] is what may be stored.

pub mod access;
pub mod account;
pub mod audit;
pub mod backup;
pub mod client_config;
pub mod dns;
pub mod field;
pub mod figures;
pub mod firewall;
#[cfg(test)]
pub(crate) mod fixture;
pub mod health;
pub mod hex;
pub mod host;
pub mod ikev2;
pub mod intended;
pub mod key;
pub mod limits;
pub mod name;
pub mod nat;
pub mod numbers;
pub mod one_time_link;
pub mod password;
pub mod pool;
pub mod port_forward;
pub mod rate;
pub mod refusal;
pub mod restriction;
pub mod server;
pub mod system;
pub mod traffic;
pub mod traffic_log;
pub mod web_certificate;
pub mod webhook;
mod words;
