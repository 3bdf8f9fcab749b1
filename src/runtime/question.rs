//! What the workers are asked about traffic. Each knows a part of it; the parts are joined here.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot::{self, Sender};

use super::Runtime;
use super::dns::{self, Dns};
use super::room::Room;
use super::worker::Command;
use crate::domain::dns::DnsFigures;
use crate::domain::figures::{AccountTraffic, Connection, Counter, LaneFigures, ServerFigures, ServerTraffic};
use crate::domain::name::{AccountName, ServerName};
use crate::domain::rate::Mbps;
use crate::engine::dataplane::Dataplane;
use crate::engine::dataplane::flow::{Flow, Side, Way};
use crate::engine::dataplane::traffic::Sum;
use crate::engine::dataplane::verdict::DropReason;
use crate::engine::packet::Owner;

/// A question, with where the answer goes.
#[derive(Debug)]
pub(super) enum Question {
    /// What a server's clients have done.
    Server(ServerName, Sender<ServerTraffic>),
    /// What an account's client has done.
    Account(AccountName, Sender<AccountTraffic>),
    /// What every server has done and is doing.
    Servers(Sender<BTreeMap<ServerName, ServerFigures>>),
    /// Which flows of an account are open.
    Connections(AccountName, Sender<Vec<Connection>>),
    /// How often each firewall rule has decided, in the rules' order.
    Rules(Sender<Vec<Counter>>),
    /// What the resolver knows and has done.
    Dns(Sender<DnsFigures>),
}

impl Question {
    /// Answers from what the rooms of one worker know. That nobody waits for the answer any more loses nothing.
    pub(super) fn answer<'a>(self, rooms: impl Iterator<Item = &'a Room>, dns: &Dns, now: Instant) {
        if let Self::Dns(answer) = self {
            let servers = rooms.map(|room| (room.slot(), room.plane().server().as_ref()));
            let _ = answer.send(dns::figures(dns, servers));
            return;
        }
        let mut planes = rooms.map(Room::plane);
        match self {
            Self::Server(name, answer) => {
                let plane = planes.find(|plane| plane.server().name == name);
                let _ = answer.send(plane.map(|plane| server(plane, now)).unwrap_or_default());
            }
            Self::Servers(answer) => {
                let _ = answer.send(planes.map(|plane| (plane.server().name.clone(), figures(plane, now))).collect());
            }
            Self::Account(name, answer) => {
                let found = planes.find_map(|plane| Some((plane, plane.owner(&name)?)));
                let _ = answer.send(found.map(|(plane, owner)| account(plane, owner, &name, now)).unwrap_or_default());
            }
            Self::Connections(name, answer) => {
                let found = planes.find_map(|plane| Some((plane, plane.owner(&name)?)));
                let _ = answer.send(found.map(|(plane, owner)| connections(plane, owner, now)).unwrap_or_default());
            }
            Self::Dns(_) => {}
            Self::Rules(answer) => {
                let mut all = Vec::new();
                for plane in planes {
                    let hits = plane.rule_hits();
                    all.resize(all.len().max(hits.len()), Counter::default());
                    for (rule, hits) in all.iter_mut().zip(hits) {
                        *rule += Counter { packets: hits.packets, bytes: hits.bytes };
                    }
                }
                let _ = answer.send(all);
            }
        }
    }
}

fn server(plane: &Dataplane, now: Instant) -> ServerTraffic {
    let traffic = plane.traffic();
    let counter = |sum: Sum| Counter { packets: sum.packets, bytes: sum.bytes };
    let [mut up, mut down] = plane.all_lanes().unwrap_or_default();
    // what no rate holds passes the shaper uncounted
    let all = plane.figures(now);
    up.sent_bytes = all.iter().map(|figures| figures.received).sum();
    up.sent_packets = all.iter().map(|figures| figures.received_packets).sum();
    down.sent_bytes = all.iter().map(|figures| figures.sent).sum();
    down.sent_packets = all.iter().map(|figures| figures.sent_packets).sum();
    ServerTraffic {
        nat: counter(traffic.translated),
        nat6: counter(traffic.translated_v6),
        internal: counter(traffic.internal),
        internal_dropped: counter(traffic.internal_refused),
        lanes: [down, up],
    }
}

