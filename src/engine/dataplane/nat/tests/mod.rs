//! Translation of packets and ports, with `etherparse` as the judge.

mod errors;
mod mss;
mod ports;
mod rewrite;

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, TcpOptionElement};

use crate::engine::wire::oracle::addressed;
use crate::engine::wire::{FlowKey, protocol};

const ALL: [u8; 3] = [protocol::TCP, protocol::UDP, protocol::ICMP];

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// A key between these; ICMP is that of the addresses' version, with the source's port as its identifier.
fn key(protocol: u8, source: &str, destination: &str) -> FlowKey {
    let (source, mut destination) = (socket(source), socket(destination));
    let protocol = match protocol {
        protocol::ICMP if source.is_ipv6() => protocol::ICMPV6,
        protocol => protocol,
    };
    if matches!(protocol, protocol::ICMP | protocol::ICMPV6) {
        destination.set_port(source.port());
    }
    FlowKey { protocol, source, destination }
}

/// The packet that the oracle writes for a key.
fn packet_of(key: &FlowKey, payload: &[u8]) -> Vec<u8> {
    let builder = addressed(key.source.ip(), key.destination.ip());
    let (source, destination) = (key.source.port(), key.destination.port());
    let mut packet = Vec::new();
    match key.protocol {
        protocol::TCP => builder.tcp(source, destination, 1_000, 1_024).ack(77).write(&mut packet, payload),
        protocol::UDP => builder.udp(source, destination).write(&mut packet, payload),
        protocol::ICMP => builder.icmpv4_echo_request(source, 5).write(&mut packet, payload),
        _ => builder.icmpv6_echo_request(source, 5).write(&mut packet, payload),
    }
    .expect("a vector takes it");
    packet
}

/// A SYN, or with `ack` its answer, with these options.
fn syn_of(key: &FlowKey, ack: bool, options: &[TcpOptionElement]) -> Vec<u8> {
    let builder = addressed(key.source.ip(), key.destination.ip());
    let builder = builder.tcp(key.source.port(), key.destination.port(), 1_000, 1_024).syn();
    let builder = if ack { builder.ack(77) } else { builder };
    let mut packet = Vec::new();
    builder.options(options).expect("they fit").write(&mut packet, &[]).expect("a vector takes it");
    packet
}

/// Where the transport of a packet without options begins.
const fn plain_header(key: &FlowKey) -> usize {
    if key.source.is_ipv4() { 20 } else { 40 }
}

/// Puts 8 bytes between the header and the transport: options that do nothing, or an extension header of this kind.
fn stretch(packet: &mut Vec<u8>, key: &FlowKey, extension: IpNumber) {
    let at = plain_header(key);
    if key.source.is_ipv4() {
        packet.splice(at..at, [1; 8]);
        packet[0] = 0x47;
        let length = u16::try_from(packet.len()).expect("short").to_be_bytes();
        packet[2..4].copy_from_slice(&length);
        packet[10..12].fill(0);
        let sum = crate::engine::wire::checksum::of(&packet[..28]).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
    } else {
        // a Pad4 option fills it; in a routing header the same bytes are a type and stops that are left
        packet.splice(at..at, [packet[6], 0, 1, 4, 0, 0, 0, 0]);
        packet[6] = extension.0;
        let length = u16::try_from(packet.len() - 40).expect("short").to_be_bytes();
        packet[4..6].copy_from_slice(&length);
    }
}
