//! One step of a story: what it is, and how it is done. Each has dice of its own, so that a story without one of its
//! steps goes on as before.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use culvert::domain::account::Account;
use culvert::domain::firewall::{Action, Chain, FilterRule, Firewall, RuleProtocol};
use culvert::domain::name::RuleName;
use culvert::domain::port_forward::{OuterPort, PortForward};
use culvert::domain::rate::Mbps;
use culvert::domain::server::Server;
use culvert::engine::wire::icmp::Complaint;
use culvert::engine::wire::{FlowKey, protocol};

use crate::dice::Dice;
use crate::model::{CLIENTS, House, SERVERS, addresses, name_of, server_of, transport};
use crate::net::Weather;
use crate::packets::{Said, Seen, complain};
use crate::portrait::with_id;
use crate::speech::{BREAKING, CLOSED, DEAF, ECHO, HOSTS, REFUSING, SILENT, WEB, host};
use crate::world::World;

/// Whom a client calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// A host outside.
    Host(usize),
    /// Another client at its inner address, of whichever server.
    Client(usize),
    /// Whoever is behind this port of the client's own external address.
    Door(u16),
    /// The server itself.
    Server,
    /// An address of the clients' network that nobody has.
    Nobody,
}

/// How it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Udp(u16),
    Tcp(u16),
    Ping,
}

impl How {
    fn port(self) -> u16 {
        match self {
            Self::Udp(port) | Self::Tcp(port) => port,
            Self::Ping => 0,
        }
    }

    fn number(self, beside: IpAddr) -> u8 {
        match self {
            Self::Udp(_) => protocol::UDP,
            Self::Tcp(_) => protocol::TCP,
            Self::Ping => Said::Ping(0).protocol(beside),
        }
    }
}

/// What is done to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Enable(bool),
    /// Rates in Mbit/s, down and up.
    Rate(u16, u16),
    Remove,
    Add,
    /// It gets its other pair of addresses.
    Move,
}

/// What is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    Internal(usize),
    InternalEverywhere,
    IpForward,
    DisableNat(usize),
    Ipv6(usize),
    Policy(Chain),
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A client calls: with how many bytes, how many times at once, and over IPv6 or not.
    Call {
        client: usize,
        whom: Whom,
        how: How,
        load: usize,
        times: usize,
        is_v6: bool,
    },
    /// A caller says something more.
    Again {
        talk: usize,
        load: usize,
        times: usize,
    },
    /// A host answers once more what it has heard last.
    Late {
        talk: usize,
    },
    /// A caller ends his connection, politely or not.
    End {
        talk: usize,
        is_polite: bool,
    },
    /// Somebody outside sends to an external port, or to the name that a client's talk has there.
    Stranger {
        host: usize,
        port: u16,
        talk: Option<usize>,
        is_tcp: bool,
        is_v6: bool,
    },
    /// A rule is put first.
    Rule {
        action: Action,
        chain: Chain,
        kind: RuleProtocol,
        client: Option<usize>,
        port: u16,
    },
    /// The rule at this place goes.
    Unrule(usize),
    Switch(Switch),
    /// A port is forwarded to a client's port, or no longer.
    Forward {
        client: usize,
        port: u16,
        to_port: u16,
        is_tcp: bool,
    },
    Account {
        client: usize,
        deed: Deed,
    },
    /// A server's limits in Mbit/s, down and up.
    Limit {
        slot: usize,
        down: u16,
        up: u16,
    },
    /// A host, or a router on the way, complains of what a caller has said last.
    Complain {
        talk: usize,
        is_router: bool,
    },
    Roam(usize),
    /// A client sends as another.
    Forge {
        client: usize,
        other: usize,
    },
    /// A client cannot be reached from now on, or can be again; after so long.
    Vanish(usize, Duration),
    Connect(usize),
    Restart,
    /// All that ought to run is applied once more.
    Twice,
    Weather(Weather),
    Pass(Duration),
    /// A client opens so many flows at once.
    Flood {
        client: usize,
        times: usize,
        is_tcp: bool,
    },
}

/// A step with its dice's seed.
pub(crate) type Seeded = (u64, Step);

