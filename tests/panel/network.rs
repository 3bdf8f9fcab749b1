//! What all servers share, in the browser: the firewall, the resolver, IKEv2, the traffic log.

use crate::browser::Browser;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// The names of the firewall's rules, in their order.
fn rules(appliance: &Appliance<'_>) -> Vec<String> {
    let rules = appliance.api("GET", "firewall/rules/filter", "");
    rules.as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn adds_moves_and_deletes_rules() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/firewall");
    for name in ["first", "second"] {
        browser.fill("#rule-name", name);
        browser.fill("#rule-d_ip", "198.51.100.0/24");
        browser.choose("#rule-end", "top");
        browser.save("#rule-form button[type=submit]");
    }
    let added = rules(&appliance);
    browser.save("tr[data-row=second] form:nth-of-type(1) button");
    let moved = rules(&appliance);
    browser.confirm("tr[data-row=first] form[action$='/delete'] button");

    assert_eq!(added[..2], ["second", "first"]);
    assert_eq!(moved[..2], ["first", "second"]);
    assert_eq!(rules(&appliance)[0], "second");
    assert!(!rules(&appliance).contains(&"first".to_owned()));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn moves_a_rule_by_dragging_it() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    for name in ["one", "two", "three"] {
        let rule = "action=DROP&chain=FORWARD&protocol=ANY&s_ip=0.0.0.0/0&s_port=0&d_ip=0.0.0.0/0&d_port=0";
        appliance.api("POST", "firewall/rules/filter/top", &format!("name={name}&{rule}"));
    }
    let browser = Browser::enter(&world, &mut appliance);
    let before = rules(&appliance);

    browser.go("/panel/firewall");
    browser.mark();
    let drag = "const row = (name) => document.querySelector(`tr[data-row=${name}]`);
        const at = row('three').getBoundingClientRect();
        const send = (kind, to, y) => to.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, clientY: y}));
        send('dragstart', row('one'), 0);
        send('dragover', row('three'), at.top + 1);
        send('drop', row('three'), at.top + 1);";
    browser.eval(drag, Vec::new());
    browser.until("a word that it is done", "!window.__marked && document.querySelector('main > .alert.good')");

    assert_eq!(before[..3], ["three", "two", "one"]);
    assert_eq!(rules(&appliance)[..3], ["one", "three", "two"]);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn changes_policies_and_the_resolver() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/firewall");
    browser.choose("#firewall-policy_forward", "DROP");
    browser.save("#firewall-form button[type=submit]");
    browser.go("/panel/dns");
    browser.fill("#dns-forwarders_1", "192.0.2.80");
    browser.fill("#dns-max_cache_ttl", "300");
    browser.save("#dns-form button[type=submit]");
    browser.fill("#dns-forwarders_2", "nobody");
    let why = browser.refused("#dns-form button[type=submit]");

    assert_eq!(appliance.api("GET", "firewall/conf", "")["policy_forward"], "DROP");
    let resolver = appliance.api("GET", "dns", "").to_string();
    assert!(resolver.contains("192.0.2.80") && resolver.contains("300") && !resolver.contains("nobody"), "{resolver}");
    assert!(!why.is_empty());
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn makes_certificates_turns_ikev2_on_and_changes_what_is_agreed() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/ikev2");
    browser.choose("#ca-key_type", "ecdsa256");
    browser.save("#ca-form button[type=submit]");
    browser.choose("#cert-key_type", "ecdsa256");
    browser.save("#cert-form button[type=submit]");
    browser.save("form[action='/panel/ikev2'] button");
    let authority = browser.download("a[href='/panel/ikev2/ca.pem']", "ca.pem");
    browser.go("/panel/ikev2/advanced");
    browser.fill("#advanced-dpddelay", "77");
    browser.save("#advanced-form button[type=submit]");
    let changed = appliance.api("GET", "ikev2/advanced_settings", "");
    browser.confirm("form[action$='/default'] button");

    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----") && !authority.contains("PRIVATE"), "{authority}");
    assert!(appliance.api("GET", "ikev2/config", "").to_string().contains("BEGIN CERTIFICATE"));
    assert_eq!(changed["dpddelay"].to_string().trim_matches('"').trim_end_matches('s'), "77", "{changed}");
    assert_ne!(appliance.api("GET", "ikev2/advanced_settings", "")["dpddelay"], changed["dpddelay"]);
    browser.go("/panel/ikev2");
    browser.see("h1 .badge.good");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn sets_the_traffic_log_up_and_never_shows_its_token() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/traffic-log");
    browser.click("#traffic_log-enabled");
    browser.click("#traffic_log-enabled_influxdb");
    browser.fill("#traffic_log-influxdb_url", "http://192.0.2.80:8086");
    browser.fill("#traffic_log-influxdb_bucket", "flows");
    browser.fill("#traffic_log-influxdb_organization", "home");
    browser.fill("#traffic_log-influxdb_token", "t0ken-of-the-log");
    browser.save("#traffic_log-form button[type=submit]");
    let page = browser.eval("return document.documentElement.outerHTML", Vec::new());

    let log = appliance.api("GET", "traffic_logging", "").to_string();
    assert!(log.contains("t0ken-of-the-log") && log.contains("flows"), "{log}");
    assert!(!page.as_str().unwrap().contains("t0ken-of-the-log"));
}
