//! `wireguard_*` and `server_*`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::{self, AccountView};
use super::{DONE, Named, text};
use crate::domain::access::{Caller, Right};
use crate::domain::figures::OnlinePeer;
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::server::{Server, ServerDraft};
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number, rate};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// Lists the servers, by name.
pub(crate) async fn list(State(services): State<Services>, caller: Caller) -> Answer<BTreeMap<String, ServerShown>> {
    let servers = services.servers.list();
    let shown = |server: &Arc<Server>| (server.name.to_string(), ServerShown::new(server, &caller));
    Ok(Success(servers.iter().map(shown).collect()))
}

/// Adds a server.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<ServerView> {
    let server = services.servers.add(&caller, draft(&fields)).await?;
    Ok(Success(ServerView::from(&*server)))
}

/// Shows a server.
pub(crate) async fn detail(State(services): State<Services>, caller: Caller, Named(name): Named) -> Answer<ServerView> {
    let server = services.servers.detail(&name)?;
    Ok(Success(ServerView::new(&server, &caller)))
}

/// Changes what the form names of a server.
pub(crate) async fn edit(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<ServerView> {
    let server = services.servers.edit(&caller, &name, draft(&fields)).await?;
    Ok(Success(ServerView::from(&*server)))
}

/// Deletes a server that has no accounts.
pub(crate) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.servers.delete(&caller, &name).await?;
    Ok(Success(DONE))
}

