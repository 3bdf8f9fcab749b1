//! The command line as typed.

use std::net::IpAddr;
use std::path::PathBuf;

use super::backup::BackupCommand;
use super::ikev2::{Ikev2Command, ProfileFormat};
use super::network::{DnsCommand, FirewallCommand, ForwardCommand, LinkCommand};
use super::traffic_log::TrafficLogCommand;
use super::user::UserCommand;
use super::webhook::WebhookCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::keys::KEYS;
use crate::config::raw::Flag;

/// A VPN appliance in one process: WireGuard tunnels and an HTTPS API, with no kernel module and no privilege.
#[derive(Debug, Parser)]
#[command(name = "culvert", version, arg_required_else_help = true)]
pub struct Arguments {
    /// The folder for everything that lasts [default: ./culvert-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<String>,
    /// A configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print what the API answers, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the appliance
    #[command(after_help = keys_help())]
    Serve(Serve),
    /// Tell what the appliance does and how it is
    Status,
    /// Look after WireGuard servers
    #[command(subcommand)]
    Server(ServerCommand),
    /// Look after accounts: a client each
    #[command(subcommand)]
    Account(AccountCommand),
    /// Look after the firewall: settings, policies and rules
    #[command(subcommand)]
    Firewall(FirewallCommand),
    /// Look after ports of a server's external address that lead to its clients
    #[command(subcommand)]
    Forward(ForwardCommand),
    /// Look after the resolver that answers at every server's own address
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Look after the log of clients' connections
    #[command(subcommand)]
    TrafficLog(TrafficLogCommand),
    /// Look after the appliance as a whole
    #[command(subcommand)]
    System(SystemCommand),
    /// Look after IKEv2: certificates, the switch and settings
    #[command(subcommand)]
    Ikev2(Ikev2Command),
    /// Look after backups: made, carried away, brought back, restored
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Look after one-time links, each of which shows an account's configuration once
    #[command(subcommand)]
    Link(LinkCommand),
    /// Look after webhooks, which are told of what happens
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Tell who changed what, the latest first
    Audit(AuditFields),
    /// Look after the hashes with which programs may call the API
    #[command(subcommand)]
    Access(AccessCommand),
    /// Look after the panel's users
    #[command(subcommand)]
    User(UserCommand),
    /// Print completions for a shell
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// Options of `serve`; each wins over the environment and the file.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port of the API
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// How packets leave: auto, sockets or tun
    #[arg(long, value_name = "KIND")]
    uplink: Option<String>,
    /// Which log lines are written: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// How log lines look: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// The address by which clients reach this host
    #[arg(long, value_name = "IP")]
    external_ip: Option<String>,
    /// The host name or address for client files
    #[arg(long, value_name = "HOST")]
    endpoint: Option<String>,
}

/// Which entries of the audit log are told.
#[derive(Debug, Args)]
pub struct AuditFields {
    /// Those of this caller: the label of an access hash, or `local`
    #[arg(long, value_name = "LABEL")]
    pub caller: Option<String>,
    /// Those about this kind of thing, as account or server
    #[arg(long, value_name = "KIND")]
    pub about: Option<String>,
    /// Those about the thing of this name
    #[arg(long)]
    pub name: Option<String>,
    /// From this day or time on
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Until this day or time
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Those before the entry of this number
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<String>,
    /// How many, 1 to 1000; 100 where it is left out
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<String>,
}

/// What to do with servers.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Add a server; what you leave out is chosen
    Add {
        /// Its name: letters, digits, `_` and `-`
        name: Option<String>,
        /// The network interface's name, as in wg0
        #[arg(long, value_name = "wgN")]
        interface: Option<String>,
        /// What it is to be like.
        #[command(flatten)]
        fields: ServerFields,
    },
    /// List all servers
    List,
    /// Show one server
    Show {
        /// Its name.
        name: String,
    },
    /// Change a server; what you leave out stays
    Edit {
        /// Its name.
        name: String,
        /// What is to change.
        #[command(flatten)]
        fields: ServerFields,
    },
    /// Remove a server that has no accounts
    Remove {
        /// Its name.
        name: String,
    },
}

