//! What goes in and out of a plane in one call: it is counted, looked at, and sent on.

use std::net::SocketAddr;

use culvert::engine::dataplane::verdict::DropReason;
use culvert::engine::packet::Offload;
use culvert::engine::wire::protocol;

use crate::appliance::{At, Handed, Out, Outcome, singles};
use crate::client::{Inside, Letter, client_at};
use crate::invariants::{
    a_client_never_sees_anothers_traffic, a_disabled_account_gets_nothing_through,
    a_reply_of_an_allowed_flow_comes_back, is_of_the_link, nothing_passes_that_the_present_rules_forbid,
    what_goes_on_is_a_sound_packet,
};
use crate::model::{MTU, Way, server_of};
use crate::packets::{Kind, Seen, Tag, flaw, identification, is_port_unreachable};
use crate::record::{Passage, Reply, Sight};
use crate::speech::Speaker;
use crate::world::{Event, World, kind_of};

/// How something came into a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// A client's packets by the door.
    Door,
    /// By another worker.
    Parcel,
    /// From outside.
    Arrival,
    /// Messages of handshakes.
    Control,
    /// The time.
    Time,
    /// What ought to run has changed.
    Change,
}

/// A call of a plane.
#[derive(Debug)]
pub(crate) struct Pass {
    input: Input,
    /// The words that came in, or, of errors, of which they spoke.
    units: Vec<(Option<Tag>, Kind)>,
    /// Whether what came in is for the server's own address.
    to_own: bool,
    /// The client whose datagrams came in.
    from: Option<usize>,
    /// How many packets more may become of what came in, where it is cut.
    pieces: u64,
}

impl Pass {
    /// A call by which no packet comes in.
    pub(crate) fn of_nothing(input: Input) -> Self {
        Self { input, units: Vec::new(), to_own: false, from: None, pieces: 0 }
    }

    fn add(&mut self, seen: &Seen) {
        self.units.push((seen.tag, seen.kind));
        let is_cut = seen.length > MTU || matches!(seen.kind, Kind::Piece(_));
        self.pieces += if is_cut { PIECES } else { 0 };
    }
}

/// What has gone through a plane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) entered: u64,
    pub(crate) made: u64,
    pub(crate) left: u64,
    pub(crate) pieces: u64,
}

/// How many packets more the longest is cut into.
const PIECES: u64 = 3;

impl World {
    /// What comes in by the door.
    pub(crate) fn pass_of_letters(&self, (_, slot): At, letters: &[(SocketAddr, Letter)]) -> Pass {
        let mut pass = Pass::of_nothing(Input::Control);
        for (from, letter) in letters {
            pass.from = client_at(*from);
            let Inside::Packet(packet) = &letter.inside else { continue };
            let seen = Seen::of(packet);
            pass.input = Input::Door;
            pass.to_own |= self.house().is_own(slot, seen.to.ip());
            let number = identification(packet).filter(|_| matches!(seen.kind, Kind::Piece(_)));
            let tag = number.map_or(seen.tag, |number| self.cuts.get(&number).copied());
            pass.add(&Seen { tag, ..seen });
        }
        pass
    }

    /// What another worker hands over.
    pub(crate) fn pass_of_parcel(handed: &Handed) -> Pass {
        let packets = handed.packets();
        let mut pass = Pass::of_nothing(if packets.is_empty() { Input::Control } else { Input::Parcel });
        for packet in packets {
            pass.add(&Seen::of(&packet));
        }
        pass
    }

    /// What comes from outside.
    pub(crate) fn pass_of_arrival(&mut self, packet: &[u8], offload: Offload) -> Pass {
        let mut pass = Pass::of_nothing(Input::Arrival);
        for packet in singles(packet, offload) {
            let seen = Seen::of(&packet);
            self.note_arrived(&seen);
            pass.add(&seen);
        }
        pass
    }

    /// Notes how a caller's packet looks when it comes from outside.
    fn note_arrived(&mut self, seen: &Seen) {
        let Some(tag) = seen.tag.filter(|_| !matches!(seen.kind, Kind::Error(_))) else { return };
        let word = self.words[tag];
        if !word.is_reply {
            self.talks[word.talk].arrived = Some(seen.key());
        }
    }

