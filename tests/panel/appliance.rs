//! The appliance itself, in the browser: how people find it, its certificate, who is told of what happens.

use crate::browser::Browser;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn says_how_people_find_the_host_and_counts_by_its_days() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/settings");
    browser.fill("#host-endpoint", "vpn.example");
    browser.choose("#host-time_zone", "Asia/Tokyo");
    browser.save("#host-form button[type=submit]");
    browser.fill("#system-wireguard_handshake_uptime", "77");
    browser.save("#system-form button[type=submit]");
    browser.fill("#host-url", "http://vpn.example");
    let wrong = browser.refused("#host-form button[type=submit]");
    let kept = browser.eval("return document.getElementById('host-url').value", Vec::new());

    appliance.api("POST", "wireguard", "name=new");
    assert_eq!(appliance.api("GET", "wireguard/new", "")["endpoint"], "vpn.example");
    assert_eq!(appliance.api("GET", "system/info", "")["timezone"], "Asia/Tokyo");
    assert_eq!(appliance.api("GET", "system/config", "")["wireguard_handshake_uptime"], 77);
    assert!(wrong.contains("https://") && kept == "http://vpn.example", "{wrong}, {kept}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn takes_a_certificate_that_somebody_brings_and_goes_back() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);
    let own = rcgen::generate_simple_self_signed(["vpn.example".to_owned()]).unwrap();
    let paste = |id: &str, text: &str| {
        browser.eval("document.getElementById(arguments[0]).value = arguments[1]", vec![id.into(), text.into()]);
    };

    browser.go("/panel/certificate");
    let first = browser.text("main");
    paste("own-certificate", &own.cert.pem());
    paste("own-key", &own.signing_key.serialize_pem());
    browser.save("#own-form button[type=submit]");
    let brought = browser.text("main");
    let page = browser.eval("return document.documentElement.outerHTML", Vec::new()).to_string();
    paste("own-certificate", &own.cert.pem());
    paste("own-key", "no key");
    let wrong = browser.refused("#own-form button[type=submit]");
    browser.go("/panel/certificate");
    browser.confirm("form[action$='/withdraw'] button");

    assert!(!first.contains("vpn.example") && brought.contains("vpn.example"), "{first} then {brought}");
    assert!(!page.contains("PRIVATE KEY") && !wrong.is_empty());
    assert!(!browser.text("main").contains("vpn.example"));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn adds_a_webhook_tries_it_and_takes_it_away() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/webhooks");
    browser.fill("#webhook-name", "billing");
    browser.fill("#webhook-url", "http://127.0.0.1:9/hook");
    browser.fill("#webhook-events", "account.expired");
    browser.click("#webhook-form button[type=submit]");
    browser.see("#once");
    let secret = browser.text("#once");
    let refused = browser.refused("form[action$='/test'] button");
    browser.save("form[action$='/status'] button");
    let off = appliance.api("GET", "webhooks", "").to_string();
    browser.confirm("form[action$='/delete'] button");

    assert!(secret.starts_with("whsec_") && !refused.is_empty(), "{secret}, {refused}");
    assert!(off.contains("billing") && off.contains("account.expired"), "{off}");
    assert!(!appliance.api("GET", "webhooks", "").to_string().contains("billing"));
}
