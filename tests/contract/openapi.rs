//! The document that the appliance has of its own API, against the contract and against what is really answered.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, header};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::entry::{entries, named};
use crate::requests::{REFUSALS, SUCCESSES, UNREACHABLE};
use crate::shape::ADDITIONS;
use crate::support::{self, World};
use crate::{FILES, prepared};

/// The document.
pub(crate) struct Document(Value);

impl Document {
    /// As anybody gets it, with no key.
    pub(crate) async fn get(world: &World) -> Self {
        let request = World::request_from(support::HOME, Method::GET, "/api/openapi.json").body(Body::empty()).unwrap();
        let reply = world.send(request).await;
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
        Self(reply.json())
    }

    /// An operation by its name.
    fn operation(&self, id: &str) -> &Value {
        let items = self.0["paths"].as_object().unwrap().values();
        let mut operations = items.flat_map(|item| item.as_object().unwrap().values());
        operations.find(|operation| operation["operationId"] == id).unwrap_or_else(|| panic!("no `{id}`"))
    }

    /// What checks a body of this operation.
    fn answers(&self, id: &str) -> Validator {
        let schema = &self.operation(id)["responses"]["200"]["content"]["application/json"]["schema"];
        let mut whole = schema.as_object().unwrap_or_else(|| panic!("`{id}` answers no JSON")).clone();
        // references lead from the root
        whole.insert("components".into(), self.0["components"].clone());
        jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&whole.into()).unwrap()
    }

    /// The fields of this operation's form, with their schemas.
    pub(crate) fn fields(&self, id: &str) -> Vec<(String, Value)> {
        let form = self.form(id);
        let of_body = form["properties"].as_object().into_iter().flatten();
        let of_body = of_body.map(|(name, schema)| (name.clone(), schema.clone()));
        let of_query = self.operation(id)["parameters"].as_array().into_iter().flatten();
        let of_query = of_query.filter(|parameter| parameter["in"] == "query");
        of_body.chain(of_query.map(named_schema)).collect()
    }

    /// Whether this field of the operation's form must be there.
    pub(crate) fn requires(&self, id: &str, field: &str) -> bool {
        self.form(id)["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field))
    }

    /// The places of this operation's path, with their schemas.
    pub(crate) fn places(&self, id: &str) -> Vec<(String, Value)> {
        let parameters = self.operation(id)["parameters"].as_array().into_iter().flatten();
        parameters.filter(|parameter| parameter["in"] == "path").map(named_schema).collect()
    }

    /// Every text with which this operation refuses by itself.
    pub(crate) fn refusals(&self, id: &str) -> BTreeSet<String> {
        let texts = self.operation(id)["x-refusals"].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn form(&self, id: &str) -> Value {
        let form = &self.operation(id)["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let form = form.as_str().and_then(|path| self.0.pointer(path.trim_start_matches('#')));
        form.cloned().unwrap_or_default()
    }
}

/// A parameter of an operation.
fn named_schema(parameter: &Value) -> (String, Value) {
    (parameter["name"].as_str().unwrap().to_owned(), parameter["schema"].clone())
}

/// Takes what the contract's examples do not have off the members that must be there.
fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(required)) = members.get_mut("required") {
                required.retain(|name| !ADDITIONS.iter().any(|addition| name == addition));
            }
            members.values_mut().for_each(loosen);
        }
        Value::Array(members) => members.iter_mut().for_each(loosen),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Why a body is not as documented.
fn faults(validator: &Validator, body: &Value) -> Vec<String> {
    validator.iter_errors(body).map(|fault| fault.to_string()).collect()
}

#[tokio::test]
async fn has_schemas_that_are_schemas() {
    let document = Document::get(&World::new().await).await;
    for (name, schema) in document.0["components"]["schemas"].as_object().unwrap() {
        let meta = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema]});
        assert!(jsonschema::meta::is_valid(&meta), "{name}");
    }
    assert_eq!(document.0["openapi"], "3.1.0");
}

#[tokio::test]
async fn documents_the_fields_of_every_form_of_the_contract() {
    let document = Document::get(&World::new().await).await;
    for entry in entries() {
        let documented: BTreeSet<_> = document.fields(&entry.id).into_iter().map(|(name, _)| name).collect();
        // one pattern of the contract stands for a field of each subsystem
        let is_had = |field: &&String| match field.strip_suffix('*') {
            Some(stem) => documented.iter().filter(|name| name.starts_with(stem)).count() == 17,
            None => documented.contains(*field),
        };
        let lost: Vec<_> = entry.fields.iter().filter(|field| !is_had(field)).collect();
        assert!(lost.is_empty(), "{}: {lost:?}", entry.id);
    }
}

