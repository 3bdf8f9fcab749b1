//! Arrows: which room may name which, by the table of `src/README.md`.

use std::collections::BTreeMap;

use crate::source::{Fault, Named, Source};

/// What the table's third column says in words, and the paths that the words mean. A single segment is a crate;
/// several match wherever they stand side by side.
const WORDS: [(&str, &[&str]); 8] = [
    ("tokio", &["tokio", "tokio_stream"]),
    ("axum", &["axum", "axum_server"]),
    (
        "sockets",
        &[
            "mio",
            "socket2",
            "quinn_udp",
            "nix",
            "libc",
            "std::os::fd",
            "std::os::unix::net",
            "std::os::linux",
            "net::TcpStream",
            "net::TcpListener",
            "net::UdpSocket",
            "net::ToSocketAddrs",
        ],
    ),
    ("files", &["std::fs", "std::os::unix::fs", "std::env", "std::process", "std::thread", "redb"]),
    ("clocks", &["Instant::now", "SystemTime", "Timestamp::now", "Zoned::now", ".elapsed"]),
    ("randomness", &["OsRng", "getrandom", "rand", "thread_rng"]),
    ("logging above TRACE", &["info!", "warn!", "error!", "debug!", "println!", "eprintln!"]),
    ("HTTP", &["axum", "axum_server", "hyper", "hyper_util", "tower", "tower_http"]),
];

/// The table: each room and what it may name.
pub struct Arrows {
    rows: BTreeMap<String, Row>,
}

#[derive(Clone, Default)]
struct Row {
    everything: bool,
    may: Vec<String>,
    never: Vec<String>,
}

impl Arrows {
    /// Reads the table between `<!-- arrows -->` and `<!-- /arrows -->`.
    ///
    /// # Errors
    /// A sentence for people, where the table says what this test does not understand.
    pub fn parse(page: &str) -> Result<Self, String> {
        let table = page
            .split_once("<!-- arrows -->")
            .and_then(|(_, rest)| rest.split_once("<!-- /arrows -->"))
            .ok_or("no table between `<!-- arrows -->` and `<!-- /arrows -->`")?
            .0;
        let mut rows = BTreeMap::new();
        for line in table.lines().filter(|line| line.starts_with('|')).skip(2) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let [rooms, may, never] = cells[..] else { return Err(format!("not three columns: {line}")) };
            let row = Row::read(may, never);
            for room in words(rooms) {
                rows.insert(room, row.clone());
            }
        }
        let arrows = Self { rows };
        arrows.understood().map(|()| arrows)
    }

    /// Refuses a table with a word that would be obeyed by nobody.
    fn understood(&self) -> Result<(), String> {
        for (room, row) in &self.rows {
            for may in &row.may {
                if !self.rows.contains_key(may) {
                    return Err(format!("`{room}` may name `{may}`, which is no room of the table"));
                }
            }
            for never in &row.never {
                let known = WORDS.iter().any(|(word, _)| word == never) || self.rows.contains_key(never);
                if !known && never != "each other" && never != "the rest" {
                    return Err(format!("`{room}` may never name `{never}`, which this test does not understand"));
                }
                if row.may.contains(never) {
                    return Err(format!("`{room}` may and may never name `{never}`"));
                }
            }
        }
        Ok(())
    }

    /// Every arrow and every foreign path of `source` that the table does not have.
    pub fn faults(&self, source: &Source) -> Vec<Fault> {
        let home = match source.path.as_str() {
            "src/main.rs" => vec!["main".to_owned()],
            "src/lib.rs" => vec!["lib".to_owned()],
            _ => source.module(),
        };
        let Some(room) = self.room(&home) else {
            return vec![source.fault(1, format!("`{}` has no row in the table of src/README.md", home.join("/")))];
        };
        let row = &self.rows[room];
        let judge = |named: Named| {
            let rule = match resolve(&named) {
                Some(target) => self.arrow(room, row, &target),
                None => foreign(room, row, &named),
            };
            rule.map(|rule| source.fault(named.line, rule))
        };
        source.named().into_iter().filter_map(judge).collect()
    }

    fn arrow(&self, room: &str, row: &Row, target: &[String]) -> Option<String> {
        if row.everything {
            return None;
        }
        if target.is_empty() || target[0] == "*" {
            return Some(format!("`{room}` names the crate's root, which hides arrows"));
        }
        let Some(other) = self.room(target) else {
            return Some(format!("`{room}` names `{}`, which is no room of the table", target.join("::")));
        };
        let inside = |may: &String| other == may || other.starts_with(&format!("{may}/"));
        if other == room || row.may.iter().any(inside) {
            return None;
        }
        let may = if row.may.is_empty() { "nothing of ours".to_owned() } else { row.may.join(", ") };
        Some(format!("`{room}` names `{other}`; it may name {may}"))
    }

    /// The room that a module belongs to: the longest row that is a prefix of it.
    fn room(&self, module: &[String]) -> Option<&str> {
        (1..=module.len())
            .rev()
            .find_map(|end| self.rows.get_key_value(&module[..end].join("/")))
            .map(|(room, _)| room.as_str())
    }
}

