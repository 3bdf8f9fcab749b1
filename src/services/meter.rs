//! What passes, until it is on disk; what accounts with a quota have used; and who is held back for it. A pure machine:
//! figures and time in, batches and restrictions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;

use super::pools::{Bounds, Pools};
use crate::domain::account::allowance::QuotaPeriod;
use crate::domain::account::{Account, AccountId};
use crate::domain::intended::{Intended, Revision};
use crate::domain::name::UserName;
use crate::domain::restriction::{Restriction, Restrictions};
use crate::domain::traffic::{Bytes, Hour, Passed, Portions};
use crate::store::ledger::{Batch, Read};

/// By how much the clock of the wall and the one that only goes on may drift apart between two looks.
const STEADY: Duration = Duration::from_secs(60);

/// What an account with a quota has used in the present period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Used {
    period: QuotaPeriod,
    began: Option<Date>,
    bytes: u64,
}

/// How an account stands, for those who look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How it is held back.
    pub restriction: Option<Restriction>,
    /// Bytes of both directions that count for its quota; 0 where it has none.
    pub used: u64,
}

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pending: Portions,
    /// What is being written, or could not be.
    underway: Option<Arc<Batch>>,
    /// The accounts with an end or a quota, as of `revision`.
    limited: Vec<Arc<Account>>,
    revision: Option<Revision>,
    used: BTreeMap<AccountId, Used>,
    /// The resellers whose accounts share a bound.
    pools: Pools,
    written: Option<Instant>,
    clocks: Option<(Timestamp, Instant)>,
    /// Since when the clock of the wall goes as it should.
    steady: Option<Instant>,
}

impl Meter {
    /// Enters what has passed.
    pub(super) fn enter(&mut self, passed: &[Passed], hour: Hour) {
        for Passed { account, bytes } in passed {
            *self.pending.entry((hour, *account)).or_default() += *bytes;
            if let Some(used) = self.used.get_mut(account) {
                used.bytes = used.bytes.saturating_add(bytes.sum());
            }
            self.pools.enter(*account, bytes.sum());
        }
    }

    /// What is to be written now, if there is anything: what could not be written last time, else all that waits of
    /// those who live: whoever is gone has no figures. `id` is a number drawn at random.
    pub(super) fn batch(&mut self, id: u64, living: &BTreeSet<AccountId>) -> Option<Arc<Batch>> {
        self.pending.retain(|(_, account), _| living.contains(account));
        if self.underway.is_none() && !self.pending.is_empty() {
            self.underway = Some(Arc::new(Batch { id, portions: std::mem::take(&mut self.pending) }));
        }
        self.underway.clone()
    }

    /// Notes that the batch is on disk.
    pub(super) fn handle_written(&mut self) {
        self.underway = None;
    }

    /// Whether so much time has gone by since the last try to write; if so, this is the next.
    pub(super) fn is_due(&mut self, every: Duration, now: Instant) -> bool {
        let since = *self.written.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= every;
        if is_due {
            self.written = Some(now);
        }
        is_due
    }

    /// What waits for the disk of one account, by hour; `batch` is the last one that the disk has.
    pub(super) fn waiting(&self, account: AccountId, batch: Option<u64>) -> impl Iterator<Item = (Hour, Bytes)> {
        let portions = self.unwritten(batch).filter(move |((_, of), _)| *of == account);
        portions.map(|((hour, _), bytes)| (*hour, *bytes))
    }

    fn unwritten(&self, batch: Option<u64>) -> impl Iterator<Item = (&(Hour, AccountId), &Bytes)> {
        let underway = self.underway.as_deref().filter(|underway| Some(underway.id) != batch);
        self.pending.iter().chain(underway.into_iter().flat_map(|underway| &underway.portions))
    }

    /// Learns who has an end or a quota, and how much the accounts of resellers may move together.
    pub(super) fn follow(&mut self, intended: &Intended, bounds: Bounds) {
        self.pools.follow(intended, bounds);
        if self.revision == Some(intended.revision) {
            return;
        }
        self.revision = Some(intended.revision);
        let limited = intended.accounts().filter(|account| account.allowance.is_limited());
        self.limited = limited.cloned().collect();
        let ids: BTreeSet<AccountId> = self.limited.iter().map(|account| account.id).collect();
        self.used.retain(|account, _| ids.contains(account));
    }

