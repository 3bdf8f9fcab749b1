//! What tells one flow from another.

use std::net::{IpAddr, SocketAddr};

use super::icmp::{Icmp, Kind};
use super::tcp::Tcp;
use super::udp::Udp;
use super::{Ip, Malformed, protocol};

/// Protocol, source and destination. Of an echo both ports are its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// TCP, UDP, ICMP or `ICMPv6`.
    pub protocol: u8,
    /// Who sends.
    pub source: SocketAddr,
    /// Who receives.
    pub destination: SocketAddr,
}

impl FlowKey {
    /// Reads the key of a packet; `None` for what has no ports: later fragments, ICMP errors, other protocols.
    ///
    /// # Errors
    /// [`Malformed`] where the transport's header does not hold.
    pub fn of<T: AsRef<[u8]>>(packet: &Ip<T>) -> Result<Option<Self>, Malformed> {
        let transport = packet.transport();
        if !transport.has_header {
            return Ok(None);
        }
        let payload = packet.payload();
        let ports = match transport.protocol {
            protocol::TCP => {
                let segment = Tcp::new(payload)?;
                (segment.source_port(), segment.destination_port())
            }
            // a first fragment carries a length that reaches beyond it
            protocol::UDP if transport.fragment => (super::be16(long(payload)?, 0), super::be16(payload, 2)),
            protocol::UDP => {
                let datagram = Udp::new(payload)?;
                (datagram.source_port(), datagram.destination_port())
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let icmp = Icmp::new(transport.protocol, payload)?;
                match icmp.kind() {
                    Kind::Echo | Kind::EchoReply => (icmp.identifier(), icmp.identifier()),
                    Kind::Error | Kind::Other => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Self::between(transport.protocol, packet.source(), packet.destination(), ports)))
    }

    fn between(protocol: u8, source: IpAddr, destination: IpAddr, ports: (u16, u16)) -> Self {
        Self { protocol, source: SocketAddr::new(source, ports.0), destination: SocketAddr::new(destination, ports.1) }
    }

    /// The key of the answers.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { protocol: self.protocol, source: self.destination, destination: self.source }
    }
}

fn long(payload: &[u8]) -> Result<&[u8], Malformed> {
    if payload.len() < super::udp::HEADER { Err(Malformed::Truncated) } else { Ok(payload) }
}
