//! `audit`: beyond the contract.

use std::net::IpAddr;

use axum::extract::State;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::audit::{AuditDraft, AuditEntry};
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::services::Services;

/// Lists who changed what, the latest first.
pub(crate) async fn list(State(services): State<Services>, fields: Fields) -> Answer<Vec<EntryView>> {
    fields.refuse_others(&["caller", "about", "name", "since", "until", "before", "limit"])?;
    let draft = AuditDraft {
        caller: fields.text("caller"),
        about: fields.text("about"),
        name: fields.text("name"),
        since: fields.text("since"),
        until: fields.text("until"),
        before: fields.text("before"),
        limit: fields.text("limit"),
    };
    let entries = services.audit.read(&draft).await?;
    let zone = services.audit.time_zone();
    Ok(Success(entries.into_iter().map(|entry| EntryView::of(entry, zone)).collect()))
}

/// An entry as clients read it.
#[derive(Serialize)]
pub(crate) struct EntryView {
    /// Larger for a later one.
    number: u64,
    time: String,
    caller: String,
    /// Absent where the caller was on this host.
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
