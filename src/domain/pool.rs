//! What is still free: the next address, mark, number of a name and number of a server.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::field;
use super::intended::{Intended, IntendedServer};
use super::limits;
use super::name::{InterfaceName, ServerName};
use super::port_forward;
use super::server::Server;

/// The lowest number from `first` that is not among `taken`.
pub(super) fn lowest_free(taken: impl Iterator<Item = u32>, first: u32) -> u32 {
    let offsets: Vec<u32> = taken.filter_map(|number| number.checked_sub(first)).collect();
    // so many numbers cannot fill more places than they are, so the answer is one of these
    let mut is_taken = vec![false; offsets.len() + 1];
    for offset in offsets {
        if let Some(place) = is_taken.get_mut(offset as usize) {
            *place = true;
        }
    }
    let free = is_taken.iter().position(|taken| !taken).and_then(|offset| u32::try_from(offset).ok());
    first.saturating_add(free.unwrap_or(u32::MAX))
}

/// The number that `name` carries behind `stem`, in the one way in which it would be written.
pub(super) fn number_behind(stem: &str, name: &str) -> Option<u32> {
    name.strip_prefix(stem).filter(|digits| !digits.starts_with('0')).and_then(field::number)
}

/// Whether a client of the network of `net` can have `address`: within it, and neither its name nor its broadcast.
pub(super) fn is_usable(net: Ipv4Net, address: Ipv4Addr) -> bool {
    net.contains(&address) && address != net.network() && address != net.broadcast()
}

/// Whether a client of the network of `net` can have `address`: within it, and not the routers' anycast address (RFC
/// 4291, section 2.6.1).
pub(super) fn is_usable_v6(net: Ipv6Net, address: Ipv6Addr) -> bool {
    net.contains(&address) && address != net.network()
}

/// The lowest address that a server can still give.
pub(super) fn next_address(server: &IntendedServer) -> Option<Ipv4Addr> {
    let own = server.server.address;
    let network = own.network().to_bits();
    let taken = server.accounts.values().map(|account| account.address).chain([own.addr()]);
    let place = lowest_free(taken.map(|address| address.to_bits() - network), 1);
    network.checked_add(place).map(Ipv4Addr::from_bits).filter(|address| is_usable(own, *address))
}

/// The addresses that a server can still give, lowest first, at most [`limits::AVAILABLE_IPS_MAX`] of them.
pub fn available(server: &IntendedServer) -> Vec<Ipv4Addr> {
    let own = server.server.address;
    let taken: BTreeSet<Ipv4Addr> = server.accounts.values().map(|account| account.address).collect();
    let free = own.hosts().filter(|address| *address != own.addr() && !taken.contains(address));
    free.take(limits::AVAILABLE_IPS_MAX).collect()
}

/// The IPv6 address that goes with `beside`: the same place in the network where that is free, else the lowest free one.
pub(super) fn next_address_v6(server: &IntendedServer, beside: Ipv4Addr) -> Option<Ipv6Addr> {
    let own = server.server.address_ipv6;
    let network = own.network().to_bits();
    let taken = || server.accounts.values().filter_map(|account| account.address_ipv6).chain([own.addr()]);
    let place = beside.to_bits() & server.server.address.hostmask().to_bits();
    let same = Ipv6Addr::from_bits(network | u128::from(place));
    if is_usable_v6(own, same) && taken().all(|address| address != same) {
        return Some(same);
    }
    let places = taken().filter_map(|address| u32::try_from(address.to_bits() - network).ok());
    let lowest = network.checked_add(u128::from(lowest_free(places, 1))).map(Ipv6Addr::from_bits);
    lowest.filter(|address| is_usable_v6(own, *address))
}

/// What a new server needs chosen by number; the fields that the draft gives are `false`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// A name, `Default_N`.
    pub(super) name: bool,
    /// An interface, `wgN`.
    pub(super) interface: bool,
    /// A network, `10.0.(N-1).1/24`.
    pub(super) address: bool,
    /// A port, 51820 + N.
    pub(super) port: bool,
}

