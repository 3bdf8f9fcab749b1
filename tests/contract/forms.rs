//! Every field of every form with everything that can be wrong with one: generated from the requests that succeed and from
//! what the appliance's own document says of the field.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use culvert::domain::limits;
use serde_json::{Value, json};

use crate::asked::{Asked, Portrait, encoded, everything, full, object};
use crate::openapi::Document;
use crate::prepared;
use crate::support::{Reply, World};

/// What cannot be in fields of whose text the document gives no pattern.
const CANNOT: &[(&str, &[&str])] = &[
    ("allowed_ips", &["10.0.0.0/33", "10.0.0.0/8,x", "10.0.0.0/8;::/0", "host.example"]),
    ("ca_cert", &["x", "-----BEGIN CERTIFICATE-----"]),
    ("ca_key", &["x", "-----BEGIN PRIVATE KEY-----"]),
    ("d_ip", NETWORK),
    ("endpoint", &["a b", "vpn.example:51820", "-a.example", "a..b", "1.2.3", "http://a.example"]),
    ("events", &["account", "account.expired;account.quota", "account.expired,x"]),
    ("expires", MOMENT),
    ("forwarders_1", &["0.0.0.0", "::"]),
    ("ftp_server", &["a b", "a..b", "ftp://a.example", "1.2.3"]),
    ("influxdb_url", &["192.0.2.7:8086", "http://", "https://a b"]),
    ("remote_syslog_server", &["0.0.0.0", "::"]),
    ("s_ip", NETWORK),
    ("secret", &["x", "whsec_", "whsec_x"]),
    ("server_domain", &["a b", "a..b", "https://a.example"]),
    ("since", MOMENT),
    ("until", MOMENT),
];

const NETWORK: &[&str] = &["1", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "256.0.0.0/8", "::/129", "host.example"];

/// What can just be in such fields.
const CAN: &[(&str, &[&str])] = &[
    ("d_ip", &["::/0", "255.255.255.255/32", "2001:db8::/128", "192.0.2.1", "10.9.9.9/8"]),
    ("endpoint", &["vpn.example", "[2001:db8::1]", "192.0.2.1"]),
    ("expires", &["never", "2026-12-31", "2026-12-31T18:00:00Z", "2026-12-31T18:00"]),
    ("influxdb_url", &["https://a", "http://[::1]:8086/below"]),
    ("remote_syslog_server", &["2001:db8::514", "255.255.255.254"]),
    ("s_ip", &["0.0.0.0/0", "::/128"]),
];

const MOMENT: &[&str] = &["x", "1", "2026-13-01", "2026-02-30", "2026-12-31 25:00", "31.12.2026", "tomorrow"];

/// Fields that may be absent, but not from the request that succeeds, with the reason.
const NEEDED: &[(&str, &str, &str)] = &[
    ("traffic_logging_edit", "enabled_remote_syslog", "what is logged is logged to somewhere"),
    ("traffic_logging_edit", "remote_syslog_server", "what goes to a server goes to one that is named"),
];

/// What the request that succeeds makes where that can be made but once.
const UNDONE: &[(&str, &str)] = &[
    ("firewall_filter_add", "firewall/rules/filter/web"),
    ("ikev2_generate_ca", "ikev2/delete_ca_rsa"),
    ("ikev2_import_ca", "ikev2/delete_ca_rsa"),
    ("local_access_add", "local/v1/access/billing"),
    ("port_forward_add", "wireguard/Default_1/port_forwarding/23/udp"),
    ("webhook_add", "webhooks/billing"),
];

/// Texts that have a bound and a form of their own, so that not every text of that length can be.
const FORMED: [&str; 5] = ["backup_name", "esp", "events", "ike", "secret"];

/// A field whose values, and whose absence, cost seconds of arithmetic; `tests/api/ikev2.rs` has them.
const DEAR: &str = "key_type";

/// Fields of which the contract has one text: what a field is for over either version of IP, and either key of a pair.
fn kin(name: &str) -> &str {
    if name.ends_with("_key") && !name.starts_with("s3_") && !name.starts_with("ca_") {
        return "key";
    }
    name.trim_end_matches("_ipv6")
}

