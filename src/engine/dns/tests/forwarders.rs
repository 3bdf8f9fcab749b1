//! Whom the resolver asks, whom it believes, and what it does where nobody answers.

use std::time::Duration;

use crate::engine::dns::testing::{ADDRESS, Rig, Says, client, question, read, reply};
use crate::engine::dns::{Ask, Bounds, Transport};
use crate::engine::wire::dns::{Question, flag, rcode};

const FAILS: Says<'static> = Says { outcome: rcode::SERVFAIL, flags: 0, answers: &[], soa: None };

fn forwarder(ask: &Ask) -> String {
    ask.forwarder.to_string()
}

#[test]
fn asks_once_for_all_who_ask_the_same_and_answers_each_in_its_own_words() {
    let mut rig = Rig::new();
    let ask = rig.forwarded(&question("a.example", 1));
    for host in 3..20 {
        assert_eq!(rig.ask(client(host, 4_000), &question("A.example", host.into())), None);
    }
    assert_eq!(rig.resolver.poll_ask(), None);

    rig.reply(&ask, &ADDRESS);

    let answers: Vec<_> = std::iter::from_fn(|| rig.resolver.poll_answer()).collect();
    assert_eq!(answers.len(), 18);
    for (asker, answer) in &answers[1..] {
        let id = u16::from_be_bytes([answer[0], answer[1]]);
        assert_eq!(client(u8::try_from(id).unwrap(), 4_000), *asker);
        assert_eq!(Question::read(answer).unwrap().name, b"\x01A\x07example\0");
    }
}

#[test]
fn takes_a_question_that_is_sent_again_for_the_same() {
    let mut rig = Rig::new();
    let ask = rig.forwarded(&question("a.example", 1));
    rig.ask(client(2, 4_000), &question("a.example", 1));

    rig.reply(&ask, &ADDRESS);

    rig.answer();
}

#[test]
fn asks_with_a_letter_case_and_a_number_that_differ_each_time() {
    let mut asked = std::collections::BTreeSet::new();
    let mut numbers = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let ask = Rig::new().forwarded(&question("abcdefghijklmnop.example", 1));
        let question = Question::read(&ask.message).unwrap();
        assert!(question.name.eq_ignore_ascii_case(b"\x10abcdefghijklmnop\x07example\0"));
        asked.insert(question.name.to_vec());
        numbers.insert([ask.message[0], ask.message[1]]);
    }
    assert!(asked.len() > 60 && numbers.len() > 60, "{} {}", asked.len(), numbers.len());
}

#[test]
fn believes_no_answer_to_another_question() {
    let mut rig = Rig::new();
    let ask = rig.forwarded(&question("a.example", 1));
    let honest = reply(&ask.message, &ADDRESS);
    let type_at = Question::read(&honest).unwrap().end() - 3;
    let lie = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut lie = honest.clone();
        change(&mut lie);
        lie
    };
    let lies = [
        lie(&|lie| lie[1] ^= 1),
        lie(&|lie| lie[2] &= 0x7f),
        lie(&|lie| lie[13] = b'x'),
        lie(&|lie| lie[type_at] = 28),
        lie(&|lie| lie[5] = 0),
        lie(&|lie| lie.truncate(11)),
    ];

    for lie in &lies {
        rig.resolver.handle_reply(ask.ticket, lie, rig.now);
        assert_eq!(rig.resolver.poll_answer(), None, "{lie:02x?}");
    }
    assert_eq!(rig.resolver.forged(), 6);
    rig.reply(&ask, &ADDRESS);
    rig.answer();
}

#[test]
fn asks_again_by_a_connection_where_the_letter_case_is_another() {
    let mut rig = Rig::new();
    let ask = rig.forwarded(&question("abcdefgh.example", 1));
    let mut doubtful = reply(&ask.message, &ADDRESS);
    doubtful[13] ^= 0x20;

    rig.resolver.handle_reply(ask.ticket, &doubtful, rig.now);

    assert_eq!(rig.resolver.poll_answer(), None);
    assert_eq!(rig.resolver.remembered().0, 0);
    let again = rig.resolver.poll_ask().unwrap();
    assert_eq!((again.transport, &again.forwarder), (Transport::Tcp, &ask.forwarder));
    rig.reply(&again, &ADDRESS);
    assert_eq!(read(&rig.answer()).0, 0);
}

#[test]
fn asks_again_by_a_connection_for_what_no_datagram_holds() {
    let mut rig = Rig::new();
    let ask = rig.forwarded(&question("a.example", 1));
    rig.reply(&ask, &Says { flags: flag::TC, answers: &[], ..ADDRESS });

    let again = rig.resolver.poll_ask().unwrap();
    rig.reply(&again, &ADDRESS);

    assert_eq!((ask.transport, again.transport), (Transport::Udp, Transport::Tcp));
    assert_eq!(read(&rig.answer()), (0, vec![300]));
}

