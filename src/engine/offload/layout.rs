//! Where the headers of a TCP segment or UDP datagram lie, and what of them depends on the payload's length.

use std::net::IpAddr;

use super::Unfit;
use crate::engine::wire::checksum::{self, Sum};
use crate::engine::wire::tcp::Tcp;
use crate::engine::wire::udp::{self, Udp};
use crate::engine::wire::{Ip, ipv6, protocol};

/// FIN and PSH: what only the last packet of a super-packet has.
pub(super) const LAST: u8 = 0x01 | 0x08;
/// CWR: what only the first packet of a super-packet has (RFC 3168, section 6.1.2).
pub(super) const FIRST: u8 = 0x80;

/// The headers of a packet and what its checksum covers beside them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// TCP or UDP.
    pub(super) protocol: u8,
    /// Where the transport's header begins, in bytes.
    pub(super) transport: usize,
    /// Where the payload begins, in bytes.
    pub(super) headers: usize,
    /// Where the packet ends, in bytes.
    pub(super) end: usize,
    source: IpAddr,
    destination: IpAddr,
}

impl Layout {
    /// Reads a packet's headers and checks every length in them.
    pub(super) fn read(packet: &[u8]) -> Result<Self, Unfit> {
        let ip = Ip::new(packet).map_err(|_| Unfit)?;
        let transport = ip.transport();
        if transport.fragment {
            return Err(Unfit);
        }
        let header = match transport.protocol {
            protocol::TCP => Tcp::new(ip.payload()).map_err(|_| Unfit)?.header_len(),
            protocol::UDP => {
                let datagram = Udp::new(ip.payload()).map_err(|_| Unfit)?;
                if datagram.total_len() != ip.payload().len() {
                    return Err(Unfit);
                }
                udp::HEADER
            }
            _ => return Err(Unfit),
        };
        Ok(Self {
            protocol: transport.protocol,
            transport: transport.offset,
            headers: transport.offset + header,
            end: transport.end,
            source: ip.source(),
            destination: ip.destination(),
        })
    }

    /// Whether the packet is of IPv4.
    pub(super) fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// Whether the transport's checksum is there and right.
    pub(super) fn is_checksum_right(&self, packet: &[u8]) -> bool {
        let at = self.checksum_at();
        let is_there = self.protocol == protocol::TCP || packet[at..at + 2] != [0, 0];
        let covered = &packet[self.transport..self.end];
        is_there && self.pseudo(covered.len()).bytes(covered).finish() == 0
    }

    /// Writes the lengths of a packet that is `packet` to its end, and IPv4's header checksum. What is longer than a
    /// length can say is the caller's fault and is written as the longest.
    pub(super) fn write_lengths(&self, packet: &mut [u8]) {
        if self.is_v4() {
            put16(packet, 2, packet.len());
            packet[10..12].fill(0);
            let sum = checksum::of(&packet[..self.transport]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            put16(packet, 4, packet.len() - ipv6::HEADER);
        }
        if self.protocol == protocol::UDP {
            put16(packet, self.transport + 4, packet.len() - self.transport);
        }
    }

    /// Writes the transport's checksum of a packet that is `packet` to its end.
    pub(super) fn write_checksum(&self, packet: &mut [u8]) {
        let at = self.checksum_at();
        packet[at..at + 2].fill(0);
        let covered = &packet[self.transport..];
        let sum = self.pseudo(covered.len()).bytes(covered).finish();
        // RFC 768: a sum of zero is sent as all ones, for zero says that there is none
        let sum = if sum == 0 && self.protocol == protocol::UDP { 0xffff } else { sum };
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// Writes what stands for the transport's checksum until it is completed: the sum of the pseudo header.
    pub(super) fn write_partial_checksum(&self, packet: &mut [u8]) {
        let at = self.checksum_at();
        let sum = self.pseudo(packet.len() - self.transport).partial();
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    fn pseudo(&self, length: usize) -> Sum {
        Sum::default().pseudo(self.source, self.destination, self.protocol, length)
    }

    fn checksum_at(&self) -> usize {
        self.transport + if self.protocol == protocol::TCP { 16 } else { 6 }
    }
}

fn put16(packet: &mut [u8], at: usize, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    packet[at..at + 2].copy_from_slice(&length.to_be_bytes());
}
