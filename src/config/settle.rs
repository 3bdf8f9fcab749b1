//! From texts to values: every check of a value, and its sentence.

use std::num::NonZeroU16;
use std::str::FromStr;

use super::raw::{Raw, Written};
use super::{CertificateFiles, Config, Error, LogFormat, UplinkChoice};
use crate::domain::dns::{BlocklistSource, Forwarder};
use crate::domain::field;
use crate::domain::host;
use crate::domain::limits;
use crate::domain::nat::{self, Filtering, NatSettings};
use crate::domain::traffic_log::Transport;

/// Checks what was written and puts defaults where nothing was.
pub(super) fn settle(raw: &Raw) -> Result<Config, Error> {
    let one = |name, expected| Field { raw, name, expected };
    let unchosen = NatSettings::default();
    Ok(Config {
        listen: one("listen", "an address and a port, as in 0.0.0.0:8098 or [::]:8098").parsed()?,
        data: one("data", "a folder").text(path)?.unwrap_or_else(|| DATA.to_owned()).into(),
        uplink: one("uplink", "auto, sockets or tun").text(uplink)?.unwrap_or(UplinkChoice::Auto),
        log: one("log", "error, warn, info, debug, trace, or a list as in info,culvert::runtime=debug")
            .text(log)?
            .unwrap_or_else(|| "info".to_owned()),
        log_format: one("log_format", "text or json").text(log_format)?.unwrap_or(LogFormat::Text),
        external_ip: one("external_ip", "an IP address").text(field::external_ip)?,
        endpoint: one("endpoint", "a host name or an IP address, without a port").text(field::endpoint)?,
        nat: NatSettings {
            ports: one("nat_ports", "a range of at least 1024 ports, none of them below 1024, as in 16384-51819")
                .text(nat::ports)?
                .unwrap_or(unchosen.ports),
            filtering: one("nat_filtering", "endpoint-independent, address-dependent or address-and-port-dependent")
                .text(Filtering::parse)?
                .unwrap_or(unchosen.filtering),
            ports_per_account: one("nat_ports_per_account", "a number from 1 to 4294967295").parsed()?,
        },
        time_zone: one("time_zone", "the name of a time zone, as in Europe/Warsaw or UTC").text(host::time_zone)?,
        accounts_cap: one("limits.accounts", "a number from 0 to 4294967295").parsed()?.filter(|cap| *cap > 0),
        reach_allow: one("reach.allow", "prefixes, as in 192.168.10.0/24").list(field::network)?,
        trusted_proxies: one("api.trusted_proxies", "addresses or prefixes, as in 10.0.0.2 or 10.0.0.0/28")
            .list(field::network)?,
        challenge_port: one("api.challenge_port", "a port from 1 to 65535")
            .parsed::<NonZeroU16>()?
            .map_or(limits::ACME_PORT, NonZeroU16::get),
        public_url: one(
            "api.url",
            "an https URL without a query, as in https://vpn.example.org or https://a.example/vpn",
        )
        .text(field::public_url)?,
        forwarders: forwarders(raw)?,
        blocklists: one(
            "dns.blocklists",
            "files or URLs, as in /etc/culvert/ads.hosts or Default_1=https://lists.example/ads",
        )
        .list(BlocklistSource::parse)?,
        ikev2_ports: ikev2_ports(raw)?,
        syslog: one("syslog", "udp, tcp, tls, or tls#logs.example").text(Transport::parse)?.unwrap_or_default(),
        certificate: certificate(raw)?,
        strangers: raw.strangers.clone(),
    })
}

/// The folder for everything that lasts, where nobody names one.
const DATA: &str = "./culvert-data";

/// One key on its way to its value.
struct Field<'a> {
    raw: &'a Raw,
    name: &'static str,
    expected: &'static str,
}

