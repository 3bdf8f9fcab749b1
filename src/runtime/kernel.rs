//! The kernel's part of the uplink for whole packets: what it ought to steer, from what ought to run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::{IpNet, Ipv6Net};

use super::os::{addresses, door};
use super::steering::{Device, Forwarded, Reached, Steering, Wish};
use super::uplink::packets::Table;
use crate::domain::firewall::Firewall;
use crate::domain::intended::IntendedServer;
use crate::domain::limits;
use crate::domain::port_forward::Transport;
use crate::domain::server::Server;
use crate::engine::dataplane::exit::{Exit, Name};
use crate::engine::wire::protocol;

/// The device by which clients' packets leave and come back.
pub(super) const UPLINK: &str = "culvert0";
/// Its MTU: no shorter than any other interface's, for what comes from outside is forwarded into it.
const UPLINK_MTU: u32 = 65_535;

/// The kernel as the conductor sees it.
#[derive(Debug)]
pub(super) struct Kernel {
    steering: Arc<Mutex<Steering>>,
    /// The host's own addresses.
    own: Vec<IpAddr>,
    /// The address by which the host itself reaches the internet over IPv6.
    way_out_v6: Option<IpAddr>,
    way_out: Option<IpAddr>,
    /// The ports of shared addresses that the NAT maps to.
    ports: RangeInclusive<u16>,
}

impl Kernel {
    /// Looks at the host for the first time.
    pub(super) fn new(steering: Arc<Mutex<Steering>>, ports: RangeInclusive<u16>) -> Self {
        let mut kernel = Self { steering, own: Vec::new(), way_out_v6: None, way_out: None, ports };
        kernel.look_at_host();
        kernel
    }

    fn look_at_host(&mut self) {
        self.own = addresses::of_host().unwrap_or_default();
        self.way_out = door::outward_address_of(false);
        self.way_out_v6 = door::outward_address_of(true);
    }

    /// How a server's packets leave: in the name of its external address or of the host's, or in their own where NAT is
    /// off or, over IPv6, where the clients' network is not a private one (RFC 4193) and so is routed here.
    pub(super) fn exit(&self, server: &Server) -> Exit {
        let named = |address: Option<IpAddr>| address.map_or(Name::None, Name::External);
        let own_v4 = Some(server.external_ip).filter(IpAddr::is_ipv4);
        let own_v6 = Some(server.external_ip).filter(IpAddr::is_ipv6);
        let v4 = if server.disable_nat { Name::Own } else { named(own_v4.or(self.way_out)) };
        let v6 = if !server.ipv6 {
            Name::None
        } else if server.disable_nat || !is_private(server.address_ipv6) {
            Name::Own
        } else {
            named(own_v6.or(self.way_out_v6))
        };
        Exit::Packets { v4, v6 }
    }

    /// Looks at the host again; whose what comes from outside is.
    pub(super) fn look(&mut self, servers: &[(usize, &IntendedServer)], firewall: &Firewall) -> Arc<Table> {
        self.look_at_host();
        let mut table = Table::default();
        if !firewall.settings.ip_forward {
            return Arc::new(table);
        }
        for (slot, IntendedServer { server, forwards, .. }) in servers {
            let Exit::Packets { v4, v6 } = self.exit(server) else { continue };
            let networks = [(v4, IpNet::V4(server.address.trunc())), (v6, IpNet::V6(server.address_ipv6.trunc()))];
            for (name, network) in networks {
                match name {
                    Name::External(external) => {
                        table.externals.insert(external);
                        for outer in forwards.keys() {
                            let to = std::net::SocketAddr::new(external, outer.port);
                            table.doors.insert((number(outer.protocol), to), *slot);
                        }
                    }
                    Name::Own => table.networks.push((network, *slot)),
                    Name::None => {}
                }
            }
        }
        Arc::new(table)
    }

    /// Has the kernel steer so; what could not be had, for people.
    pub(super) fn conform(&mut self, servers: &[(usize, &IntendedServer)], firewall: &Firewall) -> Vec<String> {
        let wish = self.wish(servers, firewall);
        let outcome = self.steering.lock().unwrap_or_else(PoisonError::into_inner).conform(&wish);
        outcome.faults.iter().map(ToString::to_string).collect()
    }

    fn wish(&mut self, servers: &[(usize, &IntendedServer)], firewall: &Firewall) -> Wish {
        let table = self.look(servers, firewall);
        let reached = |external: &IpAddr| (*external, Reached::by(*external, &self.own));
        let device = |(_, IntendedServer { server, .. }): &(usize, &IntendedServer)| {
            let v6 = server.ipv6.then_some(IpNet::V6(server.address_ipv6));
            Device {
                name: server.interface.to_string(),
                mtu: u32::from(if server.mtu == 0 { limits::MTU_DEFAULT } else { server.mtu }),
                addresses: std::iter::once(IpNet::V4(server.address)).chain(v6).collect(),
            }
        };
        Wish {
            uplink: Some(Device { name: UPLINK.into(), mtu: UPLINK_MTU, addresses: Vec::new() }),
            forwarding: firewall.settings.ip_forward,
            externals: table.externals.iter().map(reached).collect::<BTreeMap<_, _>>(),
            forwards: forwarded(&table, &self.ports),
            ports: self.ports.clone(),
            servers: servers.iter().map(device).collect(),
        }
    }
}

/// The forwarded ports beside those of the NAT, which are steered anyway.
fn forwarded(table: &Table, mapped: &RangeInclusive<u16>) -> BTreeSet<Forwarded> {
    let beside = table.doors.keys().filter(|(_, to)| !mapped.contains(&to.port()));
    let mut ports: Vec<(IpAddr, u8, u16)> = beside.map(|(protocol, to)| (to.ip(), *protocol, to.port())).collect();
    ports.sort_unstable();
    let mut all: Vec<Forwarded> = Vec::new();
    for (external, protocol, port) in ports {
        match all.last_mut() {
            Some(last)
                if (last.external, last.protocol) == (external, protocol)
                    && last.ports.1.checked_add(1) == Some(port) =>
            {
                last.ports.1 = port;
            }
            _ => all.push(Forwarded { external, protocol, ports: (port, port) }),
        }
    }
    all.into_iter().collect()
}

const fn number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => protocol::TCP,
        Transport::Udp => protocol::UDP,
    }
}

/// Whether a network is one of unique local addresses: RFC 4193.
fn is_private(network: Ipv6Net) -> bool {
    network.addr().octets()[0] & 0xfe == 0xfc
}
