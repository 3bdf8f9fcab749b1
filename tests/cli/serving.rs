//! `serve`: the first start, the second, the end.

use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::{Running, culvert, on};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn state(data: &Path) -> [serde_json::Value; 3] {
    [["server", "list"], ["account", "list"], ["access", "list"]]
        .map(|[noun, verb]| on(data, &[noun, verb, "--json"]).json())
}

#[test]
fn shows_once_what_it_makes_on_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");

    let (_, _, first) = Running::start(&data).stop(Signal::SIGTERM);

    let word = |name: &str| {
        let line = first.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("`{name}` is missing in\n{first}")).split_whitespace().last().unwrap().to_owned()
    };
    assert!(word("API and panel").starts_with("https://127.0.0.1:"), "{first}");
    assert!(first.contains("sockets: "), "{first}");
    assert!(first.contains("admin / ") && word("Login").len() >= 10, "{first}");
    let hash = word("Access hash");
    assert!(hash.len() == 80 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    let client_file = data.join("peer_1.conf");
    assert!(first.contains(client_file.to_str().unwrap()), "{first}");
    assert!(first.lines().filter(|line| line.contains('█')).count() > 20, "no QR code in\n{first}");
    for file in ["culvert.redb", "tls.key", "peer_1.conf"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&data), 0o700);
    let [servers, accounts, access] = state(&data);
    assert_eq!((&servers["Default_1"]["listen_port"], &servers["Default_1"]["ipv6"]), (&"51821".into(), &true.into()));
    assert_eq!((&accounts[0]["name"], &access[0]["ip"]), (&"peer_1".into(), &"127.0.0.1".into()));
}

#[test]
fn changes_nothing_on_a_second_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (_, _, first) = Running::start(data).stop(Signal::SIGTERM);
    let files = || ["tls.crt", "tls.key", "peer_1.conf"].map(|file| std::fs::read(data.join(file)).unwrap());
    let before = (state(data), files());

    let (_, code, second) = Running::start(data).stop(Signal::SIGTERM);

    assert_eq!(code, Some(0));
    assert_eq!((state(data), files()), before);
    // a server whose port another program has is said too
    let lines: Vec<_> = second.lines().filter(|line| !line.starts_with("Server `")).collect();
    assert!(matches!(lines.as_slice(), [line] if line.contains("https://127.0.0.1:")), "{second}");
    let password = first.split("admin / ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(!second.contains(password));
}

#[test]
fn ends_within_two_seconds_of_either_signal_though_clients_hold_on() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let mut running = Running::start(folder.path());
        let socket = folder.path().join("culvert.sock");
        let mut idle = TcpStream::connect(("127.0.0.1", running.port())).unwrap();
        let local = UnixStream::connect(&socket).unwrap();

        nix::sys::signal::kill(running.id(), signal).unwrap();
        running.await_word("STOPPING=1");
        let (took, code, _) = running.stop(signal);

        assert_eq!(code, Some(0), "{signal}");
        assert!(took < Duration::from_secs(2), "{signal}: {took:?}");
        assert!(!socket.exists(), "{signal}");
        // whatever the end of a connection looks like, it is an end
        let _ = idle.read(&mut [0]);
        drop(local);
    }
}

#[test]
fn serves_on_though_nobody_reads_what_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = culvert(&["serve", "--listen", "127.0.0.1:0", "--data", folder.path().to_str().unwrap()]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);

    let running = Running::spawn(command.stdout(Stdio::from(writer)));

    assert_eq!(on(folder.path(), &["status", "--json"]).json()["accounts"], 1);
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
}

#[test]
fn starts_again_where_the_process_before_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path()).stop(Signal::SIGKILL);

    let running = Running::start(folder.path());

    assert_eq!(on(folder.path(), &["status", "--json"]).json()["accounts"], 1);
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
}
