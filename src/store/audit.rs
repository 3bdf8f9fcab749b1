//! The audit log in the file: a table beside those of the state, so that an entry is committed with the change that it
//! tells of. It is no part of a backup, and a restore neither takes entries away nor brings any.

use std::net::IpAddr;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::record::{self, Nothing, Record};
use super::tables::boxed;
use crate::domain::access::Author;
use crate::domain::audit::{AuditEntry, AuditQuery, Deed, Kind};
use crate::domain::limits;

/// By number.
const AUDIT: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("audit");

/// An entry; its number is its key.
#[derive(Serialize, Deserialize)]
struct AuditV1 {
    /// In milliseconds since 1970.
    at: i64,
    label: String,
    address: Option<IpAddr>,
    kind: String,
    name: String,
    text: String,
}

impl Record for AuditV1 {
    const VERSION: u8 = 1;
    type Previous = Nothing;
}

impl From<Nothing> for AuditV1 {
    fn from(nothing: Nothing) -> Self {
        match nothing {}
    }
}

impl From<&AuditEntry> for AuditV1 {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            at: entry.at.as_millisecond(),
            label: entry.by.label.clone(),
            address: entry.by.address,
            kind: entry.deed.kind.word().to_owned(),
            name: entry.deed.name.clone(),
            text: entry.deed.text.clone(),
        }
    }
}

impl AuditV1 {
    /// The entry, unless it is of a kind or a time that is not known here.
    fn entry(self, number: u64) -> Option<AuditEntry> {
        Some(AuditEntry {
            number,
            at: Timestamp::from_millisecond(self.at).ok()?,
            by: Author { label: self.label, address: self.address },
            deed: Deed { kind: Kind::parse(&self.kind)?, name: self.name, text: self.text },
        })
    }
}

/// Writes an entry, and takes away the one that is too many.
pub(super) fn write(transaction: &WriteTransaction, entry: &AuditEntry) -> Result<(), Box<redb::Error>> {
    let malformed = |error: postcard::Error| boxed(redb::StorageError::Corrupted(error.to_string()));
    let bytes = record::encode(&AuditV1::from(entry)).map_err(malformed)?;
    let mut table = transaction.open_table(AUDIT).map_err(boxed)?;
    table.insert(entry.number, bytes.as_slice()).map_err(boxed)?;
    if let Some(surplus) = entry.number.checked_sub(limits::AUDIT_ENTRIES) {
        table.remove(surplus).map_err(boxed)?;
    }
    Ok(())
}

/// The number of the latest entry, 0 where there is none.
pub(super) fn latest(transaction: &ReadTransaction) -> Result<u64, redb::Error> {
    match transaction.open_table(AUDIT) {
        Ok(table) => Ok(table.last()?.map_or(0, |(number, _)| number.value())),
        // an older file lacks it: the first entry makes it
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The entries that `query` wants, the latest first.
pub(super) fn read(transaction: &ReadTransaction, query: &AuditQuery) -> Result<Vec<AuditEntry>, redb::Error> {
    let table = match transaction.open_table(AUDIT) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut found = Vec::new();
    for row in table.range(..query.before.unwrap_or(u64::MAX))?.rev() {
        if found.len() == query.limit {
            break;
        }
        let (number, bytes) = row?;
        // a later program's entry tells nothing here, and is no reason to tell nothing at all
        let entry = record::decode::<AuditV1>(bytes.value()).ok().and_then(|record| record.entry(number.value()));
        found.extend(entry.filter(|entry| query.wants(entry)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase as _};

    use super::*;

    fn entry(number: u64) -> AuditEntry {
        let deed = Deed::of(Kind::System, format!("deed {number}"));
        AuditEntry { number, at: Timestamp::UNIX_EPOCH, by: Author { label: "local".into(), address: None }, deed }
    }

    fn database(numbers: &[u64]) -> Database {
        let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        for number in numbers {
            write(&transaction, &entry(*number)).unwrap();
        }
        transaction.commit().unwrap();
        database
    }

    fn numbers(database: &Database, query: &AuditQuery) -> Vec<u64> {
        let transaction = database.begin_read().unwrap();
        read(&transaction, query).unwrap().iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn keeps_the_latest() {
        let (first, limit) = (1, limits::AUDIT_ENTRIES);

        let database = database(&[first, first + 1, first + limit]);

        let all = AuditQuery { limit: 10, ..AuditQuery::default() };
        assert_eq!(numbers(&database, &all), [first + limit, first + 1]);
        assert_eq!(latest(&database.begin_read().unwrap()).unwrap(), first + limit);
    }

    #[test]
    fn reads_a_page_before_an_entry() {
        let database = database(&[1, 2, 3, 4]);

        let query = AuditQuery { before: Some(4), limit: 2, ..AuditQuery::default() };

        assert_eq!(numbers(&database, &query), [3, 2]);
    }

    #[test]
    fn is_empty_in_a_file_that_never_had_any() {
        let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();

        assert_eq!(latest(&database.begin_read().unwrap()).unwrap(), 0);
        assert!(numbers(&database, &AuditQuery { limit: 1, ..AuditQuery::default() }).is_empty());
    }

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn reads_back_what_it_has_written() {
        let by = Author { label: "a".into(), address: Some([192, 0, 2, 1].into()) };
        let deed = Deed { kind: Kind::Dns, name: String::new(), text: "t".into() };
        let entry = AuditEntry { number: 7, at: Timestamp::from_millisecond(1).unwrap(), by, deed };

        let bytes = record::encode(&AuditV1::from(&entry)).unwrap();

        assert_eq!(bytes, b"\x01\x02\x01a\x01\x00\xc0\x00\x02\x01\x03dns\x00\x01t");
        assert_eq!(record::decode::<AuditV1>(&bytes).unwrap().entry(7), Some(entry));
    }
}
