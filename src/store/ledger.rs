//! Traffic figures on disk, in a file of their own: they are many, they change all the time, and nothing has to run on them.
//!
//! What is written together is a [`Batch`] with a number drawn at random. The file remembers the last one, so a batch whose
//! fate is unknown after a fault may be written again and counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use jiff::{Span, Unit};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition, TableHandle as _};
use tracing::warn;

use super::record::{self, Record};
use super::records::HoursV1;
use super::{Error, file};
use crate::domain::account::AccountId;
use crate::domain::traffic::{Bytes, DayTraffic, Hour, Portions};

/// The file's name in the data folder.
pub(super) const NAME: &str = "traffic.redb";
/// What its name ends with when it is put aside, for it cannot be read.
const DAMAGED: &str = "redb.damaged";

/// Down and up. The day comes first in a key: what is written together lies together, and so does what is pruned.
type Figures = (u64, u64);
/// Days since 1970, and the account.
type Key = (i32, u64);
pub(super) const DAYS: TableDefinition<'static, Key, Figures> = TableDefinition::new("days");
pub(super) const HOURS: TableDefinition<'static, Key, &'static [u8]> = TableDefinition::new("hours");
/// What each account has moved in all its life.
pub(super) const TOTALS: TableDefinition<'static, u64, Figures> = TableDefinition::new("totals");
/// [`BATCH`] and [`FORMAT_KEY`].
const COUNTERS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("counters");
const BATCH: &str = "batch";
const FORMAT_KEY: &str = "format";
const FORMAT: u64 = 1;
/// Up to so many accounts are looked up one by one; more are found on one walk through the days.
const FEW: usize = 64;

/// What is written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// A number drawn at random.
    pub id: u64,
    /// What was moved.
    pub portions: Portions,
}

/// What was read, and the batch up to which it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<T> {
    /// The number of the last batch that it has.
    pub batch: Option<u64>,
    /// What was read.
    pub figures: T,
}

/// The handle to the file; cheap to clone. It is opened when it is first needed.
#[derive(Debug, Clone)]
pub struct Ledger {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug)]
struct Shelf {
    /// `None` for one in memory.
    path: Option<PathBuf>,
    database: Option<Database>,
    is_closed: bool,
}

pub(super) type Fallible<T> = Result<T, Box<redb::Error>>;

impl Ledger {
    /// The ledger in `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self::new(Some(dir.join(NAME)))
    }

    /// One that lasts as long as its handles.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        Self::new(None)
    }

    fn new(path: Option<PathBuf>) -> Self {
        Self { shelf: Arc::new(Mutex::new(Shelf { path, database: None, is_closed: false })) }
    }

    /// Writes a batch, once however often it is called with it.
    ///
    /// # Errors
    /// [`Error::Write`] and why the file cannot be opened; the batch may be there nevertheless.
    pub async fn add(&self, batch: Arc<Batch>) -> Result<(), Error> {
        self.with(move |database| add(database, &batch)).await
    }

    /// What an account moved on the days on which it moved something.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn days(&self, account: AccountId, days: RangeInclusive<Date>) -> Result<Read<Vec<DayTraffic>>, Error> {
        self.with(move |database| {
            read(database, |transaction| {
                let table = transaction.open_table(DAYS).map_err(boxed)?;
                let mut found = Vec::new();
                for day in each_day(days) {
                    if let Some(figures) = table.get((number(day), account.0)).map_err(boxed)? {
                        found.push(DayTraffic { day, bytes: bytes(figures.value()) });
                    }
                }
                Ok(found)
            })
        })
        .await
    }

    /// What an account moved in those hours of a day in which it moved something.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn hours(&self, account: AccountId, day: Date) -> Result<Read<BTreeMap<Hour, Bytes>>, Error> {
        self.with(move |database| {
            read(database, |transaction| {
                let table = transaction.open_table(HOURS).map_err(boxed)?;
                let row = table.get((number(day), account.0)).map_err(boxed)?;
                let hours = row.map(|row| decoded(row.value())).transpose()?.unwrap_or_default();
                Ok(hours.into_iter().map(|(number, bytes)| (Hour { day, number }, bytes)).collect())
            })
        })
        .await
    }

    /// What each of these accounts has moved since the day that stands beside it, or in all its life.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn used(
        &self,
        accounts: BTreeMap<AccountId, Option<Date>>,
        until: Date,
    ) -> Result<Read<BTreeMap<AccountId, Bytes>>, Error> {
        self.with(move |database| read(database, |transaction| used(transaction, &accounts, until))).await
    }

    /// Forgets an account's figures.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn forget(&self, account: AccountId) -> Result<(), Error> {
        self.with(move |database| forget(database, account)).await
    }

    /// Forgets figures by day of before `first`, and those by hour of before `first_by_hour`.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn prune(&self, first: Date, first_by_hour: Date) -> Result<(), Error> {
        self.with(move |database| {
            let transaction = begin(database)?;
            let before = |day: Date| (i32::MIN, 0)..(number(day), 0);
            transaction.open_table(DAYS).map_err(boxed)?.retain_in(before(first), |_, _| false).map_err(boxed)?;
            let mut hours = transaction.open_table(HOURS).map_err(boxed)?;
            hours.retain_in(before(first_by_hour), |_, _| false).map_err(boxed)?;
            drop(hours);
            transaction.commit().map_err(boxed)
        })
        .await
    }

    /// Closes the file. Nothing is read or written from then on.
    pub(super) async fn close(&self) {
        let shared = Arc::clone(&self.shelf);
        let work = move || {
            let mut opened = shared.lock().unwrap_or_else(PoisonError::into_inner);
            opened.is_closed = true;
            opened.database = None;
        };
        let _ = tokio::task::spawn_blocking(work).await;
    }

    /// Does something with the database, away from those who wait.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Database) -> Fallible<T> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shelf);
        let work = move || {
            let mut opened = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let done = call(opened.database()?);
            done.map_err(|error| {
                // the database takes no write after a failure until it has been opened anew
                if opened.path.is_some() {
                    opened.database = None;
                }
                Error::Write { why: error.to_string() }
            })
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Write { why: error.to_string() })?
    }
}

