//! Stories of the use cases, on a real store and a runtime that runs nothing.

use std::net::{IpAddr, Ipv4Addr};

use tempfile::TempDir;

use super::fixture::hash_from;
use super::*;
use crate::domain::account::AccountDraft;
use crate::domain::limits;
use crate::domain::server::ServerDraft;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Services over a new store; the folder lives as long as the test.
fn services() -> (TempDir, Services) {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, over(store))
}

fn over(store: Store) -> Services {
    over_with_cap(store, 3)
}

/// Services over `store` that take up to `cap` accounts.
pub(super) fn over_with_cap(store: Store, cap: u32) -> Services {
    over_with(store, cap, TimeZone::UTC)
}

/// Services over `store` whose days are those of this zone.
pub(super) fn over_in_zone(store: Store, zone: TimeZone) -> Services {
    over_with(store, 3, zone)
}

fn over_with(store: Store, cap: u32, time_zone: TimeZone) -> Services {
    let settings = Settings {
        accounts_cap: Some(cap),
        time_zone: Some(time_zone),
        external_ip: Some(IpAddr::from([77, 87, 125, 200])),
        endpoint: None,
        data: std::env::temp_dir(),
        api_port: limits::API_PORT,
        public_url: None,
        listen_url: None,
        version: "0.1.0".into(),
        has_certificate: false,
    };
    Services::new(store, Runtime::detached(), settings)
}

fn account_of(server: &str) -> AccountDraft {
    AccountDraft { wg_name: Some(server.into()), ..AccountDraft::default() }
}

pub(super) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result.unwrap_err() {
        Error::Refused(refusal) => refusal,
        Error::Fault(fault) => panic!("{fault:#}"),
    }
}

