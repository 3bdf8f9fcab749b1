//! From what is asked of the traffic log to its settings: refuses what cannot be.

use super::TrafficLogSettings;
use crate::domain::field::{self, amend_flag, cleared, given};
use crate::domain::refusal::Refusal;

/// What somebody asks of the traffic log: the form as it came. What is absent stays; a text that is there and empty is
/// cleared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficLogDraft {
    /// A flag.
    pub enabled: Option<String>,
    /// A flag.
    pub enabled_influxdb: Option<String>,
    /// A flag.
    pub enabled_remote_syslog: Option<String>,
    /// A flag.
    pub established: Option<String>,
    /// A flag.
    pub incoming: Option<String>,
    /// Text.
    pub influxdb_bucket: Option<String>,
    /// Text.
    pub influxdb_organization: Option<String>,
    /// Text.
    pub influxdb_token: Option<String>,
    /// A URL.
    pub influxdb_url: Option<String>,
    /// A flag.
    pub interface_in: Option<String>,
    /// A flag.
    pub interface_out: Option<String>,
    /// A flag.
    pub invalid: Option<String>,
    /// A flag.
    pub len: Option<String>,
    /// A flag.
    pub mark: Option<String>,
    /// A flag.
    pub new: Option<String>,
    /// A flag.
    pub related: Option<String>,
    /// An address.
    pub remote_syslog_server: Option<String>,
    /// 1 to 65535.
    pub remote_syslog_server_port: Option<String>,
    /// A flag.
    pub tos: Option<String>,
    /// A flag.
    pub untracked: Option<String>,
}