impl Shelf {
    fn database(&mut self) -> Result<&Database, Error> {
        if self.is_closed {
            return Err(Error::Closed);
        }
        let database = match (self.database.take(), &self.path) {
            (Some(database), _) => database,
            (None, Some(path)) => open(path)?,
            (None, None) => lay_out(InMemoryBackend::new()).map_err(|error| failed(&error))?,
        };
        Ok(self.database.insert(database))
    }
}

/// Opens the file. One that cannot be read is put aside, for nothing has to run on it.
fn open(path: &Path) -> Result<Database, Error> {
    match open_present(path) {
        Err(Error::Damaged { why, .. }) => {
            let aside = path.with_extension(DAMAGED);
            fs::rename(path, &aside).map_err(|error| Error::Write { why: error.to_string() })?;
            warn!("Traffic figures begin anew: `{}` is damaged ({why}) and lies aside now", path.display());
            open_present(path)
        }
        opened => opened,
    }
}

fn open_present(path: &Path) -> Result<Database, Error> {
    let unreadable = |error: redb::Error| {
        // what the disk gave is not what was written
        let is_other =
            |cause: &io::Error| matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
        if matches!(&error, redb::Error::Io(cause) if is_other(cause)) {
            return Error::Damaged { path: path.display().to_string(), why: error.to_string() };
        }
        file::refuse(error.into(), path)
    };
    let unusable = || Error::Unusable { path: path.display().to_string(), why: "it cannot be made".into() };
    let file = file::open_file(path, true)?.ok_or_else(unusable)?;
    let database = FileBackend::new(file).map_err(redb::Error::from).and_then(|backend| {
        // every page is looked at: a torn one is found now, and not in the middle of something
        lay_out(backend).map_err(|error| *error)
    });
    let database = database.map_err(unreadable)?;
    let format = read(&database, |transaction| {
        let counters = transaction.open_table(COUNTERS).map_err(boxed)?;
        Ok(counters.get(FORMAT_KEY).map_err(boxed)?.map_or(FORMAT, |value| value.value()))
    });
    match format.map_err(|error| unreadable(*error))?.figures {
        found if found > FORMAT => Err(Error::Newer { path: path.display().to_string(), found, known: FORMAT }),
        _ => Ok(database),
    }
}

