//! The panel's users: the operator's alone, over the local socket.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::{Caller, Role, UserDraft};
use crate::domain::limits;
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, number, rate, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::users::UserRow;

/// Lists the users.
pub(crate) async fn list(State(services): State<Services>, caller: Caller) -> Answer<Vec<UserView>> {
    Ok(Success(services.users.list(&caller)?.into_iter().map(UserView::from).collect()))
}

/// Adds a user, and shows the password this once where it was chosen.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<MadeView> {
    let made = services.users.add(&caller, draft(&fields)).await?;
    let password = made.password.map(|password| password.reveal().to_owned());
    Ok(Success(MadeView { name: made.user.name.to_string(), password }))
}

/// Changes what the form names of a user.
pub(crate) async fn edit(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<UserView> {
    Ok(Success(services.users.edit(&caller, &name, draft(&fields)).await?.into()))
}

/// Removes a user.
pub(crate) async fn remove(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.users.remove(&caller, &name).await?;
    Ok(Success(DONE))
}

/// Sets a user's password, and shows it this once where it was chosen.
pub(crate) async fn password(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    fields: Fields,
) -> Answer<MadeView> {
    let given = given_password(&fields);
    let is_chosen = given.is_none();
    let password = services.users.set_password(&caller, &name, given).await?;
    Ok(Success(MadeView { name, password: is_chosen.then(|| password.reveal().to_owned()) }))
}

/// Forgets a user's wrong tries.
pub(crate) async fn unlock(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.users.unlock(&caller, &name).await?;
    Ok(Success(DONE))
}

/// Removes a user's second factor.
pub(crate) async fn remove_second_factor(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.users.remove_second_factor_of(&caller, &name).await?;
    Ok(Success(DONE))
}

/// What a form says.
pub(in crate::http) fn draft(fields: &Fields) -> UserDraft {
    UserDraft {
        name: fields.text("name"),
        password: given_password(fields),
        role: fields.text("role"),
        accounts: fields.text("accounts"),
        b_upload: fields.text("b_upload"),
        b_download: fields.text("b_download"),
        traffic: fields.text("traffic"),
    }
}

fn given_password(fields: &Fields) -> Option<Password> {
    fields.text("password").filter(|text| !text.is_empty()).map(Password::new)
}

/// A user of the panel.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    /// How many accounts a reseller may have, 0 for no bound.
    accounts: u32,
    /// The highest bandwidth of each of them, in Mbit/s, 0 for no bound.
    b_download: u16,
    b_upload: u16,
    created: Timestamp,
    /// `null` where it has no open session.
    last_seen: Option<Timestamp>,
    /// For how many seconds it is locked after wrong tries; `null` where it is not.
    locked: Option<u64>,
    name: String,
    /// How many recovery codes it has left.
    recovery_codes: usize,
    /// `admin`, `operator`, `read_only` or `reseller`.
    role: &'static str,
    second_factor: bool,
    /// How many open sessions it has.
    sessions: usize,
    /// What all accounts of a reseller may move in a month, in bytes, 0 for no bound.
    traffic: u64,
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        Self {
            accounts: row.caps.accounts,
            b_download: row.caps.b_download.get(),
            b_upload: row.caps.b_upload.get(),
            created: row.created,
            last_seen: row.last_seen,
            locked: row.locked,
            name: row.name.to_string(),
            recovery_codes: row.recovery_codes,
            role: row.role.word(),
            second_factor: row.has_second_factor,
            sessions: row.sessions,
            traffic: row.caps.traffic,
        }
    }
}

/// A user whose password was just set.
#[derive(Serialize, ToSchema)]
#[schema(as = UserMade)]
pub(crate) struct MadeView {
    name: String,
    /// The password that was chosen; absent where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let found = || [Refusal::UserNotFound];
    let secret = || text("password", limits::PASSWORD_MAX, "Its password, 10 characters or more.");
    let name = || Field::new("name", Kind::Name, "The name to log in with.").such_as("alice");
    let rest = || {
        [
            secret(),
            Field::new("role", Kind::Words(Role::ALL.map(Role::word).into()), "What it may.").such_as("reseller"),
            number("accounts", 0..=u32::MAX, "How many accounts a reseller may have; 0 for no bound."),
            rate("b_upload", "Mbit/s from each of them at most; 0 for no bound."),
            rate("b_download", "Mbit/s towards each of them at most; 0 for no bound."),
            Field::new("traffic", Kind::Amount, "What all of them may move in a month; 0 for no bound."),
        ]
    };
    Group {
        name: "Users",
        about: "Who may log in to the panel, and what for.",
        named: ("The user's name.", "alice"),
        operations: vec![
            Operation::new("local_user_list", "Lists the users", Shape::list_of::<UserView>()),
            Operation::new("local_user_add", "Adds a user", Shape::of::<MadeView>())
                .about("A password that is not given is chosen, and shown this once.")
                .form([vec![name().required()], rest().into()].concat())
                .refuses([Refusal::UserNameMalformed, Refusal::NameTaken, Refusal::UsersExceeded]),
            Operation::new("local_user_edit", "Changes what the form names", Shape::of::<UserView>())
                .about("Its name stays. Another password ends its sessions.")
                .form([vec![name()], rest().into()].concat())
                .refuses([Refusal::UserNotFound, Refusal::LastAdmin]),
            Operation::new("local_user_remove", "Removes a user", Shape::done())
                .about("Its sessions end. A reseller's access hashes go with it; its accounts stay.")
                .refuses([Refusal::UserNotFound, Refusal::LastAdmin]),
            Operation::new("local_user_password", "Sets a user's password", Shape::of::<MadeView>())
                .about("One that is not given is chosen, and shown this once. Its sessions end.")
                .form([secret()])
                .refuses(found()),
            Operation::new("local_user_unlock", "Forgets a user's wrong tries", Shape::done()).refuses(found()),
            Operation::new("local_user_second_factor_remove", "Removes a user's second factor", Shape::done())
                .refuses([Refusal::UserNotFound, Refusal::SecondFactorMissing]),
        ],
    }
}
