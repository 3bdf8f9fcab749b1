//! Traffic selectors: RFC 7296, section 3.13.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Fault, be16};

/// Packets of these addresses, this protocol and these ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selector {
    /// The first address.
    pub first: IpAddr,
    /// The last address, of the same family.
    pub last: IpAddr,
    /// The protocol; 0 is any.
    pub protocol: u8,
    /// The first port.
    pub first_port: u16,
    /// The last port; smaller than the first for "opaque".
    pub last_port: u16,
}

impl Selector {
    /// Everything to and from one address.
    pub const fn address(address: IpAddr) -> Self {
        Self { first: address, last: address, protocol: 0, first_port: 0, last_port: u16::MAX }
    }

    /// Everything of IPv4.
    pub const fn all_ipv4() -> Self {
        let (first, last) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST));
        Self { first, last, protocol: 0, first_port: 0, last_port: u16::MAX }
    }

    /// Everything of IPv6.
    pub const fn all_ipv6() -> Self {
        let (first, last) = (Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX));
        Self { first: IpAddr::V6(first), last: IpAddr::V6(last), protocol: 0, first_port: 0, last_port: u16::MAX }
    }

    /// What both let through: RFC 7296, section 2.9.
    pub fn narrowed(&self, other: &Self) -> Option<Self> {
        if self.first.is_ipv4() != other.first.is_ipv4() {
            return None;
        }
        let protocol = match (self.protocol, other.protocol) {
            (0, protocol) | (protocol, 0) => protocol,
            (ours, theirs) if ours == theirs => ours,
            _ => return None,
        };
        let narrowed = Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
            protocol,
            first_port: self.first_port.max(other.first_port),
            last_port: self.last_port.min(other.last_port),
        };
        (narrowed.first <= narrowed.last && narrowed.first_port <= narrowed.last_port).then_some(narrowed)
    }

    /// Whether it has this address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }
}

/// What both lists let through, in the order of the second.
pub fn narrow(allowed: &[Selector], asked: &[Selector]) -> Vec<Selector> {
    let pairs = asked.iter().flat_map(|asked| allowed.iter().filter_map(|allowed| asked.narrowed(allowed)));
    let mut narrowed: Vec<Selector> = Vec::new();
    for selector in pairs {
        if !narrowed.contains(&selector) {
            narrowed.push(selector);
        }
    }
    narrowed
}

/// Reads a payload's content; selectors of unknown types are left out.
///
/// # Errors
/// [`Fault::Syntax`] for what is cut short or counted wrong.
pub fn parse(body: &[u8]) -> Result<Vec<Selector>, Fault> {
    let (&[count, ..], mut rest) = body.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
    let mut selectors = Vec::new();
    for _ in 0..count {
        let length = usize::from(be16(rest, 2).ok_or(Fault::Syntax)?);
        let (one, more) = rest.split_at_checked(length).ok_or(Fault::Syntax)?;
        rest = more;
        let ports = (be16(one, 4).ok_or(Fault::Syntax)?, be16(one, 6).ok_or(Fault::Syntax)?);
        let (first, last) = match (one[0], &one[8..]) {
            (7, addresses) => pair::<4>(addresses)?,
            (8, addresses) => pair::<16>(addresses)?,
            _ => continue,
        };
        selectors.push(Selector { first, last, protocol: one[1], first_port: ports.0, last_port: ports.1 });
    }
    if rest.is_empty() { Ok(selectors) } else { Err(Fault::Syntax) }
}

fn pair<const N: usize>(bytes: &[u8]) -> Result<(IpAddr, IpAddr), Fault>
where
    IpAddr: From<[u8; N]>,
{
    match bytes.as_chunks::<N>() {
        ([first, last], []) => Ok((IpAddr::from(*first), IpAddr::from(*last))),
        _ => Err(Fault::Syntax),
    }
}

/// Writes a payload's content.
pub fn write(selectors: &[Selector]) -> Vec<u8> {
    let mut body = vec![u8::try_from(selectors.len()).unwrap_or(u8::MAX), 0, 0, 0];
    for selector in selectors {
        let (kind, length) = if selector.first.is_ipv4() { (7, 16) } else { (8, 40) };
        body.extend_from_slice(&[kind, selector.protocol, 0, length]);
        body.extend_from_slice(&selector.first_port.to_be_bytes());
        body.extend_from_slice(&selector.last_port.to_be_bytes());
        for address in [selector.first, selector.last] {
            match address {
                IpAddr::V4(address) => body.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => body.extend_from_slice(&address.octets()),
            }
        }
    }
    body
}
