//! A form of the panel: its fields with names, help, values and what is wrong with them. One description, one look.
//!
//! The names of fields are the API's, so that a form is read by the same code. Labels are in the table of words at
//! `form.field`, help at `form.field.help`.

use askama::Template;

use super::page::{self, Answer, Refused};
use super::visit::Visit;
use crate::domain::refusal::Refusal;

/// A form.
#[derive(Template)]
#[template(path = "sheet.html", config = "src/http/panel/askama.toml")]
pub(super) struct Sheet<'a> {
    visit: &'a Visit,
    name: &'static str,
    action: String,
    submit: &'static str,
    parts: Vec<Part>,
    refused: Option<&'a Refused>,
    wrong: Option<String>,
    is_locked: bool,
}

/// A page of one form.
#[derive(Template)]
#[template(path = "form.html", config = "src/http/panel/askama.toml")]
struct FormPage<'a> {
    visit: &'a Visit,
    title: String,
    back: (&'a str, &'a str),
    sheet: Sheet<'a>,
}

/// A page of one form under this title, with the way back to another page: its address and its name.
pub(super) fn form(visit: &Visit, title: String, back: (&str, &str), sheet: Sheet<'_>) -> Answer {
    page::page(&FormPage { visit, title, back, sheet })
}

/// Fields that belong together.
struct Part {
    title: String,
    controls: Vec<Control>,
}

/// A field.
struct Control {
    name: &'static str,
    label: String,
    help: Option<&'static str>,
    value: String,
    wrong: Option<String>,
    kind: Kind,
}

/// How a field is filled in.
enum Kind {
    /// A line of text, with a hint of what may stand there.
    Text { hint: String },
    /// A number, with its bounds.
    Number { min: u64, max: u64 },
    /// On or off.
    Flag { on: bool },
    /// One of a few: values and their names.
    Choice { options: Vec<(String, String)> },
    /// Lines of text, which a script can read from a file where `is_file`.
    Long { is_file: bool },
    /// What stands there and is shown only to who asks for it.
    Masked,
    /// What nobody may read over a shoulder.
    Secret { complete: &'static str },
}

impl<'a> Sheet<'a> {
    /// A form of this name, to be sent to `action` by a button that says `submit`.
    pub(super) fn new(visit: &'a Visit, name: &'static str, action: impl Into<String>, submit: &'static str) -> Self {
        let action = action.into();
        Self { visit, name, action, submit, parts: Vec::new(), refused: None, wrong: None, is_locked: false }
    }

    /// To be looked at alone, by who may not change what it says.
    pub(super) fn locked(mut self, is_locked: bool) -> Self {
        self.is_locked = is_locked;
        self
    }

    /// As it was refused: what was typed stands there again, and why it cannot be taken. To be called before any field.
    pub(super) fn again(mut self, refused: Option<&'a Refused>) -> Self {
        self.refused = refused;
        self.wrong = refused.map(|refused| page::told(self.visit, &refused.refusal));
        self
    }

    /// The fields that follow belong together, under this heading.
    pub(super) fn part(mut self, key: &str) -> Self {
        self.parts.push(Part { title: self.visit.say(key).to_owned(), controls: Vec::new() });
        self
    }

    /// A line of text.
    pub(super) fn text(self, name: &'static str, value: impl ToString) -> Self {
        self.hinted(name, value, "")
    }

    /// A line of text, with a hint of what may stand there.
    #[expect(clippy::needless_pass_by_value, reason = "a value is named where it is made")]
    pub(super) fn hinted(self, name: &'static str, value: impl ToString, hint: impl Into<String>) -> Self {
        self.add(name, value.to_string(), Kind::Text { hint: hint.into() })
    }

    /// A number within bounds.
    #[expect(clippy::needless_pass_by_value, reason = "a value is named where it is made")]
    pub(super) fn number(self, name: &'static str, value: impl ToString, min: u64, max: u64) -> Self {
        self.add(name, value.to_string(), Kind::Number { min, max })
    }

    /// On or off.
    pub(super) fn flag(self, name: &'static str, on: bool) -> Self {
        self.add(name, if on { "1" } else { "0" }.to_owned(), Kind::Flag { on })
    }

    /// One of a few values, each with its name.
    #[expect(clippy::needless_pass_by_value, reason = "a value is named where it is made")]
    pub(super) fn choice(self, name: &'static str, value: impl ToString, options: Vec<(String, String)>) -> Self {
        self.add(name, value.to_string(), Kind::Choice { options })
    }

    /// Lines of text.
    #[expect(clippy::needless_pass_by_value, reason = "a value is named where it is made")]
    pub(super) fn long(self, name: &'static str, value: impl ToString) -> Self {
        self.add(name, value.to_string(), Kind::Long { is_file: false })
    }

    /// Lines of text as files of certificates and keys hold them (RFC 7468).
    #[expect(clippy::needless_pass_by_value, reason = "a value is named where it is made")]
    pub(super) fn pem(self, name: &'static str, value: impl ToString) -> Self {
        self.add(name, value.to_string(), Kind::Long { is_file: true })
    }

    /// A secret that stands in the field, as dots until it is asked for: only for who may see it.
    #[expect(clippy::needless_pass_by_value, reason = "a value is named where it is made")]
    pub(super) fn masked(self, name: &'static str, value: impl ToString) -> Self {
        self.add(name, value.to_string(), Kind::Masked)
    }

    /// A secret, which is never shown again; `complete` tells a password manager what it is (HTML, section 4.10.18.7).
    pub(super) fn secret(self, name: &'static str, complete: &'static str) -> Self {
        self.add(name, String::new(), Kind::Secret { complete })
    }

    fn add(mut self, name: &'static str, value: String, kind: Kind) -> Self {
        let language = self.visit.language;
        let typed = self.refused.and_then(|refused| refused.fields.text(name));
        let (value, kind) = match (typed, kind) {
            (Some(_), kind @ Kind::Secret { .. }) => (String::new(), kind),
            (Some(typed), Kind::Flag { .. }) => (typed.clone(), Kind::Flag { on: typed == "1" }),
            (Some(typed), kind) => (typed, kind),
            (None, kind) => (value, kind),
        };
        let is_about =
            |refused: &Refused| matches!(&refused.refusal, Refusal::FieldMalformed { field, .. } if *field == name);
        let wrong = self.refused.filter(|refused| is_about(refused)).and_then(|_| self.wrong.take());
        let control = Control {
            name,
            label: language.say(&format!("{}.{name}", self.name)).to_owned(),
            help: language.find(&format!("{}.{name}.help", self.name)),
            value,
            wrong,
            kind,
        };
        if self.parts.is_empty() {
            self.parts.push(Part { title: String::new(), controls: Vec::new() });
        }
        if let Some(part) = self.parts.last_mut() {
            part.controls.push(control);
        }
        self
    }
}

impl Control {
    fn id(&self, form: &str) -> String {
        format!("{form}-{}", self.name)
    }

    /// The elements that say more of it, for those who do not see where they stand.
    fn described_by(&self, form: &str) -> String {
        let mut named = String::new();
        if self.help.is_some() {
            named = format!("{}-help", self.id(form));
        }
        if self.wrong.is_some() {
            named = format!("{named} {}-wrong", self.id(form));
        }
        named
    }

    fn is_broad(&self) -> bool {
        matches!(self.kind, Kind::Long { .. })
    }

    fn is_flag(&self) -> bool {
        matches!(self.kind, Kind::Flag { .. })
    }
}
