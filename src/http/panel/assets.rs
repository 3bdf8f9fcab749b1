//! The panel's style and scripts: files of this binary, named by what is in them, so that a browser fetches each once.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::domain::hex::hex;

/// A file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset { name: "panel.css", kind: "text/css; charset=utf-8", text: include_str!("assets/panel.css") },
    Asset { name: "panel.js", kind: "text/javascript; charset=utf-8", text: include_str!("assets/panel.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", text: include_str!("assets/icon.svg") },
];

/// A file as it is sent.
struct Packed {
    address: String,
    gzip: Vec<u8>,
}

/// Packed once, when the first page is asked for.
static PACKED: LazyLock<[Packed; ASSETS.len()]> = LazyLock::new(|| ASSETS.map(|asset| Packed::new(&asset)));

impl Packed {
    fn new(asset: &Asset) -> Self {
        let digest = hex(&Sha256::digest(asset.text)[..6]);
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // a Vec takes every write
        let gzip = packer.write_all(asset.text.as_bytes()).and_then(|()| packer.finish()).unwrap_or_default();
        Self { address: format!("/panel/assets/{digest}/{}", asset.name), gzip }
    }
}

/// The address of a file, with the digest of what is in it.
pub(super) fn address(name: &str) -> &'static str {
    let known = ASSETS.iter().zip(PACKED.iter()).find(|(asset, _)| asset.name == name);
    known.map_or("", |(_, packed)| &packed.address)
}

/// Sends a file. What its name says never changes, so it may be kept for a year.
pub(super) async fn file(Path((_, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some((asset, packed)) = ASSETS.iter().zip(PACKED.iter()).find(|(asset, _)| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let common = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    let takes_gzip = headers.get(header::ACCEPT_ENCODING).is_some_and(|taken| {
        let coded = taken.to_str().unwrap_or_default().split(',').map(str::trim);
        coded.into_iter().any(|coding| coding == "gzip" || coding.starts_with("gzip;"))
    });
    if takes_gzip && !packed.gzip.is_empty() {
        return (
            common,
            [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")],
            packed.gzip.as_slice(),
        )
            .into_response();
    }
    (common, asset.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_small_on_the_wire() {
        let all: usize = PACKED.iter().map(|packed| packed.gzip.len()).sum();

        assert!(all < 30_000, "{all} bytes");
    }

    #[test]
    fn names_a_file_by_what_is_in_it() {
        let address = address("panel.css");

        assert!(address.starts_with("/panel/assets/") && address.ends_with("/panel.css"), "{address}");
        assert_eq!(super::address("other.css"), "");
    }

    #[test]
    fn loads_nothing_from_elsewhere() {
        for asset in &ASSETS {
            for word in ["http://", "https://", "@import", "url(//", "eval(", "innerHTML"] {
                let text = asset.text.replace("http://www.w3.org/", "");
                assert!(!text.contains(word), "{word} in {}", asset.name);
            }
        }
    }
}
