//! A client: real `WireGuard` behind a NAT of somebody else's, and its own idea of how old its session is, for the
//! library reads the clock of the OS.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519;
use culvert::engine::fragments::gather::Fragments;
use culvert::engine::packet::Owner;
use culvert::engine::wire::Ip;

use crate::model::{key_of, server_key, server_of};

/// When whoever has something to send begins a new session (paper, section 6.1).
const REKEY_AFTER: Duration = Duration::from_secs(120);
/// How long one waits for an answer to an initiation.
pub(crate) const RETRY: Duration = Duration::from_secs(5);

/// How often one asks before one gives up (90 s in the paper; a few times here, for each costs real cryptography).
const TRIES: u8 = 4;

/// What is in a datagram to the box.
#[derive(Debug, Clone)]
pub(crate) enum Inside {
    /// A message of a handshake, or a keepalive.
    Control,
    /// A packet.
    Packet(Vec<u8>),
}

/// A datagram to the box.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) bytes: Vec<u8>,
    pub(crate) inside: Inside,
}

/// A client.
pub(crate) struct Client {
    /// Where its datagrams seem to come from.
    pub(crate) outside: SocketAddr,
    /// Whether nothing comes from it or to it.
    pub(crate) is_gone: bool,
    /// How often it has moved.
    moves: u16,
    number: usize,
    tunn: Tunn,
    session: Option<Instant>,
    asked: Option<Instant>,
    /// How often it has asked since it last had an answer.
    tries: u8,
    pending: Vec<Vec<u8>>,
    gather: Fragments,
    /// How many ports it has used.
    pub(crate) ports: u16,
    memory: Vec<u8>,
}

impl Client {
    /// A client that has not spoken yet.
    pub(crate) fn new(number: usize) -> Self {
        let (secret, server) =
            (key_of(number).secret(), x25519::PublicKey::from(*server_key(server_of(number)).as_bytes()));
        // of its own, for by default the library allows ten handshakes in a second of the OS
        let limiter = Arc::new(RateLimiter::new(&x25519::PublicKey::from(&secret), u64::MAX));
        let index = u32::try_from(number).unwrap();
        Self {
            outside: outside(number, 0),
            is_gone: false,
            moves: 0,
            number,
            tunn: Tunn::new(secret, server, None, None, index, Some(limiter)),
            session: None,
            asked: None,
            tries: 0,
            pending: Vec::new(),
            gather: Fragments::new(1, Duration::from_secs(2)),
            ports: 0,
            memory: vec![0; 4_096],
        }
    }

    /// Its datagrams seem to come from elsewhere from now on.
    pub(crate) fn roam(&mut self) {
        self.moves += 1;
        self.outside = outside(self.number, self.moves);
    }

    /// Begins a session, whatever there is.
    pub(crate) fn connect(&mut self, now: Instant) -> Letter {
        self.asked = Some(now);
        self.tries += 1;
        self.session = None;
        let TunnResult::WriteToNetwork(bytes) = self.tunn.format_handshake_initiation(&mut self.memory, true) else {
            panic!("no initiation")
        };
        Letter { bytes: bytes.to_vec(), inside: Inside::Control }
    }

    /// Whether it has asked for a session, waits for longer than one does, and has not given up.
    pub(crate) fn wants_again(&mut self, now: Instant) -> bool {
        let wants = self.session.is_none() && self.asked.is_some_and(|at| now - at >= RETRY);
        if wants && self.tries >= TRIES {
            self.pending.clear();
            self.tries = 0;
            return false;
        }
        wants
    }

    /// Sends packets, or keeps them until there is a session.
    pub(crate) fn send(&mut self, packets: Vec<Vec<u8>>, now: Instant) -> Vec<Letter> {
        if self.session.is_some_and(|at| now - at < REKEY_AFTER) {
            return packets.into_iter().map(|packet| self.seal(packet)).collect();
        }
        self.pending.extend(packets);
        let is_waiting = self.session.is_none() && self.asked.is_some_and(|at| now - at < RETRY);
        if is_waiting { Vec::new() } else { vec![self.connect(now)] }
    }

    fn seal(&mut self, packet: Vec<u8>) -> Letter {
        match self.tunn.encapsulate(&packet, &mut self.memory) {
            TunnResult::WriteToNetwork(bytes) if bytes[0] == 4 => {
                Letter { bytes: bytes.to_vec(), inside: Inside::Packet(packet) }
            }
            outcome => panic!("{outcome:?}"),
        }
    }

    /// Takes a message of a handshake; what it says to that.
    pub(crate) fn hear(&mut self, datagram: &[u8], now: Instant) -> Vec<Letter> {
        let is_response = datagram[0] == 2;
        let TunnResult::WriteToNetwork(answer) = self.tunn.decapsulate(None, datagram, &mut self.memory) else {
            return Vec::new();
        };
        let mut letters = vec![Letter { bytes: answer.to_vec(), inside: Inside::Control }];
        if is_response {
            letters.extend(self.begin(now));
        }
        letters
    }

    fn begin(&mut self, now: Instant) -> Vec<Letter> {
        self.session = Some(now);
        self.tries = 0;
        std::mem::take(&mut self.pending).into_iter().map(|packet| self.seal(packet)).collect()
    }

    /// Opens a datagram that the box has just sealed: the packet in it, `None` for a keepalive, and an error where the
    /// keys are those of nobody.
    pub(crate) fn open(&mut self, datagram: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self.tunn.decapsulate(None, datagram, &mut self.memory) {
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                Ok(Some(packet.to_vec()))
            }
            TunnResult::Done => Ok(None),
            outcome => Err(format!("{outcome:?}")),
        }
    }

    /// Puts fragments together that arrive.
    pub(crate) fn gather(&mut self, packet: Vec<u8>, now: Instant) -> Option<Vec<u8>> {
        let is_piece = Ip::new(&packet[..]).unwrap().transport().fragment;
        if is_piece { self.gather.handle(Owner(0), &packet, now) } else { Some(packet) }
    }
}

/// Where a client's datagrams come from after so many moves.
fn outside(client: usize, moves: u16) -> SocketAddr {
    let number = u8::try_from(client).unwrap();
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 10 + number), 40_000 + moves))
}

/// The client whose datagrams come, or came, from here.
pub(crate) fn client_at(outside: SocketAddr) -> Option<usize> {
    match outside {
        SocketAddr::V4(address) => Some(usize::from(address.ip().octets()[3].checked_sub(10)?)),
        SocketAddr::V6(_) => None,
    }
}
