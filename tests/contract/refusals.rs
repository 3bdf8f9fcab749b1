//! Every error text: reached by a request, and written in one place.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use culvert::runtime::{self, Runtime};
use tokio::sync::watch;

use crate::entry::{entries, named};
use crate::requests::{ELSEWHERE, IMPORT_CA, REFUSALS, ROOT_PRESENT, UNREACHABLE};
use crate::support::World;

/// The source of the texts.
const SOURCE: &str = include_str!("../../src/domain/refusal.rs");

#[test]
fn tries_every_text_of_every_endpoint() {
    let refusals = REFUSALS.iter().map(|(id, text, _)| (*id, *text));
    let unreachable = UNREACHABLE.iter().map(|(id, text, _)| (*id, *text));
    let tried = refusals.chain(unreachable).chain(ELSEWHERE.iter().copied());
    let tried: BTreeSet<_> = tried.map(|(id, text)| (id.to_owned(), text.to_owned())).collect();

    let listed =
        entries().into_iter().flat_map(|entry| entry.errors.into_iter().map(move |text| (entry.id.clone(), text)));

    assert_eq!(tried, listed.collect());
}

#[tokio::test]
async fn refuses_in_the_words_of_the_contract() {
    let world = World::furnished().await;
    for (id, text, (path, form)) in REFUSALS {
        let reply = world.call(named(id).method, &format!("/api/v1/{path}"), form).await;
        assert_eq!((reply.refusal().as_str(), reply.code.as_u16()), (*text, 200), "{id}: {path} {form}");
    }
}

#[tokio::test]
async fn refuses_an_account_beyond_the_cap() {
    let world = World::with_cap(1).await;
    world.post("/api/v1/wireguard", "").await.success();
    world.post("/api/v1/account", "wg_name=Default_1").await.success();

    let reply = world.post("/api/v1/account", "wg_name=Default_1").await;

    assert_eq!(reply.refusal(), "VPN account limit exceeded");
}

#[tokio::test]
async fn refuses_what_an_authority_forbids_and_what_it_does_not_allow_alone() {
    let world = World::furnished().await;
    let (import, pem) = IMPORT_CA;
    let import = format!("/api/v1/{import}");
    world.put(&import, pem).await.success();

    let server = "/api/v1/ikev2/generate_server_rsa";
    for (path, form, text) in [
        (import.as_str(), pem, ROOT_PRESENT),
        ("/api/v1/ikev2/generate_ca_rsa", "ca_common_name=a&ca_organization=b", ROOT_PRESENT),
        (server, "", "Server Domain must be filled"),
        (server, "server_domain=a.example", "Server IP must be filled"),
        (server, "server_domain=a.example&server_ip=192.0.2.1", "Common Name must be filled"),
        (server, "server_domain=a.example&server_ip=192.0.2.1&server_common_name=a", "Organization must be filled"),
        ("/api/v1/ikev2", "enabled=1", "The SERVER certificate is not present in the system"),
    ] {
        assert_eq!(world.put(path, form).await.refusal(), text, "{path}");
    }
}

#[tokio::test]
async fn refuses_to_reload_while_it_loads() {
    let world = World::new().await;
    let (_store, intended) = watch::channel(Arc::default());
    let settings = runtime::Settings { workers: Some(1), ..runtime::Settings::default() };

    // on this one thread nothing else runs between the start and the answer
    let starting = Runtime::start(&settings, intended).unwrap();
    let world = world.above(starting.clone());
    let reply = world.operate(Method::PUT, "/api/v1/system/reload", "").await;

    assert_eq!(reply.refusal(), "PUQVPNCP status not OK");
    starting.stop().await;
}

#[test]
fn writes_every_text_as_the_contract_has_it() {
    let contract: BTreeSet<_> = entries().into_iter().flat_map(|entry| entry.errors).collect();
    let mut beyond = false;
    for line in SOURCE.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            beyond = beyond || doc.trim_start().starts_with("Beyond the contract");
        }
        let Some(text) = line.strip_prefix("#[error(\"").and_then(|rest| rest.strip_suffix("\")]")) else { continue };
        // what the contract writes as `<why>` is filled in
        let text = text.replace("{0}", "<why>");
        let text = text.as_str();
        let known = contract.contains(text) || text == "Not authorized";
        assert_ne!(known, beyond, "`{text}` says that it is beyond the contract, or not, and that is wrong");
        beyond = false;
    }
}
