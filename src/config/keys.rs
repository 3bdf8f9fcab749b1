//! Every key of the configuration, a row each: its name, what it takes, what stands where nobody wrote it, what it means.
//!
//! The file's check, the names in the environment, `--help` and the sample in `configs/` all derive from this table.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number.
    Number,
    /// An array of strings; in the environment, strings with commas between them.
    List,
}

impl Kind {
    /// Names the kind in a sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string in quotes",
            Self::Number => "a whole number",
            Self::List => "an array of strings",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file, with the section before a dot.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What stands where nobody wrote it, for people.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

impl Key {
    /// Gives its name in the environment: `limits.accounts` is `CULVERT_LIMITS__ACCOUNTS`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "__").to_uppercase())
    }
}

/// What the name of every variable of ours begins with.
pub const PREFIX: &str = "CULVERT_";

/// The table.
pub const KEYS: [Key; 23] = [
    text("listen", "[::]:8098, else 0.0.0.0:8098", "address and port of the API, over TLS"),
    text("data", "./culvert-data", "the folder for everything that lasts"),
    text("uplink", "auto", "how packets leave: auto, sockets or tun"),
    text("log", "info", "error, warn, info, debug, trace; or by room, as in info,culvert::runtime=debug"),
    text("log_format", "text", "text or json"),
    text("external_ip", "the host's own", "the address by which clients reach this host, where a server names none"),
    text("endpoint", "external_ip", "the host name or address to write into client files, where a server names none"),
    text("nat_ports", "16384-51819", "ports of external_ip that clients' packets leave by, on tun"),
    text(
        "nat_filtering",
        "address-dependent",
        "who may answer at a mapped port (RFC 4787): endpoint-independent, address-dependent or address-and-port-dependent",
    ),
    number(
        "nat_ports_per_account",
        "2000, on sockets a share of all",
        "how many ports one account has at a time (RFC 6888)",
    ),
    text("time_zone", "the host's own, else UTC", "the zone whose days and hours count for traffic, quotas and ends"),
    text(
        "syslog",
        "udp",
        "how the traffic log travels to its syslog server: udp, tcp, tls, or tls#NAME with the name in its certificate",
    ),
    Key {
        name: "limits.accounts",
        kind: Kind::Number,
        default: "0",
        meaning: "how many accounts may exist, 0 for no limit",
    },
    list("reach.allow", "none", "private prefixes that clients may reach through this host"),
    list(
        "dns.forwarders",
        "1.1.1.1, 9.9.9.9",
        "whom the resolver asks where the API names nobody; `tls://` is over TLS",
    ),
    list("dns.blocklists", "none", "files or URLs with names that are not answered, of one server with `NAME=` before"),
    number("ikev2.port", "500", "the UDP port where IKEv2 clients begin"),
    number("ikev2.nat_port", "4500", "the UDP port where they go on, with their packets beside it"),
    list("api.trusted_proxies", "none", "prefixes of proxies whose X-Forwarded-For is believed"),
    text(
        "api.url",
        "endpoint or external_ip, and the port",
        "the URL by which people reach the API, for one-time links",
    ),
    number(
        "api.challenge_port",
        "80",
        "the TCP port where an authority that gives certificates (ACME, http-01) arrives",
    ),
    text("api.certificate", "self-signed", "a PEM file with the API's certificate chain"),
    text("api.key", "self-signed", "a PEM file with that certificate's private key"),
];

const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind: Kind::Text, default, meaning }
}

const fn number(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind: Kind::Number, default, meaning }
}

const fn list(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind: Kind::List, default, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_in_the_readme_word_for_word() {
        let page = include_str!("../../README.md");
        for key in KEYS {
            let row = format!("| `{}` | `{}` | {} | {} |", key.name, key.variable(), key.meaning, key.default);
            assert!(page.contains(&row), "{row}");
        }
    }
}
