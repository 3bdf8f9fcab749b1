//! The records of each noun as they lie in the file. A record is never changed: it gets a successor.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use crate::domain::account::allowance::{QuotaAction, QuotaPeriod};
use crate::domain::account::{Account, AccountId, Allowance, Password};
use crate::domain::firewall::{Action, Chain, FilterRule, FirewallSettings, RuleProtocol};
use crate::domain::key::{PrivateKey, PublicKey};
use crate::domain::name::{AccountName, InterfaceName, RuleName, ServerName, UserName, Username};
use crate::domain::port_forward::{OuterPort, PortForward, Transport};
use crate::domain::rate::Mbps;
use crate::domain::server::Server;
use crate::domain::system::SystemConfig;
use crate::domain::traffic::Bytes;

/// A first version has no predecessor from which it could come.
macro_rules! first_version {
    ($($record:ident),*) => {$(
        impl Record for $record {
            const VERSION: u8 = 1;
            type Previous = Nothing;
        }

        impl From<Nothing> for $record {
            fn from(nothing: Nothing) -> Self {
                match nothing {}
            }
        }
    )*};
}

pub(super) use first_version;

first_version!(ServerV1, AccountV1, FirewallV1, FilterRuleV1, PortForwardV1, SystemV1, HoursV1);

/// A server.
#[derive(Serialize, Deserialize)]
pub(super) struct ServerV1 {
    name: ServerName,
    interface: InterfaceName,
    listen_port: u16,
    private_key: PrivateKey,
    address: Ipv4Net,
    ipv6: bool,
    address_ipv6: Ipv6Net,
    mtu: u16,
    keep_alive: u32,
    allowed_ips: Vec<IpNet>,
    endpoint: Option<String>,
    external_ip: IpAddr,
    dns: [Ipv4Addr; 2],
    dns_ipv6: [Option<Ipv6Addr>; 2],
    b_download: Mbps,
    b_upload: Mbps,
    internal_traffic: bool,
    ikev2: bool,
    disable_nat: bool,
    public_key: PublicKey,
}

impl From<&Server> for ServerV1 {
    fn from(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            interface: server.interface,
            listen_port: server.listen_port,
            private_key: server.private_key.clone(),
            address: server.address,
            ipv6: server.ipv6,
            address_ipv6: server.address_ipv6,
            mtu: server.mtu,
            keep_alive: server.keep_alive,
            allowed_ips: server.allowed_ips.clone(),
            endpoint: server.endpoint.clone(),
            external_ip: server.external_ip,
            dns: [server.dns_1, server.dns_2],
            dns_ipv6: [server.dns_1_ipv6, server.dns_2_ipv6],
            b_download: server.b_download,
            b_upload: server.b_upload,
            internal_traffic: server.internal_traffic,
            ikev2: server.ikev2,
            disable_nat: server.disable_nat,
            public_key: server.public_key,
        }
    }
}

/// A server, with the limits of all its clients together.
#[derive(Serialize, Deserialize)]
pub(super) struct ServerV2 {
    first: ServerV1,
    limit_download: Mbps,
    limit_upload: Mbps,
}

impl Record for ServerV2 {
    const VERSION: u8 = 2;
    type Previous = ServerV1;
}

impl From<ServerV1> for ServerV2 {
    fn from(first: ServerV1) -> Self {
        Self { first, limit_download: Mbps::UNLIMITED, limit_upload: Mbps::UNLIMITED }
    }
}

impl From<&Server> for ServerV2 {
    fn from(server: &Server) -> Self {
        let Server { limit_download, limit_upload, .. } = *server;
        Self { first: server.into(), limit_download, limit_upload }
    }
}

impl From<ServerV2> for Server {
    fn from(record: ServerV2) -> Self {
        let ServerV2 { first: record, limit_download, limit_upload } = record;
        let ([dns_1, dns_2], [dns_1_ipv6, dns_2_ipv6]) = (record.dns, record.dns_ipv6);
        Self {
            name: record.name,
            interface: record.interface,
            listen_port: record.listen_port,
            private_key: record.private_key,
            public_key: record.public_key,
            address: record.address,
            ipv6: record.ipv6,
            address_ipv6: record.address_ipv6,
            mtu: record.mtu,
            keep_alive: record.keep_alive,
            allowed_ips: record.allowed_ips,
            endpoint: record.endpoint,
            external_ip: record.external_ip,
            dns_1,
            dns_2,
            dns_1_ipv6,
            dns_2_ipv6,
            b_download: record.b_download,
            b_upload: record.b_upload,
            internal_traffic: record.internal_traffic,
            ikev2: record.ikev2,
            disable_nat: record.disable_nat,
            limit_download,
            limit_upload,
        }
    }
}

