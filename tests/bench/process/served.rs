//! A `culvert serve` of the bench's own.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use culvert::runtime::os::clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::api::{self, Api};
use crate::fill::Filled;
use crate::probe;

/// How long it may take to start before the bench gives up.
const START_BOUND: Duration = Duration::from_secs(60);
/// Between two questions whether it is there.
const PAUSE: Duration = Duration::from_millis(2);

/// The process; killed when dropped.
pub(crate) struct Served {
    child: Child,
    began: Instant,
}

impl Served {
    /// Starts it.
    ///
    /// # Errors
    /// Where the binary does not run.
    #[expect(clippy::disallowed_methods, reason = "the bench watches the program from outside")]
    pub(crate) fn start(culvert: &str, data: &Path) -> Result<Self, Box<dyn Error>> {
        let listen = format!("127.0.0.1:{}", api::PORT);
        let began = clock::now();
        let child = Command::new(culvert)
            .arg("--data")
            .arg(data)
            .args(["serve", "--listen", &listen, "--log", "warn", "--uplink", "sockets"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| format!("{culvert}: {e}"))?;
        Ok(Self { child, began })
    }

    /// Waits until the API answers and the WireGuard port answers a handshake; says when the first did, and when both did.
    ///
    /// # Errors
    /// Where they do not within a minute.
    pub(crate) fn wait_until_ready(&self, filled: &Filled) -> Result<(Duration, Duration), Box<dyn Error>> {
        std::thread::scope(|scope| {
            let shaken = scope.spawn(|| self.until(|| probe::shake_hands(filled).unwrap_or(false)));
            let api = self.until(|| {
                Api::connect(&filled.access_hash).and_then(|mut api| api.get("/api/v1/system/status")).is_ok()
            });
            let shaken = shaken.join().map_err(|_| "the probe failed")?;
            match (api, shaken) {
                (Some(api), Some(shaken)) => Ok((api, api.max(shaken))),
                (None, _) => Err("the API does not answer".into()),
                (_, None) => Err("no handshake is answered".into()),
            }
        })
    }

    fn until(&self, mut there: impl FnMut() -> bool) -> Option<Duration> {
        loop {
            let is_there = there();
            let passed = clock::now().saturating_duration_since(self.began);
            if is_there || passed >= START_BOUND {
                return is_there.then_some(passed);
            }
            pause(PAUSE);
        }
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// Where the process has gone.
    pub(crate) fn resident(&self) -> Result<f64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kib * 1024.0)
    }

    /// Processor time of all threads, to the nanosecond.
    ///
    /// # Errors
    /// Where the process has gone, or the kernel does not count.
    pub(crate) fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            sum += text.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(sum))
    }

    /// Ends it as systemd would, and waits.
    ///
    /// # Errors
    /// Where it has ended before.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "how long nothing happens is what is measured")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

impl Drop for Served {
    fn drop(&mut self) {
        // one that has ended already is what was wished for
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
