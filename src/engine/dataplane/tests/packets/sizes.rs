//! Packets that are too large, MSS, and hops.

use super::super::super::timeouts;
use super::*;

const MTU: usize = 1_420;

/// A datagram whose packet has this length.
fn datagram(from: &str, to: &str, length: usize) -> Vec<u8> {
    let headers = if from.starts_with('[') { 48 } else { 28 };
    let load: Vec<u8> = (0..length - headers).map(|at| u8::try_from(at % 251).unwrap()).collect();
    packet_of(&key(protocol::UDP, from, to), &load)
}

/// A client that has asked a host outside: its own name, the host's, and where it is seen.
fn asked(rig: &mut Rig, version: usize) -> [String; 3] {
    let (inner, remote) = (at(INNER[1][version], 20_000), at(REMOTE[version], 4_000));
    let door = rig.seen(0, protocol::UDP, &inner, &remote);
    [inner, remote, door]
}

/// RFC 4787, REQ-13: a packet from outside that is too large for the tunnel and may not be cut is answered with the tunnel's
/// MTU, from the very address that it was for.
#[test]
fn a_packet_that_is_too_large_and_may_not_be_cut_is_complained_of() {
    for version in [V4, V6] {
        let mut rig = Rig::new(1);
        let [_, remote, door] = asked(&mut rig, version);
        let mut large = datagram(&remote, &door, MTU + 1);
        if version == V4 {
            set_dont_fragment(&mut large, true);
        }

        let told = rig.arrive(&large).only_left();

        assert_eq!(icmp_type(&told), [(3, 4), (2, 0)][version]);
        let ip = Ip::new(&told[..]).unwrap();
        assert_eq!(
            (ip.source().to_string(), ip.destination().to_string()),
            (EXTERNAL[version].into(), REMOTE[version].into())
        );
        assert_eq!(ip.payload()[4..8], u32::try_from(MTU).unwrap().to_be_bytes());
        assert_eq!(ip.payload()[8..48], large[..40], "as its sender wrote it");
        let mut fits = datagram(&remote, &door, MTU);
        if version == V4 {
            set_dont_fragment(&mut fits, true);
        }
        assert_eq!(rig.arrive(&fits).only_got(0).len(), MTU);
    }
}

/// RFC 4787, REQ-13: between clients and from the server's own, likewise.
#[test]
fn a_client_is_told_of_a_packet_that_does_not_fit_its_neighbours_tunnel() {
    for version in [V4, V6] {
        let mut rig = Rig::new(2);
        let mut large = datagram(&at(INNER[1][version], 9), &at(INNER[2][version], 9), MTU + 1);
        if version == V4 {
            set_dont_fragment(&mut large, true);
        }
        let told = rig.up(0, &large).only_got(0);
        assert_eq!(icmp_type(&told), [(3, 4), (2, 0)][version]);
        assert_eq!(Ip::new(&told[..]).unwrap().source().to_string(), INNER[0][version]);
    }
}

/// RFC 4787, REQ-13 (a): what may be cut is cut, and the pieces go in their order; also where its checksum is still to be
/// completed.
#[test]
fn a_packet_that_is_too_large_and_may_be_cut_arrives_in_pieces_in_order() {
    for partial_checksum in [false, true] {
        let mut rig = Rig::new(1);
        let [inner, remote, door] = asked(&mut rig, V4);
        let mut large = datagram(&remote, &door, 3_000);
        if partial_checksum {
            let sum = checksum::Sum::default().pseudo(
                REMOTE[V4].parse().unwrap(),
                EXTERNAL[V4].parse().unwrap(),
                protocol::UDP,
                large.len() - 20,
            );
            large[26..28].copy_from_slice(&sum.partial().to_be_bytes());
        }

        let came = rig.arrive_as(&large, Offload { partial_checksum, ..Offload::NONE });

        assert_eq!((came.got.len(), came.left.len()), (3, 0), "{partial_checksum}: {:?}", rig.world.plane.drops());
        assert_eq!(together(&came), datagram(&remote, &inner, 3_000)[20..]);
        assert!(came.got.iter().all(|(_, piece)| piece.len() <= MTU));
    }
}

/// The payloads of an IPv4 packet's pieces, which must come in their order.
fn together(came: &Came) -> Vec<u8> {
    let mut whole = Vec::new();
    for (_, piece) in &came.got {
        let view = crate::engine::wire::Ipv4::new(&piece[..]).unwrap();
        assert_eq!(view.fragment_offset(), whole.len());
        whole.extend_from_slice(view.payload());
    }
    whole
}

