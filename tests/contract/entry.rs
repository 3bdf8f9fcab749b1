//! The contract's file, read into entries.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_yaml_ng::Value;

const TEXT: &str = include_str!("puqvpncp-v1.yaml");

/// An endpoint as the contract has it.
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Further paths that answer alike.
    pub(crate) aliases: Vec<String>,
    /// Whether the same is also had by GET.
    pub(crate) also_get: bool,
    /// The example of `msg`.
    pub(crate) success: Value,
    pub(crate) errors: Vec<String>,
    /// The names of its form's fields.
    pub(crate) fields: BTreeSet<String>,
}

/// Every endpoint of the contract.
pub(crate) fn entries() -> Vec<Entry> {
    let mut file: Value = serde_yaml_ng::from_str(TEXT).unwrap();
    file.apply_merge().unwrap();
    let mut entries: Vec<Entry> = file["endpoints"].as_sequence().unwrap().iter().map(entry).collect();
    // the one entry whose example its notes put elsewhere
    let shown = entries.iter().find(|entry| entry.id == "dns").map(|entry| entry.success.clone());
    for edited in entries.iter_mut().filter(|entry| entry.id == "dns_edit") {
        edited.success = shown.clone().unwrap_or_default();
    }
    entries
}

/// The entry of this id.
pub(crate) fn named(id: &str) -> Entry {
    entries().into_iter().find(|entry| entry.id == id).unwrap_or_else(|| panic!("the contract has no `{id}`"))
}

/// One place in a path has one name in the table, whatever the contract calls what stands there.
fn parameters(path: &str) -> String {
    path.replace("{top|end}", "{name}").replace("{rule_name}", "{name}")
}

/// The names of a form's fields; `!` marks those that must be there.
fn fields(entry: &Value) -> BTreeSet<String> {
    let form = entry.get("form").and_then(Value::as_mapping);
    let names = form.into_iter().flat_map(|form| form.keys()).filter_map(Value::as_str);
    names.map(|name| name.trim_end_matches('!').to_owned()).collect()
}

/// A text that the contract writes once for every subsystem, as all of them.
fn each(text: &str) -> Vec<String> {
    let subsystems = "dmn mgr ike chd job cfg knl net asn enc lib esp tls tnc imc imv pts";
    let mut texts: Vec<String> = subsystems.split(' ').map(|name| text.replace("<subsystem>", name)).collect();
    texts.dedup();
    texts
}

fn entry(entry: &Value) -> Entry {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let methods = [("get", Method::GET), ("post", Method::POST), ("put", Method::PUT), ("delete", Method::DELETE)];
    let (method, path) = methods.into_iter().find_map(|(key, method)| Some((method, text(key)?))).unwrap();
    let errors = entry.get("errors").and_then(Value::as_sequence).into_iter().flatten();
    Entry {
        id: text("id").unwrap(),
        method,
        path: parameters(&path),
        aliases: text("also").iter().map(|path| parameters(path)).collect(),
        also_get: entry.get("also_get").is_some(),
        success: entry.get("success").cloned().unwrap_or_default(),
        fields: fields(entry),
        errors: errors.flat_map(|error| each(error.as_str().unwrap())).collect(),
    }
}

#[test]
fn reads_every_endpoint_with_what_it_merges() {
    let entries = entries();

    assert_eq!(entries.len(), 72);
    assert_eq!(named("wireguard_edit").errors.len(), 12);
    assert_eq!(named("account_detail").success["wg_name"], "77_87_125_209");
}
