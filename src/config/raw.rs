//! The configuration as written: texts under known keys, each with the place where it was found.
//!
//! Layers lie over one another: the file, over it the environment, over it the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Error;
use super::keys::{KEYS, Key, Kind, PREFIX};

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, counted from one.
    File(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// An option of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "line {line} of `{}`", path.display()),
            Self::Environment(variable) => write!(f, "the environment's {variable}"),
            Self::Flag(flag) => write!(f, "the option --{flag}"),
        }
    }
}

/// A value as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its text; of a list, one text an element.
    pub texts: Vec<String>,
    /// Where it was found.
    pub origin: Origin,
}

/// Everything that was written, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw {
    values: BTreeMap<&'static str, Written>,
    /// Variables that begin with our prefix and are no key of ours.
    pub strangers: Vec<String>,
}

impl Raw {
    /// What was written for a key.
    pub fn get(&self, key: &str) -> Option<&Written> {
        self.values.get(key)
    }

    /// Takes one layer from a file's text.
    ///
    /// # Errors
    /// The first line that is no TOML, names an unknown key, or gives a key another kind of value than it takes.
    pub fn from_file(path: &Path, text: &str) -> Result<Self, Error> {
        let reader = Reader { path, text };
        let table = DeTable::parse(text).map_err(|error| Error::Syntax {
            origin: reader.origin(error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        let mut raw = Self::default();
        reader.read(&mut raw, "", table.get_ref())?;
        Ok(raw)
    }

    /// Lays the environment over this layer. An empty variable counts as absent.
    pub fn overlay_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (variable, value) in variables.filter(|(variable, value)| variable.starts_with(PREFIX) && !value.is_empty())
        {
            match KEYS.iter().find(|key| key.variable() == variable) {
                Some(key) => {
                    let texts = match key.kind {
                        Kind::Text | Kind::Number => vec![value],
                        Kind::List => value.split(',').map(|part| part.trim().to_owned()).collect(),
                    };
                    self.values.insert(key.name, Written { texts, origin: Origin::Environment(variable) });
                }
                None if variable == CONFIG_VARIABLE => {}
                None => self.strangers.push(variable),
            }
        }
        self.strangers.sort();
    }

    /// Lays options of the command line over this layer.
    pub fn overlay_flags(&mut self, flags: Vec<Flag>) {
        for Flag { key, name, value } in flags {
            self.values.insert(key, Written { texts: vec![value], origin: Origin::Flag(name) });
        }
    }
}

/// The variable that names the file; `--config` wins over it.
pub const CONFIG_VARIABLE: &str = "CULVERT_CONFIG";

/// An option that was given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The key that it sets.
    pub key: &'static str,
    /// The option's name, without dashes.
    pub name: &'static str,
    /// What was given.
    pub value: String,
}

/// Reads a parsed file against the table of keys.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn read(&self, raw: &mut Raw, section: &str, table: &DeTable<'_>) -> Result<(), Error> {
        // the parser sorts by name; a person reads from the top
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = format!("{section}{}", key.get_ref());
            if let (DeValue::Table(inner), true) = (value.get_ref(), is_section(&name)) {
                self.read(raw, &format!("{name}."), inner)?;
                continue;
            }
            let origin = self.origin(key.span().start);
            let Some(known) = KEYS.iter().find(|known| known.name == name) else {
                return Err(Error::UnknownKey { origin, suggestion: nearest(&name), name });
            };
            let texts = texts(known, value).ok_or_else(|| Error::WrongKind {
                origin: origin.clone(),
                name,
                expected: known.kind.describe(),
            })?;
            raw.values.insert(known.name, Written { texts, origin });
        }
        Ok(())
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        Origin::File(self.path.to_owned(), before.filter(|byte| **byte == b'\n').count() + 1)
    }
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn texts(key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    let value = value.get_ref();
    match key.kind {
        Kind::Text => Some(vec![value.as_str()?.to_owned()]),
        Kind::Number => Some(vec![value.as_integer().filter(|number| number.radix() == 10)?.as_str().to_owned()]),
        Kind::List => value.as_array()?.iter().map(|item| Some(item.get_ref().as_str()?.to_owned())).collect(),
    }
}

/// Finds the known key that was probably meant: the nearest, if at most a third of it differs.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
    let cost = |key: &Key| distance(name, key.name).min(distance(name, last(key.name)) + 1);
    let best = KEYS.iter().min_by_key(|key| cost(key))?;
    (cost(best) * 3 <= best.name.len().max(name.len())).then_some(best.name)
}

