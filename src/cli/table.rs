//! Answers of the API as tables for people.

use comfy_table::Table;
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use serde_json::Value;

use super::args::{AccessCommand, AccountCommand, Command, ServerCommand, SystemCommand};
use super::backup::{BackupCommand, SettingsCommand};
use super::ikev2::Ikev2Command;
use super::network::{FirewallCommand, ForwardCommand, LinkCommand, RuleCommand};
use super::shown;
use super::user::UserCommand;
use super::webhook::WebhookCommand;

/// A column: its heading and the field that it shows.
type Column = (&'static str, &'static str);

const SERVERS: &[Column] = &[
    ("NAME", "name"),
    ("PORT", "listen_port"),
    ("NETWORK", "address"),
    ("NETWORK IPV6", "address_ipv6"),
    ("EXTERNAL IP", "external_ip"),
    ("INTERNAL TRAFFIC", "internal_traffic"),
];
const ACCOUNTS: &[Column] = &[
    ("NAME", "name"),
    ("SERVER", "wg_name"),
    ("ADDRESS", "allowed_IPs"),
    ("STATUS", "status"),
    ("STATE", "state"),
    ("EXPIRES", "expires"),
    ("QUOTA", "quota"),
    ("USED", "quota_used"),
    ("DOWN MBIT/S", "b_download"),
    ("UP MBIT/S", "b_upload"),
    ("USERNAME", "username"),
];
const RULES: &[Column] = &[
    ("NAME", "name"),
    ("CHAIN", "chain"),
    ("ACTION", "action"),
    ("PROTOCOL", "protocol"),
    ("SOURCE", "s_ip"),
    ("PORT", "s_port"),
    ("DESTINATION", "d_ip"),
    ("PORT", "d_port"),
    ("PACKETS", "packets"),
    ("BYTES", "bytes"),
];
const FORWARDS: &[Column] =
    &[("PROTOCOL", "protocol"), ("PORT", "dst_port"), ("ACCOUNT", "to_peer"), ("ITS PORT", "to_port")];
const CONNECTIONS: &[Column] = &[
    ("PROTOCOL", "protocol"),
    ("FROM", "source"),
    ("TO", "destination"),
    ("ANSWERS TO", "reply_destination"),
    ("STATE", "state"),
    ("SECONDS", "age"),
    ("BYTES UP", "bytes_up"),
    ("BYTES DOWN", "bytes_down"),
];
const WEBHOOKS: &[Column] = &[
    ("NAME", "name"),
    ("URL", "url"),
    ("EVENTS", "events"),
    ("ENABLED", "enabled"),
    ("WAITING", "waiting"),
    ("DELIVERED", "delivered"),
    ("LOST", "lost"),
    ("FAULT", "fault"),
];
const AUDIT: &[Column] = &[
    ("NUMBER", "number"),
    ("TIME", "time"),
    ("CALLER", "caller"),
    ("FROM", "address"),
    ("ABOUT", "about"),
    ("WHAT", "text"),
];
const DAYS: &[Column] = &[("DAY", "date"), ("BYTES DOWN", "traffic_download"), ("BYTES UP", "traffic_upload")];
const HOURS: &[Column] = &[("HOUR", "hour"), ("BYTES DOWN", "traffic_download"), ("BYTES UP", "traffic_upload")];
const CLIENTS: &[Column] =
    &[("NAME", "name"), ("SERVER", "wg_name"), ("ADDRESS", "allowed_IPs"), ("FROM", "endpoint"), ("SINCE", "uptime")];
const BACKUPS: &[Column] = &[("NAME", "backup_name"), ("MADE", "creation_date"), ("MB", "size")];
/// Without the key: who sees it may use the link up.
const LINKS: &[Column] = &[("ACCOUNT", "account"), ("MADE", "created_data"), ("ENDS", "lifetime")];
const ACCESS: &[Column] = &[
    ("LABEL", "label"),
    ("ADDRESS", "ip"),
    ("ROLE", "role"),
    ("RESELLER", "reseller"),
    ("MADE", "created"),
    ("ENDS", "expires"),
    ("LAST USE", "last_login"),
];
const USERS: &[Column] = &[
    ("NAME", "name"),
    ("ROLE", "role"),
    ("2ND FACTOR", "second_factor"),
    ("SESSIONS", "sessions"),
    ("LAST SEEN", "last_seen"),
    ("LOCKED (S)", "locked"),
    ("ACCOUNTS", "accounts"),
    ("BYTES A MONTH", "traffic"),
];