/// Lists a server's accounts, by name.
pub(crate) async fn peers(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<BTreeMap<String, AccountView>> {
    let accounts = services.servers.peers(&caller, &name)?;
    let names = accounts.iter().map(|account| account.name.to_string());
    Ok(Success(names.zip(accounts::views(&services, &accounts).await).collect()))
}

/// Shows a server's port and key.
pub(crate) async fn dump(State(services): State<Services>, Named(name): Named) -> Answer<DumpView> {
    let dump = services.servers.dump(&name)?;
    Ok(Success(DumpView { port: dump.port, public_key: dump.public_key }))
}

/// Lists the addresses that a new account of a server could have.
pub(crate) async fn available_ips(State(services): State<Services>, Named(name): Named) -> Answer<Vec<Ipv4Addr>> {
    let addresses = services.servers.available_ips(&name)?;
    Ok(Success(addresses))
}

/// Sets the bandwidth of all of a server's accounts: the form's, or where it has none the server's own.
pub(crate) async fn set_bandwidth(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<&'static str> {
    let (down, up) = (fields.text("b_download"), fields.text("b_upload"));
    services.servers.set_bandwidth(&caller, &name, down, up).await?;
    Ok(Success(""))
}

/// Shows what a server translates, in the manner of `iptables`.
pub(crate) async fn nat_rules(State(services): State<Services>, Named(name): Named) -> Answer<String> {
    let report = services.servers.traffic(&name).await?;
    Ok(Success(text::nat_rules(&report.server, &report.traffic)))
}

/// Shows what passes between a server's clients, in the manner of `iptables`.
pub(crate) async fn filter_rules(State(services): State<Services>, Named(name): Named) -> Answer<String> {
    let report = services.servers.traffic(&name).await?;
    Ok(Success(text::filter_rules(&report.server, report.lets_internal_traffic, &report.traffic)))
}

/// Shows what a server's shaper does, in the manner of `tc -s qdisc`.
pub(crate) async fn traffic_control(State(services): State<Services>, Named(name): Named) -> Answer<String> {
    let report = services.servers.traffic(&name).await?;
    Ok(Success(text::server_lanes(&report.server, report.uplink, &report.traffic)))
}

/// Lists the accounts that are connected now.
pub(crate) async fn online(State(services): State<Services>, caller: Caller) -> Answer<Vec<OnlineView>> {
    let online = services.servers.online(&caller).await;
    Ok(Success(online.iter().map(OnlineView::from).collect()))
}

/// What a form says.
pub(in crate::http) fn draft(fields: &Fields) -> ServerDraft {
    ServerDraft {
        name: fields.text("name"),
        private_key: fields.key("private_key"),
        public_key: fields.key("public_key"),
        interface_name: fields.text("interface_name"),
        listen_port: fields.text("listen_port"),
        mtu: fields.text("mtu"),
        keep_alive: fields.text("keep_alive"),
        allowed_ips: fields.text("allowed_ips"),
        endpoint: fields.text("endpoint"),
        address: fields.text("address"),
        internal_traffic: fields.text("internal_traffic"),
        external_ip: fields.text("external_ip"),
        dns_1: fields.text("dns_1"),
        dns_2: fields.text("dns_2"),
        ipv6: fields.text("ipv6"),
        address_ipv6: fields.text("address_ipv6"),
        dns_1_ipv6: fields.text("dns_1_ipv6"),
        dns_2_ipv6: fields.text("dns_2_ipv6"),
        b_download: fields.text("b_download"),
        b_upload: fields.text("b_upload"),
        ikev2: fields.text("ikev2"),
        disable_nat: fields.text("disable_nat"),
        limit_download: fields.text("limit_download"),
        limit_upload: fields.text("limit_upload"),
    }
}

/// A server as clients read it. Where the contract's example quotes a number, it is text here.
#[derive(Serialize, ToSchema)]
#[schema(as = Server)]
pub(crate) struct ServerView {
    address: String,
    /// Beyond the examples: the server's own IPv6 address with its network's prefix length.
    address_ipv6: String,
    /// Beyond the examples: what clients route into the tunnel, separated by commas; "" for everything.
    allowed_ips: String,
    b_download: String,
    b_upload: String,
    /// Beyond the contract: whether clients' packets leave with their own source address.
    disable_nat: bool,
    dns_1: String,
    /// Beyond the examples: "" for none.
    dns_1_ipv6: String,
    dns_2: String,
    /// Beyond the examples: "" for none.
    dns_2_ipv6: String,
    /// Beyond the examples: what clients connect to; "" where that is `external_ip`.
    endpoint: String,
    external_ip: String,
    ikev2: bool,
    interface_name: String,
    internal_traffic: bool,
    /// Beyond the examples: whether clients get IPv6 addresses too.
    ipv6: bool,
    keep_alive: u32,
    /// Beyond the contract: Mbit/s towards all its clients together, "0" for no limit.
    limit_download: String,
    /// Beyond the contract: Mbit/s from all its clients together, "0" for no limit.
    limit_upload: String,
    listen_port: String,
    /// Beyond the examples: the largest inner packet, in bytes.
    mtu: u16,
    name: String,
    private_key: String,
    public_key: String,
}

impl From<&Server> for ServerView {
    fn from(server: &Server) -> Self {
        let allowed: Vec<_> = server.allowed_ips.iter().map(ToString::to_string).collect();
        Self {
            address: server.address.to_string(),
            address_ipv6: server.address_ipv6.to_string(),
            allowed_ips: allowed.join(", "),
            b_download: server.b_download.to_string(),
            b_upload: server.b_upload.to_string(),
            disable_nat: server.disable_nat,
            dns_1: server.dns_1.to_string(),
            dns_1_ipv6: server.dns_1_ipv6.map_or_else(String::new, |address| address.to_string()),
            dns_2: server.dns_2.to_string(),
            dns_2_ipv6: server.dns_2_ipv6.map_or_else(String::new, |address| address.to_string()),
            endpoint: server.endpoint.clone().unwrap_or_default(),
            external_ip: server.external_ip.to_string(),
            ikev2: server.ikev2,
            interface_name: server.interface.to_string(),
            internal_traffic: server.internal_traffic,
            ipv6: server.ipv6,
            keep_alive: server.keep_alive,
            limit_download: server.limit_download.to_string(),
            limit_upload: server.limit_upload.to_string(),
            listen_port: server.listen_port.to_string(),
            mtu: server.mtu,
            name: server.name.to_string(),
            private_key: server.private_key.to_base64(),
            public_key: server.public_key.to_string(),
        }
    }
}

impl ServerView {
    /// A server as this caller may see it.
    fn new(server: &Server, caller: &Caller) -> Self {
        let mut view = Self::from(server);
        if !caller.authority.sees_secrets() {
            view.private_key.clear();
        }
        view
    }
}

/// A server in the list of all.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum ServerShown {
    /// To whoever sees what the appliance is set to.
    Whole(Box<ServerView>),
    /// To a reseller: what it needs to add an account.
    Name {
        /// The server's name.
        name: String,
    },
}

