//! Life spans of flows, one table.

use std::time::Duration;

/// An established TCP connection on which nothing moves: RFC 5382, REQ-5.
pub(super) const TCP_ESTABLISHED: Duration = Duration::from_secs(2 * 3_600 + 4 * 60);
/// When such a connection's peer is asked whether it is still there: RFC 1122, section 4.2.3.6.
pub(super) const TCP_KEEP_ALIVE: Duration = Duration::from_secs(2 * 3_600);
/// A TCP connection that opens, closes or waits for an acknowledgement: RFC 5382, REQ-5.
pub(super) const TCP_TRANSITORY: Duration = Duration::from_secs(4 * 60);
/// When the peer of such a connection is asked whether it is still there: four times within [`TCP_TRANSITORY`].
pub(super) const TCP_TRANSITORY_KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long an acknowledgement waits for company: RFC 9293, section 3.8.6.3 allows 500 ms, and batches are the company.
pub(super) const TCP_ACK_DELAY: Duration = Duration::from_millis(2);
/// A UDP mapping: RFC 4787, REQ-5.
pub(super) const UDP: Duration = Duration::from_secs(300);
/// A UDP mapping that has only asked name servers: RFC 4787, REQ-5 allows less for well-known ports.
pub(super) const UDP_DNS: Duration = Duration::from_secs(30);
/// A mapping of pings: RFC 5508, REQ-2.
pub(super) const PING: Duration = Duration::from_secs(60);
/// Fragments of a packet whose rest does not come.
pub(super) const FRAGMENTS: Duration = Duration::from_secs(2);
