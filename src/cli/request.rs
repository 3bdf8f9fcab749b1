//! From a command to a request of the API: which path, which fields.

use axum::body::Body;
use axum::http::{Request, header};

use super::Failure;
use super::args::{
    AccessCommand, AccountCommand, AccountFields, AuditFields, Command, ConfigCommand, Month, ServerCommand,
    ServerFields, Switch, SystemCommand,
};
use super::network::{DnsCommand, FirewallCommand, FirewallFields, ForwardCommand, LinkCommand, RuleCommand};
use super::{backup, ikev2, traffic_log, user, webhook};

/// A request of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// GET, POST, PUT or DELETE.
    pub(super) method: &'static str,
    /// The path, with names escaped.
    pub(super) path: String,
    /// The form's fields.
    pub(super) form: Vec<(&'static str, String)>,
}

impl Call {
    /// A request that reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), form: Vec::new() }
    }

    /// A request that takes something away.
    pub(super) fn delete(path: String) -> Self {
        Self { method: "DELETE", path, form: Vec::new() }
    }

    /// A request that changes something.
    pub(super) fn put(path: impl Into<String>, form: Vec<(&'static str, Option<String>)>) -> Self {
        Self::with_form("PUT", path, form)
    }

    /// A request that adds something.
    pub(super) fn post(path: impl Into<String>, form: Vec<(&'static str, Option<String>)>) -> Self {
        Self::with_form("POST", path, form)
    }

    /// It as HTTP has it, with this body.
    pub(super) fn request(&self, body: Body) -> Result<Request<Body>, Failure> {
        let request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        request.map_err(|error| Failure::unusable(format!("cannot form a request: {error}")))
    }

    fn with_form(method: &'static str, path: impl Into<String>, form: Vec<(&'static str, Option<String>)>) -> Self {
        let form = form.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Self { method, path: path.into(), form }
    }
}

/// Where servers are.
pub(super) const SERVERS: &str = "/api/v1/wireguard";

const ACCOUNTS: &str = "/api/v1/account";
const CONFIG: &str = "/api/v1/system/config";
const ACCESS: &str = "/local/v1/access";
const FIREWALL: &str = "/api/v1/firewall/conf";
const DNS: &str = "/api/v1/dns";
const RULES: &str = "/api/v1/firewall/rules/filter";

/// The request that a command stands for; `serve` and `completions` stand for none.
pub(super) fn call(command: &Command) -> Option<Call> {
    match command {
        Command::Serve(_) | Command::Completions { .. } => None,
        Command::Status => Some(Call::get("/local/v1/status")),
        Command::Server(command) => Some(server(command)),
        Command::Account(command) => Some(account(command)),
        Command::System(command) => Some(system(command)),
        Command::Access(command) => Some(access(command)),
        Command::Firewall(command) => Some(firewall(command)),
        Command::Forward(command) => Some(forward(command)),
        Command::Dns(command) => Some(dns(command)),
        Command::Backup(command) => Some(backup::call(command)),
        Command::TrafficLog(command) => Some(traffic_log::call(command)),
        Command::Ikev2(command) => Some(ikev2::call(command)),
        Command::Webhook(command) => Some(webhook::call(command)),
        Command::User(command) => Some(user::call(command)),
        Command::Audit(fields) => Some(audit(fields)),
        Command::Link(LinkCommand::List) => Some(Call::get("/api/v1/otl/list")),
        Command::Link(LinkCommand::Withdraw { account }) => Some(Call::delete(below(ACCOUNTS, account) + "/otl")),
    }
}

fn audit(fields: &AuditFields) -> Call {
    let form = vec![
        ("caller", fields.caller.clone()),
        ("about", fields.about.clone()),
        ("name", fields.name.clone()),
        ("since", fields.since.clone()),
        ("until", fields.until.clone()),
        ("before", fields.before.clone()),
        ("limit", fields.limit.clone()),
    ];
    Call::with_form("GET", "/api/v1/audit", form)
}

