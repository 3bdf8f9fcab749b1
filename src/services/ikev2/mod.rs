//! IKEv2: certificates, the switch, the settings, who is connected, and what clients import.

mod issue;

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tracing::debug;

use super::accounts::{own, shown};
use super::{Caller, Error, Ground};
use crate::domain::access::Right;
use crate::domain::account::Account;
use crate::domain::audit::{Deed, Kind};
use crate::domain::ikev2::{
    self, AuthorityDraft, Credential, Flaw, Ikev2Draft, Ikev2Session, Ikev2Settings, Profile, ServerOrderDraft,
};
use crate::domain::refusal::Refusal;
use crate::observe::fields;
use crate::runtime::os::{clock, host};
use crate::store::Change;

/// The use cases of IKEv2.
#[derive(Debug, Clone)]
pub struct Ikev2 {
    ground: Ground,
    /// Held by who searches for a key: one after another, so that the other threads go on.
    searching: Arc<Semaphore>,
}

/// What the contract's `ikev2_config` shows.
#[derive(Debug, Clone)]
pub struct Ikev2Config {
    /// What ought to run.
    pub ikev2: ikev2::Ikev2,
    /// What stands where there is no certificate to take it from: the host's name and its address.
    pub suggested: (String, IpAddr),
}

/// The contract's `ikev2_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ikev2Versions {
    /// The number of the process in which everything runs.
    pub process: u32,
    /// What speaks IKEv2 here.
    pub version: String,
}

/// An account that is connected now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineClient {
    /// The account.
    pub account: Arc<Account>,
    /// Where it is, and since when.
    pub session: Ikev2Session,
}

/// For which kind of client a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// strongSwan's app.
    Sswan,
    /// Apple's systems.
    Mobileconfig,
    /// Windows.
    Powershell,
}

