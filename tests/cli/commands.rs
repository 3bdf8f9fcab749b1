//! Commands that ask the appliance, with a process running and without.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::process::{Running, Said, culvert, on};

/// A folder that has seen its first start, with nothing running.
fn after_first_start() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path()).stop(Signal::SIGTERM);
    folder
}

/// Does the same with a process running and without.
fn online_and_offline(check: impl Fn(&Path)) {
    let folder = after_first_start();
    check(folder.path());
    let running = Running::start(folder.path());
    check(folder.path());
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
}

#[test]
fn prints_a_new_access_hash_and_nothing_else() {
    let folder = after_first_start();
    let add = |label| on(folder.path(), &["access", "add", label, "--ip", "192.0.2.1"]).out();

    let offline = add("offline");
    let running = Running::start(folder.path());
    let online = add("online");
    let labels = on(folder.path(), &["access", "list", "--json"]).json();
    running.stop(Signal::SIGTERM);

    for hash in [&offline, &online] {
        let hex = hash.strip_suffix('\n').unwrap();
        assert!(hex.len() == 80 && hex.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    }
    assert_ne!(offline, online);
    let labels: Vec<_> = labels.as_array().unwrap().iter().filter_map(|entry| entry["label"].as_str()).collect();
    assert!(labels.contains(&"offline") && labels.contains(&"online"), "{labels:?}");
}

#[test]
fn makes_an_access_hash_before_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");
    on(&data, &["access", "add", "early", "--ip", "::1"]).out();

    let running = Running::start(&data);

    let labels = on(&data, &["access", "list"]).out();
    assert!(labels.contains("early"), "{labels}");
    assert_eq!(on(&data, &["status", "--json"]).json()["servers"], 1);
    running.stop(Signal::SIGTERM);
}

#[test]
fn prints_the_client_file_and_nothing_else() {
    online_and_offline(|data| {
        let file = std::fs::read_to_string(data.join("peer_1.conf")).unwrap();

        let before = on(data, &["account", "config", "peer_1"]).out();
        let mut command = culvert(&["account", "config", "peer_1", "--data", data.to_str().unwrap()]);
        let after = Said::from(command.output().unwrap()).out();

        assert_eq!((before.trim_end(), &before), (file.trim_end(), &after));
    });
}

#[test]
fn draws_the_qr_code_and_writes_its_picture() {
    online_and_offline(|data| {
        let picture = data.join("picture.png");

        let drawn = on(data, &["account", "qr", "peer_1"]).out();
        let nothing = on(data, &["account", "qr", "peer_1", "--png", picture.to_str().unwrap()]).out();

        assert!(drawn.lines().count() > 20, "{drawn}");
        assert_eq!(nothing, "");
        assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    });
}

#[test]
fn looks_after_servers_and_accounts() {
    online_and_offline(|data| {
        let json = |arguments: &[&str]| on(data, &[arguments, &["--json"]].concat()).json();

        let server = json(&["server", "add", "extra", "--port", "51999", "--download", "7"]);
        let edited = json(&["server", "edit", "extra", "--internal-traffic", "off"]);
        let account = json(&["account", "add", "bob", "--server", "extra"]);
        let disabled = json(&["account", "edit", "bob", "--status", "disable"]);
        let shown = on(data, &["account", "show", "bob"]).out();

        assert_eq!((&server["name"], &server["listen_port"]), (&"extra".into(), &"51999".into()));
        assert_eq!((&edited["internal_traffic"], &edited["b_download"]), (&false.into(), &"7".into()));
        assert_eq!((&account["wg_name"], &account["status"]), (&"extra".into(), &"enable".into()));
        assert_eq!((&disabled["status"], &disabled["private_key"]), (&"disable".into(), &account["private_key"]));
        assert!(!shown.contains(account["private_key"].as_str().unwrap()), "{shown}");
        assert_eq!(on(data, &["account", "remove", "bob"]).out(), "Removed `bob`\n");
        assert_eq!(on(data, &["server", "remove", "extra"]).out(), "Removed `extra`\n");
    });
}

