//! Accounts in the browser: made, changed, found among many, and changed all at once.

use crate::browser::Browser;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// The names in the list, in its order.
fn names(browser: &Browser) -> Vec<String> {
    let script = "return [...document.querySelectorAll('tbody tr td[data-name] > a')].map((link) => link.textContent)";
    let names = browser.eval(script, Vec::new());
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Every account, as the API has it.
fn accounts(appliance: &Appliance<'_>) -> Vec<String> {
    let all = appliance.api("GET", "account", "");
    all.as_array().unwrap().iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn makes_changes_disables_and_deletes_an_account() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/accounts");
    browser.click(".head a.primary");
    browser.fill("#account-name", "phone");
    browser.fill("#account-b_download", "40");
    browser.save("#account-form button[type=submit]");
    let made = appliance.api("GET", "account/phone", "");
    browser.click(".head a[href$='/edit']");
    browser.fill("#account-b_download", "25");
    browser.save("#account-form button[type=submit]");
    let changed = appliance.api("GET", "account/phone", "");
    browser.save("form[action$='/status'] button");
    let disabled = appliance.api("GET", "account/phone", "");
    browser.confirm("form[action$='/delete'] button");

    assert_eq!((&made["b_download"], &changed["b_download"]), (&"40".into(), &"25".into()));
    assert_ne!(disabled["status"], changed["status"]);
    assert_eq!(browser.place(), "/panel/accounts?said=deleted");
    assert!(!accounts(&appliance).contains(&"phone".to_owned()));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn says_beside_the_form_what_is_wrong_and_keeps_what_was_typed() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/new-account");
    browser.fill("#account-name", "not a name");
    browser.fill("#account-expires", "2031-05-06");
    let why = browser.refused("#account-form button[type=submit]");

    assert!(!why.is_empty());
    let typed = browser.eval("return document.getElementById('account-expires').value", Vec::new());
    assert_eq!(typed, "2031-05-06");
    assert_eq!(accounts(&appliance), ["peer_1"]);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn finds_sorts_and_turns_pages() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    for number in 0..60 {
        appliance.api("POST", "account", &format!("wg_name=Default_1&name=many_{number:02}"));
    }
    appliance.api("PUT", "account/many_07", "status=disable");
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/accounts");
    let first = names(&browser);
    browser.click("a[rel=next]");
    let second = names(&browser);
    browser.go("/panel/accounts?sort=name");
    browser.click("th[aria-sort=ascending] a");
    browser.see("th[aria-sort=descending]");
    let turned = names(&browser);
    browser.mark();
    browser.fill("#q", "many_1");
    browser.click("form.tools button");
    browser.until("another page", "!window.__marked");
    let found = names(&browser);
    browser.go("/panel/accounts");
    browser.mark();
    browser.choose("#state", "disabled");
    browser.until("the list of those that are disabled", "!window.__marked && location.search.includes('disabled')");

    assert_eq!((first.len(), second.len()), (50, 11));
    assert_eq!((first[0].as_str(), turned[0].as_str()), ("many_00", "peer_1"));
    assert_eq!((found.len(), found[0].as_str()), (10, "many_19"), "in the order that was chosen");
    assert_eq!(names(&browser), ["many_07"]);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn changes_many_accounts_at_once() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    for name in ["a", "b", "c"] {
        appliance.api("POST", "account", &format!("wg_name=Default_1&name={name}"));
    }
    let browser = Browser::enter(&world, &mut appliance);
    let of = |name: &str, key: &str| appliance.api("GET", &format!("account/{name}"), "")[key].clone();
    let enabled = of("a", "status");

    browser.go("/panel/accounts");
    browser.click("input[name='account:a']");
    browser.click("input[name='account:b']");
    let chosen = browser.text("[data-count]");
    browser.confirm("button[value=disable]");
    let disabled = [of("a", "status"), of("b", "status"), of("c", "status")];
    browser.click("input[data-all]");
    browser.fill("#many-down", "12");
    browser.confirm("button[value=bandwidth]");
    let limited = [of("a", "b_download"), of("c", "b_download"), of("peer_1", "b_download")];
    browser.click("input[name='account:a']");
    browser.click("input[name='account:c']");
    browser.confirm("button[value=delete]");

    assert_eq!(chosen, "2");
    assert_eq!(disabled.map(|status| status == enabled), [false, false, true]);
    assert_eq!(limited, ["12", "12", "12"]);
    assert_eq!(accounts(&appliance), ["b", "peer_1"]);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn gives_out_the_list_as_a_file_and_a_link_to_hand_on() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/accounts");
    let list = browser.download("a[href^='/panel/accounts.csv']", "accounts.csv");
    browser.go("/panel/accounts/peer_1");
    browser.click("form[action$='/link'] button");
    browser.see("#url");
    let link = browser.text("#url");

    assert!(list.starts_with("name,server,") && list.contains("\r\npeer_1,Default_1,active,"), "{list}");
    let key = link.rsplit("/otl/").next().unwrap();
    assert!(link.starts_with("https://") && key.len() >= 32, "{link}");
    assert!(appliance.api("GET", "otl/list", "").to_string().contains("peer_1"));
}
