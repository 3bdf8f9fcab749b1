//! From what is asked of a server to a server: fills in what is absent and refuses what cannot be.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::{Server, ServerDraft};
use crate::domain::field::{self, cleared, given};
use crate::domain::intended::{Intended, IntendedServer};
use crate::domain::key::{PrivateKey, PublicKey};
use crate::domain::limits;
use crate::domain::name::{InterfaceName, ServerName};
use crate::domain::pool::{self, Wanted};
use crate::domain::port_forward;
use crate::domain::rate::Mbps;
use crate::domain::refusal::Refusal;

/// What a new server takes from its host where the draft is silent.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// The address by which the internet reaches this host.
    pub external_ip: IpAddr,
    /// What clients connect to instead, if the operator names something.
    pub endpoint: Option<String>,
}

/// Randomness for what a new server needs chosen.
#[derive(Clone, Copy)]
pub struct ServerSeed {
    /// For its private key.
    pub private_key: [u8; 32],
    /// For its unique local network.
    pub network: [u8; 5],
}

impl ServerDraft {
    /// A new server among those that exist.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be.
    pub fn settle(&self, among: &Intended, host: &HostFacts, seed: &ServerSeed) -> Result<Server, Refusal> {
        self.check_identity(among, None)?;
        let port = self.port(among, None)?;
        let number = self.number(among, port)?;
        let (private_key, public_key) = self.keys()?.unwrap_or_else(|| {
            let private = PrivateKey::from_entropy(seed.private_key);
            let public = private.public();
            (private, public)
        });
        let mut server = Server {
            name: ServerName::parse(given(self.name.as_ref()).unwrap_or(&pool::default_name(number)))?,
            interface: match given(self.interface_name.as_ref()) {
                Some(text) => InterfaceName::parse(text)?,
                None => InterfaceName::numbered(number.into()),
            },
            listen_port: port.unwrap_or(limits::LISTEN_PORT_FIRST + number),
            private_key,
            public_key,
            address: pool::default_address(number),
            ipv6: given(self.address_ipv6.as_ref()).is_some(),
            address_ipv6: pool::unique_local(seed.network),
            mtu: limits::MTU_DEFAULT,
            keep_alive: limits::KEEP_ALIVE_DEFAULT,
            allowed_ips: Vec::new(),
            endpoint: host.endpoint.clone(),
            external_ip: host.external_ip,
            dns_1: limits::DNS_DEFAULT[0],
            dns_2: limits::DNS_DEFAULT[1],
            dns_1_ipv6: None,
            dns_2_ipv6: None,
            b_download: Mbps::UNLIMITED,
            b_upload: Mbps::UNLIMITED,
            internal_traffic: false,
            ikev2: false,
            disable_nat: false,
            limit_download: Mbps::UNLIMITED,
            limit_upload: Mbps::UNLIMITED,
        };
        self.settle_networks(&mut server, among, None)?;
        self.settle_clients(&mut server)?;
        Ok(server)
    }

    /// `current` with what the draft names; name, interface and keys are checked and stay.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be, [`Refusal::SubnetTaken`] for a network in which the
    /// server's accounts have no place, and [`Refusal::PortTaken`] for an external address of which another server
    /// forwards a port that this one forwards.
    pub fn amend(&self, current: &IntendedServer, among: &Intended) -> Result<Server, Refusal> {
        let own = &current.server.name;
        self.check_identity(among, Some(own))?;
        self.keys()?;
        let mut server = current.server.as_ref().clone();
        if let Some(port) = self.port(among, Some(own))? {
            server.listen_port = port;
        }
        self.settle_networks(&mut server, among, Some(own))?;
        self.settle_clients(&mut server)?;
        if takes_a_forwarded_port(&server, current, among) {
            return Err(Refusal::PortTaken);
        }
        if holds_accounts(&server, current) { Ok(server) } else { Err(Refusal::SubnetTaken) }
    }

