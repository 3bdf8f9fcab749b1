//! What arrives on the TUN: any packet behind any header of the device's, cut, put together, translated; and what errors
//! quote.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use culvert::engine::dataplane::Change;
use culvert::engine::dataplane::around::{Around, Beyond, Parcel, Standing};
use culvert::engine::dataplane::exit::{Exit, Name};
use culvert::engine::dataplane::nat::{quoted_key, translate, translate_error};
use culvert::engine::offload::merge::Merge;
use culvert::engine::offload::split::{complete, split};
use culvert::engine::packet::{Offload, Owner};
use culvert::engine::wire::{FlowKey, Ip, checksum, protocol};
use culvert::runtime::os::vnet::{Header, LENGTH};

use crate::campaign::Campaign;
use crate::dice::Dice;
use crate::packets::{ACK, Ends, Packets, mend};
use crate::rig::{CLIENTS, Rig, address, endpoint};

/// In whose name clients leave.
const EXTERNAL: [&str; 2] = ["203.0.113.1", "2001:db8::1"];

/// What the device says of a packet, as `Queue::read` understands it.
fn offload(dice: &mut Dice) -> Option<Offload> {
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(&dice.bytes(LENGTH));
    if dice.once_in(2) {
        // one that the kernel could have written
        bytes[0] = dice.byte() & 3;
        bytes[1] = *dice.pick(&[0, 1, 4, 5, 0x81]);
        let size = *dice.pick(&[1_u16, 8, 100, 536, 1_380, 1_460]);
        bytes[4..6].copy_from_slice(&size.to_le_bytes());
    }
    let header = Header::parse(bytes)?;
    let segment = header.segments.map_or(0, |segments| segments.size);
    Some(Offload { segment, partial_checksum: header.unfinished.is_some(), gathered: dice.once_in(8) })
}

/// Packets of any length up to the largest, most of them whole.
fn long(dice: &mut Dice, packets: &Packets) -> Vec<u8> {
    let length = dice.below(20_000);
    let load = dice.bytes(length);
    packets.plain(ACK, &load)
}

#[test]
fn cuts_and_completes_any_packet_under_any_header() {
    let mut campaign = Campaign::new("offloads");
    while let Some(mut dice) = campaign.next() {
        let packets = Packets::new(Ends::example(dice.once_in(2)));
        for _ in 0..32 {
            let other = packets.any(&mut dice);
            let mut packet = if dice.once_in(2) { long(&mut dice, &packets) } else { packets.any(&mut dice) };
            if dice.once_in(2) {
                dice.mutate(&mut packet, &other);
                packet.truncate(65_535);
                mend(&mut packet);
            }
            let Some(offload) = offload(&mut dice) else { continue };
            let at_most = usize::from(dice.short());
            let _ = complete(&mut packet.clone());
            let whole = packet.len();
            let mut payload = 0;
            let cut = split(&mut packet, offload, at_most, |piece, _| {
                assert!(piece.len() <= whole);
                payload += piece.len();
            });
            assert!(cut.is_ok() || payload == 0, "what is unfit is handed over not at all");
        }
    }
}

#[test]
fn puts_any_packets_together_and_loses_none() {
    let mut campaign = Campaign::new("merge");
    while let Some(mut dice) = campaign.next() {
        let mut merge = Merge::new(dice.once_in(2));
        let mut streams: Vec<Packets> = (0..4).map(|at| Packets::new(Ends::example(at % 2 == 0))).collect();
        let (mut taken, mut given) = (0, 0);
        for _ in 0..200 {
            let stream = dice.below(streams.len());
            let length = *dice.pick(&[8, 100, 1_380, 1_380, 1_380]);
            let load = dice.bytes(length);
            let mut packet = streams[stream].plain(ACK, &load);
            streams[stream].next = streams[stream].next.wrapping_add(u32::try_from(length).unwrap());
            if dice.once_in(4) {
                packet = streams[stream].any(&mut dice);
            }
            if dice.once_in(8) {
                let other = packet.clone();
                dice.mutate(&mut packet, &other);
            }
            let room = merge.room();
            room[..packet.len()].copy_from_slice(&packet);
            if dice.once_in(16) {
                merge.abandon();
                continue;
            }
            taken += usize::from(!packet.is_empty());
            merge.accept(packet.len(), stream, |packet, offload, _| given += count(packet, offload));
            if dice.once_in(32) {
                merge.flush(|packet, offload, _| given += count(packet, offload));
            }
        }
        merge.flush(|packet, offload, _| given += count(packet, offload));
        assert_eq!((taken, merge.is_empty()), (given, true));
    }
}

/// How many packets a packet stands for.
fn count(packet: &mut [u8], offload: Offload) -> usize {
    let mut pieces = 0;
    split(packet, offload, 1, |_, _| pieces += 1).unwrap();
    pieces
}

