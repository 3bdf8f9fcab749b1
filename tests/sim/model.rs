//! What ought to run, and a second opinion on what it means for a packet: written from the documentation, not from the
//! engine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use culvert::domain::account::{Account, AccountId, Allowance, Password};
use culvert::domain::firewall::{Action, Chain, Firewall, RuleProtocol};
use culvert::domain::key::{PrivateKey, PublicKey};
use culvert::domain::name::{AccountName, InterfaceName, ServerName, Username};
use culvert::domain::port_forward::{OuterPort, PortForward, Transport};
use culvert::domain::rate::Mbps;
use culvert::domain::server::Server;
use culvert::engine::dataplane::around::Standing;
use culvert::engine::dataplane::exit::{Exit, Name};
use culvert::engine::wire::{FlowKey, protocol};

/// How many servers there are.
pub(crate) const SERVERS: usize = 2;
/// How many clients there may be; they take turns among the servers.
pub(crate) const CLIENTS: usize = 5;
/// How many workers share each server.
pub(crate) const WORKERS: u8 = 2;
/// The largest inner packet.
pub(crate) const MTU: usize = 1_420;

/// The address by which the box reaches the internet over IPv6.
const OUT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// The keys of everyone, made once. Two clients of one server live at different workers.
fn keys() -> &'static [(PrivateKey, PublicKey)] {
    static KEYS: OnceLock<Vec<(PrivateKey, PublicKey)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let homes = [0, 0, 1, 1, 0];
        let pair = |seed: u8| PrivateKey::from_entropy([seed; 32]);
        let mut seeds = (1..=u8::MAX).map(pair).map(|key| (key.clone(), key.public()));
        let lives = |home: u8| move |pair: &(PrivateKey, PublicKey)| pair.1.as_bytes()[0] % WORKERS == home;
        let mut keys: Vec<_> = homes.into_iter().map(|home| seeds.find(lives(home)).unwrap()).collect();
        keys.extend(seeds.take(SERVERS));
        keys
    })
}

/// A client's key.
pub(crate) fn key_of(client: usize) -> &'static PrivateKey {
    &keys()[client].0
}

/// A server's public key.
pub(crate) fn server_key(slot: usize) -> &'static PublicKey {
    &keys()[CLIENTS + slot].1
}

/// The server that a client belongs to.
pub(crate) fn server_of(client: usize) -> usize {
    client % SERVERS
}

/// The account's name of a client.
pub(crate) fn name_of(client: usize) -> AccountName {
    AccountName::parse(&format!("peer_{client}")).unwrap()
}

/// The client of an account.
pub(crate) fn client_named(name: &AccountName) -> usize {
    name.as_str().trim_start_matches("peer_").parse().unwrap()
}

/// A client's inner addresses; `moved` tells the second pair that it may have from the first.
pub(crate) fn addresses(client: usize, moved: bool) -> (Ipv4Addr, Ipv6Addr) {
    let number = u8::try_from(client).unwrap() + if moved { 110 } else { 10 };
    let slot = u8::try_from(server_of(client)).unwrap();
    let v6 = Ipv6Addr::new(0xfd00, slot.into(), 0, 0, 0, 0, 0, number.into());
    (Ipv4Addr::new(10, slot, 0, number), v6)
}

fn account(client: usize) -> Account {
    let (v4, v6) = addresses(client, false);
    Account {
        name: name_of(client),
        server: ServerName::parse(&format!("Server_{}", server_of(client))).unwrap(),
        enabled: true,
        username: Username::parse(&format!("peer_{client}")).unwrap(),
        password: Password::new(String::new()),
        address: v4,
        address_ipv6: Some(v6),
        private_key: None,
        public_key: keys()[client].1,
        b_download: Mbps::UNLIMITED,
        b_upload: Mbps::UNLIMITED,
        mark: 100,
        id: AccountId(client as u64),
        allowance: Allowance::default(),
        owner: None,
    }
}

