//! Use cases, a noun a file. The API, the CLI and later the panel and the jobs all come through here.

pub mod access;
pub mod accounts;
pub mod audit;
pub mod backups;
pub mod dns;
pub mod firewall;
pub mod first_start;
#[cfg(test)]
pub(crate) mod fixture;
pub mod health;
pub mod ikev2;
pub mod links;
#[cfg(test)]
mod measured;
mod meter;
pub mod metrics;
mod passwords;
mod pools;
pub mod port_forwards;
pub mod progress;
mod qr;
mod second_factor;
pub mod servers;
mod sessions;
pub mod system;
#[cfg(test)]
mod tests;
pub mod traffic;
pub mod traffic_log;
#[cfg(test)]
mod traffic_tests;
pub mod users;
#[cfg(test)]
mod users_tests;
pub mod web_certificate;
pub mod webhooks;
pub mod works;
mod wrong_tries;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tracing::{info, warn};

pub use self::access::Access;
pub use self::accounts::Accounts;
pub use self::audit::Audit;
pub use self::backups::Backups;
pub use self::dns::Dns;
pub use self::firewall::Firewall;
pub use self::first_start::FirstStart;
pub use self::health::Health;
pub use self::ikev2::Ikev2;
pub use self::links::Links;
pub use self::metrics::Metrics;
pub use self::port_forwards::PortForwards;
pub use self::servers::Servers;
pub use self::system::System;
use self::traffic::Metering;
pub use self::traffic::Traffic;
pub use self::traffic_log::TrafficLog;
pub use self::users::Users;
pub use self::web_certificate::WebCertificates;
use self::webhooks::Post;
pub use self::webhooks::Webhooks;
pub use self::works::Works;
pub use self::wrong_tries::WrongTries;
pub use crate::domain::access::{Caller, Way};
use crate::domain::audit::{Deed, Kind};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::server::HostFacts;
use crate::observe::fields;
use crate::runtime::Runtime;
use crate::runtime::os::clock;
use crate::store::{Change, Store, WriteError};

/// Why a use case ended without its effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's business: the text is for it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Ours: logged once where it is handled, never shown.
    #[error("fault")]
    Fault(#[from] anyhow::Error),
}

impl Error {
    /// Why, for the operator: a fault with its causes, which no client is shown.
    pub fn reason(&self) -> String {
        match self {
            Self::Fault(cause) => format!("{cause:#}"),
            Self::Refused(refusal) => refusal.to_string(),
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refusal) => Self::Refused(refusal),
            WriteError::Failed(error) => Self::Fault(error.into()),
        }
    }
}

/// What the operator decided that the use cases depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many accounts may exist, where he caps them.
    pub accounts_cap: Option<u32>,
    /// The zone whose days and hours count, where the configuration names it.
    pub time_zone: Option<TimeZone>,
    /// The external address of a server that names none; the host's own outward address where this is absent.
    pub external_ip: Option<IpAddr>,
    /// What the clients of a new server connect to, where the configuration names it.
    pub endpoint: Option<String>,
    /// The data folder.
    pub data: PathBuf,
    /// The port of the API and the panel.
    pub api_port: u16,
    /// The URL by which people reach the API's port, without a `/` at its end, where the configuration names it.
    pub public_url: Option<String>,
    /// The same where the API listens on one address alone.
    pub listen_url: Option<String>,
    /// This program's version.
    pub version: String,
    /// Whether the configuration names the certificate of the API and the panel.
    pub has_certificate: bool,
}

/// Every use case.
#[derive(Debug, Clone)]
pub struct Services {
    /// WireGuard servers.
    pub servers: Servers,
    /// Accounts.
    pub accounts: Accounts,
    /// Port forwards.
    pub forwards: PortForwards,
    /// The firewall.
    pub firewall: Firewall,
    /// The resolver.
    pub dns: Dns,
    /// The traffic log.
    pub traffic_log: TrafficLog,
    /// Backups.
    pub backups: Backups,
    /// IKEv2.
    pub ikev2: Ikev2,
    /// One-time links.
    pub links: Links,
    /// Who may call.
    pub access: Access,
    /// The panel's users, and their sessions.
    pub users: Users,
    /// The appliance and its host.
    pub system: System,
    /// Whether the host serves.
    pub health: Health,
    /// Who changed what.
    pub audit: Audit,
    /// Figures for those who watch.
    pub metrics: Metrics,
    /// Traffic, and what follows from it.
    pub traffic: Traffic,
    /// Who is told of what happens.
    pub webhooks: Webhooks,
    /// The certificate of the API and the panel.
    pub web_certificate: WebCertificates,
    /// What takes long.
    pub works: Works,
}

impl Services {
    /// Joins the use cases to what lasts and what runs.
    pub fn new(store: Store, runtime: Runtime, settings: Settings) -> Self {
        let metering = Metering::default();
        let ground = Ground(Arc::new(GroundParts { store, runtime, settings, metering, post: Post::default() }));
        Self {
            servers: Servers::new(ground.clone()),
            accounts: Accounts::new(ground.clone()),
            web_certificate: WebCertificates::new(ground.clone()),
            forwards: PortForwards::new(ground.clone()),
            firewall: Firewall::new(ground.clone()),
            dns: Dns::new(ground.clone()),
            traffic_log: TrafficLog::new(ground.clone()),
            backups: Backups::new(ground.clone()),
            ikev2: Ikev2::new(ground.clone()),
            links: Links::new(ground.clone()),
            access: Access::new(ground.clone()),
            users: Users::new(ground.clone()),
            system: System::new(ground.clone()),
            health: Health::new(ground.clone()),
            audit: Audit::new(ground.clone()),
            metrics: Metrics::new(ground.clone()),
            traffic: Traffic::new(ground.clone()),
            webhooks: Webhooks::new(ground),
            works: Works::default(),
        }
    }
}

