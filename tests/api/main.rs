//! Stories of the API, told to the real router over a real store.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "the tests start what they talk to")]

mod access;
mod accounts;
mod audit;
mod backups;
mod certificate;
mod dns;
mod firewall;
mod ikev2;
mod junk;
mod listener;
mod metrics;
mod otl;
mod panel;
mod panel_accounts;
mod panel_appliance;
mod panel_keeping;
mod panel_network;
mod panel_users;
mod port_forwards;
mod read_outs;
mod reader;
mod requests;
mod scopes;
mod secrets;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod system;
mod traffic;
mod traffic_log;
mod webhooks;
