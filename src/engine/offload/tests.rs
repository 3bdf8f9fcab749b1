//! What is put together and cut again is what it was, by the word of an independent implementation, `etherparse`.

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};
use proptest::prelude::*;

use super::Unfit;
use super::merge::{Merge, ROOM};
use super::split::{complete, split};
use crate::engine::packet::Offload;
use crate::engine::wire::{Ip, Ipv4};

type Out = Vec<(Vec<u8>, Offload, u8)>;

/// One way of a connection, or of a pair of UDP ports.
#[derive(Debug, Clone, Copy)]
struct Flow {
    v6: bool,
    tcp: bool,
    timestamps: bool,
    /// Tells flows apart.
    port: u16,
    sequence: u32,
}

impl Flow {
    fn new(v6: bool, tcp: bool, port: u16) -> Self {
        Self { v6, tcp, timestamps: port % 2 == 1, port, sequence: 0xffff_f000 }
    }

    /// The next packet, with so many bytes of payload and these flags beside ACK.
    fn packet(&mut self, length: usize, push: bool, fin: bool) -> Vec<u8> {
        let payload: Vec<u8> =
            (0..length).map(|at| u8::try_from((at * 7 + usize::from(self.port)) % 253).unwrap()).collect();
        let builder = if self.v6 {
            PacketBuilder::ipv6([0x20; 16], [0x30; 16], 64)
        } else {
            PacketBuilder::ipv4([10, 8, 0, 2], [192, 0, 2, 1], 64)
        };
        let mut packet = Vec::new();
        if !self.tcp {
            builder.udp(self.port, 53).write(&mut packet, &payload).unwrap();
            return packet;
        }
        let mut builder = builder.tcp(self.port, 443, self.sequence, 1_024).ack(77);
        if self.timestamps {
            let options = [TcpOptionElement::Noop, TcpOptionElement::Noop, TcpOptionElement::Timestamp(5, 6)];
            builder = builder.options(&options).unwrap();
        }
        if push {
            builder = builder.psh();
        }
        if fin {
            builder = builder.fin();
        }
        builder.write(&mut packet, &payload).unwrap();
        self.sequence = self.sequence.wrapping_add(u32::try_from(length).unwrap()).wrapping_add(u32::from(fin));
        packet
    }
}

/// As decryption does it: the packet, and a tag behind it.
fn offer(merge: &mut Merge<u8>, packet: &[u8], meta: u8, out: &mut Out) {
    let room = merge.room();
    assert!(room.len() >= ROOM);
    room[..packet.len()].copy_from_slice(packet);
    room[packet.len()..packet.len() + 31].fill(0xee);
    merge.accept(packet.len(), meta, |packet, offload, meta| out.push((packet.to_vec(), offload, meta)));
}

fn merged(packets: &[(Vec<u8>, u8)]) -> Out {
    let (mut merge, mut out) = (Merge::new(true), Vec::new());
    for (packet, meta) in packets {
        offer(&mut merge, packet, *meta, &mut out);
    }
    merge.flush(|packet, offload, meta| out.push((packet.to_vec(), offload, meta)));
    assert!(merge.is_empty());
    out
}

/// Every packet of what went out, cut by way of smaller super-packets; whoever gets one writes all over it.
fn cut(out: Out, at_most: usize) -> Vec<(Vec<u8>, u8)> {
    let mut packets = Vec::new();
    for (mut packet, offload, meta) in out {
        let mut pieces = Vec::new();
        if offload.is_super() {
            assert!(offload.partial_checksum);
        }
        split(&mut packet, offload, at_most, |piece, offload| {
            pieces.push((piece.to_vec(), offload));
            piece.fill(0xdd);
        })
        .unwrap();
        for (mut piece, offload) in pieces {
            split(&mut piece, offload, 0, |packet, offload| {
                assert_eq!(offload, Offload::NONE);
                packets.push((packet.to_vec(), meta));
                packet.fill(0xcc);
            })
            .unwrap();
        }
    }
    packets
}

