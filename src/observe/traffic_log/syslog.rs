//! Records as syslog messages (RFC 5424), and the writer that sends them.
//!
//! A message's text is made of `NAME=value` as netfilter's `LOG` target writes it, where that has a name for it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process;

use super::backlog::Backlog;
use super::transport::Connection;
use super::{BACK_OFF, Entry, Reach, Settings, Surroundings, pause_before_the_next_try};
use crate::domain::traffic_log::{Event, LoggedFields, Record, TrafficLogSettings};

/// Facility local0, severity informational (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 16 * 8 + 6;
/// The longest name of a host (section 6.2.4).
const HOSTNAME_MAX: usize = 255;
/// How many messages are sent at once.
const PORTION: usize = 512;

/// Sends what comes, until nothing more comes.
pub(super) async fn write(backlog: &Backlog, mut settings: Settings, surroundings: &Surroundings) {
    let (mut connection, mut reach) = (None, Reach::new("The syslog server"));
    loop {
        let entries = backlog.take(PORTION).await;
        if entries.is_empty() {
            return;
        }
        let mut pause = BACK_OFF.0;
        loop {
            // unless somebody has turned it off meanwhile
            let Some((to, fields)) = destination(settings.borrow_and_update().as_deref()) else { break };
            let messages: Vec<String> = entries.iter().map(|entry| message(entry, fields, surroundings)).collect();
            match send(&mut connection, to, &messages, surroundings).await {
                Ok(()) => {
                    reach.worked();
                    break;
                }
                Err(why) => reach.failed(&why),
            }
            connection = None;
            if backlog.is_closed() {
                backlog.lose(entries.len() as u64);
                break;
            }
            pause_before_the_next_try(&mut pause, &mut settings, backlog).await;
        }
    }
}

/// Sends one record by a connection of its own.
///
/// # Errors
/// One sentence for the operator.
pub(super) async fn send_one(
    entry: &Entry,
    settings: &TrafficLogSettings,
    surroundings: &Surroundings,
) -> Result<(), String> {
    let server = settings.syslog.server.ok_or_else(|| "no server is named".to_owned())?;
    let message = message(entry, settings.fields, surroundings);
    send(&mut None, SocketAddr::new(server, settings.syslog.port), &[message], surroundings).await
}

/// Where messages go, and what they have beside the rest.
fn destination(settings: Option<&TrafficLogSettings>) -> Option<(SocketAddr, LoggedFields)> {
    let settings = settings.filter(|settings| settings.enabled && settings.syslog.enabled)?;
    Some((SocketAddr::new(settings.syslog.server?, settings.syslog.port), settings.fields))
}

/// Sends messages, by the connection that there is or by a new one.
async fn send(
    connection: &mut Option<Connection>,
    to: SocketAddr,
    messages: &[String],
    surroundings: &Surroundings,
) -> Result<(), String> {
    if let Some(present) = connection
        && !present.leads_to(to).await
    {
        *connection = None;
    }
    let present = match connection {
        Some(present) => present,
        None => connection.insert(Connection::open(to, &surroundings.transport).await?),
    };
    present.send(messages).await
}

