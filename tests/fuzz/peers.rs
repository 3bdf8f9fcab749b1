//! An authenticated peer that sends anything: the whole way up, the machine of flows behind it, and hosts that err.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use culvert::domain::nat::Filtering;
use culvert::engine::dataplane::around::Around;
use culvert::engine::flows::reach::{HostAddresses, Reach};
use culvert::engine::flows::{DATAGRAM_AT, FlowId, Flows, Limits, Request, Settings};
use culvert::engine::packet::Owner;
use culvert::engine::wire::icmp::Complaint;
use culvert::engine::wire::tcp::Tcp;
use culvert::engine::wire::{Ip, protocol};

use crate::campaign::Campaign;
use crate::dice::Dice;
use crate::outside::{Far, Hosts, NoHost};
use crate::packets::{ACK, Ends, FIN, Packets, SYN, mend};
use crate::rig::{CLIENTS, MTU, Rig, address, endpoint, judge};

/// Steps of one story.
const STEPS: usize = 300;

#[test]
fn keeps_serving_the_honest_whatever_a_peer_sends() {
    let mut campaign = Campaign::new("peers");
    while let Some(mut dice) = campaign.next() {
        let mut world = World::new(&mut dice);
        for _ in 0..STEPS {
            world.step(&mut dice);
        }
        world.settle();
        for (at, v6) in [(0, false), (1, false), (0, true), (1, true)] {
            world.serve_honestly(at, v6);
        }
    }
}

/// A connection as its peer sees it.
struct Live {
    at: usize,
    packets: Packets,
    received: Vec<u8>,
}

struct World {
    rig: Rig,
    owners: Vec<Owner>,
    flows: Flows,
    hosts: Hosts,
    lives: Vec<Live>,
    connecting: Vec<FlowId>,
    /// Every flow that ever was, with where it went last.
    flows_seen: BTreeMap<usize, (FlowId, SocketAddr)>,
    buffer: Vec<u8>,
}

fn settings(mtu: usize) -> Settings {
    Settings {
        mtu: u16::try_from(mtu).unwrap(),
        address: Some("10.0.0.1".parse().unwrap()),
        address_v6: Some("fd00::1".parse().unwrap()),
        limits: Limits { flows: 20_000, flows_of_owner: 10_000 },
        buffer_max: usize::MAX,
        reach: Reach::default(),
        filtering: Filtering::default(),
    }
}

