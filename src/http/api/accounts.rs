//! `account_*`.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::account::{Account, AccountDraft};
use crate::domain::figures::AccountDump;
use crate::domain::key::PrivateKey;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::services::Services;

/// Lists all accounts.
pub(crate) async fn list(State(services): State<Services>) -> Answer<Vec<AccountView>> {
    let accounts = services.accounts.list();
    Ok(Success(accounts.iter().map(|account| AccountView::from(&**account)).collect()))
}

/// Adds an account to a server.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<AccountView> {
    let account = services.accounts.add(&caller, draft(&fields)).await?;
    Ok(Success(AccountView::from(&*account)))
}

/// Shows an account.
pub(crate) async fn detail(State(services): State<Services>, Named(name): Named) -> Answer<AccountView> {
    let account = services.accounts.detail(&name)?;
    Ok(Success(AccountView::from(&*account)))
}

/// Changes what the form names of an account.
pub(crate) async fn edit(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<AccountView> {
    let account = services.accounts.edit(&caller, &name, draft(&fields)).await?;
    Ok(Success(AccountView::from(&*account)))
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
pub(crate) async fn config_text(State(services): State<Services>, Named(name): Named) -> Answer<String> {
    let text = services.accounts.config_text(&name)?;
    Ok(Success(text))
}

/// Draws the client's file as a QR code: base64 of a PNG, with nothing before it.
pub(crate) async fn config_qr(State(services): State<Services>, Named(name): Named) -> Answer<String> {
    let png = services.accounts.config_qr(&name)?;
    Ok(Success(STANDARD.encode(png)))
}

/// Draws the client's file as a QR code of letters, for a terminal.
pub(crate) async fn config_qr_text(State(services): State<Services>, Named(name): Named) -> Answer<String> {
    let text = services.accounts.config_qr_text(&name)?;
    Ok(Success(text))
}

/// Shows an account's tunnel.
pub(crate) async fn dump(State(services): State<Services>, Named(name): Named) -> Answer<DumpView> {
    let dump = services.accounts.dump(&name).await?;
    Ok(Success(dump.into()))
}

fn draft(fields: &Fields) -> AccountDraft {
    AccountDraft {
        wg_name: fields.text("wg_name"),
        name: fields.text("name"),
        status: fields.text("status"),
        username: fields.text("username"),
        password: fields.text("password"),
        allowed_ips: fields.text("allowed_IPs"),
        allowed_ips_ipv6: fields.text("allowed_IPs_ipv6"),
        private_key: fields.key("private_key"),
        public_key: fields.key("public_key"),
        b_download: fields.text("b_download"),
        b_upload: fields.text("b_upload"),
    }
}

/// The contract's word for whether an account may connect.
pub(super) fn status(account: &Account) -> &'static str {
    if account.enabled { "enable" } else { "disable" }
}

/// An account as clients read it. Where the contract's example quotes a number, it is text here.
#[derive(Serialize)]
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
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
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
#[derive(Serialize)]
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
