//! Counts tries by neighbourhood, in memory that has a bound: wrong access hashes, wrong keys of links, and logins.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::domain::access::Neighbourhood;
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// After so many tries those who have all their tries again are forgotten, so that the sweep costs little a try.
const SWEEP_AFTER: usize = 1_024;
/// After which time there is room again for one more neighbourhood.
const WAIT: Duration = Duration::from_secs(60);

/// The tries of the last minute.
///
/// Of access hashes and keys only wrong tries are counted, and only they are refused: a right hash works even while a
/// neighbour fails. Guessing is hopeless for its own reason (320 random bits), so a lock-out would only let one broken
/// client stop another. A password can be guessed: there every try is counted, before it is looked at.
pub struct WrongTries<C: Clock = DefaultClock> {
    limiter: RateLimiter<Neighbourhood, HashMapStateStore<Neighbourhood>, C, NoOpMiddleware<C::Instant>>,
    counted: AtomicUsize,
}

impl WrongTries {
    /// Remembers nobody yet.
    #[expect(clippy::new_without_default, reason = "what remembers is made on purpose")]
    pub fn new() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl<C: Clock> WrongTries<C> {
    fn with_clock(clock: C) -> Self {
        let limiter = RateLimiter::new(Quota::per_minute(limits::WRONG_TRIES), HashMapStateStore::default(), clock);
        Self { limiter, counted: AtomicUsize::new(0) }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// [`Refusal::TooManyRequests`] where the neighbourhood has used up its tries, or where so many others are
    /// remembered that there is no room for one more.
    pub fn count(&self, address: IpAddr) -> Result<(), Refusal> {
        self.spend(address).map_err(|_| Refusal::TooManyRequests)
    }

    /// [`Self::count`], for who wants to say when there is another try.
    ///
    /// # Errors
    /// After which time there is one.
    pub(super) fn spend(&self, address: IpAddr) -> Result<(), Duration> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % SWEEP_AFTER == SWEEP_AFTER - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        if self.limiter.len() >= limits::WRONG_TRIES_REMEMBERED {
            return Err(WAIT);
        }
        self.limiter
            .check_key(&address.into())
            .map_err(|not_until| not_until.wait_time_from(self.limiter.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use governor::clock::FakeRelativeClock;

    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

    fn exhaust<C: Clock>(tries: &WrongTries<C>, address: IpAddr) {
        for _ in 0..limits::WRONG_TRIES.get() {
            assert_eq!(tries.count(address), Ok(()));
        }
        assert_eq!(tries.count(address), Err(Refusal::TooManyRequests));
    }

    #[test]
    fn refuses_the_eleventh_try_of_a_minute() {
        let tries = WrongTries::new();

        exhaust(&tries, STRANGER);

        assert_eq!(tries.count(OTHER), Ok(()));
    }

    #[test]
    fn gives_all_tries_back_after_a_minute() {
        let clock = FakeRelativeClock::default();
        let tries = WrongTries::with_clock(clock.clone());
        exhaust(&tries, STRANGER);

        clock.advance(Duration::from_secs(60));

        exhaust(&tries, STRANGER);
    }

    #[test]
    fn counts_a_64_together() {
        let tries = WrongTries::new();

        exhaust(&tries, "2001:db8::1".parse().unwrap());

        assert_eq!(tries.count("2001:db8::2".parse().unwrap()), Err(Refusal::TooManyRequests));
        assert_eq!(tries.count("2001:db8:0:1::2".parse().unwrap()), Ok(()));
    }

    #[test]
    fn remembers_no_more_than_its_bound_and_forgets_again() {
        let clock = FakeRelativeClock::default();
        let tries = WrongTries::with_clock(clock.clone());
        for host in 0..200_000u32 {
            let _ = tries.count(Ipv4Addr::from_bits(host).into());
        }
        assert_eq!(tries.limiter.len(), limits::WRONG_TRIES_REMEMBERED);

        clock.advance(Duration::from_secs(60));
        for _ in 0..=SWEEP_AFTER {
            let _ = tries.count(STRANGER);
        }

        assert_eq!(tries.limiter.len(), 1);
    }
}
