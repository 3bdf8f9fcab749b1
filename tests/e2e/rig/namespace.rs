//! A network namespace, which stands for a host.

use std::fs::{self, File};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

/// What the name of every namespace of ours begins with; the process's id follows.
const PREFIX: &str = "culvert-e2e-";

/// A network namespace with a name; removed when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes an empty one with a loopback interface that is up.
    pub fn new(role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}-{role}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `ip` in it.
    pub fn ip(&self, arguments: &str) -> String {
        let words: Vec<&str> = ["-n", &self.name].into_iter().chain(arguments.split_whitespace()).collect();
        run("ip", &words)
    }

    /// Sets a kernel setting in it.
    pub fn sysctl(&self, key: &str, value: &str) {
        let file = format!("/proc/sys/{key}");
        self.enter(|| fs::write(&file, value)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// A program that will run in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Does something in it. Sockets that are made stay in it, wherever they are used.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.join();
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into it.
    fn join(&self) {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// Lays a cable between two of them.
    pub fn cable(here: &Self, inner: &str, there: &Self, outer: &str) {
        here.ip(&format!("link add {inner} type veth peer name {outer} netns {}", there.name));
        here.ip(&format!("link set {inner} up"));
        there.ip(&format!("link set {outer} up"));
    }

    /// Gives an interface of it an address, at once usable.
    pub fn address(&self, interface: &str, address: &str) {
        let wait = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("addr add {address} dev {interface} {wait}"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).stderr(Stdio::null()).status();
    }
}

/// Removes what a killed run of this test left behind.
pub fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true)) {
            let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        }
    }
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// Where it fails, with what it said.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    finish(&mut command)
}

/// Runs a prepared program to its end and returns what it printed.
///
/// # Panics
/// Where it fails, with what it said.
pub fn finish(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
