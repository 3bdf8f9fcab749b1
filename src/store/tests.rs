//! Stories of the whole store: what lasts, what is refused, and what a file must look like to be opened.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use redb::TableDefinition;
use tempfile::TempDir;

use super::*;
use crate::domain::account::Account;
use crate::domain::firewall::{Action, End, FilterRule, FirewallSettings};
use crate::domain::fixture::{account_of, account_seed, host};
use crate::domain::name::{AccountName, RuleName};
use crate::domain::port_forward::{OuterPort, PortForward, Transport};
use crate::domain::server::{ServerDraft, ServerSeed};

/// Adds the server `Default_1`.
pub(super) async fn add_server(store: &Store) -> Result<((), Revision), WriteError> {
    let rule = |change: &mut Change| {
        let seed = ServerSeed { private_key: [1; 32], network: [0; 5] };
        let server = ServerDraft::default().settle(change.intended(), &host(), &seed)?;
        change.put_server(server);
        Ok(())
    };
    store.write(rule).await
}

/// Adds an account of `Default_1`.
pub(super) async fn add_account(store: &Store) -> Result<(Arc<Account>, Revision), WriteError> {
    let rule = |change: &mut Change| {
        let seed = account_seed(change.intended().count_accounts());
        let account = account_of("Default_1").settle(change.intended(), u32::MAX, &seed)?;
        change.put_account(account)
    };
    store.write(rule).await
}

/// Everything that a store holds, as text.
pub(super) fn shown(intended: &Intended) -> String {
    format!("{intended:?}")
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn file_of(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("culvert.redb")
}

#[tokio::test]
async fn gives_the_same_after_it_is_opened_again() {
    let dir = folder();
    let store = Store::open(dir.path()).unwrap();
    add_server(&store).await.unwrap();
    for _ in 0..10 {
        add_account(&store).await.unwrap();
    }
    let before = store.intended();
    store.close().await.unwrap();

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(shown(&store.intended()), shown(&before));
    assert_eq!(before.revision, Revision(11));
}

/// A rule of this name, at either end.
async fn add_rule(store: &Store, name: &str, end: End) {
    let rule = FilterRule { name: RuleName::parse(name).unwrap(), ..FilterRule::system(23) };
    store.write(move |change| change.add_rule(rule, end)).await.unwrap();
}

fn rules(store: &Store) -> Vec<String> {
    store.intended().firewall.rules.iter().map(|rule| format!("{}:{}", rule.name, rule.destination_port)).collect()
}

#[tokio::test]
async fn gives_the_same_firewall_after_it_is_opened_again_with_the_api_at_another_port() {
    let dir = folder();
    let store = Store::open_at(dir.path(), 8098).unwrap();
    for (name, end) in [("c", End::Bottom), ("b", End::Top), ("d", End::Bottom), ("a", End::Top)] {
        add_rule(&store, name, end).await;
    }
    store.write(|change| change.remove_rule("c")).await.unwrap();
    let settings = FirewallSettings { policy_forward: Action::Drop, ..FirewallSettings::default() };
    let put = move |change: &mut Change| {
        change.put_firewall(settings);
        Ok(())
    };
    store.write(put).await.unwrap();
    store.close().await.unwrap();

    let store = Store::open_at(dir.path(), 9000).unwrap();
    assert_eq!(rules(&store), ["a:23", "b:23", "system_PUQVPNCP:9000", "d:23"]);
    assert_eq!(store.intended().firewall.settings, settings);
    add_rule(&store, "e", End::Top).await;
    assert_eq!(rules(&store)[..2], ["e:23", "a:23"]);
}

#[tokio::test]
async fn gives_the_same_port_forwards_after_it_is_opened_again() {
    let dir = folder();
    let store = Store::open(dir.path()).unwrap();
    add_server(&store).await.unwrap();
    for _ in 0..2 {
        add_account(&store).await.unwrap();
    }
    for (port, protocol, to_peer) in
        [(80, Transport::Tcp, "peer_1"), (80, Transport::Udp, "peer_2"), (81, Transport::Tcp, "peer_2")]
    {
        let to_peer = AccountName::parse(to_peer).unwrap();
        let forward = PortForward { outer: OuterPort { port, protocol }, to_peer, to_port: 8080 };
        store.write(move |change| change.put_forward("Default_1", forward)).await.unwrap();
    }
    store.write(|change| change.remove_account("peer_1")).await.unwrap();
    let before = store.intended();
    assert_eq!(before.server("Default_1").unwrap().forwards.len(), 2);
    store.close().await.unwrap();

    assert_eq!(shown(&Store::open(dir.path()).unwrap().intended()), shown(&before));
}

#[tokio::test]
async fn opens_a_file_that_was_written_before_there_was_a_firewall() {
    let dir = folder();
    drop(Store::open(dir.path()).unwrap());
    let counters = TableDefinition::<&str, u64>::new("counters");
    let database = redb::Database::open(file_of(&dir)).unwrap();
    let transaction = database.begin_write().unwrap();
    for table in ["firewall", "filter_rules", "port_forwards"] {
        assert!(transaction.delete_table(TableDefinition::<&str, &[u8]>::new(table)).unwrap());
    }
    transaction.open_table(counters).unwrap().insert("format", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(rules(&store), ["system_PUQVPNCP:8098"]);
    add_rule(&store, "a", End::Top).await;
    store.close().await.unwrap();

    assert_eq!(rules(&Store::open(dir.path()).unwrap()), ["a:23", "system_PUQVPNCP:8098"]);
    let database = redb::Database::open(file_of(&dir)).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    assert_eq!(transaction.open_table(counters).unwrap().get("format").unwrap().unwrap().value(), 2);
}

#[tokio::test]
async fn keeps_nothing_of_a_closure_that_refuses() {
    let dir = folder();
    let store = Store::open(dir.path()).unwrap();
    add_server(&store).await.unwrap();
    let before = store.intended();

    let refused: Result<((), _), _> = store
        .write(|change| {
            let account = account_of("Default_1").settle(change.intended(), 9, &account_seed(1))?;
            change.put_account(account)?;
            Err(Refusal::KeysInvalid)
        })
        .await;

    assert_eq!(refused, Err(WriteError::Refused(Refusal::KeysInvalid)));
    assert!(Arc::ptr_eq(&store.intended(), &before));
    store.close().await.unwrap();
    assert_eq!(shown(&Store::open(dir.path()).unwrap().intended()), shown(&before));
}

#[tokio::test]
async fn keeps_each_of_a_thousand_concurrent_writes() {
    let dir = folder();
    let store = Store::open(dir.path()).unwrap();
    add_server(&store).await.unwrap();
    let address = |change: &mut Change| {
        let server = change.intended().server("Default_1").ok_or(Refusal::ServerNotFound)?.server.as_ref().clone();
        change.put_server(crate::domain::server::Server { address: "10.0.0.1/16".parse().unwrap(), ..server });
        Ok(())
    };
    store.write(address).await.unwrap();

    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let store = store.clone();
        writes.spawn(async move { add_account(&store).await.unwrap().1 });
    }
    let mut last = Revision(0);
    while let Some(revision) = writes.join_next().await {
        last = last.max(revision.unwrap());
    }

    assert_eq!(store.intended().count_accounts(), 1_000);
    assert_eq!(store.intended().revision, last);
    assert!(last.0 < 600, "closures that wait share commits, but {} were made", last.0);
    store.close().await.unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().intended().count_accounts(), 1_000);
}

