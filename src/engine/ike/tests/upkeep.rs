//! What happens to a connection that stands: successors from either side, at once too, ends, silence and new addresses.

use std::time::Duration;

use super::client::{Client, Habits, path};
use super::rig::{Rig, habits, settings};
use crate::engine::esp::suite::{Encryption, Suite};
use crate::engine::ike::crypto::group::{Group, Half};
use crate::engine::ike::event::{Datagram, Event, Why};
use crate::engine::ike::message::contents::Contents;
use crate::engine::ike::message::header::{Exchange, Header, Spis};
use crate::engine::ike::message::kind;
use crate::engine::ike::message::notify::{Delete, number};
use crate::engine::ike::message::selector::Selector;
use crate::engine::ike::message::writer::Writer;
use crate::engine::ike::proposal::{EspSuite, choice, names};
use crate::engine::ike::sealed::Opened;
use crate::engine::ike::settings::{Lifetimes, Settings};

fn contents(opened: &Opened) -> Contents<'_> {
    Contents::parse(opened.first, &opened.chain).unwrap()
}

fn pfs() -> Habits {
    let protection = Suite::aead(Encryption::Aes256Gcm);
    Habits { esp: EspSuite { protection, group: Some(Group::Ecp384), extended: false }, ..habits() }
}

/// A request for a child's successor by the client; its nonce and half.
fn rekey_child(client: &mut Client, suite: EspSuite, nonce: u8, spi: u32) -> (Writer, Vec<u8>, Option<Half>) {
    let old = client.esp_spi.to_be_bytes();
    client.esp_spi = spi;
    let nonce = vec![nonce; 32];
    let half = suite.group.map(|group| Half::draw(group, &mut client.dice).unwrap());
    let mut content = Writer::default();
    content.notify_of(3, &old, number::REKEY_SA, &[]).sa(&[choice::esp_proposal(suite, 2, spi)]).nonce(&nonce);
    if let Some(half) = &half {
        content.ke(names::group_number(half.group()), half.public());
    }
    let all = [Selector::all_ipv4(), Selector::all_ipv6()];
    content.selectors(kind::TSI, &all).selectors(kind::TSR, &all);
    (content, nonce, half)
}

#[test]
fn lets_the_client_have_a_childs_successor_with_and_without_a_group() {
    for group in [Some(Group::Ecp384), None] {
        let mut rig = Rig::new(settings());
        let mut client = rig.connected(pfs(), 1);
        let (old_ours, old_theirs) = (rig.tunnel().inbound.spi, client.esp_spi);
        let suite = EspSuite { group, ..client.habits.esp };

        let (content, nonce, half) = rekey_child(&mut client, suite, 9, 0x1234_5678);
        let (_, opened) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
        let said = contents(&opened);
        let shared = half.map(|half| half.agree(said.ke.unwrap().1).unwrap().to_vec()).unwrap_or_default();
        client.take_child(&said, &shared, [&nonce, said.nonce.unwrap()], true);

        assert_eq!((said.sa.as_ref().unwrap()[0].number, said.ke.is_some()), (2, group.is_some()));
        assert_eq!((rig.tunnel().replaces, rig.tunnel().confirmed), (Some(old_ours), false));
        assert!(rig.passes(&mut client), "{group:?}");

        let mut end = Writer::default();
        end.delete_esp(&[old_theirs]);
        let (_, opened) = rig.ask(&mut client, Exchange::Informational, &end).unwrap();
        assert_eq!(contents(&opened).deletes, [Delete::Esp(vec![old_ours])]);
        // packets may still be under way for a while
        assert!(!rig.events.iter().any(|event| matches!(event, Event::Shut { .. })));
        rig.wait(Duration::from_secs(5));
        assert!(rig.events.iter().any(|event| matches!(event, Event::Shut { inbound, .. } if *inbound == old_ours)));
    }
}

/// As `MikroTik` asks for an address again, and Windows says in private what went wrong.
#[test]
fn takes_a_request_for_a_successor_with_what_does_not_belong_in_it() {
    let mut rig = Rig::new(settings());
    let mut client = rig.connected(pfs(), 17);
    let suite = client.habits.esp;
    let (mut content, ..) = rekey_child(&mut client, suite, 9, 0x1234_5678);
    content.configuration(1, &[(1, vec![]), (3, vec![])]).notify(12_345, &[0, 0, 0x36, 0x27]);

    let (_, opened) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();

    let said = contents(&opened);
    assert_eq!((said.error(), said.configuration.is_some()), (None, false));
    assert_eq!(rig.tunnel().outbound.spi, 0x1234_5678);
}

