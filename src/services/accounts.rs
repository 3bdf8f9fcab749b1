//! Accounts: what the API and the command line may do with them.

use std::sync::Arc;

use jiff::Timestamp;

use super::progress::{Progress, Stage};
use super::servers::endpoint_shown;
use super::{Caller, Error, Ground, Traffic, qr};
use crate::domain::access::{Caps, Right, Role};
use crate::domain::account::{Account, AccountDraft, AccountSeed, Password};
use crate::domain::audit::{Deed, Kind, differences};
use crate::domain::client_config;
use crate::domain::figures::{AccountDump, AccountFigures, AccountTraffic, Connection};
use crate::domain::intended::Intended;
use crate::domain::name::UserName;
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

/// What is to be done to many accounts.
#[derive(Debug, Clone)]
pub enum ManyDraft {
    /// Edit what the draft names.
    Edit(Box<AccountDraft>),
    /// Delete them.
    Delete,
}

impl Accounts {
    pub(super) fn new(ground: Ground) -> Self {
        Self { traffic: Traffic::new(ground.clone()), ground }
    }

    /// Every account that `by` sees, by server and then by name.
    pub fn list(&self, by: &Caller) -> Vec<Arc<Account>> {
        let intended = self.ground.store.intended();
        intended.accounts().filter(|account| is_seen(by, account)).map(|account| shown(by, account)).collect()
    }

    /// One account.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn detail(&self, by: &Caller, name: &str) -> Result<Arc<Account>, Error> {
        self.find(by, name).map(|(account, _)| shown(by, &account))
    }

    /// Adds an account and returns once its tunnel accepts the peer. A reseller's account is its own, and within its caps.
    ///
    /// # Errors
    /// The refusals of [`AccountDraft`], and `AccountLimitExceeded`, `AboveCap` and `TrafficCapReached` to a reseller.
    pub async fn add(&self, by: &Caller, mut draft: AccountDraft) -> Result<Arc<Account>, Error> {
        draft.zone = Some(self.ground.time_zone());
        let (cap, seed) = (self.ground.accounts_cap(), seed());
        self.traffic.left(by).await?;
        let caller = by.clone();
        let rule = move |change: &mut Change| {
            let mut account = draft.settle(change.intended(), cap, &seed)?;
            account.owner = owner(change, &caller, &draft, None)?;
            if let Some(caps) = caps(change, &caller)? {
                let own = change.intended().accounts().filter(|account| is_seen(&caller, account)).count();
                caps.admit(own)?;
                caps.fit(&draft, &mut account)?;
            }
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
    /// `AccountNotFound`, the refusals of [`AccountDraft`], and `AboveCap` to a reseller.
    pub async fn edit(&self, by: &Caller, name: &str, draft: AccountDraft) -> Result<Arc<Account>, Error> {
        let account = self.put(by, name, draft).await?;
        self.traffic.enforce().await;
        Ok(account)
    }

    async fn put(&self, by: &Caller, name: &str, mut draft: AccountDraft) -> Result<Arc<Account>, Error> {
        draft.zone = Some(self.ground.time_zone());
        let (name, caller) = (name.to_owned(), by.clone());
        let rule = move |change: &mut Change| {
            let current = own(change.intended(), &caller, &name)?.clone();
            let mut account = draft.amend(&current, change.intended())?;
            account.owner = owner(change, &caller, &draft, current.owner.as_ref())?;
            if let Some(caps) = caps(change, &caller)? {
                caps.fit_edit(&draft, &account)?;
            }
            let text = format!("Edited account `{}`{}", account.name, differences(current.as_ref(), &account));
            let deed = Deed::to(Kind::Account, &account.name, text);
            Ok((if *current == account { current } else { change.put_account(account)? }, deed))
        };
        self.ground.write(by, rule).await
    }

    /// Does the same to many accounts, one after the other: how many it is done to, and which are refused, and why. Those
    /// are left as they are, the others are changed all the same.
    ///
    /// # Errors
    /// A fault, where the rest is left as it is.
    pub async fn change_many(
        &self,
        by: &Caller,
        names: Vec<String>,
        what: ManyDraft,
        progress: &Progress,
    ) -> Result<(usize, Vec<(String, Refusal)>), Error> {
        progress.enter(Stage::Accounts, names.len() as u64);
        let (mut done, mut refused) = (0, Vec::new());
        for name in names {
            let outcome = match &what {
                ManyDraft::Edit(draft) => self.put(by, &name, draft.as_ref().clone()).await.map(drop),
                ManyDraft::Delete => self.delete(by, &name).await,
            };
            match outcome {
                Ok(()) => done += 1,
                Err(Error::Refused(refusal)) => refused.push((name, refusal)),
                Err(fault) => return Err(fault),
            }
            progress.add(1);
        }
        self.traffic.enforce().await;
        Ok((done, refused))
    }

    /// Deletes an account; its tunnel ends at once.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn delete(&self, by: &Caller, name: &str) -> Result<(), Error> {
        let (removed, caller) = (name.to_owned(), by.clone());
        let moved = match self.find(by, name)?.0 {
            account if account.owner.is_some() => Some(self.traffic.this_month(&account).await?),
            _ => None,
        };
        let rule = move |change: &mut Change| {
            let account = own(change.intended(), &caller, &removed)?.clone();
            change.remove_account(&removed)?;
            let owner = account.owner.as_ref().and_then(|owner| change.access().users.get(owner)).cloned();
            if let (Some(owner), Some((month, bytes))) = (owner, moved) {
                change.put_panel_user(owner.without(month, bytes));
            }
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
    /// `NotAllowed` to who sees no secrets, `AccountNotFound`.
    pub fn config_text(&self, by: &Caller, name: &str) -> Result<String, Error> {
        by.must(Right::HandleAccounts)?;
        let (account, server) = self.find(by, name)?;
        Ok(client_config::wireguard(&account, &server))
    }

    /// That file as a QR code: a PNG of 500 by 500 pixels, one bit each (base64 is the API's business).
    ///
    /// # Errors
    /// As [`Self::config_text`], and `FieldMalformed` for a file that is too long for any code.
    pub fn config_qr(&self, by: &Caller, name: &str) -> Result<Vec<u8>, Error> {
        let text = self.config_text(by, name)?;
        qr::png(&text)
    }

    /// That file as a QR code for a terminal, two modules a character.
    ///
    /// # Errors
    /// As [`Self::config_qr`].
    pub fn config_qr_text(&self, by: &Caller, name: &str) -> Result<String, Error> {
        let text = self.config_text(by, name)?;
        qr::terminal(&text)
    }

    /// An account's tunnel.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn dump(&self, by: &Caller, name: &str) -> Result<AccountDump, Error> {
        let (account, server) = self.find(by, name)?;
        let figures = self.ground.runtime.account_figures(&account.name).await;
        Ok(dump_of(&account, &server, figures.as_ref(), clock::timestamp()))
    }

    /// What an account's client has done.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn traffic(&self, by: &Caller, name: &str) -> Result<AccountReport, Error> {
        let (account, server) = self.find(by, name)?;
        let traffic = self.ground.runtime.account_traffic(&account.name).await;
        Ok(AccountReport { account, server, uplink: self.ground.runtime.uplink().name, traffic })
    }

    /// The flows of an account that are open now, oldest first.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn connections(&self, by: &Caller, name: &str) -> Result<Vec<Connection>, Error> {
        let (account, _) = self.find(by, name)?;
        let mut connections = self.ground.runtime.connections(&account.name).await;
        connections.sort_by_key(|connection| std::cmp::Reverse(connection.age));
        Ok(connections)
    }

    /// An account with its server, both of one revision.
    fn find(&self, by: &Caller, name: &str) -> Result<(Arc<Account>, Arc<Server>), Error> {
        let intended = self.ground.store.intended();
        let account = own(&intended, by, name)?;
        let server = intended.server(account.server.as_str()).ok_or(Refusal::AccountNotFound)?;
        Ok((account.clone(), server.server.clone()))
    }
}

