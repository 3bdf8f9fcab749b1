//! Forms as clients really send them, to fields of text. Nothing is judged here.
//!
//! The body is urlencoded; a JSON object of plain values is taken too, and says the same. Fields that nobody asks for
//! change nothing.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};
use serde_json::{Number, Value};

use super::body;
use super::error::Problem;
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// The length of a WireGuard key in base64.
const KEY_LENGTH: usize = 44;

/// Below this a double is exact to the integer: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The fields of a form, untrimmed. Of two with the same name the last counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field's value without the blanks and line ends at its ends.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read(name).map(|raw| raw.trim().to_owned())
    }

    /// A key's value, with the `+` of base64 that a client sent raw, and which urlencoding therefore made a blank.
    ///
    /// A key may begin with `+`, but it ends with `=`: blanks at the end are only blanks, blanks at the beginning are
    /// `+` where the key would otherwise be too short.
    pub(super) fn key(&self, name: &str) -> Option<String> {
        let raw = self.read(name)?;
        let text = raw.trim_end().trim_start_matches(['\r', '\n', '\t']);
        let leading = text.len() - text.trim_start_matches(' ').len();
        let surplus = text.len().saturating_sub(KEY_LENGTH).min(leading);
        Some(text[surplus..].replace(' ', "+"))
    }

    /// A PEM text's value: nothing is trimmed but line ends, for a blank may be a `+` at either end of a line.
    pub(super) fn pem(&self, name: &str) -> Option<String> {
        self.read(name).map(|raw| raw.trim_matches(['\r', '\n']).to_owned())
    }

    /// Refuses a field that is none of `known`: for forms of our own, where a misspelt field is better told than lost.
    pub(super) fn refuse_others(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Refusal::FieldUnknown { field: name.chars().take(limits::NAME_LENGTH).collect() }),
            None => Ok(()),
        }
    }

    /// A password's value, to the byte: blanks may be a part of it.
    pub(super) fn secret(&self, name: &str) -> Option<String> {
        self.read(name).cloned()
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The fields of an urlencoded body.
    pub(super) fn read_urlencoded(encoded: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        fields.add_urlencoded(encoded)?;
        Ok(fields)
    }

    fn read(&self, name: &str) -> Option<&String> {
        #[cfg(test)]
        asked::note(name);
        self.0.get(name)
    }

    fn insert(&mut self, name: String, value: String) -> Result<(), Refusal> {
        if self.0.len() >= limits::FORM_FIELDS && !self.0.contains_key(&name) {
            return Err(Refusal::BodyMalformed);
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// Reads `name=value&…`; an empty pair is ignored.
    fn add_urlencoded(&mut self, encoded: &[u8]) -> Result<(), Refusal> {
        let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.trim_ascii().is_empty());
        for pair in pairs {
            let cut = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = cut.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            self.insert(decode(name)?.trim().to_owned(), decode(value)?)?;
        }
        Ok(())
    }

    /// Reads `{"name": value, …}`, where a value is text, a number or a boolean; `null` is as good as absent. What a form
    /// could not say, a list or an object, is no form.
    fn add_json(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let Ok(Value::Object(members)) = serde_json::from_slice(text) else { return Err(Refusal::BodyMalformed) };
        for (name, value) in members {
            match value {
                Value::Null => {}
                Value::String(text) => self.insert(name, text)?,
                Value::Bool(flag) => self.insert(name, flag.to_string())?,
                Value::Number(number) => self.insert(name, digits(&number))?,
                Value::Array(_) | Value::Object(_) => return Err(Refusal::BodyMalformed),
            }
        }
        Ok(())
    }
}

/// A number as a form has it: one without a fraction is an integer, however it is written (JSON Schema 2020-12, section
/// 4.2.3).
fn digits(number: &Number) -> String {
    let float = number.as_f64().filter(|value| number.is_f64() && value.fract() == 0.0 && value.abs() < EXACT);
    float.map_or_else(|| number.to_string(), |value| format!("{value:.0}"))
}

/// Undoes urlencoding. A `%` that no two hex digits follow stands for itself, as in every browser.
fn decode(encoded: &[u8]) -> Result<String, Refusal> {
    let digit = |at: usize| encoded.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(&byte) = encoded.get(at) {
        let escaped = digit(at + 1).zip(digit(at + 2)).filter(|_| byte == b'%');
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        at += if escaped.is_some() { 3 } else { 1 };
        bytes.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    String::from_utf8(bytes).map_err(|_| Refusal::BodyMalformed)
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    /// Reads the body, and of a GET the query too: one of the contract's forms also comes by GET.
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let mut fields = Self::default();
        if head.method == Method::GET {
            fields.add_urlencoded(head.uri.query().unwrap_or_default().as_bytes())?;
        }
        let body = body::read(body).await?;
        if is_json(&head.headers) && !body.is_empty() {
            fields.add_json(&body)?;
        } else if is_multipart(&head.headers) {
            return Err(Refusal::BodyMalformed.into());
        } else {
            fields.add_urlencoded(&body)?;
        }
        Ok(fields)
    }
}

/// Which fields handlers ask for, remembered for the test that compares them with the document.
#[cfg(test)]
pub(super) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static NAMES: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    /// A handler on this thread asks for the field.
    pub(super) fn note(name: &str) {
        NAMES.with_borrow_mut(|names| names.insert(name.to_owned()));
    }

    /// What was asked for on this thread since the last call.
    pub(in crate::http) fn take() -> BTreeSet<String> {
        NAMES.take()
    }
}