fn figures(plane: &Dataplane, now: Instant) -> ServerFigures {
    let counted = |reason: DropReason| {
        let late = plane.late_drops().map_or(0, |drops| drops.of(reason));
        (reason.label(), plane.drops().of(reason) + late)
    };
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    ServerFigures {
        traffic: server(plane, now),
        handshakes: plane.traffic().handshakes,
        flows: wide(plane.flows().len()),
        mappings: wide(plane.flows().mappings()),
        drops: DropReason::ALL.into_iter().map(counted).filter(|(_, count)| *count > 0).collect(),
    }
}

fn account(plane: &Dataplane, owner: Owner, name: &AccountName, now: Instant) -> AccountTraffic {
    let (up, down) = plane.account_figures(name, now).map_or_else(Default::default, |figures| {
        let up = Counter { packets: figures.received_packets, bytes: figures.received };
        (up, Counter { packets: figures.sent_packets, bytes: figures.sent })
    });
    let [of_up, of_down] = plane.lanes(owner).unwrap_or_default();
    // what no rate holds passes the shaper uncounted
    let lane = |lane: LaneFigures, passed: Counter| {
        if lane.rate == Mbps::UNLIMITED {
            LaneFigures { sent_bytes: passed.bytes, sent_packets: passed.packets, ..lane }
        } else {
            lane
        }
    };
    AccountTraffic { up, down, lanes: [lane(of_down, down), lane(of_up, up)] }
}

/// The flows that exist by an account, and those of others that lead to it.
fn connections(plane: &Dataplane, owner: Owner, now: Instant) -> Vec<Connection> {
    let flows = plane.flows();
    let to_it = flows.iter().filter(|(_, flow)| flow.way == Way::Across(owner));
    let counter = |flow: &Flow, side| {
        let counted = flow.counter(side);
        Counter { packets: counted.packets, bytes: counted.bytes }
    };
    let all = flows.of_owner(owner).chain(to_it);
    all.map(|(_, flow)| Connection {
        protocol: flow.original().protocol,
        source: flow.original().source,
        destination: flow.original().destination,
        reply_source: flow.reply().source,
        reply_destination: flow.reply().destination,
        state: flow.state().name(),
        age: now.saturating_duration_since(flow.opened),
        up: counter(flow, Side::Original),
        down: counter(flow, Side::Reply),
    })
    .collect()
}

impl Runtime {
    /// What a server's clients have done since it began to run.
    pub async fn server_traffic(&self, server: &ServerName) -> ServerTraffic {
        let mut all = ServerTraffic::default();
        for part in self.parts(|answer| Question::Server(server.clone(), answer)).await {
            all += part;
        }
        all
    }

    /// What every server has done since it began to run, and what it is doing.
    pub async fn server_figures(&self) -> BTreeMap<ServerName, ServerFigures> {
        let mut all: BTreeMap<ServerName, ServerFigures> = BTreeMap::new();
        for part in self.parts(Question::Servers).await {
            for (server, figures) in part {
                *all.entry(server).or_default() += figures;
            }
        }
        all
    }

    /// What an account's client has done since its tunnel began.
    pub async fn account_traffic(&self, account: &AccountName) -> AccountTraffic {
        let mut all = AccountTraffic::default();
        for part in self.parts(|answer| Question::Account(account.clone(), answer)).await {
            all += part;
        }
        all
    }

    /// The flows of an account that are open now.
    pub async fn connections(&self, account: &AccountName) -> Vec<Connection> {
        self.parts(|answer| Question::Connections(account.clone(), answer)).await.concat()
    }

    /// How often each firewall rule has decided, in the rules' order. A rule that no worker knows yet is missing.
    pub async fn rule_counters(&self) -> Vec<Counter> {
        let mut all = Vec::new();
        for part in self.parts(Question::Rules).await {
            all.resize(all.len().max(part.len()), Counter::default());
            for (rule, of_part) in all.iter_mut().zip(part) {
                *rule += of_part;
            }
        }
        all
    }

    /// What the resolver knows and has done.
    pub async fn dns_figures(&self) -> DnsFigures {
        let mut all = DnsFigures::default();
        for part in self.parts(Question::Dns).await {
            all += part;
        }
        all
    }

    /// Each worker's answer. All are asked before the first is waited for; one that has ended knows nothing.
    async fn parts<T: Default>(&self, question: impl Fn(Sender<T>) -> Question) -> Vec<T> {
        let ask = |worker: &super::Worker| {
            let (answer, answered) = oneshot::channel();
            worker.tell(Command::Ask(question(answer)));
            answered
        };
        let asked: Vec<_> = self.workers.iter().map(ask).collect();
        let mut parts = Vec::with_capacity(asked.len());
        for answered in asked {
            parts.push(answered.await.unwrap_or_default());
        }
        parts
    }
}
