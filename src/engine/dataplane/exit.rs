//! How clients' packets leave for the outside.

use std::net::IpAddr;

/// Who carries packets to the outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exit {
    /// An uplink that ends flows itself (`engine/flows`): it takes and gives packets as the client has them, judges where
    /// clients may go beyond the host, and knows the forwarded ports.
    #[default]
    Flows,
    /// An uplink for whole packets. They leave in the name that is given for each version.
    Packets {
        /// In whose name IPv4 leaves.
        v4: Name,
        /// In whose name IPv6 leaves.
        v6: Name,
    },
}

/// In whose name packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// In nobody's: there is no way out.
    None,
    /// In the client's own: its addresses are routed here.
    Own,
    /// In that of this address.
    External(IpAddr),
}

impl Exit {
    /// In whose name packets leave that go to this address.
    pub(super) const fn name(self, to: IpAddr) -> Name {
        match (self, to) {
            (Self::Flows, _) => Name::Own,
            (Self::Packets { v4, .. }, IpAddr::V4(_)) => v4,
            (Self::Packets { v6, .. }, IpAddr::V6(_)) => v6,
        }
    }

    /// Whether it takes whole packets.
    pub(super) const fn takes_packets(self) -> bool {
        matches!(self, Self::Packets { .. })
    }
}
