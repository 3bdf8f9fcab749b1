//! Every place of every path with what cannot stand there, and with the right name in other letters: generated from the
//! table of endpoints and the requests that succeed.

use axum::http::{Method, StatusCode};
use culvert::http::routes;
use serde_json::Value;

use crate::asked::{Asked, Portrait, escaped, everything};
use crate::openapi::Document;
use crate::support::{Reply, World};
use crate::{FILES, prepared};

/// What is no name of anything: unknown, no text, of other letters than a name has, a way up, and too long.
const NOBODY: [&str; 13] =
    ["nobody", "%00", "%FF", "a%2Fb", "%2F", "%25", "%20", "..", "%2E%2E", "%2E", "'", "%C3%A4", "%3Cb%3E"];

/// Answers that are not the same twice: each makes something.
const MAKERS: [&str; 1] = ["account_otl"];

/// A place of a path.
struct Place {
    at: usize,
    name: String,
    schema: Value,
}

/// The places of an endpoint's path as it is asked.
fn places(document: &Document, asked: &Asked) -> Vec<Place> {
    let template = template(asked);
    let at = |name: &str| template.iter().position(|part| *part == format!("{{{name}}}")).unwrap();
    let documented = document.places(asked.route.id).into_iter();
    documented.map(|(name, schema)| Place { at: at(&name), name, schema }).collect()
}

/// The path of the table that was asked, in its parts.
fn template(asked: &Asked) -> Vec<&'static str> {
    let given: Vec<_> = asked.path.split('/').collect();
    let mut templates = asked.route.paths.iter().map(|path| path.split('/').collect::<Vec<_>>());
    let fits = |parts: &Vec<&str>| {
        parts.len() == given.len()
            && parts.iter().zip(&given).all(|(part, given)| part.starts_with('{') || part == given)
    };
    templates.find(fits).unwrap()
}

impl Place {
    /// The path with something else in this place.
    fn filled(&self, path: &str, text: &str) -> String {
        let mut parts: Vec<_> = path.split('/').collect();
        parts[self.at] = text;
        parts.join("/")
    }

    /// What cannot stand here.
    fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> = NOBODY.iter().map(|text| (*text).to_owned()).collect();
        wrong.push("a".repeat(10_000));
        if let (Some(first), Some(last)) = (self.schema["minimum"].as_i64(), self.schema["maximum"].as_i64()) {
            wrong.extend([first - 1, last + 1].map(|number| number.to_string()));
            wrong.extend(["1.5", "%2B1", "1e1", "0x1", "99999999999999999999"].map(str::to_owned));
        }
        wrong
    }

    /// Words that lead elsewhere when they stand here, as the table has them; asked in other letters they lead here.
    fn reserved(&self, asked: &Asked) -> Vec<&'static str> {
        let here = template(asked);
        let paths = routes::table().into_iter().flat_map(|route| route.paths);
        let parts = paths.map(|path| path.split('/').collect::<Vec<_>>());
        let beside = parts.filter(|other| other.len() > self.at && other[..self.at] == here[..self.at]);
        beside.map(|other| other[self.at]).filter(|part| !part.starts_with('{')).collect()
    }
}

/// Asks this path for what the endpoint is asked.
async fn ask(world: &World, asked: &Asked, path: String) -> Reply {
    let at = Asked { route: asked.route.clone(), path, pairs: asked.pairs.clone() };
    at.send(world, &asked.pairs).await
}