fn server(command: &ServerCommand) -> Call {
    match command {
        ServerCommand::Add { name, interface, fields } => {
            let mut form = server_form(fields);
            form.extend([("name", name.clone()), ("interface_name", interface.clone())]);
            Call::with_form("POST", SERVERS, form)
        }
        ServerCommand::List => Call::get(SERVERS),
        ServerCommand::Show { name } => Call::get(below(SERVERS, name)),
        ServerCommand::Edit { name, fields } => Call::with_form("PUT", below(SERVERS, name), server_form(fields)),
        ServerCommand::Remove { name } => Call::delete(below(SERVERS, name)),
    }
}

fn server_form(fields: &ServerFields) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("address", fields.address.clone()),
        ("listen_port", fields.port.clone()),
        ("external_ip", fields.external_ip.clone()),
        ("endpoint", fields.endpoint.clone()),
        ("allowed_ips", fields.allowed_ips.clone()),
        ("internal_traffic", fields.internal_traffic.map(flag)),
        ("ikev2", fields.ikev2.map(flag)),
        ("dns_1", fields.dns1.clone()),
        ("dns_2", fields.dns2.clone()),
        ("ipv6", fields.ipv6.map(flag)),
        ("address_ipv6", fields.address_ipv6.clone()),
        ("dns_1_ipv6", fields.dns1_ipv6.clone()),
        ("dns_2_ipv6", fields.dns2_ipv6.clone()),
        ("mtu", fields.mtu.clone()),
        ("keep_alive", fields.keep_alive.clone()),
        ("b_download", fields.download.clone()),
        ("b_upload", fields.upload.clone()),
        ("limit_download", fields.limit_download.clone()),
        ("limit_upload", fields.limit_upload.clone()),
    ]
}

/// A switch as a form has it.
pub(super) fn flag(switch: Switch) -> String {
    match switch {
        Switch::On => "1".to_owned(),
        Switch::Off => "0".to_owned(),
    }
}

fn account(command: &AccountCommand) -> Call {
    match command {
        AccountCommand::Add { name, server, username, public_key, fields } => {
            let mut form = account_form(fields);
            form.extend([
                ("name", name.clone()),
                ("wg_name", server.clone()),
                ("username", username.clone()),
                ("public_key", public_key.clone()),
            ]);
            Call::with_form("POST", ACCOUNTS, form)
        }
        AccountCommand::List => Call::get(ACCOUNTS),
        AccountCommand::Show { name } => Call::get(below(ACCOUNTS, name)),
        AccountCommand::Edit { name, fields } => Call::with_form("PUT", below(ACCOUNTS, name), account_form(fields)),
        AccountCommand::Remove { name } => Call::delete(below(ACCOUNTS, name)),
        AccountCommand::Connections { name } => Call::get(below(ACCOUNTS, name) + "/connections"),
        AccountCommand::Traffic { name, month, day } => traffic(name, month.as_ref(), day.as_ref()),
        AccountCommand::Ikev2Profile { name, format } => Call::get(below(ACCOUNTS, name) + format.path()),
        AccountCommand::Link { name } => Call::get(below(ACCOUNTS, name) + "/otl"),
        AccountCommand::Config { name } => Call::get(below(ACCOUNTS, name) + "/config_text"),
        AccountCommand::Qr { name, png: None } => Call::get(below("/local/v1/account", name) + "/config_qr_text"),
        AccountCommand::Qr { name, png: Some(_) } => Call::get(below(ACCOUNTS, name) + "/config_qr"),
    }
}

fn account_form(fields: &AccountFields) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("status", fields.status.clone()),
        ("allowed_IPs", fields.ip.clone()),
        ("allowed_IPs_ipv6", fields.ipv6.clone()),
        ("b_download", fields.download.clone()),
        ("b_upload", fields.upload.clone()),
        ("expires", fields.expires.clone()),
        ("quota", fields.quota.clone()),
        ("quota_period", fields.quota_period.clone()),
        ("quota_action", fields.quota_action.clone()),
        ("quota_rate", fields.quota_rate.clone()),
        ("owner", fields.owner.clone()),
    ]
}

