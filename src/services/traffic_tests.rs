//! Stories of traffic: figures in, days and restrictions out, over a real store.

use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::tests::over_in_zone;
use super::*;
use crate::domain::access::{Authority, UserDraft};
use crate::domain::account::{Account, AccountDraft, AccountId};
use crate::domain::name::UserName;
use crate::domain::restriction::Restriction;
use crate::domain::server::ServerDraft;
use crate::domain::traffic::{Bytes, Hour, Passed};
use crate::runtime::os::clock;

/// Services over a store in `dir`, with the server `Default_1`.
async fn services(dir: &TempDir) -> Services {
    let services = over_in_zone(Store::open(dir.path()).unwrap(), TimeZone::UTC);
    services.servers.add(&Caller::local(), ServerDraft::default()).await.unwrap();
    services
}

async fn add(services: &Services, draft: AccountDraft) -> Arc<Account> {
    let draft = AccountDraft { wg_name: Some("Default_1".into()), ..draft };
    services.accounts.add(&Caller::local(), draft).await.unwrap()
}

async fn edit(services: &Services, name: &str, draft: AccountDraft) {
    services.accounts.edit(&Caller::local(), name, draft).await.unwrap();
}

fn passed(account: &Account, down: u64, up: u64) -> Vec<Passed> {
    vec![Passed { account: account.id, bytes: Bytes { down, up } }]
}

/// What an account has moved in this month and, for a test that runs over its end, the one before: down and up.
async fn moved(services: &Services, name: &str) -> (u64, u64) {
    let today = Hour::of(clock::timestamp(), &TimeZone::UTC).day;
    let mut sum = Bytes::default();
    for day in [today, today.first_of_month().yesterday().unwrap()] {
        let (year, month) = (day.year().to_string(), day.month().to_string());
        let (_, days) = services.traffic.month(&Caller::local(), name, &year, &month).await.unwrap();
        for day in days {
            sum += day.bytes;
        }
    }
    (sum.down, sum.up)
}

async fn restriction(services: &Services, name: &str) -> Option<Restriction> {
    let account = services.accounts.detail(&Caller::local(), name).unwrap();
    services.traffic.standings().await.of(&account).restriction
}

#[tokio::test]
async fn shows_what_passed_before_and_after_it_is_on_disk() {
    let dir = TempDir::new().unwrap();
    let services = services(&dir).await;
    let account = add(&services, AccountDraft::default()).await;

    services.traffic.take_in(passed(&account, 100, 10)).await;
    let in_memory = moved(&services, "peer_1").await;
    services.traffic.close(passed(&account, 1, 2)).await;
    let on_disk = moved(&services, "peer_1").await;
    services.servers.ground.store.close().await.unwrap();
    let again = over_in_zone(Store::open(dir.path()).unwrap(), TimeZone::UTC);
    again.traffic.take_in(passed(&account, 1_000, 1_000)).await;

    assert_eq!((in_memory, on_disk), ((100, 10), (101, 12)));
    assert_eq!(moved(&again, "peer_1").await, (1_101, 1_012));
}

#[tokio::test]
async fn loses_no_more_than_what_was_not_written_when_it_is_killed() {
    let dir = TempDir::new().unwrap();
    let first = services(&dir).await;
    let account = add(&first, AccountDraft::default()).await;
    first.traffic.take_in(passed(&account, 100, 10)).await;
    first.traffic.close(Vec::new()).await;
    first.traffic.take_in(passed(&account, 7, 7)).await;
    // what kill -9 leaves is what the files hold at this moment
    let left = TempDir::new().unwrap();
    for file in ["culvert.redb", "traffic.redb"] {
        std::fs::copy(dir.path().join(file), left.path().join(file)).unwrap();
    }

    let again = over_in_zone(Store::open(left.path()).unwrap(), TimeZone::UTC);

    assert_eq!(moved(&again, "peer_1").await, (100, 10));
    assert_eq!(moved(&first, "peer_1").await, (107, 17));
}

#[tokio::test]
async fn begins_at_nothing_for_an_account_that_is_made_anew_under_the_same_name() {
    let dir = TempDir::new().unwrap();
    let services = services(&dir).await;
    let first = add(&services, AccountDraft::default()).await;
    services.traffic.take_in(passed(&first, 100, 10)).await;
    services.traffic.close(Vec::new()).await;
    services.traffic.take_in(passed(&first, 5, 5)).await;

    services.accounts.delete(&Caller::local(), "peer_1").await.unwrap();
    let second = add(&services, AccountDraft::default()).await;
    // what the data plane tells late of the first
    services.traffic.take_in(passed(&first, 3, 3)).await;
    services.traffic.take_in(passed(&second, 1, 0)).await;
    services.traffic.close(Vec::new()).await;

    assert_eq!(moved(&services, "peer_1").await, (1, 0));
    assert_ne!(first.id, second.id);
    let used = services.servers.ground.store.ledger().used([(first.id, None)].into(), jiff::civil::Date::MAX);
    assert!(used.await.unwrap().figures.is_empty(), "nothing of the first is left");
}