/// An account.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountV1 {
    name: AccountName,
    server: ServerName,
    enabled: bool,
    username: Username,
    password: Password,
    address: Ipv4Addr,
    address_ipv6: Option<Ipv6Addr>,
    private_key: Option<PrivateKey>,
    public_key: PublicKey,
    b_download: Mbps,
    b_upload: Mbps,
    mark: u32,
}

/// An account, with what it is known by and what it may.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountV2 {
    first: AccountV1,
    id: AccountId,
    /// Seconds since 1970.
    expires: Option<i64>,
    quota: u64,
    quota_period: QuotaPeriod,
    quota_action: QuotaAction,
    quota_rate: Mbps,
}

impl Record for AccountV2 {
    const VERSION: u8 = 2;
    type Previous = AccountV1;
}

impl From<AccountV1> for AccountV2 {
    fn from(first: AccountV1) -> Self {
        // a key is as random as a number that is drawn, and the same whenever this record is read
        let some = first.public_key.as_bytes().iter().take(8);
        let id = AccountId(some.fold(0, |id, byte| id << 8 | u64::from(*byte)));
        Self::new(first, id, Allowance::default())
    }
}

impl AccountV2 {
    fn new(first: AccountV1, id: AccountId, allowance: Allowance) -> Self {
        let Allowance { expires, quota, period, action, rate } = allowance;
        let expires = expires.map(Timestamp::as_second);
        Self { first, id, expires, quota, quota_period: period, quota_action: action, quota_rate: rate }
    }
}

impl From<&Account> for AccountV2 {
    fn from(account: &Account) -> Self {
        Self::new(account.into(), account.id, account.allowance)
    }
}

/// An account, with whose it is.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountV3 {
    second: AccountV2,
    owner: Option<UserName>,
}

impl Record for AccountV3 {
    const VERSION: u8 = 3;
    type Previous = AccountV2;
}

impl From<AccountV2> for AccountV3 {
    fn from(second: AccountV2) -> Self {
        Self { second, owner: None }
    }
}

impl From<&Account> for AccountV3 {
    fn from(account: &Account) -> Self {
        Self { second: account.into(), owner: account.owner.clone() }
    }
}

impl TryFrom<AccountV3> for Account {
    type Error = jiff::Error;

    fn try_from(record: AccountV3) -> Result<Self, jiff::Error> {
        let AccountV3 { second, owner } = record;
        let AccountV2 { first, id, expires, quota, quota_period, quota_action, quota_rate } = second;
        let allowance = Allowance {
            expires: expires.map(Timestamp::from_second).transpose()?,
            quota,
            period: quota_period,
            action: quota_action,
            rate: quota_rate,
        };
        Ok(Self {
            name: first.name,
            server: first.server,
            enabled: first.enabled,
            username: first.username,
            password: first.password,
            address: first.address,
            address_ipv6: first.address_ipv6,
            private_key: first.private_key,
            public_key: first.public_key,
            b_download: first.b_download,
            b_upload: first.b_upload,
            mark: first.mark,
            id,
            allowance,
            owner,
        })
    }
}

impl From<&Account> for AccountV1 {
    fn from(account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            server: account.server.clone(),
            enabled: account.enabled,
            username: account.username.clone(),
            password: account.password.clone(),
            address: account.address,
            address_ipv6: account.address_ipv6,
            private_key: account.private_key.clone(),
            public_key: account.public_key,
            b_download: account.b_download,
            b_upload: account.b_upload,
            mark: account.mark,
        }
    }
}

/// The firewall's settings.
#[derive(Serialize, Deserialize)]
pub(super) struct FirewallV1 {
    internal_traffic: bool,
    ip_forward: bool,
    policy_input: Action,
    policy_forward: Action,
    policy_output: Action,
}

impl From<&FirewallSettings> for FirewallV1 {
    fn from(settings: &FirewallSettings) -> Self {
        let FirewallSettings { internal_traffic, ip_forward, policy_input, policy_forward, policy_output } = *settings;
        Self { internal_traffic, ip_forward, policy_input, policy_forward, policy_output }
    }
}

