//! What ten thousand accounts cost. Not run by default, for a busy machine says nothing: `cargo test --release --lib
//! services::measured -- --ignored --nocapture`.
#![expect(clippy::print_stdout, reason = "the figures are for reading")]

use std::path::Path;
use std::time::Duration;

use super::tests::over_with_cap;
use super::*;
use crate::domain::account::{Account, AccountDraft, AccountId};
use crate::domain::fixture::account_seed;
use crate::domain::key::PublicKey;
use crate::domain::name::{AccountName, Username};
use crate::domain::server::ServerDraft;
use crate::domain::traffic::{Bytes, Passed};
use crate::runtime::os::clock;

const ACCOUNTS: u32 = 10_000;

/// Fills a store with accounts whose keys are made up, for real ones would take a second.
async fn fill(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let services = over_with_cap(store.clone(), ACCOUNTS);
    let draft = ServerDraft { address: Some("10.0.0.1/16".into()), ..ServerDraft::default() };
    services.servers.add(&Caller::local(), draft).await.unwrap();
    let rule = |change: &mut Change| {
        let draft = AccountDraft { wg_name: Some("Default_1".into()), ..AccountDraft::default() };
        let first = draft.settle(change.intended(), ACCOUNTS, &account_seed(0))?;
        for number in 0..ACCOUNTS {
            let mut key = *first.public_key.as_bytes();
            key[..4].copy_from_slice(&number.to_le_bytes());
            change.put_account(Account {
                name: AccountName::parse(&format!("peer_{}", number + 1))?,
                username: Username::parse(&format!("user_{}", number + 1))?,
                address: Ipv4Addr::from_bits(first.address.to_bits() + number),
                address_ipv6: first.address_ipv6.map(|base| (base.to_bits() + u128::from(number)).into()),
                public_key: PublicKey::from_bytes(key),
                mark: first.mark + number,
                id: AccountId(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                ..first.clone()
            })?;
        }
        Ok(())
    };
    store.write(rule).await.unwrap();
    store.close().await.unwrap();
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "it measures"]
async fn ten_thousand_accounts_open_within_a_second_and_one_is_edited_within_50_ms() {
    let dir = tempfile::TempDir::new().unwrap();
    fill(dir.path()).await;
    let before = resident();

    let began = clock::now();
    let store = Store::open(dir.path()).unwrap();
    let opened = clock::now() - began;
    assert_eq!(store.intended().count_accounts(), 10_000);
    let memory = resident().saturating_sub(before);

    let services = over_with_cap(store, ACCOUNTS + 1_000);
    let by = Caller::local();
    let mut edits = Vec::new();
    for number in 0..50 {
        let draft = AccountDraft { b_upload: Some(format!("{}", number + 1)), ..AccountDraft::default() };
        let began = clock::now();
        services.accounts.edit(&by, "peer_5000", draft).await.unwrap();
        edits.push(clock::now() - began);
    }
    edits.sort_unstable();
    let began = clock::now();
    for _ in 0..100 {
        let draft = AccountDraft { wg_name: Some("Default_1".into()), ..AccountDraft::default() };
        services.accounts.add(&by, draft).await.unwrap();
    }
    let added = (clock::now() - began) / 100;
    let size = std::fs::metadata(dir.path().join("culvert.redb")).unwrap().len();
    println!("opened in {opened:?}, {memory} KiB more resident, file {size} bytes");
    println!("edit: median {:?}, slowest {:?}; addition: {added:?} each", edits[25], edits[49]);
    println!("after edits {} KiB more resident", resident().saturating_sub(before));

    assert!(opened < Duration::from_secs(1), "{opened:?}");
    assert!(edits[25] < Duration::from_millis(50), "{edits:?}");
}

#[tokio::test]
#[ignore = "it measures"]
async fn ten_thousand_accounts_are_metered_each_second_and_put_on_disk_in_one_transaction() {
    let dir = tempfile::TempDir::new().unwrap();
    fill(dir.path()).await;
    let services = over_with_cap(Store::open(dir.path()).unwrap(), ACCOUNTS);
    let all: Vec<Passed> = {
        let (mut accounts, mut number) = (Vec::new(), 0);
        for account in services.accounts.list(&Caller::local()) {
            number += 1;
            let bytes = Bytes { down: 1_000_000 + number, up: 100_000 + number };
            accounts.push(Passed { account: account.id, bytes });
        }
        accounts
    };
    let (mut taken, mut written) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let began = clock::now();
        services.traffic.take_in(all.clone()).await;
        taken.push(clock::now() - began);
        let began = clock::now();
        services.traffic.close(Vec::new()).await;
        written.push(clock::now() - began);
    }
    let few = all[..100].to_vec();
    services.traffic.take_in(few).await;
    let began = clock::now();
    services.traffic.close(Vec::new()).await;
    let of_few = clock::now() - began;
    taken.sort_unstable();
    written.sort_unstable();
    let size = std::fs::metadata(dir.path().join("traffic.redb")).unwrap().len();
    println!("taken in: median {:?}; on disk: first or slowest {:?}, median {:?}", taken[10], written[19], written[10]);
    println!("100 of them on disk: {of_few:?}; file {size} bytes");

    assert!(written[10] < Duration::from_secs(1), "{written:?}");
}
