//! What the machine counts: every packet that it does not carry has its reason here.

/// Counts since the machine began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows that were opened.
    pub opened: u64,
    /// New flows to where peers may not go.
    pub denied: u64,
    /// New flows beyond a bound.
    pub exhausted: u64,
    /// Packets that cannot be read, or of a protocol that needs the `tun` uplink.
    pub unsupported: u64,
    /// Packets that had travelled too far.
    pub expired: u64,
    /// Packets of TCP connections that do not exist.
    pub stray: u64,
    /// Datagrams from outside that no peer had asked for.
    pub uninvited: u64,
    /// Connections from outside to a forwarded port from where the peer could not answer them, or not tell them from
    /// others.
    pub unanswerable: u64,
    /// Fragments that did not come together.
    pub fragments: u64,
    /// Answers to peers for which there was no room, or that were too many.
    pub answers: u64,
}
