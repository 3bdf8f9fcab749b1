//! `IKE_SA_INIT`: algorithms, keys, nonces. Nothing is kept of whoever has not shown that it gets our answers, once that
//! matters. RFC 7296, sections 1.2 and 2.6.

use super::association::Association;
use super::crypto::group::Half;
use super::crypto::signer::HASHES;
use super::event::{Event, Path, SessionId};
use super::gate::{Admission, Gate};
use super::keys::{self, IkeKeys};
use super::message::contents::Contents;
use super::message::header::{Exchange, HEADER, Header, Spis, VERSION};
use super::message::notify::number;
use super::message::proposal::Protocol;
use super::message::writer::Writer;
use super::nat;
use super::proposal::{choice, names};
use super::session::{HALF_OPEN, NONCE, Opening, Proof, Session, World};
use super::settings::Fragmentation;

/// The longest first message: it is kept until its sender is proved, and comes from anybody.
const FIRST_MAX: usize = 8_192;

/// What becomes of a first message.
#[derive(Debug)]
pub(super) enum Begun {
    /// Nothing is kept.
    Nothing,
    /// A connection that is to be proved.
    Session(Box<Session>),
}

/// An answer without protection.
fn answer(header: Header, spis: Spis, content: &Writer) -> Vec<u8> {
    let (next, chain) = content.chain();
    let length = u32::try_from(HEADER + chain.len()).unwrap_or(u32::MAX);
    let exchange = Exchange::IkeSaInit.number();
    let mut message = Vec::with_capacity(HEADER + chain.len());
    Header { spis, next, version: VERSION, exchange, initiator: false, response: true, id: header.id, length }
        .write(&mut message);
    message.extend_from_slice(&chain);
    message
}

/// Takes a first message.
pub(super) fn begin(
    (id, gate): (SessionId, &mut Gate),
    header: Header,
    message: &[u8],
    path: Path,
    world: &mut World<'_>,
) -> Begun {
    if message.len() > FIRST_MAX {
        return Begun::Nothing;
    }
    let Ok(contents) = Contents::parse(header.next, &message[HEADER..]) else { return Begun::Nothing };
    let (Some(proposals), Some(nonce), Some((group, public))) = (&contents.sa, contents.nonce, contents.ke) else {
        return Begun::Nothing;
    };
    let spi = header.spis.initiator;
    let cookie = contents.notify(number::COOKIE).map(|notify| notify.content);
    match gate.judge(path.remote, (spi, nonce), cookie, world.dice, world.now) {
        Admission::Enter => {}
        Admission::Cookie(cookie) => return refuse(header, path, number::COOKIE, &cookie, world),
        Admission::Full => return Begun::Nothing,
    }
    let open = world.settings.open && world.identity.is_some();
    let chosen = choice::ike(&world.settings.ike, proposals);
    if chosen.is_none() {
        world.refuse_offer(path, Protocol::Ike, proposals);
    }
    let Some(chosen) = chosen.filter(|_| open) else {
        let notify = number::NO_PROPOSAL_CHOSEN;
        world.events.push_back(Event::Refused { remote: path.remote, notify });
        return refuse(header, path, notify, &[], world);
    };
    let suite = chosen.suite;
    let wanted = names::group_number(suite.group);
    if group != wanted {
        return refuse(header, path, number::INVALID_KE_PAYLOAD, &wanted.to_be_bytes(), world);
    }
    // RFC 7296, section 2.10: at least half of the PRF's key
    if nonce.len() * 2 < suite.prf.output_len() {
        return refuse(header, path, number::INVALID_SYNTAX, &[], world);
    }
    let Some(half) = Half::draw(suite.group, world.dice) else { return Begun::Nothing };
    let Some(shared) = half.agree(public) else {
        return refuse(header, path, number::INVALID_SYNTAX, &[], world);
    };
    let own: [u8; NONCE] = world.dice.array();
    let spis = Spis { initiator: spi, responder: world.ike_spi(id) };
    let seed = keys::skeyseed(suite.prf, [nonce, &own], &shared);
    let keys = IkeKeys::derive(&suite, &seed, [nonce, &own], spis);
    let Some(association) = Association::new(suite, keys, spis, false, 1) else {
        world.ike_spis.remove(&spis.responder);
        return Begun::Nothing;
    };
    let fragments =
        contents.says(number::IKEV2_FRAGMENTATION_SUPPORTED) && world.settings.fragmentation != Fragmentation::No;
    let mut content = Writer::default();
    content.sa(&[choice::ike_proposal(suite, chosen.number, &[])]).ke(wanted, half.public()).nonce(&own);
    // a source that cannot be right makes the client believe in a NAT, and carry its packets in UDP: we have no other
    content.notify(number::NAT_DETECTION_SOURCE_IP, &world.dice.array::<20>());
    content.notify(number::NAT_DETECTION_DESTINATION_IP, &nat::hash(spis, path.remote));
    if fragments {
        content.notify(number::IKEV2_FRAGMENTATION_SUPPORTED, &[]);
    }
    let hashes: Vec<u8> = HASHES.iter().flat_map(|hash| hash.number().to_be_bytes()).collect();
    content.notify(number::SIGNATURE_HASH_ALGORITHMS, &hashes);
    let answer = answer(header, spis, &content);
    world.send(path, &answer);
    let opening = Opening {
        request: message.to_vec(),
        answer,
        nonces: [nonce.to_vec(), own.to_vec()],
        hashes: contents.notify(number::SIGNATURE_HASH_ALGORITHMS).map(|notify| numbers(notify.content)),
        until: world.now + HALF_OPEN,
        proof: Proof::None,
    };
    Begun::Session(Box::new(Session::new(id, path, association, opening, fragments, world.now)))
}

fn refuse(header: Header, path: Path, notify: u16, content: &[u8], world: &mut World<'_>) -> Begun {
    let spis = Spis { responder: 0, ..header.spis };
    let message = answer(header, spis, Writer::default().notify(notify, content));
    world.send(path, &message);
    Begun::Nothing
}

fn numbers(content: &[u8]) -> Vec<u16> {
    content.as_chunks().0.iter().map(|number| u16::from_be_bytes(*number)).collect()
}
