//! Traffic of accounts: metered each second, put on disk every few minutes, read by day and by hour; and what follows from
//! it for accounts with a quota.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use tracing::{info, warn};

use super::accounts::own;
use super::meter::Meter;
pub use super::meter::Standing;
use super::pools::Bounds;
use super::{Caller, Error, Ground};
use crate::domain::access::Role;
use crate::domain::account::{Account, AccountId};
use crate::domain::intended::Revision;
use crate::domain::name::AccountName;
use crate::domain::refusal::Refusal;
use crate::domain::restriction::{Restriction, Restrictions};
use crate::domain::traffic::{self, Bytes, DayTraffic, Hour, HourTraffic, Passed};
use crate::observe::fields;
use crate::runtime::os::{clock, entropy};
use crate::store;

/// How long the clock must have gone on steadily before anything is forgotten by it: a host whose clock has not been set
/// yet must not cost a year of figures.
const TRUST: Duration = Duration::from_secs(50 * 60);

/// For how long who is held back counts as known: whoever looks each second leaves it to [`Traffic::sample`].
const RECENT: Duration = Duration::from_secs(2);

/// The use cases of traffic.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub(super) ground: Ground,
}

/// The meter, and who has its turn at it.
#[derive(Debug, Default)]
pub(super) struct Metering {
    meter: Mutex<Meter>,
    /// Held over what has to happen in one piece: reading or writing the disk and telling the meter.
    turn: tokio::sync::Mutex<State>,
}

/// What was said last, so that it is said once.
#[derive(Debug, Default)]
struct State {
    restrictions: Restrictions,
    fault: Option<String>,
    /// When it was last looked who is to be held back, and by which state of things.
    looked: Option<(Instant, Revision)>,
}

/// How accounts stand at one moment.
#[derive(Debug)]
pub struct Standings<'a> {
    metering: &'a Metering,
    at: Timestamp,
}

impl Standings<'_> {
    /// How this one stands.
    pub fn of(&self, account: &Account) -> Standing {
        self.metering.meter().standing(account, self.at)
    }
}

