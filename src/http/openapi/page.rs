//! The document as a page for people: written whole on this side, so that it works without a script and without anything
//! from elsewhere. Its script, a file of its own, only searches.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::document::{ABOUT, OPERATOR, OPERATOR_ABOUT, located, told};
use super::field::{Field, Kind};
use super::operation::{Group, Operation, every_shape};
use crate::http::link_page::escaped;
use crate::http::routes::{Admission, Route};

/// The page's frame, with its style.
const FRAME: &str = include_str!("page.html");

/// The page's script.
pub(super) const SCRIPT: &str = include_str!("search.js");

/// Where the examples call.
const ORIGIN: &str = "https://vpn.example:8098";

/// The page, and the policy that goes with it.
pub(super) struct Page {
    /// The page.
    pub(super) html: Bytes,
    /// Its Content-Security-Policy: its own style, named by its hash, and scripts of this host; nothing else is loaded,
    /// sent or framed.
    pub(super) policy: String,
}

impl Page {
    /// The page of this table.
    pub(super) fn new(table: &[Route], groups: &[Group]) -> Self {
        let style = FRAME.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
        let hash = STANDARD.encode(Sha256::digest(style.map_or("", |(style, _)| style)));
        let sections = sections(table, groups);
        let contents: Vec<_> = sections
            .iter()
            .map(|section| format!("<li><a href=\"#{}\">{}</a></li>\n", anchor(section.name), escaped(section.name)))
            .collect();
        let about: Vec<_> = ABOUT.split("\n\n").map(|paragraph| format!("<p>{}</p>\n", marked(paragraph))).collect();
        let html = FRAME
            .replace("{{contents}}", &contents.concat())
            .replace("{{about}}", &about.concat())
            .replace("{{groups}}", &sections.iter().map(Section::html).collect::<String>())
            .replace("{{shapes}}", &shapes(groups));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        Self { html: html.into(), policy }
    }
}

/// A group as the page has it: what the operator alone may ask stands apart.
struct Section<'a> {
    name: &'a str,
    about: &'a str,
    rows: Vec<(&'a Route, &'a Group, &'a Operation)>,
}

fn sections<'a>(table: &'a [Route], groups: &'a [Group]) -> Vec<Section<'a>> {
    let told = told(groups);
    let rows = table.iter().filter_map(|route| {
        let (group, operation) = told.get(route.id)?;
        Some((route, *group, *operation))
    });
    let (operators, others): (Vec<_>, Vec<_>) = rows.partition(|(route, ..)| route.admission == Admission::Operator);
    let of = |group: &'a Group| Section {
        name: group.name,
        about: group.about,
        rows: others.iter().filter(|(_, own, _)| own.name == group.name).copied().collect(),
    };
    let operators = Section { name: OPERATOR, about: OPERATOR_ABOUT, rows: operators };
    groups.iter().map(of).chain([operators]).filter(|section| !section.rows.is_empty()).collect()
}

impl Section<'_> {
    fn html(&self) -> String {
        let rows: String = self.rows.iter().map(|(route, group, operation)| row(route, group, operation)).collect();
        format!(
            "<section class=\"group\" id=\"{}\">\n<h2>{}</h2>\n<p class=\"about\">{}</p>\n{rows}</section>\n",
            anchor(self.name),
            escaped(self.name),
            marked(self.about)
        )
    }
}

fn row(route: &Route, group: &Group, told: &Operation) -> String {
    let method = route.methods.first().map_or("", Method::as_str);
    let path = route.paths.first().copied().unwrap_or_default();
    let mut html = format!(
        "<details id=\"{id}\">\n<summary><span class=\"verb {class}\">{method}</span><code>{path}</code>\
         <span class=\"what\">{what}</span></summary>\n<div class=\"inside\">\n",
        id = told.id,
        class = method.to_ascii_lowercase(),
        path = escaped(path),
        what = escaped(told.summary),
    );
    let places = located(path, group, told);
    let others: Vec<_> = alike(route).collect();
    let mut say = |text: &str| html.push_str(text);
    if !told.about.is_empty() {
        say(&format!("<p>{}</p>\n", marked(told.about)));
    }
    if !others.is_empty() {
        say(&format!("<p>Also {}.</p>\n", others.join(", ")));
    }
    say(&format!("<pre>{}</pre>\n", escaped(&curl(route, path, &places, told))));
    say(&fields("Path", &places));
    say(&fields("Form", &told.form));
    if let Some(media) = told.file {
        say(&format!("<h4>Body</h4>\n<p>The file, as <code>{media}</code>.</p>\n"));
    }
    say(&answer(told));
    if !told.refusals.is_empty() {
        let texts: Vec<_> =
            told.refusals.iter().map(|text| format!("<li>{}</li>\n", escaped(&text.to_string()))).collect();
        let texts = texts.concat();
        say(&format!("<h4>Refuses with</h4>\n<ul class=\"texts\">\n{texts}</ul>\n"));
    }
    say("</div>\n</details>\n");
    html
}

/// The other methods and paths at which a row answers alike.
fn alike(route: &Route) -> impl Iterator<Item = String> {
    let pairs = route.paths.iter().flat_map(|path| route.methods.iter().map(move |method| (method, path)));
    pairs.skip(1).map(|(method, path)| format!("<code>{method} {}</code>", escaped(path)))
}

