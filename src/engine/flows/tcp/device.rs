//! What smoltcp takes for a network card: one packet in, packets out as they are made.
//!
//! smoltcp is let make super-segments of up to 64 KiB, which `segments` cuts up: one walk through its state machine then
//! serves forty packets. All checksums are left to `segments` too; those of packets that come in were proved by the
//! tunnel.

use std::num::{NonZeroU16, NonZeroUsize};

use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use super::recovery::Recovery;
use super::segments;
use crate::engine::flows::answers::Answers;
use crate::engine::packet::Owner;

/// The largest IP packet: what smoltcp makes at most, and how large its scratch must be.
pub(in crate::engine::flows) const SUPER_SEGMENT: usize = 65_535;
/// The largest super-segment, in bytes with its IP header. Over IPv4 alone: over IPv6 smoltcp 0.14 makes them too, and
/// then drops them as packets that it would have to fragment.
const OFFLOAD: Option<NonZeroUsize> = NonZeroUsize::new(SUPER_SEGMENT);
/// What an answer of smoltcp's own takes at most: headers with all their options.
const ANSWER_MAX: usize = 120;

fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    capabilities.checksum = ChecksumCapabilities::ignored();
    capabilities.segmentation.tcpv4 = OFFLOAD;
    capabilities
}

/// A card without a wire: for making the interface, which asks a card for its abilities once.
pub(in crate::engine::flows) struct Blank {
    /// The largest packet that a peer takes, in bytes.
    pub(in crate::engine::flows) mtu: usize,
}

impl Device for Blank {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Answer<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Answer<'_>)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Answer<'_>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// One packet of a peer on its way in, and where smoltcp's immediate answer to it goes.
pub(super) struct Ingress<'a> {
    pub(super) packet: Option<&'a [u8]>,
    pub(super) owner: Owner,
    pub(super) answers: &'a mut Answers,
}

impl Device for Ingress<'_> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Answer<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Answer<'_>)> {
        let packet = self.packet.take()?;
        Some((Received(packet), Answer { owner: self.owner, answers: self.answers }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Answer<'_>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // the interface has asked Blank
        DeviceCapabilities::default()
    }
}

/// A packet that smoltcp is to read.
pub(in crate::engine::flows) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for smoltcp's immediate answer.
pub(in crate::engine::flows) struct Answer<'a> {
    owner: Owner,
    answers: &'a mut Answers,
}

impl TxToken for Answer<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        // smoltcp wants its write done even where there is no room for it
        let (mut short, mut long) = ([0; ANSWER_MAX], Vec::new());
        let packet = if length <= ANSWER_MAX {
            &mut short[..length]
        } else {
            long.resize(length, 0);
            &mut long[..]
        };
        let result = write(packet);
        // what is longer is no TCP segment without load, and only those are ours to send
        if length <= ANSWER_MAX {
            segments::seal(packet);
            self.answers.push(self.owner, length, |space| {
                space.copy_from_slice(packet);
                Some(length)
            });
        }
        result
    }
}

/// The way out to a peer.
pub(super) struct Egress<'a> {
    pub(super) owner: Owner,
    pub(super) scratch: &'a mut [u8],
    pub(super) down: &'a mut dyn FnMut(Owner, &mut [u8]),
    /// Bytes that have left.
    pub(super) sent: usize,
    /// Watches what leaves.
    pub(super) recovery: &'a mut Recovery,
    pub(super) now: std::time::Instant,
}

impl Device for Egress<'_> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Departure<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Departure<'_>)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Departure<'_>> {
        Some(Departure {
            owner: self.owner,
            scratch: self.scratch,
            down: self.down,
            sent: &mut self.sent,
            recovery: self.recovery,
            now: self.now,
            segment: None,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // the interface has asked Blank
        DeviceCapabilities::default()
    }
}

/// One super-segment about to be written.
pub(super) struct Departure<'a> {
    owner: Owner,
    scratch: &'a mut [u8],
    down: &'a mut dyn FnMut(Owner, &mut [u8]),
    sent: &'a mut usize,
    recovery: &'a mut Recovery,
    now: std::time::Instant,
    segment: Option<NonZeroU16>,
}

impl TxToken for Departure<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let Self { owner, scratch, down, sent, recovery, now, segment } = self;
        let packet = &mut scratch[..length];
        let result = write(packet);
        *sent += length;
        let segment = segment.map_or(length, |segment| usize::from(segment.get()));
        recovery.handle_sent(packet, segment, now);
        segments::cut(packet, segment, |packet| down(owner, packet));
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size;
    }
}
