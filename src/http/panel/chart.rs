//! Charts, drawn on this side as SVG: they need no script, and every bar says what it stands for.

use std::fmt::Write as _;

use super::words::Language;
use crate::http::link_page::escaped;

/// A bar's place: what it is of, and what came down and went up then, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bar {
    /// What it is of, for people: a day, an hour.
    pub(super) label: String,
    /// Towards the client.
    pub(super) down: u64,
    /// From the client.
    pub(super) up: u64,
}

const WIDTH: usize = 720;
const HEIGHT: usize = 170;
const FLOOR: usize = 150;

/// Bars beside one another. `title` says what the whole is of.
pub(super) fn bars(language: Language, title: &str, bars: &[Bar]) -> String {
    let top = bars.iter().map(|bar| bar.down.max(bar.up)).max().unwrap_or(0).max(1);
    let slot = WIDTH / bars.len().max(1);
    let thick = (slot * 2 / 5).clamp(2, 16);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n\
         <line class=\"axis\" x1=\"0\" y1=\"{FLOOR}\" x2=\"{WIDTH}\" y2=\"{FLOOR}\"/>\n",
        escaped(title)
    );
    let height = |bytes: u64| usize::try_from((u128::from(bytes) * 280 / u128::from(top)).div_ceil(2)).unwrap_or(0);
    // so many labels as have room
    let every = bars.len().div_ceil(16).max(1);
    for (at, bar) in bars.iter().enumerate() {
        let x = at * slot + (slot - (2 * thick).min(slot)) / 2;
        let told = format!("{}: ↓ {} ↑ {}", bar.label, language.bytes(bar.down), language.bytes(bar.up));
        let (down, up) = (height(bar.down), height(bar.up));
        // writing to a String cannot fail
        let _ = writeln!(
            svg,
            "<g><title>{}</title><rect class=\"down\" x=\"{x}\" y=\"{}\" width=\"{thick}\" height=\"{down}\"/>\
             <rect class=\"up\" x=\"{}\" y=\"{}\" width=\"{thick}\" height=\"{up}\"/></g>",
            escaped(&told),
            FLOOR - down,
            x + thick,
            FLOOR - up,
        );
        if at % every == 0 {
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\">{}</text>", FLOOR + 15, escaped(&bar.label));
        }
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_largest_to_the_top_and_escapes_labels() {
        let bar = |label: &str, down, up| Bar { label: label.into(), down, up };

        let svg = bars(Language::En, "<all>", &[bar("1", 0, 0), bar("<2>", u64::MAX, u64::MAX / 2 + 1)]);

        assert!(
            svg.contains("height=\"140\"") && svg.contains("height=\"70\"") && svg.contains("height=\"0\""),
            "{svg}"
        );
        assert!(svg.contains("&lt;2&gt;") && svg.contains("aria-label=\"&lt;all&gt;\""), "{svg}");
    }

    #[test]
    fn draws_nothing_of_nothing() {
        assert!(!bars(Language::En, "all", &[]).contains("<rect"));
    }
}