    /// The accounts whose use in the present period is not known here, and since when it counts.
    pub(super) fn unknown(&self, today: Date) -> BTreeMap<AccountId, Option<Date>> {
        let with_quota = self.limited.iter().filter(|account| account.allowance.quota > 0);
        let wanted = with_quota.map(|account| (account.id, account.allowance.period));
        let is_unknown = |(account, period): &(AccountId, QuotaPeriod)| {
            let known = self.used.get(account);
            known.is_none_or(|known| (known.period, known.began) != (*period, period.began(today)))
        };
        wanted.filter(is_unknown).map(|(account, period)| (account, period.began(today))).collect()
    }

    /// Learns what those accounts have used by what is on disk; what waits for it is added.
    pub(super) fn learn(&mut self, asked: &BTreeMap<AccountId, Option<Date>>, read: &Read<BTreeMap<AccountId, Bytes>>) {
        let used = self.moved(asked, read);
        let periods = self.limited.iter().map(|account| (account.id, account.allowance.period));
        for (account, period) in periods.filter(|(account, _)| asked.contains_key(account)) {
            let (began, bytes) = (asked[&account], used[&account].sum());
            self.used.insert(account, Used { period, began, bytes });
        }
    }

    /// What those accounts have moved: by what is on disk, and what waits for it.
    pub(super) fn moved(
        &self,
        asked: &BTreeMap<AccountId, Option<Date>>,
        read: &Read<BTreeMap<AccountId, Bytes>>,
    ) -> BTreeMap<AccountId, Bytes> {
        let mut used: BTreeMap<AccountId, Bytes> =
            asked.keys().map(|account| (*account, read.figures.get(account).copied().unwrap_or_default())).collect();
        for ((hour, account), bytes) in self.unwritten(read.batch) {
            let since = asked.get(account).copied().flatten();
            if let Some(used) = used.get_mut(account).filter(|_| since.is_none_or(|since| since <= hour.day)) {
                *used += *bytes;
            }
        }
        used
    }

    /// [`Self::unknown`], of the accounts that share a bound.
    pub(super) fn unknown_of_pools(&self, today: Date) -> BTreeMap<AccountId, Option<Date>> {
        self.pools.unknown(today.first_of_month())
    }

    /// [`Self::learn`], of the accounts that share a bound.
    pub(super) fn learn_pools(
        &mut self,
        asked: &BTreeMap<AccountId, Option<Date>>,
        read: &Read<BTreeMap<AccountId, Bytes>>,
        today: Date,
    ) {
        let moved = self.moved(asked, read);
        self.pools.learn(today.first_of_month(), moved);
    }

    /// Compares what resellers' accounts have moved with what they may; to be called before asking who is held back.
    pub(super) fn settle_pools(&mut self, today: Date) {
        self.pools.settle(today.first_of_month());
    }

    /// Whether the accounts of this reseller have moved all that they may.
    pub(super) fn is_over(&self, reseller: &UserName) -> bool {
        self.pools.is_reseller_over(reseller)
    }

    /// Forgets what accounts have used, for other figures are on disk now.
    pub(super) fn forget_used(&mut self) {
        self.used.clear();
        self.pools.forget();
    }

    /// Who is held back now.
    pub(super) fn restrictions(&self, at: Timestamp) -> Restrictions {
        let held = |account: &Arc<Account>| {
            let restriction = self.standing(account, at).restriction?;
            Some((account.name.clone(), (account.id, restriction)))
        };
        self.pools.held().chain(&self.limited).filter_map(held).collect()
    }

    /// How an account stands now.
    pub(super) fn standing(&self, account: &Account, at: Timestamp) -> Standing {
        let used = self.used.get(&account.id).map_or(0, |used| used.bytes);
        let shared = self.pools.is_over(account).then_some(Restriction::OverQuota);
        // what is cut off is not slowed down
        let own = account.allowance.restriction(used, at);
        let restriction = if matches!(own, Some(Restriction::Expired)) { own } else { shared.or(own) };
        Standing { restriction, used }
    }