#[test]
fn takes_late_packets_of_a_connection_that_the_client_has_followed_by_another() {
    for followed in [true, false] {
        let mut rig = Rig::new(settings());
        let mut client = rig.connected(habits(), 18);
        let old = rig.tunnel().inbound.spi;
        if followed {
            rig.connected(habits(), 19);
        }

        let (_, gone) = rig.ask(&mut client, Exchange::Informational, Writer::default().delete_ike()).unwrap();

        assert!(gone.chain.is_empty());
        let is_retired = |event: &Event| matches!(event, Event::Retired { inbound, .. } if *inbound == old);
        assert_eq!((rig.events.iter().any(is_retired), rig.closed().is_empty()), (followed, followed));
        rig.wait(Duration::from_secs(5));
        assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Peer]);
        assert_eq!(rig.responder.connections().1, usize::from(followed));
    }
}

#[test]
fn refuses_what_it_cannot_renew() {
    let mut rig = Rig::new(settings());
    let mut client = rig.connected(pfs(), 2);
    let suite = client.habits.esp;

    client.esp_spi ^= 1;
    let (content, ..) = rekey_child(&mut client, suite, 9, 0x1234_5678);
    let (_, opened) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
    assert_eq!(contents(&opened).error(), Some(number::CHILD_SA_NOT_FOUND));

    client.esp_spi = rig.tunnel().outbound.spi;
    let other = EspSuite { group: Some(Group::Modp4096), ..suite };
    let (content, ..) = rekey_child(&mut client, other, 9, 0x1234_5678);
    let (_, opened) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
    assert_eq!(contents(&opened).error(), Some(number::NO_PROPOSAL_CHOSEN));
}

/// A request for the association's successor by the client.
fn rekey_ike(client: &mut Client, nonce: u8, spi: u64) -> (Writer, Vec<u8>, Half) {
    let (half, nonce) = (client.half(), vec![nonce; 32]);
    let mut content = Writer::default();
    content.sa(&[choice::ike_proposal(client.habits.ike, 3, &spi.to_be_bytes())]).nonce(&nonce);
    content.ke(names::group_number(half.group()), half.public());
    (content, nonce, half)
}

fn spi64(contents: &Contents<'_>) -> u64 {
    u64::from_be_bytes(contents.sa.as_ref().unwrap()[0].spi[..].try_into().unwrap())
}

#[test]
fn lets_the_client_have_the_associations_successor() {
    let mut rig = Rig::new(settings());
    let mut client = rig.connected(habits(), 3);
    let (content, nonce, half) = rekey_ike(&mut client, 9, 77);
    let (_, opened) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
    let said = contents(&opened);
    let mut end = Writer::default();
    let (_, gone) = rig.ask(&mut client, Exchange::Informational, end.delete_ike()).unwrap();

    let shared = half.agree(said.ke.unwrap().1).unwrap();
    let spis = Spis { initiator: 77, responder: spi64(&said) };
    client.take_successor(spis, [&nonce, said.nonce.unwrap()], &shared, true);
    let (_, alive) = rig.ask(&mut client, Exchange::Informational, &Writer::default()).unwrap();

    assert!(gone.chain.is_empty() && alive.chain.is_empty());
    assert_eq!((rig.closed(), rig.responder.connections()), (vec![], (0, 1)));
    // children have moved over
    let (content, ..) = rekey_child(&mut client, pfs_without_group(&habits()), 9, 0x1234_5678);
    let (_, opened) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
    assert_eq!(contents(&opened).error(), None);
}

fn pfs_without_group(habits: &Habits) -> EspSuite {
    EspSuite { group: None, ..habits.esp }
}

fn lives(ike: u64, child: u64) -> Settings {
    let (ike, child) = (Duration::from_secs(ike), Duration::from_secs(child));
    let margin = Duration::from_secs(10);
    let lifetimes = Lifetimes { ike, child, margin, fuzz_percent: 0, reauthenticate: false };
    Settings { lifetimes: Some(lifetimes), ..settings() }
}

/// The server's request among what it sent.
fn asked(rig: &Rig, client: &mut Client, sent: &[Datagram]) -> (Header, Opened) {
    let (header, opened) = rig.opened(client, sent).unwrap();
    assert!(!header.response);
    (header, opened)
}