#[test]
fn takes_nothing_twice_and_nothing_after_the_end() {
    let mut rig = Rig::new();
    let ask = rig.forwarded(&question("a.example", 1));
    rig.reply(&ask, &ADDRESS);
    rig.answer();
    // the place is another question's by now
    let other = rig.forwarded(&question("b.example", 1));

    rig.reply(&ask, &ADDRESS);
    rig.resolver.handle_failure(ask.ticket, rig.now);

    assert_eq!(rig.resolver.poll_answer(), None);
    rig.reply(&other, &ADDRESS);
    rig.answer();
}

#[test]
fn asks_the_other_forwarder_soon_where_the_first_is_silent_and_then_leaves_the_first_alone() {
    let mut rig = Rig::new();
    for name in ["a.example", "b.example"] {
        let first = rig.forwarded(&question(name, 1));
        rig.pass(Duration::from_millis(399));
        assert_eq!(rig.resolver.poll_ask(), None);
        rig.pass(Duration::from_millis(1));
        let second = rig.resolver.poll_ask().unwrap();
        assert_eq!([forwarder(&first), forwarder(&second)], ["192.0.2.53", "198.51.100.53"]);
        rig.reply(&second, &ADDRESS);
        rig.answer();
    }

    let third = rig.forwarded(&question("c.example", 1));

    assert_eq!(forwarder(&third), "198.51.100.53");
}

#[test]
fn asks_the_other_forwarder_at_once_where_the_first_cannot_help() {
    let mut rig = Rig::new();
    let first = rig.forwarded(&question("a.example", 1));
    rig.reply(&first, &FAILS);
    let second = rig.resolver.poll_ask().unwrap();
    rig.reply(&second, &ADDRESS);
    assert_eq!((forwarder(&second).as_str(), read(&rig.answer()).0), ("198.51.100.53", 0));

    let first = rig.forwarded(&question("b.example", 1));
    rig.resolver.handle_failure(first.ticket, rig.now);
    let second = rig.resolver.poll_ask().unwrap();
    assert_eq!(forwarder(&second), "198.51.100.53");
}

#[test]
fn takes_the_answer_of_whoever_is_first() {
    let mut rig = Rig::new();
    let first = rig.forwarded(&question("a.example", 1));
    rig.pass(Duration::from_millis(400));
    rig.resolver.poll_ask().unwrap();

    rig.reply(&first, &ADDRESS);

    assert_eq!(read(&rig.answer()), (0, vec![300]));
}

#[test]
fn fails_where_nobody_helps_and_remembers_it_for_a_moment() {
    let mut rig = Rig::new();
    for outcome in [rcode::SERVFAIL, rcode::REFUSED] {
        let first = rig.forwarded(&question("a.example", 1));
        rig.reply(&first, &Says { outcome, ..FAILS });
        let second = rig.resolver.poll_ask().unwrap();
        rig.reply(&second, &Says { outcome, ..FAILS });
        assert_eq!(read(&rig.answer()).0, outcome);

        let again = rig.ask(client(3, 4_000), &question("a.example", 1)).unwrap();
        assert_eq!(read(&again).0, outcome);
        assert_eq!(rig.resolver.poll_ask(), None);
        rig.pass(Duration::from_secs(5));
    }
}

#[test]
fn gives_up_after_four_seconds_and_four_questions() {
    let mut rig = Rig::new();
    let mut asks = vec![rig.forwarded(&question("a.example", 1))];
    for _ in 0..399 {
        rig.pass(Duration::from_millis(10));
        asks.extend(std::iter::from_fn(|| rig.resolver.poll_ask()));
        assert_eq!(rig.resolver.poll_answer(), None);
    }
    rig.pass(Duration::from_millis(10));

    assert_eq!(read(&rig.answer()).0, rcode::SERVFAIL);
    assert_eq!(asks.len(), 4);
    assert_eq!(rig.resolver.poll_deadline(), None);
}

#[test]
fn asks_over_tls_in_padded_messages_and_only_once() {
    let bounds = Bounds { entries: 10, bytes: 10_000 };
    let mut rig = Rig::with(bounds, &["tls://192.0.2.53#dns.example"]);
    let ask = rig.forwarded(&question("a.example", 1));

    rig.pass(Duration::from_secs(3));

    assert_eq!((ask.transport, ask.message.len() % 128), (Transport::Tls, 0));
    assert_eq!(rig.resolver.poll_ask(), None);
    rig.reply(&ask, &ADDRESS);
    assert_eq!(read(&rig.answer()), (0, vec![300]));
}

#[test]
fn lets_no_client_fill_what_others_wait_in() {
    let mut rig = Rig::new();
    let refused = |rig: &mut Rig, host: u8, number: u32| {
        let answer = rig.ask(client(host, 4_000), &question(&format!("n{number}-{host}.example"), 1));
        answer.is_some_and(|answer| read(&answer).0 == rcode::SERVFAIL)
    };
    let of_one = (0..1_000).filter(|number| !refused(&mut rig, 2, *number)).count();
    assert_eq!(of_one, 256);
    let of_others: usize =
        (3..40).map(|host| (0..256).filter(|number| !refused(&mut rig, host, *number)).count()).sum();
    assert_eq!(of_one + of_others, 1_024);

    rig.pass(Duration::from_secs(4));
    while rig.resolver.poll_answer().is_some() {}

    assert!(!refused(&mut rig, 2, 2_000));
}