/// Whether the body is a form as a browser sends it by itself.
pub(super) fn is_urlencoded(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case(b"application/json")
}

fn is_multipart(headers: &HeaderMap) -> bool {
    media_type(headers).get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// The media type of the body, without its parameters (RFC 9110, section 8.3.1).
fn media_type(headers: &HeaderMap) -> &[u8] {
    let given = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let end = given.iter().position(|byte| *byte == b';').unwrap_or(given.len());
    given[..end].trim_ascii()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(body: &str) -> Result<Fields, Refusal> {
        let mut fields = Fields::default();
        fields.add_urlencoded(body.as_bytes()).map(|()| fields)
    }

    fn json(body: &str) -> Result<Fields, Refusal> {
        let mut fields = Fields::default();
        fields.add_json(body.as_bytes()).map(|()| fields)
    }

    #[test]
    fn decodes_blanks_and_escapes() {
        let fields = form("a=1+2&b=%2B%c3%A4%&c=x%3Dy=z&d").unwrap();

        assert_eq!(fields.text("a").as_deref(), Some("1 2"));
        assert_eq!(fields.text("b").as_deref(), Some("+ä%"));
        assert_eq!(fields.text("c").as_deref(), Some("x=y=z"));
        assert_eq!(fields.text("d").as_deref(), Some(""));
        assert_eq!(fields.text("e"), None);
    }

    #[test]
    fn ignores_empty_pairs() {
        assert_eq!(form("&a=1&&b=2&").unwrap(), form("a=1&b=2").unwrap());
        assert_eq!(form("a=1&\r\n").unwrap(), form("a=1").unwrap());
        assert_eq!(form("").unwrap(), Fields::default());
    }

    #[test]
    fn lets_the_last_of_two_count() {
        assert_eq!(form("a=1&a=2").unwrap().text("a").as_deref(), Some("2"));
    }

    #[test]
    fn names_a_field_that_nobody_knows_or_its_beginning() {
        let fields = form(&format!("a=1&{}=2", "x".repeat(1_000))).unwrap();

        let field = "x".repeat(limits::NAME_LENGTH);
        assert_eq!(fields.refuse_others(&["a", "b"]), Err(Refusal::FieldUnknown { field }));
        assert_eq!(form("a=1").unwrap().refuse_others(&["a", "b"]), Ok(()));
    }

    #[test]
    fn trims_blanks_and_line_ends() {
        assert_eq!(form("a=+%0d%0a1+2%0A+").unwrap().text("a").as_deref(), Some("1 2"));
        assert_eq!(form("a=1\n").unwrap().text("a").as_deref(), Some("1"));
    }

    #[test]
    fn restores_the_plus_of_a_raw_key() {
        let keys = [
            "2DJdzjmOtTlIfAg25V3PuuTMlbiFCcvOk7wI5D4SIUk=",
            "+DJdzjmOtTlIfAg25V3Puu+MlbiFCcvOk7wI5D4SIUk=",
            "++++zjmOtTlIfAg25V3PuuTMlbiFCcvOk7wI5D4SI+k=",
        ];
        for key in keys {
            for body in [format!("k={key}"), format!("k=%20{key}+%0a"), format!("k={}", key.replace('+', "%2B"))] {
                assert_eq!(form(&body).unwrap().key("k").as_deref(), Some(key), "{body}");
            }
            assert_eq!(json(&format!(r#"{{"k":"{key}"}}"#)).unwrap().key("k").as_deref(), Some(key));
        }
        assert_eq!(form("k=").unwrap().key("k").as_deref(), Some(""));
        assert_eq!(form("").unwrap().key("k"), None);
    }

    #[test]
    fn refuses_more_fields_than_any_form_has() {
        let body = |count: usize| (0..count).map(|n| format!("f{n}=1&f{n}=2")).collect::<Vec<_>>().join("&");

        assert!(form(&body(limits::FORM_FIELDS)).is_ok());
        assert_eq!(form(&body(limits::FORM_FIELDS + 1)), Err(Refusal::BodyMalformed));
    }

    #[test]
    fn refuses_what_is_no_text() {
        assert_eq!(form("a=%ff"), Err(Refusal::BodyMalformed));
    }

    #[test]
    fn takes_a_json_object_of_plain_values() {
        let fields = json(r#"{"a":"x","b":12,"c":true,"d":null}"#).unwrap();

        assert_eq!(fields, form("a=x&b=12&c=true").unwrap());
        for body in ["[]", "{", r#"{"a":[]}"#, r#"{"a":{}}"#, "1"] {
            assert_eq!(json(body), Err(Refusal::BodyMalformed), "{body}");
        }
    }

    #[test]
    fn takes_a_json_number_as_a_form_would_write_it() {
        for (number, text) in
            [("25", "25"), ("-1", "-1"), ("25.0", "25"), ("2.5e1", "25"), ("1.5", "1.5"), ("1e300", "1e+300")]
        {
            assert_eq!(json(&format!(r#"{{"a":{number}}}"#)).unwrap().text("a").as_deref(), Some(text), "{number}");
        }
    }

    #[test]
    fn lets_the_last_of_two_json_members_count() {
        assert_eq!(json(r#"{"a":"1","a":2}"#).unwrap(), form("a=1&a=2").unwrap());
        assert_eq!(json(r#"{"a":"1","a":[]}"#), Err(Refusal::BodyMalformed));
    }

    #[test]
    fn tells_json_by_its_media_type() {
        let headers = |kind: &str| HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);

        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"] {
            assert!(is_json(&headers(kind)), "{kind}");
        }
        for kind in ["application/json-patch+json", "application/jsonx", "text/plain; application/json", ""] {
            assert!(!is_json(&headers(kind)), "{kind}");
        }
        assert!(is_multipart(&headers("Multipart/form-data; boundary=x")) && !is_multipart(&headers("multipart")));
    }

    proptest! {
        #[test]
        fn gives_back_what_was_escaped(value in any::<String>()) {
            let escaped = value.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();

            let fields = form(&format!("a=1&field={escaped}&b=2")).unwrap();

            prop_assert_eq!(fields.text("field"), Some(value.trim().to_owned()));
        }

        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let mut fields = Fields::default();
            let _ = fields.add_urlencoded(&bytes);
            let _ = fields.add_json(&bytes);
            for name in fields.0.keys() {
                let (text, key) = (fields.text(name), fields.key(name));
                prop_assert_eq!(text.is_some(), key.is_some());
            }
        }

        #[test]
        fn restores_any_key_that_was_sent_raw(bytes in any::<[u8; 32]>(), padded in any::<bool>()) {
            use base64::Engine as _;
            let key = base64::engine::general_purpose::STANDARD.encode(bytes);
            let body = if padded { format!("k= {key} \r\n&") } else { format!("k={key}") };

            prop_assert_eq!(form(&body).unwrap().key("k"), Some(key));
        }
    }
}
