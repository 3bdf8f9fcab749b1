//! The traffic log, as Debian's rsyslog and a store that speaks `InfluxDB`'s protocol take it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::rig::appliance::{Appliance, Uplink};
use crate::rig::http;
use crate::rig::namespace::finish;
use crate::rig::program::Program;
use crate::rig::world::{HOST, UNREACHABLE, World};
use crate::rig::{PATIENCE, on_both_uplinks, until};

on_both_uplinks! {
    rsyslog_hears_of_a_connection_and_of_its_end
    rsyslog_hears_every_byte
    nothing_is_told_while_it_is_off
    rsyslog_counts_messages_on_a_stream
    rsyslog_takes_an_encrypted_stream
    a_store_of_figures_finds_a_connection
    a_store_that_was_away_gets_what_it_missed_after_a_restart
}

/// The name in the syslog server's certificate.
const NAME: &str = "logs.example";
/// Everything about every connection.
const EVERYTHING: &str =
    "enabled=1&new=1&established=1&related=1&incoming=1&interface_in=1&interface_out=1&len=1&mark=1&tos=1";
/// How many bytes the client fetches.
const BYTES: u32 = 1_000_000;

/// Debian's rsyslog in the internet.
struct Rsyslog {
    // before the folder, so that what it said can be shown when it is dropped
    _program: Program,
    folder: tempfile::TempDir,
}

impl Rsyslog {
    /// Starts one that takes messages by this input, and writes down what it has understood of them.
    fn start(world: &World, global: &str, input: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("culvert-rsyslog-").tempdir().unwrap();
        let (config, log) = (folder.path().join("conf"), folder.path().join("messages"));
        let format = "%pri%|%timereported:::date-rfc3339%|%app-name%|%msgid%|%structured-data%|%msg%\\n";
        let text = format!(
            "global({global})\n{input}\ntemplate(name=\"parts\" type=\"string\" string=\"{format}\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"parts\")\n",
            log.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = world.internet.command("rsyslogd");
        command.args(["-n", "-i", "NONE", "-f"]).arg(&config);
        Self { _program: Program::start("rsyslogd", &mut command, &folder.path().join("said")), folder }
    }

    /// What it has written down of messages with all of these words.
    fn with(&self, words: &[&str]) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("messages")).unwrap_or_default();
        text.lines().filter(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned).collect()
    }

    fn wait_for(&self, words: &[&str]) -> String {
        until(PATIENCE, &format!("a message with {words:?}"), || self.with(words).pop())
    }
}

fn value<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split([' ', '|']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn count(message: &str, name: &str) -> u64 {
    value(message, name).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name} in {message}"))
}

fn fetch(appliance: &Appliance<'_>, world: &World) {
    let peer = appliance.peer(world, "peer_1");
    http::get(peer.connect_to(HOST, 80).unwrap(), BYTES.try_into().unwrap(), |_| {}).unwrap();
}

fn log_to_syslog(appliance: &Appliance<'_>, port: u16) {
    let form =
        format!("{EVERYTHING}&enabled_remote_syslog=1&remote_syslog_server={HOST}&remote_syslog_server_port={port}");
    appliance.api("PUT", "traffic_logging", &form);
}

fn rsyslog_hears_of_a_connection_and_of_its_end(uplink: Uplink) {
    let world = World::new();
    let input = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")";
    let rsyslog = Rsyslog::start(&world, "", input);
    let appliance = Appliance::start_on(&world, uplink, &[]);
    log_to_syslog(&appliance, 514);

    fetch(&appliance, &world);

    let to_host = format!("DST={HOST}");
    let began = rsyslog.wait_for(&["|begin|", &to_host, "DPT=80"]);
    let ended = rsyslog.wait_for(&["|end|", &to_host, "DPT=80"]);
    assert!(began.starts_with("134|") && began.contains("|culvert|begin|-|NEW out "), "{began}");
    assert!(ended.contains("|culvert|end|-|ESTABLISHED out "), "{ended}");
    for message in [&began, &ended] {
        let named = ["SERVER", "ACCOUNT", "SRC", "PROTO", "TOS"].map(|name| value(message, name).unwrap_or_default());
        assert_eq!(named, ["Default_1", "peer_1", "10.0.0.2", "TCP", "0x00"], "{message}");
        let way_out = if uplink == Uplink::Tun { "culvert0" } else { "sockets" };
        assert_eq!((value(message, "OUT"), value(message, "LEN")), (Some(way_out), Some("60")), "{message}");
        assert!(value(message, "IN").is_some_and(|name| name.starts_with("wg")), "{message}");
        let outside = value(message, "NAT").unwrap_or_default();
        assert_eq!(outside.starts_with("203.0.113.1:"), uplink == Uplink::Tun, "{message}");
    }
    // headers beside the payload, and what was sent twice
    let (down, packets) = (count(&ended, "DOWNBYTES"), count(&ended, "DOWNPACKETS"));
    assert!(down >= u64::from(BYTES) + 40 * packets && down < 2 * u64::from(BYTES), "{ended}");
    assert!(count(&ended, "UPBYTES") >= 40 * count(&ended, "UPPACKETS"), "{ended}");
    assert!(count(&ended, "SECONDS") <= 20, "{ended}");
}