#[tokio::test]
async fn publishes_before_it_answers() {
    let dir = folder();
    let store = Store::open(dir.path()).unwrap();
    let mut follow = store.follow();
    let ((), revision) = add_server(&store).await.unwrap();
    assert!(follow.has_changed().unwrap());
    assert_eq!(follow.borrow_and_update().revision, revision);

    store.write(|_| Ok(())).await.unwrap();
    assert!(!follow.has_changed().unwrap(), "a closure that changes nothing makes no revision");
}

#[tokio::test]
async fn refuses_writes_once_it_is_closed() {
    let dir = folder();
    let store = Store::open(dir.path()).unwrap();
    store.close().await.unwrap();
    assert_eq!(add_server(&store).await, Err(WriteError::Failed(Error::Closed)));
}

#[test]
fn makes_folder_and_file_for_their_owner_alone() {
    let dir = folder();
    let inner = dir.path().join("a/b");
    let _store = Store::open(&inner).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&inner.join("culvert.redb")), 0o600);
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
}

#[test]
fn refuses_a_file_that_another_process_holds() {
    let dir = folder();
    let _store = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Held { .. }), "{error}");
    assert!(error.to_string().ends_with("culvert.redb is in use by another process"), "{error}");
}

#[test]
fn refuses_a_file_of_a_newer_format_and_leaves_it_as_it_is() {
    let dir = folder();
    drop(Store::open(dir.path()).unwrap());
    let database = redb::Database::open(file_of(&dir)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<&str, u64>::new("counters")).unwrap().insert("format", 3).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = fs::read(file_of(&dir)).unwrap();

    let error = Store::open(dir.path()).unwrap_err();

    assert!(matches!(error, Error::Newer { found: 3, known: 2, .. }), "{error}");
    assert_eq!(fs::read(file_of(&dir)).unwrap(), before);
}

#[test]
fn refuses_what_is_no_store_and_leaves_it_as_it_is() {
    for bytes in [&b""[..], b"hello", &[0; 8192], b"redb\x1A\x0A\xA9\x0D\x0A"] {
        let dir = folder();
        fs::write(file_of(&dir), bytes).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(fs::read(file_of(&dir)).unwrap(), bytes);
    }
}

#[test]
fn refuses_a_database_that_is_not_culverts() {
    let dir = folder();
    drop(redb::Database::create(file_of(&dir)).unwrap());
    assert!(matches!(Store::open(dir.path()).unwrap_err(), Error::Damaged { .. }));
}

#[test]
fn refuses_a_folder_that_cannot_be_made_and_a_file_behind_a_link() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = Store::open(&dir.path().join("file/below")).unwrap_err();
    assert!(matches!(error, Error::Unusable { .. }), "{error}");

    let other = folder();
    std::os::unix::fs::symlink(dir.path().join("file"), file_of(&other)).unwrap();
    let error = Store::open(other.path()).unwrap_err();
    assert!(matches!(error, Error::Unusable { .. }), "{error}");
}

#[test]
fn begins_anew_after_a_crash_before_the_first_commit() {
    let dir = folder();
    fs::write(dir.path().join("culvert.redb.new"), "half").unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.intended().count_accounts(), 0);
    assert!(!dir.path().join("culvert.redb.new").exists());
}
