//! Accounts: what the API and the command line may do with them.

use std::sync::Arc;

use jiff::Timestamp;

use super::servers::endpoint_shown;
use super::{Caller, Error, Ground, Traffic, qr};
use crate::domain::account::{Account, AccountDraft, AccountSeed};
use crate::domain::audit::{Deed, Kind, differences};
use crate::domain::client_config;
use crate::domain::figures::{AccountDump, AccountFigures, AccountTraffic, Connection};
use crate::domain::refusal::Refusal;
use crate::domain::server::Server;
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// The use cases of accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    ground: Ground,
    traffic: Traffic,
}

/// What an account's client has done, with what is needed to print it.
#[derive(Debug, Clone)]
pub struct AccountReport {
    /// The account.
    pub account: Arc<Account>,
    /// Its server.
    pub server: Arc<Server>,
    /// The uplink's name.
    pub uplink: &'static str,
    /// The figures.
    pub traffic: AccountTraffic,
}

impl Accounts {
    pub(super) fn new(ground: Ground) -> Self {
        Self { traffic: Traffic::new(ground.clone()), ground }
    }

    /// Every account, by server and then by name.
    pub fn list(&self) -> Vec<Arc<Account>> {
        self.ground.store.intended().accounts().cloned().collect()
    }

    /// One account.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn detail(&self, name: &str) -> Result<Arc<Account>, Error> {
        self.find(name).map(|(account, _)| account)
    }

    /// Adds an account and returns once its tunnel accepts the peer.
    ///
    /// # Errors
    /// The refusals of [`AccountDraft`].
    pub async fn add(&self, by: &Caller, mut draft: AccountDraft) -> Result<Arc<Account>, Error> {
        draft.zone = Some(self.ground.settings.time_zone.clone());
        let (cap, seed) = (self.ground.accounts_cap(), seed());
        let rule = move |change: &mut Change| {
            let account = draft.settle(change.intended(), cap, &seed)?;
            let account = change.put_account(account)?;
            let text = format!("Added account `{}` to server `{}`", account.name, account.server);
            let deed = Deed::to(Kind::Account, &account.name, text);
            Ok((account, deed))
        };
        let account = self.ground.write(by, rule).await?;
        self.traffic.enforce().await;
        Ok(account)
    }

    /// Edits what the draft names.
    ///
    /// # Errors
    /// `AccountNotFound` and the refusals of [`AccountDraft`].
    pub async fn edit(&self, by: &Caller, name: &str, mut draft: AccountDraft) -> Result<Arc<Account>, Error> {
        draft.zone = Some(self.ground.settings.time_zone.clone());
        let name = name.to_owned();
        let rule = move |change: &mut Change| {
            let current = change.intended().account(&name).ok_or(Refusal::AccountNotFound)?.clone();
            let account = draft.amend(&current, change.intended())?;
            let text = format!("Edited account `{}`{}", account.name, differences(current.as_ref(), &account));
            let deed = Deed::to(Kind::Account, &account.name, text);
            Ok((if *current == account { current } else { change.put_account(account)? }, deed))
        };
        let account = self.ground.write(by, rule).await?;
        self.traffic.enforce().await;
        Ok(account)
    }

    /// Deletes an account; its tunnel ends at once.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn delete(&self, by: &Caller, name: &str) -> Result<(), Error> {
        let removed = name.to_owned();
        let rule = move |change: &mut Change| {
            let account = change.intended().account(&removed).ok_or(Refusal::AccountNotFound)?.clone();
            change.remove_account(&removed)?;
            let text = format!("Deleted account `{removed}`");
            Ok((account, Deed::to(Kind::Account, &removed, text)))
        };
        let account = self.ground.write(by, rule).await?;
        self.traffic.forget(&account).await;
        Ok(())
    }

    /// The file that the account's client imports. The caller is about to show a secret.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn config_text(&self, name: &str) -> Result<String, Error> {
        let (account, server) = self.find(name)?;
        Ok(client_config::wireguard(&account, &server))
    }

    /// That file as a QR code: a PNG of 500 by 500 pixels, one bit each (base64 is the API's business).
    ///
    /// # Errors
    /// `AccountNotFound`, and `FieldMalformed` for a file that is too long for any code.
    pub fn config_qr(&self, name: &str) -> Result<Vec<u8>, Error> {
        let text = self.config_text(name)?;
        qr::png(&text)
    }

    /// That file as a QR code for a terminal, two modules a character.
    ///
    /// # Errors
    /// As [`Self::config_qr`].
    pub fn config_qr_text(&self, name: &str) -> Result<String, Error> {
        let text = self.config_text(name)?;
        qr::terminal(&text)
    }

    /// An account's tunnel.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn dump(&self, name: &str) -> Result<AccountDump, Error> {
        let (account, server) = self.find(name)?;
        let figures = self.ground.runtime.account_figures(&account.name).await;
        Ok(dump_of(&account, &server, figures.as_ref(), clock::timestamp()))
    }

    /// What an account's client has done.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn traffic(&self, name: &str) -> Result<AccountReport, Error> {
        let (account, server) = self.find(name)?;
        let traffic = self.ground.runtime.account_traffic(&account.name).await;
        Ok(AccountReport { account, server, uplink: self.ground.runtime.uplink().name, traffic })
    }

    /// The flows of an account that are open now, oldest first.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn connections(&self, name: &str) -> Result<Vec<Connection>, Error> {
        let (account, _) = self.find(name)?;
        let mut connections = self.ground.runtime.connections(&account.name).await;
        connections.sort_by_key(|connection| std::cmp::Reverse(connection.age));
        Ok(connections)
    }

    /// An account with its server, both of one revision.
    fn find(&self, name: &str) -> Result<(Arc<Account>, Arc<Server>), Error> {
        let intended = self.ground.store.intended();
        let account = intended.account(name).ok_or(Refusal::AccountNotFound)?;
        let server = intended.server(account.server.as_str()).ok_or(Refusal::AccountNotFound)?;
        Ok((account.clone(), server.server.clone()))
    }
}

