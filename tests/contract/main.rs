//! The contract, entry by entry, against the real router: generated from the contract's own file.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

mod asked;
mod entry;
mod forms;
mod openapi;
mod paths;
mod refusals;
mod requests;
mod shape;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the API's stories use the rest")]
mod support;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use culvert::http::routes::{self, Admission, Route};

use entry::{entries, named};
use requests::{BEFORE, SUCCESSES};
use support::World;

/// What answers with a file instead of an envelope.
const FILES: &[&str] = &["backup_download"];

/// What the table has beyond the contract.
const BEYOND: &[&str] = &[
    "account_connections",
    "account_ikev2_mobileconfig",
    "account_ikev2_powershell",
    "account_otl_withdraw",
    "account_traffic_hourly",
    "audit",
    "backup_delete",
    "backup_upload",
    "backups_config_test",
    "docs",
    "docs_script",
    "firewall_filter_move",
    "landing",
    "link_page",
    "link_page_open",
    "local_access_add",
    "local_access_list",
    "local_access_remove",
    "local_account_config_qr_text",
    "local_status",
    "local_user_add",
    "local_user_edit",
    "local_user_list",
    "local_user_password",
    "local_user_remove",
    "local_user_second_factor_remove",
    "local_user_unlock",
    "metrics",
    "openapi",
    "otl_config_edit",
    "otl_config_ikev2_edit",
    "otl_config_wireguard_edit",
    "traffic_logging_test",
    "webhook_add",
    "webhook_delete",
    "webhook_edit",
    "webhook_list",
    "webhook_test",
];

#[test]
fn has_every_endpoint_and_those_beyond() {
    let table = routes::table();
    let built: BTreeSet<_> = table.iter().map(|route| route.id).collect();
    let entries = entries();
    let contract: BTreeSet<_> = entries.iter().map(|entry| entry.id.as_str()).collect();

    assert_eq!(built.len(), table.len(), "an id stands twice in the table");
    assert_eq!(contract.difference(&built).copied().collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(built.difference(&contract).copied().collect::<Vec<_>>(), BEYOND);
}

#[test]
fn has_every_endpoint_at_its_paths_and_methods_for_those_who_hold_a_key() {
    let table = routes::table();
    for entry in entries() {
        let route = table.iter().find(|route| route.id == entry.id).unwrap();
        let mut methods = vec![entry.method];
        methods.extend(entry.also_get.then_some(Method::GET));
        // a slash at the end is trimmed before the table is asked
        let paths = std::iter::once(entry.path).chain(entry.aliases).map(|path| path.trim_end_matches('/').to_owned());
        let mut paths: Vec<_> = paths.collect();
        paths.dedup();

        assert_eq!(route.methods, methods, "{}", entry.id);
        assert_eq!(route.paths, paths, "{}", entry.id);
        assert_eq!(route.admission, Admission::Key, "{}", entry.id);
    }
}

#[test]
fn has_a_request_that_succeeds_for_every_endpoint() {
    let tried: BTreeSet<_> = SUCCESSES.iter().map(|(id, _)| (*id).to_owned()).collect();

    assert_eq!(tried, entries().into_iter().map(|entry| entry.id).collect());
}

#[tokio::test]
async fn answers_in_the_shape_of_the_example() {
    let mut found = Vec::new();
    for (id, (path, form)) in SUCCESSES.iter().filter(|(id, _)| !FILES.contains(id)) {
        let (world, entry) = (prepared(id).await, named(id));
        let msg = world.call(entry.method, &format!("/api/v1/{path}"), form).await.success();
        found.extend(shape::differences(id, &entry.success, &msg));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn answers_alike_at_every_alias_and_method() {
    let enveloped = |route: &Route| route.admission == Admission::Key && !FILES.contains(&route.id);
    for route in routes::table().into_iter().filter(enveloped) {
        let Some((_, (path, form))) = SUCCESSES.iter().find(|(id, _)| *id == route.id) else { continue };
        let name = path.split('/').nth(1).unwrap_or_default();
        let mut answers = Vec::new();
        for (method, at) in route.methods.iter().flat_map(|method| route.paths.iter().map(move |at| (method, at))) {
            let plain = fill(at, path, name);
            for at in [plain.clone(), plain + "/"] {
                let msg = prepared(route.id).await.call(method.clone(), &at, form).await.success();
                answers.push(shape::differences(route.id, &named(route.id).success, &msg));
            }
        }
        assert!(answers.iter().all(|found| *found == answers[0]), "{}: {answers:?}", route.id);
    }
}

#[tokio::test]
async fn hands_out_files_as_they_are() {
    let world = World::furnished().await;

    let reply = world.get("/api/v1/backups/whole.zip").await;

    assert_eq!(reply.headers["content-type"], "application/zip");
    assert!(reply.bytes.starts_with(b"PK"));
}

/// A furnished world in which an endpoint can succeed.
async fn prepared(id: &str) -> World {
    let world = World::furnished().await;
    for (_, steps) in BEFORE.iter().filter(|(of, _)| *of == id) {
        for (step, (path, form)) in *steps {
            let step = routes::table().into_iter().find(|route| route.id == *step).unwrap();
            world.call(step.methods[0].clone(), &format!("/api/v1/{path}"), form).await.success();
        }
    }
    world
}

/// A path of the table with what stands in its places in the path that was asked, which ends alike.
fn fill(at: &str, asked: &str, name: &str) -> String {
    let mut rest = asked.rsplit('/');
    let mut filled: Vec<&str> = Vec::new();
    for place in at.rsplit('/') {
        let given = rest.next();
        filled.push(match place {
            "{name}" => given.filter(|_| at.ends_with("{name}")).unwrap_or(name),
            place if place.starts_with('{') => given.unwrap_or_default(),
            place => place,
        });
    }
    filled.reverse();
    filled.join("/")
}

#[tokio::test]
async fn lets_nobody_in_without_a_key() {
    let world = World::furnished().await;
    for route in routes::table().into_iter().filter(|route| route.admission == Admission::Key) {
        for (method, path) in route.methods.iter().flat_map(|method| route.paths.iter().map(move |path| (method, path)))
        {
            let path = path.replace("{name}", "Default_1");
            let request = World::request_from(support::HOME, method.clone(), &path).body(Body::empty()).unwrap();
            let reply = world.send(request).await;
            assert_eq!(reply.body, r#"{"error":"Not authorized","msg":"","status":"error"}"#, "{method} {path}");
            assert_eq!(reply.code, 200);
        }
    }
}