impl Metering {
    /// Has what accounts have used read again, for other figures are on disk now.
    pub(super) fn read_again(&self) {
        self.meter().forget_used();
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// Takes in what has passed since the last time, holds back who is to be held back for it, and writes where that is
    /// due. To be called each second; whoever calls it waits for its end, for what was taken in is told only once.
    pub async fn sample(&self) {
        let passed = self.ground.runtime.take_passed().await;
        self.take_in(passed).await;
    }

    /// [`Self::sample`], of what has passed.
    pub(super) async fn take_in(&self, passed: Vec<Passed>) {
        self.enter(&passed);
        self.enforce().await;
        let minutes = self.ground.store.intended().system.traffic_statistics_frequency;
        let every = Duration::from_secs(60 * u64::from(minutes));
        if self.ground.metering.meter().is_due(every, clock::now()) {
            self.write().await;
        }
    }

    /// Writes everything, and what has passed until the tunnels ended. The last call.
    pub async fn close(&self, last: Vec<Passed>) {
        self.enter(&last);
        // one batch could not be written before, and all that came since
        self.write().await;
        self.write().await;
    }

    /// Forgets figures that are older than they are to be kept.
    pub async fn prune(&self) {
        let at = clock::timestamp();
        if self.ground.metering.meter().compare_clocks(at, clock::now()) < TRUST {
            return;
        }
        let today = self.today();
        let history = self.ground.store.intended().system.traffic_statistics_history;
        let (first, by_hour) = (traffic::first_kept(today, history), traffic::first_kept_by_hour(today));
        if let Err(error) = self.ground.store.ledger().prune(first, by_hour).await {
            warn!({ fields::CAUSE } = %error, "Cannot forget old traffic figures: {error}");
        }
    }

    /// What an account moved on every day of a month, both as a path names them, where `now` is the present one.
    ///
    /// # Errors
    /// `AccountNotFound`, `YearMalformed`, `MonthMalformed`.
    pub async fn month(
        &self,
        by: &Caller,
        name: &str,
        year: &str,
        month: &str,
    ) -> Result<(AccountName, Vec<DayTraffic>), Error> {
        let account = own(&self.ground.store.intended(), by, name)?.clone();
        let today = self.today();
        let days = traffic::month(&or_now(year, today.year()), &or_now(month, today.month()))?;
        let read = self.ground.store.ledger().days(account.id, days.clone()).await.map_err(fault)?;
        let mut found: BTreeMap<Date, Bytes> = read.figures.iter().map(|day| (day.day, day.bytes)).collect();
        for (hour, bytes) in self.ground.metering.meter().waiting(account.id, read.batch) {
            *found.entry(hour.day).or_default() += bytes;
        }
        let all = (1..=days.end().day()).filter_map(|day| days.end().with().day(day).build().ok());
        let day = |day| DayTraffic { day, bytes: found.get(&day).copied().unwrap_or_default() };
        Ok((account.name.clone(), all.map(day).collect()))
    }

    /// What an account moved in every hour of a day that a path names.
    ///
    /// # Errors
    /// `AccountNotFound`, `YearMalformed`, `MonthMalformed`, `DayMalformed`.
    pub async fn day(
        &self,
        by: &Caller,
        name: &str,
        [year, month, day]: [&str; 3],
    ) -> Result<(AccountName, Vec<HourTraffic>), Error> {
        let account = own(&self.ground.store.intended(), by, name)?.clone();
        let today = self.today();
        let (year, month) = (or_now(year, today.year()), or_now(month, today.month()));
        let day = traffic::day(&year, &month, &or_now(day, today.day()))?;
        let read = self.ground.store.ledger().hours(account.id, day).await.map_err(fault)?;
        let mut found = read.figures;
        let waiting = self.ground.metering.meter().waiting(account.id, read.batch).collect::<Vec<_>>();
        for (hour, bytes) in waiting.into_iter().filter(|(hour, _)| hour.day == day) {
            *found.entry(hour).or_default() += bytes;
        }
        let zone = &self.ground.time_zone();
        let hour = |hour: Hour| {
            let bytes = found.get(&hour).copied().unwrap_or_default();
            Some(HourTraffic { start: hour.start(zone)?, bytes })
        };
        Ok((account.name.clone(), Hour::all_of(day, zone).into_iter().filter_map(hour).collect()))
    }

    /// How accounts stand now.
    pub async fn standings(&self) -> Standings<'_> {
        self.enforce().await;
        Standings { metering: &self.ground.metering, at: clock::timestamp() }
    }