    /// Takes what a call has led to.
    pub(crate) fn settle(&mut self, at: At, pass: &Pass, outcome: Outcome) {
        self.trace_call(at, &outcome);
        self.count_in(at, pass, &outcome.dropped);
        self.judge_drops(pass, &outcome);
        let through = |world: &Self| world.tallies[&at].left - world.tallies[&at].made;
        let before = through(self);
        let Outcome { outs, dropped, late, waiting } = outcome;
        for out in outs {
            match out {
                Out::Outward(client, packet, offload) => self.go_out(at, client, packet, offload),
                Out::Elsewhere(worker, handed) => self.go_elsewhere(at, worker, handed),
                Out::Host(packets) => packets.iter().for_each(|packet| self.go_to_host(at, packet)),
                Out::Sealed(to, datagram) => self.go_down(at, pass, to, datagram),
            }
        }
        self.count_merged(at, pass, (through(self) - before, waiting), &dropped, late);
    }

    fn trace_call(&mut self, (worker, slot): At, outcome: &Outcome) {
        let now = self.clock.since_begin().as_nanos().to_le_bytes();
        self.trace.note(&now);
        self.trace.note(&[u8::try_from(worker).unwrap(), u8::try_from(slot).unwrap()]);
        for reason in &outcome.dropped {
            self.trace.note(&[*reason as u8]);
        }
        for out in &outcome.outs {
            self.trace.note(&[kind_of(out)]);
            match out {
                Out::Outward(_, packet, _) => self.trace.note(packet),
                Out::Host(packets) => packets.iter().for_each(|packet| self.trace.note(packet)),
                Out::Elsewhere(_, handed) => handed.packets().iter().for_each(|packet| self.trace.note(packet)),
                // what is sealed differs each time, but not its length
                Out::Sealed(to, datagram) => {
                    self.trace.note(&to.port().to_le_bytes());
                    self.trace.note(&datagram.len().to_le_bytes());
                }
            }
        }
    }

    fn count_in(&mut self, at: At, pass: &Pass, dropped: &[DropReason]) {
        let edition = self.edition();
        let mut entered = 0;
        for (tag, kind) in &pass.units {
            if let Some(tag) = tag {
                self.on_the_way.insert((at, *tag), edition);
            }
            entered += match kind {
                Kind::Piece(_) => 0,
                _ => 1,
            };
        }
        if pass.input == Input::Control {
            entered += dropped.len();
        }
        if let [(tag, Kind::Piece(_))] = pass.units[..] {
            entered += self.count_piece(at, tag, dropped);
        }
        let tally = self.tallies.get_mut(&at).unwrap();
        tally.entered += u64::try_from(entered).unwrap();
        tally.pieces += pass.pieces;
    }

    /// Of a packet in pieces, one counts; each that is refused at the link has an end of its own.
    fn count_piece(&mut self, at: At, tag: Option<Tag>, dropped: &[DropReason]) -> usize {
        let is_refused = dropped.first().is_some_and(|reason| is_of_the_link(*reason));
        usize::from(is_refused || tag.is_some_and(|tag| self.pieces.insert((at, tag))))
    }

    /// What stands for many packets is dropped, or answered, once: the others of them never came in, as far as anybody counts.
    fn count_merged(&mut self, at: At, pass: &Pass, (left, waiting): (u64, i64), dropped: &[DropReason], late: u64) {
        let is_one = pass.to_own || !dropped.iter().all(|reason| is_of_the_link(*reason));
        // where one is too many for a queue, the others wait in it
        let is_queued = dropped.contains(&DropReason::QueueFull);
        if pass.units.len() < 2 || !is_one || is_queued {
            return;
        }
        let ended = left + late + u64::try_from(dropped.len()).unwrap();
        let unseen = i64::try_from(pass.units.len()).unwrap() - i64::try_from(ended).unwrap() - waiting;
        let tally = self.tallies.get_mut(&at).unwrap();
        tally.entered -= u64::try_from(unseen).unwrap_or(0);
    }

