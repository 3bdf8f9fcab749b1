//! Whose packet it is, and what one that stands for many is made of.

/// The dataplane's slot of a peer: small, dense, stable while the peer exists, reused afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u32);

impl Owner {
    /// The slot as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a packet is, whose bytes alone do not say it.
///
/// A super-packet has one header and the payload of many packets of the same flow, side by side. It travels the road as
/// one and becomes many where it leaves (segmentation offload: TSO, USO).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offload {
    /// Bytes of payload behind the transport's header in each packet but the last, which may have fewer; 0 for a packet
    /// that stands for itself.
    pub segment: u16,
    /// Whether the transport's checksum covers the pseudo header alone and is to be completed where the packet leaves.
    pub partial_checksum: bool,
    /// Whether it was put together from fragments, so that it may be cut into some again: its sender knows that it is
    /// larger than a link carries.
    pub gathered: bool,
}

impl Offload {
    /// A packet that stands for itself, with its checksum complete.
    pub const NONE: Self = Self { segment: 0, partial_checksum: false, gathered: false };

    /// A packet that was put together from fragments.
    pub const GATHERED: Self = Self { gathered: true, ..Self::NONE };

    /// Whether the packet stands for many.
    pub const fn is_super(self) -> bool {
        self.segment > 0
    }
}