fn server(slot: usize, external: Ipv4Addr) -> Server {
    let number = u8::try_from(slot).unwrap();
    Server {
        name: ServerName::parse(&format!("Server_{slot}")).unwrap(),
        interface: InterfaceName::numbered(number.into()),
        listen_port: 51_820 + u16::from(number),
        private_key: keys()[CLIENTS + slot].0.clone(),
        public_key: keys()[CLIENTS + slot].1,
        address: format!("10.{slot}.0.1/24").parse().unwrap(),
        ipv6: true,
        address_ipv6: format!("fd00:{slot}::1/64").parse().unwrap(),
        mtu: u16::try_from(MTU).unwrap(),
        keep_alive: 0,
        allowed_ips: Vec::new(),
        endpoint: None,
        external_ip: external.into(),
        dns_1: Ipv4Addr::new(1, 1, 1, 1),
        dns_2: Ipv4Addr::new(9, 9, 9, 9),
        dns_1_ipv6: None,
        dns_2_ipv6: None,
        b_download: Mbps::UNLIMITED,
        b_upload: Mbps::UNLIMITED,
        internal_traffic: slot == 0,
        ikev2: false,
        disable_nat: false,
        limit_download: Mbps::UNLIMITED,
        limit_upload: Mbps::UNLIMITED,
    }
}

/// Where an allowed packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Outside, in this name and, where its port is a forwarded one, from this port.
    Out(Name, Option<u16>),
    /// To another client of the same server.
    Across(usize),
    /// To the server or its host.
    Own,
}

/// Everything that ought to run. Clones share what did not change.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) servers: Vec<Arc<Server>>,
    pub(crate) accounts: BTreeMap<usize, Arc<Account>>,
    pub(crate) forwards: Vec<Arc<BTreeMap<OuterPort, PortForward>>>,
    pub(crate) firewall: Arc<Firewall>,
    /// The ports that the NAT gives away.
    pub(crate) range: RangeInclusive<u16>,
}

impl House {
    /// Two servers with all their clients; on one external address or on two.
    pub(crate) fn new(is_shared: bool, range: RangeInclusive<u16>) -> Self {
        let external = |slot: usize| Ipv4Addr::new(203, 0, 113, if is_shared || slot == 0 { 1 } else { 2 });
        Self {
            servers: (0..SERVERS).map(|slot| Arc::new(server(slot, external(slot)))).collect(),
            accounts: (0..CLIENTS).map(|client| (client, Arc::new(account(client)))).collect(),
            forwards: vec![Arc::default(); SERVERS],
            firewall: Arc::default(),
            range,
        }
    }

    /// How a server's packets leave.
    pub(crate) fn exit(&self, slot: usize) -> Exit {
        let server = &self.servers[slot];
        let named = |address: IpAddr| if server.disable_nat { Name::Own } else { Name::External(address) };
        let v6 = if server.ipv6 { named(OUT_V6.into()) } else { Name::None };
        Exit::Packets { v4: named(server.external_ip), v6 }
    }

    /// In whose name a server's packets leave for this address.
    pub(crate) fn name(&self, slot: usize, to: IpAddr) -> Name {
        match self.exit(slot) {
            Exit::Packets { v4, .. } if to.is_ipv4() => v4,
            Exit::Packets { v6, .. } => v6,
            Exit::Flows => Name::Own,
        }
    }

    /// Whether an address lies in the network of a server's clients.
    pub(crate) fn is_inside(&self, slot: usize, address: IpAddr) -> bool {
        let server = &self.servers[slot];
        match address {
            IpAddr::V4(address) => server.address.contains(&address),
            IpAddr::V6(address) => server.ipv6 && server.address_ipv6.contains(&address),
        }
    }

    /// Whether it is a server's own address.
    pub(crate) fn is_own(&self, slot: usize, address: IpAddr) -> bool {
        let server = &self.servers[slot];
        match address {
            IpAddr::V4(address) => server.address.addr() == address,
            IpAddr::V6(address) => server.ipv6 && server.address_ipv6.addr() == address,
        }
    }

    /// A client's inner address beside this one, if it has such.
    pub(crate) fn address_beside(&self, client: usize, beside: IpAddr) -> Option<IpAddr> {
        let account = self.accounts.get(&client)?;
        match beside {
            IpAddr::V4(_) => Some(account.address.into()),
            IpAddr::V6(_) => account.address_ipv6.filter(|_| self.servers[server_of(client)].ipv6).map(IpAddr::from),
        }
    }

