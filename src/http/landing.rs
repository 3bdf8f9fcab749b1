//! The page at `/`, for people who open the address in a browser.

use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};

/// The page. No script, no picture, nothing from elsewhere.
const PAGE: &str = include_str!("landing.html");

/// Nothing may be loaded, sent or framed; the page's own style is named by its hash, which a test compares.
const POLICY: &str = "default-src 'none'; style-src 'sha256-psMun749awo74Vu0o6q9yoiRs+mzb75m6StqY+yPTH0='; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Shows the page.
pub(super) async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "none"),
    ];
    (headers, Html(PAGE))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn names_its_style_by_its_hash() {
        let (_, rest) = PAGE.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();

        let source = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style)));

        assert!(POLICY.contains(&source), "{source}");
    }

    #[test]
    fn loads_nothing() {
        for word in ["<script", "src=", "href=", "url(", "@import", "<form", " style=", " onload"] {
            assert!(!PAGE.contains(word), "{word}");
        }
    }
}
