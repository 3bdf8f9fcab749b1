//! Life spans. `WireGuard`'s are those of the paper, section 6.1, under the paper's names; a flow's are those of the
//! RFCs about NAT.

use std::time::Duration;

/// When whoever began a session begins the next one, if it has something to send.
pub const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
/// When a session may no longer be used.
pub const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);
/// How long one tries to begin a session before giving up.
pub const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);
/// How long one waits for the answer to a handshake, and how often one may begin one.
pub const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that is added to [`REKEY_TIMEOUT`] so that two peers do not keep step.
pub const REKEY_JITTER_MAX: Duration = Duration::from_millis(333);
/// When a packet from the other side is acknowledged by an empty one, if nothing else went back.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// When the last session's keys are forgotten.
pub const FORGET_KEYS: Duration = Duration::from_secs(3 * REJECT_AFTER_TIME.as_secs());
/// The counter at which a session's key may no longer be used: 2^64 - 2^13 - 1.
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
/// The shortest time between two handshakes of one peer: 50 a second.
pub const INITIATION_INTERVAL: Duration = Duration::from_millis(20);

/// How long an open TCP connection may be silent: RFC 5382, REQ-5.
pub const TCP_ESTABLISHED: Duration = Duration::from_secs(2 * 3_600 + 4 * 60);
/// How long a TCP connection may take to open: RFC 5382, REQ-5 and RFC 7857, section 2.1.
pub const TCP_OPENING: Duration = Duration::from_secs(240);
/// How long a TCP connection is kept that both sides have ended: RFC 5382, REQ-5 and RFC 7857, section 2.1.
pub const TCP_CLOSING: Duration = Duration::from_secs(240);
/// How long a TCP connection is kept after a reset, for the reset may be forged: RFC 7857, section 2.2.
pub const TCP_RESET: Duration = Duration::from_secs(240);
/// How long a UDP flow may be silent: RFC 4787, REQ-5 (at least 2 minutes, 5 recommended).
pub const UDP: Duration = Duration::from_secs(300);
/// How long a UDP flow to port 53 may be silent: RFC 4787, REQ-5 (a) lets a well-known port have less.
pub const UDP_DNS: Duration = Duration::from_secs(30);
/// How long a ping may stay unanswered: RFC 5508, REQ-2.
pub const ICMP_QUERY: Duration = Duration::from_secs(60);
/// How long a packet's fragments wait for the rest: RFC 4787, REQ-14 (a) and RFC 5722 ask for a bound.
pub const FRAGMENTS: Duration = Duration::from_secs(2);
/// How long a released external port rests before another flow has it: RFC 6888, REQ-8.
pub const PORT_REST: Duration = Duration::from_secs(120);
