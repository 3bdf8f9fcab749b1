//! The engine in process, on one core: packets, handshakes, flows.
//!
//! `engine [ROWS]`. Every figure is the median of many small batches, so that it does not hear what else the machine does.

mod client;
mod counting;
mod handshakes;
#[path = "../report.rs"]
mod report;
mod rig;
mod road;
mod stopwatch;

use std::error::Error;

use counting::Counting;
use report::Report;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let mut report = Report::open("engine", file.as_deref())?;
    road::measure(&mut report)?;
    handshakes::measure(&mut report)?;
    Ok(())
}
