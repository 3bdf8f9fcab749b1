//! Right and wrong answers, and what does not belong.

use super::mschapv2::{challenge_hash, msk, nt_hash, nt_response};
use super::*;

struct One;

impl Lookup for One {
    fn hash(&self, name: &str) -> (bool, NtHash) {
        if name == "alice" { (true, nt_hash("secret")) } else { (false, nt_hash("nobody knows")) }
    }
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
    Instant::now()
}

fn dice() -> Dice {
    let mut next = 0_u8;
    Dice::new(move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    })
}

fn reply(request: &[u8], kind: u8, body: &[u8]) -> Vec<u8> {
    packet(RESPONSE, request[1], &[&[kind], body].concat())
}

/// A client's answer to a challenge or to a failure with a fresh one.
fn answered(request: &[u8], challenge: [u8; 16], name: &str, password: &str, mschap_id: u8) -> Vec<u8> {
    let peer = [3; 16];
    let hash = nt_hash(password);
    let response = nt_response(challenge_hash(&peer, &challenge, without_domain(name)), &hash);
    let body = [&[49], &peer[..], &[0; 8], &response, &[0], name.as_bytes()].concat();
    reply(request, MSCHAPV2, &packet(RESPONSE, mschap_id, &body))
}

fn sent(step: Step) -> Vec<u8> {
    let Step::Send(message) = step else { panic!("{step:?}") };
    message
}

/// A server that has sent its challenge to this name; the challenge's packet.
fn challenged(name: &str, dice: &mut Dice) -> (Server, Vec<u8>) {
    let (mut server, request) = Server::new(dice);
    let step = server.handle(&reply(&request, IDENTITY, name.as_bytes()), &One, dice, start());
    (server, sent(step))
}

fn challenge_of(request: &[u8]) -> [u8; 16] {
    request[10..26].try_into().unwrap()
}

#[test]
fn proves_both_sides_and_gives_both_the_same_key() {
    for name in ["alice", "OFFICE\\alice"] {
        let mut dice = dice();
        let (mut server, request) = challenged(name, &mut dice);

        let answer = answered(&request, challenge_of(&request), name, "secret", request[6]);
        let success = sent(server.handle(&answer, &One, &mut dice, start()));
        let last = server.handle(&reply(&success, MSCHAPV2, &[SUCCESS]), &One, &mut dice, start());

        assert!(success[9..].starts_with(b"S="), "{success:?}");
        let response = answer[34..58].try_into().unwrap();
        assert_eq!(last, Step::Succeed(packet(SUCCESS, success[1], &[]), msk(&nt_hash("secret"), &response)));
        assert_eq!((server.is_over(), server.identity()), (true, "alice"));
    }
}

/// Everything that a client with this name and a wrong password sees.
fn refused(name: &str) -> Vec<(Vec<u8>, u64)> {
    let (mut dice, now) = (dice(), start());
    let (mut server, mut request) = challenged(name, &mut dice);
    let mut challenge = challenge_of(&request);
    let mut mschap_id = request[6];
    let mut seen = Vec::new();
    while !server.is_over() {
        let answer = answered(&request, challenge, name, "wrong", mschap_id);
        let Step::SendLater(message, at) = server.handle(&answer, &One, &mut dice, now) else { panic!() };
        seen.push((message.clone(), (at - now).as_secs()));
        let text = String::from_utf8_lossy(&message).into_owned();
        if let Some((_, digits)) = text.split_once("C=") {
            challenge = crate::engine::ike::vectors::hex(&digits[..32]).try_into().unwrap();
        }
        request = message;
        mschap_id = mschap_id.wrapping_add(1);
    }
    seen
}

#[test]
fn treats_an_unknown_name_and_a_wrong_password_alike() {
    let (wrong, unknown) = (refused("alice"), refused("nobody"));

    assert_eq!(wrong, unknown);
    assert_eq!(wrong.iter().map(|(_, seconds)| *seconds).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(wrong.last().unwrap().0[0], FAILURE);
}

#[test]
fn lets_nobody_prove_another_name_than_the_identity() {
    let mut dice = dice();
    let (mut server, request) = challenged("bob", &mut dice);

    let answer = answered(&request, challenge_of(&request), "alice", "secret", request[6]);

    assert!(matches!(server.handle(&answer, &One, &mut dice, start()), Step::SendLater(..)));
    assert!(!server.is_proved());
}

#[test]
fn ends_with_the_first_message_that_does_not_belong() {
    let mut dice = dice();
    let (_, request) = challenged("alice", &mut dice);
    let good = answered(&request, challenge_of(&request), "alice", "secret", request[6]);
    for change in [0, 1, 2, 4, 5, 6, 7, 9] {
        let mut message = good.clone();
        message[change] ^= 0x40;
        let (mut server, _) = challenged("alice", &mut self::dice());

        let step = server.handle(&message, &One, &mut dice, start());

        assert!(matches!(step, Step::Fail(_)) && server.is_over(), "byte {change}: {step:?}");
    }
    let (mut server, _) = challenged("alice", &mut self::dice());
    assert!(matches!(server.handle(&reply(&request, MSCHAPV2, &[SUCCESS]), &One, &mut dice, start()), Step::Fail(_)));
}