/// The lowest number of which everything that is wanted is free.
pub(super) fn server_number(among: &Intended, wanted: Wanted) -> Option<u16> {
    let servers: Vec<&Server> = among.servers.values().map(|server| server.server.as_ref()).collect();
    let free = |number: &u16| {
        let address = default_address(*number);
        servers.iter().all(|server| {
            !(wanted.interface && server.interface == InterfaceName::numbered((*number).into())
                || wanted.port && server.listen_port == limits::LISTEN_PORT_FIRST + number
                || wanted.address && overlaps(server.address, address))
        }) && !(wanted.port && port_forward::is_udp_forwarded(among, limits::LISTEN_PORT_FIRST + number))
            && !(wanted.name && among.servers.contains_key(default_name(*number).as_str()))
    };
    (1..=u16::MAX - limits::LISTEN_PORT_FIRST).find(free)
}

/// The name of server `number` where none is given.
pub(super) fn default_name(number: u16) -> String {
    format!("Default_{number}")
}

/// The address of server `number` where none is given.
pub(super) fn default_address(number: u16) -> Ipv4Net {
    let [high, low] = (number - 1).to_be_bytes();
    Ipv4Net::new_assert(Ipv4Addr::new(10, high, low, 1), 24)
}

/// Whether two networks share an address.
pub(super) fn overlaps(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Whether two networks share an address.
pub(super) fn overlaps_v6(one: Ipv6Net, other: Ipv6Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// A unique local network of 40 random bits (RFC 4193, section 3.2), and in its first /64 the address that ends in 1.
pub(super) fn unique_local(random: [u8; 5]) -> Ipv6Net {
    let mut address = [0; 16];
    address[0] = 0xfd;
    address[1..6].copy_from_slice(&random);
    address[15] = 1;
    Ipv6Net::new_assert(Ipv6Addr::from(address), 64)
}

/// Whether another server than `own` has a network that overlaps one of these.
pub(super) fn is_taken(among: &Intended, own: Option<&ServerName>, net: Ipv4Net, net_v6: Ipv6Net) -> bool {
    among
        .servers
        .values()
        .map(|other| &other.server)
        .filter(|other| Some(&other.name) != own)
        .any(|other| overlaps(other.address, net) || overlaps_v6(other.address_ipv6, net_v6))
}

/// Whether `address` may be the own address of a server in the network of `net`.
pub(super) fn may_be_own(net: Ipv4Net) -> bool {
    (limits::PREFIX_SHORTEST..=limits::PREFIX_LONGEST).contains(&net.prefix_len())
        && is_usable(net, net.addr())
        && field::is_host(IpAddr::V4(net.addr()))
}

/// [`may_be_own`] for IPv6.
pub(super) fn may_be_own_v6(net: Ipv6Net) -> bool {
    (limits::PREFIX_SHORTEST_V6..=limits::PREFIX_LONGEST_V6).contains(&net.prefix_len())
        && is_usable_v6(net, net.addr())
        && field::is_host(IpAddr::V6(net.addr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_the_lowest_gap() {
        assert_eq!(lowest_free([].into_iter(), 100), 100);
        assert_eq!(lowest_free([100, 101, 103, 7].into_iter(), 100), 102);
        assert_eq!(lowest_free([101].into_iter(), 100), 100);
    }

    #[test]
    fn reads_only_numbers_as_it_would_write_them() {
        assert_eq!(number_behind("peer_", "peer_12"), Some(12));
        for name in ["peer_", "peer_012", "peer_1x", "user_1", "peer_+1"] {
            assert_eq!(number_behind("peer_", name), None, "{name}");
        }
    }

    #[test]
    fn numbers_the_networks_of_servers_from_10_0_0_1() {
        assert_eq!(default_address(1).to_string(), "10.0.0.1/24");
        assert_eq!(default_address(28).to_string(), "10.0.27.1/24");
        assert_eq!(default_address(257).to_string(), "10.1.0.1/24");
    }

    #[test]
    fn makes_a_unique_local_network_of_40_random_bits() {
        let net = unique_local([0x12, 0x34, 0x56, 0x78, 0x9a]);
        assert_eq!(net.to_string(), "fd12:3456:789a::1/64");
    }

    #[test]
    fn sees_that_one_network_holds_the_other() {
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        assert!(overlaps(net("10.0.0.1/24"), net("10.0.0.129/25")));
        assert!(overlaps(net("10.0.0.129/25"), net("10.0.0.1/16")));
        assert!(!overlaps(net("10.0.0.1/25"), net("10.0.0.129/25")));
    }
}
