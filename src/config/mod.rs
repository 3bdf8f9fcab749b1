//! How this process is set up: the file as written ([`raw`]), as settled ([`Config`]).
//!
//! Reads one file and is handed the environment; names no other room but `domain`. What the API can change is not
//! configuration: that lives in the store.

pub mod keys;
pub mod raw;
mod settle;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::tz::TimeZone;

use crate::domain::dns::{BlocklistSource, Forwarder};
use crate::domain::nat::NatSettings;
use crate::domain::traffic_log::Transport;
use raw::{CONFIG_VARIABLE, Flag, Origin, Raw};

/// Everything settled: checked, with defaults in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the API listens; where nobody said so, on every address of the host.
    pub listen: Option<SocketAddr>,
    /// The folder for everything that lasts.
    pub data: PathBuf,
    /// How packets leave.
    pub uplink: UplinkChoice,
    /// Which log lines are written, as a list of levels and `target=level`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The address by which clients reach this host.
    pub external_ip: Option<IpAddr>,
    /// The host name or address for client files.
    pub endpoint: Option<String>,
    /// How clients' packets are translated.
    pub nat: NatSettings,
    /// The zone whose days and hours count; the host's own where nobody names one.
    pub time_zone: Option<TimeZone>,
    /// How many accounts may exist, where the operator caps them.
    pub accounts_cap: Option<u32>,
    /// Private prefixes that clients may reach through this host.
    pub reach_allow: Vec<IpNet>,
    /// Whom the resolver asks where the API names nobody, two at most.
    pub forwarders: Vec<Forwarder>,
    /// Lists of names that the resolver does not answer.
    pub blocklists: Vec<BlocklistSource>,
    /// The UDP ports of IKEv2: where clients begin, and where they go on.
    pub ikev2_ports: (u16, u16),
    /// How the traffic log travels to its syslog server.
    pub syslog: Transport,
    /// Proxies whose forwarded-for header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where an authority that gives certificates looks for the proof of a name by HTTP.
    pub challenge_port: u16,
    /// The URL by which people reach the API, without a `/` at its end.
    pub public_url: Option<String>,
    /// The operator's own certificate for the API.
    pub certificate: Option<CertificateFiles>,
    /// Variables that look like ours and are none: worth a warning, no reason to stop (an orchestrator sets some).
    pub strangers: Vec<String>,
}

/// How packets shall leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UplinkChoice {
    /// The best that works here.
    Auto,
    /// Ordinary sockets of this process.
    Sockets,
    /// A TUN device.
    Tun,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// Files of the operator's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, PEM.
    pub chain: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why a configuration is refused: one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file that was asked for cannot be read.
    #[error("cannot read the configuration `{}`: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is no TOML.
    #[error("{origin}: {problem}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser said.
        problem: String,
    },
    /// A key that is not in the table.
    #[error("{origin}: unknown key `{name}`{}", suggestion.map(|key| format!(", did you mean `{key}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// Its name, with the section.
        name: String,
        /// What was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A number where text belongs, and the like.
    #[error("{origin}: `{name}` takes {expected}")]
    WrongKind {
        /// Where.
        origin: Origin,
        /// Which key.
        name: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A value that means nothing.
    #[error("{origin}: `{value}` is no value for `{name}`: {expected}")]
    WrongValue {
        /// Where.
        origin: Origin,
        /// Which key.
        name: &'static str,
        /// What was written.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// One of two keys that only work together.
    #[error("{origin}: `{name}` needs `{missing}` beside it")]
    Alone {
        /// Where.
        origin: Origin,
        /// The key that is there.
        name: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
}

impl Config {
    /// Gathers file, environment and options and settles them.
    ///
    /// The file is the one that `--config` names, else the one that `CULVERT_CONFIG` names, else none.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn gather(
        file: Option<PathBuf>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Vec<Flag>,
    ) -> Result<Self, Error> {
        let variables: Vec<_> = environment.collect();
        let named = variables.iter().find(|(name, value)| name == CONFIG_VARIABLE && !value.is_empty());
        let mut raw = match file.or_else(|| named.map(|(_, path)| path.into())) {
            Some(path) => Raw::from_file(&path, &read(&path)?)?,
            None => Raw::default(),
        };
        raw.overlay_environment(variables.into_iter());
        raw.overlay_flags(flags);
        settle::settle(&raw)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::Unreadable { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_file_that_cannot_be_read() {
        let refused = Config::gather(Some("/nonexistent/culvert.toml".into()), std::iter::empty(), Vec::new());

        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.starts_with("cannot read the configuration `/nonexistent/culvert.toml`: "), "{sentence}");
    }

    #[test]
    fn takes_the_file_that_the_environment_names_unless_an_option_names_one() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        std::fs::write(&one, "data = \"one\"").unwrap();
        std::fs::write(&two, "data = \"two\"").unwrap();
        let environment = || [(CONFIG_VARIABLE.to_owned(), one.display().to_string())].into_iter();

        let by_environment = Config::gather(None, environment(), Vec::new()).unwrap();
        let by_option = Config::gather(Some(two), environment(), Vec::new()).unwrap();

        assert_eq!((by_environment.data, by_option.data), ("one".into(), "two".into()));
    }
}