    /// Compares both clocks; since when they have gone on alike.
    pub(super) fn compare_clocks(&mut self, at: Timestamp, now: Instant) -> Duration {
        let went_on = self.clocks.replace((at, now)).is_some_and(|(at_before, before)| {
            let (wall, other) = (at.duration_since(at_before), now.saturating_duration_since(before));
            let drift = wall.as_secs_f64() - other.as_secs_f64();
            drift.abs() <= STEADY.as_secs_f64()
        });
        if !went_on {
            self.steady = Some(now);
        }
        self.steady.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{AccountDraft, Allowance};
    use crate::domain::fixture::{account_of, add_account, house};
    use crate::runtime::os::clock;
    use jiff::Span;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 3, 4);

    fn hour(day: Date, number: u8) -> Hour {
        Hour { day, number }
    }

    fn passed(account: AccountId, down: u64, up: u64) -> Passed {
        Passed { account, bytes: Bytes { down, up } }
    }

    fn read(figures: &[(AccountId, u64)], batch: Option<u64>) -> Read<BTreeMap<AccountId, Bytes>> {
        let figures = figures.iter().map(|(account, down)| (*account, Bytes { down: *down, up: 0 })).collect();
        Read { batch, figures }
    }

    /// A meter that follows a house with an account of this quota a day.
    fn with_quota(quota: &str) -> (Meter, Arc<Account>) {
        let mut intended = house();
        let draft =
            AccountDraft { quota: Some(quota.into()), quota_period: Some("day".into()), ..account_of("Default_1") };
        let account = add_account(&mut intended, &draft);
        let mut meter = Meter::default();
        meter.follow(&intended, Bounds::new());
        (meter, account)
    }

    #[test]
    fn writes_what_could_not_be_written_again_as_the_same_batch_and_the_rest_later() {
        let (mut meter, one) = (Meter::default(), AccountId(1));
        let living = [one].into();
        meter.enter(&[passed(one, 5, 1)], hour(TODAY, 0));

        let first = meter.batch(10, &living).unwrap();
        meter.enter(&[passed(one, 7, 1)], hour(TODAY, 0));
        let again = meter.batch(11, &living).unwrap();
        let shown: u64 = meter.waiting(one, None).map(|(_, bytes)| bytes.down).sum();
        let shown_once: u64 = meter.waiting(one, Some(10)).map(|(_, bytes)| bytes.down).sum();
        meter.handle_written();
        let second = meter.batch(12, &living).unwrap();

        assert_eq!((first.id, &again), (10, &first));
        assert_eq!((shown, shown_once), (12, 7), "what is on disk already is not shown twice");
        assert_eq!((second.id, second.portions[&(hour(TODAY, 0), one)].down), (12, 7));
        meter.handle_written();
        assert_eq!(meter.batch(13, &living), None);
    }

    #[test]
    fn drops_what_accounts_moved_that_are_gone() {
        let mut meter = Meter::default();
        meter.enter(&[passed(AccountId(1), 5, 1), passed(AccountId(2), 6, 1)], hour(TODAY, 0));

        let batch = meter.batch(10, &[AccountId(2)].into()).unwrap();

        assert_eq!(batch.portions.keys().map(|(_, account)| *account).collect::<Vec<_>>(), [AccountId(2)]);
    }

    #[test]
    fn is_due_after_the_span_and_not_before() {
        let (mut meter, begin) = (Meter::default(), clock::now());
        let (minute, almost) = (Duration::from_secs(60), Duration::from_millis(59_999));

        assert!(!meter.is_due(minute, begin));
        assert!(!meter.is_due(minute, begin + almost));
        assert!(meter.is_due(minute, begin + minute));
        assert!(!meter.is_due(minute, begin + minute + almost));
    }