fn rsyslog_hears_every_byte(uplink: Uplink) {
    let world = World::new();
    let input = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")";
    let rsyslog = Rsyslog::start(&world, "", input);
    let appliance = Appliance::start_on(&world, uplink, &[]);
    log_to_syslog(&appliance, 514);
    let peer = appliance.peer(&world, "peer_1");
    let socket = peer.socket(HOST, 7).unwrap();
    for length in [1, 100, 1_000] {
        socket.send(&vec![7; length]).unwrap();
        assert_eq!(socket.recv(&mut [0; 2_000]).unwrap(), length);
    }

    appliance.api("PUT", "account/peer_1", "status=disable");

    // 28 bytes of headers a datagram
    let from = format!("SPT={} ", socket.local_addr().unwrap().port());
    let ended = rsyslog.wait_for(&["|end|", "ESTABLISHED out", "PROTO=UDP", &from, "DPT=7 "]);
    for (name, expected) in [("UPPACKETS", 3), ("UPBYTES", 1_185), ("DOWNPACKETS", 3), ("DOWNBYTES", 1_185)] {
        assert_eq!(count(&ended, name), expected, "{ended}");
    }
}

fn nothing_is_told_while_it_is_off(uplink: Uplink) {
    let world = World::new();
    let input = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")";
    let rsyslog = Rsyslog::start(&world, "", input);
    let appliance = Appliance::start_on(&world, uplink, &[]);
    let peer = appliance.peer(&world, "peer_1");
    log_to_syslog(&appliance, 514);
    appliance.api("PUT", "traffic_logging", "enabled=0");
    assert!(peer.connect_to(UNREACHABLE, 7_776).is_err());

    appliance.api("PUT", "traffic_logging", "enabled=1");
    assert!(peer.connect_to(UNREACHABLE, 7_777).is_err());

    rsyslog.wait_for(&["|begin|", "DPT=7777"]);
    assert_eq!(rsyslog.with(&["DPT=7776"]), Vec::<String>::new());
}

fn rsyslog_counts_messages_on_a_stream(uplink: Uplink) {
    let world = World::new();
    let input = "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"601\")";
    let rsyslog = Rsyslog::start(&world, "", input);
    let mut appliance = Appliance::start_on(&world, uplink, &[("CULVERT_SYSLOG", "tcp")]);
    log_to_syslog(&appliance, 601);
    fetch(&appliance, &world);
    rsyslog.wait_for(&["|end|", "ESTABLISHED out", "DPT=80"]);

    // what is open when the process goes has an end too
    let peer = appliance.peer(&world, "peer_1");
    let open = peer.connect_to(HOST, 7).unwrap();
    rsyslog.wait_for(&["|begin|", "DPT=7 "]);
    appliance.stop();

    rsyslog.wait_for(&["|end|", "ESTABLISHED out", "DPT=7 "]);
    drop(open);
}

/// A certificate of its own with its key, in files that everybody may read.
fn certificate(folder: &Path) -> [PathBuf; 2] {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = ["chain.pem", "key.pem"].map(|name| folder.join(name));
    fs::write(&files[0], made.pem()).unwrap();
    fs::write(&files[1], key.serialize_pem()).unwrap();
    files
}

