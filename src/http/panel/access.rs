//! Access hashes: who may call the API, from where, how far, and until when. A hash is shown once, when it is made.

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer, Refused, Trouble};
use super::sheet::Sheet;
use super::show::Moment;
use super::visit::Visit;
use crate::domain::access::{AccessEntry, Role};
use crate::http::api::access::draft;
use crate::http::form::Fields;
use crate::services::Services;

/// Where the page is.
const HOME: &str = "/panel/access";

#[derive(Template)]
#[template(path = "access.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    rows: Vec<Row>,
    add: Sheet<'a>,
    /// One that was just made, shown this once.
    made: Option<String>,
}

/// A hash, without the hash.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) from: String,
    /// What it may, and of whom.
    pub(super) role: String,
    /// When it ends.
    pub(super) expires: Option<Moment>,
    /// When it was last used.
    pub(super) last_login: Option<Moment>,
}

impl Row {
    pub(super) fn of(visit: &Visit, services: &Services, entry: AccessEntry) -> Self {
        let told = |time| Moment::of(time, services);
        let role = role_name(visit, entry.scope.role());
        Self {
            from: entry.from_where(),
            role: entry.holder().map_or_else(|| role.clone(), |holder| format!("{role}: {holder}")),
            expires: entry.expires.map(told),
            last_login: entry.last_login.map(told),
            label: entry.label,
        }
    }
}

/// The fields that every form of a hash has first.
pub(super) fn asked(sheet: Sheet<'_>) -> Sheet<'_> {
    sheet.text("label", "").hinted("ip", "", "192.0.2.7, 10.0.0.0/24").hinted("expires", "", "2027-01-31")
}

/// The roles, with their names in the reader's language.
pub(super) fn roles(visit: &Visit) -> Vec<(String, String)> {
    Role::ALL.map(|role| (role.word().to_owned(), role_name(visit, role))).into()
}

/// The resellers, after nobody.
fn resellers(visit: &Visit, services: &Services) -> Result<Vec<(String, String)>, Trouble> {
    let users = services.users.list(visit.caller())?.into_iter().filter(|user| user.role == Role::Reseller);
    let named = users.map(|user| (user.name.to_string(), user.name.to_string()));
    Ok(std::iter::once((String::new(), "–".to_owned())).chain(named).collect())
}

/// A role in the reader's language.
pub(super) fn role_name(visit: &Visit, role: Role) -> String {
    visit.say(&format!("role.{}", role.word())).to_owned()
}

/// Shows them.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None, None)
}

fn shown(visit: &Visit, services: &Services, refused: Option<&Refused>, made: Option<String>) -> Answer {
    let rows = services.access.list(visit.caller())?.into_iter().map(|entry| Row::of(visit, services, entry));
    let add = asked(Sheet::new(visit, "access", HOME, "access.add").again(refused))
        .choice("role", Role::ReadOnly.word(), roles(visit))
        .choice("reseller", "", resellers(visit, services)?);
    page::page(&Page { visit, rows: rows.collect(), add, made })
}

/// Makes one, and shows it this once.
pub(super) async fn add(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.access.add(visit.caller(), draft(&fields)).await, fields)? {
        Ok(made) => shown(&visit, &services, None, Some(made)),
        Err(refused) => shown(&visit, &services, Some(&refused), None),
    }
}

/// Removes one: it lets nobody in any more. Its label may be anything, so it stands in the form and in no path.
pub(super) async fn remove(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    services.access.remove(visit.caller(), &fields.text("label").unwrap_or_default()).await?;
    Ok(page::done(HOME, "said.deleted"))
}
