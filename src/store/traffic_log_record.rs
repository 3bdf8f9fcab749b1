//! What is logged of the traffic, as it lies in the file.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::password::Password;
use crate::domain::traffic_log::{InfluxDbServer, LoggedFields, LoggedStates, SyslogServer, TrafficLogSettings};

first_version!(TrafficLogV1);

/// The settings.
#[derive(Serialize, Deserialize)]
pub(super) struct TrafficLogV1 {
    enabled: bool,
    /// New, established, related, invalid, untracked.
    states: [bool; 5],
    incoming: bool,
    /// The interface in, the interface out, the length, the mark, the type of service.
    fields: [bool; 5],
    to_syslog: bool,
    syslog: (Option<IpAddr>, u16),
    to_influxdb: bool,
    influxdb: InfluxDbV1,
}

#[derive(Serialize, Deserialize)]
struct InfluxDbV1 {
    url: String,
    token: Password,
    bucket: String,
    organization: String,
}

impl From<&TrafficLogSettings> for TrafficLogV1 {
    fn from(settings: &TrafficLogSettings) -> Self {
        let TrafficLogSettings { enabled, states, incoming, fields, syslog, influxdb } = settings.clone();
        let LoggedStates { new, established, related, invalid, untracked } = states;
        let LoggedFields { interface_in, interface_out, len, mark, tos } = fields;
        let InfluxDbServer { enabled: to_influxdb, url, token, bucket, organization } = influxdb;
        Self {
            enabled,
            states: [new, established, related, invalid, untracked],
            incoming,
            fields: [interface_in, interface_out, len, mark, tos],
            to_syslog: syslog.enabled,
            syslog: (syslog.server, syslog.port),
            to_influxdb,
            influxdb: InfluxDbV1 { url, token, bucket, organization },
        }
    }
}

impl From<TrafficLogV1> for TrafficLogSettings {
    fn from(record: TrafficLogV1) -> Self {
        let TrafficLogV1 { enabled, states, incoming, fields, to_syslog, syslog, to_influxdb, influxdb } = record;
        let [new, established, related, invalid, untracked] = states;
        let [interface_in, interface_out, len, mark, tos] = fields;
        let ((server, port), InfluxDbV1 { url, token, bucket, organization }) = (syslog, influxdb);
        Self {
            enabled,
            states: LoggedStates { new, established, related, invalid, untracked },
            incoming,
            fields: LoggedFields { interface_in, interface_out, len, mark, tos },
            syslog: SyslogServer { enabled: to_syslog, server, port },
            influxdb: InfluxDbServer { enabled: to_influxdb, url, token, bucket, organization },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn writes_version_1_of_the_traffic_log_as_ever() {
        let settings = TrafficLogSettings {
            enabled: true,
            states: LoggedStates { new: true, related: true, ..LoggedStates::default() },
            incoming: true,
            fields: LoggedFields { len: true, tos: true, ..LoggedFields::default() },
            syslog: SyslogServer { enabled: true, server: Some([192, 0, 2, 7].into()), port: 1_514 },
            influxdb: InfluxDbServer {
                enabled: true,
                url: "http://a".into(),
                token: Password::new("t".into()),
                bucket: "b".into(),
                organization: "o".into(),
            },
        };

        let bytes = encode(&TrafficLogV1::from(&settings)).unwrap();

        assert_eq!(
            bytes,
            b"\x01\x01\x01\0\x01\0\0\x01\0\0\x01\0\x01\x01\x01\0\xc0\0\x02\x07\xea\x0b\x01\x08http://a\x01t\x01b\x01o"
        );
        assert_eq!(TrafficLogSettings::from(decode::<TrafficLogV1>(&bytes).unwrap()), settings);
    }
}
