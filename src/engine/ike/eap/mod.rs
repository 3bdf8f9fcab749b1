//! EAP, the server: an identity, then MS-CHAPv2. RFC 3748, and draft-kamath-pppext-eap-mschapv2 for the packets.
//!
//! A wrong password and an unknown name are alike to the byte, to the second and in what they cost.

pub mod mschapv2;

use std::time::{Duration, Instant};

use subtle::ConstantTimeEq as _;

use super::crypto::dice::Dice;
use super::keys::Secret;
use mschapv2::NtHash;

/// How long a wrong answer waits for ours.
pub const DELAY: Duration = Duration::from_secs(2);
/// How often one may try again.
const RETRIES: u8 = 2;
/// What the server calls itself in a challenge.
const NAME: &[u8] = b"server";
/// The longest name that is looked up.
const NAME_MAX: usize = 256;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;
const IDENTITY: u8 = 1;
const MSCHAPV2: u8 = 26;

/// What is to be done with a client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Send(Vec<u8>),
    /// Send this, but not before then.
    SendLater(Vec<u8>, Instant),
    /// Send this: it failed, and is over.
    Fail(Vec<u8>),
    /// Send this: it is over, and both sides have this key.
    Succeed(Vec<u8>, Secret),
}

/// A password's hash by a name; a name that nobody has gets one too, of which nobody knows the password.
pub trait Lookup {
    /// Whether somebody has the name, and the hash.
    fn hash(&self, name: &str) -> (bool, NtHash);
}

#[derive(Debug)]
enum State {
    Identity,
    Challenged {
        challenge: [u8; 16],
        retries: u8,
    },
    /// The right answer was given; the client has yet to see that we know the password too.
    Proved {
        msk: Secret,
    },
    Over,
}

/// One client's authentication.
#[derive(Debug)]
pub struct Server {
    state: State,
    id: u8,
    mschap_id: u8,
    identity: String,
}

/// A name without its domain: Windows may put one before it.
pub fn without_domain(name: &str) -> &str {
    name.rsplit('\\').next().unwrap_or(name)
}

impl Server {
    /// Begins; returns the request for an identity.
    pub fn new(dice: &mut Dice) -> (Self, Vec<u8>) {
        let [id, mschap_id] = dice.array();
        let server = Self { state: State::Identity, id, mschap_id, identity: String::new() };
        let request = server.request(IDENTITY, &[]);
        (server, request)
    }

    /// The name that the client gave, without a domain.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether the client has proved that it knows the password.
    pub fn is_proved(&self) -> bool {
        matches!(self.state, State::Proved { .. })
    }

    fn request(&self, kind: u8, body: &[u8]) -> Vec<u8> {
        packet(REQUEST, self.id, &[&[kind], body].concat())
    }

    fn over(&mut self) -> Step {
        self.state = State::Over;
        Step::Fail(packet(FAILURE, self.id, &[]))
    }

    /// Takes a client's message. Whatever does not belong here ends it: no client that means well sends such.
    pub fn handle(&mut self, message: &[u8], accounts: &impl Lookup, dice: &mut Dice, now: Instant) -> Step {
        let Some((kind, body)) = response(message, self.id) else { return self.over() };
        match (&self.state, kind) {
            (State::Identity, IDENTITY) => {
                let name = std::str::from_utf8(body).unwrap_or_default();
                if name.len() > NAME_MAX {
                    return self.over();
                }
                without_domain(name).clone_into(&mut self.identity);
                self.challenge(dice)
            }
            (State::Challenged { challenge, retries }, MSCHAPV2) => {
                let (challenge, retries) = (*challenge, *retries);
                self.judge(body, challenge, retries, accounts, dice, now)
            }
            (State::Proved { msk }, MSCHAPV2) if body == [SUCCESS] => {
                let msk = msk.clone();
                self.state = State::Over;
                Step::Succeed(packet(SUCCESS, self.id, &[]), msk)
            }
            _ => self.over(),
        }
    }

    fn challenge(&mut self, dice: &mut Dice) -> Step {
        let challenge = dice.array();
        self.state = State::Challenged { challenge, retries: RETRIES };
        self.id = self.id.wrapping_add(1);
        let body = [&[16], &challenge[..], NAME].concat();
        Step::Send(self.request(MSCHAPV2, &packet(REQUEST, self.mschap_id, &body)))
    }

    /// A Response packet: value size 49, the peer's challenge, eight zeros, the answer, flags, the name.
    fn judge(
        &mut self,
        body: &[u8],
        challenge: [u8; 16],
        retries: u8,
        accounts: &impl Lookup,
        dice: &mut Dice,
        now: Instant,
    ) -> Step {
        let Some((peer, given, name)) = answer(body, self.mschap_id) else { return self.over() };
        let (known, hash) = accounts.hash(&self.identity);
        let challenge_hash = mschapv2::challenge_hash(&peer, &challenge, without_domain(name));
        let expected = mschapv2::nt_response(challenge_hash, &hash);
        let says = mschapv2::authenticator_response(&hash, &expected, challenge_hash);
        let msk = mschapv2::msk(&hash, &expected);
        // the name may be written with a domain in one place and without in the other, but it is the same
        let same_name = without_domain(name) == self.identity;
        let right = bool::from(expected.ct_eq(&given)) && same_name && known;
        self.id = self.id.wrapping_add(1);
        if right {
            self.state = State::Proved { msk };
            let text = format!("{says} M=Welcome");
            return Step::Send(self.request(MSCHAPV2, &packet(SUCCESS, self.mschap_id, text.as_bytes())));
        }
        if retries == 0 {
            self.state = State::Over;
            return Step::SendLater(packet(FAILURE, self.id, &[]), now + DELAY);
        }
        let challenge: [u8; 16] = dice.array();
        let digits = mschapv2::digits(&challenge);
        let text = format!("E=691 R=1 C={digits} V=3 M=Authentication failed");
        let message = self.request(MSCHAPV2, &packet(FAILURE, self.mschap_id, text.as_bytes()));
        self.mschap_id = self.mschap_id.wrapping_add(1);
        self.state = State::Challenged { challenge, retries: retries - 1 };
        Step::SendLater(message, now + DELAY)
    }

    /// Whether it has ended, one way or the other.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

fn packet(code: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[code, id], &length[..], body].concat()
}

/// Type and body of a response to the request with this identifier.
fn response(message: &[u8], id: u8) -> Option<(u8, &[u8])> {
    let (&[code, given, high, low, kind], body) = message.split_first_chunk::<5>()?;
    let whole = usize::from(u16::from_be_bytes([high, low])) == message.len();
    (code == RESPONSE && given == id && whole).then_some((kind, body))
}

/// The peer's challenge, its answer and the name.
fn answer(body: &[u8], id: u8) -> Option<([u8; 16], [u8; 24], &str)> {
    let (&[code, given, high, low, size], rest) = body.split_first_chunk::<5>()?;
    let whole = usize::from(u16::from_be_bytes([high, low])) == body.len();
    if code != RESPONSE || given != id || size != 49 || !whole {
        return None;
    }
    let (value, name) = rest.split_at_checked(49)?;
    let name = std::str::from_utf8(name).ok()?;
    Some((value[..16].try_into().ok()?, value[24..48].try_into().ok()?, name))
}

#[cfg(test)]
mod tests;
