//! Traffic figures as rows of an archive.

use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::ledger::{DAYS, Fallible, HOURS, Ledger, TOTALS, begin, boxed, decoded};
use super::tables::Rows;
use super::{Error, archive};

/// A table's name in an archive.
const NAMES: [&str; 3] = ["days", "hours", "totals"];

/// Whether rows of this name can be put back.
pub(super) fn is_sound(name: &str, rows: &Rows) -> bool {
    rows.iter().all(|(key, value)| match name {
        "days" => day_key(key).is_some() && figures(value).is_some(),
        "hours" => day_key(key).is_some() && decoded(value).is_ok(),
        "totals" => account(key).is_some() && figures(value).is_some(),
        _ => false,
    })
}

impl Ledger {
    /// Everything, table by table.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) async fn dump(&self) -> Result<archive::Tables, Error> {
        self.with(dump).await
    }

    /// Puts other figures in the place of all that are there, in one step.
    ///
    /// # Errors
    /// As [`Self::add`]; the figures are then as before.
    pub(super) async fn replace(&self, tables: archive::Tables) -> Result<(), Error> {
        self.with(move |database| replace(database, &tables)).await
    }
}

fn dump(database: &Database) -> Fallible<archive::Tables> {
    let transaction = database.begin_read().map_err(boxed)?;
    let mut tables = [Rows::new(), Rows::new(), Rows::new()];
    for row in transaction.open_table(DAYS).map_err(boxed)?.iter().map_err(boxed)? {
        let (key, value) = row.map_err(boxed)?;
        tables[0].push((day_bytes(key.value()), figure_bytes(value.value())));
    }
    for row in transaction.open_table(HOURS).map_err(boxed)?.iter().map_err(boxed)? {
        let (key, value) = row.map_err(boxed)?;
        tables[1].push((day_bytes(key.value()), value.value().to_vec()));
    }
    for row in transaction.open_table(TOTALS).map_err(boxed)?.iter().map_err(boxed)? {
        let (key, value) = row.map_err(boxed)?;
        tables[2].push((key.value().to_le_bytes().to_vec(), figure_bytes(value.value())));
    }
    Ok(NAMES.into_iter().map(str::to_owned).zip(tables).collect())
}

fn replace(database: &Database, tables: &archive::Tables) -> Fallible<()> {
    let transaction = begin(database)?;
    let rows = |name: &str| tables.get(name).into_iter().flatten();
    transaction.delete_table(DAYS).map_err(boxed)?;
    transaction.delete_table(HOURS).map_err(boxed)?;
    transaction.delete_table(TOTALS).map_err(boxed)?;
    {
        let mut days = transaction.open_table(DAYS).map_err(boxed)?;
        let mut hours = transaction.open_table(HOURS).map_err(boxed)?;
        let mut totals = transaction.open_table(TOTALS).map_err(boxed)?;
        for (key, value) in rows("days").filter_map(|(key, value)| Some((day_key(key)?, figures(value)?))) {
            days.insert(key, value).map_err(boxed)?;
        }
        for (key, value) in rows("hours").filter_map(|(key, value)| Some((day_key(key)?, value))) {
            hours.insert(key, value.as_slice()).map_err(boxed)?;
        }
        for (key, value) in rows("totals").filter_map(|(key, value)| Some((account(key)?, figures(value)?))) {
            totals.insert(key, value).map_err(boxed)?;
        }
    }
    transaction.commit().map_err(boxed)
}

fn day_bytes((day, account): (i32, u64)) -> Vec<u8> {
    [&day.to_le_bytes()[..], &account.to_le_bytes()].concat()
}

fn day_key(bytes: &[u8]) -> Option<(i32, u64)> {
    let (day, rest) = bytes.split_first_chunk()?;
    Some((i32::from_le_bytes(*day), account(rest)?))
}

fn account(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

fn figure_bytes((down, up): (u64, u64)) -> Vec<u8> {
    [down.to_le_bytes(), up.to_le_bytes()].concat()
}

fn figures(bytes: &[u8]) -> Option<(u64, u64)> {
    let (down, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*down), account(rest)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::ledger::Batch;
    use super::*;
    use crate::domain::account::AccountId;
    use crate::domain::traffic::{Bytes, Hour};

    #[test]
    fn takes_only_rows_that_it_can_put_back() {
        let day = (day_bytes((20_000, 7)), figure_bytes((1, 2)));
        let total = (7_u64.to_le_bytes().to_vec(), figure_bytes((1, 2)));

        assert!(is_sound("days", &vec![day.clone()]) && is_sound("totals", &vec![total.clone()]));
        assert!(!is_sound("days", &vec![total]) && !is_sound("totals", &vec![day.clone()]));
        assert!(!is_sound("more", &vec![day.clone()]) && !is_sound("days", &vec![(day.0, vec![0; 15])]));
    }

    #[tokio::test]
    async fn carries_every_figure_to_another_ledger() {
        let (from, to) = (Ledger::in_memory(), Ledger::in_memory());
        let day = jiff::civil::date(2026, 11, 26);
        let hour = Hour { day, number: 7 };
        let moved = Bytes { down: 5, up: 3 };
        let batch = |account| Batch { id: account, portions: [((hour, AccountId(account)), moved)].into() };
        from.add(Arc::new(batch(1))).await.unwrap();
        to.add(Arc::new(batch(2))).await.unwrap();

        to.replace(from.dump().await.unwrap()).await.unwrap();

        let days =
            |ledger: Ledger, account| async move { ledger.days(AccountId(account), day..=day).await.unwrap().figures };
        assert_eq!(days(to.clone(), 1).await, days(from.clone(), 1).await);
        assert_eq!(days(to.clone(), 1).await.len(), 1);
        assert!(days(to.clone(), 2).await.is_empty());
        assert_eq!(to.dump().await.unwrap(), from.dump().await.unwrap());
    }
}
