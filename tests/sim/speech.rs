//! What hosts outside and clients say to one another: scripts that hold to their protocols, chosen by port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use culvert::engine::wire::icmp::Complaint;
use culvert::engine::wire::{FlowKey, protocol};

use crate::packets::{Flags, Kind, Said, Seen, Tag, complain, write};

/// UDP that is answered with its echo, under two names.
pub(crate) const ECHO: [u16; 2] = [7, 53];
/// UDP that is not answered.
pub(crate) const SILENT: u16 = 9;
/// UDP where nobody listens.
pub(crate) const CLOSED: u16 = 33_434;
/// TCP that answers what it is told.
pub(crate) const WEB: u16 = 80;
/// TCP that refuses.
pub(crate) const REFUSING: u16 = 81;
/// TCP that does not answer.
pub(crate) const DEAF: u16 = 82;
/// TCP that breaks off when it is told something.
pub(crate) const BREAKING: u16 = 83;
/// How many hosts there are outside.
pub(crate) const HOSTS: usize = 3;

const SYN: Flags = Flags { syn: true, ack: false, fin: false, rst: false };
const ACK: Flags = Flags { syn: false, ack: true, fin: false, rst: false };
const RST: Flags = Flags { syn: false, ack: true, fin: false, rst: true };
const FIN: Flags = Flags { syn: false, ack: true, fin: true, rst: false };

/// A host's address.
pub(crate) fn host(number: usize, is_v6: bool) -> IpAddr {
    let last = u8::try_from(number).unwrap() + 1;
    if is_v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, last.into()).into()
    } else {
        Ipv4Addr::new(198, 51, 100, last).into()
    }
}

/// The host that has an address.
pub(crate) fn host_at(address: IpAddr) -> Option<usize> {
    (0..HOSTS).find(|number| [false, true].iter().any(|is_v6| host(*number, *is_v6) == address))
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Client(usize),
    /// Somebody outside.
    Host,
}

/// One packet as it was said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) talk: usize,
    pub(crate) by: Speaker,
    /// Whether it answers another word.
    pub(crate) is_reply: bool,
}

/// What belongs together: somebody calls, somebody answers.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    /// The client who called; `None` where it was somebody outside.
    pub(crate) caller: Option<usize>,
    /// The key of the caller's packets as they leave him.
    pub(crate) key: FlowKey,
    /// The key with which they came from outside, where they did.
    pub(crate) arrived: Option<FlowKey>,
    /// The name that the caller has outside, once a packet has left.
    pub(crate) external: Option<SocketAddr>,
    /// When the caller's last packet has left, and in which state of the rules.
    pub(crate) left: Option<(Instant, usize)>,
    /// In which state of the rules the callee last got something.
    pub(crate) came: Option<usize>,
    /// Whether somebody has ended it.
    pub(crate) is_over: bool,
    /// The caller's next sequence number.
    pub(crate) next: u32,
    /// What he expects.
    pub(crate) expected: u32,
    /// The caller's last packet as it was heard outside.
    pub(crate) heard: Option<Vec<u8>>,
    /// What became of its packets, in short.
    pub(crate) log: Vec<String>,
}

impl Talk {
    /// A talk of which nothing has been said.
    pub(crate) fn new(caller: Option<usize>, key: FlowKey) -> Self {
        Self {
            caller,
            key,
            arrived: None,
            external: None,
            left: None,
            came: None,
            is_over: false,
            next: 1_000,
            expected: 0,
            heard: None,
            log: Vec::new(),
        }
    }

    /// What the caller says first, or once more; `load` is how many bytes.
    pub(crate) fn say(&mut self, load: usize) -> Said {
        match self.key.protocol {
            protocol::UDP => Said::Udp(load),
            protocol::TCP if self.expected == 0 => Said::Tcp(SYN, self.next, 0, 0),
            protocol::TCP => {
                let said = Said::Tcp(ACK, self.next, self.expected, load);
                self.next += u32::try_from(load).unwrap();
                said
            }
            _ => Said::Ping(load),
        }
    }

    /// What the caller says to end it, politely or not.
    pub(crate) fn end(&mut self, is_polite: bool) -> Option<Said> {
        let is_open = self.key.protocol == protocol::TCP && self.expected != 0;
        self.is_over |= is_open;
        let said = Said::Tcp(if is_polite { FIN } else { RST }, self.next, self.expected, 0);
        is_open.then_some(said)
    }

    /// How the caller goes on when he hears this.
    pub(crate) fn go_on(&mut self, heard: &Seen) -> Option<Said> {
        let Kind::Tcp(flags, sequence, _, load) = heard.kind else { return None };
        self.is_over |= flags.rst || flags.fin;
        if flags.syn && flags.ack && self.expected == 0 {
            self.expected = sequence + 1;
            self.next += 1;
            return Some(self.say(100));
        }
        if !flags.rst {
            self.expected = self.expected.max(sequence + u32::try_from(load).unwrap() + u32::from(flags.fin));
        }
        None
    }
}

/// What whoever is called says to a word of the caller's.
pub(crate) fn answer(heard: &Seen, packet: &[u8], tag: Tag) -> Option<Vec<u8>> {
    let (own, to) = (heard.to, heard.source);
    let said = match heard.kind {
        Kind::Udp if own.port() == SILENT => return None,
        Kind::Udp if own.port() == CLOSED => return complain(own.ip(), Complaint::PortUnreachable, packet),
        Kind::Udp => Said::Udp(heard.length - if to.is_ipv4() { 28 } else { 48 }),
        Kind::Ping => Said::Pong(heard.length - if to.is_ipv4() { 28 } else { 48 }),
        Kind::Tcp(flags, sequence, acknowledged, load) => {
            let load = u32::try_from(load).unwrap();
            let next = sequence + load + u32::from(flags.syn) + u32::from(flags.fin);
            match own.port() {
                DEAF => return None,
                _ if flags.rst => return None,
                REFUSING => Said::Tcp(RST, 0, next, 0),
                _ if flags.syn => Said::Tcp(Flags { ack: true, ..SYN }, 5_000, next, 0),
                BREAKING if load > 0 => Said::Tcp(RST, acknowledged, next, 0),
                _ if flags.fin => Said::Tcp(FIN, acknowledged, next, 0),
                _ if load > 0 => Said::Tcp(ACK, acknowledged, next, usize::try_from(load).unwrap()),
                _ => return None,
            }
        }
        Kind::Pong | Kind::Error(_) | Kind::Piece(_) | Kind::Other => return None,
    };
    Some(write(own, to, said, tag))
}