    /// The enabled client of a server that has an inner address.
    pub(crate) fn client_at(&self, slot: usize, address: IpAddr) -> Option<usize> {
        let enabled = self.accounts.iter().filter(|(client, account)| account.enabled && server_of(**client) == slot);
        enabled.map(|(client, _)| *client).find(|client| self.address_beside(*client, address) == Some(address))
    }

    /// Whether a client's account is there and enabled.
    pub(crate) fn is_enabled(&self, client: usize) -> bool {
        self.accounts.get(&client).is_some_and(|account| account.enabled)
    }

    /// Whether clients of a server may reach one another.
    pub(crate) fn is_internal_on(&self, slot: usize) -> bool {
        self.servers[slot].internal_traffic && self.firewall.settings.internal_traffic
    }

    /// The external addresses that lead to somebody; none while nothing is forwarded.
    pub(crate) fn is_external(&self, address: IpAddr) -> bool {
        (0..SERVERS).any(|slot| self.externals(slot).contains(&address))
    }

    /// The addresses in whose name a server's clients leave, while anything is forwarded.
    pub(crate) fn externals(&self, slot: usize) -> Vec<IpAddr> {
        let Exit::Packets { v4, v6 } = self.exit(slot) else { return Vec::new() };
        let external = |name: Name| if let Name::External(address) = name { Some(address) } else { None };
        let externals = [v4, v6].into_iter().filter(|_| self.firewall.settings.ip_forward);
        externals.filter_map(external).collect()
    }

    /// Whether packets for an address of a server's clients come here by themselves.
    pub(crate) fn is_routed(&self, slot: usize, to: IpAddr) -> bool {
        self.firewall.settings.ip_forward && self.is_inside(slot, to) && self.name(slot, to) == Name::Own
    }

    /// The server that forwards an external port.
    pub(crate) fn door(&self, protocol: u8, to: SocketAddr) -> Option<usize> {
        let outer = OuterPort { port: to.port(), protocol: transport(protocol)? };
        let leads =
            |slot: &usize| self.externals(*slot).contains(&to.ip()) && self.forwards[*slot].contains_key(&outer);
        (0..SERVERS).find(leads)
    }

    /// What an address outside a server's network is to its clients, on this host.
    pub(crate) fn standing(&self, number: u8, to: SocketAddr) -> Standing {
        let is_mapped = matches!(number, protocol::TCP | protocol::UDP) && self.range.contains(&to.port());
        if self.is_external(to.ip()) && (is_mapped || self.door(number, to).is_some()) {
            return Standing::Inside;
        }
        let externals = self.servers.iter().map(|server| server.external_ip).chain([OUT_V6.into()]);
        if externals.into_iter().any(|own| own == to.ip()) || (0..SERVERS).any(|slot| self.is_own(slot, to.ip())) {
            return Standing::Host;
        }
        let is_private = match to.ip() {
            IpAddr::V4(address) => address.is_private(),
            IpAddr::V6(address) => address.is_unique_local(),
        };
        if is_private { Standing::Closed } else { Standing::Outside }
    }

    /// Where a client's packet may go; `None` where the rules refuse it.
    pub(crate) fn judge_up(&self, client: usize, key: &FlowKey) -> Option<Way> {
        let (slot, to) = (server_of(client), key.destination);
        if !self.is_enabled(client) || self.address_beside(client, to.ip()) != Some(key.source.ip()) {
            return None;
        }
        if self.is_own(slot, to.ip()) {
            return self.passes(Chain::Input, key).map(|_| Way::Own);
        }
        if let Some(target) = self.client_at(slot, to.ip()) {
            return (self.is_internal_on(slot) && self.forwards(key)).then_some(Way::Across(target));
        }
        if self.is_inside(slot, to.ip()) {
            return None;
        }
        match self.standing(key.protocol, to) {
            Standing::Closed => None,
            // what the host offers is closed until a rule opens it
            Standing::Host => self.passes(Chain::Input, key).filter(|by_rule| *by_rule).map(|_| Way::Own),
            Standing::Outside | Standing::Inside => match self.name(slot, to.ip()) {
                _ if !self.forwards(key) => None,
                Name::None => None,
                Name::Own => Some(Way::Out(Name::Own, None)),
                name @ Name::External(_) => Some(Way::Out(name, self.forwarded_port(client, key))),
            },
        }
    }