impl TrafficLogDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// The contract's refusal of the first thing that is missing; [`Refusal::FieldMalformed`] for what cannot be.
    pub fn amend(&self, current: &TrafficLogSettings) -> Result<TrafficLogSettings, Refusal> {
        let mut settings = current.clone();
        self.amend_flags(&mut settings)?;
        self.amend_syslog(&mut settings)?;
        self.amend_influxdb(&mut settings)?;
        if settings.enabled && !settings.syslog.enabled && !settings.influxdb.enabled {
            return Err(Refusal::NoLoggingMethod);
        }
        Ok(settings)
    }

    fn amend_flags(&self, settings: &mut TrafficLogSettings) -> Result<(), Refusal> {
        let (states, fields) = (&mut settings.states, &mut settings.fields);
        for (name, field, settled) in [
            ("enabled", &self.enabled, &mut settings.enabled),
            ("incoming", &self.incoming, &mut settings.incoming),
            ("new", &self.new, &mut states.new),
            ("established", &self.established, &mut states.established),
            ("related", &self.related, &mut states.related),
            ("invalid", &self.invalid, &mut states.invalid),
            ("untracked", &self.untracked, &mut states.untracked),
            ("interface_in", &self.interface_in, &mut fields.interface_in),
            ("interface_out", &self.interface_out, &mut fields.interface_out),
            ("len", &self.len, &mut fields.len),
            ("mark", &self.mark, &mut fields.mark),
            ("tos", &self.tos, &mut fields.tos),
        ] {
            amend_flag(name, field.as_ref(), settled)?;
        }
        Ok(())
    }

    fn amend_syslog(&self, settings: &mut TrafficLogSettings) -> Result<(), Refusal> {
        let syslog = &mut settings.syslog;
        amend_flag("enabled_remote_syslog", self.enabled_remote_syslog.as_ref(), &mut syslog.enabled)?;
        if cleared(self.remote_syslog_server.as_ref()) {
            syslog.server = None;
        } else if let Some(text) = given(self.remote_syslog_server.as_ref()) {
            let malformed = Refusal::FieldMalformed { field: "remote_syslog_server", rule: "an address" };
            let address = field::address(text).filter(|address| !address.is_unspecified());
            syslog.server = Some(address.ok_or(malformed)?);
        }
        if let Some(port) = given(self.remote_syslog_server_port.as_ref()) {
            let malformed = Refusal::FieldMalformed { field: "remote_syslog_server_port", rule: "1 to 65535" };
            syslog.port = field::port(port).ok_or(malformed)?;
        }
        if syslog.enabled && syslog.server.is_none() { Err(Refusal::SyslogServerMissing) } else { Ok(()) }
    }

    fn amend_influxdb(&self, settings: &mut TrafficLogSettings) -> Result<(), Refusal> {
        let influxdb = &mut settings.influxdb;
        amend_flag("enabled_influxdb", self.enabled_influxdb.as_ref(), &mut influxdb.enabled)?;
        // what it needs beside is a query of ours, and a secret has a field of its own
        let is_place = |url: &str| field::is_http_url(url) && !url.contains(['@', '?', '#']);
        if given(self.influxdb_url.as_ref()).is_some_and(|url| !is_place(url)) {
            return Err(Refusal::FieldMalformed { field: "influxdb_url", rule: "http://host:port or https://host" });
        }
        field::amend_line("influxdb_url", self.influxdb_url.as_ref(), &mut influxdb.url)?;
        field::amend_secret("influxdb_token", self.influxdb_token.as_ref(), &mut influxdb.token)?;
        field::amend_line("influxdb_bucket", self.influxdb_bucket.as_ref(), &mut influxdb.bucket)?;
        field::amend_line("influxdb_organization", self.influxdb_organization.as_ref(), &mut influxdb.organization)?;
        if !influxdb.enabled {
            return Ok(());
        }
        let filled = [
            (influxdb.url.is_empty(), Refusal::InfluxDbUrlMissing),
            (influxdb.token.is_empty(), Refusal::InfluxDbTokenMissing),
            (influxdb.bucket.is_empty(), Refusal::InfluxDbBucketMissing),
            (influxdb.organization.is_empty(), Refusal::InfluxDbOrganizationMissing),
        ];
        filled.into_iter().find(|(missing, _)| *missing).map_or(Ok(()), |(_, refusal)| Err(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::traffic_log::{LoggedStates, SyslogServer};

    /// A field of the form as a test names it.
    type Field = fn(&mut TrafficLogDraft) -> &mut Option<String>;

    const INFLUXDB: [Field; 4] = [
        |draft| &mut draft.influxdb_url,
        |draft| &mut draft.influxdb_token,
        |draft| &mut draft.influxdb_bucket,
        |draft| &mut draft.influxdb_organization,
    ];

    fn amended(fields: &[(Field, &str)]) -> Result<TrafficLogSettings, Refusal> {
        let mut draft = TrafficLogDraft::default();
        for (field, value) in fields {
            *field(&mut draft) = Some((*value).into());
        }
        draft.amend(&TrafficLogSettings::default())
    }

    #[test]
    fn keeps_what_it_does_not_name() {
        let states = LoggedStates { new: true, related: true, ..LoggedStates::default() };
        let syslog = SyslogServer { enabled: true, server: Some([192, 0, 2, 7].into()), port: 1514 };
        let current = TrafficLogSettings { enabled: true, states, syslog, ..TrafficLogSettings::default() };

        assert_eq!(TrafficLogDraft::default().amend(&current), Ok(current));
    }

    #[test]
    fn logs_only_where_a_record_has_somewhere_to_go() {
        assert_eq!(amended(&[(|draft| &mut draft.enabled, "1")]), Err(Refusal::NoLoggingMethod));
        assert_eq!(amended(&[(|draft| &mut draft.enabled_remote_syslog, "1")]), Err(Refusal::SyslogServerMissing));

        let logs = amended(&[
            (|draft| &mut draft.enabled, "1"),
            (|draft| &mut draft.enabled_remote_syslog, "1"),
            (|draft| &mut draft.remote_syslog_server, "2001:db8::514"),
        ]);

        let syslog = logs.unwrap().syslog;
        assert_eq!((syslog.server, syslog.port), (Some("2001:db8::514".parse().unwrap()), 514));
    }

    #[test]
    fn names_the_first_that_influxdb_lacks() {
        let refusals = [
            Refusal::InfluxDbUrlMissing,
            Refusal::InfluxDbTokenMissing,
            Refusal::InfluxDbBucketMissing,
            Refusal::InfluxDbOrganizationMissing,
        ];
        for (filled, refusal) in refusals.into_iter().enumerate() {
            let mut fields: Vec<(Field, &str)> = vec![(|draft| &mut draft.enabled_influxdb, "1")];
            fields.extend(INFLUXDB[..filled].iter().map(|field| (*field, "http://192.0.2.7:8086")));

            assert_eq!(amended(&fields), Err(refusal));
        }
    }

    #[test]
    fn refuses_places_that_cannot_be() {
        let cases: [(Field, &[&str]); 3] = [
            (|draft| &mut draft.remote_syslog_server, &["logs.example", "192.0.2", "0.0.0.0", "::"]),
            (|draft| &mut draft.remote_syslog_server_port, &["0", "65536", "-1", "x"]),
            (
                INFLUXDB[0],
                &["192.0.2.7:8086", "ftp://a", "http://", "http://a b", "http://u:p@a", "http://a?b", "http://a#b"],
            ),
        ];
        for (field, values) in cases {
            for value in values {
                assert!(matches!(amended(&[(field, value)]), Err(Refusal::FieldMalformed { .. })), "{value}");
            }
        }
    }
}
