//! A password, and how one is chosen.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What chosen passwords are made of: no two of these look alike on a small screen.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A password that shows nothing in `Debug` and is wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct Password(String);

impl Password {
    /// Takes any text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Chooses a password, one character of 5.8 bits for each four random bytes.
    pub fn from_entropy(random: &[u8]) -> Self {
        // 2^32 is so much more than 56 that the remainder favours no character by more than one in 76 million
        let pick = |bytes: &[u8; 4]| char::from(ALPHABET[u32::from_le_bytes(*bytes) as usize % ALPHABET.len()]);
        Self(random.as_chunks().0.iter().map(pick).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text. The caller is about to show a secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_chosen_from_characters_that_do_not_look_alike() {
        let random: Vec<u8> = [0, 55, 56, 24_u32].iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(Password::from_entropy(&random).reveal(), "a9aA");
        for lookalike in ['0', 'O', '1', 'l', 'I', 'o'] {
            assert!(!ALPHABET.contains(&(lookalike as u8)), "{lookalike}");
        }
    }

    #[test]
    fn shows_nothing() {
        assert_eq!(format!("{:?}", Password::new("secret".into())), "Password(hidden)");
    }
}