/// A month that is left out is the present one, and only the appliance knows which that is: it takes `now` for it.
fn traffic(name: &str, month: Option<&Month>, day: Option<&String>) -> Call {
    let (year, month) = month.map_or(("now", "now"), |Month { year, month }| (year.as_str(), month.as_str()));
    let kind = if day.is_some() { "/traffic_hourly" } else { "/traffic_statistics" };
    let mut path = below(&below(&(below(ACCOUNTS, name) + kind), year), month);
    if let Some(day) = day {
        path = below(&path, day);
    }
    Call::get(path)
}

fn system(command: &SystemCommand) -> Call {
    match command {
        SystemCommand::Reload => Call::with_form("PUT", "/api/v1/system/reload", Vec::new()),
        SystemCommand::Config(ConfigCommand::Show) => Call::get(CONFIG),
        SystemCommand::Config(ConfigCommand::Default) => Call::with_form("PUT", below(CONFIG, "default"), Vec::new()),
        SystemCommand::Config(ConfigCommand::Edit { traffic_frequency, traffic_history, handshake_uptime }) => {
            let form = vec![
                ("traffic_statistics_frequency", traffic_frequency.clone()),
                ("traffic_statistics_history", traffic_history.clone()),
                ("wireguard_handshake_uptime", handshake_uptime.clone()),
            ];
            Call::with_form("PUT", CONFIG, form)
        }
    }
}

fn access(command: &AccessCommand) -> Call {
    match command {
        AccessCommand::Add { label, from, role, reseller, expires } => {
            let form = vec![
                ("label", Some(label.clone())),
                ("ip", Some(from.clone())),
                ("role", role.clone()),
                ("reseller", reseller.clone()),
                ("expires", expires.clone()),
            ];
            Call::with_form("POST", ACCESS, form)
        }
        AccessCommand::List => Call::get(ACCESS),
        AccessCommand::Remove { label } => Call::delete(below(ACCESS, label)),
    }
}

fn firewall(command: &FirewallCommand) -> Call {
    match command {
        FirewallCommand::Show => Call::get(FIREWALL),
        FirewallCommand::Set(fields) => Call::with_form("PUT", FIREWALL, firewall_form(fields)),
        FirewallCommand::Rules => Call::get(RULES),
        FirewallCommand::Rule(RuleCommand::Remove { name }) => Call::delete(below(RULES, name)),
        FirewallCommand::Rule(rule) => add_rule(rule),
    }
}

fn firewall_form(fields: &FirewallFields) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("internal_traffic", fields.internal_traffic.map(flag)),
        ("ip_forward", fields.ip_forward.map(flag)),
        ("policy_input", fields.input.clone()),
        ("policy_forward", fields.forward.clone()),
        ("policy_output", fields.output.clone()),
    ]
}

fn add_rule(rule: &RuleCommand) -> Call {
    let RuleCommand::Add { name, action, chain, protocol, source, source_port, destination, port, top } = rule else {
        return Call::get(RULES);
    };
    let fields = [
        ("name", name),
        ("action", action),
        ("chain", chain),
        ("protocol", protocol),
        ("s_ip", source),
        ("s_port", source_port),
        ("d_ip", destination),
        ("d_port", port),
    ];
    let form = fields.into_iter().map(|(field, value)| (field, Some(value.clone()))).collect();
    Call::with_form("POST", below(RULES, if *top { "top" } else { "end" }), form)
}

fn forward(command: &ForwardCommand) -> Call {
    let forwards = |server: &str| below(SERVERS, server) + "/port_forwarding";
    match command {
        ForwardCommand::Add { server, protocol, port, account, to_port } => {
            let to_port = to_port.as_ref().unwrap_or(port);
            let fields = [("dst_port", port), ("protocol", protocol), ("to_peer", account), ("to_port", to_port)];
            let form = fields.into_iter().map(|(field, value)| (field, Some(value.clone()))).collect();
            Call::with_form("POST", forwards(server), form)
        }
        ForwardCommand::List { server } => Call::get(forwards(server)),
        ForwardCommand::Remove { server, protocol, port } => {
            Call::delete(below(&below(&forwards(server), port), protocol))
        }
    }
}

