//! Questions for the resolver through a tunnel: opened, answered from memory, sealed.

use std::io;
use std::time::{Duration, Instant};

use culvert::domain::dns::Forwarder;
use culvert::engine::dataplane::around::{Around, Beyond, Parcel};
use culvert::engine::dns::{Asker, Bounds, Outcome, Resolver, Settings};
use culvert::engine::packet::{Offload, Owner};
use culvert::engine::wire::Ip;
use culvert::engine::wire::udp::{self, Udp};
use culvert::runtime::os::entropy;
use etherparse::PacketBuilder;

use crate::report::{Bar, Report};
use crate::rig::{self, Rig, address, endpoint};
use crate::road::{BATCH, BATCHES, WARM_UP};
use crate::stopwatch::Stopwatch;

/// Names that are remembered.
const NAMES: usize = 10_000;
/// What the resolver has to do at least, in thousand answers a second.
const BAR: Bar = 30.0..=f64::INFINITY;

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    let mut stopwatch = answers();
    let thousands = 1e-3 / stopwatch.seconds();
    let shown = format!("{thousands:.0} thousand a second");
    report.row("DNS answers from memory through a tunnel", &shown, thousands, &BAR, "at least 30 thousand")?;
    let allocations = stopwatch.allocations();
    let shown = format!("{allocations:.3}");
    report.row("DNS answers: allocations each", &shown, allocations, &crate::road::NONE, "0")
}

/// The resolver as the server's own port 53 has it.
struct Port {
    resolver: Resolver,
    now: Instant,
    memory: Vec<u8>,
    packets: Vec<u8>,
    lengths: Vec<(Owner, usize)>,
}

impl Beyond for Port {
    fn outward(&mut self, _owner: Owner, _packet: &mut [u8], _offload: Offload) {}

    fn elsewhere(&mut self, _worker: u8, _parcel: Parcel<'_>) -> bool {
        false
    }

    fn resolver(&mut self, owner: Owner, packet: &mut [u8], _offload: Offload) -> bool {
        let (Ok(ip), memory) = (Ip::new(&packet[..]), &mut self.memory) else { return false };
        let Ok(datagram) = Udp::new(ip.payload()) else { return false };
        let from = (ip.source(), datagram.source_port()).into();
        let to = (ip.destination(), datagram.destination_port()).into();
        let asker = Asker { server: 0, owner, from, to, stream: None };
        memory.clear();
        let outcome = self.resolver.handle_question(asker, datagram.payload(), memory, self.now);
        if outcome == Outcome::Answered {
            let at = self.packets.len();
            self.packets.resize(at + udp::headers_len(to) + memory.len(), 0);
            let length = udp::write_packet(&mut self.packets[at..], to, from, 64, memory);
            self.lengths.extend(length.map(|length| (owner, length)));
        }
        true
    }
}

fn answers() -> Stopwatch {
    let mut rig = Rig::new(1);
    let mut client = rig.let_in(0);
    let mut port = Port {
        resolver: filled(rig.now()),
        now: rig.now(),
        memory: Vec::new(),
        packets: Vec::new(),
        lengths: Vec::new(),
    };
    let mut stopwatch = Stopwatch::default();
    let mut asked = 0;
    for round in 0..WARM_UP + BATCHES {
        if round == WARM_UP {
            stopwatch = Stopwatch::default();
        }
        port.now = rig.now.pass(Duration::from_micros(500));
        let sealed: Vec<Vec<u8>> = (0..BATCH)
            .map(|_| {
                asked = (asked + 7_919) % NAMES;
                client.seal(&packet(&question(asked)))
            })
            .collect();
        let Rig { dataplane, outbox, now, .. } = &mut rig;
        stopwatch.time(|| {
            for datagram in &sealed {
                rig::with_ports(|ports| {
                    let mut around = Around { outbox, ports, beyond: &mut port };
                    dataplane.handle_datagram(endpoint(0), datagram, &mut around, now.0);
                });
            }
            let mut at = 0;
            for (owner, length) in port.lengths.drain(..) {
                rig::down(dataplane, owner, &mut port.packets[at..at + length], outbox, now.0);
                at += length;
            }
            port.packets.clear();
            BATCH
        });
        let sent = rig.sent();
        assert_eq!(sent.len(), BATCH, "every question is answered");
        if round == 0 {
            let answer = client.open(&sent[0]).expect("the client reads it");
            assert_eq!(answer[28 + 7], 1, "there is one record in it");
        }
    }
    stopwatch
}

/// A resolver that remembers every name.
fn filled(now: Instant) -> Resolver {
    let bounds = Bounds { entries: 2 * NAMES, bytes: 16 << 20 };
    let mut resolver = Resolver::new(bounds, || u32::from_ne_bytes(entropy::bytes()));
    let forwarders = vec![Forwarder::parse("192.0.2.53").expect("an address")];
    resolver.apply(Settings { enabled: true, forwarders, longest: 3_600 }, now);
    resolver.serve(0, vec!["10.64.0.0/16".parse().expect("a network")]);
    let asker = Asker {
        server: 0,
        owner: Owner(0),
        from: (address(0), 40_000).into(),
        to: ([10, 64, 0, 1], 53).into(),
        stream: None,
    };
    for name in 0..NAMES {
        resolver.handle_question(asker, &question(name), &mut Vec::new(), now);
        let ask = resolver.poll_ask().expect("the forwarder is asked");
        let mut reply = ask.message[..question(name).len()].to_vec();
        reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1]);
        resolver.handle_reply(ask.ticket, &reply, now);
        resolver.poll_answer().expect("the client is answered");
    }
    resolver
}

fn question(name: usize) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [format!("n{name:05}").as_str(), "example", "com"] {
        message.push(u8::try_from(label.len()).expect("it is short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn packet(question: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(0).octets(), [10, 64, 0, 1], 64).udp(40_000, 53);
    let mut packet = Vec::with_capacity(question.len() + 28);
    builder.write(&mut packet, question).expect("it fits");
    packet
}
