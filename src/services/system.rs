//! The appliance and its host.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Caller, Error, Ground};
use crate::domain::access::Right;
use crate::domain::audit::{Deed, Kind};
use crate::domain::host::{HostSettings, HostSettingsDraft};
use crate::domain::refusal::Refusal;
use crate::domain::system::{SystemConfig, SystemConfigDraft};
use crate::runtime::Status;
use crate::runtime::os::clock;
use crate::runtime::os::host::{self, Host};
use crate::store::Change;

/// The date that stands where the contract has a licence's end: none is needed.
const NO_LICENCE_ENDS: &str = "2999-12-31T23:59:59+00:00";
/// What stands for a licence's key.
const NO_LICENCE_KEY: &str = "none needed";
/// The library that seals and opens WireGuard's datagrams, and its version.
const NOISE: &str = "boringtun 0.7.1";
/// What stands for a package that is not needed.
const NO_PACKAGE: &str = "(none)";

/// The use cases of the appliance itself.
#[derive(Debug, Clone)]
pub struct System {
    ground: Ground,
}

/// The contract's `system_status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemStatus {
    /// How many accounts there are.
    pub count_accounts: u32,
    /// How many there may be.
    pub count_accounts_available: u32,
    /// How many servers there are.
    pub count_wireguard: u32,
    /// A date far ahead: no licence is needed.
    pub license: String,
    /// Whether there are no more accounts than there may be.
    pub license_valid: bool,
    /// `OK`, or `Loading (what it does)`.
    pub status: String,
    /// This program's version.
    pub version: String,
}

/// The contract's `license`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// How many accounts there may be.
    pub accounts: u32,
    /// A date far ahead.
    pub expiration_date: String,
    /// What stands where the contract has a key.
    pub key: String,
    /// Now, for that is when it was checked.
    pub last_check: String,
    /// Whether there are no more accounts than there may be.
    pub valid: bool,
}

/// The contract's `system_info`; every value is text there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemInfo {
    /// The processor's own name.
    pub cpu_model: String,
    /// How many threads it runs.
    pub cpu_threads: String,
    /// Load of the last minute.
    pub cpu_used_load1: String,
    /// Load of the last 15 minutes.
    pub cpu_used_load15: String,
    /// Load of the last 5 minutes.
    pub cpu_used_load5: String,
    /// The host's name.
    pub hostname: String,
    /// MiB.
    pub memory_free: String,
    /// MiB.
    pub memory_total: String,
    /// MiB.
    pub memory_used: String,
    /// Percent.
    pub memory_used_percent: String,
    /// Debian's name of it: `amd64`, `arm64`.
    pub os_architecture: String,
    /// From os-release.
    pub os_name: String,
    /// Its IANA name.
    pub timezone: String,
}

/// The contract's `wireguard_info`: versions, under the names of Debian's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireguardVersions {
    /// What speaks WireGuard here.
    pub wireguard: String,
    /// The kernel module: none.
    pub wireguard_dkms: String,
    /// The tools: none.
    pub wireguard_tools: String,
}

/// Beyond the contract: how packets leave, and what cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How many commits the store has seen.
    pub revision: u64,
    /// The uplink's name.
    pub uplink: String,
    /// Why it was chosen.
    pub uplink_why: String,
    /// Servers that ought to run and cannot, with the reason.
    pub faults: Vec<(String, String)>,
    /// Why the store refuses writes, if it does.
    pub store_fault: Option<String>,
}

/// Which of the host's settings the configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The time zone.
    pub time_zone: bool,
    /// What clients connect to.
    pub endpoint: bool,
    /// The URL of the API and the panel.
    pub url: bool,
}

impl System {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// What the appliance is doing.
    pub fn status(&self) -> SystemStatus {
        let intended = self.ground.store.intended();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        SystemStatus {
            count_accounts: count(intended.count_accounts()),
            count_accounts_available: self.ground.accounts_cap(),
            count_wireguard: count(intended.servers.len()),
            license: NO_LICENCE_ENDS.into(),
            license_valid: self.license().valid,
            status: match self.ground.runtime.status() {
                Status::Ready => "OK".into(),
                Status::Loading(what) => format!("Loading ({what})"),
            },
            version: self.ground.settings.version.clone(),
        }
    }

    /// The operator's own cap on accounts, in the contract's clothes.
    pub fn license(&self) -> License {
        let accounts = self.ground.accounts_cap();
        License {
            accounts,
            expiration_date: NO_LICENCE_ENDS.into(),
            key: NO_LICENCE_KEY.into(),
            last_check: self.local_time(clock::timestamp()),
            valid: self.ground.store.intended().count_accounts() <= accounts as usize,
        }
    }

    /// A time as people of the appliance's zone read it (RFC 3339, to the second).
    pub fn local_time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.ground.time_zone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// What the host is.
    pub fn info(&self) -> SystemInfo {
        let mut info = shown(host::look());
        if let Some(name) = self.ground.time_zone().iana_name() {
            info.timezone = name.into();
        }
        info
    }

    /// Has everything that runs told again what it is to be, by the store; returns when that is done. No session ends by it.
    ///
    /// # Errors
    /// `StatusNotOk` while it is still loading.
    pub async fn reload(&self, by: &Caller) -> Result<(), Error> {
        by.must(Right::Handle)?;
        if self.ground.runtime.status() != Status::Ready {
            return Err(Refusal::StatusNotOk.into());
        }
        self.ground.runtime.reload().await;
        let text = "Told everything that runs again what it is to be";
        self.ground.note(by, Deed::of(Kind::System, text)).await;
        Ok(())
    }