    /// Checks name and interface, which another server than `own` may not have.
    fn check_identity(&self, among: &Intended, own: Option<&ServerName>) -> Result<(), Refusal> {
        if let Some(text) = given(self.name.as_ref()) {
            let name = ServerName::parse(text)?;
            if Some(&name) != own && among.servers.contains_key(&name) {
                return Err(Refusal::NameTaken);
            }
        }
        if let Some(text) = given(self.interface_name.as_ref()) {
            let interface = InterfaceName::parse(text)?;
            if others(among, own).any(|other| other.interface == interface) {
                return Err(Refusal::InterfaceTaken);
            }
        }
        Ok(())
    }

    /// The keys that are given: a private key with or without the public key that belongs to it.
    fn keys(&self) -> Result<Option<(PrivateKey, PublicKey)>, Refusal> {
        let public = given(self.public_key.as_ref()).map(PublicKey::parse).transpose()?;
        let Some(text) = given(self.private_key.as_ref()) else {
            // a server that does not know its own private key can answer nobody
            return if public.is_some() { Err(Refusal::KeysInvalid) } else { Ok(None) };
        };
        let private = PrivateKey::parse(text)?;
        let derived = private.public();
        if public.is_some_and(|public| public != derived) {
            Err(Refusal::KeysInvalid)
        } else {
            Ok(Some((private, derived)))
        }
    }