impl ServerShown {
    fn new(server: &Server, caller: &Caller) -> Self {
        if caller.authority.has(Right::See) {
            Self::Whole(Box::new(ServerView::new(server, caller)))
        } else {
            Self::Name { name: server.name.to_string() }
        }
    }
}

/// A server's port and key.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerTunnel)]
pub(crate) struct DumpView {
    port: String,
    public_key: String,
}

/// An account that is connected now.
#[derive(Serialize, ToSchema)]
#[schema(as = WireguardOnline)]
pub(crate) struct OnlineView {
    #[serde(rename = "allowed_IPs")]
    allowed_ips: String,
    b_download: String,
    b_upload: String,
    endpoint: String,
    latest_handshake: String,
    name: String,
    status: &'static str,
    transfer_rx: String,
    transfer_tx: String,
    username: String,
    wg_name: String,
}

impl From<&OnlinePeer> for OnlineView {
    fn from(peer: &OnlinePeer) -> Self {
        let account = &peer.account;
        Self {
            allowed_ips: account.address.to_string(),
            b_download: account.b_download.to_string(),
            b_upload: account.b_upload.to_string(),
            endpoint: peer.endpoint.clone(),
            latest_handshake: peer.latest_handshake.clone(),
            name: account.name.to_string(),
            status: accounts::status(account),
            transfer_rx: peer.transfer_rx.clone(),
            transfer_tx: peer.transfer_tx.clone(),
            username: account.username.to_string(),
            wg_name: account.server.to_string(),
        }
    }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let found = || [Refusal::ServerNotFound];
    let settled = [
        Refusal::InterfaceMalformed,
        Refusal::NameMalformed,
        Refusal::NameTaken,
        Refusal::KeysInvalid,
        Refusal::InterfaceTaken,
        Refusal::PortTaken,
        Refusal::PortMalformed,
        Refusal::ExternalIpMalformed,
        Refusal::SubnetTaken,
        Refusal::Dns1Malformed,
        Refusal::Dns2Malformed,
    ];
    let bandwidth = [
        rate("b_download", "Mbit/s towards each; 0 for no limit.").such_as("100"),
        rate("b_upload", "Mbit/s from each; 0 for no limit.").such_as("20"),
    ];
    let read_outs = [
        ("server_nat_rules", "Shows what it translates", "Lines as iptables has."),
        ("server_filter_rules", "Shows what passes between its clients", "Lines as iptables has."),
        ("server_traffic_control", "Shows what its shaper does", "Lines as tc has."),
    ];
    let read_outs = read_outs.map(|(id, about, lines)| Operation::new(id, about, Shape::text(lines)).refuses(found()));
    let operations = [
        Operation::new("wireguard_list", "Lists the servers by name", Shape::by_name::<ServerView>()),
        Operation::new("wireguard_add", "Adds a server", Shape::of::<ServerView>())
            .about("Every field may be absent: what is not given is chosen.")
            .form(form())
            .refuses(settled.clone()),
        Operation::new("wireguard_detail", "Shows a server", Shape::of::<ServerView>()).refuses(found()),
        Operation::new("wireguard_edit", "Changes what the form names", Shape::of::<ServerView>())
            .about("Its name, its interface and its keys stay, whatever the form says.")
            .form(form())
            .refuses(found())
            .refuses(settled),
        Operation::new("wireguard_delete", "Deletes a server without accounts", Shape::done())
            .refuses([Refusal::ServerNotFound, Refusal::ServerHasPeers]),
        Operation::new("wireguard_peers", "Lists its accounts by name", Shape::by_name::<AccountView>())
            .refuses(found()),
        Operation::new("wireguard_online", "Lists who is connected", Shape::list_of::<OnlineView>()),
        Operation::new("server_available_ips", "Lists addresses that are free", Shape::texts("IPv4 addresses."))
            .refuses(found()),
        Operation::new("server_set_bandwidth", "Sets the bandwidth of all its accounts", Shape::nothing())
            .about("Without fields each gets the server's own.")
            .form(bandwidth)
            .refuses(found()),
        Operation::new("server_dump", "Shows its port and key", Shape::of::<DumpView>()).refuses(found()),
    ];
    Group {
        name: "Servers",
        about: "WireGuard servers: a port, a key and a network each.",
        named: ("The server's name.", "Default_1"),
        operations: operations.into_iter().chain(read_outs).collect(),
    }
}

