//! The views and writers against an independent implementation, `etherparse`.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpHeaders, IpNumber, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::icmp::{self, Complaint, Echo, Icmp};
use super::tcp::{self, Tcp};
use super::udp::{self, Udp};
use super::{FlowKey, Ip, Ipv4, Ipv6, answer, protocol};

/// Two addresses of one version.
fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
    ]
}

/// Two addresses of hosts, of one version.
fn hosts() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    addresses().prop_map(|(a, b)| (host(a, 1), host(b, 2)))
}

fn host(address: IpAddr, first: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mut octets = address.octets();
            octets[0] = first;
            octets.into()
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[0] = 0x20 | first;
            octets.into()
        }
    }
}

/// The oracle's packet from one address to another, which go by one version of IP, as far as its IP header.
pub(crate) fn addressed(from: IpAddr, to: IpAddr) -> PacketBuilderStep<IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("one version"),
    }
}

fn udp_packet(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let builder = addressed(source.ip(), destination.ip()).udp(source.port(), destination.port());
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).expect("a vector takes it");
    packet
}

fn tcp_packet(source: SocketAddr, destination: SocketAddr, ack: bool, payload: &[u8]) -> Vec<u8> {
    let builder = addressed(source.ip(), destination.ip()).tcp(source.port(), destination.port(), 1_000, 1_024);
    let builder = if ack { builder.ack(77) } else { builder.syn() };
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).expect("a vector takes it");
    packet
}

/// The oracle's word on a packet: its checksums hold and nothing is left over.
fn transport(packet: &[u8]) -> TransportSlice<'_> {
    let sliced = SlicedPacket::from_ip(packet).expect("well formed");
    if let Some(NetSlice::Ipv4(v4)) = &sliced.net {
        let header = v4.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
    }
    sliced.transport.expect("a transport")
}