    #[test]
    fn holds_an_account_back_for_the_rest_of_the_day_in_which_its_quota_is_used_up() {
        let (mut meter, account) = with_quota("100");
        let at = "2026-03-04T12:00:00Z".parse().unwrap();
        let asked = meter.unknown(TODAY);
        assert_eq!(asked, [(account.id, Some(TODAY))].into());
        meter.learn(&asked, &read(&[(account.id, 60)], None));
        assert!(meter.restrictions(at).is_empty() && meter.unknown(TODAY).is_empty());

        meter.enter(&[passed(account.id, 20, 19)], hour(TODAY, 12));
        assert_eq!(meter.standing(&account, at), Standing { restriction: None, used: 99 });
        meter.enter(&[passed(account.id, 0, 1)], hour(TODAY, 12));
        assert_eq!(meter.restrictions(at)[&account.name], (account.id, Restriction::OverQuota));

        let tomorrow = TODAY.tomorrow().unwrap();
        let asked = meter.unknown(tomorrow);
        meter.learn(&asked, &read(&[], None));
        assert!(meter.restrictions(at).is_empty());
        assert_eq!(meter.standing(&account, at).used, 0, "what was moved the day before is not of this day");
    }

    #[test]
    fn counts_what_waits_for_the_disk_and_what_is_there_once_each() {
        let (mut meter, account) = with_quota("100");
        let at = "2026-03-04T12:00:00Z".parse().unwrap();
        meter.enter(&[passed(account.id, 1, 0)], hour(TODAY.yesterday().unwrap(), 23));
        meter.enter(&[passed(account.id, 2, 0)], hour(TODAY, 0));
        meter.batch(10, &[account.id].into()).unwrap();
        meter.enter(&[passed(account.id, 4, 0)], hour(TODAY, 1));
        let asked = meter.unknown(TODAY);

        meter.learn(&asked, &read(&[(account.id, 32)], Some(9)));
        let before_it_is_written = meter.standing(&account, at).used;
        meter.learn(&asked, &read(&[(account.id, 34)], Some(10)));

        assert_eq!((before_it_is_written, meter.standing(&account, at).used), (38, 38));
    }

    #[test]
    fn asks_the_disk_again_when_other_figures_are_there() {
        let (mut meter, account) = with_quota("100");
        let at = "2026-03-04T12:00:00Z".parse().unwrap();
        let asked = meter.unknown(TODAY);
        meter.learn(&asked, &read(&[(account.id, 60)], None));
        meter.enter(&[passed(account.id, 5, 0)], hour(TODAY, 12));

        meter.forget_used();
        assert_eq!(meter.unknown(TODAY), asked);
        meter.learn(&asked, &read(&[(account.id, 10)], None));

        assert_eq!(meter.standing(&account, at).used, 15);
    }

    #[test]
    fn lets_go_of_an_account_whose_end_is_moved() {
        let mut intended = house();
        let draft = AccountDraft { expires: Some("2026-01-01".into()), ..account_of("Default_1") };
        let account = add_account(&mut intended, &draft);
        let (mut meter, at) = (Meter::default(), "2026-03-04T12:00:00Z".parse().unwrap());
        meter.follow(&intended, Bounds::new());
        assert_eq!(meter.restrictions(at)[&account.name], (account.id, Restriction::Expired));

        let freed = Account { allowance: Allowance::default(), ..account.as_ref().clone() };
        intended.insert_account(Arc::new(freed)).unwrap();
        intended.revision.0 += 1;
        meter.follow(&intended, Bounds::new());

        assert!(meter.restrictions(at).is_empty());
    }

    #[test]
    fn trusts_a_clock_only_after_it_has_gone_on_steadily() {
        let (mut meter, now) = (Meter::default(), clock::now());
        let at: Timestamp = "2026-03-04T12:00:00Z".parse().unwrap();
        let minutes = |n: u64| Duration::from_secs(60 * n);

        assert_eq!(meter.compare_clocks(at, now), Duration::ZERO);
        assert_eq!(meter.compare_clocks(at + Span::new().minutes(5), now + minutes(5)), minutes(5));
        let jumped = at + Span::new().hours(24 * 365 * 70);
        assert_eq!(meter.compare_clocks(jumped, now + minutes(6)), Duration::ZERO);
        assert_eq!(meter.compare_clocks(jumped + Span::new().minutes(1), now + minutes(7)), minutes(1));
        assert_eq!(meter.compare_clocks(at, now + minutes(8)), Duration::ZERO);
    }
}
