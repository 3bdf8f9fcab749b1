//! `traffic_logging` and `traffic_logging_edit`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::DONE;
use crate::domain::access::Caller;
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::traffic_log::{TrafficLogDraft, TrafficLogSettings};
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// Shows what is logged, and where to.
pub(crate) async fn show(State(services): State<Services>) -> Answer<TrafficLogView> {
    Ok(Success(services.traffic_log.settings().into()))
}

/// Changes what the form names.
pub(crate) async fn edit(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<TrafficLogView> {
    Ok(Success(services.traffic_log.edit(&caller, draft(&fields)).await?.into()))
}

/// Sends a record now.
pub(crate) async fn test(State(services): State<Services>) -> Answer<&'static str> {
    services.traffic_log.test().await?;
    Ok(Success(DONE))
}

/// What a form says of the traffic log.
pub(in crate::http) fn draft(fields: &Fields) -> TrafficLogDraft {
    TrafficLogDraft {
        enabled: fields.text("enabled"),
        enabled_influxdb: fields.text("enabled_influxdb"),
        enabled_remote_syslog: fields.text("enabled_remote_syslog"),
        established: fields.text("established"),
        incoming: fields.text("incoming"),
        influxdb_bucket: fields.text("influxdb_bucket"),
        influxdb_organization: fields.text("influxdb_organization"),
        influxdb_token: fields.text("influxdb_token"),
        influxdb_url: fields.text("influxdb_url"),
        interface_in: fields.text("interface_in"),
        interface_out: fields.text("interface_out"),
        invalid: fields.text("invalid"),
        len: fields.text("len"),
        mark: fields.text("mark"),
        new: fields.text("new"),
        related: fields.text("related"),
        remote_syslog_server: fields.text("remote_syslog_server"),
        remote_syslog_server_port: fields.text("remote_syslog_server_port"),
        tos: fields.text("tos"),
        untracked: fields.text("untracked"),
    }
}

/// The contract's `traffic_logging`. It holds a token: the contract shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = TrafficLog)]
pub(crate) struct TrafficLogView {
    enabled: bool,
    enabled_influxdb: bool,
    enabled_remote_syslog: bool,
    established: bool,
    incoming: bool,
    influxdb_bucket: String,
    influxdb_organization: String,
    influxdb_token: String,
    influxdb_url: String,
    interface_in: bool,
    interface_out: bool,
    invalid: bool,
    len: bool,
    mark: bool,
    new: bool,
    related: bool,
    remote_syslog_server: String,
    remote_syslog_server_port: u16,
    tos: bool,
    untracked: bool,
}

impl From<Arc<TrafficLogSettings>> for TrafficLogView {
    fn from(settings: Arc<TrafficLogSettings>) -> Self {
        let TrafficLogSettings { enabled, states, incoming, fields, syslog, influxdb } = &*settings;
        Self {
            enabled: *enabled,
            enabled_influxdb: influxdb.enabled,
            enabled_remote_syslog: syslog.enabled,
            established: states.established,
            incoming: *incoming,
            influxdb_bucket: influxdb.bucket.clone(),
            influxdb_organization: influxdb.organization.clone(),
            influxdb_token: influxdb.token.reveal().to_owned(),
            influxdb_url: influxdb.url.clone(),
            interface_in: fields.interface_in,
            interface_out: fields.interface_out,
            invalid: states.invalid,
            len: fields.len,
            mark: fields.mark,
            new: states.new,
            related: states.related,
            remote_syslog_server: syslog.server.as_ref().map(IpAddr::to_string).unwrap_or_default(),
            remote_syslog_server_port: syslog.port,
            tos: fields.tos,
            untracked: states.untracked,
        }
    }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let form = [
        flag("enabled", "Whether anything is logged.").such_as("1"),
        flag("new", "Connections that begin, and those that end unanswered.").such_as("1"),
        flag("established", "Connections that end after they were answered, with their bytes.").such_as("1"),
        flag("related", "ICMP errors about connections."),
        flag("invalid", "Packets that belong to no connection and begin none."),
        flag("untracked", "Packets whose protocol has no ports."),
        flag("incoming", "Also what not the client has begun."),
        flag("interface_in", "With the interface that packets come in by."),
        flag("interface_out", "With the interface that they leave by."),
        flag("len", "With the length of the first packet."),
        flag("mark", "With the account's mark."),
        flag("tos", "With the type of service of the first packet."),
        flag("enabled_remote_syslog", "Whether records go to a syslog server.").such_as("1"),
        Field::new("remote_syslog_server", Kind::Ip, "Its address.").such_as("192.0.2.7"),
        number("remote_syslog_server_port", 1..=u16::MAX, "Its port."),
        flag("enabled_influxdb", "Whether records go to InfluxDB."),
        Field::new("influxdb_url", Kind::Url, "Where it is."),
        text("influxdb_token", limits::TEXT_LENGTH, "What lets the appliance write there."),
        text("influxdb_bucket", limits::TEXT_LENGTH, "The bucket."),
        text("influxdb_organization", limits::TEXT_LENGTH, "Whose bucket."),
    ];
    Group {
        name: "Traffic log",
        about: "Who was connected to whom, told to a syslog server, to InfluxDB, or to both.",
        named: ("", ""),
        operations: vec![
            Operation::new("traffic_logging", "Shows what is logged, and where to", Shape::of::<TrafficLogView>()),
            Operation::new("traffic_logging_edit", "Changes what the form names", Shape::of::<TrafficLogView>())
                .form(form)
                .refuses([
                    Refusal::NoLoggingMethod,
                    Refusal::SyslogServerMissing,
                    Refusal::InfluxDbUrlMissing,
                    Refusal::InfluxDbTokenMissing,
                    Refusal::InfluxDbBucketMissing,
                    Refusal::InfluxDbOrganizationMissing,
                ]),
            Operation::new("traffic_logging_test", "Sends a record now", Shape::done())
                .about("A refusal says what a collector has against it. What is sent by UDP nobody confirms.")
                .refuses([
                    Refusal::NoLoggingMethod,
                    Refusal::ServerNotFound,
                    Refusal::TrafficLogFailed("InfluxDB: it answered 401 Unauthorized".into()),
                ]),
        ],
    }
}
