//! Packets through the data plane and the machine of flows: from the sealed datagram to the bytes outside, and back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use culvert::engine::dataplane::Dataplane;
use culvert::engine::dataplane::around::{Around, Beyond, Parcel};
use culvert::engine::flows::reach::HostAddresses;
use culvert::engine::flows::{DATAGRAM_AT, FlowId, Flows, Request};
use culvert::engine::outbox::Outbox;
use culvert::engine::packet::{Offload, Owner};

use crate::client::Client;
use crate::outside::{NoHost, World};
use crate::report::Report;
use crate::rig::{self, MTU, OUTSIDE, Rig, address, endpoint, packet};
use crate::road::{BATCH, BATCHES, WARM_UP, row};
use crate::stopwatch::Stopwatch;
use crate::stream::{PAYLOAD, Stream};

/// A small packet, in bytes.
const SMALL: usize = 64;

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    row(report, "up with flows, UDP", SMALL, Whole::new().datagrams_up())?;
    row(report, "down with flows, UDP", SMALL, Whole::new().datagrams_down())?;
    row(report, "up with flows, TCP", MTU, Whole::new().segments_up())?;
    row(report, "down with flows, TCP, with its acknowledgements", MTU, Whole::new().segments_down())
}

/// One client, its server, and the world behind.
struct Whole {
    rig: Rig,
    client: Client,
    world: World,
    stopwatch: Stopwatch,
}

impl Whole {
    fn new() -> Self {
        let mut rig = Rig::new(1);
        let client = rig.let_in(0);
        Self { rig, client, world: World::new(), stopwatch: Stopwatch::default() }
    }

    /// Runs batches and keeps what was measured after the first few.
    fn run(mut self, mut batch: impl FnMut(&mut Self)) -> Stopwatch {
        for round in 0..WARM_UP + BATCHES {
            if round == WARM_UP {
                self.stopwatch = Stopwatch::default();
            }
            let span = Duration::from_micros(500);
            self.rig.now.pass(span);
            self.world.now.pass(span);
            batch(&mut self);
        }
        self.stopwatch
    }

    fn datagrams_up(self) -> Stopwatch {
        let packet = packet(address(0), OUTSIDE, SMALL);
        self.run(|whole| {
            let sealed: Vec<Vec<u8>> = (0..BATCH).map(|_| whole.client.seal(&packet)).collect();
            let sent = whole.up(&sealed);
            assert_eq!(sent, BATCH, "every datagram goes out");
        })
    }

    fn datagrams_down(mut self) -> Stopwatch {
        let first = self.client.seal(&packet(address(0), OUTSIDE, SMALL));
        let flow = self.mapping(&first);
        let from = SocketAddr::from((OUTSIDE, 40_001));
        // as long as the payload of a packet of 64 bytes
        let mut buffer = vec![7; DATAGRAM_AT + SMALL - 28];
        self.run(move |whole| {
            let Self { rig: Rig { dataplane, outbox, now, .. }, world, stopwatch, .. } = whole;
            stopwatch.time(|| {
                for _ in 0..BATCH {
                    let here = (&mut NoHost as &mut dyn HostAddresses, now.0);
                    world.flows.handle_received(flow, from, &mut buffer, here, &mut |owner, packet| {
                        rig::down(dataplane, owner, packet, outbox, now.0);
                    });
                }
                BATCH
            });
            assert_eq!(whole.rig.sent().len(), BATCH, "every datagram comes down");
        })
    }

    fn segments_up(mut self) -> Stopwatch {
        let mut stream = self.connect();
        self.run(move |whole| {
            let sealed: Vec<Vec<u8>> = (0..BATCH).map(|_| whole.client.seal(&stream.full_segment())).collect();
            let taken = whole.world.hosts.taken;
            whole.up(&sealed);
            assert_eq!(whole.world.hosts.taken - taken, BATCH * PAYLOAD, "everything goes out");
            whole.read(&mut stream);
        })
    }

    fn segments_down(mut self) -> Stopwatch {
        let mut stream = self.connect();
        let flow = self.world.streams[0].1;
        self.run(move |whole| {
            let before = stream.segments;
            (whole.world.hosts.give, whole.world.hosts.to) = (BATCH * PAYLOAD, Some(flow));
            let Self { rig: Rig { dataplane, outbox, now, .. }, world, stopwatch, .. } = whole;
            stopwatch.part(|| {
                world.flows.handle_ready(flow);
                turn(world, dataplane, outbox, now.0);
            });
            loop {
                whole.read(&mut stream);
                let acks = stream.acks();
                if acks.is_empty() {
                    break;
                }
                let sealed: Vec<Vec<u8>> = acks.iter().map(|ack| whole.client.seal(ack)).collect();
                let Self { rig: Rig { dataplane, outbox, now, .. }, world, stopwatch, .. } = whole;
                stopwatch.part(|| carry_up(world, dataplane, outbox, &sealed, now.0));
            }
            whole.stopwatch.end_batch(stream.segments - before);
        })
    }

