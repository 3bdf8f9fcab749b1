//! The resolver over bytes that clients and forwarders wrote.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use culvert::domain::dns::Forwarder;
use culvert::engine::dns::blocklist::Blocklist;
use culvert::engine::dns::{Ask, Asker, Bounds, Outcome, Resolver, Settings, judge};
use culvert::engine::packet::Owner;
use culvert::engine::wire::dns::{Extension, Header, Question, Records, soa_minimum};
use culvert::runtime::os::{clock, entropy};

use crate::campaign::Campaign;
use crate::dice::Dice;

const BOUNDS: Bounds = Bounds { entries: 64, bytes: 16 << 10 };

#[test]
fn asks_and_answers_whatever_is_written() {
    let mut campaign = Campaign::new("names");
    while let Some(mut dice) = campaign.next() {
        let mut now = clock::now();
        let mut resolver = resolver(now);
        let mut asks: Vec<Ask> = Vec::new();
        for _ in 0..64 {
            now += Duration::from_millis(dice.below(700) as u64);
            let mut question = question(&mut dice);
            if dice.once_in(3) {
                let other = bytes(&mut dice);
                dice.mutate(&mut question, &other);
            }
            look(&question);
            ask(&mut resolver, &mut dice, &question, now);
            asks.extend(std::iter::from_fn(|| resolver.poll_ask()));
            if let Some(ask) = (!asks.is_empty()).then(|| asks.swap_remove(dice.below(asks.len()))) {
                let mut reply = reply(&mut dice, &ask.message);
                if dice.once_in(3) {
                    dice.mutate(&mut reply, &question);
                }
                look(&reply);
                black_box(judge(&ask.message, &reply));
                if dice.once_in(8) {
                    resolver.handle_failure(ask.ticket, now);
                } else {
                    resolver.handle_reply(ask.ticket, &reply, now);
                }
            }
            resolver.handle_deadline(now);
            while let Some((asker, answer)) = resolver.poll_answer() {
                check(&answer, asker.stream.is_some());
            }
            let (entries, bytes) = resolver.remembered();
            assert!(entries <= BOUNDS.entries && bytes <= BOUNDS.bytes, "{entries} entries, {bytes} bytes");
        }
    }
}

#[test]
fn reads_any_text_as_a_block_list() {
    let mut campaign = Campaign::new("block lists");
    while let Some(mut dice) = campaign.next() {
        let mut list = Blocklist::new(dice.bits());
        let mut text =
            "0.0.0.0 a.example b.example\n||c.example^\n*.d.example # x\n::1 localhost\n".repeat(4).into_bytes();
        let other = bytes(&mut dice);
        dice.mutate(&mut text, &other);
        list.add(&String::from_utf8_lossy(&text));
        for _ in 0..16 {
            let message = question(&mut dice);
            if let Some(question) = Question::read(&message) {
                black_box(list.contains(question.name));
            }
            black_box(list.contains(&bytes(&mut dice)));
        }
    }
}

fn resolver(now: std::time::Instant) -> Resolver {
    let mut resolver = Resolver::new(BOUNDS, || u32::from_ne_bytes(entropy::bytes()));
    let forwarders = ["192.0.2.53", "tls://198.51.100.53"].map(|text| Forwarder::parse(text).unwrap());
    resolver.apply(Settings { enabled: true, forwarders: forwarders.into(), longest: 3_600 }, now);
    resolver.serve(0, vec!["10.0.0.0/24".parse().unwrap()]);
    let mut list = Blocklist::new(1);
    list.add("n3.example\n");
    resolver.block(0, Arc::new(list));
    resolver
}

fn ask(resolver: &mut Resolver, dice: &mut Dice, question: &[u8], now: std::time::Instant) {
    let asker = Asker {
        server: 0,
        owner: Owner(dice.word() % 4),
        from: ([10, 0, 0, dice.byte()], 4_000).into(),
        to: ([10, 0, 0, 1], 53).into(),
        stream: dice.once_in(4).then_some(1),
    };
    let mut answer = vec![7; dice.below(4)];
    let before = answer.len();
    if resolver.handle_question(asker, question, &mut answer, now) == Outcome::Answered {
        check(&answer[before..], asker.stream.is_some());
    }
}

/// What a client gets can be read, and fits.
fn check(answer: &[u8], by_stream: bool) {
    let header = Header::read(answer).unwrap();
    let from = Question::read(answer).map_or(12, |question| question.end());
    if header.counts[0] == 1 {
        assert!(Records::new(answer, &header, from).all(|record| record.is_ok()), "{answer:02x?}");
    }
    assert!(by_stream || answer.len() <= 1_232, "{} bytes", answer.len());
}

fn look(message: &[u8]) {
    let Some(header) = Header::read(message) else { return };
    assert_eq!(header.bytes(), message[..12]);
    let from = Question::read(message).map_or(12, |question| question.end());
    for record in Records::new(message, &header, from).flatten() {
        black_box((soa_minimum(message, &record), Extension::of(&record), &message[record.content.clone()]));
    }
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let length = dice.below(300);
    dice.bytes(length)
}

fn question(dice: &mut Dice) -> Vec<u8> {
    let mut message = vec![dice.byte(), dice.byte(), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend([2, b'n', b'0' + dice.byte() % 10]);
    message.extend(*b"\x07example\0\0\x01\0\x01");
    if dice.once_in(2) {
        message[11] = 1;
        message.extend([0, 0, 41, dice.byte(), dice.byte(), 0, 0, dice.byte(), 0, 0, 0]);
    }
    message
}

fn reply(dice: &mut Dice, asked: &[u8]) -> Vec<u8> {
    let end = Question::read(asked).unwrap().end();
    let mut reply = asked[..end].to_vec();
    let answers = dice.byte() % 4;
    reply[2..12].copy_from_slice(&[0x81, 0x80 | (dice.byte() % 6), 0, 1, 0, answers, 0, 1, 0, 1]);
    for _ in 0..answers {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, dice.byte(), 0, 4, 192, 0, 2, 1]);
    }
    reply.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, dice.byte(), 0, 22, 0, 0]);
    reply.extend([0; 20]);
    reply.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    reply
}