    fn port(&self, among: &Intended, own: Option<&ServerName>) -> Result<Option<u16>, Refusal> {
        let Some(text) = given(self.listen_port.as_ref()) else { return Ok(None) };
        let port = field::number(text)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port >= limits::LISTEN_PORT_FIRST)
            .ok_or(Refusal::PortMalformed)?;
        let taken =
            others(among, own).any(|other| other.listen_port == port) || port_forward::is_udp_forwarded(among, port);
        if taken { Err(Refusal::PortTaken) } else { Ok(Some(port)) }
    }

    /// The lowest number of which all is free that the draft leaves to be chosen.
    fn number(&self, among: &Intended, port: Option<u16>) -> Result<u16, Refusal> {
        let wanted = Wanted {
            name: given(self.name.as_ref()).is_none(),
            interface: given(self.interface_name.as_ref()).is_none(),
            address: given(self.address.as_ref()).is_none(),
            port: port.is_none(),
        };
        pool::server_number(among, wanted).ok_or(Refusal::PortTaken)
    }

    /// What joins the server to networks: its external address and its own two.
    fn settle_networks(&self, server: &mut Server, among: &Intended, own: Option<&ServerName>) -> Result<(), Refusal> {
        if let Some(text) = given(self.external_ip.as_ref()) {
            server.external_ip = field::external_ip(text).ok_or(Refusal::ExternalIpMalformed)?;
        }
        if let Some(text) = given(self.address.as_ref()) {
            let net: Option<Ipv4Net> = text.parse().ok();
            server.address = net.filter(|net| pool::may_be_own(*net)).ok_or(Refusal::SubnetTaken)?;
        }
        if let Some(text) = given(self.address_ipv6.as_ref()) {
            let net: Option<Ipv6Net> = text.parse().ok();
            server.address_ipv6 = net.filter(|net| pool::may_be_own_v6(*net)).ok_or(Refusal::SubnetTaken)?;
        }
        let taken = pool::is_taken(among, own, server.address, server.address_ipv6);
        if taken { Err(Refusal::SubnetTaken) } else { Ok(()) }
    }

    /// What the server's clients get.
    fn settle_clients(&self, server: &mut Server) -> Result<(), Refusal> {
        self.settle_resolvers(server)?;
        self.settle_flags(server)?;
        self.settle_numbers(server)?;
        if cleared(self.allowed_ips.as_ref()) {
            server.allowed_ips.clear();
        }
        if let Some(text) = given(self.allowed_ips.as_ref()) {
            server.allowed_ips = field::networks(text)
                .ok_or(Refusal::FieldMalformed { field: "allowed_ips", rule: "CIDR, CIDR, ..." })?;
        }
        if cleared(self.endpoint.as_ref()) {
            server.endpoint = None;
        }
        if let Some(text) = given(self.endpoint.as_ref()) {
            let endpoint = field::endpoint(text);
            server.endpoint = Some(endpoint.ok_or(Refusal::FieldMalformed { field: "endpoint", rule: "IP|domain" })?);
        }
        Ok(())
    }

    fn settle_resolvers(&self, server: &mut Server) -> Result<(), Refusal> {
        let resolver = |text, refusal: Refusal| -> Result<Ipv4Addr, Refusal> { field::address_v4(text).ok_or(refusal) };
        if let Some(text) = given(self.dns_1.as_ref()) {
            server.dns_1 = resolver(text, Refusal::Dns1Malformed)?;
        }
        if let Some(text) = given(self.dns_2.as_ref()) {
            server.dns_2 = resolver(text, Refusal::Dns2Malformed)?;
        }
        for (draft, settled, refusal) in [
            (&self.dns_1_ipv6, &mut server.dns_1_ipv6, Refusal::Dns1Malformed),
            (&self.dns_2_ipv6, &mut server.dns_2_ipv6, Refusal::Dns2Malformed),
        ] {
            if cleared(draft.as_ref()) {
                *settled = None;
            }
            if let Some(text) = given(draft.as_ref()) {
                *settled = Some(field::address_v6(text).ok_or(refusal)?);
            }
        }
        Ok(())
    }

    fn settle_flags(&self, server: &mut Server) -> Result<(), Refusal> {
        for (name, draft, settled) in [
            ("internal_traffic", &self.internal_traffic, &mut server.internal_traffic),
            ("ipv6", &self.ipv6, &mut server.ipv6),
            ("ikev2", &self.ikev2, &mut server.ikev2),
            ("disable_nat", &self.disable_nat, &mut server.disable_nat),
        ] {
            field::amend_flag(name, draft.as_ref(), settled)?;
        }
        Ok(())
    }

    fn settle_numbers(&self, server: &mut Server) -> Result<(), Refusal> {
        for (name, draft, settled) in [
            ("b_download", &self.b_download, &mut server.b_download),
            ("b_upload", &self.b_upload, &mut server.b_upload),
            ("limit_download", &self.limit_download, &mut server.limit_download),
            ("limit_upload", &self.limit_upload, &mut server.limit_upload),
        ] {
            if let Some(text) = given(draft.as_ref()) {
                *settled = field::rate(name, text)?;
            }
        }
        if let Some(text) = given(self.keep_alive.as_ref()) {
            server.keep_alive = field::number(text)
                .filter(|seconds| *seconds <= limits::KEEP_ALIVE_MAX)
                .ok_or(Refusal::FieldMalformed { field: "keep_alive", rule: "0 to 2147483647" })?;
        }
        if let Some(text) = given(self.mtu.as_ref()) {
            let mtu = field::number(text).and_then(|mtu| u16::try_from(mtu).ok());
            server.mtu = match mtu.ok_or(MTU_MALFORMED)? {
                0 => limits::MTU_DEFAULT,
                mtu => mtu,
            };
        }
        let lowest = if server.ipv6 { limits::MTU_MIN_IPV6 } else { limits::MTU_MIN };
        if (lowest..=limits::MTU_MAX).contains(&server.mtu) { Ok(()) } else { Err(MTU_MALFORMED) }
    }
}

const MTU_MALFORMED: Refusal = Refusal::FieldMalformed { field: "mtu", rule: "0, 576 to 9100, with IPv6 1280 to 9100" };

fn others<'a>(among: &'a Intended, own: Option<&'a ServerName>) -> impl Iterator<Item = &'a Server> {
    among.servers.values().map(|other| other.server.as_ref()).filter(move |other| Some(&other.name) != own)
}

/// Whether all accounts of `current` have a place in the networks that `server` would have.
fn holds_accounts(server: &Server, current: &IntendedServer) -> bool {
    current.accounts.values().all(|account| {
        account.address != server.address.addr()
            && pool::is_usable(server.address, account.address)
            && account.address_ipv6.is_none_or(|address| {
                address != server.address_ipv6.addr() && pool::is_usable_v6(server.address_ipv6, address)
            })
    })
}