/// What can be said of a server.
#[derive(Debug, Default, Args)]
pub struct ServerFields {
    /// Its address and network inside the tunnel, as in 10.0.0.1/24
    #[arg(long, value_name = "CIDR")]
    pub address: Option<String>,
    /// The UDP port on which it listens
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// The address by which clients reach this host
    #[arg(long, value_name = "IP")]
    pub external_ip: Option<String>,
    /// The host name or address for client files
    #[arg(long, value_name = "HOST")]
    pub endpoint: Option<String>,
    /// What clients send into the tunnel, IPv4 and IPv6
    #[arg(long, value_name = "CIDR,…")]
    pub allowed_ips: Option<String>,
    /// Whether clients reach one another
    #[arg(long, value_name = "BOOL")]
    pub internal_traffic: Option<Switch>,
    /// Whether its accounts may connect by IKEv2 too
    #[arg(long, value_name = "BOOL")]
    pub ikev2: Option<Switch>,
    /// First DNS server of the clients
    #[arg(long, value_name = "IP")]
    pub dns1: Option<String>,
    /// Second DNS server of the clients
    #[arg(long, value_name = "IP")]
    pub dns2: Option<String>,
    /// Whether clients have IPv6
    #[arg(long, value_name = "BOOL")]
    pub ipv6: Option<Switch>,
    /// Its IPv6 address and network inside the tunnel
    #[arg(long, value_name = "CIDR")]
    pub address_ipv6: Option<String>,
    /// First DNS server over IPv6
    #[arg(long, value_name = "IP")]
    pub dns1_ipv6: Option<String>,
    /// Second DNS server over IPv6
    #[arg(long, value_name = "IP")]
    pub dns2_ipv6: Option<String>,
    /// Bytes in a packet inside the tunnel
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<String>,
    /// Seconds between keepalives of the clients
    #[arg(long, value_name = "SECONDS")]
    pub keep_alive: Option<String>,
    /// Mbit/s towards a new client, 0 for no limit
    #[arg(long, value_name = "MBIT")]
    pub download: Option<String>,
    /// Mbit/s from a new client, 0 for no limit
    #[arg(long, value_name = "MBIT")]
    pub upload: Option<String>,
    /// Mbit/s towards all its clients together, 0 for no limit
    #[arg(long, value_name = "MBIT")]
    pub limit_download: Option<String>,
    /// Mbit/s from all its clients together, 0 for no limit
    #[arg(long, value_name = "MBIT")]
    pub limit_upload: Option<String>,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account; what you leave out is chosen
    Add {
        /// Its name: letters, digits, `_` and `-`
        name: Option<String>,
        /// The server that it belongs to; needed only where there are several
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// The user's name
        #[arg(long, value_name = "NAME")]
        username: Option<String>,
        /// The public key of a client that keeps its private key to itself
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
        /// What it is to be like.
        #[command(flatten)]
        fields: AccountFields,
    },
    /// List all accounts
    List,
    /// Show one account
    Show {
        /// Its name.
        name: String,
    },
    /// Change an account; what you leave out stays
    Edit {
        /// Its name.
        name: String,
        /// What is to change.
        #[command(flatten)]
        fields: AccountFields,
    },
    /// Remove an account
    Remove {
        /// Its name.
        name: String,
    },
    /// Print the client file
    Config {
        /// The account's name.
        name: String,
    },
    /// Print what the client imports for IKEv2
    Ikev2Profile {
        /// The account's name.
        name: String,
        /// For strongSwan's app, for iOS and macOS, or for Windows
        #[arg(long, value_name = "FORMAT", default_value = "sswan")]
        format: ProfileFormat,
    },
    /// List its open connections
    Connections {
        /// The account's name.
        name: String,
    },
    /// Show what it has moved on each day of a month, in bytes
    Traffic {
        /// The account's name.
        name: String,
        /// The month, as in 2026-01 [default: the present one]
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<Month>,
        /// Each hour of this day of the month instead
        #[arg(long, value_name = "DD")]
        day: Option<String>,
    },
    /// Make a link that shows the configuration once, and print it
    Link {
        /// The account's name.
        name: String,
    },
    /// Print the client file as a QR code
    Qr {
        /// The account's name.
        name: String,
        /// Write a picture instead
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
    },
}

