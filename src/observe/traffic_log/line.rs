//! Records in `InfluxDB`'s line protocol: a line each.
//!
//! What is one of few is a tag, by which one searches; what differs from record to record is a field. See
//! <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>.

use std::fmt::Write as _;

use super::syslog::protocol;
use super::{Entry, Surroundings};
use crate::domain::traffic_log::{Event, LoggedFields};

/// What all lines are measurements of.
const MEASUREMENT: &str = "culvert_traffic";

/// Writes a record behind the others. `at` is its time in nanoseconds since 1970, which no other record of the same tags
/// may have: it would take the other's place.
pub(super) fn write(lines: &mut String, entry: &Entry, at: i128, chosen: LoggedFields, surroundings: &Surroundings) {
    let record = &entry.record;
    lines.push_str(MEASUREMENT);
    let event = match record.event {
        Event::Begin => "begin",
        Event::End(_) => "end",
        Event::Packet => "packet",
    };
    let (came_by, left_by) = record.interfaces;
    let interface = |wanted, interface| if wanted { surroundings.name(interface, record) } else { String::new() };
    for (name, value) in [
        ("account", record.account.as_ref().map_or("", |account| account.name.as_str())),
        ("direction", record.direction.name()),
        ("event", event),
        ("interface_in", &interface(chosen.interface_in, came_by)),
        ("interface_out", &interface(chosen.interface_out, left_by)),
        ("protocol", &protocol(record)),
        ("server", record.server.name.as_str()),
        ("state", record.state.name()),
    ] {
        tag(lines, name, value);
    }
    let mut fields = Fields { lines, separator: ' ' };
    fields.text("source", &record.source.ip().to_string());
    fields.number("source_port", record.source.port().into());
    fields.text("destination", &record.destination.ip().to_string());
    fields.number("destination_port", record.destination.port().into());
    if let Some(translated) = record.translated {
        fields.text("nat_address", &translated.ip().to_string());
        fields.number("nat_port", translated.port().into());
    }
    if chosen.len {
        fields.number("len", record.len.into());
    }
    if chosen.tos {
        fields.number("tos", record.tos.into());
    }
    if let Some(account) = record.account.as_ref().filter(|_| chosen.mark) {
        fields.number("mark", account.mark.into());
    }
    if let Event::End(totals) = record.event {
        fields.number("packets_up", totals.up.packets);
        fields.number("bytes_up", totals.up.bytes);
        fields.number("packets_down", totals.down.packets);
        fields.number("bytes_down", totals.down.bytes);
        fields.number("seconds", totals.lasted.as_secs());
    }
    // a string takes whatever is written
    let _ = writeln!(lines, " {at}");
}

/// A tag, unless it is empty: there are no empty ones.
fn tag(lines: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    lines.push(',');
    lines.push_str(name);
    lines.push('=');
    for letter in value.chars() {
        match letter {
            ',' | '=' | ' ' => lines.extend(['\\', letter]),
            // what ends a line cannot be written, and a backslash would make something of what follows it
            '\\' => lines.push('/'),
            letter if letter.is_control() => lines.push_str("\\ "),
            letter => lines.push(letter),
        }
    }
}

struct Fields<'a> {
    lines: &'a mut String,
    separator: char,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        self.lines.push(std::mem::replace(&mut self.separator, ','));
        self.lines.push_str(name);
        self.lines.push('=');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.lines.push('"');
        for letter in value.chars() {
            if matches!(letter, '"' | '\\') {
                self.lines.push('\\');
            }
            self.lines.push(letter);
        }
        self.lines.push('"');
    }

    /// A whole number; what no signed one of 64 bits holds is the largest that it holds.
    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        let _ = write!(self.lines, "{}i", value.min(i64::MAX.unsigned_abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::traffic_log::testing;
    use crate::domain::traffic_log::{Record, Tracked};
    use crate::observe::traffic_log::transport::testing::surroundings;

    fn line(record: Record, chosen: LoggedFields) -> String {
        let mut lines = String::new();
        let entry = Entry { at: jiff::Timestamp::UNIX_EPOCH, record };
        write(&mut lines, &entry, 1_700_000_000_000_000_001, chosen, &surroundings());
        lines
    }

    #[test]
    fn writes_a_connection_that_begins() {
        let expected = "culvert_traffic,account=peer_1,direction=out,event=begin,protocol=TCP,server=Default_1,state=NEW \
                        source=\"10.0.0.2\",source_port=40000i,destination=\"203.0.113.9\",destination_port=443i,\
                        nat_address=\"192.0.2.1\",nat_port=20000i 1700000000000000001\n";

        assert_eq!(line(testing::record(), LoggedFields::default()), expected);
    }

    #[test]
    fn writes_what_a_connection_amounted_to_with_the_fields_that_are_chosen() {
        let all = LoggedFields { interface_in: true, interface_out: true, len: true, mark: true, tos: true };
        let ended =
            Record { event: testing::ended(), state: Tracked::Established, translated: None, ..testing::record() };

        let expected = "culvert_traffic,account=peer_1,direction=out,event=end,interface_in=wg1,interface_out=culvert0,\
                        protocol=TCP,server=Default_1,state=ESTABLISHED source=\"10.0.0.2\",source_port=40000i,\
                        destination=\"203.0.113.9\",destination_port=443i,len=60i,tos=8i,mark=100i,packets_up=3i,\
                        bytes_up=300i,packets_down=4i,bytes_down=4000i,seconds=7i 1700000000000000001\n";

        assert_eq!(line(ended, all), expected);
    }

    #[test]
    fn leaves_out_whose_it_is_where_it_is_nobodys() {
        let line = line(Record { account: None, ..testing::record() }, LoggedFields::default());

        assert!(line.starts_with("culvert_traffic,direction=out,"), "{line}");
    }

    #[test]
    fn escapes_what_would_end_a_value() {
        let mut lines = String::new();
        tag(&mut lines, "a", "b c,d=e\\f\ng");
        tag(&mut lines, "empty", "");
        let mut fields = Fields { lines: &mut lines, separator: ' ' };
        fields.text("t", "say \"it\" \\ once");
        fields.number("n", u64::MAX);

        assert_eq!(lines, r#",a=b\ c\,d\=e/f\ g t="say \"it\" \\ once",n=9223372036854775807i"#);
    }
}
