//! Every default and every bound, one table.

use std::net::Ipv4Addr;

/// The longest name of a server, an account or a user, in bytes.
pub const NAME_LENGTH: usize = 64;
/// The lowest port on which a server may listen; automatic choice begins one above it.
pub const LISTEN_PORT_FIRST: u16 = 51_820;
/// The highest bandwidth that can be set, in Mbit/s; 0 means unlimited.
pub const RATE_MAX: u16 = 10_000;
/// The largest tunnel MTU that the contract takes, in bytes.
pub const MTU_MAX: u16 = 9_100;
/// The tunnel MTU of a server that names none: what fits in an Ethernet frame over IPv6, in bytes.
pub const MTU_DEFAULT: u16 = 1_420;
/// The persistent keepalive of a new server's clients, in seconds.
pub const KEEP_ALIVE_DEFAULT: u32 = 25;
/// The first account's mark; each further one takes the lowest free integer from here.
pub const MARK_FIRST: u32 = 100;
/// The length of a password that the appliance chooses, in characters.
pub const PASSWORD_LENGTH: usize = 10;
/// The longest password that is taken, in bytes.
pub const PASSWORD_MAX: usize = 256;
/// DNS servers of a new server's clients.
pub const DNS_DEFAULT: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(9, 9, 9, 9)];
/// How many accounts may exist where the operator names no cap.
pub const ACCOUNTS_MAX: u32 = 100_000;
/// The port of the API and the panel.
pub const API_PORT: u16 = 8_098;
/// Seconds since the last handshake within which a peer counts as online.
pub const HANDSHAKE_UPTIME: u64 = 180;
/// Bytes of an access hash; clients see twice as many hex digits.
pub const ACCESS_HASH_BYTES: usize = 40;
/// The longest label of an access hash, in bytes.
pub const LABEL_LENGTH: usize = 128;
