//! Fragments of IP packets (RFC 791, section 3.2; RFC 8200, section 4.5): put together, and cut.

pub mod gather;
pub mod split;
