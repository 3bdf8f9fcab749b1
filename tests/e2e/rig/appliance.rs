//! Culvert itself, run as nobody: with an empty capability set, or with `CAP_NET_ADMIN` alone where it is to have a TUN.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::Value;

use super::namespace::{Namespace, finish};
use super::peer::Peer;
use super::program::Program;
use super::world::{SERVER, World};
use super::{PATIENCE, until};

/// The user and group that own nothing.
const NOBODY: u32 = 65_534;
/// Where its API listens.
const LISTEN: &str = "127.0.0.1:8098";
/// How many add accounts at a time.
const CLIENTS: usize = 8;

/// How packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uplink {
    /// By ordinary sockets: no capability at all.
    Sockets,
    /// By a TUN and our own NAT: `CAP_NET_ADMIN`, and a `/dev/net/tun` that nobody may open.
    Tun,
}

/// An appliance with its data folder. It runs between [`Appliance::serve`] and [`Appliance::stop`].
pub struct Appliance<'a> {
    host: &'a Namespace,
    // before the folder, so that what it said can be shown when it is dropped
    program: Option<Program>,
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    hash: String,
    uplink: Uplink,
}

impl<'a> Appliance<'a> {
    /// Starts one in the server's host with an empty data folder, and takes an access hash for it.
    pub fn start(world: &'a World) -> Self {
        Self::start_with(world, &[])
    }

