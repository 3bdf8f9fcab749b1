//! A WireGuard client that batches everywhere, for the bench alone: a TUN with segmentation offload, datagrams by GSO
//! and GRO. Its own core is the load's core, so the less it costs the less it hides what the server costs.
//!
//! `bench-client IFACE FILE`: reads a wg-quick file, makes the TUN, shakes hands, and carries packets until it is killed.
//! Addresses and routes are the caller's work.

mod conf;
mod tunnel;

use std::error::Error;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use conf::Conf;
use culvert::runtime::os::clock;
use tunnel::Tunnel;

const UDP: Token = Token(0);
const TUN: Token = Token(1);
/// How often boringtun's timers are looked at: one peer, so polling is cheap.
const TICK: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(interface), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: bench-client IFACE FILE".into());
    };
    let mut tunnel = Tunnel::open(&interface, &Conf::read(&file)?)?;
    let mut poll = Poll::new()?;
    let both = [(UDP, tunnel.udp_fd()), (TUN, tunnel.tun_fd())];
    for (token, fd) in both {
        poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)?;
    }
    tunnel.shake_hands()?;
    let mut events = Events::with_capacity(4);
    let mut next_tick = clock::now() + TICK;
    loop {
        poll.poll(&mut events, Some(next_tick.saturating_duration_since(clock::now())))?;
        // edge-triggered: both doors are emptied before the next sleep
        while tunnel.carry_down()? | tunnel.carry_up()? {}
        if clock::now() >= next_tick {
            tunnel.tick()?;
            next_tick = clock::now() + TICK;
        }
    }
}
