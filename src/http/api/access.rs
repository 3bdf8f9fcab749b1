//! Access hashes: the operator's alone, over the local socket.

use std::net::IpAddr;

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::{AccessEntry, Caller};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// Lists the access hashes: what they are for, never what they are.
pub(crate) async fn list(State(services): State<Services>) -> Answer<Vec<AccessView>> {
    Ok(Success(services.access.list().into_iter().map(AccessView::from).collect()))
}

/// Makes an access hash, and shows it this once.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<MadeView> {
    let (label, ip) = (fields.text("label").unwrap_or_default(), fields.text("ip").unwrap_or_default());
    let access_hash = services.access.add(&caller, &label, &ip).await?;
    Ok(Success(MadeView { access_hash }))
}

/// Removes an access hash: it lets nobody in any more.
pub(crate) async fn remove(
    State(services): State<Services>,
    caller: Caller,
    Named(label): Named,
) -> Answer<&'static str> {
    services.access.remove(&caller, &label).await?;
    Ok(Success(DONE))
}

/// An access hash, without the hash.
#[derive(Serialize, ToSchema)]
#[schema(as = Access)]
pub(crate) struct AccessView {
    created: Timestamp,
    #[schema(value_type = String)]
    ip: IpAddr,
    label: String,
    /// `null` where it has let nobody in yet.
    last_login: Option<Timestamp>,
}

impl From<AccessEntry> for AccessView {
    fn from(entry: AccessEntry) -> Self {
        Self { created: entry.created, ip: entry.ip, label: entry.label, last_login: entry.last_login }
    }
}

/// A hash that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessMade)]
pub(crate) struct MadeView {
    access_hash: String,
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let form = [
        text("label", limits::LABEL_LENGTH, "What the hash is for.").required().such_as("billing"),
        Field::new("ip", Kind::Ip, "The address from which alone it works.").required().such_as("192.0.2.7"),
    ];
    Group {
        name: "Access hashes",
        about: "Who may call the API, and from where.",
        named: ("", ""),
        operations: vec![
            Operation::new("local_access_list", "Lists the access hashes", Shape::list_of::<AccessView>())
                .about("What they are for, never what they are."),
            Operation::new("local_access_add", "Makes an access hash", Shape::of::<MadeView>())
                .about("It is shown this once.")
                .form(form)
                .refuses([Refusal::NameTaken]),
            Operation::new("local_access_remove", "Removes an access hash", Shape::done())
                .at([text("label", limits::LABEL_LENGTH, "What the hash is for.")])
                .refuses([Refusal::AccessNotFound]),
        ],
    }
}
