//! What clients get: who may ask, what may be asked, how large an answer may be.

use std::sync::Arc;

use crate::engine::dns::Asker;
use crate::engine::dns::blocklist::Blocklist;
use crate::engine::dns::testing::{ADDRESS, Rig, Says, client, extended, of_kind, question, read};
use crate::engine::wire::dns::{Header, flag, rcode};

#[test]
fn refuses_who_is_no_client_of_the_server() {
    let mut rig = Rig::new();
    let stranger = Asker { from: ([10, 0, 1, 2], 4_000).into(), ..client(2, 4_000) };
    let elsewhere = Asker { server: 1, ..client(2, 4_000) };

    let refused = rig.ask(stranger, &question("a.example", 1)).unwrap();

    assert_eq!(read(&refused).0, rcode::REFUSED);
    assert_eq!(rig.ask(elsewhere, &question("a.example", 1)), None);
    assert_eq!(rig.resolver.poll_ask(), None);
}

#[test]
fn says_nothing_to_answers_and_to_what_is_no_message() {
    let mut rig = Rig::new();
    let mut answer = question("a.example", 1);
    answer[2] |= 0x80;

    for message in [&answer[..], b"", b"\0\x01\x01\0\0\x01"] {
        assert_eq!(rig.ask(client(2, 4_000), message), None);
    }
    assert_eq!(rig.resolver.poll_ask(), None);
}

#[test]
fn refuses_what_it_does_not_answer() {
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut message = question("a.example", 1);
        change(&mut message);
        message
    };
    let class_at = question("a.example", 1).len() - 1;
    assert_eq!(class_at, 26);
    let cases = [
        (changed(|message| message[2] = 0x11), rcode::NOTIMP),
        (changed(|message| message[5] = 2), rcode::FORMERR),
        (changed(|message| message[5] = 0), rcode::FORMERR),
        (changed(|message| message.truncate(20)), rcode::FORMERR),
        (changed(|message| message[11] = 1), rcode::FORMERR),
        (changed(|message| message[26] = 3), rcode::REFUSED),
        (changed(|message| message[2] = 0), rcode::REFUSED),
        (of_kind("a.example", 1, 252), rcode::NOTIMP),
        (of_kind("a.example", 1, 251), rcode::NOTIMP),
    ];
    for (message, outcome) in cases {
        let mut rig = Rig::new();
        let answer = rig.ask(client(2, 4_000), &message).unwrap();
        assert_eq!(Header::read(&answer).unwrap().rcode(), outcome, "{message:02x?}");
        assert_eq!(rig.resolver.counters(0).refused, 1);
    }
}

#[test]
fn refuses_another_version_of_the_extension() {
    let mut message = extended(question("a.example", 1), 1_232, false);
    let version = message.len() - 5;
    message[version] = 1;

    let answer = Rig::new().ask(client(2, 4_000), &message).unwrap();

    // BADVERS is 16: the upper part of the outcome stands in the extension record
    assert_eq!(answer[answer.len() - 6..answer.len() - 4], [1, 0]);
    assert_eq!(Header::read(&answer).unwrap().rcode(), 0);
}

#[test]
fn cuts_an_answer_that_a_datagram_does_not_hold_and_gives_it_whole_by_a_stream() {
    let content = [7; 100];
    let answers = [(300, &content[..]); 8];
    let says = Says { answers: &answers, ..ADDRESS };
    let mut rig = Rig::new();
    let cut = rig.resolve(&question("a.example", 1), &says);
    let header = Header::read(&cut).unwrap();
    assert!(header.has(flag::TC) && header.counts[1] == 0 && cut.len() <= 512);

    let narrow = rig.ask(client(2, 4_001), &extended(question("a.example", 1), 800, false)).unwrap();
    let wide = rig.ask(client(2, 4_001), &extended(question("a.example", 1), 4_096, false)).unwrap();
    let stream = rig.ask(Asker { stream: Some(1), ..client(2, 4_001) }, &question("a.example", 1)).unwrap();

    assert!(Header::read(&narrow).unwrap().has(flag::TC));
    for whole in [wide, stream] {
        assert_eq!(Header::read(&whole).unwrap().counts[1], 8);
        assert!(!Header::read(&whole).unwrap().has(flag::TC));
    }
}

#[test]
fn sends_no_datagram_that_is_larger_than_every_way_carries() {
    let content = [7; 300];
    let answers = [(300, &content[..]); 4];
    let mut rig = Rig::new();

    let answer =
        rig.resolve(&extended(question("a.example", 1), 65_535, false), &Says { answers: &answers, ..ADDRESS });

    assert!(Header::read(&answer).unwrap().has(flag::TC) && answer.len() < 1_232);
}

#[test]
fn answers_with_an_extension_record_who_sends_one_and_nobody_else() {
    let mut rig = Rig::new();
    let plain = rig.resolve(&question("a.example", 1), &ADDRESS);
    let answer = rig.ask(client(2, 4_001), &extended(question("a.example", 1), 1_232, false)).unwrap();

    assert_eq!(Header::read(&plain).unwrap().counts, [1, 1, 0, 0]);
    assert_eq!(Header::read(&answer).unwrap().counts, [1, 1, 0, 1]);
}

#[test]
fn says_that_an_answer_is_authentic_only_to_who_asks_for_it() {
    let says = Says { flags: flag::AD, ..ADDRESS };
    let is_authentic = |answer: &[u8]| Header::read(answer).unwrap().has(flag::AD);
    let mut rig = Rig::new();
    assert!(!is_authentic(&rig.resolve(&question("a.example", 1), &says)));

    let mut asking = question("a.example", 1);
    asking[3] |= 0x20;
    assert!(is_authentic(&rig.ask(client(2, 4_001), &asking).unwrap()));
    let signed = extended(question("b.example", 1), 1_232, true);
    assert!(is_authentic(&rig.resolve(&signed, &says)));
}

#[test]
fn does_not_ask_for_names_that_a_list_blocks() {
    let mut list = Blocklist::new(7);
    list.add("ads.example\n");
    let mut rig = Rig::new();
    rig.resolver.block(0, Arc::new(list));

    let blocked = rig.ask(client(2, 4_000), &extended(question("x.ADS.example", 1), 1_232, false)).unwrap();
    rig.forwarded(&question("example", 1));

    assert_eq!(read(&blocked).0, rcode::NXDOMAIN);
    // RFC 8914: option 15, two bytes, 15 for "blocked"
    assert_eq!(blocked[blocked.len() - 6..], [0, 15, 0, 2, 0, 15]);
    assert_eq!(rig.resolver.counters(0).blocked, 1);
    assert_eq!(rig.resolver.most_blocked().collect::<Vec<_>>(), [("x.ads.example".to_owned(), 1)]);
}