fn dns(command: &DnsCommand) -> Call {
    match command {
        DnsCommand::Show => Call::get(DNS),
        DnsCommand::Edit { enabled, forwarder1, forwarder2, max_cache_ttl } => {
            let form = vec![
                ("enabled", enabled.map(flag)),
                ("forwarders_1", forwarder1.clone()),
                ("forwarders_2", forwarder2.clone()),
                ("max_cache_ttl", max_cache_ttl.clone()),
            ];
            Call::with_form("PUT", DNS, form)
        }
    }
}

/// A path below another, with everything escaped that is not unreserved (RFC 3986, section 2.3).
pub(super) fn below(path: &str, name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        // a segment of dots alone would be taken for a step in the tree (section 5.2.4)
        _ => format!("%{byte:02X}"),
    };
    let name: String = name.bytes().map(escape).collect();
    format!("{path}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::Parser as _;

    fn called(line: &str) -> (String, Vec<(&'static str, String)>) {
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let call = call(&arguments.command).unwrap();
        (format!("{} {}", call.method, call.path), call.form)
    }

    #[test]
    fn knows_the_path_of_every_command() {
        let cases = [
            ("culvert status", "GET /local/v1/status"),
            ("culvert server add", "POST /api/v1/wireguard"),
            ("culvert server list", "GET /api/v1/wireguard"),
            ("culvert server show a", "GET /api/v1/wireguard/a"),
            ("culvert server edit a", "PUT /api/v1/wireguard/a"),
            ("culvert server remove a", "DELETE /api/v1/wireguard/a"),
            ("culvert account add", "POST /api/v1/account"),
            ("culvert account list", "GET /api/v1/account"),
            ("culvert account show a", "GET /api/v1/account/a"),
            ("culvert account edit a", "PUT /api/v1/account/a"),
            ("culvert account remove a", "DELETE /api/v1/account/a"),
            ("culvert account config a", "GET /api/v1/account/a/config_text"),
            ("culvert account qr a", "GET /local/v1/account/a/config_qr_text"),
            ("culvert account qr a --png f", "GET /api/v1/account/a/config_qr"),
            ("culvert access add a --ip ::1", "POST /local/v1/access"),
            ("culvert access add a --from 10.0.0.0/8 --role read_only --expires 2027-01-01", "POST /local/v1/access"),
            ("culvert access list", "GET /local/v1/access"),
            ("culvert user add a --role reseller --accounts 5", "POST /local/v1/users"),
            ("culvert user list", "GET /local/v1/users"),
            ("culvert user edit a --traffic 1T", "PUT /local/v1/users/a"),
            ("culvert user remove a", "DELETE /local/v1/users/a"),
            ("culvert user password admin", "PUT /local/v1/users/admin/password"),
            ("culvert user unlock a@b", "PUT /local/v1/users/a%40b/unlock"),
            ("culvert user remove-second-factor a", "DELETE /local/v1/users/a/second_factor"),
            ("culvert access remove a", "DELETE /local/v1/access/a"),
            ("culvert account connections a", "GET /api/v1/account/a/connections"),
            ("culvert account traffic a", "GET /api/v1/account/a/traffic_statistics/now/now"),
            ("culvert account traffic a --month 2026-01", "GET /api/v1/account/a/traffic_statistics/2026/01"),
            ("culvert account traffic a --month 2026-01 --day 9", "GET /api/v1/account/a/traffic_hourly/2026/01/9"),
            ("culvert system config show", "GET /api/v1/system/config"),
            ("culvert system config edit --traffic-history 3", "PUT /api/v1/system/config"),
            ("culvert system config default", "PUT /api/v1/system/config/default"),
            ("culvert system reload", "PUT /api/v1/system/reload"),
            ("culvert account ikev2-profile a", "GET /api/v1/account/a/ikev2_profile"),
            ("culvert account ikev2-profile a --format powershell", "GET /api/v1/account/a/ikev2_powershell"),
            ("culvert account ikev2-profile a --format mobileconfig", "GET /api/v1/account/a/ikev2_mobileconfig"),
            ("culvert account link a", "GET /api/v1/account/a/otl"),
            ("culvert link list", "GET /api/v1/otl/list"),
            ("culvert link withdraw a", "DELETE /api/v1/account/a/otl"),
            ("culvert firewall show", "GET /api/v1/firewall/conf"),
            ("culvert firewall set --forward DROP", "PUT /api/v1/firewall/conf"),
            ("culvert firewall rules", "GET /api/v1/firewall/rules/filter"),
            ("culvert firewall rule add a DROP INPUT", "POST /api/v1/firewall/rules/filter/end"),
            ("culvert firewall rule add a DROP INPUT --top", "POST /api/v1/firewall/rules/filter/top"),
            ("culvert firewall rule remove a", "DELETE /api/v1/firewall/rules/filter/a"),
            ("culvert dns show", "GET /api/v1/dns"),
            ("culvert dns edit --enabled off", "PUT /api/v1/dns"),
            ("culvert traffic-log show", "GET /api/v1/traffic_logging"),
            ("culvert traffic-log edit --len on", "PUT /api/v1/traffic_logging"),
            ("culvert forward list s", "GET /api/v1/wireguard/s/port_forwarding"),
            ("culvert forward add s tcp 80 a", "POST /api/v1/wireguard/s/port_forwarding"),
            ("culvert forward remove s tcp 80", "DELETE /api/v1/wireguard/s/port_forwarding/80/tcp"),
        ];
        for (line, expected) in cases {
            assert_eq!(called(line).0, expected, "{line}");
        }
    }

    #[test]
    fn sends_only_the_fields_that_were_given() {
        let (_, form) = called("culvert server edit a --port 51900 --ipv6 off --download 0");

        assert_eq!(form, [("listen_port", "51900".into()), ("ipv6", "0".into()), ("b_download", "0".into())]);
        assert_eq!(called("culvert account add").1, []);
    }

    #[test]
    fn sends_each_field_of_an_account_under_its_name_in_the_contract() {
        let line = "culvert account add a --server s --username u --public-key k --status disable --ip 10.0.0.9 \
                    --ipv6 fd00::9 --download 1 --upload 2 --expires never --quota 5G --quota-period week \
                    --quota-action throttle --quota-rate 3";
        let (_, form) = called(line);

        let names: Vec<_> = form.iter().map(|(name, _)| *name).collect();
        let expected = [
            "status",
            "allowed_IPs",
            "allowed_IPs_ipv6",
            "b_download",
            "b_upload",
            "expires",
            "quota",
            "quota_period",
            "quota_action",
            "quota_rate",
            "name",
            "wg_name",
            "username",
            "public_key",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn fills_in_what_a_rule_and_a_forward_leave_out() {
        let (_, rule) = called("culvert firewall rule add a DROP FORWARD --protocol TCP --port 25");
        let of_rule = |name: &str| rule.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
        assert_eq!(
            ["s_ip", "s_port", "d_ip", "d_port"].map(of_rule),
            [Some("0.0.0.0/0"), Some("0"), Some("0.0.0.0/0"), Some("25")]
        );
        let (_, forward) = called("culvert forward add s tcp 80 a");
        assert!(forward.contains(&("to_port", "80".into())), "{forward:?}");
    }

    #[test]
    fn escapes_names() {
        assert_eq!(below("/x", "a_B-9"), "/x/a_B-9");
        assert_eq!(below("/x", "../a b/ü?"), "/x/%2E%2E%2Fa%20b%2F%C3%BC%3F");
    }
}
