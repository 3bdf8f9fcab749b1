//! What is remembered, for how long, and how much of it.

use std::time::Duration;

use crate::engine::dns::Bounds;
use crate::engine::dns::testing::{ADDRESS, Rig, Says, client, of_kind, question, read};
use crate::engine::wire::dns::rcode;

const ABSENT: Says<'static> = Says { outcome: rcode::NXDOMAIN, flags: 0, answers: &[], soa: Some((900, 60)) };
const NOTHING: Says<'static> = Says { outcome: rcode::NOERROR, flags: 0, answers: &[], soa: Some((40, 3_600)) };

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn answers_again_from_memory_with_what_is_left_of_the_time_to_live() {
    let mut rig = Rig::new();
    assert_eq!(read(&rig.resolve(&question("a.example", 1), &ADDRESS)), (0, vec![300]));

    rig.pass(seconds(100));
    let again = rig.ask(client(3, 5_000), &question("A.Example", 7)).unwrap();

    assert_eq!(read(&again), (0, vec![200]));
    assert_eq!(again[..2], [0, 7]);
    assert_eq!(&again[12..], [&question("A.Example", 7)[12..], &again[12 + 15..]].concat());
    assert_eq!(rig.resolver.counters(0).cached, 1);
}

#[test]
fn forgets_when_the_time_to_live_is_over() {
    let mut rig = Rig::new();
    rig.resolve(&question("a.example", 1), &ADDRESS);

    rig.pass(seconds(299));
    assert!(rig.ask(client(3, 5_000), &question("a.example", 1)).is_some());
    rig.pass(seconds(1));
    assert!(rig.ask(client(3, 5_000), &question("a.example", 1)).is_none());
}

#[test]
fn believes_nothing_for_longer_than_the_operator_lets_it() {
    let mut rig = Rig::new();
    let settings = crate::engine::dns::Settings { longest: 30, ..rig.resolver.settings.clone() };
    rig.resolver.apply(settings, rig.now);
    assert_eq!(read(&rig.resolve(&question("a.example", 1), &ADDRESS)), (0, vec![30]));
    rig.resolve(&question("b.example", 1), &ABSENT);

    rig.pass(seconds(29));
    let known = rig.ask(client(3, 5_000), &question("a.example", 1)).unwrap();
    assert_eq!(read(&known), (0, vec![1]));
    rig.pass(seconds(1));
    for name in ["a.example", "b.example"] {
        assert!(rig.ask(client(3, 5_000), &question(name, 1)).is_none(), "{name}");
    }
}

#[test]
fn remembers_that_something_is_not_there_as_long_as_its_zone_says() {
    for (says, lives) in [(ABSENT, 60), (NOTHING, 40)] {
        let mut rig = Rig::new();
        let answer = rig.resolve(&question("no.example", 1), &says);
        assert_eq!(read(&answer).0, says.outcome);

        rig.pass(seconds(lives - 1));
        let again = rig.ask(client(3, 5_000), &question("no.example", 1)).unwrap();
        assert_eq!(read(&again).0, says.outcome);
        rig.pass(seconds(1));
        assert!(rig.ask(client(3, 5_000), &question("no.example", 1)).is_none());
    }
}

#[test]
fn does_not_remember_what_no_zone_vouches_for() {
    for says in [Says { soa: None, ..ABSENT }, Says { soa: None, ..NOTHING }] {
        let mut rig = Rig::new();
        rig.resolve(&question("no.example", 1), &says);

        assert_eq!(rig.resolver.remembered().0, 0);
    }
}

#[test]
fn does_not_remember_what_is_not_to_be_remembered() {
    let mut rig = Rig::new();
    for ttl in [0, 1 << 31] {
        rig.resolve(&question("a.example", 1), &Says { answers: &[(ttl, &[192, 0, 2, 1])], ..ADDRESS });
        assert_eq!(rig.resolver.remembered().0, 0, "{ttl}");
    }
}

#[test]
fn remembers_types_and_the_wish_for_signatures_apart() {
    let mut rig = Rig::new();
    rig.resolve(&question("a.example", 1), &ADDRESS);

    let signed = crate::engine::dns::testing::extended(question("a.example", 1), 1_232, true);
    for other in [of_kind("a.example", 1, 28), of_kind("a.example", 1, 65), signed] {
        assert!(rig.ask(client(3, 5_000), &other).is_none());
    }
}

