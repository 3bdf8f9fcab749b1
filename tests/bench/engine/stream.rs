//! A peer's end of a TCP connection, by hand: segments as fast as they can be written, in order and never lost.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use culvert::engine::wire::tcp::Tcp;
use culvert::engine::wire::{Ip, protocol};
use etherparse::{PacketBuilder, TcpOptionElement};

/// What a segment carries of payload when its packet is as large as the tunnel takes.
pub(crate) const PAYLOAD: usize = 1_380;
/// The window that is offered, to be multiplied by two to the power of [`SCALE`].
const WINDOW: u16 = 0xffff;
const SCALE: u8 = 7;
/// Acknowledgements that may be owed at once.
const OWED: usize = 1_024;

/// The peer's end.
pub(crate) struct Stream {
    source: SocketAddrV4,
    destination: SocketAddrV4,
    next: u32,
    acknowledged: u32,
    /// Payload that has come in.
    pub(crate) received: usize,
    /// Segments with payload that have come in.
    pub(crate) segments: usize,
    /// What to acknowledge: every other segment (RFC 9293, section 3.8.6.3).
    owed: Vec<u32>,
    /// The last acknowledgement that was written for a segment.
    told: u32,
}

impl Stream {
    /// A connection from an inner address and port to a host outside.
    pub(crate) fn new(source: SocketAddrV4, outside: Ipv4Addr) -> Self {
        let destination = SocketAddrV4::new(outside, 80);
        Self { source, destination, next: 1_000, acknowledged: 0, received: 0, segments: 0, owed: Vec::new(), told: 0 }
    }

    /// Its first packet.
    pub(crate) fn syn(&mut self) -> Vec<u8> {
        let options = [TcpOptionElement::MaximumSegmentSize(1_380), TcpOptionElement::WindowScale(SCALE)];
        let builder = self.builder().syn().options(&options).expect("they fit");
        self.next += 1;
        let mut packet = Vec::new();
        builder.write(&mut packet, &[]).expect("it fits");
        packet
    }

    /// A segment with a full payload.
    pub(crate) fn full_segment(&mut self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(PAYLOAD + 40);
        self.builder().ack(self.acknowledged).write(&mut packet, &[7; PAYLOAD]).expect("it fits");
        self.next = self.next.wrapping_add(u32::try_from(PAYLOAD).expect("it is small"));
        packet
    }

    /// An acknowledgement of everything so far.
    pub(crate) fn ack(&self) -> Vec<u8> {
        self.ack_of(self.acknowledged)
    }

    /// The acknowledgements that are owed: for every other segment, and for the last.
    pub(crate) fn acks(&mut self) -> Vec<Vec<u8>> {
        let mut owed = std::mem::take(&mut self.owed);
        if owed.last().unwrap_or(&self.told) != &self.acknowledged {
            owed.push(self.acknowledged);
        }
        self.told = self.acknowledged;
        let acks = owed.iter().map(|number| self.ack_of(*number)).collect();
        // with its memory, so that taking packets allocates nothing
        self.owed = owed;
        self.owed.clear();
        acks
    }

    /// Makes room for what comes down between two calls of [`Self::acks`].
    pub(crate) fn make_room(&mut self) {
        self.owed.reserve(OWED);
    }

    fn ack_of(&self, number: u32) -> Vec<u8> {
        let mut packet = Vec::new();
        self.builder().ack(number).write(&mut packet, &[]).expect("it fits");
        packet
    }

    /// Takes a packet that came down; what is not next in order is a fault of the bench.
    pub(crate) fn take(&mut self, packet: &[u8]) {
        let ip = Ip::new(packet).expect("a whole packet");
        let (IpAddr::V4(to), protocol::TCP) = (ip.destination(), ip.transport().protocol) else { return };
        let segment = Tcp::new(ip.payload()).expect("a whole segment");
        assert_eq!(SocketAddrV4::new(to, segment.destination_port()), self.source, "it is for this stream");
        assert!(!segment.is_rst(), "the connection is not refused");
        if segment.is_syn() {
            self.acknowledged = segment.sequence();
        }
        if segment.sequence() == self.acknowledged {
            self.acknowledged = self.acknowledged.wrapping_add(segment.sequence_len());
            self.received += segment.payload().len();
            if !segment.payload().is_empty() {
                self.segments += 1;
                if self.segments.is_multiple_of(2) {
                    self.owed.push(self.acknowledged);
                }
            }
        }
    }

    fn builder(&self) -> etherparse::PacketBuilderStep<etherparse::TcpHeader> {
        let (from, to) = (self.source, self.destination);
        PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), 64).tcp(from.port(), to.port(), self.next, WINDOW)
    }
}
