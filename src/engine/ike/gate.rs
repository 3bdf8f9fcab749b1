//! Who may begin: cookies under load, and how many may be half-way in. RFC 7296, section 2.6, and RFC 8019.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq as _;

use super::crypto::dice::Dice;
use super::crypto::prf::Prf;

/// From how many half-open connections on a cookie is asked for.
pub const COOKIES_AT: usize = 30;
/// From how many of one address on.
pub const COOKIES_AT_OF_ONE: usize = 3;
/// The most half-open connections of one address, which may be many people's.
pub const HALF_OPEN_MAX_OF_ONE: usize = 100;
/// The most half-open connections.
pub const HALF_OPEN_MAX: usize = 2_000;
/// How long cookies are asked for once they were.
const CALM: Duration = Duration::from_secs(10);
/// How long a cookie is good, in seconds.
const GOOD: u32 = 30;
/// How long a secret is used.
const TURN: Duration = Duration::from_secs(2 * 60);
/// Bytes of a cookie: four of time, 24 of proof.
pub const COOKIE: usize = 28;

/// What is to be done with somebody who begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Enter,
    /// Send this cookie, and keep nothing.
    Cookie([u8; COOKIE]),
    /// Say nothing.
    Full,
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    began: Instant,
    secrets: [[u8; 32]; 2],
    turned: Instant,
    half_open: usize,
    of_one: BTreeMap<IpAddr, usize>,
    loaded: Option<Instant>,
}

impl Gate {
    /// A gate through which nobody came.
    pub fn new(dice: &mut Dice, now: Instant) -> Self {
        let secrets = [dice.array(), dice.array()];
        Self { began: now, secrets, turned: now, half_open: 0, of_one: BTreeMap::new(), loaded: None }
    }

    /// A gate that stands in for another while that is in use.
    pub(super) fn closed(now: Instant) -> Self {
        Self { began: now, secrets: [[0; 32]; 2], turned: now, half_open: 0, of_one: BTreeMap::new(), loaded: None }
    }

    /// How many are half-way in.
    pub fn half_open(&self) -> usize {
        self.half_open
    }

    /// Somebody is half-way in.
    pub fn enter(&mut self, address: IpAddr) {
        self.half_open += 1;
        *self.of_one.entry(address).or_default() += 1;
    }

    /// Somebody is in, or gone.
    pub fn leave(&mut self, address: IpAddr) {
        self.half_open = self.half_open.saturating_sub(1);
        if let Some(count) = self.of_one.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.of_one.remove(&address);
            }
        }
    }

    /// Judges somebody who begins, with the cookie that came with it.
    pub fn judge(
        &mut self,
        remote: SocketAddr,
        (spi, nonce): (u64, &[u8]),
        cookie: Option<&[u8]>,
        dice: &mut Dice,
        now: Instant,
    ) -> Admission {
        if now.saturating_duration_since(self.turned) >= TURN {
            self.secrets = [dice.array(), self.secrets[0]];
            self.turned = now;
        }
        let of_one = self.of_one.get(&remote.ip()).copied().unwrap_or(0);
        if self.half_open >= COOKIES_AT || of_one >= COOKIES_AT_OF_ONE {
            self.loaded = Some(now);
        }
        let loaded = self.loaded.is_some_and(|since| now.saturating_duration_since(since) < CALM);
        let seconds = u32::try_from(now.saturating_duration_since(self.began).as_secs()).unwrap_or(u32::MAX);
        if loaded && !cookie.is_some_and(|cookie| self.is_good(cookie, remote, spi, nonce, seconds)) {
            return Admission::Cookie(bake(&self.secrets[0], remote, spi, nonce, seconds));
        }
        if of_one >= HALF_OPEN_MAX_OF_ONE { Admission::Full } else { Admission::Enter }
    }

    fn is_good(&self, cookie: &[u8], remote: SocketAddr, spi: u64, nonce: &[u8], now: u32) -> bool {
        let Some((time, _)) = cookie.split_first_chunk::<4>() else { return false };
        let time = u32::from_be_bytes(*time);
        let fresh = now.checked_sub(time).is_some_and(|age| age < GOOD);
        fresh && self.secrets.iter().any(|secret| bool::from(bake(secret, remote, spi, nonce, time)[..].ct_eq(cookie)))
    }
}

fn bake(secret: &[u8; 32], remote: SocketAddr, spi: u64, nonce: &[u8], time: u32) -> [u8; COOKIE] {
    let address = match remote.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let (time, port) = (time.to_be_bytes(), remote.port().to_be_bytes());
    let proof = Prf::Sha256.of(secret, &[nonce, &address, &port, &spi.to_be_bytes(), &time]);
    let mut cookie = [0; COOKIE];
    cookie[..4].copy_from_slice(&time);
    cookie[4..].copy_from_slice(&proof[..24]);
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> (Gate, Dice, Instant) {
        let mut dice = Dice::new(|bytes| bytes.fill(7));
        #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
        let now = Instant::now();
        (Gate::new(&mut dice, now), dice, now)
    }

    fn remote(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 500))
    }

    const NONCE: &[u8] = &[1; 32];

    #[test]
    fn asks_for_a_cookie_under_load_and_takes_that_of_the_same_request_alone() {
        let (mut gate, mut dice, now) = gate();
        (0..COOKIES_AT).for_each(|number| gate.enter(remote(u8::try_from(number).unwrap()).ip()));

        let Admission::Cookie(cookie) = gate.judge(remote(99), (1, NONCE), None, &mut dice, now) else { panic!() };

        let mut judge = |from, spi, nonce, after| {
            gate.judge(from, (spi, nonce), Some(&cookie), &mut dice, now + Duration::from_secs(after))
        };
        assert_eq!(judge(remote(99), 1, NONCE, 0), Admission::Enter);
        assert_eq!(judge(remote(99), 1, NONCE, 29), Admission::Enter);
        for (from, spi, nonce, after) in [
            (remote(98), 1, NONCE, 0),
            (remote(99), 2, NONCE, 0),
            (remote(99), 1, &[2; 32], 0),
            (remote(99), 1, NONCE, 30),
        ] {
            assert!(matches!(judge(from, spi, nonce, after), Admission::Cookie(_)));
        }
    }

    #[test]
    fn asks_one_address_earlier_than_all_and_shuts_it_out_in_the_end() {
        let (mut gate, mut dice, now) = gate();
        (0..COOKIES_AT_OF_ONE).for_each(|_| gate.enter(remote(1).ip()));
        let Admission::Cookie(cookie) = gate.judge(remote(1), (1, NONCE), None, &mut dice, now) else { panic!() };

        (0..HALF_OPEN_MAX_OF_ONE).for_each(|_| gate.enter(remote(1).ip()));

        assert_eq!(gate.judge(remote(1), (1, NONCE), Some(&cookie), &mut dice, now), Admission::Full);
    }

    #[test]
    fn calms_down_after_a_while_and_not_at_once() {
        let (mut gate, mut dice, now) = gate();
        (0..COOKIES_AT).for_each(|_| gate.enter(remote(1).ip()));
        gate.judge(remote(2), (1, NONCE), None, &mut dice, now);
        (0..COOKIES_AT).for_each(|_| gate.leave(remote(1).ip()));

        let mut judge = |after| gate.judge(remote(2), (1, NONCE), None, &mut dice, now + Duration::from_secs(after));

        assert!(matches!(judge(9), Admission::Cookie(_)));
        assert_eq!(judge(10), Admission::Enter);
    }
}