/// The rule of whose accounts somebody sees: a reseller its own, everybody else all.
pub(super) fn is_seen(by: &Caller, account: &Account) -> bool {
    by.authority.reseller().is_none_or(|reseller| account.owner.as_ref() == Some(reseller))
}

/// The account of this name, for `by`: one that he does not see is as one that does not exist.
///
/// # Errors
/// `AccountNotFound`.
pub(super) fn own<'a>(intended: &'a Intended, by: &Caller, name: &str) -> Result<&'a Arc<Account>, Refusal> {
    intended.account(name).filter(|account| is_seen(by, account)).ok_or(Refusal::AccountNotFound)
}

/// An account as `by` may see it: without its secrets, where those are not for him.
pub(super) fn shown(by: &Caller, account: &Arc<Account>) -> Arc<Account> {
    if by.authority.sees_secrets() {
        return account.clone();
    }
    Arc::new(Account { password: Password::default(), private_key: None, ..account.as_ref().clone() })
}

/// Whose an account is to be: a reseller's its own, any other what an admin says, else as it was.
fn owner(
    change: &Change,
    by: &Caller,
    draft: &AccountDraft,
    current: Option<&UserName>,
) -> Result<Option<UserName>, Refusal> {
    let Some(wanted) = &draft.owner else { return Ok(by.authority.reseller().or(current).cloned()) };
    by.must(Right::Administer)?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let user = change.access().users.get(wanted.as_str()).filter(|user| user.role == Role::Reseller);
    user.map(|user| Some(user.name.clone())).ok_or(Refusal::UserNotFound)
}

/// How far `by` reaches, if he is a reseller.
///
/// # Errors
/// `NotAllowed` where that user is a reseller no more.
fn caps(change: &Change, by: &Caller) -> Result<Option<Caps>, Refusal> {
    let Some(name) = by.authority.reseller() else { return Ok(None) };
    let user = change.access().users.get(name).filter(|user| user.role == Role::Reseller);
    user.map(|user| Some(user.caps)).ok_or(Refusal::NotAllowed)
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
