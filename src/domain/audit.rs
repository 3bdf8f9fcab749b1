//! The audit log: who changed what, from where, and when.
//!
//! A [`Deed`] is told by whoever brings it about, in the same step as the change itself: neither lasts without the other.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::access::Author;
use super::field::{Bound, given, moment, number};
use super::limits;
use super::refusal::Refusal;
use super::words::words;

/// Fields whose values nobody is told, and those that tell nobody anything.
const UNTOLD: [&str; 3] = ["private_key", "password", "public_key"];

/// What kind of thing a deed was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A WireGuard server.
    Server,
    /// An account.
    Account,
    /// A port forward; its name is its server's.
    Forward,
    /// A rule of the firewall.
    Rule,
    /// The firewall's settings.
    Firewall,
    /// The resolver.
    Dns,
    /// IKEv2: its certificates and settings.
    Ikev2,
    /// What is logged of the traffic.
    TrafficLog,
    /// Backups.
    Backup,
    /// One-time links; the name is their account's.
    Link,
    /// A webhook.
    Webhook,
    /// An access hash.
    Access,
    /// A user of the panel.
    User,
    /// The appliance itself.
    System,
}

words!(Kind {
    Server = "server",
    Account = "account",
    Forward = "port_forward",
    Rule = "firewall_rule",
    Firewall = "firewall",
    Dns = "dns",
    Ikev2 = "ikev2",
    TrafficLog = "traffic_log",
    Backup = "backup",
    Link = "one_time_link",
    Webhook = "webhook",
    Access = "access",
    User = "user",
    System = "system",
});

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// To what kind of thing.
    pub kind: Kind,
    /// Its name; empty where there is only one of its kind.
    pub name: String,
    /// A sentence for people. It holds no secret.
    pub text: String,
}

impl Deed {
    /// A deed done to the thing of this name.
    pub fn to(kind: Kind, name: &(impl ToString + ?Sized), text: impl Into<String>) -> Self {
        Self { kind, name: name.to_string(), text: text.into() }
    }

    /// A deed done to the only thing of its kind.
    pub fn of(kind: Kind, text: impl Into<String>) -> Self {
        Self::to(kind, "", text)
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Counts from 1; a later entry has a larger one.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who, and from where.
    pub by: Author,
    /// What.
    pub deed: Deed,
}

/// Which entries are wanted; an absent field wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Those of this caller's label.
    pub caller: Option<String>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those of things of this name.
    pub name: Option<String>,
    /// Those of then and later.
    pub since: Option<Timestamp>,
    /// Those of before then.
    pub until: Option<Timestamp>,
    /// Those with a smaller number: the next page.
    pub before: Option<u64>,
    /// So many at most, the latest.
    pub limit: usize,
}

impl AuditQuery {
    /// Whether this entry is among those that are wanted. `before` and `limit` are the reader's business.
    pub fn wants(&self, entry: &AuditEntry) -> bool {
        self.caller.as_ref().is_none_or(|label| *label == entry.by.label)
            && self.kind.is_none_or(|kind| kind == entry.deed.kind)
            && self.name.as_ref().is_none_or(|name| *name == entry.deed.name)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// What somebody asks of the audit log, as it came. An absent or blank field wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditDraft {
    /// A caller's label.
    pub caller: Option<String>,
    /// A kind's word.
    pub about: Option<String>,
    /// The name of what was changed.
    pub name: Option<String>,
    /// A moment, or a day, from its beginning.
    pub since: Option<String>,
    /// A moment, or a day, to its end.
    pub until: Option<String>,
    /// An entry's number.
    pub before: Option<String>,
    /// How many.
    pub limit: Option<String>,
}

impl AuditDraft {
    /// What is wanted. A day, and a moment without an offset, are those of `zone`.
    ///
    /// # Errors
    /// `FieldMalformed`.
    pub fn settle(&self, zone: &TimeZone) -> Result<AuditQuery, Refusal> {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        let time = |field, text: Option<&String>, bound| match given(text) {
            None => Ok(None),
            Some(text) => {
                let rule = "a day as in 2026-12-31, or a time as in 2026-12-31T18:00:00";
                moment(text, zone, bound).map(Some).ok_or_else(|| malformed(field, rule))
            }
        };
        let kind = given(self.about.as_ref()).map(|word| {
            let rule = "server, account, port_forward, firewall_rule, firewall, dns, ikev2, traffic_log, backup, \
                        one_time_link, webhook, access, user or system";
            Kind::parse(word).ok_or_else(|| malformed("about", rule))
        });
        let before = given(self.before.as_ref()).map(|text| {
            let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            // no entry has a larger one than a client can count
            let number = digits.and_then(|text| text.parse::<i64>().ok()).and_then(|number| u64::try_from(number).ok());
            number.ok_or_else(|| malformed("before", "the number of an entry"))
        });
        let limit = given(self.limit.as_ref()).map(|text| {
            let number = number(text).and_then(|number| u16::try_from(number).ok());
            number.filter(|number| limits::AUDIT_PAGE.contains(number)).ok_or_else(|| malformed("limit", "1 to 1000"))
        });
        let text = |field, text: Option<&String>| match given(text) {
            // nobody and nothing has a longer one
            Some(text) if text.len() > limits::LABEL_LENGTH || text.contains(char::is_control) => {
                Err(malformed(field, "a line of at most 128 bytes"))
            }
            text => Ok(text.map(str::to_owned)),
        };
        Ok(AuditQuery {
            caller: text("caller", self.caller.as_ref())?,
            kind: kind.transpose()?,
            name: text("name", self.name.as_ref())?,
            since: time("since", self.since.as_ref(), Bound::Beginning)?,
            until: time("until", self.until.as_ref(), Bound::End)?,
            before: before.transpose()?,
            limit: usize::from(limit.transpose()?.unwrap_or(limits::AUDIT_PAGE_DEFAULT)),
        })
    }
}

/// What differs between two states of a thing, field by field, as `: a 1 → 2, b x → y`; empty where nothing does. Of a
/// secret only that it differs is told.
pub fn differences<T: Serialize>(before: &T, after: &T) -> String {
    let mut told = String::new();
    if let (Ok(Value::Object(before)), Ok(after)) = (serde_json::to_value(before), serde_json::to_value(after)) {
        tell("", &Value::Object(before), &after, &mut told);
    }
    told
}

fn tell(name: &str, before: &Value, after: &Value, told: &mut String) {
    if before == after {
        return;
    }
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        for (field, value) in after {
            tell(field, before.get(field).unwrap_or(&Value::Null), value, told);
        }
        return;
    }
    let lead = if told.is_empty() { ": " } else { ", " };
    // writing to a String cannot fail
    let _ = if UNTOLD.contains(&name) {
        write!(told, "{lead}{name} changed")
    } else {
        write!(told, "{lead}{name} {} → {}", plain(before), plain(after))
    };
}

