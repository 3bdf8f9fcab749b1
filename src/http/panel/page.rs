//! Answers of the panel: pages, the way to the next one, and what went wrong.

use std::sync::Arc;

use askama::Template;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::visit::Visit;
use super::words::Language;
use crate::domain::refusal::Refusal;
use crate::http::error::{self, Problem};
use crate::http::form::Fields;
use crate::services;

/// Everything comes from this host, and nothing stands in the page itself that a browser would run: no script, no style.
/// Pictures of QR codes are in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a change may say of itself on the page that follows.
pub(super) const SAID: [&str; 6] = ["said.saved", "said.added", "said.deleted", "said.done", "said.ended", "said.sent"];

/// What a handler of the panel returns.
pub(super) type Answer = Result<Response, Trouble>;

/// A page.
pub(super) fn page(template: &impl Template) -> Answer {
    shown(StatusCode::OK, template)
}

/// A page with this code.
pub(super) fn shown(code: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(|cause| Trouble(services::Error::Fault(cause.into())))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // the origin is told to this host alone, which asks for it where something is to be changed
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (HeaderName::from_static("x-robots-tag"), "none"),
    ];
    Ok((code, headers, Html(html)).into_response())
}

/// To the next page after a change, which says so on top: one of [`SAID`].
pub(super) fn done(to: &str, said: &'static str) -> Response {
    let word = said.strip_prefix("said.").unwrap_or(said);
    let join = if to.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{to}{join}said={word}")).into_response()
}

/// A form that was refused: with why, and with what was typed.
#[derive(Debug)]
pub(super) struct Refused {
    /// Why.
    pub(super) refusal: Refusal,
    /// What was typed.
    pub(super) fields: Fields,
}

/// Takes a refusal apart from a fault: a form is shown again with the one, the other ends the request.
pub(super) fn refused<T>(outcome: Result<T, services::Error>, fields: Fields) -> Result<Result<T, Refused>, Trouble> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(services::Error::Refused(refusal)) => Ok(Err(Refused { refusal, fields })),
        Err(fault) => Err(Trouble(fault)),
    }
}

/// Why a handler has no page to show.
#[derive(Debug)]
pub(in crate::http) struct Trouble(pub(super) services::Error);

impl<E: Into<services::Error>> From<E> for Trouble {
    fn from(cause: E) -> Self {
        Self(cause.into())
    }
}

impl IntoResponse for Trouble {
    /// An answer without a page; the gate, which knows the reader's language, makes one of it.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[derive(Template)]
#[template(path = "trouble.html", config = "src/http/panel/askama.toml")]
struct TroublePage<'a> {
    visit: &'a Visit,
    why: String,
    number: Option<String>,
}

/// The page that says what went wrong.
pub(super) fn trouble(visit: &Visit, trouble: &Trouble) -> Response {
    let (code, why, number) = match &trouble.0 {
        services::Error::Refused(refusal) => (code(refusal), told(visit, refusal), None),
        services::Error::Fault(cause) => {
            let answer = error::fault(cause);
            let number = answer.headers().get(error::NUMBER).and_then(|number| number.to_str().ok()).map(str::to_owned);
            (StatusCode::INTERNAL_SERVER_ERROR, visit.say("trouble.fault").to_owned(), number)
        }
    };
    let page = shown(code, &TroublePage { visit, why, number });
    page.unwrap_or_else(|Trouble(cause)| Problem::from(cause).into_response())
}

/// A refusal in the reader's language.
pub(super) fn told(visit: &Visit, refusal: &Refusal) -> String {
    told_in(visit.language, refusal)
}

/// A refusal in this language, where the table has it; the API's own text otherwise.
#[expect(clippy::wildcard_enum_match_arm, reason = "what has no places to be filled is looked up by its text")]
pub(super) fn told_in(language: Language, refusal: &Refusal) -> String {
    match refusal {
        Refusal::FieldMalformed { field, rule } => language.fill("refusal.field", &[("field", field), ("rule", rule)]),
        Refusal::FieldUnknown { field } => language.fill("refusal.unknown", &[("field", field)]),
        Refusal::AboveCap { field, cap } => {
            language.fill("refusal.cap", &[("field", field), ("cap", &cap.to_string())])
        }
        Refusal::LoginLocked { seconds } => language.fill("refusal.locked", &[("seconds", &seconds.to_string())]),
        Refusal::TrafficLogFailed(why) => language.fill("refusal.traffic_log", &[("why", why)]),
        _ => {
            let text = refusal.to_string();
            language.find(&text).map_or(text, str::to_owned)
        }
    }
}

fn code(refusal: &Refusal) -> StatusCode {
    match error::code(refusal) {
        StatusCode::OK if refusal.to_string().ends_with("not found") => StatusCode::NOT_FOUND,
        StatusCode::OK => StatusCode::UNPROCESSABLE_ENTITY,
        code => code,
    }
}