fn rsyslog_takes_an_encrypted_stream(uplink: Uplink) {
    let world = World::new();
    let folder = tempfile::Builder::new().prefix("culvert-tls-").tempdir().unwrap();
    let [chain, key] = certificate(folder.path()).map(|file| file.to_str().unwrap().to_owned());
    let global = format!(
        "DefaultNetstreamDriver=\"ossl\" DefaultNetstreamDriverCAFile=\"{chain}\" \
         DefaultNetstreamDriverCertFile=\"{chain}\" DefaultNetstreamDriverKeyFile=\"{key}\""
    );
    let input = "module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
                 input(type=\"imtcp\" port=\"6514\")";
    let rsyslog = Rsyslog::start(&world, &global, input);
    let transport = format!("tls#{NAME}");
    let settings = [("CULVERT_SYSLOG", transport.as_str()), ("SSL_CERT_FILE", chain.as_str())];
    let appliance = Appliance::start_on(&world, uplink, &settings);
    log_to_syslog(&appliance, 6_514);

    fetch(&appliance, &world);

    let ended = rsyslog.wait_for(&["|end|", "ESTABLISHED out", "DPT=80"]);
    assert!(count(&ended, "DOWNBYTES") > u64::from(BYTES), "{ended}");
}

/// A store that takes `InfluxDB`'s protocol.
struct Store<'a> {
    world: &'a World,
    _program: Program,
}

impl<'a> Store<'a> {
    fn start(world: &'a World, folder: &Path) -> Self {
        let mut command = world.internet.command("victoria-metrics");
        command.arg(format!("-storageDataPath={}", folder.join("data").display()));
        command.arg(format!("-httpListenAddr={HOST}:8086"));
        let program = Program::start("victoria-metrics", &mut command, &folder.join("said"));
        let store = Self { world, _program: program };
        until(PATIENCE, "an answer of the store", || (store.ask("health") == "OK").then_some(()));
        store
    }

    fn ask(&self, path: &str) -> String {
        let mut command = self.world.internet.command("curl");
        command.args(["--silent", "--max-time", "5", "--get", &format!("http://{HOST}:8086/{path}")]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The labels and values of what it knows under this name.
    fn series(&self, name: &str) -> Vec<Value> {
        let mut command = self.world.internet.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "5", "--get", "--data-urlencode"]);
        command.arg(format!("match[]={name}")).arg(format!("http://{HOST}:8086/api/v1/export"));
        finish(&mut command).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until it knows a value of at least so much.
    fn wait_for(&self, name: &str, at_least: f64) -> Value {
        until(PATIENCE, &format!("{name} of {at_least}"), || {
            let of_that =
                |series: &Value| series["values"].as_array().unwrap().iter().any(|it| it.as_f64() >= Some(at_least));
            self.series(name).into_iter().find(of_that)
        })
    }
}

fn log_to_the_store(appliance: &Appliance<'_>) {
    let form = format!(
        "{EVERYTHING}&enabled_influxdb=1&influxdb_url=http://{HOST}:8086&influxdb_token=t0ken&influxdb_bucket=logs\
         &influxdb_organization=PUQ sp. z o.o."
    );
    appliance.api("PUT", "traffic_logging", &form);
}

fn a_store_of_figures_finds_a_connection(uplink: Uplink) {
    let world = World::new();
    let folder = tempfile::Builder::new().prefix("culvert-store-").tempdir().unwrap();
    let store = Store::start(&world, folder.path());
    let appliance = Appliance::start_on(&world, uplink, &[]);
    log_to_the_store(&appliance);

    fetch(&appliance, &world);

    let found = store.wait_for("culvert_traffic_bytes_down{event=\"end\",account=\"peer_1\"}", BYTES.into());
    let labels = &found["metric"];
    let told = ["server", "state", "direction", "protocol"].map(|label| labels[label].as_str().unwrap_or_default());
    assert_eq!(told, ["Default_1", "ESTABLISHED", "out", "TCP"], "{labels}");
    let port = store.wait_for("culvert_traffic_destination_port{event=\"begin\",account=\"peer_1\"}", 80.0);
    assert_eq!(port["metric"]["state"], "NEW", "{port}");
}

fn a_store_that_was_away_gets_what_it_missed_after_a_restart(uplink: Uplink) {
    let world = World::new();
    let folder = tempfile::Builder::new().prefix("culvert-store-").tempdir().unwrap();
    let mut appliance = Appliance::start_on(&world, uplink, &[]);
    log_to_the_store(&appliance);
    fetch(&appliance, &world);
    let spool = appliance.state().join("traffic-log");
    until(PATIENCE, "a batch on disk", || spool.read_dir().ok()?.next().map(drop));
    appliance.stop();
    let store = Store::start(&world, folder.path());

    appliance.serve();

    store.wait_for("culvert_traffic_bytes_down{event=\"end\",account=\"peer_1\"}", BYTES.into());
    until(PATIENCE, "an empty folder", || spool.read_dir().unwrap().next().is_none().then_some(()));
}
