//! Which packets continue one another: a run is what becomes a super-packet.

use super::layout::{LAST, Layout};
use crate::engine::packet::Offload;
use crate::engine::wire::{Ip, Ipv4, ipv4, ipv6, protocol, tcp};

/// The longest headers of what is merged, in bytes: IPv6 without extensions, TCP with all options.
pub(super) const HEADERS_MAX: usize = ipv6::HEADER + 60;
/// Bytes of the longest super-packet: what IPv4's total length can say.
pub(super) const BYTES_MAX: usize = 65_535;
/// Datagrams of a super-packet: what the kernel takes (`UDP_MAX_SEGMENTS`).
const DATAGRAMS_MAX: usize = 64;
/// The smallest segment of TCP: the kernel's own bound (`TCP_MIN_GSO_SIZE`).
const SEGMENT_MIN: usize = 8;

const ACK: u8 = 0x10;

/// A packet that may be a part of a super-packet: whole, plain headers, some payload, every checksum right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    layout: Layout,
    sequence: u32,
    /// FIN and PSH.
    last: u8,
}

impl Part {
    /// Reads a packet; `None` for one that goes its way alone.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let layout = Layout::read(packet).ok()?;
        let is_plain = if layout.is_v4() {
            // no options, no fragment, nothing reserved: only "don't fragment" may be set
            layout.transport == ipv4::HEADER
                && packet[6] & !0x40 == 0
                && packet[7] == 0
                && Ipv4::new(packet).is_ok_and(|view| view.is_checksum_right())
        } else {
            layout.transport == ipv6::HEADER
        };
        let payload = layout.end - layout.headers;
        let (mut sequence, mut last) = (0, 0);
        if layout.protocol == protocol::TCP {
            let header = &packet[layout.transport..layout.headers];
            sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            last = header[13] & LAST;
            if header[13] & !LAST != ACK || header[12] & 0xf != 0 || payload < SEGMENT_MIN {
                return None;
            }
        }
        (is_plain && payload > 0 && layout.is_checksum_right(packet)).then_some(Self { layout, sequence, last })
    }

    /// Whether it is of TCP.
    pub(super) fn is_segment(&self) -> bool {
        self.layout.protocol == protocol::TCP
    }

    /// Bytes of the whole packet.
    pub(super) fn len(&self) -> usize {
        self.layout.end
    }

    /// Where its payload begins, in bytes.
    pub(super) fn headers(&self) -> usize {
        self.layout.headers
    }
}

/// Packets of one flow, one behind the other, whose payloads lie side by side behind the headers of the first.
#[derive(Debug)]
pub(super) struct Run<M> {
    /// Whose they are.
    pub(super) meta: M,
    /// Bytes of headers and payload.
    pub(super) end: usize,
    /// The headers of the first, for what lies in memory may be covered by a packet that is being looked at.
    headers: [u8; HEADERS_MAX],
    layout: Layout,
    segment: usize,
    packets: usize,
    sequence: u32,
    last: u8,
    is_over: bool,
}

impl<M: Copy + PartialEq> Run<M> {
    /// Begins with this packet, whose headers are the first bytes of `packet`.
    pub(super) fn new(part: &Part, packet: &[u8], meta: M) -> Self {
        let layout = part.layout;
        let mut headers = [0; HEADERS_MAX];
        headers[..layout.headers].copy_from_slice(&packet[..layout.headers]);
        let segment = layout.end - layout.headers;
        let mut run = Self {
            meta,
            end: layout.headers,
            headers,
            layout,
            segment,
            packets: 0,
            sequence: part.sequence,
            last: 0,
            is_over: false,
        };
        run.add(part);
        run
    }

    /// Bytes of headers before the payload.
    pub(super) fn headers(&self) -> usize {
        self.layout.headers
    }

    /// Whether nothing can follow: it is as long as it may be, or its last packet was short or asked to be pushed on.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the packet is of the same flow, and continues what is here.
    pub(super) fn is_continued_by(&self, part: &Part, packet: &[u8]) -> bool {
        let (layout, other) = (&self.layout, &part.layout);
        !self.is_over
            && layout.headers == other.headers
            && layout.transport == other.transport
            && part.sequence == self.sequence
            && other.end - other.headers <= self.segment
            && self.is_alike(packet)
    }

    /// Whether the headers agree in all that a super-packet says once. The caller has compared the lengths of the
    /// headers, and has checked what may be in the flags.
    fn is_alike(&self, packet: &[u8]) -> bool {
        let (ours, theirs) = (&self.headers[..self.layout.headers], &packet[..self.layout.headers]);
        let same = |from: usize, to: usize| ours[from..to] == theirs[from..to];
        let at = self.layout.transport;
        let network = if self.layout.is_v4() {
            // all but total length, identification and checksum
            same(0, 2) && same(6, 10) && same(12, 20)
        } else {
            same(0, 4) && same(6, 40)
        };
        network
            && if self.layout.protocol == protocol::TCP {
                // all but sequence number, flags and checksum
                same(at, at + 4) && same(at + 8, at + 13) && same(at + 14, at + 16) && same(at + 18, ours.len())
            } else {
                same(at, at + 4)
            }
    }

    /// Takes a packet that continues this; its payload lies behind the present one.
    pub(super) fn add(&mut self, part: &Part) {
        let payload = part.layout.end - part.layout.headers;
        self.end += payload;
        self.packets += 1;
        if self.layout.protocol == protocol::TCP {
            self.sequence = self.sequence.wrapping_add(u32::try_from(payload).unwrap_or_default());
        }
        self.last |= part.last;
        let is_full = self.end + self.segment > BYTES_MAX
            || self.layout.protocol == protocol::UDP && self.packets == DATAGRAMS_MAX;
        self.is_over = is_full || self.last != 0 || payload < self.segment;
    }

    /// Whether a packet of the same owner may not pass this run: it is of the same flow, or it is something else
    /// between the same two hosts (a fragment, an error).
    pub(super) fn holds_back(&self, meta: M, packet: &[u8]) -> bool {
        if self.meta != meta {
            return false;
        }
        let addresses = if self.layout.is_v4() { 12..20 } else { 8..40 };
        let at = self.layout.transport;
        let version = self.headers[0] >> 4 == packet.first().map_or(0, |first| first >> 4);
        if !version || packet.get(addresses.clone()) != Some(&self.headers[addresses]) {
            return false;
        }
        let Ok(transport) = Ip::new(packet).map(|ip| ip.transport()) else { return false };
        let has_ports = matches!(transport.protocol, protocol::TCP | protocol::UDP) && !transport.fragment;
        let ports = packet.get(transport.offset..transport.offset + 4);
        !has_ports || transport.protocol == self.layout.protocol && ports == Some(&self.headers[at..at + 4])
    }

    /// Writes the headers of the super-packet; a packet that has stayed alone is left as it came.
    pub(super) fn seal(&self, packet: &mut [u8]) -> Offload {
        if self.packets == 1 {
            return Offload::NONE;
        }
        if self.layout.protocol == protocol::TCP {
            packet[self.layout.transport + 13] |= self.last;
        }
        self.layout.write_lengths(packet);
        self.layout.write_partial_checksum(packet);
        let segment = u16::try_from(self.segment).unwrap_or(u16::MAX);
        Offload { segment, partial_checksum: true, ..Offload::NONE }
    }
}

const _: () = assert!(HEADERS_MAX >= ipv4::HEADER + 60 && HEADERS_MAX > ipv6::HEADER + tcp::HEADER);
