//! The machine of flows with hosts outside that take and give at once: the kernel is not what is measured.

use std::net::{IpAddr, SocketAddrV4};
use std::time::Duration;

use culvert::domain::nat::Filtering;
use culvert::engine::flows::reach::{HostAddresses, Reach};
use culvert::engine::flows::{FlowId, Flows, Limits, Moved, Outside, Request, Settings};
use culvert::engine::packet::Owner;
use culvert::runtime::os::clock;

use crate::rig::{MTU, OUTSIDE, address};
use crate::stopwatch::Now;
use crate::stream::Stream;

/// Connections from one inner address in [`World::open`].
const FLOWS_OF_OWNER: u32 = 10;

/// How time passes while nothing happens.
const STEP: Duration = Duration::from_millis(1);

/// No address is the host's own.
pub(crate) struct NoHost;

impl HostAddresses for NoHost {
    fn contains(&mut self, _: IpAddr) -> bool {
        false
    }
}

/// Hosts that take everything and give what they are told to.
#[derive(Default)]
pub(crate) struct Hosts {
    /// Bytes that were taken.
    pub(crate) taken: usize,
    /// Bytes that the next reads give.
    pub(crate) give: usize,
    /// The flow that they give it to.
    pub(crate) to: Option<FlowId>,
}

impl Outside for Hosts {
    fn write(&mut self, _: FlowId, bytes: &[u8]) -> Moved {
        self.taken += bytes.len();
        Moved::Bytes(bytes.len())
    }

    fn read(&mut self, flow: FlowId, room: &mut [u8]) -> Moved {
        let length = room.len().min(self.give);
        if length == 0 || self.to != Some(flow) {
            return Moved::Blocked;
        }
        room[..length].fill(7);
        self.give -= length;
        Moved::Bytes(length)
    }

    fn finish(&mut self, _: FlowId) {}
}

/// The machine, its hosts, and the peers' ends of its connections.
pub(crate) struct World {
    pub(crate) flows: Flows,
    pub(crate) hosts: Hosts,
    pub(crate) now: Now,
    pub(crate) streams: Vec<(Owner, FlowId, Stream)>,
}

impl World {
    /// A machine without flows.
    pub(crate) fn new() -> Self {
        let began = clock::now();
        let settings = Settings {
            mtu: u16::try_from(MTU).expect("it is small"),
            address: None,
            address_v6: None,
            limits: Limits { flows: 100_000, flows_of_owner: 100_000 },
            buffer_max: usize::MAX,
            reach: Reach::new(Vec::new()),
            filtering: Filtering::default(),
        };
        Self { flows: Flows::new(settings, 7, began), hosts: Hosts::default(), now: Now(began), streams: Vec::new() }
    }

    /// Opens connections until there are so many, ten from each peer.
    pub(crate) fn open(&mut self, count: u32) {
        let there = u32::try_from(self.streams.len()).expect("they are few");
        for at in there..count {
            let owner = at / FLOWS_OF_OWNER;
            let port = 1_024 + u16::try_from(at % FLOWS_OF_OWNER).expect("it is small");
            self.open_one(Owner(owner), Stream::new(SocketAddrV4::new(address(owner), port), OUTSIDE));
        }
    }

    fn open_one(&mut self, owner: Owner, mut stream: Stream) {
        let now = self.now.pass(Duration::from_micros(100));
        let syn = stream.syn();
        let Request::Connect { flow, .. } = self.flows.handle_packet(owner, &syn, &mut NoHost, now) else {
            panic!("a connection is asked for")
        };
        self.flows.handle_connected(flow, now);
        self.flows.turn(&mut self.hosts, now, &mut |_, packet| stream.take(packet));
        self.flows.handle_packet(owner, &stream.ack(), &mut NoHost, now);
        self.flows.turn(&mut self.hosts, now, &mut |_, packet| stream.take(packet));
        self.streams.push((owner, flow, stream));
    }

    /// Moves at least so many bytes over a connection each way.
    pub(crate) fn exchange(&mut self, at: usize, up: usize, down: usize) {
        let Self { flows, hosts, now, streams } = self;
        let (owner, flow, stream) = &mut streams[at];
        let (taken, wanted) = (hosts.taken + up, stream.received + down);
        (hosts.give, hosts.to) = (down, Some(*flow));
        while hosts.taken < taken || stream.received < wanted {
            let now = now.pass(Duration::from_micros(100));
            if hosts.taken < taken {
                flows.handle_packet(*owner, &stream.full_segment(), &mut NoHost, now);
            }
            flows.handle_ready(*flow);
            flows.turn(hosts, now, &mut |_, packet| stream.take(packet));
            flows.handle_packet(*owner, &stream.ack(), &mut NoHost, now);
            flows.turn(hosts, now, &mut |_, packet| stream.take(packet));
        }
        flows.handle_packet(*owner, &stream.ack(), &mut NoHost, now.pass(Duration::from_micros(100)));
        flows.turn(hosts, now.0, &mut |_, packet| stream.take(packet));
    }

    /// Lets so much time pass and the machine do what comes due.
    pub(crate) fn rest(&mut self, span: Duration) {
        let end = self.now.0 + span;
        while self.now.0 < end {
            let now = self.now.pass(STEP);
            self.flows.turn(&mut self.hosts, now, &mut |_, _| {});
        }
    }
}