/// A record as a message.
fn message(entry: &Entry, fields: LoggedFields, surroundings: &Surroundings) -> String {
    let Entry { at, record } = entry;
    let event = match record.event {
        Event::Begin => "begin",
        Event::End(_) => "end",
        Event::Packet => "packet",
    };
    let (host, process) = (hostname(&surroundings.hostname), process::id());
    let (state, direction) = (record.state.name(), record.direction.name());
    let mut text = format!("<{PRIORITY}>1 {at:.6} {host} culvert {process} {event} - {state} {direction}");
    let mut pair = |name: &str, value: &dyn std::fmt::Display| {
        // a string takes whatever is written
        let _ = write!(text, " {name}={value}");
    };
    pair("SERVER", &record.server.name);
    if let Some(account) = &record.account {
        pair("ACCOUNT", &account.name);
    }
    let (came_by, left_by) = record.interfaces;
    if fields.interface_in {
        pair("IN", &surroundings.name(came_by, record));
    }
    if fields.interface_out {
        pair("OUT", &surroundings.name(left_by, record));
    }
    pair("SRC", &record.source.ip());
    pair("DST", &record.destination.ip());
    if fields.len {
        pair("LEN", &record.len);
    }
    if fields.tos {
        pair("TOS", &format_args!("{:#04x}", record.tos));
    }
    pair("PROTO", &protocol(record));
    match record.protocol {
        TCP | UDP => {
            pair("SPT", &record.source.port());
            pair("DPT", &record.destination.port());
        }
        // a question's identifier; an error has none
        ICMP | ICMPV6 if record.event != Event::Packet => pair("ID", &record.source.port()),
        _ => {}
    }
    if let Some(translated) = record.translated {
        pair("NAT", &translated);
    }
    if let Some(account) = record.account.as_ref().filter(|_| fields.mark) {
        pair("MARK", &format_args!("{:#x}", account.mark));
    }
    if let Event::End(totals) = record.event {
        pair("UPPACKETS", &totals.up.packets);
        pair("UPBYTES", &totals.up.bytes);
        pair("DOWNPACKETS", &totals.down.packets);
        pair("DOWNBYTES", &totals.down.bytes);
        pair("SECONDS", &totals.lasted.as_secs());
    }
    text
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// The protocol's name, or its number where it is none of those that clients use all day.
pub(super) fn protocol(record: &Record) -> String {
    match record.protocol {
        ICMP => "ICMP".to_owned(),
        TCP => "TCP".to_owned(),
        UDP => "UDP".to_owned(),
        ICMPV6 => "ICMPv6".to_owned(),
        other => other.to_string(),
    }
}

/// A host's name as a message may have it: printable, without blanks (RFC 5424, section 6).
fn hostname(name: &str) -> &str {
    let fits = (1..=HOSTNAME_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { name } else { "-" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::traffic_log::testing;
    use crate::domain::traffic_log::{Direction, Interface, Tracked};
    use crate::observe::traffic_log::transport::testing::surroundings;

    const ALL: LoggedFields =
        LoggedFields { interface_in: true, interface_out: true, len: true, mark: true, tos: true };

    fn entry(record: Record) -> Entry {
        Entry { at: "2026-01-02T03:04:05.678901234Z".parse().unwrap(), record }
    }

    /// What is behind the process's number.
    fn said(record: Record, fields: LoggedFields) -> String {
        let message = message(&entry(record), fields, &surroundings());
        let (_, said) = message.split_once(&format!(" culvert {} ", process::id())).unwrap();
        said.to_owned()
    }

    #[test]
    fn begins_with_the_header_of_rfc_5424() {
        let message = message(&entry(testing::record()), LoggedFields::default(), &surroundings());

        let head = format!("<134>1 2026-01-02T03:04:05.678901Z vpn.example culvert {} begin - NEW out ", process::id());
        assert!(message.starts_with(&head), "{message}");
    }

    #[test]
    fn has_the_fields_that_are_chosen() {
        let bare = "begin - NEW out SERVER=Default_1 ACCOUNT=peer_1 SRC=10.0.0.2 DST=203.0.113.9 PROTO=TCP SPT=40000 \
                    DPT=443 NAT=192.0.2.1:20000";
        let full = "begin - NEW out SERVER=Default_1 ACCOUNT=peer_1 IN=wg1 OUT=culvert0 SRC=10.0.0.2 DST=203.0.113.9 \
                    LEN=60 TOS=0x08 PROTO=TCP SPT=40000 DPT=443 NAT=192.0.2.1:20000 MARK=0x64";

        assert_eq!(said(testing::record(), LoggedFields::default()), bare);
        assert_eq!(said(testing::record(), ALL), full);
    }

    #[test]
    fn has_what_a_connection_amounted_to() {
        let ended = Record { event: testing::ended(), state: Tracked::Established, ..testing::record() };

        let said = said(ended, LoggedFields::default());

        assert!(said.starts_with("end - ESTABLISHED out "), "{said}");
        assert!(said.ends_with(" UPPACKETS=3 UPBYTES=300 DOWNPACKETS=4 DOWNBYTES=4000 SECONDS=7"), "{said}");
    }

    #[test]
    fn has_no_ports_where_a_protocol_has_none_and_no_account_where_it_is_nobodys() {
        let record = Record {
            event: Event::Packet,
            state: Tracked::Invalid,
            direction: Direction::Incoming,
            protocol: 47,
            account: None,
            translated: None,
            interfaces: (Interface::Uplink, Interface::Host),
            ..testing::record()
        };

        let said = said(record, ALL);

        assert_eq!(
            said,
            "packet - INVALID in SERVER=Default_1 IN=culvert0 OUT= SRC=10.0.0.2 DST=203.0.113.9 LEN=60 TOS=0x08 PROTO=47"
        );
    }

    #[test]
    fn has_the_identifier_of_a_ping() {
        let said = said(Record { protocol: ICMP, translated: None, ..testing::record() }, LoggedFields::default());

        assert!(said.ends_with("PROTO=ICMP ID=40000"), "{said}");
    }

    #[test]
    fn knows_no_host_by_a_name_that_would_break_the_header() {
        let long = "a".repeat(256);
        for (name, written) in [("vpn", "vpn"), ("", "-"), ("a b", "-"), ("a\nb", "-"), ("ä", "-"), (&long, "-")] {
            assert_eq!(hostname(name), written);
        }
    }
}
