//! The most frequent names among many, in little memory: "Space-Saving" (Metwally, Agrawal and El Abbadi, "Efficient
//! Computation of Frequent and Top-k Elements in Data Streams", 2005).
//!
//! A name that makes up more than one of [`PLACES`] of all that are counted is always there. A count may be too high, by
//! what was counted for the name whose place it has taken.

use crate::engine::wire::dns::NAME_MAX;

/// Names that are counted at a time.
const PLACES: usize = 64;

/// The names, in lower case as a message has them, each with how often it was counted.
#[derive(Debug, Default)]
pub(super) struct Frequent {
    places: Vec<(Vec<u8>, u64)>,
}

impl Frequent {
    /// Counts a name.
    pub(super) fn count(&mut self, name: &[u8]) {
        if name.len() > NAME_MAX {
            return;
        }
        if let Some((_, count)) = self.places.iter_mut().find(|(place, _)| place.eq_ignore_ascii_case(name)) {
            *count += 1;
        } else if self.places.len() < PLACES {
            self.places.push((name.to_ascii_lowercase(), 1));
        } else if let Some((place, count)) = self.places.iter_mut().min_by_key(|(_, count)| *count) {
            // its memory is used again
            place.clear();
            place.extend(name.iter().map(u8::to_ascii_lowercase));
            *count += 1;
        }
    }

    /// Every name that is counted now, as people write it, with how often it was.
    pub(super) fn names(&self) -> impl Iterator<Item = (String, u64)> {
        self.places.iter().map(|(name, count)| (text(name), *count))
    }
}

fn digit(value: u8) -> char {
    char::from(b'0' + value)
}

/// A name as people write it (RFC 1035, section 5.1): what is no printable letter is written as `\DDD`.
fn text(name: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), name);
    while let Some((&length, after)) = rest.split_first() {
        let Some((label, after)) = after.split_at_checked(length.into()).filter(|(label, _)| !label.is_empty()) else {
            break;
        };
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                0x21..=0x7e => text.push(char::from(*byte)),
                _ => text.extend(['\\', digit(byte / 100), digit(byte / 10 % 10), digit(byte % 10)]),
            }
        }
        rest = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name in the form of a message.
    fn wire(name: &str) -> Vec<u8> {
        let labels = name.split('.').flat_map(|label| {
            std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes()).collect::<Vec<_>>()
        });
        labels.chain([0]).collect()
    }

    #[test]
    fn keeps_the_frequent_among_many_that_are_rare() {
        let mut frequent = Frequent::default();

        for round in 0..1_000 {
            frequent.count(&wire("ads.example"));
            frequent.count(&wire(if round % 2 == 0 { "Track.Example" } else { "track.example" }));
            frequent.count(&wire(&format!("rare-{round}.example")));
        }

        let mut names: Vec<_> = frequent.names().collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        assert_eq!(names.len(), PLACES);
        assert_eq!(
            names[..2].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["ads.example", "track.example"]
        );
        assert_eq!((names[0].1, names[1].1), (1_000, 1_000));
        // nothing that is rare counts for more than it could have taken over
        assert!(names[2].1 <= 1_000 / (PLACES as u64 - 2) + 1, "{:?}", names[2]);
    }

    #[test]
    fn writes_names_as_people_do() {
        assert_eq!(text(&wire("a.b-c.example")), "a.b-c.example");
        assert_eq!(text(b"\x03a.b\x01\xff\x01\\\x00"), "a\\.b.\\255.\\\\");
        // what ends too soon is written as far as it goes
        assert_eq!(text(b"\x01a\x05bc"), "a");
        assert_eq!(text(b""), "");
    }
}