#[test]
fn chooses_the_server_of_a_new_account_where_there_is_only_one() {
    let folder = after_first_start();
    let data = folder.path();

    let account = on(data, &["account", "add", "--json"]).json();
    on(data, &["server", "add"]).out();

    assert_eq!((&account["wg_name"], &account["name"]), (&"Default_1".into(), &"peer_2".into()));
    let sentence = on(data, &["account", "add"]).sentence(2);
    assert_eq!(sentence, "there are several servers: name one, as in `--server Default_1`");
}

#[test]
fn says_what_the_api_says() {
    online_and_offline(|data| {
        assert_eq!(on(data, &["account", "config", "nobody"]).sentence(1), "Account not found");
        assert_eq!(on(data, &["server", "show", "../account"]).sentence(1), "Wireguard server not found");
        let sentence = on(data, &["server", "remove", "Default_1"]).sentence(1);
        assert_eq!(sentence, "Cannot be deleted. There are active peers.");
    });
}

#[test]
fn makes_nothing_where_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");

    let sentence = on(&data, &["status"]).sentence(2);

    assert_eq!(sentence, format!("there is no Culvert in `{}`: name its folder with --data", data.display()));
    assert!(!data.exists());
}

#[test]
fn does_not_mind_a_reader_that_has_gone_away() {
    let folder = after_first_start();
    let data = folder.path().to_str().unwrap();
    for arguments in [&["completions", "bash"][..], &["--data", data, "account", "list"], &["serve", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);

        let said = culvert(arguments).stdout(Stdio::from(writer)).stderr(Stdio::piped()).spawn().unwrap();

        Said::from(said.wait_with_output().unwrap()).out();
    }
}

#[test]
fn completes_its_commands_in_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Said::from(culvert(&["completions", shell]).output().unwrap()).out();
        assert!(script.contains("culvert") && script.contains("account"), "{shell}");
    }
}

#[test]
fn shows_its_usage_for_what_it_does_not_understand() {
    let said = Said::from(culvert(&["fly"]).output().unwrap());

    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("Usage: culvert"), "{}", said.err);
}

#[test]
fn looks_after_the_firewall_and_port_forwards() {
    online_and_offline(|data| {
        on(data, &["firewall", "set", "--forward", "drop"]).out();
        assert!(on(data, &["firewall", "show"]).out().contains("DROP"));
        on(data, &["firewall", "rule", "add", "mail", "DROP", "FORWARD", "--protocol", "TCP", "--port", "25"]).out();
        on(data, &["firewall", "rule", "add", "first", "ACCEPT", "FORWARD", "--top"]).out();
        let rules = on(data, &["firewall", "rules", "--json"]).json();
        let names: Vec<_> = rules.as_array().unwrap().iter().filter_map(|rule| rule["name"].as_str()).collect();
        assert_eq!(names, ["first", "system_PUQVPNCP", "mail"]);
        assert!(on(data, &["firewall", "rules"]).out().contains("mail"));
        let kept = on(data, &["firewall", "rule", "remove", "system_PUQVPNCP"]).sentence(1);
        assert!(kept.contains("You cannot delete this rule"), "{kept}");
        for name in ["mail", "first"] {
            on(data, &["firewall", "rule", "remove", name]).out();
        }
        on(data, &["firewall", "set", "--forward", "accept"]).out();

        on(data, &["forward", "add", "Default_1", "tcp", "8022", "peer_1", "22"]).out();
        let listed = on(data, &["forward", "list", "Default_1"]).out();
        assert!(listed.contains("8022") && listed.contains("peer_1"), "{listed}");
        on(data, &["forward", "remove", "Default_1", "tcp", "8022"]).out();
        let gone = on(data, &["forward", "remove", "Default_1", "tcp", "8022"]).sentence(1);
        assert!(gone.contains("There is no such port forwarding"), "{gone}");
        on(data, &["account", "connections", "peer_1"]).out();
    });
}

