//! ESP in tunnel mode, as it stands in a UDP datagram: RFC 4303 and 3948. Keys come from elsewhere, bytes too.
//!
//! [`association::Inbound`] opens, [`association::Outbound`] seals, each in place. Who they belong to, where datagrams go
//! and what inner addresses are allowed is the caller's to know.

pub mod association;
pub mod protection;
pub mod suite;
pub mod window;
