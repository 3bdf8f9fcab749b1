//! The books that are kept while a story runs, and what is asked of them after each step.

use std::net::{IpAddr, SocketAddr};

use culvert::domain::rate::Mbps;
use culvert::engine::dataplane::Dataplane;
use culvert::engine::dataplane::flow::{State, Way};
use culvert::engine::packet::Owner;
use culvert::engine::wire::{FlowKey, protocol};

use crate::appliance::{At, waiting};
use crate::invariants::{
    bytes_over_any_window_stay_within_rate_and_burst, every_packet_has_exactly_one_end,
    tables_stay_within_their_limits, the_nat_gives_no_outside_tuple_to_two_inside_ones,
};
use crate::model::{CLIENTS, House, server_of};
use crate::packets::{Kind, Seen};
use crate::passes::Tally;
use crate::record::{Ends, Fill, Named, Passed};
use crate::world::World;

/// The longest packet that is put together from fragments, with some room.
const WHOLE: u64 = 3_200;
/// What may wait at one plane for a handshake or for fragments: 32 packets a peer, and 64 that are not whole.
const HELD: u64 = 32 * 3 + 64;

/// The books of a rate. What a bucket holds: two full packets, or a piece of 1 ms and what 2 ms more let through, and
/// never less than the one packet that is larger than all that.
fn book(rate: Mbps) -> Passed {
    let rate = u64::from(rate.get()) * 125_000;
    let piece = (rate / 1_000).clamp(1_500, 65_536);
    Passed { rate, burst: (piece + rate / 500).max(WHOLE), bytes: Vec::new() }
}

/// The number of a server's own book.
const fn of_server(slot: usize) -> usize {
    CLIENTS + slot
}

impl World {
    /// Begins all books anew.
    pub(crate) fn begin_records(&mut self) {
        self.tallies = self.appliance.planes().map(|(at, _)| (at, Tally::default())).collect();
        let house = self.house().clone();
        self.passed.clear();
        for (slot, server) in house.servers.iter().enumerate() {
            self.passed.insert((of_server(slot), true), book(server.limit_upload));
            self.passed.insert((of_server(slot), false), book(server.limit_download));
        }
        for (client, account) in &house.accounts {
            self.passed.insert((*client, true), book(account.b_upload));
            self.passed.insert((*client, false), book(account.b_download));
        }
    }

    /// Begins the books anew that other rates have; what was drawn before is forgiven, down to a full bucket.
    pub(crate) fn note_rates(&mut self, after: &House) {
        let before = self.house().clone();
        for (slot, server) in after.servers.iter().enumerate() {
            let old = &before.servers[slot];
            if (old.limit_upload, old.limit_download) != (server.limit_upload, server.limit_download) {
                self.passed.insert((of_server(slot), true), book(server.limit_upload));
                self.passed.insert((of_server(slot), false), book(server.limit_download));
            }
        }
        for (client, account) in &after.accounts {
            if before.accounts.get(client) != Some(account) {
                self.passed.insert((*client, true), book(account.b_upload));
                self.passed.insert((*client, false), book(account.b_download));
            }
        }
    }

    /// Notes what has gone of an account.
    pub(crate) fn note_bytes(&mut self, client: usize, is_up: bool, seen: &Seen) {
        // what cutting has added was not there when it was weighed
        let (header, more) = if seen.to.is_ipv4() { (20, 0) } else { (48, 8) };
        let added = match seen.kind {
            Kind::Piece(true) => more,
            Kind::Piece(false) => header,
            _ => 0,
        };
        let (at, bytes) = (self.clock.since_begin(), u64::try_from(seen.length - added).unwrap());
        for book in [client, of_server(server_of(client))] {
            if let Some(passed) = self.passed.get_mut(&(book, is_up)).filter(|passed| passed.rate > 0) {
                passed.bytes.push((at, bytes));
            }
        }
    }

    /// Asks all that is not asked packet by packet; `is_quiet` when nothing can be on its way any more.
    pub(crate) fn check(&mut self, is_quiet: bool) {
        for at in self.tallies.keys().copied().collect::<Vec<_>>() {
            let ends = self.ends(at, is_quiet);
            let verdict = every_packet_has_exactly_one_end(&ends);
            self.hold("every packet has exactly one end", verdict.map_err(|why| format!("{why} at {at:?}")));
            let fill = self.fill(at);
            self.hold("tables stay within their limits", tables_stay_within_their_limits(&fill));
        }
        let named = self.named();
        let verdict = the_nat_gives_no_outside_tuple_to_two_inside_ones(&named);
        self.hold("the NAT gives no outside tuple to two inside ones", verdict);
        for ((book, is_up), passed) in self.passed.clone() {
            let verdict = bytes_over_any_window_stay_within_rate_and_burst(&passed);
            let verdict = verdict.map_err(|why| format!("{why}: {book}, up: {is_up}"));
            self.hold("bytes over any window stay within rate and burst", verdict);
        }
    }

    fn ends(&self, at: At, is_quiet: bool) -> Ends {
        let (tally, plane) = (&self.tallies[&at], self.appliance.plane(at));
        let late = plane.late_drops().map_or(0, culvert::engine::dataplane::verdict::Drops::total);
        Ends {
            entered: tally.entered,
            made: tally.made,
            left: tally.left,
            pieces: tally.pieces,
            dropped: plane.drops().total() + late,
            waiting: waiting(plane),
            may_wait: if is_quiet { 0 } else { HELD },
        }
    }

    /// What the NAT has given away.
    fn named(&self) -> Vec<Named> {
        let mut named = Vec::new();
        for ((worker, slot), plane) in self.appliance.planes() {
            for (_, flow) in plane.flows().iter().filter(|(_, flow)| flow.way == Way::Out && flow.is_translated()) {
                if flow.has_mapping() {
                    let end = |to: SocketAddr| FlowKey {
                        protocol: flow.original().protocol,
                        source: nobody(to.ip()),
                        destination: to,
                    };
                    let (outside, inside) = (end(flow.reply().destination), end(flow.original().source));
                    named.push(Named { outside, inside: (slot, worker, flow.owner.0, inside) });
                }
            }
        }
        named
    }

    fn fill(&self, (worker, slot): At) -> Fill {
        let plane = self.appliance.plane((worker, slot));
        let table = plane.flows();
        let mut fill = vec![("flows", table.len() as u64, 1 << 18)];
        for owner in (0..3).map(Owner) {
            fill.push(("flows of one client", table.count_of(owner).into(), 8_192));
            fill.push(("ports of one client", table.mappings_of(owner).into(), 2_000));
            let [own, outside] = half_open(plane, owner);
            fill.push(("half open connections of one client", own, 256));
            fill.push(("half open connections to one client", outside, 128));
        }
        if slot == 0 {
            let ports = self.appliance.ports(worker);
            let size = ports.range().len() as u64;
            let addresses = self.house().servers.iter().map(|server| server.external_ip);
            for (address, number) in addresses.flat_map(|it| [(it, protocol::TCP), (it, protocol::UDP)]) {
                fill.push(("ports of one address", ports.held(number, address) as u64, size));
            }
        }
        Fill(fill)
    }
}

/// A mapping is the same for everyone outside.
fn nobody(beside: IpAddr) -> SocketAddr {
    match beside {
        IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    }
}

fn half_open(plane: &Dataplane, owner: Owner) -> [u64; 2] {
    let mut counts = [0; 2];
    for (_, flow) in plane.flows().of_owner(owner) {
        if flow.original().protocol == protocol::TCP && flow.state() == State::Opening {
            counts[usize::from(flow.way == Way::In)] += 1;
        }
    }
    counts
}