#[tokio::test]
async fn makes_on_first_start_what_an_empty_store_needs_and_nothing_on_the_second() {
    let (dir, services) = services();

    let made = services.first_start().await.unwrap().unwrap();

    assert_eq!((made.server.as_str(), made.account.as_str(), made.admin.as_str()), ("Default_1", "peer_1", "admin"));
    assert_eq!(made.admin_password.len(), limits::PANEL_PASSWORD_LENGTH);
    let server = services.servers.detail("Default_1").unwrap();
    assert_eq!((server.address.to_string().as_str(), server.listen_port), ("10.0.0.1/24", 51_821));
    assert!(server.ipv6 && server.address_ipv6.to_string().starts_with("fd"));
    assert!(services.access.check(&made.access_hash, HOME).is_some());
    let text = services.accounts.config_text(&Caller::local(), "peer_1").unwrap();
    assert!(text.contains("\tAllowedIPs = 0.0.0.0/0,::/0\n\tEndpoint = 77.87.125.200:51821\n"), "{text}");
    let hash = services.servers.ground.store.access().users["admin"].password_hash.clone();
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
    assert!(!format!("{made:?}").contains(&made.admin_password));

    assert_eq!(services.first_start().await.unwrap(), None);
    services.servers.ground.store.close().await.unwrap();
    let again = over(Store::open(dir.path()).unwrap());
    assert_eq!(again.first_start().await.unwrap(), None);
    assert_eq!(
        (
            again.servers.list().len(),
            again.accounts.list(&Caller::local()).len(),
            again.access.list(&Caller::local()).unwrap().len()
        ),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn adds_edits_and_deletes_a_server() {
    let (_dir, services) = services();
    let by = Caller::local();
    let server = services.servers.add(&by, ServerDraft::default()).await.unwrap();
    assert_eq!(services.servers.list(), std::slice::from_ref(&server));
    assert_eq!(services.servers.dump("Default_1").unwrap().public_key, server.public_key.to_string());

    let draft = ServerDraft { keep_alive: Some("50".into()), ..ServerDraft::default() };
    let edited = services.servers.edit(&by, "Default_1", draft).await.unwrap();
    assert_eq!(edited.keep_alive, 50);
    let same = services.servers.edit(&by, "Default_1", ServerDraft::default()).await.unwrap();
    assert!(Arc::ptr_eq(&same, &edited), "an edit that changes nothing stores nothing");

    services.accounts.add(&by, account_of("Default_1")).await.unwrap();
    assert_eq!(refusal(services.servers.delete(&by, "Default_1").await), Refusal::ServerHasPeers);
    services.accounts.delete(&by, "peer_1").await.unwrap();
    services.servers.delete(&by, "Default_1").await.unwrap();
    assert_eq!(services.servers.list(), []);
}

#[tokio::test]
async fn refuses_a_server_that_does_not_exist_in_every_use_case() {
    let (_dir, services) = services();
    let (by, servers) = (Caller::local(), &services.servers);
    assert_eq!(refusal(servers.detail("x")), Refusal::ServerNotFound);
    assert_eq!(refusal(servers.peers(&by, "x")), Refusal::ServerNotFound);
    assert_eq!(refusal(servers.available_ips("x")), Refusal::ServerNotFound);
    assert_eq!(refusal(servers.dump("x")), Refusal::ServerNotFound);
    assert_eq!(refusal(servers.edit(&by, "x", ServerDraft::default()).await), Refusal::ServerNotFound);
    assert_eq!(refusal(servers.delete(&by, "x").await), Refusal::ServerNotFound);
    assert_eq!(refusal(servers.set_bandwidth(&by, "x", None, None).await), Refusal::ServerNotFound);
}

#[tokio::test]
async fn refuses_an_account_that_does_not_exist_in_every_use_case() {
    let (_dir, services) = services();
    let (by, accounts) = (Caller::local(), &services.accounts);
    assert_eq!(refusal(accounts.detail(&Caller::local(), "x")), Refusal::AccountNotFound);
    assert_eq!(refusal(accounts.edit(&by, "x", AccountDraft::default()).await), Refusal::AccountNotFound);
    assert_eq!(refusal(accounts.delete(&by, "x").await), Refusal::AccountNotFound);
    assert_eq!(refusal(accounts.config_text(&Caller::local(), "x")), Refusal::AccountNotFound);
    assert_eq!(refusal(accounts.config_qr(&Caller::local(), "x")), Refusal::AccountNotFound);
    assert_eq!(refusal(accounts.dump(&Caller::local(), "x").await), Refusal::AccountNotFound);
}

#[tokio::test]
async fn adds_accounts_up_to_the_operators_cap() {
    let (_dir, services) = services();
    let by = Caller::local();
    services.servers.add(&by, ServerDraft::default()).await.unwrap();
    for _ in 0..3 {
        services.accounts.add(&by, account_of("Default_1")).await.unwrap();
    }
    assert_eq!(refusal(services.accounts.add(&by, account_of("Default_1")).await), Refusal::AccountLimitExceeded);
    let status = services.system.status();
    assert_eq!((status.count_accounts, status.count_accounts_available, status.count_wireguard), (3, 3, 1));
    assert_eq!((status.status.as_str(), status.license_valid), ("OK", true));
    assert_eq!(services.servers.available_ips("Default_1").unwrap()[0], Ipv4Addr::new(10, 0, 0, 5));
}

#[tokio::test]
async fn disables_an_account_and_keeps_the_rest_of_it() {
    let (_dir, services) = services();
    let by = Caller::local();
    services.servers.add(&by, ServerDraft::default()).await.unwrap();
    let before = services.accounts.add(&by, account_of("Default_1")).await.unwrap();

    let draft = AccountDraft { status: Some("disable".into()), ..AccountDraft::default() };
    let after = services.accounts.edit(&by, "peer_1", draft).await.unwrap();

    assert!(!after.enabled);
    assert_eq!(
        (after.public_key, after.address, &after.password),
        (before.public_key, before.address, &before.password)
    );
    assert_eq!(services.accounts.detail(&Caller::local(), "peer_1").unwrap(), after);
}

#[tokio::test]
async fn sets_the_bandwidth_of_every_account_of_a_server() {
    let (_dir, services) = services();
    let by = Caller::local();
    let draft = ServerDraft { b_download: Some("30".into()), b_upload: Some("20".into()), ..ServerDraft::default() };
    services.servers.add(&by, draft).await.unwrap();
    for _ in 0..2 {
        services.accounts.add(&by, account_of("Default_1")).await.unwrap();
    }
    let rates = || -> Vec<_> {
        let peers = services.servers.peers(&by, "Default_1").unwrap();
        peers.iter().map(|account| (account.b_download.get(), account.b_upload.get())).collect()
    };
    services.servers.set_bandwidth(&by, "Default_1", Some("5".into()), None).await.unwrap();
    assert_eq!(rates(), [(5, 20), (5, 20)]);
    services.servers.set_bandwidth(&by, "Default_1", None, None).await.unwrap();
    assert_eq!(rates(), [(30, 20), (30, 20)]);
    let malformed = services.servers.set_bandwidth(&by, "Default_1", Some("x".into()), None).await;
    assert!(matches!(refusal(malformed), Refusal::FieldMalformed { field: "b_download", .. }));
}

#[tokio::test]
async fn lets_a_hash_in_from_its_own_address_alone() {
    let (_dir, services) = services();
    let (by, access) = (Caller::local(), &services.access);
    let hash = access.add(&by, hash_from("billing", "::ffff:10.1.2.3")).await.unwrap();
    assert_eq!(hash.len(), 80);
    assert_eq!(refusal(access.add(&by, hash_from("billing", "10.1.2.3")).await), Refusal::NameTaken);

    let caller = access.check(&hash, "10.1.2.3".parse().unwrap()).unwrap();
    assert_eq!((caller.label.as_str(), caller.to_string().as_str()), ("billing", "billing@10.1.2.3"));
    assert!(access.check(&hash, "::ffff:10.1.2.3".parse().unwrap()).is_some());
    for stranger in ["10.1.2.4", "127.0.0.1", "::1", "2001:db8::1"] {
        assert_eq!(access.check(&hash, stranger.parse().unwrap()), None, "{stranger}");
    }
    assert_eq!(access.check(&"0".repeat(80), "10.1.2.3".parse().unwrap()), None);

    access.remove(&by, "billing").await.unwrap();
    assert_eq!(access.check(&hash, "10.1.2.3".parse().unwrap()), None);
    assert_eq!(refusal(access.remove(&by, "billing").await), Refusal::AccessNotFound);
}

#[tokio::test]
async fn keeps_when_a_hash_was_last_used() {
    let (_dir, services) = services();
    let hash = services.access.add(&Caller::local(), hash_from("cron", "::1")).await.unwrap();
    assert_eq!(services.access.list(&Caller::local()).unwrap()[0].last_login, None);
    services.access.check(&hash, "::1".parse().unwrap()).unwrap();
    // the writer answers in order, so whatever was to be kept has been kept by now
    services.servers.ground.store.write(|_| Ok(())).await.unwrap();
    let first = services.access.list(&Caller::local()).unwrap()[0].last_login;
    assert!(first.is_some());
    services.access.check(&hash, "::1".parse().unwrap()).unwrap();
    services.servers.ground.store.write(|_| Ok(())).await.unwrap();
    assert_eq!(services.access.list(&Caller::local()).unwrap()[0].last_login, first, "not more than once a minute");
}

#[tokio::test]
async fn keeps_no_secret_of_an_access_hash_on_disk() {
    let (dir, services) = services();
    let hash = services.access.add(&Caller::local(), hash_from("cron", "::1")).await.unwrap();
    services.servers.ground.store.close().await.unwrap();
    let file = std::fs::read(dir.path().join("culvert.redb")).unwrap();
    let secret: Vec<u8> =
        (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap()).collect();
    for needle in [hash.as_bytes(), &secret] {
        assert!(!file.windows(needle.len()).any(|window| window == needle));
    }
}

#[tokio::test]
async fn draws_the_client_file_as_a_code() {
    let (_dir, services) = services();
    services.first_start().await.unwrap();
    assert!(services.accounts.config_qr(&Caller::local(), "peer_1").unwrap().starts_with(b"\x89PNG"));
    assert!(services.accounts.config_qr_text(&Caller::local(), "peer_1").unwrap().contains('█'));
}

#[tokio::test]
async fn reads_and_reloads_the_system() {
    let (_dir, services) = services();
    services.system.reload(&Caller::local()).await.unwrap();
    assert!(!services.system.info().cpu_model.is_empty());
    assert!(services.system.wireguard_versions().wireguard.starts_with("0.1.0"));
    let condition = services.system.condition();
    assert_eq!((condition.uplink.as_str(), condition.faults, condition.store_fault), ("none", vec![], None));
    assert_eq!(services.servers.online(&Caller::local()).await, []);
}
