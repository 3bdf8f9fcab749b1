//! Reads the sources and fails where they break the house's rules; each failure's text is the rule.
//!
//! The arrows between rooms are the table in `src/README.md`: the page is this test's input, so it cannot grow old.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]
#![expect(clippy::print_stdout, reason = "the bars are for reading")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a syntax tree has more kinds than a rule cares for")]
#![expect(unreachable_pub, reason = "a test's modules are seen by this file alone")]

#[path = "architecture/arrows.rs"]
mod arrows;
#[path = "architecture/requirements.rs"]
mod requirements;
#[path = "architecture/shape.rs"]
mod shape;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use arrows::Arrows;
use source::{Fault, Source};

fn refuse(faults: &[Fault]) {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_of_their_row() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/README.md")).unwrap();
    let arrows = Arrows::parse(&page).unwrap_or_else(|error| panic!("src/README.md: {error}"));

    refuse(&Source::below("src").iter().flat_map(|source| arrows.faults(source)).collect::<Vec<_>>());
}

#[test]
fn files_and_functions_are_short_documented_and_well_named() {
    let (ours, tests) = (Source::below("src"), Source::below("tests"));

    refuse(&ours.iter().chain(&tests).flat_map(shape::faults).collect::<Vec<_>>());
}

#[test]
fn the_product_runs_no_program_and_keeps_unsafe_in_its_room() {
    refuse(&Source::below("src").iter().flat_map(shape::faults_of_the_product).collect::<Vec<_>>());
}

#[test]
fn every_requirement_of_the_rfcs_about_nat_has_a_test_or_a_reason() {
    let sources: Vec<Source> = ["src", "tests"].into_iter().flat_map(Source::below).collect();

    let faults = requirements::faults(&sources);

    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn requirements_are_read_where_a_test_names_them() {
    let text = "/// RFC 4787, REQ-1 and REQ-3 (a). RFC 5382,\n/// REQ-2: both.\n#[test]\nfn a() {}\n\
                /// RFC 5508, REQ-4.\nfn no_test() {}\n\
                proptest! {\n    /// RFC 6888, REQ-7.\n    #[test]\n    fn b(x in 0..1) {}\n}\n";

    let named = requirements::named_by_tests(&Source::parse("src/a.rs", text));

    assert_eq!(named, [(4_787, 1), (4_787, 3), (5_382, 2), (6_888, 7)].into());
}

#[test]
fn the_top_level_is_closed() {
    let entries = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());

    let strangers: Vec<String> = names.filter(|name| !belongs_at_the_top(name)).collect();

    assert!(strangers.is_empty(), "not on the card of the top level: {}", strangers.join(", "));
}

/// The card: what may lie beside `src`, and the two folders that git ignores.
fn belongs_at_the_top(name: &str) -> bool {
    const CARD: [&str; 8] = ["Cargo.toml", "Cargo.lock", "src", "firmware", "tests", "configs", "images", "README.md"];
    const IGNORED: [&str; 2] = ["target", "culvert-data"];
    CARD.contains(&name) || IGNORED.contains(&name) || name.starts_with("LICENSE-") || name.starts_with('.')
}

#[test]
fn a_stranger_at_the_top_is_found() {
    assert!(!belongs_at_the_top("scripts") && !belongs_at_the_top("CHANGELOG.md") && !belongs_at_the_top("LICENSE"));
    assert!(belongs_at_the_top("src") && belongs_at_the_top(".ci") && belongs_at_the_top("LICENSE-MIT"));
}

#[test]
fn the_bars_are_printed() {
    let sources = Source::below("src");
    let functions = sources.iter().flat_map(shape::functions).filter(|function| !function.in_test);
    let lengths: Vec<usize> = functions.map(|function| function.lines()).collect();
    let files: Vec<usize> = sources.iter().filter(|source| !source.in_test).map(lines_outside_tests).collect();
    let visible: Vec<shape::Visible> = sources.iter().flat_map(shape::visible).collect();
    let documented = visible.iter().filter(|item| item.documented).count();
    let long = lengths.iter().filter(|&&lines| lines > 50).count();

    println!("bar                                       here                  ours at most");
    println!("lines a file, median / p90 / most         {:<21} 180 / 400 / 600", spread(files));
    println!("lines a function, median / p90 / most     {:<21} 9 / 30 / 80", spread(lengths.clone()));
    println!("functions above 50 lines                  {:<21} 2 %", share(long, lengths.len()));
    println!("visible items documented                  {:<21} at least 90 %", share(documented, visible.len()));
    println!("comments among the lines                  {:<21} 8-15 %", comments(&sources));

    assert!(documented * 10 >= visible.len() * 9, "fewer than nine in ten visible items are documented");
}

fn lines_outside_tests(source: &Source) -> usize {
    source.text.lines().take_while(|line| *line != "#[cfg(test)]").count()
}

fn spread(mut figures: Vec<usize>) -> String {
    figures.sort_unstable();
    let at = |percent: usize| figures.get((figures.len() * percent / 100).min(figures.len() - 1)).copied().unwrap_or(0);
    format!("{} / {} / {}", at(50), at(90), at(100))
}

fn share(part: usize, whole: usize) -> String {
    let tenths = part * 1000 / whole.max(1);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn comments(sources: &[Source]) -> String {
    let lines = || sources.iter().flat_map(|source| source.text.lines()).map(str::trim).filter(|line| !line.is_empty());
    share(lines().filter(|line| line.starts_with("//")).count(), lines().count())
}
