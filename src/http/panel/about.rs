//! What this is: version, how many accounts it may have, whose work is in it, and where programs find their way.

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer};
use super::visit::Visit;
use crate::domain::access::Right;
use crate::services::Services;
use crate::services::health::Vitals;
use crate::services::system::{License, SystemStatus};

/// The libraries that carry most of the weight, with their licences (SPDX).
const LIBRARIES: [(&str, &str); 8] = [
    ("askama", "MIT OR Apache-2.0"),
    ("axum", "MIT"),
    ("boringtun", "BSD-3-Clause"),
    ("jiff", "Unlicense OR MIT"),
    ("redb", "MIT OR Apache-2.0"),
    ("rustls", "Apache-2.0 OR ISC OR MIT"),
    ("smoltcp", "0BSD"),
    ("tokio", "MIT"),
];

#[derive(Template)]
#[template(path = "about.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    version: String,
    whole: Option<Whole>,
    libraries: [(&'static str, &'static str); LIBRARIES.len()],
}

/// What is told of the appliance as a whole.
struct Whole {
    status: SystemStatus,
    license: License,
    vitals: Vitals,
    time: String,
}

/// Shows it; to a reseller nothing of how many accounts others have.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    let status = services.system.status();
    let version = status.version.clone();
    let whole = if visit.has(Right::See) {
        let vitals = services.health.look().await;
        let time = services.system.local_time(vitals.now);
        Some(Whole { status, license: services.system.license(), vitals, time })
    } else {
        None
    };
    page::page(&Page { visit: &visit, version, whole, libraries: LIBRARIES })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_libraries_that_are_built_in() {
        for (name, _) in LIBRARIES {
            assert!(include_str!("../../../Cargo.lock").contains(&format!("name = \"{name}\"\n")), "{name}");
        }
    }
}