/// The form of a server.
fn form() -> [Field; 24] {
    [
        Field::new("name", Kind::Name, "Its name."),
        Field::new("private_key", Kind::Key, "Its private key."),
        Field::new("public_key", Kind::Key, "Its public key, which belongs to the private key."),
        Field::new("interface_name", Kind::Interface, "The name of its network interface."),
        number("listen_port", limits::LISTEN_PORT_FIRST..=u16::MAX, "The UDP port on which it listens.")
            .such_as("51821"),
        number(
            "mtu",
            0..=limits::MTU_MAX,
            "The largest inner packet, in bytes; 0 for the default. At least 576, with IPv6 1280.",
        ),
        number("keep_alive", 0..=limits::KEEP_ALIVE_MAX, "Its clients' persistent keepalive, in seconds."),
        Field::new("allowed_ips", Kind::Networks, "What clients route into the tunnel; empty for everything."),
        Field::new("endpoint", Kind::Host, "What clients connect to; empty for external_ip."),
        Field::new("address", Kind::Cidr, "Its own address, with its network's prefix length."),
        flag("internal_traffic", "Whether its clients reach one another."),
        Field::new("external_ip", Kind::Ip, "The address by which the internet reaches it."),
        Field::new("dns_1", Kind::Ipv4, "Its clients' first DNS server.").such_as("9.9.9.9"),
        Field::new("dns_2", Kind::Ipv4, "Its clients' second DNS server."),
        flag("ipv6", "Whether its clients get IPv6 addresses too.").such_as("1"),
        Field::new("address_ipv6", Kind::Cidr, "Its own IPv6 address, with its network's prefix length."),
        Field::new("dns_1_ipv6", Kind::Ipv6, "As dns_1, over IPv6; empty for none."),
        Field::new("dns_2_ipv6", Kind::Ipv6, "As dns_2, over IPv6; empty for none."),
        rate("b_download", "Mbit/s towards a new account; 0 for no limit."),
        rate("b_upload", "Mbit/s from a new account; 0 for no limit."),
        flag("ikev2", "Whether its accounts may connect by IKEv2."),
        flag("disable_nat", "Whether packets leave with the clients' own addresses."),
        rate("limit_download", "Mbit/s towards all its clients together; 0 for no limit."),
        rate("limit_upload", "Mbit/s from all its clients together; 0 for no limit."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    #[test]
    fn shows_an_online_account_with_the_contracts_keys_and_types() {
        let account = house().account("peer_1").unwrap().clone();
        let peer = OnlinePeer {
            account,
            endpoint: "79.184.218.180:47471".into(),
            latest_handshake: "2022-12-12 13:02:01".into(),
            transfer_rx: "3892".into(),
            transfer_tx: "2972".into(),
        };

        let shown = serde_json::to_string(&OnlineView::from(&peer)).unwrap();

        assert_eq!(
            shown,
            r#"{"allowed_IPs":"10.0.0.2","b_download":"0","b_upload":"0","endpoint":"79.184.218.180:47471","latest_handshake":"2022-12-12 13:02:01","name":"peer_1","status":"enable","transfer_rx":"3892","transfer_tx":"2972","username":"user_1","wg_name":"Default_1"}"#
        );
    }
}
