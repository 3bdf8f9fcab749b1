//! The commands of the traffic log.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::args::Switch;
use super::request::{Call, flag};

const TRAFFIC_LOG: &str = "/api/v1/traffic_logging";

/// What to do with the traffic log.
#[derive(Debug, Subcommand)]
pub enum TrafficLogCommand {
    /// Show what is logged, and where to
    Show,
    /// Change what is logged, and where to; what you leave out stays
    Edit(Box<TrafficLogFields>),
}

/// What can be said of the traffic log.
#[derive(Debug, Default, Args)]
pub struct TrafficLogFields {
    /// Whether anything is logged
    #[arg(long, value_name = "BOOL")]
    pub enabled: Option<Switch>,
    /// Whether when a connection begins
    #[arg(long, value_name = "BOOL")]
    pub new: Option<Switch>,
    /// Whether when a connection that was answered ends, with its bytes
    #[arg(long, value_name = "BOOL")]
    pub established: Option<Switch>,
    /// Whether ICMP errors about a connection
    #[arg(long, value_name = "BOOL")]
    pub related: Option<Switch>,
    /// Whether packets that belong to no connection and begin none
    #[arg(long, value_name = "BOOL")]
    pub invalid: Option<Switch>,
    /// Whether packets of protocols without ports
    #[arg(long, value_name = "BOOL")]
    pub untracked: Option<Switch>,
    /// Whether also what others begin towards clients
    #[arg(long, value_name = "BOOL")]
    pub incoming: Option<Switch>,
    /// Whether a record says where it came in
    #[arg(long, value_name = "BOOL")]
    pub interface_in: Option<Switch>,
    /// Whether it says where it left
    #[arg(long, value_name = "BOOL")]
    pub interface_out: Option<Switch>,
    /// Whether it has the packet's length
    #[arg(long, value_name = "BOOL")]
    pub len: Option<Switch>,
    /// Whether it has the mark
    #[arg(long, value_name = "BOOL")]
    pub mark: Option<Switch>,
    /// Whether it has the type of service
    #[arg(long, value_name = "BOOL")]
    pub tos: Option<Switch>,
    /// Whether records go to the syslog server
    #[arg(long, value_name = "BOOL")]
    pub syslog: Option<Switch>,
    /// The syslog server
    #[arg(long, value_name = "ADDR")]
    pub syslog_server: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT")]
    pub syslog_port: Option<String>,
    /// Whether records go to `InfluxDB`
    #[arg(long, value_name = "BOOL")]
    pub influxdb: Option<Switch>,
    /// Where `InfluxDB` is
    #[arg(long, value_name = "URL")]
    pub influxdb_url: Option<String>,
    /// A file with the token that lets us write
    #[arg(long, value_name = "FILE")]
    pub influxdb_token: Option<PathBuf>,
    /// Where the records lie
    #[arg(long, value_name = "NAME")]
    pub influxdb_bucket: Option<String>,
    /// Whose bucket it is
    #[arg(long, value_name = "NAME")]
    pub influxdb_organization: Option<String>,
}

/// The request that a command stands for, but for what lies in a file.
pub(super) fn call(command: &TrafficLogCommand) -> Call {
    let TrafficLogCommand::Edit(fields) = command else { return Call::get(TRAFFIC_LOG) };
    let form = vec![
        ("enabled", fields.enabled.map(flag)),
        ("new", fields.new.map(flag)),
        ("established", fields.established.map(flag)),
        ("related", fields.related.map(flag)),
        ("invalid", fields.invalid.map(flag)),
        ("untracked", fields.untracked.map(flag)),
        ("incoming", fields.incoming.map(flag)),
        ("interface_in", fields.interface_in.map(flag)),
        ("interface_out", fields.interface_out.map(flag)),
        ("len", fields.len.map(flag)),
        ("mark", fields.mark.map(flag)),
        ("tos", fields.tos.map(flag)),
        ("enabled_remote_syslog", fields.syslog.map(flag)),
        ("remote_syslog_server", fields.syslog_server.clone()),
        ("remote_syslog_server_port", fields.syslog_port.clone()),
        ("enabled_influxdb", fields.influxdb.map(flag)),
        ("influxdb_url", fields.influxdb_url.clone()),
        ("influxdb_bucket", fields.influxdb_bucket.clone()),
        ("influxdb_organization", fields.influxdb_organization.clone()),
    ];
    Call::put(TRAFFIC_LOG, form)
}

/// Puts the token into a call: on the command line itself every user of the host would see it.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn complete(command: &TrafficLogCommand, call: &mut Call) -> Result<(), Failure> {
    let TrafficLogCommand::Edit(fields) = command else { return Ok(()) };
    if let Some(file) = &fields.influxdb_token {
        call.form.push(("influxdb_token", super::read(file)?.trim().to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, Command};
    use clap::Parser as _;

    fn asked(line: &str) -> Call {
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let Command::TrafficLog(command) = arguments.command else { panic!("{line}") };
        let mut call = call(&command);
        complete(&command, &mut call).unwrap();
        call
    }

    #[test]
    fn sends_only_the_fields_that_were_given() {
        let call = asked("culvert traffic-log edit --new on --syslog yes --syslog-server 192.0.2.7 --syslog-port 1514");

        let expected = [("new", "1"), ("enabled_remote_syslog", "1"), ("remote_syslog_server", "192.0.2.7")]
            .map(|(n, v)| (n, v.to_owned()));
        assert_eq!(call.form[..3], expected);
        assert_eq!(call.form[3..], [("remote_syslog_server_port", "1514".to_owned())]);
    }

    #[test]
    fn takes_the_token_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "t0ken==\n").unwrap();

        let call = asked(&format!("culvert traffic-log edit --influxdb-token {}", file.display()));

        assert_eq!(call.form, [("influxdb_token", "t0ken==".to_owned())]);
    }
}
