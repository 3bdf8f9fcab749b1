//! A packet of either IP version.

use std::net::IpAddr;

use super::{Ipv4, Ipv6, Malformed, ipv4, ipv6};

/// An IP packet whose header has been checked, with the place of its transport.
#[derive(Debug, Clone, Copy)]
pub struct Ip<T> {
    bytes: T,
    source: IpAddr,
    destination: IpAddr,
    transport: Transport,
}

/// Where the transport lies in a packet, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// What it is.
    pub protocol: u8,
    /// Where in the packet it begins, in bytes.
    pub offset: usize,
    /// Where the packet ends, in bytes.
    pub end: usize,
    /// Whether the packet is a part of a larger one.
    pub fragment: bool,
    /// Whether the transport's header is here: in whole packets and first fragments.
    pub has_header: bool,
}

impl<T: AsRef<[u8]>> Ip<T> {
    /// Checks the header of whichever version the first nibble names.
    ///
    /// # Errors
    /// [`Malformed`] as the version's own view says.
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let packet = bytes.as_ref();
        let (source, destination, transport) = match packet.first().ok_or(Malformed::Truncated)? >> 4 {
            4 => {
                let view = Ipv4::new(packet)?;
                let transport = Transport {
                    protocol: view.protocol(),
                    offset: view.header_len(),
                    end: view.total_len(),
                    fragment: view.is_fragment(),
                    has_header: view.fragment_offset() == 0,
                };
                (view.source().into(), view.destination().into(), transport)
            }
            6 => {
                let view = Ipv6::new(packet)?;
                let upper = view.upper()?;
                let transport = Transport {
                    protocol: upper.protocol,
                    offset: upper.offset,
                    end: view.total_len(),
                    fragment: upper.fragment,
                    has_header: upper.fragment_offset == 0,
                };
                (view.source().into(), view.destination().into(), transport)
            }
            _ => return Err(Malformed::Version),
        };
        Ok(Self { bytes, source, destination, transport })
    }

    /// Where it comes from.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Where it goes to.
    pub fn destination(&self) -> IpAddr {
        self.destination
    }

    /// Where its transport lies and what it is.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Bytes of the whole packet.
    pub fn total_len(&self) -> usize {
        self.transport.end
    }

    /// The whole packet, without what lay behind it.
    pub fn packet(&self) -> &[u8] {
        &self.bytes.as_ref()[..self.transport.end]
    }

    /// The transport: its header, if it is here, and what that carries.
    pub fn payload(&self) -> &[u8] {
        &self.bytes.as_ref()[self.transport.offset..self.transport.end]
    }
}

/// Bytes of a plain header of the same version as this address.
pub const fn header_len(address: IpAddr) -> usize {
    if address.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER }
}

/// Writes a plain header for so many bytes of payload; returns where the payload begins, or `None` where the two
/// addresses are of different versions, the buffer is too small or the packet too long.
pub fn write_header(
    packet: &mut [u8],
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ttl: u8,
    payload: usize,
) -> Option<usize> {
    let header = header_len(source);
    if packet.len() < header + payload || header + payload > usize::from(u16::MAX) {
        return None;
    }
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ipv4::write_header(packet, source, destination, protocol, ttl, payload);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ipv6::write_header(packet, source, destination, protocol, ttl, payload);
        }
        _ => return None,
    }
    Some(header)
}

/// Takes one hop from what has more than one left.
pub fn take_hop(packet: &mut [u8]) {
    if let Ok(mut view) = Ipv4::new(&mut *packet) {
        let left = view.ttl();
        view.set_ttl(left.saturating_sub(1));
    } else if let Ok(mut view) = Ipv6::new(packet) {
        let left = view.hop_limit();
        view.set_hop_limit(left.saturating_sub(1));
    }
}
