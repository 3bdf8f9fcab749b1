//! What a page weighs and how long it takes, and that nothing of it comes from anywhere else.

use serde_json::json;

use crate::browser::{Browser, ORIGIN, first_password};
use crate::pages;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// The bar of the first page after the login: bytes over the wire, with everything that it needs.
const BYTES: u64 = 100_000;
/// The bar of the first page: until it is ready, in milliseconds.
const FIRST: f64 = 200.0;
/// The bar of the list of [`MANY`] accounts, in milliseconds.
const LIST: f64 = 150.0;
/// Accounts in that list.
const MANY: usize = 10_000;
/// Of so many looks the quickest counts: a machine that does something else is no fault of the page.
const LOOKS: usize = 5;

/// What came over the wire for the page that is shown.
fn weight(browser: &Browser) -> u64 {
    let script = "return performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))
        .filter((of) => !of.name.includes('/live')).reduce((sum, of) => sum + of.transferSize, 0)";
    browser.eval(script, Vec::new()).as_u64().unwrap()
}

/// How long the page that is shown took until it was ready, in milliseconds.
fn time(browser: &Browser) -> f64 {
    browser.until("an end of loading", "performance.getEntriesByType('navigation')[0].loadEventEnd > 0");
    browser.eval("return performance.getEntriesByType('navigation')[0].loadEventEnd", Vec::new()).as_f64().unwrap()
}

/// The same without what came before it: the answer of the login, which is slow on purpose (argon2id).
fn time_after_redirect(browser: &Browser) -> f64 {
    let whole = time(browser);
    let redirected = browser.eval("return performance.getEntriesByType('navigation')[0].redirectEnd", Vec::new());
    whole - redirected.as_f64().unwrap()
}

/// The quickest of some looks at a page.
fn quickest(browser: &Browser, path: &str) -> f64 {
    (0..LOOKS).fold(f64::INFINITY, |best, _| {
        browser.go(path);
        best.min(time(browser))
    })
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn the_first_page_after_the_login_is_light_and_quick() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::open(&world);
    let password = first_password(&mut appliance);

    browser.devtools("Network.enable", &json!({}));
    browser.devtools("Network.setCacheDisabled", &json!({"cacheDisabled": true}));
    browser.log_in("admin", &password);
    let (bytes, first, with_login) = (weight(&browser), time_after_redirect(&browser), time(&browser));
    let again = quickest(&browser, "/panel");

    eprintln!("first page: {bytes} bytes, {first:.0} ms ({with_login:.0} with the login), {again:.0} ms at best");
    assert!(bytes <= BYTES, "{bytes} bytes");
    assert!(again <= FIRST, "{again} ms");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn the_list_of_ten_thousand_accounts_is_quick() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    appliance.api("POST", "wireguard", "name=large&address=10.64.0.1/16");
    let forms: Vec<String> = (1..MANY).map(|at| format!("wg_name=large&name=many_{at:05}")).collect();
    assert_eq!(appliance.add_accounts(&forms), MANY - 1);
    let browser = Browser::enter(&world, &mut appliance);

    let list = quickest(&browser, "/panel/accounts");
    let found = quickest(&browser, "/panel/accounts?q=many_09&sort=-used&page=3");

    eprintln!("{MANY} accounts: {list:.0} ms, a search {found:.0} ms");
    assert_eq!(browser.text(".pages .quiet").chars().filter(char::is_ascii_digit).collect::<String>(), "1000");
    assert!(list <= LIST && found <= LIST, "{list} ms, {found} ms");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn asks_no_other_host_for_anything() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let browser = Browser::enter(&world, &mut appliance);
    browser.requests();
    for page in pages::all(&browser) {
        browser.go(&page);
    }

    let requests = browser.requests();
    assert!(requests.len() > 100, "only {} requests were seen", requests.len());
    let own = |url: &&String| url.starts_with(&format!("{ORIGIN}/")) || url.starts_with("data:image/");
    let strange: Vec<&String> = requests.iter().filter(|url| !own(url)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}
