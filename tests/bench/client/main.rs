//! A client that batches everywhere, for the bench alone: a TUN with segmentation offload, datagrams by GSO and GRO. Its
//! own core is the load's core, so the less it costs the less it hides what the server costs.
//!
//! ```text
//! bench-client IFACE FILE                                   WireGuard, by a wg-quick file
//! bench-client IFACE ikev2 SERVER NAME PASSWORD PROPOSAL    IKEv2 and ESP, as in `aes256gcm16`; prints its inner address
//! ```
//!
//! Makes the TUN, shakes hands or logs in, and carries packets until it is killed. Addresses and routes are the caller's
//! work.

mod conf;
mod link;
#[expect(dead_code, reason = "old clients only log in, which is another bench")]
mod login;
mod tunnel;

use std::error::Error;
use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use boringtun::noise::Tunn;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use conf::Conf;
use culvert::engine;
use culvert::runtime::os::clock;
use link::Link;
use login::{Age, Visitor};
use tunnel::Tunnel;

const UDP: Token = Token(0);
const TUN: Token = Token(1);
/// How often boringtun's timers are looked at: one peer, so polling is cheap.
const TICK: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut tunnel = match &words[..] {
        [interface, file] => by_wireguard(interface, file)?,
        [interface, "ikev2", server, name, password, proposal] => {
            by_ikev2(interface, server, [name, password], proposal)?
        }
        _ => return Err("arguments that do not fit; see the head of tests/bench/client/main.rs".into()),
    };
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

fn by_wireguard(interface: &str, file: &str) -> Result<Tunnel, Box<dyn Error>> {
    let conf = Conf::read(file)?;
    let noise = Tunn::new(conf.private.clone(), conf.public, None, Some(25), 1, None);
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(Tunnel::open(interface, udp, conf.endpoint, Link::WireGuard(Box::new(noise)))?)
}

fn by_ikev2(interface: &str, server: &str, login: [&str; 2], proposal: &str) -> Result<Tunnel, Box<dyn Error>> {
    // the process has one login, which lasts as long as it does
    let [name, password] = login.map(|text| &*Box::leak(text.to_owned().into_boxed_str()));
    let visitor = Visitor {
        server: server.parse()?,
        from: Ipv4Addr::UNSPECIFIED.into(),
        name,
        password,
        esp: login::suite(proposal)?,
        age: Age::Modern,
        seed: u64::from_ne_bytes(culvert::runtime::os::entropy::bytes()),
    };
    let login = login::login(&visitor)?;
    writeln!(std::io::stdout(), "{}", login.address)?;
    Ok(Tunnel::open(interface, login.socket, login.server, Link::Esp(Box::new((login.inbound, login.outbound))))?)
}
