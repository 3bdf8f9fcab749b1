//! Servers and what is forwarded to their accounts, in the browser.

use crate::browser::Browser;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn makes_changes_and_deletes_a_server() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.go("/panel/servers");
    browser.click(".head a.primary");
    browser.fill("#server-name", "office");
    browser.fill("#server-listen_port", "51999");
    browser.save("#server-form button[type=submit]");
    let made = appliance.api("GET", "wireguard/office", "");
    browser.click(".head a[href$='/edit']");
    browser.fill("#server-mtu", "1380");
    browser.click("#server-disable_nat");
    browser.save("#server-form button[type=submit]");
    let changed = appliance.api("GET", "wireguard/office", "");
    browser.confirm("form[action$='/delete'] button");

    assert_eq!(made["listen_port"], "51999", "{made}");
    assert_eq!((&changed["mtu"], &changed["disable_nat"]), (&1380.into(), &true.into()), "{changed}");
    assert_eq!(browser.place(), "/panel/servers?said=deleted");
    assert_eq!(appliance.api("GET", "wireguard", "").as_object().unwrap().len(), 1);
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn forwards_a_port_sets_bandwidth_and_takes_the_forward_away() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);
    let forwards = |appliance: &Appliance<'_>| appliance.api("GET", "wireguard/Default_1/port_forward", "").to_string();

    browser.go("/panel/servers/Default_1");
    browser.fill("#forward-dst_port", "8443");
    browser.fill("#forward-to_port", "443");
    browser.save("#forward-form button[type=submit]");
    let forwarded = forwards(&appliance);
    browser.fill("#bandwidth-b_download", "33");
    browser.save("#bandwidth-form button[type=submit]");
    let account = appliance.api("GET", "account/peer_1", "");
    browser.confirm("form[action$='/8443/tcp/delete'] button");

    assert!(forwarded.contains("8443") && forwarded.contains("peer_1"), "{forwarded}");
    assert_eq!(account["b_download"], "33");
    assert!(!forwards(&appliance).contains("8443"));
}