    /// Times a batch on its way up; says how many requests came of it.
    fn up(&mut self, sealed: &[Vec<u8>]) -> usize {
        let Self { rig: Rig { dataplane, outbox, now, .. }, world, stopwatch, .. } = self;
        let sent = stopwatch.part(|| carry_up(world, dataplane, outbox, sealed, now.0));
        stopwatch.end_batch(sealed.len());
        sent
    }

    /// Lets the client read what came down.
    fn read(&mut self, stream: &mut Stream) {
        for datagram in self.rig.sent() {
            if let Some(packet) = self.client.open(&datagram) {
                stream.take(&packet);
            }
        }
    }

    /// Opens a connection through the tunnel.
    fn connect(&mut self) -> Stream {
        let mut stream = Stream::new(SocketAddrV4::new(address(0), 1_024), OUTSIDE);
        let now = self.rig.now();
        let syn = self.client.seal(&stream.syn());
        let owner = self.rig.owner(0);
        let asked = asked_for(&mut self.world.flows, &mut self.rig, &syn);
        let Some(Asked::Connection(flow)) = asked else { panic!("a connection is asked for") };
        self.world.flows.handle_connected(flow, now);
        turn(&mut self.world, &mut self.rig.dataplane, &mut self.rig.outbox, now);
        self.read(&mut stream);
        let ack = self.client.seal(&stream.ack());
        carry_up(&mut self.world, &mut self.rig.dataplane, &mut self.rig.outbox, &[ack], now);
        let unused = Stream::new(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), OUTSIDE);
        self.world.streams.push((owner, flow, unused));
        stream
    }

    /// Opens a mapping by a first datagram.
    fn mapping(&mut self, sealed: &[u8]) -> FlowId {
        let asked = asked_for(&mut self.world.flows, &mut self.rig, sealed);
        let Some(Asked::Datagram(flow)) = asked else { panic!("a datagram is to be sent") };
        flow
    }
}

/// What a packet asked for.
#[derive(Clone, Copy)]
enum Asked {
    Connection(FlowId),
    Datagram(FlowId),
}

/// Takes packets to the flows.
struct Outside<'a> {
    flows: &'a mut Flows,
    now: std::time::Instant,
    requests: usize,
    asked: Option<Asked>,
}

impl Beyond for Outside<'_> {
    fn outward(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) {
        self.asked = match self.flows.handle_packet(owner, packet, &mut NoHost, self.now) {
            Request::Nothing => return,
            Request::Connect { flow, .. } => Some(Asked::Connection(flow)),
            Request::Datagram { flow, .. } => Some(Asked::Datagram(flow)),
            Request::Echo { .. } => None,
        };
        self.requests += 1;
    }

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        false
    }
}

/// What the packet in one datagram asks for.
fn asked_for(flows: &mut Flows, rig: &mut Rig, sealed: &[u8]) -> Option<Asked> {
    let now = rig.now();
    let mut outside = Outside { flows, now, requests: 0, asked: None };
    rig::with_ports(|ports| {
        let mut around = Around { outbox: &mut rig.outbox, ports, beyond: &mut outside };
        rig.dataplane.handle_datagram(endpoint(0), sealed, &mut around, now);
    });
    outside.asked
}

/// Sealed datagrams up to the hosts outside; says how many requests came of them.
fn carry_up(
    world: &mut World,
    dataplane: &mut Dataplane,
    outbox: &mut Outbox,
    sealed: &[Vec<u8>],
    now: std::time::Instant,
) -> usize {
    let mut outside = Outside { flows: &mut world.flows, now, requests: 0, asked: None };
    for datagram in sealed {
        rig::with_ports(|ports| {
            let mut around = Around { outbox, ports, beyond: &mut outside };
            dataplane.handle_datagram(endpoint(0), datagram, &mut around, now);
        });
    }
    let requests = outside.requests;
    turn(world, dataplane, outbox, now);
    requests
}

fn turn(world: &mut World, dataplane: &mut Dataplane, outbox: &mut Outbox, now: std::time::Instant) {
    let World { flows, hosts, .. } = world;
    flows.turn(hosts, now, &mut |owner: Owner, packet: &mut [u8]| rig::down(dataplane, owner, packet, outbox, now));
}
