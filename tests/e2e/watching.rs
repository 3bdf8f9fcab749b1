//! What those see who watch from outside: metrics, and messages of a webhook about a real client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};

use crate::rig::PATIENCE;
use crate::rig::appliance::Appliance;
use crate::rig::namespace::{Namespace, finish};
use crate::rig::world::{HOST, World};

const PORT: u16 = 9_000;

/// Takes messages in `host`, and hands their bodies on.
fn take_messages(host: &Namespace) -> Receiver<Value> {
    let (tell, told) = mpsc::channel();
    let listener = host.enter(|| TcpListener::bind((HOST, PORT)).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
            if tell.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    told
}

/// The value of a series on the page of metrics.
fn sample(appliance: &Appliance<'_>, series: &str) -> f64 {
    let page = finish(&mut appliance.request("GET", "../../metrics", ""));
    let line = page.lines().find(|line| line.starts_with(&format!("{series} ")));
    line.unwrap_or_else(|| panic!("no {series} in {page}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
fn a_client_that_comes_and_goes_is_told_of_and_counted() {
    let world = World::new();
    let messages = take_messages(&world.internet);
    let appliance = Appliance::start(&world);
    appliance.api("PUT", "system/config", "wireguard_handshake_uptime=3");
    appliance.api("POST", "webhooks", &format!("name=billing&url=http://{HOST}:{PORT}/hook"));

    let peer = appliance.peer(&world, "peer_1");
    peer.seen_by_udp(HOST);

    let came = messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!(came["type"], "account.connected");
    let client = json!({ "account": "peer_1", "server": "Default_1", "protocol": "wireguard" });
    for (field, value) in client.as_object().unwrap() {
        assert_eq!(&came["data"][field], value, "{came}");
    }
    assert!(sample(&appliance, "culvert_handshakes_total{server=\"Default_1\"}") >= 1.0);
    let labels = "account=\"peer_1\",server=\"Default_1\",direction=\"upload\"";
    assert!(sample(&appliance, &format!("culvert_account_bytes_total{{{labels}}}")) > 28.0);
    // its last handshake is soon longer ago than counts as being there
    let went = messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!(went["type"], "account.disconnected");
    assert_eq!(went["data"], came["data"]);
}