    fn count_out(&mut self, at: At, seen: &Seen, is_made: bool) {
        if seen.kind == Kind::Piece(false) {
            return;
        }
        let tally = self.tallies.get_mut(&at).unwrap();
        tally.left += 1;
        tally.made += u64::from(is_made);
    }

    fn go_out(&mut self, at: At, client: Option<usize>, packet: Vec<u8>, offload: Offload) {
        for packet in singles(&packet, offload) {
            let seen = Seen::of(&packet);
            self.count_out(at, &seen, client.is_none());
            if let Some(client) = client {
                self.note_bytes(client, true, &seen);
                self.check_out(at, client, &seen, &packet);
            }
        }
        self.send_outside(at.0, packet, offload);
    }

    fn go_elsewhere(&mut self, at: At, worker: u8, handed: Handed) {
        for packet in handed.packets() {
            let seen = Seen::of(&packet);
            self.count_out(at, &seen, false);
            if matches!(handed, Handed::Crossing(..))
                && let Some(client) = self.house().client_at(at.1, seen.source.ip())
            {
                self.note_bytes(client, true, &seen);
            }
        }
        self.hand_over(at, worker, handed);
    }

    fn go_to_host(&mut self, at: At, packet: &[u8]) {
        let seen = Seen::of(packet);
        self.count_out(at, &seen, false);
        let Some(word) = seen.tag.map(|tag| self.words[tag]) else { return };
        self.talks[word.talk].log.push("to the host".into());
        if let Speaker::Client(client) = word.by {
            let key = self.talks[word.talk].key;
            let since = self.since(at, &seen);
            let allowed = self.editions[since..].iter().map(|house| house.judge_up(client, &key) == Some(Way::Own));
            let passage = Passage { allowed: allowed.collect(), enabled: true, flaw: flaw(packet) };
            self.check_passage(&passage, &seen);
        }
    }

    fn go_down(&mut self, at: At, pass: &Pass, to: SocketAddr, datagram: Vec<u8>) {
        let client = client_at(to).unwrap();
        if datagram[0] != 4 {
            return self.send_down(&Event::Letter(client, to, datagram));
        }
        let packet = match self.clients[client].open(&datagram) {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(error) => return self.faults.push(format!("client {client} cannot open what is for it: {error}")),
        };
        let seen = Seen::of(&packet);
        let is_own = self.house().is_own(at.1, seen.source.ip());
        let is_error = matches!(seen.kind, Kind::Error(_));
        // the server's own answer takes the place of the question; an error about what it drops is one more
        let is_complaint = is_own && is_error && !is_port_unreachable(&packet);
        self.count_out(at, &seen, is_complaint);
        // what has waited for the client's handshake was weighed before it waited
        let has_waited = pass.input == Input::Control || pass.from == Some(client);
        if !is_own && !has_waited {
            self.note_bytes(client, false, &seen);
        }
        if !is_own {
            self.check_down(at, client, &seen, &packet);
        } else if let Some(fault) = flaw(&packet) {
            self.faults.push(fault);
        }
        self.send_down(&Event::Packet(client, packet));
    }

    /// The state of the rules when a packet came into this plane.
    pub(crate) fn since(&self, at: At, seen: &Seen) -> usize {
        let came = seen.tag.and_then(|tag| self.on_the_way.get(&(at, tag)).copied());
        came.unwrap_or_else(|| self.edition())
    }

    fn check_passage(&mut self, passage: &Passage, seen: &Seen) {
        let verdicts = [
            ("nothing passes that the present rules forbid", nothing_passes_that_the_present_rules_forbid(passage)),
            ("a disabled account gets nothing through", a_disabled_account_gets_nothing_through(passage)),
            ("what goes on is a sound packet", what_goes_on_is_a_sound_packet(passage)),
        ];
        for (sentence, verdict) in verdicts {
            self.hold(sentence, verdict.map_err(|why| format!("{why}: {seen:?}")));
        }
    }

    /// Notes what does not hold.
    pub(crate) fn hold(&mut self, sentence: &str, verdict: Result<(), String>) {
        if let Err(why) = verdict {
            self.faults.push(format!("NOT TRUE: {sentence}\n  {why}"));
        }
    }

