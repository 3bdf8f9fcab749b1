//! Whose packet it is.

/// The dataplane's slot of a peer: small, dense, stable while the peer exists, reused afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u32);

impl Owner {
    /// The slot as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
