//! Loss recovery beside smoltcp, which sends one lost segment again and then waits a second for the next.
//!
//! It watches what goes out and what the peer acknowledges, keeps a copy of the bytes in between, and fills the holes that
//! the peer's selective acknowledgements show (RFC 2018, RFC 6675), with no more bytes than have left the network
//! (RFC 6937). Where nothing comes back at all it sends the last segment again, so that the peer shows its holes (the
//! tail loss probe of RFC 8985, section 7). The congestion window stays smoltcp's.

use std::time::{Duration, Instant};

use super::ring::Ring;
use super::segments;
use crate::engine::wire::{Ip, ipv4, ipv6, tcp};

/// Headers with all their options: 60 bytes of TCP behind 40 of IPv6.
const HEADERS_MAX: usize = ipv6::HEADER + 60;
/// Ranges that the peer has beyond a hole; it shows at most four at once.
const RANGES_MAX: usize = 16;
/// How many segments beyond a hole prove a loss (RFC 6675, `DupThresh`).
const PROOF: usize = 3;
/// Segments that may be sent again when a loss is found, before the peer acknowledges more (RFC 6928).
const FIRST_BURST: usize = 10;
/// Added to two round trips before a probe: what a peer may hold back an acknowledgement, and a margin.
const PROBE_MARGIN: Duration = Duration::from_millis(50);
/// Probes in a row; each waits twice as long as the one before.
const PROBES_MAX: u32 = 3;

/// The option that carries selective acknowledgements (RFC 2018, section 3).
const SACK: u8 = 5;

/// What the sender knows about its bytes on the way.
#[derive(Debug)]
pub(super) struct Recovery {
    /// Bytes from the first that is not acknowledged to the last that smoltcp was given.
    unacknowledged: Ring,
    /// The sequence number of the first of them; `None` before the SYN has left.
    first: Option<u32>,
    /// Behind the last byte that has been sent.
    sent: u32,
    /// The headers of the last packet that left, for those that are sent again.
    headers: [u8; HEADERS_MAX],
    headers_len: usize,
    /// Bytes of a full segment.
    segment: usize,
    /// What the peer has beyond holes: ascending, apart from one another.
    held: [(u32, u32); RANGES_MAX],
    held_len: usize,
    /// Behind the last byte that had been sent when a loss was found; `None` while none is known.
    until: Option<u32>,
    /// Holes before this have been filled once.
    filled: u32,
    /// Bytes that may be sent again now.
    credit: usize,
    /// Whose acknowledgement tells the round trip, and when it left.
    timed: Option<(u32, Instant)>,
    round_trip: Duration,
    /// When bytes last left or were acknowledged.
    moved: Instant,
    probes: u32,
}

/// Whether `a` comes before `b` (RFC 9293, section 3.4: numbers wrap).
const fn before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

fn bytes(from: u32, to: u32) -> usize {
    if before(from, to) { to.wrapping_sub(from) as usize } else { 0 }
}

impl Recovery {
    /// For a connection whose send buffer holds so many bytes.
    pub(super) fn new(capacity: usize, now: Instant) -> Self {
        Self {
            unacknowledged: Ring::new(capacity),
            first: None,
            sent: 0,
            headers: [0; HEADERS_MAX],
            headers_len: 0,
            segment: 0,
            held: [(0, 0); RANGES_MAX],
            held_len: 0,
            until: None,
            filled: 0,
            credit: 0,
            timed: None,
            round_trip: Duration::ZERO,
            moved: now,
            probes: 0,
        }
    }

    /// smoltcp was given these bytes.
    pub(super) fn handle_given(&mut self, bytes: &[u8]) {
        self.unacknowledged.push(bytes);
    }

    /// smoltcp lets a packet go, whose pieces carry at most so many bytes.
    pub(super) fn handle_sent(&mut self, packet: &[u8], piece: usize, now: Instant) {
        let ip = ip_header(packet);
        let Ok(view) = tcp::Tcp::new(&packet[ip..]) else { return };
        let (sequence, load) = (view.sequence(), view.payload().len());
        self.headers_len = ip + view.header_len();
        self.headers[..self.headers_len].copy_from_slice(&packet[..self.headers_len]);
        if view.is_syn() {
            self.first = Some(sequence.wrapping_add(1));
            self.sent = sequence.wrapping_add(1);
            return;
        }
        if load == 0 {
            return;
        }
        self.segment = if load >= piece { piece } else { self.segment.max(load) };
        let end = sequence.wrapping_add(u32::try_from(load).unwrap_or(0));
        self.moved = now;
        if before(self.sent, end) {
            self.sent = end;
            self.timed.get_or_insert((end, now));
        }
    }