fn fields(title: &str, fields: &[Field]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let any_must = fields.iter().any(|field| field.is_required);
    let legend = if any_must { " (<span class=\"must\">*</span> must be there)" } else { "" };
    let mut html = format!("<h4>{title}{legend}</h4>\n<div class=\"wide\"><table>\n");
    for field in fields {
        let must = if field.is_required { " <span class=\"must\" title=\"must be there\">*</span>" } else { "" };
        let (name, rule, about) = (escaped(&field.name), field.rule(), escaped(field.about));
        // a text cannot be too long for memory
        let _ = writeln!(
            html,
            "<tr><th><code>{name}</code>{must}</th><td class=\"kind\">{}</td><td>{about}</td></tr>",
            escaped(&rule)
        );
    }
    html + "</table></div>\n"
}

fn answer(told: &Operation) -> String {
    let schema = serde_json::to_value(&told.answer.schema).unwrap_or_default();
    let about = schema["description"].as_str().map_or_else(String::new, |about| format!(": {}", marked(about)));
    let media = if told.answer.is_enveloped { String::new() } else { format!("<code>{}</code>, ", told.answer.media) };
    format!("<h4>Answer</h4>\n<p>{media}{}{about}</p>\n", shape(&schema))
}

/// Every named shape, with what it holds.
fn shapes(groups: &[Group]) -> String {
    let mut html = String::new();
    for (name, schema) in every_shape(groups) {
        let schema = serde_json::to_value(schema).unwrap_or_default();
        let _ = write!(html, "<div class=\"shape\" id=\"shape-{name}\">\n<h3>{name}</h3>\n");
        if let Some(about) = schema["description"].as_str() {
            let _ = writeln!(html, "<p class=\"about\">{}</p>", marked(about));
        }
        html.push_str("<div class=\"wide\"><table>\n");
        for (member, of) in schema["properties"].as_object().into_iter().flatten() {
            let about = marked(of["description"].as_str().unwrap_or_default());
            let (member, kind) = (escaped(member), shape(of));
            let _ =
                writeln!(html, "<tr><th><code>{member}</code></th><td class=\"kind\">{kind}</td><td>{about}</td></tr>");
        }
        html.push_str("</table></div>\n</div>\n");
    }
    html
}

/// A JSON Schema in a few words.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    let either = ["oneOf", "anyOf", "allOf"].iter().find_map(|key| schema[key].as_array());
    if let Some(parts) = either {
        return parts.iter().map(shape).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("<code>{}</code>", escaped(&word.to_string())))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    if schema["additionalProperties"].is_object() {
        return format!("by name: {}", shape(&schema["additionalProperties"]));
    }
    let types = &schema["type"];
    let several = types.as_array().into_iter().flatten();
    let types = types.as_str().into_iter().chain(several.filter_map(Value::as_str));
    let word = |of: &str| match of {
        "array" => format!("list of {}", shape(&schema["items"])),
        "string" => schema["format"].as_str().map_or_else(|| "text".into(), |format| format!("text ({format})")),
        "integer" | "number" => "number".into(),
        "boolean" => "true or false".into(),
        other => other.to_owned(),
    };
    types.map(word).collect::<Vec<_>>().join(" or ")
}

/// A call of the endpoint, as a person types it.
fn curl(route: &Route, path: &str, places: &[Field], told: &Operation) -> String {
    let path =
        places.iter().fold(path.to_owned(), |path, place| path.replace(&format!("{{{}}}", place.name), &sample(place)));
    let is_operators = route.admission == Admission::Operator;
    let mut line = match route.admission {
        Admission::Operator => format!("curl --unix-socket DATA/culvert.sock http://localhost{path}"),
        Admission::Key => format!("curl -k -H \"Authorization: Bearer $HASH\" \\\n  {ORIGIN}{path}"),
        Admission::Anyone | Admission::Link | Admission::Guest | Admission::Session => {
            format!("curl -k {ORIGIN}{path}")
        }
    };
    let shown = told.form.iter().filter(|field| field.is_required || field.example.is_some());
    let pairs: Vec<String> = shown.map(pair).collect();
    let method = route.methods.first().unwrap_or(&Method::GET);
    if *method != Method::GET && (*method != Method::POST || pairs.is_empty()) {
        line = line.replacen("curl", &format!("curl -X {method}"), 1);
    }
    if !told.answer.is_enveloped && (route.admission == Admission::Key || is_operators) {
        line = line.replacen("curl", "curl -O", 1);
    }
    if told.file.is_some() {
        line += " \\\n  --data-binary @FILE";
    }
    let pairs: Vec<_> = pairs.chunks(3).map(|pairs| pairs.join(" ")).collect();
    std::iter::once(line).chain(pairs).collect::<Vec<_>>().join(" \\\n  ")
}

fn pair(field: &Field) -> String {
    let (name, value) = (&field.name, sample(field));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte));
    if field.kind == Kind::Pem {
        format!("--data-urlencode {name}@{name}.pem")
    } else if is_plain(&value) {
        format!("-d {name}={value}")
    } else {
        format!("--data-urlencode '{name}={value}'")
    }
}

fn sample(field: &Field) -> String {
    field.example.map_or_else(|| field.name.to_ascii_uppercase(), str::to_owned)
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

/// A text as HTML; what stands between backticks is code.
fn marked(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let part = |(at, part): (usize, &str)| {
        let part = escaped(part);
        if at % 2 == 1 { format!("<code>{part}</code>") } else { part.into_owned() }
    };
    parts.map(part).collect()
}
