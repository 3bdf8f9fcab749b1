//! What is kept and handed on, in the browser: backups, one-time links, the audit log.

use crate::browser::{Browser, first_password};
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// Accounts of the backup, which make it large enough to travel a while.
const MANY: usize = 400;

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn makes_a_backup_carries_it_away_brings_it_back_and_restores_it() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let password = first_password(&mut appliance);
    let browser = Browser::open(&world);
    browser.log_in("admin", &password);

    browser.go("/panel/backups");
    browser.save("form[action='/panel/backups'] button");
    let name = browser.text("td.mono");
    let archive = browser.fetch(&format!("/panel/backups/{name}/file"), &name);
    appliance.api("POST", "account", "wg_name=Default_1&name=later");
    browser.confirm("form[action$='/delete'] button");
    let left = browser.text("td.mono");
    browser.attach("#archive", &archive);
    browser.mark();
    browser.click("form[data-upload] button");
    browser.until("the backup in the list", "!window.__marked && document.querySelector('td.mono')");
    browser.click("a[href$='/restore']");
    let changes = browser.text("main");
    browser.click("form[data-ask] button.danger");
    browser.click("dialog[open] button[value=yes]");
    browser.until_text(".alert.good", "restored");
    browser.log_in("admin", &password);

    assert_eq!(left, "", "it was deleted");
    assert!(changes.contains("later"), "{changes}");
    let accounts = appliance.api("GET", "account", "");
    assert!(!accounts.to_string().contains("later"), "{accounts}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn says_when_backups_are_made_and_why_no_copy_arrives() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/backup-settings");
    browser.click("#backup-every_day");
    browser.fill("#backup-every_day_hour", "3");
    browser.click("#backup-backup_to_s3");
    browser.fill("#backup-s3_endpoint", "http://127.0.0.1:9");
    for (field, value) in [("region", "r"), ("bucket", "b"), ("access_key", "k"), ("secret_key", "s3cr3t")] {
        browser.fill(&format!("#backup-s3_{field}"), value);
    }
    browser.fill("#backup-passphrase", "sesame");
    browser.save("#backup-form button[type=submit]");
    let page = browser.eval("return document.documentElement.outerHTML", Vec::new()).to_string();
    let refused = browser.refused("form[action$='/test'] button");
    browser.go("/panel/backups");

    assert!(!page.contains("s3cr3t") && !page.contains("sesame"), "no secret is shown again");
    assert!(refused.contains("S3"), "{refused}");
    assert!(browser.text("main").contains("03:00:00"), "{}", browser.text("main"));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn follows_a_long_change_by_its_progress_and_finds_it_in_the_audit_log() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    appliance.api("POST", "wireguard", "name=large&address=10.64.0.1/16");
    let forms: Vec<String> = (0..MANY * 8).map(|at| format!("wg_name=large&name=many_{at:05}")).collect();
    assert_eq!(appliance.add_accounts(&forms), forms.len());
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/accounts?q=many_");
    browser.click("#every");
    let chosen = browser.text("[data-count]");
    browser.click("button[value=disable]");
    browser.click("dialog[open] button[value=yes]");
    browser.see("progress[data-progress=work]");
    browser.mark();
    let moves = "(bar => bar && bar.value > 0 && bar.value < bar.max)(document.querySelector('progress'))";
    browser.until("a bar that moves", moves);
    browser.until("an end, on the same page", "window.__marked && document.querySelector('.card .alert.good')");
    browser.go("/panel/accounts?q=many_&state=disabled");
    let disabled = browser.text(".pages .quiet");
    browser.go("/panel/audit?about=account&name=many_03199");

    assert_eq!(chosen, forms.len().to_string());
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    assert_eq!(digits(&disabled), forms.len().to_string(), "{disabled}");
    assert!(browser.text("tbody").contains("many_03199"), "{}", browser.text("main"));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn sets_what_a_link_shows_and_withdraws_one() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    appliance.api("GET", "account/peer_1/otl", "");
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/links");
    let listed = browser.text("tbody");
    browser.confirm("form[action$='/withdraw'] button");
    let left = browser.text("tbody");
    browser.go("/panel/links/page");
    browser.fill("#link-title", "Your tunnel");
    browser.save("#link-form button[type=submit]");
    browser.go("/panel/links/page");
    let title = browser.eval("return document.getElementById('link-title').value", Vec::new());

    assert!(listed.contains("peer_1") && !left.contains("peer_1"), "{listed} then {left}");
    assert_eq!(title, "Your tunnel");
    assert_eq!(appliance.api("GET", "otl/list", "").to_string().matches("peer_1").count(), 0);
}