#[test]
fn gives_what_is_too_old_where_the_forwarders_are_silent_and_leaves_them_alone_for_a_while() {
    let mut rig = Rig::new();
    rig.resolve(&question("a.example", 1), &ADDRESS);
    rig.pass(seconds(400));

    assert!(rig.ask(client(3, 5_000), &question("a.example", 1)).is_none());
    rig.pass(Duration::from_millis(1_799));
    assert_eq!(rig.resolver.poll_answer(), None);
    rig.pass(Duration::from_millis(1));
    assert_eq!(read(&rig.answer()), (0, vec![30]));

    let again = rig.ask(client(3, 5_001), &question("a.example", 2)).unwrap();
    assert_eq!(read(&again), (0, vec![30]));
    assert_eq!(rig.resolver.counters(0).stale, 2);
    // the forwarders are given up only now
    rig.pass(seconds(3));
    rig.pass(seconds(31));
    assert!(rig.ask(client(3, 5_002), &question("a.example", 3)).is_none());
}

#[test]
fn replaces_what_is_too_old_by_what_comes_late() {
    let mut rig = Rig::new();
    rig.resolve(&question("a.example", 1), &ADDRESS);
    rig.pass(seconds(400));
    let ask = rig.forwarded(&question("a.example", 1));
    rig.pass(seconds(2));
    assert_eq!(read(&rig.answer()), (0, vec![30]));

    rig.reply(&ask, &ADDRESS);

    let fresh = rig.ask(client(3, 5_000), &question("a.example", 1)).unwrap();
    assert_eq!(read(&fresh), (0, vec![300]));
}

#[test]
fn throws_away_what_is_older_than_a_day() {
    let mut rig = Rig::new();
    rig.resolve(&question("a.example", 1), &ADDRESS);

    rig.pass(seconds(86_400 + 301));
    rig.forwarded(&question("a.example", 1));
    rig.pass(seconds(5));

    assert_eq!(read(&rig.answer()).0, rcode::SERVFAIL);
}

#[test]
fn stays_within_its_bounds_under_a_flood_of_names_and_keeps_what_is_used() {
    let bounds = Bounds { entries: 500, bytes: 100_000 };
    let mut rig = Rig::with(bounds, &["192.0.2.53"]);
    rig.resolve(&question("used.example", 1), &ADDRESS);
    rig.ask(client(3, 5_000), &question("used.example", 1)).unwrap();

    for number in 0..20_000 {
        let says = if number % 2 == 0 { ADDRESS } else { ABSENT };
        rig.resolve(&question(&format!("n{number}.flood.example"), 1), &says);
        let (entries, bytes) = rig.resolver.remembered();
        assert!(entries <= bounds.entries && bytes <= bounds.bytes, "{entries} entries, {bytes} bytes");
    }

    assert!(rig.resolver.remembered().0 > 200);
    assert!(rig.ask(client(3, 5_000), &question("used.example", 1)).is_some());
}

#[test]
fn counts_the_bytes_that_it_has() {
    let mut rig = Rig::new();
    for number in 0..50 {
        rig.resolve(&question(&format!("n{number}.example"), 1), &ADDRESS);
    }
    let (entries, bytes) = rig.resolver.remembered();
    assert_eq!(entries, 50);
    assert!((50 * 200..50 * 300).contains(&bytes), "{bytes}");

    rig.pass(seconds(86_400 + 400));
    for number in 0..50 {
        rig.forwarded(&question(&format!("n{number}.example"), 1));
    }
    assert_eq!(rig.resolver.remembered(), (0, 0));
}

#[test]
fn forgets_everything_with_other_forwarders_or_when_it_is_switched_off() {
    let mut rig = Rig::new();
    for change in [0, 1] {
        rig.resolve(&question("a.example", 1), &ADDRESS);
        let mut settings = rig.resolver.settings.clone();
        match change {
            0 => settings.forwarders.truncate(1),
            _ => settings.enabled = false,
        }

        rig.resolver.apply(settings, rig.now);

        assert_eq!(rig.resolver.remembered(), (0, 0));
    }
    assert!(rig.ask(client(3, 5_000), &question("a.example", 1)).is_none());
    assert_eq!(rig.resolver.poll_ask(), None);
}
