//! The shape of a file: its length, its docs, its names, and what it may not hold at all.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::source::{Fault, Source, is_test};

/// The most lines that a file may have, tests included.
pub const FILE_LINES: usize = 600;
/// The most lines that a function may have, from its signature to its brace.
pub const FUNCTION_LINES: usize = 80;

/// Words that no name may hold.
const BANNED_WORDS: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];
/// Names that say nothing where they stand alone. A function may be `info`: the contract has that verb.
const BANNED_ALONE: [&str; 2] = ["data", "info"];

/// Faults of any Rust file, a test's too.
pub fn faults(source: &Source) -> Vec<Fault> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        found.push(source.fault(lines, format!("{lines} lines; a file has at most {FILE_LINES}")));
    }
    let documented = source.ast.attrs.first().is_some_and(|attribute| attribute.path().is_ident("doc"));
    if !documented {
        found.push(source.fault(1, "a file begins with its module doc (`//!`)"));
    }
    for function in functions(source) {
        let lines = function.lines();
        if lines > FUNCTION_LINES {
            let rule = format!("`{}` has {lines} lines; a function has at most {FUNCTION_LINES}", function.name);
            found.push(source.fault(function.first, rule));
        }
    }
    found.extend(names(source));
    found.extend(reminders(source));
    found.extend(attributes(source));
    found
}

/// Faults that only a file of `src/` can have.
pub fn faults_of_the_product(source: &Source) -> Vec<Fault> {
    let mut found = Vec::new();
    for named in source.named() {
        if named.segments.windows(2).any(|pair| pair == ["Command", "new"]) {
            found.push(source.fault(named.line, "the appliance runs no other program (`Command::new`)"));
        }
        let glob = named.segments.last().is_some_and(|last| last == "*");
        let of_tests = named.segments == ["super", "*"] || named.segments == ["proptest", "prelude", "*"];
        if glob && !(named.in_test && of_tests) {
            found.push(source.fault(named.line, "no glob imports, save `use super::*` in a test module"));
        }
    }
    if !source.path.starts_with("src/runtime/os/") {
        let lines = words(source).into_iter().filter(|(word, _)| word == "unsafe");
        found.extend(lines.map(|(_, line)| source.fault(line, "`unsafe` stands in src/runtime/os alone")));
    }
    found
}

/// A function with a body.
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its first line, docs and attributes left out.
    pub first: usize,
    last: usize,
    /// Whether it stands under `#[cfg(test)]` or is a test.
    pub in_test: bool,
}

impl Function {
    /// Its lines, from the signature to the closing brace.
    pub fn lines(&self) -> usize {
        self.last + 1 - self.first
    }
}

/// An item that can be seen from outside its file.
pub struct Visible {
    /// Whether it has a `///` doc.
    pub documented: bool,
}

/// What a walk over the syntax gathers.
#[derive(Default)]
struct Walk {
    functions: Vec<Function>,
    visible: Vec<Visible>,
    names: Vec<(Kind, String, usize)>,
    in_test: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Other,
}

/// Every function of the file.
pub fn functions(source: &Source) -> Vec<Function> {
    walk(source).functions
}

/// Every visible item of the file, outside tests.
pub fn visible(source: &Source) -> Vec<Visible> {
    walk(source).visible
}

fn walk(source: &Source) -> Walk {
    let mut walk = Walk { in_test: source.in_test, ..Walk::default() };
    walk.visit_file(&source.ast);
    walk
}

impl Walk {
    fn function(&mut self, signature: &syn::Signature, end: Span) {
        let name = signature.ident.to_string();
        let first = signature.span().start().line;
        self.names.push((Kind::Function, name.clone(), first));
        self.functions.push(Function { name, first, last: end.end().line, in_test: self.in_test });
    }

    fn item(&mut self, ident: &syn::Ident, visibility: &syn::Visibility, attributes: &[syn::Attribute]) {
        self.names.push((Kind::Other, ident.to_string(), ident.span().start().line));
        self.see(visibility, attributes);
    }

