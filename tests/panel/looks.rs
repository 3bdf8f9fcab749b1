//! How every page looks: in both themes to those who do not see it (axe-core), on a small screen, by keys alone; and
//! pictures for a person to look at.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::pages;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// The keys Tab and Enter (`WebDriver`, section 17.4.2).
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// axe-core, which tests/run has fetched.
fn axe() -> String {
    let file = std::env::var("CULVERT_AXE").unwrap_or_else(|_| panic!("CULVERT_AXE names no axe-core: run tests/run"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What axe-core finds on the page that is shown, a line each.
fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.eval(axe, Vec::new());
    let run = "const done = arguments[0];
        axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations.flatMap((rule) =>
            rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary.slice(0, 200)}`))));";
    let found = browser.eval_later(run, Vec::new());
    found.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// Where pictures of the pages are put.
fn screens() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/panel/screens");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn file_name(page: &str) -> String {
    let name = page.trim_start_matches("/panel").trim_matches('/').replace(['/', '?', '=', '&'], "-");
    if name.is_empty() { "dashboard".to_owned() } else { name }
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn has_nothing_on_any_page_that_axe_complains_of() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let axe = axe();
    let browser = Browser::open(&world);
    let mut found = Vec::new();
    let mut look = |browser: &Browser, page: &str| {
        for theme in ["light", "dark"] {
            browser.prefer(theme);
            found.extend(violations(browser, &axe).into_iter().map(|line| format!("{page} ({theme}): {line}")));
        }
    };
    browser.go("/panel/login");
    look(&browser, "/panel/login");
    browser.log_in("admin", &crate::browser::first_password(&mut appliance));
    for page in pages::all(&browser) {
        browser.go(&page);
        assert_eq!(pages::status(&browser), 200, "{page}");
        look(&browser, &page);
    }

    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn fits_on_a_small_screen_and_on_a_large_one() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let browser = Browser::enter(&world, &mut appliance);
    let pages = pages::all(&browser);
    let mut wide: Vec<String> = Vec::new();
    browser.resize(360, 740);
    for language in ["de", "zh-Hans"] {
        browser.go("/panel/me");
        browser.choose("#me-language", language);
        browser.save("#me-form button[type=submit]");
        for page in &pages {
            browser.go(page);
            let width = browser.eval("return document.scrollingElement.scrollWidth", Vec::new()).as_u64().unwrap();
            if width > 360 {
                let who = "return [...document.querySelectorAll('main *')]
                    .filter((e) => e.getBoundingClientRect().right > innerWidth).slice(0, 4)
                    .map((e) => e.outerHTML.slice(0, 90))";
                wide.push(format!("{page} ({language}): {width}: {}", browser.eval(who, Vec::new())));
            }
        }
    }

    for width in [1_024, 1_140, 1_280] {
        browser.resize(width, 800);
        for page in &pages {
            browser.go(page);
            let script = "return [...document.querySelectorAll('.card, .main')]
                .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 90))";
            let overfull = browser.eval(script, Vec::new());
            if overfull != json!([]) {
                wide.push(format!("{page} at {width}: more than fits is in {overfull}"));
            }
        }
    }
    browser.resize(3_840, 2_160);
    for page in &pages {
        browser.go(page);
        let script =
            "return [document.scrollingElement.scrollWidth, parseFloat(getComputedStyle(document.body).fontSize)]";
        let seen = browser.eval(script, Vec::new());
        if seen[0].as_f64() > Some(3_840.0) || seen[1].as_f64() < Some(18.0) {
            wide.push(format!("{page} at 3,840: width and letters are {seen}"));
        }
    }

    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn can_be_used_by_keys_alone() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::open(&world);
    let focus = |browser: &Browser| browser.eval("return document.activeElement.getAttribute('href')", Vec::new());

    browser.go("/panel/login");
    browser.press("admin");
    browser.press(TAB);
    browser.press(&crate::browser::first_password(&mut appliance));
    browser.press(ENTER);
    browser.see("nav");
    browser.press(TAB);
    let first = focus(&browser);
    let mut steps = 0;
    while focus(&browser) != json!("/panel/accounts") {
        browser.press(TAB);
        steps += 1;
        assert!(steps < 20, "the menu is not reached");
    }
    let outline = browser.eval("return getComputedStyle(document.activeElement).outlineStyle", Vec::new());
    browser.press(ENTER);
    browser.see("nav a[href='/panel/accounts'][aria-current=page]");

    assert_eq!(first, "#main", "the first stop skips the menu");
    assert_ne!(outline, Value::from("none"), "nobody sees where the focus is");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn opens_the_menu_of_a_small_screen() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);
    browser.resize(360, 740);

    browser.go("/panel");
    let closed = browser.eval("return document.querySelector('nav').checkVisibility()", Vec::new());
    browser.click("[data-menu]");
    browser.click("nav a[href='/panel/servers']");

    browser.see("nav a[href='/panel/servers'][aria-current=page]");
    assert_eq!(closed, false);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn is_pictured_page_by_page() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let browser = Browser::enter(&world, &mut appliance);
    let folder = screens();
    let pages = pages::all(&browser);
    let picture = |page: &str, kind: &str, width: u32| {
        browser.go(page);
        let file = folder.join(format!("{}-{kind}.png", file_name(page)));
        fs::write(file, browser.picture(width, 800)).unwrap();
    };
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        for page in &pages {
            picture(page, theme, 1280);
        }
    }
    browser.resize(360, 800);
    for page in ["/panel", "/panel/accounts", "/panel/accounts/laptop", "/panel/servers/Default_1", "/panel/firewall"] {
        picture(page, "small", 360);
    }

    let pictures = fs::read_dir(&folder).unwrap().count();
    assert!(pictures >= pages.len() * 2 + 5, "only {pictures} pictures of {} pages", pages.len());
}
