//! The panel's users: who logs in, how far he reaches, and the ways back in for who has lost his own.

use askama::Template;
use axum::extract::{Path, State};

use super::access::{role_name, roles};
use super::me::{Open, open_sessions};
use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::show::Moment;
use super::visit::Visit;
use crate::domain::access::{Caps, Role, UserDraft};
use crate::domain::limits;
use crate::domain::password::Password;
use crate::http::api::users::draft;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::users::UserRow;

/// Where the list is.
const HOME: &str = "/panel/users";

#[derive(Template)]
#[template(path = "users.html", config = "src/http/panel/askama.toml")]
struct List<'a> {
    visit: &'a Visit,
    rows: Vec<Row>,
    add: Sheet<'a>,
    made: Option<Made>,
}

#[derive(Template)]
#[template(path = "user.html", config = "src/http/panel/askama.toml")]
struct Detail<'a> {
    visit: &'a Visit,
    row: Row,
    edit: Sheet<'a>,
    password: Sheet<'a>,
    sessions: Vec<Open>,
    made: Option<Made>,
}

/// Which of a user's forms was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reach,
    Password,
}

/// A password that was just chosen, shown this once.
struct Made {
    name: String,
    password: String,
}

/// A user, for people.
struct Row {
    user: UserRow,
    role: String,
    last_seen: Option<Moment>,
    created: Moment,
}

impl Row {
    fn of(visit: &Visit, services: &Services, user: UserRow) -> Self {
        Self {
            role: role_name(visit, user.role),
            last_seen: user.last_seen.map(|time| Moment::of(time, services)),
            created: Moment::of(user.created, services),
            user,
        }
    }
}

/// What every form of a user asks.
fn reach<'a>(sheet: Sheet<'a>, visit: &Visit, role: Role, caps: Caps) -> Sheet<'a> {
    let rate = u64::from(limits::RATE_MAX);
    sheet
        .choice("role", role.word(), roles(visit))
        .part("user.part.caps")
        .number("accounts", caps.accounts, 0, u64::from(u32::MAX))
        .number("b_download", caps.b_download.get(), 0, rate)
        .number("b_upload", caps.b_upload.get(), 0, rate)
        .text("traffic", caps.traffic)
}

/// Shows them.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    listed(&visit, &services, None, None)
}

fn listed(visit: &Visit, services: &Services, refused: Option<&Refused>, made: Option<Made>) -> Answer {
    let rows = services.users.list(visit.caller())?.into_iter().map(|user| Row::of(visit, services, user));
    let add = Sheet::new(visit, "user", HOME, "users.add")
        .again(refused)
        .part("user.part.who")
        .text("name", "")
        .secret("password", "new-password");
    let add = reach(add, visit, Role::Reseller, Caps::default());
    page::page(&List { visit, rows: rows.collect(), add, made })
}

/// Adds one, and shows the password this once where it was chosen here.
pub(super) async fn add(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.users.add(visit.caller(), draft(&fields)).await, fields)? {
        Ok(user) => match user.password {
            Some(password) => {
                let made = Made { name: user.user.name.to_string(), password: password.reveal().to_owned() };
                listed(&visit, &services, None, Some(made))
            }
            None => Ok(page::done(HOME, "said.added")),
        },
        Err(refused) => listed(&visit, &services, Some(&refused), None),
    }
}

/// Shows one.
pub(super) async fn show(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    shown(&visit, &services, &name, None, None)
}

fn shown(
    visit: &Visit,
    services: &Services,
    name: &str,
    refused: Option<(Form, &Refused)>,
    made: Option<Made>,
) -> Answer {
    let of = |form| refused.filter(|(refused, _)| *refused == form).map(|(_, refused)| refused);
    let user = services.users.detail(visit.caller(), name)?;
    let edit = Sheet::new(visit, "user", place(name), "servers.save").again(of(Form::Reach));
    let edit = reach(edit, visit, user.role, user.caps);
    let password = Sheet::new(visit, "another", format!("{}/password", place(name)), "users.password")
        .again(of(Form::Password))
        .secret("password", "new-password");
    let sessions = open_sessions(visit, services, name)?;
    page::page(&Detail { visit, row: Row::of(visit, services, user), edit, password, sessions, made })
}

fn place(name: &str) -> String {
    format!("{HOME}/{name}")
}

/// Changes how far one reaches.
pub(super) async fn edit(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let draft = UserDraft { name: None, password: None, ..draft(&fields) };
    match page::refused(services.users.edit(visit.caller(), &name, draft).await, fields)? {
        Ok(_) => Ok(page::done(&place(&name), "said.saved")),
        Err(refused) => shown(&visit, &services, &name, Some((Form::Reach, &refused)), None),
    }
}

/// Gives one another password: what is typed, or one that is chosen here and shown this once. His sessions end.
pub(super) async fn password(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let typed = fields.secret("password").filter(|typed| !typed.is_empty()).map(Password::new);
    let is_chosen = typed.is_none();
    match page::refused(services.users.set_password(visit.caller(), &name, typed).await, fields)? {
        Ok(password) => {
            let made = is_chosen.then(|| Made { name: name.clone(), password: password.reveal().to_owned() });
            if services.users.session(&visit.token).is_none() {
                // it was his own, and with it his session has ended
                return listed(&visit, &services, None, made);
            }
            match made {
                Some(made) => shown(&visit, &services, &name, None, Some(made)),
                None => Ok(page::done(&place(&name), "said.saved")),
            }
        }
        Err(refused) => shown(&visit, &services, &name, Some((Form::Password, &refused)), None),
    }
}

/// Ends one of his sessions.
pub(super) async fn end(
    visit: Visit,
    State(services): State<Services>,
    Path((name, id)): Path<(String, String)>,
) -> Answer {
    services.users.end_session(visit.caller(), &name, &id).await?;
    Ok(page::done(&place(&name), "said.ended"))
}

/// Forgets the wrong tries of one.
pub(super) async fn unlock(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.users.unlock(visit.caller(), &name).await?;
    Ok(page::done(&place(&name), "said.done"))
}

/// Removes the second factor of one.
pub(super) async fn remove_factor(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.users.remove_second_factor_of(visit.caller(), &name).await?;
    Ok(page::done(&place(&name), "said.done"))
}

/// Removes one.
pub(super) async fn remove(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.users.remove(visit.caller(), &name).await?;
    Ok(page::done(HOME, "said.deleted"))
}
