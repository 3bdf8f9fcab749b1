//! Views of packets and the few packets that the appliance writes itself.
//!
//! A view (`Ipv4<T>`, `Udp<T>`, …) is made by one check (`new`) and read by accessors that cannot fail afterwards. A
//! view over `&mut [u8]` also writes. Nothing here allocates, and nothing here trusts a length that a stranger wrote.

pub mod answer;
pub mod checksum;
pub mod dns;
pub mod flow_key;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod tcp;
pub mod udp;

#[cfg(test)]
pub(crate) mod oracle;

pub use flow_key::FlowKey;
pub use ip::{Ip, Transport};
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;

/// Protocol numbers, as IANA assigns them.
pub mod protocol {
    /// ICMP (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// `ICMPv6` (RFC 4443).
    pub const ICMPV6: u8 = 58;
}

/// Why bytes are not the packet that they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than the smallest header.
    Truncated,
    /// Neither version 4 nor 6, or not the one that was expected.
    Version,
    /// A header length below the smallest or beyond the packet.
    HeaderLength,
    /// A total length below the header or beyond the bytes.
    TotalLength,
    /// More extension headers than the bound, or one that does not fit.
    Extensions,
}

/// Reads two bytes in network order. The caller has checked the length.
fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Reads four bytes in network order. The caller has checked the length.
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes two bytes in network order. The caller has checked the length.
fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Writes four bytes in network order. The caller has checked the length.
fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