/// Answers the server's request for a child's successor.
fn grant_child(client: &mut Client, said: &Contents<'_>, spi: u32, nonce: u8) -> (Writer, Vec<u8>, Vec<u8>) {
    let nonce = vec![nonce; 32];
    client.esp_spi = spi;
    let mut content = Writer::default();
    let group = said.ke.map(|_| Group::Ecp384);
    content.sa(&[choice::esp_proposal(EspSuite { group, ..client.habits.esp }, 1, spi)]).nonce(&nonce);
    let mut shared = Vec::new();
    if let Some((number, public)) = said.ke {
        let half = Half::draw(Group::Ecp384, &mut client.dice).unwrap();
        shared = half.agree(public).unwrap().to_vec();
        content.ke(number, half.public());
    }
    content.selectors(kind::TSI, said.tsi.as_ref().unwrap()).selectors(kind::TSR, said.tsr.as_ref().unwrap());
    (content, nonce, shared)
}

#[test]
fn asks_for_a_childs_successor_before_its_end_and_ends_the_old_one() {
    let mut rig = Rig::new(lives(10_000, 100));
    let mut client = rig.connected(pfs(), 4);
    let old = rig.tunnel().inbound.spi;
    assert_eq!(rig.wait(Duration::from_secs(89)), []);

    let sent = rig.wait(Duration::from_secs(1));
    let (header, opened) = asked(&rig, &mut client, &sent);
    let said = contents(&opened);
    let named = said.notify(number::REKEY_SA).unwrap().spi;
    let (content, nonce, shared) = grant_child(&mut client, &said, 0x1111_2222, 9);
    let answer = client.answer(Exchange::CreateChildSa, header.id, &content);
    let sent = rig.say(client.path, &answer);
    client.take_child(&said, &shared, [said.nonce.unwrap(), &nonce], false);

    assert_eq!((named, said.ke.is_some()), (&old.to_be_bytes()[..], true));
    assert!(rig.tunnel().confirmed && rig.passes(&mut client));
    let (header, opened) = asked(&rig, &mut client, &sent);
    assert_eq!(contents(&opened).deletes, [Delete::Esp(vec![old])]);
    let answer = client.answer(Exchange::Informational, header.id, &Writer::default());
    rig.say(client.path, &answer);
    let has = |rig: &Rig, wanted: fn(u32, &Event) -> bool| rig.events.iter().any(|event| wanted(old, event));
    let retired = |old, event: &Event| matches!(event, Event::Retired { inbound, .. } if *inbound == old);
    let shut = |old, event: &Event| matches!(event, Event::Shut { inbound, .. } if *inbound == old);
    assert!(has(&rig, retired) && !has(&rig, shut), "packets may still be under way for a while");
    rig.wait(Duration::from_secs(5));
    assert!(has(&rig, shut));
}

#[test]
fn asks_for_the_associations_successor_and_ends_the_old_one() {
    let mut rig = Rig::new(lives(100, 10_000));
    let mut client = rig.connected(habits(), 5);
    let sent = rig.wait(Duration::from_secs(90));
    let (header, opened) = asked(&rig, &mut client, &sent);
    let said = contents(&opened);
    let half = client.half();
    let shared = half.agree(said.ke.unwrap().1).unwrap();
    let mut content = Writer::default();
    content.sa(&[choice::ike_proposal(client.habits.ike, 1, &77_u64.to_be_bytes())]).nonce(&[9; 32]);
    content.ke(names::group_number(half.group()), half.public());
    let answer = client.answer(Exchange::CreateChildSa, header.id, &content);

    let sent = rig.say(client.path, &answer);

    let (header, opened) = asked(&rig, &mut client, &sent);
    assert_eq!(contents(&opened).deletes, [Delete::Ike]);
    let answer = client.answer(Exchange::Informational, header.id, &Writer::default());
    rig.say(client.path, &answer);
    client.take_successor(
        Spis { initiator: spi64(&said), responder: 77 },
        [said.nonce.unwrap(), &[9; 32]],
        &shared,
        false,
    );
    assert!(rig.ask(&mut client, Exchange::Informational, &Writer::default()).is_some());
    assert_eq!(rig.closed(), []);
}

