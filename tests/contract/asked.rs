//! Requests that succeed, taken apart: what the generated tests spoil, one place at a time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{Method, header};
use culvert::http::routes::{self, Route};
use serde_json::{Map, Value};

use crate::requests::{BEYOND_SUCCESSES, SUCCESSES};
use crate::support::{Reply, World};

/// Pairs of a form, as a client means them.
pub(crate) type Pairs = Vec<(String, String)>;

/// An endpoint, and what is asked of it so that it succeeds in a furnished world.
pub(crate) struct Asked {
    pub(crate) route: Route,
    pub(crate) path: String,
    pub(crate) pairs: Pairs,
}

/// Every endpoint that a key or the operator can have succeed with a form or without one.
pub(crate) fn everything() -> Vec<Asked> {
    let table = routes::table();
    let asked = SUCCESSES.iter().chain(BEYOND_SUCCESSES).map(|(id, (path, form))| {
        let route = table.iter().find(|route| route.id == *id).unwrap().clone();
        Asked { route, path: full(path), pairs: decoded(form) }
    });
    asked.collect()
}

/// A path as it is asked: those of the operator are whole, all others begin below `/api/v1`.
pub(crate) fn full(path: &str) -> String {
    if path.starts_with("local/") { format!("/{path}") } else { format!("/api/v1/{path}") }
}

impl Asked {
    /// Its pairs without those of a name.
    pub(crate) fn without(&self, name: &str) -> Pairs {
        self.pairs.iter().filter(|(other, _)| other != name).cloned().collect()
    }

    /// Its pairs, with one of this name alone, which comes last.
    pub(crate) fn with(&self, name: &str, value: &str) -> Pairs {
        let mut pairs = self.without(name);
        pairs.push((name.to_owned(), value.to_owned()));
        pairs
    }

    /// What it has in a field, unless it leaves that out.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Sends a form that is urlencoded already; of a GET, in the query.
    pub(crate) async fn send_raw(&self, world: &World, method: &Method, form: &str) -> Reply {
        if self.path.starts_with("/local/") {
            return world.operate(method.clone(), &self.path, form).await;
        }
        if *method == Method::GET && !form.is_empty() {
            return world.get(&format!("{}?{form}", self.path)).await;
        }
        world.call(method.clone(), &self.path, form).await
    }

    /// Sends a form by the endpoint's first method.
    pub(crate) async fn send(&self, world: &World, pairs: &Pairs) -> Reply {
        self.send_raw(world, &self.route.methods[0], &encoded(pairs)).await
    }

    /// Sends a body of so many bytes.
    pub(crate) async fn send_large(&self, world: &World, method: &Method, bytes: usize) -> Reply {
        let form = encoded(&self.pairs) + "&pad=";
        let body = format!("{form}{}", "a".repeat(bytes - form.len()));
        if self.path.starts_with("/local/") {
            return world.operate(method.clone(), &self.path, &body).await;
        }
        world.call(method.clone(), &self.path, &body).await
    }

    /// Sends a body of JSON. A GET has none; and the operator's own commands send forms.
    pub(crate) async fn send_json(&self, world: &World, body: impl Into<Body>) -> Option<Reply> {
        let method = self.route.methods[0].clone();
        if method == Method::GET || self.path.starts_with("/local/") {
            return None;
        }
        let request = world.request(method, &self.path).header(header::CONTENT_TYPE, "application/json");
        Some(world.send(request.body(body.into()).unwrap()).await)
    }
}

/// Pairs as a JSON object of texts.
pub(crate) fn object(pairs: &Pairs) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

/// Pairs, urlencoded to the last letter.
pub(crate) fn encoded(pairs: &Pairs) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    pairs.join("&")
}

/// A text, percent-encoded to the last byte.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        write!(escaped, "%{byte:02X}").unwrap();
        escaped
    })
}

/// The pairs of a form as [`crate::requests`] has it: nothing in it is escaped, not even the `+` of a PEM text.
fn decoded(form: &str) -> Pairs {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Everything that a request could have changed, as far as it can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Portrait {
    audit: String,
    revision: u64,
    links: String,
    webhooks: String,
    backups: String,
    access: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Portrait {
    /// How it is now.
    pub(crate) async fn of(world: &World) -> Self {
        let files = std::fs::read_dir(world.folder.path().join("backups")).unwrap();
        Self {
            audit: world.get("/api/v1/audit").await.success().to_string(),
            revision: world.store.intended().revision.0,
            links: format!("{:?}", world.store.links()),
            webhooks: format!("{:?}", world.store.webhooks()),
            backups: format!("{:?}", world.store.backups().borrow()),
            // when they were last used changes with every request
            access: world.store.access().entries.keys().cloned().collect(),
            files: files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect(),
        }
    }
}