/// What can be said of an account.
#[derive(Debug, Default, Args)]
pub struct AccountFields {
    /// Whether it may connect
    #[arg(long, value_name = "enable|disable")]
    pub status: Option<String>,
    /// Its address inside the tunnel
    #[arg(long, value_name = "IP")]
    pub ip: Option<String>,
    /// Its IPv6 address inside the tunnel
    #[arg(long, value_name = "IP")]
    pub ipv6: Option<String>,
    /// Mbit/s towards the client, 0 for no limit
    #[arg(long, value_name = "MBIT")]
    pub download: Option<String>,
    /// Mbit/s from the client, 0 for no limit
    #[arg(long, value_name = "MBIT")]
    pub upload: Option<String>,
    /// Until when it may connect: a day, which counts to its end, a time, or never
    #[arg(long, value_name = "DATE|TIME|never")]
    pub expires: Option<String>,
    /// What it may move in both directions together, as in 50G or 50GiB, 0 for no limit
    #[arg(long, value_name = "BYTES")]
    pub quota: Option<String>,
    /// For how long that counts: its whole life, or a day, week or month
    #[arg(long, value_name = "none|day|week|month")]
    pub quota_period: Option<String>,
    /// What happens when it is used up
    #[arg(long, value_name = "cut|throttle")]
    pub quota_action: Option<String>,
    /// Mbit/s in either direction when it is throttled
    #[arg(long, value_name = "MBIT")]
    pub quota_rate: Option<String>,
    /// The reseller whose it is; "" for nobody's
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
}

/// A month of a year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    /// The year, as typed.
    pub year: String,
    /// The month, as typed.
    pub month: String,
}

impl std::str::FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = text.split_once('-').filter(|(year, month)| digits(year) && digits(month));
        let (year, month) = parts.ok_or("a month is written as in 2026-01")?;
        Ok(Self { year: year.to_owned(), month: month.to_owned() })
    }
}

/// What to do with the appliance as a whole.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Its settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Tell everything that runs again what it is to be; no session ends
    Reload,
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show them
    Show,
    /// Change them; what you leave out stays
    Edit {
        /// How often traffic figures are put on disk
        #[arg(long, value_name = "MINUTES")]
        traffic_frequency: Option<String>,
        /// How long they are kept, besides the present month
        #[arg(long, value_name = "MONTHS")]
        traffic_history: Option<String>,
        /// How long after a handshake a client counts as online
        #[arg(long, value_name = "SECONDS")]
        handshake_uptime: Option<String>,
    },
    /// Set them as they were at first
    Default,
}

/// What to do with access hashes.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Make an access hash and print it: it is shown this once
    Add {
        /// What it is for
        label: String,
        /// The address, or the network, from which alone it works
        #[arg(long = "from", alias = "ip", value_name = "ADDR|CIDR", value_parser = network)]
        from: String,
        /// What it may: admin, operator, `read_only` or reseller [default: admin]
        #[arg(long)]
        role: Option<String>,
        /// Whose accounts alone it sees, where its role is a reseller's
        #[arg(long, value_name = "USER")]
        reseller: Option<String>,
        /// When it ends: a day as 2026-12-31, or a time
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// List labels, addresses, roles, ends and last uses
    List,
    /// Remove an access hash
    Remove {
        /// What it was for.
        label: String,
    },
}