/// Counts the insertions, deletions and replacements between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, of_a) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, of_b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(of_a != *of_b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Raw, String> {
        Raw::from_file(Path::new("culvert.toml"), text).map_err(|error| error.to_string())
    }

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn remembers_the_line_of_each_value() {
        let raw = file("# first\nlisten = \"127.0.0.1:1\"\n\n[limits]\naccounts = 7\n").unwrap();

        let accounts = raw.get("limits.accounts").unwrap();
        assert_eq!(
            (accounts.texts.as_slice(), accounts.origin.to_string()),
            (&["7".to_owned()][..], "line 5 of `culvert.toml`".into())
        );
        assert_eq!(raw.get("listen").unwrap().origin.to_string(), "line 2 of `culvert.toml`");
        assert_eq!(raw.get("uplink"), None);
    }

    #[test]
    fn takes_a_section_as_a_dotted_key_and_as_an_inline_table() {
        for text in ["limits.accounts = 7", "limits = { accounts = 7 }", "[limits]\naccounts = 7"] {
            assert_eq!(file(text).unwrap().get("limits.accounts").unwrap().texts, ["7"], "{text}");
        }
    }

    #[test]
    fn refuses_an_unknown_key_with_its_name_its_line_and_a_suggestion() {
        let cases = [
            (
                "listen = \"a\"\nuplnk = \"auto\"",
                "line 2 of `culvert.toml`: unknown key `uplnk`, did you mean `uplink`?",
            ),
            (
                "[limits]\n\nacounts = 3",
                "line 3 of `culvert.toml`: unknown key `limits.acounts`, did you mean `limits.accounts`?",
            ),
            ("accounts = 3", "line 1 of `culvert.toml`: unknown key `accounts`, did you mean `limits.accounts`?"),
            ("[zebra]\nstripes = 3", "line 1 of `culvert.toml`: unknown key `zebra`"),
            ("[listen]\naddress = 3", "line 1 of `culvert.toml`: `listen` takes a string in quotes"),
            ("limits = 3", "line 1 of `culvert.toml`: unknown key `limits`"),
        ];
        for (text, sentence) in cases {
            assert_eq!(file(text).unwrap_err(), sentence, "{text}");
        }
    }

    #[test]
    fn refuses_a_value_of_another_kind_with_its_line() {
        let cases = [
            ("listen = 8098", "line 1 of `culvert.toml`: `listen` takes a string in quotes"),
            ("\nlimits.accounts = \"7\"", "line 2 of `culvert.toml`: `limits.accounts` takes a whole number"),
            ("limits.accounts = 0x7", "line 1 of `culvert.toml`: `limits.accounts` takes a whole number"),
            ("limits.accounts = 1.5", "line 1 of `culvert.toml`: `limits.accounts` takes a whole number"),
            ("reach.allow = \"10.0.0.0/8\"", "line 1 of `culvert.toml`: `reach.allow` takes an array of strings"),
            ("reach.allow = [\"10.0.0.0/8\", 5]", "line 1 of `culvert.toml`: `reach.allow` takes an array of strings"),
        ];
        for (text, sentence) in cases {
            assert_eq!(file(text).unwrap_err(), sentence, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_toml_with_its_line() {
        for (text, line) in [("listen = \"a\"\nuplink =", 2), ("log = \"a\"\nlog = \"b\"", 2), ("[limits", 1)] {
            let sentence = file(text).unwrap_err();
            assert!(sentence.starts_with(&format!("line {line} of `culvert.toml`: ")), "{sentence}");
        }
    }

    #[test]
    fn reads_the_environment_over_the_file() {
        let mut raw = file("listen = \"127.0.0.1:1\"\nlog = \"warn\"").unwrap();

        raw.overlay_environment(environment(&[
            ("CULVERT_LISTEN", "127.0.0.1:2"),
            ("CULVERT_LIMITS__ACCOUNTS", "9"),
            ("CULVERT_REACH__ALLOW", "10.0.0.0/8, fd00::/8"),
            ("CULVERT_LOG", ""),
            ("LISTEN", "127.0.0.1:3"),
        ]));

        assert_eq!(raw.get("listen").unwrap().texts, ["127.0.0.1:2"]);
        assert_eq!(
            raw.get("limits.accounts").unwrap().origin.to_string(),
            "the environment's CULVERT_LIMITS__ACCOUNTS"
        );
        assert_eq!(raw.get("reach.allow").unwrap().texts, ["10.0.0.0/8", "fd00::/8"]);
        assert_eq!(raw.get("log").unwrap().texts, ["warn"]);
    }

    #[test]
    fn keeps_variables_that_it_does_not_know() {
        let mut raw = Raw::default();

        raw.overlay_environment(environment(&[
            ("CULVERT_PORT", "tcp://10.0.0.1"),
            ("CULVERT_CONFIG", "x"),
            ("PATH", "x"),
        ]));

        assert_eq!(raw.strangers, ["CULVERT_PORT"]);
    }

    #[test]
    fn lays_options_over_the_environment() {
        let mut raw = Raw::default();

        raw.overlay_environment(environment(&[("CULVERT_LISTEN", "127.0.0.1:2")]));
        raw.overlay_flags(vec![Flag { key: "listen", name: "listen", value: "127.0.0.1:3".into() }]);

        let listen = raw.get("listen").unwrap();
        assert_eq!(
            (listen.texts[0].as_str(), listen.origin.to_string()),
            ("127.0.0.1:3", "the option --listen".into())
        );
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("LISTEN"), None);
        assert_eq!(nearest("lisen"), Some("listen"));
        assert_eq!(nearest("api.trusted_proxy"), Some("api.trusted_proxies"));
        assert_eq!(nearest("x"), None);
    }
}
