//! Compares an answer with the contract's example: the same keys, each with the same JSON type.

use serde_json::Value;
use serde_yaml_ng::Value as Example;

/// Keys beyond the examples, each documented where its view is defined: of a server, then of an account, then of a
/// firewall rule, then of the resolver, then of certificates and backups.
pub(crate) const ADDITIONS: &[&str] = &[
    "address_ipv6",
    "allowed_ips",
    "disable_nat",
    "dns_1_ipv6",
    "dns_2_ipv6",
    "endpoint",
    "ipv6",
    "limit_download",
    "limit_upload",
    "mtu",
    "allowed_IPs_ipv6",
    "state",
    "bytes",
    "packets",
    "cache",
    "questions",
    "most_blocked",
    "ftp_tls",
    "backup_to_s3",
    "s3_endpoint",
    "s3_region",
    "s3_bucket",
    "s3_path",
    "s3_access_key",
    "s3_secret_key_set",
    "passphrase_set",
    "ca_expires",
    "server_expires",
    "server_ipv6",
];

/// Answers, and members of answers, that are objects keyed by a name: the example's one member stands for each of theirs.
const KEYED_BY_NAME: [&str; 4] = ["wireguard_list", "wireguard_peers", "port_forward_list", "otl_list.olts"];

/// Answers of which a world without tunnels has no member; their members are compared beside the code.
const EMPTY_AT_REST: [&str; 2] = ["wireguard_online", "ikev2_online"];

/// Everything in which `answer` differs from the example of endpoint `id`.
pub(crate) fn differences(id: &str, example: &Example, answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match (example, answer) {
        (Example::Sequence(_), Value::Array(answer)) if answer.is_empty() && EMPTY_AT_REST.contains(&id) => {}
        _ => compare(id, example, answer, &mut found),
    }
    found
}

fn compare(place: &str, example: &Example, answer: &Value, found: &mut Vec<String>) {
    match (example, answer) {
        (Example::String(_), Value::String(_))
        | (Example::Number(_), Value::Number(_))
        | (Example::Bool(_), Value::Bool(_)) => {}
        (Example::Sequence(example), Value::Array(answer)) => {
            if answer.is_empty() {
                found.push(format!("{place}: no members"));
            }
            for (index, value) in answer.iter().enumerate() {
                compare(&format!("{place}[{index}]"), &example[0], value, found);
            }
        }
        (Example::Mapping(example), Value::Object(answer)) if KEYED_BY_NAME.contains(&place) => {
            let member = example.values().next().unwrap();
            if answer.is_empty() {
                found.push(format!("{place}: no members"));
            }
            for (name, value) in answer {
                compare(&format!("{place}.{name}"), member, value, found);
            }
        }
        (Example::Mapping(example), Value::Object(answer)) => {
            for (key, value) in example {
                let key = key.as_str().unwrap();
                match answer.get(key) {
                    Some(answer) => compare(&format!("{place}.{key}"), value, answer, found),
                    None => found.push(format!("{place}.{key}: missing")),
                }
            }
            let known = |key: &str| example.contains_key(key) || ADDITIONS.contains(&key);
            found.extend(answer.keys().filter(|key| !known(key)).map(|key| format!("{place}.{key}: not documented")));
        }
        _ => found.push(format!("{place}: {answer} is not of the type of {example:?}")),
    }
}

#[test]
fn sees_a_number_where_the_example_has_text() {
    let example: Example = serde_yaml_ng::from_str(r#"{a: "1", b: 1, c: [true]}"#).unwrap();

    assert!(differences("x", &example, &serde_json::json!({"a": "2", "b": 2, "c": [false]})).is_empty());
    assert_eq!(differences("x", &example, &serde_json::json!({"a": 2, "c": [], "d": 0})).len(), 4);
}