#[tokio::test]
async fn refuses_what_stands_in_no_place_of_a_path_and_changes_nothing() {
    let document = Document::get(&World::new().await).await;
    let (mut tried, mut found) = (0, Vec::new());
    for asked in everything() {
        let (id, places) = (asked.route.id, places(&document, &asked));
        if places.is_empty() {
            continue;
        }
        let world = prepared(id).await;
        let before = Portrait::of(&world).await;
        for place in places {
            let elsewhere = place.reserved(&asked).into_iter().map(escaped);
            for text in place.wrong().into_iter().chain(elsewhere) {
                let reply = ask(&world, &asked, place.filled(&asked.path, &text)).await;
                let told = reply.json()["error"].as_str().unwrap_or_default().to_owned();
                let expected = match reply.code {
                    StatusCode::OK => document.refusals(id).contains(&told),
                    // no text at all, or none of the words that are in the table as it were
                    StatusCode::NOT_FOUND => told == "Not found" && (text == "%FF" || place.schema["enum"].is_array()),
                    _ => false,
                };
                if !expected || reply.json()["status"] != "error" || reply.json()["msg"] != "" {
                    found.push(format!("{id}: {} is {text:.40}: {} {:.80}", place.name, reply.code, reply.body));
                }
                tried += 1;
            }
        }
        assert_eq!(Portrait::of(&world).await, before, "{id}: {found:?}");
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(tried > 500, "{tried}");
}

#[tokio::test]
async fn leads_elsewhere_by_a_reserved_word_and_changes_nothing() {
    let (document, table) = (Document::get(&World::new().await).await, routes::table());
    let mut tried = 0;
    for asked in everything() {
        for place in places(&document, &asked) {
            for word in place.reserved(&asked) {
                let (path, method) = (place.filled(&asked.path, word), &asked.route.methods[0]);
                let mut there = table.iter().filter(|route| route.paths.contains(&path.as_str()));
                if there.any(|route| route.methods.contains(method)) {
                    continue;
                }
                let world = prepared(asked.route.id).await;
                let before = Portrait::of(&world).await;

                let reply = ask(&world, &asked, path.clone()).await;

                // another method's path, or nobody's; or that of something which then has no such name
                match reply.code {
                    StatusCode::NOT_FOUND => assert_eq!(reply.refusal(), "Not found", "{method} {path}"),
                    StatusCode::METHOD_NOT_ALLOWED => assert_eq!(reply.refusal(), "Method not allowed"),
                    StatusCode::OK => assert!(document.refusals(asked.route.id).contains(&reply.refusal()), "{path}"),
                    _ => panic!("{method} {path}: {reply:?}"),
                }
                assert_eq!(Portrait::of(&world).await, before, "{method} {path}");
                tried += 1;
            }
        }
    }
    assert!(tried > 5, "{tried}");
}

#[tokio::test]
async fn gives_no_server_a_name_that_leads_elsewhere() {
    let world = World::furnished().await;
    let before = Portrait::of(&world).await;
    let reserved = routes::table().into_iter().flat_map(|route| route.paths).filter_map(|path| {
        let part = path.strip_prefix("/api/v1/wireguard/")?.split('/').next()?;
        Some(part).filter(|part| !part.starts_with('{'))
    });
    for name in reserved {
        for (method, path) in [(Method::POST, "/api/v1/wireguard"), (Method::PUT, "/api/v1/wireguard/Default_1")] {
            let reply = world.call(method.clone(), path, &format!("name={name}")).await;
            assert_eq!(reply.refusal(), "Wrong name (only letters, numbers and '_', '-')", "{method} {name}");
        }
    }
    assert_eq!(Portrait::of(&world).await, before);
}

#[tokio::test]
async fn takes_a_name_that_is_percent_encoded_for_the_name() {
    let document = Document::get(&World::new().await).await;
    let mut tried = 0;
    for asked in everything() {
        for place in places(&document, &asked) {
            let (id, world) = (asked.route.id, prepared(asked.route.id).await);
            let name = asked.path.split('/').nth(place.at).unwrap();
            let is_read = asked.route.methods[0] == Method::GET && !MAKERS.contains(&id);
            let plain = if is_read { Some(ask(&world, &asked, asked.path.clone()).await) } else { None };

            let reply = ask(&world, &asked, place.filled(&asked.path, &escaped(name))).await;

            if FILES.contains(&id) {
                assert_eq!(reply.code, StatusCode::OK, "{id}: {}", place.name);
            } else {
                assert_eq!(reply.json()["status"], "success", "{id}: {}: {}", place.name, reply.body);
            }
            if let Some(plain) = plain {
                assert_eq!(reply.bytes, plain.bytes, "{id}: {}", place.name);
            }
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}
