//! The document against the table, the handlers and itself.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use super::*;
use crate::http::form::asked;
use crate::http::local_router;
use crate::http::routes::{Admission, Route};
use crate::services::fixture::services;

fn served() -> Value {
    serde_json::from_slice(&DOCUMENT).unwrap()
}

/// Every operation of the document with its method and path.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (method.to_ascii_uppercase(), path.clone(), operation))
        })
        .collect()
}

/// Every method and path of the table.
fn rows() -> Vec<(Method, &'static str, Route)> {
    let of = |route: Route| {
        let pairs = route.paths.clone().into_iter().flat_map(|path| {
            let methods = route.methods.clone().into_iter();
            methods.map(move |method| (method, path))
        });
        pairs.map(|(method, path)| (method, path, route.clone())).collect::<Vec<_>>()
    };
    routes::table().into_iter().flat_map(of).collect()
}

#[test]
fn has_every_row_of_the_table_and_nothing_else() {
    let document = served();
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();

    let rows: BTreeSet<_> = rows().into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();

    assert_eq!(rows.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new(), "not described");
    assert_eq!(described.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new(), "no rows");
}

#[test]
fn describes_every_row_once() {
    let groups = groups();
    let mut ids: Vec<_> = groups.iter().flat_map(|group| &group.operations).map(|operation| operation.id).collect();
    let mut table: Vec<_> = routes::table().into_iter().map(|route| route.id).collect();

    ids.sort_unstable();
    table.sort_unstable();

    assert_eq!(ids, table);
}

#[test]
fn names_every_operation_once_and_its_first_after_the_row() {
    let document = served();
    let mut names = BTreeMap::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert_eq!(names.insert(name.clone(), (method, path)), None, "{name}");
    }

    for route in routes::table() {
        assert_eq!(names[route.id], (route.methods[0].to_string(), route.paths[0].to_owned()));
    }
}

#[test]
fn wants_a_key_where_the_table_does() {
    let document = served();
    for (method, path, operation) in operations(&document) {
        let (.., route) = rows().into_iter().find(|(m, p, _)| m.as_str() == method && *p == path).unwrap();
        let is_open = operation["security"] == serde_json::json!([]);
        assert_eq!(is_open, route.admission != Admission::Key, "{method} {path}");
    }
    assert_eq!(document["security"], serde_json::json!([{"bearer": []}, {"cookie": []}]));
}

#[tokio::test]
async fn has_every_field_that_a_handler_reads_and_no_other() {
    let (_folder, services) = services();
    let router = local_router(services);
    let groups = groups();
    let told = document::told(&groups);
    for (method, path, route) in rows() {
        let (group, operation) = told[route.id];
        let places = document::located(path, group, operation);
        let path = places.iter().fold(path.to_owned(), |path, place| {
            path.replace(&format!("{{{}}}", place.name), place.example.unwrap_or("nobody"))
        });
        let documented: BTreeSet<_> = operation.form.iter().map(|field| field.name.clone()).collect();
        asked::take();

        let request = Request::builder().method(&method).uri(&path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap();

        assert_eq!(asked::take(), documented, "{method} {path}");
        assert_eq!(documented.len(), operation.form.len(), "{method} {path}: a field twice");
    }
}

#[test]
fn resolves_every_reference() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(members) => members.iter().for_each(|member| references(member, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = served();
    let mut found = Vec::new();
    references(&document, &mut found);

    let lost: Vec<_> = found.iter().filter(|path| document.pointer(path.trim_start_matches('#')).is_none()).collect();

    assert!(found.len() > 100 && lost.is_empty(), "{lost:?}");
}

#[test]
fn says_of_every_place_of_a_path_what_it_is() {
    let document = served();
    for (method, path, operation) in operations(&document) {
        let of_path = |parameter: &&Value| parameter["in"] == "path";
        let explained = operation["parameters"].as_array().into_iter().flatten().filter(of_path);
        let explained: Vec<_> = explained.filter(|parameter| parameter["description"] != "").collect();
        assert_eq!(explained.len(), path.matches('{').count(), "{method} {path}");
    }
}

#[test]
fn shows_every_row_on_the_page_with_a_call_of_it() {
    let html = String::from_utf8(PAGE.html.to_vec()).unwrap();
    for route in routes::table() {
        let (_, rest) = html.split_once(&format!("<details id=\"{}\">", route.id)).expect(route.id);
        let (own, _) = rest.split_once("</details>").unwrap();
        assert!(own.contains(&format!("<code>{}</code>", route.paths[0])), "{}", route.id);
        assert!(own.contains("<pre>curl "), "{}", route.id);
        for path in &route.paths[1..] {
            assert!(own.contains(path), "{}: {path}", route.id);
        }
    }
    assert!(!html.contains("{{"), "a place of the frame is not filled");
}

#[test]
fn leads_nowhere_but_to_itself() {
    let html = String::from_utf8(PAGE.html.to_vec()).unwrap();
    let targets = |attribute: &str| {
        let before = format!(" {attribute}=\"");
        let parts = html.split(&before).skip(1);
        parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };

    assert_eq!(targets("src"), BTreeSet::from(["/api/docs/search.js".to_owned()]));
    for target in targets("href") {
        let is_here = target.strip_prefix('#').is_some_and(|id| html.contains(&format!(" id=\"{id}\"")));
        assert!(is_here || target == "/api/openapi.json", "{target}");
    }
    for word in ["url(", "@import", "<form", " style=", " onload", " onclick", "<script>", "<iframe"] {
        assert!(!html.contains(word), "{word}");
    }
    for word in ["http:", "https:", "fetch", "import", "eval", "innerHTML"] {
        let rest = page::SCRIPT.replace("https://vpn.example:8098", "");
        assert!(!rest.contains(word), "{word}");
    }
}

#[test]
fn names_the_style_of_the_page_by_its_hash() {
    let html = String::from_utf8(PAGE.html.to_vec()).unwrap();
    let (_, rest) = html.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();

    let source = format!("style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(style)));

    assert!(PAGE.policy.contains(&source) && PAGE.policy.starts_with("default-src 'none'; "), "{}", PAGE.policy);
}
