//! The states of a flow, and how long it may be silent in each.

use std::time::Duration;

use super::super::timeouts;
use super::Way;
use crate::engine::wire::{FlowKey, protocol};

/// How far a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// One side has spoken, or a TCP connection is not open yet.
    Opening,
    /// Both sides have spoken; a TCP connection is open, maybe one way only.
    Established,
    /// Both sides of a TCP connection have ended their streams.
    Closing,
    /// A TCP connection was reset, by someone who knew its numbers.
    Reset,
}

impl State {
    /// The state's name, for those who list flows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Reset => "reset",
        }
    }
}

/// How long a flow may be silent.
pub(super) fn life(key: &FlowKey, way: Way, state: State) -> Duration {
    match (key.protocol, state) {
        (protocol::TCP, State::Opening) => timeouts::TCP_OPENING,
        (protocol::TCP, State::Established) => timeouts::TCP_ESTABLISHED,
        (protocol::TCP, State::Closing) => timeouts::TCP_CLOSING,
        (protocol::TCP, State::Reset) => timeouts::TCP_RESET,
        (protocol::UDP, _) if key.destination.port() == 53 && way != Way::In => timeouts::UDP_DNS,
        (protocol::UDP, _) => timeouts::UDP,
        _ => timeouts::ICMP_QUERY,
    }
}