    /// The peer sent this packet.
    pub(super) fn handle_received(&mut self, packet: &[u8], now: Instant) {
        let Ok(packet) = Ip::new(packet) else { return };
        let Ok(view) = tcp::Tcp::new(packet.payload()) else { return };
        let Some(first) = self.first.filter(|_| view.is_ack() && !view.is_syn() && !view.is_rst()) else { return };
        // a FIN takes one number more than there are bytes
        let acknowledged = view.acknowledgement();
        let acknowledged = if acknowledged == self.sent.wrapping_add(1) { self.sent } else { acknowledged };
        if before(acknowledged, first) || before(self.sent, acknowledged) {
            return;
        }
        let mut left = 0;
        if before(first, acknowledged) {
            left = bytes(first, acknowledged);
            self.handle_progress(acknowledged, now);
        }
        left += self.note_held(view.options(), acknowledged);
        if self.until.is_some() {
            self.credit += left;
        } else {
            self.look_for_loss(acknowledged);
        }
    }

    fn handle_progress(&mut self, acknowledged: u32, now: Instant) {
        let Some(first) = self.first.replace(acknowledged) else { return };
        self.unacknowledged.discard(bytes(first, acknowledged));
        self.moved = now;
        self.probes = 0;
        if let Some((end, left)) = self.timed
            && !before(acknowledged, end)
        {
            self.timed = None;
            let sample = now.saturating_duration_since(left);
            // RFC 6298, section 2.3
            self.round_trip = if self.round_trip.is_zero() { sample } else { (self.round_trip * 7 + sample) / 8 };
        }
        self.forget_held_before(acknowledged);
        if self.until.is_some_and(|until| !before(acknowledged, until)) {
            self.until = None;
        }
    }

    fn forget_held_before(&mut self, acknowledged: u32) {
        let mut kept = 0;
        for at in 0..self.held_len {
            let (from, to) = self.held[at];
            if before(acknowledged, to) {
                self.held[kept] = (if before(from, acknowledged) { acknowledged } else { from }, to);
                kept += 1;
            }
        }
        self.held_len = kept;
    }

    /// Takes the ranges of a selective acknowledgement; returns how many bytes of them are new.
    fn note_held(&mut self, mut options: &[u8], acknowledged: u32) -> usize {
        let before_this = self.held_bytes();
        while let [kind, rest @ ..] = options {
            let length = match kind {
                0 => break,
                1 => 1,
                _ => usize::from(rest.first().copied().unwrap_or(0)),
            };
            let Some(option) = options.get(..length).filter(|_| *kind == 1 || length >= 2) else { break };
            if *kind == SACK {
                for range in option[2..].chunks_exact(8) {
                    let edge = |at: usize| u32::from_be_bytes([range[at], range[at + 1], range[at + 2], range[at + 3]]);
                    self.hold(edge(0), edge(4), acknowledged);
                }
            }
            options = &options[length..];
        }
        self.held_bytes().saturating_sub(before_this)
    }

    /// Adds a range, joined with those that it touches.
    fn hold(&mut self, mut from: u32, mut to: u32, acknowledged: u32) {
        if !before(acknowledged, from) || !before(from, to) || before(self.sent, to) {
            return;
        }
        let mut kept = 0;
        for at in 0..self.held_len {
            let (start, end) = self.held[at];
            if before(end, from) || before(to, start) {
                self.held[kept] = (start, end);
                kept += 1;
            } else {
                from = if before(start, from) { start } else { from };
                to = if before(to, end) { end } else { to };
            }
        }
        if kept < RANGES_MAX {
            let place = (0..kept).find(|at| before(to, self.held[*at].0)).unwrap_or(kept);
            self.held.copy_within(place..kept, place + 1);
            self.held[place] = (from, to);
            kept += 1;
        }
        self.held_len = kept;
    }

    fn held_bytes(&self) -> usize {
        self.held[..self.held_len].iter().map(|(from, to)| bytes(*from, *to)).sum()
    }

    fn look_for_loss(&mut self, acknowledged: u32) {
        let proof = if self.probes > 0 { 1 } else { PROOF * self.segment };
        if self.held_len > 0 && self.held_bytes() >= proof {
            self.until = Some(self.sent);
            self.filled = acknowledged;
            self.credit = FIRST_BURST * self.segment;
            // an acknowledgement of what was sent twice tells no round trip (Karn's rule)
            self.timed = None;
        }
    }

    /// Sends again what is due; `send` gets whole packets. Returns how many bytes that was.
    pub(super) fn turn(&mut self, memory: &mut [u8], now: Instant, mut send: impl FnMut(&mut [u8])) -> usize {
        let mut again = 0;
        if self.poll_deadline().is_some_and(|at| at <= now) {
            self.moved = now;
            self.probes += 1;
            again += self.probe(memory, &mut send);
        }
        while let Some((from, length)) = self.next_hole() {
            self.write(from, length, memory, &mut send);
            self.filled = from.wrapping_add(u32::try_from(length).unwrap_or(0));
            self.credit = self.credit.saturating_sub(length);
            self.moved = now;
            again += length;
        }
        again
    }

