//! Gives a packet another source and destination, and mends its checksums by what has changed (RFC 1624).

use std::net::{IpAddr, SocketAddr};

use super::super::verdict::DropReason;
use crate::engine::packet::Offload;
use crate::engine::wire::{FlowKey, Ip, checksum, ipv6, protocol};

/// Addresses and ports as they lie in a packet: at most two IPv6 addresses and two ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    addresses: [u8; 32],
    /// How much of `addresses` is used, in bytes.
    length: usize,
    ports: [u8; 4],
}

impl Names {
    /// The bytes of both addresses and of both ports; `None` where the addresses are of different versions.
    pub(super) fn of(source: SocketAddr, destination: SocketAddr) -> Option<Self> {
        let mut addresses = [0; 32];
        let length = match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                addresses[..4].copy_from_slice(&source.octets());
                addresses[4..8].copy_from_slice(&destination.octets());
                8
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                addresses[..16].copy_from_slice(&source.octets());
                addresses[16..].copy_from_slice(&destination.octets());
                32
            }
            _ => return None,
        };
        let mut ports = [0; 4];
        ports[..2].copy_from_slice(&source.port().to_be_bytes());
        ports[2..].copy_from_slice(&destination.port().to_be_bytes());
        Some(Self { addresses, length, ports })
    }

    fn addresses(&self) -> &[u8] {
        &self.addresses[..self.length]
    }

    const fn is_v4(&self) -> bool {
        self.length == 8
    }
}

/// Makes a packet one of this key, which is of the same version and protocol. Time to live is not touched. `key` is what
/// the flow says of the packet's side (`Flow::translated`), and the packet is one that has a key of its own.
///
/// # Errors
/// [`DropReason::Malformed`] where the packet is not of the key's kind, [`DropReason::SourceRouted`] where an IPv6 routing
/// header names further stops: its checksum covers an address that nobody has translated.
pub fn translate(packet: &mut [u8], offload: Offload, key: &FlowKey) -> Result<(), DropReason> {
    let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
    let transport = ip.transport();
    if transport.protocol != key.protocol || !transport.has_header {
        return Err(DropReason::Malformed);
    }
    let old = Names::of(SocketAddr::new(ip.source(), 0), SocketAddr::new(ip.destination(), 0));
    let new = Names::of(key.source, key.destination);
    let (old, new) = old.zip(new).ok_or(DropReason::Malformed)?;
    if old.length != new.length {
        return Err(DropReason::Malformed);
    }
    if is_source_routed(&packet[..transport.offset]) {
        return Err(DropReason::SourceRouted);
    }
    let (header, payload) = packet[..transport.end].split_at_mut(transport.offset);
    rename(payload, key.protocol, offload.partial_checksum, &old, &new)?;
    set_addresses(header, &old, &new);
    Ok(())
}

/// Writes both addresses into a header, and mends the checksum that IPv4 has there.
pub(super) fn set_addresses(header: &mut [u8], old: &Names, new: &Names) {
    if new.is_v4() {
        mend(header, 10, old.addresses(), new.addresses());
        header[12..20].copy_from_slice(new.addresses());
    } else {
        header[8..40].copy_from_slice(new.addresses());
    }
}

/// Writes both ports, or a ping's identifier, and mends the transport's checksum, which covers the addresses too.
fn rename(transport: &mut [u8], protocol: u8, is_partial: bool, old: &Names, new: &Names) -> Result<(), DropReason> {
    let (at, shortest) = match protocol {
        protocol::TCP => (16, 20),
        protocol::UDP => (6, 8),
        protocol::ICMP | protocol::ICMPV6 => (2, 8),
        _ => return Err(DropReason::Malformed),
    };
    if transport.len() < shortest {
        return Err(DropReason::Malformed);
    }
    match protocol {
        protocol::TCP | protocol::UDP if is_partial => mend_partial(transport, at, old.addresses(), new.addresses()),
        protocol::TCP => {
            mend(transport, at, old.addresses(), new.addresses());
            mend_field(transport, at, 0, new.ports);
        }
        protocol::UDP => mend_datagram(transport, old, new),
        _ => {
            // ICMP covers no addresses over IPv4 (RFC 792), but over IPv6 it does (RFC 4443, section 2.3)
            if !new.is_v4() {
                mend(transport, at, old.addresses(), new.addresses());
            }
            mend_field(transport, at, 4, [new.ports[0], new.ports[1]]);
            transport[4..6].copy_from_slice(&new.ports[..2]);
            return Ok(());
        }
    }
    transport[..4].copy_from_slice(&new.ports);
    Ok(())
}

/// Mends a datagram's checksum. None stays none, and none is made (RFC 768; RFC 3022, section 4.1).
fn mend_datagram(transport: &mut [u8], old: &Names, new: &Names) {
    if transport[6..8] == [0, 0] {
        return;
    }
    mend(transport, 6, old.addresses(), new.addresses());
    mend_field(transport, 6, 0, new.ports);
    if transport[6..8] == [0, 0] {
        transport[6..8].copy_from_slice(&[0xff, 0xff]);
    }
}

/// Mends the checksum at this place: `old` among what it covers turns into `new`.
pub(super) fn mend(bytes: &mut [u8], at: usize, old: &[u8], new: &[u8]) {
    let sum = checksum::update(u16::from_be_bytes([bytes[at], bytes[at + 1]]), old, new);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Mends the checksum at this place for what will stand at `field`. The caller writes the field.
fn mend_field<const N: usize>(bytes: &mut [u8], at: usize, field: usize, new: [u8; N]) {
    let mut old = [0; N];
    old.copy_from_slice(&bytes[field..field + N]);
    mend(bytes, at, &old, &new);
}

/// Mends what will become a checksum where the packet leaves: a sum of the pseudo header, which is not complemented.
fn mend_partial(bytes: &mut [u8], at: usize, old: &[u8], new: &[u8]) {
    let sum = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let sum = !checksum::update(!sum, old, new);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Whether IPv6 extension headers, which have been checked, hold a routing header with stops left (RFC 8200, section 4.4).
fn is_source_routed(headers: &[u8]) -> bool {
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    if headers[0] >> 4 != 6 {
        return false;
    }
    let (mut kind, mut at) = (headers[6], ipv6::HEADER);
    while let Some(extension) = headers.get(at..at + 8) {
        if kind == ROUTING && extension[3] > 0 {
            return true;
        }
        at += if kind == FRAGMENT { 8 } else { (usize::from(extension[1]) + 1) * 8 };
        kind = extension[0];
    }
    false
}

/// Mends the transport of a quoted packet as far as the quotation reaches; its checksum is not judged
/// (RFC 5508, REQ-3 (c)).
pub(super) fn rename_quoted(transport: &mut [u8], protocol: u8, old: &Names, new: &Names) {
    if rename(transport, protocol, false, old, new).is_err() {
        // a TCP header that ends before its checksum: 8 bytes are all that RFC 792 promises
        transport[..4].copy_from_slice(&new.ports);
    }
}