    fn see(&mut self, visibility: &syn::Visibility, attributes: &[syn::Attribute]) {
        if !self.in_test && !matches!(visibility, syn::Visibility::Inherited) {
            let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
            self.visible.push(Visible { documented });
        }
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.names.push((Kind::Other, item.ident.to_string(), item.span().start().line));
        let outside = self.in_test;
        self.in_test |= is_test(&item.attrs);
        visit::visit_item_mod(self, item);
        self.in_test = outside;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let outside = self.in_test;
        self.in_test |= is_test(&item.attrs);
        self.function(&item.sig, item.block.span());
        self.see(&item.vis, &item.attrs);
        visit::visit_item_fn(self, item);
        self.in_test = outside;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.block.span());
        self.see(&item.vis, &item.attrs);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.item(&item.ident, &item.vis, &item.attrs);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.item(&item.ident, &item.vis, &item.attrs);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.item(&item.ident, &item.vis, &item.attrs);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.item(&item.ident, &item.vis, &item.attrs);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.item(&item.ident, &item.vis, &item.attrs);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.see(&field.vis, &field.attrs);
    }
}

fn names(source: &Source) -> Vec<Fault> {
    let stem = source.path.trim_end_matches(".rs").rsplit('/').next().unwrap_or_default().to_owned();
    let folder = source.path.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let mut named = walk(source).names;
    named.extend([(Kind::Other, stem, 1), (Kind::Other, folder, 1)]);
    let judged = named.into_iter().filter_map(|(kind, name, line)| {
        banned(kind, &name).map(|word| source.fault(line, format!("`{name}` is a name with `{word}`: name the thing")))
    });
    judged.collect()
}

fn banned(kind: Kind, name: &str) -> Option<&'static str> {
    let snake = name.chars().fold(String::new(), |mut snake, sign| {
        if sign.is_uppercase() {
            snake.push('_');
        }
        snake.extend(sign.to_lowercase());
        snake
    });
    let snake = snake.trim_matches('_');
    if kind == Kind::Function && snake.starts_with("do_") {
        return Some("do_");
    }
    let alone = BANNED_ALONE.into_iter().find(|word| snake == *word && !(kind == Kind::Function && snake == "info"));
    alone.or_else(|| BANNED_WORDS.into_iter().find(|word| snake.split('_').any(|part| part == *word)))
}

/// Words that promise work for later. They are put together here so that this file does not hold them.
fn reminders(source: &Source) -> Vec<Fault> {
    let words = ["TO.DO", "FIX.ME", "X.XX"].map(|word| word.replace('.', ""));
    let holds =
        |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(|part| words.iter().any(|word| word == part));
    let lines = source.text.lines().enumerate().filter(|(_, line)| holds(line));
    lines.map(|(at, _)| source.fault(at + 1, "a reminder in the code: write an issue instead")).collect()
}

/// `allow`, in whatever attribute: `expect` says when its reason is gone.
fn attributes(source: &Source) -> Vec<Fault> {
    struct Allows(Vec<usize>);
    impl<'ast> Visit<'ast> for Allows {
        fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
            let inner = match &attribute.meta {
                syn::Meta::List(list) => list.tokens.to_string(),
                _ => String::new(),
            };
            let wrapped = attribute.path().is_ident("cfg_attr") && inner.contains("allow (");
            let wrapped = wrapped || attribute.path().is_ident("cfg_attr") && inner.contains("allow(");
            if attribute.path().is_ident("allow") || wrapped {
                self.0.push(attribute.span().start().line);
            }
        }
    }
    let mut allows = Allows(Vec::new());
    allows.visit_file(&source.ast);
    allows.0.into_iter().map(|line| source.fault(line, "`#[expect(lint, reason = …)]`, never `#[allow]`")).collect()
}