    /// The external port that leads to a client's port.
    fn forwarded_port(&self, client: usize, key: &FlowKey) -> Option<u16> {
        let kind = transport(key.protocol)?;
        let mut forwards = self.forwards[server_of(client)].values();
        let leads = |it: &&PortForward| {
            it.outer.protocol == kind && it.to_peer == name_of(client) && it.to_port == key.source.port()
        };
        forwards.find(leads).map(|it| it.outer.port)
    }

    /// Which client a packet from outside may reach by a forwarded port or by the client's own address, and where there.
    pub(crate) fn judge_in(&self, key: &FlowKey) -> Option<(usize, SocketAddr)> {
        let (client, inner) = self.target(key)?;
        self.may_enter(client, key, inner).then_some((client, inner))
    }

    /// The client behind a forwarded port or an address that is routed here, the firewall aside.
    pub(crate) fn target(&self, key: &FlowKey) -> Option<(usize, SocketAddr)> {
        let to = key.destination;
        if let Some(slot) = (0..SERVERS).find(|slot| self.is_routed(*slot, to.ip())) {
            return self.client_at(slot, to.ip()).map(|client| (client, to));
        }
        let outer = OuterPort { port: to.port(), protocol: transport(key.protocol)? };
        let forward = self.forwards[self.door(key.protocol, to)?].get(&outer)?;
        let client = client_named(&forward.to_peer);
        Some((client, SocketAddr::new(self.address_beside(client, to.ip())?, forward.to_port)))
    }

    /// Whether a packet from outside may come to a client's address and port, if its way leads there.
    pub(crate) fn may_enter(&self, client: usize, key: &FlowKey, inner: SocketAddr) -> bool {
        let slot = server_of(client);
        let is_internal = self.is_inside(slot, key.source.ip());
        self.is_enabled(client)
            && (!is_internal || self.is_internal_on(slot))
            && self.forwards(&FlowKey { destination: inner, ..*key })
    }

    fn forwards(&self, key: &FlowKey) -> bool {
        self.firewall.settings.ip_forward && self.passes(Chain::Forward, key).is_some()
    }

    /// Whether a chain lets a packet pass, and if so whether a rule says it rather than the policy.
    fn passes(&self, chain: Chain, key: &FlowKey) -> Option<bool> {
        let fits = |rule: &&culvert::domain::firewall::FilterRule| {
            let kind = match rule.protocol {
                RuleProtocol::Any => true,
                RuleProtocol::Tcp => key.protocol == protocol::TCP,
                RuleProtocol::Udp => key.protocol == protocol::UDP,
                RuleProtocol::Icmp => matches!(key.protocol, protocol::ICMP | protocol::ICMPV6),
            };
            let has_ports = matches!(key.protocol, protocol::TCP | protocol::UDP);
            let port = |wanted: u16, is: u16| wanted == 0 || (has_ports && wanted == is);
            let net = |net: ipnet::IpNet, address: IpAddr| net.prefix_len() == 0 || net.contains(&address);
            rule.chain == chain
                && kind
                && port(rule.source_port, key.source.port())
                && port(rule.destination_port, key.destination.port())
                && net(rule.source, key.source.ip())
                && net(rule.destination, key.destination.ip())
        };
        let rule = self.firewall.rules.iter().find(fits);
        let action = rule.map_or_else(|| self.firewall.settings.policy(chain), |rule| rule.action);
        (action == Action::Accept).then_some(rule.is_some())
    }
}

/// The protocol as forwards know it.
pub(crate) fn transport(number: u8) -> Option<Transport> {
    match number {
        protocol::TCP => Some(Transport::Tcp),
        protocol::UDP => Some(Transport::Udp),
        _ => None,
    }
}