#[test]
fn decides_a_collision_of_childrens_successors_by_the_lowest_nonce() {
    // the client's nonces are the lowest, or ours are
    for (theirs, ours_wins) in [(0x00_u8, true), (0xff, false)] {
        let mut rig = Rig::new(lives(10_000, 100));
        let mut client = rig.connected(habits(), 6);
        let old = rig.tunnel().inbound.spi;
        let sent = rig.wait(Duration::from_secs(90));
        let (header, opened) = asked(&rig, &mut client, &sent);
        let said = contents(&opened);

        // the client asked for the same before it saw our request
        let suite = client.habits.esp;
        let (content, ..) = rekey_child(&mut client, suite, theirs, 0x1111_0001);
        let (_, granted) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
        assert_eq!(contents(&granted).error(), None);
        let by_client = rig.tunnel().inbound.spi;
        let (content, ..) = grant_child(&mut client, &said, 0x1111_0002, !theirs);
        let answer = client.answer(Exchange::CreateChildSa, header.id, &content);
        let sent = rig.say(client.path, &answer);
        let by_us = rig.tunnel().inbound.spi;

        let (_, opened) = asked(&rig, &mut client, &sent);
        let gone = if ours_wins { old } else { by_us };
        assert!(by_client != by_us && by_us != old);
        assert_eq!(contents(&opened).deletes, [Delete::Esp(vec![gone])], "{ours_wins}");
    }
}

#[test]
fn decides_a_collision_of_associations_by_the_lowest_nonce() {
    for (theirs, ours_wins) in [(0x00_u8, true), (0xff, false)] {
        let mut rig = Rig::new(lives(100, 10_000));
        let mut client = rig.connected(habits(), 7);
        let sent = rig.wait(Duration::from_secs(90));
        let (header, opened) = asked(&rig, &mut client, &sent);
        let said = contents(&opened);
        let (content, ..) = rekey_ike(&mut client, theirs, 77);
        let (_, granted) = rig.ask(&mut client, Exchange::CreateChildSa, &content).unwrap();
        let granted = contents(&granted);
        assert_eq!(granted.error(), None);
        let own = client.half();
        let mut content = Writer::default();
        content.sa(&[choice::ike_proposal(client.habits.ike, 1, &78_u64.to_be_bytes())]).nonce(&[!theirs; 32]);
        content.ke(names::group_number(own.group()), own.public());
        let answer = client.answer(Exchange::CreateChildSa, header.id, &content);

        let sent = rig.say(client.path, &answer);

        if ours_wins {
            // the old association is ours to end
            let (_, opened) = asked(&rig, &mut client, &sent);
            assert_eq!(contents(&opened).deletes, [Delete::Ike]);
        } else {
            let shared = own.agree(said.ke.unwrap().1).unwrap();
            let spis = Spis { initiator: spi64(&said), responder: 78 };
            client.take_successor(spis, [said.nonce.unwrap(), &[!theirs; 32]], &shared, false);
            let (header, opened) = asked(&rig, &mut client, &sent);
            assert_eq!(contents(&opened).deletes, [Delete::Ike]);
            let answer = client.answer(Exchange::Informational, header.id, &Writer::default());
            rig.say(client.path, &answer);
        }
        assert_eq!(rig.closed(), []);
    }
}

#[test]
fn asks_a_silent_client_whether_it_is_there_and_gives_up_in_the_end() {
    let mut rig = Rig::new(Settings { probe_after: Some(Duration::from_secs(30)), ..settings() });
    let mut client = rig.connected(habits(), 8);
    let sent = rig.wait(Duration::from_secs(30));
    let (header, opened) = asked(&rig, &mut client, &sent);
    assert!(opened.chain.is_empty());
    let answer = client.answer(Exchange::Informational, header.id, &Writer::default());
    assert_eq!(rig.say(client.path, &answer), []);

    let before = rig.now;
    let sent = rig.wait(Duration::from_secs(500));

    assert_eq!(sent.len(), 6, "one request and five more tries");
    assert!(sent.iter().all(|datagram| *datagram == sent[0]));
    assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Silent]);
    assert_eq!((rig.now - before).as_secs(), 500);
    assert_eq!(rig.responder.connections(), (0, 0));
}

#[test]
fn probes_nobody_whose_packets_come_and_gives_up_as_early_as_it_is_told() {
    let give_up_after = Some(Duration::from_secs(20));
    let probing = Settings { probe_after: Some(Duration::from_secs(30)), give_up_after, ..settings() };
    let mut rig = Rig::new(probing);
    let client = rig.connected(habits(), 9);
    for _ in 0..5 {
        rig.responder.handle_traffic(rig.tunnel().inbound.spi, Some(client.path), rig.now);
        assert_eq!(rig.wait(Duration::from_secs(29)), []);
    }

    rig.wait(Duration::from_secs(1 + 19));
    assert_eq!(rig.closed(), []);
    rig.wait(Duration::from_secs(1));

    assert_eq!(rig.closed().len(), 1);
}

