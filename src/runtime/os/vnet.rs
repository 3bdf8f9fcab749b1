//! The header before each packet of a TUN device: what is still to be done to it, checksum and segmentation.
//!
//! It is virtio's `struct virtio_net_hdr` (Virtual I/O Device 1.2, section 5.1.6) in its short form of ten bytes, little
//! endian. A packet of the kernel's may be a super-packet of up to 64 KiB, which this header says how to cut, and its
//! checksum may cover the pseudo header alone; a packet of ours may be so too.

/// The header's length in bytes.
pub const LENGTH: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_IS_GOOD: u8 = 2;
const NONE: u8 = 0;
const TCP_V4: u8 = 1;
const TCP_V6: u8 = 4;
const UDP: u8 = 5;
/// Beside a kind: a segment of it carries CWR, which only the first piece may (RFC 3168, section 6.1.2).
const ECN: u8 = 0x80;

/// What a super-packet is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of one flow, each with a header of its own (Linux 6.2 and later).
    Udp,
}

/// How a super-packet is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// What it is made of.
    pub kind: Kind,
    /// Payload of each piece but the last, in bytes.
    pub size: u16,
    /// Whether only the first piece carries CWR.
    pub ecn: bool,
}

/// Where a checksum is still to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// From where on bytes are summed: the transport header, in bytes from the packet's start.
    pub start: u16,
    /// Where the sum goes, in bytes from `start`; the pseudo header's sum, not complemented, is there.
    pub offset: u16,
}

/// The header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// How to cut the packet; `None` where it is one already.
    pub segments: Option<Segments>,
    /// Length of all headers of a super-packet in bytes; a hint that need not be right.
    pub headers: u16,
    /// Where the checksum is still to be put.
    pub unfinished: Option<Unfinished>,
    /// Whether the checksum was found good.
    pub good: bool,
}

impl Header {
    /// Reads it; `None` where it names a kind of segmentation that was not agreed on, or one without a size.
    pub fn parse(bytes: [u8; LENGTH]) -> Option<Self> {
        let [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = bytes;
        let size = u16::from_le_bytes([s0, s1]);
        let ecn = kind & ECN != 0;
        let cut = |kind| (size > 0).then_some(Some(Segments { kind, size, ecn }));
        let segments = match kind & !ECN {
            NONE => None,
            TCP_V4 => cut(Kind::TcpV4)?,
            TCP_V6 => cut(Kind::TcpV6)?,
            UDP => cut(Kind::Udp)?,
            _ => return None,
        };
        let start = u16::from_le_bytes([c0, c1]);
        let offset = u16::from_le_bytes([o0, o1]);
        Some(Self {
            segments,
            headers: u16::from_le_bytes([h0, h1]),
            unfinished: (flags & NEEDS_CHECKSUM != 0).then_some(Unfinished { start, offset }),
            good: flags & CHECKSUM_IS_GOOD != 0,
        })
    }

    /// Writes it.
    pub fn compose(&self) -> [u8; LENGTH] {
        let kind = self.segments.map_or(NONE, |segments| {
            let kind = match segments.kind {
                Kind::TcpV4 => TCP_V4,
                Kind::TcpV6 => TCP_V6,
                Kind::Udp => UDP,
            };
            kind | if segments.ecn { ECN } else { 0 }
        });
        let flags = self.unfinished.map_or(0, |_| NEEDS_CHECKSUM) | if self.good { CHECKSUM_IS_GOOD } else { 0 };
        let Unfinished { start, offset } = self.unfinished.unwrap_or(Unfinished { start: 0, offset: 0 });
        let [h0, h1] = self.headers.to_le_bytes();
        let [s0, s1] = self.segments.map_or(0, |segments| segments.size).to_le_bytes();
        let [c0, c1] = start.to_le_bytes();
        let [o0, o1] = offset.to_le_bytes();
        [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A super-packet as Linux gives it: headers of 52 bytes, pieces of 1,448, checksum at 16 behind byte 20.
    const TCP: [u8; LENGTH] = [1, 1, 52, 0, 0xa8, 5, 20, 0, 16, 0];

    fn tcp() -> Header {
        Header {
            segments: Some(Segments { kind: Kind::TcpV4, size: 1_448, ecn: false }),
            headers: 52,
            unfinished: Some(Unfinished { start: 20, offset: 16 }),
            good: false,
        }
    }

    #[test]
    fn reads_and_writes_every_kind() {
        let of = |kind, ecn| Header { segments: Some(Segments { kind, size: 1_448, ecn }), ..tcp() };
        for (kind, header) in [
            (1, of(Kind::TcpV4, false)),
            (0x81, of(Kind::TcpV4, true)),
            (4, of(Kind::TcpV6, false)),
            (5, of(Kind::Udp, false)),
        ] {
            let mut bytes = TCP;
            bytes[1] = kind;
            assert_eq!(Header::parse(bytes), Some(header));
            assert_eq!(header.compose(), bytes);
        }
    }

    #[test]
    fn reads_and_writes_single_packets() {
        for (bytes, header) in [
            ([0; LENGTH], Header::default()),
            ([2, 0, 0, 0, 0, 0, 0, 0, 0, 0], Header { good: true, ..Header::default() }),
            (
                [1, 0, 0, 0, 0, 0, 40, 0, 6, 0],
                Header { unfinished: Some(Unfinished { start: 40, offset: 6 }), ..Header::default() },
            ),
        ] {
            assert_eq!(Header::parse(bytes), Some(header));
            assert_eq!(header.compose(), bytes);
        }
    }

    #[test]
    fn refuses_what_was_not_agreed_on() {
        let mut fragments = TCP;
        fragments[1] = 3;
        assert_eq!(Header::parse(fragments), None);
        let mut without_a_size = TCP;
        without_a_size[4..6].fill(0);
        assert_eq!(Header::parse(without_a_size), None);
    }
}