#[tokio::test]
async fn documents_every_text_of_the_contract_that_can_be_reached() {
    let document = Document::get(&World::new().await).await;
    for entry in entries() {
        let texts = document.refusals(&entry.id);
        let unreachable = |text: &str| UNREACHABLE.iter().any(|(id, known, _)| *id == entry.id && *known == text);
        // a text that is made of a field and its rule is said once for all of them
        let of_a_field = |text: &str| entry.id == "ikev2_advanced_edit" && text.starts_with("Incorrect value ");
        let lost = entry.errors.iter().filter(|text| !texts.contains(*text) && !unreachable(text) && !of_a_field(text));
        let lost: Vec<_> = lost.collect();
        assert!(lost.is_empty(), "{}: {lost:?}", entry.id);
    }
}

#[tokio::test]
async fn describes_the_examples_of_the_contract() {
    let mut document = Document::get(&World::new().await).await;
    loosen(&mut document.0);
    for entry in entries().into_iter().filter(|entry| !FILES.contains(&entry.id.as_str())) {
        let msg = serde_json::to_value(&entry.success).unwrap();
        let body = json!({"error": "", "msg": msg, "status": "success"});

        let found = faults(&document.answers(&entry.id), &body);

        assert!(found.is_empty(), "{}: {found:#?}\n{body:#}", entry.id);
    }
}

#[tokio::test]
async fn describes_what_is_really_answered() {
    let document = Document::get(&World::new().await).await;
    for (id, (path, form)) in SUCCESSES.iter().filter(|(id, _)| !FILES.contains(id)) {
        let reply = prepared(id).await.call(named(id).method, &format!("/api/v1/{path}"), form).await;
        reply.success();

        let found = faults(&document.answers(id), &reply.json());

        assert!(found.is_empty(), "{id}: {found:#?}\n{:#}", reply.json());
    }
}

#[tokio::test]
async fn describes_what_is_answered_beyond_the_contract() {
    let world = World::furnished().await;
    let document = Document::get(&world).await;
    let limited = "wg_name=Default_1&expires=never&quota=5G&quota_period=month&quota_action=throttle";
    let checked = [
        ("account_add", world.post("/api/v1/account", limited).await),
        ("account_list", world.get("/api/v1/account").await),
        ("account_connections", world.get("/api/v1/account/peer_1/connections").await),
        ("account_traffic_hourly", world.get("/api/v1/account/peer_1/traffic_hourly/2022/11/5").await),
        ("otl_config_edit", world.put("/api/v1/otl/config", "lifetime=3").await),
        ("otl_config_wireguard_edit", world.put("/api/v1/otl/config_wireguard", "enable=1").await),
        ("otl_config_ikev2_edit", world.put("/api/v1/otl/config_ikev2", "enable=1").await),
        ("account_otl_withdraw", world.delete("/api/v1/account/peer_1/otl").await),
        ("local_status", world.operate(Method::GET, "/local/v1/status", "").await),
        ("local_access_list", world.operate(Method::GET, "/local/v1/access", "").await),
        ("local_access_add", world.operate(Method::POST, "/local/v1/access", "label=a&ip=192.0.2.1").await),
        ("local_access_remove", world.operate(Method::DELETE, "/local/v1/access/a", "").await),
    ];
    for (id, reply) in checked {
        reply.success();
        let found = faults(&document.answers(id), &reply.json());
        assert!(found.is_empty(), "{id}: {found:#?}\n{:#}", reply.json());
    }
}

#[tokio::test]
async fn describes_refusals() {
    let world = World::furnished().await;
    let document = Document::get(&world).await;
    for (id, text, (path, form)) in REFUSALS {
        let reply = world.call(named(id).method, &format!("/api/v1/{path}"), form).await;
        let found = faults(&document.answers(id), &reply.json());
        assert!(found.is_empty(), "{id}: {text}: {found:#?}");
    }
}

#[tokio::test]
async fn sees_an_answer_that_is_not_as_documented() {
    let document = Document::get(&World::new().await).await;
    let schema = document.answers("system_config");
    let good = json!({
        "error": "",
        "msg": {
            "traffic_statistics_frequency": 1, "traffic_statistics_history": 1, "wireguard_handshake_uptime": 180
        },
        "status": "success"
    });
    assert_eq!(faults(&schema, &good), Vec::<String>::new());

    for (place, value) in [
        ("/msg/wireguard_handshake_uptime", json!("180")),
        ("/msg", json!({})),
        ("/status", json!("error")),
        ("/error", json!("why")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        assert_ne!(faults(&schema, &bad), Vec::<String>::new(), "{place}");
    }
}