#[test]
fn ends_a_connection_by_which_nothing_travels() {
    let mut rig = Rig::new(Settings { idle: Some(Duration::from_mins(1)), ..settings() });
    let mut client = rig.connected(habits(), 10);
    rig.wait(Duration::from_secs(50));
    rig.responder.handle_traffic(rig.tunnel().inbound.spi, None, rig.now);
    assert_eq!(rig.wait(Duration::from_secs(59)), []);

    let sent = rig.wait(Duration::from_secs(1));

    let (_, opened) = asked(&rig, &mut client, &sent);
    assert_eq!(contents(&opened).deletes, [Delete::Ike]);
    assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Idle]);
}

#[test]
fn ends_what_lives_too_long() {
    let mut reauthenticating = lives(100, 10_000);
    reauthenticating.lifetimes.as_mut().unwrap().reauthenticate = true;
    let mut rig = Rig::new(reauthenticating);
    rig.connected(habits(), 11);

    assert_eq!(rig.wait(Duration::from_secs(99)), []);
    rig.wait(Duration::from_secs(1));

    assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Expired]);
}

#[test]
fn ends_nothing_by_itself_without_lives() {
    let mut rig = Rig::new(settings());
    rig.connected(habits(), 12);

    assert_eq!((rig.wait(Duration::from_secs(1_000_000)), rig.closed()), (vec![], vec![]));
}

#[test]
fn takes_the_clients_goodbye() {
    let mut rig = Rig::new(settings());
    let mut client = rig.connected(habits(), 13);
    let mut end = Writer::default();

    let (_, opened) = rig.ask(&mut client, Exchange::Informational, end.delete_ike()).unwrap();

    assert!(opened.chain.is_empty());
    assert_eq!(rig.closed().iter().map(|closed| closed.1).collect::<Vec<_>>(), [Why::Peer]);
    assert_eq!((rig.responder.connections(), rig.responder.poll_deadline()), ((0, 0), None));
}

fn moved(rig: &Rig) -> usize {
    rig.events.iter().filter(|event| matches!(event, Event::Moved { .. })).count()
}

#[test]
fn follows_mobike_and_nothing_else_of_ike_where_the_client_has_it() {
    for mobike in [true, false] {
        let mut rig = Rig::new(settings());
        let mut client = rig.connected(Habits { mobike, ..habits() }, 14);
        let before = moved(&rig);
        client.path = path(40_000, true);

        rig.ask(&mut client, Exchange::Informational, &Writer::default());
        assert_eq!(moved(&rig) - before, usize::from(!mobike));

        let mut content = Writer::default();
        content.notify(number::UPDATE_SA_ADDRESSES, &[]).notify(number::COOKIE2, b"12345678");
        content
            .notify(number::NAT_DETECTION_SOURCE_IP, &[0; 20])
            .notify(number::NAT_DETECTION_DESTINATION_IP, &[0; 20]);
        let (_, opened) = rig.ask(&mut client, Exchange::Informational, &content).unwrap();

        assert_eq!(moved(&rig) - before, 1);
        let said = contents(&opened);
        assert_eq!(said.notify(number::COOKIE2).map(|notify| notify.content), mobike.then_some(&b"12345678"[..]));
        assert_eq!(said.says(number::NAT_DETECTION_DESTINATION_IP), mobike);
    }
}

#[test]
fn refuses_a_nat_where_the_client_wants_none() {
    let mut rig = Rig::new(settings());
    let mut client = rig.connected(Habits { mobike: true, ..habits() }, 15);
    let before = moved(&rig);
    client.path = path(40_000, true);
    let mut content = Writer::default();
    content
        .notify(number::UPDATE_SA_ADDRESSES, &[])
        .notify(number::NO_NATS_ALLOWED, &[10, 0, 0, 1, 198, 51, 100, 10, 1, 1, 1, 1]);

    let (_, opened) = rig.ask(&mut client, Exchange::Informational, &content).unwrap();

    assert_eq!(contents(&opened).error(), Some(number::UNEXPECTED_NAT_DETECTED));
    assert_eq!(moved(&rig), before);
}

#[test]
fn follows_packets_to_wherever_they_come_from() {
    let mut rig = Rig::new(settings());
    let client = rig.connected(Habits { mobike: true, ..habits() }, 16);
    let before = moved(&rig);
    let elsewhere = path(40_000, true);

    rig.responder.handle_traffic(rig.tunnel().inbound.spi, Some(client.path), rig.now);
    rig.responder.handle_traffic(rig.tunnel().inbound.spi, Some(elsewhere), rig.now);
    rig.taken();

    assert_eq!(moved(&rig) - before, 1);
}
