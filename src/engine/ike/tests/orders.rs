//! Every order of messages: no child and no connection without proof of both sides, nothing before EAP has ended.

use super::client::Client;
use super::rig::{Rig, habits, settings};
use crate::engine::ike::event::Event;
use crate::engine::ike::message::contents::Contents;
use crate::engine::ike::message::header::Exchange;
use crate::engine::ike::message::kind;
use crate::engine::ike::message::selector::Selector;
use crate::engine::ike::message::writer::Writer;
use crate::engine::ike::proposal::choice;
use crate::engine::ike::sealed::Opened;

/// What a client may say under the first keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    /// Who it is, and what it wants.
    Begin,
    /// The right next message of EAP, or an invented one where there is none.
    Eap,
    /// A success that nobody asked for.
    Success,
    /// AUTH by the key that it has, which may be none.
    Prove,
    /// A child, without ado.
    Child,
    /// Nothing, to see whether anybody is there.
    Probe,
}

const ALL: [Say; 6] = [Say::Begin, Say::Eap, Say::Success, Say::Prove, Say::Child, Say::Probe];
/// The only way in.
const ROAD: [Say; 5] = [Say::Begin, Say::Eap, Say::Eap, Say::Eap, Say::Prove];

/// The last EAP request, if the server has sent one.
fn said(client: &mut Client, opened: Option<&Opened>) -> Option<Vec<u8>> {
    let contents = Contents::parse(opened?.first, &opened?.chain).unwrap();
    if contents.auth.is_some() && contents.idr.is_some() {
        client.take_auth_begin(&contents);
    }
    contents.eap.map(<[u8]>::to_vec)
}

fn invented(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(5 + body.len()).unwrap().to_be_bytes();
    [&[2, 1], &length[..], &[26], body].concat()
}

fn content(client: &mut Client, say: Say, eap: Option<&Vec<u8>>) -> (Exchange, Writer) {
    let mut content = Writer::default();
    match say {
        Say::Begin => return (Exchange::IkeAuth, client.auth_begin()),
        Say::Eap => {
            let reply = eap.and_then(|message| client.eap(message).ok().flatten());
            content.push(kind::EAP, reply.unwrap_or_else(|| invented(&[3])));
        }
        Say::Success => {
            content.push(kind::EAP, invented(&[3]));
        }
        Say::Prove => return (Exchange::IkeAuth, client.auth_end()),
        Say::Child => {
            content.sa(&[choice::esp_proposal(client.habits.esp, 1, 7_777)]).nonce(&[1; 32]);
            let all = [Selector::all_ipv4()];
            content.selectors(kind::TSI, &all).selectors(kind::TSR, &all);
            return (Exchange::CreateChildSa, content);
        }
        Say::Probe => return (Exchange::Informational, content),
    }
    (Exchange::IkeAuth, content)
}

/// Whether a client that says these things is let in, and whether anything was given to it.
fn run(order: &[Say]) -> (bool, bool) {
    let mut rig = Rig::new(settings());
    let mut client = Client::new(habits(), 1);
    rig.init(&mut client).unwrap();
    let mut eap = None;
    for say in order {
        let (exchange, content) = content(&mut client, *say, eap.as_ref());
        let answer = rig.ask(&mut client, exchange, &content);
        eap = said(&mut client, answer.as_ref().map(|(_, opened)| opened)).or(eap);
    }
    let connected = rig.events.iter().any(|event| matches!(event, Event::Connected { .. }));
    let given = rig.events.iter().any(|event| matches!(event, Event::Opened { .. }));
    (connected, given)
}

fn orders(length: usize) -> Vec<Vec<Say>> {
    (0..length).fold(vec![Vec::new()], |orders, _| {
        orders.iter().flat_map(|order| ALL.map(|say| [&order[..], &[say]].concat())).collect()
    })
}

#[test]
fn the_road_leads_in() {
    assert_eq!(run(&ROAD), (true, true));
}

#[test]
fn no_other_order_of_up_to_three_messages_leads_in() {
    for order in (0..=3).flat_map(orders) {
        assert_eq!(run(&order), (false, false), "{order:?}");
    }
}

#[test]
fn no_detour_from_the_road_leads_in() {
    for at in 0..ROAD.len() {
        for say in ALL {
            let mut replaced = ROAD.to_vec();
            replaced[at] = say;
            let mut inserted = ROAD.to_vec();
            inserted.insert(at, say);
            let mut left_out = ROAD.to_vec();
            left_out.remove(at);
            for order in [replaced, inserted, left_out] {
                if order.starts_with(&ROAD) {
                    continue;
                }
                let (connected, given) = run(&order);
                assert!(!connected && !given, "{order:?}");
            }
        }
    }
}

#[test]
fn nothing_is_answered_under_keys_that_are_not_the_associations() {
    let mut rig = Rig::new(settings());
    let (mut ours, mut other) = (Client::new(habits(), 1), Client::new(habits(), 2));
    rig.init(&mut ours).unwrap();
    rig.init(&mut other).unwrap();
    let content = ours.auth_begin();
    other.spis = ours.spis;

    let messages = other.request(Exchange::IkeAuth, &content);

    assert_eq!(rig.say(ours.path, &messages), []);
    assert!(rig.ask(&mut ours, Exchange::IkeAuth, &content).is_some());
}
