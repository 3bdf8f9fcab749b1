//! The API of the running process with 10,000 accounts of 100 servers: a whole list, an account more, and many more at once.
//!
//! `accounts CULVERT [ROWS]`: as `process`, whose parts it uses.

#[path = "../process/api.rs"]
mod api;
#[path = "../process/fill.rs"]
mod fill;
#[path = "../process/probe.rs"]
mod probe;
#[path = "../report.rs"]
mod report;
#[path = "../process/served.rs"]
mod served;

use std::error::Error;
use std::time::{Duration, Instant};

use culvert::runtime::os::clock;

use api::Api;
use fill::Filled;
use report::{Report, median};
use served::{Served, pause};

const SERVERS: usize = 100;
const ACCOUNTS: usize = 10_000;
const ACCOUNT: &str = "/api/v1/account";
/// Lists that are asked for in turn.
const LISTS: usize = 20;
/// Accounts that one client adds in turn, and edits.
const ADDS: usize = 200;
/// Clients that add at once, and for how long.
const CLIENTS: usize = 16;
const SUSTAINED: Duration = Duration::from_secs(10);
/// How long the process gets to come to rest after its start.
const REST: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some(culvert) = args.first() else { return Err("usage: accounts CULVERT [ROWS]".into()) };
    let mut report = Report::open("accounts", args.get(1).map(String::as_str))?;
    let dir = tempfile::tempdir()?;
    let filled = fill::fill(dir.path(), SERVERS, ACCOUNTS)?;
    let served = Served::start(culvert, dir.path())?;
    served.wait_until_ready(&filled)?;
    pause(REST);

    let mut lists = lists(&filled)?;
    let most = lists.iter().copied().fold(0.0, f64::max);
    let text = format!("median {:.1} ms, at most {most:.1} ms", median(&mut lists));
    report.row("`account_list`", &text, most, &(f64::NEG_INFINITY..=60.0), "≤ 60 ms")?;

    let mut adds = adds(&filled)?;
    let most = adds.iter().copied().fold(0.0, f64::max);
    let middle = median(&mut adds);
    let text = format!("median {middle:.1} ms, at most {most:.1} ms");
    report.row("`account_add`, one client", &text, middle, &(f64::NEG_INFINITY..=20.0), "≤ 20 ms median")?;

    let mut edits = edits(&filled)?;
    let most = edits.iter().copied().fold(0.0, f64::max);
    report.note("`account_edit`, one client", &format!("median {:.1} ms, at most {most:.1} ms", median(&mut edits)))?;

    let before = served.cpu()?;
    let (rate, mut times) = sustained(&filled)?;
    let busy = served.cpu()?.saturating_sub(before).as_secs_f64() / SUSTAINED.as_secs_f64();
    let text = format!("{rate:.0} a second, median {:.1} ms, {busy:.2} cores busy", median(&mut times));
    let figure = format!("`account_add`, {CLIENTS} clients for {} s", SUSTAINED.as_secs());
    report.row(&figure, &text, rate, &(500.0..=f64::INFINITY), "≥ 500 a second")?;

    let resident = served.resident()? / 1_048_576.0;
    report.note("resident memory after all of them", &format!("{resident:.1} MiB"))?;
    served.stop()
}

/// How long whole lists took, in milliseconds.
fn lists(filled: &Filled) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut api = Api::connect(&filled.access_hash)?;
    (0..LISTS).map(|_| timed(|| api.get(ACCOUNT))).collect()
}

/// How long accounts took that were added in turn, in milliseconds.
fn adds(filled: &Filled) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut api = Api::connect(&filled.access_hash)?;
    (0..ADDS).map(|number| timed(|| api.send("POST", ACCOUNT, &form(number)))).collect()
}

/// How long edits of one account took, in milliseconds.
fn edits(filled: &Filled) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut api = Api::connect(&filled.access_hash)?;
    let path = format!("{ACCOUNT}/{}", filled.account);
    (0..ADDS).map(|number| timed(|| api.send("PUT", &path, &format!("b_download={}", 1 + number)))).collect()
}

/// How many accounts several clients add a second, and how long each took, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn sustained(filled: &Filled) -> Result<(f64, Vec<f64>), Box<dyn Error>> {
    let apis: Result<Vec<Api>, _> = (0..CLIENTS).map(|_| Api::connect(&filled.access_hash)).collect();
    let began = clock::now();
    let end = began + SUSTAINED;
    let added = std::thread::scope(|scope| {
        let clients =
            apis?.into_iter().enumerate().map(|(client, api)| scope.spawn(move || add_until(api, client, end)));
        // all are started before the first is waited for
        let clients: Vec<_> = clients.collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client failed")??);
        }
        Ok::<_, Box<dyn Error>>(all)
    })?;
    let seconds = clock::now().saturating_duration_since(began).as_secs_f64();
    Ok((added.len() as f64 / seconds, added))
}

fn add_until(mut api: Api, client: usize, end: Instant) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    while clock::now() < end {
        let form = form(client + times.len() * CLIENTS);
        times.push(timed(|| api.send("POST", ACCOUNT, &form)).map_err(|error| error.to_string())?);
    }
    Ok(times)
}

fn form(number: usize) -> String {
    format!("wg_name={}", fill::server(number % SERVERS))
}

fn timed(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let began = clock::now();
    work()?;
    Ok(clock::now().saturating_duration_since(began).as_secs_f64() * 1e3)
}
