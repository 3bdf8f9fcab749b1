//! Bytes as people copy them.

/// Two lower-case hex digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The `N` bytes that so many hex digits spell, in either letter case; `None` for anything else.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes_and_nothing_else() {
        assert_eq!(hex(&[0x0f, 0xa0]), "0fa0");
        for text in ["0fa0", "0FA0"] {
            assert_eq!(unhex(text), Some([0x0f, 0xa0]), "{text}");
        }
        for text in ["", "0fa", "0fa00", "0fa000", "0fg0", " fa0", "+fa0", "0fä"] {
            assert_eq!(unhex::<2>(text), None, "{text:?}");
        }
    }
}