/// Texts in which some name or other cannot be, or an address, or a number: each is wrong for all of its kind.
const JUNK: &[&str] = &[
    "x",
    "-",
    "-1",
    "1.5",
    "0x10",
    "+1",
    "1e3",
    "a b",
    "a.b",
    "a/b",
    "..",
    "ä",
    "２",
    "<b>",
    "'",
    "a\0b",
    "a\nb",
    "1.2.3",
    "256.1.1.1",
    "1.1.1.1.1",
    "192.0.2.1/33",
    "10.0.0.0/33",
    "2001:db8::1",
    "::g",
    "fe80::1%eth0",
    "host.example",
    "eth0",
    "wg",
    "wg123456",
    "wg-1",
    "ftp://a",
    "javascript:alert(1)",
    "yes",
    "2",
    "18446744073709551616",
];

/// Values that a field cannot have.
fn spoilt(name: &str, schema: &Value) -> Vec<String> {
    let mut spoilt: Vec<String> = if schema["type"] == "boolean" {
        ["2", "-1", "on", "yes", "tru", "1 1"].map(str::to_owned).into()
    } else if let (Some(first), Some(last)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        let (first, last) = (i128::from(first), i128::from(last));
        let outside = [first - 1, last + 1, i128::from(u64::MAX) + 1, i128::from(u32::MAX) * 4];
        let words = ["x", "1.5", "0x10", "+1", "1e3", "２", "1 1", "true"].map(str::to_owned);
        let outside =
            outside.into_iter().filter(|number| !(first..=last).contains(number)).map(|number| number.to_string());
        outside.chain(words).collect()
    } else {
        let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
        let (own, long) = (schema["enum"][0].as_str().map(|word| format!("{word}x")), longer(schema));
        let candidates = JUNK.iter().map(|text| (*text).to_owned()).chain(own).chain(long);
        candidates.filter(|text| !validator.is_valid(&json!(text))).collect()
    };
    let known = CANNOT.iter().filter(|(field, _)| *field == name).flat_map(|(_, texts)| texts.iter());
    spoilt.extend(known.map(|text| (*text).to_owned()));
    // no text of any field has one of these in it, and what has no bound of its own has that of its sort
    spoilt.push(if schema["maxLength"].is_null() { "9".repeat(10_000) } else { "a\0b".to_owned() });
    spoilt
}

/// A text that is longer by one than it may be.
fn longer(schema: &Value) -> Option<String> {
    let named = || {
        Some(limits::NAME_LENGTH)
            .filter(|most| schema["pattern"].as_str().is_some_and(|pattern| pattern.contains(&format!(",{most}}}"))))
    };
    let most = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()).or_else(named)?;
    Some("a".repeat(most + 1))
}

/// Values at the bounds of a field, and every way of writing one that has only a few.
fn edges(name: &str, schema: &Value) -> Vec<String> {
    if schema["type"] == "boolean" {
        return ["0", "1", "true", "FALSE", "True"].map(str::to_owned).into();
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words.flat_map(|word| [word.to_owned(), word.to_lowercase(), word.to_uppercase()]).collect();
    }
    let bound = schema["maxLength"].as_u64().filter(|_| !FORMED.contains(&name));
    let longest = bound.and_then(|most| usize::try_from(most).ok()).map(|most| "a".repeat(most));
    let numbers = [&schema["minimum"], &schema["maximum"]]
        .into_iter()
        .filter(|bound| bound.is_number() && schema["type"] == "integer");
    let known = CAN.iter().filter(|(field, _)| *field == name).flat_map(|(_, texts)| texts.iter());
    let known = known.map(|text| (*text).to_owned());
    numbers.map(ToString::to_string).chain(longest).chain(known).collect()
}

/// Endpoints that have a form, with its fields.
fn forms(document: &Document) -> Vec<(Asked, Vec<(String, Value)>)> {
    let forms = everything().into_iter().map(|asked| {
        let fields = document.fields(asked.route.id);
        (asked, fields)
    });
    forms.filter(|(_, fields)| !fields.is_empty()).collect()
}

/// The text of a refusal that is as it ought to be: in the envelope, and one that is documented; or what is wrong with it.
fn told(document: &Document, id: &str, reply: &Reply) -> Result<String, String> {
    let envelope = reply.json();
    let text = envelope["error"].as_str().unwrap_or_default().to_owned();
    if reply.code != StatusCode::OK || envelope["status"] != "error" || envelope["msg"] != "" {
        return Err(format!("{} {:.80}", reply.code, reply.body));
    }
    let is_known = document.refusals(id).contains(&text) || text.starts_with("Incorrect value ");
    if is_known { Ok(text) } else { Err(format!("`{text}` is not documented")) }
}

