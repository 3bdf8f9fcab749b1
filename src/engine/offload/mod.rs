//! Super-packets (segmentation offload: TSO, USO): many packets of one flow as one, put together and cut.
//!
//! Neither way copies a payload. [`merge::Merge`] has a packet decrypted right behind the payload that it continues,
//! with its headers over the end of that payload, which is kept aside meanwhile; [`split::split`] writes each packet's
//! headers over the end of the one before it, which has been handed over by then.

mod layout;
pub mod merge;
mod run;
pub mod split;

#[cfg(test)]
mod tests;

/// Not a whole TCP segment or UDP datagram whose lengths hold: nothing that is cut or completed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit;
