//! Keys' mathematics behind names of IKE: no primitive of our own, every one is a library's.

pub mod dice;
pub mod group;
pub mod modp;
pub mod prf;
pub mod signer;
