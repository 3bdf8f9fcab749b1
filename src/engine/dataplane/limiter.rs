//! The front limiter: what a stranger's handshake may cost.
//!
//! Below a rate that all honest clients together stay under, every handshake whose first MAC is right is worked on.
//! Above it a sender must first show a cookie, which proves its address, and then has a bucket of its own: 20 a second,
//! 5 at once, an address (IPv4) or a /64 (IPv6). The buckets are a fixed array: no stranger makes it grow.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, TunnResult};
use boringtun::x25519;
use foldhash::fast::FixedState;

use super::link::wireguard::reason;
use super::verdict::DropReason;

/// Handshakes a second, of everyone, above which cookies are asked for: about a fifth of a core.
const CALM_PER_SECOND: u32 = 1_000;
/// How long one asks for cookies after it became quieter.
const LOAD_LINGERS: Duration = Duration::from_secs(1);
/// How many addresses are kept apart; a power of two. Two addresses in one place share a bucket.
const BUCKETS: usize = 1 << 13;
/// What one handshake costs of a bucket that fills by one a millisecond: 20 a second.
const COST: u32 = 50;
/// What a bucket holds: 5 handshakes.
const BURST: u32 = 5 * COST;
/// The length of a cookie reply.
pub const COOKIE: usize = 64;

/// What became of a handshake at the front.
#[derive(Debug)]
pub enum Admission<'a> {
    /// It may be worked on.
    Pass(Packet<'a>),
    /// It must come again with this cookie.
    Cookie([u8; COOKIE]),
    /// It is dropped without a word.
    Refuse(DropReason),
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// What is spent, in parts of [`BURST`].
    spent: u32,
    /// Milliseconds since the beginning, when `spent` was true.
    at: u32,
}

/// The limiter of one server.
pub struct FrontLimiter {
    calm: Arc<RateLimiter>,
    strict: RateLimiter,
    start: Instant,
    second: Instant,
    in_second: u32,
    loaded_until: Option<Instant>,
    buckets: Box<[Bucket]>,
    hasher: FixedState,
}

impl FrontLimiter {
    /// For a server with this key. The seed is secret and random, so that nobody can choose whose bucket to share.
    pub fn new(public: &x25519::PublicKey, seed: u64, now: Instant) -> Self {
        Self {
            calm: Arc::new(RateLimiter::new(public, u64::MAX)),
            strict: RateLimiter::new(public, 0),
            start: now,
            second: now,
            in_second: 0,
            loaded_until: None,
            buckets: vec![Bucket::default(); BUCKETS].into(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// The limiter that limits nothing, for what has passed this one.
    pub fn calm(&self) -> Arc<RateLimiter> {
        Arc::clone(&self.calm)
    }

    /// Decides about a handshake message.
    pub fn admit<'a>(&mut self, from: IpAddr, datagram: &'a [u8], now: Instant) -> Admission<'a> {
        let mut cookie = [0; COOKIE];
        let packet = match self.calm.verify_packet(Some(from), datagram, &mut cookie) {
            Ok(packet) => packet,
            Err(TunnResult::Err(error)) => return Admission::Refuse(reason(&error)),
            Err(_) => return Admission::Refuse(DropReason::Unexpected),
        };
        if !self.is_under_load(now) {
            return Admission::Pass(packet);
        }
        match self.strict.verify_packet(Some(from), datagram, &mut cookie) {
            Ok(_) if self.try_spend(from, now) => Admission::Pass(packet),
            Ok(_) => Admission::Refuse(DropReason::AddressLimited),
            Err(TunnResult::WriteToNetwork(_)) => Admission::Cookie(cookie),
            Err(TunnResult::Err(error)) => Admission::Refuse(reason(&error)),
            Err(_) => Admission::Refuse(DropReason::Unexpected),
        }
    }

    /// Counts one handshake and says whether there are too many.
    fn is_under_load(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.in_second = 0;
        }
        self.in_second = self.in_second.saturating_add(1);
        if self.in_second > CALM_PER_SECOND {
            self.loaded_until = Some(now + LOAD_LINGERS);
        }
        self.loaded_until.is_some_and(|until| now < until)
    }

    /// Takes one handshake from the address's bucket, if it has one left.
    pub(super) fn try_spend(&mut self, from: IpAddr, now: Instant) -> bool {
        let place = self.hasher.hash_one(prefix(from)) % BUCKETS as u64;
        let bucket = &mut self.buckets[usize::try_from(place).unwrap_or(0)];
        let elapsed = now.saturating_duration_since(self.start).as_millis();
        // wraps after 49 days, when a bucket may fill too late by one burst
        let at = u32::try_from(elapsed & u128::from(u32::MAX)).unwrap_or(0);
        let spent = bucket.spent.saturating_sub(at.wrapping_sub(bucket.at));
        let admitted = spent + COST <= BURST;
        *bucket = Bucket { spent: if admitted { spent + COST } else { spent }, at };
        admitted
    }
}

impl std::fmt::Debug for FrontLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontLimiter").field("loaded_until", &self.loaded_until).finish_non_exhaustive()
    }
}

/// What shares a bucket: an IPv4 address, an IPv6 /64.
fn prefix(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}
