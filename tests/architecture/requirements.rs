//! The requirements of the RFCs about NAT: each has a test that names it in its doc comment, or a reason why it does not
//! apply.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use crate::source::{Source, is_test};

/// A requirement: the RFC and its number there.
pub type Requirement = (u16, u8);

/// The RFCs, each with the number of its requirements: UDP, TCP, ICMP, and NAT for many.
const RFCS: [(u16, u8); 4] = [(4_787, 14), (5_382, 10), (5_508, 11), (6_888, 15)];

/// What does not apply, and why.
const NOT_APPLICABLE: [(Requirement, &str); 8] = [
    ((4_787, 7), "the clients' networks are the operator's choice: nothing inside is configured by a network outside"),
    ((5_508, 9), "a policy that one may have; none is had"),
    ((6_888, 3), "a server has one external address of each version: there is no pool"),
    ((6_888, 5), "a mapping and a flow are of one size: their number is the memory, and REQ-4 limits it"),
    (
        (6_888, 9),
        "clients do not change mappings: the operator forwards ports, and no protocol of clients' asks for them",
    ),
    ((6_888, 10), "SNMP: the appliance is managed by its HTTP API"),
    ((6_888, 12), "the NAT logs nothing of a destination"),
    ((6_888, 14), "the NAT logs no mapping"),
];

/// Requirements of which neither is true, and those that are said not to apply although a test names them.
pub fn faults(sources: &[Source]) -> Vec<String> {
    let named: BTreeSet<Requirement> = sources.iter().flat_map(named_by_tests).collect();
    let mut faults = Vec::new();
    for requirement in RFCS.iter().flat_map(|(rfc, count)| (1..=*count).map(|number| (*rfc, number))) {
        let (rfc, number) = requirement;
        let is_exempt = NOT_APPLICABLE.iter().any(|(exempt, _)| *exempt == requirement);
        match (named.contains(&requirement), is_exempt) {
            (false, false) => faults.push(format!("RFC {rfc}, REQ-{number}: no test names it")),
            (true, true) => faults.push(format!("RFC {rfc}, REQ-{number}: a test names what does not apply")),
            _ => {}
        }
    }
    let is_known =
        |(rfc, number): &&Requirement| RFCS.iter().any(|(known, count)| known == rfc && (1..=*count).contains(number));
    let unknown = named.iter().filter(|it| RFCS.iter().any(|(rfc, _)| *rfc == it.0) && !is_known(it));
    faults.extend(unknown.map(|(rfc, number)| format!("RFC {rfc} has no REQ-{number}")));
    faults
}

/// The requirements that the doc comments of a file's tests name.
pub fn named_by_tests(source: &Source) -> BTreeSet<Requirement> {
    let mut docs = Docs::default();
    docs.visit_file(&source.ast);
    // a property's test stands in a macro, whose tokens are no functions: its comments are read as lines
    let lines = source.text.lines().map(str::trim).collect::<Vec<_>>();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[test]") {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///"));
        let mut text: Vec<&str> = above.map(|line| line.trim_start_matches("///")).collect();
        text.reverse();
        docs.texts.push(text.join(" "));
    }
    docs.texts.iter().flat_map(|text| requirements(text)).collect()
}

#[derive(Default)]
struct Docs {
    texts: Vec<String>,
}

impl<'ast> Visit<'ast> for Docs {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if is_test(&function.attrs) {
            let lines = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(line);
            self.texts.push(lines.collect::<Vec<_>>().join(" "));
        }
        visit::visit_item_fn(self, function);
    }
}

fn line(attribute: &syn::Attribute) -> Option<String> {
    let value = &attribute.meta.require_name_value().ok()?.value;
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// Reads `RFC 4787, REQ-1 and REQ-3 (a). RFC 5382, REQ-2`; an RFC holds until the next.
fn requirements(text: &str) -> Vec<Requirement> {
    let mut rfc = None;
    let mut found = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if word.ends_with("RFC") {
            rfc = words.peek().and_then(|next| number(next));
        } else if let Some((_, after)) = word.split_once("REQ-")
            && let (Some(rfc), Some(requirement)) = (rfc, number(after))
        {
            found.push((rfc, u8::try_from(requirement).unwrap_or(u8::MAX)));
        }
    }
    found
}

fn number(text: &str) -> Option<u16> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).map_or(text, |end| &text[..end]);
    digits.parse().ok()
}