impl From<FirewallV1> for FirewallSettings {
    fn from(record: FirewallV1) -> Self {
        let FirewallV1 { internal_traffic, ip_forward, policy_input, policy_forward, policy_output } = record;
        Self { internal_traffic, ip_forward, policy_input, policy_forward, policy_output }
    }
}

/// A firewall rule, and its place among the others: below 0 before the rule that keeps the API reachable, above 0 after.
#[derive(Serialize, Deserialize)]
pub(super) struct FilterRuleV1 {
    place: i64,
    name: RuleName,
    action: Action,
    chain: Chain,
    protocol: RuleProtocol,
    source: IpNet,
    source_port: u16,
    destination: IpNet,
    destination_port: u16,
}

impl FilterRuleV1 {
    /// `rule` at `place`.
    pub(super) fn new(place: i64, rule: &FilterRule) -> Self {
        Self {
            place,
            name: rule.name.clone(),
            action: rule.action,
            chain: rule.chain,
            protocol: rule.protocol,
            source: rule.source,
            source_port: rule.source_port,
            destination: rule.destination,
            destination_port: rule.destination_port,
        }
    }
}

impl From<FilterRuleV1> for (i64, FilterRule) {
    fn from(record: FilterRuleV1) -> Self {
        let rule = FilterRule {
            name: record.name,
            action: record.action,
            chain: record.chain,
            protocol: record.protocol,
            source: record.source,
            source_port: record.source_port,
            destination: record.destination,
            destination_port: record.destination_port,
        };
        (record.place, rule)
    }
}

/// A port forward of a server.
#[derive(Serialize, Deserialize)]
pub(super) struct PortForwardV1 {
    server: ServerName,
    port: u16,
    protocol: Transport,
    to_peer: AccountName,
    to_port: u16,
}

impl PortForwardV1 {
    /// `forward` of `server`.
    pub(super) fn new(server: &ServerName, forward: &PortForward) -> Self {
        Self {
            server: server.clone(),
            port: forward.outer.port,
            protocol: forward.outer.protocol,
            to_peer: forward.to_peer.clone(),
            to_port: forward.to_port,
        }
    }
}

impl From<PortForwardV1> for (ServerName, PortForward) {
    fn from(record: PortForwardV1) -> Self {
        let outer = OuterPort { port: record.port, protocol: record.protocol };
        (record.server, PortForward { outer, to_peer: record.to_peer, to_port: record.to_port })
    }
}

/// What an account has moved on a day: hour, down and up.
#[derive(Serialize, Deserialize)]
pub(super) struct HoursV1(Vec<(u8, u64, u64)>);

impl From<&BTreeMap<u8, Bytes>> for HoursV1 {
    fn from(hours: &BTreeMap<u8, Bytes>) -> Self {
        Self(hours.iter().map(|(hour, bytes)| (*hour, bytes.down, bytes.up)).collect())
    }
}

impl From<HoursV1> for BTreeMap<u8, Bytes> {
    fn from(record: HoursV1) -> Self {
        record.0.into_iter().map(|(hour, down, up)| (hour, Bytes { down, up })).collect()
    }
}

/// What is set of the appliance as a whole.
#[derive(Serialize, Deserialize)]
pub(super) struct SystemV1 {
    traffic_statistics_frequency: u32,
    traffic_statistics_history: u32,
    wireguard_handshake_uptime: u32,
}

impl From<&SystemConfig> for SystemV1 {
    fn from(config: &SystemConfig) -> Self {
        let SystemConfig { traffic_statistics_frequency, traffic_statistics_history, wireguard_handshake_uptime } =
            *config;
        Self { traffic_statistics_frequency, traffic_statistics_history, wireguard_handshake_uptime }
    }
}

