//! ICMP errors: which packet they are about, and the translation of both, inside out (RFC 5508, REQ-3 to REQ-6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::verdict::DropReason;
use super::rewrite::{Names, rename_quoted, set_addresses};
use crate::engine::wire::checksum::{self, Sum};
use crate::engine::wire::icmp::{self, Icmp, Kind};
use crate::engine::wire::{FlowKey, Ip, Transport, ipv4, ipv6, protocol};

/// Bytes of a transport's header that every error quotes (RFC 792).
const TRANSPORT_MIN: usize = 8;
/// How many extension headers are walked, as in a packet that is not quoted.
const EXTENSIONS_MAX: usize = 8;

/// A quoted packet: maybe cut off behind the first bytes of its transport.
#[derive(Debug, Clone, Copy)]
struct Quote {
    key: FlowKey,
    /// Where its transport begins, in bytes from its own beginning.
    transport: usize,
}

/// Whether a packet is an ICMP error.
pub fn is_error<T: AsRef<[u8]>>(packet: &Ip<T>) -> bool {
    let transport = packet.transport();
    transport.has_header && Icmp::new(transport.protocol, packet.payload()).is_ok_and(|icmp| icmp.kind() == Kind::Error)
}

/// The key of the packet that a whole ICMP error is about. That packet went the other way.
///
/// # Errors
/// [`DropReason::WrongChecksum`] where the error's checksum is wrong or that of a quoted IPv4 header, and
/// [`DropReason::ErrorUnfounded`] where there is no error, what it quotes has no ports, or it goes to somebody else than
/// the sender of what it quotes (RFC 792): nobody is reached by an error who may not be reached otherwise.
pub fn quoted_key(packet: &[u8]) -> Result<FlowKey, DropReason> {
    let ip = Ip::new(packet).map_err(|_| DropReason::Malformed)?;
    if ip.transport().fragment || !is_error(&ip) {
        return Err(DropReason::ErrorUnfounded);
    }
    let message = Icmp::new(ip.transport().protocol, ip.payload()).map_err(|_| DropReason::Malformed)?;
    if !message.is_checksum_right(ip.source(), ip.destination()) {
        return Err(DropReason::WrongChecksum);
    }
    let quoted = read(message.payload())?.key;
    if quoted.source.ip() == ip.destination() { Ok(quoted) } else { Err(DropReason::ErrorUnfounded) }
}

/// Translates an ICMP error together with what it quotes. `key` is the one with which packets leave that go the error's
/// way (`Flow::translated` of the side that `FlowTable::find_error` told). Type and code stay (RFC 5508, REQ-3).
///
/// The sender stays as it is, unless packets that go this way get another source: then the error has it too, for
/// whoever is behind it is not to be seen (REQ-5).
///
/// # Errors
/// As [`quoted_key`], and [`DropReason::Malformed`] where the key is of another kind.
pub fn translate_error(packet: &mut [u8], key: &FlowKey) -> Result<(), DropReason> {
    let quoted = quoted_key(packet)?;
    let ip = Ip::new(&packet[..]).map_err(|_| DropReason::Malformed)?;
    let transport = ip.transport();
    let came = quoted.reversed();
    let hides = key.source.ip() != came.source.ip();
    let source = if hides { key.source.ip() } else { ip.source() };
    let moved = key.destination.ip() != came.destination.ip();
    let destination = if moved { key.destination.ip() } else { ip.destination() };
    let bare =
        |source: IpAddr, destination: IpAddr| Names::of(SocketAddr::new(source, 0), SocketAddr::new(destination, 0));
    let outer = bare(ip.source(), ip.destination()).zip(bare(source, destination)).ok_or(DropReason::Malformed)?;
    let left = key.reversed();
    let inner = Names::of(quoted.source, quoted.destination).zip(Names::of(left.source, left.destination));
    let inner = inner.ok_or(DropReason::Malformed)?;
    if key.source.is_ipv4() != ip.source().is_ipv4() || left.protocol != quoted.protocol {
        return Err(DropReason::Malformed);
    }

    let Transport { offset, end, .. } = transport;
    set_addresses(&mut packet[..offset], &outer.0, &outer.1);
    let quote = &mut packet[offset + icmp::HEADER..end];
    let at = read(quote)?.transport;
    let (header, rest) = quote.split_at_mut(at);
    set_addresses(header, &inner.0, &inner.1);
    rename_quoted(rest, quoted.protocol, &inner.0, &inner.1);
    seal(&mut packet[offset..end], source, destination);
    Ok(())
}