    /// When it wants a turn though nothing comes in.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        let first = self.first.filter(|first| before(*first, self.sent))?;
        let is_on_its_way = self.probes < PROBES_MAX && !self.unacknowledged.is_empty() && before(first, self.sent);
        let patience = (self.round_trip * 2 + PROBE_MARGIN) * 2_u32.pow(self.probes);
        is_on_its_way.then(|| self.moved + patience)
    }

    /// The last segment again; or the holes again, where what was sent into them is lost too.
    fn probe(&mut self, memory: &mut [u8], send: &mut impl FnMut(&mut [u8])) -> usize {
        let Some(first) = self.first else { return 0 };
        self.timed = None;
        if self.until.is_some() {
            self.filled = first;
            self.credit = self.segment;
            return 0;
        }
        let length = self.segment.min(bytes(first, self.sent)).min(self.unacknowledged.len());
        self.write(self.sent.wrapping_sub(u32::try_from(length).unwrap_or(0)), length, memory, send);
        length
    }

    /// The next segment of a hole that may be filled now.
    fn next_hole(&self) -> Option<(u32, usize)> {
        let first = self.first.filter(|_| self.until.is_some() && self.credit > 0 && self.segment > 0)?;
        let mut from = if before(self.filled, first) { first } else { self.filled };
        for (start, end) in &self.held[..self.held_len] {
            if before(from, *start) {
                let kept = self.unacknowledged.len().saturating_sub(bytes(first, from));
                let length = bytes(from, *start).min(self.segment).min(kept);
                return (length > 0).then_some((from, length));
            }
            if before(from, *end) {
                from = *end;
            }
        }
        None
    }

    fn write(&self, from: u32, length: usize, memory: &mut [u8], send: &mut impl FnMut(&mut [u8])) {
        let (Some(first), head) = (self.first, self.headers_len) else { return };
        // the memory has held other peers' bytes: what the ring does not fill must not leave
        let is_kept = bytes(first, from) + length <= self.unacknowledged.len();
        if length == 0 || head == 0 || !is_kept || memory.len() < head + length {
            return;
        }
        let packet = &mut memory[..head + length];
        packet[..head].copy_from_slice(&self.headers[..head]);
        self.unacknowledged.copy(bytes(first, from), &mut packet[head..]);
        let at = ip_header(packet);
        packet[at + 4..at + 8].copy_from_slice(&from.to_be_bytes());
        packet[at + segments::FLAGS] = segments::ACK;
        segments::seal(packet);
        send(packet);
    }
}

