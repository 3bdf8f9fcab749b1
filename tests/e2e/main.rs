//! Real peers: Culvert as nobody, without a capability or with `CAP_NET_ADMIN` for its TUN, Debian's WireGuard as its
//! client, in network namespaces.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]
#![expect(clippy::print_stderr, reason = "what a program said is shown when a test fails")]
#![expect(clippy::disallowed_methods, reason = "the ban is on the product: a rig runs programs and reads the clock")]
#![expect(unreachable_pub, reason = "a test's modules are seen by this target alone")]

mod accounts;
mod bare;
mod copies;
mod dns;
mod firewall;
mod forwards;
mod host;
mod ikev2;
mod ikev2_clients;
mod ikev2_keys;
mod ikev2_many;
mod ikev2_moves;
mod ikev2_rules;
mod lifecycle;
mod moves;
mod nat;
mod reach;
mod rig;
mod servers;
mod shaping;
mod steering;
mod traffic;
mod traffic_log;
mod watching;