/// Writes the checksum of a message that has been checked before. An error is short, so it is summed anew.
fn seal(message: &mut [u8], source: IpAddr, destination: IpAddr) {
    message[2..4].fill(0);
    let sum = if source.is_ipv4() {
        checksum::of(message)
    } else {
        Sum::default().pseudo(source, destination, protocol::ICMPV6, message.len()).bytes(message).finish()
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

fn read(quote: &[u8]) -> Result<Quote, DropReason> {
    match quote.first().map(|first| first >> 4) {
        Some(4) => read_v4(quote),
        Some(6) => read_v6(quote),
        _ => Err(DropReason::ErrorUnfounded),
    }
}

/// Steps over options (RFC 5508, REQ-3 (b)) and judges the header's own checksum (REQ-3 (a)).
fn read_v4(quote: &[u8]) -> Result<Quote, DropReason> {
    let length = usize::from(quote[0] & 0xf) * 4;
    if length < ipv4::HEADER || quote.len() < length {
        return Err(DropReason::ErrorUnfounded);
    }
    if checksum::of(&quote[..length]) != 0 {
        return Err(DropReason::WrongChecksum);
    }
    // what is not the first fragment has no ports
    if u16::from_be_bytes([quote[6], quote[7]]) & 0x1fff != 0 {
        return Err(DropReason::ErrorUnfounded);
    }
    let octets = |at: usize| Ipv4Addr::new(quote[at], quote[at + 1], quote[at + 2], quote[at + 3]);
    keyed(quote, length, quote[9], octets(12).into(), octets(16).into())
}

fn read_v6(quote: &[u8]) -> Result<Quote, DropReason> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION_OPTIONS: u8 = 60;
    let header: &[u8; ipv6::HEADER] = quote.first_chunk().ok_or(DropReason::ErrorUnfounded)?;
    let octets = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        Ipv6Addr::from(octets)
    };
    let (mut kind, mut at) = (header[6], ipv6::HEADER);
    for _ in 0..=EXTENSIONS_MAX {
        if !matches!(kind, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
            return keyed(quote, at, kind, octets(8).into(), octets(24).into());
        }
        let extension = quote.get(at..at + 8).ok_or(DropReason::ErrorUnfounded)?;
        if kind == FRAGMENT && u16::from_be_bytes([extension[2], extension[3]]) & 0xfff8 != 0 {
            return Err(DropReason::ErrorUnfounded);
        }
        at += if kind == FRAGMENT { 8 } else { (usize::from(extension[1]) + 1) * 8 };
        kind = extension[0];
    }
    Err(DropReason::ErrorUnfounded)
}

fn keyed(quote: &[u8], at: usize, protocol: u8, source: IpAddr, destination: IpAddr) -> Result<Quote, DropReason> {
    let transport = quote.get(at..at + TRANSPORT_MIN).ok_or(DropReason::ErrorUnfounded)?;
    let word = |at: usize| u16::from_be_bytes([transport[at], transport[at + 1]]);
    let ports = match (protocol, source.is_ipv4()) {
        (protocol::TCP | protocol::UDP, _) => (word(0), word(2)),
        (protocol::ICMP, true) | (protocol::ICMPV6, false) => {
            match Icmp::new(protocol, transport).map(|icmp| icmp.kind()) {
                Ok(Kind::Echo | Kind::EchoReply) => (word(4), word(4)),
                _ => return Err(DropReason::ErrorUnfounded),
            }
        }
        _ => return Err(DropReason::ErrorUnfounded),
    };
    let (source, destination) = (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1));
    Ok(Quote { key: FlowKey { protocol, source, destination }, transport: at })
}