impl Row {
    fn read(may: &str, never: &str) -> Self {
        let mut may = words(may);
        let everything = may == ["everything"];
        may.retain(|word| word != "everything" && word != "nothing of ours");
        Self { everything, may, never: words(never) }
    }
}

/// A cell's words: apart by commas, without backticks and without what stands in parentheses.
fn words(cell: &str) -> Vec<String> {
    let mut depth = 0;
    let plain: String = cell
        .chars()
        .filter(|&sign| {
            depth += i32::from(sign == '(');
            let keep = depth == 0 && sign != '`';
            depth -= i32::from(sign == ')');
            keep
        })
        .collect();
    plain.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// The module path, from the crate's root, of a path that is ours.
fn resolve(named: &Named) -> Option<Vec<String>> {
    let supers = named.segments.iter().take_while(|segment| *segment == "super").count();
    match named.segments[0].as_str() {
        "crate" | "culvert" => Some(named.segments[1..].to_vec()),
        "super" => {
            let kept = named.module.len().checked_sub(supers)?;
            Some([&named.module[..kept], &named.segments[supers..]].concat())
        }
        "self" if named.segments.len() > 1 => {
            let rest = &named.segments[1..];
            let mut module = named.module.clone();
            let up = rest.iter().take_while(|segment| *segment == "super").count();
            module.truncate(module.len().checked_sub(up)?);
            Some([&module[..], &rest[up..]].concat())
        }
        _ => None,
    }
}

/// What the third column's words forbid. Tests may read the clock: nothing else can make an `Instant`.
fn foreign(room: &str, row: &Row, named: &Named) -> Option<String> {
    if named.in_test {
        return None;
    }
    let forbidden = |(word, paths): &(&str, &[&str])| {
        let path = paths.iter().find(|path| matches(path, &named.segments))?;
        row.never
            .iter()
            .any(|never| never == word)
            .then(|| format!("`{room}` names `{path}`; it may never name {word}"))
    };
    WORDS.iter().find_map(forbidden)
}

fn matches(pattern: &str, segments: &[String]) -> bool {
    let wanted: Vec<&str> = pattern.split("::").collect();
    let alike = |window: &[String]| window.iter().zip(&wanted).all(|(have, want)| have == want);
    match wanted[..] {
        [name] if name.ends_with('!') || name.starts_with(char::is_uppercase) => segments.iter().any(|s| s == name),
        [name] => segments[0] == name,
        _ => segments.windows(wanted.len()).any(alike),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "
<!-- arrows -->
| room | may name | never |
|---|---|---|
| `domain` | nothing of ours | tokio, sockets, files, clocks |
| engine/wire | domain | |
| engine/dataplane, engine/flows | domain, engine/wire | each other, clocks, logging above TRACE |
| runtime | engine, domain | |
| engine | nothing of ours | |
| http | domain (and speaks HTTP, of course) | runtime |
| main | everything | |
<!-- /arrows -->";

    fn faults(path: &str, text: &str) -> Vec<String> {
        let source = Source::parse(path, text);
        Arrows::parse(PAGE).unwrap().faults(&source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn follows_an_arrow_that_the_table_has() {
        for (path, text) in [
            ("src/runtime/worker.rs", "use crate::engine::{dataplane::Dataplane, wire};"),
            ("src/engine/flows/tcp.rs", "use super::udp; use crate::domain::name; use std::net::SocketAddr;"),
            ("src/http/mod.rs", "fn f() -> crate::domain::Name { todo() }"),
            ("src/main.rs", "use culvert::http;"),
        ] {
            assert!(faults(path, text).is_empty(), "{:?}", faults(path, text));
        }
    }

    #[test]
    fn finds_an_arrow_in_every_place_where_a_path_can_stand() {
        for text in [
            "use crate::runtime::Runtime;",
            "use crate::{domain::Name, runtime::{self, os}};",
            "use super::super::runtime;",
            "use culvert::runtime;",
            "fn f() { let x = crate::runtime::start(); }",
            "fn f(x: &Vec<crate::runtime::X>) {}",
            "pub(in crate::runtime) fn f() {}",
            "fn f() { println!(\"{}\", crate::runtime::X); }",
            "macro_rules! m { () => { $crate::runtime::X } }",
            "mod inner { use super::super::super::runtime; }",
            "#[cfg(test)] mod tests { use crate::runtime::X; }",
        ] {
            let found = faults("src/http/api.rs", text);
            assert!(found.iter().any(|fault| fault.contains("`http` names `runtime`")), "{text}: {found:?}");
        }
    }

    #[test]
    fn says_file_line_and_rule() {
        assert_eq!(
            faults("src/http/api.rs", "//! Doc.\nuse crate::runtime::X;"),
            ["src/http/api.rs:2: `http` names `runtime`; it may name domain"]
        );
    }

    #[test]
    fn finds_machines_that_name_each_other() {
        let found = faults("src/engine/flows/mod.rs", "use crate::engine::dataplane::Dataplane;");
        assert_eq!(found.len(), 1, "{found:?}");
        let found = faults("src/engine/flows/mod.rs", "use super::dataplane::Dataplane;");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn finds_an_alias_of_the_root() {
        for text in ["use crate as root;", "use crate::*;", "use crate::{self as root};"] {
            let found = faults("src/http/api.rs", text);
            assert!(found.iter().any(|fault| fault.contains("root")), "{text}: {found:?}");
        }
    }

    #[test]
    fn finds_what_a_pure_room_may_never_name() {
        for text in [
            "use tokio::sync::watch;",
            "use std::net::{IpAddr, UdpSocket};",
            "use std::{fs, io};",
            "fn f() { let now = std::time::Instant::now(); }",
            "fn f() { jiff::Timestamp::now(); }",
            "fn f(since: Instant) { since.elapsed(); }",
            "use std::time::SystemTime;",
        ] {
            assert_eq!(faults("src/domain/name.rs", text).len(), 1, "{text}");
        }
        assert_eq!(faults("src/engine/flows/mod.rs", "fn f() { tracing::info!(\"x\"); }").len(), 1);
        assert_eq!(faults("src/engine/flows/mod.rs", "fn f() { warn!(\"x\"); }").len(), 1);
    }

    #[test]
    fn lets_values_of_time_and_network_pass() {
        let text = "use std::net::{IpAddr, SocketAddr}; use std::time::{Duration, Instant}; fn f() { trace!(\"x\"); }
            #[cfg(test)] mod tests { fn f() { Instant::now(); } }";
        assert!(faults("src/engine/flows/mod.rs", text).is_empty(), "{:?}", faults("src/engine/flows/mod.rs", text));
    }

    #[test]
    fn finds_a_room_without_a_row() {
        assert_eq!(faults("src/fleet/mod.rs", "").len(), 1);
        assert_eq!(faults("src/http/mod.rs", "use crate::fleet::X;").len(), 1);
    }

    #[test]
    fn refuses_a_table_with_a_word_that_nobody_would_obey() {
        for (from, to) in [("clocks |\n| engine/wire", "watches |\n| engine/wire"), ("engine, domain |", "engin |")] {
            assert!(Arrows::parse(&PAGE.replace(from, to)).is_err(), "{to}");
        }
        assert!(Arrows::parse("no table").is_err());
    }
}
