//! The running process with 0, 1,000 and 10,000 idle accounts: memory, idle processor time, start, one edit.
//!
//! `process CULVERT [ROWS]`: the first argument is the release binary. It listens on this network namespace's loopback and
//! on the servers' WireGuard ports, so `tests/bench/run` gives it a namespace of its own.

mod api;
mod fill;
mod probe;
#[path = "../report.rs"]
mod report;
mod served;

use std::error::Error;
use std::time::Duration;

use culvert::runtime::os::clock;

use fill::Filled;
use report::{FREE, Report, median};
use served::{Served, pause};

/// How long the idle process is watched.
const IDLE: Duration = Duration::from_secs(10);
/// How long it gets to come to rest after its start.
const REST: Duration = Duration::from_secs(2);
/// Edits among the accounts.
const EDITS: usize = 20;
const MIB: f64 = 1_048_576.0;

/// What one process showed.
struct Shown {
    ready: Duration,
    api: Duration,
    resident: f64,
    idle: Duration,
    edits: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some(culvert) = args.first() else { return Err("usage: process CULVERT [ROWS]".into()) };
    let mut report = Report::open("process", args.get(1).map(String::as_str))?;
    let mut empty = 0.0;
    for accounts in [0, 1_000, 10_000] {
        let mut shown = observe(culvert, accounts)?;
        if accounts == 0 {
            empty = shown.resident;
        }
        put(&mut report, accounts, &mut shown, empty)?;
    }
    Ok(())
}

fn observe(culvert: &str, accounts: usize) -> Result<Shown, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let filled = fill::fill(dir.path(), 1, accounts)?;
    let served = Served::start(culvert, dir.path())?;
    let (api, ready) = served.wait_until_ready(&filled)?;
    pause(REST);
    let resident = served.resident()?;
    let before = served.cpu()?;
    pause(IDLE);
    let idle = served.cpu()?.saturating_sub(before);
    let edits = edits(&filled)?;
    served.stop()?;
    Ok(Shown { ready, api, resident, idle, edits })
}

fn edits(filled: &Filled) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut api = api::Api::connect(&filled.access_hash)?;
    let path = format!("/api/v1/account/{}", filled.account);
    let edit = |at: usize| {
        let began = clock::now();
        api.send("PUT", &path, &format!("b_download={}", at + 1))?;
        Ok(clock::now().saturating_duration_since(began).as_secs_f64() * 1e3)
    };
    (0..EDITS).map(edit).collect()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn put(report: &mut Report, accounts: usize, shown: &mut Shown, empty: f64) -> std::io::Result<()> {
    let of = format!("{accounts} idle accounts");
    // the bars speak of 10,000; the others show how it grows
    let bar = |most: f64| if accounts == 10_000 { f64::NEG_INFINITY..=most } else { FREE };
    let wanted = |text: &'static str| if accounts == 10_000 { text } else { "" };
    let above = (shown.resident - empty) / MIB;
    let memory = format!("{:.1} MiB, {above:.1} above an empty one", shown.resident / MIB);
    report.row(&format!("resident memory, {of}"), &memory, above, &bar(20.0), wanted("≤ 20 MiB above an empty one"))?;
    if accounts > 0 {
        let each = above * 1024.0 / accounts as f64;
        report.note(&format!("resident memory an account, {of}"), &format!("{each:.2} KiB"))?;
    }
    // one clock tick in ten seconds is the least that `ps` would show
    let idle = shown.idle.as_secs_f64() * 1e3;
    let text = format!("{idle:.2} ms");
    report.row(&format!("processor time in 10 idle seconds, {of}"), &text, idle, &bar(10.0), wanted("0 (< 10 ms)"))?;
    let (ready, api) = (shown.ready.as_secs_f64(), shown.api.as_secs_f64());
    let text = format!("{ready:.2} s (API alone {api:.2} s)");
    report.row(&format!("start until API and WireGuard answer, {of}"), &text, ready, &bar(1.0), wanted("≤ 1 s"))?;
    let most = shown.edits.iter().copied().fold(0.0, f64::max);
    let middle = median(&mut shown.edits);
    let text = format!("median {middle:.1} ms, at most {most:.1} ms");
    report.row(&format!("one edit over the API until live, {of}"), &text, most, &bar(50.0), wanted("≤ 50 ms"))
}