/// Randomness for a new account.
pub(super) fn seed() -> AccountSeed {
    AccountSeed { private_key: entropy::bytes(), id: u64::from_ne_bytes(entropy::bytes()), password: entropy::bytes() }
}

fn dump_of(account: &Account, server: &Server, figures: Option<&AccountFigures>, at: Timestamp) -> AccountDump {
    let mut allowed_ips = format!("{}/32", account.address);
    if let Some(address) = account.address_ipv6.filter(|_| server.ipv6) {
        allowed_ips = format!("{allowed_ips},{address}/128");
    }
    let handshake = figures.and_then(|figures| figures.handshake_age).and_then(|age| at.checked_sub(age).ok());
    AccountDump {
        allowed_ips,
        endpoint: endpoint_shown(figures.and_then(|figures| figures.endpoint)),
        keepalive: "off".into(),
        latest_handshake: handshake.map_or(0, Timestamp::as_second).to_string(),
        transfer_rx: figures.map_or(0, |figures| figures.received).to_string(),
        transfer_tx: figures.map_or(0, |figures| figures.sent).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::fixture::house;

    #[test]
    fn dumps_an_account_that_has_never_spoken() {
        let house = house();
        let (account, server) = (house.account("peer_1").unwrap(), &house.server("Default_1").unwrap().server);
        let dump = dump_of(account, server, None, Timestamp::UNIX_EPOCH);
        let expected = AccountDump {
            allowed_ips: "10.0.0.2/32".into(),
            endpoint: "(none)".into(),
            keepalive: "off".into(),
            latest_handshake: "0".into(),
            transfer_rx: "0".into(),
            transfer_tx: "0".into(),
        };
        assert_eq!(dump, expected);
    }

    #[test]
    fn dumps_an_account_that_has_spoken() {
        let house = house();
        let account = house.account("peer_1").unwrap();
        let server = Server { ipv6: true, ..house.server("Default_1").unwrap().server.as_ref().clone() };
        let figures = AccountFigures {
            account: account.name.clone(),
            server: account.server.clone(),
            endpoint: "[2001:db8::1]:47471".parse().ok(),
            handshake_age: Some(Duration::from_secs(10)),
            received: 1,
            received_packets: 1,
            sent: 2,
            sent_packets: 1,
        };
        let dump = dump_of(account, &server, Some(&figures), Timestamp::from_second(1_800_000_010).unwrap());
        assert_eq!(dump.allowed_ips, "10.0.0.2/32,fd00::2/128");
        assert_eq!(dump.endpoint, "[2001:db8::1]:47471");
        assert_eq!(dump.latest_handshake, "1800000000");
        assert_eq!((dump.transfer_rx.as_str(), dump.transfer_tx.as_str()), ("1", "2"));
    }
}
