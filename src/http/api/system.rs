//! `system_*`, `wireguard_info`, and what the operator's `status` shows.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::DONE;
use crate::domain::access::Caller;
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::system::{SystemConfig, SystemConfigDraft};
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::number;
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::system::{License, SystemInfo, SystemStatus, WireguardVersions};

/// Shows what the appliance is doing.
pub(crate) async fn status(State(services): State<Services>) -> Answer<StatusView> {
    Ok(Success(services.system.status().into()))
}

/// Shows what the host is.
pub(crate) async fn info(State(services): State<Services>) -> Answer<InfoView> {
    Ok(Success(services.system.info().into()))
}

/// Shows how many accounts the operator allows.
pub(crate) async fn license(State(services): State<Services>) -> Answer<LicenseView> {
    let License { accounts, expiration_date, key, last_check, valid } = services.system.license();
    Ok(Success(LicenseView { accounts, expiration_date, key, last_check, valid }))
}

/// Looks again at everything that ought to run.
pub(crate) async fn reload(State(services): State<Services>, caller: Caller) -> Answer<&'static str> {
    services.system.reload(&caller).await?;
    Ok(Success(DONE))
}

/// Shows what is set of the appliance as a whole.
pub(crate) async fn config(State(services): State<Services>) -> Answer<ConfigView> {
    Ok(Success(services.system.config().into()))
}

/// Changes what the form names of that.
pub(crate) async fn edit_config(
    State(services): State<Services>,
    caller: Caller,
    fields: Fields,
) -> Answer<ConfigView> {
    let config = services.system.edit_config(&caller, draft(&fields)).await?;
    Ok(Success(config.into()))
}

/// What a form says.
pub(in crate::http) fn draft(fields: &Fields) -> SystemConfigDraft {
    SystemConfigDraft {
        traffic_statistics_frequency: fields.text("traffic_statistics_frequency"),
        traffic_statistics_history: fields.text("traffic_statistics_history"),
        wireguard_handshake_uptime: fields.text("wireguard_handshake_uptime"),
    }
}

/// Sets all of that as it was at first.
pub(crate) async fn reset_config(State(services): State<Services>, caller: Caller) -> Answer<ConfigView> {
    let config = services.system.reset_config(&caller).await?;
    Ok(Success(config.into()))
}

/// Shows what speaks WireGuard here.
pub(crate) async fn wireguard_versions(State(services): State<Services>) -> Answer<VersionsView> {
    Ok(Success(services.system.wireguard_versions().into()))
}

/// Shows the operator how packets leave, and what does not run.
pub(crate) async fn appliance(State(services): State<Services>) -> Answer<ApplianceView> {
    let (status, condition) = (services.system.status(), services.system.condition());
    Ok(Success(ApplianceView {
        accounts: status.count_accounts,
        backup_fault: services.backups.fault(),
        faults: condition.faults.into_iter().map(|(server, why)| FaultView { server, why }).collect(),
        revision: condition.revision,
        servers: status.count_wireguard,
        status: status.status,
        store_fault: condition.store_fault,
        uplink: UplinkView { name: condition.uplink, why: condition.uplink_why },
        version: status.version,
    }))
}

/// The contract's `system_status`.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemStatus)]
pub(crate) struct StatusView {
    count_accounts: u32,
    count_accounts_available: u32,
    count_wireguard: u32,
    license: String,
    license_valid: bool,
    status: String,
    version: String,
}

impl From<SystemStatus> for StatusView {
    fn from(status: SystemStatus) -> Self {
        Self {
            count_accounts: status.count_accounts,
            count_accounts_available: status.count_accounts_available,
            count_wireguard: status.count_wireguard,
            license: status.license,
            license_valid: status.license_valid,
            status: status.status,
            version: status.version,
        }
    }
}

/// The contract's `license`.
#[derive(Serialize, ToSchema)]
#[schema(as = License)]
pub(crate) struct LicenseView {
    accounts: u32,
    expiration_date: String,
    key: String,
    last_check: String,
    valid: bool,
}

/// The contract's `system_config`.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemConfig)]
pub(crate) struct ConfigView {
    traffic_statistics_frequency: u32,
    traffic_statistics_history: u32,
    wireguard_handshake_uptime: u32,
}

impl From<SystemConfig> for ConfigView {
    fn from(config: SystemConfig) -> Self {
        Self {
            traffic_statistics_frequency: config.traffic_statistics_frequency,
            traffic_statistics_history: config.traffic_statistics_history,
            wireguard_handshake_uptime: config.wireguard_handshake_uptime,
        }
    }
}