/// Draws a step.
pub(crate) fn draw(dice: &mut Dice) -> Step {
    let client = dice.below(CLIENTS);
    match dice.below(100) {
        0..=29 => draw_call(dice, client),
        30..=41 => Step::Again { talk: draw_talk(dice), load: draw_load(dice), times: dice.pick(&[1, 1, 1, 4]) },
        42..=43 => Step::Late { talk: draw_talk(dice) },
        44..=46 => Step::End { talk: draw_talk(dice), is_polite: dice.once_in(2) },
        47..=52 => Step::Stranger {
            host: dice.below(HOSTS),
            port: draw_door(dice),
            talk: dice.once_in(2).then(|| draw_talk(dice)),
            is_tcp: dice.once_in(3),
            is_v6: dice.once_in(4),
        },
        53..=56 => Step::Rule {
            action: dice.pick(&[Action::Drop, Action::Accept]),
            chain: dice.pick(&[Chain::Input, Chain::Forward, Chain::Forward, Chain::Forward, Chain::Output]),
            kind: dice.pick(&[RuleProtocol::Any, RuleProtocol::Tcp, RuleProtocol::Udp, RuleProtocol::Icmp]),
            client: dice.once_in(2).then_some(client),
            port: dice.pick(&[0, 0, 7, WEB]),
        },
        57..=58 => Step::Unrule(dice.below(3)),
        59..=66 => Step::Switch(draw_switch(dice)),
        67..=73 => Step::Forward {
            client,
            port: draw_door(dice),
            to_port: dice.pick(&[7, WEB, 2_001, 20_001]),
            is_tcp: dice.once_in(2),
        },
        74..=81 => Step::Account { client, deed: draw_deed(dice) },
        82..=83 => Step::Limit { slot: dice.below(SERVERS), down: dice.pick(&[0, 1, 5]), up: dice.pick(&[0, 1, 5]) },
        84 => Step::Roam(client),
        // three minutes are the end of a session
        85 => Step::Vanish(client, Duration::from_secs(dice.pick(&[0, 181]))),
        86..=87 => Step::Complain { talk: draw_talk(dice), is_router: dice.once_in(2) },
        88 if dice.once_in(2) => Step::Forge { client, other: dice.below(CLIENTS) },
        88 => Step::Connect(client),
        89 => Step::Restart,
        90..=91 => Step::Twice,
        92..=93 => Step::Weather(draw_weather(dice)),
        94 if dice.once_in(4) => Step::Flood { client, times: dice.pick(&[300, 1_100]), is_tcp: dice.once_in(2) },
        _ => Step::Pass(draw_span(dice)),
    }
}

/// A talk, counted from the last: rather a fresh one.
fn draw_talk(dice: &mut Dice) -> usize {
    if dice.once_in(2) { dice.below(3) } else { dice.below(64) }
}

fn draw_call(dice: &mut Dice, client: usize) -> Step {
    let whom = match dice.below(10) {
        0..=4 => Whom::Host(dice.below(HOSTS)),
        // nobody's system asks itself by the tunnel
        5..=6 => Whom::Client((client + 1 + dice.below(CLIENTS - 1)) % CLIENTS),
        7 => Whom::Door(draw_door(dice)),
        8 => Whom::Server,
        _ => dice.pick(&[Whom::Nobody, Whom::Host(0), Whom::Door(8_080)]),
    };
    let how = match dice.below(10) {
        0..=4 => How::Udp(dice.pick(&[ECHO[0], ECHO[0], ECHO[1], SILENT, CLOSED])),
        5..=7 => How::Tcp(dice.pick(&[WEB, WEB, WEB, REFUSING, DEAF, BREAKING])),
        _ => How::Ping,
    };
    Step::Call {
        client,
        whom,
        how,
        load: draw_load(dice),
        times: dice.pick(&[1, 1, 1, 1, 1, 3, 3, 30, 80]),
        is_v6: dice.once_in(3),
    }
}

/// A port that may be forwarded: in both slices of the NAT's range, and below.
fn draw_door(dice: &mut Dice) -> u16 {
    dice.pick(&[8_080, 20_001, 20_001, 45_001, 45_001, 45_002])
}

fn draw_load(dice: &mut Dice) -> usize {
    dice.pick(&[8, 64, 64, 1_200, 1_200, 3_000])
}

fn draw_weather(dice: &mut Dice) -> Weather {
    let rough = Weather { loss: dice.pick(&[0, 5, 20]), doubled: dice.pick(&[0, 10]), jitter: dice.pick(&[0, 40]) };
    dice.pick(&[Weather::CLEAR, rough, rough])
}

