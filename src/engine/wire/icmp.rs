//! ICMP (RFC 792) and `ICMPv6` (RFC 4443): echo, and the errors that a router sends.

use std::net::IpAddr;

use super::checksum::{self, Sum};
use super::{Ip, Malformed, be16, ip, protocol, put16, put32};

/// The header, in bytes.
pub const HEADER: usize = 8;

const V4_ECHO_REPLY: u8 = 0;
const V4_UNREACHABLE: u8 = 3;
const V4_ECHO: u8 = 8;
const V4_TIME_EXCEEDED: u8 = 11;
const V6_UNREACHABLE: u8 = 1;
const V6_TOO_BIG: u8 = 2;
const V6_TIME_EXCEEDED: u8 = 3;
const V6_ECHO: u8 = 128;
const V6_ECHO_REPLY: u8 = 129;

/// How large an error may be: RFC 1812, section 4.3.2.3.
const V4_ERROR_MAX: usize = 576;
/// How large an error may be: RFC 4443, section 2.4 (c).
const V6_ERROR_MAX: usize = 1_280;

/// What an ICMP message is, as far as it concerns a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A ping.
    Echo,
    /// The answer to one.
    EchoReply,
    /// An error about a packet that it quotes.
    Error,
    /// Anything else.
    Other,
}

/// An ICMP message of either version whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Icmp<T> {
    bytes: T,
    v6: bool,
}

impl<T: AsRef<[u8]>> Icmp<T> {
    /// Takes the payload of a packet of this protocol: [`protocol::ICMP`] or [`protocol::ICMPV6`].
    ///
    /// # Errors
    /// [`Malformed`] below 8 bytes or for another protocol.
    pub fn new(protocol: u8, bytes: T) -> Result<Self, Malformed> {
        if bytes.as_ref().len() < HEADER {
            return Err(Malformed::Truncated);
        }
        match protocol {
            protocol::ICMP => Ok(Self { bytes, v6: false }),
            protocol::ICMPV6 => Ok(Self { bytes, v6: true }),
            _ => Err(Malformed::Version),
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match (self.v6, self.bytes()[0]) {
            (false, V4_ECHO) | (true, V6_ECHO) => Kind::Echo,
            (false, V4_ECHO_REPLY) | (true, V6_ECHO_REPLY) => Kind::EchoReply,
            (false, V4_UNREACHABLE | 4 | 5 | V4_TIME_EXCEEDED | 12) | (true, 0..=127) => Kind::Error,
            _ => Kind::Other,
        }
    }

    /// Its code.
    pub fn code(&self) -> u8 {
        self.bytes()[1]
    }

    /// Identifier of an echo.
    pub fn identifier(&self) -> u16 {
        be16(self.bytes(), 4)
    }

    /// Sequence number of an echo.
    pub fn sequence(&self) -> u16 {
        be16(self.bytes(), 6)
    }

    /// What follows the header: an echo's load, or the packet that an error quotes.
    pub fn payload(&self) -> &[u8] {
        &self.bytes()[HEADER..]
    }

    /// Whether its checksum is right between these addresses.
    pub fn is_checksum_right(&self, source: IpAddr, destination: IpAddr) -> bool {
        sum(self.bytes(), source, destination) == 0
    }
}

/// An echo's checksum covers a pseudo header over IPv6 alone (RFC 4443, section 2.3).
fn sum(message: &[u8], source: IpAddr, destination: IpAddr) -> u16 {
    if source.is_ipv4() {
        return checksum::of(message);
    }
    Sum::default().pseudo(source, destination, protocol::ICMPV6, message.len()).bytes(message).finish()
}

/// Bytes of the headers before an echo's load in a packet from this address: where [`seal_echo`] wants the load.
pub const fn headers_len(source: IpAddr) -> usize {
    ip::header_len(source) + HEADER
}

/// Which way an echo goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// The question.
    Request,
    /// The answer.
    Reply,
}

/// Writes IP and ICMP headers around an echo's load of so many bytes that already lies at [`headers_len`].
///
/// Returns the packet's length, or `None` where the addresses are of different versions or the buffer is too small.
pub fn seal_echo(
    packet: &mut [u8],
    echo: Echo,
    (source, destination): (IpAddr, IpAddr),
    (identifier, sequence): (u16, u16),
    load: usize,
) -> Option<usize> {
    let kind = match (echo, source.is_ipv4()) {
        (Echo::Request, true) => V4_ECHO,
        (Echo::Request, false) => V6_ECHO,
        (Echo::Reply, true) => V4_ECHO_REPLY,
        (Echo::Reply, false) => V6_ECHO_REPLY,
    };
    let length = HEADER + load;
    let at = ip::write_header(packet, source, destination, number(source), 64, length)?;
    let message = &mut packet[at..at + length];
    put32(message, 0, u32::from(kind) << 24);
    put16(message, 4, identifier);
    put16(message, 6, sequence);
    let sum = sum(message, source, destination);
    put16(message, 2, sum);
    Some(at + length)
}

