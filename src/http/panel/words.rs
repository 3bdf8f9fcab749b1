//! What the panel says, in every language that it speaks: one table, a file a page.
//!
//! A key is missing in no language: the tests at the end read the sources, the templates and the table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A language of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Language {
    /// English, which is also what others fall back on.
    #[default]
    En,
    /// German.
    De,
    /// Polish.
    Pl,
    /// Ukrainian.
    Uk,
    /// Spanish.
    Es,
    /// Chinese in simplified characters.
    Zh,
}

impl Language {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [Self::En, Self::De, Self::Pl, Self::Uk, Self::Es, Self::Zh];

    /// Its tag (RFC 5646).
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Pl => "pl",
            Self::Uk => "uk",
            Self::Es => "es",
            Self::Zh => "zh-Hans",
        }
    }

    /// Its own name of itself.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
            Self::Pl => "Polski",
            Self::Uk => "Українська",
            Self::Es => "Español",
            Self::Zh => "简体中文",
        }
    }

    /// The language of this tag, or of its first part.
    pub(super) fn parse(tag: &str) -> Option<Self> {
        let first = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| first(language.tag()) == first(tag.trim()))
    }

    /// The first language that a browser asks for and the panel speaks (RFC 9110, section 12.5.4). Browsers write them in
    /// the order of their weights.
    pub(super) fn wanted(accepted: &str) -> Self {
        let mut tags = accepted.split(',').filter_map(|range| range.split(';').next());
        tags.find_map(Self::parse).unwrap_or_default()
    }

    /// What stands at `key` in this language. A key that is not in the table is shown as it is.
    pub(super) fn say(self, key: &str) -> &str {
        self.find(key).unwrap_or(key)
    }

    /// [`Self::say`], with a value in each place that the sentence has for it, as in `{name}`.
    pub(super) fn fill(self, key: &str, values: &[(&str, &str)]) -> String {
        let told = self.say(key).to_owned();
        values.iter().fold(told, |told, (name, value)| told.replace(&format!("{{{name}}}"), value))
    }

    /// What stands at `key`, if anything does.
    pub(super) fn find(self, key: &str) -> Option<&'static str> {
        TABLE.get(key).map(|sentence| sentence[self as usize].as_str())
    }
}

/// A sentence in every language, in the order of [`Language::ALL`].
type Sentence = [String; Language::ALL.len()];

/// The files of the table.
const FILES: &[&str] = &[
    include_str!("words/frame.toml"),
    include_str!("words/entry.toml"),
    include_str!("words/dashboard.toml"),
    include_str!("words/servers.toml"),
    include_str!("words/accounts.toml"),
    include_str!("words/me.toml"),
    include_str!("words/firewall.toml"),
    include_str!("words/dns.toml"),
    include_str!("words/traffic_log.toml"),
    include_str!("words/ikev2.toml"),
    include_str!("words/advanced.toml"),
    include_str!("words/certificate.toml"),
    include_str!("words/settings.toml"),
    include_str!("words/webhooks.toml"),
    include_str!("words/users.toml"),
    include_str!("words/access.toml"),
    include_str!("words/refusals.toml"),
    include_str!("words/links.toml"),
    include_str!("words/backups.toml"),
    include_str!("words/audit.toml"),
    include_str!("words/about.toml"),
    include_str!("words/work.toml"),
];

/// The table. A file that is no table is found by the tests; here it is as good as empty.
static TABLE: LazyLock<BTreeMap<String, Sentence>> = LazyLock::new(|| {
    FILES.iter().filter_map(|file| toml::from_str::<BTreeMap<String, Sentence>>(file).ok()).flatten().collect()
});

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// The texts of this room's sources and templates, without the tests at their ends.
    fn sources() -> String {
        let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/panel");
        let folders = [room.clone(), room.join("accounts"), room.join("templates")];
        let files = folders.map(|folder| std::fs::read_dir(folder).unwrap());
        let files = files.into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
        texts.map(|text| text.split("#[cfg(test)]").next().unwrap().to_owned()).collect()
    }

    /// The places of a sentence, as in `{name}`.
    fn places(sentence: &str) -> BTreeSet<&str> {
        sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    /// The keys that the sources say: `say("…"` and `fill("…"`.
    fn said(sources: &str) -> BTreeSet<&str> {
        let calls = ["say(\"", "fill(\""].map(|call| sources.split(call).skip(1));
        calls.into_iter().flatten().filter_map(|rest| rest.split_once('"')).map(|(key, _)| key).collect()
    }

    #[test]
    fn has_every_sentence_once_and_in_every_language() {
        let mut seen = BTreeMap::new();
        for (number, file) in FILES.iter().enumerate() {
            let sentences: BTreeMap<String, Sentence> = toml::from_str(file).unwrap();
            for (key, sentence) in sentences {
                for language in Language::ALL {
                    let told = &sentence[language as usize];
                    assert!(!told.trim().is_empty(), "{key} says nothing in {language:?}");
                    assert_eq!(places(told), places(&sentence[0]), "{key} in {language:?}");
                }
                assert_eq!(seen.insert(key.clone(), number), None, "{key} is there twice");
            }
        }
    }

    #[test]
    fn has_every_key_that_is_said() {
        let sources = sources();

        let missing: Vec<_> = said(&sources).into_iter().filter(|key| !TABLE.contains_key(*key)).collect();

        assert!(missing.is_empty(), "not in the table: {missing:?}");
    }

    #[test]
    fn has_no_key_that_nobody_says() {
        let (sources, refusals) = (sources(), include_str!("../../domain/refusal.rs"));
        let word = |key: &str| key.rsplit_once('.').map_or(String::new(), |(_, last)| format!("\"{last}\""));
        let is_said = |key: &str| {
            let key = key.strip_suffix(".help").unwrap_or(key);
            // a form's label is named by its form and its field
            sources.contains(&format!("\"{key}\"")) || sources.contains(&word(key)) || refusals.contains(key)
        };

        let unsaid: Vec<_> = TABLE.keys().filter(|key| !is_said(key)).collect();

        assert!(unsaid.is_empty(), "nobody says: {unsaid:?}");
    }

    #[test]
    fn finds_the_language_that_a_browser_wants() {
        for (accepted, language) in [
            ("de-AT,de;q=0.9,en;q=0.8", Language::De),
            ("fr-FR, uk;q=0.5", Language::Uk),
            ("zh-CN,zh;q=0.9", Language::Zh),
            ("fr", Language::En),
            ("", Language::En),
        ] {
            assert_eq!(Language::wanted(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn fills_the_places_of_a_sentence() {
        assert_eq!(Language::En.fill("{a} of {b}", &[("a", "1"), ("b", "2")]), "1 of 2");
    }
}