/// RFC 4787, REQ-13 (a), and RFC 791, section 3.2: options that are to be copied are in every piece, the others in the
/// first alone.
#[test]
fn a_packet_with_options_is_cut_behind_them() {
    let mut rig = Rig::new(1);
    let [inner, remote, door] = asked(&mut rig, V4);
    let mut large = datagram(&remote, &door, 2_000);
    // a router alert, which is copied, and a timestamp, which is not
    large.splice(20..20, [0x94, 4, 0, 0, 0x44, 8, 5, 0, 0, 0, 0, 0]);
    large[0] = 0x48;
    large[2..4].copy_from_slice(&2_012_u16.to_be_bytes());
    large[10..12].fill(0);
    let sum = checksum::of(&large[..32]);
    large[10..12].copy_from_slice(&sum.to_be_bytes());

    let came = rig.arrive(&large);

    assert_eq!(together(&came), datagram(&remote, &inner, 2_000)[20..]);
    let options: Vec<&[u8]> = came.got.iter().map(|(_, piece)| &piece[20..32]).collect();
    assert_eq!(options, [&[0x94, 4, 0, 0, 0x44, 8, 5, 0, 0, 0, 0, 0], &[0x94, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]]);
}

/// RFC 9293, section 3.7.1, and what everyone does at a tunnel: both ends of a connection learn what fits, whether they are
/// translated or not.
#[test]
fn a_syn_offers_no_more_than_fits_the_tunnel_both_ways() {
    for (version, exit) in [V4, V6]
        .iter()
        .flat_map(|it| [translated(), Exit::Packets { v4: Name::Own, v6: Name::Own }].map(|exit| (*it, exit)))
    {
        let mut rig = Rig::with(server(), exit, 1);
        let (inner, remote) = (at(INNER[1][version], 20_000), at(REMOTE[version], 443));
        let left = rig.up(0, &offering(&inner, &remote, SYN, 8_960)).only_left();
        let (door, _) = ends(&left);
        let got = rig.arrive(&offering(&remote, &door, SYN | ACK, 1_460)).only_got(0);

        let most = [1_380, 1_360][version];
        assert_eq!((mss(&left), mss(&got)), (most, most), "{exit:?}");
        let small = rig.up(0, &offering(&inner, &remote, SYN, 536)).only_left();
        assert_eq!(mss(&small), 536);
    }
}

fn offering(from: &str, to: &str, flags: u8, mss: u16) -> Vec<u8> {
    let plain = segment(from, to, (flags, 1_000, u32::from(flags & ACK) * 77));
    let ip = Ip::new(&plain[..]).unwrap();
    let (at, source, destination) = (ip.transport().offset, ip.source(), ip.destination());
    let mut packet = plain.clone();
    packet.extend([2, 4]);
    packet.extend(mss.to_be_bytes());
    packet[at + 12] = 0x60;
    let length = packet.len() - at;
    if source.is_ipv4() {
        let total = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        mend_header(&mut packet);
    } else {
        packet[4..6].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    }
    packet[at + 16..at + 18].fill(0);
    let sum = checksum::Sum::default().pseudo(source, destination, protocol::TCP, length).bytes(&packet[at..]).finish();
    packet[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn mss(packet: &[u8]) -> u16 {
    let at = Ip::new(packet).unwrap().transport().offset;
    u16::from_be_bytes([packet[at + 22], packet[at + 23]])
}

/// A trace: the first packet ends at the server, which says so; the others go on. The kernel, which routes what leaves,
/// takes the hop.
#[test]
fn a_trace_finds_the_server_as_its_first_hop() {
    for version in [V4, V6] {
        let mut rig = Rig::new(1);
        for (left, is_over) in [(1, true), (2, false), (64, false)] {
            let mut probe = datagram(&at(INNER[1][version], 40_000), &at(REMOTE[version], 33_434), 60);
            set_hops(&mut probe, left);
            let came = rig.up(0, &probe);
            if is_over {
                let told = came.only_got(0);
                assert_eq!(icmp_type(&told), [(11, 0), (3, 0)][version]);
                assert_eq!(Ip::new(&told[..]).unwrap().source().to_string(), INNER[0][version]);
            } else {
                assert_eq!(hops(&came.only_left()), left);
            }
        }
    }
}

/// No more than a hundred errors a second: RFC 1812, section 4.3.2.8, and RFC 4443, section 2.4 (f).
#[test]
fn errors_have_a_rate() {
    let mut rig = Rig::new(1);
    let mut probe = datagram(&at(INNER[1][V4], 40_000), &at(REMOTE[V4], 33_434), 60);
    set_hops(&mut probe, 1);
    let told = (0..500).filter(|_| !rig.up(0, &probe).is_nothing()).count();
    assert_eq!(told, 100);
    rig.world.pass(timeouts::REKEY_TIMEOUT);
    assert!(!rig.up(0, &probe).is_nothing());
}
