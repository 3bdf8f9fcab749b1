//! Values that are one of a few, by the words that forms have for them.

/// Gives a type its words: [`Display`](std::fmt::Display) writes them, `parse` reads them in any letter case.
macro_rules! words {
    ($type:ident { $($value:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// Every value.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$value),*];

            /// Its word in a form.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }

            /// Reads its word, in any letter case.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.word().eq_ignore_ascii_case(text))
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(super) use words;