impl Ikev2 {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground, searching: Arc::new(Semaphore::new(1)) }
    }

    /// What speaks IKEv2 here.
    pub fn versions(&self) -> Ikev2Versions {
        let version = format!("{} (Culvert, in userspace)", self.ground.settings.version);
        Ikev2Versions { process: std::process::id(), version }
    }

    /// The certificates and the switch. The caller is about to show private keys.
    pub fn config(&self) -> Ikev2Config {
        let facts = self.ground.host_facts();
        let name = facts.endpoint.unwrap_or_else(|| host::look().hostname);
        Ikev2Config { ikev2: self.current(), suggested: (name, facts.external_ip) }
    }

    /// Takes a certificate authority that somebody brings.
    ///
    /// # Errors
    /// `CaCertMissing`, `CaKeyMissing`, `RootPresent`, `CertificateNotFound`, `CertificateFailed`.
    pub async fn import_authority(&self, by: &Caller, certificate: String, key: String) -> Result<(), Error> {
        self.lacks_authority()?;
        for (text, refusal) in [(&certificate, Refusal::CaCertMissing), (&key, Refusal::CaKeyMissing)] {
            if text.trim().is_empty() {
                return Err(refusal.into());
            }
        }
        let at = clock::timestamp();
        let read = move || -> Result<Credential, Flaw> {
            let (certificate, key) = (certificate, zeroize::Zeroizing::new(key));
            let authority = Credential::import(&certificate, &key, at)?;
            issue::try_signing(&authority)?;
            Ok(authority)
        };
        let authority = self.aside(read).await?.map_err(|flaw| {
            debug!({ fields::CAUSE } = %flaw, "Refused a certificate authority: {flaw}");
            Refusal::from(flaw)
        })?;
        self.change(by, "Imported a certificate authority", move |change| change.put_authority(authority)).await
    }

    /// Makes a certificate authority.
    ///
    /// # Errors
    /// `RootPresent` and the refusals of [`AuthorityDraft`].
    pub async fn generate_authority(&self, by: &Caller, draft: &AuthorityDraft) -> Result<(), Error> {
        self.lacks_authority()?;
        let (order, at) = (draft.settle()?, clock::timestamp());
        let authority = self.aside(move || issue::authority(&order, at)).await??;
        self.change(by, "Made a certificate authority", move |change| change.put_authority(authority)).await
    }

    /// Deletes the certificate authority, and the server's certificate with it; IKEv2 goes off.
    ///
    /// # Errors
    /// `RootMissing`.
    pub async fn delete_authority(&self, by: &Caller) -> Result<(), Error> {
        let text = "Deleted the certificate authority and what it had signed";
        self.change(by, text, Change::remove_authority).await
    }

    /// Makes the server's certificate, in the place of one that is there.
    ///
    /// # Errors
    /// `RootAbsent` and the refusals of [`ServerOrderDraft`].
    pub async fn generate_server(&self, by: &Caller, draft: &ServerOrderDraft) -> Result<(), Error> {
        let authority = self.current().authority.ok_or(Refusal::RootAbsent)?;
        let (order, at) = (draft.settle()?, clock::timestamp());
        let rule = self.aside(move || -> anyhow::Result<_> {
            let server = issue::server(&order, &authority, at)?;
            Ok(move |change: &mut Change| change.put_server_certificate(&authority, server))
        });
        self.change(by, "Made a certificate of the server", rule.await??).await
    }

    /// Deletes the server's certificate; IKEv2 goes off.
    ///
    /// # Errors
    /// `RootMissing`, `ServerCertificateMissing`.
    pub async fn delete_server(&self, by: &Caller) -> Result<(), Error> {
        self.change(by, "Deleted the certificate of the server", Change::remove_server_certificate).await
    }

    /// Turns IKEv2 on or off.
    ///
    /// # Errors
    /// `FieldMalformed`; `RootMissing`, `ServerCertificateMissing` where it is to be on without them.
    pub async fn enable(&self, by: &Caller, enabled: Option<String>) -> Result<(), Error> {
        let on = ikev2::enabled(enabled.as_ref())?;
        let text = if on { "Turned IKEv2 on" } else { "Turned IKEv2 off" };
        self.change(by, text, move |change| change.enable_ikev2(on)).await
    }

    /// The advanced settings.
    pub fn settings(&self) -> Arc<Ikev2Settings> {
        self.current().settings
    }

    /// Edits what the draft names of the advanced settings.
    ///
    /// # Errors
    /// The refusals of [`Ikev2Draft`].
    pub async fn edit_settings(&self, by: &Caller, draft: Ikev2Draft) -> Result<Arc<Ikev2Settings>, Error> {
        let rule = move |change: &mut Change| {
            let settings = draft.amend(&change.intended().ikev2.settings)?;
            change.put_ikev2_settings(settings);
            Ok(change.intended().ikev2.settings.clone())
        };
        self.change(by, "Edited the advanced settings of IKEv2", rule).await
    }

    /// Sets the advanced settings back to their defaults.
    ///
    /// # Errors
    /// A fault alone.
    pub async fn default_settings(&self, by: &Caller) -> Result<Arc<Ikev2Settings>, Error> {
        let rule = |change: &mut Change| {
            change.put_ikev2_settings(Ikev2Settings::default());
            Ok(change.intended().ikev2.settings.clone())
        };
        self.change(by, "Set the advanced settings of IKEv2 back to their defaults", rule).await
    }

    /// Writes what is told by `text`.
    async fn change<T, F>(&self, by: &Caller, text: &'static str, rule: F) -> Result<T, Error>
    where
        F: FnOnce(&mut Change) -> Result<T, Refusal> + Send + 'static,
        T: Send + 'static,
    {
        self.ground.write(by, move |change| Ok((rule(change)?, Deed::of(Kind::Ikev2, text)))).await
    }

    /// The accounts that `by` sees and that are connected now, by name.
    pub fn online(&self, by: &Caller) -> Vec<OnlineClient> {
        let intended = self.ground.store.intended();
        let sessions = self.ground.runtime.ikev2().list(clock::now());
        let client = |session: Ikev2Session| {
            let account = shown(by, own(&intended, by, session.account.as_str()).ok()?);
            Some(OnlineClient { account, session })
        };
        sessions.into_iter().filter_map(client).collect()
    }

    /// Ends an account's sessions, if it has any; it may come back.
    ///
    /// # Errors
    /// `NotAllowed` to who only looks, `AccountNotFound`.
    pub async fn disconnect(&self, by: &Caller, name: &str) -> Result<(), Error> {
        by.must(Right::HandleAccounts)?;
        let intended = self.ground.store.intended();
        let account = own(&intended, by, name)?;
        if self.ground.runtime.disconnect_ikev2(&account.name) {
            let text = format!("Disconnected account `{name}` from IKEv2");
            self.ground.note(by, Deed::to(Kind::Account, &name, text)).await;
        }
        Ok(())
    }

    /// What an account's client imports.
    ///
    /// # Errors
    /// `NotAllowed` to who sees no secrets, `AccountNotFound`; `RootMissing`, `ServerCertificateMissing` where there is nothing to connect to.
    pub fn profile(&self, by: &Caller, name: &str, format: Format) -> Result<String, Error> {
        by.must(Right::HandleAccounts)?;
        let intended = self.ground.store.intended();
        let account = own(&intended, by, name)?;
        let profile = Profile::new(&intended.ikev2, account)?;
        Ok(match format {
            Format::Sswan => ikev2::sswan(&profile),
            Format::Mobileconfig => ikev2::mobileconfig(&profile),
            Format::Powershell => ikev2::powershell(&profile),
        })
    }

    fn current(&self) -> ikev2::Ikev2 {
        self.ground.store.intended().ikev2.clone()
    }

    /// Computes on a thread that may be busy for seconds.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
        let turn = self.searching.clone().acquire_owned().await?;
        let work = move || {
            // until the work is done, also where nobody waits for it any more
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.context("the thread that computes has ended")
    }

    fn lacks_authority(&self) -> Result<(), Refusal> {
        if self.current().authority.is_some() { Err(Refusal::RootPresent) } else { Ok(()) }
    }
}