/// The accounts of a reseller share what they may move; deleting one gives nothing of that back.
#[tokio::test]
async fn cuts_all_accounts_of_a_reseller_off_once_they_have_moved_what_they_may_together() {
    let dir = TempDir::new().unwrap();
    let services = services(&dir).await;
    let user = UserDraft {
        name: Some("shop".into()),
        role: Some("reseller".into()),
        traffic: Some("100".into()),
        ..UserDraft::default()
    };
    services.users.add(&Caller::local(), user).await.unwrap();
    let shop = Authority::Reseller(UserName::parse("shop").unwrap());
    let by = Caller { label: "shop".into(), address: None, authority: shop };
    let draft = || AccountDraft { wg_name: Some("Default_1".into()), ..AccountDraft::default() };
    let first = services.accounts.add(&by, draft()).await.unwrap();
    let second = services.accounts.add(&by, draft()).await.unwrap();

    services.traffic.take_in(passed(&first, 60, 0)).await;
    services.accounts.delete(&by, first.name.as_str()).await.unwrap();
    services.traffic.take_in(passed(&second, 39, 0)).await;
    let before = restriction(&services, second.name.as_str()).await;
    services.traffic.take_in(passed(&second, 0, 1)).await;
    let after = restriction(&services, second.name.as_str()).await;

    assert_eq!((before, after), (None, Some(Restriction::OverQuota)));
    let refused = services.accounts.add(&by, draft()).await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::TrafficCapReached))));
}

#[tokio::test]
async fn cuts_an_account_off_at_the_end_of_its_quota_and_knows_that_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let first = services(&dir).await;
    let quota = AccountDraft { quota: Some("100".into()), quota_period: Some("month".into()), ..Default::default() };
    let account = add(&first, quota).await;

    first.traffic.take_in(passed(&account, 60, 39)).await;
    let before = restriction(&first, "peer_1").await;
    first.traffic.take_in(passed(&account, 1, 0)).await;
    let after = restriction(&first, "peer_1").await;
    first.traffic.close(Vec::new()).await;
    first.servers.ground.store.close().await.unwrap();
    let again = over_in_zone(Store::open(dir.path()).unwrap(), TimeZone::UTC);

    assert_eq!((before, after), (None, Some(Restriction::OverQuota)));
    assert_eq!(restriction(&again, "peer_1").await, Some(Restriction::OverQuota));
    assert!(again.accounts.detail(&Caller::local(), "peer_1").unwrap().enabled, "what the operator has set stays");
    edit(&again, "peer_1", AccountDraft { quota: Some("200".into()), ..Default::default() }).await;
    assert_eq!(restriction(&again, "peer_1").await, None);
}

#[tokio::test]
async fn counts_what_was_moved_before_there_was_a_quota() {
    let dir = TempDir::new().unwrap();
    let services = services(&dir).await;
    let account = add(&services, AccountDraft::default()).await;
    services.traffic.take_in(passed(&account, 80, 0)).await;
    services.traffic.close(Vec::new()).await;
    services.traffic.take_in(passed(&account, 20, 0)).await;

    for period in ["none", "month"] {
        let draft = AccountDraft {
            quota: Some("100".into()),
            quota_period: Some(period.into()),
            quota_action: Some("throttle".into()),
            quota_rate: Some("3".into()),
            ..Default::default()
        };
        edit(&services, "peer_1", draft).await;

        let held = restriction(&services, "peer_1").await;
        assert!(matches!(held, Some(Restriction::Throttled(rate)) if rate.get() == 3), "{period}: {held:?}");
    }
}

#[tokio::test]
async fn goes_on_while_the_disk_takes_nothing_and_writes_all_of_it_later() {
    let dir = TempDir::new().unwrap();
    let services = services(&dir).await;
    let account = add(&services, AccountDraft::default()).await;
    // a folder stands where the file is to be
    let path = dir.path().join("traffic.redb");
    std::fs::create_dir(&path).unwrap();

    services.traffic.take_in(passed(&account, 5, 1)).await;
    services.traffic.close(passed(&account, 5, 1)).await;
    std::fs::remove_dir(&path).unwrap();
    services.traffic.close(passed(&account, 5, 1)).await;

    let today = Hour::of(clock::timestamp(), &TimeZone::UTC).day;
    let used = services.servers.ground.store.ledger().used([(account.id, None)].into(), today).await.unwrap();
    assert_eq!(used.figures[&account.id], Bytes { down: 15, up: 3 });
}

#[tokio::test]
async fn takes_figures_of_nobody_for_nothing() {
    let dir = TempDir::new().unwrap();
    let services = services(&dir).await;
    let stranger = vec![Passed { account: AccountId(7), bytes: Bytes { down: 1, up: 1 } }];

    services.traffic.take_in(stranger).await;
    services.traffic.close(Vec::new()).await;

    assert!(!dir.path().join("traffic.redb").exists(), "nothing was to be written");
}

#[tokio::test]
async fn lists_the_hours_of_a_day_that_the_clock_makes_longer() {
    let dir = TempDir::new().unwrap();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let services = over_in_zone(Store::open(dir.path()).unwrap(), zone);
    services.servers.add(&Caller::local(), ServerDraft::default()).await.unwrap();
    add(&services, AccountDraft::default()).await;

    let (_, hours) = services.traffic.day(&Caller::local(), "peer_1", ["2026", "10", "25"]).await.unwrap();

    let starts: Vec<String> = hours.iter().map(|hour| services.system.local_time(hour.start)).collect();
    assert_eq!(starts.len(), 25);
    assert_eq!(starts[2..4], ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]);
}