    /// The URL by which people reach the API and the panel.
    pub fn public_url(&self) -> String {
        self.ground.public_url()
    }

    /// What is set of the appliance as a whole.
    pub fn config(&self) -> SystemConfig {
        self.ground.store.intended().system
    }

    /// Edits what the draft names of that.
    ///
    /// # Errors
    /// The refusals of [`SystemConfigDraft`].
    pub async fn edit_config(&self, by: &Caller, draft: SystemConfigDraft) -> Result<SystemConfig, Error> {
        self.set_config(by, move |current| draft.amend(current)).await
    }

    /// Sets all of that as it was before anybody edited it.
    ///
    /// # Errors
    /// [`Error::Fault`] if it cannot be stored.
    pub async fn reset_config(&self, by: &Caller) -> Result<SystemConfig, Error> {
        self.set_config(by, |_| Ok(SystemConfig::default())).await
    }

    async fn set_config(
        &self,
        by: &Caller,
        rule: impl FnOnce(&SystemConfig) -> Result<SystemConfig, Refusal> + Send + 'static,
    ) -> Result<SystemConfig, Error> {
        let rule = move |change: &mut Change| {
            let current = change.intended().system;
            let config = rule(&current)?;
            if config != current {
                change.put_system(config);
            }
            let text = format!(
                "Set the system: traffic on disk every {} minutes, kept for {} months; online within {} s of a handshake",
                config.traffic_statistics_frequency,
                config.traffic_statistics_history,
                config.wireguard_handshake_uptime
            );
            Ok((config, Deed::of(Kind::System, text)))
        };
        self.ground.write(by, rule).await
    }

    /// How people find the host, and by which days it counts, as it was set.
    pub fn host_settings(&self) -> Arc<HostSettings> {
        self.ground.store.host()
    }

    /// What of that the configuration names: it goes before what is set, which has no effect as long as it does.
    pub fn decided(&self) -> Decided {
        let settings = &self.ground.settings;
        Decided {
            time_zone: settings.time_zone.is_some(),
            endpoint: settings.endpoint.is_some(),
            url: settings.public_url.is_some(),
        }
    }

    /// What the clients of a new server connect to.
    pub fn endpoint(&self) -> String {
        let facts = self.ground.host_facts();
        facts.endpoint.unwrap_or_else(|| facts.external_ip.to_string())
    }

    /// The host's own zone.
    pub fn host_zone(&self) -> String {
        host::look().timezone
    }

    /// Edits what the draft names of how people find the host. It holds from the next answer on.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, and the refusals of [`HostSettingsDraft`].
    pub async fn edit_host(&self, by: &Caller, draft: HostSettingsDraft) -> Result<(), Error> {
        let rule = move |change: &mut Change| {
            let settings = draft.amend(change.host())?;
            let zone = settings.time_zone.as_ref().and_then(TimeZone::iana_name).unwrap_or("the host's own");
            let text = format!(
                "Set the host: clients connect to {}, people come by {}, days are those of {zone}",
                settings.endpoint.as_deref().unwrap_or("its address"),
                settings.url.as_deref().unwrap_or("that"),
            );
            if settings != *change.host() {
                change.put_host(settings);
            }
            Ok(((), Deed::of(Kind::System, text)))
        };
        self.ground.write(by, rule).await
    }

    /// What speaks WireGuard here.
    pub fn wireguard_versions(&self) -> WireguardVersions {
        WireguardVersions {
            wireguard: format!("{} (Culvert, in userspace, over {NOISE})", self.ground.settings.version),
            wireguard_dkms: NO_PACKAGE.into(),
            wireguard_tools: NO_PACKAGE.into(),
        }
    }

    /// How packets leave, and what cannot run.
    pub fn condition(&self) -> Condition {
        let uplink = self.ground.runtime.uplink();
        let faults = self.ground.runtime.faults();
        Condition {
            revision: self.ground.store.intended().revision.0,
            uplink: uplink.name.into(),
            uplink_why: uplink.why.clone(),
            faults: faults.into_iter().map(|(server, why)| (server.to_string(), why)).collect(),
            store_fault: self.ground.store.fault(),
        }
    }
}

/// A host as the contract prints it: memory in MiB, everything text.
fn shown(host: Host) -> SystemInfo {
    let (total, free) = (host.memory_total / 1024, host.memory_available / 1024);
    let used = total.saturating_sub(free);
    let [of_minute, of_five, of_fifteen] = host.load;
    SystemInfo {
        cpu_model: host.cpu_model,
        cpu_threads: host.cpu_threads.to_string(),
        cpu_used_load1: of_minute,
        cpu_used_load15: of_fifteen,
        cpu_used_load5: of_five,
        hostname: host.hostname,
        memory_free: free.to_string(),
        memory_total: total.to_string(),
        memory_used: used.to_string(),
        memory_used_percent: (used * 100).checked_div(total).unwrap_or(0).to_string(),
        os_architecture: host.os_architecture,
        os_name: host.os_name,
        timezone: host.timezone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_library_in_the_version_that_is_built_in() {
        let (name, version) = NOISE.split_once(' ').unwrap();
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");

        assert!(include_str!("../../Cargo.lock").contains(&locked), "{locked}");
    }

    #[test]
    fn prints_memory_in_mebibytes_and_percent() {
        let host = Host { memory_total: 7956 * 1024, memory_available: 218 * 1024 + 1023, ..Host::default() };
        let info = shown(host);
        assert_eq!(
            [info.memory_total, info.memory_free, info.memory_used, info.memory_used_percent],
            ["7956", "218", "7738", "97"]
        );
        assert_eq!(shown(Host::default()).memory_used_percent, "0");
    }
}