fn words(source: &Source) -> Vec<(String, usize)> {
    fn gather(tokens: proc_macro2::TokenStream, found: &mut Vec<(String, usize)>) {
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(word) => found.push((word.to_string(), word.span().start().line)),
                proc_macro2::TokenTree::Group(group) => gather(group.stream(), found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    gather(source.text.parse().unwrap_or_default(), &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        let source = Source::parse(path, text);
        faults(&source).into_iter().chain(faults_of_the_product(&source)).map(|fault| fault.to_string()).collect()
    }

    fn breaks(path: &str, text: &str, rule: &str) -> bool {
        let found = rules(path, text);
        assert!(found.len() <= 1, "{found:?}");
        found.iter().any(|fault| fault.contains(rule))
    }

    #[test]
    fn lets_a_clean_file_pass() {
        let text = "//! Doc.\nfn info() {}\nstruct Dataplane;\nfn wg() -> &'static str { \"(wgX.XX) unsafe\" }"
            .replace('.', "");
        let text = text.replace("Doc", "Doc.");
        assert!(rules("src/domain/name.rs", &text).is_empty(), "{:?}", rules("src/domain/name.rs", &text));
    }

    #[test]
    fn finds_a_file_that_is_too_long() {
        let text = format!("//! Doc.\n{}", "const A: u8 = 0;\n".repeat(FILE_LINES));
        assert!(breaks("src/a.rs", &text, "601 lines"));
    }

    #[test]
    fn finds_a_function_that_is_too_long() {
        let body = "    f();\n".repeat(FUNCTION_LINES - 1);
        assert!(breaks("src/a.rs", &format!("//! Doc.\nfn f() {{\n{body}}}"), "`f` has 81 lines"));
        assert!(breaks("src/a.rs", &format!("//! Doc.\nimpl A {{ fn f() {{\n{body}}} }}"), "`f` has 81 lines"));
    }

    #[test]
    fn finds_a_file_without_a_module_doc() {
        assert!(breaks("src/a.rs", "// a comment\nfn f() {}", "module doc"));
    }

    #[test]
    fn finds_names_that_say_nothing() {
        for text in [
            "fn parse_helper() {}",
            "struct SessionManager;",
            "mod utils {}",
            "fn do_it() {}",
            "struct Info;",
            "enum Data {}",
        ] {
            assert!(breaks("src/a.rs", &format!("//! Doc.\n{text}"), "name the thing"), "{text}");
        }
        assert!(breaks("src/misc.rs", "//! Doc.", "name the thing"));
        assert!(breaks("src/common/a.rs", "//! Doc.", "name the thing"));
    }

    #[test]
    fn finds_unsafe_outside_its_room() {
        assert!(breaks("src/a.rs", "//! Doc.\nfn f() { unsafe { g() } }", "runtime/os"));
        assert!(!breaks("src/runtime/os/a.rs", "//! Doc.\nfn f() { unsafe { g() } }", "runtime/os"));
    }

    #[test]
    fn finds_another_program() {
        assert!(breaks("src/a.rs", "//! Doc.\nfn f() { std::process::Command::new(\"sh\"); }", "no other program"));
    }

    #[test]
    fn finds_reminders() {
        for word in ["TO.DO", "FIX.ME", "X.XX"] {
            assert!(breaks("src/a.rs", &format!("//! Doc.\n// {}: later", word.replace('.', "")), "issue"), "{word}");
        }
    }

    #[test]
    fn finds_allow() {
        for text in ["#[allow(dead_code)] fn f() {}", "#[cfg_attr(unix, allow(dead_code))] fn f() {}"] {
            assert!(breaks("src/a.rs", &format!("//! Doc.\n{text}"), "expect"), "{text}");
        }
    }

    #[test]
    fn finds_globs() {
        assert!(breaks("src/a.rs", "//! Doc.\nuse std::io::*;", "glob"));
        assert!(breaks("src/a.rs", "//! Doc.\nuse super::*;", "glob"));
        assert!(!breaks("src/a.rs", "//! Doc.\n#[cfg(test)]\nmod tests { use super::*; }", "glob"));
    }
}
