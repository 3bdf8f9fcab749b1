//! Every table of the file, how all of them are read, and how steps are written.

use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::change::{State, Step};
use super::record::{self, Record, Undecodable};
use super::records::{AccessV1, AccountV1, PanelUserV1, ServerV1};
use crate::domain::access::{AccessEntry, PanelUser};
use crate::domain::account::Account;
use crate::domain::intended::Revision;
use crate::domain::server::Server;

type Records = TableDefinition<'static, &'static str, &'static [u8]>;

const SERVERS: Records = TableDefinition::new("servers");
const ACCOUNTS: Records = TableDefinition::new("accounts");
const ACCESS: Records = TableDefinition::new("access");
const PANEL_USERS: Records = TableDefinition::new("panel_users");
/// [`FORMAT_KEY`] and [`REVISION_KEY`].
const COUNTERS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("counters");

const FORMAT_KEY: &str = "format";
const REVISION_KEY: &str = "revision";
/// The latest format of the whole that is known here: it grows when a table changes its meaning, not with a record.
pub(super) const FORMAT: u64 = 1;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Its format is later than [`FORMAT`].
    Newer(u64),
    /// It is a database, but not what was written.
    Damaged(String),
    /// The database failed.
    Database(Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for Unreadable {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Makes every table in an empty database.
pub(super) fn lay_out(database: &Database) -> Result<(), Box<redb::Error>> {
    let transaction = begin(database)?;
    for table in [SERVERS, ACCOUNTS, ACCESS, PANEL_USERS] {
        transaction.open_table(table).map_err(boxed)?;
    }
    transaction.open_table(COUNTERS).map_err(boxed)?.insert(FORMAT_KEY, FORMAT).map_err(boxed)?;
    transaction.commit().map_err(boxed)
}

/// Writes steps and the revision that they make, durably.
pub(super) fn commit(database: &Database, steps: &[Step], revision: Revision) -> Result<(), Box<redb::Error>> {
    let transaction = begin(database)?;
    for step in steps {
        write(&transaction, step)?;
    }
    transaction.open_table(COUNTERS).map_err(boxed)?.insert(REVISION_KEY, revision.0).map_err(boxed)?;
    transaction.commit().map_err(boxed)
}

/// Two phases: the slot that the file names is then always whole, whatever a crash did to the other.
fn begin(database: &Database) -> Result<WriteTransaction, Box<redb::Error>> {
    let mut transaction = database.begin_write().map_err(boxed)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

fn write(transaction: &WriteTransaction, step: &Step) -> Result<(), Box<redb::Error>> {
    match step {
        Step::Server(server) => put(transaction, SERVERS, server.name.as_str(), &ServerV1::from(server.as_ref())),
        Step::NoServer(name) => take(transaction, SERVERS, name.as_str()),
        Step::Account(account) => put(transaction, ACCOUNTS, account.name.as_str(), &AccountV1::from(account.as_ref())),
        Step::NoAccount(name) => take(transaction, ACCOUNTS, name.as_str()),
        Step::Access(entry) => put(transaction, ACCESS, &entry.label, &AccessV1::from(entry)),
        Step::NoAccess(label) => take(transaction, ACCESS, label),
        Step::PanelUser(user) => put(transaction, PANEL_USERS, &user.name, &PanelUserV1::from(user)),
        Step::NoPanelUser(name) => take(transaction, PANEL_USERS, name),
    }
}

fn put<R: Record>(
    transaction: &WriteTransaction,
    table: Records,
    key: &str,
    record: &R,
) -> Result<(), Box<redb::Error>> {
    let bytes = record::encode(record).map_err(|error| boxed(redb::StorageError::Corrupted(error.to_string())))?;
    transaction.open_table(table).map_err(boxed)?.insert(key, bytes.as_slice()).map_err(boxed)?;
    Ok(())
}

fn take(transaction: &WriteTransaction, table: Records, key: &str) -> Result<(), Box<redb::Error>> {
    transaction.open_table(table).map_err(boxed)?.remove(key).map_err(boxed)?;
    Ok(())
}

fn boxed(error: impl Into<redb::Error>) -> Box<redb::Error> {
    Box::new(error.into())
}

/// Reads everything.
pub(super) fn load(database: &Database) -> Result<State, Unreadable> {
    let transaction = database.begin_read()?;
    let counters = transaction.open_table(COUNTERS)?;
    let counter = |key: &str| -> Result<Option<u64>, Unreadable> { Ok(counters.get(key)?.map(|value| value.value())) };
    match counter(FORMAT_KEY)? {
        None => return Err(Unreadable::Damaged("it has no format number".into())),
        Some(format) if format > FORMAT => return Err(Unreadable::Newer(format)),
        Some(_) => {}
    }
    let mut state = State::default();
    state.intended.revision = Revision(counter(REVISION_KEY)?.unwrap_or(0));
    load_tunnels(&transaction, &mut state)?;
    load_access(&transaction, &mut state)?;
    Ok(state)
}

fn load_tunnels(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    each(transaction, SERVERS, |record: ServerV1| {
        state.intended.insert_server(Arc::new(Server::from(record)));
        Ok(())
    })?;
    each(transaction, ACCOUNTS, |record: AccountV1| {
        let mut account = Account::from(record);
        let server = state.intended.server(account.server.as_str()).ok_or("its server is missing")?;
        // one name in memory for all accounts of a server
        account.server = server.server.name.clone();
        state.intended.insert_account(Arc::new(account)).map_err(|_| "its server is missing")?;
        Ok(())
    })
}

fn load_access(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    each(transaction, ACCESS, |record: AccessV1| {
        let entry = AccessEntry::try_from(record).map_err(|_| "its time is none")?;
        state.access.entries.insert(entry.label.clone(), entry);
        Ok(())
    })?;
    each(transaction, PANEL_USERS, |record: PanelUserV1| {
        let user = PanelUser::try_from(record).map_err(|_| "its time is none")?;
        state.access.users.insert(user.name.clone(), user);
        Ok(())
    })
}

/// Hands every record of a table to `place`.
fn each<R: Record>(
    transaction: &ReadTransaction,
    table: Records,
    mut place: impl FnMut(R) -> Result<(), &'static str>,
) -> Result<(), Unreadable> {
    use redb::TableHandle as _;
    for row in transaction.open_table(table)?.iter()? {
        let (key, bytes) = row?;
        let damaged = |why: &str| Unreadable::Damaged(format!("{} `{}`: {why}", table.name(), key.value()));
        let record = record::decode(bytes.value()).map_err(|error| match error {
            Undecodable::Version(version) => damaged(&format!("version {version} is unknown")),
            Undecodable::Malformed => damaged("malformed"),
        })?;
        place(record).map_err(damaged)?;
    }
    Ok(())
}