/// What every use case stands on.
#[derive(Debug, Clone)]
struct Ground(Arc<GroundParts>);

#[derive(Debug)]
struct GroundParts {
    store: Store,
    runtime: Runtime,
    settings: Settings,
    metering: Metering,
    post: Post,
}

impl std::ops::Deref for Ground {
    type Target = GroundParts;

    fn deref(&self) -> &GroundParts {
        &self.0
    }
}

impl GroundParts {
    /// [`Self::write_own`], if `by` may do what `rule` says it did; nothing of it remains otherwise.
    ///
    /// # Errors
    /// `NotAllowed`, and what `rule` refuses.
    async fn write<T, F>(&self, by: &Caller, rule: F) -> Result<T, Error>
    where
        F: FnOnce(&mut Change) -> Result<(T, Deed), Refusal> + Send + 'static,
        T: Send + 'static,
    {
        let authority = by.authority.clone();
        // who may change nothing learns nothing from trying
        if !authority.may_write() {
            return Err(Refusal::NotAllowed.into());
        }
        let allowed = move |change: &mut Change| {
            let (value, deed) = rule(change)?;
            if authority.may_do(&deed) { Ok((value, deed)) } else { Err(Refusal::NotAllowed) }
        };
        self.write_own(by, allowed).await
    }

    /// Writes what is the caller's own, whatever else he may, and returns when the change is live. What `rule` says it did
    /// is told in the log and, together with the change itself, in the audit log.
    async fn write_own<T, F>(&self, by: &Caller, rule: F) -> Result<T, Error>
    where
        F: FnOnce(&mut Change) -> Result<(T, Deed), Refusal> + Send + 'static,
        T: Send + 'static,
    {
        let (at, author) = (clock::timestamp(), by.author());
        let noted = move |change: &mut Change| {
            let before = change.count_steps();
            let (value, deed) = rule(change)?;
            // what was so already was not done
            if change.count_steps() > before {
                change.note(at, author, deed.clone());
            }
            Ok((value, deed))
        };
        let ((value, deed), revision) = self.store.write(noted).await?;
        if let Err(unsettled) = self.runtime.settled(revision).await {
            // it is stored, and the runtime goes on trying: to the caller this is success
            warn!({ fields::REVISION } = revision.0, "{unsettled}");
        }
        tell(by, &deed);
        Ok(value)
    }

    /// Tells a deed that changes nothing in the store. It is done: that it cannot be put into the audit log is told too.
    async fn note(&self, by: &Caller, deed: Deed) {
        tell(by, &deed);
        let (at, author) = (clock::timestamp(), by.author());
        let noted = move |change: &mut Change| {
            change.note(at, author, deed);
            Ok(())
        };
        if let Err(cause) = self.store.write(noted).await {
            warn!({ fields::CAUSE } = %cause, "The audit log lacks what was just done: {cause}");
        }
    }

    /// How many accounts may exist.
    fn accounts_cap(&self) -> u32 {
        self.settings.accounts_cap.unwrap_or(limits::ACCOUNTS_UNLIMITED)
    }

    /// The zone whose days and hours count: the configuration's, else the one that was set, else the host's own; where that
    /// has none, UTC.
    fn time_zone(&self) -> TimeZone {
        let named = self.settings.time_zone.clone().or_else(|| self.store.host().time_zone.clone());
        let zone = named.unwrap_or_else(TimeZone::system);
        if zone.is_unknown() { TimeZone::UTC } else { zone }
    }

    /// The URL by which people reach the API's port, without a `/` at its end: the configuration's, else the one that was
    /// set, else one of the host's name or address and the port.
    fn public_url(&self) -> String {
        let HostFacts { external_ip, endpoint } = self.host_facts();
        let by_listening = self.settings.listen_url.clone().filter(|_| endpoint.is_none());
        let made = || {
            let host = endpoint.unwrap_or_else(|| external_ip.to_string());
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            // the port that a browser takes by itself (RFC 9110, section 4.2.2)
            if self.settings.api_port == 443 {
                return format!("https://{host}");
            }
            format!("https://{host}:{}", self.settings.api_port)
        };
        let named = self.settings.public_url.clone().or_else(|| self.store.host().url.clone());
        named.or(by_listening).unwrap_or_else(made)
    }

    /// What a new server takes from its host.
    fn host_facts(&self) -> HostFacts {
        let external_ip = self.settings.external_ip.or_else(|| self.runtime.outward_address());
        HostFacts {
            // a host without any way out is reached by nobody else
            external_ip: external_ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            endpoint: self.settings.endpoint.clone().or_else(|| self.store.host().endpoint.clone()),
        }
    }
}

/// Logs a deed.
fn tell(by: &Caller, deed: &Deed) {
    let Deed { kind, name, text } = deed;
    match kind {
        Kind::Account | Kind::Link => info!({ fields::CALLER } = %by, { fields::ACCOUNT } = name, "{text}"),
        Kind::Server | Kind::Forward => info!({ fields::CALLER } = %by, { fields::SERVER } = name, "{text}"),
        Kind::Rule => info!({ fields::CALLER } = %by, { fields::RULE } = name, "{text}"),
        Kind::User => info!({ fields::CALLER } = %by, { fields::USER } = name, "{text}"),
        Kind::Access => info!({ fields::CALLER } = %by, { fields::ACCESS } = name, "{text}"),
        Kind::Firewall | Kind::Dns | Kind::Ikev2 | Kind::TrafficLog | Kind::Backup | Kind::Webhook | Kind::System => {
            info!({ fields::CALLER } = %by, "{text}");
        }
    }
}
