//! The world: clients, the box, hosts, and the network between them, in virtual time.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use culvert::engine::fragments::gather::Fragments;
use culvert::engine::packet::{Offload, Owner};
use culvert::engine::wire::{FlowKey, Ip};
use culvert::runtime::os::clock;

use crate::appliance::{Appliance, At, Goes, Handed, Out, singles};
use crate::client::{Client, Inside, Letter, RETRY};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::model::{CLIENTS, House, MTU, WORKERS, server_of};
use crate::net::Weather;
use crate::packets::{Kind, Said, Seen, Tag, cut, write};
use crate::passes::{Input, Pass, Tally};
use crate::record::{OnTheWay, Passed, Trace};
use crate::speech::{Speaker, Talk, Word, answer, host_at};

/// What happens at its moment.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// Datagrams come to a server's port together.
    Door(usize, Vec<(SocketAddr, Letter)>),
    /// A parcel comes to another worker.
    Parcel(At, Handed),
    /// A packet comes to a worker's queue of the uplink.
    Uplink(usize, Vec<u8>),
    /// One turns back that a client has sent to an external address.
    Turned(usize, Vec<u8>, Offload),
    /// One comes that another worker has handed over, for its port lies in this one's slice.
    Placed(usize, Vec<u8>, Offload),
    /// A message of a handshake comes to where a client was.
    Letter(usize, SocketAddr, Vec<u8>),
    /// A packet that has been opened comes to a client.
    Packet(usize, Vec<u8>),
    /// A packet comes to a host.
    Host(Vec<u8>),
    /// A client looks whether it has been answered.
    Retry(usize),
}

thread_local! {
    /// How many bits a box has drawn: each story begins with the same.
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// The box's bits.
fn entropy() -> u32 {
    DRAWN.set(DRAWN.get() + 1);
    u32::try_from(Dice::new(DRAWN.get()).bits() >> 32).unwrap()
}

/// The world.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    pub(crate) clock: Clock<Event>,
    /// What ought to run, in each state that it has been in.
    pub(crate) editions: Vec<House>,
    pub(crate) appliance: Appliance,
    pub(crate) clients: Vec<Client>,
    pub(crate) words: Vec<Word>,
    pub(crate) talks: Vec<Talk>,
    pub(crate) on_the_way: OnTheWay,
    pub(crate) pieces: BTreeSet<(At, Tag)>,
    pub(crate) tallies: BTreeMap<At, Tally>,
    /// What went of each account: client, and whether it was up; of a whole server beyond the clients.
    pub(crate) passed: BTreeMap<(usize, bool), Passed>,
    pub(crate) trace: Trace,
    /// What is wrong.
    pub(crate) faults: Vec<String>,
    hosts: Fragments,
    /// The words that were cut, by the number that their pieces have.
    pub(crate) cuts: BTreeMap<u32, Tag>,
    identification: u32,
}

impl World {
    /// A world that runs this.
    pub(crate) fn new(house: House) -> Self {
        DRAWN.set(0);
        let now = clock::now();
        let mut world = Self {
            dice: Dice::new(0),
            weather: Weather::CLEAR,
            clock: Clock::new(now),
            appliance: Appliance::new(&house, entropy, now),
            editions: vec![house],
            clients: (0..CLIENTS).map(Client::new).collect(),
            words: Vec::new(),
            talks: Vec::new(),
            on_the_way: OnTheWay::new(),
            pieces: BTreeSet::new(),
            tallies: BTreeMap::new(),
            passed: BTreeMap::new(),
            trace: Trace::BEGIN,
            faults: Vec::new(),
            hosts: Fragments::new(1, Duration::from_secs(2)),
            cuts: BTreeMap::new(),
            identification: 0,
        };
        world.begin_records();
        world
    }

    /// What ought to run now.
    pub(crate) fn house(&self) -> &House {
        self.editions.last().unwrap()
    }

    /// The number of that state.
    pub(crate) fn edition(&self) -> usize {
        self.editions.len() - 1
    }

    /// The present.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Something else ought to run from now on.
    pub(crate) fn intend(&mut self, house: House) {
        self.note_rates(&house);
        self.editions.push(house);
        self.conform(false);
    }

    /// Makes the box run what ought to; all of it anew, or what has changed.
    pub(crate) fn conform(&mut self, anew: bool) {
        let house = self.house().clone();
        let outcomes = self.appliance.conform(&house, anew, self.clock.now());
        for (at, outcome) in outcomes {
            self.settle(at, &Pass::of_nothing(Input::Change), outcome);
        }
    }

    /// The box stops and begins again with what ought to run.
    pub(crate) fn restart(&mut self) {
        self.appliance = Appliance::new(&self.editions[self.edition()], entropy, self.clock.now());
        self.on_the_way.clear();
        self.pieces.clear();
        // nothing of the old box counts for what was opened there
        self.editions.push(self.house().clone());
        self.begin_records();
    }