/// What of a packet is the same after its way: all but the identification and the checksum above it, which holds.
fn lasting(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if let Ok(view) = Ipv4::new(&packet[..]) {
        assert!(view.is_checksum_right());
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// The oracle's word: lengths and checksums hold, nothing is left over.
fn is_sound(packet: &[u8]) -> bool {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let (net, transport) = (sliced.net.unwrap(), sliced.transport.unwrap());
    match (net, transport) {
        (NetSlice::Ipv4(net), TransportSlice::Tcp(tcp)) => {
            net.header().to_header().calc_header_checksum() == net.header().header_checksum()
                && tcp.to_header().calc_checksum_ipv4(&net.header().to_header(), tcp.payload()) == Ok(tcp.checksum())
        }
        (NetSlice::Ipv4(net), TransportSlice::Udp(udp)) => {
            net.header().to_header().calc_header_checksum() == net.header().header_checksum()
                && udp.to_header().calc_checksum_ipv4(&net.header().to_header(), udp.payload()) == Ok(udp.checksum())
        }
        (NetSlice::Ipv6(net), TransportSlice::Tcp(tcp)) => {
            tcp.to_header().calc_checksum_ipv6(&net.header().to_header(), tcp.payload()) == Ok(tcp.checksum())
        }
        (NetSlice::Ipv6(net), TransportSlice::Udp(udp)) => {
            udp.to_header().calc_checksum_ipv6(&net.header().to_header(), udp.payload()) == Ok(udp.checksum())
        }
        _ => false,
    }
}

fn of_flow(packets: &[(Vec<u8>, u8)], meta: u8, port: u16) -> Vec<Vec<u8>> {
    let port = port.to_be_bytes();
    let fits = |packet: &[u8]| packet[if packet[0] >> 4 == 4 { 20 } else { 40 }..][..2] == port;
    packets.iter().filter(|(packet, whose)| *whose == meta && fits(packet)).map(|(packet, _)| lasting(packet)).collect()
}

fn kinds() -> impl Iterator<Item = (bool, bool)> + Clone {
    [(false, false), (false, true), (true, false), (true, true)].into_iter()
}

fn shape(out: &Out) -> Vec<(usize, u16)> {
    out.iter().map(|(packet, offload, _)| (packet.len(), offload.segment)).collect()
}

#[test]
fn makes_one_packet_of_a_burst_and_leaves_one_alone_as_it_came() {
    for (v6, tcp) in kinds() {
        let mut flow = Flow::new(v6, tcp, 1_000);
        let headers = flow.packet(0, false, false).len();
        let burst: Vec<_> = [1_300, 1_300, 1_300, 500].map(|length| (flow.packet(length, false, false), 0)).into();
        assert_eq!(shape(&merged(&burst)), [(headers + 4_400, 1_300)]);

        let alone = flow.packet(1_300, false, false);
        assert_eq!(merged(&[(alone.clone(), 0)]), [(alone, Offload::NONE, 0)]);
    }
}

#[test]
fn ends_a_super_packet_with_a_short_segment_a_push_and_a_fin() {
    let mut flow = Flow::new(false, true, 1_000);
    let (mut merge, mut out) = (Merge::new(true), Vec::new());
    for (length, push, fin) in [(100, false, false), (50, false, false)]
        .into_iter()
        .chain([(100, false, false), (100, true, false)])
        .chain([(100, false, false), (9, false, true)])
    {
        offer(&mut merge, &flow.packet(length, push, fin), 0, &mut out);
    }

    assert_eq!(shape(&out), [(190, 100), (240, 100), (149, 100)]);
    assert_eq!(out.iter().map(|(packet, ..)| packet[33]).collect::<Vec<_>>(), [0x10, 0x18, 0x11]);
    assert!(merge.is_empty());
}

#[test]
fn keeps_to_the_lengths_that_the_kernel_takes() {
    for (v6, tcp) in kinds() {
        let mut flow = Flow::new(v6, tcp, 1_000);
        for length in [300, 1_400, 9_000, 30_000, 40_000] {
            let packets: Vec<_> = (0..250).map(|_| (flow.packet(length, false, false), 0)).collect();
            let out = merged(&packets);
            let headers = packets[0].0.len() - length;
            let most = out.iter().map(|(packet, ..)| packet.len()).max().unwrap();
            assert!(most <= 65_535 && (tcp || (most - headers) / length <= 64), "{most}");
            assert!(most + length > 65_535 || (most - headers) / length == 64, "{most}");
            assert_eq!(out.iter().map(|(packet, ..)| packet.len() - headers).sum::<usize>(), 250 * length);
        }
    }
}

#[test]
fn merges_nothing_that_differs_in_its_headers() {
    for (v6, tcp) in kinds() {
        let mut flow = Flow::new(v6, tcp, 1_001);
        let (first, second) = (flow.packet(100, false, false), flow.packet(100, false, false));
        assert_eq!(merged(&[(first.clone(), 0), (second.clone(), 0)]).len(), 1);
        assert_eq!(merged(&[(first.clone(), 0), (second.clone(), 1)]).len(), 2, "two owners");
        let headers = first.len() - 100;
        for at in 0..headers {
            let mut other = second.clone();
            other[at] ^= 0x10;
            mend(&mut other);
            let out = merged(&[(first.clone(), 0), (other.clone(), 0)]);
            // an identification may differ, a checksum has been mended, and what is shorter is the last
            let may_differ = !v6 && (4..6).contains(&at) || other == second;
            let is_shorter = Ip::new(&other[..]).is_ok_and(|ip| ip.total_len() < second.len());
            let is_one = may_differ || is_shorter && tcp;
            assert_eq!(out.len(), if is_one { 1 } else { 2 }, "{v6} {tcp} {at}");
        }
    }
}

/// Makes every checksum right, where there is one.
fn mend(packet: &mut [u8]) {
    if packet[0] >> 4 == 4 {
        packet[10..12].fill(0);
        let header = usize::from(packet[0] & 0xf) * 4;
        let sum = crate::engine::wire::checksum::of(&packet[..header.min(packet.len())]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let _ = complete(packet);
}

#[test]
fn merges_nothing_with_a_wrong_checksum_and_passes_it_on_as_it_is() {
    for (v6, tcp) in kinds() {
        let mut flow = Flow::new(v6, tcp, 1_000);
        for wrong in 0..3 {
            let mut packets: Vec<_> = (0..3).map(|_| (flow.packet(100, false, false), 0)).collect();
            packets[wrong].0[70] ^= 1;
            let out = merged(&packets);
            assert!(out.contains(&(packets[wrong].0.clone(), Offload::NONE, 0)));
            assert_eq!(of_flow(&cut(out, 0), 0, 1_000), of_flow(&packets, 0, 1_000));
        }
    }
}

#[test]
fn keeps_acknowledgements_of_others_from_breaking_a_burst() {
    let (mut upload, mut download) = (Flow::new(false, true, 1_000), Flow::new(false, true, 1_002));
    let packets: Vec<_> = (0..20)
        .flat_map(|_| [(upload.packet(1_300, false, false), 0), (download.packet(0, false, false), 0)])
        .collect();
    let out = merged(&packets);

    assert_eq!(out.len(), 21);
    assert_eq!(out[20].0.len(), 40 + 20 * 1_300);
}

#[test]
fn merges_eight_flows_that_mix_and_lets_the_eldest_go_for_a_ninth() {
    let mut flows: Vec<_> = (1_000..1_008).map(|port| Flow::new(false, true, port)).collect();
    let mut packets: Vec<_> = Vec::new();
    for _ in 0..10 {
        packets.extend(flows.iter_mut().map(|flow| (flow.packet(1_300, false, false), 0)));
    }
    assert_eq!(merged(&packets).len(), 8);

    packets.push((Flow::new(true, false, 1_008).packet(1_300, false, false), 0));
    let out = merged(&packets);
    assert_eq!(out.len(), 9);
    assert_eq!(out[0].0[20..22], 1_000_u16.to_be_bytes());
}

#[test]
fn lets_nothing_between_the_same_hosts_pass_a_burst() {
    let mut flow = Flow::new(false, true, 1_000);
    let (mut merge, mut out) = (Merge::new(true), Vec::new());
    let mut fragment = flow.packet(100, false, false);
    for _ in 0..3 {
        offer(&mut merge, &flow.packet(100, false, false), 0, &mut out);
    }
    fragment[6] = 0x20;
    mend(&mut fragment);
    offer(&mut merge, &fragment, 0, &mut out);

    assert_eq!(shape(&out), [(340, 100), (140, 0)]);
    assert_eq!(out[1].0, fragment);
}

#[test]
fn leaves_datagrams_alone_where_nothing_cuts_them() {
    let mut flow = Flow::new(false, false, 1_000);
    let (mut merge, mut out) = (Merge::new(false), Vec::new());
    for _ in 0..3 {
        offer(&mut merge, &flow.packet(100, false, false), 0, &mut out);
    }
    assert_eq!(shape(&out), [(128, 0); 3]);
}

#[test]
fn cuts_into_smaller_super_packets_whose_partial_checksums_complete() {
    for (v6, tcp) in kinds() {
        let mut flow = Flow::new(v6, tcp, 1_000);
        let packets: Vec<_> = (0..10).map(|_| (flow.packet(1_000, false, false), 0)).collect();
        let (mut whole, offload, _) = merged(&packets).remove(0);
        let mut lengths = Vec::new();
        split(&mut whole, offload, 3_999, |piece, offload| {
            lengths.push((piece.len() - (packets[0].0.len() - 1_000), offload.segment, offload.partial_checksum));
            if offload.is_super() {
                assert!(!is_sound(piece));
                complete(piece).unwrap();
            }
            assert!(is_sound(piece));
        })
        .unwrap();
        let piece = (3_000, 1_000, true);
        assert_eq!(lengths, [piece, piece, piece, (1_000, 0, false)]);
    }
}

#[test]
fn tells_the_congestion_window_once_and_numbers_every_packet() {
    let mut flow = Flow::new(false, true, 1_000);
    let mut packet = flow.packet(1_000, true, true);
    packet[4..6].copy_from_slice(&0xfffe_u16.to_be_bytes());
    packet[33] |= 0x80;
    let offload = Offload { segment: 250, partial_checksum: true, ..Offload::NONE };
    let mut seen = Vec::new();
    split(&mut packet, offload, 0, |piece, _| {
        assert!(is_sound(piece));
        seen.push((u16::from_be_bytes([piece[4], piece[5]]), piece[33]));
    })
    .unwrap();

    assert_eq!(seen, [(0xfffe, 0x90), (0xffff, 0x10), (0, 0x10), (1, 0x19)]);
}

#[test]
fn cuts_behind_extension_headers_and_refuses_what_it_does_not_know() {
    let mut flow = Flow::new(true, false, 1_000);
    let mut packet = flow.packet(1_000, false, false);
    packet.splice(40..40, [17, 0, 1, 4, 0, 0, 0, 0]);
    packet[6] = 60;
    packet[4..6].copy_from_slice(&1_016_u16.to_be_bytes());
    let offload = Offload { segment: 300, partial_checksum: true, ..Offload::NONE };
    let mut lengths = Vec::new();
    split(&mut packet, offload, 0, |piece, _| {
        assert!(is_sound(piece));
        assert_eq!(piece[40..48], [17, 0, 1, 4, 0, 0, 0, 0]);
        lengths.push(piece.len() - 56);
    })
    .unwrap();
    assert_eq!(lengths, [300, 300, 300, 100]);

    packet[6] = 50;
    assert_eq!(split(&mut packet, offload, 0, |_, _| panic!("handed over")), Err(Unfit));
    assert_eq!(complete(&mut packet), Err(Unfit));
}

/// What happens next to which flow.
#[derive(Debug, Clone, Copy)]
enum Step {
    Packet { length: usize, push: bool, fin: bool },
    Repeat,
    Corrupt,
    Fail,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let length = prop_oneof![10 => Just(1_300_usize), 4 => 0_usize..1_500, 1 => 0_usize..40_000];
    let packet = (length, prop::bool::weighted(0.1), prop::bool::weighted(0.03))
        .prop_map(|(length, push, fin)| Step::Packet { length, push, fin });
    let step = prop_oneof![
        30 => packet,
        1 => Just(Step::Repeat),
        1 => Just(Step::Corrupt),
        2 => Just(Step::Fail),
        1 => Just(Step::Flush),
    ];
    // neighbours in runs, as they come
    proptest::collection::vec((0_usize..12, proptest::collection::vec(step, 1..8)), 1..30).prop_map(|runs| {
        runs.into_iter().flat_map(|(flow, steps)| steps.into_iter().map(move |step| (flow, step))).collect()
    })
}

proptest! {
    #[test]
    fn what_is_merged_and_cut_is_what_it_was(steps in steps(), at_most in 0_usize..20_000) {
        let mut flows: Vec<_> =
            kinds().cycle().take(12).zip(1_000..).map(|((v6, tcp), port)| Flow::new(v6, tcp, port)).collect();
        let (mut merge, mut out, mut packets) = (Merge::new(true), Vec::new(), Vec::new());
        for (index, step) in steps {
            let flow = &mut flows[index];
            let meta = u8::try_from(index / 5).unwrap();
            let packet = match step {
                Step::Packet { length, push, fin } => flow.packet(length, push, fin),
                Step::Repeat => flow.clone().packet(1_300, false, false),
                Step::Corrupt => {
                    let mut packet = flow.packet(1_300, false, false);
                    packet[200] ^= 4;
                    packet
                }
                Step::Fail => {
                    merge.room()[..1_500].fill(0xaa);
                    merge.abandon();
                    continue;
                }
                Step::Flush => {
                    merge.flush(|packet, offload, meta| out.push((packet.to_vec(), offload, meta)));
                    continue;
                }
            };
            offer(&mut merge, &packet, meta, &mut out);
            packets.push((packet, meta));
        }
        merge.flush(|packet, offload, meta| out.push((packet.to_vec(), offload, meta)));
        let merged = out.iter().filter(|(_, offload, _)| offload.is_super()).count();
        prop_assert!(out.len() + merged <= packets.len());

        let came = cut(out, at_most);
        prop_assert_eq!(came.len(), packets.len());
        for (flow, index) in flows.iter().zip(0_u8..) {
            prop_assert_eq!(of_flow(&came, index / 5, flow.port), of_flow(&packets, index / 5, flow.port));
        }
        let sound = |packets: &[(Vec<u8>, u8)]| packets.iter().filter(|(packet, _)| is_sound(packet)).count();
        prop_assert_eq!(sound(&came), sound(&packets));
    }

    #[test]
    fn nothing_that_a_stranger_writes_makes_it_panic_or_get_lost(
        changes in proptest::collection::vec((0_usize..8, 0_usize..1_600, proptest::collection::vec((0_usize..120, any::<u8>()), 0..4), any::<bool>()), 1..60),
        segment in any::<u16>(), at_most in any::<u16>(),
    ) {
        let mut flows: Vec<_> =
            kinds().chain(kinds()).zip(1_000..).map(|((v6, tcp), port)| Flow::new(v6, tcp, port)).collect();
        let (mut merge, mut out, mut count) = (Merge::new(true), Vec::new(), 0);
        for (index, length, bytes, is_mended) in changes {
            let mut packet = flows[index].packet(1_300, false, false);
            packet.truncate(length);
            for (at, value) in bytes {
                if let Some(byte) = packet.get_mut(at) {
                    *byte = value;
                }
            }
            if is_mended && packet.len() >= 20 {
                mend(&mut packet);
            }
            let mut whole = packet.clone();
            let offload = Offload { segment, partial_checksum: true, ..Offload::NONE };
            let _ = split(&mut whole, offload, usize::from(at_most), |piece, _| piece.fill(0));
            count += usize::from(!packet.is_empty());
            offer(&mut merge, &packet, 0, &mut out);
        }
        merge.flush(|packet, offload, meta| out.push((packet.to_vec(), offload, meta)));
        prop_assert_eq!(cut(out, usize::from(at_most)).len(), count);
    }

    #[test]
    fn arbitrary_bytes_of_every_length_pass_as_they_are(
        bytes in proptest::collection::vec(any::<u8>(), 0..100), length in prop_oneof![0_usize..200, 0_usize..=65_535],
        offload in any::<(u16, bool)>(),
    ) {
        let mut packet = bytes;
        packet.resize(length, 0x45);
        let out = merged(&[(packet.clone(), 0)]);
        prop_assert_eq!(out.len(), usize::from(length > 0));
        prop_assert!(out.iter().all(|(bytes, offload, _)| *bytes == packet && *offload == Offload::NONE));
        let offload = Offload { segment: offload.0, partial_checksum: offload.1, ..Offload::NONE };
        let _ = split(&mut packet, offload, 1_400, |_, _| ());
        let _ = complete(&mut packet);
    }
}
