//! The API described: for programs at `/api/openapi.json` (OpenAPI 3.1), for people at `/api/docs`.
//!
//! Nothing here says twice what is elsewhere: methods, paths and admission are the table's, fields and answers stand beside
//! the handlers that read and write them, bounds are the domain's. Whoever reaches the port may read it: it holds no more
//! than the source does, and nothing about the appliance that serves it.

mod document;
pub(crate) mod field;
pub(crate) mod operation;
mod page;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use self::operation::{Group, JSON, Operation, Shape};
use super::{api, link_page, routes};

/// The document as it is served; the same from the first request to the last.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    // a document of texts and numbers always becomes JSON
    document::document(&routes::table(), &groups()).to_json().unwrap_or_default().into()
});

/// The page as it is served.
static PAGE: LazyLock<page::Page> = LazyLock::new(|| page::Page::new(&routes::table(), &groups()));

/// Hands out the document.
pub(super) async fn json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, JSON)], DOCUMENT.clone())
}

/// Shows the page.
pub(super) async fn docs() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE.policy.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "none"),
    ];
    (headers, PAGE.html.clone())
}

/// Hands out the page's script.
pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], page::SCRIPT)
}

/// Everything that is described, in the order in which people read it.
fn groups() -> Vec<Group> {
    let mut groups = api::described();
    groups.extend([link_page::described(), pages()]);
    groups
}

/// What people and programs find without a key.
fn pages() -> Group {
    let html = |about| Shape::file("text/html", about);
    Group {
        name: "Pages",
        about: "What whoever reaches the port may read.",
        named: ("", ""),
        operations: vec![
            Operation::new("landing", "Says what this is", html("The page.")),
            Operation::new("openapi", "Describes the API for programs", Shape::document("OpenAPI 3.1: this document.")),
            Operation::new("docs", "Describes the API for people", html("The page.")),
            Operation::new("docs_script", "Searches that page", Shape::file("text/javascript", "The script.")),
        ],
    }
}