/// A database that has every table.
fn lay_out(backend: impl StorageBackend) -> Fallible<Database> {
    let database = file::database(backend, true).map_err(boxed)?;
    let present = database.begin_read().map_err(boxed)?;
    let is_laid_out = present.list_tables().map_err(boxed)?.any(|table| table.name() == COUNTERS.name());
    drop(present);
    if is_laid_out {
        return Ok(database);
    }
    let transaction = begin(&database)?;
    transaction.open_table(DAYS).map_err(boxed)?;
    transaction.open_table(HOURS).map_err(boxed)?;
    transaction.open_table(TOTALS).map_err(boxed)?;
    transaction.open_table(COUNTERS).map_err(boxed)?.insert(FORMAT_KEY, FORMAT).map_err(boxed)?;
    transaction.commit().map_err(boxed)?;
    Ok(database)
}

pub(super) fn begin(database: &Database) -> Fallible<redb::WriteTransaction> {
    let mut transaction = database.begin_write().map_err(boxed)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

fn read<T>(database: &Database, call: impl FnOnce(&redb::ReadTransaction) -> Fallible<T>) -> Fallible<Read<T>> {
    let transaction = database.begin_read().map_err(boxed)?;
    let batch = transaction.open_table(COUNTERS).map_err(boxed)?.get(BATCH).map_err(boxed)?.map(|value| value.value());
    Ok(Read { batch, figures: call(&transaction)? })
}

fn add(database: &Database, batch: &Batch) -> Fallible<()> {
    let transaction = begin(database)?;
    {
        let mut counters = transaction.open_table(COUNTERS).map_err(boxed)?;
        let last = counters.insert(BATCH, batch.id).map_err(boxed)?.map(|value| value.value());
        if last == Some(batch.id) {
            return Ok(());
        }
        let mut days = transaction.open_table(DAYS).map_err(boxed)?;
        let mut hours = transaction.open_table(HOURS).map_err(boxed)?;
        let mut totals = transaction.open_table(TOTALS).map_err(boxed)?;
        for ((hour, account), portion) in &batch.portions {
            let key = (number(hour.day), account.0);
            let mut day = days.get(key).map_err(boxed)?.map_or_else(Bytes::default, |row| bytes(row.value()));
            day += *portion;
            days.insert(key, (day.down, day.up)).map_err(boxed)?;
            let mut total = totals.get(account.0).map_err(boxed)?.map_or_else(Bytes::default, |row| bytes(row.value()));
            total += *portion;
            totals.insert(account.0, (total.down, total.up)).map_err(boxed)?;
            let row = hours.get(key).map_err(boxed)?.map(|row| decoded(row.value())).transpose()?;
            let mut of_day = row.unwrap_or_default();
            *of_day.entry(hour.number).or_default() += *portion;
            hours.insert(key, encoded(&HoursV1::from(&of_day))?.as_slice()).map_err(boxed)?;
        }
    }
    transaction.commit().map_err(boxed)
}

fn used(
    transaction: &redb::ReadTransaction,
    accounts: &BTreeMap<AccountId, Option<Date>>,
    until: Date,
) -> Fallible<BTreeMap<AccountId, Bytes>> {
    let mut sums: BTreeMap<AccountId, Bytes> = BTreeMap::new();
    let totals = transaction.open_table(TOTALS).map_err(boxed)?;
    let days = transaction.open_table(DAYS).map_err(boxed)?;
    for (account, _) in accounts.iter().filter(|(_, since)| since.is_none()) {
        if let Some(total) = totals.get(account.0).map_err(boxed)? {
            sums.insert(*account, bytes(total.value()));
        }
    }
    let since: BTreeMap<AccountId, i32> =
        accounts.iter().filter_map(|(account, since)| Some((*account, number((*since)?)))).collect();
    let Some(first) = since.values().min().copied() else { return Ok(sums) };
    if since.len() <= FEW {
        for (account, first) in &since {
            for day in *first..=number(until) {
                if let Some(figures) = days.get((day, account.0)).map_err(boxed)? {
                    *sums.entry(*account).or_default() += bytes(figures.value());
                }
            }
        }
        return Ok(sums);
    }
    for row in days.range((first, 0)..=(number(until), u64::MAX)).map_err(boxed)? {
        let (key, figures) = row.map_err(boxed)?;
        let (day, account) = key.value();
        if since.get(&AccountId(account)).is_some_and(|first| *first <= day) {
            *sums.entry(AccountId(account)).or_default() += bytes(figures.value());
        }
    }
    Ok(sums)
}

fn forget(database: &Database, account: AccountId) -> Fallible<()> {
    let transaction = begin(database)?;
    {
        let mut days = transaction.open_table(DAYS).map_err(boxed)?;
        let mut hours = transaction.open_table(HOURS).map_err(boxed)?;
        let ends = [days.first().map_err(boxed)?, days.last().map_err(boxed)?];
        let [first, last] = ends.map(|row| row.map(|(key, _)| key.value().0));
        for day in first.zip(last).map(|(first, last)| first..=last).into_iter().flatten() {
            days.remove((day, account.0)).map_err(boxed)?;
            hours.remove((day, account.0)).map_err(boxed)?;
        }
        transaction.open_table(TOTALS).map_err(boxed)?.remove(account.0).map_err(boxed)?;
    }
    transaction.commit().map_err(boxed)
}

fn bytes((down, up): Figures) -> Bytes {
    Bytes { down, up }
}

fn encoded<R: Record>(record: &R) -> Fallible<Vec<u8>> {
    record::encode(record).map_err(|error| boxed(redb::StorageError::Corrupted(error.to_string())))
}

pub(super) fn decoded(row: &[u8]) -> Fallible<BTreeMap<u8, Bytes>> {
    let record: HoursV1 = record::decode(row)
        .map_err(|error| boxed(redb::StorageError::Corrupted(format!("figures by hour: {error:?}"))))?;
    Ok(record.into())
}

/// Days since 1970.
fn number(day: Date) -> i32 {
    day.since((Unit::Day, Date::constant(1970, 1, 1))).map_or(0, |span| span.get_days())
}

fn each_day(days: RangeInclusive<Date>) -> BTreeSet<Date> {
    let last = *days.end();
    days.start().series(Span::new().days(1)).take_while(|day| *day <= last).collect()
}

pub(super) fn boxed(error: impl Into<redb::Error>) -> Box<redb::Error> {
    Box::new(error.into())
}

fn failed(error: &redb::Error) -> Error {
    Error::Write { why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use tempfile::TempDir;

    const ONE: AccountId = AccountId(1);
    const OTHER: AccountId = AccountId(u64::MAX);

    fn batch(id: u64, portions: &[(Date, u8, AccountId, u64, u64)]) -> Arc<Batch> {
        let portion = |(day, number, account, down, up): &(Date, u8, AccountId, u64, u64)| {
            ((Hour { day: *day, number: *number }, *account), Bytes { down: *down, up: *up })
        };
        Arc::new(Batch { id, portions: portions.iter().map(portion).collect() })
    }

    async fn days(ledger: &Ledger, account: AccountId) -> Vec<(Date, u64, u64)> {
        let read = ledger.days(account, date(2026, 1, 1)..=date(2026, 3, 31)).await.unwrap();
        read.figures.iter().map(|of| (of.day, of.bytes.down, of.bytes.up)).collect()
    }

    #[tokio::test]
    async fn sums_up_days_and_keeps_hours_apart_over_a_restart() {
        let dir = TempDir::new().unwrap();
        let ledger = Ledger::of(dir.path());
        let (first, second) = (date(2026, 1, 31), date(2026, 2, 1));
        ledger
            .add(batch(1, &[(first, 23, ONE, 5, 1), (second, 0, ONE, 7, 2), (second, 0, OTHER, 9, 3)]))
            .await
            .unwrap();
        ledger.add(batch(2, &[(second, 0, ONE, 1, 1), (second, 24, ONE, 1 << 40, 1)])).await.unwrap();
        ledger.close().await;
        assert_eq!(ledger.days(ONE, first..=second).await, Err(Error::Closed));

        let ledger = Ledger::of(dir.path());

        assert_eq!(days(&ledger, ONE).await, [(first, 5, 1), (second, 8 + (1 << 40), 4)]);
        assert_eq!(days(&ledger, OTHER).await, [(second, 9, 3)]);
        let hours = ledger.hours(ONE, second).await.unwrap();
        let hours: Vec<_> = hours.figures.iter().map(|(hour, bytes)| (hour.number, bytes.down)).collect();
        assert_eq!(hours, [(0, 8), (24, 1 << 40)]);
    }

    #[tokio::test]
    async fn counts_a_batch_once_however_often_it_comes() {
        let ledger = Ledger::in_memory();
        let day = date(2026, 2, 1);
        for _ in 0..3 {
            ledger.add(batch(77, &[(day, 0, ONE, 5, 1)])).await.unwrap();
        }

        let read = ledger.days(ONE, day..=day).await.unwrap();

        assert_eq!((read.batch, read.figures[0].bytes), (Some(77), Bytes { down: 5, up: 1 }));
    }

    #[tokio::test]
    async fn tells_few_accounts_and_many_what_they_have_used() {
        let ledger = Ledger::in_memory();
        let today = date(2026, 2, 10);
        let yesterday = today.yesterday().unwrap();
        let accounts: Vec<AccountId> = (0..200).map(AccountId).collect();
        for (id, day) in [(1, yesterday), (2, today)] {
            let portions: Vec<_> = accounts.iter().map(|account| (day, 3, *account, account.0, 1)).collect();
            ledger.add(batch(id, &portions)).await.unwrap();
        }
        for among in [&accounts[..], &accounts[7..8]] {
            for (since, times) in [(Some(today), 1), (Some(yesterday), 2), (None, 2)] {
                let asked = among.iter().map(|account| (*account, since)).collect();

                let used = ledger.used(asked, today).await.unwrap().figures;

                let expected: BTreeMap<_, _> =
                    among.iter().map(|of| (*of, Bytes { down: times * of.0, up: times })).collect();
                assert_eq!(used, expected, "{since:?}");
            }
        }
    }

    #[tokio::test]
    async fn prunes_days_and_hours_each_by_its_own_first_day() {
        let ledger = Ledger::in_memory();
        let all = [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)];
        ledger.add(batch(1, &all.map(|day| (day, 0, ONE, 1, 1)))).await.unwrap();

        ledger.prune(all[1], all[2]).await.unwrap();

        assert_eq!(days(&ledger, ONE).await.iter().map(|of| of.0).collect::<Vec<_>>(), all[1..]);
        assert!(ledger.hours(ONE, all[1]).await.unwrap().figures.is_empty());
        assert!(!ledger.hours(ONE, all[2]).await.unwrap().figures.is_empty());
        let total = ledger.used([(ONE, None)].into(), all[2]).await.unwrap().figures;
        assert_eq!(total[&ONE], Bytes { down: 3, up: 3 }, "what an account has moved in its life is no history");
    }

    #[tokio::test]
    async fn forgets_one_account_alone() {
        let ledger = Ledger::in_memory();
        let day = date(2026, 2, 1);
        ledger.add(batch(1, &[(day, 0, ONE, 1, 1), (day, 0, OTHER, 2, 2)])).await.unwrap();

        ledger.forget(ONE).await.unwrap();

        assert!(days(&ledger, ONE).await.is_empty());
        assert!(ledger.used([(ONE, None)].into(), day).await.unwrap().figures.is_empty());
        assert_eq!(days(&ledger, OTHER).await, [(day, 2, 2)]);
    }

    #[tokio::test]
    async fn puts_a_file_aside_that_it_cannot_read() {
        for broken in [&b"no database at all, and long enough to be looked at"[..], b""] {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join(NAME), broken).unwrap();
            let ledger = Ledger::of(dir.path());
            let day = date(2026, 2, 1);

            ledger.add(batch(1, &[(day, 0, ONE, 1, 1)])).await.unwrap();

            assert_eq!(days(&ledger, ONE).await, [(day, 1, 1)]);
            let aside = fs::read(dir.path().join("traffic.redb.damaged")).unwrap_or_default();
            assert_eq!(aside, broken);
        }
    }

    #[tokio::test]
    async fn survives_a_flipped_byte_anywhere() {
        let dir = TempDir::new().unwrap();
        let (path, day) = (dir.path().join(NAME), date(2026, 2, 1));
        let ledger = Ledger::of(dir.path());
        ledger.add(batch(1, &[(day, 0, ONE, 1, 1), (day, 1, OTHER, 2, 2)])).await.unwrap();
        ledger.close().await;
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 64) {
            let mut torn = whole.clone();
            torn[at] ^= 0x55;
            fs::write(&path, &torn).unwrap();
            let ledger = Ledger::of(dir.path());

            let read = ledger.days(ONE, day..=day).await;

            assert!(read.is_ok() || matches!(read, Err(Error::Newer { .. })), "{at}: {read:?}");
            ledger.close().await;
        }
    }
}
