//! Who may what, in the browser: users, access hashes, and a reseller who sees nothing of others.

use crate::browser::{Browser, ORIGIN};
use crate::pages;
use crate::rig::appliance::Appliance;
use crate::rig::namespace::finish;
use crate::rig::world::World;

/// Adds a user of this role on the page of users, and returns the password that is shown once.
fn add_user(browser: &Browser, name: &str, role: &str) -> String {
    browser.go("/panel/users");
    browser.fill("#user-name", name);
    browser.choose("#user-role", role);
    browser.fill("#user-accounts", "2");
    browser.click("#user-form button[type=submit]");
    browser.see("#once");
    browser.text("#once")
}

/// What the API answers whoever shows this hash.
fn with_hash(world: &World, hash: &str, method: &str, path: &str) -> String {
    let mut command = world.server.command("curl");
    command.args(["--silent", "--insecure", "--max-time", "20", "--request", method]);
    command.args(["--cookie", &format!("access_hash={hash}"), &format!("{ORIGIN}/api/v1/{path}")]);
    finish(&mut command)
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn a_reseller_makes_accounts_within_his_caps_and_sees_nothing_of_others() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let admin = Browser::enter(&world, &mut appliance);
    let password = add_user(&admin, "carol", "reseller");
    let reseller = Browser::open(&world);
    reseller.log_in("carol", &password);

    let add = |name: &str| {
        reseller.go("/panel/new-account");
        reseller.choose("#account-wg_name", "Default_1");
        reseller.fill("#account-name", name);
    };
    for name in ["mine", "yours"] {
        add(name);
        reseller.save("#account-form button[type=submit]");
    }
    add("third");
    let refused = reseller.refused("#account-form button[type=submit]");
    reseller.go("/panel/accounts");
    let list = reseller.text("tbody");
    let mut seen = Vec::new();
    for path in ["accounts/laptop", "accounts/laptop/edit", "accounts/laptop/config", "servers", "users", "audit"] {
        reseller.go(&format!("/panel/{path}"));
        seen.push((path, reseller.text("main")));
    }
    let menu = reseller.text("nav");

    assert!(refused.contains("limit"), "{refused}");
    assert!(list.contains("mine") && list.contains("yours") && !list.contains("laptop"), "{list}");
    for (path, text) in seen {
        // what he asked for is not said back to him, whether it is there or not
        assert!(!text.contains("laptop") && !text.contains("admin"), "{path}: {text}");
    }
    assert!(menu.contains("VPN accounts") && !menu.contains("Firewall"), "{menu}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn gives_an_access_hash_shown_once_and_takes_it_back() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/access");
    browser.fill("#access-label", "billing");
    browser.fill("#access-ip", "127.0.0.1");
    browser.choose("#access-role", "read_only");
    browser.click("#access-form button[type=submit]");
    browser.see("#once");
    let hash = browser.text("#once");
    let read = with_hash(&world, &hash, "GET", "account");
    let write = with_hash(&world, &hash, "POST", "account");
    browser.go("/panel/access");
    let again = browser.eval("return document.documentElement.outerHTML", Vec::new()).to_string();
    browser.confirm("input[value=billing] ~ button");
    let after = with_hash(&world, &hash, "GET", "account");

    assert!(hash.len() == 80 && !again.contains(&hash), "{hash}");
    assert!(read.contains("success"), "{read}");
    assert!(write.contains("Not allowed"), "{write}");
    assert!(after.contains("Not authorized"), "{after}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn a_user_loses_his_session_with_his_account() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let admin = Browser::enter(&world, &mut appliance);
    let password = add_user(&admin, "dave", "operator");
    let other = Browser::open(&world);
    other.log_in("dave", &password);
    other.go("/panel");

    admin.go("/panel/users/dave");
    admin.confirm("form[action$='/dave/delete'] button");

    // the open page is told by its stream, and shows nothing more
    other.see("input[name=password]");
}