    fn check_out(&mut self, at: At, client: usize, seen: &Seen, packet: &[u8]) {
        let Some(tag) = seen.tag else { return };
        let since = self.since(at, seen);
        let word = self.words[tag];
        let allowed = (since..=self.edition()).map(|edition| self.may_go_out(edition, client, seen)).collect();
        let passage = Passage { allowed, enabled: self.house().is_enabled(client), flaw: flaw(packet) };
        self.check_passage(&passage, seen);
        let is_error = matches!(seen.kind, Kind::Error(_));
        let now = self.now();
        let talk = &mut self.talks[word.talk];
        if !is_error && !word.is_reply && talk.caller == Some(client) {
            talk.external = Some(seen.source);
            talk.left = Some((now, since));
            talk.log.push(format!("out as {}", seen.source.ip()));
        }
    }

    fn check_down(&mut self, at: At, viewer: usize, seen: &Seen, packet: &[u8]) {
        let Some(tag) = seen.tag else {
            if !matches!(seen.kind, Kind::Piece(false)) && seen.protocol != protocol::TCP {
                self.faults.push(format!("nobody has said this: {seen:?}"));
            }
            return;
        };
        let since = self.since(at, seen);
        let editions: Vec<usize> = (since..=self.edition()).collect();
        let meant = editions.iter().any(|edition| self.is_meant_for(*edition, viewer, seen));
        let allowed = editions.iter().map(|edition| self.may_come_down(*edition, viewer, seen)).collect();
        let word = self.words[tag];
        let houses = &self.editions[since..];
        let sight = Sight {
            viewer,
            addressed_to: houses.iter().find_map(|house| house.client_at(server_of(viewer), seen.to.ip())),
            meant_for: if meant { vec![viewer] } else { Vec::new() },
        };
        let sight_of = a_client_never_sees_anothers_traffic(&sight);
        self.hold("a client never sees another's traffic", sight_of.map_err(|why| format!("{why}: {seen:?}")));
        let too_long = (packet.len() > MTU).then(|| format!("{} bytes", packet.len()));
        let enabled = self.house().is_enabled(viewer);
        self.check_passage(&Passage { allowed, enabled, flaw: too_long.or_else(|| flaw(packet)) }, seen);
        let talk = &mut self.talks[word.talk];
        if !word.is_reply && talk.caller != Some(viewer) {
            talk.came = Some(since);
            talk.log.push(format!("to client {viewer}"));
        }
    }

    /// Whether what was dropped, or kept, ought to have gone on.
    fn judge_drops(&mut self, pass: &Pass, outcome: &Outcome) {
        let [(Some(tag), kind)] = pass.units[..] else { return };
        if matches!(kind, Kind::Error(_)) {
            return;
        }
        let word = self.words[tag];
        let dropped = outcome.dropped.first().copied();
        if let Some(reason) = dropped {
            self.talks[word.talk].log.push(format!("{reason:?}"));
        }
        let (is_allowed, is_alive) = (self.ought_to_pass(tag, kind), self.is_alive(word.talk));
        let reply = Reply { is_allowed, is_alive, dropped, was_unknown: false };
        self.check_reply(&reply, tag, pass.input);
    }

    /// A packet has come from outside that the box knows nothing about.
    pub(crate) fn note_unknown(&mut self, seen: &Seen) {
        let Some(tag) = seen.tag.filter(|_| !matches!(seen.kind, Kind::Error(_))) else { return };
        let talk = self.words[tag].talk;
        self.talks[talk].log.push("unknown".into());
        self.note_arrived(seen);
        let (is_allowed, is_alive) = (self.ought_to_pass(tag, seen.kind), self.is_alive(talk));
        let reply = Reply { is_allowed, is_alive, dropped: None, was_unknown: true };
        self.check_reply(&reply, tag, Input::Arrival);
    }

    fn check_reply(&mut self, reply: &Reply, tag: Tag, input: Input) {
        let verdict = a_reply_of_an_allowed_flow_comes_back(reply);
        let word = self.words[tag];
        let context = |why| format!("{why}: {input:?}, {word:?}, {:?}", self.talks[word.talk]);
        let verdict = verdict.map_err(context);
        self.hold("a reply of an allowed flow comes back", verdict);
    }
}