fn draw_span(dice: &mut Dice) -> Duration {
    let millis = match dice.below(20) {
        0 => 8_000_000,
        1 => dice.pick(&[298_000, 303_000]),
        2 => dice.pick(&[58_000, 64_000, 29_000, 33_000]),
        3 => dice.pick(&[119_000, 181_000]),
        4..=7 => dice.below(20_000),
        _ => dice.below(600),
    };
    Duration::from_millis(u64::try_from(millis).unwrap())
}

fn draw_switch(dice: &mut Dice) -> Switch {
    let slot = dice.below(SERVERS);
    match dice.below(10) {
        0..=2 => Switch::Internal(slot),
        3 => Switch::InternalEverywhere,
        4..=5 => Switch::IpForward,
        6..=7 => Switch::DisableNat(slot),
        8 => Switch::Ipv6(slot),
        _ => Switch::Policy(dice.pick(&[Chain::Input, Chain::Forward, Chain::Output])),
    }
}

fn draw_deed(dice: &mut Dice) -> Deed {
    match dice.below(12) {
        0..=1 => Deed::Enable(false),
        2..=4 => Deed::Enable(true),
        5..=7 => Deed::Rate(dice.pick(&[0, 1, 2, 10]), dice.pick(&[0, 1, 2, 10])),
        8 => Deed::Remove,
        9..=10 => Deed::Add,
        _ => Deed::Move,
    }
}

impl World {
    /// Does a step, and lets happen what follows at once.
    pub(crate) fn step(&mut self, (seed, step): &Seeded) {
        self.dice = Dice::new(*seed);
        match step {
            Step::Call { client, whom, how, load, times, is_v6 } => {
                self.call(*client, *whom, *how, (*load, *times), *is_v6);
            }
            Step::Again { talk, load, times } => self.again(*talk, *load, *times),
            Step::Late { talk } => self.answer_late(*talk),
            Step::End { talk, is_polite } => self.end(*talk, *is_polite),
            Step::Stranger { host, port, talk, is_tcp, is_v6 } => self.stranger(*host, *port, *talk, (*is_tcp, *is_v6)),
            Step::Complain { talk, is_router } => self.complain(*talk, *is_router),
            Step::Forge { client, other } => self.forge(*client, *other),
            Step::Roam(client) => self.clients[*client].roam(),
            Step::Vanish(client, span) => {
                self.clients[*client].is_gone ^= true;
                self.pass(*span);
            }
            Step::Connect(client) => self.connect(*client),
            Step::Restart => self.restart(),
            Step::Twice => self.twice(),
            Step::Weather(weather) => self.weather = *weather,
            Step::Pass(span) => self.pass(*span),
            Step::Flood { client, times, is_tcp } => self.flood(*client, *times, *is_tcp),
            _ => {
                let mut house = self.house().clone();
                change(&mut house, step);
                self.intend(house);
            }
        }
        // long enough for there and back, too short for what waits for a rate or a handshake
        self.pass(Duration::from_millis(150));
    }

    fn call(&mut self, client: usize, whom: Whom, how: How, (load, times): (usize, usize), is_v6: bool) {
        let slot = server_of(client);
        let server = Arc::clone(&self.house().servers[slot]);
        let inner = |(v4, v6): (_, _)| if is_v6 { IpAddr::V6(v6) } else { IpAddr::V4(v4) };
        let mut port = how.port();
        let to = match whom {
            Whom::Host(number) => host(number, is_v6),
            Whom::Client(other) => {
                let wish = inner(addresses(other, false));
                self.house().address_beside(other, wish).unwrap_or(wish)
            }
            Whom::Door(door) => {
                port = door;
                server.external_ip
            }
            Whom::Server if is_v6 => server.address_ipv6.addr().into(),
            Whom::Server => server.address.addr().into(),
            Whom::Nobody => inner(addresses(client + 40 * SERVERS, false)),
        };
        let Some(own) = self.fresh_end(client, to) else { return };
        let said = match how {
            How::Ping => Said::Ping(load),
            How::Udp(_) | How::Tcp(_) => Said::Udp(load),
        };
        let to = with_id(SocketAddr::new(to, port), own, said);
        let key = FlowKey { protocol: how.number(own.ip()), source: own, destination: to };
        let talk = self.begin(Some(client), key);
        let first = self.talks[talk].say(load);
        let times = if matches!(how, How::Tcp(_)) { 1 } else { times };
        self.say(talk, first, times);
    }