#[tokio::test]
async fn refuses_every_field_that_is_wrong_in_one_way_and_changes_nothing() {
    let document = Document::get(&World::new().await).await;
    let (mut tried, mut found) = (0, Vec::new());
    for (asked, fields) in forms(&document) {
        let (id, world) = (asked.route.id, prepared(asked.route.id).await);
        let before = Portrait::of(&world).await;
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for (name, schema) in fields {
            let mut texts = BTreeSet::new();
            for value in spoilt(&name, &schema) {
                let replies = send_spoilt(&world, &asked, &name, &value).await;
                tried += replies.len();
                let shown: String = value.chars().take(80).collect();
                for reply in replies {
                    match told(&document, id, &reply) {
                        Ok(text) => _ = texts.insert(text),
                        Err(wrong) => found.push(format!("{id}: {name}={shown:?}: {wrong}")),
                    }
                }
            }
            if texts.len() != 1 {
                found.push(format!("{id}: {name} is refused in {} ways: {texts:?}", texts.len()));
            }
            for text in texts {
                let other = owners.insert(text.clone(), kin(&name).to_owned());
                if other.as_ref().is_some_and(|other| other != kin(&name)) {
                    found.push(format!("{id}: {name} and {other:?} are refused alike: {text}"));
                }
            }
            if Portrait::of(&world).await != before {
                found.push(format!("{id}: {name} has changed something"));
                break;
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(tried > 5_000, "{tried}");
}

/// Sends a form with this value of a field: alone and after another, by every method, and as JSON.
async fn send_spoilt(world: &World, asked: &Asked, name: &str, value: &str) -> Vec<Reply> {
    let pairs = asked.with(name, value);
    let good = asked.value(name).unwrap_or_default();
    let twice = [vec![(name.to_owned(), good.to_owned())], pairs.clone()].concat();
    let mut replies = Vec::new();
    for method in &asked.route.methods {
        // of two the last counts
        for sent in [encoded(&pairs), encoded(&twice)] {
            replies.push(asked.send_raw(world, method, &sent).await);
        }
    }
    replies.extend(asked.send_json(world, Value::from(object(&pairs)).to_string()).await);
    replies
}

/// A field that is there and says nothing, however that is written.
const EMPTY: [&str; 3] = ["", "=", "=+++%0D%0A"];

/// The good form with a field absent or empty, in every way.
fn left_out(asked: &Asked, name: &str) -> Vec<String> {
    let rest = encoded(&asked.without(name));
    let joined = |end: &str| if rest.is_empty() { format!("{name}{end}") } else { format!("{rest}&{name}{end}") };
    let mut forms: Vec<String> = EMPTY.iter().map(|end| joined(end)).collect();
    forms.push(rest.clone());
    forms
}

#[tokio::test]
async fn refuses_a_form_that_lacks_what_must_be_there_and_changes_nothing() {
    let document = Document::get(&World::new().await).await;
    let (mut tried, mut found) = (0, Vec::new());
    for (asked, fields) in forms(&document) {
        let (id, world) = (asked.route.id, prepared(asked.route.id).await);
        let before = Portrait::of(&world).await;
        for (name, _) in fields {
            let is_needed = NEEDED.iter().any(|(of, field, _)| *of == id && *field == name);
            if !document.requires(id, &name) && !is_needed {
                continue;
            }
            for form in left_out(&asked, &name) {
                let reply = asked.send_raw(&world, &asked.route.methods[0], &form).await;
                found.extend(
                    told(&document, id, &reply).err().map(|wrong| format!("{id}: {name}: {form:.80}: {wrong}")),
                );
                tried += 1;
            }
            let mut body = object(&asked.pairs);
            body.insert(name.clone(), Value::Null);
            if let Some(reply) = asked.send_json(&world, Value::from(body).to_string()).await {
                found.extend(told(&document, id, &reply).err().map(|wrong| format!("{id}: {name}: null: {wrong}")));
            }
        }
        assert_eq!(Portrait::of(&world).await, before, "{id}: {found:?}");
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(tried > 80, "{tried}");
}

#[tokio::test]
async fn takes_a_form_that_leaves_out_what_may_be_absent_and_lets_the_last_of_two_count() {
    let document = Document::get(&World::new().await).await;
    let (mut tried, mut found) = (0, Vec::new());
    for (asked, fields) in forms(&document) {
        let mut stage = Stage::of(&asked).await;
        for (name, schema) in fields.into_iter().filter(|(name, _)| name != DEAR) {
            let is_needed = NEEDED.iter().any(|(of, field, _)| *of == asked.route.id && *field == name);
            let optional = !document.requires(asked.route.id, &name) && !is_needed;
            let good = asked.value(&name).unwrap_or_default();
            // of two the last counts, which here is the one that can be
            let twice = [vec![(name.clone(), spoilt(&name, &schema)[0].clone())], asked.with(&name, good)].concat();
            let absent = if optional { left_out(&asked, &name) } else { Vec::new() };
            for form in absent.into_iter().chain([encoded(&twice)]) {
                let reply = asked.send_raw(stage.ready().await, &asked.route.methods[0], &form).await;
                if reply.json()["status"] != "success" {
                    found.push(format!("{}: {name}: {form:.80}: {}", asked.route.id, reply.body));
                }
                tried += 1;
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(tried > 500, "{tried}");
}

/// A world in which an endpoint can succeed time after time.
struct Stage {
    id: &'static str,
    world: World,
}

impl Stage {
    async fn of(asked: &Asked) -> Self {
        Self { id: asked.route.id, world: prepared(asked.route.id).await }
    }

    /// Takes away what the last time may have made.
    async fn ready(&mut self) -> &World {
        for (_, path) in UNDONE.iter().filter(|(id, _)| *id == self.id) {
            self.world.operate(Method::DELETE, &full(path), "").await;
        }
        &self.world
    }
}

#[tokio::test]
async fn refuses_what_is_no_text_or_no_form_or_too_large_and_changes_nothing() {
    let document = Document::get(&World::new().await).await;
    for (asked, fields) in forms(&document) {
        let (id, world) = (asked.route.id, prepared(asked.route.id).await);
        let before = Portrait::of(&world).await;
        for (name, _) in fields {
            let rest = encoded(&asked.without(&name));
            for method in &asked.route.methods {
                let reply = asked.send_raw(&world, method, &format!("{rest}&{name}=%FF")).await;
                assert_eq!((reply.refusal().as_str(), reply.code), (MALFORMED, StatusCode::OK), "{id}: {name}");
            }
            let mut body = object(&asked.without(&name));
            for value in [json!([asked.value(&name)]), json!({"a": 1})] {
                body.insert(name.clone(), value);
                let Some(reply) = asked.send_json(&world, Value::from(body.clone()).to_string()).await else {
                    continue;
                };
                assert_eq!((reply.refusal().as_str(), reply.code), (MALFORMED, StatusCode::OK), "{id}: {name}");
            }
            let no_text = [format!("{{\"{name}\": \"").as_bytes(), b"\xff\"}"].concat();
            if let Some(reply) = asked.send_json(&world, no_text).await {
                assert_eq!((reply.refusal().as_str(), reply.code), (MALFORMED, StatusCode::OK), "{id}: {name}");
            }
        }
        for method in &asked.route.methods {
            let reply = asked.send_large(&world, method, limits::FORM_BYTES + 1).await;
            let expected = ("Request body too large", StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!((reply.refusal().as_str(), reply.code), expected, "{method} {id}");
        }
        assert_eq!(Portrait::of(&world).await, before, "{id}");
    }
}

const MALFORMED: &str = "Malformed request body";

#[tokio::test]
async fn takes_every_value_that_can_just_be() {
    let document = Document::get(&World::new().await).await;
    let mut tried = 0;
    for (asked, fields) in forms(&document) {
        let (id, mut stage) = (asked.route.id, Stage::of(&asked).await);
        for (name, schema) in fields.into_iter().filter(|(name, _)| name != DEAR) {
            let wrong = asked.with(&name, &spoilt(&name, &schema)[0]);
            let refused = asked.send(stage.ready().await, &wrong).await.refusal();
            for value in edges(&name, &schema) {
                // what else a value may be at odds with has another text
                let reply = asked.send(stage.ready().await, &asked.with(&name, &format!(" {value}\r\n"))).await;
                assert_ne!(reply.json()["error"], *refused, "{id}: {name}={value:.80} is documented and refused");
                tried += 1;
            }
        }
    }
    assert!(tried > 400, "{tried}");
}