/// Takes what leaves; nothing of it is looped back.
#[derive(Default)]
struct Left(Vec<Vec<u8>>);

impl Beyond for Left {
    fn outward(&mut self, _owner: Owner, packet: &mut [u8], offload: Offload) {
        if !offload.is_super() {
            self.0.push(packet.to_vec());
        }
    }

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        panic!("there is no other worker")
    }

    fn standing(&mut self, _protocol: u8, to: SocketAddr) -> Standing {
        let is_ours = EXTERNAL.iter().any(|external| external.parse::<IpAddr>().unwrap() == to.ip());
        if is_ours { Standing::Inside } else { Standing::Outside }
    }
}

fn with(rig: &mut Rig, call: impl FnOnce(&mut Rig, &mut Left)) -> Vec<Vec<u8>> {
    let mut left = Left::default();
    call(rig, &mut left);
    left.0
}

/// A client sends; what leaves.
fn up(rig: &mut Rig, at: usize, packet: &[u8]) -> Vec<Vec<u8>> {
    let datagram = rig.seal(at, packet);
    with(rig, |rig, left| {
        let mut around = Around { outbox: &mut rig.outbox, ports: &mut rig.ports, beyond: left };
        rig.plane.handle_datagram(endpoint(at), &datagram, &mut around, rig.now);
        rig.plane.handle_batch_end(&mut around, rig.now);
    })
}

/// A packet arrives. What comes down of it is judged when the rig is drained.
fn arrive(rig: &mut Rig, packet: &mut [u8], offload: Offload) -> Vec<Vec<u8>> {
    with(rig, |rig, left| {
        let mut around = Around { outbox: &mut rig.outbox, ports: &mut rig.ports, beyond: left };
        rig.plane.handle_arrival(packet, offload, &mut around, rig.now);
    })
}

fn exit(dice: &mut Dice) -> Exit {
    let [v4, v6] = EXTERNAL.map(|external| external.parse::<IpAddr>().unwrap());
    let mut name = |external| if dice.once_in(4) { Name::Own } else { Name::External(external) };
    Exit::Packets { v4: name(v4), v6: name(v6) }
}

fn remote(v6: bool, port: u16) -> SocketAddr {
    let host: IpAddr = if v6 { "2001:db8:9::9".parse().unwrap() } else { Ipv4Addr::new(198, 51, 100, 9).into() };
    SocketAddr::new(host, port)
}

/// Packets of a host outside, of a connection that a client has opened: `left` is the client's own, as it left.
fn answers(left: &[u8]) -> Option<Packets> {
    let key = FlowKey::of(&Ip::new(left).ok()?).ok()??;
    Some(Packets::new(Ends { peer: key.destination, outside: key.source }))
}

#[test]
fn gives_clients_nothing_but_their_own_whatever_arrives() {
    let mut campaign = Campaign::new("arrivals");
    let (mut stories, mut came) = (0, 0);
    while let Some(mut dice) = campaign.next() {
        let mut rig = Rig::new();
        let change = Change::Exit(exit(&mut dice));
        with(&mut rig, |rig, left| {
            let mut around = Around { outbox: &mut rig.outbox, ports: &mut rig.ports, beyond: left };
            rig.plane.apply(change, &mut around, rig.now);
        });
        let mut open = Vec::new();
        for _ in 0..200 {
            came += step(&mut dice, &mut rig, &mut open);
        }
        stories += 1;
    }
    assert!(stories < 5 || came > stories * 10, "the campaign is worth nothing: {came} packets in {stories} stories");
}

/// One thing that happens; how many packets clients got by it.
fn step(dice: &mut Dice, rig: &mut Rig, open: &mut Vec<Vec<u8>>) -> usize {
    if open.is_empty() || dice.once_in(6) {
        let (at, v6) = (dice.below(CLIENTS), dice.once_in(2));
        let peer = SocketAddr::new(address(at, v6), 20_000 + dice.short() % 8);
        let packets = Packets::new(Ends { peer, outside: remote(v6, 1 + dice.short() % 8) });
        let packet = if dice.once_in(2) { packets.datagram(dice) } else { packets.syn(dice) };
        let left = up(rig, at, &packet);
        open.extend(left.into_iter().filter(|packet| answers(packet).is_some()));
        open.truncate(64);
    } else {
        let left = dice.pick(open).clone();
        let packets = answers(&left).unwrap();
        for mut packet in arrivals(dice, &packets, &left) {
            let offload = offload(dice).filter(|_| dice.once_in(4)).unwrap_or(Offload::NONE);
            let said = arrive(rig, &mut packet, offload);
            assert!(said.iter().all(|packet| Ip::new(&packet[..]).is_ok()));
        }
    }
    if dice.once_in(20) {
        with(rig, |rig, left| {
            rig.now += Duration::from_millis(700);
            let mut around = Around { outbox: &mut rig.outbox, ports: &mut rig.ports, beyond: left };
            rig.plane.handle_deadline(&mut around, rig.now);
        });
    }
    drain(rig)
}

