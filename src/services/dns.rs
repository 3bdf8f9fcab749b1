//! The resolver: what the API and the command line may do with it.

use ipnet::IpNet;

use super::{Caller, Error, Ground};
use crate::domain::audit::{Deed, Kind};
use crate::domain::dns::{self, DnsDraft, DnsFigures, DnsSettings};
use crate::store::Change;

/// The use cases of the resolver.
#[derive(Debug, Clone)]
pub struct Dns {
    ground: Ground,
}

/// The resolver as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsState {
    /// Whose questions it takes, each network at its own server alone.
    pub askers: Vec<IpNet>,
    /// Whether it answers at all.
    pub enabled: bool,
    /// Whom it asks, in this order; one or two.
    pub forwarders: Vec<String>,
    /// How long an answer may be remembered, in seconds.
    pub max_cache_ttl: u16,
    /// What resolves here.
    pub resolver: String,
    /// The process that does.
    pub process: u32,
    /// What it has done.
    pub figures: DnsFigures,
}

impl Dns {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// The settings as they are stored.
    pub fn settings(&self) -> DnsSettings {
        self.ground.store.intended().dns
    }

    /// The resolver as it is.
    pub async fn state(&self) -> DnsState {
        let (intended, runtime) = (self.ground.store.intended(), &self.ground.runtime);
        let settings = intended.dns;
        let forwarders = settings.forwarders_in_force(runtime.configured_forwarders());
        DnsState {
            askers: intended.servers.values().flat_map(|server| dns::askers(&server.server)).collect(),
            enabled: settings.enabled,
            forwarders: forwarders.iter().map(ToString::to_string).collect(),
            max_cache_ttl: settings.max_cache_ttl,
            resolver: format!("{} (Culvert, in process)", self.ground.settings.version),
            process: std::process::id(),
            figures: runtime.dns_figures().await,
        }
    }

    /// Edits what the draft names.
    ///
    /// # Errors
    /// The refusals of [`DnsDraft`].
    pub async fn edit(&self, by: &Caller, draft: DnsDraft) -> Result<DnsState, Error> {
        let configured = self.ground.runtime.configured_forwarders().to_vec();
        let rule = move |change: &mut Change| {
            let settings = draft.amend(change.intended())?;
            if settings != change.intended().dns {
                change.put_dns(settings);
            }
            let asked = settings.forwarders_in_force(&configured);
            let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
            let (on, asked) = (if settings.enabled { "on" } else { "off" }, asked.join(", "));
            let text = format!("Set the resolver: {on}, asks {asked}, remembers {} s", settings.max_cache_ttl);
            Ok(((), Deed::of(Kind::Dns, text)))
        };
        self.ground.write(by, rule).await?;
        Ok(self.state().await)
    }
}
