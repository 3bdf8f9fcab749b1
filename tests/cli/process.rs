//! The binary as a process: started, waited for by its own word, stopped, and what it said.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it; far above what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the binary in an environment with nothing in it, not even HOME.
pub(crate) fn culvert(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_culvert"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    // a test leaves the network of its machine alone
    command.env("CULVERT_UPLINK", "sockets");
    command
}

/// A command on a data folder, to its end.
pub(crate) fn on(data: &Path, arguments: &[&str]) -> Said {
    let data = data.to_str().unwrap();
    Said::from(culvert(&[&["--data", data], arguments].concat()).output().unwrap())
}

/// How a command ended.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// What went to standard output, of a command that worked.
    #[track_caller]
    pub(crate) fn out(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// That output as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.out()).unwrap()
    }

    /// The one sentence on standard error, of a command that ended with this code and said nothing else.
    #[track_caller]
    pub(crate) fn sentence(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err.trim_end().strip_prefix("culvert: ").expect("a sentence of ours").to_owned()
    }
}

/// `culvert serve`, ready.
pub(crate) struct Running {
    child: Child,
    said: Receiver<String>,
    manager: UnixDatagram,
    folder: TempDir,
}

impl Running {
    /// Starts it on a data folder and a free port, and returns once it says that it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = culvert(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
        Self::spawn(command.stdout(Stdio::piped()))
    }

    /// Starts a command of `serve`, and returns once it says that it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notify = folder.path().join("notify");
        let manager = UnixDatagram::bind(&notify).unwrap();
        manager.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut child = command.env("NOTIFY_SOCKET", &notify).stderr(log).spawn().unwrap();
        let (say, said) = sync_channel(1);
        let out = child.stdout.take();
        // ends with the process: that is when its standard output does
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut out) = out {
                out.read_to_string(&mut text).unwrap();
            }
            let _ = say.send(text);
        });
        let mut running = Self { child, said, manager, folder };
        running.await_word("READY=1");
        running
    }

    /// Waits until the service manager is told this.
    pub(crate) fn await_word(&mut self, word: &str) {
        let since = Instant::now();
        let mut bytes = [0; 1024];
        while since.elapsed() < PATIENCE {
            if let Ok(length) = self.manager.recv(&mut bytes)
                && String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == word)
            {
                return;
            }
            assert_eq!(self.child.try_wait().unwrap(), None, "ended before `{word}`: {}", self.log());
        }
        panic!("never said `{word}`: {}", self.log());
    }

    /// Its process.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Its standard error so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The API's port, as the log line of its start has it.
    pub(crate) fn port(&self) -> u16 {
        let log = self.log();
        let listen = log.split("listen=127.0.0.1:").nth(1).expect("a line that says where it listens");
        listen.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sends a signal and waits for the end: how long that took, the exit code, standard output.
    pub(crate) fn stop(mut self, signal: Signal) -> (Duration, Option<i32>, String) {
        let since = Instant::now();
        // it may have ended on an earlier signal, and stays ours to wait for
        let _ = kill(self.id(), signal);
        let out = self.said.recv_timeout(PATIENCE).expect("an end");
        let code = self.child.wait().unwrap().code();
        (since.elapsed(), code, out)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