    /// Starts one with settings beyond the defaults, as variables of the environment.
    pub fn start_with(world: &'a World, settings: &[(&'static str, &str)]) -> Self {
        Self::prepare(world, settings).started()
    }

    /// Starts one on this uplink, with settings beyond the defaults.
    pub fn start_on(world: &'a World, uplink: Uplink, settings: &[(&'static str, &str)]) -> Self {
        let mut appliance = Self::prepare(world, settings);
        appliance.uplink = uplink;
        let name = match uplink {
            Uplink::Sockets => "sockets",
            Uplink::Tun => "tun",
        };
        appliance.settings.push(("CULVERT_UPLINK", name.to_owned()));
        if uplink == Uplink::Tun {
            let tun = appliance.tun();
            let device = makedev(10, 200);
            mknod(&tun, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), device).unwrap();
            // whatever the umask says
            fs::set_permissions(&tun, fs::Permissions::from_mode(0o666)).unwrap();
        }
        appliance.started()
    }

    /// Starts what was prepared, and takes an access hash for it.
    pub fn started(mut self) -> Self {
        self.serve();
        self.cli("access add e2e --ip 127.0.0.1").trim().clone_into(&mut self.hash);
        self
    }

    /// Lays out a data folder and the program where nobody may read them, and starts nothing.
    pub fn prepare(world: &'a World, settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("culvert-e2e-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let built = std::env::var_os("CULVERT_E2E_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_culvert").into());
        fs::copy(built, folder.path().join("culvert")).unwrap();
        let data = folder.path().join("state");
        fs::create_dir(&data).unwrap();
        chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut all = vec![("CULVERT_EXTERNAL_IP", SERVER.to_owned())];
        all.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Self { host: &world.server, folder, settings: all, program: None, hash: String::new(), uplink: Uplink::Sockets }
    }

    /// The data folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A TUN device that everyone may open, as on most hosts.
    fn tun(&self) -> PathBuf {
        self.folder.path().join("tun")
    }

    /// The program with these words after `--data DIR`, as nobody, with no capability or the one that its uplink needs,
    /// and no way to more.
    fn command(&self, words: &[&str]) -> Command {
        let (mut command, capabilities) = match self.uplink {
            Uplink::Sockets => (self.host.command("setpriv"), "-all"),
            Uplink::Tun => {
                // `ip netns exec` has made a mount namespace of its own, so the host's device stays as it is
                let mut command = self.host.command("sh");
                command.args(["-c", "mount --bind \"$0\" /dev/net/tun && exec setpriv \"$@\""]).arg(self.tun());
                (command, "-all,+net_admin,+net_raw")
            }
        };
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--pdeathsig=KILL"]);
        for set in ["bounding-set", "inh-caps", "ambient-caps"] {
            command.arg(format!("--{set}={capabilities}"));
        }
        command.arg(self.folder.path().join("culvert")).arg("--data").arg(self.state()).args(words);
        command.current_dir(self.folder.path()).env_clear().envs(self.settings.iter().map(|(key, value)| (key, value)));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("RUST_BACKTRACE", "1");
        command
    }

    /// Starts it and waits until its API answers.
    pub fn serve(&mut self) {
        self.spawn();
        until(PATIENCE, "an answer of the API", || {
            let program = self.program.as_mut().unwrap();
            assert!(program.ended().is_none(), "it ended:\n{}", program.said());
            self.host.enter(|| std::net::TcpStream::connect(LISTEN)).ok()
        });
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&mut self) {
        let log = self.folder.path().join("log");
        let mut command = self.command(&["serve", "--listen", LISTEN]);
        self.program = Some(Program::start("culvert serve", &mut command, &log));
    }

    /// The running process.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().unwrap()
    }

    /// Asks it to stop; returns how long that took.
    pub fn stop(&mut self) -> Duration {
        let mut program = self.program.take().unwrap();
        let begun = Instant::now();
        program.signal(Signal::SIGTERM);
        let status = program.wait(PATIENCE);
        assert!(status.success(), "it ended with {status} after SIGTERM");
        begun.elapsed()
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        self.program.take().unwrap().kill();
    }

    /// Runs a command of the CLI, and returns what it printed.
    pub fn cli(&self, words: &str) -> String {
        finish(&mut self.command(&words.split_whitespace().collect::<Vec<_>>()))
    }

    /// An HTTPS request of `curl` to the API, with the access hash; `form` is the body.
    pub fn request(&self, method: &str, path: &str, form: &str) -> Command {
        let mut command = self.host.command("curl");
        command.args(["--silent", "--show-error", "--insecure", "--max-time", "20", "--request", method]);
        command.args(["--cookie", &format!("access_hash={}", self.hash)]);
        if !form.is_empty() {
            command.args(["--data", form]);
        }
        command.arg(format!("https://{LISTEN}/api/v1/{path}"));
        command
    }

    /// Calls the API and returns the whole envelope.
    pub fn call(&self, method: &str, path: &str, form: &str) -> Value {
        let text = finish(&mut self.request(method, path, form));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
    }

    /// Calls the API and returns `msg` of an answer that is a success.
    pub fn api(&self, method: &str, path: &str, form: &str) -> Value {
        let mut envelope = self.call(method, path, form);
        assert_eq!(envelope["status"], "success", "{method} {path} {form}: {envelope}");
        envelope["msg"].take()
    }

    /// A `curl` that adds an account for each form over one connection, and prints an answer a line.
    pub fn requests(&self, forms: &[String]) -> Command {
        let file = self.folder.path().join(format!("curl-{}", forms[0]));
        let cookie = format!("access_hash={}", self.hash);
        let requests = forms.iter().map(|form| {
            format!(
                "silent\ninsecure\ncookie = \"{cookie}\"\ndata = \"{form}\"\nwrite-out = \"\\n\"\nurl = \"https://{LISTEN}/api/v1/account\"\n"
            )
        });
        fs::write(&file, requests.collect::<Vec<_>>().join("next\n")).unwrap();
        let mut command = self.host.command("curl");
        command.arg("--config").arg(file);
        command
    }

    /// Adds an account for each form, over several connections at a time, and returns how many there are for it.
    pub fn add_accounts(&self, forms: &[String]) -> usize {
        let commands = forms.chunks(forms.len().div_ceil(CLIENTS)).map(|some| self.requests(some));
        let clients = commands.map(|mut command| std::thread::spawn(move || finish(&mut command)));
        let answers = clients.collect::<Vec<_>>().into_iter().map(|client| client.join().unwrap());
        answers.map(|answers| answers.matches("success").count()).sum()
    }

    /// What the API says of an account that is online.
    pub fn online(&self, account: &str) -> Option<Value> {
        let online = self.api("GET", "wireguard/online", "");
        online.as_array().unwrap().iter().find(|online| online["name"] == account).cloned()
    }

    /// The client file of an account.
    pub fn client_file(&self, account: &str) -> String {
        self.cli(&format!("account config {account}"))
    }

    /// Connects a client as an account that exists.
    pub fn peer(&self, world: &World, account: &str) -> Peer {
        let peer = Peer::connect(world.place(), &self.client_file(account));
        peer.until_online(PATIENCE);
        peer
    }

    /// Adds an account to the first server and connects a client as it.
    pub fn add_peer(&self, world: &World, account: &str) -> Peer {
        self.api("POST", "account", &format!("wg_name=Default_1&name={account}"));
        self.peer(world, account)
    }
}