/// Fields that a person looking over a shoulder must not see; `--json` and `account config` show them.
const SECRET: [&str; 6] = ["private_key", "password", "ca_key", "server_key", "ftp_password", "influxdb_token"];

/// Puts an answer into a table: with lines for a terminal, in bare columns for anything else.
pub(super) fn render(command: &Command, answer: &Value, terminal: bool) -> String {
    let style = if terminal { UTF8_FULL_CONDENSED } else { NOTHING };
    let mut table = Table::new();
    table.load_style(style);
    match command {
        Command::Server(ServerCommand::List) => rows(&mut table, SERVERS, answer),
        Command::Account(AccountCommand::List) => rows(&mut table, ACCOUNTS, answer),
        Command::Access(AccessCommand::List) => rows(&mut table, ACCESS, answer),
        Command::User(command) => match command {
            UserCommand::List => rows(&mut table, USERS, answer),
            UserCommand::Add { name, .. } => return format!("Added `{name}`\n"),
            UserCommand::Edit { .. } => fields(&mut table, answer),
            UserCommand::Remove { name } => return format!("Removed `{name}`\n"),
            UserCommand::Password { name, .. } => return format!("The password of `{name}` is set\n"),
            UserCommand::Unlock { name } => return format!("`{name}` may log in again\n"),
            UserCommand::RemoveSecondFactor { name } => return format!("Removed the second factor of `{name}`\n"),
        },
        Command::Account(AccountCommand::Traffic { day: None, .. }) => rows(&mut table, DAYS, answer),
        Command::Account(AccountCommand::Traffic { day: Some(_), .. }) => rows(&mut table, HOURS, answer),
        Command::System(SystemCommand::Reload) => return "Everything runs as it ought to\n".to_owned(),
        Command::Account(AccountCommand::Connections { .. }) => rows(&mut table, CONNECTIONS, answer),
        Command::Firewall(FirewallCommand::Rules) => rows(&mut table, RULES, answer),
        Command::Forward(ForwardCommand::List { .. }) => rows(&mut table, FORWARDS, answer),
        Command::Webhook(WebhookCommand::List) => rows(&mut table, WEBHOOKS, answer),
        Command::Webhook(WebhookCommand::Test { name }) => return format!("`{name}` has taken a message\n"),
        Command::Audit(_) => rows(&mut table, AUDIT, answer),
        Command::Link(LinkCommand::List) => rows(&mut table, LINKS, answer.get("olts").unwrap_or(&Value::Null)),
        Command::Link(LinkCommand::Withdraw { account }) => {
            return format!("Withdrew the one-time links to `{account}`\n");
        }
        Command::Firewall(FirewallCommand::Set(_)) => return "The firewall is set\n".to_owned(),
        Command::Firewall(FirewallCommand::Rule(RuleCommand::Add { name, .. })) => return format!("Added `{name}`\n"),
        Command::Firewall(FirewallCommand::Rule(RuleCommand::Remove { name }))
        | Command::Webhook(WebhookCommand::Remove { name })
        | Command::Backup(BackupCommand::Remove { name }) => return format!("Removed `{name}`\n"),
        Command::Forward(ForwardCommand::Remove { protocol, port, .. }) => {
            return format!("Removed `{port}/{protocol}`\n");
        }
        Command::Dns(_) => resolver(&mut table, answer),
        Command::Backup(BackupCommand::List) => {
            rows(&mut table, BACKUPS, answer.get("backups").unwrap_or(&Value::Null));
        }
        Command::Backup(BackupCommand::Create { .. }) => return format!("Made `{}`\n", cell(answer, "backup_name")),
        Command::Backup(BackupCommand::Download { .. }) => return format!("Wrote `{}`\n", shown(answer)),
        Command::Backup(BackupCommand::Upload { .. }) => return format!("Took `{}`\n", cell(answer, "backup_name")),
        Command::Backup(BackupCommand::Restore { name }) => return format!("Restored `{name}`\n"),
        Command::Ikev2(Ikev2Command::Online) => rows(&mut table, CLIENTS, answer),
        Command::Ikev2(Ikev2Command::Drop { account }) => return format!("Disconnected `{account}`\n"),
        Command::Status => condition(&mut table, answer),
        Command::Server(ServerCommand::Remove { name }) | Command::Account(AccountCommand::Remove { name }) => {
            return format!("Removed `{name}`\n");
        }
        Command::Access(AccessCommand::Remove { label }) => return format!("Removed `{label}`\n"),
        Command::Serve(_)
        | Command::Completions { .. }
        | Command::Server(_)
        | Command::Account(_)
        | Command::TrafficLog(_)
        | Command::System(SystemCommand::Config(_))
        | Command::Ikev2(_)
        | Command::Backup(BackupCommand::Settings(SettingsCommand::Show | SettingsCommand::Edit(_)))
        | Command::Firewall(FirewallCommand::Show)
        | Command::Forward(ForwardCommand::Add { .. })
        | Command::Webhook(WebhookCommand::Add { .. } | WebhookCommand::Edit { .. })
        | Command::Access(AccessCommand::Add { .. }) => fields(&mut table, answer),
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// A row an item, whether the items come in an array or in an object by name.
fn rows(table: &mut Table, columns: &[Column], answer: &Value) {
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    let items: Vec<&Value> = match answer {
        Value::Array(items) => items.iter().collect(),
        Value::Object(items) => items.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for item in items {
        table.add_row(columns.iter().map(|(_, field)| cell(item, field)));
    }
}

/// A row a field.
fn fields(table: &mut Table, answer: &Value) {
    for (field, value) in answer.as_object().into_iter().flatten() {
        let hidden = SECRET.contains(&field.as_str()) && value.as_str().is_some_and(|text| !text.is_empty());
        let value = if hidden { "(hidden; --json shows it)".to_owned() } else { shown(value) };
        table.add_row([field.clone(), value]);
    }
}

/// What `dns` shows: its settings, then what became of the questions at each server.
fn resolver(table: &mut Table, answer: &Value) {
    let counts = |part: &Value| match part {
        Value::Object(counts) => {
            counts.iter().map(|(name, count)| format!("{} {name}", shown(count))).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => shown(part),
    };
    for (field, value) in answer.as_object().into_iter().flatten() {
        if field == "most_blocked" {
            for name in value.as_array().into_iter().flatten() {
                table.add_row([format!("blocked {} times", cell(name, "count")), cell(name, "name")]);
            }
            continue;
        }
        match value.as_object().filter(|_| field == "questions") {
            Some(servers) => {
                for (server, part) in servers {
                    table.add_row([format!("questions at {server}"), counts(part)]);
                }
            }
            None => drop(table.add_row([field.clone(), counts(value)])),
        }
    }
}

/// What `status` shows: first what matters.
fn condition(table: &mut Table, answer: &Value) {
    table.add_row(["Status", &cell(answer, "status")]);
    table.add_row(["Version", &cell(answer, "version")]);
    let uplink = answer.get("uplink").unwrap_or(&Value::Null);
    table.add_row(["Uplink".to_owned(), format!("{}: {}", cell(uplink, "name"), cell(uplink, "why"))]);
    table.add_row(["Servers", &cell(answer, "servers")]);
    table.add_row(["Accounts", &cell(answer, "accounts")]);
    table.add_row(["Revision", &cell(answer, "revision")]);
    for fault in answer.get("faults").and_then(Value::as_array).into_iter().flatten() {
        table.add_row([format!("Fault of {}", cell(fault, "server")), cell(fault, "why")]);
    }
    for (name, field) in [("Fault of the store", "store_fault"), ("Fault of the last backup", "backup_fault")] {
        let fault = cell(answer, field);
        if !fault.is_empty() {
            table.add_row([name, &fault]);
        }
    }
}

fn cell(item: &Value, field: &str) -> String {
    item.get(field).map(shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::Parser as _;
    use serde_json::json;

    fn rendered(line: &str, answer: &Value) -> Vec<String> {
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let text = render(&arguments.command, answer, false);
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn lists_servers_by_name() {
        let answer = json!({"Default_1": {
            "name": "Default_1", "listen_port": "51821", "address": "10.0.0.1/24", "address_ipv6": "fd00::1/64",
            "external_ip": "192.0.2.7", "internal_traffic": true, "private_key": "SECRET",
        }});

        let lines = rendered("culvert server list", &answer);

        assert_eq!(lines[1..], ["Default_1 51821 10.0.0.1/24 fd00::1/64 192.0.2.7 yes"]);
    }

    #[test]
    fn lists_nothing_as_headings_alone() {
        assert_eq!(rendered("culvert account list", &json!([])).len(), 1);
    }

    #[test]
    fn shows_a_hash_that_was_never_used() {
        let answer =
            json!([{"label": "panel", "ip": "127.0.0.1", "created": "2026-01-02T03:04:05Z", "last_login": null}]);

        assert_eq!(rendered("culvert access list", &answer)[1], "panel 127.0.0.1 2026-01-02T03:04:05Z");
    }

    #[test]
    fn lists_links_without_their_keys() {
        let link = json!({"account": "a", "created_data": "2026-01-02", "key": "SECRET", "lifetime": "2026-01-12"});

        let lines = rendered("culvert link list", &json!({"olts": {"SECRET": link}}));

        assert_eq!(lines[1..], ["a 2026-01-02 2026-01-12"]);
    }

    #[test]
    fn hides_secrets_of_a_thing_shown() {
        let answer = json!({"name": "a", "private_key": "SECRET", "password": "SECRET", "keep_alive": 25});

        let lines = rendered("culvert account show a", &answer);

        assert!(!lines.join("\n").contains("SECRET"));
        assert_eq!((lines[0].as_str(), lines[3].as_str()), ("name a", "keep_alive 25"));
    }

    #[test]
    fn shows_the_questions_of_each_server_in_a_line() {
        let answer = json!({
            "acl": ["10.0.0.0/24", "10.0.1.0/24"], "cache": {"bytes": 200, "entries": 1}, "enabled": true,
            "most_blocked": [{"count": 7, "name": "ads.example"}],
            "questions": {"a": {"all": 3, "cached": 2}, "b": {"all": 0, "cached": 0}},
        });

        let lines = rendered("culvert dns show", &answer);

        let expected = [
            "acl 10.0.0.0/24, 10.0.1.0/24",
            "cache 200 bytes, 1 entries",
            "enabled yes",
            "blocked 7 times ads.example",
            "questions at a 3 all, 2 cached",
            "questions at b 0 all, 0 cached",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn puts_faults_into_the_status() {
        let answer = json!({
            "status": "OK", "version": "1", "servers": 2, "accounts": 3, "store_fault": "disk full",
            "backup_fault": "FTP upload error: the server hung up",
            "uplink": {"name": "sockets", "why": "no privilege"},
            "faults": [{"server": "b", "why": "port taken"}],
        });

        let lines = rendered("culvert status", &answer);

        assert!(lines.contains(&"Uplink sockets: no privilege".to_owned()), "{lines:?}");
        assert!(lines.contains(&"Fault of b port taken".to_owned()), "{lines:?}");
        assert!(lines.contains(&"Fault of the store disk full".to_owned()), "{lines:?}");
        let copy = "Fault of the last backup FTP upload error: the server hung up";
        assert!(lines.contains(&copy.to_owned()), "{lines:?}");
    }

    #[test]
    fn draws_lines_only_for_a_terminal() {
        let arguments = Arguments::try_parse_from(["culvert", "account", "list"]).unwrap();

        assert!(render(&arguments.command, &json!([]), true).contains('│'));
        assert!(render(&arguments.command, &json!([]), false).is_ascii());
    }
}
