//! The appliance and its host.

use super::{Caller, Error, missing};

/// The use cases of the appliance itself.
#[derive(Debug, Clone)]
pub struct System {}

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
    /// Always true.
    pub license_valid: bool,
    /// `OK`, or `Loading (what it does)`.
    pub status: String,
    /// This program's version.
    pub version: String,
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
    /// The uplink's name.
    pub uplink: String,
    /// Why it was chosen.
    pub uplink_why: String,
    /// Servers that ought to run and cannot, with the reason.
    pub faults: Vec<(String, String)>,
    /// Why the store refuses writes, if it does.
    pub store_fault: Option<String>,
}

impl System {
    /// What the appliance is doing.
    pub fn status(&self) -> SystemStatus {
        SystemStatus {
            count_accounts: 0,
            count_accounts_available: 0,
            count_wireguard: 0,
            license: String::new(),
            license_valid: true,
            status: "OK".into(),
            version: String::new(),
        }
    }

    /// What the host is.
    pub fn info(&self) -> SystemInfo {
        SystemInfo::default()
    }

    /// Looks again at everything that ought to run.
    ///
    /// # Errors
    /// `StatusNotOk` while it is still loading.
    pub async fn reload(&self, _by: &Caller) -> Result<(), Error> {
        Err(missing())
    }

    /// What speaks WireGuard here.
    pub fn wireguard_versions(&self) -> WireguardVersions {
        WireguardVersions { wireguard: String::new(), wireguard_dkms: String::new(), wireguard_tools: String::new() }
    }

    /// How packets leave, and what cannot run.
    pub fn condition(&self) -> Condition {
        Condition { uplink: String::new(), uplink_why: String::new(), faults: Vec::new(), store_fault: None }
    }
}
