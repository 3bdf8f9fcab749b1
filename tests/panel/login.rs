//! The way in: password, second factor, lock, language and theme, the way out.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha1::Sha1;

use crate::browser::{Browser, first_password};
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// What an authenticator shows so many seconds from now (RFC 6238), of a secret in base32 (RFC 4648, section 6).
fn code(secret: &str, from_now: i64) -> String {
    let digits =
        secret.bytes().filter_map(|digit| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|of| *of == digit));
    let bits: Vec<u8> = digits.flat_map(|digit| (0..5).rev().map(move |bit| u8::from(digit >> bit & 1 == 1))).collect();
    let key: Vec<u8> = bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&((Timestamp::now().as_second() + from_now) / 30).to_be_bytes());
    let sum = mac.finalize().into_bytes();
    let offset = usize::from(sum[19] & 0xf);
    let word = u32::from_be_bytes(sum[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// Leaves by the button of the menu.
fn leave(browser: &Browser) {
    browser.click("form[action='/panel/logout'] button");
    // a page may have a part of that name: the login is waited for
    browser.see(".door input#password");
}

/// Sends the form of the login, whatever comes of it.
fn try_to_log_in(browser: &Browser, name: &str, password: &str) {
    browser.go("/panel/login");
    browser.fill("#name", name);
    browser.fill("#password", password);
    browser.click("main button[type=submit]");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn wants_a_code_beside_the_password_and_takes_a_recovery_code_once() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);
    let password = first_password(&mut appliance);

    browser.go("/panel/me");
    browser.click("form[action='/panel/me/factor'] button");
    browser.see("#secret");
    let secret = browser.text("#secret");
    browser.fill("#factor-code", &code(&secret, 0));
    browser.click("#factor-form button[type=submit]");
    browser.see("#codes");
    let recovery = browser.text("#codes");
    let recovery = recovery.split_whitespace().next().unwrap();

    // a code is taken once: the next one is the device's in half a minute, and taken already
    leave(&browser);
    try_to_log_in(&browser, "admin", &password);
    browser.see("#code");
    browser.fill("#password", &password);
    browser.fill("#code", &code(&secret, 30));
    browser.click("main button[type=submit]");
    browser.see("nav");

    leave(&browser);
    for taken in [true, false] {
        try_to_log_in(&browser, "admin", &password);
        browser.see("#code");
        browser.fill("#password", &password);
        browser.fill("#code", recovery);
        browser.click("main button[type=submit]");
        if taken {
            browser.see("nav");
            leave(&browser);
        } else {
            browser.see("[role=alert]");
        }
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn says_in_the_readers_language_that_a_password_is_wrong_and_locks_the_name() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::open_in(&world, "de");
    let password = first_password(&mut appliance);
    let mut told = Vec::new();
    for _ in 0..5 {
        try_to_log_in(&browser, "admin", "wrong");
        browser.see("[role=alert]");
        told.push(browser.text("[role=alert]"));
    }
    try_to_log_in(&browser, "admin", &password);
    browser.see("[role=alert]");
    let locked = browser.text("[role=alert]");

    assert_eq!(browser.text("h1"), "Anmelden");
    assert!(told[0].contains("falsch") || told[0].contains("stimm"), "{told:?}");
    assert_ne!(locked, told[0]);
    appliance.cli("user unlock admin");
    browser.log_in("admin", &password);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn speaks_the_chosen_language_and_wears_the_chosen_theme() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);
    let paper = |browser: &Browser| browser.eval("return getComputedStyle(document.body).backgroundColor", Vec::new());
    let mut seen = Vec::new();
    for (language, theme, heading) in [("de", "dark", "Übersicht"), ("uk", "light", "Панель"), ("en", "", "Dashboard")]
    {
        browser.go("/panel/me");
        browser.choose("#me-language", language);
        browser.choose("#me-theme", theme);
        browser.save("#me-form button[type=submit]");
        browser.go("/panel");

        assert_eq!(browser.text("h1"), heading);
        assert_eq!(browser.eval("return document.documentElement.lang", Vec::new()), language);
        seen.push(paper(&browser));
    }

    assert_ne!(seen[0], seen[1], "dark and light");
    browser.prefer("dark");
    assert_eq!(paper(&browser), seen[0], "as the system prefers");
    browser.prefer("light");
    assert_eq!(paper(&browser), seen[1]);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn ends_a_session_with_the_logout_and_the_others_with_another_password() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let password = first_password(&mut appliance);
    let (browser, other) = (Browser::enter(&world, &mut appliance), Browser::enter(&world, &mut appliance));

    browser.go("/panel/me");
    browser.fill("#me-old", &password);
    browser.fill("#me-new", "a password of my own");
    browser.save("#me-form button[type=submit]:not([name]):is(form[action='/panel/me/password'] button)");
    other.go("/panel/servers");
    let shown_out = other.place();
    leave(&browser);
    browser.go("/panel/accounts/peer_1");
    let place = browser.place();
    browser.fill("#name", "admin");
    browser.fill("#password", "a password of my own");
    browser.click("main button[type=submit]");
    browser.see("nav");

    assert_eq!(shown_out, "/panel/login?next=servers");
    assert_eq!(
        (place.as_str(), browser.place().as_str()),
        ("/panel/login?next=accounts/peer_1", "/panel/accounts/peer_1")
    );
}
