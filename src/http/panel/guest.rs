//! The way in and out: login and logout.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::page::{self, Answer, Trouble};
use super::visit::{Guest, Visit, cookie_line};
use super::words::Language;
use crate::domain::limits;
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;
use crate::http::error::Problem;
use crate::http::form::Fields;
use crate::services::users::LoginDraft;
use crate::services::{self, Services};

#[derive(Template)]
#[template(path = "login.html", config = "src/http/panel/askama.toml")]
struct LoginPage {
    language: Language,
    next: String,
    name: String,
    /// Whether a code is wanted beside the password.
    code: bool,
    wrong: Option<String>,
    /// Whether what was there before the last restore, and with it the reader's session, has ended.
    is_restored: bool,
}

/// What the login page's address says where a restore has ended the reader's session.
const RESTORED: &str = "restored";

/// To the login, which says that a backup was restored.
pub(super) fn after_restore() -> Response {
    Redirect::to(&format!("/panel/login?next=backups&said={RESTORED}")).into_response()
}

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
    #[serde(default)]
    said: String,
}

/// Asks for name and password; whoever is logged in already is led on.
pub(super) async fn ask(
    guest: Guest,
    State(services): State<Services>,
    Query(Next { next, said }): Query<Next>,
) -> Response {
    if guest.token.as_deref().is_some_and(|token| services.users.session(token).is_some()) {
        return Redirect::to(&place(&next)).into_response();
    }
    let is_restored = said == RESTORED;
    let page = LoginPage { language: guest.language, next, name: String::new(), code: false, wrong: None, is_restored };
    answered(page::page(&page))
}

/// Logs in.
pub(super) async fn enter(guest: Guest, State(services): State<Services>, fields: Fields) -> Response {
    let text = |name| fields.text(name).unwrap_or_default();
    let code = Some(text("code")).filter(|code| !code.is_empty());
    let asked_for_code = fields.text("code").is_some();
    let draft =
        LoginDraft { name: text("name"), password: Password::new(fields.secret("password").unwrap_or_default()), code };
    match services.users.log_in(draft, guest.address, &guest.agent).await {
        Ok(token) => {
            let line = cookie_line(Some(&token), limits::SESSION_LIFE);
            // whoever comes by the password of the first start is led through the first steps
            let is_first = services.users.session(&token).is_some_and(|session| session.password_is_first);
            let to =
                if is_first && text("next").is_empty() { "/panel/welcome".to_owned() } else { place(&text("next")) };
            ([(header::SET_COOKIE, line)], Redirect::to(&to)).into_response()
        }
        Err(services::Error::Refused(refusal)) => {
            let code = asked_for_code || refusal == Refusal::LoginCodeWanted;
            let wrong = Some(page::told_in(guest.language, &refusal))
                .filter(|_| asked_for_code || refusal != Refusal::LoginCodeWanted);
            let (language, next, name) = (guest.language, text("next"), text("name"));
            let page = LoginPage { language, next, name, code, wrong, is_restored: false };
            answered(page::shown(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(fault) => Problem::from(fault).into_response(),
    }
}

/// Logs out.
pub(super) async fn leave(visit: Visit, State(services): State<Services>) -> Answer {
    services.users.log_out(&visit.token).await?;
    let forgotten = [(header::SET_COOKIE, cookie_line(None, 0)), (CLEAR, CLEARED)];
    Ok((forgotten, Redirect::to("/panel/login")).into_response())
}

/// What a browser may still hold of the pages is forgotten too.
const CLEAR: header::HeaderName = header::HeaderName::from_static("clear-site-data");
const CLEARED: header::HeaderValue = header::HeaderValue::from_static("\"cache\"");

fn answered(answer: Answer) -> Response {
    answer.unwrap_or_else(|Trouble(cause)| Problem::from(cause).into_response())
}

/// A page of the panel: whatever stands in a link's `next` leads nowhere else.
fn place(next: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '-' | '_' | '.');
    if next.is_empty() || next.contains("..") || next.contains("//") || !next.chars().all(plain) {
        return "/panel".to_owned();
    }
    format!("/panel/{}", next.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_to_a_page_of_the_panel_alone() {
        for (next, to) in [
            ("", "/panel"),
            ("accounts/peer_1", "/panel/accounts/peer_1"),
            ("//evil.example", "/panel"),
            ("../api", "/panel"),
            ("https://evil.example", "/panel"),
            ("a?b=c\r\nset-cookie:x", "/panel"),
        ] {
            assert_eq!(place(next), to);
        }
    }
}