/// Bytes of the IP header before a segment of smoltcp's, which writes neither options nor extensions.
fn ip_header(packet: &[u8]) -> usize {
    if packet.first().is_some_and(|first| first >> 4 == 4) { ipv4::HEADER } else { ipv6::HEADER }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, TcpOptionElement};

    use super::*;
    use crate::engine::flows::testing::start;

    const FIRST: u32 = u32::MAX - 700;
    const SEGMENT: usize = 100;

    fn at(segment: u32) -> u32 {
        FIRST.wrapping_add(segment * 100)
    }

    fn outgoing(sequence: u32, syn: bool, load: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([192, 0, 2, 1], [10, 0, 0, 2], 64).tcp(80, 1_000, sequence, 5_000);
        let builder = if syn { builder.syn().ack(9) } else { builder.ack(9) };
        let mut packet = Vec::new();
        builder.write(&mut packet, load).unwrap();
        packet
    }

    fn incoming(acknowledged: u32, held: &[(u32, u32)]) -> Vec<u8> {
        let mut blocks = [None; 3];
        for (place, range) in blocks.iter_mut().zip(&held[1.min(held.len())..]) {
            *place = Some(*range);
        }
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], [192, 0, 2, 1], 64).tcp(1_000, 80, 9, 5_000).ack(acknowledged);
        let options: Vec<_> =
            held.first().map(|first| TcpOptionElement::SelectiveAcknowledgement(*first, blocks)).into_iter().collect();
        let mut packet = Vec::new();
        builder.options(&options).unwrap().write(&mut packet, &[]).unwrap();
        packet
    }

    /// A connection that has sent 20 segments of 100 bytes, each full of its own number.
    fn sent(now: Instant) -> Recovery {
        let mut recovery = Recovery::new(4_096, now);
        recovery.handle_sent(&outgoing(FIRST.wrapping_sub(1), true, &[]), SEGMENT, now);
        let bytes: Vec<u8> = (0..20).flat_map(|number| [number; SEGMENT]).collect();
        recovery.handle_given(&bytes);
        recovery.handle_sent(&outgoing(FIRST, false, &bytes), SEGMENT, now);
        recovery
    }

    #[test]
    fn takes_options_that_no_honest_peer_writes() {
        for option in
            [[5, 0, 0, 0], [5, 1, 0, 0], [5, 2, 0, 0], [5, 3, 0, 0], [5, 255, 0, 0], [1, 1, 1, 5], [1, 1, 5, 1]]
        {
            let mut recovery = sent(start());
            let mut packet = incoming(at(0), &[]);
            packet.extend_from_slice(&option);
            let length = u16::try_from(packet.len()).unwrap();
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            packet[20 + 12] = 0x60;
            recovery.handle_received(&packet, start());
        }
    }

    #[test]
    fn never_sends_memory_that_its_ring_does_not_fill() {
        let mut recovery = sent(start());
        recovery.unacknowledged.discard(2_000);
        recovery.write(at(3), SEGMENT, &mut [0xaa; 4_096], &mut |_| panic!("nothing is kept, so nothing leaves"));
    }

    /// The numbers of the segments that are sent again, each of which is whole and sealed.
    fn again(recovery: &mut Recovery, now: Instant) -> Vec<u8> {
        let mut numbers = Vec::new();
        recovery.turn(&mut [0; 2_000], now, |packet| {
            let view = tcp::Tcp::new(&packet[20..]).unwrap();
            assert!(view.is_checksum_right([192, 0, 2, 1].into(), [10, 0, 0, 2].into()));
            let number = view.payload()[0];
            assert_eq!((view.sequence(), view.payload()), (at(u32::from(number)), &[number; SEGMENT][..]));
            numbers.push(number);
        });
        numbers
    }

    #[test]
    fn fills_every_hole_that_the_peer_shows_once() {
        let now = start();
        let mut recovery = sent(now);
        recovery.handle_received(&incoming(at(2), &[(at(11), at(20)), (at(5), at(9))]), now);
        assert_eq!(again(&mut recovery, now), [2, 3, 4, 9, 10]);
        recovery.handle_received(&incoming(at(9), &[(at(11), at(20))]), now);
        assert_eq!(again(&mut recovery, now), <[u8; 0]>::default());
        recovery.handle_received(&incoming(at(20), &[]), now);
        assert_eq!((again(&mut recovery, now).len(), recovery.poll_deadline()), (0, None));
    }

    #[test]
    fn takes_a_packet_or_two_beyond_a_hole_for_reordering() {
        let now = start();
        let mut recovery = sent(now);
        recovery.handle_received(&incoming(at(2), &[(at(3), at(5))]), now);
        assert_eq!(again(&mut recovery, now), <[u8; 0]>::default());
        recovery.handle_received(&incoming(at(2), &[(at(3), at(6))]), now);
        assert_eq!(again(&mut recovery, now), [2]);
    }

    #[test]
    fn sends_no_more_again_than_has_left_the_network() {
        let now = start();
        let mut recovery = sent(now);
        recovery.handle_received(&incoming(at(0), &[(at(16), at(19))]), now);
        assert_eq!(again(&mut recovery, now).len(), FIRST_BURST);
        recovery.handle_received(&incoming(at(0), &[(at(16), at(20))]), now);
        assert_eq!(again(&mut recovery, now), [10]);
        recovery.handle_received(&incoming(at(4), &[(at(16), at(20))]), now);
        assert_eq!(again(&mut recovery, now), [11, 12, 13, 14]);
    }

    #[test]
    fn sends_the_last_segment_again_when_nothing_comes_back_and_then_the_holes() {
        let now = start();
        let mut recovery = sent(now);
        recovery.handle_received(&incoming(at(18), &[]), now);
        let due = recovery.poll_deadline().unwrap();
        assert!(due - now <= Duration::from_millis(60));
        assert_eq!(again(&mut recovery, due), [19]);
        recovery.handle_received(&incoming(at(18), &[(at(19), at(20))]), due);
        assert_eq!(again(&mut recovery, due), [18]);
    }

    #[test]
    fn gives_up_probing_and_leaves_the_rest_to_the_timer() {
        let now = start();
        let mut recovery = sent(now);
        let mut probes = 0;
        while let Some(due) = recovery.poll_deadline() {
            assert_eq!(again(&mut recovery, due), [19]);
            probes += 1;
        }
        assert_eq!(probes, PROBES_MAX);
    }

    #[test]
    fn believes_no_acknowledgement_of_what_was_never_sent() {
        let now = start();
        let mut recovery = sent(now);
        recovery.handle_received(&incoming(at(21), &[]), now);
        recovery.handle_received(&incoming(at(0), &[(at(19), at(25)), (at(9), at(4)), (at(0), at(3))]), now);
        assert_eq!(recovery.held_len, 0);
        assert_eq!(recovery.unacknowledged.len(), 2_000);
    }
}
