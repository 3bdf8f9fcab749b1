//! The audit log in the file: a table beside those of the state, so that an entry is committed with the change that it
//! tells of. It is no part of a backup, and a restore neither takes entries away nor brings any.

use std::net::IpAddr;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::record::{self, Nothing, Record};
use super::tables::boxed;
use crate::domain::access::Caller;
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
            by: Caller { label: self.label, address: self.address },
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