/// Ends of a client's connection.
fn ends(at: usize, port: u16, v6: bool) -> Ends {
    let outside = if v6 { "[2606:4700::1]:80" } else { "1.1.1.1:80" };
    Ends { peer: SocketAddr::new(address(at, v6), port), outside: outside.parse().unwrap() }
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let rig = Rig::new();
        Self {
            owners: (0..CLIENTS).map(|at| rig.owner(at)).collect(),
            flows: Flows::new(settings(MTU), 7, rig.now),
            rig,
            hosts: Hosts { far: BTreeMap::new(), dice: Dice::new(dice.bits()) },
            lives: Vec::new(),
            connecting: Vec::new(),
            flows_seen: BTreeMap::new(),
            buffer: vec![0; DATAGRAM_AT + 65_535],
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(16) {
            0 => {
                let at = dice.below(CLIENTS);
                let packets = Packets::new(ends(at, 1_024 + dice.short() % 64, dice.once_in(3)));
                let syn = packets.syn(dice);
                self.dial(at, packets, &syn);
            }
            1..=9 => self.send_odd(dice),
            10..=12 => self.outside_acts(dice),
            13 => self.answer_connect(dice),
            _ => self.pass(dice),
        }
        if !dice.once_in(3) {
            self.turn();
        }
    }

    /// Begins a connection; the flow, where the machine asks for one.
    fn dial(&mut self, at: usize, mut packets: Packets, syn: &[u8]) -> Option<FlowId> {
        let flow = self.send(at, syn);
        packets.next = packets.next.wrapping_add(1);
        self.lives.retain(|live| live.at != at || live.packets.ends != packets.ends);
        self.lives.push(Live { at, packets, received: Vec::new() });
        flow
    }

    fn send_odd(&mut self, dice: &mut Dice) {
        let (at, packets) = if self.lives.is_empty() || dice.once_in(8) {
            let at = dice.below(CLIENTS);
            (at, Packets::new(ends(at, dice.short(), dice.once_in(3))))
        } else {
            let live = dice.pick(&self.lives);
            (live.at, live.packets)
        };
        let odd = if dice.once_in(8) { packets.fragments(dice) } else { vec![packets.any(dice)] };
        for mut packet in odd {
            if dice.once_in(12) {
                let other = packets.any(dice);
                dice.mutate(&mut packet, &other);
                mend(&mut packet);
            }
            self.send(at, &packet);
        }
    }

    /// Sends a packet up; the flow that is to be connected for it.
    fn send(&mut self, at: usize, packet: &[u8]) -> Option<FlowId> {
        if packet.is_empty() {
            return None;
        }
        let sealed = self.rig.seal(at, packet);
        let (owner, packet) = self.rig.handle(endpoint(at), &sealed)?;
        assert_eq!(owner, self.owners[at]);
        match self.flows.handle_packet(owner, &packet, &mut NoHost, self.rig.now) {
            Request::Nothing => None,
            Request::Connect { flow, to } => {
                self.hosts.far.insert(flow.index(), Far::default());
                self.flows_seen.insert(flow.index(), (flow, to));
                self.connecting.push(flow);
                Some(flow)
            }
            Request::Datagram { flow, to, payload } => {
                assert!(payload.len() <= 65_507);
                self.flows_seen.insert(flow.index(), (flow, to));
                None
            }
            Request::Echo { flow, to, message } => {
                assert!(message.len() >= 8);
                self.flows_seen.insert(flow.index(), (flow, SocketAddr::new(to, 0)));
                None
            }
        }
    }

    fn answer_connect(&mut self, dice: &mut Dice) {
        if self.connecting.is_empty() {
            return;
        }
        let flow = self.connecting.swap_remove(dice.below(self.connecting.len()));
        match dice.below(8) {
            0 => self.flows.handle_refused(flow),
            1 => self.flows.handle_unreachable(flow, complaint(dice), self.rig.now),
            _ => self.flows.handle_connected(flow, self.rig.now),
        }
    }

    fn outside_acts(&mut self, dice: &mut Dice) {
        let seen: Vec<_> = self.flows_seen.values().copied().collect();
        if seen.is_empty() {
            return;
        }
        let (flow, to) = *dice.pick(&seen);
        match dice.below(6) {
            0 | 1 => self.receive(dice, flow, to),
            2 => {
                let length = dice.below(600);
                let sent = dice.bytes(length);
                let reporter = dice.once_in(2).then(|| dice.pick(&seen).1.ip());
                self.flows.handle_error(flow, to, complaint(dice), (reporter, &sent), self.rig.now);
            }
            3 if dice.once_in(16) => self.flows.drop_owner(*dice.pick(&self.owners)),
            3 if dice.once_in(8) => {
                let settings = settings(*dice.pick(&[576, 1_280, MTU]));
                self.flows.apply(settings, &mut NoHost, self.rig.now);
            }
            _ => {
                let far = self.hosts.far.entry(flow.index()).or_default();
                match dice.below(12) {
                    0 => far.ends = true,
                    1 => far.broken = true,
                    2 => far.stuck = !far.stuck,
                    _ => far.gives.extend(vec![7; dice.below(20_000)]),
                }
                self.flows.handle_ready(flow);
            }
        }
    }

    /// A datagram or an ICMP message comes from outside.
    fn receive(&mut self, dice: &mut Dice, flow: FlowId, from: SocketAddr) {
        let length = *dice.pick(&[0, 1, 7, 8, 9, 100, 1_372, 1_373, 1_400, 3_000, 65_507, 65_535]);
        let Self { rig: Rig { plane, outbox, ports, outside, now, .. }, owners, buffer, flows, .. } = self;
        buffer[DATAGRAM_AT] = *dice.pick(&[0, 129, 3]);
        let room = &mut buffer[..DATAGRAM_AT + length];
        let here = (&mut NoHost as &mut dyn HostAddresses, *now);
        flows.handle_received(flow, from, room, here, &mut |owner, packet| {
            judge(owners.iter().position(|other| *other == owner).unwrap(), packet);
            plane.handle_down(owner, packet, &mut Around { outbox, ports, beyond: outside }, *now);
        });
    }

    fn pass(&mut self, dice: &mut Dice) {
        let span = match dice.below(64) {
            0 => Duration::from_secs(3 * 3_600),
            1 => Duration::from_secs(300),
            2..=5 => Duration::from_secs(u64::from(dice.byte() / 3)),
            _ => Duration::from_millis(u64::from(dice.byte())),
        };
        self.rig.pass(span);
        if span > Duration::from_secs(20) {
            for at in 0..CLIENTS {
                self.rig.let_in(at);
            }
        }
    }

    fn turn(&mut self) {
        let Self { rig: Rig { plane, outbox, ports, outside, now, .. }, owners, flows, hosts, .. } = self;
        flows.turn(hosts, *now, &mut |owner, packet| {
            judge(owners.iter().position(|other| *other == owner).unwrap(), packet);
            plane.handle_down(owner, packet, &mut Around { outbox, ports, beyond: outside }, *now);
        });
        while let Some(closed) = self.flows.poll_closed() {
            self.hosts.far.remove(&closed.flow.index());
        }
        let lives = &mut self.lives;
        self.rig.drain(|at, packet| hear(lives, at, packet));
    }

    /// Whatever the outside still owes is settled, and the tunnels are fresh.
    fn settle(&mut self) {
        for flow in std::mem::take(&mut self.connecting) {
            self.flows.handle_connected(flow, self.rig.now);
        }
        self.flows.apply(settings(MTU), &mut NoHost, self.rig.now);
        self.turn();
        self.lives.clear();
        for at in 0..CLIENTS {
            self.rig.let_in(at);
        }
    }

    fn live(&mut self, ends: Ends) -> &mut Live {
        self.lives.iter_mut().find(|live| live.packets.ends == ends).unwrap()
    }

    /// A connection as it ought to go: bytes there and back, and an end.
    fn serve_honestly(&mut self, at: usize, v6: bool) {
        let ends = ends(at, 60_000, v6);
        let packets = Packets::new(ends);
        let flow = self.dial(at, packets, &packets.plain(SYN, &[])).unwrap();
        self.connecting.clear();
        self.flows.handle_connected(flow, self.rig.now);
        self.run_until(ends, |live, _| live.packets.expected != 0, flow);
        self.say(ends, ACK, b"");
        self.say(ends, ACK | 8, b"up and up");
        self.run_until(ends, |_, far| far.got == b"up and up", flow);
        self.hosts.far.get_mut(&flow.index()).unwrap().gives = vec![9; 5_000];
        self.flows.handle_ready(flow);
        self.run_until(ends, |live, _| live.received == [9; 5_000], flow);
        self.say(ends, ACK | FIN, b"");
        self.run_until(ends, |_, far| far.finished, flow);
    }

    fn say(&mut self, ends: Ends, flags: u8, payload: &[u8]) {
        let live = self.live(ends);
        let (at, packet) = (live.at, live.packets.plain(flags, payload));
        let length = u32::try_from(payload.len()).unwrap() + u32::from(flags & FIN);
        live.packets.next = live.packets.next.wrapping_add(length);
        self.send(at, &packet);
    }

    fn run_until(&mut self, ends: Ends, reached: impl Fn(&Live, &Far) -> bool, flow: FlowId) {
        for _ in 0..400 {
            self.turn();
            let (flow, live) = (self.hosts.far.get(&flow.index()), self.lives.iter().find(|l| l.packets.ends == ends));
            if flow.zip(live).is_some_and(|(far, live)| reached(live, far)) {
                return;
            }
            let expected = live.map_or(0, |live| live.packets.expected);
            if expected != 0 {
                self.say(ends, ACK, b"");
            }
            self.rig.pass(Duration::from_millis(20));
        }
        panic!(
            "an honest connection is not served: {ends:?}, {:?}, {:?}",
            self.flows.counters(),
            self.rig.plane.drops()
        );
    }
}

/// Notes what came down to a connection.
fn hear(lives: &mut [Live], at: usize, packet: &[u8]) {
    let view = Ip::new(packet).unwrap();
    if view.transport().protocol != protocol::TCP || view.transport().fragment {
        return;
    }
    let segment = Tcp::new(view.payload()).unwrap();
    let ends = Ends {
        peer: SocketAddr::new(view.destination(), segment.destination_port()),
        outside: SocketAddr::new(view.source(), segment.source_port()),
    };
    let Some(live) = lives.iter_mut().find(|live| live.at == at && live.packets.ends == ends) else { return };
    if segment.is_syn() {
        live.packets.expected = segment.sequence().wrapping_add(1);
    } else if segment.sequence() == live.packets.expected {
        live.packets.expected = live.packets.expected.wrapping_add(segment.sequence_len());
        live.received.extend_from_slice(segment.payload());
    }
}

fn complaint(dice: &mut Dice) -> Complaint {
    let mtu = dice.short();
    *dice.pick(&[
        Complaint::NoRoute,
        Complaint::HostUnreachable,
        Complaint::PortUnreachable,
        Complaint::Prohibited,
        Complaint::TooBig(mtu),
        Complaint::TimeExceeded,
    ])
}
