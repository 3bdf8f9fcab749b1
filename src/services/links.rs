//! One-time links: made, listed, withdrawn, and opened once by whoever holds one.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::{debug, info};

use super::accounts::own;
use super::{Caller, Error, Ground, qr};
use crate::domain::access::Right;
use crate::domain::account::Account;
use crate::domain::audit::{Deed, Kind};
use crate::domain::client_config;
use crate::domain::ikev2::{self, Ikev2, Profile};
use crate::domain::name::AccountName;
use crate::domain::one_time_link::{
    LinkIkev2, LinkIkev2Draft, LinkKey, LinkPage, LinkPageDraft, LinkSettings, LinkWireguard, LinkWireguardDraft,
    OneTimeLink,
};
use crate::domain::refusal::Refusal;
use crate::domain::server::Server;
use crate::observe::fields;
use crate::runtime::os::{clock, entropy};
use crate::store::{Change, WriteError};

/// A client's file that leads nowhere (RFC 5737): what a page shows that is only looked at.
const SAMPLE: &str = "[Interface]\nPrivateKey = (example)\nAddress = 192.0.2.2/32\n\n[Peer]\nPublicKey = (example)\n\
                      Endpoint = 192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0\n";

/// The use cases of one-time links.
#[derive(Debug, Clone)]
pub struct Links {
    ground: Ground,
}

/// What an opened link shows: parts that the settings leave out, or of which there is nothing, are absent.
#[derive(Debug)]
pub struct Opened {
    /// Whose configuration it is.
    pub account: AccountName,
    /// The WireGuard part.
    pub wireguard: Option<WireguardFiles>,
    /// The IKEv2 part.
    pub ikev2: Option<Ikev2Files>,
    /// How the page looks.
    pub settings: Arc<LinkSettings>,
}

/// What a WireGuard client imports. It holds a private key.
pub struct WireguardFiles {
    /// The client's file.
    pub config: String,
    /// That file as a QR code in PNG, where the settings want it and it fits into one.
    pub qr: Option<Vec<u8>>,
}

/// What an IKEv2 client imports, and what its user types. It holds a password.
pub struct Ikev2Files {
    /// The name to log in with.
    pub username: String,
    /// The password to log in with.
    pub password: String,
    /// The strongSwan profile, JSON.
    pub profile: String,
    /// The CA's certificate in PEM.
    pub certificate: String,
}

impl std::fmt::Debug for WireguardFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireguardFiles").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Ikev2Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ikev2Files").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Links {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// Makes a link to an account's configuration, and returns it whole. The caller is about to show a secret.
    ///
    /// # Errors
    /// `AccountNotFound`, `LinksExceeded`.
    pub async fn add(&self, by: &Caller, account: &str) -> Result<String, Error> {
        let (name, key, at) = (account.to_owned(), LinkKey::from_entropy(entropy::bytes()), clock::timestamp());
        let url = format!("{}/otl/{}", self.ground.public_url(), key.to_hex());
        let caller = by.clone();
        let rule = move |change: &mut Change| {
            let account = own(change.intended(), &caller, &name)?.name.clone();
            let link = OneTimeLink::settle(change.links(), account, key, at)?;
            change.put_link(link);
            let text = format!("Made a one-time link to account `{name}`");
            Ok(((), Deed::to(Kind::Link, &name, text)))
        };
        self.ground.write(by, rule).await?;
        Ok(url)
    }

    /// Every open link to an account that `by` sees, the oldest first. The caller is about to show secrets.
    ///
    /// # Errors
    /// `NotAllowed` to who sees no secrets.
    pub fn list(&self, by: &Caller) -> Result<Vec<Arc<OneTimeLink>>, Error> {
        by.must(Right::HandleAccounts)?;
        let (mut links, intended) =
            (self.ground.store.links().open_links(clock::timestamp()), self.ground.store.intended());
        if by.authority.reseller().is_some() {
            links.retain(|link| own(&intended, by, link.account.as_str()).is_ok());
        }
        Ok(links)
    }

    /// In which time zone its days are.
    pub fn time_zone(&self) -> TimeZone {
        self.ground.time_zone()
    }

