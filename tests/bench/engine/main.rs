//! The engine in process: packets, handshakes, flows on one core; with `--workers`, two workers on two.
//!
//! `engine [ROWS] [--workers]`. Every figure is the median of many small batches, so that it does not hear what else the machine does.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up ends where it notices")]

mod client;
mod counting;
mod handshakes;
mod many;
mod names;
mod outside;
#[path = "../report.rs"]
mod report;
mod rig;
mod road;
mod rules;
mod shaped;
mod stopwatch;
mod stream;
mod whole;
mod workers;

use std::error::Error;

use counting::Counting;
use report::Report;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let mut report = Report::open("engine", file.as_deref())?;
    if std::env::args().any(|arg| arg == "--workers") {
        workers::measure(&mut report)?;
        return Ok(());
    }
    let memory = many::Memory::measure()?;
    road::measure(&mut report)?;
    whole::measure(&mut report)?;
    rules::measure(&mut report)?;
    shaped::measure(&mut report)?;
    handshakes::measure(&mut report)?;
    names::measure(&mut report)?;
    many::measure(&mut report)?;
    memory.put(&mut report)?;
    Ok(())
}