/// Whether `current` forwards a port that another server forwards at the external address that `server` would have.
fn takes_a_forwarded_port(server: &Server, current: &IntendedServer, among: &Intended) -> bool {
    let others = || among.servers.values().filter(|other| other.server.name != server.name);
    let taken = |outer| port_forward::is_forwarded_at(others(), server.external_ip, outer);
    server.external_ip != current.server.external_ip && current.forwards.keys().copied().any(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{account_of, add_account, host, house};

    const SEED: ServerSeed = ServerSeed { private_key: [9; 32], network: [1, 2, 3, 4, 5] };

    /// A draft of one field.
    fn draft(field: &str, text: &str) -> ServerDraft {
        let mut draft = ServerDraft::default();
        let slot = match field {
            "name" => &mut draft.name,
            "private_key" => &mut draft.private_key,
            "public_key" => &mut draft.public_key,
            "interface_name" => &mut draft.interface_name,
            "listen_port" => &mut draft.listen_port,
            "mtu" => &mut draft.mtu,
            "keep_alive" => &mut draft.keep_alive,
            "allowed_ips" => &mut draft.allowed_ips,
            "endpoint" => &mut draft.endpoint,
            "address" => &mut draft.address,
            "internal_traffic" => &mut draft.internal_traffic,
            "external_ip" => &mut draft.external_ip,
            "dns_1" => &mut draft.dns_1,
            "dns_2" => &mut draft.dns_2,
            "ipv6" => &mut draft.ipv6,
            "address_ipv6" => &mut draft.address_ipv6,
            "dns_1_ipv6" => &mut draft.dns_1_ipv6,
            "dns_2_ipv6" => &mut draft.dns_2_ipv6,
            "b_download" => &mut draft.b_download,
            "b_upload" => &mut draft.b_upload,
            "ikev2" => &mut draft.ikev2,
            "disable_nat" => &mut draft.disable_nat,
            "limit_download" => &mut draft.limit_download,
            "limit_upload" => &mut draft.limit_upload,
            _ => panic!("no such field: {field}"),
        };
        *slot = Some(text.into());
        draft
    }

    fn added(draft: &ServerDraft) -> Result<Server, Refusal> {
        draft.settle(&house(), &host(), &SEED)
    }

    fn edited(draft: &ServerDraft) -> Result<Server, Refusal> {
        let house = house();
        draft.amend(house.server("Default_1").unwrap(), &house)
    }

    /// Refused in an addition and in an edit of `Default_1` alike.
    const REFUSED: &[(&str, &str, Refusal)] = &[
        ("name", "a b", Refusal::NameMalformed),
        ("name", "online", Refusal::NameMalformed),
        ("name", "Default_2", Refusal::NameTaken),
        ("interface_name", "eth0", Refusal::InterfaceMalformed),
        ("interface_name", "wg2", Refusal::InterfaceTaken),
        ("private_key", "abc", Refusal::KeysInvalid),
        ("public_key", "q02nrUkvxcWJ6xuMbZB1DMiCZ90LU1918bQS8PnkDTE=", Refusal::KeysInvalid),
        ("listen_port", "51822", Refusal::PortTaken),
        ("listen_port", "51819", Refusal::PortMalformed),
        ("listen_port", "65536", Refusal::PortMalformed),
        ("listen_port", "+51900", Refusal::PortMalformed),
        ("external_ip", "1.2.3", Refusal::ExternalIpMalformed),
        ("external_ip", "0.0.0.0", Refusal::ExternalIpMalformed),
        ("address", "10.0.1.9/24", Refusal::SubnetTaken),
        ("address", "10.0.0.1/16", Refusal::SubnetTaken),
        ("address", "10.9.0.0/24", Refusal::SubnetTaken),
        ("address", "10.9.0.255/24", Refusal::SubnetTaken),
        ("address", "10.9.0.1", Refusal::SubnetTaken),
        ("address", "10.9.0.1/31", Refusal::SubnetTaken),
        ("address", "127.0.0.1/8", Refusal::SubnetTaken),
        ("address", "169.254.0.1/16", Refusal::SubnetTaken),
        ("address", "224.0.0.1/8", Refusal::SubnetTaken),
        ("address_ipv6", "fd01:101:101::9/64", Refusal::SubnetTaken),
        ("address_ipv6", "fd00::/64", Refusal::SubnetTaken),
        ("address_ipv6", "fe80::1/64", Refusal::SubnetTaken),
        ("dns_1", "one", Refusal::Dns1Malformed),
        ("dns_2", "1.1.1.1.1", Refusal::Dns2Malformed),
        ("dns_1_ipv6", "1.1.1.1", Refusal::Dns1Malformed),
        ("dns_2_ipv6", "1.1.1.1", Refusal::Dns2Malformed),
        ("mtu", "9101", MTU_MALFORMED),
        ("mtu", "100", MTU_MALFORMED),
        ("keep_alive", "2147483648", Refusal::FieldMalformed { field: "keep_alive", rule: "0 to 2147483647" }),
        ("allowed_ips", "10.0.0.0/33", Refusal::FieldMalformed { field: "allowed_ips", rule: "CIDR, CIDR, ..." }),
        ("endpoint", "a b", Refusal::FieldMalformed { field: "endpoint", rule: "IP|domain" }),
        ("internal_traffic", "yes", Refusal::FieldMalformed { field: "internal_traffic", rule: "1|0" }),
        ("ipv6", "2", Refusal::FieldMalformed { field: "ipv6", rule: "1|0" }),
        ("ikev2", "on", Refusal::FieldMalformed { field: "ikev2", rule: "1|0" }),
        ("disable_nat", "on", Refusal::FieldMalformed { field: "disable_nat", rule: "1|0" }),
        ("b_download", "10001", Refusal::FieldMalformed { field: "b_download", rule: "0 to 10000" }),
        ("b_upload", "-1", Refusal::FieldMalformed { field: "b_upload", rule: "0 to 10000" }),
        ("limit_download", "10001", Refusal::FieldMalformed { field: "limit_download", rule: "0 to 10000" }),
        ("limit_upload", "x", Refusal::FieldMalformed { field: "limit_upload", rule: "0 to 10000" }),
    ];

    #[test]
    fn refuses_each_field_that_cannot_be() {
        for (field, text, refusal) in REFUSED {
            assert_eq!(added(&draft(field, text)).as_ref(), Err(refusal), "add {field}={text}");
            assert_eq!(edited(&draft(field, text)).as_ref(), Err(refusal), "edit {field}={text}");
        }
    }

    #[test]
    fn chooses_what_is_absent() {
        let first = ServerDraft::default().settle(&Intended::default(), &host(), &SEED).unwrap();
        assert_eq!(
            (first.name.as_str(), first.interface.to_string(), first.listen_port, first.address.to_string()),
            ("Default_1", "wg1".to_owned(), 51_821, "10.0.0.1/24".to_owned())
        );
        assert_eq!(first.address_ipv6.to_string(), "fd01:203:405::1/64");
        assert_eq!(first.public_key, first.private_key.public());
        assert!(!first.ipv6);

        let third = added(&ServerDraft::default()).unwrap();
        assert_eq!((third.name.as_str(), third.listen_port), ("Default_3", 51_823));
    }

    #[test]
    fn skips_a_number_of_which_anything_wanted_is_taken() {
        let mut house = house();
        crate::domain::fixture::add_server(&mut house, &draft("listen_port", "51824"));
        let server = ServerDraft::default().settle(&house, &host(), &SEED).unwrap();
        assert_eq!((server.name.as_str(), server.listen_port), ("Default_5", 51_825));
    }

    #[test]
    fn takes_every_field() {
        for (field, text) in [
            ("name", "77_87_125_200"),
            ("listen_port", "51820"),
            ("mtu", "0"),
            ("keep_alive", "0"),
            ("allowed_ips", "10.0.0.0/8, 192.168.0.1"),
            ("endpoint", "vpn.example.com"),
            ("address", "172.16.3.4/12"),
            ("external_ip", "77.87.125.200/32"),
            ("dns_1", "8.8.8.8/32"),
            ("address_ipv6", "2001:db8::1/48"),
            ("dns_1_ipv6", "2606:4700:4700::1111"),
            ("b_download", "10000"),
            ("ikev2", "TRUE"),
        ] {
            assert!(added(&draft(field, text)).is_ok(), "{field}={text}");
        }
        assert!(added(&draft("address_ipv6", "2001:db8::1/48")).unwrap().ipv6);
    }

    #[test]
    fn derives_the_public_key_and_refuses_another() {
        let private = PrivateKey::from_entropy([5; 32]);
        let mut draft = draft("private_key", &private.to_base64());
        assert_eq!(added(&draft).unwrap().public_key, private.public());

        draft.public_key = Some(private.public().to_string());
        assert!(added(&draft).is_ok());
        draft.public_key = Some(PrivateKey::from_entropy([6; 32]).public().to_string());
        assert_eq!(added(&draft), Err(Refusal::KeysInvalid));
    }

    #[test]
    fn keeps_in_an_edit_what_it_does_not_name() {
        let house = house();
        let before = house.server("Default_1").unwrap();
        assert_eq!(ServerDraft::default().amend(before, &house).as_ref(), Ok(before.server.as_ref()));

        let after = draft("mtu", "1300").amend(before, &house).unwrap();
        assert_eq!(after, Server { mtu: 1300, ..before.server.as_ref().clone() });
    }

    #[test]
    fn keeps_name_interface_and_keys_in_an_edit_that_names_others() {
        let private = PrivateKey::from_entropy([5; 32]).to_base64();
        for (field, text) in [("name", "free"), ("interface_name", "wg9"), ("private_key", private.as_str())] {
            let before = house().server("Default_1").unwrap().server.clone();
            assert_eq!(edited(&draft(field, text)).as_ref(), Ok(before.as_ref()), "{field}");
        }
    }

    #[test]
    fn refuses_a_network_in_which_its_accounts_have_no_place() {
        for (field, text) in [
            ("address", "10.7.0.1/24"),
            ("address", "10.0.0.2/24"),
            ("address", "10.0.0.9/29"),
            ("address_ipv6", "fd77::1/64"),
            ("address_ipv6", "fd00::2/64"),
        ] {
            assert_eq!(edited(&draft(field, text)), Err(Refusal::SubnetTaken), "{field}={text}");
        }
        assert!(edited(&draft("address", "10.0.0.9/28")).is_ok());
    }

    #[test]
    fn moves_a_server_without_accounts() {
        let house = house();
        let server = draft("address", "10.7.0.1/24").amend(house.server("Default_2").unwrap(), &house);
        assert_eq!(server.unwrap().address.to_string(), "10.7.0.1/24");
    }

    #[test]
    fn clears_what_a_blank_field_clears() {
        let mut house = house();
        let mut server = house.server("Default_1").unwrap().server.as_ref().clone();
        server.endpoint = Some("vpn.example.com".into());
        server.allowed_ips = field::networks("10.0.0.0/8").unwrap();
        server.dns_1_ipv6 = Some("2606:4700:4700::1111".parse().unwrap());
        house.insert_server(server.into());
        add_account(&mut house, &account_of("Default_1"));

        let blank = Some(" ".to_owned());
        let draft = ServerDraft {
            endpoint: blank.clone(),
            allowed_ips: blank.clone(),
            dns_1_ipv6: blank.clone(),
            dns_1: blank,
            ..ServerDraft::default()
        };
        let server = draft.amend(house.server("Default_1").unwrap(), &house).unwrap();
        assert_eq!((server.endpoint, server.allowed_ips, server.dns_1_ipv6), (None, vec![], None));
        assert_eq!(server.dns_1, limits::DNS_DEFAULT[0]);
    }
}
