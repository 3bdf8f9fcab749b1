//! Messages of webhooks that wait, in the file: a table beside those of the state. It is no part of a backup, for what is
//! restored weeks later is no news; and a restore neither takes messages away nor brings any.

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::record::{self, Nothing, Record};
use super::tables::boxed;
use crate::domain::name::WebhookName;
use crate::domain::webhook::{Kept, Message};

/// By number.
const MESSAGES: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("webhook_messages");

/// What comes to wait, and the numbers of what waits no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageChanges {
    /// Messages that are to outlive the process.
    pub put: Vec<Kept>,
    /// Those that were delivered, or given up.
    pub gone: Vec<u64>,
}

impl MessageChanges {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.gone.is_empty()
    }
}

/// A message; its number is its key.
#[derive(Serialize, Deserialize)]
struct MessageV1 {
    to: WebhookName,
    id: String,
    /// In milliseconds since 1970.
    at: i64,
    body: String,
}

impl Record for MessageV1 {
    const VERSION: u8 = 1;
    type Previous = Nothing;
}

impl From<Nothing> for MessageV1 {
    fn from(nothing: Nothing) -> Self {
        match nothing {}
    }
}

impl From<&Kept> for MessageV1 {
    fn from(kept: &Kept) -> Self {
        let Message { id, at, body } = kept.message.clone();
        Self { to: kept.to.clone(), id, at: at.as_millisecond(), body }
    }
}

impl MessageV1 {
    /// The message, unless its time is none.
    fn kept(self, number: u64) -> Option<Kept> {
        let message = Message { id: self.id, at: Timestamp::from_millisecond(self.at).ok()?, body: self.body };
        Some(Kept { number, to: self.to, message })
    }
}

/// Writes what comes, and takes away what goes.
pub(super) fn write(transaction: &WriteTransaction, changes: &MessageChanges) -> Result<(), Box<redb::Error>> {
    let malformed = |error: postcard::Error| boxed(redb::StorageError::Corrupted(error.to_string()));
    let mut table = transaction.open_table(MESSAGES).map_err(boxed)?;
    for kept in &changes.put {
        let bytes = record::encode(&MessageV1::from(kept)).map_err(malformed)?;
        table.insert(kept.number, bytes.as_slice()).map_err(boxed)?;
    }
    for number in &changes.gone {
        table.remove(number).map_err(boxed)?;
    }
    Ok(())
}

/// Every message, the first first.
pub(super) fn read(transaction: &ReadTransaction) -> Result<Vec<Kept>, redb::Error> {
    let table = match transaction.open_table(MESSAGES) {
        // an older file lacks it: the first message that waits makes it
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut found = Vec::new();
    for row in table.iter()? {
        let (number, bytes) = row?;
        // a later program's message is not ours to send
        let record = record::decode::<MessageV1>(bytes.value()).ok();
        found.extend(record.and_then(|record| record.kept(number.value())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase as _};

    use super::*;

    fn kept(number: u64) -> Kept {
        let at = Timestamp::from_millisecond(1).unwrap();
        let message = Message { id: format!("msg_{number}"), at, body: "{}".into() };
        Kept { number, to: WebhookName::parse("b").unwrap(), message }
    }

    #[test]
    fn has_what_came_and_did_not_go_in_its_order() {
        let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
        assert_eq!(read(&database.begin_read().unwrap()).unwrap(), []);

        for changes in [
            MessageChanges { put: vec![kept(2), kept(300), kept(1)], gone: vec![7] },
            MessageChanges { put: vec![], gone: vec![2] },
        ] {
            let transaction = database.begin_write().unwrap();
            write(&transaction, &changes).unwrap();
            transaction.commit().unwrap();
        }

        assert_eq!(read(&database.begin_read().unwrap()).unwrap(), [kept(1), kept(300)]);
    }

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn reads_back_what_it_has_written() {
        let bytes = record::encode(&MessageV1::from(&kept(7))).unwrap();

        assert_eq!(bytes, b"\x01\x01b\x05msg_7\x02\x02{}");
        assert_eq!(record::decode::<MessageV1>(&bytes).unwrap().kept(7), Some(kept(7)));
    }
}