/// The contract's `system_info`: every value is text.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemInfo)]
pub(crate) struct InfoView {
    cpu_model: String,
    cpu_threads: String,
    cpu_used_load1: String,
    cpu_used_load15: String,
    cpu_used_load5: String,
    hostname: String,
    memory_free: String,
    memory_total: String,
    memory_used: String,
    memory_used_percent: String,
    os_architecture: String,
    os_name: String,
    timezone: String,
}

impl From<SystemInfo> for InfoView {
    fn from(info: SystemInfo) -> Self {
        Self {
            cpu_model: info.cpu_model,
            cpu_threads: info.cpu_threads,
            cpu_used_load1: info.cpu_used_load1,
            cpu_used_load15: info.cpu_used_load15,
            cpu_used_load5: info.cpu_used_load5,
            hostname: info.hostname,
            memory_free: info.memory_free,
            memory_total: info.memory_total,
            memory_used: info.memory_used,
            memory_used_percent: info.memory_used_percent,
            os_architecture: info.os_architecture,
            os_name: info.os_name,
            timezone: info.timezone,
        }
    }
}

/// The contract's `wireguard_info`, whose names are those of Debian's packages.
#[derive(Serialize, ToSchema)]
#[schema(as = WireguardVersions)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct VersionsView {
    wireguard: String,
    wireguard_dkms: String,
    wireguard_tools: String,
}

impl From<WireguardVersions> for VersionsView {
    fn from(versions: WireguardVersions) -> Self {
        Self {
            wireguard: versions.wireguard,
            wireguard_dkms: versions.wireguard_dkms,
            wireguard_tools: versions.wireguard_tools,
        }
    }
}

/// What the operator's `status` shows.
#[derive(Serialize, ToSchema)]
#[schema(as = Appliance)]
pub(crate) struct ApplianceView {
    accounts: u32,
    /// Why the last backup, or its copy, is not there; `null` where they are.
    backup_fault: Option<String>,
    faults: Vec<FaultView>,
    /// How many commits the store has seen.
    revision: u64,
    servers: u32,
    status: String,
    /// Why the store refuses writes; `null` where it does not.
    store_fault: Option<String>,
    uplink: UplinkView,
    version: String,
}

/// A server that ought to run and cannot.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplianceFault)]
struct FaultView {
    server: String,
    why: String,
}

/// Which way packets leave, and why that one.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplianceUplink)]
struct UplinkView {
    name: String,
    why: String,
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let form = [
        number(
            "traffic_statistics_frequency",
            limits::TRAFFIC_FREQUENCY,
            "How often traffic figures go to disk, in minutes.",
        ),
        number("traffic_statistics_history", limits::TRAFFIC_HISTORY, "How many whole months of them are kept."),
        number(
            "wireguard_handshake_uptime",
            limits::HANDSHAKE_UPTIME,
            "Seconds since a handshake within which a peer is online.",
        ),
    ];
    Group {
        name: "System",
        about: "The appliance as a whole.",
        named: ("", ""),
        operations: vec![
            Operation::new("system_status", "Shows what the appliance is doing", Shape::of::<StatusView>())
                .about("Its `status` is OK when all servers run."),
            Operation::new("system_info", "Shows what the host is", Shape::of::<InfoView>()).about("Memory is in MiB."),
            Operation::new("system_reload", "Looks again at everything that ought to run", Shape::done())
                .refuses([Refusal::StatusNotOk]),
            Operation::new("system_config", "Shows the settings", Shape::of::<ConfigView>()),
            Operation::new("system_config_edit", "Changes what the form names", Shape::of::<ConfigView>())
                .form(form)
                .refuses([
                    Refusal::TrafficFrequencyMalformed,
                    Refusal::TrafficHistoryMalformed,
                    Refusal::HandshakeUptimeMalformed,
                ]),
            Operation::new("system_config_default", "Sets them as they were at first", Shape::of::<ConfigView>()),
            Operation::new("wireguard_info", "Shows what speaks WireGuard", Shape::of::<VersionsView>()),
            Operation::new("license", "Shows how many accounts are allowed", Shape::of::<LicenseView>())
                .about("This software needs no licence; the answer has the operator's own cap."),
            Operation::new(
                "local_status",
                "Shows how packets leave, and what does not run",
                Shape::of::<ApplianceView>(),
            ),
        ],
    }
}
