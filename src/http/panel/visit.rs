//! Who looks at a page: the session of the cookie, and proof that the person himself has sent what changes something.
//!
//! The gate stands before every page. Whoever shows no session is led to the login; what would change something is
//! taken only from a page of this host, and only with the token that this session's pages carry.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use ipnet::IpNet;
use subtle::ConstantTimeEq as _;

use super::page::{self, Trouble};
use super::words::Language;
use crate::domain::access::{Caller, Right, Role, Way};
use crate::domain::refusal::Refusal;
use crate::http::address::{Proxies, Remote};
use crate::http::body;
use crate::http::caller::is_from_another_page;
use crate::http::form::{Fields, is_urlencoded};
use crate::services::users::{Session, Users};

/// The cookie that holds a session's token. Its prefix makes browsers refuse it from another host, from another path and
/// without TLS (RFC 6265bis, section 4.1.3.2).
pub(super) const COOKIE: &str = "__Host-culvert";

/// The header that carries a session's token against forgery where the body is a file.
const TOKEN_HEADER: &str = "x-csrf";

/// Stands before the panel.
#[derive(Clone)]
pub(in crate::http) struct Gate {
    users: Users,
    proxies: Arc<Proxies>,
}

impl Gate {
    /// A gate that knows these users and believes these proxies.
    pub(in crate::http) fn new(users: Users, proxies: Vec<IpNet>) -> Self {
        Self { users, proxies: Arc::new(Proxies::new(proxies)) }
    }

    fn address(&self, request: &Request) -> Option<IpAddr> {
        let remote = request.extensions().get::<Remote>().copied()?;
        Some(self.proxies.client(remote, request.headers()))
    }
}

/// Somebody who is not logged in, or not yet.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    /// From where.
    pub(super) address: IpAddr,
    /// What the browser calls itself.
    pub(super) agent: String,
    /// The language that the browser asks for.
    pub(super) language: Language,
    /// The session's token, if the browser shows one.
    pub(super) token: Option<String>,
}

/// A look at a page by somebody who is logged in.
#[derive(Debug, Clone)]
pub(in crate::http) struct Visit {
    /// Whose.
    pub(super) session: Arc<Session>,
    /// The session's token.
    pub(super) token: String,
    /// In which language.
    pub(super) language: Language,
    /// The connection by which it came.
    pub(super) way: Option<Way>,
    /// The page's path.
    pub(super) path: String,
    /// The key of what is to be said on top, as the last change has left it in the query.
    pub(super) said: Option<&'static str>,
}

impl Visit {
    /// Who is to be named as having done it.
    pub(super) fn caller(&self) -> &Caller {
        &self.session.caller
    }

    /// The key of the reader's role.
    pub(super) fn role(&self) -> &'static str {
        match self.caller().authority.role() {
            Role::Admin => "role.admin",
            Role::Operator => "role.operator",
            Role::ReadOnly => "role.read_only",
            Role::Reseller => "role.reseller",
        }
    }

    /// Whether the reader may see keys, passwords and configurations.
    pub(super) fn may_see_secrets(&self) -> bool {
        self.caller().authority.sees_secrets()
    }

    /// Whether the reader has this right.
    pub(super) fn has(&self, right: Right) -> bool {
        self.caller().authority.has(right)
    }

    /// What stands at a key, in the reader's language.
    pub(super) fn say<'a>(&self, key: &'a str) -> &'a str {
        self.language.say(key)
    }

    /// [`Self::say`], with values in its places.
    pub(super) fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        self.language.fill(key, values)
    }
}

/// Lets a request pass that belongs to a session, and leaves its [`Visit`] for the handler.
pub(in crate::http) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Some(guest) = guest(&gate, &request) else { return turned_away(request).await };
    let session = guest.token.as_deref().and_then(|token| gate.users.session(token).map(|found| (token, found)));
    let Some((token, session)) = session else { return to_login(request).await };
    let visit = Visit {
        language: session.language.as_deref().and_then(Language::parse).unwrap_or(guest.language),
        session: Arc::new(session),
        token: token.to_owned(),
        way: request.extensions().get::<Way>().copied(),
        path: request.uri().path().to_owned(),
        said: said(request.uri().query().unwrap_or_default()),
    };
    let mut request = match proven(request, &visit.session.csrf).await {
        Ok(request) => request,
        Err(refusal) => return page::trouble(&visit, &Trouble::from(refusal)),
    };
    request.extensions_mut().insert(visit.clone());
    request.extensions_mut().insert(visit.session.caller.clone());
    let response = next.run(request).await;
    match response.extensions().get::<Arc<Trouble>>() {
        Some(trouble) => page::trouble(&visit, trouble),
        None => response,
    }
}

