//! The panel's pages of one-time links, backups, the audit log, and what this is.

use axum::http::StatusCode;
use culvert::services::Caller;

use crate::reader::Reader;
use crate::support::World;

#[tokio::test]
async fn shows_each_page_to_who_may_look_and_lets_nobody_else_change_it() {
    let world = World::furnished().await;
    let [writer, reader] = [Reader::enter(&world, "admin").await, Reader::enter(&world, "read_only").await];
    for path in ["links", "links/page", "links/wireguard", "links/ikev2", "links/preview", "backups", "audit", "about"]
    {
        let path = format!("/panel/{path}");
        let (changes, looks) = (writer.look(&world, &path).await, reader.look(&world, &path).await);

        assert_eq!((changes.code, looks.code), (StatusCode::OK, StatusCode::OK), "{path}: {}", changes.body);
        assert!(!looks.body.contains("class=\"primary\""), "{path}");
    }
    for path in ["links/page", "links/peer_1/withdraw", "backups", "backups/whole.zip/delete", "backup-settings"] {
        let refused = reader.post(&world, &format!("/panel/{path}"), "").await;
        assert_eq!(refused.code, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(reader.look(&world, "/panel/backup-settings").await.code, StatusCode::FORBIDDEN);
    assert_eq!(reader.look(&world, "/panel/backups/whole.zip/file").await.code, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn lists_links_without_their_keys_and_withdraws_them() {
    let world = World::furnished().await;
    let writer = Reader::enter(&world, "operator").await;
    let key = world.services.links.list(&Caller::local()).unwrap()[0].key.to_hex();

    let before = writer.look(&world, "/panel/links").await.body;
    writer.post(&world, "/panel/links/peer_1/withdraw", "").await;

    assert!(before.contains("/panel/accounts/peer_1\"") && !before.contains(&key), "{before}");
    assert!(world.services.links.list(&Caller::local()).unwrap().is_empty());
}

#[tokio::test]
async fn shows_a_reseller_no_link_of_others() {
    let world = World::furnished().await;
    let reseller = Reader::enter(&world, "reseller").await;

    let page = reseller.look(&world, "/panel/links").await.body;
    let taken = reseller.post(&world, "/panel/links/peer_1/withdraw", "").await;

    assert!(!page.contains("peer_1"), "{page}");
    assert_ne!(taken.code, StatusCode::SEE_OTHER);
    assert_eq!(world.services.links.list(&Caller::local()).unwrap().len(), 1);
}

#[tokio::test]
async fn sets_what_links_show_and_shows_it() {
    let world = World::new().await;
    let writer = Reader::enter(&world, "operator").await;

    let saved = writer.post(&world, "/panel/links/page", "title=Your+tunnel&lifetime=3").await;
    let wrong = writer.post(&world, "/panel/links/page", "title=Kept&lifetime=0").await;
    let preview = writer.look(&world, "/panel/links/preview").await;

    assert_eq!(saved.code, StatusCode::SEE_OTHER, "{saved:?}");
    assert!(wrong.body.contains("value=\"Kept\""), "{}", wrong.body);
    assert!(preview.body.contains("<h1>Your tunnel</h1>"), "{}", preview.body);
    let policies: Vec<_> = preview.headers.get_all("content-security-policy").iter().collect();
    assert!(policies.iter().any(|policy| policy.to_str().unwrap().starts_with("sandbox")), "{policies:?}");
}

#[tokio::test]
async fn shows_what_a_restore_changes_and_restores() {
    let world = World::furnished().await;
    let admin = Reader::enter(&world, "admin").await;
    world.delete("/api/v1/account/peer_2").await.success();
    world.post("/api/v1/account", "wg_name=Default_1&name=late").await.success();

    let page = admin.look(&world, "/panel/backups/whole.zip/restore").await;
    let restored = admin.post(&world, "/panel/backups/whole.zip/restore", "").await;

    assert!(page.body.contains("<dd>peer_2</dd>") && page.body.contains("<dd>late</dd>"), "{}", page.body);
    assert!(page.body.contains("<h2 id=\"kind-account\">Account</h2>"), "{}", page.body);
    assert!(matches!(restored.code, StatusCode::SEE_OTHER), "{restored:?}");
    assert!(world.services.accounts.config_text(&Caller::local(), "peer_2").is_ok());
}

#[tokio::test]
async fn shows_that_a_restore_changes_links_and_when_backups_are_made() {
    let world = World::furnished().await;
    let admin = Reader::enter(&world, "admin").await;
    let same = admin.look(&world, "/panel/backups/whole.zip/restore").await.body;
    world.get("/api/v1/account/peer_2/otl").await.success();
    admin.post(&world, "/panel/backup-settings", "passphrase=sesame").await;

    let page = admin.look(&world, "/panel/backups/whole.zip/restore").await.body;

    // the link of the first account was made after the backup
    assert!(same.contains("(1)</dt><dd>peer_1</dd>") && !same.contains("kind-settings"), "{same}");
    assert!(page.contains("<h2 id=\"kind-one_time_link\">One-time link</h2>"), "{page}");
    assert!(page.contains("(2)</dt><dd>peer_1, peer_2</dd>"), "{page}");
    assert!(page.contains("<h2 id=\"kind-settings\">Settings</h2>") && page.contains("<dd>Backups</dd>"), "{page}");
    assert!(!page.contains("sesame"), "{page}");
}

#[tokio::test]
async fn bounds_the_time_of_a_backup_by_the_clock() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;

    let form = admin.look(&world, "/panel/backup-settings").await.body;
    let late = admin.post(&world, "/panel/backup-settings", "every_day_hour=24").await;

    for (field, last) in [("every_hour_minute", 59), ("every_day_hour", 23), ("every_day_minute", 59)] {
        let bounds = format!("name=\"{field}\" type=\"number\" inputmode=\"numeric\" min=\"0\" max=\"{last}\"");
        assert!(form.contains(&bounds), "{field}: {form}");
    }
    assert!(late.body.contains("role=\"alert\""), "{}", late.body);
}

#[tokio::test]
async fn makes_and_deletes_backups() {
    let world = World::furnished().await;
    let writer = Reader::enter(&world, "operator").await;

    writer.post(&world, "/panel/backups", "statistics=1").await;
    let made = world.services.backups.list().await.unwrap().len();
    writer.post(&world, "/panel/backups/whole.zip/delete", "").await;

    assert_eq!((made, world.services.backups.list().await.unwrap().len()), (2, 1));
}

#[tokio::test]
async fn keeps_secrets_that_are_left_blank_and_shows_none() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;
    let to = "backup_to_ftp=1&ftp_server=127.0.0.1&ftp_server_port=1&ftp_user=u";

    admin.post(&world, "/panel/backup-settings", &format!("{to}&ftp_password=s3cret&passphrase=sesame")).await;
    let saved = admin.post(&world, "/panel/backup-settings", &format!("{to}&ftp_password=&passphrase=")).await;
    let page = admin.look(&world, "/panel/backup-settings").await.body;
    let tried = admin.post(&world, "/panel/backup-settings/test", "").await;

    assert_eq!(saved.code, StatusCode::SEE_OTHER, "{saved:?}");
    let settings = world.services.backups.settings();
    assert_eq!((settings.ftp.password.reveal(), settings.passphrase.reveal()), ("s3cret", "sesame"));
    assert!(!page.contains("s3cret") && !page.contains("sesame"));
    assert!(tried.body.contains("FTP upload error"), "{}", tried.body);
}

#[tokio::test]
async fn says_when_something_was_done_to_the_second() {
    let world = World::furnished().await;
    let reader = Reader::enter(&world, "read_only").await;

    let page = reader.look(&world, "/panel/audit").await.body;

    let (at, rest) = page.split_once("<time datetime=\"").unwrap().1.split_once("\">").unwrap();
    let shown = rest.split_once("</time>").unwrap().0;
    let [at, shown]: [jiff::Timestamp; 2] = [at, shown].map(|time| time.parse().unwrap());
    assert_eq!(at.as_second(), shown.as_second());
    assert!(!page.contains("data-ago"), "{page}");
}

#[tokio::test]
async fn says_for_how_long_it_has_run_but_not_to_a_reseller() {
    let world = World::new().await;
    let [reader, reseller] = [Reader::enter(&world, "read_only").await, Reader::enter(&world, "reseller").await];

    let (all, little) = (reader.look(&world, "/panel/about").await, reseller.look(&world, "/panel/about").await);

    for told in ["0.0.0", "Running for", "Host running for", "Size of the store"] {
        assert!(all.body.contains(told), "{told}: {}", all.body);
    }
    assert!(little.body.contains("0.0.0") && !little.body.contains("Running for"), "{}", little.body);
}

#[tokio::test]
async fn narrows_the_audit_log() {
    let world = World::furnished().await;
    let reader = Reader::enter(&world, "read_only").await;

    let all = reader.look(&world, "/panel/audit").await.body;
    let servers = reader.look(&world, "/panel/audit?about=server&name=spare").await.body;
    let wrong = reader.look(&world, "/panel/audit?since=yesterday").await.body;

    assert!(all.contains("peer_1") && servers.contains("spare") && !servers.contains("peer_1"), "{servers}");
    assert!(all.contains("<option value=\"firewall_rule\">Firewall rule</option>"), "{all}");
    assert!(all.contains(">Firewall rule</td>") && !all.contains(">firewall_rule<"), "{all}");
    assert!(servers.contains("<option value=\"server\" selected>"), "{servers}");
    assert!(wrong.contains("role=\"alert\"") && wrong.contains("value=\"yesterday\""), "{wrong}");
}