    fn talk_at(&self, number: usize) -> Option<usize> {
        let count = self.talks.len();
        (count > 0).then(|| count - 1 - number % count)
    }

    fn again(&mut self, number: usize, load: usize, times: usize) {
        let Some(talk) = self.talk_at(number) else { return };
        if self.talks[talk].is_over {
            return;
        }
        let load = if self.talks[talk].key.protocol == protocol::TCP { load.min(1_200) } else { load };
        let said = self.talks[talk].say(load);
        self.say(talk, said, times);
    }

    fn answer_late(&mut self, number: usize) {
        if let Some(talk) = self.talk_at(number)
            && let Some(heard) = self.talks[talk].heard.clone()
        {
            self.hear(None, &heard);
        }
    }

    fn end(&mut self, number: usize, is_polite: bool) {
        let Some(talk) = self.talk_at(number) else { return };
        if let Some(said) = self.talks[talk].end(is_polite) {
            self.say(talk, said, 1);
        }
    }

    fn stranger(&mut self, number: usize, port: u16, talk: Option<usize>, (is_tcp, is_v6): (bool, bool)) {
        let external = talk.and_then(|talk| self.talk_at(talk)).and_then(|talk| self.talks[talk].external);
        let outer = self.house().externals(number % SERVERS).into_iter().find(|address| address.is_ipv6() == is_v6);
        let number_of = if is_tcp { protocol::TCP } else { protocol::UDP };
        let doors: Vec<_> =
            crate::appliance::doors(self.house()).into_iter().filter(|(it, _)| *it == number_of).collect();
        let is_known = !doors.is_empty() && !self.dice.once_in(4);
        let door = if is_known { Some(self.dice.pick(&doors).1) } else { None };
        let any = door.or_else(|| outer.map(|address| SocketAddr::new(address, port)));
        let Some(to) = external.or(any) else { return };
        let count = u16::try_from(self.talks.len()).unwrap();
        let from = SocketAddr::new(host(number, to.is_ipv6()), 5_000 + count);
        let how = if is_tcp { protocol::TCP } else { protocol::UDP };
        let talk = self.begin(None, FlowKey { protocol: how, source: from, destination: to });
        let said = self.talks[talk].say(64);
        self.say(talk, said, 1);
    }

    fn complain(&mut self, number: usize, is_router: bool) {
        let Some(talk) = self.talk_at(number) else { return };
        let Some(about) = self.talks[talk].heard.clone() else { return };
        let seen = Seen::of(&about);
        let router = host(HOSTS, seen.to.is_ipv6());
        let of_routers = [Complaint::TimeExceeded, Complaint::TooBig(1_280), Complaint::NoRoute];
        let (from, complaint) =
            if is_router { (router, self.dice.pick(&of_routers)) } else { (seen.to.ip(), Complaint::PortUnreachable) };
        if let Some(packet) = complain(from, complaint, &about) {
            self.enter(&packet);
        }
    }

    fn forge(&mut self, client: usize, other: usize) {
        let source = SocketAddr::new(addresses(other, false).0.into(), 7_777);
        let key = FlowKey { protocol: protocol::UDP, source, destination: SocketAddr::new(host(0, false), ECHO[0]) };
        let talk = self.begin(Some(client), key);
        self.say(talk, Said::Udp(64), 1);
    }

    fn flood(&mut self, client: usize, times: usize, is_tcp: bool) {
        let how = if is_tcp { How::Tcp(DEAF) } else { How::Udp(SILENT) };
        for _ in 0..times {
            self.call(client, Whom::Host(0), how, (8, 1), false);
        }
    }

    fn twice(&mut self) {
        let once = self.tables();
        self.conform(true);
        let twice = self.tables();
        let verdict = crate::invariants::the_same_changes_twice_are_as_good_as_once(&once, &twice);
        self.hold("the same changes twice are as good as once", verdict);
    }
}