    /// How accounts stand now, for who asks each second and may hear of a period that has just begun a second later.
    pub(super) async fn recent_standings(&self) -> Standings<'_> {
        let looked = self.ground.metering.turn.lock().await.looked;
        let revision = self.ground.store.intended().revision;
        let is_recent =
            |(at, seen): (Instant, Revision)| seen == revision && clock::now().saturating_duration_since(at) < RECENT;
        if !looked.is_some_and(is_recent) {
            self.enforce().await;
        }
        Standings { metering: &self.ground.metering, at: clock::timestamp() }
    }

    /// Refuses a reseller whose accounts have moved all that they may this month.
    ///
    /// # Errors
    /// `TrafficCapReached`.
    pub(super) async fn left(&self, by: &Caller) -> Result<(), Error> {
        let Some(reseller) = by.authority.reseller() else { return Ok(()) };
        self.enforce().await;
        if self.ground.metering.meter().is_over(reseller) { Err(Refusal::TrafficCapReached.into()) } else { Ok(()) }
    }

    /// What an account has moved this month, which its first day names, in bytes of both directions.
    pub(super) async fn this_month(&self, account: &Account) -> Result<(Date, u64), Error> {
        let today = self.today();
        let began = today.first_of_month();
        let asked: BTreeMap<AccountId, Option<Date>> = [(account.id, Some(began))].into();
        let read = self.ground.store.ledger().used(asked.clone(), today).await.map_err(fault)?;
        let moved = self.ground.metering.meter().moved(&asked, &read);
        Ok((began, moved.get(&account.id).map_or(0, |bytes| bytes.sum())))
    }

    /// What the accounts of resellers may move, where that has a bound.
    fn bounds(&self) -> Bounds {
        let book = self.ground.store.access();
        let bound = book.users.values().filter(|user| user.role == Role::Reseller && user.caps.traffic > 0);
        bound.map(|user| (user.name.clone(), (user.caps.traffic, user.spent))).collect()
    }

    /// Forgets what an account has moved.
    pub(super) async fn forget(&self, account: &Account) {
        let _turn = self.ground.metering.turn.lock().await;
        if let Err(error) = self.ground.store.ledger().forget(account.id).await {
            // nobody sees them any more, and they go with their age
            info!({ fields::CAUSE } = %error, "Traffic figures of `{}` stay until they are too old", account.name);
        }
    }

    fn enter(&self, passed: &[Passed]) {
        let at = clock::timestamp();
        let hour = Hour::of(at, &self.ground.time_zone());
        let mut meter = self.ground.metering.meter();
        meter.compare_clocks(at, clock::now());
        meter.enter(passed, hour);
    }

    /// Has the runtime hold back who is to be held back now, and nobody else.
    pub(super) async fn enforce(&self) {
        let mut state = self.ground.metering.turn.lock().await;
        let at = clock::timestamp();
        let today = Hour::of(at, &self.ground.time_zone()).day;
        let intended = self.ground.store.intended();
        let (unknown, of_pools) = {
            let mut meter = self.ground.metering.meter();
            meter.follow(&intended, self.bounds());
            (meter.unknown(today), meter.unknown_of_pools(today))
        };
        state.looked = Some((clock::now(), intended.revision));
        if !unknown.is_empty() {
            match self.ground.store.ledger().used(unknown.clone(), today).await {
                Ok(read) => self.ground.metering.meter().learn(&unknown, &read),
                Err(error) => state.complain(&error),
            }
        }
        if !of_pools.is_empty() {
            match self.ground.store.ledger().used(of_pools.clone(), today).await {
                Ok(read) => self.ground.metering.meter().learn_pools(&of_pools, &read, today),
                Err(error) => state.complain(&error),
            }
        }
        let restrictions = {
            let mut meter = self.ground.metering.meter();
            meter.settle_pools(today);
            meter.restrictions(at)
        };
        if restrictions != state.restrictions {
            tell_changes(&state.restrictions, &restrictions);
            state.restrictions.clone_from(&restrictions);
            if let Err(unsettled) = self.ground.runtime.restrict(restrictions).await {
                warn!("Who is held back: {unsettled}");
            }
        }
    }

    fn today(&self) -> Date {
        Hour::of(clock::timestamp(), &self.ground.time_zone()).day
    }

    async fn write(&self) {
        let mut state = self.ground.metering.turn.lock().await;
        let living = self.ground.store.intended().accounts().map(|account| account.id).collect();
        let batch = self.ground.metering.meter().batch(u64::from_ne_bytes(entropy::bytes()), &living);
        let Some(batch) = batch else { return };
        match self.ground.store.ledger().add(batch).await {
            Ok(()) => {
                self.ground.metering.meter().handle_written();
                state.fault = None;
            }
            Err(error) => state.complain(&error),
        }
    }
}

impl State {
    fn complain(&mut self, error: &store::Error) {
        let fault = Some(error.to_string());
        if self.fault != fault {
            warn!({ fields::CAUSE } = %error, "Traffic figures stay in memory: {error}");
            self.fault = fault;
        }
    }
}

fn tell_changes(before: &Restrictions, after: &Restrictions) {
    for (name, (_, restriction)) in after.iter().filter(|(name, held)| before.get(*name) != Some(*held)) {
        let why = match restriction {
            Restriction::Expired => "is cut off, for it has expired".to_owned(),
            Restriction::OverQuota => "is cut off, for its quota is used up".to_owned(),
            Restriction::Throttled(rate) => format!("is slowed down to {rate} Mbit/s, for its quota is used up"),
        };
        info!({ fields::ACCOUNT } = %name, "Account `{name}` {why}");
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        info!({ fields::ACCOUNT } = %name, "Account `{name}` is not held back any more");
    }
}

/// A part of a date as a path names it; the present one for `now`.
fn or_now(text: &str, now: impl Into<i16>) -> String {
    if text == "now" { now.into().to_string() } else { text.to_owned() }
}

fn fault(error: store::Error) -> Error {
    Error::Fault(error.into())
}
