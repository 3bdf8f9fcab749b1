//! Load for the bench of the fast road: datagrams at a rate, and TCP streams that are counted in an exact window.
//!
//! ```text
//! bench-load udp source bind|connect ADDRESS LENGTH RATE SECONDS   prints: datagrams sent, seconds
//! bench-load udp sink   bind|connect ADDRESS                     prints: datagrams received
//! bench-load tcp source bind|connect ADDRESS STREAMS             writes until the sink goes away
//! bench-load tcp sink   bind|connect ADDRESS STREAMS FROM FOR TAIL
//!                                                                prints: seconds, then the bytes of each stream
//! ```
//!
//! One end binds and waits for the other, which connects: through a NAT only the client can begin. The window of a TCP
//! sink begins FROM seconds after every stream has bytes and lasts FOR seconds; the load goes on for TAIL seconds more.

mod tcp;
mod udp;

use std::error::Error;
use std::net::SocketAddr;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use culvert::runtime::os::clock;

/// Which end begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Waits at the address.
    Bind,
    /// Goes to the address.
    Connect,
}

/// How long one end waits for the other to be there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let [protocol, role, side, address, rest @ ..] = &words[..] else {
        return Err("usage: bench-load udp|tcp source|sink bind|connect ADDRESS …".into());
    };
    let address: SocketAddr = address.parse()?;
    let side = match *side {
        "bind" => Side::Bind,
        "connect" => Side::Connect,
        other => return Err(format!("bind or connect, not {other}").into()),
    };
    match (*protocol, *role, rest) {
        ("udp", "source", [length, rate, seconds]) => {
            udp::source(side, address, number(length)?, number(rate)?, Duration::from_secs_f64(number(seconds)?))?;
        }
        ("udp", "sink", []) => udp::sink(side, address)?,
        ("tcp", "source", [streams]) => tcp::source(side, address, number(streams)?)?,
        ("tcp", "sink", [streams, from, span, tail]) => {
            let [from, span, tail] = [from, span, tail].map(|text| number(text).map(Duration::from_secs_f64));
            tcp::sink(side, address, number(streams)?, [from?, span?, tail?])?;
        }
        _ => return Err("arguments that do not fit; see the head of tests/bench/load/main.rs".into()),
    }
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// Lets the time pass until `deadline`; the core belongs to others meanwhile.
pub(crate) fn wait_until(deadline: Instant) {
    loop {
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}
