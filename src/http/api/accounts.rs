//! `account_*`.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named, text};
use crate::domain::access::Caller;
use crate::domain::account::allowance::{QuotaAction, QuotaPeriod};
use crate::domain::account::{Account, AccountDraft, Allowance};
use crate::domain::figures::{AccountDump, Connection};
use crate::domain::key::PrivateKey;
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::restriction::Restriction;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, number, rate, text, words};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::traffic::Standing;
use crate::services::{Services, System};

/// Lists all accounts.
pub(crate) async fn list(State(services): State<Services>, caller: Caller) -> Answer<Vec<AccountView>> {
    let accounts = services.accounts.list(&caller);
    Ok(Success(views(&services, &accounts).await))
}

/// Adds an account to a server.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<AccountView> {
    let account = services.accounts.add(&caller, new_draft(&fields)).await?;
    Ok(Success(view(&services, &account).await))
}

/// Shows an account.
pub(crate) async fn detail(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<AccountView> {
    let account = services.accounts.detail(&caller, &name)?;
    Ok(Success(view(&services, &account).await))
}

/// Changes what the form names of an account.
pub(crate) async fn edit(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<AccountView> {
    let account = services.accounts.edit(&caller, &name, draft(&fields)).await?;
    Ok(Success(view(&services, &account).await))
}

/// Deletes an account.
pub(crate) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.accounts.delete(&caller, &name).await?;
    Ok(Success(DONE))
}

/// Shows the client's file.
pub(crate) async fn config_text(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<String> {
    let text = services.accounts.config_text(&caller, &name)?;
    Ok(Success(text))
}

/// Draws the client's file as a QR code: base64 of a PNG, with nothing before it.
pub(crate) async fn config_qr(State(services): State<Services>, caller: Caller, Named(name): Named) -> Answer<String> {
    let png = services.accounts.config_qr(&caller, &name)?;
    Ok(Success(STANDARD.encode(png)))
}

/// Draws the client's file as a QR code of letters, for a terminal.
pub(crate) async fn config_qr_text(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<String> {
    let text = services.accounts.config_qr_text(&caller, &name)?;
    Ok(Success(text))
}

/// Shows an account's tunnel.
pub(crate) async fn dump(State(services): State<Services>, caller: Caller, Named(name): Named) -> Answer<DumpView> {
    let dump = services.accounts.dump(&caller, &name).await?;
    Ok(Success(dump.into()))
}

/// Shows what an account's mark has counted, in the manner of `iptables`.
pub(crate) async fn mangle_rules(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<String> {
    let report = services.accounts.traffic(&caller, &name).await?;
    Ok(Success(text::mark_rules(&report.account, &report.traffic)))
}

/// Shows what an account's shaper does, in the manner of `tc -s class`.
pub(crate) async fn traffic_control(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<String> {
    let report = services.accounts.traffic(&caller, &name).await?;
    Ok(Success(text::account_lanes(&report.account, &report.server, report.uplink, &report.traffic)))
}

/// Lists an account's open flows, oldest first.
pub(crate) async fn connections(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<Vec<ConnectionView>> {
    let connections = services.accounts.connections(&caller, &name).await?;
    Ok(Success(connections.iter().map(ConnectionView::from).collect()))
}

/// What a form says.
pub(in crate::http) fn draft(fields: &Fields) -> AccountDraft {
    AccountDraft {
        wg_name: fields.text("wg_name"),
        status: fields.text("status"),
        password: fields.text("password"),
        allowed_ips: fields.text("allowed_IPs"),
        allowed_ips_ipv6: fields.text("allowed_IPs_ipv6"),
        b_download: fields.text("b_download"),
        b_upload: fields.text("b_upload"),
        expires: fields.text("expires"),
        quota: fields.text("quota"),
        quota_period: fields.text("quota_period"),
        quota_action: fields.text("quota_action"),
        quota_rate: fields.text("quota_rate"),
        owner: fields.text("owner"),
        ..AccountDraft::default()
    }
}

/// What a form says of an account that does not exist yet: also what cannot be changed later.
pub(in crate::http) fn new_draft(fields: &Fields) -> AccountDraft {
    AccountDraft {
        name: fields.text("name"),
        username: fields.text("username"),
        private_key: fields.key("private_key"),
        public_key: fields.key("public_key"),
        ..draft(fields)
    }
}

/// Accounts as they stand now.
pub(super) async fn views(services: &Services, accounts: &[Arc<Account>]) -> Vec<AccountView> {
    let standings = services.traffic.standings().await;
    let shown = |account: &Arc<Account>| AccountView::new(account, standings.of(account), &services.system);
    accounts.iter().map(shown).collect()
}

async fn view(services: &Services, account: &Account) -> AccountView {
    let standing = services.traffic.standings().await.of(account);
    AccountView::new(account, standing, &services.system)
}

/// How an account really is, whatever the operator has set.
fn state(account: &Account, standing: Standing) -> &'static str {
    match standing.restriction {
        _ if !account.enabled => "disabled",
        None => "active",
        Some(Restriction::Expired) => "expired",
        Some(Restriction::OverQuota) => "over_quota",
        Some(Restriction::Throttled(_)) => "throttled",
    }
}

/// The contract's word for whether an account may connect.
pub(super) fn status(account: &Account) -> &'static str {
    if account.enabled { "enable" } else { "disable" }
}

/// An account as clients read it. Where the contract's example quotes a number, it is text here.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    #[serde(rename = "allowed_IPs")]
    allowed_ips: String,
    /// Beyond the examples: the inner IPv6 address; "" for none.
    #[serde(rename = "allowed_IPs_ipv6")]
    allowed_ips_ipv6: String,
    b_download: String,
    b_upload: String,
    mangle: String,
    name: String,
    password: String,
    /// "" where the client keeps it to itself.
    private_key: String,
    public_key: String,
    status: &'static str,
    username: String,
    wg_name: String,
    /// Beyond the contract: `active`, `disabled`, `expired`, `over_quota` or `throttled`.
    state: &'static str,
    /// Beyond the contract: the reseller whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Beyond the contract: when it ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Beyond the contract: what it may move.
    #[serde(flatten)]
    #[schema(inline)]
    quota: Option<QuotaView>,
}

/// What an account may move, where that has an end. Numbers are text, as the other limits of an account are.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountQuota)]
struct QuotaView {
    quota: String,
    quota_period: &'static str,
    quota_action: &'static str,
    quota_rate: String,
    /// What of it is used up in the present period.
    quota_used: String,
}

impl AccountView {
    fn new(account: &Account, standing: Standing, system: &System) -> Self {
        let Allowance { expires, quota, period, action, rate } = account.allowance;
        let quota = (quota > 0).then(|| QuotaView {
            quota: quota.to_string(),
            quota_period: period.word(),
            quota_action: action.word(),
            quota_rate: rate.to_string(),
            quota_used: standing.used.to_string(),
        });
        Self {
            state: state(account, standing),
            owner: account.owner.as_ref().map(ToString::to_string),
            expires: expires.map(|end| system.local_time(end)),
            quota,
            allowed_ips: account.address.to_string(),
            allowed_ips_ipv6: account.address_ipv6.map_or_else(String::new, |address| address.to_string()),
            b_download: account.b_download.to_string(),
            b_upload: account.b_upload.to_string(),
            mangle: account.mark.to_string(),
            name: account.name.to_string(),
            password: account.password.reveal().to_owned(),
            private_key: account.private_key.as_ref().map_or_else(String::new, PrivateKey::to_base64),
            public_key: account.public_key.to_string(),
            status: status(account),
            username: account.username.to_string(),
            wg_name: account.server.to_string(),
        }
    }
}

/// An account's tunnel.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountTunnel)]
pub(crate) struct DumpView {
    allowed_ips: String,
    endpoint: String,
    keepalive: String,
    latest_handshake: String,
    transfer_rx: String,
    transfer_tx: String,
}

impl From<AccountDump> for DumpView {
    fn from(dump: AccountDump) -> Self {
        Self {
            allowed_ips: dump.allowed_ips,
            endpoint: dump.endpoint,
            keepalive: dump.keepalive,
            latest_handshake: dump.latest_handshake,
            transfer_rx: dump.transfer_rx,
            transfer_tx: dump.transfer_tx,
        }
    }
}

/// An open flow, wholly beyond the contract.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionView {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, or the protocol's number as text.
    protocol: String,
    /// Who opened it: address and port.
    source: String,
    /// What for.
    destination: String,
    /// Where answers come from.
    reply_source: String,
    /// Where answers go to before they are translated back.
    reply_destination: String,
    state: &'static str,
    /// Seconds since it was opened.
    age: u64,
    /// From who opened it.
    packets_up: u64,
    bytes_up: u64,
    /// To who opened it.
    packets_down: u64,
    bytes_down: u64,
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        Self {
            protocol: text::protocol(connection.protocol),
            source: connection.source.to_string(),
            destination: connection.destination.to_string(),
            reply_source: connection.reply_source.to_string(),
            reply_destination: connection.reply_destination.to_string(),
            state: connection.state,
            age: connection.age.as_secs(),
            packets_up: connection.up.packets,
            bytes_up: connection.up.bytes,
            packets_down: connection.down.packets,
            bytes_down: connection.down.bytes,
        }
    }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let found = || [Refusal::AccountNotFound];
    Group {
        name: "Accounts",
        about: "Who may connect: a WireGuard peer and an IKEv2 user in one.",
        named: ("The account's name.", "peer_1"),
        operations: vec![
            Operation::new("account_list", "Lists all accounts", Shape::list_of::<AccountView>()),
            Operation::new("account_add", "Adds an account to a server", Shape::of::<AccountView>())
                .about("What is not given is chosen: the next free address, fresh keys, a password.")
                .form(identity())
                .form(form())
                .refuses([
                    Refusal::AccountLimitExceeded,
                    Refusal::ServerNotValid,
                    Refusal::NameMalformed,
                    Refusal::NameTaken,
                    Refusal::UsernameTaken,
                    Refusal::UsernameMalformed,
                    Refusal::AddressMalformed,
                    Refusal::AddressTaken,
                    Refusal::AddressOutOfRange,
                    Refusal::PoolExhausted,
                    Refusal::KeysInvalid,
                    Refusal::UserNotFound,
                ]),
            Operation::new("account_detail", "Shows an account", Shape::of::<AccountView>()).refuses(found()),
            Operation::new("account_edit", "Changes what the form names", Shape::of::<AccountView>())
                .about(
                    "Its name, its username, its keys and its server stay, whatever the form says. No session drops.",
                )
                .form([server()])
                .form(form())
                .refuses([
                    Refusal::AccountNotFound,
                    Refusal::ServerNotValid,
                    Refusal::ExternalIpMalformed,
                    Refusal::AddressTaken,
                    Refusal::AddressOutOfRange,
                    Refusal::UserNotFound,
                ]),
            Operation::new("account_delete", "Deletes an account", Shape::done()).refuses(found()),
            Operation::new("account_config_text", "Shows the client's file", Shape::text("A file of wg-quick."))
                .refuses(found()),
            Operation::new("account_config_qr", "Draws that file as a QR code", Shape::text("A PNG in base64."))
                .refuses(found()),
            Operation::new("account_dump", "Shows the account's tunnel", Shape::of::<DumpView>()).refuses(found()),
            Operation::new(
                "account_mangle_rules",
                "Shows what its mark has counted",
                Shape::text("Lines as iptables has."),
            )
            .refuses(found()),
            Operation::new("account_traffic_control", "Shows what its shaper does", Shape::text("Lines as tc has."))
                .refuses(found()),
            Operation::new("account_connections", "Lists its open flows", Shape::list_of::<ConnectionView>())
                .about("The oldest first.")
                .refuses(found()),
            Operation::new(
                "local_account_config_qr_text",
                "Draws the client's file for a terminal",
                Shape::text("Lines."),
            )
            .refuses(found()),
        ],
    }
}

/// What a new account is given for good.
fn identity() -> [Field; 5] {
    [
        server().required().such_as("Default_1"),
        Field::new("name", Kind::Name, "Its name, unique over all servers."),
        Field::new("username", Kind::Name, "Its name for IKEv2, unique over all servers."),
        Field::new("private_key", Kind::Key, "Its private key."),
        Field::new("public_key", Kind::Key, "Its public key; alone, the client keeps the private key to itself."),
    ]
}

fn server() -> Field {
    Field::new("wg_name", Kind::Name, "The server that it belongs to.")
}

/// What can be changed of an account.
fn form() -> [Field; 12] {
    [
        words("status", ["enable", "disable"], "Whether it may connect.").such_as("enable"),
        text("password", limits::PASSWORD_MAX, "Its password for IKEv2."),
        Field::new("allowed_IPs", Kind::Ipv4, "Its address within the server's network."),
        Field::new("allowed_IPs_ipv6", Kind::Ipv6, "Its IPv6 address within the server's network."),
        rate("b_download", "Mbit/s towards it; 0 for no limit.").such_as("100"),
        rate("b_upload", "Mbit/s from it; 0 for no limit.").such_as("20"),
        Field::new("expires", Kind::Moment, "When it ends. A time without an offset is of the appliance's zone."),
        Field::new("quota", Kind::Amount, "What it may move, both directions together; 0 for no quota."),
        Field::new(
            "quota_period",
            Kind::Words(QuotaPeriod::ALL.map(QuotaPeriod::word).into()),
            "For how long that counts.",
        ),
        Field::new(
            "quota_action",
            Kind::Words(QuotaAction::ALL.map(QuotaAction::word).into()),
            "What happens when it is used up.",
        ),
        number("quota_rate", 1..=limits::RATE_MAX, "Mbit/s of an account that is slowed down."),
        Field::new("owner", Kind::Name, "The reseller whose it is; empty for nobody's. An admin says so, nobody else."),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::figures::Counter;

    #[test]
    fn shows_an_open_flow_with_both_tuples() {
        let connection = Connection {
            protocol: 6,
            source: "10.0.0.2:51000".parse().unwrap(),
            destination: "198.51.100.1:443".parse().unwrap(),
            reply_source: "198.51.100.1:443".parse().unwrap(),
            reply_destination: "192.0.2.1:20000".parse().unwrap(),
            state: "established",
            age: Duration::from_millis(61_900),
            up: Counter { packets: 1, bytes: 2 },
            down: Counter { packets: 3, bytes: 4 },
        };

        let shown = serde_json::to_string(&ConnectionView::from(&connection)).unwrap();

        assert_eq!(
            shown,
            r#"{"protocol":"tcp","source":"10.0.0.2:51000","destination":"198.51.100.1:443","reply_source":"198.51.100.1:443","reply_destination":"192.0.2.1:20000","state":"established","age":61,"packets_up":1,"bytes_up":2,"packets_down":3,"bytes_down":4}"#
        );
    }
}
