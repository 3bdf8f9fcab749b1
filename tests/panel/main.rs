//! The panel in a real browser: Debian's Chromium, driven by its `chromedriver`, in the network namespace of an appliance
//! that runs as nobody. There is no way from there to the internet, and nothing of it is needed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]
#![expect(clippy::print_stderr, reason = "what a program said is shown when a test fails, and what was measured")]
#![expect(clippy::disallowed_methods, reason = "the ban is on the product: a rig runs programs and reads the clock")]
#![expect(unreachable_pub, reason = "a test's modules are seen by this target alone")]

mod accounts;
mod appliance;
mod browser;
mod first_run;
mod forged;
mod keeping;
mod live;
mod login;
mod looks;
mod network;
mod pages;
mod payloads;
mod people;
#[path = "../e2e/rig/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the rig of the end-to-end tests has more than a browser needs"
)]
mod rig;
mod servers;
mod weight;
