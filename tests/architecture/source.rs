//! The tree under test: its files, parsed, and every path that they name.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One Rust file.
pub struct Source {
    /// Its path below the package, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its syntax.
    pub ast: syn::File,
    /// Whether the whole file stands under `#[cfg(test)]`, where its parent declares it.
    pub in_test: bool,
}

/// A path of two or more segments, or a macro's call, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As written, use trees taken apart; a macro ends in `!`, a glob in `*`, a method that is called begins with `.`.
    pub segments: Vec<String>,
    /// The line, from 1.
    pub line: usize,
    /// Whether it stands under `#[cfg(test)]`.
    pub in_test: bool,
    /// The module around it, from the crate's root.
    pub module: Vec<String>,
}

/// A broken rule, for people.
#[derive(Debug)]
pub struct Fault {
    /// Where: the file.
    pub path: String,
    /// Where: the line, from 1.
    pub line: usize,
    /// The rule that is broken, and by what.
    pub rule: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

impl Source {
    /// Parses `text` as the file `path`.
    pub fn parse(path: &str, text: &str) -> Self {
        let ast = syn::parse_file(text).unwrap_or_else(|error| panic!("{path} is no Rust: {error}"));
        Self { path: path.to_owned(), text: text.to_owned(), ast, in_test: false }
    }

    /// Every Rust file below `folder` of the package, in order.
    pub fn below(folder: &str) -> Vec<Self> {
        let mut found = Vec::new();
        collect(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut found);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let tests: Vec<Vec<String>> = found.iter().flat_map(Self::test_files).collect();
        for source in &mut found {
            let module = source.module();
            source.in_test = tests.iter().any(|test| module.starts_with(test));
        }
        found
    }

    /// Says that this file breaks `rule` at `line`.
    pub fn fault(&self, line: usize, rule: impl Into<String>) -> Fault {
        Fault { path: self.path.clone(), line, rule: rule.into() }
    }

    /// The module that the file is, from the crate's root; `src/main.rs` and `src/lib.rs` are the root.
    pub fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        module
    }

    /// The modules that the file declares for tests alone and that are files of their own.
    fn test_files(&self) -> Vec<Vec<String>> {
        let declared = self.ast.items.iter().filter_map(|item| match item {
            syn::Item::Mod(item) if item.content.is_none() && is_test(&item.attrs) => Some(item.ident.to_string()),
            _ => None,
        });
        declared.map(|name| [&self.module()[..], &[name]].concat()).collect()
    }

    /// Every path that the file names.
    pub fn named(&self) -> Vec<Named> {
        let tokens: TokenStream = self.text.parse().unwrap_or_else(|_| panic!("{} has no tokens", self.path));
        let mut named = Vec::new();
        scan(tokens, &self.module(), self.in_test, &mut named);
        named
    }
}

/// Whether an item stands under `#[cfg(test)]` or is a test.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let cfg = attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"));
        cfg || attribute.path().segments.last().is_some_and(|last| last.ident == "test")
    })
}

fn collect(package: &Path, folder: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(package.join(folder)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                collect(package, &path, found);
            }
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            found.push(Source::parse(&path, &fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// Walks tokens rather than syntax, so that what macros are given is read too.
fn scan(tokens: TokenStream, module: &[String], in_test: bool, named: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    // a `#[cfg(test)]` holds until its item's body, or the semicolon, is over
    let mut marked = in_test;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == ';' => marked = in_test,
            TokenTree::Group(group) => {
                let attribute = group.delimiter() == Delimiter::Bracket && at > 0 && is_punct(&tokens[at - 1], '#');
                let content: String = group.stream().to_string().split_whitespace().collect();
                if attribute && content == "cfg(test)" {
                    marked = true;
                }
                scan(group.stream(), module, marked, named);
                if group.delimiter() == Delimiter::Brace {
                    marked = in_test;
                }
            }
            TokenTree::Ident(word) if word == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    let inner = [module, &[name.to_string()]].concat();
                    scan(body.stream(), &inner, marked, named);
                    (marked, at) = (in_test, at + 2);
                }
            }
            TokenTree::Ident(_) => {
                let mut context = Context { module, in_test: marked, named };
                at = context.path(&tokens, at, Vec::new());
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

struct Context<'a> {
    module: &'a [String],
    in_test: bool,
    named: &'a mut Vec<Named>,
}

impl Context<'_> {
    /// Reads the path that begins at `at`, notes it below `prefix`, and returns what follows it.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, prefix: Vec<String>) -> usize {
        let line = tokens[at].span().start().line;
        let after_dot = at > 0 && is_punct(&tokens[at - 1], '.');
        let imported = at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(word) if word == "use");
        let mut segments = prefix;
        let mut deep = imported || !segments.is_empty();
        segments.push(if after_dot { format!(".{}", tokens[at]) } else { tokens[at].to_string() });
        at += 1;
        while separator(tokens, at) {
            match tokens.get(at + 2) {
                Some(TokenTree::Ident(word)) => segments.push(word.to_string()),
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".into()),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.tree(group.stream(), &segments);
                    return at + 3;
                }
                _ => break,
            }
            (deep, at) = (true, at + 3);
        }
        if tokens.get(at).is_some_and(|next| is_punct(next, '!'))
            && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)))
        {
            segments.last_mut().unwrap().push('!');
            deep = true;
        }
        if deep || after_dot {
            self.note(segments, line);
        }
        at
    }

    /// Takes a use tree's group apart.
    fn tree(&mut self, group: TokenStream, prefix: &[String]) {
        let tokens: Vec<TokenTree> = group.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if word == "as" => at += 2,
                TokenTree::Ident(word) if word == "self" => {
                    self.note(prefix.to_vec(), word.span().start().line);
                    at += 1;
                }
                TokenTree::Ident(_) => at = self.path(&tokens, at, prefix.to_vec()),
                TokenTree::Punct(star) if star.as_char() == '*' => {
                    self.note([prefix, &["*".into()]].concat(), star.span().start().line);
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    fn note(&mut self, segments: Vec<String>, line: usize) {
        self.named.push(Named { segments, line, in_test: self.in_test, module: self.module.to_vec() });
    }
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn separator(tokens: &[TokenTree], at: usize) -> bool {
    tokens.len() > at + 1 && is_punct(&tokens[at], ':') && is_punct(&tokens[at + 1], ':')
}