    /// Withdraws every link to an account: none of them shows anything any more.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn withdraw(&self, by: &Caller, account: &str) -> Result<(), Error> {
        let (name, caller) = (account.to_owned(), by.clone());
        let rule = move |change: &mut Change| {
            let account = own(change.intended(), &caller, &name)?.name.clone();
            change.remove_links(change.links().of_account(&account));
            let text = format!("Withdrew the one-time links to `{account}`");
            Ok(((), Deed::to(Kind::Link, &account, text)))
        };
        self.ground.write(by, rule).await
    }

    /// Whether a link of this key can be opened. It can be opened afterwards as before.
    pub fn is_open(&self, key: &str) -> bool {
        self.find(key, clock::timestamp()).is_some()
    }

    /// Opens the link of this key, and uses it up: of all who ask, at once or ever again, one is shown something. `None`
    /// for a key that is used up, withdrawn, expired, unknown or no key; all these look the same.
    ///
    /// # Errors
    /// [`Error::Fault`] where it cannot be stored that the link is used up; nothing is shown then.
    pub async fn open(&self, key: &str) -> Result<Option<Opened>, Error> {
        self.open_at(key, clock::timestamp()).await
    }

    /// [`Self::open`], at a moment of the caller's.
    pub(super) async fn open_at(&self, key: &str, at: Timestamp) -> Result<Option<Opened>, Error> {
        // whoever only guesses never reaches the disk
        let Some(key) = self.find(key, at) else { return Ok(None) };
        let rule = move |change: &mut Change| {
            let Some(link) = change.links().open(&key, at).cloned() else { return Ok(None) };
            change.remove_links(vec![key.digest()]);
            // a link outlives its account only where a program that knows no links removed it
            let Some(account) = change.intended().account(link.account.as_str()).cloned() else { return Ok(None) };
            let server = change.intended().server(account.server.as_str()).map(|server| server.server.clone());
            let ikev2 = change.intended().ikev2.clone();
            Ok(server.map(|server| (account, server, ikev2, change.links().settings.clone())))
        };
        let (Some((account, server, ikev2, settings)), _) = self.ground.store.write(rule).await? else {
            return Ok(None);
        };
        info!({ fields::ACCOUNT } = %account.name, "A one-time link to account `{}` was opened", account.name);
        Ok(Some(shown(&account, &server, &ikev2, settings)))
    }

    /// The key, if there is an open link of it.
    fn find(&self, key: &str, at: Timestamp) -> Option<LinkKey> {
        let key = LinkKey::parse(key)?;
        self.ground.store.links().open(&key, at)?;
        Some(key)
    }

    /// Takes links away that have expired, where the store can be written; the next time otherwise, and they stay expired
    /// all the same.
    pub async fn prune(&self) {
        if let Err(cause) = self.prune_at(clock::timestamp()).await {
            debug!({ fields::CAUSE } = %cause, "One-time links that have expired stay for now: {cause}");
        }
    }

    /// [`Self::prune`], at a moment of the caller's.
    pub(super) async fn prune_at(&self, at: Timestamp) -> Result<(), WriteError> {
        if self.ground.store.links().expired(at).is_empty() {
            return Ok(());
        }
        let rule = move |change: &mut Change| {
            change.remove_links(change.links().expired(at));
            Ok(())
        };
        self.ground.store.write(rule).await.map(|_| ())
    }

    /// What the page shows.
    pub fn settings(&self) -> Arc<LinkSettings> {
        self.ground.store.links().settings.clone()
    }

    /// What an opened link would show with the settings as they are, of an account that nobody has.
    ///
    /// # Errors
    /// A fault, never in fact: the account's name is a name.
    pub fn sample(&self) -> Result<Opened, Error> {
        let settings = self.settings();
        let wireguard = settings.wireguard.enable.then(|| WireguardFiles {
            config: SAMPLE.to_owned(),
            qr: settings.wireguard.enable_config_qr.then(|| qr::png(SAMPLE).ok()).flatten(),
        });
        let ikev2 = settings.ikev2.enable.then(|| Ikev2Files {
            username: "example".to_owned(),
            password: "example".to_owned(),
            profile: "{}".to_owned(),
            certificate: String::new(),
        });
        Ok(Opened { account: AccountName::parse("example")?, wireguard, ikev2, settings })
    }

    /// Changes what the draft names of the page as a whole.
    ///
    /// # Errors
    /// The refusals of [`LinkPageDraft`].
    pub async fn edit_page(&self, by: &Caller, draft: LinkPageDraft) -> Result<Arc<LinkPage>, Error> {
        let amend = move |settings: &mut LinkSettings| {
            settings.page = draft.amend(&settings.page)?.into();
            Ok(())
        };
        Ok(self.edit(by, amend).await?.page)
    }

    /// Changes what the draft names of the WireGuard part.
    ///
    /// # Errors
    /// The refusals of [`LinkWireguardDraft`].
    pub async fn edit_wireguard(&self, by: &Caller, draft: LinkWireguardDraft) -> Result<Arc<LinkWireguard>, Error> {
        let amend = move |settings: &mut LinkSettings| {
            settings.wireguard = draft.amend(&settings.wireguard)?.into();
            Ok(())
        };
        Ok(self.edit(by, amend).await?.wireguard)
    }

    /// Changes what the draft names of the IKEv2 part.
    ///
    /// # Errors
    /// The refusals of [`LinkIkev2Draft`].
    pub async fn edit_ikev2(&self, by: &Caller, draft: LinkIkev2Draft) -> Result<Arc<LinkIkev2>, Error> {
        let amend = move |settings: &mut LinkSettings| {
            settings.ikev2 = draft.amend(&settings.ikev2)?.into();
            Ok(())
        };
        Ok(self.edit(by, amend).await?.ikev2)
    }

    async fn edit<F>(&self, by: &Caller, amend: F) -> Result<LinkSettings, Error>
    where
        F: FnOnce(&mut LinkSettings) -> Result<(), Refusal> + Send + 'static,
    {
        let rule = move |change: &mut Change| {
            let mut settings = change.links().settings.as_ref().clone();
            amend(&mut settings)?;
            if settings != *change.links().settings {
                change.put_link_settings(settings.clone());
            }
            Ok((settings, Deed::of(Kind::Link, "Set what one-time links show")))
        };
        self.ground.write(by, rule).await
    }
}