impl From<SystemV1> for SystemConfig {
    fn from(record: SystemV1) -> Self {
        let SystemV1 { traffic_statistics_frequency, traffic_statistics_history, wireguard_handshake_uptime } = record;
        Self { traffic_statistics_frequency, traffic_statistics_history, wireguard_handshake_uptime }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;
    use crate::domain::fixture::house;

    #[test]
    fn brings_back_servers_and_accounts_as_they_were() {
        let house = house();
        let server = house.server("Default_1").unwrap().server.as_ref();
        let bytes = encode(&ServerV2::from(server)).unwrap();
        assert_eq!(&Server::from(decode::<ServerV2>(&bytes).unwrap()), server);

        let account = house.account("peer_1").unwrap().as_ref();
        let bytes = encode(&AccountV3::from(account)).unwrap();
        assert_eq!(&Account::try_from(decode::<AccountV3>(&bytes).unwrap()).unwrap(), account);
    }

    #[test]
    fn brings_back_a_server_that_version_1_wrote_without_limits() {
        let house = house();
        let server = house.server("Default_1").unwrap().server.as_ref();
        let limited = Server { limit_upload: Mbps::new(7).unwrap(), ..server.clone() };
        let bytes = encode(&ServerV2::from(&limited)).unwrap();
        assert_eq!(Server::from(decode::<ServerV2>(&bytes).unwrap()), limited);
        let bytes = encode(&ServerV1::from(&limited)).unwrap();
        assert_eq!(&Server::from(decode::<ServerV2>(&bytes).unwrap()), server);
    }

    /// As with an account: a release writes these bytes, so this text never changes.
    #[test]
    fn writes_version_1_of_a_rule_a_forward_and_the_settings_as_ever() {
        let rule = FilterRule { action: Action::Drop, chain: Chain::Forward, ..FilterRule::system(80) };
        let bytes = encode(&FilterRuleV1::new(-1, &rule)).unwrap();
        assert_eq!(bytes, b"\x01\x01\x0fsystem_PUQVPNCP\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x50");
        assert_eq!(<(i64, FilterRule)>::from(decode::<FilterRuleV1>(&bytes).unwrap()), (-1, rule));

        let outer = OuterPort { port: 53, protocol: Transport::Udp };
        let forward = PortForward { outer, to_peer: AccountName::parse("b").unwrap(), to_port: 5 };
        let server = ServerName::parse("a").unwrap();
        let bytes = encode(&PortForwardV1::new(&server, &forward)).unwrap();
        assert_eq!(bytes, b"\x01\x01a\x35\x01\x01b\x05");
        assert_eq!(<(ServerName, PortForward)>::from(decode::<PortForwardV1>(&bytes).unwrap()), (server, forward));

        let settings = FirewallSettings { policy_output: Action::Drop, ..FirewallSettings::default() };
        let bytes = encode(&FirewallV1::from(&settings)).unwrap();
        assert_eq!(bytes, b"\x01\x01\x01\0\0\x01");
        assert_eq!(FirewallSettings::from(decode::<FirewallV1>(&bytes).unwrap()), settings);
    }

    #[test]
    fn brings_back_what_an_account_may_and_gives_one_of_version_1_an_identity_that_stays() {
        let house = house();
        let allowance = Allowance {
            expires: Some(Timestamp::from_second(1_800_000_000).unwrap()),
            quota: 5_000_000_000,
            period: QuotaPeriod::Week,
            action: QuotaAction::Throttle,
            rate: Mbps::new(3).unwrap(),
        };
        let account = Account { allowance, ..house.account("peer_1").unwrap().as_ref().clone() };

        let bytes = encode(&AccountV2::from(&account)).unwrap();
        let older = encode(&AccountV1::from(&account)).unwrap();
        let owned = Account { owner: Some(UserName::parse("r").unwrap()), ..account.clone() };
        let newer = encode(&AccountV3::from(&owned)).unwrap();

        assert_eq!(Account::try_from(decode::<AccountV3>(&bytes).unwrap()).unwrap(), account, "version 2 has no owner");
        assert_eq!(Account::try_from(decode::<AccountV3>(&newer).unwrap()).unwrap(), owned);
        let read = || Account::try_from(decode::<AccountV3>(&older).unwrap()).unwrap();
        assert_eq!(read().allowance, Allowance::default());
        assert_eq!(read().id, read().id);
        assert_ne!(read().id, AccountId::default());
    }

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn writes_version_1_of_an_account_as_ever() {
        let house = house();
        let bytes = encode(&AccountV1::from(house.account("peer_1").unwrap().as_ref())).unwrap();
        assert!(bytes.starts_with(b"\x01\x06peer_1\x09Default_1\x01\x06user_1\x0a"), "{bytes:02x?}");
        let addresses = b"\x0a\0\0\x02\x01\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x01";
        assert!(bytes.windows(addresses.len()).any(|window| window == addresses), "{bytes:02x?}");
    }
}