#[test]
fn looks_after_ends_quotas_traffic_and_the_system() {
    online_and_offline(|data| {
        let json = |arguments: &[&str]| on(data, &[arguments, &["--json"]].concat()).json();

        let edited = json(&["account", "edit", "peer_1", "--expires", "2999-12-31", "--quota", "50G"]);
        let listed = on(data, &["account", "list"]).out();
        let days = on(data, &["account", "traffic", "peer_1", "--month", "2024-02"]).out();
        let hours = json(&["account", "traffic", "peer_1", "--day", "1"]);
        on(data, &["account", "edit", "peer_1", "--expires", "never", "--quota", "0"]).out();
        let config = json(&["system", "config", "edit", "--traffic-history", "7"]);
        let shown = on(data, &["system", "config", "show"]).out();
        let set_back = json(&["system", "config", "default"]);

        assert_eq!((&edited["quota"], &edited["state"]), (&"50000000000".into(), &"active".into()));
        assert!(listed.contains("QUOTA") && listed.contains("50000000000"), "{listed}");
        assert!(days.contains("2024-02-29") && days.lines().count() == 30, "{days}");
        assert!(hours.as_array().unwrap().len() >= 23, "{hours}");
        assert_eq!(
            (&config["traffic_statistics_history"], &set_back["traffic_statistics_history"]),
            (&7.into(), &2.into())
        );
        assert!(shown.contains("traffic_statistics_history"), "{shown}");
        assert_eq!(on(data, &["system", "reload"]).out(), "Everything runs as it ought to\n");
    });
}

#[test]
fn looks_after_ikev2() {
    online_and_offline(|data| {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/ikev2");
        let file = |name: &str| files.join(name).display().to_string();
        let refused = on(data, &["ikev2", "enable"]).sentence(1);
        assert!(refused.contains("The ROOT certificate is not present"), "{refused}");
        on(data, &["ikev2", "import-ca", "--cert", &file("rsa.crt"), "--key", &file("rsa.key")]).out();
        let subject = ["--common-name", "a", "--organization", "b", "--key-type", "ecdsa256"];
        let server = ["ikev2", "generate-server", "--domain", "vpn.example", "--ip", "192.0.2.1"];
        on(data, &[&server[..], &subject[..]].concat()).out();
        let shown = on(data, &["ikev2", "enable"]).out();
        assert!(shown.contains("Example Root") && !shown.contains("PRIVATE KEY"), "{shown}");
        assert_eq!(on(data, &["ikev2", "show", "--json"]).json()["enabled"], true);

        let profile = on(data, &["account", "ikev2-profile", "peer_1"]).out();
        assert!(profile.starts_with("{\n\t\"uuid\"") && profile.ends_with("}\n"), "{profile}");
        let script = on(data, &["account", "ikev2-profile", "peer_1", "--format", "powershell"]).out();
        assert!(script.contains("Add-VpnConnection"), "{script}");

        on(data, &["ikev2", "settings", "rekey=yes", "type=drop"]).out();
        let settings = on(data, &["ikev2", "settings", "--json"]).json();
        assert_eq!((&settings["rekey"], &settings["type"]), (&"yes".into(), &"drop".into()));
        let unknown = on(data, &["ikev2", "settings", "speed=high"]).sentence(2);
        assert!(unknown.contains("there is no setting `speed`"), "{unknown}");
        on(data, &["ikev2", "settings", "--reset"]).out();
        assert_eq!(on(data, &["ikev2", "settings", "--json"]).json()["rekey"], "no");
        on(data, &["ikev2", "online"]).out();
        on(data, &["ikev2", "drop", "peer_1"]).out();
        on(data, &["ikev2", "delete-server"]).out();
        on(data, &["ikev2", "delete-ca"]).out();
    });
}

#[test]
fn makes_lists_and_withdraws_one_time_links() {
    online_and_offline(|data| {
        let url = on(data, &["account", "link", "peer_1"]).out();
        let (host, key) = url.trim_end().split_once("/otl/").unwrap();
        assert!(host.starts_with("https://") && host.len() > 8, "{url}");
        assert!(key.len() == 80 && key.chars().all(|c| c.is_ascii_hexdigit()), "{url}");

        let listed = on(data, &["link", "list"]).out();
        assert!(listed.contains("peer_1") && !listed.contains(key), "{listed}");
        let olts = on(data, &["link", "list", "--json"]).json();
        assert_eq!(olts["olts"][key]["account"], "peer_1");

        assert_eq!(on(data, &["link", "withdraw", "peer_1"]).out(), "Withdrew the one-time links to `peer_1`\n");
        assert_eq!(on(data, &["link", "list", "--json"]).json()["olts"], serde_json::json!({}));
        assert_eq!(on(data, &["account", "link", "nobody"]).sentence(1), "Account not found");
    });
}
