//! Access hashes: the operator's alone, over the local socket.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::{AccessDraft, AccessEntry, Caller, Role};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// Lists the access hashes: what they are for, never what they are.
pub(crate) async fn list(State(services): State<Services>, caller: Caller) -> Answer<Vec<AccessView>> {
    Ok(Success(services.access.list(&caller)?.into_iter().map(AccessView::from).collect()))
}

/// Makes an access hash, and shows it this once.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<MadeView> {
    let access_hash = services.access.add(&caller, draft(&fields)).await?;
    Ok(Success(MadeView { access_hash }))
}

/// What a form says.
pub(in crate::http) fn draft(fields: &Fields) -> AccessDraft {
    AccessDraft {
        label: fields.text("label"),
        ip: fields.text("ip"),
        role: fields.text("role"),
        reseller: fields.text("reseller"),
        expires: fields.text("expires"),
    }
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
    /// `null` where it does not end.
    expires: Option<Timestamp>,
    /// The address from which alone it works, or the network as CIDR.
    ip: String,
    label: String,
    /// `null` where it has let nobody in yet.
    last_login: Option<Timestamp>,
    /// The user who has made it for himself; `null` where an admin has made it.
    owner: Option<String>,
    /// Whose accounts alone it sees; `null` where its role is not a reseller's.
    reseller: Option<String>,
    /// `admin`, `operator`, `read_only` or `reseller`.
    role: &'static str,
}

impl From<AccessEntry> for AccessView {
    fn from(entry: AccessEntry) -> Self {
        Self {
            created: entry.created,
            expires: entry.expires,
            ip: entry.from_where(),
            last_login: entry.last_login,
            owner: entry.owner.as_ref().map(ToString::to_string),
            reseller: entry.scope.reseller().map(ToString::to_string),
            role: entry.scope.role().word(),
            label: entry.label,
        }
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
        Field::new("ip", Kind::Network, "The address, or the network, from which alone it works.")
            .required()
            .such_as("192.0.2.7"),
        Field::new(
            "role",
            Kind::Words(Role::ALL.map(Role::word).into()),
            "What it may; an admin's where it is left out.",
        ),
        Field::new("reseller", Kind::Name, "Whose accounts alone it sees, where its role is a reseller's."),
        Field::new("expires", Kind::Moment, "When it ends. A time without an offset is of the appliance's zone."),
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
                .refuses([Refusal::NameTaken, Refusal::UserNotFound]),
            Operation::new("local_access_remove", "Removes an access hash", Shape::done())
                .at([text("label", limits::LABEL_LENGTH, "What the hash is for.")])
                .refuses([Refusal::AccessNotFound]),
        ],
    }
}
