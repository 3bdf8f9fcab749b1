//! `audit`: beyond the contract.

use std::net::IpAddr;

use axum::extract::State;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::audit::{self, AuditDraft, AuditEntry};
use crate::domain::limits;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, number, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// Lists who changed what, the latest first.
pub(crate) async fn list(State(services): State<Services>, fields: Fields) -> Answer<Vec<EntryView>> {
    fields.refuse_others(&["caller", "about", "name", "since", "until", "before", "limit"])?;
    let entries = services.audit.read(&draft(&fields)).await?;
    let zone = services.audit.time_zone();
    Ok(Success(entries.into_iter().map(|entry| EntryView::of(entry, &zone)).collect()))
}

/// What a form asks of the log.
pub(in crate::http) fn draft(fields: &Fields) -> AuditDraft {
    AuditDraft {
        caller: fields.text("caller"),
        about: fields.text("about"),
        name: fields.text("name"),
        since: fields.text("since"),
        until: fields.text("until"),
        before: fields.text("before"),
        limit: fields.text("limit"),
    }
}

/// An entry as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryView {
    /// Larger for a later one.
    number: u64,
    time: String,
    caller: String,
    /// Absent where the caller was on this host.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    about: &'static str,
    name: String,
    text: String,
}

impl EntryView {
    fn of(entry: AuditEntry, zone: &TimeZone) -> Self {
        let time = entry.at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        Self {
            number: entry.number,
            time,
            caller: entry.by.label,
            address: entry.by.address,
            about: entry.deed.kind.word(),
            name: entry.deed.name,
            text: entry.deed.text,
        }
    }
}

/// What the document says of it.
pub(crate) fn described() -> Group {
    let kinds = audit::Kind::ALL.map(audit::Kind::word);
    let form = [
        text("caller", limits::LABEL_LENGTH, "Only changes by this caller: the label of an access hash, or local."),
        Field::new("about", Kind::Words(kinds.into()), "Only changes of this kind of thing.").such_as("account"),
        text("name", limits::LABEL_LENGTH, "Only changes of the thing of this name."),
        Field::new("since", Kind::Moment, "From this time on, or from the beginning of this day."),
        Field::new("until", Kind::Moment, "Until this time, or to the end of this day."),
        number("before", 0..=i64::MAX, "Only entries before the one of this number: the next page."),
        number("limit", limits::AUDIT_PAGE, "How many; 100 where it is left out."),
    ];
    Group {
        name: "Who watches",
        about: "Who changed what, and figures for those who watch.",
        named: ("", ""),
        operations: vec![
            Operation::new("audit", "Lists who changed what, the latest first", Shape::list_of::<EntryView>())
                .about("Every change is kept in the same step as its entry; a restore does not turn the log back.")
                .form(form),
            Operation::new("metrics", "Shows figures to Prometheus", Shape::file("text/plain", "Metrics as text."))
                .about("The text format of Prometheus, version 0.0.4."),
        ],
    }
}