/// What a router has to say about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// There is no way to its network.
    NoRoute,
    /// Its host does not answer.
    HostUnreachable,
    /// Nobody listens on its port.
    PortUnreachable,
    /// Policy forbids it (RFC 1812, section 5.2.7.1, code 13; RFC 4443, section 3.1, code 1).
    Prohibited,
    /// It is larger than the next link, whose MTU in bytes this is.
    TooBig(u16),
    /// It has travelled too far.
    TimeExceeded,
}

impl Complaint {
    /// Type, code and the second word of the header.
    const fn fields(self, v4: bool) -> (u8, u8, u32) {
        match (self, v4) {
            (Self::NoRoute, true) => (V4_UNREACHABLE, 0, 0),
            (Self::HostUnreachable, true) => (V4_UNREACHABLE, 1, 0),
            (Self::PortUnreachable, true) => (V4_UNREACHABLE, 3, 0),
            (Self::Prohibited, true) => (V4_UNREACHABLE, 13, 0),
            (Self::TooBig(mtu), true) => (V4_UNREACHABLE, 4, mtu as u32),
            (Self::TimeExceeded, true) => (V4_TIME_EXCEEDED, 0, 0),
            (Self::NoRoute, false) => (V6_UNREACHABLE, 0, 0),
            (Self::HostUnreachable, false) => (V6_UNREACHABLE, 3, 0),
            (Self::PortUnreachable, false) => (V6_UNREACHABLE, 4, 0),
            (Self::Prohibited, false) => (V6_UNREACHABLE, 1, 0),
            (Self::TooBig(mtu), false) => (V6_TOO_BIG, 0, mtu as u32),
            (Self::TimeExceeded, false) => (V6_TIME_EXCEEDED, 0, 0),
        }
    }
}

/// Writes the error that tells the sender of `about` what became of it, from one of our own addresses.
///
/// Returns the packet's length, or `None` where RFC 1122, section 3.2.2 and RFC 4443, section 2.4 (e) forbid an error
/// (about an ICMP error, a later fragment, a packet to or from what is not one host), where `from` is of the other
/// version, and where the buffer is too small.
pub fn write_error<T: AsRef<[u8]>>(
    packet: &mut [u8],
    complaint: Complaint,
    from: IpAddr,
    about: &Ip<T>,
) -> Option<usize> {
    if !may_be_told(about, complaint) {
        return None;
    }
    let to = about.source();
    let limit = if from.is_ipv4() { V4_ERROR_MAX } else { V6_ERROR_MAX };
    let quoted = about.total_len().min(limit - ip::header_len(from) - HEADER);
    let length = HEADER + quoted;
    let at = ip::write_header(packet, from, to, number(from), 64, length)?;
    let message = &mut packet[at..at + length];
    let (kind, code, word) = complaint.fields(from.is_ipv4());
    put32(message, 0, u32::from(kind) << 24 | u32::from(code) << 16);
    put32(message, 4, word);
    message[HEADER..].copy_from_slice(&about.packet()[..quoted]);
    let sum = sum(message, from, to);
    put16(message, 2, sum);
    Some(at + length)
}

fn may_be_told<T: AsRef<[u8]>>(about: &Ip<T>, complaint: Complaint) -> bool {
    let transport = about.transport();
    if !transport.has_header || !is_one_host(about.source()) {
        return false;
    }
    // RFC 4443 excepts packet-too-big, so that path MTU discovery works for multicast
    let exempt = matches!(complaint, Complaint::TooBig(_)) && about.source().is_ipv6();
    if !exempt && !is_one_host(about.destination()) {
        return false;
    }
    match transport.protocol {
        protocol::ICMP | protocol::ICMPV6 => {
            Icmp::new(transport.protocol, about.payload()).is_ok_and(|icmp| icmp.kind() != Kind::Error)
        }
        _ => true,
    }
}

fn is_one_host(address: IpAddr) -> bool {
    !(address.is_unspecified()
        || address.is_multicast()
        || address.is_loopback()
        || matches!(address, IpAddr::V4(address) if address.octets()[0] >= 240))
}

/// The protocol number of ICMP beside this address.
const fn number(address: IpAddr) -> u8 {
    if address.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 }
}