/// A value for people.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{account_of, add_account, add_server};
    use crate::domain::intended::Intended;
    use crate::domain::key::PrivateKey;
    use crate::domain::rate::Mbps;
    use crate::domain::server::ServerDraft;

    fn settle(draft: &AuditDraft) -> Result<AuditQuery, Refusal> {
        draft.settle(&TimeZone::get("Europe/Berlin").unwrap())
    }

    #[test]
    fn wants_the_latest_where_nothing_is_said() {
        let blank = AuditDraft { about: Some(String::new()), limit: Some(" ".into()), ..AuditDraft::default() };

        for draft in [AuditDraft::default(), blank] {
            let latest = AuditQuery { limit: 100, ..AuditQuery::default() };
            assert_eq!(settle(&draft), Ok(latest));
        }
    }

    #[test]
    fn names_every_kind_to_who_asks_for_none() {
        let draft = AuditDraft { about: Some("nothing".into()), ..AuditDraft::default() };

        let refusal = settle(&draft).unwrap_err().to_string();

        for kind in Kind::ALL {
            assert!(refusal.contains(kind.word()), "{kind}: {refusal}");
        }
    }

    #[test]
    fn takes_a_day_whole() {
        let day = Some("2026-03-29".to_owned());
        let query = settle(&AuditDraft { since: day.clone(), until: day, ..AuditDraft::default() }).unwrap();

        // the day on which summer time begins, and which has 23 hours
        assert_eq!(query.since, Some("2026-03-28T23:00:00Z".parse().unwrap()));
        assert_eq!(query.until, Some("2026-03-29T22:00:00Z".parse().unwrap()));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let drafts = [
            AuditDraft { about: Some("nothing".into()), ..AuditDraft::default() },
            AuditDraft { since: Some("2026-02-30".into()), ..AuditDraft::default() },
            AuditDraft { until: Some("yesterday".into()), ..AuditDraft::default() },
            AuditDraft { before: Some("-1".into()), ..AuditDraft::default() },
            AuditDraft { limit: Some("0".into()), ..AuditDraft::default() },
            AuditDraft { limit: Some("1001".into()), ..AuditDraft::default() },
        ];
        for draft in drafts {
            assert!(matches!(settle(&draft), Err(Refusal::FieldMalformed { .. })), "{draft:?}");
        }
    }

    #[test]
    fn tells_what_differs_and_no_secret() {
        let mut intended = Intended::default();
        add_server(&mut intended, &ServerDraft { name: Some("wg".into()), ..ServerDraft::default() });
        let before = add_account(&mut intended, &account_of("wg"));
        let mut after = before.as_ref().clone();

        after.enabled = !after.enabled;
        after.b_upload = Mbps::new(7).unwrap();
        after.private_key = Some(PrivateKey::from_entropy([9; 32]));

        let told = differences(before.as_ref(), &after);
        assert_eq!(told, ": enabled true → false, private_key changed, b_upload 0 → 7");
        assert_eq!(differences(before.as_ref(), before.as_ref()), "");
    }
}