/// What a step changes of what ought to run.
fn change(house: &mut House, step: &Step) {
    match step {
        Step::Rule { action, chain, kind, client, port } => {
            let mut firewall = Firewall::clone(&house.firewall);
            let net = client.map_or("0.0.0.0/0".to_owned(), |client| format!("{}/32", addresses(client, false).0));
            let port = if *kind == RuleProtocol::Icmp { 0 } else { *port };
            let number = 1 + firewall
                .rules
                .iter()
                .filter_map(|rule| rule.name.as_str()[5..].parse::<u32>().ok())
                .max()
                .unwrap_or(0);
            firewall.rules.insert(
                0,
                FilterRule {
                    name: RuleName::parse(&format!("rule_{number}")).unwrap(),
                    action: *action,
                    chain: *chain,
                    protocol: *kind,
                    source: net.parse().unwrap(),
                    source_port: 0,
                    destination: "0.0.0.0/0".parse().unwrap(),
                    destination_port: port,
                },
            );
            house.firewall = Arc::new(firewall);
        }
        Step::Unrule(place) => {
            let mut firewall = Firewall::clone(&house.firewall);
            if *place < firewall.rules.len() {
                firewall.rules.remove(*place);
            }
            house.firewall = Arc::new(firewall);
        }
        Step::Switch(switch) => turn(house, *switch),
        Step::Forward { client, port, to_port, is_tcp } => forward(house, *client, (*port, *to_port), *is_tcp),
        Step::Account { client, deed } => treat(house, *client, *deed),
        Step::Limit { slot, down, up } => {
            let server = Server::clone(&house.servers[*slot]);
            let rate = |megabits: u16| Mbps::new(megabits).unwrap();
            let limited = Server { limit_download: rate(*down), limit_upload: rate(*up), ..server };
            house.servers[*slot] = Arc::new(limited);
        }
        _ => {}
    }
}

fn turn(house: &mut House, switch: Switch) {
    let mut firewall = Firewall::clone(&house.firewall);
    let other = |action: Action| if action == Action::Accept { Action::Drop } else { Action::Accept };
    let settings = &mut firewall.settings;
    match switch {
        Switch::InternalEverywhere => settings.internal_traffic = !settings.internal_traffic,
        Switch::IpForward => settings.ip_forward = !settings.ip_forward,
        Switch::Policy(Chain::Input) => settings.policy_input = other(settings.policy_input),
        Switch::Policy(Chain::Forward) => settings.policy_forward = other(settings.policy_forward),
        Switch::Policy(Chain::Output) => settings.policy_output = other(settings.policy_output),
        Switch::Internal(slot) | Switch::DisableNat(slot) | Switch::Ipv6(slot) => {
            let mut server = Server::clone(&house.servers[slot]);
            match switch {
                Switch::Internal(_) => server.internal_traffic = !server.internal_traffic,
                Switch::Ipv6(_) => server.ipv6 = !server.ipv6,
                _ => server.disable_nat = !server.disable_nat,
            }
            house.servers[slot] = Arc::new(server);
        }
    }
    house.firewall = Arc::new(firewall);
}

fn forward(house: &mut House, client: usize, (port, to_port): (u16, u16), is_tcp: bool) {
    let number = if is_tcp { protocol::TCP } else { protocol::UDP };
    let outer = OuterPort { port, protocol: transport(number).unwrap() };
    let slot = server_of(client);
    // a port is taken where another server with the same external address forwards it
    let is_taken = (0..SERVERS).any(|other| other != slot && house.forwards[other].contains_key(&outer));
    let is_there = house.accounts.contains_key(&client);
    let forwards = Arc::make_mut(&mut house.forwards[slot]);
    if forwards.remove(&outer).is_none() && !is_taken && is_there {
        forwards.insert(outer, PortForward { outer, to_peer: name_of(client), to_port });
    }
}

fn treat(house: &mut House, client: usize, deed: Deed) {
    let slot = server_of(client);
    let Some(account) = house.accounts.get(&client) else {
        if deed == Deed::Add {
            let fresh = House::new(true, 0..=1);
            house.accounts.insert(client, Arc::clone(&fresh.accounts[&client]));
        }
        return;
    };
    let account = Account::clone(account);
    let rate = |megabits: u16| Mbps::new(megabits).unwrap();
    let treated = match deed {
        Deed::Add => return,
        Deed::Remove => {
            house.accounts.remove(&client);
            // nobody is left to whom they could lead
            Arc::make_mut(&mut house.forwards[slot]).retain(|_, forward| forward.to_peer != account.name);
            return;
        }
        Deed::Enable(enabled) => Account { enabled, ..account },
        Deed::Rate(down, up) => Account { b_download: rate(down), b_upload: rate(up), ..account },
        Deed::Move => {
            let (v4, v6) = addresses(client, account.address == addresses(client, false).0);
            Account { address: v4, address_ipv6: Some(v6), ..account }
        }
    };
    house.accounts.insert(client, Arc::new(treated));
}