/// Lets a request pass whose reader has the right that the page wants.
pub(in crate::http) async fn permit(
    State(right): State<Right>,
    visit: Visit,
    request: Request,
    next: Next,
) -> Result<Response, Trouble> {
    match visit.caller().must(right) {
        Ok(()) => Ok(next.run(request).await),
        Err(refusal) => {
            body::discard(request.into_body()).await;
            Err(refusal.into())
        }
    }
}

/// Lets a request pass to the pages for those who are not logged in.
pub(in crate::http) async fn receive(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Some(guest) = guest(&gate, &request) else { return turned_away(request).await };
    if changes_something(request.method()) && !is_from_own_page(request.headers()) {
        return turned_away(request).await;
    }
    request.extensions_mut().insert(guest);
    next.run(request).await
}

fn guest(gate: &Gate, request: &Request) -> Option<Guest> {
    let headers = request.headers();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // a request without a host names no site (RFC 9110, section 7.2)
    (!text(header::HOST).is_empty()).then_some(())?;
    Some(Guest {
        address: gate.address(request)?,
        agent: text(header::USER_AGENT).chars().take(200).collect(),
        language: Language::wanted(text(header::ACCEPT_LANGUAGE)),
        token: cookie(headers).map(str::to_owned),
    })
}

async fn turned_away(request: Request) -> Response {
    body::discard(request.into_body()).await;
    StatusCode::FORBIDDEN.into_response()
}

/// To the login; from a page, back to it afterwards.
async fn to_login(request: Request) -> Response {
    let path = request.uri().path();
    let next = if request.method() == Method::GET && path != "/panel" && !path.ends_with("/live") {
        format!("/panel/login?next={}", path.trim_start_matches("/panel/"))
    } else {
        "/panel/login".to_owned()
    };
    body::discard(request.into_body()).await;
    Redirect::to(&next).into_response()
}

/// The request, if it changes nothing or is proven to be sent by a page of this session.
async fn proven(request: Request, csrf: &str) -> Result<Request, Refusal> {
    if !changes_something(request.method()) {
        return Ok(request);
    }
    let (head, content) = request.into_parts();
    if !is_from_own_page(&head.headers) {
        body::discard(content).await;
        return Err(Refusal::PageForged);
    }
    let is = |given: &[u8]| bool::from(given.ct_eq(csrf.as_bytes()));
    if let Some(given) = head.headers.get(TOKEN_HEADER) {
        if is(given.as_bytes()) {
            return Ok(Request::from_parts(head, content));
        }
    } else if is_urlencoded(&head.headers) {
        let whole = body::read(content).await?;
        let given = Fields::read_urlencoded(&whole)?.text("csrf").unwrap_or_default();
        if is(given.as_bytes()) {
            return Ok(Request::from_parts(head, Body::from(whole)));
        }
        return Err(Refusal::PageForged);
    }
    body::discard(content).await;
    Err(Refusal::PageForged)
}

fn changes_something(method: &Method) -> bool {
    method != Method::GET && method != Method::HEAD
}

/// Whether a browser says that a page of this host sent this: both by its `Origin` (RFC 6454, section 7), which every
/// browser adds to a POST, and, where it knows the header, by `Sec-Fetch-Site`.
fn is_from_own_page(headers: &HeaderMap) -> bool {
    let by_origin = headers.contains_key(header::ORIGIN) && !is_from_another_page(headers);
    by_origin && headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The cookie's line: kept as long as the session may last, or forgotten.
pub(super) fn cookie_line(token: Option<&str>, seconds: i64) -> HeaderValue {
    let (value, age) = token.map_or(("", 0), |token| (token, seconds));
    let line = format!("{COOKIE}={value}; Max-Age={age}; Path=/; Secure; HttpOnly; SameSite=Strict");
    // a token is hex digits
    HeaderValue::from_str(&line).unwrap_or(HeaderValue::from_static(""))
}

/// What a change says of itself on the next page: one of a few words, for a link may be made by anybody.
fn said(query: &str) -> Option<&'static str> {
    let word = query.split('&').find_map(|pair| pair.strip_prefix("said="))?;
    page::SAID.into_iter().find(|said| said.strip_prefix("said.") == Some(word))
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = StatusCode;

    /// Takes what the gate has left. A page behind no gate is shown to nobody.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::FORBIDDEN)
    }
}

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::FORBIDDEN)
    }
}
