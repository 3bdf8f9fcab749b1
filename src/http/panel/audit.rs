//! The audit log: who changed what, the latest first, narrowed to what is sought.

use askama::Template;
use axum::extract::State;
use jiff::Timestamp;

use super::page::{self, Answer};
use super::visit::Visit;
use crate::domain::audit::{AuditDraft, Kind};
use crate::domain::limits;
use crate::http::api::audit::draft;
use crate::http::form::Fields;
use crate::services::Services;

#[derive(Template)]
#[template(path = "audit.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    asked: Asked,
    /// Words, and the keys of their names.
    kinds: [(&'static str, &'static str); Kind::ALL.len()],
    rows: Vec<Row>,
    older: Option<String>,
    wrong: Option<String>,
}

/// What is sought, as it was typed.
struct Asked {
    caller: String,
    about: String,
    name: String,
    since: String,
    until: String,
}

/// An entry.
struct Row {
    at: Timestamp,
    time: String,
    caller: String,
    address: String,
    about: &'static str,
    name: String,
    text: String,
}

impl Asked {
    fn of(draft: &AuditDraft) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            caller: text(&draft.caller),
            about: text(&draft.about),
            name: text(&draft.name),
            since: text(&draft.since),
            until: text(&draft.until),
        }
    }

    /// The page of the same search whose entries are before this one.
    fn before(&self, number: u64) -> String {
        let number = number.to_string();
        let pairs = [
            ("caller", self.caller.as_str()),
            ("about", &self.about),
            ("name", &self.name),
            ("since", &self.since),
            ("until", &self.until),
            ("before", &number),
        ];
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        format!("/panel/audit?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }
}

/// Lists the entries that are sought.
pub(super) async fn list(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let draft = draft(&fields);
    let asked = Asked::of(&draft);
    let (entries, wrong) = match page::refused(services.audit.read(&draft).await, fields)? {
        Ok(entries) => (entries, None),
        Err(refused) => (Vec::new(), Some(page::told(&visit, &refused.refusal))),
    };
    let is_full = entries.len() >= usize::from(limits::AUDIT_PAGE_DEFAULT);
    let older = entries.last().filter(|_| is_full).map(|last| asked.before(last.number));
    let rows = entries.into_iter().map(|entry| Row {
        at: entry.at,
        time: services.system.local_time(entry.at),
        caller: entry.by.label,
        address: entry.by.address.map(|address| address.to_string()).unwrap_or_default(),
        about: key(entry.deed.kind),
        name: entry.deed.name,
        text: entry.deed.text,
    });
    let rows = rows.collect();
    page::page(&Page {
        visit: &visit,
        asked,
        kinds: Kind::ALL.map(|kind| (kind.word(), key(kind))),
        rows,
        older,
        wrong,
    })
}

/// The key of a kind's name.
pub(super) const fn key(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "kind.server",
        Kind::Account => "kind.account",
        Kind::Forward => "kind.port_forward",
        Kind::Rule => "kind.firewall_rule",
        Kind::Firewall => "kind.firewall",
        Kind::Dns => "kind.dns",
        Kind::Ikev2 => "kind.ikev2",
        Kind::TrafficLog => "kind.traffic_log",
        Kind::Backup => "kind.backup",
        Kind::Link => "kind.one_time_link",
        Kind::Webhook => "kind.webhook",
        Kind::Access => "kind.access",
        Kind::User => "kind.user",
        Kind::System => "kind.system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_sought_on_the_next_page() {
        let asked = Asked::of(&AuditDraft { caller: Some("a&b".into()), ..AuditDraft::default() });

        assert_eq!(asked.before(7), "/panel/audit?caller=a%26b&before=7");
    }
}