impl Field<'_> {
    fn text<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
        let Some((written, text)) = self.written() else { return Ok(None) };
        let value = read(text).ok_or_else(|| self.refuse(written, text))?;
        Ok(Some(value))
    }

    fn parsed<T: FromStr>(&self) -> Result<Option<T>, Error> {
        self.text(|text| text.parse().ok())
    }

    fn list<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Error> {
        let Some(written) = self.raw.get(self.name) else { return Ok(Vec::new()) };
        written.texts.iter().map(|text| read(text).ok_or_else(|| self.refuse(written, text))).collect()
    }

    fn written(&self) -> Option<(&Written, &str)> {
        let written = self.raw.get(self.name)?;
        Some((written, written.texts.first()?))
    }

    fn refuse(&self, written: &Written, text: &str) -> Error {
        Error::WrongValue {
            origin: written.origin.clone(),
            name: self.name,
            value: text.to_owned(),
            expected: self.expected,
        }
    }
}

fn path(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn uplink(text: &str) -> Option<UplinkChoice> {
    match text {
        "auto" => Some(UplinkChoice::Auto),
        "sockets" => Some(UplinkChoice::Sockets),
        "tun" => Some(UplinkChoice::Tun),
        _ => None,
    }
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// A list of levels and `target=level`. A bare word that is no level is a misspelt level, not a target.
fn log(text: &str) -> Option<String> {
    let is_level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    let is_target =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    let fits = |part: &str| match part.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(part),
    };
    text.split(',').all(fits).then(|| text.to_owned())
}

/// Two at most: the first is asked, the other where it is silent.
fn forwarders(raw: &Raw) -> Result<Vec<Forwarder>, Error> {
    let expected = "one or two addresses, as in 192.0.2.53 or tls://192.0.2.53#dns.example";
    let field = Field { raw, name: "dns.forwarders", expected };
    let forwarders = field.list(Forwarder::parse)?;
    match (raw.get(field.name), forwarders.len()) {
        (Some(written), 3..) => Err(field.refuse(written, &written.texts.join(", "))),
        _ => Ok(forwarders),
    }
}

/// Two ports, of which the first alone speaks without a marker: they cannot be one.
fn ikev2_ports(raw: &Raw) -> Result<(u16, u16), Error> {
    let field = |name| Field { raw, name, expected: "a port from 1 to 65535, another than that of the other key" };
    let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
    let (first, second) = (field("ikev2.port"), field("ikev2.nat_port"));
    let ports = (first.text(port)?.unwrap_or(500), second.text(port)?.unwrap_or(4_500));
    let written = second.written().map(|written| (&second, written)).or_else(|| Some((&first, first.written()?)));
    match written {
        Some((field, (written, text))) if ports.0 == ports.1 => Err(field.refuse(written, text)),
        _ => Ok(ports),
    }
}

/// Both files or none.
fn certificate(raw: &Raw) -> Result<Option<CertificateFiles>, Error> {
    let chain = Field { raw, name: "api.certificate", expected: "a PEM file" };
    let key = Field { raw, name: "api.key", expected: "a PEM file" };
    let alone =
        |(written, _): (&Written, _), name, missing| Error::Alone { origin: written.origin.clone(), name, missing };
    match (chain.written(), key.written()) {
        (Some(there), None) => return Err(alone(there, chain.name, key.name)),
        (None, Some(there)) => return Err(alone(there, key.name, chain.name)),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let files = chain.text(path)?.zip(key.text(path)?);
    Ok(files.map(|(chain, key)| CertificateFiles { chain: chain.into(), key: key.into() }))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::path::Path;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::keys::KEYS;

    fn file(text: &str) -> Result<Config, String> {
        let raw = Raw::from_file(Path::new("c"), text).map_err(|error| error.to_string())?;
        settle(&raw).map_err(|error| error.to_string())
    }

    #[test]
    fn needs_nothing_written() {
        let config = file("").unwrap();

        assert_eq!(
            (config.listen, config.data.to_str(), config.uplink),
            (None, Some("./culvert-data"), UplinkChoice::Auto)
        );
        assert_eq!((config.log.as_str(), config.log_format), ("info", LogFormat::Text));
        assert_eq!((config.accounts_cap, &config.certificate), (None, &None));
        assert_eq!(config.ikev2_ports, (500, 4_500));
        assert_eq!(file("limits.accounts = 0").unwrap(), config);
        assert_eq!((config.nat.ports.clone(), config.nat.filtering), (16_384..=51_819, Filtering::AddressDependent));
    }

    #[test]
    fn settles_every_key() {
        let config = file(
            r#"
            listen = "[::1]:9000"
            data = "/srv/culvert"
            uplink = "sockets"
            log = "warn,culvert::runtime=debug"
            log_format = "json"
            external_ip = "192.0.2.7"
            endpoint = "vpn.example.org"
            nat_ports = "20000-29999"
            nat_filtering = "endpoint-independent"
            nat_ports_per_account = 500
            time_zone = "Europe/Warsaw"
            syslog = "tls#logs.example"
            limits.accounts = 20
            reach.allow = ["192.168.10.0/24", "10.1.2.3"]
            dns.forwarders = ["tls://192.0.2.53#dns.example"]
            dns.blocklists = ["Default_1=/srv/ads"]
            [ikev2]
            port = 1500
            nat_port = 14500
            [api]
            trusted_proxies = ["10.0.0.2"]
            url = "https://[2001:db8::1]:8443/vpn/"
            certificate = "chain.pem"
            key = "key.pem"
            "#,
        )
        .unwrap();

        assert_eq!(config.listen, Some("[::1]:9000".parse().unwrap()));
        assert_eq!((config.uplink, config.log_format), (UplinkChoice::Sockets, LogFormat::Json));
        assert_eq!((config.external_ip, config.accounts_cap), (Some("192.0.2.7".parse().unwrap()), Some(20)));
        assert_eq!(config.endpoint.as_deref(), Some("vpn.example.org"));
        assert_eq!((config.nat.ports, config.nat.filtering), (20_000..=29_999, Filtering::EndpointIndependent));
        assert_eq!(config.nat.ports_per_account.map(NonZeroU32::get), Some(500));
        assert_eq!(config.time_zone, TimeZone::get("Europe/Warsaw").ok());
        assert_eq!(config.reach_allow, ["192.168.10.0/24".parse().unwrap(), "10.1.2.3/32".parse().unwrap()]);
        assert_eq!(config.blocklists, [BlocklistSource::parse("Default_1=/srv/ads").unwrap()]);
        assert_eq!(config.forwarders, [Forwarder::parse("tls://192.0.2.53#dns.example").unwrap()]);
        assert_eq!(config.ikev2_ports, (1_500, 14_500));
        assert_eq!(config.syslog, Transport::Tls { name: Some("logs.example".into()) });
        assert_eq!(config.trusted_proxies, ["10.0.0.2/32".parse().unwrap()]);
        assert_eq!(config.public_url.as_deref(), Some("https://[2001:db8::1]:8443/vpn"));
        assert_eq!(config.certificate, Some(CertificateFiles { chain: "chain.pem".into(), key: "key.pem".into() }));
    }

    #[test]
    fn refuses_each_meaningless_value_with_its_line_and_key() {
        let cases = [
            ("listen", "\"8098\"", "8098"),
            ("listen", "\"localhost:8098\"", "localhost:8098"),
            ("data", "\"\"", ""),
            ("uplink", "\"tap\"", "tap"),
            ("uplink", "\"Auto\"", "Auto"),
            ("log", "\"verbose\"", "verbose"),
            ("log", "\"info,a=loud\"", "info,a=loud"),
            ("log_format", "\"xml\"", "xml"),
            ("external_ip", "\"vpn.example.org\"", "vpn.example.org"),
            ("endpoint", "\"vpn.example.org:51821\"", "vpn.example.org:51821"),
            ("external_ip", "\"0.0.0.0\"", "0.0.0.0"),
            ("endpoint", "\"-a.example\"", "-a.example"),
            ("endpoint", "\"192.0.2.300\"", "192.0.2.300"),
            ("nat_ports", "\"\"", ""),
            ("nat_ports", "\"51819-16384\"", "51819-16384"),
            ("nat_ports", "\"1023-51819\"", "1023-51819"),
            ("nat_ports", "\"1024-2046\"", "1024-2046"),
            ("nat_ports", "\"60000-65536\"", "60000-65536"),
            ("nat_filtering", "\"symmetric\"", "symmetric"),
            ("nat_ports_per_account", "0", "0"),
            ("nat_ports_per_account", "4294967296", "4294967296"),
            ("time_zone", "\"Mars/Olympus\"", "Mars/Olympus"),
            ("time_zone", "\"../localtime\"", "../localtime"),
            ("syslog", "\"quic\"", "quic"),
            ("syslog", "\"tls#\"", "tls#"),
            ("syslog", "\"tcp#logs.example\"", "tcp#logs.example"),
            ("limits.accounts", "-1", "-1"),
            ("limits.accounts", "4294967296", "4294967296"),
            ("reach.allow", "[\"10.0.0.0/8\", \"10.0.0.0/33\"]", "10.0.0.0/33"),
            ("api.trusted_proxies", "[\"proxy\"]", "proxy"),
            ("api.url", "\"http://vpn.example.org\"", "http://vpn.example.org"),
            ("api.url", "\"vpn.example.org\"", "vpn.example.org"),
            ("api.url", "\"https://a@vpn.example.org\"", "https://a@vpn.example.org"),
            ("api.url", "\"https://vpn.example.org:x\"", "https://vpn.example.org:x"),
            ("api.url", "\"https://vpn.example.org/?a\"", "https://vpn.example.org/?a"),
            ("api.url", "\"https:///a\"", "https:///a"),
            ("ikev2.port", "0", "0"),
            ("ikev2.port", "4500", "4500"),
            ("ikev2.nat_port", "65536", "65536"),
            ("ikev2.nat_port", "500", "500"),
            ("dns.blocklists", "[\"ftp://lists.example\"]", "ftp://lists.example"),
            ("dns.forwarders", "[\"dns.example\"]", "dns.example"),
            ("dns.forwarders", "[\"1.1.1.1\", \"2.2.2.2\", \"3.3.3.3\"]", "1.1.1.1, 2.2.2.2, 3.3.3.3"),
        ];
        for (key, value, shown) in cases {
            let sentence = file(&format!("\n{key} = {value}")).unwrap_err();
            assert!(sentence.starts_with(&format!("line 2 of `c`: `{shown}` is no value for `{key}`: ")), "{sentence}");
        }
    }

    #[test]
    fn refuses_half_a_certificate() {
        assert_eq!(file("api.key = \"a\"").unwrap_err(), "line 1 of `c`: `api.key` needs `api.certificate` beside it");
        assert_eq!(
            file("api.certificate = \"a\"").unwrap_err(),
            "line 1 of `c`: `api.certificate` needs `api.key` beside it"
        );
    }

    #[test]
    fn the_sample_holds_exactly_the_known_keys_and_settles() {
        let sample = include_str!("../../configs/culvert.toml");
        let live: Vec<_> = sample.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect();

        let raw = Raw::from_file(Path::new("culvert.toml"), &live.join("\n")).unwrap();
        let missing: Vec<_> = KEYS.iter().filter(|key| raw.get(key.name).is_none()).map(|key| key.name).collect();

        assert_eq!(missing, Vec::<&str>::new());
        settle(&raw).unwrap();
        let as_shipped = Raw::from_file(Path::new("culvert.toml"), sample).unwrap();
        assert_eq!(as_shipped, Raw::default(), "the sample changes a default before anybody has edited it");
    }
}
