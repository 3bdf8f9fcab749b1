//! What moves without loading a page again: who is online, and that the connection is lost and found.

use crate::browser::Browser;
use crate::rig::PATIENCE;
use crate::rig::appliance::Appliance;
use crate::rig::peer::Peer;
use crate::rig::world::World;

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn an_account_made_here_connects_and_every_page_shows_it_by_itself() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let (browser, online) = (Browser::enter(&world, &mut appliance), Browser::enter(&world, &mut appliance));

    browser.go("/panel/new-account");
    browser.fill("#account-name", "laptop");
    browser.save("#account-form button[type=submit]");
    let file = browser.download("a[href$='/file']", "laptop.conf");
    browser.mark();
    online.go("/panel/online");
    online.mark();
    let peer = Peer::connect(world.place(), &file);
    peer.until_online(PATIENCE);

    browser.see("[data-state=WireGuard].good");
    online.until_text("td", "laptop");
    browser.until("a rate", "!document.querySelector('[data-live=down]').textContent.startsWith('0 ')");
    assert!(browser.is_marked() && online.is_marked(), "a page was loaded again");
    assert!(online.text("main").contains(&format!("{}:", peer.place.v4(2))), "{}", online.text("main"));
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn says_that_the_connection_is_lost_and_goes_on_by_itself() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);
    let is_shown = "document.getElementById('lost').checkVisibility()";

    browser.go("/panel");
    browser.mark();
    browser.until("a first figure", "document.querySelector('svg.chart path.down').getAttribute('d') !== ''");
    let before = browser.eval(&format!("return {is_shown}"), Vec::new());
    appliance.stop();
    browser.until("a word that it is lost", is_shown);
    let points =
        browser.eval("return document.querySelector('svg.chart path.down').getAttribute('d').length", Vec::new());
    appliance.serve();
    browser.until("no such word any more", &format!("!{is_shown}"));
    let more = format!("document.querySelector('svg.chart path.down').getAttribute('d').length > {points}");
    browser.until("figures that go on", &more);

    assert_eq!(before, false);
    assert!(browser.is_marked(), "the page was loaded again");
}
