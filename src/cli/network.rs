//! The commands of the firewall, of port forwards, of one-time links and of the resolver.

use clap::{Args, Subcommand};

use super::args::Switch;

/// What to do with the firewall.
#[derive(Debug, Subcommand)]
pub enum FirewallCommand {
    /// Show settings and policies
    Show,
    /// Change settings and policies; what you leave out stays
    Set(FirewallFields),
    /// List the rules in the order in which they are tried
    Rules,
    /// A rule
    #[command(subcommand)]
    Rule(RuleCommand),
}

/// What can be said of the firewall.
#[derive(Debug, Default, Args)]
pub struct FirewallFields {
    /// Whether clients reach one another at all
    #[arg(long, value_name = "BOOL")]
    pub internal_traffic: Option<Switch>,
    /// Whether anything is forwarded
    #[arg(long, value_name = "BOOL")]
    pub ip_forward: Option<Switch>,
    /// What happens to the appliance where no rule says so
    #[arg(long, value_name = "ACCEPT|DROP")]
    pub input: Option<String>,
    /// What happens to forwarded packets where no rule says so
    #[arg(long, value_name = "ACCEPT|DROP")]
    pub forward: Option<String>,
    /// What happens to the appliance's own packets where no rule says so
    #[arg(long, value_name = "ACCEPT|DROP")]
    pub output: Option<String>,
}

/// What to do with a rule.
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Add a rule behind the others
    Add {
        /// Its name: letters, digits and `_`
        name: String,
        /// ACCEPT or DROP
        action: String,
        /// INPUT, FORWARD or OUTPUT
        chain: String,
        /// TCP, UDP, ICMP or ANY
        #[arg(long, default_value = "ANY")]
        protocol: String,
        /// Where packets come from; 0.0.0.0/0 is everywhere, over IPv6 too
        #[arg(long, value_name = "CIDR", default_value = "0.0.0.0/0")]
        source: String,
        /// Their port there, 0 for any
        #[arg(long, value_name = "PORT", default_value = "0")]
        source_port: String,
        /// Where packets go to; 0.0.0.0/0 is everywhere, over IPv6 too
        #[arg(long, value_name = "CIDR", default_value = "0.0.0.0/0")]
        destination: String,
        /// Their port there, 0 for any
        #[arg(long, value_name = "PORT", default_value = "0")]
        port: String,
        /// Before the others
        #[arg(long)]
        top: bool,
    },
    /// Remove a rule
    Remove {
        /// Its name.
        name: String,
    },
}

/// What to do with port forwards.
#[derive(Debug, Subcommand)]
pub enum ForwardCommand {
    /// Let a port lead to a client
    Add {
        /// The server
        server: String,
        /// tcp or udp
        protocol: String,
        /// The port of the server's external address
        port: String,
        /// The client's account
        account: String,
        /// The client's port; the same where it is left out
        to_port: Option<String>,
    },
    /// List a server's port forwards
    List {
        /// The server.
        server: String,
    },
    /// Take a port forward away
    Remove {
        /// The server.
        server: String,
        /// tcp or udp.
        protocol: String,
        /// The port of the server's external address.
        port: String,
    },
}

/// What to do with one-time links.
#[derive(Debug, Subcommand)]
pub enum LinkCommand {
    /// List the open links; `--json` shows their keys
    List,
    /// Withdraw every link to an account
    Withdraw {
        /// The account's name.
        account: String,
    },
}

/// What to do with the resolver.
#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Show its settings and what it has done
    Show,
    /// Change its settings; what you leave out stays
    Edit {
        /// Whether it answers
        #[arg(long, value_name = "BOOL")]
        enabled: Option<Switch>,
        /// Whom it asks first; blank for whom the configuration names
        #[arg(long, value_name = "ADDR")]
        forwarder1: Option<String>,
        /// Whom it asks when the first is silent; blank for whom the configuration names
        #[arg(long, value_name = "ADDR")]
        forwarder2: Option<String>,
        /// How long it may remember an answer, 30 to 3600
        #[arg(long, value_name = "SECONDS")]
        max_cache_ttl: Option<String>,
    },
}