/// An address or a network, as it was typed.
fn network(text: &str) -> Result<String, &'static str> {
    let is_one = text.parse::<IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok();
    if is_one { Ok(text.to_owned()) } else { Err("neither an address nor a network") }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    #[value(aliases = ["1", "true", "yes"])]
    On,
    /// Off.
    #[value(aliases = ["0", "false", "no"])]
    Off,
}

impl Arguments {
    /// The options that set keys of the configuration.
    pub fn flags(&self) -> Vec<Flag> {
        let data = ("data", "data", &self.data);
        let serve = match &self.command {
            Command::Serve(serve) => serve.flags(),
            Command::Status
            | Command::Server(_)
            | Command::Account(_)
            | Command::Access(_)
            | Command::Firewall(_)
            | Command::Forward(_)
            | Command::Dns(_)
            | Command::TrafficLog(_)
            | Command::System(_)
            | Command::Ikev2(_)
            | Command::Backup(_)
            | Command::Link(_)
            | Command::Audit(_)
            | Command::Webhook(_)
            | Command::User(_)
            | Command::Completions { .. } => Vec::new(),
        };
        let given = std::iter::once(data).chain(serve);
        given.filter_map(|(key, name, value)| Some(Flag { key, name, value: value.clone()? })).collect()
    }
}

impl Serve {
    fn flags(&self) -> Vec<(&'static str, &'static str, &Option<String>)> {
        vec![
            ("listen", "listen", &self.listen),
            ("uplink", "uplink", &self.uplink),
            ("log", "log", &self.log),
            ("log_format", "log-format", &self.log_format),
            ("external_ip", "external-ip", &self.external_ip),
            ("endpoint", "endpoint", &self.endpoint),
        ]
    }
}

/// Lists every key of the configuration below the options of `serve`.
fn keys_help() -> String {
    let rows = KEYS.iter().map(|key| {
        let variable = key.variable();
        format!("  {:<20} {variable:<30} {} [{}]\n", key.name, key.meaning, key.default)
    });
    let head = "Configuration (key in the file, name in the environment, meaning, default):\n";
    std::iter::once(head.to_owned()).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn is_a_command_line_without_contradictions() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn takes_the_data_folder_before_and_after_the_command() {
        for line in ["culvert --data D access list", "culvert access --data D list", "culvert access list --data D"] {
            assert_eq!(parse(line).unwrap().data.as_deref(), Some("D"), "{line}");
        }
    }

    #[test]
    fn turns_options_into_settings() {
        let arguments = parse("culvert serve --data D --listen 127.0.0.1:1 --log-format json").unwrap();

        let flags = arguments.flags();

        let set: Vec<_> = flags.iter().map(|flag| (flag.key, flag.name, flag.value.as_str())).collect();
        assert_eq!(
            set,
            [("data", "data", "D"), ("listen", "listen", "127.0.0.1:1"), ("log_format", "log-format", "json")]
        );
    }

    #[test]
    fn every_option_of_serve_sets_a_key() {
        let command = Arguments::command();
        let serve = command.find_subcommand("serve").unwrap();
        let options = serve.get_arguments().filter_map(clap::Arg::get_long).filter(|long| *long != "help");

        for option in options {
            assert!(KEYS.iter().any(|key| key.name.replace('_', "-") == option), "--{option} sets no key");
        }
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for line in [
            "culvert",
            "culvert fly",
            "culvert serve --fast",
            "culvert access add panel",
            "culvert access add panel --ip localhost",
            "culvert server edit",
            "culvert server edit a --ipv6 perhaps",
            "culvert account config",
            "culvert account traffic a --month 2026",
            "culvert account traffic a --month 2026-",
            "culvert system config",
            "culvert account link",
            "culvert backup restore",
            "culvert backup settings",
            "culvert completions tcsh",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn shows_every_key_in_the_help_of_serve() {
        let help = Arguments::command().find_subcommand_mut("serve").unwrap().render_long_help().to_string();

        for key in KEYS {
            assert!(help.contains(key.name) && help.contains(&key.variable()), "{}", key.name);
        }
    }
}
