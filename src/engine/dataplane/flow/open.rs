//! How a flow begins: what is asked for, what may ask, and which key its answers will have.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::super::nat::ports::Ports;
use super::super::verdict::DropReason;
use super::limits::{MODEST, Share};
use super::mapping::{Inner, Mappings};
use super::{FlowLimits, Way};
use crate::engine::packet::Owner;
use crate::engine::wire::icmp::{Icmp, Kind};
use crate::engine::wire::tcp::Tcp;
use crate::engine::wire::{FlowKey, Ip, protocol};

/// What becomes of the addresses of a flow's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translation {
    /// Nothing.
    None,
    /// The source becomes this external address, with the port that the inner address and port has there already, or
    /// else a new one.
    Source(IpAddr),
    /// The source becomes this external address and port: one that is forwarded to the inner address and port, so that
    /// both ways have the same name outside.
    SourceForwarded(SocketAddr),
    /// The destination becomes this inner address and port.
    Destination(SocketAddr),
}

/// A flow that has been judged and may begin.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// The client by which it exists.
    pub owner: Owner,
    /// Between whom it is.
    pub way: Way,
    /// The key of its first packet, as it arrived.
    pub key: FlowKey,
    /// Of which edition of the rules the judgement is.
    pub epoch: u64,
    /// The rule that admits it, if it is one.
    pub rule: Option<u32>,
    /// What becomes of its addresses.
    pub translation: Translation,
}

/// Whether a packet that belongs to no flow may begin one: not a reset, and of pings only the question.
pub fn may_open<T: AsRef<[u8]>>(packet: &Ip<T>) -> bool {
    let transport = packet.transport();
    match transport.protocol {
        protocol::TCP => Tcp::new(packet.payload()).is_ok_and(|segment| !segment.is_rst()),
        protocol::UDP => true,
        protocol::ICMP | protocol::ICMPV6 => {
            Icmp::new(transport.protocol, packet.payload()).is_ok_and(|icmp| icmp.kind() == Kind::Echo)
        }
        _ => false,
    }
}

/// The key of a flow's answers, and the mapping that it shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers {
    pub(super) key: FlowKey,
    pub(super) mapping: Option<u32>,
}

impl Opening {
    /// Finds out what the answers will look like; takes a port where that needs one.
    pub(super) fn answers(
        &self,
        mappings: &mut Mappings,
        share: &mut Share,
        limits: &FlowLimits,
        ports: &mut Ports,
        now: Instant,
    ) -> Result<Answers, DropReason> {
        let key = &self.key;
        match self.translation {
            Translation::None => Ok(Answers { key: key.reversed(), mapping: None }),
            Translation::SourceForwarded(external) => Ok(Answers { key: answers_to(key, external), mapping: None }),
            Translation::Source(external) => {
                let inner = Inner { owner: self.owner, protocol: key.protocol, address: key.source };
                let mapping = match mappings.of(&inner, external) {
                    Some(mapping) => mapping,
                    None if share.mappings >= limits.mappings_of_owner => return Err(DropReason::MappingsOfOwnerFull),
                    None => {
                        let mapping = mappings.make(inner, external, share.mappings < MODEST, ports, now)?;
                        share.mappings += 1;
                        mapping
                    }
                };
                let (_, external) = mappings.sides(mapping).ok_or(DropReason::PortsExhausted)?;
                Ok(Answers { key: answers_to(key, external), mapping: Some(mapping) })
            }
            Translation::Destination(inner) => {
                let shares = |&mapping: &u32| {
                    mappings.sides(mapping).is_some_and(|(of, _)| of.owner == self.owner && of.address == inner)
                };
                let mapping = mappings.at(key.protocol, key.destination).filter(shares);
                Ok(Answers { key: answers_from(key, inner), mapping })
            }
        }
    }
}

/// The key of answers to a packet whose source has become this one. Of a ping both ports are its identifier.
fn answers_to(key: &FlowKey, external: SocketAddr) -> FlowKey {
    let mut remote = key.destination;
    if is_ping(key) {
        remote.set_port(external.port());
    }
    FlowKey { protocol: key.protocol, source: remote, destination: external }
}

/// The key of answers to a packet whose destination has become this one.
fn answers_from(key: &FlowKey, inner: SocketAddr) -> FlowKey {
    let mut remote = key.source;
    if is_ping(key) {
        remote.set_port(inner.port());
    }
    FlowKey { protocol: key.protocol, source: inner, destination: remote }
}

const fn is_ping(key: &FlowKey) -> bool {
    matches!(key.protocol, protocol::ICMP | protocol::ICMPV6)
}
