//! The reader's own page: language and theme, password, second factor, access hashes, sessions.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::access::{Row, asked};
use super::page::{self, Answer, Refused, Trouble};
use super::sheet::Sheet;
use super::show::Moment;
use super::visit::{Visit, cookie_line};
use super::words::Language;
use crate::domain::access::Right;
use crate::http::api::access::draft;
use crate::http::form::Fields;
use crate::services::Services;

#[derive(Template)]
#[template(path = "me.html", config = "src/http/panel/askama.toml")]
struct Me<'a> {
    visit: &'a Visit,
    look: Sheet<'a>,
    password: Sheet<'a>,
    remove: Sheet<'a>,
    sessions: Vec<Open>,
    /// Absent to who may make none of his own here.
    hashes: Option<Hashes<'a>>,
}

/// An open session, for people.
pub(super) struct Open {
    pub(super) id: String,
    pub(super) address: IpAddr,
    pub(super) agent: String,
    pub(super) created: Moment,
    pub(super) last_seen: Moment,
    /// Whether it is the one in which the reader looks.
    pub(super) is_this: bool,
}

/// The open sessions of a user.
pub(super) fn open_sessions(visit: &Visit, services: &Services, user: &str) -> Result<Vec<Open>, Trouble> {
    let sessions = services.users.sessions(visit.caller(), user)?.into_iter().map(|session| Open {
        is_this: session.id == visit.session.id,
        created: Moment::of(session.created, services),
        last_seen: Moment::of(session.last_seen, services),
        address: session.address,
        id: session.id,
        agent: session.agent,
    });
    Ok(sessions.collect())
}

/// The reader's own access hashes.
struct Hashes<'a> {
    rows: Vec<Row>,
    add: Sheet<'a>,
    /// One that was just made, shown this once.
    made: Option<String>,
}

#[derive(Template)]
#[template(path = "factor.html", config = "src/http/panel/askama.toml")]
struct Factor<'a> {
    visit: &'a Visit,
    qr: String,
    secret: String,
    confirm: Sheet<'a>,
}

#[derive(Template)]
#[template(path = "recovery.html", config = "src/http/panel/askama.toml")]
struct Recovery<'a> {
    visit: &'a Visit,
    codes: Vec<String>,
}

/// Which of the page's forms was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Password,
    Remove,
    Access,
}

/// What the page has to tell besides.
#[derive(Default)]
struct Told<'a> {
    refused: Option<(Form, &'a Refused)>,
    made: Option<String>,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, Told::default())
}

fn shown(visit: &Visit, services: &Services, Told { refused, made }: Told<'_>) -> Answer {
    let of = |form| refused.filter(|(refused, _)| *refused == form).map(|(_, refused)| refused);
    let languages = Language::ALL.map(|language| (language.tag().to_owned(), language.name().to_owned()));
    let themes = [("", "me.theme.system"), ("light", "me.theme.light"), ("dark", "me.theme.dark")];
    let themes = themes.map(|(value, key)| (value.to_owned(), visit.say(key).to_owned()));
    let theme = visit.session.theme.clone().unwrap_or_default();
    let look = Sheet::new(visit, "me", "/panel/me/look", "servers.save")
        .choice("language", visit.language.tag(), languages.into())
        .choice("theme", theme, themes.into());
    let password = Sheet::new(visit, "me", "/panel/me/password", "me.password.change")
        .again(of(Form::Password))
        .secret("old", "current-password")
        .secret("new", "new-password");
    let remove = Sheet::new(visit, "factor", "/panel/me/factor/remove", "me.factor.remove")
        .again(of(Form::Remove))
        .secret("password", "current-password");
    let sessions = open_sessions(visit, services, &visit.session.user)?;
    let hashes = if visit.has(Right::Administer) {
        None
    } else {
        let rows = services.access.list_own(visit.caller())?.into_iter();
        let rows = rows.map(|entry| Row::of(visit, services, entry)).collect();
        let add = Sheet::new(visit, "access", "/panel/me/access", "access.add").again(of(Form::Access));
        Some(Hashes { rows, add: asked(add), made })
    };
    page::page(&Me { visit, look, password, remove, sessions, hashes })
}

