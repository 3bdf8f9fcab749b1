//! Every field of every form with everything that can be wrong with one: generated from the requests that succeed and from
//! what the appliance's own document says of the field.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use culvert::domain::limits;
use serde_json::{Value, json};

use crate::asked::{Asked, Portrait, encoded, everything, object};
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
    ("ftp_server", &["a b", "a..b", "ftp://a.example", "1.2.3"]),
    ("s_ip", NETWORK),
    ("secret", &["x", "whsec_", "whsec_x"]),
    ("server_domain", &["a b", "a..b", "https://a.example"]),
    ("since", MOMENT),
    ("until", MOMENT),
];

const NETWORK: &[&str] = &["1", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "256.0.0.0/8", "::/129", "host.example"];

const MOMENT: &[&str] = &["x", "1", "2026-13-01", "2026-02-30", "2026-12-31 25:00", "31.12.2026", "tomorrow"];

/// Fields that may be absent, but not from the request that succeeds, with the reason.
const NEEDED: &[(&str, &str, &str)] = &[
    ("traffic_logging_edit", "enabled_remote_syslog", "what is logged is logged to somewhere"),
    ("traffic_logging_edit", "remote_syslog_server", "what goes to a server goes to one that is named"),
];

/// Fields of which the contract has one text: what a field is for over either version of IP, and either key of a pair.
fn kin(name: &str) -> &str {
    if name.ends_with("_key") && !name.starts_with("s3_") && !name.starts_with("ca_") { return "key" };
    name.trim_end_matches("_ipv6")
}

/// Texts in which some name or other cannot be, or an address, or a number: each is wrong for all of its kind.
const JUNK: &[&str] = &[
    "x", "-", "-1", "1.5", "0x10", "+1", "1e3", "a b", "a.b", "a/b", "..", "ä", "２", "<b>", "'", "a\0b", "a\nb", "1.2.3",
    "256.1.1.1", "1.1.1.1.1", "192.0.2.1/33", "10.0.0.0/33", "2001:db8::1", "::g", "fe80::1%eth0", "host.example", "eth0",
    "wg", "wg123456", "wg-1", "ftp://a", "javascript:alert(1)", "yes", "2", "18446744073709551616",
];

/// Values that a field cannot have.
fn spoilt(name: &str, schema: &Value) -> Vec<String> {
    let mut spoilt: Vec<String> = if schema["type"] == "boolean" {
        ["2", "-1", "on", "yes", "tru", "1 1"].map(str::to_owned).into()
    } else if let (Some(first), Some(last)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        let (first, last) = (i128::from(first), i128::from(last));
        let outside = [first - 1, last + 1, i128::from(u64::MAX) + 1, i128::from(u32::MAX) * 4];
        let words = ["x", "1.5", "0x10", "+1", "1e3", "２", "1 1", "true"].map(str::to_owned);
        let outside = outside.into_iter().filter(|number| !(first..=last).contains(number)).map(|number| number.to_string());
        outside.chain(words).collect()
    } else {
        let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
        let (own, long) = (schema["enum"][0].as_str().map(|word| format!("{word}x")), longer(schema));
        let candidates = JUNK.iter().map(|text| (*text).to_owned()).chain(own).chain(long);
        candidates.filter(|text| !validator.is_valid(&json!(text))).collect()
    };
    let known = CANNOT.iter().filter(|(field, _)| *field == name).flat_map(|(_, texts)| texts.iter());
    spoilt.extend(known.map(|text| (*text).to_owned()));
    if schema["maxLength"].is_null() {
        spoilt.push("9".repeat(10_000));
    }
    spoilt
}

/// A text that is longer by one than it may be.
fn longer(schema: &Value) -> Option<String> {
    let named = || Some(limits::NAME_LENGTH).filter(|most| schema["pattern"].as_str().is_some_and(|pattern| pattern.contains(&format!(",{most}}}"))));
    let most = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()).or_else(named)?;
    Some("a".repeat(most + 1))
}

/// Values at the bounds of a field, and every way of writing one that has only a few.
fn edges(schema: &Value) -> Vec<String> {
    if schema["type"] == "boolean" {
        return ["0", "1", "true", "FALSE", "True"].map(str::to_owned).into();
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words.flat_map(|word| [word.to_owned(), word.to_lowercase(), word.to_uppercase()]).collect();
    }
    let longest = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()).map(|most| "a".repeat(most));
    let numbers = [&schema["minimum"], &schema["maximum"]].into_iter().filter(|bound| bound.is_number() && schema["type"] == "integer");
    numbers.map(ToString::to_string).chain(longest).collect()
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
