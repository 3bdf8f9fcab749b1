//! Who is calling: the access hash of the header or the cookie and the address of the socket, to a [`Caller`] or "Not
//! authorized".

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use tracing::debug;

use super::address::{Proxies, Remote};
use super::body;
use super::error::Problem;
use crate::domain::access::Right;
use crate::domain::refusal::Refusal;
use crate::services::{Access, Caller, WrongTries};

/// The cookie in which a client shows its hash.
pub(super) const COOKIE: &str = "access_hash";

/// Stands before every endpoint that wants an access hash.
#[derive(Clone)]
pub(super) struct Gate {
    access: Access,
    proxies: Arc<Proxies>,
    wrong_tries: Arc<WrongTries>,
}

impl Gate {
    /// A gate that knows these hashes and believes these proxies.
    pub(super) fn new(access: Access, proxies: Vec<IpNet>) -> Self {
        Self { access, proxies: Arc::new(Proxies::new(proxies)), wrong_tries: Arc::new(WrongTries::new()) }
    }

    /// The caller, if it may pass. An unknown hash, a deleted one and a right one from a wrong address look the same.
    fn admit(&self, remote: Option<Remote>, headers: &HeaderMap) -> Result<Caller, Problem> {
        let address = self.proxies.client(remote.ok_or(Refusal::NotAuthorized)?, headers);
        if is_from_another_page(headers) {
            return Err(Refusal::NotAuthorized.into());
        }
        let hash = shown(headers).ok_or(Refusal::NotAuthorized)?;
        match self.access.check(hash, address) {
            Some(caller) => Ok(caller),
            None => Err(self.refuse(address).into()),
        }
    }

    fn refuse(&self, address: IpAddr) -> Refusal {
        self.wrong_tries.count(address).err().unwrap_or(Refusal::NotAuthorized)
    }
}

/// Lets a request pass that shows a valid hash, and leaves its [`Caller`] for the handler.
pub(super) async fn authorize(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let remote = request.extensions().get::<Remote>().copied();
    match gate.admit(remote, request.headers()) {
        Ok(caller) => {
            let (method, uri, by) = (request.method().clone(), request.uri().clone(), caller.to_string());
            request.extensions_mut().insert(caller);
            let response = next.run(request).await;
            debug!(caller = by, "{method} {} by `{by}`: {}", uri.path(), response.status().as_u16());
            Ok(response)
        }
        Err(problem) => {
            body::discard(request.into_body()).await;
            Err(problem)
        }
    }
}

/// Lets a request pass whose [`Caller`] has the right that its endpoint wants.
pub(super) async fn permit(
    State(right): State<Right>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match caller.must(right) {
        Ok(()) => Ok(next.run(request).await),
        Err(refusal) => {
            body::discard(request.into_body()).await;
            Err(refusal.into())
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Takes what the gate, or the local listener, has left. A handler behind neither lets nobody in.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Refusal::NotAuthorized.into())
    }
}

/// The hash that a request shows. The header, which a program sets on purpose, stands before the cookie, which a browser
/// may add by itself.
fn shown(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| cookie(headers))
}

/// The token of `Authorization: Bearer` (RFC 6750, section 2.1). Another scheme there is for somebody on the way.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::AUTHORIZATION).iter().filter_map(|line| line.to_str().ok());
    let mut schemes = lines.filter_map(|line| line.trim().split_once(' '));
    schemes.find(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim())
}

/// The value of the cookie; of several the first, which browsers take for the most specific (RFC 6265, section 5.4).
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.trim_matches('"'))
}

/// Whether a browser says that a page of another host sent this (RFC 6454, section 7).
pub(super) fn is_from_another_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let page = origin.to_str().ok().and_then(|origin| origin.strip_prefix("https://"));
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let plain = |authority: &str| authority.strip_suffix(":443").unwrap_or(authority).to_ascii_lowercase();
    page.zip(own).is_none_or(|(page, own)| plain(page) != plain(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(header::HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn finds_the_cookie_among_others() {
        for line in [
            "access_hash=ab",
            "a=1; access_hash=ab",
            "access_hash=ab;b=2",
            "x; access_hash=\"ab\"",
            "access_hash=ab; access_hash=cd",
        ] {
            assert_eq!(cookie(&headers(&[(header::COOKIE, line)])), Some("ab"), "{line}");
        }
        for line in ["", "access_hash", "ACCESS_HASH=ab", "xaccess_hash=ab", "a=access_hash=ab"] {
            assert_eq!(cookie(&headers(&[(header::COOKIE, line)])), None, "{line}");
        }
    }

    #[test]
    fn finds_the_token_of_a_bearer() {
        for line in ["Bearer ab", "bearer ab", "BEARER   ab ", " Bearer ab"] {
            assert_eq!(bearer(&headers(&[(header::AUTHORIZATION, line)])), Some("ab"), "{line}");
        }
        for line in ["", "Bearer", "ab", "Basic ab", "Bearerab", "Bearer=ab"] {
            assert_eq!(bearer(&headers(&[(header::AUTHORIZATION, line)])), None, "{line}");
        }
    }

    #[test]
    fn believes_the_header_before_the_cookie() {
        let both = |scheme| headers(&[(header::AUTHORIZATION, scheme), (header::COOKIE, "access_hash=cd")]);

        assert_eq!(shown(&both("Bearer ab")), Some("ab"));
        assert_eq!(shown(&both("Basic ab")), Some("cd"));
        assert_eq!(shown(&headers(&[])), None);
    }

    #[test]
    fn takes_a_page_of_its_own_host() {
        for (origin, host) in
            [("https://vpn.example:8098", "vpn.example:8098"), ("https://VPN.example", "vpn.example:443")]
        {
            let headers = headers(&[(header::ORIGIN, origin), (header::HOST, host)]);
            assert!(!is_from_another_page(&headers), "{origin} {host}");
        }
        assert!(!is_from_another_page(&headers(&[(header::HOST, "vpn.example")])));
    }

    #[test]
    fn refuses_a_page_of_another_host() {
        for origin in [
            "https://evil.example",
            "https://vpn.example:8099",
            "http://vpn.example:8098",
            "null",
            "",
            "https://vpn.example:8098.evil.example",
        ] {
            let headers = headers(&[(header::ORIGIN, origin), (header::HOST, "vpn.example:8098")]);
            assert!(is_from_another_page(&headers), "{origin}");
        }
        assert!(is_from_another_page(&headers(&[(header::ORIGIN, "https://vpn.example")])));
    }
}
