//! Every page there is: found from the menu by the links of the pages themselves, so that a new one is among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::rig::appliance::Appliance;

/// Puts something on every page: servers, accounts, a rule, a forward, certificates, a link, a backup, a webhook, users.
pub fn furnish(appliance: &Appliance<'_>) {
    appliance.api("POST", "wireguard", "name=office");
    for (name, more) in
        [("laptop", "&b_download=50&quota=2000000000"), ("phone", "&expires=2031-01-01"), ("tablet", "")]
    {
        appliance.api("POST", "account", &format!("wg_name=Default_1&name={name}{more}"));
    }
    appliance.api("PUT", "account/tablet", "status=disable");
    appliance.api(
        "POST",
        "wireguard/Default_1/port_forwarding",
        "dst_port=8443&protocol=tcp&to_peer=laptop&to_port=443",
    );
    let rule = "name=no_telnet&action=DROP&chain=FORWARD&protocol=TCP&s_ip=0.0.0.0/0&s_port=0&d_ip=0.0.0.0/0&d_port=23";
    appliance.api("POST", "firewall/rules/filter/top", rule);
    let subject = |of: &str| format!("{of}_common_name=vpn.example&{of}_organization=Example&key_type=ecdsa256");
    appliance.api("PUT", "ikev2/generate_ca_rsa", &subject("ca"));
    let order = format!("server_domain=vpn.example&server_ip=203.0.113.1&{}", subject("server"));
    appliance.api("PUT", "ikev2/generate_server_rsa", &order);
    appliance.api("PUT", "ikev2", "enabled=1");
    appliance.api("GET", "account/laptop/otl", "");
    appliance.api("POST", "backups", "");
    appliance.api("POST", "webhooks", "name=chat&url=https://chat.example/hook");
    appliance.cli("user add shop --role reseller");
}

/// The addresses of all pages that the reader finds, each with its query's first form.
pub fn all(browser: &Browser) -> BTreeSet<String> {
    let (mut found, mut shapes) = (BTreeSet::new(), BTreeMap::<String, u32>::new());
    let mut next: VecDeque<String> = ["/panel".to_owned(), "/panel/welcome?step=account".to_owned()].into();
    while let Some(path) = next.pop_front() {
        if found.contains(&path) {
            continue;
        }
        browser.go(&path);
        let links = links(browser);
        found.insert(path);
        for link in links.as_array().unwrap().iter().map(|link| link.as_str().unwrap()) {
            let bare = link.split(['?', '#']).next().unwrap();
            // two of many that are alike: accounts, servers, the orders of a list, the months of a chart
            let words: Vec<&str> = bare.split('/').collect();
            let is_named = words.len() > 3 && ["accounts", "servers"].contains(&words[2]);
            let shape = if is_named { format!("{}/{}", words[2], words[4..].concat()) } else { bare.to_owned() };
            let seen = shapes.entry(shape).or_default();
            if !link.contains("said=") && *seen < 2 && !found.contains(link) && !next.contains(&link.to_owned()) {
                *seen += 1;
                next.push_back(link.to_owned());
            }
        }
    }
    assert!(found.len() >= 15, "only {found:?}");
    found
}

/// Where the page leads to, besides files.
fn links(browser: &Browser) -> Value {
    let script = "return [...document.querySelectorAll('a[href]')]
        .filter((a) => a.origin === location.origin && a.pathname.startsWith('/panel') && !a.hasAttribute('download'))
        // what is opened beside the panel is what a visitor of a link sees: no script runs there, so none looks at it
        .filter((a) => a.target !== '_blank')
        .filter((a) => !/\\.[a-z]+$/.test(a.pathname) && !a.getAttribute('href').startsWith('#'))
        .map((a) => a.pathname + a.search)";
    browser.eval(script, Vec::new())
}

/// The HTTP status of the page that is shown.
pub fn status(browser: &Browser) -> u64 {
    let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
    browser.eval(script, vec![json!(null)]).as_u64().unwrap()
}
