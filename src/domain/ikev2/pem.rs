//! PEM (RFC 7468), as clients of the API really send it.
//!
//! A form that is not escaped turns each `+` of base64 into a blank, some clients lose the line ends, others add blanks at
//! the ends of lines. What a blank means is found out by trying: base64 of the wrong length, or DER that is longer or
//! shorter than it says, is the wrong reading.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of base64 in a line.
const LINE: usize = 64;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A block: its label, as in `CERTIFICATE`, and its DER. It may be a private key, so its bytes are wiped.
#[derive(PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// Every block of a text that can be read.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        rest = after;
        let Some((label, body)) = after.split_once(DASHES) else { continue };
        let Some((body, after)) = body.split_once(END) else { continue };
        rest = after;
        if after.strip_prefix(label).is_some_and(|after| after.starts_with(DASHES))
            && let Some(der) = decode(body)
        {
            found.push(Block { label, der });
        }
    }
    found
}

/// Writes a block with a line end behind it.
pub(super) fn write(label: &str, der: &[u8]) -> String {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let mut text = String::with_capacity(encoded.len() + encoded.len() / LINE + 2 * (label.len() + 20));
    for part in [BEGIN, label, DASHES, "\n"] {
        text.push_str(part);
    }
    for (at, sign) in encoded.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(sign);
    }
    for part in ["\n", END, label, DASHES, "\n"] {
        text.push_str(part);
    }
    text
}

fn decode(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let raw = |line: &str| line.trim_matches(['\r', '\t']).replace(' ', "+");
    let trimmed = |line: &str| line.trim().replace(' ', "+");
    let bare = |line: &str| line.split_whitespace().collect::<String>();
    [raw as fn(&str) -> String, trimmed, bare].into_iter().find_map(|read| {
        let mut lines: Vec<String> = body.lines().map(read).collect();
        let text = Zeroizing::new(lines.concat());
        lines.zeroize();
        let der = Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?);
        is_whole(&der).then_some(der)
    })
}

/// Whether it is one SEQUENCE and nothing behind it.
fn is_whole(der: &[u8]) -> bool {
    matches!(element(der), Some((0x30, _, rest)) if rest.is_empty())
}

/// Takes a DER element of up to 65,535 bytes from the front: its tag, its content and what follows (X.690, section 8.1).
pub(super) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Writes a DER element of up to 65,535 bytes.
pub(super) fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let mut der = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// DER whose base64 is full of `+` at every place of a line.
    fn der() -> Vec<u8> {
        wrap(0x30, &[0xfb, 0xef, 0xbe].repeat(61))
    }

    fn read(text: &str) -> Vec<(&str, Vec<u8>)> {
        blocks(text).iter().map(|block| (block.label, block.der.to_vec())).collect()
    }

    #[test]
    fn writes_lines_of_64_and_reads_them_back() {
        let text = write("CERTIFICATE", &der());

        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\nMIG3++++"), "{text}");
        assert!(text.ends_with("\n-----END CERTIFICATE-----\n"));
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(read(&text), [("CERTIFICATE", der())]);
    }

    #[test]
    fn reads_what_a_form_has_made_of_it() {
        let text = write("CERTIFICATE", &der());
        let body = |change: &dyn Fn(&str) -> String| {
            let lines = text.lines().map(|line| if line.starts_with('-') { line.to_owned() } else { change(line) });
            lines.collect::<Vec<_>>()
        };
        let blanks = body(&|line| line.replace('+', " "));
        for sent in [
            text.replace('\n', "\r\n"),
            blanks.join("\n"),
            blanks.join("\r\n"),
            blanks.concat(),
            body(&|line| line.replacen('+', " ", 3)).join("\n"),
            body(&|line| format!("  {line} \t")).join("\n"),
            body(&str::to_owned).join(" "),
            format!("Bag Attributes\n{text}"),
        ] {
            assert_eq!(read(&sent), [("CERTIFICATE", der())], "{sent}");
        }
    }

    #[test]
    fn reads_every_block_of_several() {
        let text = write("PRIVATE KEY", &[0x30, 0]) + "\n" + &write("CERTIFICATE", &der());
        assert_eq!(read(&text), [("PRIVATE KEY", vec![0x30, 0]), ("CERTIFICATE", der())]);
    }

    #[test]
    fn reads_nothing_where_there_is_no_whole_block() {
        let text = write("CERTIFICATE", &der());
        for broken in [
            "",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
            &text.replacen("MIG", "MIH", 1),
            &text.replace("END CERTIFICATE", "END KEY"),
            &text[..text.len() - 10],
            &write("CERTIFICATE", &[0x30, 1, 0, 0]),
            &write("CERTIFICATE", &[0x04, 1, 0]),
        ] {
            assert_eq!(read(broken), [], "{broken}");
        }
    }

    proptest! {
        #[test]
        fn takes_back_any_element(content in proptest::collection::vec(any::<u8>(), 0..600)) {
            let der = wrap(0x04, &content);
            prop_assert_eq!(element(&der), Some((0x04, content.as_slice(), &[][..])));
        }

        #[test]
        fn survives_any_text(text in "(-----BEGIN [A-Z]{0,3}-----|-----END [A-Z]{0,3}-----|[A-Za-z0-9+/= \r\n]{0,9}){0,9}") {
            let _ = blocks(&text);
        }
    }
}