fn again(visit: &Visit, services: &Services, form: Form, refused: &Refused) -> Answer {
    shown(visit, services, Told { refused: Some((form, refused)), ..Told::default() })
}

/// Makes an access hash for the reader, and shows it this once.
pub(super) async fn add_hash(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    // who may make none has no form that would tell him so
    services.access.list_own(visit.caller())?;
    match page::refused(services.access.add_own(visit.caller(), draft(&fields)).await, fields)? {
        Ok(made) => shown(&visit, &services, Told { made: Some(made), ..Told::default() }),
        Err(refused) => again(&visit, &services, Form::Access, &refused),
    }
}

/// Removes one of the reader's own access hashes.
pub(super) async fn remove_hash(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    services.access.remove_own(visit.caller(), &fields.text("label").unwrap_or_default()).await?;
    Ok(page::done("/panel/me", "said.deleted"))
}

/// Sets language and theme.
pub(super) async fn look(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    // an empty one is the system's again
    let theme = fields.text("theme");
    let language =
        fields.text("language").and_then(|tag| Language::parse(&tag)).map(|language| language.tag().to_owned());
    services.users.set_preferences(&visit.token, language, theme).await?;
    Ok(page::done("/panel/me", "said.saved"))
}

/// Changes the password; every other session of the reader ends.
pub(super) async fn password(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let (old, new) = (fields.secret("old").unwrap_or_default(), fields.secret("new").unwrap_or_default());
    match page::refused(services.users.change_password(&visit.token, &old, &new).await, fields)? {
        Ok(()) => Ok(page::done("/panel/me", "said.saved")),
        Err(refused) => again(&visit, &services, Form::Password, &refused),
    }
}

/// Offers a second factor.
pub(super) async fn begin_factor(visit: Visit, State(services): State<Services>) -> Answer {
    offered(&visit, &services, None).await
}

async fn offered(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let offer = services.users.begin_second_factor(&visit.token).await?;
    let confirm =
        Sheet::new(visit, "factor", "/panel/me/factor/confirm", "me.factor.confirm").again(refused).text("code", "");
    page::page(&Factor { visit, qr: STANDARD.encode(&offer.qr), secret: offer.secret, confirm })
}

/// Takes the second factor, once a code proves that it is there.
pub(super) async fn confirm_factor(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let code = fields.text("code").unwrap_or_default();
    match page::refused(services.users.confirm_second_factor(&visit.token, &code).await, fields)? {
        Ok(codes) => page::page(&Recovery { visit: &visit, codes }),
        Err(refused) => offered(&visit, &services, Some(&refused)).await,
    }
}

/// Goes back to the password alone.
pub(super) async fn remove_factor(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let password = fields.secret("password").unwrap_or_default();
    match page::refused(services.users.remove_second_factor(&visit.token, &password).await, fields)? {
        Ok(()) => Ok(page::done("/panel/me", "said.saved")),
        Err(refused) => again(&visit, &services, Form::Remove, &refused),
    }
}

/// Ends one of the reader's sessions.
pub(super) async fn end(visit: Visit, State(services): State<Services>, Path(id): Path<String>) -> Answer {
    services.users.end_session(visit.caller(), &visit.session.user, &id).await?;
    if id == visit.session.id {
        return Ok(([(header::SET_COOKIE, cookie_line(None, 0))], Redirect::to("/panel/login")).into_response());
    }
    Ok(page::done("/panel/me", "said.ended"))
}

/// Ends all of the reader's sessions but this one.
pub(super) async fn end_others(visit: Visit, State(services): State<Services>) -> Answer {
    services.users.end_other_sessions(&visit.token).await?;
    Ok(page::done("/panel/me", "said.ended"))
}
