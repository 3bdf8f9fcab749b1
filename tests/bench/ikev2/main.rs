//! Logins by IKEv2 at the running process: how many a second, what each costs the server, and what a connected client
//! keeps resident.
//!
//! `ikev2 CULVERT [ROWS]`: the first argument is the release binary. It listens on this network namespace's loopback, on the
//! ports of IKE too, so `tests/bench/run` gives it a namespace of its own. Clients share the cores with it.

#[path = "../process/api.rs"]
mod api;
#[path = "../process/fill.rs"]
#[expect(dead_code, reason = "no account is edited here")]
mod fill;
#[path = "../client/login.rs"]
#[expect(dead_code, reason = "a login is kept, and nothing is sent by it")]
mod login;
#[path = "../process/probe.rs"]
mod probe;
#[path = "../report.rs"]
#[expect(dead_code, reason = "every figure here has its bar")]
mod report;
#[path = "../process/served.rs"]
mod served;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use culvert::engine;
use culvert::runtime::os::clock;

use api::Api;
use login::{Age, Login, Visitor};
use report::{Bar, FREE, Report};
use served::{Served, pause};

/// Who connects.
const CLIENTS: usize = 1_000;
/// How many of them log in at the same time.
const AT_ONCE: usize = 8;
/// How long the process gets to come to rest, before and after.
const REST: Duration = Duration::from_secs(2);
/// Those that connect before the others, so that what is made once is not counted for them.
const FIRST: usize = 8;

/// A key and a kind of client.
struct Case {
    name: &'static str,
    key: &'static str,
    age: Age,
    /// Milliseconds of processor time a login.
    cost: Bar,
    wanted: &'static str,
}

/// What one process showed.
struct Shown {
    elapsed: Duration,
    cpu: Duration,
    memory: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some(culvert) = args.first() else { return Err("usage: ikev2 CULVERT [ROWS]".into()) };
    let mut report = Report::open("ikev2-logins", args.get(1).map(String::as_str))?;
    let (most, wanted) = (f64::NEG_INFINITY..=5.0, "≤ 5 ms");
    let cases = [
        Case { name: "ECDSA P-256", key: "ecdsa256", age: Age::Modern, cost: FREE, wanted: "" },
        Case { name: "RSA-2048", key: "rsa2048", age: Age::Modern, cost: FREE, wanted: "" },
        Case { name: "RSA-4096", key: "rsa4096", age: Age::Modern, cost: most.clone(), wanted },
        Case { name: "RSA-4096, old client", key: "rsa4096", age: Age::Old, cost: most, wanted },
    ];
    for case in cases {
        let shown = observe(culvert, &case)?;
        put(&mut report, &case, &shown)?;
    }
    Ok(())
}

fn observe(culvert: &str, case: &Case) -> Result<Shown, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let filled = fill::fill(dir.path(), 1, FIRST + CLIENTS)?;
    let served = Served::start(culvert, dir.path())?;
    served.wait_until_ready(&filled)?;
    turn_on(&filled.access_hash, case.key)?;
    let first = log_in(1..FIRST + 1, case.age)?;
    pause(REST);
    let (memory, cpu, began) = (served.resident()?, served.cpu()?, clock::now());
    let all = log_in(FIRST + 1..FIRST + CLIENTS + 1, case.age)?;
    let elapsed = clock::now().saturating_duration_since(began);
    pause(REST);
    let cpu = served.cpu()?.saturating_sub(cpu);
    let memory = served.resident()? - memory;
    // nobody may have gone meanwhile
    drop((first, all));
    served.stop()?;
    Ok(Shown { elapsed, cpu, memory })
}

/// An authority, a certificate with a key of this kind, and the first server speaks IKEv2.
fn turn_on(access_hash: &str, key: &str) -> Result<(), Box<dyn Error>> {
    let subject = |whose: &str| {
        ["common_name", "organization", "organizational_unit", "locality", "state_or_province_name"]
            .map(|field| format!("{whose}_{field}=Bench&"))
            .concat()
    };
    let mut api = Api::connect(access_hash)?;
    let of_ca = format!("{}ca_country_name=PL&key_type={key}", subject("ca"));
    api.send("PUT", "/api/v1/ikev2/generate_ca_rsa", &of_ca)?;
    let place = "server_domain=vpn.example.test&server_ip=127.0.0.1&server_ipv6=2001:db8::1";
    let of_server = format!("{place}&{}server_country_name=PL&key_type={key}", subject("server"));
    api.send("PUT", "/api/v1/ikev2/generate_server_rsa", &of_server)?;
    api.send("PUT", &format!("/api/v1/wireguard/{}", fill::server(0)), "ikev2=1")?;
    api.send("PUT", "/api/v1/ikev2", "enabled=1")
}

/// Logs these accounts in, each from an address of its own.
fn log_in(numbers: std::ops::Range<usize>, age: Age) -> Result<Vec<Login>, Box<dyn Error>> {
    let next = AtomicUsize::new(numbers.start);
    let one_after_another = || -> Result<Vec<Login>, String> {
        let mut logins = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return Ok(logins);
            }
            let visitor = visitor(number, age).map_err(|error| error.to_string())?;
            logins.push(login::login(&visitor).map_err(|error| format!("client {number}: {error}"))?);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one_after_another)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a client failed")??);
        }
        Ok(all)
    })
}

fn visitor(number: usize, age: Age) -> Result<Visitor, Box<dyn Error>> {
    let [_, _, high, low] = u32::try_from(number)?.to_be_bytes();
    Ok(Visitor {
        server: Ipv4Addr::LOCALHOST.into(),
        from: IpAddr::from([127, 1, high, low]),
        // as many as there are clients, for as long as the bench runs
        name: fill::username(number).leak(),
        password: fill::PASSWORD,
        esp: login::suite(if age == Age::Modern { "aes256gcm16" } else { "aes256-sha1" })?,
        age,
        seed: u64::try_from(number)?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn put(report: &mut Report, case: &Case, shown: &Shown) -> std::io::Result<()> {
    let Case { name, cost, wanted, .. } = case;
    let clients = CLIENTS as f64;
    let each = shown.cpu.as_secs_f64() * 1e3 / clients;
    report.row(
        &format!("{name}: the server's processor time a login"),
        &format!("{each:.2} ms"),
        each,
        cost,
        wanted,
    )?;
    let seconds = shown.elapsed.as_secs_f64();
    let text = format!("{seconds:.1} s, {:.0} a second", clients / seconds);
    report.row(&format!("{name}: {CLIENTS} clients connected within"), &text, seconds, &(0.0..=15.0), "≤ 15 s")?;
    let kib = shown.memory / 1024.0 / clients;
    let figure = format!("{name}: resident memory a connected client");
    report.row(&figure, &format!("{kib:.1} KiB"), kib, &(f64::NEG_INFINITY..=24.0), "≤ 24 KiB")
}