/// What a host or router outside may send.
fn arrivals(dice: &mut Dice, packets: &Packets, left: &[u8]) -> Vec<Vec<u8>> {
    match dice.below(6) {
        0 => packets.fragments(dice),
        1 | 2 => vec![quoting(dice, left, packets.ends)],
        3 => {
            let mut packet = packets.any(dice);
            dice.mutate(&mut packet, left);
            mend(&mut packet);
            packet.truncate(65_535);
            vec![packet]
        }
        _ => vec![packets.any(dice)],
    }
}

/// What comes down is held against what may, but for checksums that a header of the device's has promised falsely.
fn drain(rig: &mut Rig) -> usize {
    let opened = rig.opened();
    for (at, packet) in &opened {
        let view = Ip::new(&packet[..]).unwrap();
        assert_eq!(view.destination(), address(*at, view.destination().is_ipv6()), "not its owner's: {packet:02x?}");
        assert!(packet.len() <= crate::rig::MTU);
    }
    opened.len()
}

/// An ICMP error about a packet that left, or about something like it: cut off, changed, with any checksum.
fn quoting(dice: &mut Dice, about: &[u8], Ends { peer, outside }: Ends) -> Vec<u8> {
    let v4 = peer.is_ipv4();
    let mut quoted = about.to_vec();
    if dice.once_in(2) {
        quoted.truncate(dice.below(about.len() + 1));
    }
    if dice.once_in(3) {
        dice.mutate(&mut quoted, about);
        if dice.once_in(2) {
            mend(&mut quoted);
        }
    }
    quoted.truncate(1_200);
    let kinds: &[u8] = if v4 { &[3, 4, 5, 11, 12] } else { &[1, 2, 3, 4, 100] };
    let mut message = vec![*dice.pick(kinds), dice.byte() & 15, 0, 0];
    message.extend(dice.word().to_be_bytes());
    message.extend(quoted);
    let number = if v4 { protocol::ICMP } else { protocol::ICMPV6 };
    let ends = Ends { peer: SocketAddr::new(peer.ip(), 0), outside: SocketAddr::new(outside.ip(), 0) };
    let mut packet = Packets::new(ends).of(number, message);
    if dice.once_in(16) {
        let at = packet.len() - 1;
        packet[at] ^= 1;
    }
    packet
}

#[test]
fn translates_quoted_packets_inside_out_or_not_at_all() {
    let mut campaign = Campaign::new("quotes");
    let (mut translated, mut held) = (0, 0);
    while let Some(mut dice) = campaign.next() {
        for _ in 0..64 {
            let v6 = dice.once_in(2);
            let inner = SocketAddr::new(address(0, v6), 20_000);
            let outer = SocketAddr::new(EXTERNAL[usize::from(v6)].parse().unwrap(), 30_000);
            let packets = Packets::new(Ends { peer: inner, outside: remote(v6, 80) });
            let mut about = packets.any(&mut dice);
            let Some(packets) = answers(&about) else { continue };
            let Ok(Some(went)) = FlowKey::of(&Ip::new(&about[..]).unwrap()) else { continue };
            let leaves = FlowKey { source: outer, ..went };
            if translate(&mut about, Offload::NONE, &leaves).is_err() {
                continue;
            }
            let ends = Ends { peer: packets.ends.peer, outside: outer };
            let packet = quoting(&mut dice, &about, ends);
            translated += u32::from(hold(&packet, &went));
            held += 1;
        }
    }
    assert!(held < 100 || translated > held / 10, "the campaign is worth nothing: {translated} of {held}");
}

/// What was translated is sound and about the packet that went; what was not is as it came, or refused for a reason.
fn hold(packet: &[u8], went: &FlowKey) -> bool {
    let mut translated = packet.to_vec();
    let before = quoted_key(packet);
    let outcome = translate_error(&mut translated, &went.reversed());
    assert!(before.is_ok() || outcome.is_err(), "{packet:02x?}");
    if outcome.is_err() {
        assert_eq!(translated, packet);
        return false;
    }
    assert_eq!(translated.len(), packet.len());
    let view = Ip::new(&translated[..]).unwrap();
    if view.source().is_ipv4() {
        let head = usize::from(translated[0] & 15) * 4;
        assert_eq!(checksum::of(&translated[..head]), 0);
    }
    let about = quoted_key(&translated).unwrap_or_else(|reason| panic!("{reason:?}: {translated:02x?}"));
    assert_eq!((about.source.ip(), view.destination()), (went.source.ip(), went.source.ip()));
    true
}
