//! Port 53 of one server's own addresses at one worker: questions out of packets, answers into packets.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::Dns;
use super::streams::Streams;
use crate::domain::server::Server;
use crate::engine::dns::{Asker, Outcome};
use crate::engine::packet::Owner;
use crate::engine::wire::udp::{self, Udp};
use crate::engine::wire::{Ip, protocol};

/// Memory for answers that wait for the room's way down, in bytes: more than one turn's questions get.
const ANSWERS: usize = 1 << 20;
/// How far an answer's packet may travel.
const TTL: u8 = 64;

/// Port 53 of one server.
#[derive(Debug)]
pub(in crate::runtime) struct Service {
    slot: u16,
    /// Packets for clients, side by side.
    packets: Vec<u8>,
    places: Vec<(Owner, Range<usize>)>,
    streams: Streams,
    /// Answers for which there was no room.
    lost: u64,
}

impl Service {
    /// Nobody has asked yet.
    pub(in crate::runtime) fn new(slot: usize, server: &Server) -> Self {
        let slot = u16::try_from(slot).unwrap_or(u16::MAX);
        Self { slot, packets: Vec::new(), places: Vec::new(), streams: Streams::new(slot, server), lost: 0 }
    }

    /// The server has changed.
    pub(in crate::runtime) fn apply(&mut self, server: &Server, now: Instant) {
        self.streams.apply(server, now);
    }

    /// Forgets an account.
    pub(in crate::runtime) fn drop_owner(&mut self, owner: Owner) {
        self.places.retain(|(of, _)| *of != owner);
        self.streams.drop_owner(owner);
    }

    /// Takes a client's packet for port 53.
    pub(in crate::runtime) fn handle_packet(&mut self, dns: &mut Dns, owner: Owner, packet: &[u8], now: Instant) {
        let Ok(ip) = Ip::new(packet) else { return };
        match ip.transport().protocol {
            protocol::UDP => self.handle_datagram(dns, owner, &ip, now),
            protocol::TCP => self.streams.handle_packet(owner, packet, now),
            _ => {}
        }
    }

    fn handle_datagram(&mut self, dns: &mut Dns, owner: Owner, ip: &Ip<&[u8]>, now: Instant) {
        let Ok(datagram) = Udp::new(ip.payload()) else { return };
        let asker = Asker {
            server: self.slot,
            owner,
            from: SocketAddr::new(ip.source(), datagram.source_port()),
            to: SocketAddr::new(ip.destination(), datagram.destination_port()),
            stream: None,
        };
        let mut memory = std::mem::take(&mut dns.memory);
        memory.clear();
        if dns.machine.handle_question(asker, datagram.payload(), &mut memory, now) == Outcome::Answered {
            self.push(asker, &memory);
        }
        dns.memory = memory;
    }

    /// Gives an answer to somebody who has waited.
    pub(in crate::runtime) fn give(&mut self, asker: Asker, message: &[u8]) {
        match asker.stream {
            Some(stream) => self.streams.give(stream, message),
            None => self.push(asker, message),
        }
    }

    fn push(&mut self, asker: Asker, message: &[u8]) {
        let at = self.packets.len();
        if at + udp::headers_len(asker.to) + message.len() > ANSWERS {
            self.lost += 1;
            return;
        }
        self.packets.resize(at + udp::headers_len(asker.to) + message.len(), 0);
        match udp::write_packet(&mut self.packets[at..], asker.to, asker.from, TTL, message) {
            Some(length) => self.places.push((asker.owner, at..at + length)),
            None => self.packets.truncate(at),
        }
    }

    /// Does what there is to do; `down` gets the packets for clients.
    pub(in crate::runtime) fn turn(&mut self, dns: &mut Dns, now: Instant, down: &mut dyn FnMut(Owner, &mut [u8])) {
        for (owner, range) in self.places.drain(..) {
            down(owner, &mut self.packets[range]);
        }
        self.packets.clear();
        self.streams.turn(dns, now, down);
    }

    /// When [`Self::turn`] wants to be called though nothing came; a time in the past means at once.
    pub(in crate::runtime) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        if !self.places.is_empty() {
            return Some(now);
        }
        self.streams.poll_deadline(now)
    }
}