proptest! {
    #[test]
    fn reads_what_the_oracle_writes(
        (source, destination) in addresses(), ports in any::<(u16, u16)>(), payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (source, destination) = (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1));
        let packet = udp_packet(source, destination, &payload);

        let ip = Ip::new(&packet[..]).expect("well formed");
        let datagram = Udp::new(ip.payload()).expect("well formed");

        prop_assert_eq!(datagram.payload(), &payload[..]);
        prop_assert!(datagram.is_checksum_right(source.ip(), destination.ip()));
        let key = FlowKey::of(&ip).expect("well formed").expect("has ports");
        prop_assert_eq!(key, FlowKey { protocol: protocol::UDP, source, destination });
        prop_assert_eq!(key.reversed().reversed(), key);
    }

    #[test]
    fn writes_the_oracles_datagram(
        (source, destination) in addresses(), ports in any::<(u16, u16)>(), payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (source, destination) = (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1));
        let mut packet = [0; 512];
        let length = udp::write_packet(&mut packet, source, destination, 64, &payload).expect("fits");

        let theirs = udp_packet(source, destination, &payload);
        prop_assert_eq!(length, theirs.len());
        let TransportSlice::Udp(ours) = transport(&packet[..length]) else { panic!("not UDP") };
        let TransportSlice::Udp(theirs) = transport(&theirs) else { panic!("not UDP") };
        prop_assert_eq!(ours.slice(), theirs.slice());
    }

    #[test]
    fn resets_a_segment_as_the_rfc_asks(
        (source, destination) in hosts(), ports in any::<(u16, u16)>(), ack in any::<bool>(), payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let segment = tcp_packet(SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1), ack, &payload);
        let ip = Ip::new(&segment[..]).expect("well formed");
        prop_assert!(Tcp::new(ip.payload()).expect("well formed").is_checksum_right(source, destination));
        let mut packet = [0; 512];
        let length = answer::write(&mut packet, &ip).expect("an answer");

        let reply = Ip::new(&packet[..length]).expect("well formed");
        prop_assert_eq!((reply.source(), reply.destination()), (destination, source));
        let TransportSlice::Tcp(reset) = transport(&packet[..length]) else { panic!("not TCP") };
        prop_assert!(reset.rst());
        prop_assert_eq!((reset.source_port(), reset.destination_port()), (ports.1, ports.0));
        if ack {
            prop_assert_eq!((reset.sequence_number(), reset.ack()), (77, false));
        } else {
            let expected = 1_000 + u32::try_from(payload.len()).expect("small") + 1;
            prop_assert_eq!((reset.acknowledgment_number(), reset.ack()), (expected, true));
        }
        prop_assert!(Tcp::new(reply.payload()).expect("well formed").is_checksum_right(destination, source));
        prop_assert_eq!(tcp::write_reset(&mut [0; 64], &Tcp::new(reply.payload()).expect("well formed"), destination, source), None);
    }

    #[test]
    fn answers_a_ping_with_its_load(
        (source, destination) in hosts(), names in any::<(u16, u16)>(), load in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut ping = [0; 512];
        let at = icmp::headers_len(source);
        ping[at..at + load.len()].copy_from_slice(&load);
        let length = icmp::seal_echo(&mut ping, Echo::Request, (source, destination), names, load.len()).expect("fits");
        let mut packet = [0; 512];
        let replied = answer::write(&mut packet, &Ip::new(&ping[..length]).expect("well formed")).expect("an answer");

        prop_assert_eq!(replied, length);
        match transport(&packet[..replied]) {
            TransportSlice::Icmpv4(reply) => {
                prop_assert!(reply.header().icmp_type.calc_checksum(reply.payload()) == reply.checksum());
                prop_assert_eq!(reply.payload(), &load[..]);
            }
            TransportSlice::Icmpv6(reply) => {
                let (IpAddr::V6(source), IpAddr::V6(destination)) = (destination, source) else { panic!("not IPv6") };
                prop_assert!(reply.is_checksum_valid(source.octets(), destination.octets()));
                prop_assert_eq!(reply.payload(), &load[..]);
            }
            TransportSlice::Udp(_) | TransportSlice::Tcp(_) | TransportSlice::Igmp(_) => panic!("not ICMP"),
        }
        // a broken ping, and the answer itself, are not answered
        ping[length - 1] ^= 1;
        prop_assert_eq!(answer::write(&mut [0; 512], &Ip::new(&ping[..length]).expect("well formed")), None);
        prop_assert_eq!(answer::write(&mut [0; 512], &Ip::new(&packet[..replied]).expect("well formed")), None);
    }

    #[test]
    fn complains_with_a_quotation_and_never_about_a_complaint(
        (source, destination) in hosts(), payload in proptest::collection::vec(any::<u8>(), 0..1_400),
        complaint in prop_oneof![
            Just(Complaint::NoRoute), Just(Complaint::HostUnreachable), Just(Complaint::PortUnreachable),
            Just(Complaint::Prohibited), Just(Complaint::TooBig(1_280)), Just(Complaint::TimeExceeded),
        ],
    ) {
        let about = udp_packet(SocketAddr::new(source, 1), SocketAddr::new(destination, 2), &payload);
        let mut packet = [0; 1_500];
        let from = host(destination, 3);
        let length = icmp::write_error(&mut packet, complaint, from, &Ip::new(&about[..]).expect("well formed"))
            .expect("may be told");

        let error = Ip::new(&packet[..length]).expect("well formed");
        let message = Icmp::new(error.transport().protocol, error.payload()).expect("well formed");
        prop_assert!(message.is_checksum_right(from, source));
        prop_assert!(about.starts_with(message.payload()));
        let limit = if source.is_ipv4() { 576 } else { 1_280 };
        prop_assert!(length <= limit);
        prop_assert!(matches!(transport(&packet[..length]), TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_)));
        prop_assert_eq!(icmp::write_error(&mut [0; 1_500], complaint, source, &error), None);
    }

    #[test]
    fn never_panics_and_agrees_with_the_oracle_on_arbitrary_bytes(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200), version in prop_oneof![Just(0x45_u8), Just(0x60), Just(0x4f), any::<u8>()],
        length in any::<bool>(),
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        // half of the cases get a length that holds, so that they come past the door
        if length && bytes.len() > 40 {
            let total = u16::try_from(bytes.len()).expect("small").to_be_bytes();
            let at = if version >> 4 == 4 { 2 } else { 4 };
            bytes[at..at + 2].copy_from_slice(&total);
            if at == 4 {
                bytes[5] -= 40;
            }
        }
        let ours = Ip::new(&bytes[..]);
        let mut buffer = [0; 1_500];
        if let Ok(ip) = &ours {
            let _ = FlowKey::of(ip);
            let _ = answer::write(&mut buffer, ip);
            let _ = icmp::write_error(&mut buffer, Complaint::NoRoute, ip.destination(), ip);
        }
        let theirs = etherparse::Ipv4Slice::from_slice(&bytes);
        if theirs.is_ok() {
            prop_assert!(Ipv4::new(&bytes[..]).is_ok());
        }
        if let (Ok(ours), Ok(theirs)) = (Ipv6::new(&bytes[..]), etherparse::Ipv6Slice::from_slice(&bytes)) {
            prop_assert_eq!(ours.source(), theirs.header().source_addr());
            let upper = ours.upper();
            if let Ok(upper) = upper && theirs.payload().ip_number != IpNumber(51) && upper.fragment_offset == 0 {
                prop_assert_eq!(IpNumber(upper.protocol), theirs.payload().ip_number);
            }
        }
    }
}