    /// Lets time pass, and everything happen that is due meanwhile.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now() + span;
        loop {
            if let Some(event) = self.clock.pop_due() {
                self.happen(event);
                continue;
            }
            let deadline = self.appliance.poll_deadline();
            if let Some((_, at)) = deadline.filter(|(due, _)| *due <= self.now()) {
                let outcome = self.appliance.deadline(at, self.now());
                self.settle(at, &Pass::of_nothing(Input::Time), outcome);
                continue;
            }
            let next = [self.clock.next(), deadline.map(|(due, _)| due)].into_iter().flatten().min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.clock.move_to(next),
                None => break,
            }
        }
        self.clock.move_to(end);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Door(slot, letters) => self.take_letters(slot, letters),
            Event::Parcel(at, handed) => {
                let outcome = self.appliance.parcel(at, &handed, self.clock.now());
                let pass = Self::pass_of_parcel(&handed);
                self.settle(at, &pass, outcome);
            }
            Event::Uplink(worker, packet) => {
                if let Some((packet, offload, goes)) = self.appliance.place(worker, packet, self.clock.now()) {
                    self.take_from_outside(worker, packet, offload, (goes, true));
                }
            }
            Event::Turned(worker, packet, offload) => {
                let goes = self.appliance.find_place(worker, &packet);
                self.take_from_outside(worker, packet, offload, (goes, true));
            }
            Event::Placed(worker, packet, offload) => {
                let goes = self.appliance.find_place(worker, &packet);
                self.take_from_outside(worker, packet, offload, (goes, false));
            }
            Event::Letter(client, ..) | Event::Packet(client, _) if self.clients[client].is_gone => {}
            Event::Letter(client, to, bytes) => {
                if self.clients[client].outside == to {
                    let letters = self.clients[client].hear(&bytes, self.clock.now());
                    self.post(client, letters);
                }
            }
            Event::Packet(client, packet) => {
                if let Some(whole) = self.clients[client].gather(packet, self.clock.now()) {
                    self.hear(Some(client), &whole);
                }
            }
            Event::Host(packet) => {
                let is_piece = Ip::new(&packet[..]).unwrap().transport().fragment;
                let now = self.clock.now();
                let whole = if is_piece { self.hosts.handle(Owner(0), &packet, now) } else { Some(packet) };
                if let Some(whole) = whole {
                    self.hear(None, &whole);
                }
            }
            Event::Retry(client) => {
                if self.clients[client].wants_again(self.clock.now()) {
                    self.connect(client);
                }
            }
        }
    }

    fn take_letters(&mut self, slot: usize, letters: Vec<(SocketAddr, Letter)>) {
        let first = &letters[0].1.bytes;
        let index = |at: usize| usize::from(first[at + 1]) % usize::from(WORKERS);
        let worker = match first[0] {
            4 => index(4),
            2 => index(8),
            _ => self.dice.below(usize::from(WORKERS)),
        };
        let pass = self.pass_of_letters((worker, slot), &letters);
        let datagrams: Vec<_> = letters.into_iter().map(|(from, letter)| (from, letter.bytes)).collect();
        let outcome = self.appliance.datagrams((worker, slot), &datagrams, self.clock.now());
        self.settle((worker, slot), &pass, outcome);
    }

    fn take_from_outside(&mut self, worker: usize, packet: Vec<u8>, offload: Offload, (goes, may_hand): (Goes, bool)) {
        match goes {
            Goes::To(slot) => {
                let pass = self.pass_of_arrival(&packet, offload);
                let outcome = self.appliance.arrival((worker, slot), packet, offload, self.clock.now());
                self.settle((worker, slot), &pass, outcome);
            }
            Goes::Elsewhere(other) if may_hand => {
                self.clock.after(Duration::ZERO, Event::Placed(other, packet, offload));
            }
            Goes::Elsewhere(_) | Goes::Back => {
                for packet in singles(&packet, offload) {
                    self.note_unknown(&Seen::of(&packet));
                }
            }
        }
    }

    /// A packet has left for the outside, whichever way the kernel knows.
    pub(crate) fn send_outside(&mut self, worker: usize, mut packet: Vec<u8>, offload: Offload) {
        if self.appliance.turns_back(&mut packet) {
            return self.clock.after(Duration::ZERO, Event::Turned(worker, packet, offload));
        }
        for packet in singles(&packet, offload) {
            self.travel(&packet);
        }
    }

    fn travel(&mut self, packet: &[u8]) {
        let to = Ip::new(packet).unwrap().destination();
        if host_at(to).is_none() {
            // the internet has no other hosts, but it knows the way back to networks that are routed here
            return self.enter(packet);
        }
        for after in self.weather.arrivals(&mut self.dice) {
            self.clock.after(after, Event::Host(packet.to_vec()));
        }
    }

    /// A packet comes from outside, at whichever worker.
    pub(crate) fn enter(&mut self, packet: &[u8]) {
        for after in self.weather.arrivals(&mut self.dice) {
            let worker = self.dice.below(usize::from(WORKERS));
            self.clock.after(after, Event::Uplink(worker, packet.to_vec()));
        }
    }

    /// Somebody hears a whole packet: a client, or a host outside.
    pub(crate) fn hear(&mut self, client: Option<usize>, packet: &[u8]) {
        let seen = Seen::of(packet);
        let Some(tag) = seen.tag else { return };
        let Word { talk, is_reply, .. } = self.words[tag];
        if matches!(seen.kind, Kind::Error(_)) {
            return;
        }
        let by = client.map_or(Speaker::Host, Speaker::Client);
        if client.is_none() && !is_reply {
            self.talks[talk].heard = Some(packet.to_vec());
        }
        if is_reply {
            self.talks[talk].log.push("answered".into());
            if let Some(said) = self.talks[talk].go_on(&seen) {
                self.say(talk, said, 1);
            }
            return;
        }
        let tag = self.words.len();
        let Some(packet) = answer(&seen, packet, tag) else { return };
        if !matches!(Seen::of(&packet).kind, Kind::Error(_)) {
            self.words.push(Word { talk, by, is_reply: true });
        }
        self.send_from(client, vec![packet]);
    }

    /// The caller of a talk says something, so often at once.
    pub(crate) fn say(&mut self, talk: usize, said: Said, times: usize) {
        let Talk { key, caller, .. } = self.talks[talk];
        let by = caller.map_or(Speaker::Host, Speaker::Client);
        let mut packets = Vec::new();
        for _ in 0..times {
            let tag = self.words.len();
            self.words.push(Word { talk, by, is_reply: false });
            packets.push(write(key.source, key.destination, said, tag));
        }
        self.send_from(caller, packets);
    }

    fn send_from(&mut self, client: Option<usize>, packets: Vec<Vec<u8>>) {
        let mut pieces = Vec::new();
        for packet in packets {
            self.identification += 1;
            if let Some(tag) = Seen::of(&packet).tag {
                self.cuts.insert(self.identification, tag);
            }
            pieces.extend(cut(packet, MTU, self.identification));
        }
        match client {
            Some(client) => {
                let letters = self.clients[client].send(pieces, self.clock.now());
                self.post(client, letters);
            }
            None => pieces.iter().for_each(|piece| self.enter(piece)),
        }
    }

    /// A client begins a session anew.
    pub(crate) fn connect(&mut self, client: usize) {
        let letter = self.clients[client].connect(self.clock.now());
        self.post(client, vec![letter]);
    }

    /// Sends a client's datagrams. Whole packets that are sent at once arrive in one batch, as far as none is lost or
    /// late.
    fn post(&mut self, client: usize, letters: Vec<Letter>) {
        let (slot, from) = (server_of(client), self.clients[client].outside);
        if letters.iter().any(|letter| letter.bytes[0] == 1) {
            self.clock.after(RETRY, Event::Retry(client));
        }
        if self.clients[client].is_gone {
            return;
        }
        let mut together: BTreeMap<Duration, Vec<(SocketAddr, Letter)>> = BTreeMap::new();
        let mut alone = Vec::new();
        for letter in letters {
            for after in self.weather.arrivals(&mut self.dice) {
                let is_whole = match &letter.inside {
                    Inside::Control => false,
                    Inside::Packet(packet) => !matches!(Seen::of(packet).kind, Kind::Piece(_)),
                };
                if is_whole {
                    together.entry(after).or_default().push((from, letter.clone()));
                } else {
                    alone.push((after, (from, letter.clone())));
                }
            }
        }
        for (after, letter) in alone {
            self.clock.after(after, Event::Door(slot, vec![letter]));
        }
        for (after, letters) in together {
            self.clock.after(after, Event::Door(slot, letters));
        }
    }

    /// Begins a talk; its number.
    pub(crate) fn begin(&mut self, caller: Option<usize>, key: FlowKey) -> usize {
        self.talks.push(Talk::new(caller, key));
        self.talks.len() - 1
    }

    /// A client's inner end with a port that it has not used yet, beside this address.
    pub(crate) fn fresh_end(&mut self, client: usize, beside: IpAddr) -> Option<SocketAddr> {
        let address = self.house().address_beside(client, beside)?;
        let used = &mut self.clients[client].ports;
        *used += 1;
        // one after another in either worker's slice and below both
        let base = [20_000, 45_000, 2_000][usize::from(*used % 3)];
        Some(SocketAddr::new(address, base + (*used).div_ceil(3)))
    }

    /// Has something happen to a client, as the network lets it.
    pub(crate) fn send_down(&mut self, event: &Event) {
        for after in self.weather.arrivals(&mut self.dice) {
            self.clock.after(after, event.clone());
        }
    }

    /// Hands something to another worker.
    pub(crate) fn hand_over(&mut self, (_, slot): At, worker: u8, handed: Handed) {
        self.clock.after(Duration::ZERO, Event::Parcel((usize::from(worker), slot), handed));
    }
}

/// The ports that the NAT gives away in an ordinary world.
pub(crate) const WIDE: RangeInclusive<u16> = 16_384..=51_819;

/// What came out, in a word, for the trace.
pub(crate) fn kind_of(out: &Out) -> u8 {
    match out {
        Out::Outward(..) => 1,
        Out::Elsewhere(..) => 2,
        Out::Host(_) => 3,
        Out::Sealed(..) => 4,
    }
}