/// What the settings let a link to `account` show.
fn shown(account: &Account, server: &Server, ikev2: &Ikev2, settings: Arc<LinkSettings>) -> Opened {
    let wireguard = settings.wireguard.enable.then(|| {
        let config = client_config::wireguard(account, server);
        // a file too long for any code is shown without one
        let qr = settings.wireguard.enable_config_qr.then(|| qr::png(&config).ok()).flatten();
        WireguardFiles { config, qr }
    });
    let ikev2 = if settings.ikev2.enable { ikev2_files(ikev2, account, server) } else { None };
    Opened { account: account.name.clone(), wireguard, ikev2, settings }
}

/// What an IKEv2 client of this account imports, where IKEv2 is on for its server and has its certificates.
fn ikev2_files(ikev2: &Ikev2, account: &Account, server: &Server) -> Option<Ikev2Files> {
    if !ikev2.enabled || !server.ikev2 {
        return None;
    }
    let profile = Profile::new(ikev2, account).ok()?;
    Some(Ikev2Files {
        username: account.username.to_string(),
        password: account.password.reveal().to_owned(),
        profile: ikev2::sswan(&profile),
        certificate: profile.authority.to_pem(),
    })
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use tempfile::TempDir;

    use super::super::tests::over_with_cap;
    use super::super::{Services, Settings};
    use super::*;
    use crate::domain::limits;
    use crate::runtime::Runtime;
    use crate::store::Store;

    /// Services after a first start; the folder lives as long as the test.
    async fn services() -> (TempDir, Services) {
        let dir = TempDir::new().unwrap();
        let services = over_with_cap(Store::open(dir.path()).unwrap(), 3);
        services.first_start().await.unwrap();
        (dir, services)
    }

    async fn key(services: &Services) -> String {
        let url = services.links.add(&Caller::local(), "peer_1").await.unwrap();
        url.rsplit('/').next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn opens_until_the_day_and_the_moment_at_which_it_ends() {
        let (_dir, services) = services().await;
        let key = key(&services).await;
        let end = services.links.list(&Caller::local()).unwrap()[0].created + (24 * 10).hours();

        assert!(services.links.open_at(&key, end).await.unwrap().is_none());

        let opened = services.links.open_at(&key, end - 1.millisecond()).await.unwrap().unwrap();
        let files = opened.wireguard.unwrap();
        assert_eq!(files.config, services.accounts.config_text(&Caller::local(), "peer_1").unwrap());
        assert!(files.qr.unwrap().starts_with(b"\x89PNG") && opened.ikev2.is_none());
    }

    #[tokio::test]
    async fn takes_away_what_has_expired_and_nothing_else() {
        let (_dir, services) = services().await;
        key(&services).await;
        let draft = LinkPageDraft { lifetime: Some("20".into()), ..LinkPageDraft::default() };
        services.links.edit_page(&Caller::local(), draft).await.unwrap();
        let kept = key(&services).await;

        let soon = clock::timestamp() + (24 * 11).hours();
        services.links.prune_at(soon).await.unwrap();

        assert_eq!(services.links.ground.store.links().links.len(), 1);
        assert!(services.links.open_at(&kept, soon).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn stores_nothing_for_an_edit_that_changes_nothing() {
        let (_dir, services) = services().await;
        let before = services.links.settings();
        services.links.edit_ikev2(&Caller::local(), LinkIkev2Draft::default()).await.unwrap();
        assert!(Arc::ptr_eq(&before, &services.links.settings()));
    }

    #[tokio::test]
    async fn names_the_host_that_the_operator_names() {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let settings = |endpoint: Option<&str>, external_ip: &str, api_port, public_url: Option<&str>| Settings {
            data: std::env::temp_dir(),
            time_zone: Some(TimeZone::UTC),
            accounts_cap: None,
            external_ip: external_ip.parse().ok(),
            endpoint: endpoint.map(Into::into),
            api_port,
            public_url: public_url.map(Into::into),
            listen_url: None,
            version: "0".into(),
            has_certificate: false,
        };
        for (settings, url) in [
            (settings(Some("vpn.example"), "192.0.2.1", 443, Some("https://a.example/vpn")), "https://a.example/vpn"),
            (settings(Some("vpn.example"), "192.0.2.1", limits::API_PORT, None), "https://vpn.example:8098"),
            (settings(None, "192.0.2.1", 443, None), "https://192.0.2.1"),
            (settings(None, "2001:db8::1", 9000, None), "https://[2001:db8::1]:9000"),
        ] {
            let services = Services::new(store.clone(), Runtime::detached(), settings);
            assert_eq!(services.links.ground.public_url(), url);
        }
    }
}
