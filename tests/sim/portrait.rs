//! Portraits of a box: of its tables, and of what it answers when it is asked anew.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use culvert::engine::wire::FlowKey;

use crate::model::{CLIENTS, addresses, server_of};
use crate::net::Weather;
use crate::packets::Said;
use crate::record::Portrait;
use crate::speech::{HOSTS, WEB, host};
use crate::world::World;

impl World {
    /// Every flow and every counter of the box.
    pub(crate) fn tables(&self) -> Portrait {
        let mut portrait = Portrait::default();
        for ((worker, slot), plane) in self.appliance.planes() {
            let mut note = |what: &str, is: String| portrait.0.insert(format!("{what} at {worker}, {slot}"), is);
            note("drops", format!("{:?} {:?}", plane.drops(), plane.late_drops()));
            note("traffic", format!("{:?} {:?}", plane.traffic(), plane.all_lanes()));
            note("rules", format!("{:?}", plane.rule_hits()));
            let flows = plane.flows().iter();
            let line = |flow: &culvert::engine::dataplane::flow::Flow| {
                format!("{:?} {:?} {:?} {:?}", flow.original(), flow.reply(), flow.way, flow.state())
            };
            let mut lines: Vec<String> = flows.map(|(_, flow)| line(flow)).collect();
            lines.sort();
            note("flows", lines.join("\n"));
            for client in (0..CLIENTS).filter(|client| server_of(*client) == slot) {
                let name = crate::model::name_of(client);
                note(&format!("account {client}"), format!("{:?}", plane.owner(&name).map(|owner| plane.lanes(owner))));
            }
        }
        portrait
    }

    /// What becomes of first packets between everybody and everything.
    pub(crate) fn manners(&mut self) -> Portrait {
        self.weather = Weather::CLEAR;
        let clients: Vec<usize> = (0..CLIENTS).filter(|client| self.house().is_enabled(*client)).collect();
        for client in &clients {
            self.clients[*client].is_gone = false;
            self.connect(*client);
            self.pass(Duration::from_millis(100));
        }
        let mut questions = Vec::new();
        for client in clients {
            for (to, said) in self.questions(client) {
                if let Some(own) = self.fresh_end(client, to.ip()) {
                    let key =
                        FlowKey { protocol: said.protocol(own.ip()), source: own, destination: with_id(to, own, said) };
                    questions.push((format!("client {client} to {to}: {said:?}"), self.begin(Some(client), key), said));
                }
            }
        }
        for (number, (door, said)) in (0_u16..).zip(self.doors()) {
            let from = SocketAddr::new(host(0, door.is_ipv6()), 6_000 + number);
            let key = FlowKey { protocol: said.protocol(from.ip()), source: from, destination: door };
            questions.push((format!("outside to {door}: {said:?}"), self.begin(None, key), said));
        }
        let mut portrait = Portrait::default();
        for (question, talk, said) in questions {
            self.say(talk, said, 1);
            self.pass(Duration::from_millis(100));
            portrait.0.insert(question, self.talks[talk].log.join(", "));
        }
        portrait
    }

    fn questions(&self, client: usize) -> Vec<(SocketAddr, Said)> {
        let udp = Said::Udp(20);
        let mut all = Vec::new();
        for is_v6 in [false, true] {
            all.push((SocketAddr::new(host(client % HOSTS, is_v6), 7), udp));
            all.push((SocketAddr::new(host(client % HOSTS, is_v6), WEB), udp));
            all.push((SocketAddr::new(host(1, is_v6), 0), Said::Ping(20)));
            let others = (0..CLIENTS).filter(|other| *other != client).map(|other| addresses(other, false));
            let inner = others.map(|(v4, v6)| if is_v6 { IpAddr::from(v6) } else { v4.into() });
            all.extend(inner.map(|to| (SocketAddr::new(to, 7), udp)));
        }
        all.extend(self.doors());
        all
    }

    /// Every forwarded port.
    fn doors(&self) -> Vec<(SocketAddr, Said)> {
        let house = self.house();
        let mut doors = Vec::new();
        for (slot, forwards) in house.forwards.iter().enumerate() {
            for outer in forwards.keys().filter(|outer| outer.protocol.word() == "udp") {
                doors.extend(
                    house.externals(slot).into_iter().map(|it| (SocketAddr::new(it, outer.port), Said::Udp(20))),
                );
            }
        }
        doors
    }
}

/// Of a ping both ends have its identifier.
pub(crate) fn with_id(to: SocketAddr, own: SocketAddr, said: Said) -> SocketAddr {
    if matches!(said, Said::Ping(_)) { SocketAddr::new(to.ip(), own.port()) } else { to }
}
