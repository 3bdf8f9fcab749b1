//! From an empty data folder to a client that is connected, by the panel alone.

use std::time::{Duration, Instant};

use base64::Engine as _;

use crate::browser::{Browser, first_password};
use crate::rig::PATIENCE;
use crate::rig::appliance::Appliance;
use crate::rig::peer::Peer;
use crate::rig::world::World;

/// The bar: a minute.
const TIME: Duration = Duration::from_secs(60);
/// The bar: clicks.
const CLICKS: u32 = 6;

/// The text of a QR code that a page shows.
fn read_qr(browser: &Browser) -> String {
    let source = browser.eval("return document.querySelector('img.qr').src", Vec::new());
    let encoded = source.as_str().unwrap().split_once(',').unwrap().1;
    let png = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let sample = |x: usize, y: usize| pixels[y * frame.line_size + x * frame.color_type.samples()];
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, sample);
    image.detect_grids()[0].decode().unwrap().1
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn leads_from_an_empty_folder_to_a_connected_client() {
    let world = World::new();
    let place = world.place();
    let begun = Instant::now();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::open(&world);
    let password = first_password(&mut appliance);

    browser.log_in("admin", &password);
    browser.fill("#me-old", &password);
    browser.fill("#me-new", "a password of my own");
    browser.click("main .sheet button[type=submit]");
    browser.see("#welcome-endpoint");
    browser.click("main .sheet button[type=submit]");
    browser.see("img.qr");
    let code = read_qr(&browser);
    let file = browser.download("a[download]", "peer_1.conf");
    browser.mark();
    let peer = Peer::connect(place, &file);
    peer.until_online(PATIENCE);
    browser.see("[data-state=WireGuard].good");
    let (time, clicks) = (begun.elapsed(), browser.clicks());

    assert!(browser.is_marked(), "the page was loaded again");
    assert_eq!(code.trim(), file.trim(), "the code is the file");
    eprintln!("first run: {time:.1?}, {clicks} clicks");
    assert!(time <= TIME && clicks <= CLICKS, "{time:?}, {clicks} clicks");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn lets_whoever_is_in_a_hurry_skip_every_step() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::enter(&world, &mut appliance);

    browser.click("a[href$='step=address']");
    browser.see("#welcome-endpoint");
    browser.click("a[href$='step=account']");
    browser.see("img.qr");
    browser.click("main .card .acts a[href='/panel']");

    browser.see("[data-stream]");
    assert_eq!(browser.place(), "/panel");
}
