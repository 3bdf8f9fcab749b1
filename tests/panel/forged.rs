//! What a page of another origin sends in the reader's name.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use axum::http::Method;
use culvert::http::routes::{self, Admission};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::browser::{Browser, ORIGIN};
use crate::pages;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// Another origin of the same site, to which the browser does not keep the cookie back: only the port is another.
const EVIL: &str = "https://127.0.0.1:9443";

/// Serves an empty page at [`EVIL`] until the test's process ends.
fn serve_evil(world: &World) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap());
    let listener = world.server.enter(|| TcpListener::bind("127.0.0.1:9443")).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 8_192]);
                let page = "<!doctype html><title>evil</title><body>";
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length:";
                let _ = write!(stream, "{head} {}\r\n\r\n{page}", page.len());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
}

/// Every address that changes something, of what exists.
fn targets() -> Vec<String> {
    let posts = routes::every().into_iter().filter(|row| row.methods == [Method::POST]);
    let of_the_panel = posts.filter(|row| matches!(row.admission, Admission::Session | Admission::Guest));
    let filled = of_the_panel.map(|row| {
        let name = match row.paths[0].split('/').nth(2).unwrap_or_default() {
            "servers" => "office",
            "firewall" => "no_telnet",
            "users" => "shop",
            "webhooks" => "chat",
            _ => "laptop",
        };
        let path = row.paths[0].replace("{name}", name).replace("{port}", "8443").replace("{protocol}", "tcp");
        path.replace(['{', '}'], "")
    });
    filled.collect()
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn changes_nothing_from_another_origin() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    serve_evil(&world);
    let browser = Browser::enter(&world, &mut appliance);
    let targets: Vec<String> = targets().iter().map(|path| format!("{ORIGIN}{path}")).collect();
    let audit = appliance.api("GET", "audit", "limit=1000");
    browser.visit(EVIL);
    browser.requests();

    let attack = "const [targets, done] = arguments;
        const fields = {status: 'disable', enabled: '0', name: 'evil', wg_name: 'Default_1', action: 'delete',
            'account:laptop': '1', b_download: '1', place: '0', csrf: '0', password: 'x'};
        const sent = [];
        for (const target of targets) {
            for (const type of ['application/x-www-form-urlencoded', 'text/plain']) {
                sent.push(fetch(target, {method: 'POST', mode: 'no-cors', credentials: 'include',
                    headers: {'content-type': type}, body: new URLSearchParams(fields).toString()}).catch(() => null));
            }
            const frame = document.createElement('iframe');
            frame.name = 'f' + sent.length;
            document.body.append(frame);
            const form = document.createElement('form');
            [form.method, form.action, form.target] = ['post', target, frame.name];
            for (const [name, value] of Object.entries(fields)) {
                const field = document.createElement('input');
                [field.type, field.name, field.value] = ['hidden', name, value];
                form.append(field);
            }
            document.body.append(form);
            sent.push(new Promise((loaded) => { frame.onload = loaded; form.submit(); }));
        }
        Promise.all(sent).then(() => done(sent.length));";
    let forged = browser.eval_later(attack, vec![json!(targets)]).as_u64().unwrap();
    let arrived = browser.requests().iter().filter(|url| targets.contains(url)).count();
    let after = appliance.api("GET", "audit", "limit=1000");
    browser.go("/panel/servers");

    assert!(forged >= 72 && arrived >= 72, "only {forged} were forged, and {arrived} sent");
    assert_eq!(after, audit, "something was changed");
    assert_eq!(browser.place(), "/panel/servers", "the reader was logged out");
    eprintln!("{forged} forged requests");
}
